"""Predictive coding on a network: activity settles so that prediction errors become small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, eigsh

from neurosim.inference import Inference, diverged
from neurosim.network import Network
from neurosim.online_inference import ACTIVATIONS, Room, settle_one
from neurosim.settling import Settling

__all__ = ["Inference", "Settled", "Settling", "settle", "stable_step"]

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

MANY = 4  # Steps for which it pays to lay out the weights in both orders.


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
    losses : (n_samples,) float64
        Before the first step; 0 without an output.
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
    losses: NDArray[np.float64]
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
    room: Room | None = None,
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
    room : Room, optional
        Where single samples settle, so that nothing is allocated; what is returned then are views
        of it, which the next call overwrites.

    Raises
    ------
    InputError
        When parts of an output with cross-entropy are free: a softmax is known whole.
    NumericalError
        When values are no longer finite; names layer, step and value.
    """
    plain = free_input is False and free_output is None and start is None
    plain = plain and inference.active == 1 and network.n_layers > 1  # Something settles.
    if plain and len(x) == 1 and y is not None and network.config.activation in ACTIVATIONS:
        return _settle_alone(network, x, y, inference, name, room)
    state = Settling(network, x, y, inference, free_input, free_output, input_precision, start)
    energies = [state.energies()] if record or inference.watches_energy else []
    state.check(0, name)
    first = state.output
    if inference.n_steps > MANY:
        state.turn()
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
    state.account()
    losses = np.zeros(len(x)) if state.y is None else network.losses(first, state.y)
    kept = np.array(energies) if energies else np.empty((0, len(x)))
    return Settled(
        state.values, state.activities, state.errors, state.output, first, losses, kept, taken
    )


def _settle_alone(
    network: Network, x: Array, y: Array, inference: Inference, name: str, room: Room | None
) -> Settled:
    found = settle_one(network, x[0], y[0], inference, room)
    # An error of the output is so many steps on its way to the units above a layer.
    ways = range(network.n_layers - 2, -1, -1)
    network.count([1, *(1 + 2 * max(0, found.n_steps - way) for way in ways)], 1)
    if not np.isfinite(found.energies[-1]):
        sizes = [float(np.abs(e).max()) for e in found.errors]
        broken = [k for k in reversed(range(len(sizes))) if not math.isfinite(sizes[k])]
        layer = broken[0] if broken else int(np.argmax(sizes))
        raise diverged(name, inference, found.n_steps, layer, sizes[layer])
    return Settled(
        [x, *found.values], [x, *found.activities], found.errors, found.output,
        found.first_output, found.energies[:1] / inference.nudge, found.energies[:, None],
        found.n_steps,
    )  # fmt: skip


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
