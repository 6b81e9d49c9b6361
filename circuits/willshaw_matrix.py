"""Willshaw matrix: a dense hetero-associative memory of one bit a synapse."""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.ledger import Ledger


@dataclass(frozen=True)
class WillshawMatrixConfig:
    """Size of a Willshaw matrix.

    Parameters
    ----------
    n_pre, n_post : int
        Cells on both sides; every pair has a synapse.
    """

    n_pre: int = 4096
    n_post: int = 4096

    def __post_init__(self) -> None:
        for name in ("n_pre", "n_post"):
            if getattr(self, name) < 1:
                raise ConfigError.expected(
                    self, name, "one cell or more", getattr(self, name), "raise it"
                )


class WillshawMatrix:
    """Associate pairs of sparse codes.

    A synapse is potentiated once both its cells were active together, ``w_ij = max over pairs of
    y_i x_j``; at recall a cell fires whose synapses from all active cells are potentiated.

    Parameters
    ----------
    config : WillshawMatrixConfig

    Attributes
    ----------
    bits : (n_pre, n_bytes) uint8
        Eight postsynaptic cells a byte, the first in the highest bit.
    ledger : Ledger
        What storing and recalling have cost so far; a conjunction is no multiply-add.

    References
    ----------
    Willshaw, Buneman & Longuet-Higgins (1969) Nature 222:960.
    """

    def __init__(self, config: WillshawMatrixConfig) -> None:
        self.config = config
        self.bits = np.zeros((config.n_pre, -(-config.n_post // 8)), dtype=np.uint8)
        self.ledger = Ledger()

    @property
    def n_synapses(self) -> int:
        """Number of synapses, silent ones included."""
        return self.config.n_pre * self.config.n_post

    def load(self) -> float:
        """Return the fraction of synapses that are potentiated."""
        return int(np.bitwise_count(self.bits).sum(dtype=np.int64)) / self.n_synapses

    def store(self, pre: SparseCode, post: SparseCode) -> None:
        """Potentiate the synapses of one pair of codes."""
        self._check("pre", pre.n_units, self.config.n_pre)
        self._check("post", post.n_units, self.config.n_post)
        self._write(pre.active[None], post.active[None])

    def store_many(self, pre: NDArray[np.integer], post: NDArray[np.integer]) -> None:
        """Store many pairs at once.

        Parameters
        ----------
        pre : (n_pairs, k_pre) int
            Active cells of each code.
        post : (n_pairs, k_post) int
        """
        for name, cells, n in (("pre", pre, self.config.n_pre), ("post", post, self.config.n_post)):
            if cells.ndim != 2 or len(cells) != len(pre):
                raise ConfigError.expected(
                    self, name, "one row of cells a pair", cells.shape, "pair them up"
                )
            if cells.size and not 0 <= cells.min() <= cells.max() < n:
                raise ConfigError.expected(
                    self, name, f"cells in 0..{n - 1}", (cells.min(), cells.max()), "check the size"
                )
        self._write(pre, post)

    def recall(self, cue: SparseCode) -> SparseCode:
        """Return the cells that all active cells of the cue drive.

        Raises
        ------
        ConfigError
            When the cue is empty: every cell would fire.
        """
        self._check("cue", cue.n_units, self.config.n_pre)
        if not len(cue):
            raise ConfigError.expected(self, "cue", "one active cell or more", 0, "give a cue")
        visited = len(cue) * self.config.n_post
        self.ledger.add(visited, 0, 0, len(cue) * self.bits.shape[1])
        agreed = np.bitwise_and.reduce(self.bits[cue.active], axis=0)
        return SparseCode.from_dense(np.unpackbits(agreed, count=self.config.n_post))

    def _write(self, pre: NDArray[np.integer], post: NDArray[np.integer]) -> None:
        changed = _potentiate(pre, post, self.bits)
        visited = pre.size * post.shape[1]
        self.ledger.add(visited, changed, 0, 2 * visited)

    def _check(self, name: str, got: int, expected: int) -> None:
        if got != expected:
            raise ConfigError.expected(
                self, name, f"a code of {expected} cells", got, "give a code of that population"
            )


def reference(
    pairs: Sequence[tuple[SparseCode, SparseCode]], config: WillshawMatrixConfig
) -> NDArray[np.bool_]:
    """Return the ``(n_pre, n_post)`` matrix from the formula."""
    matrix = np.zeros((config.n_pre, config.n_post), dtype=np.bool_)
    for pre, post in pairs:
        matrix |= np.outer(np.asarray(pre.to_dense()), np.asarray(post.to_dense()))
    return matrix


@numba.njit(cache=True)
def _potentiate(pre, post, bits):
    changed = 0
    for m in range(pre.shape[0]):
        for a in range(pre.shape[1]):
            row = bits[pre[m, a]]
            for b in range(post.shape[1]):
                j = post[m, b]
                bit = np.uint8(128 >> (j & 7))
                changed += (row[j >> 3] & bit) == 0
                row[j >> 3] |= bit
    return changed
