"""Lamellae: their kernel keeps the formulas, and one exposure is enough."""

from dataclasses import replace

import numpy as np
import pytest

from circuits.feature_maps import FeatureMaps, FeatureMapsConfig
from circuits.lamellae import N_AGES, Lamellae, n_bytes
from circuits.lamellae_config import QUIET, LamellaeConfig
from circuits.lamellar_readout import decode, ideal_sheets
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError, InputError
from neurosim.stream_config import StreamConfig
from neurosim.streams import Stream
from rules.instar import Instar


def sheet_of(n, shape=(3, 3, 2), seed=0):
    return np.random.default_rng(seed).random((n, *shape)).astype(np.float32)


def reference_observe(lamellae, drive, labels, chance):
    """Return weights and wins after the rule of the class, from the formulas."""
    config = lamellae.config
    weights, wins = lamellae.weights.astype(np.float64), lamellae.wins.astype(int)
    least = np.sqrt(config.cooperativity * drive.shape[2]) * 255 / config.strongest
    for i, c in enumerate(labels):
        for k in range(lamellae.n_lamellae):
            u = drive[i, k] / config.fine
            fresh = np.flatnonzero(wins[k, c] == 0)
            silent = np.flatnonzero((wins[k, c] > 0) & ~weights[k, c].any(1))
            silent = silent if config.cooperativity else np.empty(0, int)
            score = ((u - weights[k, c]) ** 2).sum(1) * wins[k, c] ** config.conscience
            score[silent] = np.inf
            winner = fresh[0] if len(fresh) else int(score.argmin())
            if drive[i, k].sum() < least:
                if len(silent) or len(fresh):
                    wins[k, c, silent[0] if len(silent) else winner] += 1
                continue
            wins[k, c, winner] += 1
            w = weights[k, c, winner]
            goal = w + (u - w) / wins[k, c, winner]
            weights[k, c, winner] = np.minimum(np.floor(goal + chance[i, k]), config.most)
    return weights, wins


@pytest.mark.parametrize("bits", [4, 8])
def test_the_kernel_keeps_the_rule(bits):
    config = LamellaeConfig(3, cells=2, extent=2, stride=1, bits=bits, strongest=1.0)
    lamellae = Lamellae(config, (3, 3, 2), np.random.default_rng(4))
    activity, labels = sheet_of(20), np.random.default_rng(1).integers(3, size=20)
    drive = lamellae.squares.drive(activity)
    chance = np.random.default_rng(4).random(drive.shape, dtype=np.float32)
    weights, wins = reference_observe(lamellae, drive, labels, chance)
    lamellae.observe(activity, labels)
    np.testing.assert_array_equal(lamellae.wins, wins)
    assert wins.max() > 2
    # float32 in the kernel: a goal within rounding of a count may fall on either side of it.
    off = np.abs(lamellae.weights - weights)
    assert off.max() <= 1 and (off > 0).mean() < 0.01
    np.testing.assert_array_equal(drive[0, 0], np.minimum(np.rint(255 * _normed(activity)), 255))


@pytest.mark.parametrize("cooperativity", [0.0, 0.3])
def test_the_kernel_keeps_the_rule_where_parts_are_faint(cooperativity):
    """A third of the parts are; one class meets its first of them when no cell is fresh."""
    config = LamellaeConfig(3, 3, 2, 1, bits=8, strongest=1.0, cooperativity=cooperativity)
    lamellae = Lamellae(config, (3, 3, 2), np.random.default_rng(4))
    activity, labels = sheet_of(90), np.random.default_rng(1).integers(3, size=90)
    dim = np.random.default_rng(2).random(90) < 0.4
    activity[dim] *= np.float32(0.02)
    first = np.flatnonzero(labels == 2)[:4]
    activity[first] = sheet_of(4, seed=8)
    drive = lamellae.squares.drive(activity)
    faint = lamellae.squares.faint(drive)
    np.testing.assert_array_equal(faint, drive.sum(2) < np.sqrt(cooperativity * 8) * 255)
    assert (0.2 < faint.mean() < 0.5) if cooperativity else not faint.any()
    chance = np.random.default_rng(4).random(drive.shape, dtype=np.float32)
    weights, wins = reference_observe(lamellae, drive, labels, chance)
    lamellae.observe(activity, labels)
    np.testing.assert_array_equal(lamellae.wins, wins)
    assert np.abs(lamellae.weights - weights).max() <= 1  # As above: float32 in the kernel.
    silent = (lamellae.wins > 0) & ~lamellae.weights.any(axis=3)
    if cooperativity:
        assert (silent.sum(axis=2)[:, :2] == 1).all() and not silent[:, 2].any()
    else:
        assert not silent.any()


