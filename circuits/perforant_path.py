"""Perforant path: how entorhinal cells drive granule cells; stored, generated or plastic."""

from typing import Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim.codes import SparseCode
from neurosim.connectivity import Generated
from neurosim.contracts import Rule
from neurosim.errors import ConfigError
from neurosim.ledger import Ledger, operations
from neurosim.projections import SparseProjection
from neurosim.transmission import push

_MOST_ACTIVE = (1 << 16) - 1


class PerforantPath(Protocol):
    """What the dentate gyrus asks of its input: the drive of every granule cell."""

    def drive(self, activity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(n_steps, n_units)`` for ``(n_steps, n_input)`` entorhinal activity."""


class StoredPath:
    """Fixed synapses of strength one, stored by entorhinal cell.

    Parameters
    ----------
    n_input, n_units, fan_out : int
    rng : numpy.random.Generator
        Draws the wiring.
    """

    def __init__(self, n_input: int, n_units: int, fan_out: int, rng: np.random.Generator) -> None:
        self.synapses = SparseProjection("perforant_dg", n_input, n_units, fan_out, rng)

    def drive(self, activity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``h = W x``, a row a step."""
        drive = np.zeros((len(activity), self.synapses.n_post), dtype=np.float32)
        targets = self.synapses.targets
        n = _expand(np.ascontiguousarray(activity), targets, drive)
        self.synapses.ledger.add(n, 0, n, n * (targets.itemsize + drive.itemsize))
        return drive


class GeneratedPath:
    """Fixed synapses of strength one whose targets are computed when they are needed.

    No index is stored, so a rat's perforant path (10^6 granule cells of 4,000 synapses) takes no
    memory but the drive itself. Entorhinal cells are active or not; their rate does not count.

    Parameters
    ----------
    n_input, n_units, fan_out : int
    seed : int
        The wiring.
    threads : int
        For the kernel; results do not depend on it.

    Attributes
    ----------
    ledger : Ledger
        What the drives have cost so far.
    """

    def __init__(
        self, n_input: int, n_units: int, fan_out: int, seed: int = 0, threads: int = 1
    ) -> None:
        self.wiring = Generated(n_input, n_units, fan_out, seed)
        self.threads = threads
        self.ledger = Ledger()

    def drive(self, activity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return how many active cells reach each granule cell, a row a step."""
        return np.stack([self.drive_of(SparseCode.from_dense(row)) for row in activity])

    def drive_of(self, code: SparseCode) -> NDArray[np.float32]:
        """Return the drive ``(n_units,)`` of one pattern, given by its active cells."""
        if code.n_units != self.wiring.n_pre or len(code) > _MOST_ACTIVE:
            raise ConfigError.expected(
                self,
                "code",
                f"{self.wiring.n_pre} cells, at most {_MOST_ACTIVE} of them active",
                f"{len(code)} active of {code.n_units}",
                "give an entorhinal code",
            )
        # In 16 bits there is half as much memory to stream.
        reached = push(self.wiring, code, None, np.uint16, self.threads)
        events = len(code) * self.wiring.fan_out
        self.ledger.add(events, 0, events, events * reached.itemsize)
        return reached.astype(np.float32)


class PlasticPath:
    """Synapses that learn, as rows of a matrix.

    Granule cells are born with weights of one on the entorhinal cells that reach them, each of
    which does so by chance. At the connectivities at which learning is studied (a tenth to a half)
    a row with gaps takes no more room than a list of sources, and the drive is one matrix product.

    Parameters
    ----------
    n_input, n_units : int
    connectivity : float
        Chance that an entorhinal cell reaches a granule cell.
    rng : numpy.random.Generator
        Draws the wiring.

    Attributes
    ----------
    connected : (n_units, n_input) bool
    weights : (n_units, n_input) float32
        0 where there is no synapse.
    ledger : Ledger
        What driving, learning and recovery have cost so far. The matrix product visits gaps as
        it visits synapses.
    """

    def __init__(
        self, n_input: int, n_units: int, connectivity: float, rng: np.random.Generator
    ) -> None:
        self.connectivity = connectivity
        self.ledger = Ledger()
        self.connected = np.empty((n_units, n_input), dtype=np.bool_)
        self.weights = np.empty((n_units, n_input), dtype=np.float32)
        for cells in np.array_split(np.arange(n_units), max(1, n_units * n_input >> 20)):
            self.rewire(cells, rng)

    def rewire(self, cells: NDArray[np.int64], rng: np.random.Generator) -> None:
        """Give cells the synapses of newborn ones."""
        shape = (len(cells), self.weights.shape[1])
        self.connected[cells] = rng.random(shape, dtype=np.float32) < self.connectivity
        self.weights[cells] = self.connected[cells]

    def drive(self, activity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``h = W x``, a row a step."""
        product: NDArray[np.float32] = activity.astype(np.float32) @ self.weights.T
        n = len(activity) * self.weights.size
        self.ledger.add(n, 0, n, n * (self.weights.itemsize + product.itemsize))
        return product

    def learn(
        self,
        rule: Rule,
        activity: NDArray[np.float32],
        cells: NDArray[np.int64],
        plasticity: NDArray[np.float32],
    ) -> int:
        """Apply a rule to the synapses of the cells that fire; return the synaptic events.

        Parameters
        ----------
        rule : Rule
            That acts on "post"; its modulator is the plasticity of the cell.
        activity : (n_input,) float32
        cells : (n_active,) int64
        plasticity : (n_active,) float32

        Raises
        ------
        ConfigError
            When the rule acts on other synapses.
        """
        if rule.acts_on != "post":
            raise ConfigError.expected(
                self, "learn", "a rule that acts on post", type(rule).__name__, "use rules.instar"
            )
        events, writes = 0, 0
        for cell, rate in zip(cells, plasticity, strict=True):
            inputs = np.flatnonzero(self.connected[cell])
            before = self.weights[cell, inputs]
            change = np.empty_like(before)
            rule.delta(activity[inputs], np.ones_like(before), before, float(rate), change)
            after = np.maximum(before + change, 0.0)
            self.weights[cell, inputs] = after
            events += inputs.size
            writes += int(np.count_nonzero(after != before))
        n_bytes = events * (activity.itemsize + 2 * self.weights.itemsize)
        work = operations(rule.change)  # type: ignore[attr-defined]
        self.ledger.add(events, writes, events * work, n_bytes)
        return events

    def recover(self, rate: float) -> None:
        """Let every weight go the share `rate` of the way back to what it was at birth."""
        writes = _recover(self.connected, np.float32(rate), self.weights)
        n = self.weights.size
        self.ledger.add(n, writes, n, n * (1 + 2 * self.weights.itemsize))


@numba.njit(cache=True)
def _expand(activity, targets, drive):
    visited = 0
    for t in range(activity.shape[0]):
        for i in range(activity.shape[1]):
            x = activity[t, i]
            if x != 0.0:
                for k in range(targets.shape[1]):
                    drive[t, targets[i, k]] += x
                visited += targets.shape[1]
    return visited


@numba.njit(cache=True)
def _recover(connected, rate, weights):
    changed = 0
    for j in range(weights.shape[0]):
        for i in range(weights.shape[1]):
            before = weights[j, i]
            weights[j, i] = before + rate * (np.float32(connected[j, i]) - before)
            changed += weights[j, i] != before
    return changed
