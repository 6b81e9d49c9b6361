"""The predictive-coding learners: equal to backprop where theory says so, and only there."""

import copy

import numpy as np
import pytest

from neurosim.discovery import members
from neurosim.errors import NumericalError
from neurosim.learner import Learner
from neurosim.ledger import counting
from neurosim.network import Network, NetworkConfig
from neurosim.optimisers import Optimiser
from neurosim.predictive_coding import Inference, settle, stable_step
from neurosim.training import train

LEARNERS = members("rules", Learner)
PC, IPC, ZIL = LEARNERS["pc"], LEARNERS["ipc"], LEARNERS["zil"]
BACKPROP = LEARNERS["backprop"]
NETS = ((12, 9, 5), (12, 11, 9, 5), (12, 11, 10, 9, 5))


def made(sizes=(12, 11, 9, 5), n=6, seed=0, **settings):
    """Return a network with biases, inputs and one-hot targets."""
    rng = np.random.default_rng(seed)
    network = Network(
        NetworkConfig(sizes, **{"dtype": "float64", "activation": "tanh", **settings}), rng
    )
    for bias in network.biases:
        bias += 0.3 * rng.normal(size=bias.shape)
    x = rng.normal(size=(n, sizes[0])).astype(network.dtype)
    return network, x, np.eye(sizes[-1], dtype=network.dtype)[rng.integers(0, sizes[-1], n)]


def direction(kind, network, x, y, **settings):
    learner = kind(**settings)
    memory = learner.begin(network, np.random.default_rng(0))
    found = learner.direction(network, memory, x, y)
    return [*found.weights, *found.biases]


def apart(ours, theirs):
    """Return the distance of two directions over the length of the second, layer by layer."""
    return np.array(
        [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(ours, theirs, strict=True)]
    )


@pytest.mark.parametrize("sizes", NETS)
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid", "leaky_relu", "linear"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zil_is_backprop(sizes, loss, activation, dtype):
    network, x, y = made(sizes, loss=loss, activation=activation, dtype=dtype)
    off = apart(direction(ZIL, network, x, y), direction(BACKPROP, network, x, y))
    assert off.max() < (1e-5 if dtype == "float32" else 1e-12)


def test_zil_leaves_out_only_what_it_does_not_use():
    """Whole inference with a step of 1, read at the time each error arrives."""
    network, x, y = made((12, 11, 10, 9, 5))
    changes = direction(ZIL, network, x, y)
    for layer in range(4):
        settled = settle(network, x, y, Inference(3 - layer, step=1.0))
        pre = network.forward(x).activities[layer]  # Not moved yet.
        np.testing.assert_allclose(settled.activities[layer], pre, rtol=1e-12)
        wanted = settled.errors[layer].T @ pre / len(x)
        np.testing.assert_allclose(changes[layer], wanted, rtol=1e-10, atol=1e-14)
    later = settle(network, x, y, Inference(3, step=1.0))
    assert apart([later.errors[2]], [settle(network, x, y, Inference(1, step=1.0)).errors[2]]) > 0.1


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_pc_tends_to_backprop_as_the_nudge_shrinks(loss):
    """The distance falls as the nudge: first order, so a log-log slope of 1."""
    network, x, y = made(loss=loss)
    backprop = direction(BACKPROP, network, x, y)
    nudges = np.array([1e-1, 1e-2, 1e-3, 1e-4])
    off = [
        apart(direction(PC, network, x, y, inference=Inference(400, 0.2, nudge=nudge)), backprop)
        for nudge in nudges
    ]
    slopes = np.polyfit(np.log(nudges), np.log(off), 1)[0]
    np.testing.assert_allclose(slopes, 1, atol=0.05)
    assert np.max(off[-1]) < 1e-3 < np.min(off[0])


def test_pc_of_a_whole_nudge_is_not_backprop():
    network, x, y = made(loss="mse")
    settings = {"inference": Inference(100, 0.3)}
    assert (
        apart(direction(PC, network, x, y, **settings), direction(BACKPROP, network, x, y)).min()
        > 0.05
    )


def test_pc_learns_down_the_energy_it_has_settled_to():
    """The change of weights is the negative gradient of the settled energy, by differences."""
    network, x, y = made(loss="cross_entropy")
    inference = Inference(3000, 0.9 * stable_step(network), nudge=0.7)
    changes = direction(PC, network, x, y, inference=inference)

    def energy():
        return settle(network, x, y, inference, record=True).energies[-1].mean() / 0.7

    for layer, j, i in ((0, 2, 3), (1, 4, 1), (2, 0, 7)):
        w, h = network.weights[layer], 1e-5
        w[j, i] += h
        above = energy()
        w[j, i] -= 2 * h
        below = energy()
        w[j, i] += h
        # Central differences: h^2 of a curvature of order 1, and 1e-16 / h of rounding.
        assert changes[layer][j, i] == pytest.approx(-(above - below) / (2 * h), abs=1e-8)


