"""The methods on whole streams: their order on the digits, bars, the experiment."""

from dataclasses import replace

import numpy as np
import pytest

from experiments import class_incremental
from experiments.continual.fast_memory import FastMemory
from experiments.continual.nearest_class_mean import NearestClassMean
from neurosim import continual_metrics as measures
from neurosim.continual import live
from neurosim.continual_learner import Method
from neurosim.datasets import load
from neurosim.discovery import members
from neurosim.errors import ConfigError
from neurosim.randomness import Streams
from neurosim.stream_config import StreamConfig
from neurosim.streams import Stream

METHODS = members("experiments.continual", Method)


def acc(name, **changes):
    stream = Stream(StreamConfig("digits"), 0)
    course = live(stream, METHODS[name](**changes), Streams(0).generator("learner"), probe=0)
    return course.metrics()


@pytest.mark.compiled
def test_the_digits_show_the_order_of_the_methods():
    numbers = {name: acc(name) for name in ("none", "ewc", "er", "nearest_class_mean")}
    numbers["fast"] = acc("fast_memory", budget=100_000)
    numbers["er 10"] = acc("er", per_class=10)
    got = {name: each["acc"] for name, each in numbers.items()}
    assert got["none"] < 0.25 and got["ewc"] < 0.35
    assert got["ewc"] < got["er 10"] < got["fast"]
    assert got["none"] < got["er"] < got["fast"] and got["nearest_class_mean"] < got["fast"]
    assert got["fast"] > 0.93 and numbers["fast"]["forgetting"] < 0.05
    assert numbers["none"]["forgetting"] > 0.8 and numbers["fast"]["n_bytes_raw"] == 0


@pytest.mark.compiled
@pytest.mark.parametrize(
    "changes",
    [{"scenario": "domain"}, {"scenario": "task"}, {"boundaries": "fuzzy"}, {"boundaries": "none"},
     {"batch": 1}, {"visits": (0, 1, 0, 2, 3, 4)}, {"shares": (0.1,) * 3 + (1.0,) * 7}],
    ids=str,
)  # fmt: skip
def test_the_fast_memory_lives_along_every_stream(changes):
    stream = Stream(replace(StreamConfig("digits"), **changes), 1)
    course = live(stream, FastMemory(60_000), Streams(1).generator("learner"), probe=0)
    assert course.metrics()["acc"] > 0.88 and course.metrics()["forgetting"] < 0.06


def test_a_task_that_cannot_be_examined_is_named():
    digits = load("digits")
    few = digits.test_labels < 8
    images = replace(
        digits, test_images=digits.test_images[few], test_labels=digits.test_labels[few]
    )
    stream = Stream(StreamConfig("digits", shuffle=False), 0, images)
    rng = Streams(0).generator("learner")
    with pytest.raises(ConfigError, match=r"tasks\[4\].*test image or more, got.*\(8, 9\)"):
        live(stream, NearestClassMean(), rng)
    whole = Stream(StreamConfig("digits"), 0)
    with pytest.raises(ConfigError, match=r"tasks\[0\].*validation image.*raise validation"):
        live(whole, NearestClassMean(), rng, "validation")


@pytest.mark.data
@pytest.mark.slow
def test_the_fast_memory_reaches_its_bars_on_mnist():
    stream = Stream(StreamConfig("mnist"), 0)
    for budget, bar in ((79_000, 0.94), (400_000, 0.965), (1_100_000, 0.98)):
        course = live(stream, FastMemory(budget=budget), Streams(0).generator("learner"), probe=0)
        assert course.n_bytes <= budget
        assert course.metrics()["acc"] >= bar


