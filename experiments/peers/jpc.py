"""jpc (Innocenti et al. 2024): predictive coding in JAX; on no package index, only as a repository.

Written to the discrete updates of its repository. It was checked against what these compute, copied
by hand, since the package itself could not be installed: see what the benchmark says of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.peers import Peer
from neurosim.network import Network
from neurosim.predictive_coding import Inference

REQUIRES = "jpc"
LOSSES = ("mse",)  # Its name for the other one differs from release to release.


def made(network: Network, inference: Inference, eta: float) -> Peer:
    """Return a training step of jpc's updates in one compiled function, as its authors advise."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import jpc
    import optax

    hidden = {
        "relu": jax.nn.relu, "tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid, "linear": lambda z: z,
    }[network.config.activation]  # fmt: skip

    def layer(k: int) -> Any:
        """Return a layer from the drives below, so that value nodes hold drives as ours do."""
        n_post, n_pre = network.weights[k].shape
        linear = eqx.nn.Linear(n_pre, n_post, key=jax.random.PRNGKey(0))
        linear = eqx.tree_at(
            lambda at: (at.weight, at.bias), linear,
            (jnp.asarray(network.weights[k]), jnp.asarray(network.biases[k])),
        )  # fmt: skip
        return eqx.nn.Sequential([eqx.nn.Lambda(hidden), linear]) if k else linear

    @eqx.filter_jit
    def train(model: Any, x: Any, y: Any) -> Any:
        values = jpc.init_activities_with_ffwd(model=model, input=x)
        # Its energy is a mean over samples; each value node belongs to one of them.
        of_values, of_weights = optax.sgd(inference.step * len(x)), optax.sgd(eta)
        state = of_values.init(values)
        for _ in range(inference.n_steps):
            moved = jpc.update_pc_activities(
                params=(model, None), activities=values, optim=of_values, opt_state=state,
                output=y, input=x,
            )  # fmt: skip
            values, state = moved["activities"], moved["opt_state"]
        return jpc.update_pc_params(
            params=(model, None), activities=values, optim=of_weights,
            opt_state=of_weights.init((eqx.filter(model, eqx.is_array), None)), output=y, input=x,
        )["model"]  # fmt: skip

    held = [[layer(k) for k in range(network.n_layers)]]

    def step(x: NDArray[np.floating], y: NDArray[np.floating]) -> None:
        held[0] = train(held[0], jnp.asarray(x), jnp.asarray(y))
        jax.block_until_ready(eqx.filter(held[0], eqx.is_array))

    def current() -> list[NDArray[np.floating]]:
        first, *rest = held[0]
        return [np.asarray(each.weight) for each in (first, *(layer[1] for layer in rest))]

    return Peer(step, current)
