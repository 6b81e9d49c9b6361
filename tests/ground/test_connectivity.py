"""Wirings: both orders agree, generated graphs are the same everywhere and look random."""

import hashlib

import numpy as np
import pytest

from neurosim.connectivity import Full, Generated, Nearby, Stored
from neurosim.errors import ConfigError
from neurosim.randomness import Streams

WORD = (1 << 64) - 1


def splitmix(root, counter):
    """Return the 64-bit word of a counter, in plain integers (Steele, Lea & Flood 2014)."""
    x = (root + (counter + 1) * 0x9E3779B97F4A7C15) & WORD
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
    return x ^ (x >> 31)


def reference_targets(i, n_pre, n_post, fan_out, seed):
    """Return the targets of a cell from the formula, one integer at a time."""
    root = Streams(seed).seed_for("connectivity")
    low = [k * n_post // fan_out for k in range(fan_out + 1)]
    widest = max(b - a for a, b in zip(low, low[1:], strict=False))
    bits = max((n_pre - 1).bit_length(), (widest - 1).bit_length() + 6, 8)
    size, half = 1 << bits, (bits + 1) // 2
    found = []
    for k in range(fan_out):
        first, second = splitmix(root, 2 * k), splitmix(root, 2 * k + 1)
        x = (i * ((first >> 32) | 1) + (first & 0xFFFFFFFF)) % size
        x ^= x >> half
        x = x * ((second >> 32) | 1) % size
        x ^= x >> half
        x = x * 0x9E3779B1 % size
        found.append(low[k] + x * (low[k + 1] - low[k]) // size)
    return found


def wirings():
    rng = np.random.default_rng(0)
    return [
        Full(20, 31),
        Stored(60, 47, 9, rng),
        Stored(60, 47, 9, rng, balanced=True),
        Generated(60, 47, 9, 1),
        Generated(61, 53, 53, 2),  # Strata of one cell.
        Generated(50, 1000, 1, 3),  # One stratum, far wider than the presynaptic population.
        Nearby(60, 47, 9, 0.1, 4, zones=6),
        Nearby(70, 90, 20, 0.2, 5, zones=9, sheet=True),
    ]


every_wiring = pytest.mark.parametrize(
    "wiring", wirings(), ids=lambda w: f"{type(w).__name__}-{w.n_pre}x{w.n_post}x{w.fan_out}"
)


@every_wiring
def test_targets_are_distinct_ascending_and_inside_the_population(wiring):
    rows = np.array([wiring.targets(i) for i in range(wiring.n_pre)])
    assert rows.shape == (wiring.n_pre, wiring.fan_out)
    assert (np.diff(rows, axis=1) > 0).all()
    assert rows.min() >= 0 and rows.max() < wiring.n_post
    assert wiring.n_synapses == rows.size


@every_wiring
def test_who_drives_me_is_the_transpose_of_whom_i_drive(wiring):
    rows = np.array([wiring.targets(i) for i in range(wiring.n_pre)])
    for j in range(wiring.n_post):
        pre, slot = wiring.sources(j)
        expected = np.argwhere(rows == j)
        assert np.array_equal(pre, expected[:, 0])
        assert np.array_equal(slot, expected[:, 1])


@every_wiring
def test_one_slot_tells_whether_two_cells_are_connected(wiring):
    for i in range(0, wiring.n_pre, 7):
        row = wiring.targets(i).tolist()
        for j in range(wiring.n_post):
            assert wiring.slot(i, j) == (row.index(j) if j in row else -1)


@every_wiring
def test_blocks_of_slots_reach_blocks_of_cells_that_no_other_block_reaches(wiring):
    blocks = wiring.wires.blocks
    owner = np.full(wiring.n_post, -1)
    for i in range(wiring.n_pre):
        zone = np.searchsorted(wiring.wires.zones, i, side="right") - 1
        row = wiring.targets(i)
        for b in range(blocks.shape[1] - 1):
            cells = row[blocks[zone, b] : blocks[zone, b + 1]]
            assert np.isin(owner[cells], (-1, b)).all()
            owner[cells] = b
    assert (blocks[:, -1] == wiring.fan_out).all()


@pytest.mark.parametrize(
    ("n_pre", "n_post", "fan_out", "seed"),
    [(23, 41, 7, 0), (300, 64, 64, 5), (5, 700, 3, 1 << 70), (1000, 999, 10, 12345)],
)
def test_a_generated_graph_is_that_of_the_formula_in_plain_integers(n_pre, n_post, fan_out, seed):
    wiring = Generated(n_pre, n_post, fan_out, seed)
    for i in range(0, n_pre, max(1, n_pre // 40)):
        expected = reference_targets(i, n_pre, n_post, fan_out, seed)
        assert wiring.targets(i).tolist() == expected


def test_a_seed_gives_the_graph_pinned_by_the_formula_on_any_machine():
    # The digest is that of `reference_targets`, which uses nothing but Python's integers.
    rows = [reference_targets(i, 50, 77, 11, 42) for i in range(50)]
    digest = hashlib.sha256(repr(rows).encode()).hexdigest()
    assert digest.startswith("de9b07b6d4c8d89f")
    wiring = Generated(50, 77, 11, 42)
    assert [wiring.targets(i).tolist() for i in range(50)] == rows


@pytest.mark.parametrize("kind", [int, np.int8, np.uint8, np.int32, np.uint64, np.int64])
def test_seeds_of_every_integer_type_give_the_same_graph(kind):
    expected = Generated(20, 30, 5, 7).targets(3)
    assert np.array_equal(Generated(20, 30, 5, kind(7)).targets(3), expected)
    assert not np.array_equal(Generated(20, 30, 5, 8).targets(3), expected)


@pytest.mark.parametrize("seed", [-1, 0.5, "a", None, True])
def test_what_is_no_seed_is_refused(seed):
    with pytest.raises(ConfigError, match="expected an integer of 0 or greater"):
        Generated(20, 30, 5, seed)


@pytest.mark.compiled
def test_target_sets_of_two_cells_overlap_like_random_sets():
    n, fan_out = 2000, 100
    wiring = Generated(n, n, fan_out, 3)
    rows = np.array([wiring.targets(i) for i in range(n)])
    # One target in 20 cells of each of 100 strata: binomial(100, 0.05), less 1 % because the
    # strata are dealt out without replacement.
    rng = np.random.default_rng(0)
    gaps = rng.integers(1, n, 40)
    shared = np.array([(rows == np.roll(rows, -gap, axis=0)).sum(axis=1) for gap in gaps])
    # Pairs have cells in common; 4 standard errors of 40 x 2,000 pairs, and 10 of the variance.
    assert shared.mean() == pytest.approx(4.95, abs=4 * np.sqrt(4.75 / shared.size) + 0.02)
    assert shared.var() == pytest.approx(4.75, rel=10 * np.sqrt(2 / shared.size))
    # Neighbours, and cells at powers of two, where a weak hash shows.
    for gap in (1, 2, 3, 256, 512, 1024):
        shared = (rows == np.roll(rows, -gap, axis=0)).sum(axis=1)
        assert shared.mean() == pytest.approx(5.0, rel=0.12), gap
        assert shared.var() == pytest.approx(4.75, rel=0.2), gap


@pytest.mark.compiled
def test_the_target_in_one_stratum_says_nothing_about_the_next():
    n, width = 4000, 10
    wiring = Generated(n, 10 * width, 10, 11)
    rows = np.array([wiring.targets(i) for i in range(n)]) % width
    for a in range(9):
        table = np.zeros((width, width))
        np.add.at(table, (rows[:, a], rows[:, a + 1]), 1)
        chi2 = ((table - n / 100) ** 2 / (n / 100)).sum()
        # 81 degrees of freedom once both margins are even: mean 81, deviation 12.7; 5 of them.
        assert 81 - 64 < chi2 < 81 + 64


@pytest.mark.compiled
def test_the_drive_of_a_random_pattern_is_spread_as_in_a_random_graph():
    n, fan_out, n_active = 3000, 300, 300
    wiring = Generated(n, n, fan_out, 5)
    rng = np.random.default_rng(1)
    drives = []
    for _ in range(20):
        active = rng.choice(n, n_active, replace=False)
        drives.append(np.bincount(np.concatenate([wiring.targets(i) for i in active]), minlength=n))
    drives = np.array(drives)
    assert drives.mean() == n_active / 10
    # Each of 300 active cells reaches a target with chance 0.1: variance 27 at random wiring, less
    # what a fan-in without replacement takes away (n_active / n of it at most).
    assert 27.0 * 0.87 < drives.var() < 27.0 * 1.03


@pytest.mark.compiled
def test_fan_in_is_that_of_drawing_without_replacement():
    n_pre, n_post, fan_out = 3000, 900, 90
    wiring = Generated(n_pre, n_post, fan_out, 5)
    fan_in = np.zeros(n_post)
    for i in range(n_pre):
        fan_in[wiring.targets(i)] += 1
    assert fan_in.mean() == wiring.fan_in == 300
    size = 4096  # The power of two above n_pre.
    expected = n_pre * 0.1 * 0.9 * (1 - n_pre / size)
    # Variance of a variance of 900 values: 4 standard errors; a quarter for whole places of M.
    assert fan_in.var() == pytest.approx(expected, abs=4 * expected * np.sqrt(2 / n_post) + 0.25)


def test_a_balanced_wiring_gives_every_cell_of_a_stratum_the_same_fan_in():
    wiring = Stored.with_fan_in(120, 90, 40, np.random.default_rng(3))
    fan_in = np.array([len(wiring.sources(j)[0]) for j in range(90)])
    assert wiring.fan_out == 30 and fan_in.min() == fan_in.max() == 40


def test_fan_in_may_be_asked_for_instead_of_fan_out():
    assert Generated.with_fan_in(1000, 200, 50, 1).fan_out == 10
    assert Generated.with_fan_in(100_000, 1_000_000, 4000, 1).fan_out == 40_000


@pytest.mark.parametrize("sheet", [False, True])
def test_connections_become_rarer_with_distance(sheet):
    n, zones, side = 800, 16, 4
    wiring = Nearby(n, n, 100, 0.1, 6, zones=zones, sheet=sheet)
    rows = np.array([wiring.targets(i) for i in range(n)])
    zone = np.arange(n) * zones // n
    count = np.zeros((zones, zones))
    np.add.at(count, (np.repeat(zone, 100), zone[rows.ravel()]), 1)

    def around(a, b, m):
        return np.minimum((a - b) % m, (b - a) % m) / m

    a, b = np.indices((zones, zones))
    distance = around(a, b, zones)
    if sheet:
        distance = np.hypot(around(a // side, b // side, side), around(a % side, b % side, side))
    by_distance = [count[np.isclose(distance, d)].mean() for d in np.unique(distance.round(9))]
    near, far = by_distance[1], by_distance[-1]
    assert (np.diff(by_distance) <= 50).all() and far < 0.1 * near  # 50 cells: one slot's rounding.
    # exp(-d / reach) is the share of each zone, up to whole slots, where no zone is full.
    worth = np.exp(-distance / 0.1)
    np.fill_diagonal(worth, 0.0)
    left = 100 - np.diag(count)[0] / 50
    share = left * worth / worth.sum(axis=1, keepdims=True)
    assert np.abs(count / 50 - share)[distance > 0].max() <= 1.5


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Generated(10, 10, 11, 0), "Generated.fan_out: expected a whole number in 1..10"),
        (lambda: Generated(0, 10, 1, 0), "Generated.n_pre: expected"),
        (lambda: Generated(10, 10, 2.5, 0), "fan_out: expected a whole number"),
        (lambda: Generated.with_fan_in(10, 20, 11, 0), "Generated.fan_in: expected 1..10"),
        (lambda: Stored(10, 10, 0, np.random.default_rng(0)), "Stored.fan_out: expected"),
        (lambda: Nearby(10, 10, 2, zones=11), "Nearby.zones: expected"),
        (lambda: Nearby(10, 10, 2, zones=8, sheet=True), "a square number"),
        (lambda: Nearby(10, 10, 2, reach=0.0, zones=4), "Nearby.reach: expected"),
        (lambda: Generated(10, 10, 2, 0).targets(10), "Generated.pre: expected a cell in 0..9"),
        (lambda: Generated(10, 10, 2, 0).sources(-1), "Generated.post: expected a cell in 0..9"),
        (lambda: Generated(10, 1 << 31, 1, 0), "strata of at most"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(build, words):
    with pytest.raises(ConfigError, match=words):
        build()


def test_a_finished_wiring_cannot_be_changed():
    with pytest.raises(ConfigError, match="no change of a finished wiring"):
        Generated(10, 10, 2, 0).n_pre = 11
