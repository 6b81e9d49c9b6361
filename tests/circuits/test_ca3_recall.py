"""What CA3 makes of a cue: its own cells as evidence, and what it rehearses before it stores."""

import dataclasses
import math

import numpy as np
import pytest

from circuits import free_capacity, readouts
from circuits.ca3 import CA3
from circuits.ca3_config import CA3Config
from neurosim.codes import SparseCode, corrupted


def test_the_prior_is_the_difference_of_log_odds_in_and_out_of_the_cue():
    # 100 cells, 10 in the pattern; of 8 cue cells 3 in 4 are right, so 4 of 92 others are.
    odds_in, odds_out = 0.75 / 0.25, (4 / 92) / (88 / 92)
    assert readouts.prior(8, 10, 100, 0.75) == pytest.approx(math.log(odds_in / odds_out))


def test_a_cue_no_better_than_chance_says_nothing_and_a_perfect_one_stays_finite():
    assert readouts.prior(10, 10, 100, 0.1) == pytest.approx(0.0, abs=1e-12)
    assert readouts.prior(10, 10, 100, 0.01) == 0.0
    assert 10 < readouts.prior(10, 10, 100, 1.0) < 30


def test_the_first_step_adds_the_prior_to_the_drive_and_no_later_one_does(small):
    config = CA3Config(n_units=400, fan_in=100, sparsity=0.05, inhibition="exact", steps=1)
    rng = np.random.default_rng(2)
    net = CA3(config, rng)
    codes = [SparseCode.random(400, 20, rng) for _ in range(10 if small else 60)]
    for code in codes:
        net.store(code)
    cue = corrupted(codes[0], 0.5, 0.5, rng)
    drive = net.drive(cue, config.trust[0])
    drive[cue.active] += readouts.prior(20, 20, 400, config.trust[0])
    first = SparseCode.winners(drive, 20)
    assert net.recall(cue).code == first
    second = SparseCode.winners(net.drive(first, config.trust[1]), 20)
    net.config = dataclasses.replace(config, steps=2)
    assert net.recall(cue).code == second


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
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_rehearsal_drives_the_cells_as_if_the_pattern_had_been_stored(readout, bits, small):
    rng = np.random.default_rng(6)
    config = CA3Config(n_units=300, fan_in=150, sparsity=0.1, bits=bits, readout=readout)
    net = CA3(config, rng)
    for _ in range(20 if small else 200):
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
