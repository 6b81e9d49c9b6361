"""make a newborn brain"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("brain", type=Path, metavar="BRAIN", help="directory to make")
    parser.add_argument(
        "--lm",
        default="tiny",
        metavar="tiny|DIR",
        help="the shipped language model, or a directory with config.json, model.safetensors and "
        "tokenizer.json (default: tiny)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of all the brain draws (default: 0)"
    )
    parser.add_argument("--no-gate", action="store_true", help="write what is expected, too")
    parser.add_argument("--dense", action="store_true", help="take the dentate gyrus out")


def run(arguments: Namespace) -> dict[str, Any]:
    """Make the brain and say what it is made of."""
    from circuits.brain import Brain
    from circuits.brain_config import BrainConfig
    from experiments.childhood import MODEL, newborn_scores
    from neurosim.storage import check_place
    from rules.willshaw import Willshaw

    config = BrainConfig(
        seed=arguments.seed, gate=not arguments.no_gate, separation=not arguments.dense
    )
    lm = MODEL if arguments.lm == "tiny" else Path(arguments.lm)
    if not arguments.brain.exists():
        check_place(arguments.brain, folder=True)
    brain = Brain.create(arguments.brain, lm, Willshaw(), config, newborn_scores)
    gauge = brain.hippocampus.gauge()
    print(
        f"{arguments.brain}: born with {brain.n_parameters:,} cortical weights and "
        f"{gauge.n_synapses:,} hippocampal synapses; room for about {gauge.room:,} tokens"
    )
    return {
        "seed": arguments.seed,
        "n_parameters": brain.n_parameters,
        "n_synapses": gauge.n_synapses,
        "room_tokens": gauge.room,
    }
