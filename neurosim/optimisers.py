"""From a direction to a step: gradient descent, momentum and Adam, the same for every learner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import get_blas_funcs

from neurosim.errors import ConfigError, nearest_name

Array = NDArray[np.floating]
Kind = Literal["sgd", "momentum", "adam"]
KINDS = get_args(Kind)


@numba.njit(cache=True, error_model="numpy")
def _momentum(values, direction, velocity, eta, momentum, decay):
    for k in range(values.size):
        velocity[k] = momentum * velocity[k] + direction[k]
        values[k] += eta * (velocity[k] - decay * values[k])


@numba.njit(cache=True, error_model="numpy")
def _adam(values, direction, first, second, eta, b1, b2, c1, c2, epsilon, decay):
    one = values.dtype.type(1)
    for k in range(values.size):
        g = direction[k]
        first[k] = b1 * first[k] + (one - b1) * g
        second[k] = b2 * second[k] + (one - b2) * g * g
        values[k] += eta * (first[k] / c1 / (np.sqrt(second[k] / c2) + epsilon) - decay * values[k])


@numba.njit(cache=True, error_model="numpy")
def _add_outer(values, bias, post, pre, scale):
    for j in range(values.shape[0]):
        change = scale * post[j]
        if change != 0:
            for i in range(values.shape[1]):
                values[j, i] += change * pre[i]
            if bias.size:
                bias[j] += change


@dataclass(frozen=True)
class Optimiser:
    """How far to go in the direction a learner gives.

    Parameters
    ----------
    kind : str
        "sgd", "momentum" or "adam". With weight decay, adam is AdamW.
    eta : float
        Learning rate.
    momentum : float
        Of "momentum", 0 to 1.
    beta1, beta2, epsilon : float
        Of "adam".
    decay : float
        Decoupled weight decay: weights shrink by ``eta * decay`` of themselves a step.

    Raises
    ------
    ConfigError
        For an unknown kind, or a learning rate that is 0, negative or not finite.

    References
    ----------
    Polyak (1964); Kingma & Ba (2015) ICLR, Algorithm 1; Loshchilov & Hutter (2019) ICLR,
    Algorithm 2.
    """

    kind: Kind = "sgd"
    eta: float = 0.1
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    decay: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            near = nearest_name(str(self.kind), KINDS)
            mend = f"did you mean '{near}'?" if near else "choose one of them"
            raise ConfigError.expected(self, "kind", " or ".join(KINDS), self.kind, mend)
        if not (math.isfinite(self.eta) and self.eta > 0):
            raise ConfigError.expected(
                self, "eta", "a learning rate above 0", self.eta, "try 0.1 (sgd) or 0.001 (adam)"
            )
        for field, value in (
            ("momentum", self.momentum),
            ("beta1", self.beta1),
            ("beta2", self.beta2),
        ):
            if not 0 <= value < 1:
                raise ConfigError.expected(self, field, "0 <= value < 1", value, "leave it out")
        if not (math.isfinite(self.decay) and self.decay >= 0):
            raise ConfigError.expected(self, "decay", "0 or more", self.decay, "leave it out")

    @property
    def n_moments(self) -> int:
        """Numbers it keeps for each parameter."""
        return {"sgd": 0, "momentum": 1, "adam": 2}[self.kind]


class Moments:
    """An optimiser at work on some arrays, with the moments it keeps of them.

    Parameters
    ----------
    optimiser : Optimiser
    parameters : sequence of float array
        Changed in place by `step`; C-contiguous, all of one dtype.

    Attributes
    ----------
    moments : list of tuple of float array
        One tuple a parameter: nothing, a velocity, or the first and second moment.
    n_steps : (1,) int64
        Steps taken, an array so that it is saved with the rest.
    """

    def __init__(self, optimiser: Optimiser, parameters: Sequence[Array]) -> None:
        self.optimiser = optimiser
        self.parameters = list(parameters)
        self.moments = [
            tuple(np.zeros_like(p) for _ in range(optimiser.n_moments)) for p in parameters
        ]
        self.n_steps = np.zeros(1, dtype=np.int64)

    def step(self, directions: Sequence[Array | None], rate: float = 1.0) -> None:
        """Go one step.

        Parameters
        ----------
        directions : sequence of float array
            Of the shapes of the parameters; the way down, not the gradient. `None` leaves one
            alone.
        rate : float
            Factor of the learning rate, as a schedule gives it.
        """
        self.tick()
        for which, direction in enumerate(directions):
            if direction is not None:
                self.step_one(which, direction, rate)

    def clear(self) -> None:
        """Begin anew: nothing of earlier steps is kept."""
        for kept in self.moments:
            for moment in kept:
                moment[...] = 0
        self.n_steps[...] = 0

    def tick(self) -> None:
        """Count a step, for those who move parameters one by one."""
        self.n_steps += 1

    def step_one(self, which: int, direction: Array, rate: float = 1.0) -> None:
        """Move one parameter; `step` counts the steps, this does not."""
        values, o = self.parameters[which], self.optimiser
        real = values.dtype.type
        eta, decay = real(o.eta * rate), real(o.decay)
        if o.kind == "sgd":
            if o.decay:
                values *= 1 - eta * decay
            values += eta * direction
            return
        flat, way = values.reshape(-1), np.ascontiguousarray(direction).reshape(-1)
        kept = [moment.reshape(-1) for moment in self.moments[which]]
        if o.kind == "momentum":
            _momentum(flat, way, kept[0], eta, real(o.momentum), decay)
            return
        b1, b2, epsilon = real(o.beta1), real(o.beta2), real(o.epsilon)
        t = int(self.n_steps[0])
        c1, c2 = real(1 - o.beta1**t), real(1 - o.beta2**t)
        _adam(flat, way, kept[0], kept[1], eta, b1, b2, c1, c2, epsilon, decay)

    def step_layer(
        self, which: int, bias: int | None, error: Array, pre: Array, scale: float, rate: float
    ) -> None:
        """Move a layer along ``scale * error^T pre``, which plain descent need not write down.

        Parameters
        ----------
        which : int
            Number of its weights among the parameters.
        bias : int, optional
            Number of its biases, which move along ``scale * sum(error)``.
        error : (n_samples, n_post) float
        pre : (n_samples, n_pre) float
        scale : float
            Such as 1 / n_samples.
        rate : float
            Factor of the learning rate.
        """
        values, o = self.parameters[which], self.optimiser
        biases = values[0, :0] if bias is None else self.parameters[bias]
        factor = values.dtype.type(o.eta * rate * scale)
        if o.kind != "sgd" or o.decay:
            scaled = error * values.dtype.type(scale)
            self.step_one(which, scaled.T @ pre, rate)
            if bias is not None:
                self.step_one(bias, scaled.sum(axis=0), rate)
        elif len(pre) == 1:
            _add_outer(values, biases, error[0], pre[0], factor)
        else:
            gemm = get_blas_funcs("gemm", dtype=values.dtype)
            # BLAS counts columns first: there it is W^T that is C-contiguous.
            a, trans_a = (pre, 1) if pre.flags.f_contiguous else (pre.T, 0)
            b, trans_b = (error, 0) if error.flags.f_contiguous else (error.T, 1)
            gemm(factor, a, b, 1.0, values.T, trans_a, trans_b, overwrite_c=1)
            if bias is not None:
                biases += factor * error.sum(axis=0)

    @property
    def state(self) -> dict[str, NDArray]:
        """Return the named arrays."""
        named = {
            f"moments/{k}/{m}": array
            for k, kept in enumerate(self.moments)
            for m, array in enumerate(kept)
        }
        return {**named, "n_steps": self.n_steps}
