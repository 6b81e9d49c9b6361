"""A product in tiles is the product, of every shape, and of each sample as if it were alone."""

import os
import subprocess
import sys

import numpy as np
import pytest

from neurosim import products

# From one register to more than eight, and the sizes between them, in both precisions.
BATCHES = (1, 7, 8, 9, 15, 16, 17, 31, 33, 48, 50, 63, 64, 65, 100, 128, 130)
in_tiles = pytest.mark.skipif(not products.IN_TILES, reason="no AVX-512, or interpreted")


def arrays(n_post, n_pre, n_samples, dtype):
    rng = np.random.default_rng(n_samples)
    w, h = rng.normal(size=(n_post, n_pre)), rng.normal(size=(n_pre, n_samples))
    # What is next to the output must stay as it is.
    frame = np.full((n_post + 2, n_samples), np.nan, dtype)
    return w.astype(dtype), h.astype(dtype), frame


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_post", [1, 4, 7, 8, 10, 21])
@pytest.mark.parametrize("n_samples", BATCHES)
def test_it_is_the_product_and_writes_nowhere_else(n_post, n_samples, dtype):
    w, h, frame = arrays(n_post, 37, n_samples, dtype)
    products.product(w, h, frame[1:-1])
    exact = w.astype(np.longdouble) @ h.astype(np.longdouble)
    # 37 sums and products round by half an epsilon each of at most the sum of their sizes.
    bound = 37 * np.finfo(dtype).eps * (abs(w) @ abs(h))
    assert (np.abs(frame[1:-1] - exact) <= bound).all()
    assert np.isnan(frame[[0, -1]]).all()


@in_tiles
@pytest.mark.parametrize("n_samples", [50, 64, 100])
def test_a_sample_does_not_depend_on_its_batch(n_samples):
    w, h, frame = arrays(12, 29, n_samples, "float32")
    products.product(w, h, frame[1:-1])
    few = np.empty((12, 16), np.float32)
    products.product(w, np.ascontiguousarray(h[:, 5:21]), few)
    np.testing.assert_array_equal(few, frame[1:-1, 5:21])


@in_tiles
def test_tiles_are_what_multiplies(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("BLAS was asked")

    w, h, frame = arrays(8, 5, 32, "float32")
    monkeypatch.setattr(products.np, "matmul", refuse)
    products.product(w, h, frame[1:-1])
    with pytest.raises(AssertionError, match="BLAS"):  # A batch too small to fill a register.
        products.product(w, np.ascontiguousarray(h[:, :3]), frame[1:-1, :3].copy())


def test_what_no_tile_can_read_goes_to_blas():
    w, h, frame = arrays(8, 24, 32, "float64")
    for one, other, out in (
        (w[:, ::2], h[::2], frame[1:-1]),
        (np.asfortranarray(w), h, frame[1:-1]),
        (w, np.asfortranarray(h), frame[1:-1]),
        (w, h, np.empty((32, 8)).T),
    ):
        products.product(one, other, out)
        np.testing.assert_allclose(out, one @ other, rtol=1e-12)
    for one, other in ((w[:, 1:].copy(), h), (w[1:], h)):
        with pytest.raises(ValueError):
            products.product(one, other, frame[1:-1])


def test_what_is_not_finite_stays_so():
    w, h, frame = arrays(5, 6, 16, "float32")
    h[2, 3], h[4, 7] = np.nan, np.inf
    products.product(w, h, frame[1:-1])
    assert (~np.isfinite(frame[1:-1])).all(axis=0).nonzero()[0].tolist() == [3, 7]


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (10, 33), (47, 6)])
def test_the_transpose_is_laid_out_the_other_way(shape):
    w = np.random.default_rng(0).normal(size=shape)
    turned = products.transposed(w)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, w.T)


@pytest.mark.parametrize(
    ("variables", "wide"),
    [
        ({"NUMBA_CPU_NAME": "generic"}, False),
        ({"NUMBA_CPU_FEATURES": "+avx2"}, False),
        ({"NUMBA_CPU_FEATURES": "+avx512f", "NUMBA_CPU_NAME": "generic"}, True),
        ({"NUMBA_CPU_FEATURES": "+avx512f", "NUMBA_DISABLE_JIT": "1"}, False),
    ],
)
def test_it_goes_by_what_numba_may_compile(variables, wide):
    left = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA")}
    told = subprocess.run(
        [sys.executable, "-c", "from neurosim.products import IN_TILES; print(IN_TILES)"],
        env={**left, **variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == str(wide)
