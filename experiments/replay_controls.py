"""What a night might replay instead: parts that do not belong together, or the raw sheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.entorhinal_sheet import Levels
from circuits.lamellar_hippocampus import IntArray, LamellarHippocampus, Trace
from neurosim.contracts import Replay


class RandomReplay(LamellarHippocampus):
    """Cells of any class fire in each lamella, whatever fires beside them: the control.

    The sheet is named after the cell that fired first. There are as many bursts as in the other
    nights, and all of them teach.
    """

    def replay(self, n: int, rng: np.random.Generator, acetylcholine: float = 0.0) -> list[Replay]:
        """Let one cell in use fire in each lamella, all alike."""
        used = [np.argwhere(wins > 0) for wins in self.gyrus.wins]
        if not all(len(cells) for cells in used):
            return []
        drawn = np.stack([cells[rng.integers(len(cells), size=n)] for cells in used], axis=1)
        named = drawn[np.arange(n), rng.integers(len(used), size=n), 0]
        sheets = self._sheets(drawn[..., 0], drawn[..., 1])
        return [
            Replay(row.tobytes() + bytes((int(c),)), 1.0, True, Trace(int(c), cells))
            for row, c, cells in zip(sheets, named, drawn[..., 1], strict=True)
        ]


class RawReplay(LamellarHippocampus):
    """Every sheet that came is kept and replayed as it was: the upper bound, at any price."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._days: list[tuple[Levels, IntArray]] = []

    def experience(self, levels: Levels, labels: IntArray) -> int:
        """Write as always, and keep the sheets."""
        self._days.append((levels.copy(), labels.copy()))
        return super().experience(levels, labels)

    def replay(self, n: int, rng: np.random.Generator, acetylcholine: float = 0.0) -> list[Replay]:
        """Draw sheets by chance; none if none has come."""
        if not self._days:
            return []
        levels, labels = (np.concatenate(each) for each in zip(*self._days, strict=True))
        nowhere = np.zeros(self.gyrus.n_lamellae, np.int32)
        return [
            Replay(
                levels[k].tobytes() + bytes((int(labels[k]),)), 1.0, True,
                Trace(int(labels[k]), nowhere),
            )
            for k in rng.integers(len(labels), size=n)
        ]  # fmt: skip

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:  # type: ignore[override]
        """Return everything, the raw sheets under ``raw``."""
        kept: dict[str, NDArray[Any]] = dict(super().state)
        if self._days:
            kept["raw/sheets"], kept["raw/labels"] = (
                np.concatenate(each) for each in zip(*self._days, strict=True)
            )
        return kept

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back, the raw sheets with it."""
        super().restore(state)
        self._days = []
        if "raw/sheets" in state:
            self._days.append((np.array(state["raw/sheets"]), np.array(state["raw/labels"])))
