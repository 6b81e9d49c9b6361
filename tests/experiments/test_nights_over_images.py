"""Nights over images: the cortex knows by morning what the hippocampus has seen by day."""

import dataclasses
import itertools
from dataclasses import replace

import numpy as np
import pytest

from circuits.bidirectional import BidirectionalConfig
from circuits.lamellar_ca3 import LamellarCA3Config
from circuits.predictive_cortex_config import PredictiveCortexConfig
from experiments import nights_over_images
from experiments.backprop_cortex import BackpropCortex
from experiments.continual.sleeping import NIGHT, Sleeping
from experiments.sleeper import CLOCK, Sleeper
from neurosim import contracts
from neurosim.continual import live
from neurosim.continual_learner import Shape
from neurosim.contracts import drift_since_dusk
from neurosim.errors import ConfigError, InputError
from neurosim.hdf5 import pack_hdf5, unpack_hdf5
from neurosim.optimisers import Optimiser
from neurosim.randomness import Streams
from neurosim.stream_config import StreamConfig
from neurosim.streams import Batch, Stream

TINY = replace(NIGHT, steps=8, bursts_per_memory=8)
SHAPE = Shape(64, 4, (8, 8))


def born(seed=0, **settings):
    tiny = {"budget": 20_000, "n_fields": 4, "patches": 400, "hidden": (12,), "night": TINY}
    return Sleeper(Sleeping(**{**tiny, **settings}), SHAPE, np.random.default_rng(seed))


def images(n=30, seed=0, classes=(0, 1, 2, 3)):
    rng = np.random.default_rng(seed)
    y = rng.choice(classes, size=n)
    means = np.random.default_rng(9).random((4, 64)) < 0.4
    x = 0.7 * means[y] + 0.3 * rng.random((n, 64))
    return Batch(x.astype(np.float32), y, 0)


def budgeted(sleeper):
    names = [n for n in sleeper.state if n.startswith("memory/") and not n.startswith(CLOCK)]
    return sum(sleeper.state[name].nbytes for name in names)


# The cortices


