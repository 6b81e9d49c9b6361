"""The entorhinal sheet hands over levels of activity, normalised square by square."""

import numpy as np

from circuits.entorhinal_sheet import EntorhinalSheet
from circuits.feature_maps import FeatureMaps, FeatureMapsConfig
from circuits.lamellae_config import QUIET


def test_the_sheet_is_normalised_by_the_squares_that_hold_a_cell():
    rng = np.random.default_rng(0)
    maps = FeatureMaps(FeatureMapsConfig(4, 3, 4, 1, 1, 200), (20, 20), rng)
    images = rng.random((3, 400)).astype(np.float32)
    maps.develop(images)
    sheet = EntorhinalSheet(maps, 3, 2)
    x = maps.encode(images)
    total, shared = np.zeros_like(x), np.zeros((5, 5, 1))
    for row in (0, 2):
        for column in (0, 2):
            square = np.s_[:, row : row + 3, column : column + 3]
            norm = np.sqrt((x[square] ** 2).sum(axis=(1, 2, 3), keepdims=True))
            total[square] += x[square] / (norm + QUIET)
            shared[square[1:]] += 1
    levels = np.clip(255 / 0.35 * total / shared, 0, 255).reshape(3, -1)
    assert sheet.shape == (5, 5, 4) and levels.max() > 100
    assert np.abs(sheet.encode(images) - levels).max() <= 0.5 + 1e-3  # Whole levels.
