"""pcx (Pinchetti et al. 2025): predictive coding in JAX, a whole training step compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.peers import Peer
from neurosim.network import Network
from neurosim.predictive_coding import Inference

REQUIRES = "pcx"


def made(network: Network, inference: Inference, eta: float) -> Peer:
    """Return pcx's own training step, as its examples write it, on a copy of the network."""
    import jax
    import jax.numpy as jnp
    import optax
    import pcx.functional as pxf
    import pcx.nn as pxnn
    import pcx.predictive_coding as pxc
    import pcx.utils as pxu

    activation = {
        "relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "linear": lambda z: z,
    }[network.config.activation]  # fmt: skip
    energy_of = {"mse": pxc.se_energy, "cross_entropy": pxc.ce_energy}[network.config.loss]
    sizes = network.config.sizes

    class Model(pxc.EnergyModule):
        """Value nodes hold the drives, as those of neurosim."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = [pxnn.Linear(m, n) for m, n in zip(sizes[:-1], sizes[1:], strict=True)]
            self.vodes = [pxc.Vode() for _ in sizes[1:-1]] + [pxc.Vode(energy_of)]
            self.vodes[-1].h.frozen = True

        def __call__(self, x: Any, y: Any) -> Any:
            for k, (vode, layer) in enumerate(zip(self.vodes, self.layers, strict=True)):
                x = vode(layer(activation(x) if k else x))
            if y is not None:
                self.vodes[-1].set("h", y)
            return self.vodes[-1].get("u")

    samples = pxu.M(pxc.VodeParam | pxc.VodeParam.Cache).to((None, 0))

    @pxf.vmap(samples, in_axes=(0, 0), out_axes=0, axis_name="batch")
    def forward(x: Any, y: Any, *, model: Any) -> Any:
        return model(x, y)

    @pxf.vmap(samples, in_axes=(0,), out_axes=(None, 0), axis_name="batch")
    def energy(x: Any, *, model: Any) -> Any:
        y = model(x, None)
        return jax.lax.psum(model.energy().sum(), "batch"), y

    def values() -> Any:
        return pxu.M_hasnot(pxc.VodeParam, frozen=True)  # Anew, since `to` changes a mask.

    @pxf.jit(static_argnums=0, donate_argnames=("model", "of_weights", "of_values"))
    def train(n_steps: int, x: Any, y: Any, *, model: Any, of_weights: Any, of_values: Any) -> None:
        model.train()
        with pxu.step(model, pxc.STATUS.INIT, clear_params=pxc.VodeParam.Cache):
            forward(x, y, model=model)
        of_values.init(values()(model))
        for _ in range(n_steps):
            with pxu.step(model, clear_params=pxc.VodeParam.Cache):
                _, slope = pxf.value_and_grad(values().to([False, True]), has_aux=True)(energy)(
                    x, model=model
                )
            of_values.step(model, slope["model"])
        of_values.clear()
        with pxu.step(model, clear_params=pxc.VodeParam.Cache):
            _, slope = pxf.value_and_grad(pxu.M(pxnn.LayerParam).to([False, True]), has_aux=True)(
                energy
            )(x, model=model)
        of_weights.step(model, slope["model"], scale_by=1.0 / x.shape[0])

    model = Model()
    for layer, w, b in zip(model.layers, network.weights, network.biases, strict=True):
        layer.nn.weight.set(jnp.asarray(w))
        layer.nn.bias.set(jnp.asarray(b))
    of_values = pxu.Optim(lambda: optax.sgd(inference.step))
    of_weights = pxu.Optim(lambda: optax.sgd(eta), pxu.M(pxnn.LayerParam)(model))

    def step(x: NDArray[np.floating], y: NDArray[np.floating]) -> None:
        train(
            inference.n_steps, jnp.asarray(x), jnp.asarray(y),
            model=model, of_weights=of_weights, of_values=of_values,
        )  # fmt: skip
        jax.block_until_ready([layer.nn.weight.get() for layer in model.layers])

    return Peer(step, lambda: [np.asarray(layer.nn.weight.get()) for layer in model.layers])
