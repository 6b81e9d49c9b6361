"""Read-outs: what the count of one synapse says about its cell, given what chance would count.

A count w of a synapse whose cells' loads let chance expect lambda is worth

- willshaw: ``[w > 0] - theta``, theta between the share q = 1 - exp(-lambda) of potentiated
  synapses that a cell has anyway and the 1 of a member;
- covariance: ``w - lambda``;
- bayesian: ``log(1 - r + r P(w | lambda, one more) / P(w | lambda))``, the log odds that the cell
  belongs to the pattern, where r is the trust that the presynaptic cell does. Counts are Poisson,
  so the ratio is w / lambda: the weight of BCPNN, log p_ij / (p_i p_j). A count at its bound stands
  for all above. Since the drive is then the log odds of a cell, it says at the next step how far
  that cell itself is to be trusted (`belief`).

References
----------
Willshaw, Buneman & Longuet-Higgins (1969) Nature 222:960; Buckingham & Willshaw (1993) Network
4:441 (threshold relative to the active inputs); Tsodyks & Feigelman (1988) Europhys. Lett. 6:101
(covariance); Lansner & Ekeberg (1989) Int. J. Neural Syst. 1:77 (Bayesian); Pearl (1988)
Probabilistic reasoning in intelligent systems, ch. 4 (belief propagation: a cell's belief is what
it passes on). The trust is ours.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from neurosim.codes import SparseCode
from neurosim.errors import ConfigError

Readout = Literal["willshaw", "covariance", "bayesian"]
READOUTS: tuple[str, ...] = get_args(Readout)

Classes = tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.float64]]

STEPS_AN_OCTAVE = 32
"""Loads are told apart by 2 per cent at least."""

COARSENESS = 0.1
"""Most noise that telling loads apart in steps may add to a drive, over the noise of its counts."""

MOST_ROWS = 1 << 16
"""Rows of all tables together: the class of a cell has 16 bits."""

SUREST = 1e-4
"""What is left of doubt in a source that is trusted fully."""

GRADES = tuple(range(-5, 10))
"""Log odds to which the trust in a cell is rounded [nats]; the last leaves SUREST of doubt."""


def steps_an_octave(n_counts: float) -> int:
    """Return in how many steps an octave of load is divided, a power of two.

    All synapses of a cell are off by the same share of what chance counts, uniform within a step
    of width ``ln 2 / steps``, while their counts vary independently. Over synapses with
    `n_counts` between them the one adds ``n_counts ln 2 / (steps sqrt(12))`` to the drive, the
    other ``sqrt(n_counts)``: the more synapses and patterns, the finer the steps.

    Parameters
    ----------
    n_counts : float
        What chance counts in all active synapses onto a cell.
    """
    enough = np.log(2.0) * np.sqrt(n_counts / 12.0) / COARSENESS
    steps = STEPS_AN_OCTAVE
    while steps < enough:
        steps *= 2
    return steps


def classes(
    use: NDArray[np.floating], steps: int = STEPS_AN_OCTAVE
) -> tuple[NDArray[np.uint16], int]:
    """Sort cells by the logarithm of their load.

    Parameters
    ----------
    use : (n_units,) float
        Times each cell was stored as active; less than half a time counts as half.
    steps : int
        Classes an octave.

    Returns
    -------
    (n_units,) uint16 and int
        Class from 0 on, and the class number that 0 stands for.
    """
    numbers = np.rint(steps * np.log2(np.maximum(use, 0.5))).astype(np.int64)
    first = int(numbers.min())
    return (numbers - first).astype(np.uint16), first


def classify(
    pre_use: NDArray[np.floating],
    post_use: NDArray[np.floating],
    n_stored: float,
    inputs: float = 0.0,
) -> Classes:
    """Sort synapses by the count that the loads of their two cells let expect.

    Parameters
    ----------
    pre_use, post_use : (n_pre,), (n_post,) float
        Times each cell was stored as active.
    n_stored : float
        Pairs stored.
    inputs : float
        Active synapses onto a cell, which decide how finely loads are told apart.

    Returns
    -------
    (n_pre,) uint16, (n_post,) uint16, (n_classes,) float64
        Classes of the cells, whose sum is the class of a synapse, and its expected count.
    """
    mean = float(pre_use.mean()) * float(post_use.mean()) / max(n_stored, 1.0)
    steps = steps_an_octave(inputs * mean)
    pre, first_pre = classes(pre_use, steps)
    post, first_post = (pre, first_pre) if post_use is pre_use else classes(post_use, steps)
    n_classes = int(pre.max()) + int(post.max()) + 1
    return pre, post, expected_counts(first_pre + first_post, n_classes, n_stored, steps)


def expected_counts(
    first: int, n_classes: int, n_stored: float, steps: int = STEPS_AN_OCTAVE
) -> NDArray[np.float64]:
    """Return what chance counts in each class of synapse: ``pre_use * post_use / n_stored``."""
    numbers = first + np.arange(n_classes)
    counts: NDArray[np.float64] = np.exp2(numbers / steps) / max(n_stored, 1.0)
    return counts


def table(
    readout: str,
    expected: NDArray[np.float64],
    most: int,
    trust: float,
    n_levels: int | None = None,
) -> NDArray[np.float64]:
    """Return what each count is worth.

    Parameters
    ----------
    readout : {"willshaw", "covariance", "bayesian"}
    expected : (n_classes,) float [counts]
        What chance would count, lambda.
    most : int
        Bound of the counts.
    trust : float
        Share of the active presynaptic cells believed to be right, 0..1.
    n_levels : int, optional
        Only that many counts; all by default.

    Returns
    -------
    (n_classes, n_levels) float

    Raises
    ------
    ConfigError
        For an unknown read-out.
    """
    n_levels = most + 1 if n_levels is None else min(n_levels, most + 1)
    counts = np.arange(n_levels)
    if readout == "covariance":
        return counts - np.minimum(expected, most)[:, None]
    if readout == "willshaw":
        used = -np.expm1(-expected)[:, None]
        return (counts > 0) - (used + (1.0 - used) * (1.0 + trust) / 2.0)
    if readout == "bayesian":
        ratio = counts / expected[:, None]
        if n_levels > most:
            at_bound = _tail(expected, most)
            seen = at_bound > 1e-280  # Below that both tails vanish, and their ratio is w / lambda.
            ratio[seen, most] = _tail(expected[seen], most - 1) / at_bound[seen]
        believed = min(trust, 1.0 - SUREST)
        odds: NDArray[np.float64] = np.log1p(-believed + believed * ratio)
        return odds
    raise ConfigError.expected(
        "readouts", "readout", f"one of {', '.join(READOUTS)}", readout, "choose one"
    )


def tables(
    readout: str,
    expected: NDArray[np.float64],
    most: int,
    trust: float | NDArray[np.float64],
    n_levels: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Stack one `table` for each degree of trust.

    Parameters
    ----------
    readout, expected, most, n_levels
        As for `table`.
    trust : float or (n_active,) float
        Chance that an active cell is right, one for all or one for each.

    Returns
    -------
    (n_degrees * n_classes, n_levels) float and (1,) or (n_active,) int
        The tables, and in which row that of an active cell begins.

    Raises
    ------
    ConfigError
        For an unknown read-out, or more classes of synapses than a table holds.
    """
    degrees, which = np.unique(np.atleast_1d(trust), return_inverse=True)
    if len(degrees) * len(expected) > MOST_ROWS:
        raise ConfigError.expected(
            "readouts",
            "expected",
            f"at most {MOST_ROWS // len(degrees):,} classes of synapses",
            len(expected),
            "store patterns that use the cells more evenly",
        )
    stacked = [table(readout, expected, most, float(r), n_levels) for r in degrees]
    return np.concatenate(stacked), which * len(expected)