def test_a_part_is_faint_below_the_drive_of_so_many_inputs_that_share_it():
    config = LamellaeConfig(1, 1, 4, 4, strongest=1.0, cooperativity=5 / 16)
    squares = Lamellae(config, (4, 4, 1), np.random.default_rng(0)).squares
    for n, faint in ((4, True), (6, False)):
        sheet = np.zeros((1, 16), np.float32)
        sheet[0, :n] = 1000  # So strong that inhibition leaves a length of 1.
        drive = squares.drive(sheet.reshape(1, 4, 4, 1))
        np.testing.assert_allclose(drive.sum() / 255, np.sqrt(n), rtol=5e-3)
        assert squares.faint(drive).tolist() == [[faint]]
    sheet[:] = 0.01
    assert squares.faint(squares.drive(sheet.reshape(1, 4, 4, 1))).all()


def test_a_class_of_faint_parts_alone_answers_and_stands_for_nothing():
    config = LamellaeConfig(2, 4, 2, 1, bits=8, strongest=1.0, cooperativity=0.1)
    lamellae = Lamellae(config, (3, 3, 2), np.random.default_rng(0))
    faint, strong = sheet_of(20) * np.float32(0.01), sheet_of(20, seed=1)
    lamellae.observe(faint, np.zeros(20, np.int64))
    lamellae.observe(strong, np.ones(20, np.int64))
    lamellae.settle()
    assert not lamellae.weights[:, 0].any()
    assert (lamellae.wins[:, 0].sum(axis=1) == 20).all()
    assert ((lamellae.wins[:, 0] > 0).sum(axis=1) == 1).all()
    evidence = lamellae.evidence(np.concatenate([faint, strong]))
    np.testing.assert_array_equal(evidence.argmax(axis=1), np.repeat([0, 1], 20))
    code = next(iter(lamellae.encode(faint[:1])))
    assert not decode(lamellae, code).any()
    # Where one lamella is silent, the others are heard at full strength.
    half = strong[:1].copy()
    half[:, :2, :2] *= np.float32(0.002)
    sheet = ideal_sheets(lamellae, half)[0]
    assert lamellae.squares.faint(lamellae.squares.drive(half))[0].tolist() == [1, 0, 0, 0]
    part = half[0, :2, 1:]
    np.testing.assert_allclose(
        sheet[0, 2], (part / (np.linalg.norm(part) + np.float32(QUIET)))[0, 1], atol=3e-3
    )
    assert not sheet[0, 0].any()


def _normed(activity):
    part = activity[0, :2, :2].ravel()
    return part / (np.linalg.norm(part) + np.float32(QUIET))


def test_a_step_is_on_average_that_of_the_instar_rule():
    config = LamellaeConfig(1, cells=1, extent=1, stride=1, bits=4, strongest=1.0)
    first, second = sheet_of(2, (1, 1, 8))[:, None, None, 0].reshape(2, 1, 1, 8)
    total = np.zeros(8)
    n = 400
    for seed in range(n):
        lamellae = Lamellae(config, (1, 1, 8), np.random.default_rng(seed))
        lamellae.weights[...] = 7
        lamellae.wins[...] = 3
        lamellae.observe(second[None], np.zeros(1, dtype=np.int64))
        total += lamellae.weights[0, 0, 0]
    u = lamellae.squares.drive(second[None])[0, 0] / config.fine
    change = Instar.reference(u, np.ones(1), np.full((1, 8), 7.0), 1.0, 1 / 4)[0]
    # A whole count by chance: standard deviation at most 0.5; 4 standard errors of the mean.
    np.testing.assert_allclose(total / n, 7 + change, atol=4 * 0.5 / np.sqrt(n))
    assert np.abs(change).max() > 0.3 and first.shape == second.shape


def test_what_is_learnt_of_one_class_changes_no_synapse_of_another():
    lamellae = Lamellae(LamellaeConfig(2, 3, 2, 1), (3, 3, 2), np.random.default_rng(0))
    lamellae.observe(sheet_of(10), np.zeros(10, dtype=np.int64))
    before, evidence = lamellae.weights[:, 0].copy(), lamellae.evidence(sheet_of(4, seed=1))
    assert before.any() and np.isinf(evidence[:, 1]).all()
    lamellae.observe(sheet_of(10, seed=2), np.ones(10, dtype=np.int64))
    np.testing.assert_array_equal(lamellae.weights[:, 0], before)
    after = lamellae.evidence(sheet_of(4, seed=1))
    # But for what is usual, which both share, the evidence is the same.
    shift = after[:, 0] - evidence[:, 0]
    np.testing.assert_allclose(shift, shift[0], rtol=1e-4)
    assert np.isfinite(after).all()


