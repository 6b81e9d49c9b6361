"""Measures of continual learning, by matrices made by hand and by the published formulas."""

import math

import numpy as np
import pytest

from neurosim import continual_metrics as measures
from neurosim import metrics
from neurosim.errors import ConfigError

R = np.array([[0.9, 0.2, 0.1], [0.6, 0.8, 0.3], [0.7, 0.5, 1.0]])


def test_a_matrix_made_by_hand():
    assert measures.average_accuracy(R) == pytest.approx((0.7 + 0.5 + 1.0) / 3)
    assert measures.average_incremental_accuracy(R) == pytest.approx((0.9 + 0.7 + 2.2 / 3) / 3)
    assert measures.backward_transfer(R) == pytest.approx(((0.7 - 0.9) + (0.5 - 0.8)) / 2)
    assert measures.forgetting(R) == pytest.approx(((0.9 - 0.7) + (0.8 - 0.5)) / 2)
    assert measures.forward_transfer(R, [0.5, 0.1, 0.1]) == pytest.approx((0.1 + 0.2) / 2)
    assert measures.intransigence(R, [1.0, 1.0, 1.0]) == pytest.approx((0.1 + 0.2 + 0.0) / 3)


def test_tasks_visited_once_agree_with_the_square_formulas():
    random = np.random.default_rng(0).random((6, 6))
    # The published forgetting looks at all rows; from the first visit on they are the same if
    # nothing is known before.
    random[np.triu_indices(6, 1)] = 0
    assert measures.backward_transfer(random) == pytest.approx(metrics.backward_transfer(random))
    assert measures.forgetting(random) == pytest.approx(metrics.forgetting(random))


def test_a_task_that_comes_again_counts_from_its_first_visit():
    r = [[0.9, 0.0], [0.1, 0.8], [0.95, 0.4]]
    visits = (0, 1, 0)
    assert measures.average_accuracy(r, visits) == pytest.approx((0.95 + 0.4) / 2)
    assert measures.backward_transfer(r, visits) == pytest.approx((0.05 - 0.4) / 2)
    assert measures.forgetting(r, visits) == pytest.approx((-0.05 + 0.4) / 2)
    assert measures.average_accuracy([[0.5, 0.9]], (0,)) == 0.5  # A task never met is not counted.
    assert math.isnan(measures.forgetting([[0.5]])) and math.isnan(
        measures.backward_transfer([[1]])
    )


def test_what_was_not_measured_does_not_count():
    matrix = [[0.9, 0.1, np.nan], [np.nan, 0.8, 0.2], [0.6, 0.7, 0.9]]
    assert measures.forgetting(matrix) == pytest.approx((0.3 + 0.1) / 2)
    assert measures.backward_transfer(matrix) == pytest.approx(-0.2)
    assert measures.forward_transfer(matrix, [0.1, 0.1, 0.1]) == pytest.approx((0.0 + 0.1) / 2)
    assert np.isnan(measures.average_incremental_accuracy(matrix))


def test_the_reference_cannot_answer_what_has_not_come_yet():
    joint, nan = np.full((3, 2), 0.7), np.full((3, 2), np.nan)
    hindsight = [[0.99, 0.0], [0.8, 0.75], [0.7, 0.7]]
    np.testing.assert_array_equal(
        measures.joint_reference(joint, hindsight, (0, 1, 0)), [0.99, 0.75]
    )
    np.testing.assert_array_equal(measures.joint_reference(joint, nan, (0, 1, 0)), [0.7, 0.7])


def test_the_stability_gap_is_the_worst_relative_fall():
    during = [[0.7, 0.5], [0.4, 0.6], [0.8, 0.5]]
    assert measures.stability_gap([0.8, 0.5], during) == pytest.approx(0.5)
    assert measures.stability_gap([0.8, 0.5], [[0.9, 0.6]]) == 0.0
    assert measures.stability_gap([0.0, 0.5], [[0.0, 0.45]]) == pytest.approx(0.1)
    with pytest.raises(ConfigError, match="same tasks"):
        measures.stability_gap([0.8], during)


def test_sparsity_is_the_share_of_active_cells_of_binary_patterns():
    patterns = np.zeros((4, 50))
    patterns[:, :5] = 1
    assert measures.sparsity(patterns) == pytest.approx(0.1)
    assert measures.sparsity(np.full((2, 7), 3.0)) == pytest.approx(1.0)
    # Exponentially distributed rates: <r>^2 / <r^2> = 1/2; 4 standard errors at 20,000 cells.
    rates = np.random.default_rng(0).exponential(size=(1, 20_000))
    assert abs(measures.sparsity(rates) - 0.5) < 0.02
    assert measures.sparsity(np.zeros((2, 3))) == 0.0


def test_separation_tells_within_from_between():
    codes = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]])
    within, between = measures.separation(codes, [0, 0, 1])
    assert within == pytest.approx(0.5) and between == 0.0
    with pytest.raises(ConfigError, match="two classes"):
        measures.separation(codes, [0, 0, 0])


def test_fidelity_is_the_cosine_with_the_nearest():
    stored = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    assert measures.replay_fidelity(3 * stored, stored) == pytest.approx(1.0)
    assert measures.replay_fidelity([[1.0, 1.0, 0.0]], stored) == pytest.approx(math.sqrt(0.5))
    with pytest.raises(ConfigError, match="same cells"):
        measures.replay_fidelity([[1.0]], stored)


def test_coverage_is_evenness():
    assert measures.replay_coverage([0, 1, 2, 3], 4) == pytest.approx(1.0)
    assert measures.replay_coverage([2, 2, 2], 4) == 0.0
    assert measures.replay_coverage([0, 0, 1, 1], 4) == pytest.approx(0.5)  # 1 bit of 2.
    with pytest.raises(ConfigError, match="two classes"):
        measures.replay_coverage([], 4)


def test_a_matrix_without_a_row_a_visit_is_refused():
    for bad, visits in (([0.5], None), ([[0.5, 0.1]], (0, 1)), ([[0.5]], (1,))):
        with pytest.raises(ConfigError, match="one row a visit"):
            measures.average_accuracy(bad, visits)
