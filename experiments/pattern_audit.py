"""Whether a pattern that is stored, or decoded, is a training image: the nearest one, and how near.

A pattern is compared in its own space: a cell's weights with the parts of training images that its
lamella sees, in counts of a weight; a decoded sheet with the sheets of training images, in levels.

It is **verbatim** if there is a training image from which it differs nowhere by a whole count: a
pattern that one exposure writes is its image's part with each weight rounded up or down by
chance, so that this is what a copy looks like, and a smaller difference says nothing. It is
**of a single sample** if only one image was ever written into it (one win), or if it is verbatim of
just one training image. What many images share, such as an almost empty corner, tells none of them.

A mean of many images may lie beside one of them by chance. How often chance does that, images tell
that were never shown: `against_unseen`, as one asks whether a sample was a member of a training set
(Shokri, Stronati, Song & Shmatikov 2017, IEEE S&P; Carlini et al. 2022, IEEE S&P).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from circuits.entorhinal_sheet import WHITE
from circuits.lamellae import Lamellae

FloatArray = NDArray[np.float32]

BLOCK = 8192
"""Images compared at a time."""

NEAR = 2.0
"""Counts within which a cell is near an image: many more are than within one."""


class Audit(NamedTuple):
    """What was found for each pattern.

    Parameters
    ----------
    nearest : (n,) int64
        The nearest training image.
    distance : (n,) float64
        Euclidean, to that image.
    sharing : (n,) int64
        Images from which it differs nowhere by a whole count; 0 if it is no image's.
    """

    nearest: NDArray[np.int64]
    distance: NDArray[np.float64]
    sharing: NDArray[np.int64]

    @property
    def verbatim(self) -> NDArray[np.bool_]:
        """Which are some image's."""
        return self.sharing > 0

    @property
    def told(self) -> NDArray[np.bool_]:
        """Which are one image's, and no other's."""
        return self.sharing == 1


def audit(patterns: FloatArray, images: FloatArray, count: float = 1.0) -> Audit:
    """Return, for each pattern, the nearest image, its distance, and how many images share it.

    Parameters
    ----------
    patterns : (n, n_pre) float32
    images : (n_images, n_pre) float32
        In the same space.
    count : float
        What a whole count of a weight is in this space.
    """
    n = len(patterns)
    nearest = np.zeros(n, np.int64)
    least = np.full(n, np.inf)
    sharing = np.zeros(n, np.int64)
    # What differs nowhere by a count is no farther than this; rounding of the products aside.
    reach = patterns.shape[1] * count**2 * 1.001 + 1e-3
    for start in range(0, len(images), BLOCK):
        block = images[start : start + BLOCK]
        squares = _squares(patterns, block)
        best = squares.argmin(axis=1)
        # Products of large numbers hide small differences: the nearest is measured anew.
        found = np.square(patterns - block[best], dtype=np.float64).sum(axis=1)
        closer = found < least
        nearest[closer], least[closer] = start + best[closer], found[closer]
        for k in np.flatnonzero((squares < reach).any(axis=1)):
            near = block[squares[k] < reach]
            sharing[k] += (np.abs(near - patterns[k]) < count).all(axis=1).sum()
    return Audit(nearest, np.sqrt(least), sharing)


def holding(lamellae: Lamellae) -> NDArray[np.bool_]:
    """Return which cells are in use and not silent, ``(n_lamellae, n_classes, cells)``."""
    return (lamellae.wins > 0) & lamellae.weights.any(axis=3)


def audit_cells(lamellae: Lamellae, activity: FloatArray, lamella: int) -> tuple[Audit, FloatArray]:
    """Audit the cells of a lamella that hold anything against the parts of images that it sees.

    A silent cell, whose weights are all zero, holds nothing.

    Parameters
    ----------
    lamellae : Lamellae
    activity : (n_images, n_rows, n_columns, n_fields) float32
        Of all training images.
    lamella : int

    Returns
    -------
    Audit
        Of the cells in use that are not silent, by class and number.
    (n_images, n_pre) float32
        The parts, in counts.
    """
    weights = lamellae.weights[lamella][holding(lamellae)[lamella]].astype(np.float32)
    parts = lamellae.squares.part(activity, lamella)
    return audit(weights, parts), parts


