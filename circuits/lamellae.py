"""Lamellae: slices of the dentate gyrus, each with a part of the entorhinal sheet to itself.

What a class looks like is put together from what its parts look like: with K cells a class in each
of L lamellae, K^L wholes are near to what is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from circuits.merging import merge_alike
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError, InputError
from neurosim.ledger import Ledger

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

FINEST = 255
"""Steps of the input at most: distances are sums of whole numbers, the same in any order."""

QUIET = 0.3
"""Activity of a lamella at which divisive inhibition halves it."""

MOST_WINS = (1 << 16) - 1

N_AGES = 24
"""Ages of a class, by the logarithm (base 2) of the patterns it has seen."""

_KEPT = ("wins", "seen", "usual", "met", "days", "today")


@dataclass(frozen=True)
class LamellaeConfig:
    """How the entorhinal sheet is cut, and what a class may recruit.

    Parameters
    ----------
    n_classes : int
        Classes that can be told apart.
    cells : int
        Granule cells that a class recruits in each lamella.
    extent, stride : int [columns of the sheet]
        Side of the square of the sheet that drives a lamella, and from one to the next.
    bits : int
        Of a weight: 4 or 8.
    strongest : float
        Weight of the largest count.
    conscience : float
        How much a cell that has often won yields: distances count times wins to this power.
    patience : float
        How far it is made up for that a class met a few times has few cells: 0 not at all, so that
        it is rarely heard beside old ones; 1 fully, at the cost of the old ones' peace.
    room : bool
        Whether a class that comes back on another day makes room for what it looks like now.
    winners : int
        Cells of the class that a pattern turns in each lamella: how sparse the gyrus is.
    competition : bool
        False is a lesion: whichever cell of the class wins does so by chance, not by its match.
    """

    n_classes: int = 10
    cells: int = 60
    extent: int = 3
    stride: int = 2
    bits: int = 4
    strongest: float = 0.35
    conscience: float = 0.5
    patience: float = 0.5
    room: bool = True
    winners: int = 1
    competition: bool = True

    def __post_init__(self) -> None:
        for name in ("n_classes", "cells", "extent", "stride"):
            if getattr(self, name) < 1:
                raise ConfigError.expected(self, name, "1 or more", getattr(self, name), "raise it")
        most = self.cells if self.competition else 1
        if not 1 <= self.winners <= most:
            raise ConfigError.expected(self, "winners", f"1 to {most} cells", self.winners, "try 1")
        if self.bits not in (4, 8):
            raise ConfigError.expected(self, "bits", "4 or 8", self.bits, "choose one of them")
        if not (self.strongest > 0 and 0 <= min(self.conscience, self.patience)) or (
            max(self.conscience, self.patience) > 1
        ):
            raise ConfigError.expected(
                self, "conscience", "0..1, so patience, and strongest above 0",
                (self.conscience, self.patience, self.strongest), "try 0.5, 0.5 and 0.35",
            )  # fmt: skip

    @property
    def most(self) -> int:
        """The largest count of a weight."""
        return (1 << self.bits) - 1

    @property
    def fine(self) -> int:
        """Steps of the input to one count of a weight."""
        return FINEST // self.most


class Lamellae:
    """One-shot, class-gated competition in every lamella, and what it says about a class.

    A lamella sees ``u = x / (|x| + QUIET)`` of its part of the sheet. A label opens the gate of its
    class's cells only. While a class has fresh cells in the lamella the next one takes the pattern
    as it is; later the cell with the smallest ``|u - w|^2 n^conscience`` wins and turns towards
    it, ``w += (u - w) / n``, n its wins: the more a synapse has seen, the less it moves. So what is
    learnt of one class changes nothing in the synapses of another.

    A class's evidence is ``sum over lamellae of patience E(age) - d``, d the least ``|u - w|^2``
    among its cells. A class that has been met a few times has few cells, and none can be as near as
    the nearest of many; E is how near a class of that age, whichever, has usually come to the next
    pattern of its own. Between classes of one age it makes no difference.

    A weight is a count of 4 or 8 bits at all times; a step that is smaller than a count is taken by
    chance. Exposure to a single pattern is enough to answer; `settle`, at the end of a day, merges
    what single patterns have left.

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
    Andersen, Bliss & Skrede (1971) Exp. Brain Res. 13:222 (lamellae); Ahalt, Krishnamurthy, Chen &
    Melton (1990) Neural Netw. 3:277 (frequency-sensitive competition); Boiman, Shechtman & Irani
    (2008) CVPR (the sum of nearest parts); MacQueen (1967) (steps of 1/n).
    """

    def __init__(
        self, config: LamellaeConfig, sheet: tuple[int, int, int], rng: np.random.Generator
    ) -> None:
        if min(sheet[:2]) < config.extent:
            raise ConfigError.expected(
                config, "extent", f"at most the sheet, {sheet[:2]}", config.extent, "lower it"
            )
        self.config, self.sheet, self._rng = config, sheet, rng
        rows, columns = (
            range(0, extent - config.extent + 1, config.stride) for extent in sheet[:2]
        )
        self._corners = [(row, column) for row in rows for column in columns]
        n_pre = config.extent**2 * sheet[2]
        shape = (len(self._corners), config.n_classes, config.cells)
        self.weights = np.zeros((*shape, n_pre), dtype=np.uint8)
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
        return len(self._corners)

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
        drive = self._drive(activity)
        wrong = (labels < 0) | (labels >= self.config.n_classes)
        if labels.shape != (len(drive),) or wrong.any():
            raise InputError.expected(
                "Lamellae", "labels", f"a class from 0 to {self.config.n_classes - 1} a pattern",
                labels[wrong] if labels.shape == (len(drive),) else labels.shape,
                "raise n_classes, or renumber the classes",
            )  # fmt: skip
        self._wake(np.unique(labels))
        chance = self._rng.random(drive.shape, dtype=np.float32)
        blind = np.empty((0, 0), np.float32)
        if not self.config.competition:
            blind = self._rng.random(drive.shape[:2], dtype=np.float32)
        won = np.full((*drive.shape[:2], self.config.winners), -1, dtype=np.int32)
        compared, written = _observe(
            drive, labels, chance, blind, self.weights, self.wins, self.seen, self.usual, self.met,
            self.config.fine, self.config.most, MOST_WINS, self.config.conscience, won,
        )  # fmt: skip
        self.ledger.add(compared + written, written, compared + written, compared + 2 * written)
        return won

    def evidence(self, activity: FloatArray) -> FloatArray:
        """Return what speaks for each class, ``(n, n_classes)``; -inf for one never seen."""
        drive = self._drive(activity)
        total = np.zeros((len(drive), self.config.n_classes), np.float32)
        for lamella in range(self.n_lamellae):
            total += self._usual(lamella) - self._distances(drive, lamella).min(axis=2)
        return total

    def encode(self, activity: FloatArray) -> list[SparseCode]:
        """Return which granule cell of each lamella answers to each pattern, whatever its class."""
        drive = self._drive(activity)
        winners = np.stack(
            [
                self._distances(drive, k).reshape(len(drive), -1).argmin(1)
                for k in range(self.n_lamellae)
            ],
            axis=1,
        )
        first = np.arange(self.n_lamellae) * (self.n_units // self.n_lamellae)
        return [SparseCode(row + first, self.n_units) for row in winners]

    def decode(self, code: SparseCode) -> FloatArray:
        """Return the sheet ``(n_rows, n_columns, n_fields)`` that active cells stand for.

        What a lamella's cells have learnt, the mean over active cells and over the lamellae that
        share a column; normalised in each lamella as what they were driven by. The way back to the
        entorhinal sheet when CA3 replays a code.

        Parameters
        ----------
        code : SparseCode of n_units

        Raises
        ------
        InputError
            For a code of another size.
        """
        if code.n_units != self.n_units:
            raise InputError.expected(
                "Lamellae", "code", f"a code of {self.n_units} cells", code.n_units,
                "decode what these lamellae have encoded",
            )  # fmt: skip
        sheet, shared = np.zeros(self.sheet, np.float32), np.zeros((*self.sheet[:2], 1), np.float32)
        side, per_lamella = self.config.extent, self.n_units // self.n_lamellae
        count = np.float32(self.config.strongest / self.config.most)
        flat = self.weights.reshape(self.n_units, side, side, self.sheet[2])
        for cell in code.active:
            row, column = self._corners[cell // per_lamella]
            sheet[row : row + side, column : column + side] += count * flat[cell]
            shared[row : row + side, column : column + side] += 1
        decoded: FloatArray = sheet / np.maximum(shared, 1)
        return decoded

    def part(self, activity: FloatArray, lamella: int) -> FloatArray:
        """Return what one lamella sees ``(n, n_pre)``, in counts of a weight."""
        side, (row, column) = self.config.extent, self._corners[lamella]
        seen = activity[:, row : row + side, column : column + side]
        return self._scale(seen.reshape(len(activity), -1)) / np.float32(self.config.fine)

    def ideal_sheets(self, activity: FloatArray) -> FloatArray:
        """Return the sheets ``(n, n_rows, n_columns, n_fields)`` a perfect code would lead back to.

        That is what `decode` gives if a cell of its own has learnt each part.
        """
        side = self.config.extent
        sheet = np.zeros((len(activity), *self.sheet), np.float32)
        shared = np.zeros((*self.sheet[:2], 1), np.float32)
        count = np.float32(self.config.strongest / self.config.most)
        for lamella, (row, column) in enumerate(self._corners):
            part = self.part(activity, lamella).reshape(-1, side, side, self.sheet[2])
            sheet[:, row : row + side, column : column + side] += count * part
            shared[row : row + side, column : column + side] += 1
        sheet /= np.maximum(shared, 1)
        return sheet

    def sheets(self, labels: IntArray, cells: NDArray[np.integer]) -> FloatArray:
        """Return what one cell in each lamella stands for, ``(n, n_rows, n_columns, n_fields)``.

        As `decode`, for many codes at once.

        Parameters
        ----------
        labels : (n,) int, or (n, n_lamellae)
            Class of the cells.
        cells : (n, n_lamellae) int
            Of that class.
        """
        of = np.broadcast_to(labels.T, cells.T.shape)
        side, n = self.config.extent, len(labels)
        sheet = np.zeros((n, *self.sheet), np.float32)
        shared = np.zeros((*self.sheet[:2], 1), np.float32)
        for lamella, (row, column) in enumerate(self._corners):
            part = self.weights[lamella, of[lamella], cells[:, lamella]]
            square = np.s_[row : row + side, column : column + side]
            sheet[:, square[0], square[1]] += part.reshape(n, side, side, self.sheet[2])
            shared[square] += 1
        sheet *= np.float32(self.config.strongest / self.config.most) / np.maximum(shared, 1)
        return sheet

    def whole_parts(self, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which lamellae see no unknown cell of a sheet, ``(n_lamellae,)``."""
        side = self.config.extent
        return np.array([known[r : r + side, c : c + side].all() for r, c in self._corners])

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
        drive = self._drive(activity)
        return np.stack([self._distances(drive, int(k)) for k in which], axis=1)

    def settle(self) -> int:
        """Merge each cell that stems from a single pattern with the nearest of its class.

        So that nothing one image alone has written outlasts the day. The two become one, with the
        mean of their weights by their wins, and the other is fresh again.

        Returns
        -------
        int
            Cells that still stem from a single pattern: their class has no other in the lamella.
        """
        self.today[:] = False
        left = 0
        for k, c in zip(*np.nonzero((self.wins == 1).any(axis=2)), strict=True):
            wins, weights = self.wins[k, c], self.weights[k, c]
            for single in np.flatnonzero(wins == 1):
                used = np.flatnonzero(wins > 0)
                if wins[single] != 1:
                    continue  # It took part in a merger meanwhile.
                if len(used) == 1:
                    left += 1
                    break
                own = weights[single].astype(np.float64)
                others = used[used != single]
                near = others[np.square(weights[others] - own).sum(axis=1).argmin()]
                n = min(int(wins[near]) + 1, MOST_WINS)
                goal = weights[near] + (own - weights[near]) / n
                weights[near] = np.floor(goal + self._rng.random(goal.shape))
                wins[near] = n
                weights[single], wins[single] = 0, 0
        return left

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
        for name, own in self.state.items():
            if name not in state or np.shape(state[name]) != own.shape:
                raise InputError.expected(
                    "Lamellae", name, f"an array of shape {own.shape}",
                    np.shape(state[name]) if name in state else None,
                    "restore a state of the same configuration",
                )  # fmt: skip
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

    def _drive(self, activity: FloatArray) -> NDArray[np.int16]:
        """Return what each lamella sees ``(n, n_lamellae, n_pre)``, `fine` steps to a count."""
        if activity.ndim != 4 or activity.shape[1:] != self.sheet:
            raise InputError.expected(
                "Lamellae", "activity", f"(n, {', '.join(map(str, self.sheet))}) values",
                activity.shape, "encode with the maps that the lamellae were made for",
            )  # fmt: skip
        if not np.isfinite(activity).all():
            raise InputError.expected(
                "Lamellae", "activity", "finite values", "NaN or inf", "see where they arise"
            )
        side = self.config.extent
        parts = np.stack(
            [
                activity[:, r : r + side, c : c + side].reshape(len(activity), -1)
                for r, c in self._corners
            ],
            axis=1,
        )
        return self._scale(parts).astype(np.int16)

    def _scale(self, parts: FloatArray) -> FloatArray:
        """Return ``u`` of parts ``(..., n_pre)`` in whole steps, `fine` to a count."""
        u = parts / (np.linalg.norm(parts, axis=-1, keepdims=True) + np.float32(QUIET))
        steps: FloatArray = np.rint(u * np.float32(FINEST / self.config.strongest))
        return np.minimum(steps, FINEST)


