"""Every method of continual learning keeps the contract; the fast memory also its state."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from experiments import class_incremental
from experiments.continual.fast_memory import FastMemory
from experiments.continual.sleeping import NIGHT
from neurosim.continual_learner import ContinualLearner, Method, Shape, n_bytes
from neurosim.discovery import members
from neurosim.errors import ConfigError, InputError
from neurosim.hdf5 import pack_hdf5, unpack_hdf5
from neurosim.representation import Replaying, Representing
from neurosim.streams import Batch

METHODS = members("experiments.continual", Method)
every_method = pytest.mark.parametrize("name", METHODS)
SHAPE = Shape(16, 4, (4, 4))
QUICK = {
    "hidden": (7,), "per_class": 3, "n_features": 20, "epochs": 2, "budget": 4000,
    "steps": 20, "more": 10, "samples": 30,
    "night": replace(NIGHT, steps=5),
}  # fmt: skip


def quick(name, **changes):
    """Build a method of tiny size."""
    kind = METHODS[name]
    names = {field.name for field in dataclasses.fields(kind)}
    small = {
        k: v
        for k, v in {**QUICK, "development": 2, "n_fields": 4, "patches": 200}.items()
        if k in names
    }
    return kind(**{**small, **changes})


def drawn_batch(n=12, seed=0, task=0, classes=4):
    rng = np.random.default_rng(seed)
    return Batch(rng.random((n, 16)).astype(np.float32), rng.integers(classes, size=n), task)


@every_method
def test_a_method_is_frozen_has_defaults_and_names_its_source(name):
    kind = METHODS[name]
    assert dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen
    kind()
    assert len(kind.source.split()) >= 3
    described = "".join(each.__doc__ or "" for each in kind.__mro__)
    for field in dataclasses.fields(kind):
        assert field.name in described, field.name
    for protocol, value in kind.published.items():
        assert protocol in class_incremental.PROTOCOLS and 10 < value < 100
    replace(kind(), **getattr(kind, "van_de_ven", {}))


@every_method
def test_a_learner_keeps_the_contract(name):
    learner = quick(name).begin(SHAPE, np.random.default_rng(0))
    assert isinstance(learner, ContinualLearner)
    assert learner.predict(drawn_batch().x).shape == (12, 4)
    for task in range(2):
        for seed in range(3):
            learner.observe(drawn_batch(seed=seed, task=task))
        learner.end_of_task(task)
    before = {name: array.copy() for name, array in learner.state.items()}
    assert all(name.startswith(("network/", "memory/")) for name in before)
    scores = learner.predict(drawn_batch(seed=5).x)
    assert not np.isnan(scores).any()
    np.testing.assert_array_equal(learner.predict(drawn_batch(seed=5).x), scores)
    for key, array in learner.state.items():  # Answering changes nothing.
        np.testing.assert_array_equal(array, before[key])
    raw = sum(array.nbytes for key, array in before.items() if key.startswith("memory/raw"))
    assert raw in (0, 3 * 4 * 16)


@every_method
def test_the_same_seed_gives_the_same_learner(name):
    def scores():
        learner = quick(name).begin(SHAPE, np.random.default_rng(3))
        for task in range(2):
            learner.observe(drawn_batch(seed=task, task=task))
            learner.end_of_task(task)
        return learner.predict(drawn_batch(seed=9).x)

    np.testing.assert_array_equal(scores(), scores())


@every_method
def test_what_is_no_batch_is_refused_by_every_learner(name):
    learner = quick(name).begin(SHAPE, np.random.default_rng(0))
    learner.observe(drawn_batch())
    before = {key: array.copy() for key, array in learner.state.items()}
    x, y, task = drawn_batch()
    bad = x.copy()
    bad[3, 7] = np.nan
    with pytest.raises(InputError, match=r"Batch.x\[3, 7\]: expected a grey value"):
        learner.observe(Batch(bad, y, task))
    with pytest.raises(InputError, match=r"Batch.x\[3, 7\]"):
        learner.predict(bad)
    with pytest.raises(InputError, match=r"Batch.y\[2\]: expected an output from 0 to 3, got 12"):
        learner.observe(Batch(x, np.where(np.arange(12) == 2, 12, y), task))
    with pytest.raises(InputError, match=r"\(n, 16\) pixels"):
        learner.predict(x[:, :9])
    with pytest.raises(InputError, match="one image or more"):
        learner.observe(Batch(x[:0], y[:0], task))
    for key, array in learner.state.items():  # Nothing of it was taken.
        np.testing.assert_array_equal(array, before[key])


@every_method
def test_a_look_inside_changes_nothing_and_finds_rates(name):
    learner = quick(name).begin(SHAPE, np.random.default_rng(0))
    for task in range(2):
        for seed in range(3):
            learner.observe(drawn_batch(seed=seed, task=task))
        learner.end_of_task(task)
    before = {key: array.copy() for key, array in learner.state.items()}
    looked = isinstance(learner, Representing) or isinstance(learner, Replaying)
    assert looked or name in ("nearest_class_mean", "nearest_neighbour", "streaming_lda")
    if isinstance(learner, Representing):
        for rates in learner.regions(drawn_batch().x).values():
            assert len(rates) == 12 and rates.min() >= 0 and np.isfinite(rates).all()
    if isinstance(learner, Replaying):
        replayed = learner.replay(5, np.random.default_rng(1))
        size = replayed.encode(drawn_batch().x).shape[1]
        assert replayed.patterns.shape == (len(replayed.classes), size)
        assert all(0 <= each < 4 for each in replayed.classes) and len(replayed.classes) <= 5
    for key, array in learner.state.items():
        np.testing.assert_array_equal(array, before[key])


def test_dreams_that_are_only_looked_at_are_not_booked_as_learning():
    learner = quick("generative_replay").begin(SHAPE, np.random.default_rng(0))
    learner.observe(drawn_batch())
    learner.end_of_task(0)
    alone = learner.ledger.multiply_adds
    learner.observe(drawn_batch(task=1))
    booked = replace(learner.ledger)
    assert booked.multiply_adds > 3 * alone  # Twice the images, half of which were dreamt.
    assert len(learner.replay(5, np.random.default_rng(1)).classes) == 5
    assert learner.ledger == booked


@pytest.mark.parametrize("maps", [True, False])
@pytest.mark.parametrize("n_before", [1, 2, 4])
def test_a_fast_memory_cut_in_two_is_the_one_in_one(maps, n_before):
    def born(seed):
        return quick("fast_memory", maps=maps).begin(SHAPE, np.random.default_rng(seed))

    days = [drawn_batch(1, 9), *(drawn_batch(seed=seed, task=seed // 2) for seed in range(5))]
    whole, first, second = born(0), born(0), born(1)  # Nothing of another seed's may matter.
    for each in (whole, first):
        for day in days[:n_before]:
            each.observe(day)
    if maps:
        assert first.maps.mature == (n_before > 1)
    second.restore(unpack_hdf5(pack_hdf5(dict(first.state), {}), "a test")[0])
    for each in (whole, second):
        for day in days[n_before:]:
            each.observe(day)
        each.end_of_task(0)
        each.observe(days[1])
    assert whole.state.keys() == second.state.keys() and whole.lamellae.wins.any()
    for key, array in whole.state.items():
        np.testing.assert_array_equal(array, second.state[key], err_msg=key)


def test_what_is_no_state_of_this_memory_is_refused_whole():
    learner = quick("fast_memory").begin(SHAPE, np.random.default_rng(0))
    learner.observe(drawn_batch())
    before = {key: array.copy() for key, array in learner.state.items()}
    other = quick("fast_memory").begin(SHAPE, np.random.default_rng(1)).state
    for missing in other:
        with pytest.raises(InputError, match=f"FastLearner.{missing}: expected an array of shape"):
            learner.restore({key: array for key, array in other.items() if key != missing})
    small = quick("fast_memory", n_fields=3).begin(SHAPE, np.random.default_rng(1)).state
    with pytest.raises(InputError, match="restore a state of the same configuration"):
        learner.restore(small)
    for key, array in learner.state.items():
        np.testing.assert_array_equal(array, before[key])


def test_a_budget_too_small_for_a_cell_a_class_is_refused_with_the_least():
    shape = Shape(784, 10, (28, 28))
    with pytest.raises(ConfigError, match=r"(\d+) bytes or more") as raised:
        FastMemory(budget=500).begin(shape, np.random.default_rng(0))
    least = int(str(raised.value).split("expected ")[1].split()[0])
    learner = FastMemory(budget=least).begin(shape, np.random.default_rng(0))
    assert n_bytes(learner.state) == least
    large = FastMemory(budget=400_000).begin(shape, np.random.default_rng(0))
    assert 390_000 < sum(array.nbytes for array in large.state.values()) <= 400_000
