"""Density evolution: recall in a diluted winners-take-all net, count by count.

`recall_overlap` follows the very counts that a cell receives and whatever they are worth;
`graded_overlap` does so if what they are worth depends on the drive of the cell that sends them. A
measurement can so be laid over its own prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import poisson

from neurosim.errors import ConfigError
from neurosim.mean_field import FULL, Cue, checked_sparsity

Values = Callable[[float, float], ArrayLike]
"""What each count 0, 1, ... is worth, given the count that chance expects and the trust."""

_GRID = 1 << 13
_AT_REST = 1e-4
"""Change of the overlap in one step from which it is called at rest."""

_DEVIATIONS = 12.0
"""Width of the grid to either side, in standard deviations of the drive."""


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

    Raises
    ------
    ConfigError
        For fewer than two worths of a count, or one that is not finite.

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
    graded = (worth[None], np.array([right]), np.array([wrong]))
    _, on, _ = _winners(*graded, load, inputs, sparsity, prior)
    return float(np.clip(on.sum(), 0.0, 1.0))


def recall_overlap(
    values: Values,
    n_patterns: float,
    sparsity: float,
    fan_in: float,
    cue: Cue = FULL,
    trust: tuple[float, ...] | None = None,
    prior: Callable[[float, float], float] = lambda load, trust: 0.0,
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
        ``prior(load, trust)`` is what being in the cue adds to a cell's drive in the first step.
    n_steps : int
        Attractor steps.
    """
    a, load = _checked("recall_overlap", n_patterns, sparsity, fan_in)
    right, wrong = cue.right, cue.wrong
    stage = 0
    for step in range(n_steps):
        believed = right / (right + wrong) if trust is None else trust[stage]
        bonus = prior(load, believed) if step == 0 else 0.0
        worth = values(load, believed)
        before, right = right, recall_step(worth, load, fan_in * a, a, right, wrong, bonus)
        wrong = 1 - right
        rests = step > 0 and abs(right - before) < _AT_REST
        if trust is not None and stage < len(trust) - 1:
            stage += rests or 3 * (step + 1) >= n_steps
        elif rests:
            break
    return right


def graded_overlap(
    values: Values,
    n_patterns: float,
    sparsity: float,
    fan_in: float,
    cue: Cue,
    trust: float,
    grades: ArrayLike,
    prior: Callable[[float, float], float] = lambda load, trust: 0.0,
    n_steps: int = 32,
) -> float:
    r"""Return the overlap recall ends in if each cell is trusted as far as its own drive says.

    Density evolution: the drives of the pattern's cells among the winners, and of the others among
    them, are the log odds with which they are believed at the next step, so that active cells
    h and u of `recall_step` become h_g and u_g of every grade g, each with its own f_g:

    .. math:: \log \varphi(t) = C a \sum_g h_g (\varphi_{1g}(t) - 1) + u_g (\varphi_{0g}(t) - 1)

    Parameters
    ----------
    values, n_patterns, sparsity, fan_in, cue, prior, n_steps
        As for `recall_overlap`; the values are log odds.
    trust : float
        Share of the cue's cells believed right.
    grades : (n_grades,) int [nats]
        Ascending whole numbers to which the log odds of a cell are rounded.

    References
    ----------
    Richardson & Urbanke (2001) IEEE Trans. Inf. Theory 47:599 (density evolution); for winners in
    a net of counts: ours.
    """
    a, load = _checked("graded_overlap", n_patterns, sparsity, fan_in)
    nats = np.asarray(grades, dtype=np.int64)
    table = np.array([values(load, 1 / (1 + math.exp(-nat))) for nat in nats], dtype=np.float64)
    worth = np.asarray(values(load, trust), dtype=np.float64)[None]
    right, wrong = np.array([cue.right]), np.array([cue.wrong])
    bonus, most = prior(load, trust), math.log((1 - a) / a)
    for step in range(n_steps):
        before = right.sum()
        drives, on, off = _winners(worth, right, wrong, load, fan_in * a, a, bonus)
        at = np.clip(np.rint(drives - most), nats[0], nats[-1]).astype(np.int64) - nats[0]
        right, wrong = (np.bincount(at, share, nats.size).clip(0.0) for share in (on, off))
        worth, bonus = table, 0.0
        if step > 1 and abs(right.sum() - before) < _AT_REST:
            break
    return float(right.sum())


def _winners(
    worth: NDArray[np.float64],
    right: NDArray[np.float64],
    wrong: NDArray[np.float64],
    load: float,
    inputs: float,
    sparsity: float,
    prior: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return which cells fire, by their drive.

    ``worth (n_grades, n_counts)`` is what a count is worth at a synapse of an active cell of each
    grade, ``right`` and ``wrong (n_grades,)`` are how many these are; the rest as for
    `recall_step`. Returns drives, and how many of the pattern's cells and of the others fire with
    each, in units of k.
    """
    chance, more = _count_chances(load, worth.shape[1])
    seen = chance + more > 1e-13
    worth, chance, more = worth[:, seen], chance[seen], more[seen]
    active = right + wrong
    mean = inputs * np.array([active @ worth @ chance, active @ worth @ more])
    spread = math.sqrt(inputs * max(active @ worth**2 @ chance, active @ worth**2 @ more))
    margin = _DEVIATIONS * spread + 4 * np.abs(worth).max() + abs(prior)
    low, high = min(mean.min(), 0.0) - margin, max(mean.max(), 0.0) + margin
    unit = (high - low) / _GRID
    first = math.floor(low / unit)

    def density(
        in_pattern: NDArray[np.float64], others: NDArray[np.float64], share: float
    ) -> NDArray[np.float64]:
        ring = np.zeros(_GRID)
        for values, h, u in zip(worth, in_pattern, others, strict=True):
            if h + u > 0:
                ring += _on_grid(values / unit, h * more + u * chance)
        log_phi = inputs * (np.fft.rfft(ring) - ring.sum())
        found = np.roll(np.fft.irfft(np.exp(log_phi), _GRID), -(first % _GRID))
        mixed: NDArray[np.float64] = (1 - share) * found
        return mixed + share * np.roll(found, round(prior / unit))

    cued = sparsity / (1 - sparsity) * float(wrong.sum())
    on = density(right, wrong, min(float(right.sum()), 1.0))
    off = density(np.zeros_like(right), active, min(cued, 1.0))
    fire = np.cumsum((sparsity * on + (1 - sparsity) * off)[::-1])[::-1]
    at = int(np.searchsorted(-fire, -sparsity))
    fires = (np.arange(_GRID) >= at).astype(np.float64)
    fires[at - 1] = (sparsity - fire[at]) / max(fire[at - 1] - fire[at], 1e-300)
    drives = unit * (first + np.arange(_GRID))
    return drives, on * fires, off * fires * (1 - sparsity) / sparsity


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


def _checked(owner: str, n_patterns: float, sparsity: float, fan_in: float) -> tuple[float, float]:
    """Return the sparsity and the count that chance expects, if the numbers can be."""
    a = checked_sparsity(owner, sparsity)
    for name, value in (("n_patterns", n_patterns), ("fan_in", fan_in)):
        if not 0 < value < math.inf:
            raise ConfigError.expected(
                owner, name, "a finite number above 0", value, "pass such a number"
            )
    return a, n_patterns * a * a
