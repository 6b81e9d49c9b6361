"""Loops of our engine for spiking networks; called from `spiking_numba` only.

Time is cut into stretches no longer than the shortest delay. In a stretch cells cannot hear each
other, so a block of cells takes all its steps while its state stays in the cache; between stretches
the spikes that arrive during the next one are counted, in integers, at their targets. Blocks and
sums are the same on any number of threads, so the spikes are the same to the last one.

The scheme is exponential Euler as Brian2 derives it from the equations in `spiking_cells`: the
potential is linear in v but for the exponential, which is held constant during a step,

``v <- v + dt F / C phi(-dt G / C)``, ``phi(z) = (exp(z) - 1) / z``,

with F the current at v and G the sum of the open conductances. Polynomials stand for the two
exponentials, so that the loop over cells is vectorised: for exp by 1.9e-9 at most (of the larger of
1 and exp, from 20 slopes below theta to 10 above), for phi by 2.4e-11 of it. They are the ones of
least largest error, and of Chebyshev's points. Conductances and currents are held in units of
C / dt, in which a step has fewer factors. No constant is divided by: a division is not made a
product, and takes as long as ten.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

BLOCK = 512
"""Cells of a block: 36 kB of state, which the nearest cache holds; fewer cost a twentieth more."""

LANES = 8
"""Cells of the widest vector: of the last block so many at a time are computed."""

PARTS = 8
"""Into which the targets of a pathway are divided among threads; a single one takes them whole."""

ROWS_A_STEP = 2
"""Of arrivals: excitation and inhibition, the channels that pathways open."""

NARROW = 0.5
"""Of dt G / C, up to which a polynomial stands for phi; beyond it phi is computed as it is."""

_V, _W, _GE, _XE, _GX, _XX, _GI, _XI, READY, ROWS = (BLOCK * k for k in range(10))
"""Where each quantity of a block begins; READY is the step from which a cell moves again."""


class Cells(NamedTuple):
    """A population as the kernels see it.

    Parameters
    ----------
    n_units : int
    state : (n_blocks, 9 * BLOCK) float64
        Potential, adaptation and synapses of each block's cells, one quantity after the other.
    arrivals : (stretch * ROWS_A_STEP, n_blocks * BLOCK) int32
        Codes that arrive at each cell: a row of excitation and one of inhibition for each step.
    constants : (24,) float64
        Of the cell and its channels, for steps of this length.
    fired : (n_blocks, stretch * BLOCK) int32
        Spikes of a stretch, ``step * BLOCK + lane``.
    n_fired : (n_blocks,) int64
        How many; below 0 where a potential was no number.
    log_step, log_cell : (room,) int64, int32
        All spikes so far, in the order of steps and cells.
    outside_step, outside_cell : (n_outside,) int64
        Spikes from outside, in the order of steps.
    outside_first : (n_blocks,) int64
        A block's first spike from outside in a stretch; -1: none.
    outside_next : (n_outside,) int64
        And the one after each; -1: none.
    watched : (n_watched,) int64
        Cells whose potential is kept.
    potentials : (n_steps, n_watched) float64 [V]
    field : (n_blocks, n_samples) float64 [A]
        Inward synaptic currents, summed over the cells that count.
    every : int
        Every how manieth cell counts for the field; 0: none.
    """

    n_units: int
    state: NDArray[np.float64]
    arrivals: NDArray[np.int32]
    constants: NDArray[np.float64]
    fired: NDArray[np.int32]
    n_fired: NDArray[np.int64]
    log_step: NDArray[np.int64]
    log_cell: NDArray[np.int32]
    outside_step: NDArray[np.int64]
    outside_cell: NDArray[np.int64]
    outside_first: NDArray[np.int64]
    outside_next: NDArray[np.int64]
    watched: NDArray[np.int64]
    potentials: NDArray[np.float64]
    field: NDArray[np.float64]
    every: int


class Way(NamedTuple):
    """A pathway as the kernels see it.

    Parameters
    ----------
    pre, post : int
        Numbers of the populations.
    row : int
        Of the arrivals: 0 for excitation, 1 for inhibition.
    delay : int [steps]
    targets : (n_pre, fan_out) uint16
    codes : (n_pre, fan_out) uint16, or (1, 1) for equal weights
    """

    pre: int
    post: int
    row: int
    delay: int
    targets: NDArray[np.uint16]
    codes: NDArray[np.uint16]


@numba.njit(cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _is_wide(state, n, leak):
    """Say whether a step of some cell of a block needs more than the polynomial for phi."""
    wide = 0
    for i in range(n):
        wide |= leak + state[_GE + i] + state[_GX + i] + state[_GI + i] > NARROW
    return wide


@numba.njit(cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _step_block(state, e_new, i_new, now, constants, n, exactly):
    """Take a step with n cells; return whether a cell crosses, and whether the next one is wide.

    `exactly` is None where phi may be the polynomial, so that two kernels are compiled: a choice
    within the loop would keep it from being vectorised.
    """
    c = constants
    leak, rest, theta, sharpness, upstroke, cutoff = c[0], c[1], c[2], c[3], c[4], c[5]
    keep_w, pull_w = c[7], c[8]
    e_rise, e_decay, e_rev, e_unit = c[10], c[11], c[12], c[13]
    x_rise, x_decay, x_rev = c[14], c[15], c[16]
    i_rise, i_decay, i_rev, i_unit = c[18], c[19], c[20], c[21]
    leaked, pulled, sixty_fourth = leak * rest, pull_w * rest, sharpness * 0.015625
    crossed = wide = 0
    for i in range(n):
        v, w = state[_V + i], state[_W + i]
        ge, gx, gi = state[_GE + i], state[_GX + i], state[_GI + i]
        xe, xx, xi = state[_XE + i], state[_XX + i], state[_XI + i]
        # exp(y) = exp(y / 64)^64; below -20 the upstroke current is nothing.
        y = max((v - theta) * sixty_fourth, -0.3125)
        e = 1.000000000004037 + y * (
            0.9999999961093445 + y * (0.5000000988257881 + y * (0.16666832255187194 + y * (
                0.04160500444132446 + y * 0.008862309832471469)))
        )  # fmt: skip
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        total = leak + ge + gx + gi
        f = leaked + ge * e_rev + gx * x_rev + gi * i_rev - total * v + upstroke * e - w
        if exactly is None:
            phi = 0.999999999980493 + total * (
                -0.49999999617443963 + total * (0.16666654388572869 + total * (
                    -0.04166518458899507 + total * (0.008324776031258809 + total * (
                        -0.001363312066392349 + total * 0.00015973134265680398))))
            )  # fmt: skip
        else:
            phi = -math.expm1(-total) / total
        new = v + (f * phi if now >= state[READY + i] else 0.0)
        state[_V + i] = new
        state[_W + i] = w * keep_w + (pull_w * v - pulled)
        ge = xe + (ge - xe) * e_rise
        gx = xx + (gx - xx) * x_rise
        gi = xi + (gi - xi) * i_rise
        state[_GE + i] = ge
        state[_GX + i] = gx
        state[_GI + i] = gi
        # What arrives in this step counts from the next one on.
        state[_XE + i] = xe * e_decay + e_unit * e_new[i]
        state[_XX + i] = xx * x_decay
        state[_XI + i] = xi * i_decay + i_unit * i_new[i]
        crossed |= not new <= cutoff  # NaN crosses too.
        wide |= leak + ge + gx + gi > NARROW
    return crossed, wide


@numba.njit(cache=True, error_model="numpy")
def _advance_block(cells, b, arrivals, n_steps, first, fired):
    """Take the steps of a stretch with block b; return the number of threshold crossings."""
    state, c = cells.state[b], cells.constants
    cutoff, held, x_unit, reset, increment = c[5], c[9], c[17], c[22], c[23]
    lane, n_lanes = b * BLOCK, cells.n_fired.size * BLOCK
    n = min(BLOCK, -(-(cells.n_units - lane) // LANES) * LANES)
    wide, given, n_fired = _is_wide(state, n, c[0]), cells.outside_first[b], 0
    for step in range(n_steps):
        now = np.float64(first + step)
        base = step * ROWS_A_STEP * n_lanes + lane
        e_new = arrivals[base : base + BLOCK]
        i_new = arrivals[base + n_lanes : base + n_lanes + BLOCK]
        if wide:
            crossed, wide = _step_block(state, e_new, i_new, now, c, n, 1)
        else:
            crossed, wide = _step_block(state, e_new, i_new, now, c, n, None)
        # A spike from outside is rare enough to be given to its cell by itself.
        while given >= 0 and cells.outside_step[given] <= first + step:
            if cells.outside_step[given] == first + step:
                state[_XX + cells.outside_cell[given] - lane] += x_unit
            given = cells.outside_next[given]
        if crossed:
            for i in range(n):
                v = state[_V + i]
                if v != v:
                    return -1 - step
                if v > cutoff:
                    state[_V + i] = reset
                    state[_W + i] += increment
                    state[READY + i] = now + held
                    fired[n_fired] = step * BLOCK + i
                    n_fired += 1
    return n_fired


@numba.njit(cache=True, error_model="numpy")
def _current(state, constants, first_cell, n_units, every):
    """Return the sum of the inward synaptic currents [A] into every so manieth cell of a block."""
    e_rev, x_rev, i_rev = constants[12], constants[16], constants[20]
    total = 0.0
    for i in range((-first_cell) % every, min(BLOCK, n_units - first_cell), every):
        v = state[_V + i]
        total -= state[_GE + i] * (v - e_rev) + state[_GX + i] * (v - x_rev)
        total -= state[_GI + i] * (v - i_rev)
    return total / constants[6]


@numba.njit(cache=True, error_model="numpy")
def _clear(arrivals, n_steps, lane):
    for place in range(n_steps * ROWS_A_STEP):
        arrivals[place, lane : lane + BLOCK] = 0


@numba.njit(cache=True, error_model="numpy")
def _run_block(cells, b, first, n_steps, origin, field_steps):
    """Take the steps of a stretch with block b, step by step where something is recorded."""
    state, lane, n_lanes = cells.state[b], b * BLOCK, cells.n_fired.size * BLOCK
    arrivals = cells.arrivals.reshape(-1)
    if not (cells.every or cells.watched.size):
        n = _advance_block(cells, b, arrivals, n_steps, first, cells.fired[b])
        _clear(cells.arrivals, n_steps, lane)
        cells.n_fired[b] = n
        return
    n = 0
    for step in range(n_steps):
        place = first + step - origin
        for k in range(cells.watched.size):
            if cells.watched[k] // BLOCK == b:
                cells.potentials[place, k] = state[_V + cells.watched[k] % BLOCK]
        if cells.every and (first + step) % field_steps == 0:
            sample = (first + step) // field_steps - -(-origin // field_steps)
            cells.field[b, sample] = _current(
                state, cells.constants, b * BLOCK, cells.n_units, cells.every
            )
        m = _advance_block(
            cells, b, arrivals[step * ROWS_A_STEP * n_lanes :], 1, first + step, cells.fired[b, n:]
        )  # fmt: skip
        if m < 0:
            n = -1 - step
            break
        for k in range(n, n + m):
            cells.fired[b, k] += step * BLOCK
        n += m
    _clear(cells.arrivals, n_steps, lane)
    cells.n_fired[b] = n


@numba.njit(cache=True, error_model="numpy")
def _deliver(way, steps, spikers, begin, end, first, arrivals, part, n_parts):
    """Count the spikes that arrive in a stretch at one part of a pathway's targets."""
    fan_out = way.targets.shape[1]
    low, high = part * fan_out // n_parts, (part + 1) * fan_out // n_parts
    equal = way.codes.size == 1
    for n in range(begin, end):
        i = spikers[n]
        row = arrivals[(steps[n] + way.delay - first) * ROWS_A_STEP + way.row]
        if equal:
            code = np.int32(way.codes[0, 0])
            for k in range(low, high):
                row[way.targets[i, k]] += code
        else:
            for k in range(low, high):
                row[way.targets[i, k]] += np.int32(way.codes[i, k])


