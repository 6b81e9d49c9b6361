"""Plastic projections: float weights on any connectivity, changed by a rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim import kernels
from neurosim.connectivity import Connectivity, Stored
from neurosim.errors import ConfigError, NumericalError
from neurosim.ledger import Ledger
from neurosim.rule import Rule, arguments
from neurosim.synapse_loops import Manner, loops_of

FloatArray = NDArray[np.float64]

_BLOCK = 1 << 14
_NO_TARGETS = np.zeros((1, 1), dtype=np.uint32)


class PlasticProjection:
    """Synapses of float weights, and the rule that changes them.

    A step visits only the synapses that the rule acts on: those of active presynaptic cells, of
    active postsynaptic cells, of both, or all. Dense, stored and generated connectivity give the
    same weights, bit for bit, on the synapses they share.

    Parameters
    ----------
    connectivity : Connectivity
        Such as ``Full(n_pre, n_post)``; slots of a row are in the order of the target cells.
    rule : Rule
    weights : float or (n_post, n_pre) array-like
        At the start; of a matrix, the places that are connected are taken.
    bounds : (float, float)
        Weights stay within. ``(0, inf)`` keeps an excitatory projection excitatory (Dale's law).
    dt : float [s]
        Length of a step, unless `learn` is told another.
    dtype : float64 or float32
        Of the weights; formulas are computed in float64 and rounded once.
    name : str
        For messages.
    manner : {"compiled", "interpreted", "bare"}
        How the loops run; see `synapse_loops`.

    Attributes
    ----------
    weights : (n_pre, fan_out) float
        One row a presynaptic cell. Change it in place, within the bounds.
    traces : dict of str to ndarray
        The rule's traces by name: ``(n_pre,)``, ``(n_post,)`` or ``(n_pre, fan_out)`` float64.
    ledger : Ledger
        What it has cost so far.

    Raises
    ------
    ConfigError
        For bounds out of order, weights outside of them or of another shape, a type that is no
        float, or a step that is not positive.
    """

    def __init__(
        self,
        connectivity: Connectivity,
        rule: Rule,
        weights: ArrayLike = 0.0,
        bounds: tuple[float, float] = (-math.inf, math.inf),
        dt: float = 1.0,
        dtype: type = np.float64,
        name: str = "projection",
        manner: Manner = "compiled",
    ) -> None:
        self.connectivity, self.rule, self.name = connectivity, rule, name
        self.n_pre, self.n_post = connectivity.n_pre, connectivity.n_post
        self.bounds = _checked_bounds(bounds)
        self.dt = self._checked_dt(dt)
        if np.dtype(dtype) not in (np.dtype(np.float64), np.dtype(np.float32)):
            raise ConfigError.expected(
                self, "dtype", "float64 or float32", dtype, "use one of them"
            )
        self._wiring = _Wiring(connectivity)
        self.weights = self._initial(weights, np.dtype(dtype))
        self.ledger = Ledger()
        self._loops = loops_of(type(rule), manner)  # type: ignore[arg-type]
        self._parameters = tuple(rule.parameters().values())
        self._pre_traces = np.zeros((len(rule.pre_traces), self.n_pre))
        self._post_traces = np.zeros((len(rule.post_traces), self.n_post))
        self._own = np.zeros((len(rule.own_traces), *self.weights.shape))
        self.traces = {
            **dict(zip(rule.pre_traces, self._pre_traces, strict=True)),
            **dict(zip(rule.post_traces, self._post_traces, strict=True)),
            **dict(zip(rule.own_traces, self._own, strict=True)),
        }
        self._wanted = {name for formula in rule.formulas() for name in arguments(formula)}
        self._silence = np.zeros(self.n_post)
        self._active = np.empty(max(self.n_pre, self.n_post), dtype=np.int64)
        self._everyone = np.arange(self.n_pre, dtype=np.int64)

    # Activity

    def drive(self, pre: ArrayLike, out: FloatArray | None = None) -> FloatArray:
        """Send activity through the weights: ``(n_post,)`` summed input.

        Parameters
        ----------
        pre : (n_pre,) array-like
        out : (n_post,) float64, optional
            Filled and returned, so that a step allocates nothing.
        """
        x = self._signal("pre", pre, self.n_pre)
        total = np.zeros(self.n_post) if out is None else out
        if self._wiring.full and self.weights.dtype == np.float64:
            np.dot(x, self.weights, out=total)
            n = self.n_pre
        else:
            total[:] = 0.0
            n = _nonzero(x, self._active)
            for cells, rows, targets in self._wiring.rows(self._active[:n]):
                _push(cells, rows, targets, x, self.weights, total)
        events = n * self.weights.shape[1]
        self.ledger.add(events, 0, events, events * (self.weights.itemsize + 8))
        return total

    def learn(
        self,
        pre: ArrayLike,
        post: ArrayLike,
        modulator: float | None = None,
        error: ArrayLike | None = None,
        drive: ArrayLike | None = None,
        dt: float | None = None,
    ) -> int:
        """Take one step of the rule.

        Parameters
        ----------
        pre, post : (n_pre,), (n_post,) array-like
            Activity of the cells, or 1 for a spike.
        modulator : float, optional
            The third factor; a rule that knows it must be given it.
        error, drive : (n_post,) array-like, optional
            Error neuron and summed input of the postsynaptic cells, for a rule that knows them.
        dt : float [s], optional
            Time until the next step.

        Returns
        -------
        int
            Synapses visited (synaptic events).

        Raises
        ------
        ConfigError
            For a shape that does not fit, or a signal that the rule needs and does not get.
        NumericalError
            For activity that is not finite, or weights that would no longer be.
        """
        x, y = self._signal("pre", pre, self.n_pre), self._signal("post", post, self.n_post)
        third = self._given("modulator", modulator)
        if not math.isfinite(third):
            raise ConfigError.expected(self, "modulator", "a finite number", third, "check it")
        extra = [
            self._silence if value is None else self._signal(name, value, self.n_post)
            for name, value in (
                ("error", self._given("error", error)),
                ("drive", self._given("drive", drive)),
            )
        ]
        step = self.dt if dt is None else self._checked_dt(dt)
        if self.rule.traces_first:
            self._advance(x, y, extra, third, step)
        visited = self._visit((x, y, self._pre_traces, self._post_traces, *extra, third, step))
        if not self.rule.traces_first:
            self._advance(x, y, extra, third, step)
        return visited

    def matrix(self) -> NDArray[Any]:
        """Return the weights as ``(n_post, n_pre)``, with zeros where there is no synapse."""
        dense = np.zeros((self.n_post, self.n_pre), dtype=self.weights.dtype)
        for i in range(self.n_pre):
            dense[self.connectivity.targets(i), i] = self.weights[i]
        return dense

    @property
    def held_bytes(self) -> int:
        """What all synapses take: weights, own traces, targets and, once needed, sources [B]."""
        return self.weights.nbytes + self._own.nbytes + self._wiring.held_bytes

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the named arrays to save: the weights and the traces."""
        return {"weights": self.weights, **self.traces}

    def restore(self, state: Mapping[str, ArrayLike]) -> None:
        """Take saved arrays back.

        Raises
        ------
        ConfigError
            When a name or a shape is another projection's, or a weight lies outside the bounds.
        """
        arrays = {name: np.asarray(values) for name, values in state.items()}
        for name, own in self.state.items():
            if name not in arrays or arrays[name].shape != own.shape:
                got = arrays[name].shape if name in arrays else "none"
                raise ConfigError.expected(
                    self, name, f"shape {own.shape}", got, "restore what this projection saved"
                )
        self._check_weights(arrays["weights"])
        for name, own in self.state.items():
            own[...] = arrays[name]

    # Within

    def _visit(self, seen: tuple[Any, ...]) -> int:
        where, (pre, post) = self.rule.acts_on, seen[:2]
        if where == "cell":
            return 0
        by_post = _nonzero(post, self._active) if where in ("post", "either") else 0
        # Where most cells fire, rows in their order are faster than columns across them; the
        # change of the others is zero.
        if where == "all" or 2 * by_post > self.n_post:
            return self._along_rows(self._everyone, seen)
        visited = 0
        if by_post:
            visited += self._along_columns(self._active[:by_post], where == "either", seen)
        if where != "post":
            visited += self._along_rows(self._active[: _nonzero(pre, self._active)], seen)
        return visited

    def _along_rows(self, cells: NDArray[np.int64], seen: tuple[Any, ...]) -> int:
        loop = self._loops.full if self._wiring.full else self._loops.listed
        changed, fan_out = 0, self.weights.shape[1]
        for some, rows, targets in self._wiring.rows(cells):
            changed += self._run(loop, (some, rows, targets), seen)[0]
        visited = cells.size * fan_out
        loads = self._loops.post_loads * 8 + (
            0 if self._wiring.full else targets_size(self._wiring)
        )
        self._enter(visited, changed, loads)
        return visited

    def _along_columns(self, cells: NDArray[np.int64], skip: bool, seen: tuple[Any, ...]) -> int:
        changed = visited = 0
        for place in self._wiring.columns(cells):
            counts = self._run(self._loops.columns, (*place, skip), seen)
            changed, visited = changed + counts[0], visited + counts[2]
        sources = sources_size(self._wiring)
        self._enter(visited, changed, sources + 8 * self._loops.pre_loads)
        return visited

    def _run(self, loop: Any, place: tuple[Any, ...], seen: tuple[Any, ...]) -> tuple[int, ...]:
        x, y, pre_traces, post_traces, error, drive, third, step = seen
        counts = loop(
            *place, x, y, self.weights, self._own, pre_traces, post_traces, error, drive, third,
            step, *self.bounds, self._parameters,
        )  # fmt: skip
        if counts[1]:
            raise NumericalError(
                f"{self.name}.weights: expected finite changes by {type(self.rule).__name__}, got "
                f"NaN or inf in {counts[1]} synapses of cells {place[0][:5].tolist()}; lower eta"
            )
        return counts

    def _enter(self, visited: int, changed: int, loads: int) -> None:
        own = 16 * len(self._own)
        n_bytes = visited * (2 * self.weights.itemsize + own + loads)
        self.ledger.add(visited, changed, visited * self._loops.operations, n_bytes)

    def _advance(
        self, x: FloatArray, y: FloatArray, extra: list[FloatArray], third: float, step: float
    ) -> None:
        loops = self._loops
        for loop, cells, traces, work in (
            (loops.advance_pre, x, self._pre_traces, loops.pre_operations),
            (loops.advance_post, y, self._post_traces, loops.post_operations),
        ):
            if len(traces):
                loop(cells, traces, *extra, third, step, self._parameters)
                self.ledger.add(0, 0, cells.size * work, 8 * cells.size + 16 * traces.size)

    def _initial(self, weights: ArrayLike, dtype: np.dtype[Any]) -> NDArray[Any]:
        shape = (self.n_pre, self.connectivity.fan_out)
        given = np.asarray(weights, dtype=np.float64)
        if given.shape not in ((), (self.n_post, self.n_pre)):
            raise ConfigError.expected(
                self, "weights", f"a number or shape {(self.n_post, self.n_pre)}", given.shape,
                "give a row for each postsynaptic cell",
            )  # fmt: skip
        self._check_weights(given)
        if given.ndim == 0:
            return np.full(shape, given, dtype=dtype)
        own = np.empty(shape, dtype=dtype)
        for i in range(self.n_pre):
            own[i] = given[self.connectivity.targets(i), i]
        return own

    def _check_weights(self, weights: NDArray[Any]) -> None:
        low, high = self.bounds
        wrong = np.argwhere(~((weights >= low) & (weights <= high)))  # NaN is not within either.
        if len(wrong):
            place = tuple(int(k) for k in wrong[0])
            raise ConfigError.expected(
                self, "weights", f"values within {low:g}..{high:g}",
                f"{weights[place]} at {place}", "mend them or widen the bounds",
            )  # fmt: skip

    def _given(self, name: str, value: Any) -> Any:
        if name in self._wanted and value is None:
            raise ConfigError(
                f"PlasticProjection.learn.{name}: expected a value, got None: "
                f"{type(self.rule).__name__} waits for a {name} that never comes; pass {name}="
            )
        return value if value is not None or name != "modulator" else 1.0

    def _signal(self, side: str, values: ArrayLike, n: int) -> FloatArray:
        x = np.ascontiguousarray(values, dtype=np.float64)  # Converted once, at the door.
        if x.shape != (n,):
            raise ConfigError.expected(
                self, side, f"shape ({n},) in {self.name}", x.shape, "give one value a cell"
            )
        if not math.isfinite(np.add.reduce(x)) and not np.isfinite(x).all():
            cell = int(np.flatnonzero(~np.isfinite(x))[0])
            raise NumericalError(
                f"{self.name}.{side}: expected finite activity, got {x[cell]} in cell {cell}; find "
                f"the region whose activity is no longer finite"
            )
        return x

    def _checked_dt(self, dt: float) -> float:
        if not (math.isfinite(dt) and dt >= 0) or (dt == 0 and not hasattr(self, "weights")):
            raise ConfigError.expected(self, "dt", "a step above 0 s", dt, "give it in seconds")
        return float(dt)


class _Wiring:
    """Hands out the targets and sources of active cells in the form the loops want."""

    def __init__(self, connectivity: Connectivity) -> None:
        self.connectivity = connectivity
        self.fan_out = connectivity.fan_out
        self.full = connectivity.fan_out == connectivity.n_post
        self.stored = isinstance(connectivity, Stored)
        self.index = connectivity.index if isinstance(connectivity, Stored) else _NO_TARGETS
        n_rows = max(1, min(connectivity.n_pre, _BLOCK // self.fan_out))
        generated = not (self.full or self.stored)
        self._targets = np.zeros((n_rows if generated else 1, self.fan_out), dtype=np.uint32)
        self._rows = np.arange(n_rows, dtype=np.int64)
        self._by_post: tuple[Any, ...] | None = None
        n_pre = connectivity.n_pre if self.full else 0
        self._all_pre = np.arange(n_pre, dtype=np.int64)
        self._one, self._ends = np.zeros(1, dtype=np.int64), np.array([0, n_pre])

    @property
    def held_bytes(self) -> int:
        """Bytes of both orders as far as they are stored."""
        return self.index.nbytes * self.stored + sum(each.nbytes for each in self._by_post or ())

    def rows(self, cells: NDArray[np.int64]) -> Any:
        """Yield presynaptic cells, their rows in a table of targets, and that table."""
        if self.full:
            yield cells, cells, _NO_TARGETS
        elif self.stored:
            yield cells, cells, self.index
        else:
            size = self._rows.size
            for start in range(0, cells.size, size):
                some = cells[start : start + size]
                _generate(self.connectivity.wires, some, self._targets)
                yield some, self._rows[: some.size], self._targets

    def columns(self, cells: NDArray[np.int64]) -> Any:
        """Yield postsynaptic cells, their rows, where these start, sources, and a row's slot.

        A cell lies in one stratum, so that all sources of a zone reach it by the same slot: of a
        stored synapse only the source is kept in the second order.
        """
        if self.full:
            for cell in cells:
                one = np.array([cell])
                yield one, self._one, self._ends, self._all_pre, one
        elif self.stored:
            if self._by_post is None:
                slots = self.connectivity.slots(np.arange(self.connectivity.n_post))[0]
                self._by_post = (*_transposed(self.index, self.connectivity.n_post), slots)
            yield (cells, cells, *self._by_post)
        else:
            for cell in cells:
                pre, slot = self.connectivity.sources(cell)
                if pre.size:
                    firsts = np.concatenate([[0], np.flatnonzero(np.diff(slot)) + 1])
                    rows = np.arange(firsts.size)
                    starts = np.append(firsts, pre.size)
                    yield np.full(rows.size, cell), rows, starts, pre, slot[firsts]


def targets_size(wiring: _Wiring) -> int:
    """Return the bytes of one index of a target."""
    return int(wiring.index.itemsize if wiring.stored else 4)


def sources_size(wiring: _Wiring) -> int:
    """Return the bytes of one index of a source."""
    return 2 if wiring.stored and wiring.connectivity.n_pre <= 1 << 16 else 8


def _checked_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(each) for each in bounds)
    if not low < high:  # NaN is not below anything.
        raise ConfigError.expected(
            "PlasticProjection", "bounds", "low < high", bounds, "give them in this order"
        )
    return low, high


def _transposed(index: NDArray[Any], n_post: int) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Return starts and sources of the synapses by postsynaptic cell, sources ascending."""
    starts = np.zeros(n_post + 1, dtype=np.int64)
    kind = np.uint16 if len(index) <= 1 << 16 else np.int32
    sources = np.empty(index.size, dtype=kind)
    _transpose(index, starts, sources)
    return starts, sources


@numba.njit(cache=True)
def _transpose(index, starts, sources):
    for i in range(index.shape[0]):
        for k in range(index.shape[1]):
            starts[np.int64(index[i, k]) + 1] += 1
    for n in range(1, starts.size):
        starts[n] += starts[n - 1]
    free = starts.copy()
    for i in range(index.shape[0]):
        for k in range(index.shape[1]):
            j = np.int64(index[i, k])
            sources[free[j]] = i
            free[j] += 1


@numba.njit  # Not cached: it calls a kernel of another file.
def _generate(wires, cells, out):
    for n in range(cells.size):
        kernels.targets(wires, cells[n], out[n])


@numba.njit(cache=True)
def _nonzero(values, out):
    n = 0
    for k in range(values.size):
        if values[k] != 0.0:
            out[n] = k
            n += 1
    return n


@numba.njit(cache=True)
def _push(cells, rows, targets, pre, weights, total):
    # A full projection of float32 has no table of targets.
    listed = targets.shape[1] == weights.shape[1]
    for n in range(cells.size):
        i = cells[n]
        for k in range(weights.shape[1]):
            j = np.int64(targets[rows[n], k]) if listed else k
            total[j] += pre[i] * weights[i, k]
