"""Population rate: spikes of all cells counted in bins."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError
from neurosim.spikes import SpikeTrains


def population_rate(spikes: SpikeTrains, bin_width: float = 1e-3) -> NDArray[np.float64]:
    """Return the mean rate of the cells in bins of equal width.

    Parameters
    ----------
    spikes : SpikeTrains
    bin_width : float [s]
        The last bin is dropped if the run does not fill it.

    Returns
    -------
    (n_bins,) float64 [Hz]

    Raises
    ------
    ConfigError
        For a width that is not positive or longer than the run.
    """
    if not 0 < bin_width <= spikes.duration * (1 + 1e-9):
        raise ConfigError.expected(
            "population_rate", "bin_width", f"a width above 0 s, at most {spikes.duration:g} s",
            bin_width, "choose another",
        )  # fmt: skip
    n_bins = int(spikes.duration / bin_width * (1 + 1e-9) + 1e-6)
    # A spike on an edge, up to rounding, belongs to the bin that begins there.
    bins = ((spikes.times + 1e-6 * bin_width) / bin_width).astype(np.int64)
    counts = np.bincount(bins[bins < n_bins], minlength=n_bins)
    return counts / (spikes.n_units * bin_width)
