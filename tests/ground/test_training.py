"""Training: every sample once an epoch, in the order of the seed, until something diverges."""

import warnings

import numpy as np
import pytest

from neurosim.errors import ConfigError, InputError, NumericalError
from neurosim.network import Network, NetworkConfig
from neurosim.optimisers import Optimiser
from neurosim.training import batches, cosine, train
from rules.backprop import Backprop


def made(eta=0.1, **settings):
    settings = {"sizes": (4, 6, 3), "dtype": "float64", "loss": "mse", **settings}
    rng = np.random.default_rng(0)
    network = Network(NetworkConfig(**settings), rng)
    learner = Backprop(optimiser=Optimiser("sgd", eta))
    return learner, network, learner.begin(network, rng)


def samples(n=20):
    rng = np.random.default_rng(1)
    return rng.normal(size=(n, 4)), rng.integers(0, 3, size=n)


@pytest.mark.parametrize(
    ("n", "batch", "lengths"), [(10, 4, [4, 4, 2]), (3, 1, [1, 1, 1]), (3, 50, [3])]
)
def test_every_sample_is_in_one_batch(n, batch, lengths):
    parts = list(batches(n, batch, np.random.default_rng(0)))
    assert [len(part) for part in parts] == lengths
    assert sorted(np.concatenate(parts)) == list(range(n))


def test_the_order_follows_from_the_seed_and_changes_from_epoch_to_epoch():
    one, same = (np.random.default_rng(7) for _ in range(2))
    first, second = (np.concatenate(list(batches(30, 4, one))) for _ in range(2))
    np.testing.assert_array_equal(first, np.concatenate(list(batches(30, 4, same))))
    assert (first != second).any()


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="1 or more samples, got 0"):
        next(batches(3, 0, np.random.default_rng(0)))
    x, y = samples()
    with pytest.raises(ConfigError, match=r"train.batch: expected 1 or more samples, got 0"):
        next(train(*made(eta=0.1), x, y, 1, 0, np.random.default_rng(0)))


def test_one_epoch_of_whole_batches_is_gradient_descent():
    x, y = samples()
    learner, network, memory = made()
    other, twin, notes = made()
    (loss,) = train(learner, network, memory, x, y, 1, len(x), np.random.default_rng(0))
    report = other.learn(twin, notes, x, y)
    assert loss == pytest.approx(report.loss)
    for a, b in zip(network.weights, twin.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_the_loss_of_an_epoch_weighs_samples_alike_whatever_batch_they_were_in():
    x, y = samples(5)
    tiny = made(eta=1e-12)
    (loss,) = train(*tiny, x, y, 1, 4, np.random.default_rng(0))
    _, whole, _ = made()
    assert loss == pytest.approx(whole.losses(whole.predict(x), np.eye(3)[y]).mean(), rel=1e-6)


def test_a_schedule_scales_every_step():
    x, y = samples()
    asked = []

    def schedule(done):
        asked.append(done)
        return 0.0

    learner, network, memory = made()
    before = network.copy()
    for _ in train(learner, network, memory, x, y, 2, 10, np.random.default_rng(0), schedule):
        pass
    assert asked == [0, 0.25, 0.5, 0.75]
    for name, values in network.state.items():
        np.testing.assert_array_equal(values, before.state[name])
    assert [cosine(done) for done in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])


def test_a_rate_that_is_too_high_stops_with_layer_step_and_value():
    x, y = samples()
    learner, network, memory = made(eta=1e5)
    with warnings.catch_warnings(), pytest.raises(NumericalError) as caught:
        warnings.simplefilter("error")  # The sentence is all that is said.
        for _ in train(learner, network, memory, x, y, 50, 5, np.random.default_rng(0)):
            pass
    text = str(caught.value)
    assert "expected a finite number, got" in text and "at step" in text
    assert "in layer" in text and "lower the learning rate (now 100000)" in text
    assert 0 < memory.moments.n_steps[0] < 200


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.full((2, 4), np.inf), [0, 1], r"inputs\[0, 0\]: expected a finite number, got inf"),
        (np.ones((2, 5)), [0, 1], r"expected \(n_samples, 4\) values"),
        (np.ones((2, 4)), [0, 7], r"labels\[1\]: expected a class from 0 to 2, got 7"),
        (np.ones((2, 4)), [0], "expected 2 labels"),
    ],
)
def test_samples_that_cannot_be_used_are_refused_before_anything_is_learnt(x, y, words):
    learner, network, memory = made()
    before = network.copy()
    with pytest.raises(InputError, match=words):
        next(train(learner, network, memory, x, y, 1, 2, np.random.default_rng(0)))
    for name, values in network.state.items():
        np.testing.assert_array_equal(values, before.state[name])


def test_single_precision_and_strided_samples_are_converted_once_and_train_alike():
    x, y = samples()
    x = x.astype(np.float32)
    states = []
    for values in (x, np.asfortranarray(x), np.repeat(x, 2, axis=1)[:, ::2], x.astype(np.float64)):
        learner, network, memory = made(dtype="float32")
        for _ in train(learner, network, memory, values, y, 2, 7, np.random.default_rng(0)):
            pass
        states.append(network.weights[0])
    for other in states[1:]:
        np.testing.assert_array_equal(states[0], other)
