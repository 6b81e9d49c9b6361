"""What a count is worth, given what the loads of two cells let chance count."""

import numpy as np
import pytest

from circuits import readouts


def test_expected_counts_of_the_classes_are_the_product_of_the_loads():
    use = np.array([0.0, 1.0, 3.0, 40.0, 700.0])
    steps, first = readouts.classes(use)
    table = readouts.expected_counts(2 * first, 2 * steps.max() + 1, 50)
    exact = np.outer(np.maximum(use, 0.5), np.maximum(use, 0.5)) / 50
    # Half a step of each of two loads: 2^(1/32) at most.
    np.testing.assert_allclose(table[steps[:, None] + steps], exact, rtol=0.0221)


@pytest.mark.parametrize(("inputs", "count"), [(26.0, 1.7), (80.0, 4.0), (240.0, 11.4)])
def test_telling_loads_apart_in_steps_adds_little_to_the_noise_of_the_drive(inputs, count):
    rng = np.random.default_rng(8)
    use = rng.binomial(28_000, 0.02, 4000).astype(float)
    n_stored = use.mean() ** 2 / count  # So that chance counts `count` in a synapse.
    ones = np.array([use.mean()])
    _, post, expected = readouts.classify(ones, use, n_stored, inputs)
    # All active synapses of a cell are off by the same: what it adds to the covariance drive.
    common = inputs * (expected[post] - ones * use / n_stored)
    noise = np.sqrt(inputs * count)
    assert common.std() < readouts.COARSENESS * noise
    assert len(expected) < 1000  # Rows of a table that stays in the cache.


def test_few_counts_need_no_finer_steps_and_more_counts_do():
    assert readouts.steps_an_octave(0.0) == readouts.STEPS_AN_OCTAVE
    assert readouts.steps_an_octave(26.0 * 1.7) == readouts.STEPS_AN_OCTAVE
    assert readouts.steps_an_octave(240.0 * 11.4) == 4 * readouts.STEPS_AN_OCTAVE


def test_the_bayesian_worth_is_the_ratio_of_poisson_chances():
    from scipy.stats import poisson

    load = np.array([0.02, 0.9, 6.0, 14.0])
    most, trust = 15, 0.7
    got = readouts.table("bayesian", load, most, trust)
    counts = np.arange(most)
    for row, mean in zip(got, load, strict=True):
        member = np.append(poisson.pmf(counts - 1, mean), poisson.sf(most - 2, mean))
        other = np.append(poisson.pmf(counts, mean), poisson.sf(most - 1, mean))
        np.testing.assert_allclose(
            row, np.log(1 - trust + trust * member / other), rtol=1e-9, atol=1e-14
        )


def test_the_bayesian_worth_of_a_count_that_never_was_stays_finite():
    worth = readouts.table("bayesian", np.array([1e-6, 0.5, 500.0]), 255, 1.0)
    assert np.isfinite(worth).all() and worth[0, 255] > worth[1, 255] > worth[2, 255]


def test_chances_of_counts_have_the_mean_and_variance_of_hypergeometric_loads():
    expected, sparsity = np.array([0.4, 0.8, 5.0]), 0.02
    chances = readouts.chances(expected, 255, sparsity)
    each = np.diff(chances, axis=1, prepend=0.0)
    mean = each @ np.arange(256)
    # The trials of the binomial are no whole number: 3 % at the smallest load.
    np.testing.assert_allclose(mean, expected, rtol=0.03)
    variance = each @ np.arange(256) ** 2 - mean**2
    np.testing.assert_allclose(variance, expected * 0.98**3, rtol=0.05)
