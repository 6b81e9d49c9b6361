"""Export of a recorded night to Neurodata Without Borders (NWB)."""

from __future__ import annotations

import datetime
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import __version__
from neurosim.errors import ConfigError, NeurosimError
from neurosim.recorder import Recording
from neurosim.storage import atomic_write_bytes

NAMESPACE = uuid.UUID("6f1f6c0c-2b4e-5d0a-9a64-6a1f6d3c0b11")
"""Of the identifiers of our files, which follow from what is in them."""

NEEDED = (
    "pyramidal/spike_times", "pyramidal/spike_cells", "basket/spike_times", "basket/spike_cells",
    "track/spike_times", "track/spike_cells", "track/duration", "track/position",
    "track/position_dt", "places/cells", "places/centres", "places/n_units", "replays", "ripples",
    "duration", "dt", "field", "field_dt",
)  # fmt: skip


def write_nwb(recording: Recording, path: str | os.PathLike[str]) -> None:
    """Write a recorded track and night as an NWB file.

    One session: the run on the track from time 0, then sleep. It holds the units with their spikes
    (in steps of the simulation), cell types and place fields; position; epochs; the sharp waves
    with the replays decoded in them, ripples and up states as intervals; and the mean synaptic
    current of the pyramidal cells, the nearest thing to a local field potential that cells without
    a place in space have. The subject says that it is simulated.

    Parameters
    ----------
    recording : Recording
        Of the experiment ``spiking_night``.
    path : path-like
        Replaced atomically.

    Raises
    ------
    ConfigError
        For a recording that lacks something.
    NeurosimError
        If pynwb is not installed.
    """
    missing = [name for name in NEEDED if name not in recording.signals]
    if missing:
        raise ConfigError.expected(
            "write_nwb", "recording", "one of the experiment spiking_night",
            f"none of {', '.join(missing[:3])}", "run it, and export its run.h5",
        )  # fmt: skip
    try:
        import pynwb
    except ImportError:
        raise NeurosimError(
            "export nwb: expected pynwb, which is not installed; pip install -e .[nwb]"
        ) from None
    file = _session(pynwb, recording)
    offset = float(recording["track/duration"].values)
    _add_units(pynwb, file, recording, offset)
    _add_behaviour(pynwb, file, recording, offset)
    _add_intervals(pynwb, file, recording, offset)
    _add_field(pynwb, file, recording, offset)
    target = Path(path)
    scratch = target.with_name(f".{target.name}.{os.getpid()}.nwb")
    try:
        with pynwb.NWBHDF5IO(str(scratch), "w") as io:
            io.write(file)
        atomic_write_bytes(target, scratch.read_bytes())
    finally:
        scratch.unlink(missing_ok=True)


def _session(pynwb: Any, recording: Recording) -> Any:
    config, date = recording.config, recording.provenance["date"]
    size = f"{config['n_pyramidal']} pyramidal cells"
    file = pynwb.NWBFile(
        session_description=(
            f"Simulated: a spiking CA3 of {size} learns a linear track and sleeps "
            f"(neurosim {__version__}, experiment spiking_night, seed {config['seed']})."
        ),
        identifier=str(uuid.uuid5(NAMESPACE, f"{config} {dict(recording.provenance)}")),
        session_start_time=datetime.datetime.fromisoformat(date),
        session_id=f"seed-{config['seed']}",
        experimenter=["neurosim, simulated"],
        institution="none: simulated",
        lab="none: simulated",
        experiment_description=(
            "Symmetric STDP of recurrent synapses on a track, then sleep with mossy-fibre noise; "
            "after Ecker et al. (2022)."
        ),
        keywords=["simulation", "hippocampus", "CA3", "sharp wave", "ripple", "replay"],
        related_publications=["doi:10.7554/eLife.71850"],
        notes=str(dict(recording.provenance)),
    )
    file.subject = pynwb.file.Subject(
        subject_id=f"simulated-{config['seed']}",
        description="Simulated: no animal. Cells are fitted to those of the mouse.",
        species="Mus musculus",
        sex="U",
        age="P0D/",
        strain="simulated",
    )
    return file


