"""Feedback inhibition lets about k cells fire, knowing how many do and not which."""

import numpy as np

from circuits import inhibition
from neurosim.codes import SparseCode


def test_feedback_inhibition_finds_the_set_point_by_the_number_of_spikes_alone():
    rng = np.random.default_rng(4)
    for scale in (1e-3, 1.0, 1e5):
        drive = scale * (rng.standard_normal(5000) + 7.0)
        code = inhibition.feedback(drive, 100)
        assert abs(len(code) - 100) <= 2
        strongest = inhibition.exact(drive, len(code))
        assert code == strongest


def test_feedback_inhibition_keeps_a_pattern_that_stands_out_whatever_the_set_point():
    drive = np.random.default_rng(5).standard_normal(3000)
    drive[:60] += 50.0
    assert inhibition.feedback(drive, 60) == SparseCode.of(range(60), 3000)


def unhurried(drive, k):
    """Return what feedback inhibition finds in all its rounds, written without its short cut."""
    theta = drive.mean() + 2.0 * drive.std()
    gain, last, seen = 0.5, 0, []
    for _ in range(inhibition.MOST_ROUNDS):
        n = np.count_nonzero(drive > theta)
        miss = np.log(max(n, 0.5) / k)
        seen += [(abs(miss), theta)] if n else []
        if abs(miss) <= np.log1p(inhibition.TOLERANCE):
            break
        gain *= 0.5 if last * miss < 0 else 1.0
        last = 1 if miss > 0 else -1
        theta += gain * drive.std() * miss
    return SparseCode.from_dense(drive > min(seen)[1])


def test_equal_drives_end_the_search_for_a_threshold_early_and_change_nothing():
    rng = np.random.default_rng(6)
    steps = []
    for _ in range(300):
        drive = rng.poisson(rng.uniform(0.1, 4.0), 500) / 3.0
        code = inhibition.feedback(drive, 20)
        assert code == unhurried(drive, 20)
        steps.append(abs(np.log(len(code) / 20)) > np.log1p(inhibition.TOLERANCE))
    assert np.mean(steps) > 0.5  # Most could not reach the set point.
