"""Figures and the animation of a recorded night of the spiking CA3, drawn from its recording."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy import signal as filters

from experiments.ripples_and_replay import LONG, POSITIONS, SIGNIFICANT
from experiments.spiking_night import FORWARD, REVERSE, trajectory
from neurosim.decoding import decode
from neurosim.errors import ConfigError
from neurosim.plotting import label
from neurosim.recorder import Recording
from neurosim.sharp_waves import Event
from neurosim.spikes import SpikeTrains

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BIN = 0.01
"""Seconds of a bin of decoding."""

FRAME, SHOWN = 0.005, 0.05
"""Seconds of the replay between two frames of the animation, and how long each is shown."""


def _spikes(recording: Recording) -> SpikeTrains:
    n_units = int(recording["places/n_units"].values[0])
    duration = float(recording["duration"].values)
    times = recording["pyramidal/spike_times"].values
    return SpikeTrains(times, recording["pyramidal/spike_cells"].values, n_units, duration)


def _fields(recording: Recording) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return positions, tuning curves [Hz] and the length of the track, from what was recorded."""
    from circuits.place_cells import TrackConfig

    track = TrackConfig()
    positions = np.linspace(0.0, track.length, POSITIONS)
    tuning = np.zeros((int(recording["places/n_units"].values[0]), POSITIONS))
    away = positions - recording["places/centres"].values[:, None]
    tuning[recording["places/cells"].values] = track.in_field_rate * np.exp(
        -0.5 * (away / track.field_width) ** 2
    )
    return positions, tuning, track.length


def replays(recording: Recording) -> NDArray[np.float64]:
    """Return the long sharp waves that replay: start, stop [s], speed [m/s], middle [m] and p.

    Raises
    ------
    ConfigError
        For a recording of another experiment.
    """
    if "replays" not in recording.signals or "places/cells" not in recording.signals:
        raise ConfigError.expected(
            "spiking_figures", "recording", "one of the experiment spiking_night",
            ", ".join(sorted(recording.signals)[:4]), "run it, and give its run.h5",
        )  # fmt: skip
    rows = np.asarray(recording["replays"].values)
    long = rows[:, 1] - rows[:, 0] >= LONG - 1e-9
    return rows[long & (rows[:, 4] < SIGNIFICANT)]


def figure(recording: Recording, seconds: float = 4.0) -> Figure:
    """Return the figure of a night: spikes and replays, ripples, weights, decoded events, speeds.

    Parameters
    ----------
    recording : Recording
        Of the experiment ``spiking_night``.
    seconds : float [s]
        How much of the night is drawn in full, from where most replays lie.
    """
    from matplotlib.figure import Figure

    found = replays(recording)
    start = _busiest(found, float(recording["duration"].values), seconds)
    window = (start, start + seconds)
    drawn = Figure(figsize=(10, 10), layout="constrained")
    grid = drawn.add_gridspec(4, 3, height_ratios=(2.6, 0.8, 1.3, 2.2))
    above = _panel(drawn, grid[0, :], "A")
    _draw_raster(above, recording, found, window)
    _draw_field(_panel(drawn, grid[1, :], "B", above), recording, window)
    _draw_spectrogram(_panel(drawn, grid[2, :], "C", above), recording, window)
    above.set_xlim(*window)
    _draw_weights(_panel(drawn, grid[3, 0], "D"), recording)
    _draw_decoded(_panel(drawn, grid[3, 1], "E"), recording, found)
    _draw_speeds(_panel(drawn, grid[3, 2], "F"), found)
    return drawn


def animation(recording: Recording, size: tuple[float, float] = (4.8, 3.2)) -> bytes:
    """Return a GIF of the longest replay: the decoded place on the track, and the spikes so far.

    Parameters
    ----------
    recording : Recording
        Of the experiment ``spiking_night``.
    size : (float, float)
        Inches, of 100 points.

    Raises
    ------
    ConfigError
        If the night has no replay.
    """
    from PIL import Image

    found = replays(recording)
    if not len(found):
        raise ConfigError.expected(
            "animation", "recording", "a night with a replay", "none", "sleep longer"
        )
    row = found[(found[:, 1] - found[:, 0]).argmax()]
    frames = [Image.fromarray(each) for each in _frames(recording, row, size)]
    # One palette for all, so that nothing flickers and little is written.
    middle = frames[len(frames) // 2]
    palette = middle.quantize(64, method=Image.Quantize.MAXCOVERAGE)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, format="GIF", save_all=True, append_images=frames[1:],
        duration=round(1e3 * SHOWN), loop=0, optimize=True,
    )  # fmt: skip
    return buffer.getvalue()


