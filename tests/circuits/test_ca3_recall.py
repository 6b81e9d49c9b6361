"""What CA3 makes of a cue: its own cells as evidence, and what it rehearses before it stores."""

import dataclasses
import math

import numpy as np
import pytest

from circuits import free_capacity, readouts
from circuits.ca3 import CA3
from circuits.ca3_config import CA3Config
from neurosim.codes import SparseCode, corrupted
from neurosim.errors import ConfigError


def test_the_prior_is_the_difference_of_log_odds_in_and_out_of_the_cue():
    # 100 cells, 10 in the pattern; of 8 cue cells 3 in 4 are right, so 4 of 92 others are.
    odds_in, odds_out = 0.75 / 0.25, (4 / 92) / (88 / 92)
    assert readouts.prior(8, 10, 100, 0.75) == pytest.approx(math.log(odds_in / odds_out))


def test_a_cue_no_better_than_chance_says_nothing_and_a_perfect_one_stays_finite():
    assert readouts.prior(10, 10, 100, 0.1) == pytest.approx(0.0, abs=1e-12)
    assert readouts.prior(10, 10, 100, 0.01) == 0.0
    assert 10 < readouts.prior(10, 10, 100, 1.0) < 30


@pytest.mark.parametrize("readout", ["covariance", "bayesian"])
def test_the_first_step_adds_the_prior_to_the_drive_and_no_later_one_does(readout, small):
    config = CA3Config(400, 100, sparsity=0.05, inhibition="exact", steps=1, readout=readout)
    rng = np.random.default_rng(2)
    net = CA3(config, rng)
    codes = [SparseCode.random(400, 20, rng) for _ in range(10 if small else 60)]
    for code in codes:
        net.store(code)
    cue = corrupted(codes[0], 0.5, 0.5, rng)
    drive = net.drive(cue, config.trust[0])
    # Among n patterns of 20 cells two cells of 400 meet n (20 / 400) (19 / 400) times by chance.
    nat = {"bayesian": 1.0, "covariance": len(codes) * 0.05 * 0.0475 / config.trust[0]}[readout]
    drive[cue.active] += nat * readouts.prior(20, 20, 400, config.trust[0])
    first = SparseCode.winners(drive, 20)
    assert net.recall(cue).code == first
    trust = config.trust[1] if readout == "covariance" else believed(drive[first.active])
    second = SparseCode.winners(net.drive(first, trust), 20)
    net.config = dataclasses.replace(config, steps=2)
    assert net.recall(cue).code == second


def believed(drive):
    """Return Bayes' rule for a prior of 1 in 20, log odds rounded to whole nats of -5 to 9."""
    odds = np.exp(np.clip(np.rint(drive + math.log(1 / 19)), -5, 9))
    return odds / (1 + odds)


def test_a_nat_is_worth_the_inverse_slope_of_the_log_odds_at_the_expected_count():
    load, trust, h = 4.0, 0.6, 1e-6
    counts = load + np.array([-h, h])
    slope = np.diff(np.log1p(trust * (counts / load - 1)))[0] / (2 * h)
    assert readouts.nat("covariance", load, trust) == pytest.approx(1 / slope, rel=1e-6)
    assert readouts.nat("bayesian", load, trust) == 1.0


def test_cells_trusted_to_different_degrees_drive_as_each_would_alone():
    config = CA3Config(n_units=300, fan_in=150, sparsity=0.1)
    rng = np.random.default_rng(7)
    net = CA3(config, rng)
    for _ in range(20):
        net.store(SparseCode.random(300, 30, rng))
    state = SparseCode.random(300, 12, rng)
    trust = rng.choice([0.02, 0.5, 0.9, 0.999], 12)
    assert len(set(trust)) > 2
    alone = [
        net.drive(SparseCode.of([i], 300), r) for i, r in zip(state.active, trust, strict=True)
    ]
    # Worths are rounded to 1/65,536 each, 12 of them here and there.
    np.testing.assert_allclose(net.drive(state, trust), np.sum(alone, axis=0), atol=24 / 65_536)


