"""A plastic projection reads, saves and restores as a matrix would, and allocates nothing."""

import tracemalloc

import numpy as np
import pytest

from neurosim.connectivity import Full, Generated, Nearby, Stored
from neurosim.plasticity import PlasticProjection
from neurosim.synapse_loops import texts
from neurosim.visits import Visits
from rules.oja import Oja
from rules.pair_stdp import PairSTDP
from rules.symmetric_stdp import SymmetricSTDP
from rules.three_factor import ThreeFactor

WIRINGS = {
    "full": lambda n: Full(n, n),
    "stored": lambda n: Stored(n, n, n // 2, np.random.default_rng(0)),
    "generated": lambda n: Generated(n, n, n // 2, 5),
}
every_wiring = pytest.mark.parametrize("wiring", WIRINGS.values(), ids=WIRINGS)


@every_wiring
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_drive_is_the_matrix_times_the_activity(wiring, dtype):
    rng = np.random.default_rng(2)
    weights = rng.random((20, 20))
    made = PlasticProjection(wiring(20), Oja(), weights, dtype=dtype)
    pre = rng.random(20) * (rng.random(20) < 0.5)
    matrix = made.matrix()
    assert np.count_nonzero(matrix) == made.weights.size
    present = matrix != 0
    assert np.array_equal(matrix[present], weights.astype(dtype)[present])
    np.testing.assert_allclose(made.drive(pre), matrix.astype(float) @ pre, rtol=1e-12)
    out = np.full(20, np.nan)
    assert made.drive(pre, out) is out and np.isfinite(out).all()


@every_wiring
def test_a_saved_projection_goes_on_as_if_nothing_had_happened(wiring):
    rng = np.random.default_rng(3)
    steps = rng.random((6, 2, 12))
    made = PlasticProjection(wiring(12), ThreeFactor(), 0.5, dt=0.1)
    for pre, post in steps[:3]:
        made.learn(pre, post, modulator=1.0)
    saved = {name: values.copy() for name, values in made.state.items()}
    other = PlasticProjection(wiring(12), ThreeFactor(), dt=0.1)
    other.restore(saved)
    for pre, post in steps[3:]:
        for each in (made, other):
            each.learn(pre, post, modulator=-0.5)
    assert np.array_equal(made.weights, other.weights)
    assert not np.array_equal(made.weights, saved["weights"])


@pytest.mark.compiled
@pytest.mark.parametrize("name", ["full", "stored", "generated"])
@pytest.mark.parametrize("rule", [Oja(), PairSTDP(), ThreeFactor()], ids=lambda r: type(r).__name__)
def test_a_step_holds_no_memory_of_its_own(name, rule):
    n = 400
    made = PlasticProjection(WIRINGS[name](n), rule, 0.5, dt=0.01)
    rng = np.random.default_rng(4)
    # Presynaptic cells are active; a generated wiring looks its sources up for each post spike.
    pre, post = rng.random(n), rng.random(n)
    for _ in range(3):
        made.learn(pre, post, 1.0)
    tracemalloc.start()
    made.learn(pre, post, 1.0)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    made.learn(pre, post, 1.0)
    used = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert used < n * 8  # Some small objects of Python: less than one number a cell.


def test_the_loops_load_what_the_formula_names_and_nothing_else():
    text = texts(Oja)["full"]
    assert "post[j]" in text and "pre[i]" in text and "p_eta = parameters[0]" in text
    for word in ("error[", "drive[", "traces[", "own["):
        assert word not in text


def test_dense_results_do_not_depend_on_the_block_of_generated_rows(monkeypatch):
    from neurosim import visits

    rng = np.random.default_rng(5)
    pre, post = rng.random(40), rng.random(40)
    grown = []
    for block in (1, 1 << 14):
        monkeypatch.setattr(visits, "_BLOCK", block)
        made = PlasticProjection(Generated(40, 40, 7, 1), Oja(), 0.3)
        made.learn(pre, post)
        grown.append(made.weights)
    assert np.array_equal(*grown)


@pytest.mark.parametrize(
    "made",
    [
        *WIRINGS.values(),
        lambda n: Nearby(n, n, n // 3, 0.2, 1, zones=4),
        lambda n: Stored(3 * n, n, 5, np.random.default_rng(3), balanced=True),
    ],
)
def test_columns_reach_each_cell_from_its_sources_by_the_slots_of_their_rows(made):
    wiring = made(24)
    cells = np.array([0, 7, 23])
    found = {cell: [] for cell in cells.tolist()}
    for some, rows, starts, sources, slots in Visits(wiring).columns(cells):
        for cell, row in zip(some, rows, strict=True):
            each = sources[starts[row] : starts[row + 1]].tolist()
            found[int(cell)] += [(i, int(slots[row])) for i in each]
    for cell, pairs in found.items():
        assert pairs == [
            (i, int(np.flatnonzero(wiring.targets(i) == cell)[0]))
            for i in range(wiring.n_pre)
            if cell in wiring.targets(i)
        ]
    assert sum(map(len, found.values())) > 0


def test_a_stored_synapse_that_learns_takes_nine_bytes_at_most():
    wiring = Stored(400, 400, 160, np.random.default_rng(0))
    made = PlasticProjection(wiring, SymmetricSTDP(), 0.1, dtype=np.float32)
    one_order = made.held_bytes
    fired = np.zeros(400)
    fired[:9] = 1.0
    made.learn(fired, fired)  # By rows and by columns.
    assert one_order < made.held_bytes <= 9 * wiring.index.size
