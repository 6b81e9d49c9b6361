"""What a learner of streams may be shown: images and labels, checked at its door."""

from __future__ import annotations

from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from neurosim.continual_learner import Shape
from neurosim.errors import InputError
from neurosim.streams import Batch

Array = NDArray[np.float32]

_FLOAT, _BITS = np.dtype(np.float32), np.dtype(np.uint32)

_ONE = 0x3F800000
"""1.0 in the bits of float32, which for numbers of 0 or more are in the order of the numbers."""


def checked_batch(batch: Batch, shape: Shape) -> Batch:
    """Return a batch that a learner of this shape can learn from.

    The same arrays if they are as `Batch` says, which costs a few microseconds; float64 and strided
    images are converted once.

    Parameters
    ----------
    batch : Batch
    shape : Shape

    Raises
    ------
    InputError
        For a batch without an image, images as of `checked_images`, and labels that are not one an
        image or name no output; says which.
    """
    x, y = batch.x, batch.y
    # What a stream gives passes here, so that learners of a few microseconds can afford it.
    if isinstance(y, np.ndarray) and y.dtype.kind == "i" and _is_fit(x, shape):
        outputs = y.tolist()
        if y.shape == x.shape[:1] and min(outputs) >= 0 and max(outputs) < shape.n_outputs:
            return batch
    x, y = checked_images(x, shape), np.asarray(y)
    if y.shape != x.shape[:1] or not len(y) or y.dtype.kind not in "iu":
        raise InputError.expected(
            "Batch", "y", f"{max(len(x), 1)} integers, the output of each image",
            f"{y.dtype} {y.shape}", "give one label an image, and one image or more",
        )  # fmt: skip
    labels = y.tolist()
    if min(labels) < 0 or max(labels) >= shape.n_outputs:
        row = int(np.argmax((y < 0) | (y >= shape.n_outputs)))
        raise InputError.expected(
            "Batch", f"y[{row}]", f"an output from 0 to {shape.n_outputs - 1}", labels[row],
            "number the classes from 0, or give the learner more outputs",
        )  # fmt: skip
    return Batch(x, y, batch.task)


def checked_images(x: NDArray[np.floating], shape: Shape) -> Array:
    """Return images that a learner of this shape can look at, none or more.

    Parameters
    ----------
    x : (n, n_inputs) float
        Grey values, 0..1.
    shape : Shape

    Raises
    ------
    InputError
        For images of another size or type, and for a pixel that is no number of 0..1; says which.
    """
    if _is_fit(x, shape):
        return x
    images = np.asarray(x)
    if images.ndim != 2 or images.shape[1] != shape.n_inputs or images.dtype.kind != "f":
        rows, columns = shape.image_shape
        raise InputError.expected(
            "Batch", "x", f"(n, {shape.n_inputs}) pixels, floats of 0 to 1, of {rows} x {columns} "
            "images", f"{images.dtype} {images.shape}",
            "cut or scale the images, and divide grey levels by the largest",
        )  # fmt: skip
    wrong = ~((images >= 0) & (images <= 1))
    if wrong.any():
        row, pixel = (int(k) for k in np.argwhere(wrong)[0])
        raise InputError.expected(
            "Batch", f"x[{row}, {pixel}]", "a grey value from 0 to 1",
            float(images[row, pixel]), "mend or leave out the image",
        )  # fmt: skip
    return np.ascontiguousarray(images, dtype=np.float32)


def _is_fit(x: NDArray[np.floating], shape: Shape) -> TypeGuard[Array]:
    """Return whether these are images as they should be, at the cost of one look at their bits.

    What is negative, above 1, infinite or no number has larger bits than 1.
    """
    if not (
        isinstance(x, np.ndarray)
        and x.dtype is _FLOAT
        and x.ndim == 2
        and x.shape[1] == shape.n_inputs
        and x.flags.c_contiguous
        and len(x)
    ):
        return False
    bits = x.ravel().view(_BITS)
    return bool(bits[bits.argmax()] <= _ONE)
