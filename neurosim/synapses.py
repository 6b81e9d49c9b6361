"""Synapses: the weights of a wiring, and the only place where they change.

`CountSynapses` count coincidences in 1, 4 or 8 bits, on any `Connectivity`. Synapses of any
strength are those of a `neurosim.plasticity.PlasticProjection`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import kernels
from neurosim.codes import SparseCode
from neurosim.connectivity import Connectivity
from neurosim.errors import ConfigError
from neurosim.ledger import Ledger
from neurosim.resources import require_memory
from neurosim.state import check_arrays
from neurosim.strata import Indices
from neurosim.transmission import SYNAPSES_A_CALL, check_code, coincident, meeting, push

_LARGEST_SUM = 2**31 - 1
_FINEST = 1 << 16


@dataclass(frozen=True)
class Change:
    """What one write did.

    Parameters
    ----------
    n_events : int
        Synapses whose two cells were active.
    n_lost : int
        Steps that were not taken because a count was at its bound.
    """

    n_events: int
    n_lost: int


class CountSynapses:
    """Synapses that count coincidences, each within 0..2^bits - 1.

    Beside its counts every cell knows its own load: how often it was active while something was
    stored. ``pre_use_i post_use_j / n_stored`` is then the count that chance gives synapse ij.

    Parameters
    ----------
    connectivity : Connectivity
    bits : int
        1, 4 or 8; 4-bit counts lie two a byte, 1-bit counts eight a byte.
    recurrent : bool
        A cell's synapse on itself stays silent.
    threads : int
        For the kernels; results do not depend on it.

    Attributes
    ----------
    weights : (n_pre, ceil(fan_out * bits / 8)) uint8 [counts]
        Packed; `counts` unpacks them.
    pre_use, post_use : (n_pre,), (n_post,) float64
        Number of stored pairs each cell took part in.
    n_stored : float
        Pairs stored and not taken back; decay lowers it with the loads.
    largest : int
        No count was ever larger.
    changes : int
        How often counts and loads were written: as long as it stays, so do they.
    ledger : Ledger
        What was done so far. A target that is looked up is touched if it is stored.

    Raises
    ------
    ConfigError
        When the bits are not 1, 4 or 8.
    CapacityError
        When the memory of the machine does not hold the counts, before they are allocated.
    """

    def __init__(
        self,
        connectivity: Connectivity,
        bits: int = 8,
        recurrent: bool = False,
        threads: int = 1,
    ) -> None:
        self.connectivity, self.threads = connectivity, threads
        self.ledger = Ledger()
        shape = (connectivity.n_pre, row_bytes(self, connectivity.fan_out, bits))
        self.bits, self.recurrent = bits, recurrent
        require_memory(shape[0] * shape[1], f"{connectivity.n_synapses:,} synapses of {bits} bits")
        self.weights = np.zeros(shape, dtype=np.uint8)
        self.pre_use = np.zeros(connectivity.n_pre)
        self.post_use = np.zeros(connectivity.n_post)
        self.n_stored = 0.0
        self.largest = 0
        self.changes = 0

    def push(
        self, pre: SparseCode, gain: NDArray[Any] | None = None, dtype: type = np.float32
    ) -> NDArray[Any]:
        """Sum the gains of the active cells connected to each target, whatever the weights.

        Parameters
        ----------
        pre : SparseCode of n_pre
        gain : (n_pre,) float, optional
            How much each presynaptic cell counts; ones by default.
        dtype : type
            Of the result ``(n_post,)``.
        """
        out = push(self.connectivity, pre, gain, dtype, self.threads)
        self._enter_reading(pre, out.itemsize, 0)
        return out

    def coincident(self, pre: SparseCode, post: SparseCode) -> Indices:
        """Return the flat indices ``cell * fan_out + slot`` of synapses with both cells active."""
        self.ledger.add(0, 0, 0, self._met_bytes(pre, post))
        return coincident(self.connectivity, pre, post)

    @property
    def most(self) -> int:
        """The largest count."""
        return (1 << self.bits) - 1

    def counts(self, first: int = 0, last: int | None = None) -> NDArray[np.uint8]:
        """Return the counts ``(n_rows, fan_out)`` of the cells first..last, one a byte."""
        rows, fan_out = self.weights[first:last], self.connectivity.fan_out
        if self.bits == 8:
            return rows
        if self.bits == 4:
            return np.stack([rows & 15, rows >> 4], axis=2).reshape(len(rows), -1)[:, :fan_out]
        return np.unpackbits(rows, axis=1, count=fan_out, bitorder="little")

    def read(self, pre: Indices, slot: Indices) -> NDArray[np.uint8]:
        """Return the counts of single synapses, ``(n,)``, by cell and slot."""
        self.ledger.add(slot.size, 0, 0, slot.size)
        shift = (slot * self.bits) % 8
        packed = self.weights[pre, slot * self.bits // 8]
        return (packed >> shift.astype(np.uint8)) & np.uint8(self.most)

    def potentiate(self, pre: SparseCode, post: SparseCode, amount: int = 1) -> Change:
        """Count a coincidence of two patterns in every synapse between them.

        Parameters
        ----------
        pre, post : SparseCode
        amount : int [counts]
            Steps; a negative amount takes back. Exact as long as nothing was lost at a bound.
        """
        slots, keys = meeting(self.connectivity, pre, post)
        tally = np.zeros((len(pre), 4), dtype=np.int64)
        with kernels.threads(self.threads):
            kernels.potentiate(
                self.connectivity.wires,
                self.weights,
                self.bits,
                pre.active,
                post.active,
                slots,
                keys,
                int(amount),
                self.recurrent,
                tally,
            )
        self.pre_use[pre.active] += amount
        self.post_use[post.active] += amount
        self.n_stored += amount
        self.changes += 1
        self.largest = max(self.largest, int(tally[:, 2].max(initial=0)))
        n_events, n_lost, _, n_changed = tally.sum(axis=0)
        n_bytes = 2 * n_events + self._met_bytes(pre, post)
        self.ledger.add(n_events, n_changed, n_events, n_bytes)
        return Change(int(n_events), int(n_lost))

    def strength(self, pre: SparseCode) -> NDArray[np.int64]:
        """Sum the counts of the active cells' synapses onto each target ``(n_post,)``."""
        table = np.arange(self.most + 1, dtype=np.int32)[None]
        zeros = np.zeros(self.connectivity.n_pre, dtype=np.uint16)
        none = np.zeros(self.connectivity.n_post, dtype=np.uint16)
        return self._sum(pre, zeros, none, table).astype(np.int64)

    def score(
        self,
        pre: SparseCode,
        pre_class: NDArray[np.integer],
        post_class: NDArray[np.integer],
        table: NDArray[np.floating],
    ) -> NDArray[np.float64]:
        """Sum what each active cell's count is worth to its target.

        ``score_j = sum over active i connected to j of table[pre_class_i + post_class_j, w_ij]``

        The values are rounded to fixed point, so that sums are exact in any order.

        Parameters
        ----------
        pre : SparseCode
        pre_class, post_class : (n_pre,), (n_post,) int
            Which row of the table holds for a synapse is the sum of its cells' classes.
        table : (n_classes, n_levels) float
            For the counts from 0 to `largest` or more.

        Returns
        -------
        (n_post,) float64

        Raises
        ------
        ConfigError
            For a table with too few rows for the classes, or levels for the counts.
        """
        most = int(pre_class.max(initial=0)) + int(post_class.max(initial=0))
        if table.shape[1] <= self.largest or len(table) <= most or pre_class.min(initial=0) < 0:
            raise ConfigError.expected(
                self,
                "table",
                f"at least {most + 1} rows of {self.largest + 1} levels",
                table.shape,
                "build the table for these classes and bits",
            )
        fine = fixed_point(table, len(pre))
        rounded = np.rint(table * fine).astype(np.int32)
        return self._sum(pre, pre_class, post_class, rounded) / fine

    def imagine(
        self,
        pre: SparseCode,
        pre_class: NDArray[np.integer],
        post_class: NDArray[np.integer],
        table: NDArray[np.floating],
        load_class: NDArray[np.integer],
        chances: NDArray[np.floating],
        member: SparseCode,
        seed: int,
    ) -> NDArray[np.float64]:
        """Do as `score` with counts that are not those of the synapses but drawn by chance.

        For a population that projects to itself.

        Parameters
        ----------
        pre : SparseCode
        pre_class, post_class : (n_units,) int
            As for `score`.
        table : (n_classes, 2^bits) float
            As for `score`.
        load_class : (n_units,) int
            The sum of two cells' is the row of `chances`.
        chances : (n_loads, 2^bits) float
            Chance of each count or a smaller one.
        member : SparseCode
            A pattern whose synapses have one count more.
        seed : int
            A seed is a network: the same counts in every call.

        Returns
        -------
        (n_units,) float64
        """
        fine = fixed_point(table, len(pre))
        out = np.zeros(self.connectivity.n_post, dtype=np.int32)
        rounded = np.rint(table * fine).astype(np.int32)
        bars = np.rint(np.minimum(chances, 1.0) * (2**32 - 1)).astype(np.uint32)
        cells = max(1, SYNAPSES_A_CALL // 8 // self.connectivity.fan_out)
        with kernels.threads(self.threads):
            for first in range(0, len(pre), cells):
                kernels.imagine(
                    self.connectivity.wires,
                    np.uint64(seed),
                    pre.active[first : first + cells],
                    pre_class.astype(np.uint16),
                    post_class.astype(np.uint16),
                    rounded,
                    load_class.astype(np.uint16),
                    bars,
                    member.to_dense(),
                    out,
                )
        self._enter_reading(pre, out.itemsize, 0)
        return out / fine

    def _sum(
        self,
        pre: SparseCode,
        pre_class: NDArray[np.integer],
        post_class: NDArray[np.integer],
        table: NDArray[np.int32],
    ) -> NDArray[np.int32]:
        check_code(self, pre, self.connectivity.n_pre, "pre")
        out = np.zeros(self.connectivity.n_post, dtype=np.int32)
        with kernels.threads(self.threads):
            kernels.score(
                self.connectivity.wires,
                self.weights,
                self.bits,
                pre.active,
                pre_class[pre.active].astype(np.uint16, copy=False),
                post_class.astype(np.uint16, copy=False),
                table,
                out,
            )
        self._enter_reading(pre, out.itemsize, self.weights.shape[1])
        return out

    def decay(self, fraction: float, rng: np.random.Generator) -> None:
        """Let each unit of each count fade with the same small chance.

        Parameters
        ----------
        fraction : float
            Chance of a unit to go, 0..1; loads fade with it.
        rng : numpy.random.Generator
            Seeds the draws.
        """
        if not 0.0 <= fraction <= 1.0:
            raise ConfigError.expected(self, "fraction", "0..1", fraction, "give a share")
        seed, bar = rng.integers(1 << 63, dtype=np.uint64), int(round(fraction * 2**32))
        fan_out = self.connectivity.fan_out
        rows = max(1, SYNAPSES_A_CALL // 8 // fan_out)
        with kernels.threads(self.threads):
            for first in range(0, len(self.weights), rows):
                block = self.weights[first : first + rows]
                tally = np.zeros((len(block), 2), dtype=np.int64)
                kernels.fade(block, self.bits, fan_out, seed, first, bar, tally)
                n_units, n_changed = tally.sum(axis=0)
                self.ledger.add(len(block) * fan_out, n_changed, n_units, 2 * block.size)
        for name in ("pre_use", "post_use", "n_stored"):
            setattr(self, name, getattr(self, name) * (1.0 - fraction))
        self.changes += 1

    def _met_bytes(self, pre: SparseCode, post: SparseCode) -> int:
        """Bytes of the stored targets that are compared to find the synapses of two patterns."""
        return len(pre) * len(post) * self.connectivity.wires.stored.itemsize * self._stored

    def _enter_reading(self, pre: SparseCode, visit_bytes: int, row_bytes: int) -> None:
        """Enter that the active cells' rows were summed: every slot of them is visited once."""
        events = len(pre) * self.connectivity.fan_out
        visit_bytes += self.connectivity.wires.stored.itemsize * self._stored
        self.ledger.add(events, 0, events, events * visit_bytes + len(pre) * row_bytes)

    @property
    def _stored(self) -> bool:
        return len(self.connectivity.wires.stored) > 0

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """The named arrays that make up the memory; the wiring is not among them."""
        return {
            "weights": self.weights,
            "pre_use": self.pre_use,
            "post_use": self.post_use,
            "n_stored": np.array(self.n_stored),
        }

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take a saved state back.

        Raises
        ------
        CorruptFileError
            When an array is missing or of another shape or type.
        """
        own = self.state
        check_arrays(self, own, state)
        for name in ("weights", "pre_use", "post_use"):
            own[name][...] = state[name]
        self.n_stored = float(state["n_stored"])
        self.changes += 1
        rows = max(1, SYNAPSES_A_CALL // 16 // self.connectivity.fan_out)
        parts = range(0, len(self.weights), rows)
        self.largest = max(int(self.counts(r, r + rows).max(initial=0)) for r in parts)


def row_bytes(owner: object, fan_out: int, bits: int) -> int:
    """Return the bytes of one cell's packed counts."""
    if bits not in (1, 4, 8):
        raise ConfigError.expected(owner, "bits", "1, 4 or 8", bits, "choose one of them")
    return -(-fan_out * bits // 8)


def fixed_point(table: NDArray[np.floating], n_active: int) -> int:
    """Return the power of two by which `n_active` values of a table fit into 31 bits."""
    largest = float(np.abs(table).max(initial=0.0)) * max(n_active, 1)
    fine = _FINEST
    while fine > 1 and largest * fine >= _LARGEST_SUM:
        fine //= 2
    if largest * fine >= _LARGEST_SUM:
        raise ConfigError.expected(
            "CountSynapses", "table", "sums below 2^31", largest, "scale its values down"
        )
    return fine
