"""Transmission: what active cells send over a wiring, whatever its synapses weigh."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import kernels
from neurosim.codes import SparseCode
from neurosim.connectivity import Connectivity
from neurosim.errors import ConfigError
from neurosim.strata import Indices

SYNAPSES_A_CALL = 1 << 27
"""So that a kernel returns within half a second and Ctrl-C is heard."""


def push(
    connectivity: Connectivity,
    pre: SparseCode,
    gain: NDArray[Any] | None = None,
    dtype: type = np.float32,
    threads: int = 1,
) -> NDArray[Any]:
    """Sum the gains of the active cells connected to each target: weights of one.

    Parameters
    ----------
    connectivity : Connectivity
    pre : SparseCode of n_pre
    gain : (n_pre,) float, optional
        Ones by default.
    dtype : type
        Of the result; uint16 is enough to count up to 65,535 partners.
    threads : int
        Results do not depend on it.

    Returns
    -------
    (n_post,) dtype
    """
    check_code("push", pre, connectivity.n_pre, "pre")
    gains = _gains("push", pre, gain, np.dtype(dtype))
    out: NDArray[Any] = np.zeros(connectivity.n_post, dtype=dtype)
    cells = max(1, SYNAPSES_A_CALL // connectivity.fan_out)
    with kernels.threads(threads):
        for first in range(0, len(pre), cells):
            part = slice(first, first + cells)
            kernels.push(connectivity.wires, pre.active[part], gains[part], out)
    return out


def coincident(connectivity: Connectivity, pre: SparseCode, post: SparseCode) -> Indices:
    """Return the flat indices ``cell * fan_out + slot`` of the synapses with both cells active.

    They are ascending. Parameters as for `push`.
    """
    slots, keys = meeting(connectivity, pre, post)
    out = np.empty(len(pre) * min(connectivity.fan_out, len(post)), dtype=np.int64)
    wires = connectivity.wires
    n = kernels.coincident(wires, connectivity.fan_out, pre.active, post.active, slots, keys, out)
    return out[:n]


def meeting(
    connectivity: Connectivity, pre: SparseCode, post: SparseCode
) -> tuple[Indices, NDArray[np.uint32]]:
    """Return the slots and keys by which any cell would reach the active ones of `post`."""
    check_code("synapses", pre, connectivity.n_pre, "pre")
    check_code("synapses", post, connectivity.n_post, "post")
    slots = connectivity.slots(post.active)
    return slots, connectivity.keys(post.active, slots)


def _gains(
    owner: object, pre: SparseCode, gain: NDArray[Any] | None, kind: np.dtype[Any]
) -> NDArray[Any]:
    if gain is None:
        return np.ones(len(pre), dtype=kind)
    if gain.shape != (pre.n_units,):
        raise ConfigError.expected(
            owner, "gain", f"shape ({pre.n_units},)", gain.shape, "give one gain a cell"
        )
    return gain[pre.active].astype(kind)


def check_code(owner: object, code: SparseCode, n_units: int, side: str) -> None:
    """Refuse a code of another population."""
    if code.n_units != n_units:
        raise ConfigError.expected(
            owner,
            side,
            f"a code of {n_units} cells",
            f"{code.n_units} cells",
            "give the code of the region it connects",
        )
