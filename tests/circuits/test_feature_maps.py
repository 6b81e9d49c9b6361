"""Feature maps: they keep the formulas, and turn to what they see."""

from dataclasses import replace

import numpy as np
import pytest

from circuits.feature_maps import FAINT, FeatureMaps, FeatureMapsConfig
from neurosim.errors import ConfigError, InputError

SMALL = FeatureMapsConfig(n_fields=6, side=3, pool=2, winners=2, development=3, patches=40)


def drawn_images(n, shape, seed=0):
    """Blobs on black, so that there are both contrast and silence."""
    rng = np.random.default_rng(seed)
    images = rng.random((n, *shape)) * (rng.random((n, *shape)) < 0.4)
    images[:, :2] = 0
    return images.reshape(n, -1).astype(np.float32)


def developed(shape=(7, 6)):
    maps = FeatureMaps(SMALL, shape, np.random.default_rng(1))
    assert maps.develop(drawn_images(5, shape)) == 3 and maps.mature
    return maps


def test_images_with_an_imaginary_part_are_refused():
    maps = developed()
    with pytest.raises(InputError, match="images: expected real numbers, got 'complex64 of shape"):
        maps.develop(drawn_images(5, (7, 6)) * np.complex64(1j))


def reference_responses(maps, image):
    """The formulas of the class, place by place."""
    config, (rows, columns) = maps.config, maps.image_shape
    half = config.side // 2
    padded = np.pad(image.reshape(rows, columns).astype(np.float64), half)
    out = np.zeros((*maps.grid, config.n_fields))
    for r in range(rows):
        for c in range(columns):
            p = padded[r : r + config.side, c : c + config.side].ravel()
            p = p - p.mean()
            response = np.maximum(maps.fields @ p, 0) / (np.linalg.norm(p) + FAINT)
            response = np.maximum(response - np.sort(response)[-config.winners - 1], 0)
            place = out[r // config.pool, c // config.pool]
            np.maximum(place, response, out=place)
    return np.sqrt(out)


def test_complex_cells_give_what_the_formula_says():
    maps = developed()
    images = drawn_images(3, (7, 6), seed=2)
    got = maps.encode(images)
    assert got.shape == (3, 4, 3, 6) and (got > 0).sum() > 20
    for each, image in zip(got, images, strict=True):
        # float32 against float64, and a square root that triples the digits lost near zero.
        np.testing.assert_allclose(each, reference_responses(maps, image), atol=2e-3)
    assert not maps.encode(np.zeros((1, 42), np.float32)).any()


def test_fields_have_mean_0_and_length_1_and_all_are_used():
    maps = developed()
    np.testing.assert_allclose(maps.fields.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(maps.fields, axis=1), 1, atol=1e-5)
    assert maps.wins.sum() > 60 and maps.wins.min() > 0.3 * maps.wins.mean()


def test_after_development_nothing_changes_any_more():
    maps = developed()
    before = maps.fields.copy()
    assert maps.develop(drawn_images(2, (7, 6), seed=5)) == 0
    np.testing.assert_array_equal(maps.fields, before)


def test_fields_turn_to_the_edges_they_see():
    """In a world of stripes of one direction every field becomes a stripe of that direction."""
    rng = np.random.default_rng(0)
    columns = rng.random((40, 1, 8)) > 0.5
    stripes = np.repeat(columns, 8, axis=1).astype(np.float32).reshape(40, -1)
    maps = FeatureMaps(replace(SMALL, development=40), (8, 8), rng)
    maps.develop(stripes)
    fields = maps.fields.reshape(-1, 3, 3)
    np.testing.assert_allclose(fields, np.repeat(fields[:, :1], 3, axis=1), atol=1e-5)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: FeatureMapsConfig(n_fields=3, winners=3), "fewer than the 3 fields"),
        (lambda: FeatureMapsConfig(side=4), "odd number"),
        (lambda: FeatureMapsConfig(patches=0), "1 or more"),
        (lambda: FeatureMaps(SMALL, (2, 9), np.random.default_rng(0)), "smaller fields"),
    ],
)
def test_what_cannot_be_built_is_refused(build, said):
    with pytest.raises(ConfigError, match=said):
        build()


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="42.* pixels"):
        developed().encode(np.zeros((2, 41), np.float32))
    torn = np.zeros((2, 42), np.float32)
    torn[1, 5] = np.nan
    with pytest.raises(InputError, match=r"images\[1, 5\].*finite"):
        developed().encode(torn)
