"""The theory of a diluted winners-take-all net against Monte Carlo and its own limits."""

import math

import numpy as np
import pytest

from neurosim.density_evolution import graded_overlap, recall_overlap, recall_step
from neurosim.errors import ConfigError
from neurosim.mean_field import Cue, recall_capacity, winners_capacity, winners_overlap


def drawn_step(alpha, a, cue, fan_in, rng, n_cells=200_000):
    """Draw one attractor step cell by cell from Binomial and Poisson counts."""
    p = alpha * fan_in
    is_on = np.arange(n_cells) < a * n_cells
    right = rng.binomial(fan_in, a * cue.right, n_cells)
    wrong = rng.binomial(fan_in, a * cue.wrong, n_cells)
    noise = rng.poisson((right + wrong) * p * a * a)
    field = right * is_on + noise - (right + wrong) * p * a * a
    field = field + 1e-9 * rng.random(n_cells)
    winners = np.argpartition(-field, int(a * n_cells))[: int(a * n_cells)]
    return is_on[winners].mean()


@pytest.mark.parametrize("cue", [Cue(), Cue(0.5), Cue(0.5, 0.5)])
def test_one_step_agrees_with_drawn_cells(cue):
    alpha, a, fan_in = 2.0, 0.05, 2000
    step = winners_overlap(alpha, a, cue, fan_in, n_steps=1)
    drawn = drawn_step(alpha, a, cue, fan_in, np.random.default_rng(3))
    assert 0.3 < drawn < 0.99
    # 10,000 cells of the pattern: 4 standard errors are 0.02; the skew of the counts adds some.
    assert step == pytest.approx(drawn, abs=0.03)


def test_recall_ends_in_a_jump_and_stays_above_it():
    a = 0.02
    capacity = winners_capacity(a)
    assert winners_overlap(0.95 * capacity, a) > 0.7
    assert winners_overlap(1.05 * capacity, a) < 0.3


def test_a_poorer_cue_and_a_stricter_criterion_never_raise_capacity():
    a, fan_in = 0.02, 1320
    full = winners_capacity(a, 0.5, Cue(), fan_in)
    half = winners_capacity(a, 0.5, Cue(0.5), fan_in)
    corrupted = winners_capacity(a, 0.5, Cue(0.5, 0.5), fan_in)
    assert full >= half >= corrupted > 0
    assert winners_capacity(a, 0.95, Cue(), fan_in) < full


def test_capacity_rises_with_fan_in_to_its_limit():
    rising = [winners_capacity(0.02, 0.95, fan_in=c) for c in (500, 1320, 12_000, math.inf)]
    assert rising == sorted(rising)


def test_the_factor_at_the_prototype_s_size_is_the_measured_one():
    # Measured at 33,000 cells, 1,320 synapses each, a = 0.02: k = 0.19 (full), 0.17 (half cue).
    unit = 0.02 * math.log(50)
    assert winners_capacity(0.02, fan_in=1320) * unit == pytest.approx(0.19, abs=0.01)
    assert winners_capacity(0.02, cue=Cue(0.5), fan_in=1320) * unit == pytest.approx(0.18, abs=0.02)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: Cue(0.0), "right"),
        (lambda: Cue(0.5, -0.1), "wrong"),
        (lambda: winners_overlap(0.0, 0.02), "alpha"),
        (lambda: winners_overlap(1.0, 0.0), "sparsity"),
        (lambda: winners_overlap(1.0, 0.02, fan_in=math.nan), "fan_in"),
        (lambda: winners_capacity(0.02, overlap=0.01), "overlap"),
        (lambda: winners_capacity(0.001, overlap=0.99, fan_in=100), "fan_in"),
        (lambda: recall_step([0.0, math.nan], 1.0, 10.0, 0.1, 1.0, 0.0), "values"),
        (lambda: recall_overlap(covariance(9), 0, 0.02, 100), "n_patterns"),
        (lambda: recall_overlap(covariance(9), 10, 0.02, math.inf), "fan_in"),
        (lambda: graded_overlap(log_odds(9), 0, 0.02, 100, Cue(), 0.5, GRADES), "n_patterns"),
        (lambda: recall_capacity(lambda x: x, 0.5, 2.0, 1.0), "low"),
    ],
)
def test_what_lies_outside_its_range_is_refused_by_name(call, name):
    with pytest.raises(ConfigError, match=rf"\.{name}: expected"):
        call()


