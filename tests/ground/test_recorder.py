"""A recording holds what was sampled, in its unit, and how it came about."""

import dataclasses

import numpy as np
import pytest

from neurosim.errors import ConfigError, CorruptFileError, NumericalError, StorageError
from neurosim.hdf5 import write_hdf5
from neurosim.recorder import Recorder, Recording


@dataclasses.dataclass(frozen=True)
class Config:
    sparsity: float = 0.02
    region: str = "ca3"


def filled(path):
    with Recorder(path, Config(), seed=2**70) as recorder:
        recorder.watch("ca3/rate", "Hz", ("time", "unit"))
        recorder.watch("error", "")
        for k in range(4):
            recorder.sample(k * 0.5, {"ca3/rate": [k, k + 1.0]}, error=1 / (k + 1))
        recorder.sample(9.0, error=0.0)
        recorder.store("ca3/patterns", np.eye(3, dtype=bool), "", ("pattern", "unit"))
    return recorder


def test_what_was_recorded_is_read_back(tmp_path):
    recorder = filled(tmp_path / "run.h5")
    for recording in (recorder.recording(), Recording.open(tmp_path / "run.h5")):
        rate = recording["ca3/rate"]
        assert rate.values.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]
        assert rate.time.tolist() == [0, 0.5, 1, 1.5]
        assert (rate.unit, rate.dims) == ("Hz", ("time", "unit"))
        assert recording["error"].time.tolist() == [0, 0.5, 1, 1.5, 9]
        patterns = recording["ca3/patterns"]
        assert patterns.time is None
        assert patterns.dims == ("pattern", "unit")
        assert patterns.values.dtype == np.bool_
        assert recording.config == {"sparsity": 0.02, "region": "ca3"}
        assert recording.seed == 2**70
        assert {"python", "numpy", "neurosim", "date"} <= set(recording.provenance)


def test_a_sample_is_a_copy(tmp_path):
    recorder = Recorder()
    recorder.watch("x", "", ("time", "unit"))
    state = np.zeros(2)
    recorder.sample(0, x=state)
    state += 1
    assert recorder.recording()["x"].values.tolist() == [[0, 0]]


@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_run_keeps_what_it_recorded(tmp_path, kind):
    with pytest.raises(kind), Recorder(tmp_path / "run.h5") as recorder:
        recorder.watch("x", "V")
        recorder.sample(0, x=1.0)
        raise kind
    assert Recording.open(tmp_path / "run.h5")["x"].values.tolist() == [1]


def test_a_disk_fault_at_the_end_does_not_hide_the_error_of_the_run(tmp_path, monkeypatch):
    def fail(*_):
        raise StorageError("disk full")

    monkeypatch.setattr("neurosim.recorder.write_hdf5", fail)
    with pytest.raises(RuntimeError) as caught, Recorder(tmp_path / "run.h5") as recorder:
        recorder.store("x", [1.0])
        raise RuntimeError("the cause")
    assert "disk full" in caught.value.__notes__[0]
    with pytest.raises(StorageError), Recorder(tmp_path / "run.h5"):
        pass


@pytest.mark.parametrize("kind", [ConfigError, KeyboardInterrupt])
def test_a_run_that_fails_before_it_records_anything_spares_an_earlier_recording(tmp_path, kind):
    with Recorder(tmp_path / "run.h5", seed=1) as recorder:
        recorder.store("x", [1.0])
    with pytest.raises(kind), Recorder(tmp_path / "run.h5", seed=2) as recorder:
        recorder.watch("y", "Hz")
        raise kind
    assert Recording.open(tmp_path / "run.h5").seed == 1


def test_a_flush_can_be_read_while_the_run_goes_on(tmp_path):
    recorder = Recorder(tmp_path / "run.h5")
    recorder.watch("x", "V")
    recorder.watch("never", "V", ("time", "unit"))
    for k in range(3):
        recorder.sample(k, x=k)
        recorder.flush()
        assert Recording.open(tmp_path / "run.h5")["x"].values.tolist() == list(range(k + 1))
    assert Recording.open(tmp_path / "run.h5")["never"].values.shape == (0, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_activity_that_is_not_finite_stops_the_run_and_is_named(value):
    recorder = Recorder()
    recorder.watch("ca3/rate", "Hz", ("time", "unit"))
    with pytest.raises(NumericalError, match=r"ca3\.rate.*t = 0\.25 s"):
        recorder.sample(0.25, {"ca3/rate": [1.0, value]})


def test_a_signal_may_be_allowed_to_have_gaps():
    recorder = Recorder()
    recorder.watch("recall", "", allow_nan=True)
    recorder.sample(0, recall=np.nan)
    assert np.isnan(recorder.recording()["recall"].values[0])


def test_slips_are_refused_at_the_door():
    recorder = Recorder()
    recorder.watch("ca3/rate", "Hz")
    recorder.store("weights", np.eye(2))
    recorder.store("weights", np.eye(3))  # replacing is no slip
    slips = {
        "did you mean 'ca3/rate'": lambda: recorder.sample(0, {"ca3/rat": 1}),
        "a name apart from": lambda: recorder.watch("ca3/rate", "Hz"),
        "apart from 'ca3/rate'": lambda: recorder.store("ca3", 1),
        "apart from 'weights'": lambda: recorder.watch("weights/of", ""),
        "'time' first": lambda: recorder.watch("x", "", ("unit", "time")),
        "axes": lambda: recorder.sample(0, {"ca3/rate": [1, 2]}),
        "numbers": lambda: recorder.sample(0, {"ca3/rate": "fast"}),
        "array of numbers": lambda: recorder.store("ragged", [[1], [1, 2]]),
        "2 names": lambda: recorder.store("y", np.eye(2), "", ("unit",)),
        "such as": lambda: recorder.watch("a//b", ""),
    }
    for message, slip in slips.items():
        with pytest.raises(ConfigError, match=message):
            slip()


def test_a_sample_keeps_the_shape_of_the_first():
    recorder = Recorder()
    recorder.watch("x", "", ("time", "unit"))
    recorder.sample(0, x=[1, 2])
    with pytest.raises(ConfigError, match="shape"):
        recorder.sample(1, x=[1, 2, 3])


def test_an_unwritable_place_is_found_before_the_run(tmp_path):
    (tmp_path / "a_file").write_text("")
    with pytest.raises(StorageError, match="expected a folder, got a file"):
        Recorder(tmp_path / "a_file" / "run.h5")
    with pytest.raises(StorageError, match="choose another place"):
        Recorder(tmp_path / "a_file" / "below" / "run.h5")


def test_a_folder_is_made_when_there_is_something_to_write(tmp_path):
    path = tmp_path / "out" / "run.h5"
    with pytest.raises(ConfigError), Recorder(path) as recorder:
        recorder.watch("x", "")
        raise ConfigError("refused")
    assert not path.parent.exists()
    with Recorder(path) as recorder:
        recorder.watch("x", "")
        recorder.sample(0, x=1.0)
    assert path.is_file()


def test_a_file_that_is_no_recording_is_said(tmp_path):
    write_hdf5(tmp_path / "a.h5", {"x": np.eye(2)})
    with pytest.raises(CorruptFileError, match="expected a recording"):
        Recording.open(tmp_path / "a.h5")
    with pytest.raises(ConfigError, match="did you mean 'error'"):
        _ = filled(None).recording()["eror"]
