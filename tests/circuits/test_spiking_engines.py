"""Our spiking engine gives what Brian2 gives, on any number of threads, and stops when it must."""

import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numba
import numpy as np
import pytest

from circuits import spiking_brian2
from circuits.spiking_activity import Explosion, Watch, bernoulli_spikes, joined
from circuits.spiking_brian2 import Brian2Engine
from circuits.spiking_ca3 import BASKET_CELL, PYRAMIDAL_CELL, SpikingCA3, SpikingCA3Config
from circuits.spiking_cells import LIF, Channel
from circuits.spiking_kernels import BLOCK, NARROW
from circuits.spiking_network import Pathway, Population, SpikingNetwork
from circuits.spiking_numba import NumbaEngine
from neurosim.connectivity import Stored
from neurosim.errors import ConfigError
from neurosim.recorder import Recorder, Recording
from neurosim.spikes import SpikeTrains

EXCITATION = Channel(1.3e-3, 9.5e-3, 0.0)
EXTERNAL = Channel(0.65e-3, 5.4e-3, 0.0)
INHIBITION = Channel(0.3e-3, 3.3e-3, -70e-3)
ALONE = """
from circuits.spiking_cells import LIF, Channel
from circuits.spiking_activity import bernoulli_spikes
from circuits.spiking_network import Population, SpikingNetwork
from circuits.spiking_numba import NumbaEngine
import numpy as np

channel = Channel(1e-3, 5e-3, 0.0)
cell = LIF(1e-8, 20e-3, -70e-3, -60e-3, -50e-3, 2e-3)
network = SpikingNetwork({"a": Population(9, cell, channel, channel, channel, 5e-8)})
given = bernoulli_spikes(9, 100.0, 500, network.dt, np.random.default_rng(0))
print(len(NumbaEngine(network).run(0.05, {"a": given}).spikes["a"]))
"""

LEAKY = LIF(1e-8, 20e-3, -70e-3, -60e-3, -50e-3, 2e-3)


def population(cell, n=1, weight=8e-9, **more):
    return Population(n, cell, EXCITATION, EXTERNAL, INHIBITION, weight, **more)


