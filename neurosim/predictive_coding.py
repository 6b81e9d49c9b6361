"""Inference of predictive coding: value nodes settle so that prediction errors become small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from neurosim.errors import ConfigError, InputError, NumericalError
from neurosim.network import LEAK, Network

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]


@numba.njit(cache=True, error_model="numpy")
def _move(values, errors, back, slopes, step, leak):
    """Go one step down the energy: ``z += step (f'(z) back - eps)``.

    Without `slopes`, f' is 1 above 0 and `leak` below.
    """
    smooth = slopes.size > 0
    one = values.dtype.type(1)
    for s in range(values.shape[0]):
        for i in range(values.shape[1]):
            z = values[s, i]
            slope = slopes[s, i] if smooth else (one if z > 0 else leak)
            values[s, i] = z + step[s] * (slope * back[s, i] - errors[s, i])


@numba.njit(cache=True, error_model="numpy")
def _miss(values, means, bias, errors):
    """Take the prediction from the value: ``eps = z - (W h + b)``."""
    for s in range(values.shape[0]):
        for i in range(values.shape[1]):
            errors[s, i] = values[s, i] - (means[s, i] + bias[i])


@dataclass(frozen=True)
class Inference:
    """How value nodes settle.

    Parameters
    ----------
    n_steps : int
        Most steps.
    step : float
        Length of a step down the gradient of the energy, see `stable_step`.
    halve : bool
        Whether a sample whose energy has risen goes on with half the step.
    tolerance : float
        Stop when no sample's energy fell by more than this share of it in a step; 0 never stops.
    nudge : float
        Precision of the output: how much its error counts.
    active : float
        Share of the units of a hidden layer that may be active, those with the highest activity.

    Raises
    ------
    ConfigError
        For a value out of its range.

    References
    ----------
    Whittington & Bogacz (2017) Neural Computation 29:1229, Eqs. 2.15-2.19. Song et al. (2024) Nat.
    Neurosci. 27:348, Methods (the halved step; here sample by sample, there for the whole batch).
    """

    n_steps: int = 20
    step: float = 0.1
    halve: bool = False
    tolerance: float = 0.0
    nudge: float = 1.0
    active: float = 1.0

    def __post_init__(self) -> None:
        if self.n_steps < 0:
            raise ConfigError.expected(self, "n_steps", "0 or more", self.n_steps, "try 20")
        for field in ("step", "nudge"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError.expected(self, field, "a number above 0", value, "try 0.1")
        if not 0 <= self.tolerance < 1:
            raise ConfigError.expected(
                self, "tolerance", "0 <= share < 1", self.tolerance, "try 0.0001"
            )
        if not 0 < self.active <= 1:
            raise ConfigError.expected(self, "active", "0 < share <= 1", self.active, "try 0.15")

    @property
    def watches_energy(self) -> bool:
        """Whether the energy is needed after every step."""
        return self.halve or self.tolerance > 0


class Settled(NamedTuple):
    """Where inference has come to.

    Parameters
    ----------
    values : list of (n_samples, n_units) float
        The input (as inferred, where it was), and the value nodes z_l of the hidden layers.
    activities : list of (n_samples, n_units) float
        What each layer of weights is given: the input and f(z_l).
    errors : list of (n_samples, n_units) float
        Prediction error of each layer from the first hidden one to the output; that of the output
        times its precision.
    output : (n_samples, n_out) float
        What the network predicts of the output: a softmax with cross-entropy.
    first_output : (n_samples, n_out) float
        The same before the first step; without a `start`, the answer of the forward pass.
    energies : (n_steps + 1, n_samples) float64
        Before the first step and after each; empty where nobody asked.
    n_steps : int
        Steps taken.
    """

    values: list[Array]
    activities: list[Array]
    errors: list[Array]
    output: Array
    first_output: Array
    energies: NDArray[np.float64]
    n_steps: int


def settle(
    network: Network,
    x: Array,
    y: Array | None,
    inference: Inference,
    *,
    free_input: bool | Mask = False,
    free_output: Mask | None = None,
    input_precision: float = 0.0,
    start: Sequence[Array] | None = None,
    record: bool = False,
    name: str = "Inference",
) -> Settled:
    """Let value nodes settle on the energy of a predictive-coding network.

    ``F = sum_l |eps_l|^2 / 2 + nudge loss(output, y),  eps_l = z_l - W_l h_{l-1} - b_l``

    ``dz_l = step (-eps_l + f'(z_l) (eps_{l+1} W_{l+1})),  eps_L = nudge (y - output)``

    All layers move at once. What is zero or constant by construction is not computed: after the
    forward start, errors are zero until that of the output has travelled down to them.

    Parameters
    ----------
    network : Network
    x : (n_samples, n_in) float
        Where the input is free it starts here.
    y : (n_samples, n_out) float, optional
        Without it the output is free.
    inference : Inference
    free_input : bool or (n_samples, n_in) bool
        Which inputs are inferred. A Gaussian of precision `input_precision` around `x` holds them.
    free_output : (n_samples, n_out) bool, optional
        Which outputs are not known; they follow their prediction.
    input_precision : float
    start : sequence of (n_samples, n_units) float, optional
        Of the hidden value nodes. Without it each starts at its prediction.
    record : bool
        Keep the energies.
    name : str
        In the message of the error.

    Raises
    ------
    InputError
        When parts of an output with cross-entropy are free: a softmax is known whole.
    NumericalError
        When values are no longer finite; names layer, step and value.
    """
    state = Settling(network, x, y, inference, free_input, free_output, input_precision, start)
    energies = [state.energies()] if record or inference.watches_energy else []
    state.check(0, name)
    first = state.output
    taken = 0
    for taken in range(1, inference.n_steps + 1):
        state.move()
        state.predict()
        state.check(taken, name)
        if energies:
            energies.append(state.energies())
            before, now = energies[-2:]
            if inference.halve:
                state.step[now > before] *= 0.5
            if inference.tolerance and (before - now <= inference.tolerance * before).all():
                break
    state.check(taken, name, range(network.n_layers))
    kept = np.array(energies) if energies else np.empty((0, len(x)))
    return Settled(state.values, state.activities, state.errors, state.output, first, kept, taken)


class Settling:
    """Value nodes on their way, a batch at a time; `settle` is the usual door.

    Parameters
    ----------
    network, x, y, inference, free_input, free_output, input_precision, start
        As those of `settle`.

    Attributes
    ----------
    values, activities, errors : list of (n_samples, n_units) float
        As those of `Settled`.
    output : (n_samples, n_out) float
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
        if free_output is not None and network.config.loss == "cross_entropy":
            part = free_output.any(axis=1) & ~free_output.all(axis=1)
            if part.any():
                raise InputError.expected(
                    "settle", "free_output", "all outputs of a sample or none, with cross-entropy",
                    f"some of sample {int(part.argmax())}", "use a network of loss mse",
                )  # fmt: skip
        if free_output is not None and y is not None:
            self.y = np.where(free_output, network.dtype.type(0), y)
        self.free_output = free_output
        self.free_input = free_input
        self.x, self.input_precision = x, network.dtype.type(input_precision)
        n, widths = len(x), network.config.sizes[1:]
        self.step = np.full(n, inference.step, dtype=network.dtype)
        self.values = [x if free_input is False else x.copy()]
        self.values += [np.empty((n, w), network.dtype) for w in widths[:-1]]
        self.activities = [self.values[0]] + [np.empty_like(z) for z in self.values[1:]]
        self.means = [np.empty((n, w), network.dtype) for w in widths]
        self.errors = [np.zeros((n, w), network.dtype) for w in widths]
        self._back = [np.empty_like(z) for z in self.values]
        self._losers: list[Mask | None] = [None for _ in self.values]
        self._begin(start)

    def _begin(self, start: Sequence[Array] | None) -> None:
        top = self.n_layers - 1
        for layer in range(top):
            self._product(layer)
            z = self.values[layer + 1]
            if start is None:
                np.add(self.means[layer], self.network.biases[layer], out=z)
            else:
                z[...] = start[layer]
                self._miss(layer)
            self._activate(layer + 1)
        self._product(top)
        self._miss_output()
        self.front = top if start is None else 0

    @property
    def idle(self) -> bool:
        """Whether nothing pulls: values are at their forward start and no output is known."""
        return self.y is None and self.front == self.n_layers - 1

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
        if self.front > 0:
            self._send_back(self.front)
            self.front -= 1
            self._move(self.front)
            self._miss(self.front)

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
        for errors in self.errors[self.front : -1]:
            total += 0.5 * _squares(errors)
        if self.free_input is not False and self.input_precision:
            total += 0.5 * float(self.input_precision) * _squares(self.values[0] - self.x)
        if self.y is None:
            return total
        nudge = self.inference.nudge
        if self.network.config.loss == "mse":
            return total + 0.5 / nudge * _squares(self.errors[-1])
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
            held = self.means[layer] if layer == last else self.errors[layer]
            if not np.isfinite(held).all():
                value = held[~np.isfinite(held)][0]
                raise NumericalError(
                    f"{name}.inference: expected finite values, got {value:g} at step {step} of "
                    f"inference in layer {layer}; lower the step (now {self.inference.step:g}), or "
                    "the learning rate"
                )

    def _product(self, layer: int) -> None:
        w = self.network.weights[layer]
        np.matmul(self.activities[layer], w.T, out=self.means[layer])
        self.network.count_products(layer, len(self.x))

    def _send_back(self, layer: int) -> None:
        np.matmul(self.errors[layer], self.network.weights[layer], out=self._back[layer])
        self.network.count_products(layer, len(self.x))

    def _miss(self, layer: int) -> None:
        bias = self.network.biases[layer]
        _miss(self.values[layer + 1], self.means[layer], bias, self.errors[layer])

    def _miss_output(self) -> None:
        self.output = self.network.output(self.means[-1] + self.network.biases[-1])
        if self.y is not None:
            np.subtract(self.y, self.output, out=self.errors[-1])
            if self.inference.nudge != 1:
                self.errors[-1] *= self.network.dtype.type(self.inference.nudge)
            if self.free_output is not None:
                self.errors[-1][self.free_output] = 0

    def _move(self, layer: int) -> None:
        z, h = self.values[layer + 1], self.activities[layer + 1]
        back, losers = self._back[layer + 1], self._losers[layer + 1]
        if losers is not None:
            back[losers] = 0
        leak = {"relu": 0.0, "leaky_relu": LEAK, "linear": 1.0}.get(self.network.config.activation)
        slopes = self.network.slope(z, h) if leak is None else _NONE.astype(z.dtype)
        _move(z, self.errors[layer], back, slopes, self.step, z.dtype.type(leak or 0.0))
        self._activate(layer + 1)

    def _move_input(self) -> None:
        pull = self._back[0]
        if self.input_precision:
            pull -= self.input_precision * (self.values[0] - self.x)
        pull *= self.step[:, None]
        if not isinstance(self.free_input, bool):
            pull *= self.free_input
        self.values[0] += pull

    def _activate(self, which: int) -> None:
        z, h = self.values[which], self.activities[which]
        if self.network.config.activation == "relu":
            np.maximum(z, 0, out=h)
        else:
            h[...] = self.network.activation.value(z)
        if self.inference.active < 1:
            self._losers[which] = losers(h, self.inference.active)
            h[self._losers[which]] = 0


_NONE = np.empty((0, 0))


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


def stable_step(network: Network, nudge: float = 1.0, free_input: bool = False) -> float:
    """Return the step up to which the energy of a linear network never rises.

    ``2 / lambda_max`` of the energy's Hessian ``A^T A``, where A takes moves of the value nodes to
    changes of the errors. Slopes of tanh, ReLU and their like are at most 1, so for them it is a
    bound as far as the curvature of f does not count (it does in proportion to the errors).

    Parameters
    ----------
    network : Network
    nudge : float
        Precision of the output. The curvature of cross-entropy is at most 1/2.
    free_input : bool
        Whether the input moves too.
    """
    weights = [w.astype(np.float64) for w in network.weights]
    cross_entropy = network.config.loss == "cross_entropy"
    precision = nudge * (0.5 if cross_entropy else 1.0)
    first = 0 if free_input else 1
    widths = network.config.sizes[first:-1]
    if not widths:
        return math.inf
    cuts = np.cumsum(widths)[:-1]

    def curve(moves: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = np.split(moves.reshape(-1), cuts)
        errors = [p.copy() for p in parts[1 - first :]]  # Of the hidden layers.
        for k, part in enumerate(parts):
            sent = weights[first + k] @ part
            if first + k < len(weights) - 1:
                errors[first + k] -= sent
            else:
                errors.append(-precision * sent)
        back = []
        for k in range(len(parts)):
            own = errors[first + k - 1] if first + k > 0 else 0.0
            back.append(own - errors[first + k] @ weights[first + k])
        return np.concatenate(back)

    size = int(sum(widths))
    if size == 1:
        return 2.0 / float(curve(np.ones(1))[0])
    hessian = LinearOperator((size, size), matvec=curve, dtype=np.float64)
    begin = np.random.default_rng(0).normal(size=size)
    largest = eigsh(hessian, k=1, v0=begin, return_eigenvectors=False)[0]
    return 2.0 / float(largest)


def _squares(values: Array) -> NDArray[np.float64]:
    return np.einsum("si,si->s", values, values, dtype=np.float64)
