"""ngc-learn (Ororbia 2023): cells and synapses in JAX, wired by the user, steps by `scan`."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.peers import Peer
from neurosim.network import Network
from neurosim.predictive_coding import Inference

REQUIRES = "ngclearn"
LOSSES = ("mse",)  # It has no error cell for a softmax.

_NAMES = itertools.count()


def made(network: Network, inference: Inference, eta: float) -> Peer:
    """Return a training step of a circuit of rate cells and Gaussian error cells."""
    import jax
    import jax.numpy as jnp

    circuits: dict[int, Any] = {}  # One for the batch size of the first step.
    weights = [jnp.asarray(w.T) for w in network.weights]
    biases = [jnp.asarray(b[None]) for b in network.biases]
    f = {"relu": jax.nn.relu, "tanh": jnp.tanh}[network.config.activation]

    @jax.jit
    def forward(x: Any, y: Any, weights: Any, biases: Any) -> Any:
        drives, h = [], x
        for w, b in zip(weights, biases, strict=True):
            drives.append(h @ w + b)
            h = f(drives[-1])
        return drives, y - drives[-1]

    def step(x: NDArray[np.floating], y: NDArray[np.floating]) -> None:
        if not circuits:
            circuits[len(x)] = _circuit(network, inference, eta, len(x), weights, biases)
        cells, errors, forth, back, advance, evolve = circuits[len(x)]
        x, y = jnp.asarray(x), jnp.asarray(y)
        drives, missed = forward(
            x, y, [w.weights.get() for w in forth], [w.biases.get() for w in forth]
        )
        forth[0].inputs.set(x)
        errors[-1].target.set(y)
        for cell, error, z in zip(cells, errors, drives, strict=False):
            cell.z.set(z)
            cell.zF.set(f(z))
            error.dmu.set(jnp.zeros_like(z))
            error.dtarget.set(jnp.zeros_like(z))
        errors[-1].dmu.set(missed)
        for w, e in zip(forth[1:], back, strict=True):
            e.weights.set(w.weights.get().T)
        ticks = jnp.asarray(advance.pack_rows(inference.n_steps, dt=1.0))
        final, _ = advance.scan(ticks)
        _restore(final)
        forth[0].pre.set(x)
        evolve.run(dt=1.0)
        jax.block_until_ready([w.weights.get() for w in forth])

    def current() -> list[Any]:
        held = next(iter(circuits.values()))[2]
        return [np.asarray(synapse.weights.get()).T for synapse in held]

    return Peer(step, current)


def _restore(state: Any) -> None:
    from ngcsimlib.global_state import stateManager

    stateManager.set_state(state)


def _circuit(
    network: Network, inference: Inference, eta: float, n: int, weights: Any, biases: Any
) -> Any:
    from ngclearn import Context, MethodProcess
    from ngclearn.components import GaussianErrorCell, HebbianSynapse, RateCell, StaticSynapse
    from ngclearn.utils.distribution_generator import DistributionGenerator

    sizes, top = network.config.sizes, network.n_layers - 1
    number = next(_NAMES)
    zero = DistributionGenerator.constant(value=0.0)
    with contextlib.redirect_stdout(None), Context(f"circuit{number}"):
        cells = [
            RateCell(
                f"z{k}", n_units=size, tau_m=1.0 / inference.step, batch_size=n,
                act_fx=network.config.activation,
            )
            for k, size in enumerate(sizes[1:-1])
        ]  # fmt: skip
        errors = [
            GaussianErrorCell(f"e{k}", n_units=s, batch_size=n) for k, s in enumerate(sizes[1:])
        ]
        forth = [
            HebbianSynapse(
                f"W{k}", shape=shape, eta=eta / n, weight_init=zero, bias_init=zero, w_bound=0.0,
                sign_value=-1.0, optim_type="sgd", batch_size=n,
            )
            for k, shape in enumerate(itertools.pairwise(sizes))
        ]  # fmt: skip
        back = [
            StaticSynapse(f"E{k}", shape=(b, a), weight_init=zero, batch_size=n)
            for k, (a, b) in enumerate(itertools.pairwise(sizes[1:]))
        ]
        for k, w in enumerate(forth):
            w.outputs >> errors[k].mu
            errors[k].dmu >> w.post
            if k > 0:
                cells[k - 1].zF >> w.inputs
                cells[k - 1].zF >> w.pre
                errors[k].dmu >> back[k - 1].inputs
                back[k - 1].outputs >> cells[k - 1].j
            if k < top:
                cells[k].z >> errors[k].target
                errors[k].dtarget >> cells[k].j_td
        advance, evolve = MethodProcess("advance"), MethodProcess("evolve")
        for part in (*back, *cells, *forth, *errors):
            advance = advance >> part.advance_state
        for w in forth:
            evolve = evolve >> w.evolve
    for synapse, w, b in zip(forth, weights, biases, strict=True):
        synapse.weights.set(w)
        synapse.biases.set(b)
    return cells, errors, forth, back, advance, evolve
