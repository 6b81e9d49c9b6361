"""Metrics agree with their closed forms."""

import math

import numpy as np
import pytest
from scipy import stats

from neurosim import metrics
from neurosim.errors import ConfigError


def test_the_interval_of_two_values_is_the_textbook_one():
    interval = metrics.mean_interval([0.0, 2.0])
    # s = sqrt(2), n = 2, t(1 degree of freedom, 97.5 %) = tan(0.475 pi)
    half = math.tan(0.475 * math.pi)
    assert interval.mean == 1.0
    assert interval.n == 2
    assert interval.low == pytest.approx(1 - half, rel=1e-9)
    assert interval.high == pytest.approx(1 + half, rel=1e-9)


def test_a_95_percent_interval_covers_the_truth_95_times_in_100():
    rng = np.random.default_rng(0)
    n = 2000
    intervals = [metrics.mean_interval(rng.standard_normal(5)) for _ in range(n)]
    covered = np.mean([each.low <= 0 <= each.high for each in intervals])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n)


def test_a_single_value_has_no_limits():
    interval = metrics.mean_interval([3.0])
    assert interval.mean == 3.0
    assert math.isnan(interval.low) and math.isnan(interval.high)


def test_pairs_are_compared_seed_by_seed():
    common = np.random.default_rng(0).normal(size=10) * 100
    interval = metrics.paired_difference(common + 1, common)
    assert interval.mean == pytest.approx(1)
    assert interval.high - interval.low < 1e-9  # the common part cancels to rounding


@pytest.mark.parametrize("values", [[], [math.nan, 1], [math.inf], [[1.0, 2.0]]])
def test_values_without_a_mean_are_refused(values):
    with pytest.raises(ConfigError, match="mean_interval"):
        metrics.mean_interval(values)


def test_a_level_outside_0_to_1_and_unpaired_values_are_refused():
    with pytest.raises(ConfigError, match="level"):
        metrics.mean_interval([1, 2], level=95)
    with pytest.raises(ConfigError, match="two equal lengths"):
        metrics.paired_difference([1, 2], [1])


def test_exact_recall_forgives_white_space_and_nothing_else():
    expected = ["a  dog", "a dog", "a dog", ""]
    answered = [" a\ndog ", "A dog", "a dog.", "  "]
    recalled = metrics.exact_recall(expected, answered)
    assert recalled.dtype == np.bool_
    assert recalled.tolist() == [True, False, False, True]
    with pytest.raises(ConfigError, match="two equal lengths"):
        metrics.exact_recall(["a"], [])


def test_the_perplexity_of_a_uniform_guess_is_the_size_of_the_vocabulary():
    assert metrics.perplexity(10 * math.log(50), 10) == pytest.approx(50, rel=1e-12)
    assert metrics.perplexity(1e9, 1) == math.inf
    with pytest.raises(ConfigError, match="n_tokens"):
        metrics.perplexity(1.0, 0)


ACCURACY = np.array([[0.9, np.nan, np.nan], [0.95, 0.8, np.nan], [0.5, 0.6, 0.7]])


def test_forgetting_counts_from_the_best_past_accuracy():
    assert metrics.forgetting(ACCURACY) == pytest.approx(((0.95 - 0.5) + (0.8 - 0.6)) / 2)


def test_backward_transfer_counts_from_the_first_accuracy():
    assert metrics.backward_transfer(ACCURACY) == pytest.approx(((0.5 - 0.9) + (0.6 - 0.8)) / 2)


@pytest.mark.parametrize("matrix", [[[1.0]], [[1.0, 2.0]], [1.0, 2.0]])
def test_forgetting_needs_a_square_of_two_tasks(matrix):
    for measure in (metrics.forgetting, metrics.backward_transfer):
        with pytest.raises(ConfigError, match="accuracy_matrix"):
            measure(matrix)


def test_steps_to_criterion_is_the_first_step_that_reaches_it():
    assert metrics.steps_to_criterion([10, 20, 30], [0.5, 0.9, 0.8]) == 20
    assert math.isnan(metrics.steps_to_criterion([10, 20], [0.5, 0.8]))


def test_the_overlap_of_binary_patterns_counts_shared_cells():
    patterns = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]], dtype=bool)
    overlap = metrics.overlap_matrix(patterns)
    expected = [[1, 0.5, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert overlap == pytest.approx(np.array(expected), abs=1e-12)


def test_overlap_does_not_depend_on_how_strong_a_pattern_is():
    rates = np.random.default_rng(0).random((3, 20))
    scaled = rates * np.array([[1.0], [10.0], [1e-3]])
    assert metrics.overlap_matrix(scaled) == pytest.approx(metrics.overlap_matrix(rates), abs=1e-12)
    with pytest.raises(ConfigError, match="overlap_matrix"):
        metrics.overlap_matrix(-rates)


def test_a_transformer_spends_six_operations_a_parameter_and_token():
    assert metrics.transformer_flops(10**9, 10**12) == 6 * 10**21
    assert metrics.transformer_flops(10**9, 10**12, backward=False) == 2 * 10**21


def test_spearman_agrees_with_scipy_also_with_ties():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, 40), rng.integers(0, 5, 40)
    assert metrics.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)
    assert metrics.spearman([1, 2, 3], [1, 8, 27]) == pytest.approx(1, rel=1e-12)
    assert math.isnan(metrics.spearman([1, 1, 1], [1, 2, 3]))