def test_more_rows_than_a_class_can_number_are_refused():
    with pytest.raises(ConfigError, match=r"readouts\.expected: expected at most 32,768 classes"):
        readouts.tables("bayesian", np.ones(40_000), 1, np.array([0.2, 0.8]))


@pytest.mark.compiled
def test_of_the_cells_that_are_believed_to_some_degree_that_share_is_right():
    rng = np.random.default_rng(4)
    config = CA3Config(fan_in=500)
    net = CA3(config, rng)
    codes = [SparseCode.random(4096, 82, rng) for _ in range(900)]
    for code in codes:
        net.store(code)
    belief, right = [], []
    for code in codes[:60]:
        cue = corrupted(code, 0.5, 0.5, rng)
        drive = net.drive(cue, 0.5)
        drive[cue.active] += readouts.prior(82, 82, 4096, 0.5)
        drive -= math.log(2.0)  # The cue has half of the pattern: the others hold the other half.
        belief.append(readouts.belief(drive, config.sparsity))
        right.append(code.to_dense())
    belief, right = np.concatenate(belief), np.concatenate(right)
    for low, high in [(0.01, 0.2), (0.2, 0.8), (0.8, 0.99)]:
        some = (belief > low) & (belief < high)
        assert some.sum() > 300
        assert right[some].mean() == pytest.approx(belief[some].mean(), abs=0.05)


@pytest.mark.compiled
def test_with_its_prior_a_corrupted_cue_recalls_where_covariance_fails():
    overlaps = {}
    for readout in ("covariance", "bayesian"):
        rng = np.random.default_rng(3)
        net = CA3(CA3Config(readout=readout), rng)
        codes = [SparseCode.random(4096, 82, rng) for _ in range(2100)]
        for code in codes:
            net.store(code)
        cues = [corrupted(code, 0.5, 0.5, rng) for code in codes[:20]]
        found = [net.recall(cue).code.overlap(x) for cue, x in zip(cues, codes, strict=False)]
        overlaps[readout] = np.mean(found)
    assert overlaps["bayesian"] > 0.9
    assert overlaps["covariance"] < 0.6


@pytest.mark.parametrize("readout", ["covariance", "bayesian"])
@pytest.mark.parametrize(("bits", "n_stored"), [(1, 200), (4, 200), (8, 200), (8, 2000)])
def test_a_rehearsal_drives_the_cells_as_if_the_pattern_had_been_stored(
    readout, bits, n_stored, small
):
    rng = np.random.default_rng(6)
    config = CA3Config(n_units=300, fan_in=150, sparsity=0.1, bits=bits, readout=readout)
    net = CA3(config, rng)
    for _ in range(20 if small else n_stored):  # Of 2,000, loads are told apart more finely.
        net.store(SparseCode.random(300, 30, rng))
    code = SparseCode.random(300, 30, rng)
    before = {name: array.copy() for name, array in net.auto.state.items()}
    rehearsed = free_capacity.rehearsed(net.auto, readout, 30, code)
    states = [corrupted(code, 0.5, wrong, rng) for wrong in (0.0, 0.5)]
    expected = [rehearsed(state, 0.8) for state in states]
    for name, array in net.auto.state.items():
        np.testing.assert_array_equal(array, before[name])  # Nothing was written.
    net.store(code)
    for state, drive in zip(states, expected, strict=True):
        # Worths are rounded to 1/65,536 each; 30 are summed.
        np.testing.assert_allclose(net.drive(state, 0.8), drive, atol=30 / 65_536)


def test_classes_of_load_begin_at_0_and_say_which_load_that_is():
    use = np.array([0.0, 1.0, 3.0, 64.0, 1000.0])
    number, first = readouts.classes(use, 8)
    assert number.min() == 0
    # Within half a step of the load itself; a cell without one counts as half a time.
    miss = np.log2(np.maximum(use, 0.5)) - (first + number.astype(int)) / 8
    assert np.abs(miss).max() <= 1 / 16 and first == -8
