"""The entry of `neurosim`: Ctrl-C is one sentence, while the rest is imported too."""

import os
import sys
from types import FrameType, ModuleType

INTERRUPTED = 130
SENTENCE = "neurosim: interrupted; what was finished is kept"


def main(words: list[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0; 2 for the user's mistake, in one sentence on stderr; 130 when interrupted.
    """
    try:
        return _command_line().execute(words)
    except KeyboardInterrupt:
        print(SENTENCE, file=sys.stderr)
        return INTERRUPTED


def _command_line() -> ModuleType:
    """Import the rest; an interrupt ends the process at once.

    As an exception it may be lost (the import system drops what a callback raises) or be taken
    for another fault (NumPy says that it is not installed well).
    """
    import signal  # Within the reach of `main`, as all that takes time.

    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # And not ignored.
    if heard:
        signal.signal(signal.SIGINT, _end)
    from experiments import command_line

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return command_line


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, f"{SENTENCE}\n".encode())  # Whatever was interrupted may hold sys.stderr.
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
