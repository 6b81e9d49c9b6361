"""How plasticity depends on the pairing frequency: triplet STDP over published data."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from neurosim.connectivity import Full
from neurosim.errors import check_counts
from neurosim.plasticity import PlasticProjection
from neurosim.plotting import label
from neurosim.recorder import Recorder
from neurosim.rule import Rule
from neurosim.spikes import SpikeTrains, run_spikes
from rules.pair_stdp import PairSTDP
from rules.triplet_stdp import TripletSTDP

DATA = Path(__file__).parents[1] / "data" / "published" / "sjostrom_2001_frequency.csv"
COLOURS = {"triplet": "#0072B2", "pair": "#D55E00"}

expected = {
    "triplet_error": (0.5, "at most: the fit of Pfister & Gerstner (2006) is below its errors"),
    "triplet_points_within": (9, "of 10 points within one standard error of Sjostrom (2001)"),
}


@dataclass(frozen=True)
class Config:
    """The protocol of the experiment.

    Parameters
    ----------
    n_pairs : int
        Pairings at each frequency.
    lowest, highest : float
        Range of the curves [Hz].
    n_points : int
        Frequencies of a curve.
    """

    n_pairs: int = 60
    lowest: float = 0.1
    highest: float = 55.0
    n_points: int = 45

    def __post_init__(self) -> None:
        check_counts(self, "n_pairs", "n_points")
        check_counts(self, "lowest", "highest", least=1e-3)


@dataclass(frozen=True)
class Result:
    """Curves, and the published points.

    Parameters
    ----------
    frequencies : (n_points,) float64 [Hz]
    curves : dict of (str, float) to (n_points,) float64
        By rule and delay [s].
    data : structured array
        Columns frequency_hz, delay_s, change, error.
    at_data : dict of str to (n_data,) float64
        What each rule gives at the published points.
    """

    frequencies: NDArray[np.float64]
    curves: dict[tuple[str, float], NDArray[np.float64]]
    data: NDArray[np.void]
    at_data: dict[str, NDArray[np.float64]]

    def metrics(self) -> dict[str, float]:
        """Return the mean squared distance in standard errors, and the points within one."""
        values: dict[str, float] = {}
        for name, changes in self.at_data.items():
            off = (changes - self.data["change"]) / self.data["error"]
            values[f"{name}_error"] = float(np.mean(off**2))
            values[f"{name}_points_within"] = int(np.sum(np.abs(off) <= 1))
            values[f"{name}_farthest"] = float(np.abs(off).max())
        return values


def run(config: Config, rng: np.random.Generator, recorder: Recorder) -> Result:
    """Pair spikes at every frequency, under triplet STDP and under a pair rule of its windows.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator
        Not used: nothing is random.
    recorder : Recorder
    """
    triplet = TripletSTDP()
    rules: dict[str, Rule] = {
        "triplet": triplet,
        "pair": PairSTDP(6.5e-3, triplet.a2_minus, triplet.tau_plus, triplet.tau_minus),
    }
    data = np.genfromtxt(DATA, delimiter=",", names=True)
    frequencies = np.geomspace(config.lowest, config.highest, config.n_points)
    curves, at_data = {}, {}
    for name, rule in rules.items():
        for delay in (0.01, -0.01):
            curve = np.array([change(rule, f, delay, config.n_pairs) for f in frequencies])
            curves[name, delay] = curve
            side = "pre_first" if delay > 0 else "post_first"
            recorder.store(f"{name}/{side}", curve, "", ("frequency",))
        places = zip(data["frequency_hz"], data["delay_s"], strict=True)
        at_data[name] = np.array([change(rule, f, d, config.n_pairs) for f, d in places])
        recorder.store(f"{name}/at_data", at_data[name], "", ("point",))
    recorder.store("frequency", frequencies, "Hz", ("frequency",))
    return Result(frequencies, curves, data, at_data)


def change(rule: Rule, frequency: float, delay: float, n_pairs: int) -> float:
    """Return the change of a weight by pairings at a frequency [Hz] with a delay [s]."""
    times = 1.0 + np.arange(n_pairs) / frequency
    duration = times[-1] + 1.0
    pre, post = (SpikeTrains.of_cell(t, duration) for t in (times, times + delay))
    projection = PlasticProjection(Full(1, 1), rule)
    run_spikes(projection, pre, post)
    return float(projection.weights[0, 0])


def plot(result: Result, axes: Axes) -> None:
    """Draw the curves over the published points."""
    sides = ((0.01, "-", "o", "pre 10 ms first"), (-0.01, "--", "s", "post 10 ms first"))
    for delay, line, marker, words in sides:
        for name, shade in COLOURS.items():
            axes.plot(
                result.frequencies, result.curves[name, delay], line, color=shade,
                label=f"{name} STDP, {words}",
            )  # fmt: skip
        rows = result.data[result.data["delay_s"] == delay]
        axes.errorbar(
            rows["frequency_hz"], rows["change"], rows["error"], fmt=marker, color="black",
            markerfacecolor="black" if delay > 0 else "white", capsize=3,
            label=f"data, {words}",
        )  # fmt: skip
    axes.axhline(0, color="0.6", linewidth=0.8)
    label(axes.xaxis, "pairing frequency", "Hz")
    label(axes.yaxis, "relative change of weight")
    axes.legend(fontsize=7, loc="upper left", ncols=2)
    axes.set_ylim(-1.05, 1.6)
