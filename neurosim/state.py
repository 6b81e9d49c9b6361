"""What a network or circuit saves: named arrays, all of which are checked before any is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import CorruptFileError, InputError

Arrays = Mapping[str, NDArray[Any]]


def take_over(owner: object, own: Arrays, state: Arrays) -> None:
    """Copy a saved state into the arrays of the same names, or, where one does not fit, none.

    Parameters
    ----------
    owner : object
        Whose arrays they are.
    own : mapping of str to ndarray
        Written into; arrays of other names in `state` are left out.
    state : mapping of str to ndarray

    Raises
    ------
    InputError
        See `check_shapes`.
    """
    check_shapes(owner, own, state)
    for name, array in own.items():
        array[...] = state[name]


def check_shapes(owner: object, own: Arrays, state: Arrays) -> None:
    """Refuse a state that lacks an array of `own`, or has one of another shape.

    Raises
    ------
    InputError
        Naming the first array that does not fit.
    """
    for name, array in own.items():
        shape = np.shape(state[name]) if name in state else None
        if shape != array.shape:
            raise InputError.expected(
                owner, name, f"an array of shape {array.shape}", shape,
                "restore a state of the same configuration",
            )  # fmt: skip


def check_arrays(owner: object, own: Arrays, state: Arrays) -> None:
    """Refuse a state that lacks an array of `own`, or has one of another shape or type.

    Raises
    ------
    CorruptFileError
        Naming the first array that does not fit.
    """
    for name, array in own.items():
        got = state.get(name)
        if got is None or got.shape != array.shape or got.dtype != array.dtype:
            raise CorruptFileError.expected(
                owner,
                name,
                f"{array.dtype} {array.shape}",
                "none" if got is None else f"{got.dtype} {got.shape}",
                "load it into the circuit that wrote it",
            )