def test_evidence_is_the_sum_of_the_nearest_parts():
    lamellae = Lamellae(LamellaeConfig(2, 3, 2, 1), (3, 3, 2), np.random.default_rng(0))
    lamellae.observe(sheet_of(8), np.arange(8) % 2)
    probe = sheet_of(3, seed=3)
    u = lamellae.squares.drive(probe) / lamellae.config.fine
    gaps = u[:, :, None, None] - lamellae.weights[None]
    distances = np.where(lamellae.wins > 0, (gaps**2).sum(-1), np.inf)
    assert lamellae.seen.tolist() == [4, 4]  # Of one age: what is usual drops out.
    own = -distances.min(axis=3).sum(axis=1)
    expected = (
        own + 0.5 * lamellae.usual[:, 1].sum()
    )  # The last age that is known: two or three met.
    np.testing.assert_allclose(lamellae.evidence(probe), expected, rtol=1e-4)
    codes = lamellae.encode(probe)
    flat = distances.reshape(3, lamellae.n_lamellae, -1).argmin(2)
    for code, row in zip(codes, flat, strict=True):
        assert len(code) == lamellae.n_lamellae
        np.testing.assert_array_equal(code.active % 6, row)


def test_a_code_leads_back_to_what_it_was_made_of():
    config = LamellaeConfig(2, 3, 2, 1, bits=8, strongest=1.0)
    lamellae = Lamellae(config, (3, 3, 2), np.random.default_rng(0))
    patterns = sheet_of(4)
    lamellae.observe(patterns, np.arange(4) % 2)  # A cell each: nothing is blended.
    for pattern, code in zip(patterns, lamellae.encode(patterns), strict=True):
        total, shared = np.zeros((3, 3, 2)), np.zeros((3, 3, 1))
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            part = pattern[row : row + 2, column : column + 2]
            total[row : row + 2, column : column + 2] += part / (np.linalg.norm(part) + QUIET)
            shared[row : row + 2, column : column + 2] += 1
        # A count is 1/255, and each was rounded by chance.
        np.testing.assert_allclose(decode(lamellae, code), total / shared, atol=1.5 / 255)
        sheet = ideal_sheets(lamellae, pattern[None])[0]
        np.testing.assert_allclose(sheet, total / shared, atol=0.6 / 255)
    with pytest.raises(InputError, match="a code of 24 cells"):
        decode(lamellae, SparseCode(np.array([0]), 7))


def test_what_a_single_pattern_left_does_not_outlast_the_day():
    config = LamellaeConfig(3, 4, 3, 1, bits=8, strongest=1.0, least_wins=2)
    lamellae = Lamellae(config, (3, 3, 2), np.random.default_rng(0))
    patterns = sheet_of(4)
    lamellae.observe(patterns[[0, 1, 2, 2, 2]], np.zeros(5, dtype=np.int64))
    lamellae.observe(patterns[:2], np.ones(2, dtype=np.int64))
    lamellae.observe(patterns[:1], np.full(1, 2))
    assert sorted(lamellae.wins[0, 0]) == [1, 1, 1, 2]
    total = (lamellae.wins[0, 0, :, None] * lamellae.weights[0, 0].astype(float)).sum(0)
    lamellae.settle()
    assert lamellae.wins[0, 2].tolist().count(1) == 1  # It has seen one pattern only.
    assert lamellae.wins[0, 0].sum() == 5 and lamellae.wins[0, 0][lamellae.wins[0, 0] > 0].min() > 1
    assert sorted(lamellae.wins[0, 1]) == [0, 0, 0, 2]
    assert not lamellae.weights[lamellae.wins == 0].any()
    # The mean of what was seen is kept, but for less than a count each time a step is rounded.
    after = (lamellae.wins[0, 0, :, None] * lamellae.weights[0, 0].astype(float)).sum(0)
    np.testing.assert_allclose(after, total, atol=12)
    u = lamellae.squares.drive(patterns[:2])[:, 0]
    merged = lamellae.weights[0, 1][lamellae.wins[0, 1] == 2][0]
    np.testing.assert_allclose(merged, u.mean(axis=0), atol=1.5)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("volatility", [1, 3])
