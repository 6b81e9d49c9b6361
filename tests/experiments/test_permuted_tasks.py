"""Tasks whose pixels are permuted: late tasks find room, and early ones stay."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments import permuted_tasks
from experiments.continual.fast_memory import FastMemory
from experiments.permuted_tasks import Config, Result
from neurosim.continual_learner import Shape
from neurosim.errors import ConfigError, InputError
from neurosim.streams import Batch


def test_what_is_compared_are_the_ends():
    learnt = np.array([[0.9, 0.8, 0.5, 0.7, 0.6, 0.4]])
    end = np.array([[0.7, 0.7, 0.2, 0.9, 0.5, 0.4]])
    measured = {"none": {"learnt": learnt, "end": end, "n_bytes": np.zeros(1)}}
    got = Result(Config(n_tasks=6, ends=2, arms=("none",)), measured).metrics()
    assert got["fall_none"] == pytest.approx(0.7 - 0.45)
    assert got["late_none"] == pytest.approx(0.85 - 0.5)
    assert got["forgetting_none"] == pytest.approx((0.2 + 0.1 + 0.3 - 0.2 + 0.1) / 5)
    assert got["acc_none"] == pytest.approx(end.mean())


@pytest.mark.compiled
def test_a_small_memory_with_room_stays_above_one_without(monkeypatch):
    arms = {
        room: FastMemory(12_000, maps=False, room=room == "fast 100 kB")
        for room in ("fast 100 kB", "no room 1000 kB")
    }
    monkeypatch.setattr(permuted_tasks, "ARMS", {**permuted_tasks.ARMS, **arms})
    config = Config("digits", n_tasks=12, share=0.5, test=200, seeds=(0,), workers=1, ends=4)
    result = permuted_tasks.run(
        Config(**{**vars(config), "arms": ("fast 100 kB", "no room 1000 kB", "none")})
    )
    numbers = result.metrics()
    assert numbers["acc_fast_100_kb"] > numbers["acc_none"] + 0.3
    assert numbers["acc_fast_100_kb"] > numbers["acc_no_room_1000_kb"] + 0.02
    assert numbers["last_learnt_fast_100_kb"] > numbers["last_learnt_no_room_1000_kb"] + 0.02
    assert numbers["n_bytes_fast_100_kb"] <= 12_000
    assert numbers["n_bytes_none"] == numbers["n_bytes_network_none"] > 0
    for name in ("bwt", "fwt", "acc_after_5", "weight_writes", "dg_between", "intransigence"):
        assert np.isfinite(numbers[f"{name}_fast_100_kb"])
    assert numbers["bwt_none"] == pytest.approx(-numbers["forgetting_none"])
    assert numbers["hidden_2_within_none"] > numbers["hidden_2_between_none"]
    r = result.measured["none"]["accuracy"][0]
    assert np.isfinite(r[3, 3:5]).all() and np.isnan(r[3, [0, 5]]).all()
    figure, axes = plt.subplots()
    permuted_tasks.plot(result, axes)
    assert len(axes.lines) == 4
    plt.close(figure)


def test_without_maps_the_pixels_drive_four_lamellae():
    learner = FastMemory(20_000, maps=False).begin(Shape(64, 10, (8, 8)), np.random.default_rng(0))
    assert learner.lamellae.n_lamellae == 4 and learner.lamellae.config.extent == 4
    x = np.random.default_rng(1).random((5, 64)).astype(np.float32)
    learner.observe(Batch(x, np.arange(5), 0))
    np.testing.assert_array_equal(learner.maps.encode(x).reshape(5, 64), x)
    assert learner.predict(x).argmax(axis=1).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r"\(n, 64\) pixels"):
        learner.predict(x[:, :49])


def test_impossible_configurations_are_refused():
    with pytest.raises(ConfigError, match="n_tasks: expected 2 or more, got 1"):
        Config(n_tasks=1)
    with pytest.raises(ConfigError, match="share: expected above 0, up to 1, got 1.5"):
        Config(share=1.5)
    with pytest.raises(ConfigError, match="ends: expected 1 or more, got 0"):
        Config(ends=0)
    with pytest.raises(ConfigError, match="did you mean fast 100 kB"):
        Config(arms=("fast 100 kb",))


def test_one_nearest_neighbour_keeps_something_of_every_task():
    rng = np.random.default_rng(0)
    tasks = rng.random((8, 10, 64)).astype(np.float32)  # A pattern a class, anew in each task.
    kept = permuted_tasks.ARMS["1-NN 1000 kB"]
    right = {}
    for by_class in (kept.by_class, not kept.by_class):
        method = replace(kept, per_class=40, by_class=by_class)
        learner = method.begin(Shape(64, 10, (8, 8)), np.random.default_rng(1))
        for number, patterns in enumerate(tasks):
            for _ in range(40):
                learner.observe(Batch(patterns, np.arange(10), number))
        right[by_class] = [
            (learner.predict(patterns).argmax(axis=1) == np.arange(10)).mean() for patterns in tasks
        ]
    # Of 40 places of a class 5 a task in the mean; that a task has none is a chance of 0.005.
    assert np.min(right[True]) > 0.8 and np.mean(right[True]) > 0.95
    assert right[False][0] == 1 and np.mean(right[False][1:]) < 0.3
