"""A spiking network as it is described to an engine: populations, pathways, the step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from circuits.spiking_cells import Cell, Channel, in_si
from neurosim.connectivity import Stored
from neurosim.errors import ConfigError

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

    Raises
    ------
    ConfigError
        For no cell, or more than 16 bits can number.
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

    Raises
    ------
    ConfigError
        For an unknown channel, or codes of another shape than the wiring.

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
