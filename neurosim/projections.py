"""Sparse projections: which cells reach which, and the only place where weights change."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim.codes import SparseCode
from neurosim.connectivity import Stored
from neurosim.errors import ConfigError
from neurosim.ledger import Ledger
from neurosim.transmission import coincident

if TYPE_CHECKING:
    from neurosim.contracts import Rule

MAX_COUNT = 255
_BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Drive:
    """What the cells of a target population receive from one pattern.

    Parameters
    ----------
    potentiated : (n_post,) float32
        Sum over active, connected, potentiated synapses of their presynaptic gain.
    connected : (n_post,) float32
        The same sum over all active connected synapses, potentiated or not.
    """

    potentiated: NDArray[np.float32]
    connected: NDArray[np.float32]


class SparseProjection:
    """Synapses from `n_pre` to `n_post` cells, stored by presynaptic cell.

    Every presynaptic cell has `fan_out` targets, drawn once without replacement; the wiring
    follows from the generator, so a saved projection holds only its weights.

    Parameters
    ----------
    name : str
    n_pre, n_post, fan_out : int
        `fan_out` from 1 to `n_post`.
    rng : numpy.random.Generator
        Draws the wiring.

    Attributes
    ----------
    connectivity : Stored
        Who reaches whom.
    targets : (n_pre, fan_out) uint16 or int32
        Postsynaptic cell of each synapse, ascending in a row.
    weights : (n_pre, fan_out) uint8 [counts]
        0 is a silent synapse; bounds 0..255 are enforced here.
    ledger : Ledger
        What reading and learning have cost so far.

    Raises
    ------
    ConfigError
        When `fan_out` does not fit the target population.
    """

    def __init__(
        self, name: str, n_pre: int, n_post: int, fan_out: int, rng: np.random.Generator
    ) -> None:
        if not 0 < fan_out <= n_post:
            raise ConfigError(
                f"SparseProjection.fan_out: expected 1..{n_post} in {name}, got {fan_out}; "
                f"lower it to the size of the target population"
            )
        self.name, self.n_pre, self.n_post, self.fan_out = name, n_pre, n_post, fan_out
        self.connectivity = Stored(n_pre, n_post, fan_out, rng)
        self._fan_in = np.zeros(n_post, dtype=np.int64)
        for rows in self._blocks(self.targets):
            self._fan_in += np.bincount(rows.ravel(), minlength=n_post)
        self.weights = np.zeros((n_pre, fan_out), dtype=np.uint8)
        self._used_by_pre = np.zeros(n_pre, dtype=np.int64)
        self._used_by_post = np.zeros(n_post, dtype=np.int64)
        self.ledger = Ledger()

    def drive(self, pre: SparseCode, gain: NDArray[np.float32] | None = None) -> Drive:
        """Send a pattern through the potentiated synapses (clipped read-out).

        Parameters
        ----------
        pre : SparseCode of n_pre cells
        gain : (n_pre,) float32, optional
            How much each presynaptic cell counts; ones by default.
        """
        self._check(pre, self.n_pre, "pre")
        gain = np.ones(self.n_pre, dtype=np.float32) if gain is None else gain
        if gain.shape != (self.n_pre,):
            raise ConfigError(
                f"SparseProjection.gain: expected shape ({self.n_pre},) in {self.name}, got "
                f"{gain.shape}; give one gain for each presynaptic cell"
            )
        potentiated = np.zeros(self.n_post, dtype=np.float32)
        connected = np.zeros(self.n_post, dtype=np.float32)
        _drive(pre.active, self.targets, self.weights, gain, potentiated, connected)
        self._enter_reading(pre, 9)
        return Drive(potentiated, connected)

    def strength(self, pre: SparseCode, exponent: float = 1.0) -> NDArray[np.float32]:
        """Send a pattern through the counts themselves: ``(n_post,)`` summed counts.

        Parameters
        ----------
        pre : SparseCode of n_pre cells
        exponent : float
            Power that every count is raised to: 1 for the counts, towards 0 for clipped synapses.
        """
        self._check(pre, self.n_pre, "pre")
        total = np.zeros(self.n_post, dtype=np.float32)
        conductance = np.zeros(MAX_COUNT + 1, dtype=np.float32)
        conductance[1:] = np.arange(1, MAX_COUNT + 1) ** exponent
        _strength(pre.active, self.targets, self.weights, conductance, total)
        self._enter_reading(pre, 5)
        return total

    def learn(self, rule: "Rule", pre: SparseCode, post: SparseCode, modulator: float = 1.0) -> int:
        """Apply a coincidence rule where both cells are active; weights stay in 0..255.

        Returns
        -------
        int
            Number of synapses the rule saw (synaptic events).
        """
        self._check(pre, self.n_pre, "pre")
        self._check(post, self.n_post, "post")
        if rule.acts_on != "coincidence":
            raise ConfigError(
                f"SparseProjection.learn: expected a rule that acts on coincidences, got "
                f"{type(rule).__name__} acting on {rule.acts_on}; use a coincidence rule"
            )
        slots = self.coincident(pre, post)
        flat = self.weights.reshape(-1)
        before = flat[slots]
        delta = np.empty(slots.size)
        ones = np.ones(slots.size)
        rule.delta(ones, ones, before.astype(np.float64), modulator, delta)
        after = np.clip(np.rint(before + delta), 0, MAX_COUNT).astype(np.uint8)
        flat[slots] = after
        self._count_used(slots, (after > 0).astype(np.int64) - (before > 0))
        writes = int(np.count_nonzero(after != before))
        self.ledger.add(slots.size, writes, slots.size, slots.size * 2)
        return int(slots.size)

    def coincident(self, pre: SparseCode, post: SparseCode) -> NDArray[np.int64]:
        """Return the flat indices of the synapses whose two cells are active."""
        self._check(pre, self.n_pre, "pre")
        self._check(post, self.n_post, "post")
        return coincident(self.connectivity, pre, post)

    @property
    def targets(self) -> NDArray[Any]:
        """Postsynaptic cell of each synapse."""
        return self.connectivity.index

    @property
    def n_synapses(self) -> int:
        """Number of synapses, silent ones included."""
        return self.weights.size

    def load(self) -> float:
        """Return the fraction of synapses that are potentiated."""
        return float(self._used_by_pre.sum() / self.weights.size)

    def load_by_pre(self) -> NDArray[np.float32]:
        """Return, for each presynaptic cell, the fraction of its synapses potentiated."""
        return (self._used_by_pre / self.fan_out).astype(np.float32)

    def load_by_post(self) -> NDArray[np.float32]:
        """Return, for each postsynaptic cell, the fraction of its synapses potentiated."""
        return (self._used_by_post / np.maximum(self._fan_in, 1)).astype(np.float32)

    def restore(self, weights: NDArray[np.uint8]) -> None:
        """Take saved weights ``(n_pre, fan_out)`` back.

        Raises
        ------
        ConfigError
            When the shape or the type is another projection's.
        """
        if weights.shape != self.weights.shape or weights.dtype != np.uint8:
            raise ConfigError(
                f"SparseProjection.weights: expected uint8 {self.weights.shape} in {self.name}, "
                f"got {weights.dtype} {weights.shape}; load it into the circuit that wrote it"
            )
        self.weights[...] = weights
        self._used_by_pre = np.count_nonzero(weights, axis=1).astype(np.int64)
        self._used_by_post[...] = 0
        for rows, row_weights in zip(
            self._blocks(self.targets), self._blocks(weights), strict=True
        ):
            self._used_by_post += np.bincount(rows[row_weights > 0], minlength=self.n_post)

    @staticmethod
    def _blocks(synapses: NDArray[Any]) -> list[NDArray[Any]]:
        """Cut the rows of a synapse array so that what is computed of a block stays small."""
        return np.array_split(synapses, max(1, synapses.size // _BLOCK))

    def _enter_reading(self, pre: SparseCode, n_bytes: int) -> None:
        events = len(pre) * self.fan_out
        self.ledger.add(events, 0, events, events * (n_bytes + self.targets.itemsize))

    def _count_used(self, slots: NDArray[np.int64], change: NDArray[np.int64]) -> None:
        np.add.at(self._used_by_pre, slots // self.fan_out, change)
        np.add.at(self._used_by_post, self.targets.reshape(-1)[slots], change)

    def _check(self, code: SparseCode, n_units: int, side: str) -> None:
        if code.n_units != n_units:
            raise ConfigError(
                f"SparseProjection.{side}: expected a code of {n_units} cells in {self.name}, "
                f"got {code.n_units}; give the code of the region it connects"
            )


@numba.njit(cache=True)
def _drive(active, targets, weights, gain, potentiated, connected):
    for i in active:
        g = gain[i]
        for k in range(targets.shape[1]):
            j = targets[i, k]
            connected[j] += g
            if weights[i, k] > 0:
                potentiated[j] += g


@numba.njit(cache=True)
def _strength(active, targets, weights, conductance, total):
    for i in active:
        for k in range(targets.shape[1]):
            total[targets[i, k]] += conductance[weights[i, k]]
