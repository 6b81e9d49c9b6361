"""The loops over synapses, written out for a rule's formula and compiled.

A rule is the formula of one synapse. Here it is put into the loop that a person would write for it
by hand: only the signals it names are loaded, those of a row are loaded once a row. The text is
made in memory and compiled once a process, never cached on disk, so that an edit of a rule is
always seen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Literal

import numba

from neurosim.ledger import operations
from neurosim.rule import Rule, arguments, check_rule

Manner = Literal["compiled", "interpreted", "bare"]

_SEEN = "pre, post, weights, own, pre_traces, post_traces, error, drive"
ROWS = f"cells, rows, targets, {_SEEN}"
COLUMNS = f"cells, rows, starts, sources, slots, skip, {_SEEN}"
_REST = "modulator, dt, low, high, parameters"


@dataclass(frozen=True)
class Loops:
    """The loops of one rule.

    Parameters
    ----------
    full : callable
        Over all targets of some presynaptic cells, where every cell is a target.
    listed : callable
        The same with a list of targets, ascending.
    columns : callable
        Over all sources of some postsynaptic cells.
    advance_pre, advance_post : callable
        One step of the traces of cells.
    operations, pre_operations, post_operations : int
        Multiply-adds of a visit, and of a step of the traces of a cell.
    pre_loads, post_loads : int
        Numbers of the presynaptic cell a visit in a column loads, and of the postsynaptic cell a
        visit in a row.
    """

    full: Callable[..., Any]
    listed: Callable[..., Any]
    columns: Callable[..., Any]
    advance_pre: Callable[..., Any]
    advance_post: Callable[..., Any]
    operations: int
    pre_operations: int
    post_operations: int
    pre_loads: int
    post_loads: int


@lru_cache(maxsize=256)
def loops_of(rule: type[Rule], manner: Manner = "compiled") -> Loops:
    """Write and compile the loops of a rule.

    Parameters
    ----------
    rule : subclass of Rule
    manner : Manner
        "compiled"; "interpreted", the same loops in Python; "bare", interpreted loops that put the
        change in the place of the weight, for the audit.

    Raises
    ------
    ConfigError
        If a formula asks for something that a synapse cannot know.
    """
    check_rule(rule)
    compiled = manner == "compiled"
    space = {f.__name__: _made(f, compiled, inner=True) for f in rule.formulas()}

    def build(text: str) -> Callable[..., Any]:
        scope = dict(space)
        exec(compile(text, f"<{rule.__name__}>", "exec"), scope)  # noqa: S102
        return _made(scope["kernel"], compiled)

    def work(names: tuple[str, ...]) -> int:
        return sum(operations(getattr(rule, name)) for name in names)

    visit = rule.own_traces if rule.acts_on == "cell" else ("change", *rule.own_traces)
    return Loops(
        **{kind: build(text) for kind, text in texts(rule, manner).items()},  # type: ignore[arg-type]
        operations=work(visit) + ("explained" in rule.knows),
        pre_operations=work(rule.pre_traces),
        post_operations=work(rule.post_traces),
        pre_loads=len(_Names(rule).of_pre()),
        post_loads=len(_Names(rule).of_post()),
    )


def texts(rule: type[Rule], manner: Manner = "compiled") -> dict[str, str]:
    """Return the source text of the loops of a rule by kind."""
    result = "dw" if manner == "bare" else "min(max(x_weight + dw, low), high)"
    return {
        "full": _rows(rule, "k", result),
        "listed": _rows(rule, "targets[row, k]", result),
        "columns": _columns(rule, result),
        "advance_pre": _advance(rule, "pre"),
        "advance_post": _advance(rule, "post"),
    }


def _made(function: Callable[..., Any], compiled: bool, inner: bool = False) -> Callable[..., Any]:
    if not compiled:
        return function
    # A formula is called by loops only, and nothing is called from C: a quarter less to compile.
    options: dict[str, Any] = {"no_cpython_wrapper": inner, "no_cfunc_wrapper": True}
    return numba.njit(error_model="numpy", **options)(function)


class _Names:
    """How the arguments of a rule's formulas are called within a loop."""

    def __init__(self, rule: type[Rule]) -> None:
        self.rule = rule
        self.parameters = [field.name for field in fields(rule)]  # type: ignore[arg-type]
        self.used = {name for formula in rule.formulas() for name in arguments(formula)}

    def hoisted(self) -> list[str]:
        return [f"p_{n} = parameters[{k}]" for k, n in enumerate(self.parameters) if n in self.used]

    def of_pre(self) -> list[str]:
        lines = ["x_pre = pre[i]"] if "pre" in self.used else []
        return lines + self._traces("pre", "i")

    def of_post(self) -> list[str]:
        lines = [
            f"x_{name} = {name}[j]"
            for name in ("post", "error", "drive")
            if name in self.used or (name == "post" and "explained" in self.used)
        ]
        return lines + self._traces("post", "j")

    def call(self, name: str) -> str:
        words = []
        for argument in arguments(getattr(self.rule, name)):
            if argument in self.parameters:
                words.append(f"p_{argument}")
            elif argument in ("modulator", "dt"):
                words.append(argument)
            else:
                words.append(f"x_{argument}")
        return f"{name}({', '.join(words)})"

    def _traces(self, side: str, index: str) -> list[str]:
        names = getattr(self.rule, f"{side}_traces")
        return [
            f"x_{name} = {side}_traces[{k}, {index}]"
            for k, name in enumerate(names)
            if name in self.used
        ]