@numba.njit(cache=True, error_model="numpy")
def _hand_out(cells, begin, until):
    """Chain the spikes from outside before step `until` by blocks; return the one that follows."""
    end = begin
    while end < cells.outside_step.size and cells.outside_step[end] < until:
        end += 1
    cells.outside_first[:] = -1
    for n in range(end - 1, begin - 1, -1):
        b = cells.outside_cell[n] // BLOCK
        cells.outside_next[n] = cells.outside_first[b]
        cells.outside_first[b] = n
    return end


@numba.njit(cache=True, error_model="numpy")
def _collect(cells, count, first, n_steps):
    """Append the spikes of a stretch to the log in the order of steps and cells."""
    n_blocks = cells.n_fired.size
    taken = np.zeros(n_blocks, dtype=np.int64)
    for step in range(n_steps):
        for b in range(n_blocks):
            while taken[b] < cells.n_fired[b]:
                code = cells.fired[b, taken[b]]
                if code // BLOCK != step:
                    break
                cells.log_step[count] = first + step
                cells.log_cell[count] = b * BLOCK + code % BLOCK
                count += 1
                taken[b] += 1
    return count


@numba.njit(cache=True, error_model="numpy", parallel=True)
def _deliver_all(way, steps, spikers, begin, end, first, arrivals):
    """Count the spikes that arrive in a stretch at all targets of a pathway."""
    for part in numba.prange(PARTS):
        _deliver(way, steps, spikers, begin, end, first, arrivals, part, PARTS)