def trusted(
    cells: NDArray[np.uint16], state: SparseCode, first: NDArray[np.intp]
) -> NDArray[np.uint16]:
    """Return the classes of presynaptic cells ``(n_pre,)``, the active ones in their own table."""
    sources = cells.copy()
    sources[state.active] += first.astype(np.uint16)
    return sources


def belief(drive: NDArray[np.floating], sparsity: float) -> NDArray[np.float64]:
    """Return the chance that a cell belongs to the pattern, given its drive.

    ``p = 1 / (1 + exp(-(drive + log a / (1 - a))))``, rounded to `GRADES`. What a cell must know:
    its own drive.

    Parameters
    ----------
    drive : (n,) float [nats]
        Log odds against all other cells, the sum of Bayesian worths.
    sparsity : float
        Share a of the cells that belong to a pattern.
    """
    grades = np.rint(drive + np.log(sparsity / (1.0 - sparsity)))
    chance: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-np.clip(grades, GRADES[0], GRADES[-1])))
    return chance


def nat(readout: str, expected: float, trust: float) -> float:
    """Return what one nat of evidence is worth beside the counts.

    To first order in ``w - lambda`` log odds are ``r / lambda`` times covariance. Willshaw's
    threshold on the share of potentiated synapses takes no other evidence.

    Parameters
    ----------
    readout : {"willshaw", "covariance", "bayesian"}
    expected : float [counts]
        What chance counts in a synapse, lambda.
    trust : float
        Share r of the active presynaptic cells believed to be right.
    """
    return {"bayesian": 1.0, "covariance": expected / trust, "willshaw": 0.0}[readout]