def test_backpropagation_gives_the_gradients_of_autograd():
    import torch
    from torch.nn import functional

    shape = BidirectionalConfig(
        (6, 7, 5, 3), "tanh", dtype="float64", optimiser=Optimiser("sgd", eta=1.0)
    )
    cortex = BackpropCortex(PredictiveCortexConfig(shape, covered=0.0))
    assert isinstance(cortex, contracts.Cortex)
    rng = np.random.default_rng(0)
    x, y = rng.random((4, 6)), rng.integers(3, size=4)
    net = cortex.network
    weights = [torch.tensor(p, requires_grad=True) for p in net.parameters]
    up, down, up_bias, down_bias = weights[:3], weights[3:6], weights[6:9], weights[9:]
    sent = [torch.tensor(x)]
    for layer in range(3):
        drive = functional.linear(sent[-1], up[layer], up_bias[layer])
        sent.append(torch.tanh(drive) if layer < 2 else drive)
    loss = functional.cross_entropy(sent[-1], torch.tensor(y))
    drives = [torch.tensor(x), *(torch.atanh(h) for h in sent[1:3])]
    named = functional.one_hot(torch.tensor(y), 3).double()
    for layer in range(3):
        above = named if layer == 2 else sent[layer + 1]
        told = functional.linear(above.detach(), down[layer], down_bias[layer])
        loss = loss + 0.5 * (drives[layer].detach() - told).square().sum() / 4
    loss.backward()
    before = [p.copy() for p in net.parameters]
    cortex.study(x, y)
    for p, old, w in zip(net.parameters, before, weights, strict=True):
        np.testing.assert_allclose(p - old, -w.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_backpropagation_too_is_told_what_a_dream_came_of():
    shape = BidirectionalConfig((6, 7, 3), dtype="float64", optimiser=Optimiser("sgd", eta=0.1))
    moved = {}
    for recognition in (0.0, 0.5):
        cortex = BackpropCortex(
            PredictiveCortexConfig(shape, covered=0.0, recognition=recognition, seed=1)
        )
        cortex.familiar[:] = True
        dreams = cortex.dream(8, 0)
        images = np.array([list(dream[:-1]) for dream in dreams]) / 255
        found = cortex.network.rise(0, images)
        before = cortex.network.up_bias[0].copy()
        cortex.learn((), (), dreams)
        moved[recognition] = cortex.network.up_bias[0] - before
    hidden = np.stack([dream.hidden[0] for dream in dreams])
    extra = 0.1 * 0.5 * (hidden - found).mean(axis=0)
    assert np.abs(extra).max() > 1e-3
    np.testing.assert_allclose(moved[0.5] - moved[0.0], extra, rtol=1e-7, atol=1e-10)


def test_a_cortex_dreams_only_of_what_it_has_been_told_of():
    sleeper = born()
    cortex = sleeper.cortex
    assert cortex.dream(5, 0) == [] and drift_since_dusk(cortex, []) == 1.0
    cortex.study(np.zeros((2, cortex.n_pixels)), np.array([1, 3]))
    assert {dream[-1] for dream in cortex.dream(50, 0)} == {1, 3}
    with pytest.raises(ConfigError, match="at most 256 classes"):
        PredictiveCortexConfig(BidirectionalConfig((4, 5, 300)))


# Days and nights


def test_it_answers_by_its_cortex_alone_and_the_cortex_sees_no_day():
    sleeper = born(development=1)
    x = images(seed=1).x
    sleeper.observe(images(1))  # The fields develop.
    newborn = sleeper.predict(x)
    sleeper.observe(images(200))
    np.testing.assert_array_equal(sleeper.predict(x), newborn)  # Nothing by day.
    sleeper.end_of_task(0)
    assert (sleeper.predict(x) != newborn).any() and sleeper.nights == 1
    answers = sleeper.predict(x)
    for array in sleeper.hippocampus.state.values():
        array[...] = 0
    sleeper.hippocampus.gyrus.wins[...] = 0
    np.testing.assert_array_equal(sleeper.predict(x), answers)  # It needs no hippocampus.


def test_what_survives_the_day_is_synapses_and_no_image():
    sleeper = born()
    n_before = sum(array.nbytes for array in sleeper.state.values())
    for seed in range(4):
        sleeper.observe(images(seed=seed))
    sleeper.end_of_task(0)
    report = 6 * 8  # Of the dawn.
    assert sum(array.nbytes for array in sleeper.state.values()) == n_before + report
    assert not any(name.startswith("memory/raw") for name in sleeper.state)
    assert not any("moments" in name for name in sleeper.state)
    assert budgeted(sleeper) <= 20_000
    raw = born(replay="raw")
    raw.observe(images())
    assert any("raw" in name for name in raw.state)


def test_a_stream_that_ends_mid_night_leaves_a_cortex_that_answers_and_goes_on():
    night = replace(TINY, cycles=3)
    broken, whole = born(night=night), born(night=night)
    x = images(seed=1).x
    for each in (broken, whole):
        each.observe(images(200))
    newborn = broken.predict(x)
    assert list(itertools.islice(broken.night(), 1)) == [1]  # The stream ends here.
    assert broken.cortex.growing and broken.nights == 0
    assert np.isfinite(broken.predict(x)).all() and (broken.predict(x) != newborn).any()
    assert any(name.startswith("memory/moments") for name in broken.state)
    after_a_cycle = broken.predict(x)
    broken.observe(images(seed=3))  # Who goes on lets the night end first.
    assert not broken.cortex.growing and broken.nights == 1 and len(broken.dawns) == 1
    np.testing.assert_array_equal(broken.predict(x), after_a_cycle)
    whole.sleep()
    assert (whole.predict(x) != after_a_cycle).any()
    broken.sleep()
    assert broken.nights == 2


def test_no_cell_of_a_single_image_outlasts_the_day():
    sleeper = born(bedtime="samples", day=100, development=1, n_cells=30)
    sleeper.observe(images(99, 0))
    assert (sleeper.hippocampus.gyrus.wins == 1).any()
    sleeper.observe(images(2, 1))
    assert sleeper.nights == 1 and not (sleeper.hippocampus.gyrus.wins == 1).any()


def test_raw_sheets_outlast_a_restart():
    sleeper, other = born(replay="raw"), born(replay="raw", seed=1)
    assert sleeper.hippocampus.replay(3, np.random.default_rng(0)) == []
    sleeper.observe(images())
    other.hippocampus.restore(sleeper.hippocampus.state)
    said = [s.hippocampus.replay(9, np.random.default_rng(0)) for s in (sleeper, other)]
    assert [r.items for r in said[0]] == [r.items for r in said[1]]
    assert len({r.items for r in said[0]}) > 3


DREAMING = replace(TINY, cycles=2, release=True, lessons_per_step=8, dreams_per_step=8)


@pytest.mark.parametrize("cut", ["young", "by day", "at night", "at dawn"])
@pytest.mark.parametrize(
    "settings",
    [
        {"night": DREAMING},
        {"night": DREAMING, "cortex": "backprop", "styles": 2},
        {"night": DREAMING, "styles": 2, "recognition": 0.01},
        {"replay": "raw", "bedtime": "samples", "day": 25},
        {"ca3": LamellarCA3Config(bits=1, deepest=3), "bedtime": "fatigue", "day": 200},
    ],
)
def test_a_life_cut_in_two_is_the_life_in_one(settings, cut):
    whole, first = born(**settings), born(**settings)
    days = [images(3, 0), images(20, 1, (0, 1)), images(20, 2, (2, 3)), images(9, 3, (2, 3))]
    n_before = 1 if cut == "young" else 2
    for each in (whole, first):
        for day in days[:n_before]:
            each.observe(day)
        if cut == "at night":
            next(each.night())
        elif cut == "at dawn":
            each.sleep()
    assert first.sheet.maps.mature == (cut != "young")  # The fields develop on four images.
    assert first.cortex.growing == (cut == "at night")
    saved = unpack_hdf5(pack_hdf5(dict(first.state), {}), "a test")[0]
    second = born(seed=1, **settings)  # Another seed: nothing of its own may matter.
    for name in ("up/0", "down/0"):
        assert (second.cortex.state[name] != whole.cortex.state[name]).any()
    second.restore(saved)
    for each in (whole, second):
        for day in days[n_before:]:
            each.observe(day)
        each.end_of_task(0)
        each.sleep()
    assert whole.nights > (cut != "young") and whole.dawns == second.dawns
    assert whole.state.keys() == second.state.keys()
    for name, array in whole.state.items():
        np.testing.assert_array_equal(array, second.state[name], err_msg=name)


def test_what_is_no_state_of_this_brain_is_refused():
    sleeper, state = born(), dict(born().state)
    with pytest.raises(InputError, match="clock/generator.*restore a state of the same"):
        sleeper.restore({n: a for n, a in state.items() if n != f"{CLOCK}generator"})
    with pytest.raises(InputError, match=r"fields: expected an array of shape \(4, 9\)"):
        sleeper.restore(state | {"memory/fields": np.zeros((3, 9), np.float32)})
    with pytest.raises(InputError, match="up/0"):
        sleeper.restore({n: a for n, a in state.items() if n != "network/up/0"})


def test_an_untouched_sleeper_has_nothing_to_dream_of():
    sleeper = born()
    sleeper.sleep()
    assert sleeper.nights == 0 and not sleeper.cortex.growing


@pytest.mark.parametrize(("bedtime", "day", "nights"), [("samples", 30, 3), ("never", 1, 0)])
def test_it_goes_to_bed_when_it_is_time(bedtime, day, nights):
    sleeper = born(bedtime=bedtime, day=day, development=1)
    for seed in range(10):
        sleeper.observe(images(10, seed))
    sleeper.end_of_task(0)
    assert sleeper.nights == nights


@pytest.mark.parametrize("batch", [1, 3, 10])
@pytest.mark.parametrize("nights", [1, 3])
def test_nights_are_as_many_as_are_asked_for_whatever_the_batch(batch, nights):
    n = 40
    sleeper = born(bedtime="samples", day=n // nights, night=replace(TINY, steps=1))
    x, y, _ = images(n)
    for start in range(0, n, batch):  # The fields develop on the first four images.
        sleeper.observe(Batch(x[start : start + batch], y[start : start + batch], 0))
    sleeper.end_of_task(0)
    assert sleeper.nights == nights and sleeper.tired < sleeper.method.day


def test_it_tires_of_what_is_new_and_not_of_what_it_knows():
    sleeper = born(bedtime="fatigue", day=1 << 30, development=1)
    grown = []
    for seed in (0, 1, 2, 0, 1, 2):
        sleeper.observe(images(40, seed))
        grown.append(sleeper.tired)
    gains = np.diff([0, *grown])
    assert gains[0] > 2 * gains[3:].mean() and sleeper.nights == 0
    sleeper = born(bedtime="fatigue", day=int(grown[0]), development=1)
    sleeper.observe(images(40, 0))
    assert sleeper.nights == 1 and sleeper.tired == 0


@pytest.mark.compiled
def test_what_the_cortex_has_learnt_is_released_or_kept_as_the_night_says():
    for release in (False, True):
        sleeper = born(
            night=replace(NIGHT, steps=120, bursts_per_memory=20, release=release), eta=3e-3
        )
        for seed in range(3):
            sleeper.observe(images(40, seed, classes=(0, 1)))
        sleeper.hippocampus.settle()  # What too few images left goes in any case.
        before = sleeper.hippocampus.gauge().n_items
        sleeper.end_of_task(0)
        report, after = sleeper.dawns[0], sleeper.hippocampus.gauge().n_items
        assert report.merged and report.n_consolidated > 0.8 * report.n_examined > 0
        assert after < 0.3 * before if release else after > 0.9 * before
        assert report.n_released == (report.n_consolidated if release else 0)


def test_a_budget_is_kept_to_and_one_too_small_says_the_least():
    for budget in (6_000, 20_000, 70_000):
        sleeper = born(budget=budget)
        assert 0.6 * budget < budgeted(sleeper) <= budget
    with pytest.raises(ConfigError, match=r"(\d+) bytes or more, a cell a class") as raised:
        born(budget=100)
    least = int(str(raised.value).split("expected ")[1].split()[0])
    assert born(budget=least).hippocampus.config.gyrus.cells == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cortex": "torch"}, "predictive or backprop"),
        ({"bedtime": "noon"}, "task or samples"),
        ({"replay": "film"}, "ca3 or random or raw"),
        ({"day": 0}, "1 or more"),
    ],
)
def test_what_is_no_brain_is_refused(settings, said):
    with pytest.raises(ConfigError, match=said):
        Sleeping(**settings)


