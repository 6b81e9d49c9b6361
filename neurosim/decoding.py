"""Bayesian decoding of position from spikes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError
from neurosim.sharp_waves import Event
from neurosim.spikes import SpikeTrains

FloatArray = NDArray[np.float64]

FLOOR = 0.1
"""Rate [Hz] below which no cell is believed to fall, so that one stray spike excludes no place."""


def spike_counts(
    spikes: SpikeTrains, event: Event, bin_width: float
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Count the spikes of an event.

    Parameters
    ----------
    spikes : SpikeTrains
    event : Event
    bin_width : float [s]
        As many whole bins as fit, from the start on.

    Returns
    -------
    (n_bins, n_active) float64, (n_active,) int64
        Counts, and which cells they are of: those that fire at all.

    Raises
    ------
    ConfigError
        For a bin that is not positive, or longer than the event.
    """
    if not 0 < bin_width <= event.length * (1 + 1e-9):
        raise ConfigError.expected(
            "spike_counts", "bin_width", f"a width above 0 s, at most {event.length:g} s",
            bin_width, "choose another",
        )  # fmt: skip
    n_bins = int(event.length / bin_width + 1e-6)
    edges = np.searchsorted(
        spikes.times, event.start + bin_width * np.arange(n_bins + 1) - 1e-6 * bin_width
    )
    cells = spikes.cells[edges[0] : edges[-1]]
    active, column = np.unique(cells, return_inverse=True)
    counts = np.zeros((n_bins, active.size))
    np.add.at(counts, (np.repeat(np.arange(n_bins), np.diff(edges)), column), 1.0)
    return counts, active


def posterior(
    counts: FloatArray, tuning: ArrayLike, total: ArrayLike, bin_width: float
) -> FloatArray:
    """Return the probability of each position given the spikes of a bin, prior equal.

    ``P(x | n) ~ prod_i f_i(x)^n_i exp(-dt sum_i f_i(x))`` with independent Poisson cells.

    Parameters
    ----------
    counts : (n_bins, n_active) float
    tuning : (n_active, n_positions) array-like [Hz]
        Rates of the cells that fired; see `FLOOR`.
    total : (n_positions,) array-like [Hz]
        Summed rate of all cells, those that were silent too.
    bin_width : float [s]

    Returns
    -------
    (n_bins, n_positions) float64
        Rows sum to 1; NaN in a bin without spikes, which says nothing.

    References
    ----------
    Zhang, Ginzburg, McNaughton & Sejnowski (1998) J. Neurophysiol. 79:1017, equation 36; Davidson,
    Kloosterman & Wilson (2009) Neuron 63:497.
    """
    rates = np.maximum(np.asarray(tuning, dtype=np.float64), FLOOR)
    log_p = counts @ np.log(rates) - bin_width * np.asarray(total, dtype=np.float64)
    log_p -= log_p.max(axis=1, keepdims=True)
    p = np.exp(log_p)
    p /= p.sum(axis=1, keepdims=True)
    p[counts.sum(axis=1) == 0] = np.nan
    return p


def decode(
    spikes: SpikeTrains, tuning: ArrayLike, event: Event, bin_width: float = 0.01
) -> FloatArray:
    """Decode the position in each bin of an event.

    Parameters
    ----------
    spikes : SpikeTrains
    tuning : (n_units, n_positions) array-like [Hz]
    event : Event
    bin_width : float [s]

    Returns
    -------
    (n_bins, n_positions) float64
        See `posterior`.

    Raises
    ------
    ConfigError
        For tuning curves of other cells than the spikes.
    """
    fields = np.asarray(tuning, dtype=np.float64)
    if fields.ndim != 2 or fields.shape[0] != spikes.n_units:
        raise ConfigError.expected(
            "decode", "tuning", f"a row for each of {spikes.n_units} cells", fields.shape,
            "give the field of every cell",
        )  # fmt: skip
    counts, active = spike_counts(spikes, event, bin_width)
    return posterior(counts, fields[active], fields.sum(axis=0), bin_width)