@numba.njit(cache=True, error_model="numpy", parallel=True)
def _run_blocks(cells, first, n_steps, origin, field_steps):
    """Take the steps of a stretch with all blocks of a population."""
    for b in numba.prange(cells.n_fired.size):
        _run_block(cells, b, first, n_steps, origin, field_steps)


@numba.njit(cache=True, error_model="numpy")
def simulate(
    populations, ways, counts, pointers, outside, origin, n_steps, stretch, field_steps, alone
):  # fmt: skip
    """Take `n_steps` from step `origin` on; return (0, 0), or population and step of a NaN.

    With one thread, `alone`, no parallel loop is entered: that costs microseconds a stretch.
    """
    for first in range(origin, origin + n_steps, stretch):
        m = min(stretch, origin + n_steps - first)
        for w in range(len(ways)):
            way = ways[w]
            pre, end = populations[way.pre], pointers[w]
            while end < counts[way.pre] and pre.log_step[end] + way.delay < first + m:
                end += 1
            arrivals = populations[way.post].arrivals
            if end > pointers[w] and alone:
                _deliver(way, pre.log_step, pre.log_cell, pointers[w], end, first, arrivals, 0, 1)
            elif end > pointers[w]:
                _deliver_all(way, pre.log_step, pre.log_cell, pointers[w], end, first, arrivals)
            pointers[w] = end
        for p in range(len(populations)):
            cells = populations[p]
            outside[p] = _hand_out(cells, outside[p], first + m)
            if alone:
                for b in range(cells.n_fired.size):
                    _run_block(cells, b, first, m, origin, field_steps)
            else:
                _run_blocks(cells, first, m, origin, field_steps)
            for b in range(cells.n_fired.size):
                if cells.n_fired[b] < 0:
                    return p + 1, first - 1 - cells.n_fired[b]
            counts[p] = _collect(cells, counts[p], first, m)
    return 0, 0
