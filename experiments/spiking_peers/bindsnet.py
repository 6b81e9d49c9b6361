"""BindsNET (Hazan et al. 2018): as near as it comes, leaky cells on dense matrices in torch."""

from __future__ import annotations

import importlib
import sys
import time
from types import ModuleType

import numpy as np

from circuits.spiking_ca3 import PYRAMIDAL, SpikingCA3

REQUIRES = "bindsnet"
NOTE = "another model: it has no AdEx cell, conductances or delays; LIF, current, dense, pyramidal"


def measured(ca3: SpikingCA3, seconds: float) -> dict[str, float]:
    """Return CPU seconds a simulated second, and the rate of the cells [Hz]."""
    import torch

    load()
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


def load() -> None:
    """Import BindsNET, which asks for torchvision even where its data sets are not used.

    A torchvision that was built for another torch is installed but does not load; an empty one
    stands in for it then.
    """
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        empty = _Empty("torchvision")
        for part in ("datasets", "transforms", "utils"):
            setattr(empty, part, _Empty(f"torchvision.{part}"))
            sys.modules[f"torchvision.{part}"] = getattr(empty, part)
        sys.modules["torchvision"] = empty
    importlib.import_module("bindsnet.network")


class _Empty(ModuleType):
    """A module in which every name is a class without anything in it."""

    __path__: list[str] = []

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
