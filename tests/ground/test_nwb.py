"""A recorded night goes out as NWB: valid, labelled as simulated, and read back by pynapple."""

import numpy as np
import pytest

from experiments import spiking_figures
from experiments.__main__ import main
from neurosim.errors import ConfigError
from neurosim.nwb import NEEDED, write_nwb
from neurosim.recorder import Recorder, Recording

EXTRA = "the extra nwb is not installed: pip install -e .[nwb]"


def recorded(n_pyramidal=40, n_basket=6, seed=0):
    """Return a recording with all that a night has; a wave runs along the track, there and back."""
    rng = np.random.default_rng(seed)
    recorder = Recorder(config={"n_pyramidal": n_pyramidal, "seed": seed}, seed=seed)
    cells = np.arange(0, n_pyramidal, 2)
    centres = np.linspace(0.0, 3.0, cells.size)
    times, spikers = [], []
    for start, speed in ((0.5, 6.0), (1.5, -6.0)):
        for burst in range(6):
            at = start + (centres if speed > 0 else 3.0 - centres) / 6.0 + 4e-3 * burst
            times.append(np.round(at / 1e-4) * 1e-4)
            spikers.append(cells)
    times, spikers = np.concatenate(times), np.concatenate(spikers)
    order = np.lexsort((spikers, times))
    store = recorder.store
    store("pyramidal/spike_times", times[order], "s", ("spike",))
    store("pyramidal/spike_cells", spikers[order], "", ("spike",))
    store("basket/spike_times", np.sort(rng.random(100) * 3), "s", ("spike",))
    store("basket/spike_cells", rng.integers(n_basket, size=100), "", ("spike",))
    store("track/spike_times", np.sort(rng.random(200) * 5), "s", ("spike",))
    store("track/spike_cells", rng.integers(n_pyramidal, size=200), "", ("spike",))
    store("track/duration", np.array(5.0), "s", ())
    store("track/position", np.linspace(0, 1.6, 250), "m", ("sample",))
    store("track/position_dt", np.array(0.02), "s", ())
    store("places/cells", cells, "", ("cell",))
    store("places/centres", centres, "m", ("cell",))
    store("places/n_units", np.array([n_pyramidal, n_basket]), "", ("population",))
    rows = [(0.5, 1.02, 6.0, 1.5, 0.01), (1.5, 2.02, -6.0, 1.5, 0.01), (2.5, 2.6, *[np.nan] * 3)]
    store("replays", np.array(rows), "", ("event", "quantity"))
    store("ripples", np.array([(0.6, 0.8), (1.6, 1.9)]), "s", ("ripple", "edge"))
    store("up_states", np.array([(0.4, 1.1), (1.4, 2.2)]), "s", ("state", "edge"))
    store("weights", rng.random((60, 60)) * 1e-9, "S", ("pre", "post"))
    store("duration", np.array(3.0), "s", ())
    store("dt", np.array(1e-4), "s", ())
    store("field", rng.normal(size=6000) * 1e-12, "A", ("sample",))
    store("field_dt", np.array(5e-4), "s", ())
    return recorder.recording()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    pytest.importorskip("pynwb", reason=EXTRA)
    path = tmp_path_factory.mktemp("nwb") / "night.nwb"
    recording = recorded()
    write_nwb(recording, path)
    assert list(path.parent.iterdir()) == [path]  # Nothing else is left behind.
    return path, recording


def test_nwbinspector_finds_nothing_critical_in_it(written):
    inspector = pytest.importorskip("nwbinspector", reason=EXTRA)
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(written[0])))
    grave = ("CRITICAL", "BEST_PRACTICE_VIOLATION", "ERROR", "PYNWB_VALIDATION")
    assert [each.message for each in found if each.importance.name in grave] == []


