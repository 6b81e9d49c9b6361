"""Plastic projections: float weights on any connectivity, changed by a rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.connectivity import Connectivity
from neurosim.errors import ConfigError, NumericalError
from neurosim.ledger import Ledger
from neurosim.rule import Rule, arguments
from neurosim.synapse_loops import Manner, loops_of
from neurosim.visits import Visits

FloatArray = NDArray[np.float64]


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
        self._visits = Visits(connectivity)
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
        if self._visits.full and self.weights.dtype == np.float64:
            np.dot(x, self.weights, out=total)
            n = self.n_pre
        else:
            total[:] = 0.0
            n = _nonzero(x, self._active)
            for cells, rows, targets in self._visits.rows(self._active[:n]):
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
        return self.weights.nbytes + self._own.nbytes + self._visits.held_bytes

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
        loop = self._loops.full if self._visits.full else self._loops.listed
        changed, fan_out = 0, self.weights.shape[1]
        for some, rows, targets in self._visits.rows(cells):
            changed += self._run(loop, (some, rows, targets), seen)[0]
        visited = cells.size * fan_out
        self._enter(visited, changed, self._visits.target_bytes + 8 * self._loops.post_loads)
        return visited

    def _along_columns(self, cells: NDArray[np.int64], skip: bool, seen: tuple[Any, ...]) -> int:
        changed = visited = 0
        for place in self._visits.columns(cells):
            counts = self._run(self._loops.columns, (*place, skip), seen)
            changed, visited = changed + counts[0], visited + counts[2]
        self._enter(visited, changed, self._visits.source_bytes + 8 * self._loops.pre_loads)
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


def _checked_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(each) for each in bounds)
    if not low < high:  # NaN is not below anything.
        raise ConfigError.expected(
            "PlasticProjection", "bounds", "low < high", bounds, "give them in this order"
        )
    return low, high


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
