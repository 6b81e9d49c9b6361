"""raise the shipped language model anew, from shipped text"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/language_model"),
        metavar="DIR",
        help="default: out/language_model",
    )
    parser.add_argument("--seed", type=int, default=2026, metavar="N", help="default: 2026")
    parser.add_argument(
        "--steps", type=int, default=None, metavar="N", help="of gradient (default: 1600)"
    )


def run(arguments: Namespace) -> dict[str, Any]:
    """Raise the model, examine it and write it."""
    import dataclasses

    from experiments import childhood
    from neurosim.errors import ConfigError
    from neurosim.progress import progress
    from neurosim.resources import ResourceMeter
    from neurosim.storage import check_place

    config = childhood.Config(seed=arguments.seed)
    if arguments.steps is not None:
        if arguments.steps < 1:
            raise ConfigError(f"--steps: expected 1 or more, got {arguments.steps}; try 1600")
        config = dataclasses.replace(config, steps=arguments.steps)
    check_place(arguments.out, folder=True)
    with ResourceMeter() as meter, progress(config.steps, "childhood") as bar:
        result = childhood.run(config, tick=bar.advance)
    scores = result.scores
    childhood.write_model(result.cortex, arguments.out, childhood.provenance_of(config, scores))
    print(
        f"{arguments.out}: {scores['n_base_facts']:.0f} base facts, "
        f"{scores['base_template_0']:.1%} by cloze; held-out perplexity {scores['perplexity']:.2f}"
    )
    return {**scores, **meter.as_dict()}
