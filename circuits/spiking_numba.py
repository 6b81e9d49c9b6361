"""Our engine for spiking networks: what the kernels of `spiking_kernels` need around them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.spiking_activity import (
    EXPLOSION_WINDOW,
    Activity,
    Explosion,
    Watch,
    check_watch,
    external_steps,
)
from circuits.spiking_cells import AdEx
from circuits.spiking_kernels import BLOCK, READY, ROWS, ROWS_A_STEP, Cells, Way, simulate
from circuits.spiking_network import CHANNELS, Pathway, Population, SpikingNetwork
from neurosim import kernels
from neurosim.errors import NumericalError
from neurosim.spikes import SpikeTrains

SEGMENT = 0.05
"""Simulated seconds of one call of the kernel, after which Ctrl-C is heard."""

LONG_AGO = -1e18
LONGEST_STRETCH = 64

LINE = 64
"""Bytes of a line of the cache, and of the widest vector."""


class NumbaEngine:
    """Simulates a spiking network by the kernels of this file.

    Parameters
    ----------
    network : SpikingNetwork
    threads : int
        Results do not depend on it.

    Attributes
    ----------
    step : int
        Steps taken so far.
    events : int
        Synaptic events so far, without those from outside.
    """

    def __init__(self, network: SpikingNetwork, threads: int = 1) -> None:
        self.network, self.threads = network, threads
        self.step, self.events = 0, 0
        self._names = tuple(network.populations)
        delays = [network.steps(way.delay) for way in network.pathways]
        self._stretch = min(delays, default=math.ceil(SEGMENT / network.dt))
        self._stretch = max(1, min(self._stretch, LONGEST_STRETCH))
        self._longest = max(delays, default=1)
        self._ways = tuple(self._way(way) for way in network.pathways) or (self._no_way(),)
        self._blocks = [-(-p.n_units // BLOCK) for p in network.populations.values()]
        quanta = network.quanta()
        self._constants, self._states, self._arrivals = [], [], []
        for (name, population), n_blocks in zip(
            network.populations.items(), self._blocks, strict=True
        ):
            units = [quanta.get((name, channel), 0.0) for channel in CHANNELS]
            self._constants.append(_constants(network, population, units))
            self._states.append(_rest(population, n_blocks))
            shape = self._stretch * ROWS_A_STEP, n_blocks * BLOCK
            self._arrivals.append(_aligned(shape, np.int32))
        nothing = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
        self._pending = [nothing for _ in self._names]

    def run(
        self, duration: float, external: Mapping[str, SpikeTrains] | None = None,
        watch: Watch | None = None,
    ) -> Activity:  # fmt: skip
        """Simulate a stretch of time; see `spiking_activity.Engine`.

        Raises
        ------
        ConfigError
            For spikes from outside that do not fit, and a duration that holds no step.
        Explosion
            For potentials that are no longer finite, and a population above its ceiling.
        """
        watch = watch or Watch()
        check_watch(self.network, watch)
        total, start = self.network.steps_of_run(duration), self.step
        outside = external_steps(self.network, external or {}, duration)
        most = max(1, round(SEGMENT / self.network.dt))
        done = _Done(self, watch, start)
        for first in range(start, start + total, most):
            n_steps = min(most, start + total - first)
            due = {}
            for name, (steps, cells) in outside.items():
                low, high = np.searchsorted(steps, [first - start, first - start + n_steps])
                due[name] = steps[low:high] + start, cells[low:high]
            trouble = self._segment(n_steps, due, done)
            if trouble or (trouble := done.exploded()):
                raise Explosion(trouble, done.activity())
        return done.activity()

    def potential(self, population: str) -> NDArray[np.float64]:
        """Return the potentials [V] of a population as they are now."""
        p = self._names.index(population)
        return self._states[p][:, :BLOCK].reshape(-1)[: self._size(p)].copy()

    def _segment(
        self, n_steps: int, due: Mapping[str, tuple[NDArray[np.int64], ...]], done: _Done
    ) -> str:
        """Run the kernel once; return what went wrong."""
        first, counts, populations = self.step, [], []
        for p, name in enumerate(self._names):
            cells, count = self._cells(p, n_steps, due.get(name), done)
            populations.append(cells)
            counts.append(count)
        counted = np.array(counts, dtype=np.int64)
        pointers = np.array(
            [np.searchsorted(self._pending[way.pre][0], first - way.delay) for way in self._ways],
            dtype=np.int64,
        )
        with kernels.threads(self.threads):
            wrong, where = simulate(
                tuple(populations), self._ways, counted, pointers,
                np.zeros(len(populations), dtype=np.int64), first, n_steps, self._stretch,
                done.field_steps, self.threads == 1,
            )  # fmt: skip
        self.step += n_steps
        for p, cells in enumerate(populations):
            old, new = counts[p], int(counted[p])
            steps, spikers = cells.log_step[:new], cells.log_cell[:new]
            done.take(p, steps[old:], spikers[old:], cells)
            kept = np.searchsorted(steps, self.step - self._longest)
            self._pending[p] = steps[kept:].copy(), spikers[kept:].copy()
            sent = sum(way.targets.shape[1] for way in self._ways if way.pre == p)
            self.events += (new - old) * sent
        if not wrong:
            return ""
        at = (where + 1) * self.network.dt
        return str(NumericalError.at(self._names[wrong - 1], "potential", at, "lower dt"))

    def _cells(
        self, p: int, n_steps: int, due: tuple[NDArray[np.int64], ...] | None, done: _Done
    ) -> tuple[Cells, int]:
        network, name = self.network, self._names[p]
        population = network.populations[name]
        pending = self._pending[p]
        count = pending[0].size
        apart = max(1, network.refractory_steps(population))
        room = count + population.n_units * (n_steps // apart + 1)
        log_step, log_cell = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.int32)
        log_step[:count], log_cell[:count] = pending
        steps, cells = due if due is not None else (np.zeros(0, dtype=np.int64),) * 2
        n_blocks = self._blocks[p]
        return Cells(
            n_units=population.n_units,
            state=self._states[p],
            arrivals=self._arrivals[p],
            constants=self._constants[p],
            fired=np.empty((n_blocks, self._stretch * BLOCK), dtype=np.int32),
            n_fired=np.zeros(n_blocks, dtype=np.int64),
            log_step=log_step,
            log_cell=log_cell,
            outside_step=steps,
            outside_cell=cells,
            outside_first=np.empty(n_blocks, dtype=np.int64),
            outside_next=np.empty(steps.size, dtype=np.int64),
            watched=done.watched[p],
            potentials=np.empty((n_steps, done.watched[p].size)),
            field=np.empty((n_blocks, done.samples(n_steps) if done.every[p] else 0)),
            every=done.every[p],
        ), count

    def _way(self, way: Pathway) -> Way:
        return Way(
            self._names.index(way.pre), self._names.index(way.post),
            int(way.channel == "inhibition"), self.network.steps(way.delay),
            np.asarray(way.wiring.index, dtype=np.uint16), way.codes,
        )  # fmt: skip

    def _no_way(self) -> Way:
        empty = np.zeros((self._size(0), 0), dtype=np.uint16)
        return Way(0, 0, 0, 1, empty, np.zeros((1, 1), dtype=np.uint16))

    def _size(self, p: int) -> int:
        return self.network.populations[self._names[p]].n_units


class _Done:
    """What a run has brought so far."""

    def __init__(self, engine: NumbaEngine, watch: Watch, origin: int) -> None:
        network, names = engine.network, engine._names
        self.engine, self.watch, self.origin = engine, watch, origin
        self.names = names
        self.watched = [np.array(watch.cells.get(name, ()), dtype=np.int64) for name in names]
        self.every = [watch.field_every if name == watch.field_of else 0 for name in names]
        self.field_steps = max(1, network.steps(watch.field_dt))
        self.steps: list[list[NDArray[Any]]] = [[] for _ in names]
        self.cells: list[list[NDArray[Any]]] = [[] for _ in names]
        self.potentials: list[list[NDArray[Any]]] = [[] for _ in names]
        self.field: list[NDArray[Any]] = []

    def samples(self, n_steps: int) -> int:
        """Return how many samples of the field fall into the next steps."""
        first = self.engine.step
        return -(-(first + n_steps) // self.field_steps) - -(-first // self.field_steps)

    def take(self, p: int, steps: NDArray[Any], spikers: NDArray[Any], cells: Cells) -> None:
        """Keep what a segment has brought of population p."""
        self.steps[p].append(steps.copy())
        self.cells[p].append(spikers.copy())
        if cells.watched.size:
            self.potentials[p].append(cells.potentials)
        if cells.every:
            n_counted = -(-cells.n_units // cells.every)
            self.field.append(cells.field.sum(axis=0) / n_counted)

    def exploded(self) -> str:
        """Say which population has fired above its ceiling for the last 0.1 s."""
        network, now = self.engine.network, self.engine.step
        window = network.steps(EXPLOSION_WINDOW)
        if now - self.origin < window:
            return ""
        for p, (name, population) in enumerate(network.populations.items()):
            recent = sum(int((each >= now - window).sum()) for each in self.steps[p][-8:])
            rate = recent / population.n_units / EXPLOSION_WINDOW
            if rate > population.ceiling:
                return (
                    f"{name}.rate: expected at most {population.ceiling:g} Hz, got {rate:.0f} Hz "
                    f"until t = {now * network.dt:g} s: the network explodes; lower the weights "
                    f"that excite {name}"
                )
        return ""

    def activity(self) -> Activity:
        """Return all that has been kept."""
        network, engine = self.engine.network, self.engine
        duration = (engine.step - self.origin) * network.dt
        spikes = {}
        for p, (name, population) in enumerate(network.populations.items()):
            steps = np.concatenate(self.steps[p]) - self.origin
            cells = np.concatenate(self.cells[p])
            spikes[name] = SpikeTrains(steps * network.dt, cells, population.n_units, duration)
        return Activity(
            spikes, duration, network.dt,
            np.concatenate(self.field) if self.field else np.zeros(0),
            self.field_steps * network.dt,
            {
                self.names[p]: np.concatenate(each)
                for p, each in enumerate(self.potentials) if each
            },
        )  # fmt: skip


def _constants(
    network: SpikingNetwork, population: Population, units: list[float]
) -> NDArray[np.float64]:
    """Return the numbers of `_advance_block` in its order, in units of C / dt where they are S."""
    cell, dt = population.cell, network.dt
    gain = dt / cell.capacitance
    if isinstance(cell, AdEx):
        keep = math.exp(-dt / cell.tau_adaptation)
        upstroke = cell.theta, 1.0 / cell.slope, gain * cell.leak * cell.slope
        adaptation = keep, gain * cell.subthreshold * (1.0 - keep)
        increment = gain * cell.increment
    else:
        upstroke, adaptation, increment = (0.0, 0.0, 0.0), (1.0, 0.0), 0.0
    channels: list[float] = []
    for name, unit in zip(CHANNELS, units, strict=True):
        channel = getattr(population, name)
        rise, decay = math.exp(-dt / channel.rise), math.exp(-dt / channel.decay)
        channels += [rise, decay, channel.reversal, gain * unit * channel.norm]
    return np.array([
        gain * cell.leak, cell.rest, *upstroke, cell.cutoff, gain, *adaptation,
        network.refractory_steps(population), *channels, cell.reset, increment,
    ])  # fmt: skip


def _rest(population: Population, n_blocks: int) -> NDArray[np.float64]:
    """Return the state at rest; the lanes that fill up the last block never move."""
    cell = population.cell
    state = _aligned((n_blocks, ROWS), np.float64)
    state[:, :BLOCK] = cell.rest
    state[:, READY:] = LONG_AGO
    spare = population.n_units - (n_blocks - 1) * BLOCK
    state[-1, spare:BLOCK] = cell.reset
    state[-1, READY + spare :] = -LONG_AGO
    return state


def _aligned(shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """Return zeros that begin at a line of the cache: vectors across two take twice as long."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + LINE, dtype=np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + size].view(dtype).reshape(shape)
