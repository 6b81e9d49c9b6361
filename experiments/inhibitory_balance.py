"""Excitation and inhibition come into balance, channel by channel, by inhibitory STDP."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from neurosim.connectivity import Full
from neurosim.metrics import mean_interval
from neurosim.plasticity import PlasticProjection
from neurosim.plotting import label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from rules.inhibitory_stdp import InhibitorySTDP

EXCITATION, INHIBITION = "#D55E00", "#0072B2"
BLOCK = 2000

expected = {
    "rate_over_target": (1.0, "the fixed point of Vogels et al. (2011), within 5 %"),
    "tuning_correlation": (0.9, "at least: inhibition mirrors excitation, Vogels (2011), Fig. 1"),
}


@dataclass(frozen=True)
class Config:
    """A cell that integrates and fires, and its inputs.

    Parameters
    ----------
    duration, measured : float
        Length of the run, and of its last part in which the rate is measured [s].
    dt : float
        Step [s].
    target : float
        Rate to be reached [Hz].
    eta : float
        Learning rate of the inhibitory synapses [leak conductance a spike].
    n_channels, n_excitatory, n_inhibitory : int
        Signals, and cells of either kind that carry each of them.
    rate : float
        Mean rate of an input [Hz].
    correlation_time : float
        How long a signal lasts [s].
    tuning : float
        Width of the excitatory tuning curve [channels].
    seeds : tuple of int
        Runs.
    """

    duration: float = 200.0
    measured: float = 120.0
    dt: float = 5e-4
    target: float = 10.0
    eta: float = 0.001
    n_channels: int = 8
    n_excitatory: int = 20
    n_inhibitory: int = 25
    rate: float = 10.0
    correlation_time: float = 0.1
    tuning: float = 1.5
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)


@dataclass(frozen=True)
class Result:
    """What came of it.

    Parameters
    ----------
    config : Config
    rates : (n_seeds, n_seconds) float64 [Hz]
        Rate of the cell, second by second.
    excitation : (n_channels,) float64
        Mean excitatory weight a channel, times its cells [leak conductance].
    inhibition : (n_seeds, 2, n_channels) float64
        The same of inhibition, before and after.
    """

    config: Config
    rates: NDArray[np.float64]
    excitation: NDArray[np.float64]
    inhibition: NDArray[np.float64]

    def metrics(self) -> dict[str, float]:
        """Return the rate reached over its target, and how inhibition mirrors excitation."""
        late = self.rates[:, -int(self.config.measured) :].mean(axis=1) / self.config.target
        ratio = mean_interval(late)
        likeness = [np.corrcoef(self.excitation, each[1])[0, 1] for each in self.inhibition]
        return {
            "rate_over_target": ratio.mean,
            "rate_over_target_low": ratio.low,
            "rate_over_target_high": ratio.high,
            "rate_over_target_farthest": float(late[np.argmax(np.abs(late - 1))]),
            "rate_in_the_first_second": float(self.rates[:, 0].mean()),
            "tuning_correlation": float(np.mean(likeness)),
            "tuning_correlation_lowest": float(np.min(likeness)),
        }


def run(config: Config, rng: np.random.Generator, recorder: Recorder) -> Result:
    """Simulate the cell at every seed.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator
        Not used: each seed has a stream of its own.
    recorder : Recorder
    """
    channel = np.arange(config.n_channels)
    middle = (config.n_channels - 1) / 2 + 0.5
    shape = 0.3 + np.exp(-((channel - middle) ** 2) / (2 * config.tuning**2))
    weights = 0.14 * np.repeat(shape, config.n_excitatory)
    rates, inhibition = [], []
    for seed in config.seeds:
        draw = Streams(seed).generator("inhibitory_balance")
        projection = PlasticProjection(
            Full(config.n_channels * config.n_inhibitory, 1),
            InhibitorySTDP(eta=config.eta, target=config.target),
            0.004, (0.0, np.inf), config.dt,
        )  # fmt: skip
        before = _by_channel(projection.weights[:, 0], config)
        rates.append(simulate(config, weights, projection, draw))
        inhibition.append([before, _by_channel(projection.weights[:, 0], config)])
    excitation = shape * 0.14 * config.n_excitatory
    result = Result(config, np.array(rates), excitation, np.array(inhibition))
    recorder.store("rate", result.rates, "Hz", ("seed", "second"))
    recorder.store("excitation", excitation, "leak conductance", ("channel",))
    dims = ("seed", "time", "channel")
    recorder.store("inhibition", result.inhibition, "leak conductance", dims)
    return result


def simulate(
    config: Config,
    weights: NDArray[np.float64],
    projection: PlasticProjection,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Run the cell and its plastic inhibition; return its rate in each second.

    A conductance-based leaky integrate-and-fire cell (Vogels et al. 2011, supplement): membrane
    20 ms, rest -60 mV, threshold -50 mV, refractory 5 ms, reversal 0 and -80 mV, synapses 5 and
    10 ms.
    """
    dt, n = config.dt, config.n_channels
    n_steps = round(config.duration / dt)
    spikes = np.zeros(int(np.ceil(config.duration)))
    decay_e, decay_i = np.exp(-dt / 0.005), np.exp(-dt / 0.010)
    v, g_e, g_i, rest_until, post = -0.060, 0.0, 0.0, 0, np.zeros(1)
    inhibitory = projection.weights[:, 0]
    signal, keep = rng.normal(size=n), np.exp(-dt / config.correlation_time)
    for start in range(0, n_steps, BLOCK):
        size = min(BLOCK, n_steps - start)
        noise = rng.normal(size=(size, n)) * np.sqrt(1 - keep**2)
        rates = np.empty((size, n))
        for k in range(size):
            signal = keep * signal + noise[k]
            rates[k] = signal
        rates = config.rate * np.maximum(1 + rates, 0.0)
        fired_e = rng.random((size, n * config.n_excitatory)) < dt * np.repeat(
            rates, config.n_excitatory, axis=1
        )
        fired_i = rng.random((size, n * config.n_inhibitory)) < dt * np.repeat(
            rates, config.n_inhibitory, axis=1
        )
        input_e, pre = fired_e @ weights, fired_i.astype(np.float64)
        for k in range(size):
            g_e, g_i = g_e * decay_e + input_e[k], g_i * decay_i + pre[k] @ inhibitory
            total = 1 + g_e + g_i
            goal = (-0.060 - g_i * 0.080) / total
            v = goal + (v - goal) * np.exp(-dt * total / 0.020)
            post[0] = 0.0
            if start + k < rest_until:
                v = -0.060
            elif v > -0.050:
                v, post[0], rest_until = -0.060, 1.0, start + k + round(0.005 / dt)
                spikes[int((start + k) * dt)] += 1
            projection.learn(pre[k], post)
    return spikes


