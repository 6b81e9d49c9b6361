"""What no spiking network is made of, or can be given, is refused by its name and unit."""

from functools import partial

import numpy as np
import pytest

from circuits.closed_loop import ClosedLoop, LoopConfig
from circuits.spiking_activity import Watch
from circuits.spiking_brian2 import Brian2Engine
from circuits.spiking_ca3 import PYRAMIDAL_CELL, SpikingCA3, SpikingCA3Config
from circuits.spiking_cells import LIF, AdEx, Channel
from circuits.spiking_network import Pathway, Population, SpikingNetwork
from circuits.spiking_numba import NumbaEngine
from neurosim.connectivity import Stored
from neurosim.errors import ConfigError
from neurosim.spikes import SpikeTrains

EXCITATION = Channel(1.3e-3, 9.5e-3, 0.0)
INHIBITION = Channel(0.3e-3, 3.3e-3, -70e-3)
LEAKY = LIF(1e-8, 20e-3, -70e-3, -60e-3, -50e-3, 2e-3)


def leaky_cells(n=1):
    return Population(n, LEAKY, EXCITATION, EXCITATION, INHIBITION, 8e-9)


def test_a_step_too_long_names_the_synapse():
    with pytest.raises(ConfigError, match=r"half the rise time of the synapse 'a\.inhibition'"):
        SpikingNetwork({"a": leaky_cells()}, dt=2e-4)


def test_a_delay_below_the_step_names_the_pathway():
    wiring = Stored(4, 4, 2, np.random.default_rng(0))
    way = Pathway.weighing("a", "a", "excitation", wiring, 1e-9, 2e-5)
    with pytest.raises(ConfigError, match="a -> a: expected a delay of at least one step"):
        SpikingNetwork({"a": leaky_cells(4)}, (way,))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rest": -75.0}, "AdEx.rest: expected a value within .* V, got -75.0; give it in V"),
        ({"tau_membrane": -0.04}, "AdEx.tau_membrane"),
        ({"leak": 4.3}, "AdEx.leak"),
        ({"leak": float("nan")}, "AdEx.leak"),
        ({"reset": 0.1}, "AdEx.reset: expected a potential below the cut-off"),
        ({"slope": 0.0}, "AdEx.slope"),
        (
            {"tau_membrane": 41.7},
            "AdEx.tau_membrane: expected a value within .* s, got 41.7; give it in s",
        ),
        ({"refractory": 5.96}, "AdEx.refractory: expected a value within .* s, got 5.96"),
        ({"tau_adaptation": 84.9}, "AdEx.tau_adaptation"),
    ],
)
def test_a_parameter_without_its_unit_or_sign_is_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        AdEx(**{**vars(PYRAMIDAL_CELL), **change})


def test_times_in_milliseconds_and_weights_in_nanosiemens_are_refused():
    with pytest.raises(ConfigError, match=r"Channel\.rise: .* got 1\.3; give it in s"):
        Channel(1.3, 9.5, 0.0)
    with pytest.raises(ConfigError, match=r"Channel\.decay: .* got 9\.5; give it in s"):
        Channel(1.3e-3, 9.5, 0.0)
    with pytest.raises(ConfigError, match=r"delay_recurrent: .* got 2\.2; give it in s"):
        SpikingCA3Config(delay_recurrent=2.2)
    wiring = Stored(4, 4, 2, np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"Pathway\.delay: .* got 2\.2; give it in s"):
        Pathway.weighing("a", "a", "excitation", wiring, 1e-9, 2.2)
    with pytest.raises(ConfigError, match=r"Pathway\.weights: .* got 0\.6; give them in S"):
        Pathway.weighing("a", "a", "excitation", wiring, 0.6, 1e-3)


@pytest.mark.parametrize("duration", [0, -1.0, float("nan"), float("inf"), 1e-6])
def test_a_sleep_without_a_step_or_an_end_is_refused(duration):
    config = SpikingCA3Config(n_pyramidal=20, n_basket=4)
    rng = np.random.default_rng(0)
    wiring = config.recurrent_wiring(rng)
    ca3 = SpikingCA3(config, wiring, np.zeros(wiring.index.shape), rng)
    for run in (NumbaEngine(ca3.network).run, Brian2Engine(ca3.network, "numpy").run):
        with pytest.raises(ConfigError, match=r"duration: expected a step of 0\.0001 s or more"):
            run(duration)
    for sleep in (ca3.sleep, partial(ClosedLoop(LoopConfig()).sleep, ca3)):
        with pytest.raises(ConfigError, match=r"duration: expected a step of 0\.0001 s or more"):
            sleep(duration, rng=rng)


def test_brian2_quantities_are_taken_and_their_dimension_is_checked():
    brian2 = pytest.importorskip("brian2")
    channel = Channel(1.3 * brian2.ms, 9.5 * brian2.ms, 0 * brian2.mV)
    assert vars(channel) == pytest.approx(vars(EXCITATION), rel=1e-12)
    with pytest.raises(ConfigError, match="Channel.decay: expected a quantity in s"):
        Channel(1.3 * brian2.ms, 9.5 * brian2.mV, 0 * brian2.mV)
    with pytest.raises(ConfigError, match="swap them"):
        Channel(9.5e-3, 1.3e-3, 0.0)


def test_negative_weights_and_foreign_spikes_are_refused():
    wiring = Stored(4, 4, 2, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="Pathway.weights"):
        Pathway.weighing("a", "a", "excitation", wiring, -1e-9, 1e-3)
    network = SpikingNetwork({"a": leaky_cells(4)})
    wrong_size = SpikeTrains.of_cell([0.001], 0.01)
    with pytest.raises(ConfigError, match="give every cell one train"):
        NumbaEngine(network).run(0.01, {"a": wrong_size})
    late = SpikeTrains(np.array([0.02]), np.array([0]), 4, 0.03)
    with pytest.raises(ConfigError, match="before the end of the run"):
        NumbaEngine(network).run(0.01, {"a": late})


@pytest.mark.parametrize(
    ("watch", "words"),
    [
        (Watch("b"), "one of a, got 'b'"),
        (Watch(cells={"a": (1,)}), r"cells of 0\.\.0 of a"),
        (Watch("a", field_dt=1e-6), "at least a step"),
        (Watch("a", field_dt=float("nan")), "at least a step"),
    ],
)
def test_what_is_not_there_cannot_be_watched(watch, words):
    with pytest.raises(ConfigError, match=words):
        NumbaEngine(SpikingNetwork({"a": leaky_cells()})).run(0.01, watch=watch)


@pytest.mark.parametrize("n_pyramidal", [-1, 0, 1])
def test_a_size_without_partners_is_refused(n_pyramidal):
    with pytest.raises(ConfigError, match="2 cells or more"):
        SpikingCA3Config.of_size(n_pyramidal)
