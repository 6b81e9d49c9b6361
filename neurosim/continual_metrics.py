"""Measures of continual learning, each with its published definition.

``R[v, j]`` is the accuracy on task j after visit v of a stream, ``visits[v]`` the task learnt then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError
from neurosim.metrics import overlap_matrix

FloatArray = NDArray[np.float64]


def average_accuracy(matrix: ArrayLike, visits: Sequence[int] | None = None) -> float:
    """Return ACC, the mean accuracy at the end over the tasks that were visited.

    References
    ----------
    Lopez-Paz & Ranzato (2017) NeurIPS, eq. 2.
    """
    r, first = _checked("average_accuracy", matrix, visits)
    return float(r[-1, sorted(first)].mean())


def average_incremental_accuracy(matrix: ArrayLike, visits: Sequence[int] | None = None) -> float:
    """Return the mean over visits of the mean accuracy on the tasks met so far.

    References
    ----------
    Rebuffi, Kolesnikov, Sperl & Lampert (2017) CVPR, sec. 4.
    """
    r, first = _checked("average_incremental_accuracy", matrix, visits)
    rows = [[r[v, j] for j, met in first.items() if met <= v] for v in range(len(r))]
    return float(np.mean([np.mean(row) for row in rows]))


def backward_transfer(matrix: ArrayLike, visits: Sequence[int] | None = None) -> float:
    """Return BWT: the accuracy at the end less that just after a task was first learnt.

    The mean over the tasks met before the last visit; NaN if there is none.

    References
    ----------
    Lopez-Paz & Ranzato (2017), eq. 3.
    """
    r, first = _checked("backward_transfer", matrix, visits)
    old = [(j, met) for j, met in first.items() if met < len(r) - 1]
    return float(np.mean([r[-1, j] - r[met, j] for j, met in old])) if old else float("nan")


def forward_transfer(
    matrix: ArrayLike, untrained: ArrayLike, visits: Sequence[int] | None = None
) -> float:
    """Return FWT: the accuracy on a task just before it is first learnt, less that of a newborn.

    Parameters
    ----------
    matrix : (n_visits, n_tasks) array-like
    untrained : (n_tasks,) array-like
        Accuracy of the learner before it has learnt anything.
    visits : sequence of int, optional

    References
    ----------
    Lopez-Paz & Ranzato (2017), eq. 4.
    """
    r, first = _checked("forward_transfer", matrix, visits)
    newborn = np.asarray(untrained, dtype=np.float64)
    late = [(j, met) for j, met in first.items() if met > 0]
    return float(np.mean([r[met - 1, j] - newborn[j] for j, met in late])) if late else float("nan")


def forgetting(matrix: ArrayLike, visits: Sequence[int] | None = None) -> float:
    """Return how much of the best earlier accuracy on a task is lost at the end.

    The mean over the tasks met before the last visit; NaN if there is none. What was not measured
    (NaN) is left out; the accuracy just after a task was first learnt must be.

    References
    ----------
    Chaudhry, Dokania, Ajanthan & Torr (2018) ECCV, eq. 3.
    """
    r, first = _checked("forgetting", matrix, visits)
    old = [(j, met) for j, met in first.items() if met < len(r) - 1]
    lost = [np.fmax.reduce(r[met:-1, j]) - r[-1, j] for j, met in old]
    return float(np.mean(lost)) if lost else float("nan")


def hindsight_matrix(
    scores: Sequence[ArrayLike],
    labels: Sequence[ArrayLike],
    outputs: ArrayLike,
    visits: Sequence[int] | None = None,
) -> FloatArray:
    """Return R as it would have been had all been known from the start, but for what can be asked.

    Row v is of the scores at the *end*, with no answer among outputs that no task up to visit v
    has. So nothing is learnt or lost from row to row; what falls does because a class that came
    later is like an earlier one. `forgetting` of this matrix is the part of forgetting that a
    learner who loses nothing has, too.

    Parameters
    ----------
    scores : sequence of (n, n_outputs) array-like
        By task, of its test images.
    labels : sequence of (n,) int array-like
    outputs : (n_tasks, n_outputs) bool array-like
        Which outputs a task has.
    visits : sequence of int, optional
    """
    has = np.asarray(outputs, dtype=np.bool_)
    order = range(len(has)) if visits is None else visits
    matrix = np.zeros((len(order), len(has)))
    known = np.zeros(has.shape[1], dtype=np.bool_)
    for v, task in enumerate(order):
        known |= has[task]
        for j, (each, y) in enumerate(zip(scores, labels, strict=True)):
            answers = np.where(known, np.asarray(each), -np.inf).argmax(axis=1)
            matrix[v, j] = (answers == np.asarray(y)).mean()
    return matrix


def hindsight_fall(
    scores: Sequence[ArrayLike],
    labels: Sequence[ArrayLike],
    outputs: ArrayLike,
    visits: Sequence[int] | None = None,
) -> float:
    """Return the largest `stability_gap` of old classes in hindsight, as `hindsight_matrix`.

    Before a visit no output of it can be answered, after it all can.

    Parameters
    ----------
    scores, labels, outputs, visits
        As `hindsight_matrix`.
    """
    has = np.asarray(outputs, dtype=np.bool_)
    order = list(range(len(has)) if visits is None else visits)
    falls = [0.0]
    for v in range(1, len(order)):
        rows = []
        for until in (v, v + 1):
            known = np.asarray(has[order[:until]].any(axis=0))
            rows.append(_by_class(scores, labels, known, set(order[:v]) - {order[v]}))
        if rows[0].size:
            falls.append(stability_gap(rows[0], rows[1][None]))
    return max(falls)


def intransigence(
    matrix: ArrayLike, reference: ArrayLike, visits: Sequence[int] | None = None
) -> float:
    """Return how much worse tasks are learnt than by a learner who sees all of them at once.

    ``I_j = a*_j - R[first visit of j, j]``, the mean over tasks.

    Parameters
    ----------
    matrix : (n_visits, n_tasks) array-like
    reference : (n_tasks,) array-like
        Accuracy of joint learning; see `joint_reference`.
    visits : sequence of int, optional

    References
    ----------
    Chaudhry et al. (2018), eq. 4.
    """
    r, first = _checked("intransigence", matrix, visits)
    best = np.asarray(reference, dtype=np.float64)
    return float(np.mean([best[j] - r[met, j] for j, met in first.items()]))


def joint_reference(
    accuracy: ArrayLike, hindsight: ArrayLike, visits: Sequence[int] | None = None
) -> FloatArray:
    """Return what `intransigence` is measured against, from a course of joint learning.

    ``a*_j`` is the accuracy on task j when no class can be answered that comes after j is first
    met: whoever has just learnt j could not answer it either. Where tasks share outputs, or are
    told, there is nothing to be left out.

    In the paper the reference for each task learns the tasks up to it alone; ours is one learner of
    all tasks.

    Parameters
    ----------
    accuracy : (n_visits, n_tasks) array-like
        Of joint learning.
    hindsight : (n_visits, n_tasks) array-like
        Its `hindsight_matrix`; NaN where it is not defined.
    visits : sequence of int, optional
    """
    r, first = _checked("joint_reference", accuracy, visits)
    confined, found = np.asarray(hindsight, dtype=np.float64), r[-1].copy()
    for j, met in first.items():
        if np.isfinite(confined[met, j]):
            found[j] = confined[met, j]
    return found


def stability_gap(before: ArrayLike, during: ArrayLike) -> float:
    """Return the largest fall of an old task while a new one is learnt, as a share of what it was.

    Parameters
    ----------
    before : (n_tasks,) array-like
        Accuracy on the old tasks when the new one begins; those at 0 are left out.
    during : (n_probes, n_tasks) array-like
        Accuracy on them while it is learnt.

    References
    ----------
    De Lange, van de Ven & Tuytelaars (2023) ICLR, "Continual evaluation for lifelong learning".
    """
    start, probes = np.asarray(before, dtype=np.float64), np.asarray(during, dtype=np.float64)
    if probes.ndim != 2 or start.shape != probes.shape[1:] or not probes.size:
        raise ConfigError.expected(
            "stability_gap", "during", f"(n_probes, {start.size}) accuracies", probes.shape,
            "probe the same tasks before and during",
        )  # fmt: skip
    some = start > 0
    falls = (start[some] - probes[:, some].min(axis=0)) / start[some]
    return float(max(falls.max(initial=0.0), 0.0))


def sparsity(rates: ArrayLike) -> float:
    """Return the mean sparseness of patterns: 1 if all cells fire alike, 1/n if one of n does.

    ``a = (sum r / n)^2 / (sum r^2 / n)``; for binary patterns the share of active cells.

    References
    ----------
    Treves & Rolls (1991) Network 2:371; Rolls & Tovee (1995) J. Neurophysiol. 73:713.
    """
    r = np.asarray(rates, dtype=np.float64)
    square = np.square(r).mean(axis=1)
    some = square > 0
    return float((np.square(r.mean(axis=1))[some] / square[some]).mean()) if some.any() else 0.0


def separation(rates: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """Return the mean overlap (cosine) of patterns of one class, and of different classes.

    Parameters
    ----------
    rates : (n_patterns, n_units) array-like
    labels : (n_patterns,) array-like
    """
    overlap, y = overlap_matrix(rates), np.asarray(labels)
    same = y[:, None] == y[None]
    others = ~np.eye(len(y), dtype=bool)
    pairs = same & others, ~same
    if not all(each.any() for each in pairs):
        raise ConfigError.expected(
            "separation", "labels", "two classes or more, one with two patterns or more",
            np.unique(y).tolist(), "give more patterns",
        )  # fmt: skip
    within, between = (float(overlap[each].mean()) for each in pairs)
    return within, between


def replay_fidelity(replayed: ArrayLike, stored: ArrayLike) -> float:
    """Return how like a stored pattern a replayed one is: the cosine with the nearest, on average.

    Parameters
    ----------
    replayed, stored : (n, n_units) array-like
        Rates of 0 or more.
    """
    a, b = np.asarray(replayed, dtype=np.float64), np.asarray(stored, dtype=np.float64)
    if not len(a) or not len(b) or a.shape[1:] != b.shape[1:]:
        raise ConfigError.expected(
            "replay_fidelity", "replayed", "a pattern or more of the stored patterns' size",
            (a.shape, b.shape), "replay longer, or decode both to the same cells",
        )  # fmt: skip
    norms = [np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b)]
    cosines = (a / np.maximum(norms[0], 1e-12)) @ (b / np.maximum(norms[1], 1e-12)).T
    return float(cosines.max(axis=1).mean())


def replay_coverage(classes: ArrayLike, n_classes: int) -> float:
    """Return how evenly replay goes over classes: 1 all alike, 0 only one.

    ``H(p) / log C``, p the share of each of C classes among what was replayed.

    Parameters
    ----------
    classes : (n,) int array-like
        Of each replayed pattern.
    n_classes : int

    References
    ----------
    Pielou (1966) J. Theor. Biol. 13:131 (evenness).
    """
    counts = np.bincount(np.asarray(classes, dtype=np.int64), minlength=n_classes)
    if n_classes < 2 or len(counts) > n_classes or counts.sum() == 0:
        raise ConfigError.expected(
            "replay_coverage", "classes", "replays of two classes or more", counts, "check them"
        )
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log(p)).sum() / np.log(n_classes)) + 0.0


def _by_class(
    scores: Sequence[ArrayLike],
    labels: Sequence[ArrayLike],
    known: NDArray[np.bool_],
    tasks: set[int],
) -> FloatArray:
    """Return the accuracy on each class of some tasks when only known outputs can be answered."""
    found = []
    for task in sorted(tasks):
        y = np.asarray(labels[task])
        right = np.where(known, np.asarray(scores[task]), -np.inf).argmax(axis=1) == y
        found += [right[y == label].mean() for label in np.unique(y)]
    return np.array(found)


def _checked(
    owner: str, matrix: ArrayLike, visits: Sequence[int] | None
) -> tuple[FloatArray, dict[int, int]]:
    """Return R and, by task, the visit that met it first."""
    r = np.asarray(matrix, dtype=np.float64)
    order = range(len(r)) if visits is None else visits
    if r.ndim != 2 or not r.size or len(order) != len(r) or max(order) >= r.shape[1]:
        raise ConfigError.expected(
            owner, "matrix", "one row a visit, one column a task", (r.shape, tuple(order)),
            "measure every task after every visit",
        )  # fmt: skip
    first: dict[int, int] = {}
    for visit, task in enumerate(order):
        first.setdefault(task, visit)
    return r, first
