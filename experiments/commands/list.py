"""what there is: rules and learners, circuits, experiments, tasks, benchmarks and commands"""

from argparse import ArgumentParser, Namespace
from typing import Any

KINDS = ("rules", "circuits", "experiments", "tasks", "benchmarks", "commands")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "kind", nargs="?", default=None, metavar="KIND", help=f"one of {', '.join(KINDS)}"
    )


def run(arguments: Namespace) -> dict[str, Any]:
    """List modules by kind, each with the first line of what it says of itself."""
    from neurosim.discovery import modules
    from neurosim.errors import ConfigError, nearest_name

    if arguments.kind is not None and arguments.kind not in KINDS:
        near = nearest_name(arguments.kind, KINDS)
        mend = f"did you mean '{near}'?" if near else f"choose one of {', '.join(KINDS)}"
        raise ConfigError.expected("list", "kind", "a kind of module", arguments.kind, mend)
    found = {}
    for kind in KINDS if arguments.kind is None else (arguments.kind,):
        package = f"experiments.{kind}" if kind in ("tasks", "benchmarks", "commands") else kind
        mine = {n: m for n, m in modules(package).items() if not n.startswith("_")}
        if kind == "experiments":
            mine = {name: module for name, module in mine.items() if hasattr(module, "expected")}
        print(f"{kind}:")
        width = max(map(len, mine), default=0)
        for name, module in mine.items():
            print(f"  {name:{width}}  {_first_line(module.__doc__)}")
        found[kind] = list(mine)
    return found


def _first_line(text: str | None) -> str:
    return (text or "").strip().splitlines()[0].rstrip(".")
