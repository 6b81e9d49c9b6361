"""CA3 over lamellae: which cells of neighbouring lamellae fire together, and replay out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim.ledger import Ledger
from neurosim.ranges import OneOf, Positive, Range, Whole, check_fields
from neurosim.state import check_shapes

IntArray = NDArray[np.integer]


@dataclass(frozen=True)
class LamellarCA3Config:
    """Synapses and dynamics.

    Parameters
    ----------
    bits : int
        Of a recurrent synapse's count: 1, 4 or 8; it stays at the largest.
    sweeps : int
        Times that each lamella settles anew in a burst, after the activity has spread to all.
    doubt : float
        What a silent synapse is worth beside one that has counted one coincidence; above 0, so
        that a burst can go on where nothing was ever stored.
    recurrent : bool
        False is a lesion: no lamella hears another, and cells fire as often as they have before.
    deepest : int
        Depth of a cell that has just been written; each `fade` takes one away, down to 1. In a
        burst under low acetylcholine the deep begin. 1 makes all alike.
    """

    bits: Annotated[int, OneOf((1, 4, 8))] = 4
    sweeps: Whole = 2
    doubt: Positive = 0.03
    recurrent: bool = True
    deepest: Annotated[int, Range(1, 255)] = 1

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def most(self) -> int:
        """The largest count."""
        return (1 << self.bits) - 1


class Bursts(NamedTuple):
    """What spontaneous bursts brought back.

    Parameters
    ----------
    labels : (n,) int64
        Class of the cells that fired.
    cells : (n, n_lamellae) int32
        The cell of each lamella, of that class.
    agreement : (n,) float64
        Share of the recurrent synapses between these cells that are potentiated; 1 where there are
        none.
    """

    labels: NDArray[np.int64]
    cells: NDArray[np.int32]
    agreement: NDArray[np.float64]


class LamellarCA3:
    """Recurrent synapses between the cells of neighbouring lamellae, and bursts.

    Each granule cell has a pyramidal cell that its mossy fibre makes fire. A synapse counts the
    patterns for which its two cells fired together (Hebb). Cells of different classes never do:
    their synapses stay silent and none are kept.

    A burst begins with one cell that noise makes fire. Its neighbours follow, then theirs; in each
    lamella, inhibition lets one cell fire, and its chance is
    ``p(j) ~ n_j prod_i (c_ij + doubt) / n_j`` over the active neighbours i, n_j how often the cell
    has fired before and c the counts: what the cells around make probable, taking them for
    independent given j (naive Bayes). Then each lamella settles anew, `sweeps` times, while all
    others stay: Gibbs sampling of the patterns that agree with what was stored. Every pair of
    neighbours has then been seen together, the whole mostly never: what replays are patterns of
    the class, not its instances.

    What a synapse must know: whether its two cells have fired together. What a cell must know: the
    sum over its synapses of the logarithm of what they have counted, and how often it has fired.

    Parameters
    ----------
    config : LamellarCA3Config
    grid : (n_rows, n_columns)
        Of lamellae; neighbours touch, corners included.
    n_classes, cells : int
        Of each lamella, and cells of each class.

    Attributes
    ----------
    pairs : (n_pairs, 2) int64
        Neighbours.
    counts : (n_pairs, n_classes, cells, cells) uint8
    depth : (n_lamellae, n_classes, cells) uint8

    References
    ----------
    Hopfield (1982) PNAS 79:2554; Lansner & Ekeberg (1989) Int. J. Neural Syst. 1:77 (Bayesian
    recurrent network); Buesing, Bill, Nessler & Maass (2011) PLoS Comput. Biol. 7:e1002211
    (noisy networks sample); Geman & Geman (1984) IEEE PAMI 6:721.
    """

    def __init__(
        self, config: LamellarCA3Config, grid: tuple[int, int], n_classes: int, cells: int
    ) -> None:
        self.config, self.grid = config, grid
        where = np.array([(row, column) for row in range(grid[0]) for column in range(grid[1])])
        far = np.abs(where[:, None] - where[None]).max(axis=2)
        self.pairs = np.argwhere(np.triu(far == 1))
        self._far = far
        self.counts = np.zeros((len(self.pairs), n_classes, cells, cells), dtype=np.uint8)
        self.depth = np.ones((len(where), n_classes, cells), dtype=np.uint8)
        self.ledger = Ledger()

    @property
    def n_lamellae(self) -> int:
        """Number of lamellae."""
        return len(self.depth)

    def write(self, labels: IntArray, cells: IntArray) -> int:
        """Count coincidences, in one exposure; return the synapses that were silent before.

        Parameters
        ----------
        labels : (n,) int
        cells : (n, n_lamellae, n_active) int
            -1 for none.
        """
        fresh, written = _write(
            self.counts, self.depth, self.pairs, np.ascontiguousarray(labels, np.int64),
            np.ascontiguousarray(cells, np.int32), self.config.most, self.config.deepest,
        )  # fmt: skip
        self.ledger.add(written, written, 0, 2 * written)
        return int(fresh)

    def replay(
        self, n: int, use: IntArray, rng: np.random.Generator, acetylcholine: float = 0.0
    ) -> Bursts:
        """Let the cells fire by themselves, `n` bursts; none if nothing has been written.

        Parameters
        ----------
        n : int
        use : (n_lamellae, n_classes, cells) int
            How often each cell has fired.
        rng : numpy.random.Generator
        acetylcholine : float
            0..1. At 0 noise calls a cell in proportion to its depth, at 1 all cells alike.
        """
        eager = np.where(use > 0, self.depth.astype(np.float64) ** (1 - acetylcholine), 0).ravel()
        if not eager.any():
            n = 0
        first = rng.choice(eager.size, size=n, p=eager / eager.sum()) if n else np.zeros(0, int)
        begun, label, cell = np.unravel_index(first, use.shape)
        order = self._order(begun, rng)
        cells = np.full((n, self.n_lamellae), -1, np.int32)
        cells[np.arange(n), begun] = cell
        _burst(
            self.counts, self.pairs, use, label, order, rng.random(order.shape, np.float32),
            self._worth(), self.config.recurrent, cells,
        )  # fmt: skip
        self.ledger.add(n * order.shape[1] * use.shape[2], 0, 0, 0)
        return Bursts(label.astype(np.int64), cells, self.agreement(label, cells))

    def complete(self, label: int, cells: IntArray, use: IntArray) -> NDArray[np.int32]:
        """Return the most probable cells of the lamellae that are silent (-1), from the others."""
        known = np.asarray(cells) >= 0
        missing = np.flatnonzero(~known)
        nearest = self._far[missing][:, known].min(axis=1) if known.any() else missing
        order = missing[np.argsort(nearest, kind="stable")][None]
        found = np.array(cells, np.int32)[None]
        _burst(
            self.counts, self.pairs, use, np.array([label]), order,
            np.full(order.shape, -1, np.float32), self._worth(), self.config.recurrent, found,
        )  # fmt: skip
        return found[0]

    def settle(self, labels: IntArray, cells: IntArray, use: IntArray) -> NDArray[np.int32]:
        """Let each lamella in turn fire its most probable cell, given the others; no noise."""
        settled = np.array(cells, np.int32)
        order = np.tile(np.arange(self.n_lamellae), (len(settled), 1))
        _burst(
            self.counts, self.pairs, use, np.asarray(labels, np.int64), order,
            np.full(order.shape, -1, np.float32), self._worth(), self.config.recurrent, settled,
        )  # fmt: skip
        return settled

    def agreement(self, labels: IntArray, cells: IntArray) -> NDArray[np.float64]:
        """Return the share of the synapses between active cells that are potentiated, ``(n,)``.

        1 where there are none.
        """
        if not len(self.pairs) or not self.config.recurrent:
            return np.ones(len(labels))
        a, b = self.pairs.T
        read = self.counts[np.arange(len(a)), labels[:, None], cells[:, a], cells[:, b]]
        share: NDArray[np.float64] = (read > 0).mean(axis=1)
        return share

    def fade(self, label: int, cells: IntArray) -> None:
        """Let the cells of a trace lie one less deep, but not vanish."""
        at = (np.arange(self.n_lamellae), label, np.asarray(cells))
        self.depth[at] = np.maximum(self.depth[at], 2) - 1

    def release(self, label: int, cells: IntArray) -> None:
        """Silence all synapses of the cells of a trace."""
        _release(self.counts, self.pairs, label, np.asarray(cells, np.int32))
        self.depth[np.arange(self.n_lamellae), label, np.asarray(cells)] = 1

    def inherit(self, lamella: int, label: int, gone: int, kept: int) -> None:
        """Let one cell count what another has counted, whose synapses fall silent.

        Parameters
        ----------
        lamella, label : int
        gone, kept : int
            Cells of that class.
        """
        for pair, (a, b) in enumerate(self.pairs):
            counts = self.counts[pair, label]
            for own in (counts,) if a == lamella else (counts.T,) if b == lamella else ():
                own[kept] = np.minimum(own[kept].astype(np.int64) + own[gone], self.config.most)
                own[gone] = 0
        depth = self.depth[lamella, label]
        depth[kept], depth[gone] = max(depth[kept], depth[gone]), 1

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return the named arrays, counts packed to their bits."""
        flat: NDArray[Any] = self.counts.ravel()
        if self.config.bits == 1:
            flat = np.packbits(flat)
        elif self.config.bits == 4:
            flat = np.pad(flat, (0, flat.size % 2))
            flat = flat[::2] | (flat[1::2] << 4)
        depth = {} if self.config.deepest == 1 else {"depth": self.depth}
        return {"counts": flat, **depth}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back.

        Raises
        ------
        InputError
            When it is of another shape.
        """
        check_shapes(self, self.state, state)
        flat: NDArray[Any] = np.asarray(state["counts"])
        if self.config.bits == 1:
            flat = np.unpackbits(flat)
        elif self.config.bits == 4:
            flat = np.stack([flat & 15, flat >> 4], axis=1).ravel()
        self.counts[...] = flat[: self.counts.size].reshape(self.counts.shape)
        if "depth" in self.state:
            self.depth[...] = state["depth"]

    def _worth(self) -> NDArray[np.float64]:
        """Return the logarithm of what each count is worth."""
        return np.log(np.arange(self.config.most + 1) + self.config.doubt)

    def _order(self, begun: IntArray, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return which lamella fires next: as activity spreads, then each anew by chance."""
        n, places = len(begun), self.n_lamellae
        reached = self._far[begun] + rng.random((n, places)) * 0.5
        spread = np.argsort(reached, axis=1)[:, 1:]  # The first is where it began.
        anew = [np.argsort(rng.random((n, places)), axis=1) for _ in range(self.config.sweeps)]
        return np.concatenate([spread, *anew], axis=1)


