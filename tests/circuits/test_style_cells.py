"""Style cells learn in which ways the members of a class differ together, and dream them so."""

import numpy as np
import pytest

from circuits.bidirectional import BidirectionalConfig
from circuits.predictive_cortex import PredictiveCortex
from circuits.predictive_cortex_config import PredictiveCortexConfig
from circuits.style_cells import StyleCells
from neurosim.errors import ConfigError

N_UNITS = 12


def members(n=6000, seed=0):
    """Return errors of two classes from a factor model, their labels, means and covariances."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(2, N_UNITS))
    loading = rng.normal(size=(2, N_UNITS, 2))
    rest = 0.2 + rng.random((2, N_UNITS))
    labels = rng.integers(2, size=n)
    y = rng.normal(size=(n, 2, 1))
    noise = np.sqrt(rest[labels]) * rng.normal(size=(n, N_UNITS))
    covariance = loading @ loading.transpose(0, 2, 1) + rest[:, None] * np.eye(N_UNITS)
    return mean[labels] + (loading[labels] @ y)[..., 0] + noise, labels, mean, covariance


def taught(errors, labels, n_styles=2, memory=500, batch=40, epochs=8):
    cells = StyleCells(2, N_UNITS, n_styles, memory, np.random.default_rng(1))
    for _ in range(epochs):
        for k in range(0, len(errors), batch):
            cells.learn(errors[k : k + batch], labels[k : k + batch])
    return cells


def far(found, true):
    return np.linalg.norm(found - true) / np.linalg.norm(true)


def test_they_find_the_covariance_of_a_factor_model_class_by_class():
    errors, labels, mean, covariance = members()
    cells = taught(errors, labels)
    for c in range(2):
        own = errors[labels == c]
        model = cells.weights[c] @ cells.weights[c].T + np.diag(cells.rest[c])
        # No farther than twice what the sample itself is from the truth.
        assert far(model, covariance[c]) < 2 * far(np.cov(own.T), covariance[c])
        np.testing.assert_allclose(cells.mean[c], mean[c], atol=0.15)
    assert far(covariance[0], covariance[1]) > 0.5  # The classes differ.


def test_what_they_imagine_varies_together_as_what_was_seen():
    errors, labels, _, covariance = members()
    cells = taught(errors, labels)
    asked = np.repeat([0, 1], 20_000)
    drawn = cells.imagine(asked, 1.0, np.random.default_rng(2))
    for c in range(2):
        found = np.cov(drawn[asked == c].T)
        assert far(found, covariance[c]) < 0.1
        assert far(np.diag(np.diag(found)), covariance[c]) > 0.4  # Not each cell by itself.
    still = cells.imagine(np.array([1, 0]), 0.0, np.random.default_rng(2))
    np.testing.assert_array_equal(still, cells.mean[[1, 0]])


def test_an_optimum_of_the_likelihood_is_where_they_stay():
    """Of one style cell the best is known: Tipping & Bishop (1999), for noise alike in all."""
    rng = np.random.default_rng(3)
    loading = rng.normal(size=(N_UNITS, 1))
    errors = rng.normal(size=(8000, 1)) @ loading.T + 0.5 * rng.normal(size=(8000, N_UNITS))
    cells = taught(errors, np.zeros(8000, int), n_styles=1, memory=1000)
    values, vectors = np.linalg.eigh(np.cov(errors.T))
    best = vectors[:, -1] * np.sqrt(values[-1] - values[:-1].mean())
    mine = cells.weights[0, :, 0]
    np.testing.assert_allclose(mine * np.sign(mine @ best), best, atol=0.1 * np.abs(best).max())
    np.testing.assert_allclose(cells.rest[0], values[:-1].mean(), rtol=0.1)


def test_nothing_is_learnt_of_other_classes_or_of_what_nobody_named():
    errors, labels, *_ = members(400)
    cells = taught(errors, labels, epochs=1)
    before = {name: array.copy() for name, array in cells.state.items()}
    cells.learn(errors[:9], np.full(9, -1))
    for name, array in cells.state.items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    cells.learn(errors[:9], np.ones(9, int))
    for name, array in cells.state.items():
        np.testing.assert_array_equal(array[0], before[name][0], err_msg=name)
        if name != "style/seen":
            assert (array[1] != before[name][1]).any(), name


def test_it_forgets_over_its_memory():
    errors, labels, *_ = members()
    cells = taught(errors, labels, memory=200, epochs=1)
    assert (cells.seen == 200).all()
    cells = taught(np.concatenate([errors, errors + 5]), np.tile(labels, 2), memory=200, epochs=1)
    for c in range(2):
        np.testing.assert_allclose(cells.mean[c], errors[labels == c].mean(axis=0) + 5, atol=0.7)


def test_a_cortex_with_style_cells_dreams_of_strokes_that_come_together():
    """Each class has two bars, of which each of its images has either the one or the other."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=2000)
    images = np.zeros((2000, 16), np.float32)
    which = rng.integers(2, size=2000)
    for row, (c, k) in enumerate(zip(labels, which, strict=True)):
        images[row, 8 * c + 4 * k : 8 * c + 4 * k + 4] = 1

    def alike(styles):
        network = BidirectionalConfig((16, 24, 2))
        cortex = PredictiveCortex(
            PredictiveCortexConfig(network, covered=0.0, variety=1.0, styles=styles)
        )
        for _ in range(4):
            for k in range(0, 2000, 50):
                cortex.study(images[k : k + 50], labels[k : k + 50])
        dreams = np.array([list(d) for d in cortex.dream(400, 0)], float)
        squares = np.square(dreams[:, None, :16] / 255 - images[None, :200]).sum(axis=2)
        return squares.min(axis=1).mean()

    assert alike(2) < 0.7 * alike(0)


def test_style_cells_are_none_or_more():
    with pytest.raises(ConfigError, match="0 or more"):
        PredictiveCortexConfig(styles=-1)
    assert "style/weights" not in PredictiveCortex().state
    state = PredictiveCortex(PredictiveCortexConfig(styles=3)).state
    assert state["style/weights"].shape[2] == 3
