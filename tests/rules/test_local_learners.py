"""Learners of local rules against closed forms and what they are limits of."""

import dataclasses

import numpy as np
import pytest

from neurosim.errors import ConfigError
from neurosim.learner import Memory
from neurosim.network import Network, NetworkConfig
from neurosim.optimisers import Optimiser
from rules.backprop import Backprop
from rules.difference_target_propagation import DifferenceTargetPropagation, inverse_drive
from rules.direct_feedback_alignment import DirectFeedbackAlignment
from rules.equilibrium_propagation import EquilibriumPropagation
from rules.feedback_alignment import FeedbackAlignment
from rules.forward_forward import ForwardForward
from rules.sign_symmetry import MAGNITUDES, SignSymmetry, feedback
from rules.softhebb import SoftHebb
from rules.softhebb_layers import SoftHebbLayers, unit


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


# Feedback


def test_direct_feedback_alignment_is_feedback_alignment_with_one_hidden_layer():
    network, rng = made((5, 7, 3), activation="relu")
    x, y = samples(network, rng)
    direct, stepwise = DirectFeedbackAlignment(), FeedbackAlignment()
    memory = direct.begin(network, np.random.default_rng(1))
    other = stepwise.begin(network, np.random.default_rng(1))
    np.testing.assert_array_equal(memory.arrays["feedback/1"], other.arrays["feedback/1"])
    one = direct.direction(network, memory, x, y)
    np.testing.assert_allclose(
        flat(one), flat(stepwise.direction(network, other, x, y)), rtol=1e-12
    )
    assert np.abs(one.weights[0]).max() > 1e-3


def test_direct_feedback_through_the_weights_above_is_the_gradient_of_a_linear_net():
    """Where nothing is bent, ``B_l = W_L ... W_{l+1}`` carries what backpropagation would bring."""
    network, rng = made(activation="linear")
    x, y = samples(network, rng)
    learner = DirectFeedbackAlignment()
    memory = learner.begin(network, rng)
    memory.arrays["feedback/2"] = network.weights[2]
    memory.arrays["feedback/1"] = network.weights[2] @ network.weights[1]
    true = Backprop().direction(network, Backprop().begin(network, rng), x, y)
    np.testing.assert_allclose(
        flat(learner.direction(network, memory, x, y)), flat(true), rtol=1e-10
    )


@pytest.mark.parametrize("magnitudes", MAGNITUDES)
def test_sign_symmetry_sends_errors_back_through_the_signs_of_the_weights(magnitudes):
    network, rng = made()
    learner = SignSymmetry(magnitudes=magnitudes)
    memory = learner.begin(network, rng)
    x, y = samples(network, rng)
    seen = []
    for _ in range(2):
        before = {k: np.array(v) for k, v in memory.arrays.items()}
        learner.learn(network, memory, x, y, rate=5.0)
        for layer in (1, 2):
            back = feedback(network, memory, layer)
            np.testing.assert_array_equal(np.sign(back), np.sign(network.weights[layer]))
        seen.append(all(np.array_equal(before[k], memory.arrays[k]) for k in before))
    assert seen == [magnitudes != "batchwise"] * 2  # Only these are drawn anew.
    sizes = np.abs(feedback(network, memory, 1))
    # Of the mean square of fresh weights, 2 / (7 + 6): 42 numbers, four standard errors.
    assert (sizes**2).mean() == pytest.approx(2 / 13, rel=4 * 0.9 / np.sqrt(42))
    assert (np.ptp(sizes) == 0) == (magnitudes == "uniform")


def test_sign_symmetry_with_the_magnitudes_of_the_weights_is_backprop():
    network, rng = made()
    x, y = samples(network, rng)
    learner = SignSymmetry(magnitudes="fixed")
    memory = learner.begin(network, rng)
    for layer in (1, 2):
        memory.arrays[f"magnitudes/{layer}"] = np.abs(network.weights[layer])
    true = Backprop().direction(network, Backprop().begin(network, rng), x, y)
    np.testing.assert_allclose(
        flat(learner.direction(network, memory, x, y)), flat(true), rtol=1e-12
    )


# Targets


