"""A spiking network as it is described to an engine, and the activity that comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from circuits.spiking_cells import Cell, Channel, in_si
from neurosim.connectivity import Stored
from neurosim.errors import ConfigError, NumericalError
from neurosim.sharp_waves import Event
from neurosim.spikes import SpikeTrains

ChannelName = Literal["excitation", "external", "inhibition"]
CHANNELS: tuple[ChannelName, ...] = ("excitation", "external", "inhibition")
"""The three channels of every cell: recurrent excitation, input from outside, inhibition."""

LARGEST_CODE = 65_535
MOST_TARGETS = 65_536
"""Weights and targets are held in 16 bits."""

LONGEST_DELAY = 0.1
"""Seconds; a longer one was given in ms."""

LARGEST_WEIGHT = 1e-3
"""Siemens; a larger one was given in nS."""

STEPS_A_RISE = 2.0
"""A rise time must last that many steps."""


@dataclass(frozen=True)
class Population:
    """Cells of one kind, and what reaches them from outside.

    Parameters
    ----------
    n_units : int
    cell : AdEx or LIF
    excitation, external, inhibition : Channel
        A channel that nothing reaches stays closed.
    external_weight : float [S]
        Of one spike from outside; every cell has a line of its own.
    ceiling : float [Hz]
        A mean rate above it for 0.1 s counts as an explosion.
    """

    n_units: int
    cell: Cell
    excitation: Channel
    external: Channel
    inhibition: Channel
    external_weight: float = 0.0
    ceiling: float = 500.0

    def __post_init__(self) -> None:
        weight = in_si(self, "external_weight", self.external_weight, "S")
        object.__setattr__(self, "external_weight", weight)
        if not 1 <= self.n_units <= MOST_TARGETS:
            raise ConfigError.expected(
                self, "n_units", f"1..{MOST_TARGETS} cells", self.n_units, "choose another number"
            )


@dataclass(frozen=True, eq=False)
class Pathway:
    """Synapses from one population to another, all of one delay.

    Parameters
    ----------
    pre, post : str
        Names of the populations.
    channel : {"excitation", "external", "inhibition"}
        That it opens.
    wiring : Stored
        ``wiring.index[i, k]`` is the target of slot k of cell i.
    codes : (n_pre, fan_out) uint16, or (1, 1) for equal weights
        A weight is its code times the quantum.
    quantum : float [S]
        The same for all pathways that share a channel.
    delay : float [s]

    See Also
    --------
    Pathway.weighing : from weights in siemens.
    """

    pre: str
    post: str
    channel: ChannelName
    wiring: Stored
    codes: NDArray[np.uint16]
    quantum: float
    delay: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "delay", in_si(self, "delay", self.delay, "s", most=LONGEST_DELAY))
        object.__setattr__(self, "quantum", in_si(self, "quantum", self.quantum, "S"))
        if self.channel not in CHANNELS:
            raise ConfigError.expected(
                self, "channel", f"one of {', '.join(CHANNELS)}", self.channel, "choose one"
            )
        if self.codes.shape not in ((1, 1), self.wiring.index.shape):
            raise ConfigError.expected(
                self, "codes", f"shape {self.wiring.index.shape}", self.codes.shape,
                "give a weight a synapse",
            )  # fmt: skip

    @classmethod
    def weighing(
        cls,
        pre: str,
        post: str,
        channel: ChannelName,
        wiring: Stored,
        weights: ArrayLike,
        delay: float,
        quantum: float | None = None,
    ) -> Pathway:
        """Build a pathway from weights, held to the nearest quantum.

        Parameters
        ----------
        pre, post, channel, wiring, delay
            As for the class.
        weights : float or (n_pre, fan_out) array-like [S]
            None may be negative: whether a synapse excites is its channel's reversal potential.
        quantum : float [S], optional
            By default the largest weight over 65,535, or the weight itself if all are equal.

        Raises
        ------
        ConfigError
            For a weight that is negative, not finite, above 1 mS or above 65,535 quanta.
        """
        given = np.asarray(weights)
        largest, least = float(given.max(initial=0.0)), float(given.min(initial=0.0))
        if not (least >= 0 and math.isfinite(largest)):  # NaN is not above anything.
            raise ConfigError.expected(
                cls, "weights", "finite conductances of 0 S or more",
                f"{least:g}..{largest:g}", "choose the channel for the sign",
            )  # fmt: skip
        if largest > LARGEST_WEIGHT:
            raise ConfigError.expected(
                cls, "weights", f"at most {LARGEST_WEIGHT:g} S", largest,
                "give them in S, such as 2e-9 for 2 nS",
            )  # fmt: skip
        if quantum is None:
            quantum = largest if given.ndim == 0 else largest / LARGEST_CODE
        if quantum > 0 and round(largest / quantum) > LARGEST_CODE:
            raise ConfigError.expected(
                cls, "quantum", f"at least {largest / LARGEST_CODE:g} S", quantum, "raise it"
            )
        given = np.atleast_2d(given)
        codes = np.zeros(given.shape, dtype=np.uint16)
        # A row at a time, or the copies in 64 bits would take more room than the network.
        for row, values in zip(codes, given if quantum > 0 else (), strict=False):
            row[:] = np.rint(values.astype(np.float64) / quantum)
        return cls(pre, post, channel, wiring, codes, quantum, delay)

    @property
    def weights(self) -> NDArray[np.float64]:
        """The weights [S] as the engines apply them, of the shape of `codes`."""
        return self.codes.astype(np.float64) * self.quantum


@dataclass(frozen=True, eq=False)
class SpikingNetwork:
    """All that an engine needs to know to simulate a network.

    Parameters
    ----------
    populations : mapping of str to Population
    pathways : tuple of Pathway
    dt : float [s]
        Time step.

    Raises
    ------
    ConfigError
        For a step too long for a channel or a delay, pathways between unknown populations or of
        the wrong size, and pathways of unequal quanta on one channel.
    """

    populations: Mapping[str, Population]
    pathways: tuple[Pathway, ...] = ()
    dt: float = 1e-4

    def __post_init__(self) -> None:
        object.__setattr__(self, "dt", in_si(self, "dt", self.dt, "s"))
        if not self.populations:
            raise ConfigError.expected(self, "populations", "at least one", "none", "add one")
        for name, population in self.populations.items():
            self._check_step(name, population)
        for pathway in self.pathways:
            self._check_pathway(pathway)
        self.quanta()

    def steps(self, duration: float) -> int:
        """Return the number of steps nearest to a duration [s]."""
        return math.floor(duration / self.dt + 0.5)

    def steps_of_run(self, duration: float) -> int:
        """Return how many steps a run of this duration [s] takes.

        Raises
        ------
        ConfigError
            If it is none, or not a number.
        """
        if not (math.isfinite(duration) and self.steps(duration) >= 1):
            raise ConfigError.expected(
                self, "duration", f"a step of {self.dt:g} s or more", duration, "lengthen it"
            )
        return self.steps(duration)

    def refractory_steps(self, population: Population) -> int:
        """Return for how many steps a cell is held after a spike, as Brian2 counts them."""
        return int((population.cell.refractory + 1e-3 * self.dt) / self.dt)

    def quanta(self) -> dict[tuple[str, str], float]:
        """Return what one unit on each channel weighs [S]: by population and channel."""
        found: dict[tuple[str, str], float] = {}
        for pathway in self.pathways:
            place = (pathway.post, pathway.channel)
            if found.setdefault(place, pathway.quantum) != pathway.quantum:
                raise ConfigError.expected(
                    self, "pathways", f"one quantum, {found[place]:g} S, on {'.'.join(place)}",
                    pathway.quantum, "give it to each of them",
                )  # fmt: skip
        for name, population in self.populations.items():
            if (name, "external") in found:
                raise ConfigError.expected(
                    self, "pathways", f"'{name}.external' for input from outside alone",
                    "a pathway", "use its excitation",
                )  # fmt: skip
            found[name, "external"] = population.external_weight
        return found

    def _check_step(self, name: str, population: Population) -> None:
        if self.dt <= 0:
            raise ConfigError.expected(self, "dt", "a step above 0 s", self.dt, "try 1e-4")
        for channel in CHANNELS:
            rise = getattr(population, channel).rise
            if self.dt * STEPS_A_RISE > rise * (1 + 1e-9):
                raise ConfigError.expected(
                    self, "dt",
                    f"at most {rise / STEPS_A_RISE:g} s, half the rise time of the synapse "
                    f"'{name}.{channel}'", self.dt, "shorten the step",
                )  # fmt: skip

    def _check_pathway(self, pathway: Pathway) -> None:
        way = f"{pathway.pre} -> {pathway.post}"
        for side, n in (("pre", pathway.wiring.n_pre), ("post", pathway.wiring.n_post)):
            name = getattr(pathway, side)
            if name not in self.populations:
                known = ", ".join(self.populations)
                raise ConfigError.expected(self, way, f"one of {known}", name, "check the name")
            if self.populations[name].n_units != n:
                raise ConfigError.expected(
                    self, way, f"{self.populations[name].n_units} cells of {name}", n,
                    "wire it anew",
                )  # fmt: skip
        if self.steps(pathway.delay) < 1:
            raise ConfigError.expected(
                self, way, f"a delay of at least one step of {self.dt:g} s", pathway.delay,
                "shorten the step or lengthen the delay",
            )  # fmt: skip


def bernoulli_spikes(
    n_units: int, rate: float, n_steps: int, dt: float, rng: np.random.Generator
) -> SpikeTrains:
    """Draw independent trains: in each step each cell fires with probability ``rate * dt``.

    That is Brian2's ``PoissonGroup``. The waits between successes in the order of steps and cells
    are geometric, so the cost is that of the spikes alone.

    Parameters
    ----------
    n_units, n_steps : int
    rate : float [Hz]
    dt : float [s]
    rng : numpy.random.Generator
    """
    p = rate * dt
    if not 0 <= p <= 1:
        raise ConfigError.expected(
            "bernoulli_spikes", "rate", f"0..{1 / dt:g} Hz", rate, "lower it or shorten the step"
        )
    total = n_units * n_steps
    found = [np.zeros(0, dtype=np.int64)]
    last = -1
    while p > 0 and last < total:
        few = total * p + 5 * math.sqrt(total * p) + 10
        places = last + np.cumsum(rng.geometric(p, int(few)))
        found.append(places)
        last = int(places[-1])
    places = np.concatenate(found)
    places = places[places < total]
    times = (places // n_units).astype(np.float64) * dt
    return SpikeTrains(times, places % n_units, n_units, n_steps * dt)


@dataclass(frozen=True, eq=False)
class Watch:
    """What is recorded besides spikes.

    Parameters
    ----------
    field_of : str
        Population whose mean synaptic current is recorded; empty for none.
    field_every : int
        Every how manieth of its cells counts.
    field_dt : float [s]
        Between samples of the field.
    cells : mapping of str to tuple of int
        Cells whose potential is recorded at every step, by population.
    """

    field_of: str = ""
    field_every: int = 20
    field_dt: float = 5e-4
    cells: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Activity:
    """What a network did in one run.

    Parameters
    ----------
    spikes : mapping of str to SpikeTrains
        By population.
    duration : float [s]
    dt : float [s]
    field : (n_samples,) float64 [A]
        Mean synaptic current into the watched cells, inward positive; empty if not watched.
    field_dt : float [s]
    potentials : mapping of str to (n_steps, n_cells) float64 [V]
        Of the watched cells, as they were before each step.
    up_states : tuple of Event
        When the input from outside was up, where it has a rhythm.
    """

    spikes: Mapping[str, SpikeTrains]
    duration: float
    dt: float
    field: NDArray[np.float64]
    field_dt: float
    potentials: Mapping[str, NDArray[np.float64]]
    up_states: tuple[Event, ...] = ()

    def rate(self, population: str) -> float:
        """Return the mean rate [Hz] of a population."""
        trains = self.spikes[population]
        return len(trains) / trains.n_units / self.duration


def joined(parts: Sequence[Activity]) -> Activity:
    """Return consecutive runs of one network as one.

    Parameters
    ----------
    parts : sequence of Activity
        At least one.
    """
    dt = parts[0].dt
    lengths = [math.floor(part.duration / dt + 0.5) for part in parts]
    starts = np.cumsum([0, *lengths])
    spikes = {}
    for name, trains in parts[0].spikes.items():
        steps = [
            np.rint(part.spikes[name].times / dt) + start
            for part, start in zip(parts, starts, strict=False)
        ]
        cells = np.concatenate([part.spikes[name].cells for part in parts])
        times = np.concatenate(steps).astype(np.float64) * dt
        spikes[name] = SpikeTrains(times, cells, trains.n_units, starts[-1] * dt)
    return Activity(
        spikes,
        float(starts[-1] * dt),
        dt,
        np.concatenate([part.field for part in parts]),
        parts[0].field_dt,
        {
            name: np.concatenate([part.potentials[name] for part in parts])
            for name in parts[0].potentials
        },
    )


class Explosion(NumericalError):
    """Activity that runs away; `activity` holds the run so far.

    Parameters
    ----------
    message : str
    activity : Activity
    """

    def __init__(self, message: str, activity: Activity) -> None:
        super().__init__(message)
        self.activity = activity


EXPLOSION_WINDOW = 0.1
"""Seconds over which a population's mean rate is held against its ceiling."""