# The experiment


@pytest.mark.compiled
def test_the_digits_show_what_sleep_is_owed_to():
    arms = ("night", "backprop", "NREM only", "no sleep", "no CA3 synapses", "raw replay")
    config = nights_over_images.Config(steps=60, arms=arms, seeds=(0,), workers=1, inside=200)
    result = nights_over_images.run(config)
    numbers = result.metrics()
    acc = {arm: numbers[f"acc_{nights_over_images.key(arm)}"] for arm in arms}
    assert acc["night"] > 0.9 and acc["raw replay"] > 0.9
    assert acc["night"] > acc["no CA3 synapses"] > acc["NREM only"]
    assert acc["NREM only"] < 0.3 and acc["no sleep"] < 0.3
    assert abs(acc["night"] - acc["backprop"]) < 0.05
    assert numbers["coverage_night"] > 0.98 and numbers["verbatim_night"] == 0
    assert numbers["verbatim_raw_replay"] > 0 == numbers["nearest_least_raw_replay"]
    assert numbers["agreement_night"] > 0.9
    # The gyrus pulls apart what the entorhinal sheet holds alike; classes more than their images.
    assert numbers["dg_between_night"] < 0.1 * numbers["ec_between_night"]
    assert numbers["ca3_within_night"] > 5 * numbers["ca3_between_night"]


