"""Products of a matrix with a batch, in tiles that stay in registers of 512 bits.

BLAS is made for large matrices: it first copies both into blocks of its own, which a batch of some
dozens of samples uses too seldom; and it takes the kernels that its build or the environment names
(`OPENBLAS_CORETYPE`), whatever the processor can do. Here tiles of 4 units by 64 samples (32 in
double precision) add up in registers, straight from where the arrays lie. A number is one chain of
fused multiply-adds in the order of the units below, so that what a sample gets does not depend on
who else is in its batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import binding, ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

Array = NDArray[np.floating]

_BYTES = 64  # Of a register.
_LARGE = 4 << 20  # Bytes of weights from which reading them again for more samples is slow.


def _tile(n_rows: int, n_registers: int) -> Callable[..., Any]:
    """Return a compiled function that writes a tile of ``w @ h``: rows by registers of columns.

    Numba has no vectors, and its loops keep the sums in memory; so the tile is written for LLVM.
    """

    @intrinsic
    def tile(typing_context, w, h, out, row, column):  # type: ignore[no-untyped-def]
        """Write the tile of `out` whose first number is at a row and column; all C-contiguous."""
        size = w.dtype.bitwidth // 8
        lanes = _BYTES // size

        def generate(context, builder, signature, given):  # type: ignore[no-untyped-def]
            weights, below, above = (
                context.make_array(kind)(context, builder, value)
                for kind, value in zip(signature.args[:3], given[:3], strict=True)
            )
            n_pre, n_samples = cgutils.unpack_tuple(builder, below.shape)
            first_row, first_column = given[3:]
            number = context.get_value_type(w.dtype)
            vector, index = ir.VectorType(number, lanes), n_pre.type
            rows = [builder.add(first_row, index(r)) for r in range(n_rows)]
            columns = [builder.add(first_column, index(v * lanes)) for v in range(n_registers)]
            multiply_add = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector] * 3),
                f"llvm.fma.v{lanes}f{8 * size}",
            )  # fmt: skip

            def place(array, width, i, j):  # type: ignore[no-untyped-def]
                return builder.gep(array.data, [builder.add(builder.mul(i, width), j)])

            def registers(array, i):  # type: ignore[no-untyped-def]
                places = (place(array, n_samples, i, j) for j in columns)
                return [builder.bitcast(at, vector.as_pointer()) for at in places]

            def spread(value):  # type: ignore[no-untyped-def]
                nothing, first = ir.Constant(vector, ir.Undefined), ir.IntType(32)(0)
                one = builder.insert_element(nothing, value, first)
                everywhere = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
                return builder.shuffle_vector(one, nothing, everywhere)

            zero = ir.Constant(vector, [0.0] * lanes)
            sums = [
                [cgutils.alloca_once_value(builder, zero) for _ in columns] for _ in rows
            ]  # LLVM keeps them in registers.
            with cgutils.for_range(builder, n_pre) as loop:
                active = [builder.load(at, align=size) for at in registers(below, loop.index)]
                for i, own in zip(rows, sums, strict=True):
                    weight = spread(builder.load(place(weights, n_pre, i, loop.index)))
                    for total, h_k in zip(own, active, strict=True):
                        value = builder.call(multiply_add, [weight, h_k, builder.load(total)])
                        builder.store(value, total)
            for i, own in zip(rows, sums, strict=True):
                for total, at in zip(own, registers(above, i), strict=True):
                    builder.store(builder.load(total), at, align=size)
            return context.get_dummy_value()

        return types.void(w, h, out, row, column), generate

    return tile


# Some sixteen sums at a time hide how long one of them takes.
_four_by_four, _eight_by_two, _eight_by_one = _tile(4, 4), _tile(8, 2), _tile(8, 1)
_one_by_four, _one_by_two, _one_by_one = _tile(1, 4), _tile(1, 2), _tile(1, 1)


@numba.njit(cache=True, error_model="numpy")
def _product(w, h, out, lanes):
    """Write ``w @ h``; its columns are at least as many as `lanes`.

    The last tiles of a row begin as far to the left as they must, and write the same once more.
    """
    n_post, n = w.shape[0], h.shape[1]
    fours, eights = n_post - n_post % 4, n_post - n_post % 8
    done = 0
    while done < n:
        left = n - done
        if left > 2 * lanes and n >= 4 * lanes:
            column = min(done, n - 4 * lanes)
            for i in range(0, fours, 4):
                _four_by_four(w, h, out, i, column)
            for i in range(fours, n_post):
                _one_by_four(w, h, out, i, column)
            done = column + 4 * lanes
        elif left > lanes and n >= 2 * lanes:
            column = min(done, n - 2 * lanes)
            for i in range(0, eights, 8):
                _eight_by_two(w, h, out, i, column)
            for i in range(eights, n_post):
                _one_by_two(w, h, out, i, column)
            done = column + 2 * lanes
        else:
            column = min(done, n - lanes)
            for i in range(0, eights, 8):
                _eight_by_one(w, h, out, i, column)
            for i in range(eights, n_post):
                _one_by_one(w, h, out, i, column)
            done = column + lanes


@numba.njit(cache=True, error_model="numpy")
def _turn(w, out):
    """Write the transpose in squares that lie in the cache both ways."""
    n_post, n_pre = w.shape
    for i in range(0, n_post, 8):
        for j in range(0, n_pre, 8):
            for column in range(j, min(j + 8, n_pre)):
                for row in range(i, min(i + 8, n_post)):
                    out[column, row] = w[row, column]


def _has_wide_registers() -> bool:
    """Return whether what Numba compiles may use AVX-512."""
    features = config.CPU_FEATURES  # type: ignore[attr-defined]
    if features is None:
        features = binding.get_host_cpu_features().flatten()
    return "+avx512f" in features.split(",")


_INTERPRETED: bool = config.DISABLE_JIT  # type: ignore[attr-defined]
IN_TILES: bool = _has_wide_registers() and not _INTERPRETED
"""Whether products go in tiles here: with AVX-512, unless kernels are interpreted."""


def product(w: Array, h: Array, out: Array) -> None:
    """Write ``w @ h``.

    In tiles where the processor has AVX-512 and the batch is of the size they are faster for: from
    one register of samples (16 in single precision) to eight, or four where `w` is large. Otherwise
    by BLAS. Both differ by rounding.

    Parameters
    ----------
    w : (n_post, n_pre) float
    h : (n_pre, n_samples) float
        A column a sample.
    out : (n_post, n_samples) float
        Shares no memory with the others. BLAS takes all that are not C-contiguous and of one dtype.

    Raises
    ------
    ValueError
        When shapes do not match.
    """
    lanes = _BYTES // out.itemsize
    few = (8 if w.nbytes <= _LARGE else 4) * lanes
    if IN_TILES and lanes <= h.shape[1] <= few and _match(w, h, out):
        _product(w, h, out, lanes)
    else:
        np.matmul(w, h, out=out)


def _match(w: Array, h: Array, out: Array) -> bool:
    """Return whether a tile reads and writes what it should; nothing in it checks."""
    return (
        w.shape[1] == len(h)
        and out.shape == (len(w), h.shape[1])
        and w.dtype == h.dtype == out.dtype
        and w.flags.c_contiguous
        and h.flags.c_contiguous
        and out.flags.c_contiguous
    )


def transposed(w: Array) -> Array:
    """Return the transpose, C-contiguous: up to six times as fast as a copy of ``w.T``.

    Parameters
    ----------
    w : (n_post, n_pre) float
        C-contiguous.

    Returns
    -------
    (n_pre, n_post) float
    """
    out = np.empty(w.shape[::-1], w.dtype)
    if _INTERPRETED:
        out[...] = w.T
    else:
        _turn(w, out)
    return out