@pytest.mark.compiled
def test_the_experiment_looks_inside_and_draws():
    import matplotlib.pyplot as plt

    config = class_incremental.Config(
        arms=("none", "NCM", "ER 10", "fast 69 kB"), seeds=(0, 1), workers=1, probe=20, audit=5
    )
    result = class_incremental.run(config)
    numbers = result.metrics()
    assert numbers["acc_none"] < numbers["acc_er_10"] < numbers["acc_fast_69_kb"]
    assert numbers["acc_fast_69_kb_low"] < numbers["acc_fast_69_kb"]
    # The gyrus separates, and keeps no image.
    assert numbers["dg_between_fast_69_kb"] < 0.5 * numbers["ec_between_fast_69_kb"]
    assert numbers["dg_within_fast_69_kb"] > 3 * numbers["dg_between_fast_69_kb"]
    assert numbers["fewest_wins_fast_69_kb"] >= 2 and numbers["single_cells_fast_69_kb"] == 0
    assert numbers["decoded_told_fast_69_kb"] == 0
    # Of 1,980 cells one in an almost empty corner is nearer to one image than a count; ten made it.
    assert numbers["cells_told_fast_69_kb"] <= 2
    assert numbers["n_bytes_fast_69_kb"] <= 69_000
    # Of every arm all that is defined for it, and nothing else.
    for name in ("acc", "bwt", "fwt", "forgetting", "acc_after_10", "n_bytes", "weight_writes",
                 "input_between", "intransigence"):  # fmt: skip
        assert all(np.isfinite(numbers[f"{name}_{arm}"]) for arm in ("none", "ncm", "er_10"))
    assert numbers["verbatim_er_10"] == 100 and numbers["coverage_er_10"] > 0.9
    assert numbers["fidelity_er_10"] == pytest.approx(1, abs=1e-6)
    assert not any(key.startswith(("coverage_n", "fidelity_n", "hidden_1_within_ncm"))
                   for key in numbers)  # fmt: skip
    # The last hidden layer of plain descent tells less apart than that of replay.
    assert numbers["hidden_2_between_none"] > numbers["hidden_2_between_er_10"]
    figure, axes = plt.subplots()
    class_incremental.plot(result, axes)
    assert len(axes.containers) == 2  # Two families with bars.
    plt.close(figure)


def test_without_a_reference_there_is_no_intransigence_and_without_an_arm_no_run():
    config = class_incremental.Config(
        arms=("none", "joint"), seeds=(0,), workers=1, probe=0, inside=0
    )
    lone = class_incremental.run(replace(config, reference=False)).metrics()
    assert "intransigence_none" not in lone and "input_within_none" not in lone
    both = class_incremental.run(config)
    assert "intransigence_joint" not in both.metrics()
    own = both.measured["joint"]
    reference = measures.joint_reference(own["accuracy"][0], own["hindsight"][0])
    assert both.metrics()["intransigence_none"] == pytest.approx(
        measures.intransigence(both.measured["none"]["accuracy"][0], reference)
    )
    with pytest.raises(ConfigError, match=r"seeds: expected one or more, got \(\); name some"):
        class_incremental.run(replace(config, seeds=(), reference=False))


def test_a_protocol_brings_its_own_network():
    config = class_incremental.Config(protocol="van_de_ven")
    ewc = config.method("EWC")
    assert (ewc.hidden, ewc.optimiser, ewc.eta, ewc.strength) == ((400, 400), "adam", 1e-3, 1e9)
    assert config.method("ER 20").by_tasks and config.method("ER 20").per_class == 20
    # What is published is of the arms that keep as much as the authors' buffer.
    for arm in ("ER 100", "A-GEM 100"):
        assert config.method(arm).per_class == type(config.method(arm)).van_de_ven["per_class"]
    assert (
        config.method("SI").drawn_biases
        and not class_incremental.Config().method("SI").drawn_biases
    )
    assert config.stream().iterations == 2000 and config.method("NCM") == NearestClassMean()
    assert class_incremental.Config().method("EWC").hidden == (100, 100)
    with pytest.raises(ConfigError, match="did you mean ER 10"):
        class_incremental.Config(arms=("ER10",))