@numba.njit(cache=True, error_model="numpy")
def _write(counts, depth, pairs, labels, cells, most, deepest):
    fresh, written = 0, 0
    for i in range(labels.size):
        c = labels[i]
        for l in range(cells.shape[1]):
            for k in range(cells.shape[2]):
                if cells[i, l, k] >= 0:
                    depth[l, c, cells[i, l, k]] = deepest
        for p in range(pairs.shape[0]):
            for k in range(cells.shape[2]):
                a = cells[i, pairs[p, 0], k]
                if a < 0:
                    continue
                for q in range(cells.shape[2]):
                    b = cells[i, pairs[p, 1], q]
                    if b < 0:
                        continue
                    count = counts[p, c, a, b]
                    if count == 0:
                        fresh += 1
                    if count < most:
                        counts[p, c, a, b] = count + 1
                        written += 1
    return fresh, written


@numba.njit(cache=True, error_model="numpy")
def _burst(counts, pairs, use, labels, order, chance, worth, recurrent, cells):
    n_cells = use.shape[2]
    drive = np.empty(n_cells)
    for i in range(labels.size):
        c = labels[i]
        for s in range(order.shape[1]):
            l = order[i, s]
            drive[:] = 0.0
            heard = 0
            for p in range(pairs.shape[0]):
                if not recurrent:
                    break
                if pairs[p, 0] == l and cells[i, pairs[p, 1]] >= 0:
                    other = cells[i, pairs[p, 1]]
                    for j in range(n_cells):
                        drive[j] += worth[counts[p, c, j, other]]
                elif pairs[p, 1] == l and cells[i, pairs[p, 0]] >= 0:
                    other = cells[i, pairs[p, 0]]
                    for j in range(n_cells):
                        drive[j] += worth[counts[p, c, other, j]]
                else:
                    continue
                heard += 1
            top, best = -np.inf, -1
            for j in range(n_cells):
                if use[l, c, j] == 0:
                    drive[j] = -np.inf
                    continue
                drive[j] += (1 - heard) * np.log(np.float64(use[l, c, j]))
                if drive[j] > top:
                    top, best = drive[j], j
            if best < 0 or chance[i, s] < 0:
                cells[i, l] = best
                continue
            total = 0.0
            for j in range(n_cells):
                drive[j] = np.exp(drive[j] - top)
                total += drive[j]
            goal, so_far = chance[i, s] * total, 0.0
            for j in range(n_cells):
                so_far += drive[j]
                if drive[j] > 0:
                    best = j
                    if so_far > goal:
                        break
            cells[i, l] = best


@numba.njit(cache=True, error_model="numpy")
def _release(counts, pairs, label, cells):
    for p in range(pairs.shape[0]):
        a, b = cells[pairs[p, 0]], cells[pairs[p, 1]]
        for j in range(counts.shape[2]):
            if a >= 0:
                counts[p, label, a, j] = 0
            if b >= 0:
                counts[p, label, j, b] = 0
