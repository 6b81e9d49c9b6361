"""What a second of a spiking CA3 costs, from a thousand cells to 64,000, and in Brian2."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from circuits.place_cells import PlaceCells, TrackConfig
from circuits.spiking_activity import Watch, bernoulli_spikes
from circuits.spiking_brian2 import Brian2Engine
from circuits.spiking_ca3 import BASKET, PYRAMIDAL, SpikingCA3, SpikingCA3Config
from circuits.spiking_network import Pathway, SpikingNetwork
from circuits.spiking_numba import NumbaEngine
from experiments import spiking_peers
from experiments.benchmarks import machine
from experiments.comparison import check_names
from experiments.planted_ca3 import planted
from experiments.ripples_and_replay import Config as Track
from experiments.ripples_and_replay import learn
from neurosim.connectivity import Stored
from neurosim.errors import check_counts
from neurosim.jobs import run_apart
from neurosim.randomness import Streams
from neurosim.resources import ResourceMeter

ARITHMETIC = 54
"""Operations of a cell's step in `spiking_kernels`; a multiply-add counts once."""

EVENT_BYTES = 4
"""Read for a synaptic event: target and weight."""


@dataclass(frozen=True)
class Config:
    """Which sizes are measured, and what beside them.

    Parameters
    ----------
    sizes : tuple of int
        Pyramidal cells; see `SpikingCA3Config.of_size`.
    seconds : float [s]
        Simulated in each turn.
    turns : int
        Of which the median counts.
    compared : int
        Size at which other simulators are measured beside ours; 0 for none.
    brian2 : bool
        Whether Brian2 is, in turns with ours.
    standalone : bool
        Whether Brian2's C++ program is measured too (its compilation takes a minute).
    track_seconds : float [s]
        Of learning, measured at the compared size; 0 for none.
    memory : tuple of int
        Sizes at which resident memory is measured before and after.
    peer_seconds : float [s]
        Simulated by the peers at the compared size; 0 for none.
    against : tuple of str
        Peers, files of `experiments/spiking_peers`: all that are known, where none is named.
    threads : int
        Of our engine; processor time counts all of them.
    seed : int
    """

    sizes: tuple[int, ...] = (1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000)
    seconds: float = 1.0
    turns: int = 3
    compared: int = 8_000
    brian2: bool = True
    standalone: bool = True
    track_seconds: float = 400.0
    memory: tuple[int, ...] = (32_000,)
    peer_seconds: float = 0.05
    against: tuple[str, ...] = ()
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_counts(self, "sizes", "turns", "threads")
        check_names(self, "against", self.peers, tuple(spiking_peers.known()))

    @property
    def peers(self) -> tuple[str, ...]:
        """Names of the peers to measure."""
        return self.against or tuple(spiking_peers.known())


