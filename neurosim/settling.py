"""Value nodes of a predictive-coding network on their way down its energy, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim.errors import InputError
from neurosim.inference import Inference, diverged
from neurosim.network import LEAK, Network
from neurosim.products import product, transposed

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

_LEAKS = {"relu": 0.0, "leaky_relu": LEAK, "linear": 1.0}


@numba.njit(cache=True, error_model="numpy")
def _move(values, activities, errors, back, step, leak):
    """Go one step down the energy where f' is 1 above 0 and `leak` below; take the new activity.

    ``z += step (f'(z) back - eps),  h = f(z)``
    """
    one = values.dtype.type(1)
    for i in range(values.shape[0]):
        for s in range(values.shape[1]):
            z = values[i, s]
            z += step[s] * ((one if z > 0 else leak) * back[i, s] - errors[i, s])
            values[i, s] = z
            activities[i, s] = z if z > 0 else leak * z


@numba.njit(cache=True, error_model="numpy")
def _move_smoothly(values, slopes, errors, back, step):
    """Go one step down the energy with slopes f'(z) that are given."""
    for i in range(values.shape[0]):
        for s in range(values.shape[1]):
            values[i, s] += step[s] * (slopes[i, s] * back[i, s] - errors[i, s])


@numba.njit(cache=True, error_model="numpy")
def _miss(values, means, bias, errors):
    """Take the prediction from the value: ``eps = z - (W h + b)``."""
    for i in range(values.shape[0]):
        for s in range(values.shape[1]):
            errors[i, s] = values[i, s] - (means[i, s] + bias[i])


class Settling:
    """Value nodes on their way, a batch at a time; `settle` is the usual door.

    Within, a row is a unit and a column a sample: products of a layer with a batch are faster so,
    by up to a fifth for batches below a hundred, and need the weights in both orders.

    Parameters
    ----------
    network, x, y, inference, free_input, free_output, input_precision, start
        As those of `settle`.

    Attributes
    ----------
    values, activities, errors : list of (n_samples, n_units) float
        As those of `Settled`; views of what moves.
    output : (n_samples, n_out) float
        As that of `Settled`.
    step : (n_samples,) float
        Length of the next step of each sample.
    front : int
        Lowest layer of weights whose error may differ from zero.
    """

    def __init__(
        self,
        network: Network,
        x: Array,
        y: Array | None,
        inference: Inference,
        free_input: bool | Mask = False,
        free_output: Mask | None = None,
        input_precision: float = 0.0,
        start: Sequence[Array] | None = None,
    ) -> None:
        self.network, self.y, self.inference = network, y, inference
        self.n_layers = network.n_layers
        if free_output is not None:
            _check_free_output(network, free_output)
            if y is not None:
                self.y = np.where(free_output, network.dtype.type(0), y)
        self.free_output, self.free_input = free_output, free_input
        self.x, self.input_precision = x, network.dtype.type(input_precision)
        n, widths = len(x), network.config.sizes[1:]
        self.step = np.full(n, inference.step, dtype=network.dtype)
        self._z = [x.T if free_input is False else x.T.copy()]
        self._z += [np.empty((w, n), network.dtype) for w in widths[:-1]]
        self._h = [self._z[0], *(np.empty_like(z) for z in self._z[1:])]
        self._mu = [np.empty((w, n), network.dtype) for w in widths]
        self._eps = [np.zeros((w, n), network.dtype) for w in widths]
        self._back = [np.empty_like(z) for z in self._z]
        self.values, self.activities, self.errors = (
            [array.T for array in arrays] for arrays in (self._z, self._h, self._eps)
        )
        self._losers: list[Mask | None] = [None for _ in self._z]
        self._products = [0] * self.n_layers
        self._turned: list[Array | None] = [None] * self.n_layers
        self._begin(start)

    def _begin(self, start: Sequence[Array] | None) -> None:
        top = self.n_layers - 1
        for layer in range(top):
            self._product(layer)
            z = self._z[layer + 1]
            if start is None:
                np.add(self._mu[layer], self.network.biases[layer][:, None], out=z)
            else:
                z[...] = start[layer].T
                self._miss(layer)
            self._activate(layer + 1)
        self._product(top)
        self._miss_output()
        self.front = top if start is None else 0

    @property
    def idle(self) -> bool:
        """Whether nothing pulls: values are at their forward start and no output is known."""
        return self.y is None and self.front == self.n_layers - 1

    def turn(self) -> None:
        """Lay the weights out the other way too: worth it for more steps than a few."""
        first = 0 if self.free_input is not False else 1
        for layer in range(first, self.n_layers):
            self._turned[layer] = transposed(self.network.weights[layer])

    def move(self) -> None:
        """Take one step with every value node that something may pull at."""
        if self.idle:
            return
        lowest = max(self.front - 1, 0)
        for layer in range(lowest, self.n_layers - 1):
            self._send_back(layer + 1)
        if self.free_input is not False and self.front == 0:
            self._send_back(0)
            self._move_input()
        for layer in range(lowest, self.n_layers - 1):
            self._move(layer)
        self.front = lowest

    def reach_down(self) -> None:
        """Let the error reach the next layer down, and nothing else move: the front of `move`."""
        if self.front == 0:
            return
        self._send_back(self.front)
        self.front -= 1
        z, h, error = self._z[self.front + 1], self._h[self.front + 1], self._eps[self.front]
        if self._losers[self.front + 1] is not None:
            self._back[self.front + 1][self._losers[self.front + 1]] = 0
        # There was no error, so this is the move itself; a difference of values would be rounded.
        np.multiply(self.network.slope(z, h), self._back[self.front + 1], out=error)
        error *= self.step
        z += error
        self._activate(self.front + 1)

    def predict(self, changed: int | None = None) -> None:
        """Predict anew what rests on values that have moved, and take the errors.

        Parameters
        ----------
        changed : int, optional
            Lowest layer whose weights have changed, where they have.
        """
        if self.idle:
            return
        moved = 0 if self.free_input is not False and self.front == 0 else self.front + 1
        for layer in range(moved if changed is None else min(moved, changed), self.n_layers):
            self._product(layer)
        for layer in range(self.front, self.n_layers - 1):
            self._miss(layer)
        self._miss_output()

    def energies(self) -> NDArray[np.float64]:
        """Return the energy of each sample, ``(n_samples,)``."""
        total = np.zeros(len(self.x))
        for errors in self._eps[self.front : -1]:
            total += 0.5 * _squares(errors)
        if self.free_input is not False and self.input_precision:
            total += 0.5 * float(self.input_precision) * _squares(self._z[0] - self.x.T)
        if self.y is None:
            return total
        nudge = self.inference.nudge
        if self.network.config.loss == "mse":
            return total + 0.5 / nudge * _squares(self._eps[-1])
        # A target without a class, as a free one has become, loses nothing.
        return total + nudge * self.network.losses(self.output, self.y)

    def check(self, step: int, name: str, layers: range | None = None) -> None:
        """Stop a run that is no longer finite.

        Parameters
        ----------
        step : int
            Of inference.
        name : str
            Who speaks.
        layers : range, optional
            The layers of weights to look at; the last one, where everything arrives, by default.

        Raises
        ------
        NumericalError
        """
        last = self.n_layers - 1
        for layer in layers if layers is not None else range(last, last + 1):
            held = self._mu[layer] if layer == last else self._eps[layer]
            if not np.isfinite(held).all():
                raise diverged(name, self.inference, step, layer, held[~np.isfinite(held)][0])

    def account(self) -> None:
        """Enter the products so far into the ledgers."""
        self.network.count(self._products, len(self.x))
        self._products = [0] * self.n_layers

    def _product(self, layer: int) -> None:
        h = np.ascontiguousarray(self._h[layer])  # The input came with a row a sample.
        product(self.network.weights[layer], h, self._mu[layer])
        self._products[layer] += 1

    def _send_back(self, layer: int) -> None:
        turned = self._turned[layer]
        if turned is None:
            np.matmul(self.network.weights[layer].T, self._eps[layer], out=self._back[layer])
        else:
            product(turned, self._eps[layer], self._back[layer])
        self._products[layer] += 1

    def _miss(self, layer: int) -> None:
        bias = self.network.biases[layer]
        _miss(self._z[layer + 1], self._mu[layer], bias, self._eps[layer])

    def _miss_output(self) -> None:
        self.output = self.network.output((self._mu[-1] + self.network.biases[-1][:, None]).T)
        if self.y is not None:
            error = self.errors[-1]
            np.subtract(self.y, self.output, out=error)
            if self.inference.nudge != 1:
                error *= self.network.dtype.type(self.inference.nudge)
            if self.free_output is not None:
                error[self.free_output] = 0

    def _move(self, layer: int) -> None:
        z, h, back = self._z[layer + 1], self._h[layer + 1], self._back[layer + 1]
        losing = self._losers[layer + 1]
        if losing is not None:
            back[losing] = 0
        leak = _LEAKS.get(self.network.config.activation)
        if leak is None:
            _move_smoothly(z, self.network.slope(z, h), self._eps[layer], back, self.step)
        else:
            _move(z, h, self._eps[layer], back, self.step, z.dtype.type(leak))
        self._activate(layer + 1, known=leak is not None)

    def _move_input(self) -> None:
        pull = self._back[0]
        if self.input_precision:
            pull -= self.input_precision * (self._z[0] - self.x.T)
        pull *= self.step
        if not isinstance(self.free_input, bool):
            pull *= self.free_input.T
        self._z[0] += pull

    def _activate(self, which: int, known: bool = False) -> None:
        h = self._h[which]
        if not known:
            h[...] = self.network.activation.value(self._z[which])
        if self.inference.active < 1:
            losing = losers(h.T, self.inference.active).T
            self._losers[which] = losing
            h[losing] = 0


def _check_free_output(network: Network, free_output: Mask) -> None:
    part = free_output.any(axis=1) & ~free_output.all(axis=1)
    if network.config.loss == "cross_entropy" and part.any():
        raise InputError.expected(
            "settle", "free_output", "all outputs of a sample or none, with cross-entropy",
            f"some of sample {int(part.argmax())}", "use a network of loss mse",
        )  # fmt: skip


def losers(activity: Array, share: float) -> Mask:
    """Return which units are not among the `share` most active of their layer.

    Parameters
    ----------
    activity : (n_samples, n_units) float
    share : float
        At least one unit wins; equals win together.

    Returns
    -------
    (n_samples, n_units) bool

    References
    ----------
    Makhzani & Frey (2014) ICLR, k-sparse autoencoders.
    """
    n_units = activity.shape[1]
    k = max(1, round(share * n_units))
    least = np.partition(activity, n_units - k, axis=1)[:, n_units - k, None]
    return activity < least


def _squares(values: Array) -> NDArray[np.float64]:
    """Return the sum of squares of each column."""
    return np.einsum("is,is->s", values, values, dtype=np.float64)