def test_prospective_activity_is_nearer_to_what_the_network_answers_after_learning():
    """Song et al. 2024, Fig. 1: settled hidden activity foresees the change; backprop's cannot."""
    network, x, y = made(loss="mse", n=1)
    learner = LEARNERS["prospective"](optimiser=Optimiser(eta=0.05))
    settled = learner.settle(network, x, y)
    memory = learner.begin(network, np.random.default_rng(0))
    before = network.forward(x).activities[1:3]
    learner.learn(network, memory, x, y)
    after = network.forward(x).activities[1:3]
    for old, new, foreseen in zip(before, after, settled.activities[1:], strict=True):
        moved, meant = (new - old).ravel(), (foreseen - old).ravel()
        assert moved @ meant / np.linalg.norm(moved) / np.linalg.norm(meant) > 0.9


def test_prospective_reaches_the_equilibrium():
    network, x, y = made(loss="mse")
    settled = LEARNERS["prospective"]().settle(network, x, y)
    least = settle(network, x, y, Inference(5000, 0.2, tolerance=1e-15), record=True).energies[-1]
    assert 2 < settled.n_steps < 128
    # It stops where a step gains a thousandth.
    np.testing.assert_allclose(settled.energies[-1], least, rtol=0.02)


def ipc_by_hand(network, x, y, inference, eta):
    """Move values and weights of a copy together, by the formulas, nothing left out."""
    w, b = [v.copy() for v in network.weights], [v.copy() for v in network.biases]
    f, n, top = network.activation, len(x), network.n_layers - 1
    z = network.forward(x).drives[:-1]
    for _ in range(inference.n_steps):
        h = [x, *(f.value(each) for each in z)]
        eps = [z[k] - (h[k] @ w[k].T + b[k]) for k in range(top)]
        eps.append(inference.nudge * (y - network.output(h[top] @ w[top].T + b[top])))
        moves = [f.slope(z[k], h[k + 1]) * (eps[k + 1] @ w[k + 1]) - eps[k] for k in range(top)]
        for k in range(top):
            z[k] = z[k] + inference.step * moves[k]
        for k in range(top + 1):
            w[k] += eta / inference.nudge * eps[k].T @ h[k] / n
            b[k] += eta / inference.nudge * eps[k].mean(axis=0)
    return w, b


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_ipc_moves_values_and_weights_together(loss):
    network, x, y = made(loss=loss)
    inference, eta = Inference(7, 0.2, nudge=0.5), 0.03
    wanted = ipc_by_hand(network, x, y, inference, eta)
    learner = IPC(optimiser=Optimiser(eta=eta), inference=inference)
    memory = learner.begin(network, np.random.default_rng(0))
    change = learner.direction(network, memory, x, y)
    begin = network.copy()
    learner.learn(network, memory, x, y)
    for k in range(3):
        np.testing.assert_allclose(network.weights[k], wanted[0][k], rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(network.biases[k], wanted[1][k], rtol=1e-10, atol=1e-13)
        stepped = begin.weights[k] + eta * change.weights[k]
        np.testing.assert_allclose(network.weights[k], stepped, rtol=1e-10, atol=1e-13)
    assert apart(network.weights, begin.weights).min() > 1e-3


def test_ipc_makes_a_step_of_the_optimiser_at_every_step_of_inference():
    network, x, y = made()
    learner = IPC(optimiser=Optimiser("adam", eta=1e-3), inference=Inference(7, 0.2))
    memory = learner.begin(network, np.random.default_rng(0))
    with counting() as cost:
        learner.learn(network, memory, x, y)
    assert memory.moments.n_steps[0] == 7
    sizes = [w.size for w in network.weights]
    # The error of the output takes two steps to the first layer.
    assert cost.weight_writes == 7 * sizes[2] + 6 * sizes[1] + 5 * sizes[0]


def test_products_are_counted_and_those_left_out_are_not():
    network, x, y = made()
    (first, second, third), t = (w.size for w in network.weights), 10
    learner = PC(inference=Inference(t, 0.1))
    with counting() as cost:
        learner.learn(network, learner.begin(network, np.random.default_rng(0)), x, y)
    # The input's product once; the second layer's error exists from step 1 and comes back from
    # step 2 on; its prediction changes from step 2 on; every layer learns once.
    forward = first + second + third
    inference = 2 * t * third + (t - 1) * 2 * second
    assert cost.multiply_adds == len(x) * (forward + inference + forward) + forward


@pytest.mark.parametrize("kind", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("n", [1, 6])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_a_step_in_place_is_a_step_along_the_direction(kind, n, bias, decay):
    """With and without someone who looks on; a nudge and a rate are in it.

    Plain descent without decay has a way of its own, which writes no change down.
    """
    nets = []
    for watched in (True, False):
        network, x, y = made(n=n, bias=bias)
        optimiser = Optimiser(kind, eta=0.1, decay=decay)
        learner = PC(optimiser=optimiser, inference=Inference(6, 0.2, nudge=0.5))
        memory = learner.begin(network, np.random.default_rng(0))
        memory.tap = (lambda *signal: None) if watched else None
        with counting() as cost:
            for _ in range(3):
                report = learner.step(network, memory, x, y, 0.7)
        nets.append((network, report.loss, cost.as_dict()))
    (one, loss, cost), (other, loss_of_other, cost_of_other) = nets
    for ours, theirs in zip(one.state.values(), other.state.values(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-13)
    assert loss == pytest.approx(loss_of_other) and cost == cost_of_other
    assert apart(one.weights, made(n=n, bias=bias)[0].weights).min() > 1e-3


@pytest.mark.parametrize("name", ["pc", "ipc", "zil", "prospective"])
def test_synapses_learn_from_the_signals_they_are_shown(name):
    """A tap that silences an error neuron, or a presynaptic cell, stops its synapses alone."""
    for signal, silent in (("error neuron", np.s_[2, :]), ("pre", np.s_[:, 2])):
        network, x, y = made()
        learner = LEARNERS[name]()
        memory = learner.begin(network, np.random.default_rng(0))

        def tap(which, layer, values, signal=signal):
            if which == signal and layer == 1:
                values[:, 2] = 0

        memory.tap = tap
        change = learner.direction(network, memory, x, y).weights[1]
        assert (change[silent] == 0).all() and (change != 0).sum() >= change.size - 11


def test_sparse_networks_answer_as_they_learn():
    network, x, y = made((12, 40, 5), activation="relu")
    learner = PC(inference=Inference(20, 0.1, active=0.1), optimiser=Optimiser(eta=0.2))
    memory = learner.begin(network, np.random.default_rng(0))
    settled = learner.settle(network, x, None)
    assert ((settled.activities[1] != 0).sum(axis=1) <= 4).all()
    sparse, dense = learner.output(network, memory, x), network.predict(x)
    np.testing.assert_allclose(sparse, settled.output)
    assert np.abs(sparse - dense).max() > 1e-2
    for _ in range(100):
        learner.learn(network, memory, x, y)
    assert (learner.output(network, memory, x).argmax(axis=1) == y.argmax(axis=1)).all()


@pytest.mark.parametrize("name", ["pc", "ipc", "prospective"])
@pytest.mark.parametrize("n", [1, 6])
@pytest.mark.parametrize("way", ["learn", "train", "looked at"])
def test_an_inference_that_diverges_says_in_which_step_of_training(name, n, way):
    network, x, y = made(n=n, activation="linear", loss="mse")
    optimiser = Optimiser("sgd", eta=1e-30)
    calm = LEARNERS[name](optimiser=optimiser, inference=Inference(4, 0.01))
    memory = calm.begin(network, np.random.default_rng(0))
    calm.learn(network, memory, x, y)
    calm.learn(network, memory, x, y)
    done = int(memory.moments.n_steps[0])
    assert done == (8 if name == "ipc" else 2)  # Incremental: a step of weights with each.
    wild = LEARNERS[name](optimiser=optimiser, inference=Inference(400, 1e6))
    memory.tap = (lambda *signal: None) if way == "looked at" else None
    said = rf"^{type(wild).__name__}\.inference: expected finite values, got (nan|-?inf|[\d.e+]+) "
    said += r"at step \d+ of inference in layer \d, at step (\d+) of training; lower the step"
    with np.errstate(all="ignore"), pytest.raises(NumericalError, match=said) as caught:
        if way == "train":
            next(train(wild, network, memory, x, y, 1, n, np.random.default_rng(0)))
        wild.learn(network, memory, x, y)
    step = int(str(caught.value).split(", at step ")[1].split()[0])
    assert step >= done if name == "ipc" else step == done
    # As when a worker hands it to the process that started it.
    assert str(copy.copy(caught.value)) == str(caught.value)
