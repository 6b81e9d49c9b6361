"""complete a cue, and say which memory answered and how sure it is"""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("brain", type=Path, metavar="BRAIN", help="directory made by init")
    parser.add_argument("cue", metavar="CUE", help="the beginning of a sentence, or words of it")


def run(arguments: Namespace) -> dict[str, Any]:
    """Ask the brain."""
    from circuits.brain import Brain
    from neurosim.errors import InputError
    from rules.willshaw import Willshaw

    if not arguments.cue.strip():
        raise InputError("CUE: expected some words, got nothing; give the beginning of a sentence")
    with Brain.open(arguments.brain, Willshaw()) as brain:
        answer = brain.ask(arguments.cue)
    print(f"{arguments.cue.strip()} {answer.text}")
    print(f"({answer.source}, {answer.confidence:.0%} sure)")
    return asdict(answer)