def covariance(n_counts):
    return lambda load, trust: np.arange(n_counts) - load


def log_odds(n_counts):
    def values(load, trust):
        return np.log1p(min(trust, 0.9999) * (np.arange(n_counts) / load - 1))

    return values


def drawn_recall_step(values, load, inputs, a, right, wrong, rng, n_cells):
    """Draw one attractor step cell by cell: every synapse, every count."""
    values = np.asarray(values)
    is_on = np.arange(n_cells) < a * n_cells
    drive = 1e-9 * rng.random(n_cells)
    for share, more in ((right, 1), (wrong, 0)):
        n_active = rng.poisson(inputs * share, n_cells)
        cell = np.repeat(np.arange(n_cells), n_active)
        counts = rng.poisson(load, cell.size) + more * is_on[cell]
        drive += np.bincount(cell, values[np.minimum(counts, len(values) - 1)], n_cells)
    n_win = int(a * n_cells)
    return is_on[np.argpartition(-drive, n_win)[:n_win]].mean()


@pytest.mark.parametrize(("right", "wrong"), [(1.0, 0.0), (0.5, 0.0), (0.4, 0.6)])
@pytest.mark.parametrize("readout", [covariance, log_odds])
@pytest.mark.parametrize("n_counts", [4, 256])
def test_the_exact_step_is_what_drawn_synapses_give(right, wrong, readout, n_counts):
    load, inputs, a, n_cells = 0.6, 12.0, 0.05, 100_000
    values = readout(n_counts)(load, 0.8)
    step = recall_step(values, load, inputs, a, right, wrong)
    drawn = drawn_recall_step(
        values, load, inputs, a, right, wrong, np.random.default_rng(4), n_cells
    )
    assert 0.2 < drawn < 0.99
    # 5,000 cells of the pattern: four binomial standard errors.
    assert step == pytest.approx(drawn, abs=4 * math.sqrt(drawn * (1 - drawn) / (a * n_cells)))


def test_the_exact_theory_meets_the_gaussian_one_where_counts_are_many():
    a, fan_in = 0.05, 40_000
    for alpha in (1.0, 1.2):
        exact = recall_overlap(covariance(600), alpha * fan_in, a, fan_in, n_steps=30)
        gaussian = winners_overlap(alpha, a, fan_in=fan_in, n_steps=30)
        assert exact == pytest.approx(gaussian, abs=0.02)


def test_log_odds_are_the_best_use_of_counts_and_gain_most_where_counts_are_few():
    a = 0.02

    def capacity(values, fan_in):
        unit = fan_in / (a * math.log(1 / a))

        def recalled(k):
            return recall_overlap(values, k * unit, a, fan_in, Cue(0.5, 0.5))

        return recall_capacity(recalled, 0.95, 0.01, 1.0)

    gains = [capacity(log_odds(64), c) / capacity(covariance(64), c) for c in (660, 1320, 12_000)]
    assert all(gain > 1 for gain in gains)
    assert gains == sorted(gains, reverse=True)


def test_a_trust_that_does_not_fit_the_cue_costs_recall():
    a, fan_in, n_patterns = 0.02, 1320, 2700
    noisy = Cue(0.5, 0.5)
    fitting = recall_overlap(log_odds(64), n_patterns, a, fan_in, noisy)
    credulous = recall_overlap(log_odds(64), n_patterns, a, fan_in, noisy, (0.98,))
    assert fitting > 0.9 > 0.5 > credulous


GRADES = range(-5, 10)


