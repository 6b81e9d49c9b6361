"""measure what something costs on this machine, such as the hippocampus"""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "name",
        metavar="BENCHMARK",
        help="such as hippocampus; neurosim list benchmarks names all",
    )
    parser.add_argument(
        "settings",
        nargs="*",
        default=(),
        metavar="FIELD=VALUE",
        help="such as sizes=1000,33000 threads=2",
    )
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="the same as seed=N")
    parser.add_argument(
        "--table", type=Path, default=None, metavar="FILE", help="write a table in Markdown"
    )


def run(arguments: Namespace) -> dict[str, Any]:
    """Run the benchmark and print its table."""
    from experiments.commands.run import configured
    from neurosim import discovery
    from neurosim.resources import ResourceMeter
    from neurosim.storage import atomic_write_text, check_place

    module = discovery.find("experiments.benchmarks", arguments.name)
    config = configured(module.Config(), arguments.settings, arguments.seed)
    if arguments.table is not None:
        check_place(arguments.table)
    with ResourceMeter() as meter:
        values = module.run(config, lambda line: print(line, flush=True))
    text = module.table(values)
    print(text)
    if arguments.table is not None:
        atomic_write_text(arguments.table, text + "\n")
    return {**values, **meter.as_dict()}
