"""Prototypes of whole images, of any shape, are what images of their class look like."""

import numpy as np
import pytest

from circuits.lamellar_readout import decode
from experiments.continual.gated_prototypes import GatedPrototypes
from neurosim.codes import SparseCode
from neurosim.continual_learner import Shape
from neurosim.streams import Batch


@pytest.mark.parametrize("image_shape", [(3, 5), (5, 3), (4, 4)])
def test_a_prototype_is_the_image_of_its_class_in_the_upper_left_corner(image_shape):
    rows, columns = image_shape
    n_pixels = rows * columns
    # Grey levels that differ from pixel to pixel, so that none can stand for another.
    images = np.stack([np.arange(1, n_pixels + 1), np.arange(n_pixels, 0, -1)]) / n_pixels
    learner = GatedPrototypes(per_class=1).begin(
        Shape(n_pixels, 2, image_shape), np.random.default_rng(0)
    )
    for _ in range(5):
        learner.observe(Batch(images.astype(np.float32), np.array([0, 1]), 0))
    for label, image in enumerate(images):
        code = SparseCode(np.array([label]), learner.lamella.n_units)
        sheet = decode(learner.lamella, code)[..., 0]
        assert sheet.shape == (max(image_shape),) * 2
        corner = sheet[:rows, :columns]
        scale = corner.max() / image.max()
        # Weights are counts of 8 bits; a pixel is at most half a count off.
        np.testing.assert_allclose(corner / scale, image.reshape(image_shape), atol=1 / 100)
        sheet[:rows, :columns] = 0
        assert not sheet.any()
    assert learner.predict(images.astype(np.float32)).argmax(axis=1).tolist() == [0, 1]
