"""The command line `neurosim`; commands are found by listing `experiments.commands`.

`experiments.__main__` is its entry, which answers an interrupt.
"""

import math
import os
import signal
import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, cast

from neurosim import __version__
from neurosim.discovery import modules
from neurosim.errors import CapacityError, ConfigError, NeurosimError, StorageError
from neurosim.storage import atomic_write_text, check_place, is_refusal, json_text, storage_error


def execute(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0; 2 for the user's mistake, in one sentence on stderr.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C, and when the system asks to end.
    """
    # Sums associate differently on more threads: on one, a seed gives the same bits everywhere,
    # and matrices of this size are no slower.
    os.environ["OMP_NUM_THREADS"] = "1"
    signal.signal(signal.SIGTERM, _terminated)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        commands = modules("experiments.commands")
        arguments = _parsed(_parser(commands), words)
        if arguments.json not in (None, "-"):
            check_place(arguments.json)
        values = commands[arguments.command].run(arguments)
        if arguments.json is not None:
            _write_json(arguments.json, values)
    except NeurosimError as error:
        print(f"neurosim: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if not is_refusal(error):
            raise
        print(f"neurosim: {storage_error(error.filename or 'output', error)}", file=sys.stderr)
        return StorageError.exit_code
    except MemoryError as error:
        print(
            f"neurosim: memory: expected enough of it, got '{error or 'none left'}'; make the run "
            "smaller or take fewer workers",
            file=sys.stderr,
        )
        return CapacityError.exit_code
    return 0


def _parser(commands: dict[str, ModuleType]) -> ArgumentParser:
    parser = ArgumentParser(
        prog="neurosim", description="Simulate brains that learn by day and consolidate by night."
    )
    parser.add_argument("--version", action="version", version=f"neurosim {__version__}")
    places = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in commands.items():
        text = (module.__doc__ or "").strip().splitlines()[0]
        child = places.add_parser(name, help=text, description=text)
        module.add_arguments(child)
        taken = {action.dest for action in child._actions}
        if "seed" not in taken:
            why = "a brain keeps its own seed" if "brain" in taken else "nothing is drawn"
            child.add_argument("--seed", type=int, metavar="N", help=f"ignored: {why}")
        child.add_argument("--json", metavar="FILE", help="write the numbers; - for stdout")
        for action in child._actions:
            if _is_place(action):
                action.type = _named(name, action)
    return parser


def _is_place(action: Action) -> bool:
    """Return whether an argument is a file or a folder, as its type or its help calls it."""
    words = action.metavar.split("|") if isinstance(action.metavar, str) else ()
    return action.type is Path or "FILE" in words or "DIR" in words


def _named(command: str, action: Action) -> Callable[[str], Any]:
    """Return the type of a place without the empty one, which `Path` takes for the current folder.

    It is nearly always a shell variable that is not set.
    """
    kind = cast(Callable[[str], Any], action.type or str)

    def named(text: str) -> Any:
        if not text:
            raise ConfigError.expected(
                command, action.dest, "a file or a folder", text,
                "see whether a shell variable is not set; the current folder is .",
            )  # fmt: skip
        return kind(text)

    return named


def _parsed(parser: ArgumentParser, words: Sequence[str] | None) -> Namespace:
    """Parse the line; FIELD=VALUE may stand after options too, which argparse does not allow."""
    arguments, rest = parser.parse_known_args(words)
    takes_settings = hasattr(arguments, "settings")
    strange = [word for word in rest if not takes_settings or word[0:1] == "-" or "=" not in word]
    if strange:
        wanted = "an option or FIELD=VALUE" if takes_settings else "an option of this command"
        parser.error(
            f"{arguments.command}: expected {wanted}, got {' '.join(strange)}; "
            f"see neurosim {arguments.command} --help"
        )
    if rest:
        arguments.settings = [*arguments.settings, *rest]
    return arguments


def _write_json(target: str, values: dict[str, object]) -> None:
    text = json_text(_finite(values), indent=2)
    if target == "-":
        print(text)
    else:
        atomic_write_text(Path(target), text)


def _finite(value: object) -> object:
    """Replace what JSON cannot say (a criterion never reached is NaN) by null."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _terminated(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
