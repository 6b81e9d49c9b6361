"""The dense Hopfield network: against its formula, its energy and its capacity."""

import numpy as np
import pytest

from circuits.hopfield import Hopfield, HopfieldConfig, _sweep, sweep_reference
from neurosim.errors import ConfigError
from neurosim.ledger import Ledger
from neurosim.theory import hopfield_capacity


def patterns_of(n_patterns, n_units, seed=0):
    return np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), (n_patterns, n_units))


def net_with(patterns):
    net = Hopfield(HopfieldConfig(n_units=patterns.shape[1]))
    net.store(patterns)
    return net


def test_weights_are_the_outer_products_without_a_diagonal():
    patterns = patterns_of(7, 31)
    expected = sum(np.outer(x, x).astype(int) for x in patterns)
    np.fill_diagonal(expected, 0)
    np.testing.assert_array_equal(net_with(patterns).weights, expected)


def test_the_kernel_is_the_formula_bit_for_bit():
    patterns = patterns_of(15, 60)
    net, rng = net_with(patterns), np.random.default_rng(1)
    state = patterns_of(1, 60, seed=9)[0]
    order = rng.permutation(60)
    expected = sweep_reference(order, net.weights, state)
    field = net.weights.astype(np.int64) @ state
    assert _sweep(order, net.weights, state, field) > 0
    np.testing.assert_array_equal(state, expected)
    np.testing.assert_array_equal(field, net.weights.astype(np.int64) @ state)


def test_a_recall_never_raises_the_energy_and_ends_in_a_fixed_point():
    patterns = patterns_of(40, 200)
    net, rng = net_with(patterns), np.random.default_rng(2)
    weights = net.weights.astype(np.int64)
    for seed in range(5):
        cue = patterns_of(1, 200, seed=100 + seed)[0]
        recall = net.recall(cue, rng)
        assert recall.settled and recall.n_sweeps > 1
        before, after = (s.astype(np.int64) for s in (cue, recall.state))
        assert after @ weights @ after > before @ weights @ before
        assert (weights @ after * after >= 0).all()


@pytest.mark.compiled
def test_memories_hold_below_the_capacity_of_theory_and_are_lost_above():
    n_units, rng = 1000, np.random.default_rng(3)
    for factor, holds in ((0.75, True), (1.4, False)):
        patterns = patterns_of(round(factor * hopfield_capacity() * n_units), n_units)
        net = net_with(patterns)
        overlaps = [float(net.recall(x, rng).state @ x.astype(float)) for x in patterns[:20]]
        assert bool(np.mean(overlaps) > 0.9 * n_units) is holds


def test_a_released_pattern_leaves_the_others_as_if_it_had_never_been():
    patterns = patterns_of(12, 80)
    net = net_with(patterns)
    net.release(patterns[4:5])
    np.testing.assert_array_equal(net.weights, net_with(np.delete(patterns, 4, axis=0)).weights)


def test_a_recall_that_has_no_time_says_that_it_did_not_settle():
    net = Hopfield(HopfieldConfig(n_units=100, max_sweeps=1))
    net.store(patterns_of(30, 100))
    recall = net.recall(patterns_of(1, 100, seed=5)[0], np.random.default_rng(0))
    assert not recall.settled and recall.n_sweeps == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda net: net.store(np.ones((2, 9), np.int8)),
        lambda net: net.store(np.zeros((2, 10), np.int8)),
        lambda net: net.recall(np.ones(9, np.int8), np.random.default_rng(0)),
        lambda net: net.store(np.ones((40_000, 10), np.int8)),
        lambda net: HopfieldConfig(n_units=1),
    ],
)
def test_what_does_not_fit_is_refused_at_the_door(call):
    with pytest.raises(ConfigError, match=r"^Hopfield\w*\.\w+: expected"):
        call(Hopfield(HopfieldConfig(n_units=10)))


def test_costs_are_the_changed_weights_and_the_rows_of_cells_that_flip():
    rng = np.random.default_rng(4)
    made, patterns = Hopfield(HopfieldConfig(60)), rng.choice([-1, 1], (3, 60))
    made.store(patterns)
    changed = np.count_nonzero(made.weights)
    assert 0 < changed <= 60 * 59
    assert made.ledger == Ledger(3600, changed, 3 * 3600, 3600 * 4 + 2 * 3 * 60 * 4)
    made.ledger = Ledger()
    cue = patterns[0].copy()
    cue[:5] *= -1
    state = made.recall(cue, np.random.default_rng(0)).state
    flips = np.count_nonzero(state != cue)  # Each wrong cell is turned once.
    assert flips == 5
    assert made.ledger == Ledger(65 * 60, 0, 65 * 60, 65 * 60 * 10)