def small_network(n=60, m=12, weight=3e-9, seed=1, **more):
    """Return a network of two populations with all four pathways, and rates that are not dull."""
    rng = np.random.default_rng(seed)
    recurrent = Stored(n, n, n // 2, rng)
    weights = weight * rng.lognormal(0.0, 0.5, recurrent.index.shape)
    weigh = Pathway.weighing
    return SpikingNetwork(
        {
            "pyramidal": population(PYRAMIDAL_CELL, n, 25e-9, **more),
            "basket": population(BASKET_CELL, m, 0.0, **more),
        },
        (
            weigh("pyramidal", "pyramidal", "excitation", recurrent, weights, 2.2e-3),
            weigh("pyramidal", "basket", "excitation", Stored(n, m, m // 2, rng), 2e-9, 0.9e-3),
            weigh("basket", "pyramidal", "inhibition", Stored(m, n, n // 3, rng), 1e-9, 1.1e-3),
            weigh("basket", "basket", "inhibition", Stored(m, m, m // 3, rng), 5e-9, 0.6e-3),
        ),
    )


def input_to(network, name, rate, duration, seed=2):
    rng = np.random.default_rng(seed)
    n = network.populations[name].n_units
    return {name: bernoulli_spikes(n, rate, network.steps(duration), network.dt, rng)}


def same_spikes(one, other):
    assert one.spikes.keys() == other.spikes.keys()
    for name in one.spikes:
        np.testing.assert_array_equal(one.spikes[name].cells, other.spikes[name].cells)
        np.testing.assert_array_equal(one.spikes[name].times, other.spikes[name].times)


def test_trains_are_drawn_to_their_end_however_short_the_waits_happen_to_be():
    class Eager:
        """Every wait is the shortest one."""

        def geometric(self, p, size):
            return np.ones(size, dtype=np.int64)

    spikes = bernoulli_spikes(7, 0.5, 400, 1e-3, Eager())
    assert len(spikes) == 7 * 400  # Far more than the first draw allows for.
    np.testing.assert_array_equal(np.bincount(spikes.cells), 400)


@pytest.mark.global_rng
def test_single_cells_keep_to_the_potential_of_brian2_for_a_second(small):
    """The bar is 1e-3 mV; the same scheme in double precision keeps to far less."""
    cells = {"pyramidal": PYRAMIDAL_CELL, "basket": BASKET_CELL, "leaky": LEAKY}
    network = SpikingNetwork({name: population(cell) for name, cell in cells.items()})
    duration = 0.02 if small else 1.0
    given = {}
    for name in cells:
        given |= input_to(network, name, 150.0, duration)
    watch = Watch("pyramidal", 1, 5e-4, dict.fromkeys(cells, (0,)))
    ours = NumbaEngine(network).run(duration, given, watch)
    theirs = Brian2Engine(network, "numpy").run(duration, given, watch)
    same_spikes(ours, theirs)
    if not small:
        assert min(len(train) for train in ours.spikes.values()) > 5
    for name in cells:
        assert np.ptp(theirs.potentials[name]) > 1e-3
        np.testing.assert_allclose(ours.potentials[name], theirs.potentials[name], atol=1e-9)
    np.testing.assert_allclose(ours.field, theirs.field, rtol=1e-6, atol=1e-18)


def test_the_field_is_that_of_every_seventh_cell_of_all_blocks():
    assert BLOCK % 7  # So that the second block does not begin with one that counts.
    n = BLOCK + 40
    network = SpikingNetwork({"a": population(LEAKY, n)})
    for counts in (True, False):
        cells = np.array([cell for cell in range(BLOCK, n) if (cell % 7 == 0) == counts])
        given = {"a": SpikeTrains(np.full(len(cells), 1e-3), cells, n, 0.01)}
        field = NumbaEngine(network).run(0.01, given, Watch("a", 7, 5e-4)).field
        assert (field.max() > 1e-12) == field.any() == counts


@pytest.mark.global_rng
def test_conductances_too_large_for_the_polynomial_are_computed_as_brian2_does(small):
    cells = {"pyramidal": PYRAMIDAL_CELL, "basket": BASKET_CELL, "leaky": LEAKY}
    network = SpikingNetwork(
        {name: population(each, 1, 2e-6, ceiling=1e4) for name, each in cells.items()}
    )
    for cell in cells.values():
        assert network.dt * 2e-6 / cell.capacitance > 1.5 * NARROW
    duration = 0.02 if small else 0.3
    given = {}
    for name in cells:
        given |= input_to(network, name, 100.0, duration)
    watch = Watch(cells=dict.fromkeys(cells, (0,)))
    ours = NumbaEngine(network).run(duration, given, watch)
    theirs = Brian2Engine(network, "numpy").run(duration, given, watch)
    same_spikes(ours, theirs)
    if not small:
        assert min(len(train) for train in ours.spikes.values()) > 5
    for name in cells:
        np.testing.assert_allclose(ours.potentials[name], theirs.potentials[name], atol=1e-9)


@pytest.mark.global_rng
def test_a_network_fires_the_same_spikes_as_brian2_to_the_last_one(small):
    network = small_network()
    duration = 0.01 if small else 0.3
    given = input_to(network, "pyramidal", 60.0, duration)
    ours = NumbaEngine(network).run(duration, given)
    theirs = Brian2Engine(network, "numpy").run(duration, given)
    if not small:
        assert all(len(train) > 50 for train in theirs.spikes.values())
    same_spikes(ours, theirs)


@pytest.mark.global_rng
def test_brian2_goes_on_from_where_it_stopped_as_ours_does(small):
    network = small_network(20, 4, weight=8e-9)
    half = 0.005 if small else 0.04
    given = [input_to(network, "pyramidal", 120.0, half, seed) for seed in (3, 4)]
    watch = Watch("pyramidal", 1, 5e-4)
    runs = []
    for engine in (NumbaEngine(network), Brian2Engine(network, "numpy")):
        runs.append(joined([engine.run(half, each, watch) for each in given]))
    same_spikes(*runs)
    np.testing.assert_allclose(runs[0].field, runs[1].field, rtol=1e-6, atol=1e-18)
    assert runs[0].duration == pytest.approx(2 * half)


@pytest.mark.slow
@pytest.mark.global_rng
@pytest.mark.parametrize("target", ["cython", "standalone"])
def test_compiled_brian2_agrees_too(target):
    network = small_network()
    given = input_to(network, "pyramidal", 60.0, 0.3)
    same_spikes(NumbaEngine(network).run(0.3, given), Brian2Engine(network, target).run(0.3, given))


def test_pieces_give_the_spikes_of_the_whole(small):
    network = small_network()
    duration = 0.01 if small else 0.2
    given = input_to(network, "pyramidal", 60.0, duration)["pyramidal"]
    whole = NumbaEngine(network).run(duration, {"pyramidal": given})
    engine, parts = NumbaEngine(network), []
    edges = duration * np.array([0.0, 0.31, 0.47, 1.0])
    edges = np.rint(edges / network.dt) * network.dt
    steps = np.rint(given.times / network.dt)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        first = round(low / network.dt)
        inside = (steps >= first) & (steps < round(high / network.dt))
        times = (steps[inside] - first) * network.dt
        part = SpikeTrains(times, given.cells[inside], given.n_units, high - low)
        parts.append(engine.run(high - low, {"pyramidal": part}))
    assert len(whole.spikes["pyramidal"]) > 0 or small
    same_spikes(joined(parts), whole)


@pytest.mark.compiled
@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads")
def test_two_threads_fire_the_same_spikes_as_one():
    network = small_network(600, 60, weight=0.3e-9)
    given = input_to(network, "pyramidal", 60.0, 0.3)
    runs = [NumbaEngine(network, threads).run(0.3, given) for threads in (1, 2)]
    assert min(len(train) for train in runs[0].spikes.values()) > 100
    same_spikes(*runs)


def test_state_and_counters_begin_at_a_line_of_the_cache():
    engine = NumbaEngine(small_network(9, 3))
    arrays = [*engine._states, *engine._arrivals]
    assert len(arrays) == 4
    assert all(array.ctypes.data % 64 == 0 and array.flags.c_contiguous for array in arrays)


def test_what_is_watched_changes_no_spike(small):
    network = small_network()
    duration = 0.01 if small else 0.1
    given = input_to(network, "pyramidal", 60.0, duration)
    watch = Watch("pyramidal", 7, 5e-4, {"basket": (0, 3)})
    seen = NumbaEngine(network).run(duration, given, watch)
    same_spikes(seen, NumbaEngine(network).run(duration, given))
    assert seen.potentials["basket"].shape == (network.steps(duration), 2)
    assert seen.field.shape == (round(duration / 5e-4),)


def test_synaptic_weights_are_held_in_five_bytes_at_most():
    wiring = Stored(1000, 1000, 100, np.random.default_rng(0))
    weights = np.random.default_rng(1).random(wiring.index.shape) * 1e-9
    way = Pathway.weighing("a", "a", "excitation", wiring, weights, 1e-3)
    assert (wiring.index.nbytes + way.codes.nbytes) / weights.size <= 5
    np.testing.assert_allclose(way.weights, weights, atol=weights.max() / 65_535 / 2 * 1.001)


def test_mossy_spikes_have_the_statistics_of_a_poisson_group():
    trains = bernoulli_spikes(500, 15.0, 20_000, 1e-4, np.random.default_rng(5))
    expected = 500 * 20_000 * 15.0 * 1e-4
    assert abs(len(trains) - expected) < 4 * np.sqrt(expected)
    counts = np.bincount(trains.cells, minlength=500)
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 500))
    assert np.all(np.diff(trains.times) >= 0)


@pytest.mark.compiled
def test_an_explosion_names_population_and_time_and_keeps_the_recording(tmp_path):
    config = SpikingCA3Config(n_pyramidal=200, n_basket=10, recurrent=1.0)
    rng = np.random.default_rng(0)
    wiring = config.recurrent_wiring(rng)
    ca3 = SpikingCA3(config, wiring, np.full(wiring.index.shape, 20e-9), rng)
    path = tmp_path / "night.h5"
    with pytest.raises(Explosion, match=r"(pyramidal|basket)\.rate: .* until t = 0\.\d+ s"):
        with Recorder(path) as recorder:
            ca3.sleep(3.0, rng, recorder=recorder)
    kept = Recording.open(path)
    assert kept["pyramidal/spike_times"].values.size > 100
    assert 0 < kept["duration"].values < 3.0


@pytest.mark.compiled
def test_ctrl_c_leaves_a_readable_recording(tmp_path):
    config = SpikingCA3Config(n_pyramidal=100, n_basket=10)
    rng = np.random.default_rng(0)
    wiring = config.recurrent_wiring(rng)
    ca3 = SpikingCA3(config, wiring, np.zeros(wiring.index.shape), rng)

    def interrupt(seconds):
        if seconds >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        with Recorder(tmp_path / "night.h5") as recorder:
            ca3.sleep(5.0, rng, recorder=recorder, tick=interrupt)
    kept = Recording.open(tmp_path / "night.h5")
    assert kept["duration"].values == pytest.approx(2.0)
    assert kept["field"].unit == "A"


def test_without_a_compiler_brian2_falls_back_to_numpy_with_one_warning(monkeypatch):
    monkeypatch.setattr(spiking_brian2, "_has_compiler", lambda: False)
    network = SpikingNetwork({"a": population(LEAKY)})
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler") as caught:
        assert Brian2Engine(network).target == "numpy"
    assert len(caught) == 1
    with pytest.raises(ConfigError, match="a C\\+\\+ compiler"):
        Brian2Engine(network, "standalone")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NumbaEngine(network)


@pytest.mark.compiled
def test_the_engine_runs_where_no_cache_folder_can_be_written(tmp_path):
    """Files in the place of folders, since permissions do not hold a superuser back."""
    root = Path(spiking_brian2.__file__).parents[1]
    for part in ("neurosim", "circuits"):
        shutil.copytree(root / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        (tmp_path / part / "__pycache__").touch()
    nowhere = str(tmp_path / "neurosim" / "__pycache__" / "below a file")
    environment = os.environ | {
        "NUMBA_CACHE_DIR": nowhere, "XDG_CACHE_HOME": nowhere, "HOME": nowhere,
        "PYTHONPATH": str(tmp_path), "TMPDIR": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", ALONE], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
    assert done.stderr.count("no folder for compiled kernels can be written") == 1
    assert not list(tmp_path.glob("neurosim-kernels-*"))  # It leaves nothing behind.


@pytest.mark.slow
@pytest.mark.global_rng
def test_a_standalone_program_compiled_once_draws_anew_for_each_seed():
    network = small_network(20, 4, weight=8e-9)
    engine = Brian2Engine(network, "standalone", {"pyramidal": 80.0})
    first, other, again = engine.redrawn(0.1, (5, 6, 5))
    same_spikes(first, again)
    assert min(len(each.spikes["pyramidal"]) for each in (first, other)) > 10
    assert len(first.spikes["pyramidal"]) != len(other.spikes["pyramidal"])
    assert engine.program_cpu_seconds > 0


def test_only_a_standalone_program_that_draws_its_input_is_run_again():
    engine = Brian2Engine(SpikingNetwork({"a": population(LEAKY)}), "numpy", {"a": 10.0})
    with pytest.raises(ConfigError, match="'standalone', which draws spikes from outside"):
        next(engine.redrawn(0.1, (0,)))
