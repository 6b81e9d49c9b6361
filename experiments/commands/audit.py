"""what each rule knows, found by intervention: the locality audit"""

from argparse import ArgumentParser, Namespace
from typing import Any


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "rule", nargs="?", default=None, metavar="RULE", help="such as oja; default: every rule"
    )


def run(arguments: Namespace) -> dict[str, Any]:
    """Audit rules and print a table of the signals they use."""
    from neurosim.audit import SIGNALS, RuleSubject, audit
    from neurosim.discovery import member, members
    from neurosim.rule import Rule

    if arguments.rule is None:
        rules = members("rules", Rule)
    else:
        kind = member("rules", Rule, arguments.rule)
        rules = {kind.__module__.rpartition(".")[2]: kind}
    seed = arguments.seed or 0
    found = {name: audit(RuleSubject(rule()), seed) for name, rule in rules.items()}
    width = max(map(len, SIGNALS))
    names = list(found)
    for k, name in enumerate(names):
        print(" " * (width + 2) + "| " * k + name)
    print(" " * (width + 2) + "| " * len(names))
    for signal in SIGNALS:
        marks = [_mark(signal in a.used, signal in a.declared) for a in found.values()]
        print(f"{signal:{width}}  {' '.join(marks)}")
    local = ["y" if a.local else "n" for a in found.values()]
    print(f"{'local':{width}}  {' '.join(local)}")
    print("x used as declared   . not used   ! used without saying so   ? declared and not used")
    cheats = [name for name, each in found.items() if not each.honest]
    print(
        f"{len(found)} audited, {len(cheats)} dishonest{': ' if cheats else ''}{', '.join(cheats)}"
    )
    values: dict[str, Any] = {"n_audited": len(found), "n_dishonest": len(cheats)}
    for name, each in found.items():
        values[f"{name}_uses"] = [s for s in SIGNALS if s in each.used]
        values[f"{name}_undeclared"] = sorted(each.undeclared)
        values[f"{name}_unused"] = sorted(each.unused)
        values[f"{name}_local"] = each.local
    return values


def _mark(used: bool, declared: bool) -> str:
    return {(True, True): "x", (True, False): "!", (False, True): "?", (False, False): "."}[
        used, declared
    ]
