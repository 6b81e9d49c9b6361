"""The theory of a diluted winners-take-all net against Monte Carlo and its own limits."""

import math

import numpy as np
import pytest

from neurosim.errors import ConfigError
from neurosim.mean_field import Cue, winners_capacity, winners_overlap


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
    ],
)
def test_what_lies_outside_its_range_is_refused_by_name(call, name):
    with pytest.raises(ConfigError, match=rf"\.{name}: expected"):
        call()
