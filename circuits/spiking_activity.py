"""A run of a spiking network: what goes in from outside, what is watched, what comes back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from circuits.spiking_network import SpikingNetwork
from neurosim.errors import ConfigError, NumericalError
from neurosim.sharp_waves import Event
from neurosim.spikes import SpikeTrains


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

    Raises
    ------
    ConfigError
        For a rate below 0, or above a spike a step.
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
