"""Loops of our engine for spiking networks; called from `spiking_numba` only.

Time is cut into stretches no longer than the shortest delay. In a stretch cells cannot hear each
other, so a block of cells takes all its steps while its state stays in the cache; between stretches
the spikes that arrive during the next one are counted, in integers, at their targets. Blocks and
sums are the same on any number of threads, so the spikes are the same to the last one.

The scheme is exponential Euler as Brian2 derives it from the equations in `spiking_cells`: the
potential is linear in v but for the exponential, which is held constant during a step,

``v <- v + dt F / C phi(-dt G / C)``, ``phi(z) = (exp(z) - 1) / z``,

with F the current at v and G the sum of the open conductances. Polynomials stand for the two
exponentials, to nine digits and better, so that the loop over cells is vectorised. Conductances and
currents are held in units of C / dt, in which a step has fewer factors.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

BLOCK = 256
"""Cells of a block: 18 kB of state, which the nearest cache holds; fewer cost a tenth more."""

PARTS = 8
"""Into which the targets of a pathway are divided among threads; a single one takes them whole."""

_V, _W, _GE, _XE, _GX, _XX, _GI, _XI, READY, ROWS = (BLOCK * k for k in range(10))
"""Where each quantity of a block begins; READY is the step from which a cell moves again."""


class Cells(NamedTuple):
    """A population as the kernels see it."""

    n_units: int
    state: NDArray[np.float64]  # (n_blocks, 9 * BLOCK)
    arrivals: NDArray[np.int32]  # (stretch * 3, n_blocks * BLOCK)
    constants: NDArray[np.float64]
    fired: NDArray[np.int32]  # (n_blocks, stretch * BLOCK): step * BLOCK + lane
    n_fired: NDArray[np.int64]  # (n_blocks,)
    log_step: NDArray[np.int64]
    log_cell: NDArray[np.int32]
    outside_step: NDArray[np.int64]
    outside_cell: NDArray[np.int64]
    watched: NDArray[np.int64]
    potentials: NDArray[np.float64]  # (n_steps, n_watched)
    field: NDArray[np.float64]  # (n_blocks, n_samples)
    every: int


class Way(NamedTuple):
    """A pathway as the kernels see it."""

    pre: int
    post: int
    channel: int
    delay: int
    targets: NDArray[np.uint16]
    codes: NDArray[np.uint16]


@numba.njit(cache=True, error_model="numpy", fastmath={"contract", "nsz"})
def _advance_block(state, arrivals, n_lanes, lane, constants, n_steps, first, fired):
    """Take the steps of a stretch with one block; return the number of threshold crossings."""
    c = constants
    leak, rest, theta, sharpness, upstroke, cutoff = c[0], c[1], c[2], c[3], c[4], c[5]
    keep_w, pull_w, held = c[7], c[8], c[9]
    e_rise, e_decay, e_rev, e_unit = c[10], c[11], c[12], c[13]
    x_rise, x_decay, x_rev, x_unit = c[14], c[15], c[16], c[17]
    i_rise, i_decay, i_rev, i_unit = c[18], c[19], c[20], c[21]
    reset, increment = c[22], c[23]
    leaked, pulled, sixty_fourth = leak * rest, pull_w * rest, sharpness * 0.015625
    n_fired = 0
    for step in range(n_steps):
        now = np.float64(first + step)
        base = step * 3 * n_lanes + lane
        e_new = arrivals[base : base + BLOCK]
        x_new = arrivals[base + n_lanes : base + n_lanes + BLOCK]
        i_new = arrivals[base + 2 * n_lanes : base + 2 * n_lanes + BLOCK]
        crossed = 0
        for i in range(BLOCK):
            v, w = state[_V + i], state[_W + i]
            ge, gx, gi = state[_GE + i], state[_GX + i], state[_GI + i]
            xe, xx, xi = state[_XE + i], state[_XX + i], state[_XI + i]
            # exp(y) = exp(y / 64)^64; below -20 the upstroke current is nothing.
            y = max((v - theta) * sixty_fourth, -0.3125)
            e = 1.0 + y * (
                1.0 + y * (1 / 2 + y * (1 / 6 + y * (1 / 24 + y * (1 / 120 + y * (
                    1 / 720 + y / 5040)))))
            )  # fmt: skip
            e *= e
            e *= e
            e *= e
            e *= e
            e *= e
            e *= e
            total = leak + ge + gx + gi
            f = leaked + ge * e_rev + gx * x_rev + gi * i_rev - total * v + upstroke * e - w
            # A quarter of phi(z / 4), then phi(2 z) = phi(z) (1 + exp(z)) / 2, twice.
            q = total * -0.25
            phi = 1 / 4 + q * (
                1 / 8 + q * (1 / 24 + q * (1 / 96 + q * (1 / 480 + q * (
                    1 / 2880 + q / 20160))))
            )  # fmt: skip
            once = 1.0 - total * phi
            phi = phi * (1.0 + once) * (1.0 + once * once)
            new = v + (f * phi if now >= state[READY + i] else 0.0)
            state[_V + i] = new
            state[_W + i] = w * keep_w + (pull_w * v - pulled)
            state[_GE + i] = xe + (ge - xe) * e_rise
            state[_GX + i] = xx + (gx - xx) * x_rise
            state[_GI + i] = xi + (gi - xi) * i_rise
            # What arrives in this step counts from the next one on.
            state[_XE + i] = xe * e_decay + e_unit * e_new[i]
            state[_XX + i] = xx * x_decay + x_unit * x_new[i]
            state[_XI + i] = xi * i_decay + i_unit * i_new[i]
            crossed |= not new <= cutoff  # NaN crosses too.
        if crossed:
            for i in range(BLOCK):
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
    for place in range(n_steps * 3):
        arrivals[place, lane : lane + BLOCK] = 0


@numba.njit(cache=True, error_model="numpy")
def _run_block(cells, b, first, n_steps, origin, field_steps):
    """Take the steps of a stretch with block b, step by step where something is recorded."""
    state, lane, n_lanes = cells.state[b], b * BLOCK, cells.n_fired.size * BLOCK
    arrivals = cells.arrivals.reshape(-1)
    if not (cells.every or cells.watched.size):
        n = _advance_block(
            state, arrivals, n_lanes, lane, cells.constants, n_steps, first, cells.fired[b]
        )
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
            state, arrivals[step * 3 * n_lanes :], n_lanes, lane, cells.constants, 1,
            first + step, cells.fired[b, n:],
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
        row = arrivals[(steps[n] + way.delay - first) * 3 + way.channel]
        if equal:
            code = np.int32(way.codes[0, 0])
            for k in range(low, high):
                row[way.targets[i, k]] += code
        else:
            for k in range(low, high):
                row[way.targets[i, k]] += np.int32(way.codes[i, k])


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
            while outside[p] < cells.outside_step.size and (
                cells.outside_step[outside[p]] < first + m
            ):
                n = outside[p]
                cells.arrivals[(cells.outside_step[n] - first) * 3 + 1, cells.outside_cell[n]] += 1
                outside[p] = n + 1
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
