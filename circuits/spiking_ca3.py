"""Spiking CA3: pyramidal and PV+ basket cells that ripple and replay while mossy fibres murmur."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from circuits.sleep_rhythm import Acetylcholine, Gate, SlowOscillation
from circuits.spiking_activity import Activity, Explosion, Watch, bernoulli_spikes, joined
from circuits.spiking_brian2 import Brian2Engine
from circuits.spiking_cells import AdEx, Channel, Quantities, quantity
from circuits.spiking_network import LONGEST_DELAY, Pathway, Population, SpikingNetwork
from circuits.spiking_numba import NumbaEngine
from neurosim.connectivity import Stored
from neurosim.errors import ConfigError
from neurosim.recorder import Recorder
from neurosim.spikes import SpikeTrains

PYRAMIDAL, BASKET = "pyramidal", "basket"
EngineName = Literal["numba", "brian2"]

PYRAMIDAL_CELL = AdEx(
    leak=4.31475791937223e-9,
    tau_membrane=41.7488927175169e-3,
    rest=-75.1884554193901e-3,
    reset=-29.738747396665072e-3,
    theta=-24.4255910105977e-3,
    slope=4.2340696257631e-3,
    cutoff=-24.4255910105977e-3 + 5 * 4.2340696257631e-3,
    refractory=5.96326930945599e-3,
    subthreshold=-0.274347065652738e-9,
    increment=206.841448096415e-12,
    tau_adaptation=84.9358017225512e-3,
)
"""Ecker et al. (2022), table 1: fitted to CA3 pyramidal cells of the mouse."""

BASKET_CELL = AdEx(
    leak=7.51454086502288e-9,
    tau_membrane=15.773412296065e-3,
    rest=-74.74167987795019e-3,
    reset=-64.99190523539687e-3,
    theta=-57.7092044103536e-3,
    slope=4.58413312063091e-3,
    cutoff=-57.7092044103536e-3 + 5 * 4.58413312063091e-3,
    refractory=1.15622717832178e-3,
    subthreshold=3.05640210724374e-9,
    increment=0.916098931234532e-12,
    tau_adaptation=178.581099914024e-3,
)
"""Ecker et al. (2022), table 1: PV+ basket cells."""

PARTNERS = 800
"""Recurrent targets of a pyramidal cell in the reference: 10 % of 8,000."""


@dataclass(frozen=True)
class SpikingCA3Config(Quantities):
    """Size, wiring, synapses and input of a spiking CA3; the defaults are the reference's.

    Parameters
    ----------
    n_pyramidal, n_basket : int
    recurrent : float
        Share of the pyramidal and of the basket cells that a pyramidal cell reaches.
    inhibitory : float
        Share of both that a basket cell reaches.
    pyramidal, basket : AdEx
    outside_basket : float [S]
        Of one spike from outside on a basket cell: in down states, and by whoever stimulates. The
        reference has none.
    mossy_weight, excite_basket, inhibit_pyramidal, inhibit_basket : float [S]
        Of one mossy fibre, of a pyramidal on a basket cell, of a basket on a pyramidal cell and of
        a basket on a basket cell. Recurrent weights are learnt, not configured.
    mossy_rate : float
        Mossy-fibre spikes a pyramidal cell [Hz].
    pyramidal_excitation, pyramidal_mossy, pyramidal_inhibition : Channel
    basket_excitation, basket_inhibition : Channel
    delay_recurrent, delay_excite_basket : float [s]
    delay_inhibit_pyramidal, delay_inhibit_basket : float [s]
    acetylcholine : Acetylcholine
        Scales the recurrent synapses; the default is NREM sleep, which leaves them as they are.
    rhythm : SlowOscillation, optional
        Up and down states of the mossy fibres; None for noise that is always the same, as in the
        reference.
    dt : float [s]
        Time step.

    Raises
    ------
    ConfigError
        For fewer than 2 cells of a kind, or a share of partners outside of 0..1.

    References
    ----------
    Ecker et al. (2022) eLife 11:e71850, tables 1 and 2; the digits are those of the authors' code
    (KaliLab/ca3net). Synaptic kinetics: Guzman et al. (2016), Vyleta et al. (2016), Bartos et al.
    (2002), Lee et al. (2014), Geiger et al. (1997).
    """

    n_pyramidal: int = 8000
    n_basket: int = 150
    recurrent: float = 0.1
    inhibitory: float = 0.25
    pyramidal: AdEx = PYRAMIDAL_CELL
    basket: AdEx = BASKET_CELL
    mossy_weight: float = quantity("S", default=19.15e-9)
    outside_basket: float = quantity("S", default=5e-9)
    excite_basket: float = quantity("S", default=0.85e-9)
    inhibit_pyramidal: float = quantity("S", default=0.65e-9)
    inhibit_basket: float = quantity("S", default=5e-9)
    mossy_rate: float = 15.0
    pyramidal_excitation: Channel = Channel(1.3e-3, 9.5e-3, 0.0)
    pyramidal_mossy: Channel = Channel(0.65e-3, 5.4e-3, 0.0)
    pyramidal_inhibition: Channel = Channel(0.3e-3, 3.3e-3, -70e-3)
    basket_excitation: Channel = Channel(1.0e-3, 4.1e-3, 0.0)
    basket_inhibition: Channel = Channel(0.25e-3, 1.2e-3, -70e-3)
    delay_recurrent: float = quantity("s", default=2.2e-3, most=LONGEST_DELAY)
    delay_excite_basket: float = quantity("s", default=0.9e-3, most=LONGEST_DELAY)
    delay_inhibit_pyramidal: float = quantity("s", default=1.1e-3, most=LONGEST_DELAY)
    delay_inhibit_basket: float = quantity("s", default=0.6e-3, most=LONGEST_DELAY)
    acetylcholine: Acetylcholine = Acetylcholine()
    rhythm: SlowOscillation | None = None
    dt: float = quantity("s", default=1e-4)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_pyramidal", "n_basket"):
            if getattr(self, name) < 2:
                raise ConfigError.expected(
                    self, name, "2 cells or more", getattr(self, name), "raise it"
                )
        for name in ("recurrent", "inhibitory"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError.expected(
                    self, name, "a share above 0, at most 1", getattr(self, name), "try 0.1"
                )

    @classmethod
    def of_size(cls, n_pyramidal: int) -> SpikingCA3Config:
        """Return a network of another size whose cells get as much input as the reference's.

        Pyramidal cells keep 800 recurrent targets; below 2,000 cells, 40 % of all, since the noise
        of fuller networks is common to all cells and ends their replays, and their synapses are
        as much stronger (see `strength`). Basket cells never get fewer than 150.

        Parameters
        ----------
        n_pyramidal : int

        Raises
        ------
        ConfigError
            When there are fewer than 2.
        """
        if n_pyramidal < 2:
            raise ConfigError.expected(
                cls, "n_pyramidal", "2 cells or more", n_pyramidal, "raise it"
            )
        n_basket = max(cls.n_basket, round(cls.n_basket * n_pyramidal / cls.n_pyramidal))
        share = min(0.4, PARTNERS / n_pyramidal)
        return cls(
            n_pyramidal=n_pyramidal,
            n_basket=n_basket,
            recurrent=share,
            inhibitory=cls.inhibitory * cls.n_basket / n_basket,
            excite_basket=0.85e-9 * PARTNERS / (share * n_pyramidal),
        )

    @property
    def strength(self) -> float:
        """Factor on recurrent weights that makes up for partners a pyramidal cell lacks."""
        return PARTNERS / (self.recurrent * self.n_pyramidal)

    def recurrent_wiring(self, rng: np.random.Generator) -> Stored:
        """Draw who of the pyramidal cells reaches whom."""
        return _wire(self.n_pyramidal, self.n_pyramidal, self.recurrent, rng)


class SpikingCA3:
    """A CA3 of spiking cells whose recurrent weights have been learnt elsewhere.

    Parameters
    ----------
    config : SpikingCA3Config
    wiring : Stored
        Of the pyramidal cells among themselves; see `SpikingCA3Config.recurrent_wiring`.
    weights : (n_pyramidal, fan_out) array-like [S]
        One row a presynaptic cell. A cell's synapse on itself is silent, whatever it weighs.
    rng : numpy.random.Generator
        Draws the wiring of the basket cells.

    Attributes
    ----------
    network : SpikingNetwork
        What the engines are given.
    """

    def __init__(
        self,
        config: SpikingCA3Config,
        wiring: Stored,
        weights: ArrayLike,
        rng: np.random.Generator,
    ) -> None:
        self.config = c = config
        given = np.array(weights)
        if given.shape != wiring.index.shape:
            raise ConfigError.expected(
                self, "weights", f"shape {wiring.index.shape}", given.shape, "one a synapse"
            )
        given[wiring.index == np.arange(wiring.n_pre)[:, None]] = 0.0
        given *= c.acetylcholine.gain
        n, m = c.n_pyramidal, c.n_basket
        weigh = Pathway.weighing
        self.network = SpikingNetwork(
            {
                PYRAMIDAL: Population(
                    n, c.pyramidal, c.pyramidal_excitation, c.pyramidal_mossy,
                    c.pyramidal_inhibition, c.mossy_weight, ceiling=100.0,
                ),
                BASKET: Population(
                    m, c.basket, c.basket_excitation, c.pyramidal_mossy, c.basket_inhibition,
                    c.outside_basket, ceiling=600.0,
                ),
            },
            (
                weigh(PYRAMIDAL, PYRAMIDAL, "excitation", wiring, given, c.delay_recurrent),
                weigh(PYRAMIDAL, BASKET, "excitation", _wire(n, m, c.recurrent, rng),
                      c.excite_basket, c.delay_excite_basket),
                weigh(BASKET, PYRAMIDAL, "inhibition", _wire(m, n, c.inhibitory, rng),
                      c.inhibit_pyramidal, c.delay_inhibit_pyramidal),
                weigh(BASKET, BASKET, "inhibition", _wire(m, m, c.inhibitory, rng),
                      c.inhibit_basket, c.delay_inhibit_basket),
            ),
            c.dt,
        )  # fmt: skip

    def engine(self, name: EngineName = "numba", threads: int = 1) -> NumbaEngine | Brian2Engine:
        """Return a fresh engine at rest.

        Parameters
        ----------
        name : {"numba", "brian2"}
        threads : int
            Of our own engine.
        """
        if name not in get_args(EngineName):
            raise ConfigError.expected(
                self, "engine", f"one of {', '.join(get_args(EngineName))}", name, "choose one"
            )
        return NumbaEngine(self.network, threads) if name == "numba" else Brian2Engine(self.network)

    def outside(
        self, n_steps: int, rng: np.random.Generator, gate: Gate | None = None, start: float = 0.0
    ) -> dict[str, SpikeTrains]:
        """Draw what reaches a sleeping network from outside, by population.

        Parameters
        ----------
        n_steps : int
        rng : numpy.random.Generator
        gate : Gate, optional
            Up and down states of the night.
        start : float [s]
            When in the night the steps begin.
        """
        c = self.config
        mossy = bernoulli_spikes(c.n_pyramidal, c.mossy_rate, n_steps, c.dt, rng)
        if gate is None:
            return {PYRAMIDAL: mossy}
        found = {PYRAMIDAL: gate.passed(mossy, start)}
        if gate.rhythm.down_inhibition:
            rate = gate.rhythm.down_inhibition
            found[BASKET] = gate.held(bernoulli_spikes(c.n_basket, rate, n_steps, c.dt, rng), start)
        return found

    def sleep(
        self,
        duration: float,
        rng: np.random.Generator,
        engine: EngineName | NumbaEngine | Brian2Engine = "numba",
        recorder: Recorder | None = None,
        watch: Watch | None = None,
        tick: Callable[[float], object] = lambda seconds: None,
    ) -> Activity:
        """Sleep: no input but the noise of the mossy fibres, the same for either engine.

        With a rhythm in the configuration the noise comes and goes with its up states.

        Parameters
        ----------
        duration : float [s]
        rng : numpy.random.Generator
            Draws the spikes of the mossy fibres, a second at a time.
        engine : {"numba", "brian2"} or an engine of this network
            An engine goes on from where it is.
        recorder : Recorder, optional
            Is given what has been simulated in whole seconds, when a night is interrupted or
            explodes too.
        watch : Watch, optional
            The field of the pyramidal cells by default.
        tick : callable
            Called with the simulated time [s] after each second.

        Raises
        ------
        ConfigError
            For a duration that holds no step.
        Explosion
            If a population fires above its ceiling.
        """
        left = self.network.steps_of_run(duration)
        runner = self.engine(engine) if isinstance(engine, str) else engine
        watch = watch or Watch(field_of=PYRAMIDAL)
        dt, parts = self.config.dt, []
        rhythm = self.config.rhythm
        gate = rhythm.gate(duration, rng) if rhythm else None
        up = gate.up if gate else ()
        try:
            while left > 0:
                n_steps = min(left, self.network.steps(1.0))
                outside = self.outside(n_steps, rng, gate, duration - left * dt)
                parts.append(runner.run(n_steps * dt, outside, watch))
                left -= n_steps
                tick(sum(part.duration for part in parts))
        except Explosion as explosion:
            parts.append(explosion.activity)
            explosion.activity = replace(joined(parts), up_states=up)
            raise
        finally:  # After Ctrl-C too.
            if parts:
                record(replace(joined(parts), up_states=up), recorder)
        return replace(joined(parts), up_states=up)


def record(activity: Activity, recorder: Recorder | None) -> None:
    """Store spikes and field of a run; a second call replaces the first.

    Parameters
    ----------
    activity : Activity
    recorder : Recorder, optional
        Nothing happens without one.
    """
    if recorder is None:
        return
    for name, trains in activity.spikes.items():
        recorder.store(f"{name}/spike_times", trains.times, "s", ("spike",))
        recorder.store(f"{name}/spike_cells", trains.cells, "", ("spike",))
    recorder.store("duration", np.array(activity.duration), "s", ())
    if activity.up_states:
        up = [(each.start, each.stop) for each in activity.up_states]
        recorder.store("up_states", np.array(up), "s", ("state", "edge"))
    if activity.field.size:
        recorder.store("field", activity.field, "A", ("sample",))
        recorder.store("field_dt", np.array(activity.field_dt), "s", ())


def without_adaptation(config: SpikingCA3Config) -> SpikingCA3Config:
    """Return the network whose pyramidal cells do not adapt: a = b = 0, all else as it is.

    The reference instead fitted a cell without adaptation anew; at its rest mossy fibres alone do
    not make such a cell fire, and a silent network shows nothing.

    Parameters
    ----------
    config : SpikingCA3Config
    """
    return replace(config, pyramidal=replace(config.pyramidal, increment=0.0, subthreshold=0.0))


def _wire(n_pre: int, n_post: int, share: float, rng: np.random.Generator) -> Stored:
    return Stored(n_pre, n_post, max(1, round(share * n_post)), rng)
