"""Whether a brain that has slept keeps an image: in its cells, its replays or its dreams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from circuits.entorhinal_sheet import WHITE
from experiments import pattern_audit
from experiments.sleeper import Sleeper
from neurosim.randomness import Streams
from neurosim.streams import Stream


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
        leave it: all bursts are looked at, not only those that teach. What chance alone does,
        `pattern_audit.against_unseen` tells from the test images.
    """
    rng = Streams(0).generator("audit")
    gyrus = sleeper.hippocampus.gyrus
    old = np.concatenate(
        [sleeper.sheet.encode(b.x) for v in range(len(stream.visits)) for b in stream.batches(v)]
    ).astype(np.float32)
    activity = (old / np.float32(WHITE)).reshape(-1, *sleeper.sheet.shape)
    new = np.concatenate([sleeper.sheet.encode(stream.test(k).x) for k in range(len(stream.tasks))])
    unseen = (new.astype(np.float32) / np.float32(WHITE)).reshape(-1, *sleeper.sheet.shape)
    found = pattern_audit.table(gyrus, activity, rng)
    found |= pattern_audit.against_unseen(gyrus, activity, unseen, Streams(0).generator("unseen"))
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
