"""Images with the statistics of natural scenes, made on the spot: dead leaves, and a retina."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError

FloatArray = NDArray[np.float64]


def dead_leaves(
    size: int, rng: np.random.Generator, smallest: float = 2.0, largest: float = 60.0
) -> FloatArray:
    """Cover a square with discs that hide each other, as leaves on the ground do.

    Radii follow ``p(r) ~ r^-3`` between the limits, which makes the image scale invariant: its
    spectrum falls as in photographs, and it has edges of every direction.

    Parameters
    ----------
    size : int [pixels]
        Side of the image.
    rng : numpy.random.Generator
    smallest, largest : float [pixels]
        Limits of the radii.

    Returns
    -------
    (size, size) float64
        Luminance, 0..1.

    Raises
    ------
    ConfigError
        For an image of less than 8 pixels, or a smallest leaf that is not below the largest.

    References
    ----------
    Lee, Mumford & Huang (2001), Int. J. Comput. Vision 41, 35-59.
    """
    if size < 8 or not 0 < smallest < largest:
        raise ConfigError.expected(
            "dead_leaves", "size", "8 pixels or more and smallest < largest",
            (size, smallest, largest), "enlarge the image",
        )  # fmt: skip
    image = np.full((size, size), np.nan)
    empty = image.size
    while empty:
        n = 500
        u = rng.random(n)
        radii = 1 / np.sqrt(u / largest**2 + (1 - u) / smallest**2)
        centres = rng.random((n, 2)) * (size + 2 * largest) - largest
        for radius, (y, x), grey in zip(radii, centres, rng.random(n), strict=True):
            rows = slice(max(0, int(y - radius)), max(0, int(y + radius) + 2))
            columns = slice(max(0, int(x - radius)), max(0, int(x + radius) + 2))
            part = image[rows, columns]  # Earlier leaves lie on top.
            if not part.size:
                continue
            i = np.arange(rows.start, rows.start + part.shape[0])[:, None] - y
            j = np.arange(columns.start, columns.start + part.shape[1]) - x
            part[np.isnan(part) & (i * i + j * j <= radius * radius)] = grey
        empty = int(np.isnan(image).sum())
    return image


def retina(image: FloatArray) -> FloatArray:
    """Filter an image as the retina does: lift the fine, down to where noise would win.

    The amplitude of each frequency f is multiplied by ``f exp(-(f / f0)^4)``, f0 = 0.4 cycles a
    pixel, which flattens the spectrum of a natural image; then variance 1.

    Parameters
    ----------
    image : (n, m) float64

    References
    ----------
    Olshausen & Field (1997), Vision Res. 37, 3311-3325, sec. 2 (whitening and low-pass filter).
    """
    f = np.hypot(np.fft.fftfreq(image.shape[0])[:, None], np.fft.rfftfreq(image.shape[1])[None, :])
    flat = np.fft.irfft2(np.fft.rfft2(image) * f * np.exp(-((f / 0.4) ** 4)), image.shape)
    return flat / flat.std()


def patches(images: list[FloatArray], side: int, n: int, rng: np.random.Generator) -> FloatArray:
    """Cut `n` square patches, ``(n, side * side)``, out of images of one size.

    Each patch has mean 0.
    """
    stack = np.stack(images)
    which = rng.integers(len(stack), size=n)
    rows, columns = (
        rng.integers(extent - side + 1, size=n)[:, None] + np.arange(side)
        for extent in stack.shape[1:]
    )
    cut = stack[which[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(n, -1)
    return cut - cut.mean(axis=1, keepdims=True)


def orientation_selectivity(fields: FloatArray, side: int) -> FloatArray:
    """Measure how much each field prefers one direction of a grating: 0 none, 1 only one.

    ``|sum over theta of R(theta) exp(2 i theta)| / sum over theta of R(theta)``, R the amplitude of
    the response to a drifting sine grating at the field's best spatial frequency.

    Parameters
    ----------
    fields : (n, side * side) float64
    side : int [pixels]

    References
    ----------
    Ringach, Shapley & Hawken (2002), J. Neurosci. 22, 5639-5651 (1 - circular variance).
    """
    theta = np.arange(24) * np.pi / 24
    cycles = np.arange(0.5, side / 2.5, 0.25) / side
    y, x = np.mgrid[:side, :side].reshape(2, -1)
    across = np.cos(theta)[:, None] * x + np.sin(theta)[:, None] * y
    waves = np.exp(2j * np.pi * cycles[:, None, None] * across)
    response = np.abs(np.einsum("np,ftp->nft", fields, waves))
    best = response.max(axis=2).argmax(axis=1)
    tuning = response[np.arange(len(fields)), best]
    return np.abs(tuning @ np.exp(2j * theta)) / tuning.sum(axis=1)
