"""NEST (Gewaltig & Diesmann 2007): the same cells, synapses, delays and noise."""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np

from circuits.spiking_ca3 import SpikingCA3
from circuits.spiking_cells import AdEx
from circuits.spiking_network import CHANNELS, Pathway, Population

REQUIRES = "nest"
NOTE = "aeif_cond_beta_multisynapse: Runge-Kutta of adaptive step (GSL), one thread"
ROWS = 512
"""Presynaptic cells connected at a time."""

PICO, NANO, MILLI = 1e12, 1e9, 1e3


def measured(ca3: SpikingCA3, seconds: float) -> dict[str, float]:
    """Return CPU seconds a simulated second, and the rate of the pyramidal cells [Hz]."""
    import nest

    nest.set_verbosity("M_ERROR")
    nest.ResetKernel()
    nest.resolution = ca3.network.dt * MILLI
    nest.local_num_threads = 1
    cells = {}
    for name, population in ca3.network.populations.items():
        cells[name] = nest.Create(
            "aeif_cond_beta_multisynapse", population.n_units, params=_parameters(population)
        )
    for way in ca3.network.pathways:
        _connect(nest, way, cells)
    name, population = next(iter(ca3.network.populations.items()))
    mossy = nest.Create("poisson_generator", params={"rate": ca3.config.mossy_rate})
    given = {
        "weight": population.external_weight * NANO, "delay": nest.resolution, "receptor_type": 2,
    }  # fmt: skip
    nest.Connect(mossy, cells[name], syn_spec=given)
    counter = nest.Create("spike_recorder")
    nest.Connect(cells[name], counter)
    nest.Simulate(nest.resolution)  # Buffers and calibration.
    start = time.process_time()
    nest.Simulate(round(seconds / ca3.network.dt) * nest.resolution)
    cost = (time.process_time() - start) / seconds
    return {"cpu_seconds": cost, "rate": counter.n_events / population.n_units / seconds}


def load() -> None:
    """Import NEST, which greets whoever does so."""
    importlib.import_module("nest")


def _parameters(population: Population) -> dict[str, Any]:
    cell = population.cell
    if not isinstance(cell, AdEx):
        raise TypeError("the spiking CA3 is of AdEx cells")
    channels = [getattr(population, name) for name in CHANNELS]
    return {
        "C_m": cell.capacitance * PICO, "g_L": cell.leak * NANO, "E_L": cell.rest * MILLI,
        "V_m": cell.rest * MILLI, "V_reset": cell.reset * MILLI, "V_th": cell.theta * MILLI,
        "Delta_T": cell.slope * MILLI, "V_peak": cell.cutoff * MILLI,
        "t_ref": cell.refractory * MILLI, "a": cell.subthreshold * NANO,
        "b": cell.increment * PICO, "tau_w": cell.tau_adaptation * MILLI,
        "E_rev": [channel.reversal * MILLI for channel in channels],
        "tau_rise": [channel.rise * MILLI for channel in channels],
        "tau_decay": [channel.decay * MILLI for channel in channels],
    }  # fmt: skip


def _connect(nest: Any, way: Pathway, cells: dict[str, Any]) -> None:
    pre, post = (np.array(cells[name].tolist()) for name in (way.pre, way.post))
    index = way.wiring.index
    weights = np.broadcast_to(way.weights, index.shape)
    for first in range(0, len(index), ROWS):
        rows = slice(first, first + ROWS)
        some = index[rows]
        size = np.ones(some.size)
        given = {
            "weight": weights[rows].reshape(-1) * NANO, "delay": size * way.delay * MILLI,
            "receptor_type": (size * (CHANNELS.index(way.channel) + 1)).astype(int),
        }  # fmt: skip
        sources = np.repeat(pre[rows], some.shape[1])
        nest.Connect(sources, post[some.reshape(-1)], "one_to_one", given)