def _frames(
    recording: Recording, row: NDArray[np.float64], size: tuple[float, float]
) -> list[NDArray[np.uint8]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    spikes, (positions, tuning, length) = _spikes(recording), _fields(recording)
    start, stop, speed = row[0] - 0.03, row[1] + 0.02, row[2]
    inside = (spikes.times >= start) & (spikes.times < stop)
    times = 1e3 * (spikes.times[inside] - row[0])
    where = _centres(recording)[spikes.cells[inside]]
    drawn = Figure(figsize=size, dpi=100, layout="constrained")
    track, below = drawn.subplots(2, 1, height_ratios=(1, 2))
    track.plot([0, length], [0, 0], color="black", linewidth=4, solid_capstyle="butt")
    track.set(xlim=(0, length), ylim=(-0.05, 1.0), yticks=[])
    way = "forward" if speed > 0 else "reverse"
    track.set_title(f"a {way} replay, {SHOWN / FRAME:g} times slowed down", fontsize=9)
    label(track.xaxis, "decoded place on the track", "m")
    below.set(xlim=(0, length), ylim=(1e3 * (stop - row[0]), 1e3 * (start - row[0])))
    label(below.xaxis, "middle of the place field", "m")
    label(below.yaxis, "time", "ms")
    (belief,) = track.plot([], [], color="#DDAA00", linewidth=2)
    (animal,) = track.plot([], [], "o", color=_colour(speed), markersize=9)
    (fired,) = below.plot([], [], ".", color="#333333", markersize=2)
    canvas, images = FigureCanvasAgg(drawn), []
    canvas.draw()
    drawn.set_layout_engine("none")  # It would be laid out anew for each frame.
    for now in np.arange(start + BIN, stop, FRAME):
        p = decode(spikes, tuning, Event(now - BIN, now), BIN)[0]
        told = bool(np.isfinite(p[0]))
        belief.set_data(positions, 0.15 + 0.8 * p / p.max() if told else np.full(p.size, np.nan))
        animal.set_data(positions[[p.argmax()]] if told else [], [0.08] if told else [])
        passed = times <= 1e3 * (now - row[0])
        fired.set_data(where[passed], times[passed])
        canvas.draw()
        images.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return images


def _centres(recording: Recording) -> NDArray[np.float64]:
    centre = np.full(int(recording["places/n_units"].values[0]), np.nan)
    centre[recording["places/cells"].values] = recording["places/centres"].values
    return centre


def _colour(speed: float) -> str:
    return FORWARD if speed > 0 else REVERSE


def _panel(drawn: Figure, place: Any, letter: str, beside: Axes | None = None) -> Axes:
    axes = drawn.add_subplot(place, sharex=beside)
    axes.set_title(letter, loc="left", fontweight="bold", fontsize=11)
    return axes


def _busiest(found: NDArray[np.float64], duration: float, seconds: float) -> float:
    """Return where a window begins that holds most replays as a whole."""
    starts = np.arange(0.0, max(duration - seconds, 0.0) + 0.25, 0.5)
    whole = [((found[:, 0] >= s) & (found[:, 1] <= s + seconds)).sum() for s in starts]
    return float(min(starts[int(np.argmax(whole))], max(duration - seconds, 0.0)))


def _draw_raster(
    axes: Axes, recording: Recording, found: NDArray[np.float64], window: tuple[float, float]
) -> None:
    spikes, length = _spikes(recording), _fields(recording)[2]
    inside = (spikes.times >= window[0]) & (spikes.times < window[1])
    axes.plot(
        spikes.times[inside], _centres(recording)[spikes.cells[inside]], ".", color="#333333",
        markersize=max(0.4, 3 * (1000 / spikes.n_units) ** 0.5), markeredgewidth=0,
        rasterized=True,
    )  # fmt: skip
    for start, stop in recording["ripples"].values:
        axes.axvspan(start, stop, color="#F0E442", alpha=0.5, linewidth=0, zorder=0)
    for row in found:
        if row[0] >= window[0] and row[1] <= window[1]:
            trajectory(axes, row)
    if "up_states" in recording.signals:
        for start, stop in recording["up_states"].values:
            axes.plot([start, stop], [1.03 * length] * 2, color="#009E73", linewidth=4)
        axes.plot([], [], color="#009E73", linewidth=4, label="up state")
    for name, colour in (("forward", FORWARD), ("reverse", REVERSE)):
        axes.plot([], [], color=colour, label=f"{name} replay")
    axes.fill_between([], [], color="#F0E442", alpha=0.5, label="ripple")
    axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=4)
    axes.set_ylim(0, 1.06 * length)
    label(axes.yaxis, "middle of the place field", "m")