def test_a_figure_has_a_panel_for_each_kind_of_arm():
    import matplotlib.pyplot as plt

    arms = ("night", "40 kB", "80 kB", "DG 0.5 %", "DG 1 %")
    config = nights_over_images.Config(arms=arms, seeds=(0, 1))
    rng = np.random.default_rng(0)
    names = ("acc", "acc_hippocampus", "n_bytes", "n_bytes_network")
    measured = {arm: {name: rng.random(2) + (name == "n_bytes") for name in names} for arm in arms}
    figure, axes = plt.subplots()
    nights_over_images.plot(nights_over_images.Result(config, measured), axes)
    assert len(axes.child_axes) == 3
    plt.close(figure)


def test_the_nights_of_an_arm_are_spread_over_its_stream():
    config = nights_over_images.Config(steps=100)
    assert config.method("20 nights", 1000).day == 50
    assert config.method("20 nights", 1000).night.steps == 25
    assert config.method("1 night", 1000).night.steps == 500
    assert config.method("5 cycles", 1000).night.steps == 20
    assert dataclasses.replace(config, share=0.5).stream().shares == (0.5,) * 10
    with pytest.raises(ConfigError, match="did you mean night"):
        nights_over_images.Config(arms=("nigth",))
    with pytest.raises(ConfigError, match="20 or more"):
        nights_over_images.Config(steps=5)
    with pytest.raises(ConfigError, match="inside: expected 0 or more, got -3"):
        nights_over_images.Config(inside=-3)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("cortex", "bar"), [("predictive", 0.95), ("backprop", 0.965)])
def test_the_cortex_alone_reaches_its_bar_on_mnist(cortex, bar):
    stream = Stream(StreamConfig("mnist"), 0)
    course = live(stream, Sleeping(cortex=cortex), Streams(0).generator("learner"), probe=0)
    assert course.metrics()["acc"] >= bar
    assert course.cpu_seconds <= 60
