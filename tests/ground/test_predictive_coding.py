"""Predictive-coding inference goes down its energy, to where theory says."""

import numpy as np
import pytest

from neurosim.errors import ConfigError, InputError, NumericalError
from neurosim.network import Network, NetworkConfig
from neurosim.online_inference import Room
from neurosim.predictive_coding import Inference, Settling, settle, stable_step
from neurosim.settling import losers

ACTIVATIONS = ("tanh", "relu", "sigmoid", "leaky_relu", "linear")
LOSSES = ("mse", "cross_entropy")


def made(sizes=(6, 9, 8, 4), n=5, seed=0, **settings):
    """Return a network with biases, inputs, and one-hot targets."""
    rng = np.random.default_rng(seed)
    network = Network(NetworkConfig(sizes, **{"dtype": "float64", **settings}), rng)
    for bias in network.biases:
        bias += 0.3 * rng.normal(size=bias.shape)
    x = rng.normal(size=(n, sizes[0])).astype(network.dtype)
    y = np.eye(sizes[-1], dtype=network.dtype)[rng.integers(0, sizes[-1], n)]
    return network, x, y


def reference(network, x, y, inference, free=None, known=None, precision=0.0):
    """Settle by the formulas: every product, every step, all layers, nothing left out."""
    w, b, f = network.weights, network.biases, network.activation
    top, start = network.n_layers - 1, x.copy()
    x, z, h = x.copy(), [], [x]
    for layer in range(top):
        z.append(h[-1] @ w[layer].T + b[layer])
        h.append(f.value(z[-1]))
    step, energies = np.full(len(x), inference.step), []
    for t in range(inference.n_steps + 1):
        h = [x, *(f.value(values) for values in z)]
        eps = [z[k] - (h[k] @ w[k].T + b[k]) for k in range(top)]
        output = network.output(h[top] @ w[top].T + b[top])
        losses = network.losses(output, y)
        e = inference.nudge * (y - output)
        if known is not None:
            e = e * known
            losses = 0.5 * (known * (y - output) ** 2).sum(axis=1)
        eps.append(e)
        squares = [(each**2).sum(axis=1) for each in (*eps[:-1], np.sqrt(precision) * (x - start))]
        energies.append(0.5 * sum(squares) + inference.nudge * losses)
        if t == inference.n_steps:
            return z, eps, np.array(energies), x
        if inference.halve and t:
            step[energies[-1] > energies[-2]] /= 2
        if free is not None:
            moved = eps[0] @ w[0] - precision * (x - start)
            x = x + step[:, None] * free * moved
        z = [
            z[k] + step[:, None] * (f.slope(z[k], h[k + 1]) * (eps[k + 1] @ w[k + 1]) - eps[k])
            for k in range(top)
        ]


def same(settled, wanted, rtol=1e-10):
    z, eps, energies, x = wanted
    for ours, theirs in zip([*settled.values, *settled.errors], [x, *z, *eps], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol)
    if settled.energies.size:
        np.testing.assert_allclose(settled.energies, energies, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("n", [1, 5, 20])  # One call, BLAS, tiles (where there are any).
@pytest.mark.parametrize("halve", [False, True])
def test_settling_is_the_formulas(loss, activation, n, halve):
    network, x, y = made(n=n, loss=loss, activation=activation)
    inference = Inference(n_steps=12, step=0.7 if halve else 0.2, halve=halve, nudge=0.8)
    wanted = reference(network, x, y, inference)
    assert np.abs(np.diff(wanted[2], axis=0)).max() > 1e-3
    for record in (True, False):
        same(settle(network, x, y, inference, record=record), wanted)


@pytest.mark.parametrize("sizes", [(6, 4), (6, 8, 4), (6, 8, 7, 8, 7, 4)])
@pytest.mark.parametrize("n_steps", [0, 1, 2, 9])
def test_errors_that_are_zero_by_construction_are_left_out_and_nothing_else(sizes, n_steps):
    network, x, y = made(sizes, activation="tanh")
    inference = Inference(n_steps=n_steps, step=0.3)
    same(settle(network, x, y, inference), reference(network, x, y, inference))


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("n", [5, 20])
def test_parts_of_input_and_output_may_be_free(activation, n):
    network, x, y = made(n=n, loss="mse", activation=activation)
    rng = np.random.default_rng(4)
    free, unknown = rng.random(x.shape) < 0.5, rng.random(y.shape) < 0.5
    inference = Inference(n_steps=15, step=0.2)
    wanted = reference(network, x, y, inference, free, ~unknown, precision=0.3)
    found = settle(
        network, x, np.where(unknown, np.nan, y), inference,
        free_input=free, free_output=unknown, input_precision=0.3,
    )  # fmt: skip
    same(found, wanted)
    np.testing.assert_array_equal(found.values[0][~free], x[~free])
    assert np.abs(found.values[0] - x)[free].max() > 1e-2


def test_a_whole_output_may_be_free_with_cross_entropy_a_part_may_not():
    network, x, y = made(loss="cross_entropy")
    free = np.zeros_like(y, dtype=bool)
    free[2] = True
    found = settle(network, x, y, Inference(), free_output=free, record=True)
    assert (found.energies[:, 2] == 0).all() and (found.energies[0, [0, 1, 3, 4]] > 0).all()
    free[0, 1] = True
    with pytest.raises(InputError, match="some of sample 0.*loss mse"):
        settle(network, x, y, Inference(), free_output=free)


def test_without_an_output_nothing_pulls_and_nothing_is_computed():
    network, x, _ = made()
    forward = network.copy().forward(x)
    found = settle(network, x, None, Inference(n_steps=50), record=True)
    np.testing.assert_allclose(found.output, forward.activities[-1])
    assert not any(e.any() for e in found.errors) and not found.energies.any()
    assert network.ledger.multiply_adds == len(x) * network.n_synapses


def test_values_may_start_anywhere():
    network, x, y = made(activation="tanh")
    first = settle(network, x, y, Inference(n_steps=4))
    rest = settle(network, x, y, Inference(n_steps=6), start=first.values[1:])
    same(rest, (*reference(network, x, y, Inference(n_steps=10))[:2], None, x))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "linear"])
