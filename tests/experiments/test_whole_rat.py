"""A run over the capacity of CA3 can be interrupted, and measures what it says."""

import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import whole_rat
from neurosim.errors import ConfigError, CorruptFileError

SMALL = whole_rat.Config(
    n_units=800, fan_in=300, sparsity=0.05, patterns=120, probes=4, tests=4, threads=1
)


class StopError(Exception):
    """Stands for a crash."""


def stop_after(n):
    ticks = iter(range(n))

    def tick():
        if next(ticks, None) is None:
            raise StopError

    return tick


@pytest.mark.compiled
@pytest.mark.parametrize("bits", [4, 8])
def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path, bits, monkeypatch):
    monkeypatch.setattr(whole_rat, "ROWS_A_PART", 1 << 14)  # Several parts.
    whole = dataclasses.replace(SMALL, bits=bits)
    expected = whole_rat.run(whole)
    kept = dataclasses.replace(
        whole, checkpoint_every=25, checkpoint=str(tmp_path / "kept"), bits=bits
    )
    for moment in (40, 70):  # Twice, each time a while after a checkpoint.
        with pytest.raises(StopError):
            whole_rat.run(kept, tick=stop_after(moment))
    result = whole_rat.run(kept)
    assert np.array_equal(result.loads, expected.loads)
    assert np.array_equal(result.overlaps, expected.overlaps)
    assert len(result.costs.recalls) == len(expected.costs.recalls)  # Kept over the crashes.
    assert result.overlaps[0].min() > 0.9  # Something was recalled.
    files = sorted(path.name for path in (tmp_path / "kept").glob("part.*"))
    assert len(files) > 2 and all(name.startswith("part.000120.") for name in files)


@pytest.mark.compiled
def test_a_checkpoint_of_an_earlier_format_is_refused(tmp_path, monkeypatch):
    kept = dataclasses.replace(
        SMALL, patterns=10, probes=1, checkpoint_every=10, checkpoint=str(tmp_path)
    )
    with monkeypatch.context() as earlier:
        earlier.setattr(whole_rat, "FORMAT", 1)
        whole_rat.run(kept)
    with pytest.raises(ConfigError, match="a checkpoint of the same format"):
        whole_rat.run(kept)


@pytest.mark.compiled
def test_a_checkpoint_of_another_network_or_a_damaged_one_is_refused(tmp_path):
    kept = dataclasses.replace(
        SMALL, patterns=10, probes=1, checkpoint_every=10, checkpoint=str(tmp_path)
    )
    whole_rat.run(kept)
    with pytest.raises(ConfigError, match="a checkpoint of the same format, network and seed"):
        whole_rat.run(dataclasses.replace(kept, seed=1))
    with pytest.raises(ConfigError, match="patterns: expected 10 or more"):
        whole_rat.run(dataclasses.replace(kept, patterns=5))
    part = next(iter(tmp_path.glob("part.*")))
    data = bytearray(part.read_bytes())
    data[-50] ^= 1
    part.write_bytes(data)
    with pytest.raises(CorruptFileError, match="truncated, altered or foreign"):
        whole_rat.run(kept)


@pytest.mark.compiled
def test_recall_falls_with_the_load_and_k_is_read_off_where_it_crosses():
    result = whole_rat.run(dataclasses.replace(SMALL, patterns=800, probes=8))
    mean = result.overlaps.mean(axis=2)
    assert (mean[0] > 0.95).all() and (mean[-1] < 0.3).all()
    values = result.metrics()
    assert 0.03 < values["k_whole_95"] <= values["k_whole_90"] <= values["k_whole_50"] < 0.4
    # A worse cue holds no more; few patterns a load tell k to some per cent.
    assert values["k_half_half_noise_50"] <= 1.05 * values["k_whole_50"]
    figure = Figure()
    axes = figure.add_subplot()
    whole_rat.plot(result, axes)
    assert len(axes.lines) == 3 and axes.get_xlabel() == "patterns stored"


def test_wall_time_is_a_median_and_processor_time_a_mean():
    stores = [[1.0, 2.0], [9.0, 2.5], [2.0, 3.0]]
    recalls = [[4.0, 6.0, 2.0], [3.0, 9.0, 3.0], [8.0, 5.0, 1.0]]
    values = whole_rat.Costs(stores, recalls).metrics()
    assert values == {
        "store_cpu_seconds": 2.5,
        "recall_step_cpu_seconds": 20.0 / 6.0,
        "store_wall_seconds": 2.0,
        "recall_step_wall_seconds": 2.0,
    }
    assert all(np.isnan(value) for value in whole_rat.Costs().metrics().values())


@pytest.mark.parametrize(
    ("overlap", "criterion", "load"),
    [
        ([1.0, 0.8, 0.4], 0.6, 25.0),
        ([1.0, 0.8, 0.4], 0.9, 15.0),
        ([0.5, 0.4, 0.1], 1.0, 5.0),
    ],
)
def test_a_crossing_is_interpolated(overlap, criterion, load):
    found = whole_rat.crossing(np.array([10, 20, 30]), np.array(overlap), criterion)
    assert found == pytest.approx(load)


def test_a_criterion_that_is_never_undercut_has_no_crossing():
    assert np.isnan(whole_rat.crossing(np.array([10, 20]), np.array([1.0, 0.9]), 0.5))
