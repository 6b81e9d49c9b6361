"""The shared network and its optimisers, against torch."""

import numpy as np
import pytest
import torch

from neurosim.errors import ConfigError, InputError
from neurosim.ledger import counting
from neurosim.network import ACTIVATIONS, Network, NetworkConfig
from neurosim.optimisers import Moments, Optimiser
from neurosim.samples import check_targets

SIZES = (7, 6, 5, 4)


def network(seed=0, **settings):
    settings = {"sizes": SIZES, "dtype": "float64", **settings}
    return Network(NetworkConfig(**settings), np.random.default_rng(seed))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_slope_is_the_derivative_of_the_activation(name):
    z = np.array([-2.3, -0.4, 0.3, 1.7])
    activation = ACTIVATIONS[name]
    step = 1e-6  # Central differences: error of about step squared, rounding of 1e-10.
    measured = (activation.value(z + step) - activation.value(z - step)) / (2 * step)
    np.testing.assert_allclose(activation.slope(z, activation.value(z)), measured, atol=1e-8)


def test_a_sigmoid_of_a_large_drive_does_not_overflow():
    with np.errstate(all="raise"):
        values = ACTIVATIONS["sigmoid"].value(np.array([-1e4, 1e4]))
    np.testing.assert_array_equal(values, [0, 1])


@pytest.mark.parametrize(
    ("initial", "variance"),
    [
        ("xavier_uniform", 2 / 700),
        ("xavier_normal", 2 / 700),
        ("kaiming_uniform", 2 / 400),
        ("kaiming_normal", 2 / 400),
    ],
)
def test_initial_weights_have_the_published_variance(initial, variance):
    weights = network(sizes=(400, 300), initial=initial).weights[0]
    assert weights.shape == (300, 400)
    # 120,000 draws: the standard error of a variance is below sqrt(2 / n) of it.
    assert weights.var() == pytest.approx(variance, rel=4 * np.sqrt(2 / weights.size))


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_losses_are_those_of_torch(loss):
    net = network(loss=loss)
    rng = np.random.default_rng(1)
    x, labels = rng.normal(size=(3, 7)), np.array([3, 0, 2])
    y = check_targets(net, labels, 3)
    drive = torch.from_numpy(net.forward(x).drives[-1])
    if loss == "mse":
        wanted = 0.5 * ((torch.from_numpy(y) - drive) ** 2).sum(dim=1)
    else:
        wanted = torch.nn.functional.cross_entropy(
            drive, torch.from_numpy(labels), reduction="none"
        )
    np.testing.assert_allclose(net.losses(net.predict(x), y), wanted.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "decay"),
    [("sgd", 0.0), ("sgd", 0.1), ("momentum", 0.0), ("adam", 0.0), ("adam", 0.1)],
)
def test_optimisers_step_as_those_of_torch(kind, decay):
    rng = np.random.default_rng(0)
    ours, directions = rng.normal(size=(3, 4)), rng.normal(size=(5, 3, 4))
    theirs = torch.nn.Parameter(torch.from_numpy(ours.copy()))
    # Of torch's optimisers with a memory only AdamW shrinks weights apart from the gradient; with
    # plain descent the two ways are the same.
    optimiser = {
        "sgd": torch.optim.SGD([theirs], lr=0.1, weight_decay=decay),
        "momentum": torch.optim.SGD([theirs], lr=0.1, momentum=0.9),
        "adam": torch.optim.AdamW([theirs], lr=0.1, weight_decay=decay),
    }[kind]
    moments = Moments(Optimiser(kind, eta=0.1, decay=decay), [ours])
    for direction in directions:
        moments.step([direction])
        theirs.grad = torch.from_numpy(-direction)
        optimiser.step()
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam"])
def test_decay_shrinks_weights_by_its_share_of_the_rate_whatever_the_moments(kind):
    weights = np.array([2.0, -1.0])
    moments = Moments(Optimiser(kind, eta=0.5, decay=0.1), [weights])
    moments.step([np.zeros(2)])
    moments.step([np.zeros(2)], rate=0.5)
    np.testing.assert_allclose(weights, np.array([2.0, -1.0]) * 0.95 * 0.975, rtol=1e-15)


def test_a_rate_scales_the_learning_rate():
    halved, whole = np.ones(3), np.ones(3)
    Moments(Optimiser("adam", eta=0.1), [halved]).step([np.ones(3)], rate=0.5)
    Moments(Optimiser("adam", eta=0.05), [whole]).step([np.ones(3)])
    np.testing.assert_array_equal(halved, whole)
    assert (whole != 1).all()


def test_a_copy_and_a_restored_network_answer_alike_and_are_apart():
    net = network()
    x = np.random.default_rng(1).normal(size=(2, 7))
    other, third = net.copy(), network(seed=5)
    third.restore(net.state)
    np.testing.assert_array_equal(net.predict(x), third.predict(x))
    other.weights[0] += 1
    assert not np.array_equal(net.predict(x), other.predict(x))
    with pytest.raises(InputError, match="weights/0: expected an array of shape"):
        network(sizes=(7, 3, 4)).restore(net.state)


def test_a_state_of_which_the_last_array_does_not_fit_changes_nothing():
    net, before = network(), network()
    *_, last = net.state
    state = {name: array + 1 for name, array in net.state.items()}
    for broken in ({**state, last: np.zeros(99)}, {k: v for k, v in state.items() if k != last}):
        with pytest.raises(InputError, match=last):
            net.restore(broken)
        for name, array in before.state.items():
            np.testing.assert_array_equal(net.state[name], array)


def test_products_are_counted_as_they_are_made():
    net = network()
    with counting() as ledger:
        net.predict(np.zeros((3, 7)))
    assert ledger.multiply_adds == 3 * (7 * 6 + 6 * 5 + 5 * 4) == net.ledger.multiply_adds


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sizes": (3,)}, "two or more layers"),
        ({"sizes": (3, 0, 2)}, "two or more layers"),
        ({"activation": "tanhh"}, "did you mean 'tanh'?"),
        ({"loss": "crossentropy"}, "did you mean 'cross_entropy'?"),
        ({"dtype": "float16"}, "float32 or float64"),
    ],
)
def test_a_configuration_that_cannot_be_built_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        NetworkConfig(**settings)


@pytest.mark.parametrize("eta", [0, -1, float("nan"), float("inf")])
def test_a_learning_rate_of_0_or_less_is_refused(eta):
    with pytest.raises(ConfigError, match="a learning rate above 0"):
        Optimiser(eta=eta)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'adam'"):
        Optimiser("adamm")
