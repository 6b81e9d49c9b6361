"""The hippocampus for classes of images: lamellae of the gyrus, CA3 over them, and the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from circuits.entorhinal_sheet import WHITE, Levels, as_levels
from circuits.lamellae import Lamellae
from circuits.lamellae_config import LamellaeConfig
from circuits.lamellar_ca3 import LamellarCA3, LamellarCA3Config
from circuits.lamellar_readout import sheets
from neurosim.contracts import Completion, Gauge, Replay
from neurosim.errors import ConfigError, InputError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class LamellarHippocampusConfig:
    """Its parts.

    Parameters
    ----------
    gyrus : LamellaeConfig
    ca3 : LamellarCA3Config
    """

    gyrus: LamellaeConfig = field(default_factory=LamellaeConfig)
    ca3: LamellarCA3Config = field(default_factory=LamellarCA3Config)

    def __post_init__(self) -> None:
        if self.gyrus.n_classes > WHITE:
            raise ConfigError.expected(
                self, "gyrus", f"at most {WHITE} classes", self.gyrus.n_classes, "tell fewer"
            )


class Trace(NamedTuple):
    """The cells of a burst.

    Parameters
    ----------
    label : int
    cells : (n_lamellae,) int32
    """

    label: int
    cells: NDArray[np.int32]


class LamellarHippocampus:
    """One exposure writes a sheet and its class; bursts bring back sheets that were never seen.

    An item of the `Hippocampus` contract is an entorhinal sheet and its class: levels 0..255, cell
    by cell, then the number of the class; -1 for what is not known. `replay` gives them as bytes,
    which hold the same numbers in a small space.

    The gyrus (`Lamellae`) turns one cell in each lamella towards its part of the sheet; CA3
    (`LamellarCA3`) counts which of them fire together. In a burst CA3 alone chooses the cells, and
    what they have learnt leads back to the sheet. The hippocampus can also answer at once, by day:
    `evidence`.

    What it holds are cells, not episodes: with n cells in use in each of L lamellae, the `gauge`
    counts n wholes, the fewest of which they could be parts.

    Parameters
    ----------
    config : LamellarHippocampusConfig
    sheet : (n_rows, n_columns, n_fields)
    rng : numpy.random.Generator
        For steps smaller than a count.

    References
    ----------
    McClelland, McNaughton & O'Reilly (1995) Psychol. Rev. 102:419; Káli & Dayan (2004) Nat.
    Neurosci. 7:286 (replay of what is no instance).
    """

    def __init__(
        self,
        config: LamellarHippocampusConfig,
        sheet: tuple[int, int, int],
        rng: np.random.Generator,
    ) -> None:
        self.config, self.sheet = config, sheet
        # Cells that merge to make room would leave CA3's synapses with another's meaning.
        self.gyrus = Lamellae(replace(config.gyrus, room=False), sheet, rng)
        grid = tuple((n - config.gyrus.extent) // config.gyrus.stride + 1 for n in sheet[:2])
        self.ca3 = LamellarCA3(
            config.ca3, (grid[0], grid[1]), config.gyrus.n_classes, config.gyrus.cells
        )

    @property
    def n_levels(self) -> int:
        """Cells of the sheet."""
        return self.sheet[0] * self.sheet[1] * self.sheet[2]

    # By day

    def experience(self, levels: Levels, labels: IntArray) -> int:
        """Write sheets in one exposure each; return the recurrent synapses that are new.

        Parameters
        ----------
        levels : (n, n_levels) uint8
        labels : (n,) int64

        Raises
        ------
        InputError
            For another size or a label that is no class.
        """
        won = self.gyrus.observe(self._activity(levels), labels)
        return self.ca3.write(labels, won)

    def evidence(self, levels: Levels) -> FloatArray:
        """Return what speaks for each class, ``(n, n_classes)``; see `Lamellae.evidence`."""
        return self.gyrus.evidence(self._activity(levels))

    def settle(self) -> None:
        """Leave no cell of a single image, or a few; see `Lamellae.settle`.

        Who takes a cell's part in the gyrus has its coincidences in CA3, too.
        """
        for merger in self.gyrus.settle():
            self.ca3.inherit(*merger)

    # The contract of a hippocampus

    def store(self, items: Sequence[int], salience: float) -> int:
        """Write one sheet and its class in one shot; return the synaptic events.

        A salient one lies deeper from the beginning, from 1 at 0 to the deepest at 1.
        """
        levels, seen, label = self._read(items)
        if label < 0 or not seen.all():
            raise InputError.expected(
                self, "items", "a whole sheet and its class", f"{int(seen.sum())} levels known",
                "complete it first",
            )  # fmt: skip
        before = self.gyrus.ledger.synaptic_events + self.ca3.ledger.synaptic_events
        won = self.gyrus.observe(self._activity(levels[None]), np.array([label]))
        self.ca3.write(np.array([label]), won)
        deep = round(1 + min(max(salience, 0.0), 1.0) * (self.config.ca3.deepest - 1))
        self.ca3.depth[np.arange(self.gyrus.n_lamellae), label, won[0, :, 0]] = deep
        return self.gyrus.ledger.synaptic_events + self.ca3.ledger.synaptic_events - before

    def recall(self, cue: Sequence[int]) -> Completion:
        """Complete a part of a sheet, or name a whole one.

        The lamellae that see their whole part choose the class and their cells, CA3 the cells of
        the others. The confidence is the share of synapses that agree.
        """
        levels, seen, told = self._read(cue)
        activity = self._activity(levels[None])
        open_ = self.gyrus.squares.whole(seen.reshape(self.sheet))
        used = (self.gyrus.wins > 0).any(axis=2).all(axis=0)
        if not open_.any() or not used.any():
            return Completion((), 0.0)
        distances = self.gyrus.distances(activity, np.flatnonzero(open_))[0]
        label = told
        if label < 0:
            total = distances.min(axis=2).sum(axis=0)
            label = int(np.where(used, total, np.inf).argmin())
        cells = np.full(len(open_), -1, np.int64)
        cells[open_] = distances[:, label].argmin(axis=1)
        whole = self.ca3.complete(label, cells, self.gyrus.wins)
        if (whole < 0).any():
            return Completion((), 0.0)
        filled = np.where(seen, levels, self._sheets(np.array([label]), whole[None])[0])
        items = (*filled.tolist(), label)[len(cue) :]
        return Completion(items, float(self.ca3.agreement(np.array([label]), whole[None])[0]))

    def replay(self, n: int, rng: np.random.Generator, acetylcholine: float = 0.0) -> list[Replay]:
        """Let CA3 reactivate by itself, `n` bursts, and read each out on the sheet."""
        labels, cells, agreement = self.ca3.replay(n, self.gyrus.wins, rng, acetylcholine)
        valid = np.all(cells >= 0, axis=1)
        levels = self._sheets(labels, cells)
        return [
            Replay(row.tobytes() + bytes((c,)), share, good, Trace(c, which))
            for row, c, share, good, which in zip(
                levels, labels.tolist(), agreement.tolist(), valid.tolist(), cells, strict=True
            )
        ]

    def depth(self, which: Replay) -> int:
        """Return how deep the cells of a trace lie, all together."""
        label, cells = which.trace
        return int(self.ca3.depth[np.arange(len(cells)), label, cells].sum())

    def fade(self, which: Replay) -> None:
        """Let the cells of a trace lie one less deep, but not vanish."""
        self.ca3.fade(*which.trace)

    def release(self, which: Replay, kept: int | None = None) -> None:
        """Free the cells of a trace: they are fresh again, and all their synapses silent.

        A cell is a part of many wholes, and goes with the first that is released.

        Parameters
        ----------
        which : Replay
        kept : int, optional
            0 or nothing: of a sheet no opening is kept.
        """
        label, cells = which.trace
        self.ca3.release(label, cells)
        at = np.arange(len(cells))
        self.gyrus.wins[at, label, cells] = 0
        self.gyrus.weights[at, label, cells] = 0

    def reconsolidate(self, which: Replay, items: Sequence[int]) -> None:
        """Refuse: there are no openings.

        Raises
        ------
        ConfigError
        """
        raise ConfigError.expected(
            self, "reconsolidate", "an opening of a released memory", "a sheet",
            "store the whole sheet anew",
        )  # fmt: skip

    def opening(self, items: Sequence[int]) -> int:
        """Return 0: of a released sheet nothing stays."""
        return 0

    def gauge(self) -> Gauge:
        """Measure how full the memory is: its cells, and the synapses that have counted."""
        used = int((self.gyrus.wins > 0).sum())
        n = self.gyrus.n_lamellae
        return Gauge(
            -(-used // n), 0, used, used / self.gyrus.n_units, self.gyrus.n_units - used,
            int(np.count_nonzero(self.ca3.counts)), self.ca3.counts.size,
        )  # fmt: skip

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return the named arrays: ``gyrus/...`` and ``ca3/...``."""
        parts = (("gyrus", self.gyrus.state), ("ca3", self.ca3.state))
        return {f"{part}/{name}": array for part, own in parts for name, array in own.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back."""
        for name, part in (("gyrus", self.gyrus), ("ca3", self.ca3)):
            start = f"{name}/"
            part.restore({k[len(start) :]: v for k, v in state.items() if k.startswith(start)})

    def _sheets(self, labels: IntArray, cells: NDArray[np.integer]) -> Levels:
        scale = np.float32(WHITE / self.config.gyrus.strongest)
        return as_levels(sheets(self.gyrus, labels, cells) * scale)

    def _activity(self, levels: Levels) -> FloatArray:
        if levels.ndim != 2 or levels.shape[1] != self.n_levels:
            raise InputError.expected(
                self, "levels", f"(n, {self.n_levels}) levels", levels.shape,
                "give sheets of the size that it was made for",
            )  # fmt: skip
        return levels.reshape(-1, *self.sheet).astype(np.float32) / np.float32(WHITE)

    def _read(self, items: Sequence[int]) -> tuple[Levels, NDArray[np.bool_], int]:
        """Return levels, which of them are known, and the class or -1."""
        full = np.full(self.n_levels + 1, -1, dtype=np.int64)
        if len(items) > len(full):
            raise InputError.expected(
                self, "items", f"at most {self.n_levels} levels and a class", len(items),
                "shorten it",
            )  # fmt: skip
        full[: len(items)] = list(items)
        levels, label = full[:-1], int(full[-1])
        wrong = (levels < -1) | (levels > WHITE)
        if wrong.any() or not -1 <= label < self.config.gyrus.n_classes:
            raise InputError.expected(
                self, "items", f"levels 0..{WHITE} and a class, or -1",
                int(levels[wrong][0]) if wrong.any() else label, "scale the sheet",
            )  # fmt: skip
        return np.clip(levels, 0, WHITE).astype(np.uint8), levels >= 0, label
