"""What a learner is shown is what `Batch` says, or one sentence says where it is not."""

import numpy as np
import pytest

from neurosim.batches import checked_batch, checked_images
from neurosim.continual_learner import Shape
from neurosim.errors import InputError
from neurosim.streams import Batch

SHAPE = Shape(6, 4, (2, 3))


def images(n=5, seed=0):
    return np.random.default_rng(seed).random((n, 6)).astype(np.float32)


def with_pixel(value, row=3, pixel=2, kind=np.float32):
    x = images().astype(kind)
    x[row, pixel] = value
    return x


def test_what_is_right_passes_untouched():
    batch = Batch(images(), np.array([0, 1, 2, 3, 3]), 7)
    assert checked_batch(batch, SHAPE) is batch
    ends = with_pixel(0.0)
    ends[0, 0] = 1.0
    assert checked_images(ends, SHAPE) is ends
    np.testing.assert_array_equal(checked_images(with_pixel(-0.0), SHAPE), with_pixel(0.0))
    assert checked_images(np.zeros((0, 6), np.float32), SHAPE).shape == (0, 6)


def test_doubles_and_strided_images_are_converted_once():
    x = images().astype(np.float64)
    got = checked_batch(Batch(x, [0, 1, 2, 3, 3], None), SHAPE)
    assert got.x.dtype == np.float32 and got.y.tolist() == [0, 1, 2, 3, 3] and got.task is None
    np.testing.assert_array_equal(got.x, x.astype(np.float32))
    turned = np.asfortranarray(images())
    got = checked_images(turned, SHAPE)
    assert got.flags.c_contiguous
    np.testing.assert_array_equal(got, turned)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    "value", [np.nan, -np.nan, np.inf, -np.inf, -0.25, 1.5, 255.0, np.nextafter(np.float32(1), 2)]
)
def test_a_pixel_that_is_no_grey_value_is_named(value, kind):
    with pytest.raises(InputError, match=r"Batch.x\[3, 2\]: expected a grey.*leave out the image"):
        checked_images(with_pixel(value, kind=kind), SHAPE)


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (images()[:, :5], r"\(n, 6\) pixels.*2 x 3 images, got 'float32 \(5, 5\)'"),
        (images()[0], r"got 'float32 \(6,\)'"),
        ((images() * 255).astype(np.uint8), "got 'uint8.*divide grey levels"),
        (images().tolist()[0][:2], "cut or scale"),
        (images().astype(str), "floats of 0 to 1"),
    ],
)
def test_what_is_no_image_of_this_size_is_refused(x, said):
    with pytest.raises(InputError, match=said):
        checked_images(x, SHAPE)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([0, 1, 2, 12, 3], r"Batch.y\[3\]: expected an output from 0 to 3, got 12; number the"),
        ([0, -1, 2, 3, 3], r"Batch.y\[1\]: .* got -1"),
        ([0, 1, 2, 3], r"expected 5 integers.*got 'int64 \(4,\)'; give one label an image"),
        ([[0], [1], [2], [3], [3]], r"got 'int64 \(5, 1\)'"),
        ([0.0, 1.0, 2.0, 3.0, 3.0], "expected 5 integers.*got 'float64"),
        (3, r"got 'int64 \(\)'"),
    ],
)
def test_labels_that_name_no_output_are_refused(y, said):
    for given in (y, np.array(y)):
        with pytest.raises(InputError, match=said):
            checked_batch(Batch(images(), given, 0), SHAPE)


def test_labels_of_any_integer_type_are_taken_and_no_image_is_none():
    for kind in (np.uint8, np.int32, np.uint64):
        y = np.array([0, 1, 2, 3, 3], kind)
        assert checked_batch(Batch(images(), y, 0), SHAPE).y.tolist() == y.tolist()
    with pytest.raises(InputError, match=r"Batch.y: expected 1 integers?.*one image or more"):
        checked_batch(Batch(images(0), np.zeros(0, np.int64), 0), SHAPE)
