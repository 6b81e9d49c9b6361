"""The entorhinal sheet: complex cells in grey levels, as the gyrus and the cortex both get them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from circuits.feature_maps import FeatureMaps
from circuits.lamellae_config import QUIET

FloatArray = NDArray[np.float32]
Levels = NDArray[np.uint8]

WHITE = 255
"""The highest level."""

LARGEST = 0.35
"""Normalised activity that is given the highest level; what is above is cut off."""


class EntorhinalSheet:
    """Complex cells, each divided by the activity around it.

    ``v = mean over the squares s that hold the cell of x / (|x_s| + QUIET)``: divisive
    normalisation by pools that overlap, those by which the lamellae of the dentate gyrus are
    driven. So what CA3 brings back by night has the form of what the eyes bring by day, and a
    cortex that has been taught by the one can name the other. Nothing here learns.

    Parameters
    ----------
    maps : FeatureMaps
    extent, stride : int [columns of the sheet]
        Side of a pool, and from one to the next; those of the lamellae.

    References
    ----------
    Carandini & Heeger (2012) Nat. Rev. Neurosci. 13:51 (normalisation).
    """

    def __init__(self, maps: FeatureMaps, extent: int, stride: int) -> None:
        self.maps = maps
        rows, columns = (range(0, n - extent + 1, stride) for n in maps.grid)
        self._squares = [
            np.s_[:, row : row + extent, column : column + extent]
            for row in rows
            for column in columns
        ]
        self._shared = np.zeros((1, *maps.grid, 1), np.float32)
        for square in self._squares:
            self._shared[square] += 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and fields."""
        return (self.maps.grid[0], self.maps.grid[1], self.maps.config.n_fields)

    @property
    def n_cells(self) -> int:
        """Cells of the sheet."""
        return self.maps.n_features

    def encode(self, images: FloatArray) -> Levels:
        """Return the levels of the sheet, ``(n, n_cells)``.

        Parameters
        ----------
        images : (n, n_rows * n_columns) float32
            0..1.
        """
        x = self.maps.encode(images)
        energy = np.square(x).sum(axis=3, keepdims=True)
        gain = np.zeros_like(energy)
        for square in self._squares:
            norm = np.sqrt(energy[square].sum(axis=(1, 2), keepdims=True))
            gain[square] += 1 / (norm + np.float32(QUIET))
        gain *= np.float32(WHITE / LARGEST) / np.maximum(self._shared, 1)
        return as_levels(x * gain)


def as_levels(values: FloatArray) -> Levels:
    """Return values of 0..255 as whole levels, a row a sheet."""
    flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
    levels: Levels = np.rint(np.clip(flat, 0, WHITE)).astype(np.uint8)
    return levels
