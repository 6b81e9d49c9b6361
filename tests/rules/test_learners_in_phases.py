"""Learners in two phases: equilibrium propagation against autograd, forward-forward likewise."""

import numpy as np
import pytest
import torch

from neurosim.errors import ConfigError
from neurosim.learner import Memory
from neurosim.network import Network, NetworkConfig
from neurosim.optimisers import Moments, Optimiser
from rules.equilibrium_propagation import EquilibriumPropagation, Phase
from rules.forward_forward import ForwardForward, normalised, wrong_labels


def made(sizes=(5, 7, 6, 3), seed=0, **settings):
    settings = {"activation": "tanh", "dtype": "float64", **settings}
    rng = np.random.default_rng(seed)
    network = Network(NetworkConfig(sizes, **settings), rng)
    for bias in network.biases:
        bias[:] = 0.3 * rng.normal(size=bias.shape)
    return network, rng


def samples(network, rng, n=8):
    sizes = network.config.sizes
    return rng.normal(size=(n, sizes[0])), np.eye(sizes[-1])[rng.integers(0, sizes[-1], size=n)]


def flat(direction):
    return np.concatenate([a.ravel() for a in (*direction.weights, *direction.biases)])


def distance(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


# Equilibria


def equilibrium_gradient(network, x, y, n_steps=300):
    """Return the way down the loss of the free equilibrium, by autograd through the relaxation."""
    weights = [torch.tensor(w, requires_grad=True) for w in network.weights]
    biases = [torch.tensor(b, requires_grad=True) for b in network.biases]
    f = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": lambda z: z.clamp(0, 1)}
    f = f[network.config.activation]
    first, targets = torch.tensor(x) @ weights[0].T + biases[0], torch.tensor(y)
    one = f(first)
    two = f(one @ weights[1].T + biases[1])
    for _ in range(n_steps):
        up = one @ weights[1].T + biases[1]
        if network.config.loss == "mse":  # The output talks back in the free phase, too.
            up = up + (two @ weights[2].T + biases[2]) @ weights[2]
        two = f(up)
        one = f(first + two @ weights[1])
    out = two @ weights[2].T + biases[2]
    if network.config.loss == "mse":
        losses = 0.5 * (targets - out).square().sum(dim=1)
    else:
        losses = -(targets * torch.log_softmax(out, dim=1)).sum(dim=1)
    losses.mean().backward()
    return -np.concatenate([p.grad.numpy().ravel() for p in (*weights, *biases)])


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize(("centred", "order"), [(True, 2), (False, 1)])
def test_the_contrast_of_phases_tends_to_the_gradient_at_the_equilibrium(
    loss, activation, centred, order
):
    """Laborieux et al. (2021): an error of beta squared for both ways, of beta for one."""
    network, rng = made(activation=activation, loss=loss)
    x, y = samples(network, rng)
    true = equilibrium_gradient(network, x, y)
    betas, errors = np.array([0.04, 0.02, 0.01]), []
    for beta in betas:
        learner = EquilibriumPropagation(beta=beta, n_free=200, n_nudged=200, centred=centred)
        found = learner.direction(network, learner.begin(network, rng), x, y)
        errors.append(distance(flat(found), true))
    slopes = np.diff(np.log(errors)) / np.diff(np.log(betas))
    # The next term of the series is smaller by beta or beta squared.
    np.testing.assert_allclose(slopes, order, atol=0.1)
    assert errors[-1] < (0.02 if centred else 0.1)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("nudge", [0.0, 0.3, -0.3])
def test_no_sweep_raises_the_energy(activation, nudge):
    network, rng = made(activation=activation, loss="mse")
    x, y = samples(network, rng)
    learner = EquilibriumPropagation()
    phase = Phase(network.drive(0, x), [0.5 * rng.random((8, n)) for n in (7, 6, 3)])
    energies = [learner.energy(network, phase, y, nudge)]
    for _ in range(8):
        learner._sweep(network, phase, 1, y, np.full((8, 1), nudge))
        energies.append(learner.energy(network, phase, y, nudge))
    changes = np.diff(energies, axis=0)
    assert changes.max() < 1e-9 * np.abs(energies).max()
    assert changes.min() < -0.01


def test_states_at_rest_obey_their_equation():
    network, rng = made(loss="mse")
    x, _ = samples(network, rng)
    one, two, out = EquilibriumPropagation(n_free=300).settle(network, x).states
    (w1, w2, w3), (b1, b2, b3) = network.weights, network.biases
    np.testing.assert_allclose(one, np.tanh(x @ w1.T + b1 + two @ w2), atol=1e-9)
    np.testing.assert_allclose(two, np.tanh(one @ w2.T + b2 + out @ w3), atol=1e-9)
    np.testing.assert_allclose(out, two @ w3.T + b3, atol=1e-9)


def test_the_product_with_the_clamped_input_is_computed_once():
    network, rng = made((50, 7, 6, 3))
    x, y = samples(network, rng)
    learner = EquilibriumPropagation(n_free=9, n_nudged=4)
    learner.direction(network, learner.begin(network, rng), x, y)
    upper = 7 * 6 + 6 * 3
    # The input's matrix: once forward, once for its change. Others: both ways, in every sweep.
    others = network.ledger.multiply_adds / 8 - 2 * 50 * 7
    assert upper < others < upper * 2 * (9 + 2 * 4 + 3)


# Forward-forward


def torch_losses(learner, network, x, labels, wrong):
    """Return parameters, and each layer's loss with the input from below held fixed."""
    weights = [torch.tensor(w, requires_grad=True) for w in network.weights]
    biases = [torch.tensor(b, requires_grad=True) for b in network.biases]
    f = {"relu": torch.relu, "tanh": torch.tanh}[network.config.activation]
    n, n_out = len(x), network.config.sizes[-1]
    blocks = []
    for classes in (labels, wrong):
        block = x.copy()
        block[:, :n_out] = learner.amplitude * np.eye(n_out)[classes]
        blocks.append(block)
    pre = torch.tensor(np.concatenate(blocks))
    total = torch.zeros((), dtype=torch.float64)
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        h = f(pre @ w.T + b)
        logit = learner.steepness * (h.square().mean(1) - learner.threshold)
        real = torch.cat([torch.ones(n), torch.zeros(n)]).double()
        judged = torch.nn.functional.binary_cross_entropy_with_logits
        total = total + judged(logit, real, reduction="sum") / n
        pre = (h / h.square().mean(1, keepdim=True).sqrt()).detach()
    return weights, biases, total


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_each_layer_of_forward_forward_climbs_the_likelihood_of_its_own_goodness(activation):
    network, rng = made((6, 9, 8, 3), activation=activation)
    x, y = samples(network, rng)
    learner = ForwardForward(steepness=6.0, threshold=0.3, amplitude=2.0)
    memory = learner.begin(network, np.random.default_rng(5))
    found = learner.direction(network, memory, x, y)
    labels = y.argmax(axis=1)
    memory = learner.begin(network, np.random.default_rng(5))
    wrong = wrong_labels(np.ones_like(y), labels, memory)
    weights, biases, loss = torch_losses(learner, network, x, labels, wrong)
    loss.backward()
    for layer in (0, 1):  # To 1e-8, which keeps silent layers from a division by 0.
        np.testing.assert_allclose(found.weights[layer], -weights[layer].grad, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found.biases[layer], -biases[layer].grad, rtol=1e-5, atol=1e-7)
        assert np.abs(found.weights[layer]).max() > 1e-3
    readout = network.losses(learner.read_out(network, x), y).mean()
    assert found.losses.mean() == pytest.approx(loss.item() + readout, rel=1e-6)


def test_hidden_layers_above_the_first_are_slowed_and_no_other():
    steps = []
    for factor in (1.0, 0.25):
        network, rng = made((6, 9, 8, 7, 3), activation="relu")
        x, y = samples(network, rng)
        before = network.copy()
        learner = ForwardForward(optimiser=Optimiser("sgd", 0.1), upper_rate=factor)
        learner.learn(network, learner.begin(network, np.random.default_rng(5)), x, y)
        pairs = zip(
            [*network.weights, *network.biases], [*before.weights, *before.biases], strict=True
        )
        steps.append([new - old for new, old in pairs])
    for layer, (whole, slowed) in enumerate(zip(*steps, strict=True)):
        np.testing.assert_allclose(
            slowed, whole * (0.25 if layer % 4 in (1, 2) else 1), rtol=1e-9, atol=1e-15
        )
        assert np.abs(whole).max() > 1e-4


def test_layers_of_forward_forward_come_to_rest_from_below():
    network, rng = made((6, 9, 8, 7, 3), activation="relu")
    x, y = samples(network, rng)
    learner = ForwardForward(optimiser=Optimiser("sgd", 0.1), lead=0.2)
    memory = learner.begin(network, rng)
    moved = []
    for rate in (1.0, 0.3, 0.1):
        before, writes = network.copy(), network.ledger.weight_writes
        learner.learn(network, memory, x, y, rate)
        pairs = list(zip(network.weights, before.weights, strict=True))
        moved.append([not np.array_equal(new, old) for new, old in pairs])
        written = sum(w.size for w, yes in zip(network.weights, moved[-1], strict=True) if yes)
        assert network.ledger.weight_writes - writes == written
    assert moved == [[True] * 4, [False, True, True, True], [False, False, True, True]]


def test_the_answer_of_forward_forward_is_the_goodness_with_each_label():
    network, rng = made((6, 9, 8, 3), activation="relu")
    x, _ = samples(network, rng)
    learner = ForwardForward(amplitude=2.0)
    found = learner.output(network, learner.begin(network, rng), x, batch=3)
    for label in range(3):
        h = np.concatenate([np.tile(2.0 * np.eye(3)[label], (8, 1)), x[:, 3:]], axis=1)
        h = np.maximum(h @ network.weights[0].T + network.biases[0], 0)
        h /= np.sqrt(np.square(h).mean(axis=1, keepdims=True))
        h = np.maximum(h @ network.weights[1].T + network.biases[1], 0)
        np.testing.assert_allclose(found[:, label], np.square(h).mean(axis=1), rtol=1e-6)


def test_hard_labels_tell_lower_layers_of_the_weights_above_and_are_declared():
    assert "transposed forward weights" not in ForwardForward().needs
    assert "transposed forward weights" in ForwardForward(negatives="hard").needs
    with pytest.raises(ConfigError, match="readout"):
        ForwardForward(negatives="hard", readout=False)


def test_wrong_labels_are_wrong_and_come_as_often_as_their_chances_say():
    _, rng = made()
    memory = Memory(Moments(Optimiser("sgd"), []), rng=rng)
    labels = rng.integers(0, 4, size=20_000)
    drawn = wrong_labels(np.tile([1.0, 1.0, 1.0, 5.0], (20_000, 1)), labels, memory)
    assert (drawn != labels).all()
    share = (drawn[labels == 0] == 3).mean()
    # Five parts of seven, from some 5,000 draws: four standard errors.
    assert share == pytest.approx(5 / 7, abs=4 * np.sqrt(5 / 7 * 2 / 7 / 5000))


def test_forward_forward_never_passes_the_length_of_an_activity_on():
    _, rng = made()
    h = rng.random((4, 9))
    np.testing.assert_allclose(normalised(h), normalised(7 * h), rtol=1e-6)
    np.testing.assert_array_equal(normalised(np.zeros((2, 3))), 0)