def check_watch(network: SpikingNetwork, watch: Watch) -> None:
    """Refuse to watch what is not there.

    Raises
    ------
    ConfigError
        For an unknown population or cell, and a spacing that is not positive.
    """
    for name in (watch.field_of, *watch.cells):
        if name and name not in network.populations:
            known = ", ".join(network.populations)
            raise ConfigError.expected("Watch", "field_of", f"one of {known}", name, "check it")
    for name, cells in watch.cells.items():
        n = network.populations[name].n_units
        if not all(0 <= cell < n for cell in cells):
            raise ConfigError.expected(
                "Watch", "cells", f"cells of 0..{n - 1} of {name}", cells, "check them"
            )
    spaced = network.dt * (1 - 1e-9) <= watch.field_dt < math.inf  # NaN is not.
    if watch.field_every < 1 or not spaced:
        raise ConfigError.expected(
            "Watch", "field_dt", f"at least a step of {network.dt:g} s, of every cell or fewer",
            (watch.field_dt, watch.field_every), "watch less often",
        )  # fmt: skip


def external_steps(
    network: SpikingNetwork, external: Mapping[str, SpikeTrains], duration: float
) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return steps and cells of the spikes from outside, by population.

    Raises
    ------
    ConfigError
        For an unknown population, trains of another size or longer than the run, and two spikes of
        a cell in one step.
    """
    found = {}
    for name, trains in external.items():
        if name not in network.populations or (trains.n_units != network.populations[name].n_units):
            sizes = {each: one.n_units for each, one in network.populations.items()}
            raise ConfigError.expected(
                "external", name, f"trains for populations of the sizes {sizes}", trains.n_units,
                "give every cell one train",
            )  # fmt: skip
        # As Brian2's SpikeGeneratorGroup rounds.
        steps = ((trains.times + 1e-3 * network.dt) / network.dt).astype(np.int64)
        if steps.size and steps[-1] >= network.steps(duration):
            raise ConfigError.expected(
                "external", name, f"spikes before the end of the run at {duration:g} s",
                float(trains.times[-1]), "cut the trains",
            )  # fmt: skip
        places = steps * trains.n_units + trains.cells
        in_order = bool((np.diff(places) > 0).all())
        if not in_order and np.unique(places).size < places.size:
            raise ConfigError.expected(
                "external", name, f"at most one spike of a cell in a step of {network.dt:g} s",
                "two", "thin the trains or shorten the step",
            )  # fmt: skip
        found[name] = (steps, trains.cells)
    return found


class Engine(Protocol):
    """Simulates a described network; state lasts from one call of `run` to the next."""

    network: SpikingNetwork

    def run(self, duration: float, external: Mapping[str, SpikeTrains], watch: Watch) -> Activity:
        """Simulate a stretch of time; the spikes from outside count from its beginning.

        Parameters
        ----------
        duration : float [s]
        external : mapping of str to SpikeTrains
            Spikes from outside by population, onto its `external` channel.
        watch : Watch
            What to record.
        """