def test_nwbinspector_would_find_what_is_wrong(tmp_path):
    pytest.importorskip("pynwb", reason=EXTRA)
    inspector = pytest.importorskip("nwbinspector", reason=EXTRA)
    recording = recorded()
    recording.signals["replays"].values[0, 1] = -4.9  # Stops before it starts.
    write_nwb(recording, tmp_path / "bad.nwb")
    found = list(inspector.inspect_nwbfile(nwbfile_path=str(tmp_path / "bad.nwb")))
    assert any("stop" in each.message.lower() for each in found)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_pynapple_reads_back_what_was_recorded(written):
    nap = pytest.importorskip("pynapple", reason=EXTRA)
    path, recording = written
    data, offset = nap.load_file(str(path)), 5.0
    units, replays = data["units"], data["replays"]
    assert len(units) == 46
    assert list(units["cell_type"]).count("basket") == 6
    np.testing.assert_allclose(units["place_field"].values[:40:2], np.linspace(0, 3, 20))
    spikes, cells = (recording[f"pyramidal/spike_{name}"].values for name in ("times", "cells"))
    awake, runners = (recording[f"track/spike_{name}"].values for name in ("times", "cells"))
    for cell in range(40):
        wanted = np.concatenate([awake[runners == cell], spikes[cells == cell] + offset])
        np.testing.assert_allclose(units[cell].index, wanted, atol=1e-9)
    np.testing.assert_allclose(replays["start"], recording["replays"].values[:, 0] + offset)
    np.testing.assert_allclose(replays["end"], recording["replays"].values[:, 1] + offset)
    np.testing.assert_allclose(replays["speed"], recording["replays"].values[:, 2])
    inside = units.restrict(replays[0])
    first = (spikes >= 0.5) & (spikes <= 1.02)
    assert sum(len(inside[k]) for k in range(40)) == first.sum() > 50
    assert data["epochs"]["tags"][0] == "run" and data["epochs"]["tags"][1] == "sleep"
    # It takes a microsecond off an epoch that touches the next.
    np.testing.assert_allclose(data["epochs"]["end"], [5.0, 8.0], atol=2e-6)
    np.testing.assert_allclose(
        np.ravel(data["position"].values), recording["track/position"].values
    )
    field = data["mean_field"]
    np.testing.assert_allclose(np.ravel(field.values), recording["field"].values)
    assert field.index[0] == pytest.approx(offset)


def test_the_subject_says_that_it_is_simulated(written):
    pynwb = pytest.importorskip("pynwb", reason=EXTRA)
    with pynwb.NWBHDF5IO(str(written[0]), "r") as io:
        file = io.read()
        assert "no animal" in file.subject.description
        assert file.subject.subject_id.startswith("simulated")
        assert file.session_description.startswith("Simulated")
        assert file.units.resolution == 1e-4
        assert {"behavior", "ecephys"} == set(file.processing)


@pytest.mark.parametrize("lacking", ["replays", "places/cells", "field"])
def test_a_recording_of_something_else_is_refused(lacking, tmp_path):
    whole = recorded()
    signals = {name: signal for name, signal in whole.signals.items() if name != lacking}
    other = Recording(signals, whole.config, whole.seed, whole.provenance)
    assert lacking in NEEDED
    with pytest.raises(ConfigError, match="experiment spiking_night"):
        write_nwb(other, tmp_path / "x.nwb")
    assert not list(tmp_path.iterdir())


# Figures, from the same recording


def test_the_animation_shows_the_longest_replay_and_is_small():
    from PIL import Image

    picture = spiking_figures.animation(recorded(), size=(2.4, 1.8))
    assert picture[:6] == b"GIF89a"
    assert len(picture) < 1e6
    import io

    opened = Image.open(io.BytesIO(picture))
    assert opened.n_frames > 50  # 0.57 s of replay, 5 ms a frame, less frames that are equal.
    assert opened.size == (240, 180)


def test_the_figure_draws_all_panels():
    recording = recorded()
    drawn = spiking_figures.figure(recording, seconds=2.0)
    letters = [axes.get_title(loc="left") for axes in drawn.axes]
    assert [letter for letter in letters if letter] == list("ABCDEF")
    raster = drawn.axes[0]
    assert sum(len(line.get_xdata()) == 2 and line.get_linewidth() == 1.5
               for line in raster.lines) == 2  # fmt: skip
    assert len(spiking_figures.replays(recording)) == 2


def test_the_command_exports_and_says_what_is_wrong(tmp_path, capsys):
    from neurosim.hdf5 import write_hdf5

    foreign = tmp_path / "other.h5"
    write_hdf5(foreign, {"a": np.zeros(3)})
    assert main(["export", "figure", str(foreign)]) == 2
    assert "expected a recording" in capsys.readouterr().err
    with Recorder(tmp_path / "empty.h5"):
        pass
    assert main(["export", "animation", str(tmp_path / "empty.h5")]) == 2
    assert "spiking_night" in capsys.readouterr().err
