"""Inference of small predictive-coding networks: all steps of a batch in one compiled call.

Layers of some dozens of units cost more in calls than in products. Here the samples of a batch lie
side by side in the lanes of the processor, and nothing is allocated between the steps.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError
from neurosim.inference import Inference, InferenceDiverged, diverged
from neurosim.network import LEAK, Network
from neurosim.predictive_coding import Settled

Array = NDArray[np.floating]

# Keeps NaNs; lets a product and a sum become one instruction.
_FAST = {"contract", "nsz"}
# tanh(x) for |x| < 7.9 as x P(x^2) / Q(x^2): 13th over 6th degree, within 4e-7 in float32, where it
# is free of branches. The coefficients are those of the Eigen library's float32 tanh.
_P = (
    4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
    -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16,
)  # fmt: skip
_Q = (4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06)
_SATURATED = 7.90531110763549805
_SMOOTH = {"tanh": 1, "sigmoid": 2}
_SLOPES = {"linear": 1.0, "relu": 0.0, "leaky_relu": LEAK}  # Below 0.
_LANES = 16  # Float32 numbers of a 512-bit register.
_TANH, _SIGMOID = 1, 2


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _tanh(z, out):
    """Write tanh of a row; by the rational function in float32, exactly in float64."""
    real = z.dtype.type
    if z.itemsize == 8:
        for b in range(z.size):
            out[b] = np.tanh(z[b])
        return
    p0, p1, p2, p3 = real(_P[0]), real(_P[1]), real(_P[2]), real(_P[3])
    p4, p5, p6 = real(_P[4]), real(_P[5]), real(_P[6])
    q0, q1, q2, q3 = real(_Q[0]), real(_Q[1]), real(_Q[2]), real(_Q[3])
    top = real(_SATURATED)
    for b in range(z.size):
        x = z[b]
        x = top if x > top else x
        x = -top if x < -top else x
        s = x * x
        p = p0 + s * (p1 + s * (p2 + s * (p3 + s * (p4 + s * (p5 + s * p6)))))
        out[b] = x * p / (q0 + s * (q1 + s * (q2 + s * q3)))


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _activities(kind, below, v, h, slope):
    """Write f(v) and f'(v) of all units of a layer, ``(n_units, n_samples)``.

    `below` is the slope below 0 of the transfer functions that have one there.
    """
    real = v.dtype.type
    one, half = real(1), real(0.5)
    for i in range(v.shape[0]):
        if kind == _SIGMOID:
            for b in range(v.shape[1]):
                slope[i, b] = half * v[i, b]
            _tanh(slope[i], h[i])
            for b in range(v.shape[1]):
                f = half + half * h[i, b]
                h[i, b] = f
                slope[i, b] = f * (one - f)
        elif kind == _TANH:
            _tanh(v[i], h[i])
            for b in range(v.shape[1]):
                slope[i, b] = one - h[i, b] * h[i, b]
        else:
            for b in range(v.shape[1]):
                s = one if v[i, b] > 0 else below
                slope[i, b] = s
                h[i, b] = s * v[i, b]


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _add_product(out, w, h, sign):
    """Add ``sign * w @ h``; four presynaptic units at a time."""
    n_post, n_pre = w.shape
    n = out.shape[1]
    last = n_pre - n_pre % 4
    for i in range(n_post):
        row = out[i]
        for j in range(0, last, 4):
            a, b, c, d = sign * w[i, j], sign * w[i, j + 1], sign * w[i, j + 2], sign * w[i, j + 3]
            h0, h1, h2, h3 = h[j], h[j + 1], h[j + 2], h[j + 3]
            for k in range(n):
                row[k] += a * h0[k] + b * h1[k] + c * h2[k] + d * h3[k]
        for j in range(last, n_pre):
            a, h0 = sign * w[i, j], h[j]
            for k in range(n):
                row[k] += a * h0[k]


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _settle(
    drive, target, n_samples, weights, biases, sizes, n_steps, rate, discount, kind, below_zero,
    v, h, slope, e, first_error, energies,
):  # fmt: skip
    """Descend the energy; rows are units of the layers one after the other, columns samples.

    Parameters are as in `settle`; `weights` holds the layers above the first one after another,
    each followed by its transpose; `v`, `h`, `slope` and `e` are left at the last step. Columns
    beyond `n_samples` fill the processor's lanes and do not count.
    """
    real = v.dtype.type
    n_layers, n = sizes.size, v.shape[1]
    back = np.empty((sizes.max(), n), v.dtype)
    previous = real(np.inf)
    for t in range(n_steps + 1):
        lanes = energies[t]
        lanes[:] = 0
        at, w_at, b_at = 0, 0, 0
        for layer in range(n_layers):
            m = sizes[layer]
            rows = slice(at, at + m)
            output = layer == n_layers - 1
            if layer == 0:
                if t == 0 and not output:
                    v[rows] = drive
                for i in range(m):
                    for k in range(n):
                        wanted = target[i, k] if output else v[at + i, k]
                        e[at + i, k] = wanted - drive[i, k]
            else:
                pre = sizes[layer - 1]
                w = weights[w_at : w_at + m * pre].reshape(m, pre)
                w_at += 2 * m * pre
                below = h[at - pre : at]
                if t == 0 and not output:  # A forward pass: nothing is in error yet.
                    for i in range(m):
                        v[at + i] = biases[b_at + i]
                        e[at + i] = 0
                    _add_product(v[rows], w, below, real(1))
                else:
                    for i in range(m):
                        for k in range(n):
                            wanted = target[i, k] if output else v[at + i, k]
                            e[at + i, k] = wanted - biases[b_at + i]
                    _add_product(e[rows], w, below, real(-1))
                b_at += m
            for i in range(m):
                for k in range(n):
                    lanes[k] += real(0.5) * e[at + i, k] * e[at + i, k]
            if output and t == 0:
                first_error[:] = e[at : at + m]
            if not output:
                _activities(kind, below_zero, v[rows], h[rows], slope[rows])
            at += m
        energy = real(0)
        for k in range(n_samples):
            energy += lanes[k]
        if t == n_steps:
            break
        at, w_at = 0, 0
        for layer in range(n_layers - 1):
            m, post = sizes[layer], sizes[layer + 1]
            w_at += m * post
            w = weights[w_at : w_at + m * post].reshape(m, post)
            w_at += m * post
            back[:m] = 0
            _add_product(back[:m], w, e[at + m : at + m + post], real(1))
            for i in range(m):
                for k in range(n):
                    v[at + i, k] += rate * (slope[at + i, k] * back[i, k] - e[at + i, k])
            at += m
        if t > 0 and not energy < previous:
            rate *= discount
        previous = energy


def settle(
    network: Network,
    x: Array,
    y: Array,
    n_steps: int,
    rate: float,
    discount: float = 1.0,
    name: str = "Inference",
) -> Settled:
    """Let the value nodes of hidden layers settle between a clamped input and a clamped output.

    ``E = sum_l |e_l|^2 / 2,  e_l = v_l - W_l f(v_{l-1}) - b_l,  f(v_0) = x,  v_L = y``
    ``v_l += rate (f'(v_l) (W_{l+1}' e_{l+1}) - e_l)``, from a forward pass.

    `neurosim.predictive_coding.settle` does the same and more, by products of matrices; this is
    for layers of some dozens of units. When the energy of the whole batch has not fallen, the rate
    of all its samples is multiplied by `discount`, as Song et al. do it.

    Parameters
    ----------
    network : Network
        With the loss "mse".
    x : (n_samples, n_in) float
    y : (n_samples, n_out) float
    n_steps : int
        Steps of the value nodes.
    rate : float
    discount : float
        0 to 1; 1 keeps the rate.
    name : str
        In the message of the error.

    Raises
    ------
    ConfigError
        For a network of another loss, whose energy is not this one.
    NumericalError
        When values are no longer finite; names layer, step and value.

    References
    ----------
    Whittington & Bogacz (2017) Neural Comput. 29:1229, Eqs. 2.15-2.19. Song et al. (2024) Nat.
    Neurosci. 27:348, Methods (the rate that is halved).
    """
    if network.config.loss != "mse":
        raise ConfigError.expected(
            network, "loss", "'mse', a Gaussian output", network.config.loss, "write loss=mse"
        )
    activation = network.config.activation
    kind, real, n = network.dtype, network.dtype.type, len(x)
    width = n if n < 8 else -(-n // _LANES) * _LANES
    sizes = np.array(network.config.sizes[1:])
    drive = np.zeros((sizes[0], width), kind)
    np.matmul(network.weights[0], x.T, out=drive[:, :n])
    drive[:, :n] += network.biases[0][:, None]
    target = np.zeros((sizes[-1], width), kind)
    target[:, :n] = y.T
    v, h, slope = (np.empty((int(sizes[:-1].sum()), width), kind) for _ in range(3))
    e, first = np.empty((int(sizes.sum()), width), kind), np.empty_like(target)
    energies = np.empty((n_steps + 1, width), kind)
    _settle(
        drive, target, n, *_packed(network), sizes, n_steps, real(rate), real(discount),
        _SMOOTH.get(activation, 0), real(_SLOPES.get(activation, 1.0)),
        v, h, slope, e, first, energies,
    )  # fmt: skip
    for layer in range(network.n_layers):
        network.count_products(layer, n, times=2 * n_steps + 1 if layer else 1)
    ends = np.cumsum(sizes)
    cut = [slice(end - m, end) for end, m in zip(ends, sizes, strict=True)]
    errors = [np.ascontiguousarray(e[rows, :n].T) for rows in cut]
    if not np.isfinite(energies[-1, :n]).all():
        raise _diverged(name, Inference(n_steps, rate), errors, energies[:, :n])
    first_output = y - first[:, :n].T
    return Settled(
        [x, *(np.ascontiguousarray(v[rows, :n].T) for rows in cut[:-1])],
        [x, *(np.ascontiguousarray(h[rows, :n].T) for rows in cut[:-1])],
        errors,
        y - errors[-1],
        first_output,
        network.losses(first_output, y).astype(np.float64),
        energies[:, :n].astype(np.float64),
        n_steps,
    )


def _diverged(
    name: str, inference: Inference, errors: list[Array], energies: Array
) -> InferenceDiverged:
    """Build the error of a batch that is no longer finite: where it began, and what it became."""
    step = int(np.flatnonzero(~np.isfinite(energies).all(axis=1))[0])
    sizes = [float(np.abs(error).max()) for error in errors]  # NaN, where there is one.
    broken = [layer for layer, size in enumerate(sizes) if not math.isfinite(size)]
    layer = broken[-1] if broken else int(np.argmax(sizes))
    return diverged(name, inference, step, layer, sizes[layer])


def _packed(network: Network) -> tuple[Array, Array]:
    """Return weights (each layer, then its transpose) and biases above the first layer."""
    empty = np.zeros(0, network.dtype)
    pairs = [np.concatenate([w.ravel(), w.T.ravel()]) for w in network.weights[1:]]
    return np.concatenate([empty, *pairs]), np.concatenate([empty, *network.biases[1:]])
