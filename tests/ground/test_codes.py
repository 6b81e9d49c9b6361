"""Sparse codes agree with Boolean algebra on dense vectors."""

import numpy as np
import pytest

from neurosim.codes import SparseCode, corrupted, stack
from neurosim.errors import ConfigError, NumericalError

N = 50


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def code(rng, k):
    return SparseCode.random(N, k, rng)


@pytest.mark.parametrize("k", [0, 1, 7, N])
def test_a_code_survives_the_way_to_dense_and_back(rng, k):
    sparse = code(rng, k)
    dense = sparse.to_dense()
    assert dense.sum() == k == len(sparse)
    assert SparseCode.from_dense(dense) == sparse
    assert sparse.sparsity == k / N


def test_any_order_and_repetition_gives_the_same_code():
    assert SparseCode.of([5, 2, 9, 2, 5], 10) == SparseCode(np.array([2, 5, 9]), 10)
    assert SparseCode.of(iter(()), 10) == SparseCode(np.array([]), 10)


def test_codes_of_equal_cells_in_other_populations_differ():
    cells = np.array([1, 2])
    assert SparseCode(cells, 10) == SparseCode(cells, 10)
    assert SparseCode(cells, 10) != SparseCode(cells, 11)
    assert SparseCode(cells, 10) != (1, 2)


def test_winners_are_the_first_of_a_stable_sort(rng):
    drive = rng.integers(0, 6, size=N).astype(np.float32)  # Many ties.
    assert len(np.unique(drive)) < N
    for k in range(1, N + 1):
        order = np.argsort(-drive, kind="stable")[:k]
        assert SparseCode.winners(drive, k) == SparseCode.of(order.tolist(), N)


def test_union_and_overlap_follow_from_the_dense_vectors(rng):
    shared = 0
    for _ in range(20):
        a, b = code(rng, 12), code(rng, 20)
        x, y = a.to_dense(), b.to_dense()
        assert np.array_equal(a.union(b).to_dense(), x | y)
        assert a.overlap(b) == pytest.approx((x & y).sum() / np.sqrt(12 * 20), rel=1e-12)
        assert a.overlap(b) == b.overlap(a)
        shared += int((x & y).sum())
    assert shared > 0


def test_overlap_is_one_with_itself_and_nothing_with_silence(rng):
    silence = SparseCode(np.array([]), N)
    assert code(rng, 9).overlap(code(rng, 9)) < 1
    a = code(rng, 9)
    assert a.overlap(a) == pytest.approx(1.0, rel=1e-12)
    assert a.overlap(silence) == silence.overlap(silence) == 0.0


def test_random_codes_use_every_cell_equally_often(rng):
    n_draws, k = 2000, 10
    counts = sum(code(rng, k).to_dense(np.int64) for _ in range(n_draws))
    p = k / N
    # Four standard errors of a binomial count, at a fixed seed.
    assert np.abs(counts - n_draws * p).max() < 4 * np.sqrt(n_draws * p * (1 - p))


def test_a_stack_holds_one_code_a_row(rng):
    codes = [code(rng, 3), code(rng, 8)]
    batch = stack(codes)
    assert batch.shape == (2, N) and batch.dtype == np.bool_
    assert batch.sum(axis=1).tolist() == [3, 8]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: SparseCode(np.array([3, 1]), 10),
        lambda: SparseCode(np.array([1, 1]), 10),
        lambda: SparseCode(np.array([-1, 1]), 10),
        lambda: SparseCode(np.array([1, 10]), 10),
        lambda: SparseCode(np.array([[1, 2]]), 10),
        lambda: SparseCode(np.array([0.5, 1.5]), 10),
        lambda: SparseCode(np.array([False, True]), 10),
        lambda: SparseCode.of([1, 99], 10),
        lambda: SparseCode.winners(np.zeros(5), 0),
        lambda: SparseCode.winners(np.zeros(5), 6),
        lambda: SparseCode.random(5, 6, np.random.default_rng(0)),
        lambda: SparseCode.of([1], 5).union(SparseCode.of([1], 6)),
        lambda: SparseCode.of([1], 5).overlap(SparseCode.of([1], 6)),
        lambda: stack([]),
        lambda: stack([SparseCode.of([1], 5), SparseCode.of([1], 6)]),
    ],
)
def test_what_is_no_code_is_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        wrong()


def test_a_drive_that_is_not_a_number_has_no_winners():
    with pytest.raises(NumericalError, match="NaN"):
        SparseCode.winners(np.array([1.0, np.nan, 0.0]), 2)


def test_a_code_cannot_be_changed_by_assignment(rng):
    with pytest.raises(AttributeError):
        code(rng, 3).n_units = 4


@pytest.mark.parametrize(("right", "wrong"), [(1.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 2.0)])
def test_a_corrupted_code_has_the_shares_asked_for_and_each_other_cell_by_equal_chance(
    rng, right, wrong
):
    whole, drawn = code(rng, 10), np.zeros(N)
    for _ in range(2000):
        cue = corrupted(whole, right, wrong, rng)
        shared = np.intersect1d(cue.active, whole.active).size
        assert shared == round(right * 10) and len(cue) - shared == round(wrong * 10)
        drawn[cue.active] += 1
    silent = ~whole.to_dense()
    for cells, share in ((whole.active, right), (silent, wrong * 10 / (N - 10))):
        # Four standard errors of 2,000 draws.
        error = 4 * np.sqrt(2000 * share * (1 - share)) + 1e-9
        assert np.abs(drawn[cells] - 2000 * share).max() <= error


@pytest.mark.parametrize(("right", "wrong"), [(1.2, 0.0), (-0.1, 0.0), (1.0, 4.5)])
def test_shares_that_cannot_be_met_are_refused(rng, right, wrong):
    with pytest.raises(ConfigError, match=r"corrupted\.right: expected"):
        corrupted(code(rng, 10), right, wrong, rng)
