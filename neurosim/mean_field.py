"""Mean-field theory of recall in a diluted winners-take-all net, from infinite to small fan-in.

The published limits stand in `neurosim.theory`; here is what the same argument says of a net of
finite fan-in with Gaussian noise. `neurosim.density_evolution` does without the Gaussian.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import ndtr

from neurosim.errors import ConfigError


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

    Raises
    ------
    ConfigError
        For a sparsity outside of 0..1, or a load or fan-in that is not positive.

    References
    ----------
    Tsodyks (1988) Europhys. Lett. 7:203 (diluted nets of low activity); with the threshold set by
    k winners and the finite-size spread: ours.
    """
    a = checked_sparsity("winners_overlap", sparsity)
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
    a = checked_sparsity("winners_capacity", sparsity)
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


def _winners_hit(signal: float, spread: float, a: float) -> float:
    """Return the fraction of the pattern's cells among the winners."""

    def surplus(theta: float) -> float:
        return float(a * ndtr((signal - theta) / spread) + (1 - a) * ndtr(-theta) - a)

    theta = brentq(surplus, -40.0, 40.0 + 2 * signal + 40 * spread, xtol=1e-13)
    return float(ndtr((signal - theta) / spread))


def checked_sparsity(owner: str, value: float) -> float:
    """Return a fraction of active cells that can be one; `owner` is named in the refusal."""
    if not 0 < value < 1:
        raise ConfigError.expected(
            owner, "sparsity", "a fraction between 0 and 1", value, "take 0.02"
        )
    return float(value)