def orthogonal(network, rng):
    for w in network.weights[1:-1]:
        w[:] = np.linalg.qr(rng.normal(size=w.shape))[0]


def with_inverses(learner, network, rng, inverse):
    memory = learner.begin(network, rng)
    for layer in range(1, network.n_layers - 1):
        memory.arrays[f"inverse/{layer}"][:] = inverse(network.weights[layer])
    return memory


def shown_errors(learner, network, memory, x, y):
    """Return what each layer misses over the step's length, ``(t_l - h_l) / eta_t`` (linear)."""
    errors = {}

    def tap(signal, layer, values):
        if signal == "error neuron":
            errors[layer] = values.copy()

    memory.tap = tap
    learner.direction(network, memory, x, y)
    memory.tap = None
    return errors


def test_targets_through_exact_inverses_are_reached_exactly_and_are_gauss_newton_steps():
    """On an invertible linear net ``f_l(t_{l-1}) = t_l``, so ``t_{l-1} - h = W^{-1} (t_l - h)``."""
    network, rng = made((5, 6, 6, 6, 3), activation="linear")
    x, y = samples(network, rng)
    learner = DifferenceTargetPropagation(target_step=0.3)
    memory = with_inverses(learner, network, rng, np.linalg.inv)
    errors = shown_errors(learner, network, memory, x, y)
    for layer in (0, 1):
        np.testing.assert_allclose(errors[layer] @ network.weights[layer + 1].T, errors[layer + 1])
    at_output = y - network.forward(x).activities[-1]
    np.testing.assert_allclose(errors[2], at_output @ network.weights[3])
    assert np.abs(errors[0]).max() > 1e-2


def test_targets_through_orthogonal_weights_are_the_gradient():
    network, rng = made((5, 6, 6, 6, 3), activation="linear")
    orthogonal(network, rng)
    x, y = samples(network, rng)
    learner = DifferenceTargetPropagation()
    memory = with_inverses(learner, network, rng, lambda w: w.T)
    true = Backprop().direction(network, Backprop().begin(network, rng), x, y)
    np.testing.assert_allclose(
        flat(learner.direction(network, memory, x, y)), flat(true), rtol=1e-9
    )


def test_the_difference_takes_out_what_an_inverse_gets_wrong():
    """A layer whose target is its activity asks nothing below, however bad its inverse is."""
    network, rng = made()
    learner = DifferenceTargetPropagation()
    memory = learner.begin(network, rng)
    x, _ = samples(network, rng)
    said = network.forward(x).activities[-1]
    np.testing.assert_allclose(flat(learner.direction(network, memory, x, said)), 0, atol=1e-15)


def test_inverses_learn_to_bring_back_the_layer_below():
    network, rng = made((5, 6, 8, 3))
    learner = DifferenceTargetPropagation(noise=0.05, inverse=Optimiser("adam", eta=0.01))
    memory = learner.begin(network, rng)
    x, y = samples(network, rng, 64)
    h = network.forward(x).activities

    def missed():
        back = np.tanh(inverse_drive(network, memory, 1, h[2]))
        return np.square(back - h[1]).sum() / np.square(h[1]).sum()

    before = missed()
    for _ in range(500):
        learner.direction(network, memory, x, y)
    # A tanh of a sum cannot undo a tanh of a sum altogether.
    assert before > 0.5 and missed() < 0.1


def test_inverses_are_asked_for_the_activity_that_noise_has_changed():
    """Down the mean of ``|f(V h' + c) - (h + noise)|^2 / 2`` with h' of the changed activity."""
    network, rng = made()
    learner = DifferenceTargetPropagation(noise=0.5, inverse=Optimiser("sgd", eta=1e-3))
    memory = learner.begin(network, np.random.default_rng(4))
    x, y = samples(network, rng)
    h = network.forward(x).activities[1]
    drawn = np.random.default_rng(4)
    drawn.bit_generator.state = memory.rng.bit_generator.state
    noisy = h + 0.5 * drawn.standard_normal(h.shape)
    v, c = (memory.arrays[f"inverse{kind}/1"].copy() for kind in ("", "_bias"))
    above = np.tanh(noisy @ network.weights[1].T + network.biases[1])
    back = np.tanh(above @ v.T + c)
    error = (1 - back**2) * (noisy - back) / len(x)
    learner.direction(network, memory, x, y)
    np.testing.assert_allclose(memory.arrays["inverse/1"] - v, 1e-3 * error.T @ above, rtol=1e-9)
    np.testing.assert_allclose(memory.arrays["inverse_bias/1"] - c, 1e-3 * error.sum(0), rtol=1e-9)


