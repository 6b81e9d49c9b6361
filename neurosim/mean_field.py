"""Mean-field theory of recall in a diluted winners-take-all net, from infinite to small fan-in.

The published limits stand in `neurosim.theory`; here is what the same argument says of a net of
the size at hand, so that a measurement can be laid over its own prediction: `winners_overlap` for
Gaussian noise, `recall_overlap` for the very counts a cell receives and whatever they are worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import poisson

from neurosim.errors import ConfigError

Values = Callable[[float, float], ArrayLike]
"""What each count 0, 1, ... is worth, given the count that chance expects and the trust."""

_GRID = 1 << 13
_AT_REST = 1e-4
"""Change of the overlap in one step from which it is called at rest."""

_DEVIATIONS = 12.0
"""Width of the grid to either side, in standard deviations of the drive."""


@dataclass(frozen=True)
class Cue:
    """What recall starts from, in units of the k cells of a pattern.

    Parameters
    ----------
    right : float
        Share of the pattern's cells that are active, above 0 and up to 1.
    wrong : float
        Active cells that are not the pattern's, over k; 0 or greater.
    """

    right: float = 1.0
    wrong: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.right <= 1:
            raise ConfigError.expected(
                self, "right", "0 < right <= 1", self.right, "give some of the pattern"
            )
        if not self.wrong >= 0:
            raise ConfigError.expected(self, "wrong", "0 or more", self.wrong, "leave it out")


FULL = Cue()


def winners_overlap(
    alpha: float, sparsity: float, cue: Cue = FULL, fan_in: float = math.inf, n_steps: int = 100
) -> float:
    r"""Return the overlap a diluted k-winners-take-all net settles to (covariance read-out).

    Let h be the active cells of the pattern and q all active cells, in units of k (h = q m once k
    winners fire, q = 1). A cell of the pattern receives C a h counts of it; the other p patterns
    give every cell a variance C a q p a^2. In units of that noise the signal is
    :math:`s = h / \sqrt{q \alpha a}`, and k winners fire:

    .. math:: m' = \Phi((s - \theta) / \sigma), \qquad
              a\,\Phi((s - \theta) / \sigma) + (1-a)\,\Phi(-\theta) = a .

    In a finite net the number of active synapses varies from cell to cell, so that the cells of
    the pattern spread more: :math:`\sigma^2 = 1 + h / (q a^2 p)`, with :math:`p = \alpha C`.

    Parameters
    ----------
    alpha : float
        Patterns over fan-in, above 0.
    sparsity : float
        Fraction a of active cells.
    cue : Cue
        Where recall starts.
    fan_in : float
        Synapses C onto each cell; infinite for the limit.
    n_steps : int
        Attractor steps.

    References
    ----------
    Tsodyks (1988) Europhys. Lett. 7:203 (diluted nets of low activity); with the threshold set by
    k winners and the finite-size spread: ours.
    """
    a = _sparsity("winners_overlap", sparsity)
    for name, value in (("alpha", alpha), ("fan_in", fan_in)):
        if not value > 0:
            raise ConfigError.expected(
                "winners_overlap", name, "a number above 0", value, "pass such a number"
            )
    right, active = cue.right, cue.right + cue.wrong
    for _ in range(n_steps):
        signal = right / math.sqrt(active * alpha * a)
        spread = math.sqrt(1 + right / (active * a * a * alpha * fan_in))
        before, right, active = right, _winners_hit(signal, spread, a), 1.0
        if abs(right - before) < 1e-9:
            break
    return right


def winners_capacity(
    sparsity: float, overlap: float = 0.5, cue: Cue = FULL, fan_in: float = math.inf
) -> float:
    """Return the load p/C up to which `winners_overlap` stays at or above `overlap`.

    Parameters
    ----------
    sparsity, cue, fan_in
        As for `winners_overlap`.
    overlap : float
        Criterion, between the sparsity and 1.

    Raises
    ------
    ConfigError
        If not even a nearly empty net meets the criterion.
    """
    a = _sparsity("winners_capacity", sparsity)
    if not a < overlap < 1:
        raise ConfigError.expected(
            "winners_capacity", "overlap", f"{a} < overlap < 1", overlap, "take 0.5"
        )
    unit = 1 / (a * math.log(1 / a))
    low, high = 1e-5 * unit, 4.0 * unit
    if winners_overlap(low, a, cue, fan_in) < overlap:
        raise ConfigError.expected(
            "winners_capacity", "fan_in", "enough active synapses a cell", fan_in, "raise it"
        )
    return recall_capacity(lambda x: winners_overlap(x, a, cue, fan_in), overlap, low, high)


def recall_step(
    values: ArrayLike,
    load: float,
    inputs: float,
    sparsity: float,
    right: float,
    wrong: float,
    prior: float = 0.0,
) -> float:
    r"""Return the share of a pattern's cells among the winners after one attractor step, exactly.

    A cell has a Poisson number of active synapses, of mean C a for each k active cells. A count
    is Poisson of mean lambda by chance, and one more between two cells of the pattern. With
    f(w) what a count is worth, the drive of a cell is compound Poisson, and its characteristic
    function is

    .. math:: \log \varphi(t) = C a\, [\, h (\varphi_1(t) - 1) + u (\varphi_0(t) - 1) \,]

    for the pattern's cells; all others have h + u in place of u and no h. The threshold lets a
    fraction a fire.

    Parameters
    ----------
    values : (n_counts,) float
        f(0), f(1), ...; the last stands for all counts above.
    load : float [counts]
        lambda, p a^2 for p stored patterns.
    inputs : float
        Active synapses C a onto a cell when k cells fire.
    sparsity : float
        Fraction a of cells that fire.
    right, wrong : float
        Active cells h of the pattern and u besides it, in units of k.
    prior : float
        Drive that a cell gets for being active already.

    References
    ----------
    Ours; Feller (1968) An introduction to probability theory, vol. 1, sec. XII.2 (compound
    Poisson).
    """
    worth = np.asarray(values, dtype=np.float64)
    if worth.ndim != 1 or worth.size < 2 or not np.isfinite(worth).all():
        raise ConfigError.expected(
            "recall_step", "values", "two or more finite numbers", values, "give one a count"
        )
    chance, more = _count_chances(load, worth.size)
    seen = chance + more > 1e-13
    worth, chance, more = worth[seen], chance[seen], more[seen]
    active = inputs * (right + wrong)
    mean = active * np.array([chance @ worth, more @ worth])
    spread = math.sqrt(active * max(chance @ worth**2, more @ worth**2))
    margin = _DEVIATIONS * spread + 4 * np.abs(worth).max() + abs(prior)
    low, high = min(mean.min(), 0.0) - margin, max(mean.max(), 0.0) + margin
    unit = (high - low) / _GRID
    first = math.floor(low / unit)
    other, pattern = (np.fft.rfft(_on_grid(worth / unit, p)) for p in (chance, more))

    def tail(log_phi: NDArray[np.complex128], share: float) -> NDArray[np.float64]:
        density = np.roll(np.fft.irfft(np.exp(log_phi), _GRID), -(first % _GRID))
        density = (1 - share) * density + share * np.roll(density, round(prior / unit))
        return np.cumsum(density[::-1])[::-1]

    on = tail(inputs * (right * (pattern - 1) + wrong * (other - 1)), min(right, 1.0))
    off = tail(active * (other - 1), min(wrong * sparsity / (1 - sparsity), 1.0))
    fire = sparsity * on + (1 - sparsity) * off
    at = int(np.searchsorted(-fire, -sparsity))
    part = (sparsity - fire[at]) / max(fire[at - 1] - fire[at], 1e-300)
    return float(np.clip(on[at] + part * (on[at - 1] - on[at]), 0.0, 1.0))


def recall_overlap(
    values: Values,
    n_patterns: float,
    sparsity: float,
    fan_in: float,
    cue: Cue = FULL,
    trust: tuple[float, ...] | None = None,
    prior: Callable[[float], float] = lambda trust: 0.0,
    n_steps: int = 32,
) -> float:
    """Return the overlap recall ends in, by `recall_step` after `recall_step`.

    Parameters
    ----------
    values : callable
        ``values(load, trust) -> (n_counts,)``, such as a row of `circuits.readouts.table`.
    n_patterns : float
        Patterns stored, above 0.
    sparsity, fan_in
        As for `winners_overlap`; the fan-in finite.
    cue : Cue
        Where recall starts.
    trust : tuple of float, optional
        Share of active cells believed right, each value until the overlap rests or a third of the
        steps is over; by default what theory itself expects at a step, which is the best there is.
    prior : callable
        ``prior(trust)`` is what being in the cue adds to a cell's drive in the first step.
    n_steps : int
        Attractor steps.
    """
    a = _sparsity("recall_overlap", sparsity)
    for name, value in (("n_patterns", n_patterns), ("fan_in", fan_in)):
        if not 0 < value < math.inf:
            raise ConfigError.expected(
                "recall_overlap", name, "a finite number above 0", value, "pass such a number"
            )
    load, right, wrong = n_patterns * a * a, cue.right, cue.wrong
    stage = 0
    for step in range(n_steps):
        believed = right / (right + wrong) if trust is None else trust[stage]
        bonus = prior(believed) if step == 0 else 0.0
        worth = values(load, believed)
        before, right = right, recall_step(worth, load, fan_in * a, a, right, wrong, bonus)
        wrong = 1 - right
        rests = step > 0 and abs(right - before) < _AT_REST
        if trust is not None and stage < len(trust) - 1:
            stage += rests or 3 * (step + 1) >= n_steps
        elif rests:
            break
    return right


def recall_capacity(
    recalled: Callable[[float], float], criterion: float, low: float, high: float
) -> float:
    """Return the largest load between `low` and `high` at which recall meets a criterion.

    Parameters
    ----------
    recalled : callable
        Overlap as a function of load; falling.
    criterion : float
        Overlap that must be reached.
    low, high : float
        Bounds of the search, by bisection to 0.2 per cent; `low` if not even that meets it.
    """
    if not 0 < low < high:
        raise ConfigError.expected(
            "recall_capacity", "low", "0 < low < high", (low, high), "widen the search"
        )
    while high / low > 1.002:
        load = math.sqrt(low * high)
        low, high = (load, high) if recalled(load) >= criterion else (low, load)
    return low


def _count_chances(load: float, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the chances of each count by chance alone, and with one coincidence more."""
    counts = np.arange(n)
    chance = poisson.pmf(counts, load)
    chance[-1] = poisson.sf(n - 2, load)
    more = np.concatenate(([0.0], chance[:-1]))
    more[-1] += chance[-1]
    return chance, more


def _on_grid(at: NDArray[np.float64], chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share each probability between its two neighbours on a ring of grid points."""
    below = np.floor(at).astype(np.int64)
    upper = (at - below) * chance
    ring = np.zeros(_GRID)
    np.add.at(ring, below % _GRID, chance - upper)
    np.add.at(ring, (below + 1) % _GRID, upper)
    return ring


def _winners_hit(signal: float, spread: float, a: float) -> float:
    """Return the fraction of the pattern's cells among the winners."""

    def surplus(theta: float) -> float:
        return float(a * ndtr((signal - theta) / spread) + (1 - a) * ndtr(-theta) - a)

    theta = brentq(surplus, -40.0, 40.0 + 2 * signal + 40 * spread, xtol=1e-13)
    return float(ndtr((signal - theta) / spread))


def _sparsity(owner: str, value: float) -> float:
    if not 0 < value < 1:
        raise ConfigError.expected(
            owner, "sparsity", "a fraction between 0 and 1", value, "take 0.02"
        )
    return float(value)
