"""The visual hierarchy descends its energy, learns down its gradient, and falls silent above."""

import numpy as np
import pytest

from circuits.visual_hierarchy import VisualHierarchy, VisualHierarchyConfig
from neurosim.errors import ConfigError, InputError

SMALL = VisualHierarchyConfig(side=5, shift=2, modules=2, n_lower=6, n_upper=4, n_steps=40)


@pytest.fixture
def hierarchy():
    return VisualHierarchy(SMALL, np.random.default_rng(0))


@pytest.fixture
def images():
    return np.random.default_rng(1).normal(size=(3, SMALL.field, SMALL.field))


def energy(h, images, lower, upper):
    """Return the energy of the docstring."""
    c = h.config
    error = h.cut(images) - lower @ h.fields.T
    missed = lower.reshape(len(images), -1) - upper @ h.fields_above.T
    prior = np.log1p(lower**2).sum() + np.log1p(upper**2).sum()
    total = (error**2).sum() / 2 / c.noise + (missed**2).sum() / 2 / c.noise_above
    return (total + c.sparsity * prior) / len(images)


def test_inference_descends_the_energy_of_the_formula(hierarchy, images):
    percept = hierarchy.perceive(images)
    assert percept.energies[-1] == pytest.approx(
        energy(hierarchy, images, percept.lower, percept.upper)
    )
    assert (np.diff(percept.energies) <= 1e-12).all()
    assert percept.energies[-1] < 0.9 * percept.energies[0]


def test_inference_comes_to_rest_where_the_gradient_vanishes(images):
    config = VisualHierarchyConfig(side=5, shift=2, modules=2, n_lower=6, n_upper=4, n_steps=3000)
    hierarchy = VisualHierarchy(config, np.random.default_rng(0))
    p = hierarchy.perceive(images)
    for values, other in ((p.lower, 0), (p.upper, 1)):
        place = tuple(0 for _ in values.shape)
        around = []
        for sign in (1, -1):
            moved = values.copy()
            moved[place] += sign * 1e-4
            both = (moved, p.upper) if other == 0 else (p.lower, moved)
            around.append(energy(hierarchy, images, *both))
        assert (around[0] - around[1]) / 2e-4 == pytest.approx(0, abs=1e-5)


def test_fields_keep_their_length_and_predict_better_after_learning(hierarchy, images):
    before = hierarchy.perceive(images).energies[-1]
    for _ in range(30):
        hierarchy.learn(hierarchy.perceive(images))
    assert hierarchy.perceive(images).energies[-1] < before
    for fields in (hierarchy.fields, hierarchy.fields_above):
        np.testing.assert_allclose(np.linalg.norm(fields, axis=0), 1)


def test_without_feedback_error_cells_report_all_that_their_cells_fire(hierarchy, images):
    alone = hierarchy.perceive(images, feedback=False)
    np.testing.assert_array_equal(alone.error_above, alone.lower)
    assert not alone.upper.any() and alone.lower.any()


def test_modules_see_overlapping_parts(hierarchy):
    image = np.arange(SMALL.field**2, dtype=float).reshape(1, SMALL.field, SMALL.field)
    parts = hierarchy.cut(image)[0].reshape(4, 5, 5)
    np.testing.assert_array_equal(parts[3], image[0, 2:7, 2:7])
    np.testing.assert_array_equal(parts[0][:, 2:], parts[1][:, :3])


def test_bad_input_is_refused(hierarchy, images):
    with pytest.raises(InputError, match="cut them"):
        hierarchy.perceive(images[:, 1:])
    with pytest.raises(InputError, match="finite"):
        hierarchy.perceive(images * np.nan)
    with pytest.raises(InputError, match="images: expected real numbers, got 'complex128"):
        hierarchy.perceive(images * 1j)
    with pytest.raises(ConfigError, match="try 5"):
        VisualHierarchyConfig(shift=0)