# SoftHebb


def test_averages_of_a_batch_count_as_its_samples_would_one_by_one():
    """The first samples are averaged plainly; what cells win fades as ``(1 - adaptation)^n``."""
    network, rng = made((8, 5, 3), activation="relu")
    learner = SoftHebbLayers(adaptation=0.01)
    memory = learner.begin(network, rng)
    batches = [samples(network, rng, n)[0] for n in (4, 12, 500)]
    for x in batches[:2]:
        learner.learn(network, memory, x, np.zeros(len(x), int))
    np.testing.assert_allclose(memory.arrays["usual/0"], np.concatenate(batches[:2]).mean(axis=0))
    before = {name: array.copy() for name, array in memory.arrays.items()}
    x = batches[2]
    share = learner.shares(
        unit(x - before["usual/0"]) @ network.weights[0].T, before["use/0"]
    ).mean(axis=0)
    learner.learn(network, memory, x, np.zeros(len(x), int))
    for name, mean in (("usual/0", x.mean(axis=0)), ("use/0", share)):
        kept = 0.99**500
        if name == "usual/0":
            kept = min(kept, 16 / 516)
        np.testing.assert_allclose(memory.arrays[name], kept * before[name] + (1 - kept) * mean)


def test_softhebb_rests_where_weights_are_normalised_means_of_what_their_cells_win():
    """``E[p_k (x - u_k w_k)] = 0``, hence ``w_k = E[p_k x] / |E[p_k x]|``."""
    network, rng = made((8, 5, 3), activation="relu")
    causes = np.eye(8)[[0, 3, 6]]
    x = unit(causes[rng.integers(0, 3, size=40)] + 0.2 * rng.random((40, 8)))
    y = np.eye(3)[rng.integers(0, 3, size=40)]
    optimiser = Optimiser("sgd", eta=1.0)
    learner = SoftHebbLayers(optimiser=optimiser, temperature=0.1, adaptation=0.0)
    memory = learner.begin(network, rng)
    for _ in range(2000):
        learner.learn(network, memory, x, y)
    w = network.weights[0]
    means = learner.shares(x @ w.T, np.full(5, 0.2)).T @ x
    np.testing.assert_allclose(w, means / np.linalg.norm(means, axis=1, keepdims=True), atol=1e-6)
    # Cells have come to differ: some stand for one cause, some for another.
    assert len(set((w @ causes.T).argmax(axis=1))) > 1


def test_a_softhebb_direction_is_the_sum_of_the_synaptic_rule_over_samples():
    network, rng = made((8, 5, 4, 3), activation="relu")
    x, y = samples(network, rng)
    learner = SoftHebbLayers()
    memory = learner.begin(network, rng)
    for name, average in memory.arrays.items():
        average[:] = 0.1 * rng.random(average.shape)
        if name.startswith("use/"):
            average /= average.sum()
    kept = {name: average.copy() for name, average in memory.arrays.items()}
    found = learner.direction(network, memory, x, y)
    h = x
    for layer in (0, 1):
        pre = h - kept[f"usual/{layer}"]
        pre /= np.linalg.norm(pre, axis=1, keepdims=True)
        u = pre @ network.weights[layer].T
        e = np.exp(u / learner.temperature) / kept[f"use/{layer}"]
        p = e / e.sum(axis=1, keepdims=True)
        rule = [
            SoftHebb.reference(pre[k], p[k], u[k], network.weights[layer], 1.0) for k in range(8)
        ]
        np.testing.assert_allclose(found.weights[layer], np.mean(rule, axis=0), atol=1e-7)
        assert np.abs(found.weights[layer]).max() > 1e-3
        h = np.maximum(u - u.mean(axis=1, keepdims=True), 0)
    pre = h - kept["usual/2"]
    pre /= np.linalg.norm(pre, axis=1, keepdims=True)
    output = network.output(pre @ network.weights[2].T + network.biases[2])
    readout = learner.readout_rate * (y - output).T @ pre / 8
    np.testing.assert_allclose(found.weights[2], readout, atol=1e-6)
    said = learner.output(network, Memory(memory.moments, kept), x, batch=3)
    np.testing.assert_allclose(said, output, atol=1e-6)


