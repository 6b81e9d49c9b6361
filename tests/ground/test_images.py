"""Images made on the spot look natural to statistics; selectivity tells edges from spots."""

import numpy as np
import pytest

from neurosim.errors import ConfigError
from neurosim.images import dead_leaves, orientation_selectivity, patches, retina


@pytest.fixture(scope="module")
def image():
    return dead_leaves(128, np.random.default_rng(0))


def spectrum_slope(image):
    power = np.abs(np.fft.fft2(image - image.mean())) ** 2
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(128), np.fft.fftfreq(128)))
    band = (f > 0.03) & (f < 0.3)
    return np.polyfit(np.log(f[band]), np.log(power[band]), 1)[0]


def test_dead_leaves_have_the_spectrum_of_photographs(image):
    assert image.shape == (128, 128) and image.min() >= 0 and image.max() <= 1
    # Photographs: power falls as f^-2 (Field 1987), with a spread of about 0.5 between scenes.
    assert -3.0 < spectrum_slope(image) < -1.5


def test_the_retina_flattens_the_spectrum(image):
    flat = retina(image)
    # The filter is f up to its low-pass, so that power gains two powers of f, less the low-pass.
    assert 1.2 < spectrum_slope(flat) - spectrum_slope(image) < 2.0
    assert flat.std() == pytest.approx(1.0)


def test_patches_are_cut_from_the_images_and_have_mean_zero(image):
    cut = patches([image, 1 - image], 8, 10, np.random.default_rng(1))
    assert cut.shape == (10, 64)
    np.testing.assert_allclose(cut.mean(axis=1), 0, atol=1e-12)
    windows = np.lib.stride_tricks.sliding_window_view(image, (8, 8)).reshape(-1, 64)
    windows = windows - windows.mean(axis=1, keepdims=True)
    nearest = [min(np.abs(windows - s * each).max(axis=1).min() for s in (1, -1)) for each in cut]
    assert max(nearest) < 1e-9


def test_selectivity_is_high_for_a_grating_and_low_for_a_spot():
    y, x = np.mgrid[:12, :12] - 5.5
    envelope = np.exp(-(x**2 + y**2) / 18)
    grating = np.cos(2 * np.pi * 0.2 * (x * np.cos(0.7) + y * np.sin(0.7))) * envelope
    spot = np.exp(-(x**2 + y**2) / 4) - np.exp(-(x**2 + y**2) / 9) * 4 / 9
    high, low = orientation_selectivity(np.stack([grating.ravel(), spot.ravel()]), 12)
    assert high > 0.6 and low < 0.05


def test_an_image_too_small_is_refused():
    with pytest.raises(ConfigError, match="dead_leaves"):
        dead_leaves(4, np.random.default_rng(0))