def test_with_one_step_the_graded_theory_is_the_exact_step():
    a, fan_in, n_patterns = 0.02, 660, 1500
    load = n_patterns * a * a
    one = graded_overlap(
        log_odds(64), n_patterns, a, fan_in, Cue(0.5, 0.5), 0.5, GRADES, lambda load, r: 3.0, 1
    )
    step = recall_step(log_odds(64)(load, 0.5), load, fan_in * a, a, 0.5, 0.5, 3.0)
    assert 0.2 < one < 0.95
    assert one == pytest.approx(step, rel=1e-9)


def test_the_graded_theory_is_what_drawn_beliefs_give():
    a, fan_in, n_patterns, n_cells = 0.05, 240, 300, 100_000
    load, rng, values = n_patterns * a * a, np.random.default_rng(6), log_odds(64)
    is_on = np.arange(n_cells) < a * n_cells
    prior = 2.0
    drive = prior * (rng.random(n_cells) < np.where(is_on, 0.5, 0.5 * a / (1 - a)))
    trusts = {True: np.array([0.5]), False: np.array([0.5])}
    share = {True: 0.5, False: 0.5}
    found = []
    for _ in range(3):
        for right in (True, False):
            n_active = rng.poisson(fan_in * a * share[right], n_cells)
            cell = np.repeat(np.arange(n_cells), n_active)
            trust = np.minimum(rng.choice(trusts[right], cell.size), 0.9999)
            counts = rng.poisson(load, cell.size) + (is_on[cell] if right else 0)
            drive += np.bincount(cell, np.log1p(trust * (counts / load - 1)), n_cells)
        fire = np.argpartition(-drive, int(a * n_cells))[: int(a * n_cells)]
        odds = np.clip(np.rint(drive[fire] - math.log((1 - a) / a)), -5, 9)
        beliefs = 1 / (1 + np.exp(-odds))
        trusts = {right: beliefs[is_on[fire] == right] for right in (True, False)}
        share = {right: trusts[right].size / (a * n_cells) for right in (True, False)}
        found.append(share[True])
        drive = 1e-9 * rng.random(n_cells)
    theory = [
        graded_overlap(
            values, n_patterns, a, fan_in, Cue(0.5, 0.5), 0.5, GRADES, lambda load, r: prior, n
        )
        for n in (1, 2, 3)
    ]
    assert 0.5 < found[0] < found[2] < 0.99
    # 5,000 cells of the pattern: a binomial standard error is 0.007, and errors add over steps.
    assert theory == pytest.approx(found, abs=0.03)


@pytest.mark.parametrize("cue", [Cue(), Cue(0.5, 0.5)])
def test_trust_graded_by_the_drive_holds_more_than_the_best_common_trust(cue):
    net, prior = (1720, 0.02, 660, cue), lambda load, trust: math.log(0.99 / 0.01)
    graded = graded_overlap(log_odds(64), *net, 0.5, GRADES, prior)
    common = recall_overlap(log_odds(64), *net, None, prior)
    assert graded > 0.9 > 0.5 > common


def test_a_prior_for_the_cells_of_the_cue_is_what_drawn_cells_give():
    load, inputs, a, n_cells, prior = 1.2, 20.0, 0.05, 100_000, 2.5
    right, wrong = 0.5, 0.5
    values, rng = log_odds(64)(load, 0.5), np.random.default_rng(5)
    values = np.asarray(values)
    is_on = np.arange(n_cells) < a * n_cells
    in_cue = rng.random(n_cells) < np.where(is_on, right, wrong * a / (1 - a))
    drive = 1e-9 * rng.random(n_cells) + prior * in_cue
    for share, more in ((right, 1), (wrong, 0)):
        n_active = rng.poisson(inputs * share, n_cells)
        cell = np.repeat(np.arange(n_cells), n_active)
        counts = np.minimum(rng.poisson(load, cell.size) + more * is_on[cell], 63)
        drive += np.bincount(cell, values[counts], n_cells)
    drawn = is_on[np.argpartition(-drive, int(a * n_cells))[: int(a * n_cells)]].mean()
    step = recall_step(values, load, inputs, a, right, wrong, prior)
    assert step > recall_step(values, load, inputs, a, right, wrong) + 0.05
    assert step == pytest.approx(drawn, abs=4 * math.sqrt(drawn * (1 - drawn) / (a * n_cells)))
