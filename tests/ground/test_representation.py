"""What is measured inside a learner is what overlap, replay and nearest image are."""

from dataclasses import replace

import numpy as np
import pytest

from neurosim.datasets import ImageSet
from neurosim.representation import OF_REPLAY, PART, Replayed, look_inside, nearest
from neurosim.stream_config import StreamConfig
from neurosim.streams import Stream


def a_stream(**changes):
    """Return four classes of 2 x 3 images, thirty of each, each class bright in its own pixel."""
    rng = np.random.default_rng(0)
    sets = []
    for n in (30, 8):
        y = np.tile(np.arange(4), n)
        x = rng.integers(60, size=(len(y), 2, 3)).astype(np.uint8)
        x[np.arange(len(y)), 0, np.minimum(y, 2)] += 150
        x[y == 3, 1, 0] += 190
        sets += [x, y.astype(np.uint8)]
    images = ImageSet("made", sets[0], sets[1], sets[2], sets[3])
    return Stream(replace(StreamConfig("made", n_tasks=2), **changes), 0, images)


class Sharp:
    """A learner with one cell a class, which fires alone: it was told."""

    def __init__(self, stream, replays=None):
        test = [stream.test(k) for k in range(len(stream.tasks))]
        self.known = {x.tobytes(): y for b in test for x, y in zip(b.x, b.y, strict=True)}
        if replays is not None:
            self.replay = lambda n, rng: replays

    def regions(self, x):
        return {"cells": np.eye(4)[[self.known[row.tobytes()] for row in x]]}


def test_cells_of_one_class_are_apart_from_others_by_all_and_images_are_not():
    stream = a_stream()
    found = look_inside(Sharp(stream), stream, "test", 16)
    assert (found["cells_within"], found["cells_between"]) == (1, 0)
    assert found["cells_sparsity"] == pytest.approx(0.25)
    x = np.concatenate([stream.test(k).x[:8] for k in (0, 1)]).astype(np.float64)
    y = np.concatenate([stream.test(k).y[:8] for k in (0, 1)])
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [(i, j) for i in range(16) for j in range(16) if i != j]
    for name, same in (("within", True), ("between", False)):
        cosines = [unit[i] @ unit[j] for i, j in pairs if (y[i] == y[j]) == same]
        assert found[f"input_{name}"] == pytest.approx(np.mean(cosines), rel=1e-6)
    assert 0.2 < found["input_between"] < found["input_within"] < 1
    assert not set(OF_REPLAY) & set(found)  # It replays nothing.


def test_the_same_output_of_two_tasks_is_two_classes():
    stream = a_stream(scenario="domain")
    found = look_inside(Sharp(stream), stream, "test", 16)
    # Half of the outputs agree in pairs of different tasks, which is between classes.
    assert found["cells_within"] == 1 and 0.2 < found["cells_between"] < 0.5


def test_stored_images_come_back_verbatim_and_noise_does_not():
    stream = a_stream()
    kept = stream.train(1)
    assert set(kept.y.tolist()) == set(stream.tasks[1].classes) and len(kept.y) == 60
    found = look_inside(Sharp(stream, Replayed(kept.x[:20], kept.y[:20])), stream, "test", 16)
    assert found["verbatim"] == 20 and found["nearest"] == found["nearest_least"] == 0
    assert found["fidelity"] == pytest.approx(1, abs=1e-6) and found["coverage"] < 0.51
    assert 0.9 < found["fidelity_of_new"] < 1
    both = [stream.train(k) for k in (0, 1)]
    mixed = Replayed(np.concatenate([b.x for b in both]), np.concatenate([b.y for b in both]))
    assert look_inside(Sharp(stream, mixed), stream, "test", 16)["coverage"] == pytest.approx(1)
    noise = np.random.default_rng(1).random((20, 6))
    found = look_inside(Sharp(stream, Replayed(noise, np.arange(20) % 4)), stream, "test", 16)
    assert found["verbatim"] == 0 < found["nearest_least"] and found["fidelity"] < 0.99


def test_patterns_are_compared_where_they_are_and_what_else_is_said_is_kept():
    stream = a_stream()
    half = stream.train(0)
    replayed = Replayed(
        half.x[:5, ::2], half.y[:5], lambda x: x[:, ::2], {"agreement": 0.75}
    )  # fmt: skip
    found = look_inside(Sharp(stream, replayed), stream, "test", 16)
    assert found["verbatim"] == 5 and found["agreement"] == 0.75


def test_nothing_replayed_is_no_number():
    stream = a_stream()
    nothing = Replayed(np.zeros((0, 6), np.float32), np.zeros(0, np.int64))
    found = look_inside(Sharp(stream, nothing), stream, "test", 16)
    assert all(np.isnan(found[name]) for name in OF_REPLAY)


def test_an_output_that_no_task_has_does_not_count_as_left_out():
    stream = a_stream(n_outputs=9)
    both = [stream.train(k) for k in (0, 1)]
    mixed = Replayed(np.concatenate([b.x for b in both]), np.concatenate([b.y for b in both]))
    assert look_inside(Sharp(stream, mixed), stream, "test", 16)["coverage"] == pytest.approx(1)


def test_nearest_is_that_of_comparing_one_by_one_part_by_part():
    rng = np.random.default_rng(2)
    known = rng.random((23, 5)).astype(np.float32)
    asked = np.concatenate([known[[3, 17]], rng.random((4, 5)).astype(np.float32)])
    own = np.array([3, -1, -1, -1, -1, -1])
    cosine, distance = nearest(asked, iter((known[:10], known[10:])), own)
    for k, a in enumerate(asked.astype(np.float64)):
        others = np.delete(known, own[k], axis=0) if own[k] >= 0 else known
        b = others.astype(np.float64)
        assert distance[k] == pytest.approx(np.linalg.norm(b - a, axis=1).min(), rel=1e-6)
        cosines = b @ a / np.linalg.norm(b, axis=1) / np.linalg.norm(a)
        assert cosine[k] == pytest.approx(cosines.max(), rel=1e-6)
    assert distance[0] > 0 == distance[1]  # The first is not its own nearest.
    assert PART > 1000
