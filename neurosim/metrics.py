"""Measures of memory and learning, each with its published definition."""

from __future__ import annotations

import math
from collections.abc import Sequence, Sized
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval.

    Parameters
    ----------
    mean, low, high : float
        Mean and limits; the limits are NaN for a single value.
    n : int
        Number of values.
    """

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    r"""Return the mean and its Student-t confidence interval.

    .. math:: \bar x \pm t_{n-1,(1+level)/2} \, s / \sqrt{n}

    Parameters
    ----------
    values : (n,) array-like
        One value a seed.
    level : float
        Confidence, between 0 and 1.

    Raises
    ------
    ConfigError
        For no value, one that is not finite, or a level outside of 0..1.

    References
    ----------
    Student (1908), Biometrika 6, 1-25.
    """
    from scipy.special import stdtrit  # Here, so that the command line starts without SciPy.

    x = _finite_vector("mean_interval", values)
    if not 0 < level < 1:
        raise ConfigError.expected("mean_interval", "level", "0 < level < 1", level, "use 0.95")
    mean = float(x.mean())
    if x.size == 1:
        return Interval(mean, math.nan, math.nan, 1)
    half = float(stdtrit(x.size - 1, (1 + level) / 2) * x.std(ddof=1) / math.sqrt(x.size))
    return Interval(mean, mean - half, mean + half, x.size)


def paired_difference(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> Interval:
    """Return the mean of ``a - b``, pair by pair, and its confidence interval.

    Parameters
    ----------
    a, b : (n,) array-like
        Values of two arms, the same seed at the same place.
    level : float
        Confidence, between 0 and 1.
    """
    first, second = _finite_vector("paired_difference", a), _finite_vector("paired_difference", b)
    _check_same_length("paired_difference", first, second)
    return mean_interval(first - second, level)


def exact_recall(expected: Sequence[str], answered: Sequence[str]) -> NDArray[np.bool_]:
    """Return which answers match exactly, runs of white space counting as one blank.

    Parameters
    ----------
    expected, answered : sequence of str
        The right answers and the given ones.

    Returns
    -------
    (n,) ndarray of bool
    """
    _check_same_length("exact_recall", expected, answered)
    pairs = zip(expected, answered, strict=True)
    return np.array([right.split() == given.split() for right, given in pairs], dtype=np.bool_)


def perplexity(total_nll: float, n_tokens: int) -> float:
    """Return ``exp(total_nll / n_tokens)``.

    Parameters
    ----------
    total_nll : float [nat]
        Sum of the negative log likelihoods of the tokens.
    n_tokens : int
        Number of tokens; 1 or more.

    Raises
    ------
    ConfigError
        For no token.
    """
    if n_tokens < 1:
        raise ConfigError.expected("perplexity", "n_tokens", "1 or more", n_tokens, "give a text")
    with np.errstate(over="ignore"):  # A hopeless model has an infinite perplexity.
        return float(np.exp(np.float64(total_nll) / n_tokens))


def forgetting(accuracy_matrix: ArrayLike) -> float:
    r"""Return how much of the best past accuracy is lost after the last task.

    .. math:: F_T = \frac{1}{T-1} \sum_{j<T} \left( \max_{l<T} a_{l,j} - a_{T,j} \right)

    Parameters
    ----------
    accuracy_matrix : (n_tasks, n_tasks) array-like
        Accuracy on task j after learning task l; NaN where it was not measured.

    References
    ----------
    Chaudhry et al. (2018), Riemannian walk for incremental learning, ECCV, eq. 3.
    """
    a = _accuracies("forgetting", accuracy_matrix)
    return float(np.mean(np.nanmax(a[:-1, :-1], axis=0) - a[-1, :-1]))


def backward_transfer(accuracy_matrix: ArrayLike) -> float:
    r"""Return how learning later tasks changed the earlier ones; negative is forgetting.

    .. math:: BWT = \frac{1}{T-1} \sum_{i<T} \left( R_{T,i} - R_{i,i} \right)

    Parameters
    ----------
    accuracy_matrix : (n_tasks, n_tasks) array-like
        Accuracy on task j after learning task i; NaN where it was not measured.

    References
    ----------
    Lopez-Paz & Ranzato (2017), Gradient episodic memory, NeurIPS, eq. 3.
    """
    r = _accuracies("backward_transfer", accuracy_matrix)
    return float(np.mean(r[-1, :-1] - np.diagonal(r)[:-1]))


def steps_to_criterion(steps: ArrayLike, recall: ArrayLike, criterion: float = 0.9) -> float:
    """Return the first step at which `recall` reaches `criterion`, NaN if it never does.

    Parameters
    ----------
    steps : (n,) array-like
        When recall was measured, in rising order.
    recall : (n,) array-like
        What was measured.
    criterion : float
        What must be reached.
    """
    at, level = np.asarray(steps, dtype=np.float64), np.asarray(recall, dtype=np.float64)
    _check_same_length("steps_to_criterion", at, level)
    reached = np.flatnonzero(level >= criterion)
    return float(at[reached[0]]) if reached.size else math.nan


def overlap_matrix(patterns: ArrayLike) -> FloatArray:
    r"""Return the cosine between each two patterns, from 0 (disjoint) to 1 (alike).

    For binary patterns it is :math:`|A \cap B| / \sqrt{|A| |B|}`. A silent pattern overlaps with
    none.

    Parameters
    ----------
    patterns : (n_patterns, n_units) array-like
        Boolean, or rates of 0 or more.

    Returns
    -------
    (n_patterns, n_patterns) float64
    """
    x = np.asarray(patterns, dtype=np.float64)
    if x.ndim != 2 or not np.isfinite(x).all() or (x < 0).any():
        raise ConfigError.expected(
            "overlap_matrix", "patterns", "rates >= 0, one row each", x.shape, "check the array"
        )
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    unit = np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)
    cosines: FloatArray = np.clip(unit @ unit.T, 0.0, 1.0)
    return cosines


def transformer_flops(n_parameters: int, n_tokens: int, backward: bool = True) -> int:
    """Return the floating-point operations a transformer spends on some tokens.

    ``6 N D`` with the backward pass, ``2 N D`` without; attention over a long context is extra.

    Parameters
    ----------
    n_parameters : int
        Parameters without the embeddings.
    n_tokens : int
        Tokens processed.
    backward : bool
        Whether gradients are computed.

    References
    ----------
    Kaplan et al. (2020), Scaling laws for neural language models, sec. 2.1.
    """
    return (6 if backward else 2) * int(n_parameters) * int(n_tokens)


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Return the rank correlation, ties given their mean rank; NaN if one side is constant.

    Parameters
    ----------
    x, y : (n,) array-like
        Paired values; two or more.

    References
    ----------
    Spearman (1904), Am. J. Psychol. 15, 72-101.
    """
    from scipy.stats import rankdata  # Slow to import.

    first, second = _finite_vector("spearman", x), _finite_vector("spearman", y)
    _check_same_length("spearman", first, second)
    a, b = (rankdata(each) - (each.size + 1) / 2 for each in (first, second))
    norm = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / norm if norm > 0 else math.nan


def _finite_vector(owner: str, values: ArrayLike) -> FloatArray:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0 or not np.isfinite(x).all():
        raise ConfigError.expected(
            owner, "values", "one or more finite numbers in a row", values, "check the measurements"
        )
    return x


def _check_same_length(owner: str, a: Sized, b: Sized) -> None:
    sizes = len(a), len(b)
    if sizes[0] != sizes[1]:
        raise ConfigError.expected(owner, "values", "two equal lengths", sizes, "pair them up")


def _accuracies(owner: str, accuracy_matrix: ArrayLike) -> FloatArray:
    a = np.asarray(accuracy_matrix, dtype=np.float64)
    if a.ndim != 2 or a.shape[0] != a.shape[1] or len(a) < 2:
        raise ConfigError.expected(
            owner,
            "accuracy_matrix",
            "a square of two or more tasks",
            a.shape,
            "give one row a task",
        )
    return a
