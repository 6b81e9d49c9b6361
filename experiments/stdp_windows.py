"""Windows of spike-timing-dependent plasticity: the change by one pair of spikes, rule by rule."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from neurosim.connectivity import Full
from neurosim.discovery import member, members
from neurosim.errors import check_counts
from neurosim.plasticity import PlasticProjection
from neurosim.plotting import colour, label
from neurosim.recorder import Recorder
from neurosim.rule import Rule
from neurosim.spikes import SpikeTrains, run_spikes

expected = {
    "pair_stdp_at_plus_20_ms": (0.368, "a_plus exp(-1) at one time constant, Song et al. (2000)"),
    "symmetric_stdp_asymmetry": (0.0, "either order strengthens, Mishra et al. (2016) in CA3"),
}


@dataclass(frozen=True)
class Config:
    """Which delays.

    Parameters
    ----------
    longest : float
        Largest distance of the two spikes [s].
    n_delays : int
        Delays from minus to plus the longest, an odd number.
    rules : tuple of str
        Which rules; empty for every rule with a trace of pre and one of post.
    """

    longest: float = 0.1
    n_delays: int = 201
    rules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_counts(self, "n_delays", least=3)
        check_counts(self, "longest", least=1e-3)


@dataclass(frozen=True)
class Result:
    """The windows.

    Parameters
    ----------
    delays : (n_delays,) float64 [s]
        t_post - t_pre.
    windows : dict of str to (n_delays,) float64
        Change of the weight by one pair, by rule.
    """

    delays: NDArray[np.float64]
    windows: dict[str, NDArray[np.float64]]

    def metrics(self) -> dict[str, float]:
        """Return the extremes and the asymmetry of each window, and checks."""
        values: dict[str, float] = {}
        for name, window in self.windows.items():
            values[f"{name}_max"], values[f"{name}_min"] = window.max(), window.min()
            values[f"{name}_asymmetry"] = float(np.abs(window - window[::-1]).max())
        at = int(np.argmin(np.abs(self.delays - 0.02)))
        if "pair_stdp" in self.windows:
            window = self.windows["pair_stdp"]
            values["pair_stdp_at_plus_20_ms"] = window[at] / 0.005
        return values


def run(config: Config, rng: np.random.Generator, recorder: Recorder) -> Result:
    """Measure the window of every rule of pre and post spikes, found by listing `rules`.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator
        Not used: nothing is random.
    recorder : Recorder
    """
    delays = np.linspace(-config.longest, config.longest, config.n_delays)
    windows = {}
    for name in config.rules:
        member("rules", Rule, name)  # An unknown one is refused.
    for name, kind in members("rules", Rule).items():
        paired = kind.acts_on == "either" and kind.pre_traces and kind.post_traces
        if paired and name in (config.rules or (name,)):
            windows[name] = window(kind(), delays)
            recorder.store(f"window/{name}", windows[name], "", ("delay",))
    recorder.store("delay", delays, "s", ("delay",))
    return Result(delays, windows)


def window(rule: Rule, delays: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the change by one pair, for each delay; one postsynaptic cell a delay."""
    centre = 2 * float(np.abs(delays).max())
    times = centre + delays
    order = np.argsort(times, kind="stable")
    pre = SpikeTrains.of_cell([centre], 2 * centre)
    post = SpikeTrains(times[order], order, len(delays), 2 * centre)
    projection = PlasticProjection(Full(1, len(delays)), rule)
    run_spikes(projection, pre, post)
    return projection.matrix()[:, 0]


def plot(result: Result, axes: Axes) -> None:
    """Draw every window on the scale of its largest change."""
    ms = np.where(result.delays == 0, np.nan, 1e3 * result.delays)  # No pair, and a jump.
    for k, (name, values) in enumerate(result.windows.items()):
        height = np.abs(values).max() or 1.0
        style = ("-", "--", "-.", ":")[k % 4]
        axes.plot(ms, values / height, style, color=colour(name), label=_words(name), linewidth=2)
    axes.axhline(0, color="0.6", linewidth=0.8)
    label(axes.xaxis, "post after pre", "ms")
    label(axes.yaxis, "change of weight", "share of the largest")
    axes.set_ylim(-1.1, 1.5)
    axes.legend(loc="upper left", fontsize=8, ncols=2, title="one pair of spikes")


def _words(name: str) -> str:
    return name.replace("_", " ").replace("stdp", "STDP")