def test_what_a_day_has_written_wanders_by_night_and_only_that(bits, volatility):
    config = LamellaeConfig(3, 6, 2, 1, bits, strongest=0.7, least_wins=1, volatility=volatility)
    lamellae = Lamellae(config, (3, 3, 2), np.random.default_rng(0))
    steady = Lamellae(replace(config, volatility=0), (3, 3, 2), np.random.default_rng(0))
    patterns, labels = sheet_of(60), np.random.default_rng(1).integers(2, size=60)
    patterns *= np.random.default_rng(2).random(patterns.shape) < 0.7
    for each in (lamellae, steady):
        each.observe(patterns, labels)
        each.settle()
    before, after = steady.weights.astype(int), lamellae.weights.astype(int)
    live, gap = before > 0, after - before
    # Each synapse that is not silent moves by as much, either way; none falls silent or is born.
    assert set(np.abs(gap[live])) == {volatility} and not gap[~live].any()
    assert after[live].min() >= 1 and after.max() <= config.most
    inner = live & (before > volatility) & (before <= config.most - volatility)
    assert 0.4 < (gap[inner] > 0).mean() < 0.6 and inner.sum() > 100
    written = lamellae.ledger.weight_writes - steady.ledger.weight_writes
    assert written == live.sum()
    # Another day brings back class 1 alone: class 0 is as it was, and a night without a day, too.
    lamellae.observe(patterns[:3], np.ones(3, dtype=np.int64))
    lamellae.settle()
    np.testing.assert_array_equal(lamellae.weights[:, 0], after[:, 0])
    assert (lamellae.weights[:, 1] != after[:, 1]).mean() > 0.3
    now = lamellae.weights.copy()
    lamellae.settle()
    np.testing.assert_array_equal(lamellae.weights, now)


@pytest.mark.parametrize("bits", [4, 8])
def test_cells_that_hold_much_are_steady(bits):
    """Those whose weights come to what a quarter of the inputs give, if all of it is driven."""
    config = LamellaeConfig(2, 8, 2, 1, bits, strongest=0.7, least_wins=1, cooperativity=0.0)
    wandering, part, none = (
        Lamellae(replace(config, volatility=1, steady=share), (3, 3, 2), np.random.default_rng(0))
        for share in (1.0, 0.25, 0.0)
    )
    before = Lamellae(config, (3, 3, 2), np.random.default_rng(0))
    patterns = sheet_of(60) * (np.random.default_rng(2).random((60, 3, 3, 2)) < 0.5)
    labels = np.random.default_rng(1).integers(2, size=60)
    for each in (wandering, part, none, before):
        each.observe(patterns.astype(np.float32), labels)
        each.settle()
    drive = before.weights.sum(axis=3) * (0.7 / config.most)
    little = (drive > 0) & (drive < np.sqrt(0.25 * 8))
    assert 5 < little.sum() < (drive > 0).sum() - 5
    np.testing.assert_array_equal((part.weights != before.weights).any(axis=3), little)
    np.testing.assert_array_equal(part.weights[little], wandering.weights[little])
    np.testing.assert_array_equal(none.weights, before.weights)
    n = part.ledger.weight_writes - before.ledger.weight_writes
    assert n == (before.weights[little] > 0).sum()


def test_what_is_usual_at_an_age_is_the_mean_distance_to_the_next():
    lamellae = Lamellae(LamellaeConfig(2, 8, 3, 1), (3, 3, 2), np.random.default_rng(0))
    patterns = sheet_of(5)
    distances = []
    for k in range(5):
        if k:
            distances.append(-lamellae.evidence(patterns[k : k + 1])[0, 0] + _usual_now(lamellae))
        lamellae.observe(patterns[k : k + 1], np.zeros(1, dtype=np.int64))
    # Ages 0: one seen; 1: two or three; 2: four.
    expected = [distances[0], np.mean(distances[1:3]), distances[3]]
    np.testing.assert_allclose(lamellae.usual[0, :3], expected, rtol=1e-3)
    assert lamellae.met[:4].tolist() == [1, 2, 1, 0]


def _usual_now(lamellae):
    return float(lamellae._usual(0)[0])  # Patience is in it.


def test_a_class_met_once_is_heard_beside_one_met_often():
    """One of two equal clouds has been seen a hundred times, the other once."""
    rng = np.random.default_rng(0)
    centres = 0.25 * rng.random((2, 3, 3, 4))

    def draw(c, n):
        return (centres[c] + rng.random((n, 3, 3, 4)) ** 3).astype(np.float32)

    config = LamellaeConfig(2, 20, 2, 1, patience=1.0)
    lamellae = Lamellae(config, (3, 3, 4), np.random.default_rng(0))
    lamellae.observe(draw(0, 100), np.zeros(100, dtype=np.int64))
    lamellae.observe(draw(1, 1), np.ones(1, dtype=np.int64))
    right = [(lamellae.evidence(draw(c, 200)).argmax(1) == c).mean() for c in (0, 1)]
    lamellae.usual[...] = 0
    deaf = [(lamellae.evidence(draw(c, 200)).argmax(1) == c).mean() for c in (0, 1)]
    assert deaf[1] < 0.05 < 0.15 < min(right) and np.mean(right) > np.mean(deaf)