@pytest.mark.parametrize("free", [False, True])
def test_energy_never_rises_at_the_stable_step(loss, activation, free):
    network, x, y = made(loss=loss, activation=activation, seed=2)
    step = stable_step(network, free_input=free)
    found = settle(network, x, y, Inference(100, 0.95 * step), free_input=free, record=True)
    rises = np.diff(found.energies, axis=0)
    # Rounding of a sum of some twenty squares.
    assert rises.max() < 1e-13
    assert (found.energies[-1] < 0.99 * found.energies[0]).all()


@pytest.mark.parametrize("free", [False, True])
def test_the_stable_step_is_where_a_linear_network_begins_to_diverge(free):
    network, x, y = made(loss="mse", activation="linear")
    ends = {}
    for factor in (0.98, 1.02):
        step = factor * stable_step(network, nudge=1.5, free_input=free)
        inference = Inference(400, step, nudge=1.5)
        found = settle(network, x, y, inference, free_input=free, record=True)
        ends[factor] = found.energies[-1].mean() / found.energies[0].mean()
    assert ends[0.98] < 1 < ends[1.02]


def test_a_linear_network_settles_where_its_energy_has_no_slope():
    """The equilibrium energy of a linear network in closed form, and its values.

    ``F* = e^T (1 + sum_k P_k P_k^T)^-1 e / 2`` with ``P_k = W_L ... W_{k+1}`` and e the error of
    the forward pass (Innocenti et al. 2024, Eq. 5).
    """
    network, x, y = made(loss="mse", activation="linear")
    w = network.weights
    inference = Inference(4000, 0.9 * stable_step(network), tolerance=1e-15)
    found = settle(network, x, y, inference, record=True)
    assert found.n_steps < 4000
    e = y - network.forward(x).activities[-1]
    product, spread = np.eye(4), np.eye(4)
    for k in (2, 1):
        product = product @ w[k]
        spread += product @ product.T
    wanted = 0.5 * np.einsum("si,ij,sj->s", e, np.linalg.inv(spread), e)
    np.testing.assert_allclose(found.energies[-1], wanted, rtol=1e-9)
    top = e @ np.linalg.inv(spread)
    for layer, way in ((2, np.eye(4)), (1, w[2]), (0, w[2] @ w[1])):
        np.testing.assert_allclose(found.errors[layer], top @ way, rtol=1e-5, atol=1e-8)


def test_it_stops_when_no_sample_gains_any_more():
    network, x, y = made(activation="tanh", loss="mse")
    found = settle(network, x, y, Inference(500, 0.3, tolerance=1e-3))
    assert 5 < found.n_steps < 100
    gains = 1 - found.energies[1:] / found.energies[:-1]
    assert gains[-1].max() <= 1e-3 < gains[:-1].max(axis=1).min()


