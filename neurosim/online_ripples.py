"""Ripples detected while they happen: a causal filter, an envelope and a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal as filters

from neurosim.errors import ConfigError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class DetectorConfig:
    """How ripples are detected online.

    Parameters
    ----------
    low, high : float [Hz]
        The band.
    order : int
        Of the Butterworth filter; a higher one is sharper and slower.
    smoothing : float [s]
        Time constant of the envelope.
    threshold : float
        In standard deviations of the envelope above its mean, both in quiet.
    dead_time : float [s]
        After a detection there is none for so long.

    Raises
    ------
    ConfigError
        For a band out of order, or an order, width or threshold that is not positive.

    References
    ----------
    Girardeau et al. (2009) Nat. Neurosci. 12:1222 and Ego-Stengel & Wilson (2010) Hippocampus 20:1
    detected so, by thresholds on the filtered field; the values are ours.
    """

    low: float = 150.0
    high: float = 250.0
    order: int = 2
    smoothing: float = 4e-3
    threshold: float = 5.0
    dead_time: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ConfigError.expected(
                self, "low", f"frequencies above 0 Hz, low below high ({self.high:g} Hz)", self.low,
                "swap them",
            )  # fmt: skip
        for name in ("order", "smoothing", "threshold"):
            if not getattr(self, name) > 0:
                raise ConfigError.expected(
                    self, name, "a number above 0", getattr(self, name), "see the default"
                )
        if not self.dead_time >= 0:
            raise ConfigError.expected(
                self, "dead_time", "0 s or more", self.dead_time, "lengthen it"
            )


class OnlineDetector:
    """Detects ripples in a signal that comes in pieces, from the past alone.

    Pieces of any length give what the whole gives.

    Parameters
    ----------
    config : DetectorConfig
    sampling : float [Hz]
        More than twice the upper edge of the band.

    Attributes
    ----------
    envelope : float
        Of the band now, in standard deviations above the quiet mean; meaningful once `calibrate`
        has been called.
    """

    def __init__(self, config: DetectorConfig, sampling: float) -> None:
        if sampling <= 2 * config.high:
            raise ConfigError.expected(
                self, "sampling", f"more than {2 * config.high:g} Hz", sampling,
                "sample more often or lower the band",
            )  # fmt: skip
        self.config, self.sampling = config, sampling
        band = (config.low, config.high)
        self._sections = filters.butter(config.order, band, "bandpass", fs=sampling, output="sos")
        keep = float(np.exp(-1 / (config.smoothing * sampling)))
        self._smoother = np.array([1 - keep]), np.array([1.0, -keep])
        self._mean, self._deviation = 0.0, 1.0
        self.reset()

    def reset(self) -> None:
        """Forget the signal so far, not the calibration."""
        self._filter_state = np.zeros((len(self._sections), 2))
        self._smoother_state = np.zeros(1)
        self._quiet_from = 0  # Sample from which a detection counts again.
        self._n_seen = 0
        self.envelope = 0.0

    def calibrate(self, quiet: FloatArray, settled: float = 0.05) -> None:
        """Learn mean and deviation of the envelope from a stretch without ripples.

        Parameters
        ----------
        quiet : (n_samples,) float
        settled : float [s]
            At its beginning, while the filter settles, nothing is learnt.

        Raises
        ------
        ConfigError
            If the stretch is too short or constant.
        """
        self.reset()
        given = np.asarray(quiet, dtype=np.float64)
        envelope = self._envelope(given) if given.size else given  # SciPy filters no empty signal.
        envelope = envelope[round(settled * self.sampling) :]
        self.reset()
        if envelope.size < 2 or not envelope.std() > 0:
            raise ConfigError.expected(
                self, "quiet", f"a changing signal of more than {settled:g} s", len(quiet),
                "record longer",
            )  # fmt: skip
        self._mean, self._deviation = float(envelope.mean()), float(envelope.std())

    def feed(self, samples: FloatArray) -> list[int]:
        """Take the next samples; return at which of them a ripple is detected.

        Parameters
        ----------
        samples : (n_samples,) float
        """
        z = (self._envelope(np.asarray(samples, dtype=np.float64)) - self._mean) / self._deviation
        found = []
        for k in np.flatnonzero(z > self.config.threshold):
            if self._n_seen + k >= self._quiet_from:
                found.append(int(k))
                dead = round(self.config.dead_time * self.sampling)
                self._quiet_from = self._n_seen + int(k) + max(1, dead)
        self._n_seen += len(z)
        if len(z):
            self.envelope = float(z[-1])
        return found

    def _envelope(self, samples: FloatArray) -> FloatArray:
        inside, self._filter_state = filters.sosfilt(self._sections, samples, zi=self._filter_state)
        smooth, self._smoother_state = filters.lfilter(
            *self._smoother, np.abs(inside), zi=self._smoother_state
        )
        return np.asarray(smooth)
