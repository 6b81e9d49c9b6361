"""The Willshaw matrix: against its formula, and its capacity against theory."""

import numpy as np
import pytest

from circuits.willshaw_matrix import WillshawMatrix, WillshawMatrixConfig, reference
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.ledger import Ledger
from neurosim.theory import willshaw_load


def pairs_of(n_pairs, config, k=4, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (SparseCode.random(config.n_pre, k, rng), SparseCode.random(config.n_post, k, rng))
        for _ in range(n_pairs)
    ]


@pytest.mark.parametrize("n_post", [40, 41, 47])
def test_stored_bits_are_the_formula_whatever_the_size(n_post):
    config = WillshawMatrixConfig(33, n_post)
    pairs = pairs_of(20, config)
    one_by_one, at_once = WillshawMatrix(config), WillshawMatrix(config)
    for pre, post in pairs:
        one_by_one.store(pre, post)
    at_once.store_many(*(np.stack([p[side].active for p in pairs]) for side in (0, 1)))
    expected = reference(pairs, config)
    assert 0 < expected.mean() < 1
    for matrix in (one_by_one, at_once):
        np.testing.assert_array_equal(np.unpackbits(matrix.bits, axis=1, count=n_post), expected)
    assert at_once.load() == expected.mean()


def test_a_stored_pair_is_never_missed_and_a_recall_is_the_and_of_its_rows():
    config = WillshawMatrixConfig(64, 64)
    pairs = pairs_of(60, config)
    matrix, dense = WillshawMatrix(config), reference(pairs, config)
    for pre, post in pairs:
        matrix.store(pre, post)
    for pre, post in pairs:
        recalled = matrix.recall(pre)
        assert set(post.active) <= set(recalled.active)
        np.testing.assert_array_equal(recalled.to_dense(), dense[pre.active].all(axis=0))


def test_false_cells_are_as_frequent_as_the_binomial_theory_says(small):
    n, k, n_pairs = (128, 5, 250) if small else (512, 7, 2600)
    config = WillshawMatrixConfig(n, n)
    pairs = pairs_of(n_pairs, config, k)
    matrix = WillshawMatrix(config)
    matrix.store_many(*(np.stack([p[side].active for p in pairs]) for side in (0, 1)))
    false = sum(len(matrix.recall(pre)) - k for pre, _ in pairs)
    expected = n_pairs * (n - k) * willshaw_load(n_pairs, k / n, k / n) ** k
    assert expected > 50
    # The rows of a cell are correlated, which adds some false cells in a small matrix.
    assert expected * 0.9 < false < expected * 1.3


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.store(SparseCode(np.array([1]), 9), SparseCode(np.array([1]), 10)),
        lambda m: m.recall(SparseCode(np.array([1]), 9)),
        lambda m: m.recall(SparseCode(np.array([], int), 10)),
        lambda m: m.store_many(np.array([[10]]), np.array([[1]])),
        lambda m: m.store_many(np.array([[1], [2]]), np.array([[1]])),
        lambda m: WillshawMatrixConfig(0, 1),
    ],
)
def test_what_does_not_fit_is_refused_at_the_door(call):
    with pytest.raises(ConfigError, match=r"^WillshawMatrix\w*\.\w+: expected"):
        call(WillshawMatrix(WillshawMatrixConfig(10, 10)))


def test_costs_are_the_pairs_of_cells_and_only_new_bits_are_written():
    made = WillshawMatrix(WillshawMatrixConfig(20, 21))
    made.store(SparseCode.of([1, 2, 3], 20), SparseCode.of([4, 5], 21))
    made.store(SparseCode.of([2, 3, 9], 20), SparseCode.of([5, 20], 21))
    written = round(made.load() * made.n_synapses)
    assert written == 6 + 6 - 2
    assert made.ledger == Ledger(12, written, 0, 24)
    made.recall(SparseCode.of([2, 3], 20))
    assert made.ledger == Ledger(12 + 2 * 21, written, 0, 24 + 2 * 3)
