"""Ripples: power of a signal in the ripple band, and whether its peak stands out from 1/f."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal as filters
from scipy import special, stats

from neurosim.errors import ConfigError
from neurosim.sharp_waves import Event

FloatArray = NDArray[np.float64]

BAND = (150.0, 220.0)
"""The ripple band [Hz] of Ecker et al. (2022)."""

SEARCH = (100.0, 300.0)
"""Where the peak is looked for [Hz]: wider than the band, so that a peak beside it is seen."""

BACKGROUND = (20.0, 400.0)
"""Frequencies [Hz] to which 1/f is fitted, without those of `SEARCH`."""


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Mean spectrum of a signal in events, and what its peak is worth.

    Parameters
    ----------
    frequencies, power : (n,) float64 [Hz], [unit^2/Hz]
    background : (n,) float64
        ``exp(a) f^-b``, fitted outside of the ripples.
    peak : float [Hz]
        Where power over background is largest between 100 and 300 Hz, between two frequencies by
        a parabola.
    p : float
        Chance that noise with the spectrum of the background has a peak as large anywhere there.
    share : float
        Of the power above 0 Hz that lies within the ripple band.
    n_segments : int
    """

    frequencies: FloatArray
    power: FloatArray
    background: FloatArray
    peak: float
    p: float
    share: float
    n_segments: int


def ripple_spectrum(
    signal: NDArray[np.floating],
    sampling: float,
    events: Sequence[Event],
    segment: float = 0.128,
) -> Spectrum | None:
    """Take the spectrum of a signal within events and hold its peak against 1/f.

    Each event gives as many segments as fit into it side by side, at least one in its middle. The
    mean of K periodograms of noise is ``chi2(2 K) / 2 K`` times its spectrum; p is corrected for
    the number of frequencies looked at (Bonferroni).

    Parameters
    ----------
    signal : (n_samples,) float
        Such as a population rate or a field.
    sampling : float [Hz]
        At least 1,000.
    events : sequence of Event
    segment : float [s]

    Returns
    -------
    Spectrum or None
        None without an event, or if the signal is constant in them.

    Raises
    ------
    ConfigError
        For a signal sampled too rarely to hold the background band.

    References
    ----------
    Percival & Walden (1993) Spectral Analysis for Physical Applications, chapter 6 (distribution
    of a periodogram).
    """
    if sampling < 2 * BACKGROUND[1]:
        raise ConfigError.expected(
            "ripple_spectrum", "sampling", f"at least {2 * BACKGROUND[1]:g} Hz", sampling,
            "count spikes in bins of 1 ms",
        )  # fmt: skip
    length = round(segment * sampling)
    pieces = _pieces(np.asarray(signal, dtype=np.float64), sampling, events, length)
    if not len(pieces) or not np.ptp(pieces, axis=1).any():
        return None
    frequencies, powers = filters.periodogram(pieces, sampling, "hann", detrend="linear")
    power = powers.mean(axis=0)
    background, error = _one_over_f(frequencies, power, len(pieces))
    looked_at = (frequencies >= SEARCH[0]) & (frequencies <= SEARCH[1])
    ratio = np.where(looked_at, power / background, 0.0)
    best = int(ratio.argmax())
    p = min(1.0, _tail(ratio[best], error[best], len(pieces)) * int(looked_at.sum()))
    inside = (frequencies >= BAND[0]) & (frequencies <= BAND[1])
    share = float(power[inside].sum() / power[1:].sum())
    peak = _between(frequencies, ratio, best)
    return Spectrum(frequencies, power, background, peak, p, share, len(pieces))


def ripple_envelope(
    signal: NDArray[np.floating], sampling: float, band: tuple[float, float] = BAND
) -> FloatArray:
    """Return the amplitude of a signal within a band, by the analytic signal.

    Parameters
    ----------
    signal : (n_samples,) float
    sampling : float [Hz]
    band : (float, float) [Hz]

    Returns
    -------
    (n_samples,) float64
        In the unit of the signal.
    """
    sections = filters.butter(3, band, "bandpass", fs=sampling, output="sos")
    inside = filters.sosfiltfilt(sections, np.asarray(signal, dtype=np.float64))
    return np.abs(filters.hilbert(inside))