def table(
    lamellae: Lamellae, activity: FloatArray, rng: np.random.Generator, n_others: int = 60
) -> dict[str, NDArray[np.float64]]:
    """Audit all cells, and say what it comes to.

    Parameters
    ----------
    lamellae : Lamellae
    activity : (n_images, n_rows, n_columns, n_fields) float32
        Of all training images.
    rng : numpy.random.Generator
        Chooses images whose distance to the nearest other is the measure.
    n_others : int
        Of them, a lamella.

    Returns
    -------
    dict of str to ndarray
        ``cells (n_units, 4)``: for each cell its wins, the nearest training image, the distance and
        the images that share it; NaN for a fresh one, and all but the wins for a silent one.
        ``cells_silent``, those in use that hold nothing. ``cells_verbatim``, those that are some
        image's, and of these ``cells_least_shared``, by how many images the least (NaN if there are
        none); ``cells_told``, those that are one image's; ``cells_single``, those of one win;
        ``cells_fewest_wins``. Of an empty memory
        ``cells`` alone. ``cells_distance`` and ``_least``: mean and least, over the mean
        distance of an image's part to that of the nearest other.
    """
    rows = np.full((*lamellae.wins.shape, 4), np.nan)
    others = []
    rows[lamellae.wins > 0, 0] = lamellae.wins[lamellae.wins > 0]
    for lamella, held in enumerate(holding(lamellae)):
        found, parts = audit_cells(lamellae, activity, lamella)
        rows[lamella][held, 1:] = np.stack([found.nearest, found.distance, found.sharing], axis=1)
        seen = parts[np.square(parts).sum(axis=1) > 0]  # An empty part is no image.
        others.append(nearest_other(seen, rng.permutation(len(seen))[:n_others]))
    cells = rows.reshape(-1, 4)
    used = cells[np.isfinite(cells[:, 0])]
    if not len(used):
        return {"cells": cells}
    shared = used[used[:, 3] > 0, 3]
    unit = np.concatenate(others).mean()
    numbers = {
        "cells_silent": np.isnan(used[:, 3]).sum(),
        "cells_verbatim": len(shared),
        "cells_least_shared": shared.min() if len(shared) else np.nan,
        "cells_told": (shared == 1).sum(),
        "cells_single": (used[:, 0] == 1).sum(),
        "cells_fewest_wins": used[:, 0].min(),
        "cells_distance": np.nanmean(used[:, 2]) / unit,
        "cells_distance_least": np.nanmin(used[:, 2]) / unit,
    }
    return {"cells": cells, **{name: np.array(float(v)) for name, v in numbers.items()}}


def against_unseen(
    lamellae: Lamellae, seen: FloatArray, unseen: FloatArray, rng: np.random.Generator
) -> dict[str, NDArray[np.float64]]:
    """Compare how near cells lie to images that were shown, and to as many that never were.

    Parameters
    ----------
    lamellae : Lamellae
    seen : (n_images, n_rows, n_columns, n_fields) float32
        Activity of all training images.
    unseen : (n_unseen, n_rows, n_columns, n_fields) float32
        Of images of the same classes that the memory has never met.
    rng : numpy.random.Generator
        Draws as many of the training images, if there are more.

    Returns
    -------
    dict of str to ndarray
        ``cells_verbatim_seen`` and ``_unseen``: cells that differ nowhere by a count from one of
        the images drawn; ``cells_near_seen`` and ``_unseen``: nowhere by `NEAR` counts.
        ``cells_nearer_seen``: the share of cells whose nearest image is one that was shown, a tie
        counted as half: 0.5 where nothing tells the two apart, 1 where each cell is a copy. Empty
        where no cell holds anything.
    """
    n = min(len(seen), len(unseen))
    both = [images[rng.permutation(len(images))[:n]] for images in (seen, unseen)]
    held = holding(lamellae)
    if not held.any():
        return {}
    counts = dict.fromkeys(("verbatim_seen", "near_seen", "verbatim_unseen", "near_unseen"), 0)
    nearer = []
    for lamella in np.flatnonzero(held.any(axis=(1, 2))):
        weights = lamellae.weights[lamella][held[lamella]].astype(np.float32)
        distances = []
        for which, images in zip(("seen", "unseen"), both, strict=True):
            parts = lamellae.squares.part(images, int(lamella))
            found = audit(weights, parts)
            counts[f"verbatim_{which}"] += int(found.verbatim.sum())
            counts[f"near_{which}"] += int(audit(weights, parts, NEAR).verbatim.sum())
            distances.append(found.distance)
        nearer.append(0.5 + 0.5 * np.sign(distances[1] - distances[0]))
    found_counts = {f"cells_{name}": np.array(float(value)) for name, value in counts.items()}
    return found_counts | {"cells_nearer_seen": np.array(np.concatenate(nearer).mean())}


def summary(name: str, found: Audit, unit: float) -> dict[str, NDArray[np.float64]]:
    """Return the numbers of decoded patterns: verbatim, one image's, and distance in units."""
    numbers = {
        "verbatim": found.verbatim.sum(),
        "told": found.told.sum(),
        "distance": found.distance.mean() / unit,
        "distance_least": found.distance.min() / unit,
    }
    return {f"{name}_{key}": np.array(float(value)) for key, value in numbers.items()}


def whole_count(lamellae: Lamellae) -> float:
    """Return what a count of a weight is on a sheet of levels."""
    return WHITE / lamellae.config.most


def nearest_other(images: FloatArray, which: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the distance of some images to the nearest but themselves, ``(n_which,)``."""
    least = np.full(len(which), np.inf)
    for start in range(0, len(images), BLOCK):
        squares = _squares(images[which], images[start : start + BLOCK])
        own = (which >= start) & (which < start + BLOCK)
        squares[np.flatnonzero(own), which[own] - start] = np.inf
        least = np.minimum(least, squares.min(axis=1))
    return np.sqrt(least)


def _squares(asked: FloatArray, images: FloatArray) -> FloatArray:
    squares = np.square(images).sum(axis=1)[None] - 2 * asked @ images.T
    return np.maximum(squares + np.square(asked).sum(axis=1)[:, None], 0)
