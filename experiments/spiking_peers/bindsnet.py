"""BindsNET (Hazan et al. 2018): as near as it comes, leaky cells on dense matrices in torch."""

from __future__ import annotations

import time

import numpy as np

from circuits.spiking_ca3 import PYRAMIDAL, SpikingCA3

REQUIRES = "bindsnet"
NOTE = "another model: it has no AdEx cell, conductances or delays; LIF, current, dense, pyramidal"


def measured(ca3: SpikingCA3, seconds: float) -> dict[str, float]:
    """Return CPU seconds a simulated second, and the rate of the cells [Hz]."""
    import torch
    from bindsnet.network import Network
    from bindsnet.network.nodes import LIFNodes
    from bindsnet.network.topology import Connection

    torch.set_num_threads(1)
    config, dt = ca3.config, ca3.network.dt
    n, n_steps = config.n_pyramidal, ca3.network.steps(seconds)
    network = Network(dt=dt * 1e3)
    cells = LIFNodes(n, thresh=-50.0, rest=-75.0, reset=-60.0, refrac=6, tc_decay=41.7)
    network.add_layer(cells, PYRAMIDAL)
    way = ca3.network.pathways[0]
    matrix = np.zeros((n, n), dtype=np.float32)
    np.put_along_axis(matrix, way.wiring.index.astype(np.int64), way.weights.astype("f4"), axis=1)
    matrix *= 0.01 / max(float(matrix.max()), 1e-30)
    network.add_connection(
        Connection(cells, cells, w=torch.from_numpy(matrix)), PYRAMIDAL, PYRAMIDAL
    )
    noise = torch.from_numpy(np.random.default_rng(0).poisson(0.015, (n_steps, n)) * 10.0).float()
    fired = 0
    start = time.process_time()
    with torch.no_grad():
        for step in range(n_steps):
            network.run({}, time=dt * 1e3, injects_v={PYRAMIDAL: noise[step : step + 1]})
            fired += int(cells.s.sum())
    cost = (time.process_time() - start) / seconds
    return {"cpu_seconds": cost, "rate": fired / n / seconds}
