"""What rules cost: against loops written by hand, and by the share of active cells."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim import kernels
from neurosim.connectivity import Connectivity, Full, Generated, Stored
from neurosim.discovery import members
from neurosim.errors import check_counts
from neurosim.plasticity import PlasticProjection
from neurosim.resources import cpu_seconds, times_to_measure
from neurosim.rule import Rule, arguments
from rules.oja import Oja
from rules.pair_stdp import PairSTDP

Step = Callable[[], object]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Config:
    """How large, how often.

    Parameters
    ----------
    n_units : int
        Cells on either side of the dense projection.
    n_cells, fan_out : int
        Cells on either side of the sparse projections, and synapses of a cell.
    fractions : tuple of float
        Shares of active cells.
    repeats : int
        Interleaved measurements, of which the median counts.
    seed : int
    """

    n_units: int = 1000
    n_cells: int = 8000
    fan_out: int = 400
    fractions: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
    repeats: int = 9
    seed: int = 0

    def __post_init__(self) -> None:
        check_counts(self, "n_units", "n_cells", "fan_out", "repeats")


def run(config: Config, tick: Callable[[str], object] = lambda line: None) -> dict[str, float]:
    """Measure CPU time; ratios are medians of interleaved pairs."""
    values: dict[str, float] = {}
    for name, kind in members("rules", Rule).items():
        if name in HAND:
            ratio, seconds, allocated = against_hand(kind(), HAND[name], config)
            values[f"{name}_ratio"] = ratio
            values[f"{name}_ns_per_synapse"] = 1e9 * seconds / config.n_units**2
            values[f"{name}_bytes_allocated"] = allocated
            tick(f"{name:22} {ratio:5.2f} times the loop by hand, {allocated} bytes a step")
    for name, ratio in sparse_against_hand(config).items():
        values[f"{name}_ratio"] = ratio
        tick(f"{name:22} {ratio:5.2f} times the loop by hand")
    rng = np.random.default_rng(config.seed)
    wirings: dict[str, Connectivity] = {
        "stored": Stored(config.n_cells, config.n_cells, config.fan_out, rng),
        "generated": Generated(config.n_cells, config.n_cells, config.fan_out, config.seed),
    }
    for place, wired in wirings.items():
        for name in ("hebb", "pair_stdp"):
            seconds_by_fraction = by_activity(members("rules", Rule)[name](), wired, config)
            slope = np.polyfit(np.log(config.fractions), np.log(seconds_by_fraction), 1)[0]
            values[f"{name}_{place}_slope"] = float(slope)
            for fraction, seconds in zip(config.fractions, seconds_by_fraction, strict=True):
                values[f"{name}_{place}_seconds_at_{100 * fraction:g}_percent"] = seconds
            tick(f"{name} on {place} wiring: slope {slope:.2f} against the share of active cells")
    return values


def table(values: dict[str, float]) -> str:
    """Return the ratios and slopes as Markdown."""
    lines = [
        "| rule | times a loop by hand | ns a synapse | bytes allocated a step |",
        "|---|---|---|---|",
    ]
    for key in values:
        if key.endswith("_ratio"):
            name = key.removesuffix("_ratio")
            rest = [values.get(f"{name}_{k}") for k in ("ns_per_synapse", "bytes_allocated")]
            cells = " | ".join("-" if value is None else f"{value:.3g}" for value in rest)
            lines.append(f"| {name} | {values[key]:.2f} | {cells} |")
    lines += ["", "| event-driven | log-log slope of cost against active share |", "|---|---|"]
    lines += [
        f"| {key.removesuffix('_slope')} | {value:.2f} |"
        for key, value in values.items()
        if key.endswith("_slope")
    ]
    return "\n".join(lines)


def against_hand(rule: Rule, hand: Any, config: Config) -> tuple[float, float, int]:
    """Compare one step of a dense projection with the loop by hand.

    Returns
    -------
    ratio, seconds, allocated
        Median of the ratios; CPU seconds of a step; most bytes that a step holds of its own.
    """
    step, by_hand, _ = side_by_side(rule, hand, config)
    ratio, seconds = compared(step, by_hand, config.repeats)
    tracemalloc.start()
    step()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    step()
    allocated = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    return ratio, seconds, allocated


def side_by_side(
    rule: Rule, hand: Any, config: Config
) -> tuple[Step, Step, tuple[FloatArray, FloatArray]]:
    """Return a step of ours, the same by hand, and the weights that each changes."""
    rng, n = np.random.default_rng(config.seed), config.n_units
    made = PlasticProjection(Full(n, n), rule, rng.random((n, n)), dt=0.001)
    for trace in made.traces.values():
        trace[...] = rng.random(trace.shape)
    pre, post, error, drive = rng.random((4, n))
    wanted = {name for formula in rule.formulas() for name in arguments(formula)}
    given = {"error": error, "drive": drive}
    extra: dict[str, Any] = {name: given[name] for name in given if name in wanted}
    copies = {name: trace.copy() for name, trace in made.traces.items()}
    known = {
        "w": made.weights.copy(), "x": pre, "y": post, "error": error, "drive": drive,
        "modulator": 0.5, "dt": 0.001, **rule.parameters(), **copies,
    }  # fmt: skip
    place = [known[name] for name in arguments(plain(hand))]

    def step() -> None:
        made.learn(pre, post, 0.5, **extra)

    return step, lambda: hand(*place), (made.weights, known["w"])


def plain(hand: Any) -> Any:
    """Return a loop as it was written, which is all there is when kernels are interpreted."""
    return getattr(hand, "py_func", hand)


def sparse_against_hand(config: Config) -> dict[str, float]:
    """Compare steps on sparse wirings with loops by hand that are given the same tables.

    Oja's rule visits every synapse, pair STDP those of the 5 % of cells that fire on either side.
    """
    rng, n = np.random.default_rng(config.seed), config.n_cells
    stored = Stored(n, n, config.fan_out, rng)
    generated = Generated(n, n, config.fan_out, config.seed)
    pre, post = rng.random((2, n))
    whole = {
        "oja_stored": (stored, partial(_oja_stored, targets=stored.index)),
        "oja_generated": (
            generated,
            partial(_oja_generated, wires=generated.wires, row=np.empty(config.fan_out, np.uint32)),
        ),
    }
    ratios = {}
    for name, (wired, by_hand) in whole.items():
        made = PlasticProjection(wired, Oja(), 0.5)
        hand = partial(by_hand, made.weights.copy(), x=pre, y=post, eta=0.01)
        ratios[name] = compared(partial(made.learn, pre, post), hand, config.repeats)[0]
    made = PlasticProjection(stored, PairSTDP(), 0.5)
    spikes = (rng.random((2, n)) < 0.05).astype(float)
    fired = [np.flatnonzero(side) for side in spikes]
    flat = stored.index.reshape(-1)
    slots = np.argsort(flat, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=n))])
    tables = (stored.index, starts, slots // config.fan_out, slots, spikes[0])
    traces = [made.traces[name].copy() for name in ("r1", "o1")]
    place_of = (made.weights.copy(), *fired, *tables, *traces, 0.005, 0.00525)
    ratios["pair_stdp_stored"] = compared(
        lambda: made.learn(*spikes), lambda: _pair_stdp_stored(*place_of), config.repeats
    )[0]
    return ratios


def compared(ours: Step, theirs: Step, repeats: int) -> tuple[float, float]:
    """Return the median ratio of CPU times, interleaved, and our median [s]."""
    ours()
    theirs()
    times = times_to_measure(theirs, enough=0.02)
    pairs = np.array(
        [(cpu_seconds(ours, times), cpu_seconds(theirs, times)) for _ in range(repeats)]
    )
    return float(np.median(pairs[:, 0] / pairs[:, 1])), float(np.median(pairs[:, 0]))


def by_activity(rule: Rule, wired: Connectivity, config: Config) -> list[float]:
    """Return the CPU seconds of a step at each share of active cells."""
    made = PlasticProjection(wired, rule, 0.5, dt=0.001)
    rng = np.random.default_rng(config.seed)
    seconds = []
    for fraction in config.fractions:
        pre, post = np.zeros((2, config.n_cells))
        for side in (pre, post):
            k = max(1, round(fraction * config.n_cells))
            side[rng.choice(config.n_cells, k, replace=False)] = 1.0

        def step(pre: Any = pre, post: Any = post) -> None:
            made.learn(pre, post)

        step()
        times = times_to_measure(step, enough=0.02)
        seconds.append(float(np.median([cpu_seconds(step, times) for _ in range(config.repeats)])))
    return seconds


# The loops that a person would write: no check, no bounds, no count, all parameters at hand.
_by_hand = numba.njit(error_model="numpy")


@_by_hand
def _hebb(w, x, y, eta):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += eta * x[i] * y[j]


@_by_hand
def _covariance(w, x, y, mean_pre, mean_post, eta):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += eta * (x[i] - mean_pre[i]) * (y[j] - mean_post[j])


@_by_hand
def _oja(w, x, y, eta):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += eta * y[j] * (x[i] - y[j] * w[i, j])


@_by_hand
def _oja_stored(w, targets, x, y, eta):
    for i in range(w.shape[0]):
        for k in range(w.shape[1]):
            j = targets[i, k]
            w[i, k] += eta * y[j] * (x[i] - y[j] * w[i, k])


@_by_hand
def _oja_generated(w, wires, row, x, y, eta):
    for i in range(w.shape[0]):
        kernels.targets(wires, i, row)
        for k in range(w.shape[1]):
            j = row[k]
            w[i, k] += eta * y[j] * (x[i] - y[j] * w[i, k])


@_by_hand
def _pair_stdp_stored(w, pre, post, targets, starts, sources, slots, x, r1, o1, a_plus, a_minus):
    for i in pre:
        for k in range(w.shape[1]):
            w[i, k] -= a_minus * o1[targets[i, k]]
    flat = w.reshape(-1)
    for j in post:
        for m in range(starts[j], starts[j + 1]):
            flat[slots[m]] += a_plus * r1[sources[m]]


@_by_hand
def _sanger(w, x, y, eta):
    for i in range(w.shape[0]):
        back = 0.0
        for j in range(w.shape[1]):
            back += y[j] * w[i, j]
            w[i, j] += eta * y[j] * (x[i] - back)


@_by_hand
def _bcm(w, x, y, theta, eta):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += eta * x[i] * y[j] * (y[j] - theta[j])


@_by_hand
def _willshaw(w, x, y, modulator, step):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += step * modulator * x[i] * y[j]


@_by_hand
def _bcpnn(w, x, y, p_pre, p_post, p_joint, modulator, tau, dt, floor):
    k = modulator * dt / tau
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            p_joint[i, j] += k * (x[i] * y[j] - p_joint[i, j])
            alone = max(p_pre[i], floor) * max(p_post[j], floor)
            w[i, j] = math.log(max(p_joint[i, j], floor * floor) / alone)


@_by_hand
def _softhebb(w, x, y, drive, eta):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += eta * y[j] * (x[i] - drive[j] * w[i, j])


@_by_hand
def _three_factor(w, x, y, eligibility, modulator, eta, tau, dt):
    decay = math.exp(-dt / tau)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            eligibility[i, j] = eligibility[i, j] * decay + x[i] * y[j]
            w[i, j] += eta * modulator * eligibility[i, j]


@_by_hand
def _delta_rule(w, x, error, eta):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += eta * error[j] * x[i]


@_by_hand
def _homeostatic_scaling(w, rate, eta, target, dt):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += eta * dt * w[i, j] * (target - rate[j])


@_by_hand
def _pair_stdp(w, x, y, r1, o1, a_plus, a_minus):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += a_plus * r1[i] * y[j] - a_minus * o1[j] * x[i]


@_by_hand
def _triplet_stdp(w, x, y, r1, r2, o1, o2, a2_plus, a3_plus, a2_minus, a3_minus):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            up = y[j] * r1[i] * (a2_plus + a3_plus * o2[j])
            w[i, j] += up - x[i] * o1[j] * (a2_minus + a3_minus * r2[i])


@_by_hand
def _symmetric_stdp(w, x, y, r1, o1, amplitude):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += amplitude * (r1[i] * y[j] + o1[j] * x[i])


@_by_hand
def _inhibitory_stdp(w, x, y, r1, o1, eta, target, tau):
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            w[i, j] += eta * (x[i] * (o1[j] - 2 * target * tau) + y[j] * r1[i])


HAND = {
    "hebb": _hebb,
    "covariance": _covariance,
    "oja": _oja,
    "sanger": _sanger,
    "bcm": _bcm,
    "willshaw": _willshaw,
    "bcpnn": _bcpnn,
    "softhebb": _softhebb,
    "three_factor": _three_factor,
    "delta_rule": _delta_rule,
    "homeostatic_scaling": _homeostatic_scaling,
    "pair_stdp": _pair_stdp,
    "triplet_stdp": _triplet_stdp,
    "symmetric_stdp": _symmetric_stdp,
    "inhibitory_stdp": _inhibitory_stdp,
}