def ripple_events(
    signal: NDArray[np.floating],
    sampling: float,
    threshold: float = 3.0,
    border: float = 1.0,
    shortest: float = 0.02,
    band: tuple[float, float] = BAND,
) -> tuple[Event, ...]:
    """Find ripples as recordings are searched: by the envelope in the band.

    An event reaches as far as the envelope stays above its mean by `border` standard deviations,
    and counts if it exceeds `threshold` of them somewhere.

    Parameters
    ----------
    signal : (n_samples,) float
    sampling : float [Hz]
    threshold, border : float
        In standard deviations of the envelope.
    shortest : float [s]
    band : (float, float) [Hz]

    Returns
    -------
    tuple of Event
        Empty if there is none, as in a constant signal.

    References
    ----------
    Csicsvari, Hirase, Czurko, Mamiya & Buzsaki (1999) J. Neurosci. 19:274.
    """
    values = np.asarray(signal, dtype=np.float64)
    if values.size < 30 or not np.ptp(values):
        return ()
    envelope = ripple_envelope(values, sampling, band)
    z = (envelope - envelope.mean()) / envelope.std()
    high = np.concatenate([[0], (z > border).astype(np.int8), [0]])
    edges = np.flatnonzero(np.diff(high))
    return tuple(
        Event(float(a / sampling), float(b / sampling))
        for a, b in zip(edges[::2], edges[1::2], strict=True)
        if z[a:b].max() > threshold and (b - a) / sampling >= shortest
    )


def _pieces(
    signal: FloatArray, sampling: float, events: Sequence[Event], length: int
) -> FloatArray:
    starts: list[int] = []
    for event in events:
        n = max(1, int(event.length * sampling) // length)
        first = round(event.middle * sampling - n * length / 2)
        starts += [first + k * length for k in range(n)]
    inside = [start for start in starts if start >= 0 and start + length <= signal.size]
    return np.array([signal[start : start + length] for start in inside]).reshape(-1, length)


def _between(frequencies: FloatArray, ratio: FloatArray, best: int) -> float:
    """Return the top of the parabola through the logarithm of a peak and its neighbours."""
    around = ratio[best - 1 : best + 2]
    if around.size < 3 or (around <= 0).any():
        return float(frequencies[best])
    below, top, above = np.log(around)
    bend = below - 2 * top + above
    shift = 0.5 * (below - above) / bend if bend < 0 else 0.0
    return float(frequencies[best] + shift * (frequencies[1] - frequencies[0]))


def _one_over_f(
    frequencies: FloatArray, power: FloatArray, n_segments: int
) -> tuple[FloatArray, FloatArray]:
    """Fit ``log P = a - b log f`` outside of the ripples.

    The logarithm of a mean of K periodograms has the mean ``log P + psi(K) - log K`` and the
    variance ``psi'(K)``; returned are the fit, freed from that bias, and its standard error.
    """
    outside = (frequencies >= BACKGROUND[0]) & (frequencies <= BACKGROUND[1])
    outside &= (frequencies < SEARCH[0]) | (frequencies > SEARCH[1])
    outside &= power > 0
    design = np.column_stack([np.ones(frequencies.size), np.log(np.maximum(frequencies, 1.0))])
    inverse = np.linalg.inv(design[outside].T @ design[outside])
    line = inverse @ design[outside].T @ np.log(power[outside])
    bias = float(special.digamma(n_segments)) - math.log(n_segments)
    spread = float(special.polygamma(1, n_segments))
    # A window correlates neighbouring frequencies: about 1.5 of them tell as much as one.
    error = np.sqrt(1.5 * spread * np.einsum("ij,jk,ik->i", design, inverse, design))
    return np.maximum(np.exp(design @ line - bias), np.finfo(float).tiny), error


def _tail(ratio: float, error: float, n_segments: int) -> float:
    """Return the chance of such a ratio, over what the background may be as well."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(15)
    tails = stats.chi2.sf(2 * n_segments * ratio * np.exp(-error * nodes), 2 * n_segments)
    return float(weights @ tails / weights.sum())
