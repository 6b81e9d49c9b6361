"""The squares of the entorhinal sheet, each of which drives a lamella."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from circuits.lamellae_config import FINEST, QUIET, LamellaeConfig
from neurosim.errors import ConfigError, InputError

FloatArray = NDArray[np.float32]


class Squares:
    """What each lamella sees of the sheet: ``u = x / (|x| + QUIET)`` of its square.

    Parameters
    ----------
    config : LamellaeConfig
    sheet : (n_rows, n_columns, n_fields)
        Of the entorhinal activity.

    Attributes
    ----------
    corners : list of (row, column)
        Upper left of the square of each lamella.

    Raises
    ------
    ConfigError
        When a square is larger than the sheet.
    """

    def __init__(self, config: LamellaeConfig, sheet: tuple[int, int, int]) -> None:
        if min(sheet[:2]) < config.extent:
            raise ConfigError.expected(
                config, "extent", f"at most the sheet, {sheet[:2]}", config.extent, "lower it"
            )
        self.config, self.sheet = config, sheet
        rows, columns = (
            range(0, extent - config.extent + 1, config.stride) for extent in sheet[:2]
        )
        self.corners = [(row, column) for row in rows for column in columns]

    @property
    def n_pre(self) -> int:
        """Cells of a square."""
        return self.config.extent**2 * self.sheet[2]

    def drive(self, activity: FloatArray) -> NDArray[np.int16]:
        """Return what each lamella sees ``(n, n_lamellae, n_pre)``, `fine` steps to a count.

        Raises
        ------
        InputError
            For another size, or activity that is not finite.
        """
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
                for r, c in self.corners
            ],
            axis=1,
        )
        return self._scale(parts).astype(np.int16)

    def faint(
        self, drive: NDArray[np.integer] | FloatArray, share: float | None = None
    ) -> NDArray[np.bool_]:
        """Return which parts sum to less than ``sqrt(share n_pre)``, ``(...)``.

        So much the inputs of a part amount to of which that share is driven, all of it alike.

        Parameters
        ----------
        drive : (..., n_pre) integer or float32
            In whole steps, `fine` to a count.
        share : float, optional
            Of the inputs, 0 to 1; `cooperativity`, which is too faint to be written, if not given.
        """
        share = self.config.cooperativity if share is None else share
        least = np.sqrt(share * self.n_pre) * FINEST / self.config.strongest
        weak: NDArray[np.bool_] = drive.sum(axis=-1, dtype=np.float64) < least
        return weak

    def part(self, activity: FloatArray, lamella: int) -> FloatArray:
        """Return what one lamella sees ``(n, n_pre)``, in counts of a weight."""
        side, (row, column) = self.config.extent, self.corners[lamella]
        seen = activity[:, row : row + side, column : column + side]
        return self._scale(seen.reshape(len(activity), -1)) / np.float32(self.config.fine)

    def whole(self, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which lamellae see no unknown cell of a sheet, ``(n_lamellae,)``."""
        side = self.config.extent
        return np.array([known[r : r + side, c : c + side].all() for r, c in self.corners])

    def _scale(self, parts: FloatArray) -> FloatArray:
        """Return ``u`` of parts ``(..., n_pre)`` in whole steps, `fine` to a count."""
        u = parts / (np.linalg.norm(parts, axis=-1, keepdims=True) + np.float32(QUIET))
        steps: FloatArray = np.rint(u * np.float32(FINEST / self.config.strongest))
        return np.minimum(steps, FINEST)