def run(config: Config, tick: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """Measure every size in a process of its own, so that its peak memory is its own.

    Returns
    -------
    dict
        ``<measure>_<size>`` with measure cpu_seconds (a simulated second), realtime (simulated
        over wall seconds), pyramidal_rate, basket_rate, events (a simulated second),
        ns_per_update, ns_per_event, bytes_per_synapse, peak_rss_mb, and static_bytes and
        plastic_bytes (by which resident memory grows a synapse); ``slope``; what the machine
        could do at best, ``limit_update`` and ``limit_event`` [ns]; for the compared size
        ``cython_cpu_seconds``, ``standalone_cpu_seconds``, ``speedup_cython``,
        ``speedup_standalone``, ``learning_*`` and ``peer_*``; ``peer_absent_<peer>`` says why one
        is not there.
    """
    values: dict[str, Any] = dict(machine.run(machine.Config()))
    values |= limits(values)
    for n in config.sizes:
        values |= run_apart(measure, config, n)
        tick(f"{n:,} cells: {values[f'cpu_seconds_{n}']:.3g} CPU s a simulated second")
    if len(config.sizes) > 1:
        cost = [values[f"cpu_seconds_{n}"] for n in config.sizes]
        values["slope"] = float(np.polyfit(np.log(config.sizes), np.log(cost), 1)[0])
    if config.compared:
        if config.brian2:
            values |= run_apart(measure_brian2, config, config.compared)
            tick(f"Brian2: {values['speedup_cython']:.1f} times slower")
        if config.track_seconds:
            values |= run_apart(measure_learning, config, config.compared)
        if config.peer_seconds:
            for name in config.peers:  # Each apart: threads and memory of one would slow another.
                found = run_apart(measure_peers, replace(config, against=(name,)), config.compared)
                if f"peer_absent_{name}" in found:
                    tick(f"{name}: {found[f'peer_absent_{name}']}, not measured")
                values |= found
    for n in config.memory:
        values |= run_apart(measure_memory, config, n)
    return values


def limits(values: dict[str, Any]) -> dict[str, float]:
    """Return the least a cell's step and a synaptic event can take on this machine [ns].

    A step: its arithmetic at the rate of multiply-adds in vectors. An event: the larger of reading
    its bytes in order from memory, and of adding one to a counter at random in the second cache.

    Parameters
    ----------
    values : dict
        What `machine.run` returns.
    """
    read = EVENT_BYTES / values["memory_bytes_per_second"]
    return {
        "limit_update": 1e9 * ARITHMETIC / values["multiply_adds_per_second"],
        "limit_event": 1e9 * max(read, 1.0 / values["counts_per_second"]),
    }


def measure(config: Config, n: int) -> dict[str, float]:
    """Measure our engine at one size, with its pathways and without them."""
    ca3 = planted(n, config.seed)
    synapses = sum(way.wiring.index.size for way in ca3.network.pathways)
    held = sum(way.wiring.index.nbytes + way.codes.nbytes for way in ca3.network.pathways)
    engine = NumbaEngine(ca3.network, config.threads)
    bare = NumbaEngine(_bare(ca3), config.threads)
    rng = Streams(config.seed).generator("mossy")
    costs: dict[str, list[float]] = {"engine": [], "bare": [], "wall": []}
    events, rates = 0.0, []
    for turn in range(config.turns + 1):
        before, start = engine.events, time.perf_counter()
        cpu, activity = _cpu_of(ca3, engine, config.seconds, rng)
        wall = time.perf_counter() - start
        alone, _ = _cpu_of(ca3, bare, config.seconds, rng)
        if turn:  # The first compiles and warms up.
            for name, cost in (("engine", cpu), ("bare", alone), ("wall", wall)):
                costs[name].append(cost / config.seconds)
            events += (engine.events - before) / config.seconds / config.turns
            rates.append([activity.rate(name) for name in ca3.network.populations])
    cost, alone, wall = (float(np.median(costs[name])) for name in ("engine", "bare", "wall"))
    updates = sum(p.n_units for p in ca3.network.populations.values()) / ca3.network.dt
    pyramidal, basket = np.mean(rates, axis=0)
    return {
        f"cpu_seconds_{n}": cost,
        f"realtime_{n}": 1.0 / wall,
        f"pyramidal_rate_{n}": float(pyramidal),
        f"basket_rate_{n}": float(basket),
        f"events_{n}": events,
        f"ns_per_update_{n}": 1e9 * alone / updates,
        f"ns_per_event_{n}": 1e9 * max(0.0, cost - alone) / max(events, 1.0),
        f"bytes_per_synapse_{n}": held / synapses,
        f"peak_rss_mb_{n}": ResourceMeter().peak_rss_mb,
    }


def measure_brian2(config: Config, n: int) -> dict[str, float]:
    """Measure Brian2 in turns with our engine, all with spikes of their own from outside.

    Of Cython's target the construction and the generation of code are left out; of the standalone
    program, construction and reading of the weights too: its simulation loop alone counts.
    """
    ca3 = planted(n, config.seed)
    rng = Streams(config.seed).generator("mossy")
    outside = {PYRAMIDAL: ca3.config.mossy_rate}
    ours = NumbaEngine(ca3.network, config.threads)
    cython = Brian2Engine(ca3.network, "cython", outside)
    program = Brian2Engine(ca3.network, "standalone", outside, keep=True)
    _cpu_of(ca3, ours, 0.1, rng)
    cython.run(0.01)
    if config.standalone:
        program.run(config.seconds)
    costs: dict[str, list[float]] = {"ours": [], "cython": [], "standalone": []}
    rates = []
    for _ in range(config.turns):
        costs["ours"].append(_cpu_of(ca3, ours, config.seconds, rng)[0])
        start = time.process_time()
        activity = cython.run(config.seconds)
        costs["cython"].append(time.process_time() - start)
        rates.append([activity.rate(name) for name in ca3.network.populations])
        if program.program is not None:
            costs["standalone"].append(_loop_of(program.program))
    if program.program is not None:
        shutil.rmtree(program.program.parent, ignore_errors=True)
    median = {k: float(np.median(v)) / config.seconds for k, v in costs.items() if v}
    values = {f"{name}_cpu_seconds": cost for name, cost in median.items()}
    for name in ("cython", "standalone"):
        if name in median:
            values[f"speedup_{name}"] = median[name] / median["ours"]
    values["cython_pyramidal_rate"], values["cython_basket_rate"] = np.mean(rates, axis=0).tolist()
    return values


def measure_learning(config: Config, n: int) -> dict[str, float]:
    """Measure symmetric STDP of all recurrent synapses while the animal runs."""
    shape, rng = SpikingCA3Config.of_size(n), Streams(config.seed).generator("track")
    spikes = PlaceCells(TrackConfig(), n, rng).spikes(config.track_seconds, rng)
    wiring = shape.recurrent_wiring(rng)
    start = time.process_time()
    learn(Track(), wiring, spikes)
    return {
        "learning_cpu_seconds": time.process_time() - start,
        "learning_synapses": float(wiring.index.size),
        "learning_peak_rss_mb": ResourceMeter().peak_rss_mb,
    }


def measure_memory(config: Config, n: int) -> dict[str, float]:
    """Measure by how much this process grows with a network that learns, and one that does not.

    The peak counts while it learns; of the other, what is resident once its weights are in place.
    """
    for size in (400, n):  # The small one brings all code and tables into memory.
        shape, rng = SpikingCA3Config.of_size(size), Streams(config.seed).generator("memory")
        spikes = PlaceCells(TrackConfig(), size, rng).spikes(5.0, rng)
        before = _resident()
        wiring = shape.recurrent_wiring(rng)
        learn(Track(), wiring, spikes)
        plastic = (1e6 * ResourceMeter().peak_rss_mb - before) / wiring.index.size
    del wiring
    before_static = _resident()
    ca3 = planted(n, config.seed)
    synapses = sum(way.wiring.index.size for way in ca3.network.pathways)
    static = (_resident() - before_static) / synapses
    return {f"plastic_bytes_{n}": plastic, f"static_bytes_{n}": static}


def measure_peers(config: Config, n: int) -> dict[str, Any]:
    """Measure other simulators that are there, each on its own copy of the network, after ours."""
    values: dict[str, Any] = {}
    ca3 = planted(n, config.seed)
    ours, rng = NumbaEngine(ca3.network, config.threads), Streams(config.seed).generator("mossy")
    costs = [_cpu_of(ca3, ours, config.seconds, rng)[0] for _ in range(config.turns + 1)]
    own = float(np.median(costs[1:])) / config.seconds  # The first turn compiles.
    # Not before ours: where NEST has been loaded, compiling a kernel kills the process.
    for name in config.peers:
        peer = spiking_peers.known()[name]
        if why := spiking_peers.absent(peer):
            values[f"peer_absent_{name}"] = f"absent ({why})"
            continue
        for what, value in peer.measured(ca3, config.peer_seconds).items():
            values[f"peer_{what}_{name}"] = value
        values[f"peer_times_{name}"] = values[f"peer_cpu_seconds_{name}"] / own
    return values


def table(values: dict[str, Any]) -> str:
    """Return the measurements as Markdown."""
    sizes = sorted(int(key.rsplit("_", 1)[1]) for key in values if key.startswith("realtime_"))
    lines = [
        machine.table(values),
        f"At best a cell's step takes {values['limit_update']:.2f} ns ({ARITHMETIC} operations), "
        f"an event {values['limit_event']:.2f} ns.",
        "",
        "| pyramidal cells | CPU s a simulated s | simulated over wall | rates (Hz) | million "
        "events a s | ns a cell's step | ns an event | bytes a synapse | peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for n in sizes:
        lines.append(
            f"| {n:,} | {values[f'cpu_seconds_{n}']:.3g} | {values[f'realtime_{n}']:.2g} "
            f"| {values[f'pyramidal_rate_{n}']:.2f}, {values[f'basket_rate_{n}']:.0f} "
            f"| {values[f'events_{n}'] / 1e6:.3g} | {values[f'ns_per_update_{n}']:.2f} "
            f"| {values[f'ns_per_event_{n}']:.2f} | {values[f'bytes_per_synapse_{n}']:.2f} "
            f"| {values[f'peak_rss_mb_{n}']:,.0f} |"
        )
    if "slope" in values:
        lines += ["", f"Slope of log cost over log cells: {values['slope']:.3f}."]
    for name in ("plastic", "static"):
        grown = {n: values[k] for n in _sizes(values) if (k := f"{name}_bytes_{n}") in values}
        if grown:
            words = ", ".join(f"{size:.2f} at {n:,}" for n, size in grown.items())
            lines += ["", f"Memory grows by bytes a {name} synapse: {words} cells."]
    rows = [("ours", "ours"), ("Brian2, Cython", "cython"), ("Brian2, C++ program", "standalone")]
    rows = [(name, key) for name, key in rows if f"{key}_cpu_seconds" in values]
    others = [key for key in sorted(values) if key.startswith(("peer_cpu", "peer_absent"))]
    if rows or others:
        lines += ["", "| engine | CPU s a simulated s | times ours |", "|---|---|---|"]
        for name, key in rows:
            times = values.get(f"speedup_{key}", 1.0)
            lines.append(f"| {name} | {values[f'{key}_cpu_seconds']:.3g} | {times:.1f} |")
        for key in others:
            peer = key.rpartition("_")[2]
            if key.startswith("peer_absent"):
                lines.append(f"| {peer} | {values[key]} | |")
                continue
            note = spiking_peers.known()[peer].NOTE
            lines.append(
                f"| {peer} ({note}) | {values[key]:.3g} | {values[f'peer_times_{peer}']:.0f} |"
            )
    if "learning_cpu_seconds" in values:
        lines += ["", f"Learning on the track: {values['learning_cpu_seconds']:.0f} CPU s for "
                  f"{values['learning_synapses']:,.0f} synapses, "
                  f"{values['learning_peak_rss_mb']:,.0f} MB at most."]  # fmt: skip
    return "\n".join(lines)


def _bare(ca3: SpikingCA3) -> SpikingNetwork:
    """Return the cells alone: one silent pathway keeps the steps that are taken at once."""
    n, rng = ca3.config.n_basket, np.random.default_rng(0)
    delay = ca3.config.delay_inhibit_basket
    silent = Pathway.weighing(BASKET, BASKET, "inhibition", Stored(n, n, 1, rng), 0.0, delay)
    return SpikingNetwork(ca3.network.populations, (silent,), ca3.network.dt)


def _sizes(values: dict[str, Any]) -> list[int]:
    ends = {key.rpartition("_")[2] for key in values}
    return sorted(int(end) for end in ends if end.isdigit())


def _resident() -> float:
    """Return the memory of this process that is in use now [bytes]; NaN where nobody says."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


def _cpu_of(
    ca3: SpikingCA3, engine: NumbaEngine, seconds: float, rng: np.random.Generator
) -> tuple[float, Any]:
    """Return the processor time of our engine, the drawing of its mossy spikes included."""
    start = time.process_time()
    n_steps = ca3.network.steps(seconds)
    mossy = bernoulli_spikes(
        ca3.config.n_pyramidal, ca3.config.mossy_rate, n_steps, ca3.config.dt, rng
    )
    activity = engine.run(seconds, {PYRAMIDAL: mossy}, Watch())
    return time.process_time() - start, activity


def _loop_of(program: Path) -> float:
    """Return the processor time of a standalone program's loop, which it notes itself."""
    folder = program.parent
    subprocess.run([str(program)], cwd=folder, check=True, capture_output=True)
    return float((folder / "results" / "last_run_info.txt").read_text().split()[0])
