"""An image and its class as an item of a cortex, and the glimpses that a cortex catches of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import InputError, check_real

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

UNKNOWN = -1
"""A pixel that is covered, or a class that nobody has told."""

WHITE = 255


def read(
    items: Sequence[Sequence[int]], n_pixels: int, dtype: np.dtype[Any]
) -> tuple[Array, Mask, NDArray[np.intp]]:
    """Return images, which pixels are known, and classes of items.

    Parameters
    ----------
    items : (n,) sequences of int
    n_pixels : int
        Of an image.
    dtype : numpy.dtype
        Of the images.

    Returns
    -------
    images : (n, n_pixels) dtype
        Grey, 0..1; 0 where it is not known.
    seen : (n, n_pixels) bool
    labels : (n,) int
        `UNKNOWN` where nobody tells.

    Raises
    ------
    InputError
        For an item that is too long, or for what is no grey level.
    """
    lengths = {len(item) if isinstance(item, bytes) else -1 for item in items}
    if len(lengths) == 1 and 0 < min(lengths) <= n_pixels + 1:
        return _read_bytes(items, n_pixels, dtype)  # type: ignore[arg-type]
    full = np.full((len(items), n_pixels + 1), UNKNOWN, dtype=np.int64)
    for row, item in zip(full, items, strict=True):
        if len(item) > len(row):
            raise InputError.expected(
                "PredictiveCortex", "items", f"at most {n_pixels} pixels and a class", len(item),
                "shorten it",
            )  # fmt: skip
        row[: len(item)] = list(item)
    pixels, labels = full[:, :-1], full[:, -1]
    wrong = (pixels < UNKNOWN) | (pixels > WHITE)
    if wrong.any():
        raise InputError.expected(
            "PredictiveCortex", "items", f"grey levels 0..{WHITE}, or {UNKNOWN}",
            int(pixels[wrong][0]), "scale the image",
        )  # fmt: skip
    seen = pixels != UNKNOWN
    images = (np.where(seen, pixels, 0) / WHITE).astype(dtype)
    return images, seen, labels


def checked(images: Array, n_pixels: int, dtype: np.dtype[Any]) -> Array:
    """Return images as ``(n, n_pixels)`` of a type, C-contiguous; one alone as a batch of one.

    Raises
    ------
    InputError
        For images of another size, none, or values that are no finite real numbers.
    """
    check_real("PredictiveCortex", "images", np.asarray(images))
    values = np.ascontiguousarray(images, dtype=dtype)
    values = values[None] if values.ndim == 1 else values
    if values.ndim != 2 or values.shape[1] != n_pixels or not len(values):
        raise InputError.expected(
            "PredictiveCortex", "images", f"(n, {n_pixels}) values", np.shape(images),
            "reshape them, or give the network as many input units",
        )  # fmt: skip
    if not np.isfinite(values).all():
        sample, pixel = np.argwhere(~np.isfinite(values))[0]
        raise InputError.expected(
            "PredictiveCortex", f"images[{sample}, {pixel}]", "a finite number",
            float(values[sample, pixel]), "mend or leave out the image",
        )  # fmt: skip
    return values


def written(images: Array, labels: NDArray[np.integer]) -> list[bytes]:
    """Return items as bytes, of images ``(n, n_pixels)`` 0..1 and their classes."""
    grey = np.rint(np.clip(images, 0, 1) * WHITE)
    full = np.column_stack([grey, labels]).astype(np.uint8)
    return [row.tobytes() for row in full]


def glimpses(n: int, n_pixels: int, share: float, rng: np.random.Generator) -> Mask:
    """Return masks ``(n, n_pixels)`` of images seen in part: a straight edge covers the rest.

    The edge lies in the middle; the covered half is on any of the four sides. An image that is
    no square is covered pixel by pixel.

    Parameters
    ----------
    n, n_pixels : int
    share : float
        Of the images that are covered, 0 to 1.
    rng : numpy.random.Generator
    """
    whole = rng.random(n) >= share
    side = math.isqrt(n_pixels)
    if side * side != n_pixels:
        seen = rng.random((n, n_pixels)) < 0.5
    else:
        edge = np.full((n, 1), side // 2)
        across = rng.integers(2, size=n).astype(bool)[:, None]
        flipped = rng.integers(2, size=n).astype(bool)[:, None]
        row, column = np.divmod(np.arange(n_pixels), side)
        seen = (np.where(across, row, column) < edge) ^ flipped
    seen[whole] = True
    return seen


def _read_bytes(
    items: Sequence[bytes], n_pixels: int, dtype: np.dtype[Any]
) -> tuple[Array, Mask, NDArray[np.intp]]:
    """Read items of one length, without looking at each number."""
    given = np.frombuffer(b"".join(items), np.uint8).reshape(len(items), -1)
    shape = (len(items), n_pixels)
    labels = np.full(len(items), UNKNOWN, np.intp)
    if given.shape[1] > n_pixels:
        given, labels = given[:, :-1], given[:, -1].astype(np.intp)
    images, seen = np.zeros(shape, dtype), np.zeros(shape, np.bool_)
    images[:, : given.shape[1]] = given
    images /= dtype.type(WHITE)
    seen[:, : given.shape[1]] = True
    return images, seen, labels
