"""What is inside a brain that has slept: what it replays, and how far apart images lie in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from circuits.entorhinal_sheet import WHITE
from experiments import pattern_audit
from experiments.sleeper import Sleeper
from neurosim import continual_metrics as measures
from neurosim.randomness import Streams
from neurosim.streams import Stream


def look_inside(sleeper: Sleeper, stream: Stream, part: str, n: int) -> dict[str, float]:
    """Measure what is replayed, and how far apart two images are in each region.

    Parameters
    ----------
    sleeper : Sleeper
    stream : Stream
        Which it has lived along.
    part : str
        Of the test images, "test" or "validation".
    n : int
        Replays and images looked at.

    Returns
    -------
    dict of str to float
        ``agreement`` and ``trusted``: the mean share of synapses that agree with a burst, and the
        share of bursts that teach. ``coverage``; see `continual_metrics.replay_coverage`.
        ``fidelity``: the cosine of a replayed sheet with the nearest sheet of the stream, and
        ``fidelity_of_new``, that of a test image's. ``nearest`` and ``nearest_least``: their
        distance, mean and least, over that of a sheet of the stream to the nearest other;
        ``verbatim``, replays at distance 0. ``ec_``, ``dg_``, ``ca3_`` and ``cortex_`` with
        ``within``, ``between`` and ``sparsity``.
    """
    rng = Streams(0).generator("inside")
    old = np.concatenate(
        [sleeper.sheet.encode(b.x) for v in range(len(stream.visits)) for b in stream.batches(v)]
    )
    tests = [stream.test(number, part) for number in range(len(stream.tasks))]
    few = n // len(tests)
    x = np.concatenate([batch.x[:few] for batch in tests])
    y = np.concatenate([batch.y[:few] for batch in tests])
    new = sleeper.sheet.encode(x)
    found = {f"{k}_{name}": v for k, name, v in _regions(sleeper, new, y)}
    replays = sleeper.hippocampus.replay(n, rng, 0.2)
    if replays:
        drawn = np.array([list(r.items) for r in replays], np.uint8)
        confidence = np.array([r.confidence for r in replays])
        own, near = nearest(drawn[:, :-1], old)
        some = rng.permutation(len(old))[:n]
        _, other = nearest(old[some], old, some)
        found |= {
            "agreement": float(confidence.mean()),
            "trusted": float((confidence >= sleeper.method.night.confidence).mean()),
            "coverage": measures.replay_coverage(drawn[:, -1], stream.n_outputs),
            "fidelity": float(own.mean()),
            "fidelity_of_new": float(nearest(new, old)[0].mean()),
            "nearest": float(near.mean() / other.mean()),
            "nearest_least": float(near.min() / other.mean()),
            "verbatim": float((near == 0).sum()),
        }
    return found


def audit_inside(sleeper: Sleeper, stream: Stream, n: int) -> dict[str, NDArray[np.float64]]:
    """Audit what a brain stores, what it replays and what it dreams; see `pattern_audit`.

    Parameters
    ----------
    sleeper : Sleeper
    stream : Stream
        Which it has lived along.
    n : int
        Replays, and dreams of the cortex.

    Returns
    -------
    dict of str to ndarray
        Those of `pattern_audit.table`; and ``replays`` and ``dreams (n, 3)``: of each the nearest
        training image, the distance of their sheets and how many images share it, with what
        `pattern_audit.summary` makes of them. A replay as strong as a memory of one image would
        leave it: all bursts are looked at, not only those that teach.
    """
    rng = Streams(0).generator("audit")
    gyrus = sleeper.hippocampus.gyrus
    old = np.concatenate(
        [sleeper.sheet.encode(b.x) for v in range(len(stream.visits)) for b in stream.batches(v)]
    ).astype(np.float32)
    activity = (old / np.float32(WHITE)).reshape(-1, *sleeper.sheet.shape)
    found = pattern_audit.table(gyrus, activity, rng)
    unit = pattern_audit.nearest_other(old, rng.permutation(len(old))[:n]).mean()
    for name, drawn in (
        ("replays", [r.items for r in sleeper.hippocampus.replay(n, rng, 0.2)]),
        ("dreams", sleeper.cortex.dream(n, 0)),
    ):
        if not drawn:  # An emptied hippocampus, or a newborn cortex.
            continue
        sheets = np.array([list(items) for items in drawn], np.float32)[:, :-1]
        each = pattern_audit.audit(sheets, old, pattern_audit.whole_count(gyrus))
        found[name] = np.stack([each.nearest, each.distance, each.sharing], axis=1)
        found |= pattern_audit.summary(name, each, float(unit))
    return found


def nearest(
    asked: NDArray[np.uint8], known: NDArray[np.uint8], own: NDArray[np.intp] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the cosine with the most alike, and the distance to the nearest, of known sheets.

    Parameters
    ----------
    asked, known : (n, n_levels) uint8
    own : (n_asked,) int, optional
        Where those asked stand among the known; they do not count as their own nearest.
    """
    a, b = asked.astype(np.float32), known.astype(np.float32)
    products = a @ b.T
    norms = np.square(a).sum(axis=1), np.square(b).sum(axis=1)
    cosines = products / np.sqrt(np.maximum(norms[0][:, None] * norms[1], 1))
    squares = norms[0][:, None] - 2 * products + norms[1]
    if own is not None:
        at = np.arange(len(a)), own
        cosines[at], squares[at] = -1, np.inf
    best = np.sqrt(np.maximum(squares.min(axis=1), 0))
    return cosines.max(axis=1).astype(np.float64), best.astype(np.float64)


def _regions(
    sleeper: Sleeper, sheets: NDArray[np.uint8], labels: NDArray[np.int64]
) -> list[tuple[str, str, float]]:
    """Return region, measure and value.

    What a sheet is in CA3: where the cells that it drives settle, of the class it is taken for.
    """
    hippocampus, cortex = sleeper.hippocampus, sleeper.cortex
    gyrus, net = hippocampus.gyrus, cortex.network
    activity = sheets.reshape(-1, *sleeper.sheet.shape).astype(np.float32)
    activity /= np.float32(255)
    hidden = [net.activity(k, v)[0] for k, v in enumerate(net.sweep(sheets / np.float32(255)))]
    rates = {"ec": sheets.astype(np.float32), "cortex": np.maximum(hidden[1], 0)}
    if gyrus.wins.any(axis=2).all():
        distances = gyrus.distances(activity, np.arange(gyrus.n_lamellae))
        winners = distances.reshape(*distances.shape[:2], -1).argmin(axis=2)
        named = distances.min(axis=3).sum(axis=1).argmin(axis=1)
        own = distances[np.arange(len(sheets)), :, named].argmin(axis=2)
        settled = hippocampus.ca3.settle(named, own, gyrus.wins)
        cells = gyrus.config.cells
        for region, code in (("dg", winners), ("ca3", named[:, None] * cells + settled)):
            rates[region] = np.zeros((len(sheets), gyrus.n_units), np.float32)
            first = np.arange(gyrus.n_lamellae) * gyrus.config.n_classes * cells
            rates[region][np.arange(len(sheets))[:, None], first + code] = 1
    found = []
    for region, each in rates.items():
        within, between = measures.separation(each, labels)
        numbers = {"within": within, "between": between, "sparsity": measures.sparsity(each)}
        found += [(region, name, value) for name, value in numbers.items()]
    return found
