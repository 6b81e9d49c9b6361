"""Every learner keeps the contract: whoever adds a file to `rules/` adds no line here."""

import dataclasses
import re

import numpy as np
import pytest

from neurosim.discovery import members
from neurosim.errors import ConfigError, InputError, NumericalError
from neurosim.learner import Learner
from neurosim.network import Network, NetworkConfig
from neurosim.optimisers import Optimiser
from neurosim.training import train

LEARNERS = members("rules", Learner)
every_learner = pytest.mark.parametrize("kind", LEARNERS.values(), ids=LEARNERS)


def made(kind, seed=0, sizes=(6, 8, 7, 3), **settings):
    """Return a learner, its network and its memory."""
    settings = {"activation": "tanh", "dtype": "float64", **settings}
    rng = np.random.default_rng(seed)
    network = Network(NetworkConfig(sizes, **settings), rng)
    learner = kind()
    return learner, network, learner.begin(network, rng)


def blobs(n=60, seed=3):
    """Return points of three clouds that a line cannot tell apart badly, with labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, size=n)
    centres = np.random.default_rng(8).normal(size=(3, 6)) * 2
    return centres[labels] + 0.5 * rng.normal(size=(n, 6)), labels


def test_there_are_learners():
    assert {"backprop", "feedback_alignment"} <= set(LEARNERS)


@every_learner
def test_a_learner_is_a_frozen_dataclass_that_documents_its_parameters_and_source(kind):
    assert dataclasses.is_dataclass(kind) and kind.__dataclass_params__.frozen
    for field in dataclasses.fields(kind):
        if field.name != "optimiser":
            assert re.search(rf"\b{field.name}\b", kind.__doc__), field.name
    assert re.search(r"\(\d{4}\)", kind.source), "a source has authors and a year"
    text = " ".join(kind.__doc__.split())
    assert "must be given" in text and "References" in text
    assert kind.needs


@every_learner
def test_learning_lowers_the_error(kind):
    learner, network, memory = made(kind)
    x, y = blobs()
    before = (learner.output(network, memory, x).argmax(axis=1) == y).mean()
    for _ in train(learner, network, memory, x, y, 40, 10, np.random.default_rng(0)):
        pass
    after = (learner.output(network, memory, x).argmax(axis=1) == y).mean()
    assert after >= 0.9 and after > before


@every_learner
def test_the_same_seed_learns_the_same_bits(kind):
    states = []
    for _ in range(2):
        learner, network, memory = made(kind)
        for _ in train(learner, network, memory, *blobs(), 2, 10, np.random.default_rng(0)):
            pass
        states.append({**network.state, **memory.state})
    assert states[0].keys() == states[1].keys()
    for name, values in states[0].items():
        np.testing.assert_array_equal(values, states[1][name], err_msg=name)


@every_learner
def test_a_direction_leaves_the_network_as_it_was(kind):
    learner, network, memory = made(kind)
    before = network.copy()
    x, y = blobs(4)
    direction = learner.direction(network, memory, x, np.eye(3)[y])
    for name, values in network.state.items():
        np.testing.assert_array_equal(values, before.state[name], err_msg=name)
    assert [w.shape for w in direction.weights] == [w.shape for w in network.weights]
    assert [b.shape for b in direction.biases] == [b.shape for b in network.biases]
    assert direction.losses.shape == (4,)


@every_learner
@pytest.mark.parametrize("n", [1, 60])
def test_a_batch_may_be_one_sample_or_the_whole_set(kind, n):
    learner, network, memory = made(kind)
    x, y = blobs()
    before = network.copy()
    learner.learn(network, memory, x[:n], y[:n])
    assert any((a != b).any() for a, b in zip(network.weights, before.weights, strict=True))
    assert all(np.isfinite(w).all() for w in network.weights)


@every_learner
def test_single_precision_and_inputs_in_any_order_of_memory_are_the_same_samples(kind):
    x, y = blobs(12)
    results = []
    for values in (x.astype(np.float32), np.asfortranarray(x.astype(np.float32)).astype(float)):
        learner, network, memory = made(kind, dtype="float32")
        learner.learn(network, memory, values, y)
        assert network.weights[0].dtype == np.float32
        results.append(network.weights[0])
    np.testing.assert_array_equal(*results)


@every_learner
def test_a_constant_input_is_survived(kind):
    learner, network, memory = made(kind)
    for _ in range(5):
        learner.learn(network, memory, np.ones((4, 6)), [0, 1, 2, 0])
    assert all(np.isfinite(w).all() for w in network.weights)


@every_learner
def test_bad_samples_are_refused_and_nothing_is_learnt(kind):
    learner, network, memory = made(kind)
    before = network.copy()
    for x, y in (
        (np.ones((2, 5)), [0, 1]),
        (np.ones((2, 6)), [0, 3]),
        (np.full((2, 6), np.nan), [0, 1]),
        (np.ones((2, 6)), [0, 1, 1]),
    ):
        with pytest.raises(InputError):
            learner.learn(network, memory, x, y)
    for name, values in network.state.items():
        np.testing.assert_array_equal(values, before.state[name])


@every_learner
def test_weights_that_are_not_finite_stop_the_run_and_are_named(kind):
    learner, network, memory = made(kind)
    network.weights[-1][:] = np.nan
    x, y = blobs(4)
    with pytest.raises(NumericalError, match=rf"{kind.__name__}.*at step 0.*layer 2"):
        learner.learn(network, memory, x, y)


@every_learner
def test_what_is_kept_beside_the_network_is_counted(kind):
    learner, network, memory = made(kind)
    biases = sum(b.size for b in network.biases) / network.n_synapses
    plain = kind(optimiser=Optimiser("sgd"))
    adam = kind(optimiser=Optimiser("adam"))
    bare = plain.state_bytes_per_synapse(network, plain.begin(network, memory.rng))
    more = adam.state_bytes_per_synapse(network, adam.begin(network, memory.rng))
    assert bare >= 8 * (1 + biases)
    # Two moments of 8 bytes a parameter, whatever else a learner keeps.
    assert more - bare == pytest.approx(16 * (1 + biases))


def test_feedback_weights_are_part_of_what_a_synapse_needs():
    (_, network, memory), kept = made(LEARNERS["feedback_alignment"]), 0
    for layer in (1, 2):
        kept += network.weights[layer].nbytes
    learner = LEARNERS["feedback_alignment"](optimiser=Optimiser("sgd"))
    backprop = LEARNERS["backprop"](optimiser=Optimiser("sgd"))
    more = learner.state_bytes_per_synapse(network, memory)
    bare = backprop.state_bytes_per_synapse(network, backprop.begin(network, memory.rng))
    assert more - bare == pytest.approx(kept / network.n_synapses)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ConfigError, match="'numpy' or 'torch'"):
        LEARNERS["backprop"](engine="jax")


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "leaky_relu", "linear"])
@pytest.mark.parametrize("bias", [True, False])
def test_backprop_by_hand_is_torchs_autograd(loss, activation, bias):
    kind = LEARNERS["backprop"]
    learner, network, memory = made(kind, activation=activation, loss=loss, bias=bias)
    x, y = blobs(5)
    one, other = (
        kind(engine=engine).direction(network, memory, x, np.eye(3)[y])
        for engine in ("numpy", "torch")
    )
    for ours, theirs in zip(
        [*one.weights, *one.biases], [*other.weights, *other.biases], strict=True
    ):
        if not bias and ours.ndim == 1:
            continue
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-12)
    assert any(np.abs(w).max() > 1e-3 for w in one.weights)


def test_feedback_alignment_aligns():
    """Forward weights turn towards the feedback (Lillicrap et al. 2016, Fig. 2)."""
    kind = LEARNERS["feedback_alignment"]
    learner = kind(optimiser=Optimiser("sgd", eta=0.1))
    x, y = blobs(200)
    before, after = [], []
    for seed in range(10):
        _, network, memory = made(kind, seed=seed)
        feedback = memory.arrays["feedback/2"].ravel()

        def cosine(network=network, feedback=feedback):
            forward = network.weights[2].ravel()
            return forward @ feedback / np.linalg.norm(forward) / np.linalg.norm(feedback)

        before.append(cosine())
        for _ in train(learner, network, memory, x, y, 20, 10, np.random.default_rng(0)):
            pass
        after.append(cosine())
    gained = np.subtract(after, before)
    # Ten nets: the gain is above 0 by more than four standard errors.
    assert gained.mean() > 4 * gained.std(ddof=1) / np.sqrt(10)
    assert np.mean(after) > 0.1
