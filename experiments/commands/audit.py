"""what each rule and learner knows, found by intervention: the locality audit"""

from argparse import ArgumentParser, Namespace
from typing import Any


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "rule",
        nargs="?",
        default=None,
        metavar="NAME",
        help="a rule or learner, such as oja or backprop; default: all",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the world it is tried in (default: 0)"
    )


def run(arguments: Namespace) -> dict[str, Any]:
    """Audit rules and learners and print a table of the signals they use."""
    from neurosim.audit import SIGNALS, Audit

    found: dict[str, Audit] = _audits(arguments.rule, arguments.seed)
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
    print("local: y where a synapse uses nothing but its two cells, itself and what is broadcast")
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


def _audits(name: str | None, seed: int) -> dict[str, Any]:
    """Audit one rule or learner, or all: rules in a world of their own, learners in a network."""
    from neurosim.audit import RuleSubject, audit
    from neurosim.discovery import members
    from neurosim.errors import ConfigError, nearest_name
    from neurosim.learner import Learner
    from neurosim.learner_audit import audit_learner
    from neurosim.rule import Rule

    rules, learners = members("rules", Rule), members("rules", Learner)
    kinds: dict[str, type] = {**rules, **learners}
    if name is not None:
        by_class = {kind.__name__: module for module, kind in kinds.items()}
        if name not in kinds and name not in by_class:
            near = nearest_name(name, [*kinds, *by_class])
            mend = f"did you mean '{near}'?" if near else f"choose one of {', '.join(kinds)}"
            raise ConfigError.expected("audit", "name", "a rule or a learner", name, mend)
        chosen = by_class.get(name, name)
        kinds = {chosen: kinds[chosen]}
    return {
        each: audit_learner(kind(), seed) if each in learners else audit(RuleSubject(kind()), seed)
        for each, kind in kinds.items()
    }


def _mark(used: bool, declared: bool) -> str:
    return {(True, True): "x", (True, False): "!", (False, True): "?", (False, False): "."}[
        used, declared
    ]
