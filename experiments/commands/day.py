"""read text: one exposure, hippocampus only"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

BYTES_A_TOKEN = 2.4
"""Of English text in the shipped vocabulary."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("brain", type=Path, metavar="BRAIN", help="directory made by init")
    parser.add_argument("files", nargs="+", metavar="FILE", help="text to read; - for stdin")


def run(arguments: Namespace) -> dict[str, Any]:
    """Let the brain live one day."""
    from circuits.brain import Brain
    from neurosim.progress import progress
    from neurosim.text import Sentence, read_sentences
    from rules.willshaw import Willshaw

    def sentences() -> Iterator[Sentence]:
        for file in arguments.files:
            yield from read_sentences(file if file == "-" else Path(file))

    with Brain.open(arguments.brain, Willshaw()) as brain:
        expected = _warn_of_size(arguments.files, brain.hippocampus.gauge().room)
        with progress(expected, "day") as bar:
            report = brain.day(sentences(), bar.advance)
        gauge = brain.hippocampus.gauge()
    print(
        f"read {report.n_read} sentences: {report.n_stored} written, {report.n_expected} expected "
        f"and left out, {report.n_familiar} met before and strengthened; "
        f"{gauge.used:.0%} of the hippocampus in use"
    )
    if report.n_split:
        print(f"{report.n_split} parts of sentences too long for one episode were stored apart")
    return {**asdict(report), "capacity_used": gauge.used, "memories_held": gauge.n_episodes}


def _warn_of_size(files: list[str], room: int) -> int:
    """Say before it starts when a text is larger than the room; return about how many sentences.

    Raises
    ------
    InputError
        When a file cannot be read.
    """
    from neurosim.text import count_estimate

    paths = [Path(file) for file in files if file != "-"]
    paths = [path for path in paths if path.is_file() or not path.exists() or path.is_dir()]
    n_sentences = sum(count_estimate(path) for path in paths)
    n_bytes = sum(path.stat().st_size for path in paths)
    tokens = n_bytes / BYTES_A_TOKEN
    if tokens > room:
        fits = int(n_sentences * room / tokens)
        print(
            f"the text has about {n_sentences:,} sentences ({n_bytes / 1e6:.1f} MB); about "
            f"{fits:,} of them fit into the hippocampus, reading stops when it is full",
            file=sys.stderr,
        )
    return n_sentences
