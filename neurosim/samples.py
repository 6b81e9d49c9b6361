"""Samples and targets, checked once before a network is shown them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import InputError, check_real

Array = NDArray[np.floating]


class Ends(Protocol):
    """What samples must fit of a network: its input, its output and its numbers.

    Attributes
    ----------
    dtype : numpy.dtype
        Of its weights and activities.
    """

    dtype: np.dtype[Any]

    @property
    def n_inputs(self) -> int:
        """Number of input units."""

    @property
    def n_outputs(self) -> int:
        """Number of output units."""


def check_inputs(network: Ends, x: ArrayLike) -> Array:
    """Return inputs as ``(n_samples, n_in)``, contiguous, of the network's dtype.

    Parameters
    ----------
    network : Ends
    x : (n_samples, n_in) or (n_in,) array-like
        A single sample becomes a batch of one. Converted once, where it must be.

    Raises
    ------
    InputError
        For what are no real numbers, another shape, an empty batch, or a value that is not finite
        (says where).
    """
    n_in = network.n_inputs
    values = _converted(network, "inputs", f"(n_samples, {n_in}) numbers", x)
    if values.ndim == 1:
        values = values[None, :]
    if values.ndim != 2 or values.shape[1] != n_in or len(values) == 0:
        raise InputError.expected(
            network, "inputs", f"(n_samples, {n_in}) values", np.shape(x),
            "reshape them, or give the network as many input units",
        )  # fmt: skip
    if not np.isfinite(values).all():
        sample, unit = np.argwhere(~np.isfinite(values))[0]
        raise InputError.expected(
            network, f"inputs[{sample}, {unit}]", "a finite number", float(values[sample, unit]),
            "mend or leave out the sample",
        )  # fmt: skip
    return values


def check_targets(network: Ends, y: ArrayLike, n_samples: int) -> Array:
    """Return targets as ``(n_samples, n_out)``: integer labels become one-hot.

    Parameters
    ----------
    network : Ends
    y : (n_samples,) int or (n_samples, n_out) float
        A single label or target vector becomes a batch of one.
    n_samples : int

    Raises
    ------
    InputError
        For what are no real numbers, a label outside the classes or of no integer type, another
        shape or number, or a value that is not finite.
    """
    n_out = network.n_outputs
    what = f"{n_samples} labels or ({n_samples}, {n_out}) values"
    values = _real(network, "targets", what, y)
    if np.issubdtype(values.dtype, np.integer) and values.ndim <= 1 and n_out > 1:
        labels = np.atleast_1d(values)
        if labels.shape != (n_samples,):
            raise _wrong_number(network, n_samples, np.shape(y))
        wrong = (labels < 0) | (labels >= n_out)
        if wrong.any():
            where = int(np.flatnonzero(wrong)[0])
            raise InputError.expected(
                network, f"labels[{where}]", f"a class from 0 to {n_out - 1}", int(labels[where]),
                "renumber the classes, or give the network more outputs",
            )  # fmt: skip
        targets = np.zeros((n_samples, n_out), dtype=network.dtype)
        targets[np.arange(n_samples), labels] = 1
        return targets
    targets = _converted(network, "targets", what, y)
    if targets.ndim <= 1 and targets.size == n_samples * n_out:
        targets = targets.reshape(n_samples, n_out)
    if targets.shape == (n_samples,):
        raise _no_labels(network, targets, values.dtype)
    if targets.shape != (n_samples, n_out):
        raise _wrong_number(network, n_samples, np.shape(y))
    if not np.isfinite(targets).all():
        sample, unit = np.argwhere(~np.isfinite(targets))[0]
        raise InputError.expected(
            network, f"targets[{sample}, {unit}]", "a finite number",
            float(targets[sample, unit]), "mend or leave out the sample",
        )  # fmt: skip
    return targets


def _real(network: Ends, name: str, what: str, x: ArrayLike) -> NDArray:
    """Return the array that was meant; refuse what is none, and what has an imaginary part."""
    try:
        values = np.asarray(x)
    except (TypeError, ValueError):
        raise _no_numbers(network, name, what, x) from None
    check_real(network, name, values)
    return values


def _converted(network: Ends, name: str, what: str, x: ArrayLike) -> Array:
    """Return numbers as the network needs them; not copied where they are so already."""
    values = _real(network, name, what, x)
    try:
        with np.errstate(over="ignore"):  # What float32 cannot hold is named as not finite.
            return np.ascontiguousarray(values, dtype=network.dtype)
    except (TypeError, ValueError, OverflowError):
        raise _no_numbers(network, name, what, x) from None


def _no_numbers(network: Ends, name: str, what: str, got: object) -> InputError:
    return InputError.expected(
        network, name, what, type(got).__name__ + " of others",
        "make all rows equally long, and numbers of words",
    )  # fmt: skip


def _no_labels(network: Ends, labels: Array, dtype: np.dtype) -> InputError:
    """Build the error of labels that are no integers, such as those of a table with a gap."""
    classes = f"a class from 0 to {network.n_outputs - 1}"
    gaps = np.flatnonzero(~np.isfinite(labels))
    if len(gaps):
        return InputError.expected(
            network, f"labels[{gaps[0]}]", classes, float(labels[gaps[0]]),
            "mend or leave out the sample",
        )  # fmt: skip
    return InputError.expected(
        network, "labels", f"{classes}, as an integer", dtype, "write labels.astype(int)"
    )


def _wrong_number(network: Ends, n_samples: int, got: Any) -> InputError:
    n_out = network.n_outputs
    return InputError.expected(
        network, "targets", f"{n_samples} labels or ({n_samples}, {n_out}) values", got,
        "give one target for each sample",
    )  # fmt: skip
