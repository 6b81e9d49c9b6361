"""Inference of predictive coding for one sample at a time: all steps in one compiled call.

With one sample every product reads a matrix to use each weight twice, so reading is what costs.
Here a row of weights predicts its unit and sends the unit's error back while it is at hand; and of
ReLU networks only the columns of units that are active are read: they are laid side by side once,
and a unit that becomes active on the way is added.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim.inference import Inference
from neurosim.network import LEAK, Network

Array = NDArray[np.floating]

# Keeps NaN and infinity; lets sums be reordered, so that they fit the lanes of the processor.
_FAST = {"contract", "nsz", "reassoc"}
_STRAIGHT, _RELU, _TANH, _SIGMOID = range(4)
# How a unit's slope is found, and what it is below 0 where f is straight on either side.
_KINDS = {
    "linear": (_STRAIGHT, 1.0),
    "relu": (_RELU, 0.0),
    "leaky_relu": (_STRAIGHT, LEAK),
    "tanh": (_TANH, 0.0),
    "sigmoid": (_SIGMOID, 0.0),
}
ACTIVATIONS = tuple(_KINDS)
_DOT, _BACK = 1, 2


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _dot(w, h):
    total = h.dtype.type(0)
    for c in range(h.size):
        total += w[c] * h[c]
    return total


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _predict(w, h, out):
    """Write ``W h``, four rows at a time."""
    zero = h.dtype.type(0)
    last = w.shape[0] - w.shape[0] % 4
    for i in range(0, last, 4):
        w0, w1, w2, w3 = w[i], w[i + 1], w[i + 2], w[i + 3]
        s0, s1, s2, s3 = zero, zero, zero, zero
        for c in range(h.size):
            x = h[c]
            s0 += w0[c] * x
            s1 += w1[c] * x
            s2 += w2[c] * x
            s3 += w3[c] * x
        out[i], out[i + 1], out[i + 2], out[i + 3] = s0, s1, s2, s3
    for i in range(last, w.shape[0]):
        out[i] = _dot(w[i], h)


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _pass(w, h, z, bias, mu, eps, back, what):
    """Pass once over the rows: predict (unless only back), take the errors, send them back."""
    zero = h.dtype.type(0)
    n = h.size
    last = w.shape[0] - w.shape[0] % 4
    if what & _BACK:
        back[:n] = zero
    for i in range(0, last, 4):
        w0, w1, w2, w3 = w[i], w[i + 1], w[i + 2], w[i + 3]
        if what & _DOT:
            s0, s1, s2, s3 = zero, zero, zero, zero
            for c in range(n):
                x = h[c]
                s0 += w0[c] * x
                s1 += w1[c] * x
                s2 += w2[c] * x
                s3 += w3[c] * x
            mu[i], mu[i + 1] = s0 + bias[i], s1 + bias[i + 1]
            mu[i + 2], mu[i + 3] = s2 + bias[i + 2], s3 + bias[i + 3]
        e0, e1, e2, e3 = (
            z[i] - mu[i],
            z[i + 1] - mu[i + 1],
            z[i + 2] - mu[i + 2],
            z[i + 3] - mu[i + 3],
        )
        eps[i], eps[i + 1], eps[i + 2], eps[i + 3] = e0, e1, e2, e3
        if what & _BACK:
            for c in range(n):
                back[c] += (e0 * w0[c] + e1 * w1[c]) + (e2 * w2[c] + e3 * w3[c])
    for i in range(last, w.shape[0]):
        if what & _DOT:
            mu[i] = _dot(w[i], h) + bias[i]
        e0 = z[i] - mu[i]
        eps[i] = e0
        if what & _BACK:
            for c in range(n):
                back[c] += e0 * w[i, c]


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _send_back(w, eps, back):
    """Write ``eps W``."""
    back[:] = 0
    for i in range(w.shape[0]):
        e = eps[i]
        if e != 0:
            for c in range(back.size):
                back[c] += e * w[i, c]


@numba.njit(cache=True, error_model="numpy")
def _lay(w, chosen, flat):
    """Lay the chosen columns of a matrix side by side, with some room for more."""
    n = chosen.size
    width = min(w.shape[1], n + n // 8 + 16)
    packed = flat[: w.shape[0] * width].reshape(w.shape[0], width)
    for i in range(w.shape[0]):
        row, place = w[i], packed[i]
        for k in range(n):
            place[k] = row[chosen[k]]
    return width


@numba.njit(cache=True, error_model="numpy")
def _choose(z, h, chosen, inside):
    """List the active units of a ReLU layer and their activity, side by side."""
    n = 0
    for j in range(z.size):
        inside[j] = z[j] > 0
        if inside[j]:
            chosen[n] = j
            h[n] = z[j]
            n += 1
    return n


@numba.njit(cache=True, error_model="numpy")
def _activate(kind, below, z, h):
    """Write the activity of all units."""
    one, half = z.dtype.type(1), z.dtype.type(0.5)
    for j in range(z.size):
        if kind == _TANH:
            h[j] = np.tanh(z[j])
        elif kind == _SIGMOID:
            h[j] = half * (one + np.tanh(half * z[j]))
        else:
            h[j] = z[j] if z[j] > 0 else below * z[j]


@numba.njit(cache=True, error_model="numpy")
def _move_all(kind, below, z, h, eps, back, step):
    """Move the value nodes of a layer: ``z += step (f'(z) back - eps)``."""
    one = z.dtype.type(1)
    for j in range(z.size):
        if kind == _TANH:
            slope = one - h[j] * h[j]
        elif kind == _SIGMOID:
            slope = h[j] * (one - h[j])
        else:
            slope = one if z[j] > 0 else below
        z[j] += step * (slope * back[j] - eps[j])


@numba.njit(cache=True, error_model="numpy")
def _move_active(z, h, eps, back, step, chosen, inside, n, w, width, flat):
    """Move the value nodes of a ReLU layer; lay the columns of units that become active too."""
    for j in range(z.size):
        z[j] -= step * eps[j]
    for k in range(n):
        j = chosen[k]
        if h[k] > 0:
            z[j] += step * back[k]
        h[k] = max(z[j], z.dtype.type(0))
    for j in range(z.size):
        if z[j] > 0 and not inside[j]:
            inside[j] = True
            chosen[n] = j
            h[n] = z[j]
            n += 1
            if n > width:
                width = _lay(w, chosen[:n], flat)
            else:
                for i in range(w.shape[0]):
                    flat[i * width + n - 1] = w[i, j]
    return n, width


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _miss_output(mu, y, nudge, cross_entropy, eps, output):
    """Take the error of the output, and return the loss."""
    loss = 0.0
    if not cross_entropy:
        for i in range(mu.size):
            output[i] = mu[i]
            missed = y[i] - mu[i]
            eps[i] = nudge * missed
            loss += 0.5 * missed * missed
        return loss
    top = mu[0]
    for i in range(mu.size):
        top = max(top, mu[i])
    total = mu.dtype.type(0)
    for i in range(mu.size):
        output[i] = np.exp(mu[i] - top)
        total += output[i]
    whole = np.log(np.float64(total))
    for i in range(mu.size):
        output[i] /= total
        eps[i] = nudge * (y[i] - output[i])
        if y[i] != 0:
            loss += y[i] * (whole - (mu[i] - top))
    return loss


@numba.njit(cache=True, error_model="numpy", fastmath=_FAST)
def _half_squares(values):
    total = values.dtype.type(0)
    for i in range(values.size):
        total += values[i] * values[i]
    return 0.5 * total


@numba.njit(cache=True, error_model="numpy")
def _settle(
    x, y, weights, biases, at, w_at, n_steps, step, halve, tolerance, nudge, kind, below,
    cross_entropy,
    units_of, chosen, inside, counts, widths, flat, energies, output, first,
):  # fmt: skip
    """Settle; returns the steps taken.

    Units of all layers lie one after another, layer k from ``at[k]``. Of ReLU layers `h` and
    `back` hold the chosen units only, until the end.
    """
    z, h, mu = units_of[0], units_of[1], units_of[2]
    eps, back, bias = units_of[3], units_of[4], units_of[5]
    top = at.size - 2
    sparse = kind == _RELU
    for k in range(top + 1):
        units = slice(at[k], at[k + 1])
        bias[units] = biases[k]
        if k == 0:
            _predict(weights[0], x, mu[units])
        else:
            pre = slice(at[k - 1], at[k - 1] + counts[k - 1])
            w = weights[k]
            if sparse:
                widths[k] = _lay(w, chosen[pre], flat[w_at[k] :])
                w = flat[w_at[k] : w_at[k] + w.shape[0] * widths[k]].reshape(w.shape[0], widths[k])
            _predict(w, h[pre], mu[units])
        for i in range(at[k], at[k + 1]):
            mu[i] += bias[i]
            z[i] = mu[i]
            eps[i] = 0
        if k < top:
            counts[k] = at[k + 1] - at[k]
            if sparse:
                counts[k] = _choose(z[units], h[units], chosen[units], inside[units])
            else:
                _activate(kind, below, z[units], h[units])
    out = slice(at[top], at[top + 1])
    energies[0] = nudge * _miss_output(mu[out], y, nudge, cross_entropy, eps[out], output)
    first[:] = output
    front, t = top, 0
    while t < n_steps and top > 0 and np.isfinite(energies[t]):
        t += 1
        pre = slice(at[top - 1], at[top - 1] + counts[top - 1])
        w = weights[top]
        if sparse:
            w = flat[w_at[top] : w_at[top] + w.shape[0] * widths[top]].reshape(
                w.shape[0], widths[top]
            )
        _send_back(w, eps[out], back[pre])
        front = max(front - 1, 0)
        for k in range(front, top):
            units = slice(at[k], at[k + 1])
            if sparse:
                counts[k], widths[k + 1] = _move_active(
                    z[units], h[units], eps[units], back[units], step, chosen[units],
                    inside[units], counts[k], weights[k + 1], widths[k + 1], flat[w_at[k + 1] :],
                )  # fmt: skip
            else:
                _move_all(kind, below, z[units], h[units], eps[units], back[units], step)
                _activate(kind, below, z[units], h[units])
        energy = 0.0
        for k in range(front, top + 1):
            units = slice(at[k], at[k + 1])
            if k == 0:
                for i in range(at[0], at[1]):
                    eps[i] = z[i] - mu[i]
            else:
                pre = slice(at[k - 1], at[k - 1] + counts[k - 1])
                w = weights[k]
                if sparse:
                    w = flat[w_at[k] : w_at[k] + w.shape[0] * widths[k]].reshape(
                        w.shape[0], widths[k]
                    )
                if k == top:
                    _predict(w, h[pre], mu[units])
                    for i in range(at[k], at[k + 1]):
                        mu[i] += bias[i]
                else:
                    # What does not move below is predicted already, what ends need not go back.
                    what = (_DOT if k > front else 0) | (_BACK if t < n_steps else 0)
                    _pass(w, h[pre], z[units], bias[units], mu[units], eps[units], back[pre], what)
            if k < top:
                energy += _half_squares(eps[units])
        loss = _miss_output(mu[out], y, nudge, cross_entropy, eps[out], output)
        energies[t] = energy + nudge * loss
        if halve and energies[t] > energies[t - 1]:
            step *= z.dtype.type(0.5)
        if tolerance > 0 and energies[t - 1] - energies[t] <= tolerance * energies[t - 1]:
            break
    if sparse:
        for i in range(at[top]):
            h[i] = max(z[i], z.dtype.type(0))
    return t


class Room:
    """Arrays to settle in, made once for a network's sizes; what is in them is not state.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network: Network) -> None:
        widths, dtype = network.config.sizes[1:], network.dtype
        self.sizes = network.config.sizes
        self.at = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
        sizes = [0, *(w.size for w in network.weights[1:])]
        self.w_at = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        n = int(self.at[-1])
        self.units = np.zeros((6, n), dtype)
        self.values, self.activities, _, self.errors, _, _ = (
            [which[None, a:b] for a, b in zip(self.at[:-1], self.at[1:], strict=True)]
            for which in self.units
        )
        self.chosen, self.inside = np.zeros(n, np.int64), np.zeros(n, np.bool_)
        self.counts, self.widths = np.zeros((2, len(widths)), np.int64)
        # Touched only where ReLU layers lay out their active columns.
        self.flat = np.empty(int(self.w_at[-1]), dtype)
        self.output, self.first = np.zeros((2, widths[-1]), dtype)


class One(NamedTuple):
    """Where inference of one sample has come to; views of the room it settled in.

    Parameters
    ----------
    values, activities, errors : list of (1, n_units) float
        Of each layer above the input.
    output, first_output : (1, n_out) float
    energies : (n_steps + 1,) float64
    n_steps : int
    """

    values: list[Array]
    activities: list[Array]
    errors: list[Array]
    output: Array
    first_output: Array
    energies: NDArray[np.float64]
    n_steps: int


def settle_one(network: Network, x: Array, y: Array, settings: Inference, room: Room | None) -> One:
    """Settle one sample between its input and its target, from the forward start.

    Parameters
    ----------
    network : Network
    x : (n_in,) float
    y : (n_out,) float
    settings : Inference
        With all units allowed to be active.
    room : Room, optional
        Made where there is none, or one of another network.
    """
    if room is None or room.sizes != network.config.sizes or room.units.dtype != network.dtype:
        room = Room(network)
    real, (kind, below) = network.dtype.type, _KINDS[network.config.activation]
    energies = np.empty(settings.n_steps + 1)
    taken = _settle(
        x, y, tuple(network.weights), tuple(network.biases), room.at, room.w_at, settings.n_steps,
        real(settings.step), settings.halve, settings.tolerance, real(settings.nudge),
        kind, real(below), network.config.loss == "cross_entropy", room.units,
        room.chosen, room.inside, room.counts, room.widths, room.flat, energies, room.output,
        room.first,
    )  # fmt: skip
    return One(
        room.values[:-1], room.activities[:-1], room.errors, room.output[None], room.first[None],
        energies[: taken + 1], taken,
    )  # fmt: skip
