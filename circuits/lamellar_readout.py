"""What cells of lamellae stand for: the way back to the entorhinal sheet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from circuits.lamellae import Lamellae
from neurosim.codes import SparseCode
from neurosim.errors import InputError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def decode(lamellae: Lamellae, code: SparseCode) -> FloatArray:
    """Return the sheet ``(n_rows, n_columns, n_fields)`` that active cells stand for.

    What a lamella's cells have learnt, the mean over active cells and over the lamellae that
    share a column; normalised in each lamella as what they were driven by. A silent cell has no
    say: where none speaks the sheet is 0. The way back to the entorhinal sheet when CA3 replays a
    code.

    Parameters
    ----------
    lamellae : Lamellae
    code : SparseCode of n_units

    Raises
    ------
    InputError
        For a code of another size.
    """
    if code.n_units != lamellae.n_units:
        raise InputError.expected(
            "Lamellae", "code", f"a code of {lamellae.n_units} cells", code.n_units,
            "decode what these lamellae have encoded",
        )  # fmt: skip
    squares = lamellae.squares
    sheet = np.zeros(squares.sheet, np.float32)
    shared = np.zeros((*squares.sheet[:2], 1), np.float32)
    side, per_lamella = lamellae.config.extent, lamellae.n_units // lamellae.n_lamellae
    count = np.float32(lamellae.config.strongest / lamellae.config.most)
    flat = lamellae.weights.reshape(lamellae.n_units, side, side, squares.sheet[2])
    for cell in code.active:
        row, column = squares.corners[cell // per_lamella]
        sheet[row : row + side, column : column + side] += count * flat[cell]
        shared[row : row + side, column : column + side] += flat[cell].any()
    decoded: FloatArray = sheet / np.maximum(shared, 1)
    return decoded


def ideal_sheets(lamellae: Lamellae, activity: FloatArray) -> FloatArray:
    """Return the sheets ``(n, n_rows, n_columns, n_fields)`` a perfect code would lead back to.

    That is what `decode` gives if a cell of its own has learnt each part that is not faint.
    """
    squares, side, n = lamellae.squares, lamellae.config.extent, len(activity)
    sheet = np.zeros((n, *squares.sheet), np.float32)
    shared = np.zeros((n, *squares.sheet[:2], 1), np.float32)
    count = np.float32(lamellae.config.strongest / lamellae.config.most)
    for lamella, (row, column) in enumerate(squares.corners):
        part = squares.part(activity, lamella)
        heard = ~squares.faint(np.rint(part * np.float32(lamellae.config.fine))) & part.any(axis=1)
        part[~heard] = 0
        square = np.s_[:, row : row + side, column : column + side]
        sheet[square] += count * part.reshape(n, side, side, squares.sheet[2])
        shared[square] += heard[:, None, None, None]
    sheet /= np.maximum(shared, 1)
    return sheet


def sheets(lamellae: Lamellae, labels: IntArray, cells: NDArray[np.integer]) -> FloatArray:
    """Return what one cell in each lamella stands for, ``(n, n_rows, n_columns, n_fields)``.

    As `decode`, for many codes at once: a silent cell has no say.

    Parameters
    ----------
    lamellae : Lamellae
    labels : (n,) int, or (n, n_lamellae)
        Class of the cells.
    cells : (n, n_lamellae) int
        Of that class.
    """
    of = np.broadcast_to(labels.T, cells.T.shape)
    squares, side, n = lamellae.squares, lamellae.config.extent, len(labels)
    sheet = np.zeros((n, *squares.sheet), np.float32)
    shared = np.zeros((n, *squares.sheet[:2], 1), np.float32)
    for lamella, (row, column) in enumerate(squares.corners):
        part = lamellae.weights[lamella, of[lamella], cells[:, lamella]]
        square = np.s_[:, row : row + side, column : column + side]
        sheet[square] += part.reshape(n, side, side, squares.sheet[2])
        shared[square] += part.any(axis=1)[:, None, None, None]
    sheet *= np.float32(lamellae.config.strongest / lamellae.config.most) / np.maximum(shared, 1)
    return sheet