def prior(n_cue: int, k: int, n_units: int, trust: float) -> float:
    """Return by how much the log odds of a cue's cells exceed those of all others [nats].

    Of the cue's cells a share `trust` belongs to the pattern, of the others what is left of its k
    cells. Without this the first attractor step would forget which cells the cue had.

    Parameters
    ----------
    n_cue, k, n_units : int
        Active cells of the cue and of a pattern, and all cells.
    trust : float
        Share of the cue's cells believed to be right, 0..1.
    """
    believed = min(max(trust, SUREST), 1.0 - SUREST)
    rest = np.clip((k - believed * n_cue) / max(n_units - n_cue, 1), SUREST, 1.0 - SUREST)
    return max(0.0, float(np.log(believed / (1 - believed)) - np.log(rest / (1 - rest))))


def bias(use: NDArray[np.floating], n_stored: float) -> NDArray[np.float64]:
    """Return the log of the share of stored patterns in which each cell took part [nats].

    The prior of the odds that `table` updates: what is likely to follow before any input speaks.

    Parameters
    ----------
    use : (n_units,) float
        Times each cell was stored as active; less than half a time counts as half.
    n_stored : float

    References
    ----------
    Lansner & Ekeberg (1989) Int. J. Neural Syst. 1:77: the bias log p_j of a unit.
    """
    share: NDArray[np.float64] = np.log(np.maximum(use, 0.5) / max(n_stored, 1.0))
    return share


def chances(expected: NDArray[np.float64], most: int, sparsity: float) -> NDArray[np.float64]:
    """Return the chance of each count or a smaller one, if patterns of k cells were stored.

    Each of a pair's loads makes its count hypergeometric rather than Poisson, and that a pattern
    has exactly k cells ties the counts of one cell's synapses: each of the three takes the fraction
    a (the sparsity) off the variance of a drive. A binomial count of that variance,
    ``(1 - a)^3 lambda``, stands for all.

    Returns
    -------
    (n_classes, most + 1) float
    """
    from scipy.special import betainc

    counts = np.arange(most + 1)
    kept = (1.0 - sparsity) ** 3
    trials = (expected / (1.0 - kept))[:, None]
    left = np.maximum(trials - counts, 1e-9)  # A count beyond the trials is certain not to be.
    cumulative: NDArray[np.float64] = np.where(
        trials > counts, betainc(left, counts + 1.0, kept), 1.0
    )
    cumulative[:, most] = 1.0
    return cumulative


def _tail(expected: NDArray[np.float64], least: int) -> NDArray[np.float64]:
    """Return the chance of a Poisson count of at least `least`."""
    from scipy.special import gammainc

    if least <= 0:
        return np.ones_like(expected)
    tail: NDArray[np.float64] = gammainc(least, expected)
    return tail