def test_a_halved_step_saves_a_run_that_would_diverge():
    network, x, y = made(activation="linear", loss="mse")
    step = 3 * stable_step(network)
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            NumericalError, match=r"Inference\.inference.*at step \d+ of inference in layer \d"
        ),
    ):
        settle(network, x, y, Inference(3000, step))
    found = settle(network, x, y, Inference(500, step, halve=True))
    assert (found.energies[-1] < found.energies[0]).all()


def test_only_the_most_active_stay_active():
    network, x, y = made((6, 20, 30, 4), activation="tanh")
    found = settle(network, x, y, Inference(10, 0.2, active=0.1))
    for h, k in zip(found.activities[1:], (2, 3), strict=True):
        assert ((h != 0).sum(axis=1) == k).all()
    activity = np.array([[3.0, 1.0, 2.0, 0.0], [0.0, 5.0, 5.0, 1.0]])
    np.testing.assert_array_equal(
        losers(activity, 0.25), [[False, True, True, True], [True, False, False, True]]
    )


def test_units_that_lose_are_pulled_by_their_prediction_alone():
    network, x, y = made((6, 20, 4), activation="tanh")
    state = Settling(network, x, y, Inference(1, 0.25, active=0.1))
    before, mu = state.values[1].copy(), network.forward(x).drives[0]
    lost = state.activities[1] == 0
    state.move()
    np.testing.assert_array_equal(state.values[1][lost], before[lost])
    assert (state.values[1] != before)[~lost].all()
    np.testing.assert_array_equal(before, mu)


@pytest.mark.parametrize("n", [1, 5])
def test_single_precision_is_double_precision_to_rounding(n):
    single, x, y = made(n=n, dtype="float32", activation="relu")
    double, *_ = made(n=n, dtype="float64", activation="relu")
    for w, v in zip(single.weights, double.weights, strict=True):
        v[...] = w
    for b, v in zip(single.biases, double.biases, strict=True):
        v[...] = b
    found = settle(single, x, y, Inference())
    assert all(e.dtype == np.float32 for e in [*found.values, *found.errors])
    same(found, reference(double, x.astype(float), y.astype(float), Inference()), 1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [("n_steps", -1), ("step", 0.0), ("step", np.nan), ("nudge", -1.0), ("tolerance", 1.0),
     ("active", 0.0)],
)  # fmt: skip
def test_impossible_settings_are_refused(field, value):
    with pytest.raises(ConfigError, match=rf"Inference\.{field}: expected"):
        Inference(**{field: value})


@pytest.mark.parametrize("sizes", [(6, 4), (6, 8, 4), (6, 8, 7, 8, 7, 4)])
def test_one_sample_settles_as_the_formulas_at_any_depth(sizes):
    network, x, y = made(sizes, n=1, activation="relu", loss="mse")
    inference = Inference(n_steps=9, step=0.3)
    same(settle(network, x, y, inference), reference(network, x, y, inference))


def test_units_that_become_active_on_the_way_are_read_from_then_on():
    """More of them than there is room for beside the columns of those that were active."""
    network, x, y = made((6, 30, 120, 4), n=1, activation="relu", loss="mse")
    network.biases[0][:] = 1
    network.weights[1][:] = np.abs(network.weights[1])
    drive = network.forward(x).drives[1][0]
    network.biases[1] -= drive + 1e-6
    network.biases[1][:8] += 0.1
    network.weights[2][:, :8] = 0.5
    y[:] = 5
    inference = Inference(n_steps=10, step=0.05)
    found = settle(network, x, y, inference)
    before = int((network.forward(x).activities[2] > 0).sum())
    assert before == 8 and (found.activities[2] > 0).sum() > before + before // 8 + 16
    same(found, reference(network, x, y, inference))


def test_one_sample_settles_in_the_same_room_again_and_nothing_is_left_over():
    network, x, y = made(n=4, activation="relu", loss="mse")
    room = Room(network)
    for k in (0, 1, 2, 3, 0):
        one = slice(k, k + 1)
        found = settle(network, x[one], y[one], Inference(), room=room)
        same(found, reference(network, x[one], y[one], Inference()))
        assert found.errors[0].base is not None and np.shares_memory(found.errors[0], room.units)


def test_one_sample_that_diverges_is_named_too():
    network, x, y = made(n=1, activation="linear", loss="mse")
    expected = pytest.raises(NumericalError, match=r"at step \d+ of inference in layer \d")
    with np.errstate(all="ignore"), expected:  # Interpreted, NumPy warns of the overflow.
        settle(network, x, y, Inference(3000, 3 * stable_step(network)))