@pytest.mark.parametrize(("bits", "n_pre"), [(4, 2), (4, 3), (8, 3)])
def test_the_state_holds_the_bits_it_counts(bits, n_pre):
    config = LamellaeConfig(2, 3, 1, 1, bits=bits)
    lamellae = Lamellae(config, (2, 2, n_pre), np.random.default_rng(0))
    lamellae.observe(sheet_of(9, (2, 2, n_pre)), np.arange(9) % 2)
    state = lamellae.state
    cells = 4 * 2 * 3 * (-(-n_pre * bits // 8) + 2)
    assert n_bytes(state) == cells + 4 * (2 + (4 + 1) * N_AGES) + 2 * (2 + 1)
    other = Lamellae(config, (2, 2, n_pre), np.random.default_rng(1))
    other.restore(state)
    np.testing.assert_array_equal(other.weights, lamellae.weights)
    np.testing.assert_array_equal(other.wins, lamellae.wins)
    with pytest.raises(InputError, match="same configuration"):
        other.restore({"weights": state["weights"]})


@pytest.mark.compiled
def test_one_exposure_is_enough_and_more_are_better():
    stream = Stream(StreamConfig("digits", batch=100), 0)
    first = next(stream.batches(0))
    maps = FeatureMaps(
        FeatureMapsConfig(16, side=3, pool=2, development=50), stream.image_shape,
        np.random.default_rng(0),
    )  # fmt: skip
    maps.develop(first.x)
    lamellae = Lamellae(
        LamellaeConfig(cells=4, extent=2, stride=1), (4, 4, 16), np.random.default_rng(0)
    )
    x = np.concatenate([stream.test(k).x for k in range(5)])[:120]
    y = np.concatenate([stream.test(k).y for k in range(5)])[:120]
    seen = [batch for visit in range(5) for batch in stream.batches(visit)]
    train, labels = np.concatenate([b.x for b in seen]), np.concatenate([b.y for b in seen])
    chosen = [np.flatnonzero(labels == c)[0] for c in range(10)]
    lamellae.observe(maps.encode(train[chosen]), labels[chosen])
    once = (lamellae.evidence(maps.encode(x)).argmax(1) == y).mean()
    lamellae.observe(maps.encode(train[:400]), labels[:400])
    lamellae.observe(maps.encode(train[-400:]), labels[-400:])
    often = (lamellae.evidence(maps.encode(x)).argmax(1) == y).mean()
    assert once > 0.4 and often > max(once, 0.85)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: LamellaeConfig(bits=5), "4 or 8"),
        (lambda: LamellaeConfig(cells=0), "1 or more"),
        (lambda: LamellaeConfig(conscience=2.0), "from 0 to 1"),
        (lambda: LamellaeConfig(cooperativity=1.0), "0 to below 1"),
        (lambda: LamellaeConfig(cooperativity=float("nan")), "0 to below 1"),
        (lambda: LamellaeConfig(least_wins=0), "1 or more"),
        (lambda: LamellaeConfig(volatility=-1), "0 or more"),
        (lambda: LamellaeConfig(steady=1.5), "steady"),
        (lambda: LamellaeConfig(volatility=8), "at most 7 counts of 4 bits"),
        (lambda: Lamellae(LamellaeConfig(), (2, 7, 4), np.random.default_rng(0)), "lower it"),
    ],
)
def test_what_cannot_be_built_is_refused(build, said):
    with pytest.raises(ConfigError, match=said):
        build()


def test_what_does_not_fit_is_refused():
    lamellae = Lamellae(LamellaeConfig(2, 3, 2, 1), (3, 3, 2), np.random.default_rng(0))
    with pytest.raises(InputError, match="a class from 0 to 1"):
        lamellae.observe(sheet_of(2), np.array([0, 2]))
    with pytest.raises(InputError, match=r"\(n, 3, 3, 2\)"):
        lamellae.evidence(sheet_of(2, (3, 2, 2)))
    spoilt = sheet_of(2)
    spoilt[1, 0, 0, 0] = np.nan
    with pytest.raises(InputError, match="finite"):
        lamellae.evidence(spoilt)