def _by_channel(weights: NDArray[np.float64], config: Config) -> NDArray[np.float64]:
    return weights.reshape(config.n_channels, config.n_inhibitory).sum(axis=1)


def plot(result: Result, axes: Axes) -> None:
    """Draw both tuning curves, before and after, and the rate over time in a corner."""
    channel = np.arange(1, len(result.excitation) + 1)
    scale = result.inhibition[:, 1].mean() / result.excitation.mean()
    axes.plot(
        channel, result.excitation * scale, "o-", color=EXCITATION, label="excitation (scaled)"
    )
    for time, line, words in ((0, ":", "before"), (1, "-", "after")):
        values = result.inhibition[:, time]
        said = f"inhibition {words}: mean and range over seeds"
        axes.plot(channel, values.mean(axis=0), f"s{line}", color=INHIBITION, label=said)
        axes.fill_between(
            channel, values.min(axis=0), values.max(axis=0), color=INHIBITION, alpha=0.2
        )
    label(axes.xaxis, "channel")
    label(axes.yaxis, "summed weight", "leak conductance")
    axes.set_ylim(0, 1.75 * result.inhibition.max())
    axes.legend(loc="upper left", fontsize=8)
    corner = axes.inset_axes((0.62, 0.68, 0.36, 0.3))
    corner.plot(result.rates.mean(axis=0), color="0.3", linewidth=1)
    target = f"target, {result.config.target:g} Hz"
    corner.axhline(result.config.target, color="black", linestyle="--", linewidth=1, label=target)
    corner.legend(fontsize=7, loc="upper right")
    corner.set_xlabel("time (s)", fontsize=7)
    corner.set_ylabel("rate (Hz)", fontsize=7)
    corner.tick_params(labelsize=7)
