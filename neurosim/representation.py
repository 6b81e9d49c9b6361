"""What is inside a learner of streams: how far apart images lie in it, and what it replays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from neurosim import continual_metrics as measures
from neurosim.randomness import Streams
from neurosim.streams import Stream

Array = NDArray[np.float32]

PART = 2_000
"""Images of a stream that are looked through at once."""

OF_REPLAY = ("coverage", "fidelity", "fidelity_of_new", "nearest", "nearest_least", "verbatim")


@runtime_checkable
class Representing(Protocol):
    """A learner with cells between the image and the answer."""

    def regions(self, x: Array) -> Mapping[str, NDArray[Any]]:
        """Return by region the rates, 0 or more, ``(n, n_units)``; changes nothing."""


@dataclass(frozen=True, eq=False)
class Replayed:
    """What a learner has brought back.

    Parameters
    ----------
    patterns : (n, n_units) array
        Rates of 0 or more.
    classes : (n,) int
        Which output each is learnt under.
    encode : callable
        What an image is where the patterns are: from ``(n, n_inputs)`` to ``(n, n_units)``.
    numbers : mapping of str to float
        What else the learner has to say of them.
    """

    patterns: NDArray[Any]
    classes: NDArray[np.integer]
    encode: Callable[[Array], NDArray[Any]] = np.asarray
    numbers: Mapping[str, float] = field(default_factory=dict)


@runtime_checkable
class Replaying(Protocol):
    """A learner that learns from what it brings back."""

    def replay(self, n: int, rng: np.random.Generator) -> Replayed:
        """Return what it would learn from again, as many as `n` or none; changes nothing."""


def look_inside(learner: object, stream: Stream, part: str, n: int) -> dict[str, float]:
    """Measure separation and sparsity in each region, and what is replayed.

    Parameters
    ----------
    learner : ContinualLearner
        Which has lived along the stream.
    stream : Stream
    part : str
        Of the test images, "test" or "validation".
    n : int
        Replays and images looked at; of each task three images or more.

    Returns
    -------
    dict of str to float
        ``input_`` and each region's name with ``within``, ``between`` (see
        `continual_metrics.separation`; one class is one of one task) and ``sparsity``. Of a learner
        that replays also ``coverage`` (`continual_metrics.replay_coverage`); ``fidelity``, the
        cosine of a replayed pattern with the most alike training image's, and
        ``fidelity_of_new``, that of a test image's; ``nearest`` and ``nearest_least``, their
        distance, mean and least, over that of a training image to the nearest other; ``verbatim``,
        replays at distance 0; NaN when nothing came back.
    """
    few = max(3, n // len(stream.tasks))
    tests = [stream.test(number, part, few) for number in range(len(stream.tasks))]
    x = np.concatenate([batch.x for batch in tests])
    own = [batch.y + k * stream.n_outputs for k, batch in enumerate(tests)]
    regions = {"input": x, **(learner.regions(x) if isinstance(learner, Representing) else {})}
    found = {
        f"{region}_{name}": value
        for region, rates in regions.items()
        for name, value in _apart(rates, np.concatenate(own)).items()
    }
    if isinstance(learner, Replaying):
        rng = Streams(0).generator("inside")
        found |= dict.fromkeys(OF_REPLAY, float("nan"))
        replayed = learner.replay(n, rng)
        if len(replayed.classes):
            found |= _brought_back(replayed, stream, x, rng)
    return found


def nearest(
    asked: NDArray[Any], known: Iterator[NDArray[Any]], own: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cosine with the most alike, and the distance to the nearest, of known patterns.

    Parameters
    ----------
    asked : (n, n_units) array
    known : iterator of (m, n_units) array
        Part by part.
    own : (n,) int, optional
        Where those asked stand among the known; they do not count as their own nearest.
    """
    a = asked.astype(np.float32)
    length = np.linalg.norm(a, axis=1)
    cosine, square = np.full(len(a), -1.0), np.full(len(a), np.inf)
    best, start = np.zeros_like(a), 0
    for part in known:
        b = part.astype(np.float32)
        lengths, products = np.linalg.norm(b, axis=1), a @ b.T
        cosines = products / np.maximum(length[:, None] * lengths, 1e-12)
        squares = length[:, None] ** 2 - 2 * products + lengths**2
        if own is not None:
            here = np.flatnonzero((own >= start) & (own < start + len(b)))
            cosines[here, own[here] - start], squares[here, own[here] - start] = -1, np.inf
        cosine = np.maximum(cosine, cosines.max(axis=1))
        at = squares.argmin(axis=1)
        least = squares[np.arange(len(a)), at]
        nearer = least < square
        square[nearer], best[nearer] = least[nearer], b[at[nearer]]
        start += len(b)
    # The difference itself: that of large squares would not find what is the same.
    distance = np.linalg.norm(a.astype(np.float64) - best, axis=1)
    return np.minimum(cosine, 1.0), distance


def _apart(rates: NDArray[Any], labels: NDArray[np.integer]) -> dict[str, float]:
    counts = np.unique(labels, return_counts=True)[1]
    within, between = float("nan"), float("nan")
    if len(counts) > 1 and counts.max() > 1:
        within, between = measures.separation(rates, labels)
    return {"within": within, "between": between, "sparsity": measures.sparsity(rates)}


def _brought_back(
    replayed: Replayed, stream: Stream, new: Array, rng: np.random.Generator
) -> dict[str, float]:
    tasks, m = sorted(set(stream.visits)), len(replayed.classes)
    ends = np.cumsum([len(stream.tasks[number].train) for number in tasks])
    some = np.sort(rng.permutation(ends[-1])[:m])

    def old() -> Iterator[Array]:
        """Yield those of some numbers among the training images."""
        for number, end in zip(tasks, ends, strict=True):
            x = stream.train(number).x
            start = end - len(x)
            yield x[some[(some >= start) & (some < end)] - start]

    def known() -> Iterator[NDArray[Any]]:
        for number in tasks:
            x = stream.train(number).x
            for start in range(0, len(x), PART):
                yield replayed.encode(x[start : start + PART])

    images = np.concatenate([new, *old()])
    asked = np.concatenate([replayed.patterns, replayed.encode(images)])
    own = np.concatenate([np.full(m + len(new), -1), some])
    cosine, distance = nearest(asked, known(), own)
    # Of images that are all alike nothing is near or far.
    unit = float(distance[m + len(new) :].mean()) or float("nan")
    outputs = np.any([stream.tasks[number].outputs for number in tasks], axis=0)
    # Without outputs that no task has, and which nobody can replay.
    place = np.cumsum(outputs) - 1
    classes = place[replayed.classes[outputs[replayed.classes]]]
    even = len(classes) > 0 and outputs.sum() > 1
    return {
        "coverage": measures.replay_coverage(classes, int(outputs.sum())) if even else float("nan"),
        "fidelity": float(cosine[:m].mean()),
        "fidelity_of_new": float(cosine[m : m + len(new)].mean()),
        "nearest": float(distance[:m].mean() / unit),
        "nearest_least": float(distance[:m].min() / unit),
        "verbatim": float((distance[:m] == 0).sum()),
        **replayed.numbers,
    }
