"""Capacity theory against closed forms, published numbers and limits."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from neurosim import theory
from neurosim.errors import ConfigError


def test_a_hopfield_net_holds_0_138_patterns_a_cell():
    # Amit, Gutfreund & Sompolinsky (1985, 1987): alpha_c = 0.138, overlap there 0.967.
    assert theory.hopfield_capacity() == pytest.approx(0.138, abs=5e-4)
    assert theory.hopfield_overlap(theory.hopfield_capacity()) == pytest.approx(0.967, abs=5e-4)


@pytest.mark.parametrize("alpha", [0.03, 0.08, 0.13])
def test_the_hopfield_overlap_solves_the_three_mean_field_equations(alpha):
    m = theory.hopfield_overlap(alpha)
    # From the paper's three unknowns: iterate noise r and susceptibility C at this overlap.
    r = 1.0
    for _ in range(2000):
        c = math.sqrt(2 / (math.pi * alpha * r)) * math.exp(-m * m / (2 * alpha * r))
        r += 0.1 * (1 / (1 - c) ** 2 - r)
    assert math.erf(m / math.sqrt(2 * alpha * r)) == pytest.approx(m, abs=1e-9)


def test_the_hopfield_overlap_jumps_to_nothing_at_capacity():
    critical = theory.hopfield_capacity()
    assert theory.hopfield_overlap(critical - 1e-6) > 0.96
    assert theory.hopfield_overlap(critical + 1e-6) == 0.0
    assert theory.hopfield_overlap(1e-3) == pytest.approx(1.0, abs=1e-12)


def test_willshaw_information_tends_to_ln_2_from_below():
    sizes = [2**8, 2**12, 2**20, 2**40]
    best = [
        max(theory.willshaw_capacity(n, k).bits_per_synapse for k in range(3, 60)) for n in sizes
    ]
    assert best == sorted(best)
    assert best[-1] < theory.WILLSHAW_LIMIT
    assert 0.5 < best[1] < 0.6


def test_willshaw_capacity_is_the_load_at_which_one_false_cell_is_expected():
    n, k = 1000, 10
    capacity = theory.willshaw_capacity(n, k)
    load = theory.willshaw_load(capacity.n_patterns, k / n, k / n)
    assert (n - k) * load**k == pytest.approx(1.0, rel=1e-9)


def test_willshaw_load_agrees_with_a_drawn_matrix(small):
    n, k, n_patterns = (100, 5, 200) if small else (400, 10, 1000)
    rng = np.random.default_rng(1)
    matrix = np.zeros((n, n), dtype=bool)
    for _ in range(n_patterns):
        pre, post = (rng.choice(n, k, replace=False) for _ in range(2))
        matrix[np.ix_(pre, post)] = True
    expected = theory.willshaw_load(n_patterns, k / n, k / n)
    # Four binomial standard errors; filling the matrix at fixed M varies less than that.
    error = 4 * math.sqrt(expected * (1 - expected)) / n
    assert abs(matrix.mean() - expected) < error


def test_transinformation_is_the_mutual_information_of_the_joint_table():
    a, miss, false_alarm = 0.1, 0.2, 0.03
    joint = np.array([[a * miss, a * (1 - miss)], [(1 - a) * (1 - false_alarm), (1 - a) * 0.03]])
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    expected = float((joint * np.log2(joint / independent)).sum())
    assert theory.transinformation(a, miss, false_alarm) == pytest.approx(expected, rel=1e-12)
    assert theory.transinformation(0.5, 0.0, 0.0) == 1.0
    assert theory.transinformation(0.5, 0.5, 0.5) == pytest.approx(0.0, abs=1e-15)


def test_treves_and_rolls_factor_lies_between_0_2_and_0_3_for_sparse_codes():
    factors = [theory.treves_rolls_k(a) for a in (0.1, 0.05, 0.02, 0.01, 0.001)]
    assert all(0.2 < k < 0.3 for k in factors)
    assert factors == sorted(factors)


def test_treves_and_rolls_give_a_rat_some_thirty_thousand_memories_and_more():
    # Their example: C = 12,000 and a = 0.02 with k of 0.2 to 0.3 hold about 36,000 (k = 0.235).
    assert theory.treves_rolls_patterns(12_000, 0.02, 0.235) == pytest.approx(36_000, rel=0.01)
    assert 30_000 < theory.treves_rolls_patterns(12_000, 0.02, theory.treves_rolls_k(0.02)) < 46_000


def test_treves_and_rolls_load_is_stationary_in_signal_and_threshold():
    # The averages by quadrature instead of closed form, at a = 0.1, over a grid of w and v.
    a = 0.1
    t0 = (1 - a) / a

    def moment(x, power):
        return quad(lambda z: norm.pdf(z) * max(x + z, 0.0) ** power, max(-x, -9), 9)[0]

    def load(w, v):
        on, off = w * t0 - v, -w - v
        a2 = (1 - a) * (moment(on, 1) - moment(off, 1))
        a3 = a * moment(on, 2) + (1 - a) * moment(off, 2)
        return (a2 / (w * t0)) ** 2 / a3

    grid = [load(w, v) for w in np.geomspace(0.1, 0.3, 12) for v in np.linspace(0.5, 1.1, 12)]
    best = theory.treves_rolls_load(a)
    assert max(grid) <= best * (1 + 1e-6)
    assert max(grid) == pytest.approx(best, rel=0.01)


def test_gardner_bound_is_two_for_dense_and_follows_tsodyks_and_feigelman_for_sparse_codes():
    assert theory.gardner_capacity(0.5) == pytest.approx(2.0, rel=1e-9)
    # The approach is logarithmic, so only its direction and the last step can be tested.
    ratios = [
        theory.gardner_capacity(a) / theory.tsodyks_feigelman_capacity(a)
        for a in (1e-2, 1e-4, 1e-9, 1e-100)
    ]
    assert ratios == sorted(ratios, reverse=True)
    assert 1.0 < ratios[-1] < 1.05


@pytest.mark.parametrize("kappa", [0.0, 0.5, 1.5])
def test_gardner_bound_of_dense_codes_with_a_margin_is_the_published_integral(kappa):
    # Gardner (1988): 1 / alpha_c = int_{-kappa}^inf Dt (t + kappa)^2.
    inverse = quad(lambda t: norm.pdf(t) * (t + kappa) ** 2, -kappa, 12)[0]
    assert theory.gardner_capacity(0.5, kappa) == pytest.approx(1 / inverse, rel=1e-9)


def test_gardner_bound_is_above_every_rule_and_is_symmetric_in_on_and_off():
    for a in (0.3, 0.1, 0.02, 0.001):
        assert theory.gardner_capacity(a) > theory.treves_rolls_load(a)
        assert theory.gardner_capacity(a) == pytest.approx(theory.gardner_capacity(1 - a), rel=1e-9)
    assert theory.gardner_capacity(0.5) > theory.hopfield_capacity()


def test_information_of_the_sparse_limit_is_0_72_bit():
    a = 1e-100
    assert theory.gardner_capacity(a) * theory.transinformation(a, 0, 0) == pytest.approx(
        theory.COVARIANCE_LIMIT, rel=0.05
    )


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: theory.willshaw_load(-1, 0.1, 0.1), "n_patterns"),
        (lambda: theory.willshaw_load(10, 0.0, 0.1), "pre_sparsity"),
        (lambda: theory.willshaw_information(10, 100, 100, 5, 0), "k_post"),
        (lambda: theory.willshaw_capacity(10, 10), "k"),
        (lambda: theory.willshaw_capacity(100, 10, 90), "errors"),
        (lambda: theory.hopfield_overlap(0.0), "alpha"),
        (lambda: theory.tsodyks_feigelman_capacity(1.0), "sparsity"),
        (lambda: theory.treves_rolls_load(math.nan), "sparsity"),
        (lambda: theory.treves_rolls_patterns(0, 0.1, 0.2), "fan_in"),
        (lambda: theory.treves_rolls_patterns(10, 0.1, -0.2), "k"),
        (lambda: theory.gardner_capacity(0.1, -1.0), "kappa"),
        (lambda: theory.transinformation(0.1, 1.5, 0.0), "miss"),
    ],
)
def test_a_number_outside_its_range_is_refused_by_name(call, name):
    with pytest.raises(ConfigError, match=rf"\.{name}: expected"):
        call()
