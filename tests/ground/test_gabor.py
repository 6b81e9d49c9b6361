"""A Gabor is found again, and noise is none."""

import numpy as np
import pytest

from neurosim.gabor import Gabor, fit_gabor


@pytest.mark.parametrize("theta", [0.0, 0.7, 2.0])
def test_a_gabor_is_found_again(theta):
    made = Gabor(7.3, 8.1, theta, 0.15, 2.5, 3.5, 0.4, 1.3).image(16)
    found, explained = fit_gabor(made.ravel(), 16)
    assert explained > 0.9999
    np.testing.assert_allclose(found.image(16), made, atol=1e-3)
    assert found.frequency == pytest.approx(0.15, abs=1e-3)
    # The wave may run either way.
    assert np.sin(found.theta - theta) == pytest.approx(0, abs=1e-3)


def test_noise_is_no_gabor():
    rng = np.random.default_rng(0)
    assert max(fit_gabor(rng.normal(size=100), 10)[1] for _ in range(3)) < 0.4


def test_a_blank_field_is_explained_by_nothing():
    assert fit_gabor(np.zeros(100), 10)[1] == 0