def _visit(rule: type[Rule], names: _Names, weight: str, own: str, result: str) -> list[str]:
    """Return the lines for one synapse."""
    own_of = {name: f"own[{k}, {own}]" for k, name in enumerate(rule.own_traces)}
    lines = [f"x_weight = {weight}"] + [f"x_{n} = {place}" for n, place in own_of.items()]
    step = [f"y_{n} = {names.call(n)}" for n in own_of]
    keep = [f"x_{n} = y_{n}" for n in own_of]
    if "explained" in names.used:
        lines += ["x_explained += x_post * x_weight"]
    lines += step + keep if rule.traces_first else []
    lines += [
        f"dw = {names.call('change')}",
        f"new = {result}",
        "changed += new != x_weight",
        "broken += dw - dw != 0.0",
        f"{weight} = new",
    ]
    lines += [] if rule.traces_first else step + keep
    return lines + [f"{place} = x_{n}" for n, place in own_of.items()]


def _rows(rule: type[Rule], target: str, result: str) -> str:
    if rule.acts_on == "cell":
        return f"def kernel({ROWS}, {_REST}):\n    return 0, 0\n"
    names = _Names(rule)
    row = [
        "i = cells[n]",
        "row = rows[n]",
        *names.of_pre(),
        *(["x_explained = 0.0"] if "explained" in names.used else []),
        "for k in range(weights.shape[1]):",
    ]
    body = [
        f"j = {target}",
        *names.of_post(),
        *_visit(rule, names, "weights[i, k]", "i, k", result),
    ]
    return _text(ROWS, [*names.hoisted(), "changed = 0", "broken = 0"], row, body)


def _columns(rule: type[Rule], result: str) -> str:
    if rule.acts_on not in ("post", "either"):
        return f"def kernel({COLUMNS}, {_REST}):\n    return 0, 0, 0\n"
    names = _Names(rule)
    row = [
        "j = cells[n]",
        "row = rows[n]",
        "k = slots[row]",
        *names.of_post(),
        "for m in range(starts[row], starts[row + 1]):",
    ]
    body = [
        "i = sources[m]",
        "if skip and pre[i] != 0.0:",
        "    continue",
        "visited += 1",
        *names.of_pre(),
        *_visit(rule, names, "weights[i, k]", "i, k", result),
    ]
    head = [*names.hoisted(), "changed = 0", "broken = 0", "visited = 0"]
    return _text(COLUMNS, head, row, body, "changed, broken, visited")


def _text(
    arguments_: str, head: list[str], row: list[str], body: list[str],
    result: str = "changed, broken",
) -> str:  # fmt: skip
    lines = [f"def kernel({arguments_}, {_REST}):", *("    " + line for line in head)]
    lines += ["    for n in range(cells.size):", *("        " + line for line in row)]
    lines += ["            " + line for line in body]
    return "\n".join([*lines, f"    return {result}", ""])


def _advance(rule: type[Rule], side: str) -> str:
    traces = getattr(rule, f"{side}_traces")
    head = f"def kernel({side}, {side}_traces, error, drive, modulator, dt, parameters):\n"
    if not traces:
        return head + "    return\n"
    names = _Names(rule)
    index = "i" if side == "pre" else "j"
    lines = ["    " + line for line in names.hoisted()]
    lines += [f"    for {index} in range({side}_traces.shape[1]):"]
    inner = names.of_pre() if side == "pre" else names.of_post()
    inner += [f"y_{name} = {names.call(name)}" for name in traces]
    inner += [f"{side}_traces[{k}, {index}] = y_{name}" for k, name in enumerate(traces)]
    return head + "\n".join([*lines, *("        " + line for line in inner), ""])
