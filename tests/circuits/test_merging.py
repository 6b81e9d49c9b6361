"""Cells that have learnt alike merge as Ward's clustering does, and a class makes room by it."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, ward

from circuits.lamellae import Lamellae
from circuits.lamellae_config import LamellaeConfig
from circuits.merging import merge_alike, merge_rare


def test_merging_finds_the_clusters_of_scipys_ward():
    rng = np.random.default_rng(3)
    points = rng.integers(0, 256, (30, 9)).astype(np.uint8)
    weights, wins = points.copy(), np.ones(30, np.uint16)
    assert merge_alike(weights, wins, 7, rng) == 23
    of = fcluster(ward(points.astype(float)), 7, "maxclust")
    centres = np.stack([points[of == k].mean(axis=0) for k in np.unique(of)])
    sizes = np.bincount(of)[1:]
    assert sizes.max() > 4
    used = np.flatnonzero(wins)
    gaps = np.abs(weights[used][:, None] - centres[None]).max(axis=2)
    assert gaps.min(axis=1).max() < 1  # A mean between two counts became either of them.
    np.testing.assert_array_equal(wins[used], sizes[gaps.argmin(axis=1)])
    assert not weights[wins == 0].any()


def test_those_with_few_wins_give_way_and_a_mean_is_by_wins():
    weights = np.array([[10], [20], [31], [40]], np.uint8)
    wins = np.array([100, 100, 100, 1], np.uint16)
    assert merge_alike(weights, wins, 3, np.random.default_rng(0)) == 1
    assert wins.tolist() == [100, 100, 101, 0] and weights[2, 0] in (31, 32)
    assert merge_alike(weights, wins, 3, np.random.default_rng(0)) == 0
    full = np.array([60_000, 60_000], np.uint16)
    merge_alike(np.array([[4], [8]], np.uint8), full, 1, np.random.default_rng(0))
    assert full.tolist() == [65_535, 0]


def test_cells_of_too_few_patterns_merge_and_their_mean_is_kept():
    rng = np.random.default_rng(1)
    weights = rng.integers(1, 16, (20, 40)).astype(np.uint8)
    wins = rng.integers(1, 9, 20).astype(np.uint16)
    before, total = wins.sum(), wins @ weights.astype(float)
    merged = merge_rare(weights, wins, 5, rng)
    used = wins > 0
    assert len(merged) == (~used).sum() > 5 and {gone for gone, _ in merged} == set(
        np.flatnonzero(~used)
    )
    assert wins[used].min() >= 5 and wins.sum() == before and not weights[~used].any()
    # Each merger rounds by less than a count, unbiased: 4 standard deviations of 20 of them.
    off = (wins @ weights.astype(float) - total) / before
    assert np.abs(off.mean()) < 4 * 0.5 / np.sqrt(40) and np.abs(off).max() < 1
    lone = np.array([0, 3, 0], np.uint16)
    kept = np.array([[0], [7], [0]], np.uint8)
    assert merge_rare(kept, lone, 5, rng) == [] and kept[1] == 7 and lone[1] == 3


def test_what_merges_with_a_silent_cell_is_forgotten_and_it_stays_silent():
    rng = np.random.default_rng(0)
    weights = np.array([[0, 0], [3, 1], [0, 0]], np.uint8)
    wins = np.array([9, 2, 0], np.uint16)
    assert merge_rare(weights, wins, 5, rng) == [(1, 0)]
    assert wins.tolist() == [11, 0, 0] and not weights.any()
    weights, wins = np.array([[0, 0], [3, 1]], np.uint8), np.array([2, 9], np.uint16)
    assert merge_rare(weights, wins, 5, rng) == [(0, 1)]
    assert wins.tolist() == [0, 11] and weights[1].tolist() == [3, 1]
    weights = np.array([[0, 0], [3, 1], [3, 2]], np.uint8)
    wins = np.array([50, 50, 50], np.uint16)
    assert merge_alike(weights, wins, 1, rng) == 1
    assert wins.tolist() == [50, 100, 0] and not weights[0].any() and weights[1, 0] == 3


def lives(days, room=True, cells=12):
    """Let class 0 come on each of some days, class 1 on the first only."""
    config = LamellaeConfig(2, cells, 2, 1, room=room, strongest=1.0, least_wins=2)
    lamellae = Lamellae(config, (3, 3, 2), np.random.default_rng(0))
    fresh = []
    for day in range(days):
        x = np.random.default_rng(day).random((30, 3, 3, 2)).astype(np.float32)
        fresh.append((lamellae.wins[0, 0] == 0).sum())
        lamellae.observe(x[:1], np.zeros(1, np.int64))
        fresh[-1] = max(fresh[-1], (lamellae.wins[0, 0] == 0).sum() + 1)
        lamellae.observe(x[1:], np.zeros(29, np.int64))
        if day == 0:
            lamellae.observe(x, np.ones(30, np.int64))
            other = lamellae.weights[:, 1].copy()
        lamellae.settle()
    settled = np.where(lamellae.wins[:, 1, :, None] > 0, other, 0)
    return fresh, lamellae, settled


def test_a_class_that_comes_back_makes_room_for_a_day_as_large_as_any():
    fresh, lamellae, _ = lives(4)
    assert fresh[0] == 12
    # Those that settling has freed come on top.
    assert all(n >= 12 // (day + 1) for day, n in enumerate(fresh))
    assert fresh[1] < 12 and lamellae.days.tolist() == [4, 1]
    without, _, _ = lives(4, room=False)
    assert sum(without[1:]) < sum(fresh[1:])


def test_a_class_that_does_not_come_back_keeps_its_cells():
    _, lamellae, settled = lives(3)
    assert (lamellae.wins[:, 1] > 0).sum(axis=1).min() > 6
    # What settling merged on its only day is all that may differ.
    same = (lamellae.weights[:, 1] == settled).all(axis=2)
    assert same.mean() > 0.5
    twin = lives(1)[1]
    np.testing.assert_array_equal(lamellae.wins[:, 1], twin.wins[:, 1])
    np.testing.assert_array_equal(lamellae.weights[:, 1], twin.weights[:, 1])