def n_bytes(state: Mapping[str, NDArray[Any]]) -> int:
    """Return the bytes of named arrays."""
    return sum(array.nbytes for array in state.values())


@numba.njit(cache=True, error_model="numpy")
def _observe(
    drive, labels, chance, blind, weights, wins, seen, usual, met,
    fine, most, most_wins, conscience, won,
):  # fmt: skip
    n_lamellae, _, cells, n_pre = weights.shape
    k_most = won.shape[2]
    scores = np.empty(k_most)
    step, per_step = np.int32(fine), np.float32(1.0 / fine)
    compared, written = 0, 0
    for i in range(drive.shape[0]):
        c = labels[i]
        age = 0
        while (seen[c] >> (age + 1)) > 0 and age < met.size - 1:
            age += 1
        if seen[c] > 0:
            met[age] += 1
        for l in range(n_lamellae):
            u = drive[i, l]
            chosen = won[i, l]
            n_fresh, n_used = 0, 0
            nearest = np.inf
            scores[:] = np.inf
            for k in range(cells):
                if wins[l, c, k] == 0:
                    n_fresh += 1
                    continue
                w = weights[l, c, k]
                total = np.int32(0)
                for d in range(n_pre):
                    gap = np.int32(u[d]) - step * np.int32(w[d])
                    total += np.int32(gap * gap)
                compared += n_pre
                n_used += 1
                nearest = min(nearest, float(total))
                score = total * np.float64(wins[l, c, k]) ** conscience
                place = k_most
                while place > 0 and score < scores[place - 1]:
                    place -= 1
                if place < k_most:
                    for q in range(k_most - 1, place, -1):
                        scores[q], chosen[q] = scores[q - 1], chosen[q - 1]
                    scores[place], chosen[place] = score, k
            if seen[c] > 0 and n_used > 0:
                own = np.float32(nearest) * per_step * per_step
                usual[l, age] += (own - usual[l, age]) / np.float32(met[age])
            if blind.size and n_used > 0 and n_fresh == 0:
                chosen[0] = min(int(blind[i, l] * cells), cells - 1)
            if n_fresh > 0:
                q = 0
                chosen[:] = -1
                for k in range(cells):
                    if wins[l, c, k] == 0 and q < k_most:
                        chosen[q] = k
                        q += 1
            for q in range(k_most):
                if chosen[q] < 0:
                    continue
                winner = chosen[q]
                n = min(int(wins[l, c, winner]) + 1, most_wins)
                wins[l, c, winner] = n
                w = weights[l, c, winner]
                for d in range(n_pre):
                    goal = w[d] + (np.float32(u[d]) * per_step - w[d]) / np.float32(n)
                    w[d] = min(int(goal + chance[i, l, d]), most)
                written += n_pre
        seen[c] += 1
    return compared, written
