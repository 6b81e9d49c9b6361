"""What learning costs, counted where it happens: events, writes, multiply-adds, bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import cache
from inspect import signature
from typing import Any

_OPEN: ContextVar[tuple[Ledger, ...]] = ContextVar("open ledgers", default=())


@dataclass
class Ledger:
    """Costs so far.

    Every projection keeps one, and enters the same into the ledgers opened by `counting`.

    Parameters
    ----------
    synaptic_events : int
        Synapses that were visited, by a signal on its way or by a rule.
    weight_writes : int
        Weights whose value changed.
    multiply_adds : int
        One multiplication with or without an addition; exponentials and the like do not count.
    bytes_touched : int [B]
        Read and written in the arrays of weights, traces, targets and activity, as if there were
        no cache.
    """

    synaptic_events: int = 0
    weight_writes: int = 0
    multiply_adds: int = 0
    bytes_touched: int = 0

    def add(self, events: int, writes: int, multiply_adds: int, n_bytes: int) -> None:
        """Enter what one pass over synapses did."""
        self._enter(events, writes, multiply_adds, n_bytes)
        for whole in _OPEN.get():
            whole._enter(events, writes, multiply_adds, n_bytes)

    def _enter(self, events: int, writes: int, multiply_adds: int, n_bytes: int) -> None:
        self.synaptic_events += int(events)
        self.weight_writes += int(writes)
        self.multiply_adds += int(multiply_adds)
        self.bytes_touched += int(n_bytes)

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)

    def __str__(self) -> str:
        """Say the four counts in one line."""
        return (
            f"{self.synaptic_events:,} synaptic events, {self.weight_writes:,} weight writes, "
            f"{self.multiply_adds:,} multiply-adds, {self.bytes_touched:,} bytes touched"
        )


@contextlib.contextmanager
def counting() -> Iterator[Ledger]:
    """Count what all projections do within a ``with``, those of `run_jobs`'s processes included."""
    whole = Ledger()
    token = _OPEN.set((*_OPEN.get(), whole))
    try:
        yield whole
    finally:
        _OPEN.reset(token)


def enter(done: Ledger) -> None:
    """Enter what another process did into the ledgers that are open here."""
    for whole in _OPEN.get():
        whole._enter(*done.as_dict().values())


def total(ledgers: Iterable[Ledger]) -> Ledger:
    """Return the sum of several ledgers."""
    whole = Ledger()
    for each in ledgers:
        whole._enter(*each.as_dict().values())
    return whole


@cache
def operations(formula: Callable[..., Any]) -> int:
    """Count the multiply-adds of a formula by running it once on numbers that count.

    Parameters
    ----------
    formula : callable
        Of plain numbers, without branches on their value.

    Returns
    -------
    int
        The larger of its multiplications (divisions) and its additions (subtractions).
    """
    counts = {"multiply": 0, "add": 0}

    class Counting(float):
        """A number that notes what is done with it."""

    def counted(name: str, kind: str) -> Callable[..., Any]:
        plain = getattr(float, name)

        def operator(self: float, other: float) -> Any:
            counts[kind] += 1
            result = plain(self, float(other))
            return Counting(result)

        return operator

    for kind, names in (("multiply", ("mul", "truediv")), ("add", ("add", "sub"))):
        for name in names:
            for full in (f"__{name}__", f"__r{name}__"):
                setattr(Counting, full, counted(full, kind))
    formula(*(Counting(0.5) for _ in signature(formula).parameters))
    return max(counts.values())
