"""Lamellae: slices of the dentate gyrus, each with a part of the entorhinal sheet to itself.

What a class looks like is put together from what its parts look like: with K cells a class in each
of L lamellae, K^L wholes are near to what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from circuits.lamellae_config import LamellaeConfig
from circuits.lamellar_learning import write_in_turn
from circuits.lamellar_squares import Squares
from circuits.merging import merge_alike, merge_rare
from neurosim.codes import SparseCode
from neurosim.errors import InputError
from neurosim.ledger import Ledger
from neurosim.state import check_shapes

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

MOST_WINS = (1 << 16) - 1

N_AGES = 24
"""Ages of a class, by the logarithm (base 2) of the patterns it has seen."""

_KEPT = ("wins", "seen", "usual", "met", "days", "today")


class Merger(NamedTuple):
    """Two cells that have become one.

    Parameters
    ----------
    lamella, label : int
        Where, and of which class.
    gone, kept : int
        The one that is fresh again, and the one that has its part from now on.
    """

    lamella: int
    label: int
    gone: int
    kept: int


class Lamellae:
    """One-shot, class-gated competition in every lamella, and what it says about a class.

    A lamella sees ``u = x / (|x| + QUIET)`` of its part of the sheet. A label opens the gate of its
    class's cells only. While a class has fresh cells in the lamella the next one takes the pattern
    as it is; later the cell with the smallest ``|u - w|^2 n^conscience`` wins and turns towards
    it, ``w += (u - w) / n``, n its wins: the more a synapse has seen, the less it moves. So what is
    learnt of one class changes nothing in the synapses of another.

    A part that drives too few inputs together is faint, and changes no synapse: one cell of the
    class, recruited by the first of them, answers to them all, and its synapses stay silent, so
    that it stands for next to nothing. Where parts are almost empty, cells would else learn what
    single images, or many at once, have there to the last count. Where there is no such cell and
    none is fresh, the one that matches best fires and learns nothing.

    A class's evidence is ``sum over lamellae of patience E(age) - d``, d the least ``|u - w|^2``
    among its cells. A class that has been met a few times has few cells, and none can be as near as
    the nearest of many; E is how near a class of that age, whichever, has usually come to the next
    pattern of its own. Between classes of one age it makes no difference.

    A weight is a count of 4 or 8 bits at all times; a step that is smaller than a count is taken by
    chance. Exposure to a single pattern is enough to answer; `settle`, at the end of a day, merges
    what too few patterns have left.

    What a day has written wanders by night: each synapse of a class that was met, if it is not
    silent, moves by `volatility` counts, up or down by chance. The mean of many patterns may come
    to lie beside one of them, and a cell cannot know; after this it lies beside none. Cells that
    hold much, in which so many synapses never agree by chance, may be `steady`: as large spines
    are, where small ones come and go.

    A class that was met on d days before, and now comes back, first makes room for it: cells that
    have learnt alike merge until ``d / (d + 1)`` of its cells are in use. So each day has
    as many fresh cells as any, however many follow; a class that never comes back keeps all.

    What a synapse must know: pre, its weight, whether its cell won and how often it has. What a
    cell must know: its own match, and, through inhibition, that no other matched better.

    Parameters
    ----------
    config : LamellaeConfig
    sheet : (n_rows, n_columns, n_fields)
        Of the entorhinal activity.
    rng : numpy.random.Generator
        For steps smaller than a count.

    Attributes
    ----------
    weights : (n_lamellae, n_classes, cells, n_pre) uint8 [counts]
    wins : (n_lamellae, n_classes, cells) uint16
        0 for a fresh cell.
    seen : (n_classes,) uint32
        Patterns of each class.
    usual : (n_lamellae, N_AGES) float32
        E, the mean distance by age.
    met : (N_AGES,) uint32
        Patterns that each mean is of.
    days : (n_classes,) uint16
        On how many days a class was met.
    today : (n_classes,) bool
        Whether it was met since the last `settle`.

    References
    ----------
    Andersen, Bliss & Skrede (1971) Exp. Brain Res. 13:222 (lamellae); McNaughton, Douglas & Goddard
    (1978) Brain Res. 157:277 (perforant synapses change only when enough of them are driven
    together); Tashiro, Sandler, Toni, Zhao & Gage (2006) Nature 442:929 (new granule cells that are
    rarely driven do not survive); Mongillo, Rumpel & Loewenstein (2017) Curr. Opin. Neurobiol. 46:7
    (synapses change without activity); Yasumatsu, Matsuzaki, Miyazaki, Noguchi & Kasai (2008) J.
    Neurosci. 28:13592 (small spines more than large ones); Ahalt, Krishnamurthy, Chen & Melton
    (1990) Neural Netw. 3:277 (frequency-sensitive competition); Boiman, Shechtman & Irani (2008)
    CVPR (the sum of nearest parts); MacQueen (1967) (steps of 1/n).
    """

    def __init__(
        self, config: LamellaeConfig, sheet: tuple[int, int, int], rng: np.random.Generator
    ) -> None:
        self.config, self.squares, self._rng = config, Squares(config, sheet), rng
        shape = (len(self.squares.corners), config.n_classes, config.cells)
        self.weights = np.zeros((*shape, self.squares.n_pre), dtype=np.uint8)
        self.wins = np.zeros(shape, dtype=np.uint16)
        self.seen = np.zeros(config.n_classes, dtype=np.uint32)
        self.usual = np.zeros((shape[0], N_AGES), dtype=np.float32)
        self.met = np.zeros(N_AGES, dtype=np.uint32)
        self.days = np.zeros(config.n_classes, dtype=np.uint16)
        self.today = np.zeros(config.n_classes, dtype=np.bool_)
        self.ledger = Ledger()

    @property
    def n_lamellae(self) -> int:
        """Number of lamellae."""
        return len(self.squares.corners)

    @property
    def n_units(self) -> int:
        """Granule cells of all lamellae."""
        return self.wins.size

    def observe(self, activity: FloatArray, labels: IntArray) -> NDArray[np.int32]:
        """Take in patterns, one after the other, in one exposure.

        Parameters
        ----------
        activity : (n, n_rows, n_columns, n_fields) float32
        labels : (n,) int64

        Returns
        -------
        (n, n_lamellae, winners) int32
            Which cells of its class each pattern turned, the best first; -1 where there were fewer.

        Raises
        ------
        InputError
            For another size, a label that is no class, or activity that is not finite.
        """
        drive = self.squares.drive(activity)
        wrong = (labels < 0) | (labels >= self.config.n_classes)
        if labels.shape != (len(drive),) or wrong.any():
            raise InputError.expected(
                "Lamellae", "labels", f"a class from 0 to {self.config.n_classes - 1} a pattern",
                labels[wrong] if labels.shape == (len(drive),) else labels.shape,
                "raise n_classes, or renumber the classes",
            )  # fmt: skip
        self._wake(np.unique(labels))
        faint = self.squares.faint(drive)
        chance = self._rng.random(drive.shape, dtype=np.float32)
        blind = np.empty((0, 0), np.float32)
        if not self.config.competition:
            blind = self._rng.random(drive.shape[:2], dtype=np.float32)
        won = np.full((*drive.shape[:2], self.config.winners), -1, dtype=np.int32)
        compared, written = write_in_turn(
            drive, labels, chance, blind, faint, self.weights, self.wins, self.seen, self.usual,
            self.met, self.config.fine, self.config.most, MOST_WINS, self.config.conscience,
            self.config.cooperativity > 0, won,
        )  # fmt: skip
        self.ledger.add(compared + written, written, compared + written, compared + 2 * written)
        return won

    def evidence(self, activity: FloatArray) -> FloatArray:
        """Return what speaks for each class, ``(n, n_classes)``; -inf for one never seen."""
        drive = self.squares.drive(activity)
        total = np.zeros((len(drive), self.config.n_classes), np.float32)
        for lamella in range(self.n_lamellae):
            total += self._usual(lamella) - self._distances(drive, lamella).min(axis=2)
        return total

    def encode(self, activity: FloatArray) -> list[SparseCode]:
        """Return which granule cell of each lamella answers to each pattern, whatever its class."""
        drive = self.squares.drive(activity)
        winners = np.stack(
            [
                self._distances(drive, k).reshape(len(drive), -1).argmin(1)
                for k in range(self.n_lamellae)
            ],
            axis=1,
        )
        first = np.arange(self.n_lamellae) * (self.n_units // self.n_lamellae)
        return [SparseCode(row + first, self.n_units) for row in winners]

    def distances(self, activity: FloatArray, which: IntArray) -> FloatArray:
        """Return squared distances to the cells of some lamellae; inf to a fresh cell.

        Parameters
        ----------
        activity : (n, n_rows, n_columns, n_fields) float32
        which : (n_some,) int
            Lamellae.

        Returns
        -------
        (n, n_some, n_classes, cells) float32
        """
        drive = self.squares.drive(activity)
        return np.stack([self._distances(drive, int(k)) for k in which], axis=1)

    def settle(self) -> list[Merger]:
        """Merge each cell that stems from fewer than `least_wins` patterns with the nearest.

        So that nothing outlasts the day that one image alone has written, or a few. The two become
        one, with the mean of their weights by their wins, and the other is fresh again. Where a
        class has no other in the lamella, it stays. What is left wanders by `volatility`.

        Returns
        -------
        list of Merger
            In order.
        """
        least = self.config.least_wins
        rare = ((self.wins > 0) & (self.wins < least)).any(axis=2)
        mergers = [
            Merger(int(k), int(c), gone, kept)
            for k, c in zip(*np.nonzero(rare), strict=True)
            for gone, kept in merge_rare(self.weights[k, c], self.wins[k, c], least, self._rng)
        ]
        if self.config.volatility:
            self._wander()
        self.today[:] = False
        return mergers

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return the named arrays: weights packed to their bits, and wins."""
        weights: NDArray[Any] = self.weights
        if self.config.bits == 4:
            flat = np.pad(weights, [(0, 0)] * 3 + [(0, weights.shape[3] % 2)])
            weights = flat[..., ::2] | (flat[..., 1::2] << 4)
        rest = {name: getattr(self, name) for name in _KEPT}
        return {"weights": weights, **rest}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back.

        Raises
        ------
        InputError
            When it is of another shape.
        """
        check_shapes(self, self.state, state)
        packed: NDArray[Any] = np.asarray(state["weights"])
        if self.config.bits == 4:
            both = np.stack([packed & 15, packed >> 4], axis=-1)
            packed = both.reshape(*packed.shape[:3], -1)[..., : self.weights.shape[3]]
        self.weights[...] = packed
        for name in _KEPT:
            getattr(self, name)[...] = state[name]

    def _wake(self, classes: IntArray) -> None:
        """Let the classes that are met for the first time today make room, if they are not new."""
        for c in classes[~self.today[classes]]:
            days = int(self.days[c])
            if days and self.config.room:
                keep = self.config.cells * days // (days + 1)
                for k in range(self.n_lamellae):
                    n = merge_alike(self.weights[k, c], self.wins[k, c], keep, self._rng)
                    written = (self.config.cells if n else 0) * self.weights.shape[3]
                    self.ledger.add(0, written, 2 * written * self.config.cells, 2 * written)
            self.days[c] = min(days + 1, MOST_WINS)
            self.today[c] = True

    def _wander(self) -> None:
        """Move what today's classes have learnt by `volatility`, away from a bound if it is near.

        A silent synapse stays silent, and none falls silent, so that a cell has the same inputs.
        """
        step, most = self.config.volatility, self.config.most
        for c in np.flatnonzero(self.today):
            w = self.weights[:, c].astype(np.int16)
            up = self._rng.random(w.shape, dtype=np.float32) < 0.5
            up = np.where(w + step > most, False, np.where(w - step < 1, True, up))
            live = w > 0
            if self.config.steady < 1:
                live &= self.squares.faint(self.config.fine * w, self.config.steady)[..., None]
            self.weights[:, c] = np.where(live, w + np.where(up, step, -step), w)
            self.ledger.add(0, int(live.sum()), 0, 2 * w.size)

    def _usual(self, lamella: int) -> FloatArray:
        """Return E for the age of each class ``(n_classes,)``, or the last that is known before."""
        known = np.flatnonzero(self.met)
        if not len(known):
            return np.zeros(self.config.n_classes, np.float32)
        ages = np.log2(np.maximum(self.seen, 1)).astype(np.int64)
        last = np.maximum(np.searchsorted(known, ages, side="right") - 1, 0)
        usual: FloatArray = np.float32(self.config.patience) * self.usual[lamella, known[last]]
        return usual

    def _distances(self, drive: NDArray[np.int16], lamella: int) -> FloatArray:
        """Return the squared distance to each cell, ``(n, n_classes, cells)``; inf if fresh."""
        u = drive[:, lamella].astype(np.float32) / np.float32(self.config.fine)
        used = self.wins[lamella] > 0
        w = self.weights[lamella][used].astype(np.float32)
        distance = np.full((len(u), *used.shape), np.inf, np.float32)
        near = u @ w.T
        near *= -2
        near += np.square(u).sum(axis=1)[:, None]
        near += np.square(w).sum(axis=1)
        distance[:, used] = near
        n = len(u) * w.size
        self.ledger.add(n, 0, n, w.size * self.config.bits // 8)
        return distance


def n_bytes(state: Mapping[str, NDArray[Any]]) -> int:
    """Return the bytes of named arrays."""
    return sum(array.nbytes for array in state.values())
