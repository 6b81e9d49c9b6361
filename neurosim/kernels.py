"""Loops over synapses that are stored or generated; called from Python only.

The generated wiring is integer arithmetic of 32 bits: slot k of cell i leads into the k-th stratum
of the target population, to the place that a keyed bijection of i gives it,

``x = (A_k i + B_k) mod M,  x = x ^ (x >> s),  x = C_k x mod M,  x = x ^ (x >> s),  x = D x mod M,
target = low_k + floor(x width_k / M)``

with M a power of two that holds the presynaptic cells, A, C and D odd, and s at least half of M's
bits, so that every step can be undone: who drives a cell is computed as directly as whom it drives.

Every parallel loop writes either into its own rows or into its own block of target cells and sums
integers, or floats in the order of the cells, so results do not depend on the number of threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError

BLOCK_SLOTS = 1024
"""Most slots of a row that are worked on at a time: their targets stay in the nearest caches."""

LAST = np.uint32(0x9E3779B1)
"""D of the formula: the odd number nearest to 2^32 over the golden ratio that is prime."""


class Wires(NamedTuple):
    """A wiring as the kernels see it; zones are those of the presynaptic population.

    Parameters
    ----------
    stored : (n_pre, fan_out) uint16 or int32
        Targets, if they are stored; (0, 0) if they are generated.
    zones : (n_zones + 1,) int64
        First presynaptic cell of each zone.
    mul, add, mix : (n_zones, fan_out) uint32
        A, B and C of the formula.
    low, width : (n_zones, fan_out) uint32
        First target cell and size of each stratum.
    bits : int
        Binary logarithm of M.
    blocks : (n_zones, n_blocks + 1) int64
        Slots at which the blocks of target cells begin; block b is the same cells in every zone.
    """

    stored: NDArray[Any]
    zones: NDArray[np.int64]
    mul: NDArray[np.uint32]
    add: NDArray[np.uint32]
    mix: NDArray[np.uint32]
    low: NDArray[np.uint32]
    width: NDArray[np.uint32]
    bits: int
    blocks: NDArray[np.int64]


@contextlib.contextmanager
def threads(n: int) -> Iterator[None]:
    """Run the kernels of the block on `n` threads; the results are the same on any number.

    Raises
    ------
    ConfigError
        If the machine has fewer.
    """
    most = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    if not 1 <= n <= most:
        raise ConfigError.expected("kernels", "threads", f"1..{most}", n, "use fewer threads")
    before = numba.get_num_threads()
    numba.set_num_threads(n)
    try:
        yield
    finally:
        numba.set_num_threads(before)


@numba.njit(cache=True)
def _zone(zones, i):
    low, high = 0, zones.size - 1
    while high - low > 1:
        middle = (low + high) // 2
        if zones[middle] <= i:
            low = middle
        else:
            high = middle
    return low


@numba.njit(cache=True)
def _place(i, a, b, c, width, bits):
    mask = np.uint32((np.uint64(1) << np.uint64(bits)) - np.uint64(1))
    half = np.uint32((bits + 1) // 2)
    x = np.uint32(np.uint32(i) * a + b) & mask
    x = np.uint32(x ^ (x >> half))
    x = np.uint32(x * c) & mask
    x = np.uint32(x ^ (x >> half))
    x = np.uint32(x * LAST) & mask
    return np.uint32((np.uint64(x) * np.uint64(width)) >> np.uint64(bits))


@numba.njit(cache=True)
def _reach(wires, zone, i, first, last, out):
    # Targets of the slots first..last of cell i. Slices, whose indices start at zero, are what
    # the compiler can turn into vector instructions.
    if wires.stored.shape[0]:
        row = wires.stored[i, first:last]
        for k in range(row.size):
            out[k] = row[k]
    else:
        local = np.uint32(i - wires.zones[zone])
        mul, add = wires.mul[zone, first:last], wires.add[zone, first:last]
        mix, bits = wires.mix[zone, first:last], wires.bits
        low, width = wires.low[zone, first:last], wires.width[zone, first:last]
        for k in range(mul.size):
            out[k] = low[k] + _place(local, mul[k], add[k], mix[k], width[k], bits)


@numba.njit(cache=True)
def _levels(weights, bits, i, first, last, out):
    # Counts of the slots first..last of cell i, unpacked from whole bytes.
    a_byte = 8 // bits
    begin = first // a_byte
    row = weights[i, begin : (last + a_byte - 1) // a_byte]
    if bits == 8:
        for k in range(row.size):
            out[k] = row[k]
    elif bits == 4:
        for k in range(row.size):
            out[2 * k] = row[k] & np.uint8(15)
            out[2 * k + 1] = row[k] >> np.uint8(4)
    else:
        for k in range(row.size):
            for part in range(8):
                out[8 * k + part] = (row[k] >> np.uint8(part)) & np.uint8(1)
    skipped = first - begin * a_byte
    return out[skipped : skipped + last - first]


@numba.njit(cache=True)
def targets(wires, i, out):
    """Fill ``out (fan_out,) uint32`` with the targets of cell `i`."""
    _reach(wires, _zone(wires.zones, i), i, 0, out.size, out)


@numba.njit(cache=True)
def sources(wires, post, slots, inverse_mul, inverse_mix, inverse_last, out_pre, out_slot):
    """Fill `out_pre` and `out_slot` with who drives cell `post`; return how many.

    `slots (n_zones,)` is the slot through which each zone could reach it (-1: none);
    `inverse_mul`, `inverse_mix (n_zones,)` and `inverse_last` undo A, C and D.
    """
    n = 0
    mask = np.uint32((np.uint64(1) << np.uint64(wires.bits)) - np.uint64(1))
    half = np.uint32((wires.bits + 1) // 2)
    for zone in range(slots.size):
        k = slots[zone]
        if k < 0:
            continue
        start, end = wires.zones[zone], wires.zones[zone + 1]
        if wires.stored.shape[0]:
            for i in range(start, end):
                if wires.stored[i, k] == post:
                    out_pre[n] = i
                    out_slot[n] = k
                    n += 1
            continue
        width = np.int64(wires.width[zone, k])
        offset = np.int64(post) - np.int64(wires.low[zone, k])
        size = np.int64(1) << np.int64(wires.bits)
        first = (offset * size + width - 1) // width
        last = ((offset + 1) * size + width - 1) // width
        for place in range(first, last):
            x = np.uint32(np.uint32(place) * inverse_last) & mask
            x = np.uint32(x ^ (x >> half))
            x = np.uint32(x * inverse_mix[zone]) & mask
            x = np.uint32(x ^ (x >> half))
            x = np.uint32(np.uint32(x - wires.add[zone, k]) * inverse_mul[zone]) & mask
            i = start + np.int64(x)
            if i < end:
                out_pre[n] = i
                out_slot[n] = k
                n += 1
    return n


@numba.njit(cache=True, parallel=True)
def push(wires, active, gain, out):
    """Add the gain of each active cell to its targets: ``out[j] += gain[a]``.

    `gain (n_active,)` and `out (n_post,)` are of one type; cells are summed in their order.
    """
    for b in numba.prange(wires.blocks.shape[1] - 1):
        reached = np.empty(BLOCK_SLOTS, dtype=np.uint32)
        for a in range(active.size):
            i = active[a]
            zone = _zone(wires.zones, i)
            first, last = wires.blocks[zone, b], wires.blocks[zone, b + 1]
            g = gain[a]
            while first < last:
                end = min(first + BLOCK_SLOTS, last)
                _reach(wires, zone, i, first, end, reached)
                for k in range(end - first):
                    out[reached[k]] += g
                first = end


@numba.njit(cache=True, parallel=True)
def score(wires, weights, bits, active, pre_class, post_class, table, out):
    """Add what each count is worth: ``out[j] += table[pre_class[a] + post_class[j], count]``.

    `table (n_classes, n_levels) int32`; `out (n_post,) int32`.
    """
    for b in numba.prange(wires.blocks.shape[1] - 1):
        reached = np.empty(BLOCK_SLOTS, dtype=np.uint32)
        buffer = np.empty(BLOCK_SLOTS + 16, dtype=np.uint8)
        for a in range(active.size):
            i = active[a]
            zone = _zone(wires.zones, i)
            first, last = wires.blocks[zone, b], wires.blocks[zone, b + 1]
            row = pre_class[a]
            while first < last:
                end = min(first + BLOCK_SLOTS, last)
                _reach(wires, zone, i, first, end, reached)
                counts = _levels(weights, bits, i, first, end, buffer)
                for k in range(counts.size):
                    j = reached[k]
                    out[j] += table[row + post_class[j], counts[k]]
                first = end


@numba.njit(cache=True)
def _meet(wires, zone, i, post, slots, keys, hits):
    # Which of the post cells cell i reaches: their positions in `post`; keys are A, B, C, width.
    n = 0
    if wires.stored.shape[0]:
        row = wires.stored[i]
        for c in range(post.size):
            hits[n] = c
            n += row[slots[c]] == post[c]
    else:
        local = np.uint32(i - wires.zones[zone])
        mul, add, mix, width, offset = keys[0], keys[1], keys[2], keys[3], keys[4]
        bits = wires.bits
        for c in range(post.size):
            hits[n] = c
            n += _place(local, mul[c], add[c], mix[c], width[c], bits) == offset[c]
    return n


@numba.njit(cache=True)
def _change(weights, bits, i, k, amount):
    # Add to one count within its bounds; return it and what the bounds took away.
    if bits == 8:
        shift, most, column = 0, 255, k
    elif bits == 4:
        shift, most, column = (k & 1) << 2, 15, k >> 1
    else:
        shift, most, column = k & 7, 1, k >> 3
    byte = np.int64(weights[i, column])
    old = (byte >> shift) & most
    new = min(max(old + amount, 0), most)
    weights[i, column] = np.uint8(byte + ((new - old) << shift))
    return new, abs(old + amount - new)


@numba.njit(cache=True, parallel=True)
def potentiate(wires, weights, bits, pre, post, slots, keys, amount, recurrent, tally):
    """Add `amount` to the count of every synapse from a cell of `pre` to one of `post`.

    `slots (n_zones, n_post_active) int64` and `keys (n_zones, 5, n_post_active) uint32` are what
    the wiring says of each target; `tally (n_pre_active, 4) int64` takes, for each row, the
    synapses met, the steps that the bounds of the counts took away, the largest count and the
    counts that changed. With `recurrent` a cell's synapse on itself stays silent.
    """
    for a in numba.prange(pre.size):
        i = pre[a]
        zone = _zone(wires.zones, i)
        hits = np.empty(post.size + 1, dtype=np.int32)
        n = _meet(wires, zone, i, post, slots[zone], keys[zone], hits)
        met, lost, largest, changed = 0, 0, 0, 0
        for h in range(n):
            c = hits[h]
            if recurrent and post[c] == i:
                continue
            met += 1
            count, over = _change(weights, bits, i, slots[zone, c], amount)
            lost += over
            largest = max(largest, count)
            changed += over < abs(amount)
        tally[a, 0] = met
        tally[a, 1] = lost
        tally[a, 2] = largest
        tally[a, 3] = changed


@numba.njit(cache=True)
def coincident(wires, fan_out, pre, post, slots, keys, out):
    """Fill `out` with the flat indices of the synapses from `pre` to `post`; return how many."""
    n = 0
    hits = np.empty(post.size + 1, dtype=np.int32)
    for a in range(pre.size):
        i = pre[a]
        zone = _zone(wires.zones, i)
        for h in range(_meet(wires, zone, i, post, slots[zone], keys[zone], hits)):
            out[n] = i * fan_out + slots[zone, hits[h]]
            n += 1
    return n


@numba.njit(cache=True)
def wire(uniforms, n_post, out):
    """Fill ``out (n_pre, fan_out)`` with one target a stratum, chosen by ``uniforms`` in 0..1."""
    n_pre, fan_out = out.shape
    for i in range(n_pre):
        for k in range(fan_out):
            low = k * n_post // fan_out
            high = (k + 1) * n_post // fan_out
            out[i, k] = min(low + int(uniforms[i, k] * (high - low)), high - 1)


@numba.njit(cache=True)
def _word(seed, counter):
    # Splitmix64 (Steele, Lea & Flood 2014).
    x = seed + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@numba.njit(cache=True, parallel=True)
def imagine(wires, seed, active, pre_class, post_class, table, load_class, bars, member, out):
    """Do as `score` in a network whose counts are drawn anew, as the classes let expect them.

    Both populations are one. `bars (n_loads, n_levels) uint32` are the
    cumulative chances of the counts times 2^32, by the sum of two cells' `load_class`;
    `member (n_units,) bool` is a pattern that has been counted once more. A pair of cells has the
    same count in both directions and in every call with the same seed.
    """
    most = table.shape[1] - 1
    for b in numba.prange(wires.blocks.shape[1] - 1):
        reached = np.empty(BLOCK_SLOTS, dtype=np.uint32)
        for a in range(active.size):
            i = active[a]
            zone = _zone(wires.zones, i)
            first, last = wires.blocks[zone, b], wires.blocks[zone, b + 1]
            while first < last:
                end = min(first + BLOCK_SLOTS, last)
                _reach(wires, zone, i, first, end, reached)
                for k in range(end - first):
                    j = np.int64(reached[k])
                    row = pre_class[i] + post_class[j]
                    load = load_class[i] + load_class[j]
                    pair = (np.uint64(min(i, j)) << np.uint64(32)) | np.uint64(max(i, j))
                    drawn = _word(seed, pair) >> np.uint64(32)
                    count = 0
                    while count < most and drawn >= bars[load, count]:
                        count += 1
                    if member[i] and member[j] and count < most:
                        count += 1
                    if i != j:
                        out[j] += table[row, count]
                    else:
                        out[j] += table[row, 0]
                first = end


@numba.njit(cache=True, parallel=True)
def fade(weights, bits, fan_out, seed, first_row, bar, tally):
    """Take each unit of each count away with the chance ``bar / 2^32``.

    `tally (n_rows, 2) int64` takes, for each row, the units there were and the counts that changed.
    """
    most = (1 << bits) - 1
    a_byte = 8 // bits
    for r in numba.prange(weights.shape[0]):
        row = weights[r]
        start = (first_row + r) * fan_out * most
        units, changed = 0, 0
        for column in range(row.size):
            byte = np.int64(row[column])
            left = 0
            for part in range(a_byte):
                count = (byte >> (part * bits)) & most
                begin = start + (column * a_byte + part) * most
                stay = 0
                for unit in range(count):
                    word = _word(seed, np.uint64(begin + unit))
                    stay += np.int64(word >> np.uint64(32)) >= bar
                left |= stay << (part * bits)
                units += count
                changed += stay != count
            row[column] = np.uint8(left)
        tally[r, 0] = units
        tally[r, 1] = changed