def _add_units(pynwb: Any, file: Any, recording: Recording, offset: float) -> None:
    n_pyramidal, n_basket = (int(n) for n in recording["places/n_units"].values)
    file.units = pynwb.misc.Units(
        name="units",
        description="All cells of the simulation; spikes fall on its steps.",
        resolution=float(recording["dt"].values),
    )
    file.add_unit_column("cell_type", "pyramidal or PV+ basket cell")
    file.add_unit_column("place_field", "middle of the place field on the track, in m; NaN: none")
    centre = np.full(n_pyramidal, np.nan)
    centre[recording["places/cells"].values] = recording["places/centres"].values
    asleep = _trains(recording, "pyramidal", n_pyramidal)
    awake = _trains(recording, "track", n_pyramidal)
    whole = [[0.0, offset + float(recording["duration"].values)]]
    for cell in range(n_pyramidal):
        times = np.concatenate([awake[cell], asleep[cell] + offset])
        file.add_unit(
            spike_times=times, obs_intervals=whole, cell_type="pyramidal", place_field=centre[cell]
        )
    for times in _trains(recording, "basket", n_basket):
        file.add_unit(
            spike_times=times + offset, obs_intervals=[[offset, whole[0][1]]],
            cell_type="basket", place_field=np.nan,
        )  # fmt: skip


def _trains(recording: Recording, name: str, n_units: int) -> list[NDArray[np.float64]]:
    times = recording[f"{name}/spike_times"].values
    cells = recording[f"{name}/spike_cells"].values
    order = np.argsort(cells, kind="stable")
    edges = np.searchsorted(cells[order], np.arange(n_units + 1))
    return [times[order[a:b]] for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _add_behaviour(pynwb: Any, file: Any, recording: Recording, offset: float) -> None:
    series = pynwb.behavior.SpatialSeries(
        name="position",
        description="Simulated position along the linear track.",
        data=recording["track/position"].values[:, None],
        reference_frame="0 is the end of the track where each lap begins",
        unit="meters",
        rate=1 / float(recording["track/position_dt"].values),
        starting_time=0.0,
    )
    module = file.create_processing_module("behavior", "What the simulated animal does.")
    module.add(pynwb.behavior.Position(spatial_series=series, name="Position"))
    end = offset + float(recording["duration"].values)
    file.add_epoch(0.0, offset, ["run"])
    file.add_epoch(offset, end, ["sleep"])


def _add_intervals(pynwb: Any, file: Any, recording: Recording, offset: float) -> None:
    replays = pynwb.epoch.TimeIntervals(
        name="replays",
        description=(
            "Sharp waves (pyramidal cells at 2 Hz or more in bins of 20 ms) and the trajectory "
            "decoded in each."
        ),
    )
    replays.add_column("speed", "of the trajectory, in m/s; negative against the run; NaN: none")
    replays.add_column("middle", "position in the middle of the event, in m")
    replays.add_column("p", "share of shuffles that fit as well")
    for start, stop, speed, middle, p in recording["replays"].values:
        replays.add_interval(start + offset, stop + offset, speed=speed, middle=middle, p=p)
    file.add_time_intervals(replays)
    for name, what in (
        ("ripples", "Ripples in the mean field, by the envelope between 150 and 250 Hz."),
        ("up_states", "When the mossy fibres are in an up state."),
    ):
        if name not in recording.signals or not len(recording[name].values):
            continue
        table = pynwb.epoch.TimeIntervals(name=name, description=what)
        for start, stop in recording[name].values:
            table.add_interval(start + offset, stop + offset)
        file.add_time_intervals(table)


def _add_field(pynwb: Any, file: Any, recording: Recording, offset: float) -> None:
    series = pynwb.TimeSeries(
        name="mean_field",
        description=(
            "Mean synaptic current into pyramidal cells, inward positive: it stands for a local "
            "field potential, which needs cells with a place in space."
        ),
        data=recording["field"].values,
        unit="amperes",
        rate=1 / float(recording["field_dt"].values),
        starting_time=offset,
    )
    module = file.create_processing_module("ecephys", "Signals of the simulated network.")
    module.add(series)
