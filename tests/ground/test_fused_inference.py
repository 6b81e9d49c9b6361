"""Inference of small networks in one call is that of the shared inference, and the formula's."""

import numpy as np
import pytest

from neurosim import fused_inference
from neurosim.errors import ConfigError, NumericalError
from neurosim.network import Network, NetworkConfig
from neurosim.predictive_coding import Inference, settle


def network(sizes=(5, 4, 3, 2), **settings):
    settings = {"activation": "sigmoid", "loss": "mse", "dtype": "float64", **settings}
    net = Network(NetworkConfig(sizes, **settings), np.random.default_rng(0))
    for bias in net.biases:
        bias += np.random.default_rng(1).normal(size=bias.shape)
    return net


def samples(net, n=3):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(n, net.config.sizes[0])).astype(net.dtype)
    return x, rng.normal(size=(n, net.config.sizes[-1])).astype(net.dtype)


def by_the_formula(net, x, y, n_steps, rate, discount):
    """Return errors and energies as Song et al. (2024) have them: one rate for the whole batch."""
    f, slope = net.activation
    values = []
    for layer in range(net.n_layers - 1):
        below = f(values[-1]) if values else x
        values.append(below @ net.weights[layer].T + net.biases[layer])
    energies, previous = [], np.inf
    for t in range(n_steps + 1):
        sent = [x, *map(f, values)]
        errors = [
            top - h @ w.T - b
            for top, h, w, b in zip([*values, y], sent, net.weights, net.biases, strict=True)
        ]
        energies.append(0.5 * sum((e**2).sum(axis=1) for e in errors))
        if t == n_steps:
            break
        for k, v in enumerate(values):
            pull = slope(v, sent[k + 1]) * (errors[k + 1] @ net.weights[k + 1])
            values[k] = v + rate * (pull - errors[k])
        if t and not energies[-1].sum() < previous:
            rate *= discount
        previous = energies[-1].sum()
    return errors, np.array(energies)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "leaky_relu", "linear"])
def test_it_is_the_shared_inference(activation):
    net = network(activation=activation)
    x, y = samples(net)
    ours = fused_inference.settle(net, x, y, 6, 0.1)
    theirs = settle(net, x, y, Inference(n_steps=6, step=0.1), record=True)
    assert np.abs(theirs.errors[0]).max() > 1e-3
    for name in ("values", "activities", "errors"):
        for a, b in zip(getattr(ours, name), getattr(theirs, name), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13, err_msg=name)
    np.testing.assert_allclose(ours.output, theirs.output, rtol=1e-12)
    np.testing.assert_allclose(ours.first_output, theirs.first_output, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(ours.energies, theirs.energies, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 9])
@pytest.mark.parametrize("sizes", [(5, 2), (5, 4, 2), (5, 4, 3, 4, 2)])
def test_a_rate_too_large_is_halved_for_the_whole_batch(sizes, n):
    net = network(sizes)
    x, y = samples(net, n)
    ours = fused_inference.settle(net, x, y, 8, 3.0, 0.5)
    errors, energies = by_the_formula(net, x, y, 8, 3.0, 0.5)
    if len(sizes) > 2:
        assert (np.diff(energies.sum(axis=1)) > 0).any()
    for a, b in zip(ours.errors, errors, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(ours.energies, energies, rtol=1e-11)


def test_single_precision_differs_by_rounding_only():
    double, single = network(), network(dtype="float32")
    x, y = samples(double)
    a = fused_inference.settle(double, x, y, 10, 0.1)
    b = fused_inference.settle(single, x.astype("f"), y.astype("f"), 10, 0.1)
    assert b.errors[0].dtype == np.float32
    for exact, rounded in zip(a.errors, b.errors, strict=True):
        # The rational sigmoid is within 4e-7; ten steps add their rounding.
        np.testing.assert_allclose(rounded, exact, atol=1e-5)


def test_the_rational_tanh_is_tanh_to_single_precision():
    z = np.linspace(-12, 12, 301, dtype=np.float32)
    out = np.empty_like(z)
    fused_inference._tanh(z, out)
    np.testing.assert_allclose(out, np.tanh(z.astype(float)), atol=4e-7)


def test_another_loss_is_refused():
    net = network(loss="cross_entropy")
    with pytest.raises(ConfigError, match="mse"):
        fused_inference.settle(net, *samples(net), 3, 0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_that_diverges_is_named_at_the_step_at_which_it_does(dtype):
    net = network(activation="linear", dtype=dtype)
    x, y = samples(net)
    rate, n_steps = 100.0, 300
    short = fused_inference.settle(net, x, y, 1, rate)
    assert np.isfinite(short.energies).all()
    said = r"\w+\.inference: expected finite values, got (nan|inf) at step (\d+) of inference in "
    with pytest.raises(NumericalError, match=said + r"layer 2; lower the step \(now 100\)") as e:
        fused_inference.settle(net, x, y, n_steps, rate)
    step = int(str(e.value).split("at step ")[1].split()[0])
    with np.errstate(over="ignore", invalid="ignore"):
        _, energies = by_the_formula(net, x, y, n_steps, rate, 1.0)
    assert step == np.flatnonzero(~np.isfinite(energies).all(axis=1))[0] > 3
