"""write a recorded night of the spiking CA3 as NWB, figure or animation"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

SUFFIX = {"nwb": ".nwb", "figure": ".png", "animation": ".gif"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("kind", choices=tuple(SUFFIX), help="what to write")
    parser.add_argument(
        "recording", type=Path, metavar="RECORDING", help="run.h5 of neurosim run spiking_night"
    )
    parser.add_argument(
        "--out", type=Path, default=None, metavar="FILE", help="default: beside the recording"
    )


def run(arguments: Namespace) -> dict[str, Any]:
    """Read the recording, and write it as asked."""
    from neurosim.recorder import Recording
    from neurosim.storage import check_place

    out = arguments.out or arguments.recording.with_suffix(SUFFIX[arguments.kind])
    recording = Recording.open(arguments.recording)
    check_place(out)
    _WRITERS[arguments.kind](recording, out)
    n_bytes = out.stat().st_size
    print(f"{out}: {n_bytes / 1e6:.2f} MB")
    return {"bytes": n_bytes}


def _write_nwb(recording: Any, out: Path) -> None:
    from neurosim.nwb import write_nwb

    write_nwb(recording, out)


def _write_figure(recording: Any, out: Path) -> None:
    from experiments.spiking_figures import figure
    from neurosim import plotting

    with plotting.style():
        plotting.save(figure(recording), out)


def _write_animation(recording: Any, out: Path) -> None:
    from experiments.spiking_figures import animation
    from neurosim import plotting
    from neurosim.storage import atomic_write_bytes

    with plotting.style():
        atomic_write_bytes(out, animation(recording))


_WRITERS = {"nwb": _write_nwb, "figure": _write_figure, "animation": _write_animation}