def test_homeostasis_lets_every_softhebb_cell_win():
    """Without averages, one cell that lies nearest wins all there is; with, mean use nears 1 / n.

    Most of that the usual input does, which is taken away; what cells have won must not undo it.
    """
    won = {}
    for adaptation, temperature in ((0.0, 0.05), (0.01, 0.05), (0.01, 0.5)):
        network, rng = made((8, 10, 3), activation="relu")
        x = 1 + 0.5 * rng.random((300, 8))
        y = np.eye(3)[rng.integers(0, 3, size=300)]
        learner = SoftHebbLayers(temperature=temperature, adaptation=adaptation)
        memory = learner.begin(network, rng)
        for k in range(0, 3000, 10):
            chosen = np.arange(k, k + 10) % 300
            learner.learn(network, memory, x[chosen], y[chosen])
        pre = unit(x - memory.arrays["usual/0"])
        share = learner.shares(pre @ network.weights[0].T, memory.arrays["use/0"])
        won[adaptation, temperature] = len(share.T) * share.mean(axis=0)
    assert (won[0.0, 0.05] > 0.5).sum() < 5
    np.testing.assert_allclose(won[0.01, 0.05], 1, atol=0.3)
    np.testing.assert_allclose(won[0.01, 0.5], 1, atol=0.3)


# Refusals


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (SignSymmetry, {"magnitudes": "unifrom"}),
        (DifferenceTargetPropagation, {"target_step": 0.0}),
        (DifferenceTargetPropagation, {"noise": -1.0}),
        (EquilibriumPropagation, {"beta": 1.0}),
        (EquilibriumPropagation, {"beta": float("nan")}),
        (EquilibriumPropagation, {"n_free": 0}),
        (EquilibriumPropagation, {"ceiling": 0.0}),
        (ForwardForward, {"threshold": 0.0}),
        (ForwardForward, {"negatives": "soft"}),
        (ForwardForward, {"upper_rate": 0.0}),
        (ForwardForward, {"lead": 1.0}),
        (SoftHebbLayers, {"temperature": 0.0}),
        (SoftHebbLayers, {"readout_rate": float("inf")}),
        (SoftHebbLayers, {"adaptation": -0.1}),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(kind, settings):
    with pytest.raises(ConfigError, match=f"{kind.__name__}.{next(iter(settings))}"):
        kind(**settings)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (EquilibriumPropagation, {"activation": "linear"}),
        (ForwardForward, {"sizes": (3, 5, 3)}),
        (ForwardForward, {"sizes": (8, 3)}),
        (ForwardForward, {"sizes": (8, 5, 1)}),
    ],
)
def test_networks_on_which_a_learner_is_not_defined_are_refused(kind, settings):
    network, rng = made(**settings)
    with pytest.raises(ConfigError, match=kind.__name__):
        kind().begin(network, rng)


def test_what_learns_beside_the_network_is_part_of_the_state():
    network, rng = made((5, 6, 8, 3))
    learner = DifferenceTargetPropagation(inverse=Optimiser("adam", eta=0.01))
    memory = learner.begin(network, rng)
    kept = set(memory.state)
    assert {"inverse/1", "inverse_bias/1", "inverse_moments/1/moments/0/1"} <= kept
    plain = dataclasses.replace(learner, inverse=Optimiser("sgd", eta=0.01))
    bare = plain.begin(network, rng)
    more = learner.state_bytes_per_synapse(network, memory)
    less = plain.state_bytes_per_synapse(network, bare)
    assert more - less == pytest.approx(2 * 8 * (6 * 8 + 6) / network.n_synapses)