def _draw_field(axes: Axes, recording: Recording, window: tuple[float, float]) -> None:
    field, sampling = recording["field"].values, 1 / float(recording["field_dt"].values)
    sections = filters.butter(3, (150.0, 250.0), "bandpass", fs=sampling, output="sos")
    inside = filters.sosfiltfilt(sections, field)
    times = np.arange(field.size) / sampling
    seen = (times >= window[0]) & (times < window[1])
    axes.plot(times[seen], 1e12 * inside[seen], color="#332288", linewidth=0.6)
    label(axes.yaxis, "150-250 Hz", "pA")


def _draw_spectrogram(axes: Axes, recording: Recording, window: tuple[float, float]) -> None:
    field, sampling = recording["field"].values, 1 / float(recording["field_dt"].values)
    frequencies, times, power = filters.spectrogram(
        field, sampling, "hann", nperseg=128, noverlap=112, detrend="linear"
    )
    seen = (times >= window[0]) & (times < window[1])
    kept = (frequencies > 50) & (frequencies <= 350)
    # Over the usual power of each frequency, so that 1/f does not hide the ripples.
    usual = np.median(power, axis=1, keepdims=True)
    decibel = 10 * np.log10(np.maximum(power, 1e-300) / np.maximum(usual, 1e-300))[kept][:, seen]
    image = axes.pcolormesh(
        times[seen], frequencies[kept], decibel, vmin=0, vmax=np.percentile(decibel, 99.5),
        shading="nearest", rasterized=True,
    )  # fmt: skip
    axes.figure.colorbar(image, ax=axes, label="over the median (dB)")
    axes.grid(False)
    label(axes.yaxis, "frequency", "Hz")
    label(axes.xaxis, "time asleep", "s")


def _draw_weights(axes: Axes, recording: Recording) -> None:
    length = _fields(recording)[2]
    image = axes.imshow(
        1e9 * recording["weights"].values, origin="lower", extent=(0, length, 0, length)
    )
    axes.figure.colorbar(image, ax=axes, label="mean weight (nS)", shrink=0.8)
    axes.grid(False)
    label(axes.xaxis, "field of the postsynaptic cell", "m")
    label(axes.yaxis, "field of the presynaptic cell", "m")


def _draw_decoded(axes: Axes, recording: Recording, found: NDArray[np.float64]) -> None:
    """Draw the decoded places of the longest forward and the longest reverse replay in a row."""
    spikes, (_, tuning, length) = _spikes(recording), _fields(recording)
    at = 0.0
    for way in (found[found[:, 2] > 0], found[found[:, 2] < 0]):
        if not len(way):
            continue
        row = way[(way[:, 1] - way[:, 0]).argmax()]
        p = decode(spikes, tuning, Event(row[0], row[1]), BIN)
        lasts = 1e3 * (row[1] - row[0])
        axes.imshow(
            np.nan_to_num(p).T, origin="lower", aspect="auto", cmap="Greys", vmin=0, vmax=0.5,
            extent=(at, at + lasts, 0, length), interpolation="nearest",
        )  # fmt: skip
        half = 0.5 * (row[1] - row[0]) * row[2]
        line = [row[3] - half, row[3] + half]
        axes.plot([at, at + lasts], line, "--", color=_colour(row[2]), linewidth=1)
        name = "forward" if row[2] > 0 else "reverse"
        axes.text(at + 5, 0.02 * length, name, color=_colour(row[2]), fontsize=8, va="bottom")
        at += lasts + 30
    axes.set_xlim(0, max(at - 30, 1))
    axes.set_ylim(0, length)
    axes.grid(False)
    label(axes.xaxis, "time in the event", "ms")
    label(axes.yaxis, "decoded place", "m")


def _draw_speeds(axes: Axes, found: NDArray[np.float64]) -> None:
    from circuits.place_cells import TrackConfig

    edges: Any = np.arange(-8, 8.5, 0.5)
    for way, colour in ((found[found[:, 2] > 0], FORWARD), (found[found[:, 2] < 0], REVERSE)):
        axes.hist(way[:, 2], edges, color=colour)
    speed = TrackConfig().speed
    for sign in (-1, 1):
        text = "10 times the animal's" if sign > 0 else None
        axes.axvline(10 * sign * speed, color="black", linestyle=":", linewidth=1, label=text)
    axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    label(axes.xaxis, "speed of the replay", "m/s")
    label(axes.yaxis, "replays")
