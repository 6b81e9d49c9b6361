"""The kernels of the regions agree with their formulas."""

import numpy as np
import pytest

from circuits.homeostasis import Homeostasis
from circuits.perforant_path import GeneratedPath, PlasticPath, StoredPath, _expand, _recover
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.ledger import Ledger
from rules.instar import Instar


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def test_expansion_is_the_product_with_the_wiring_matrix(rng):
    n_steps, n_input, n_units, fan_out = 4, 20, 30, 6
    targets = np.stack([np.sort(rng.choice(n_units, fan_out, False)) for _ in range(n_input)])
    activity = rng.random((n_steps, n_input)) * (rng.random((n_steps, n_input)) < 0.4)
    matrix = np.zeros((n_units, n_input))
    for i, row in enumerate(targets):
        matrix[row, i] = 1.0
    drive = np.zeros((n_steps, n_units))
    _expand(activity, targets, drive)
    assert drive.any()
    np.testing.assert_allclose(drive, activity @ matrix.T, rtol=1e-12)


def test_recovery_goes_a_share_of_the_way_back_to_the_birth_weight(rng):
    connected = rng.random((7, 9)) < 0.5
    weights = rng.random((7, 9)).astype(np.float32) * connected
    expected = weights + np.float32(0.25) * (connected - weights)
    before = weights.copy()
    assert _recover(connected, np.float32(0.25), weights) == (weights != before).sum() > 0
    np.testing.assert_array_equal(weights, expected.astype(np.float32))
    assert not weights[~connected].any()


def test_welford_gives_mean_and_variance_of_everything_seen(rng):
    drive = rng.normal(1e3, 2.0, size=(40, 9))
    cells = Homeostasis(9)
    for part in np.split(drive, [1, 5, 30]):  # In portions, as it comes.
        cells.learn(part)
    assert cells.n_seen == 40
    np.testing.assert_allclose(cells.mean, drive.mean(axis=0), rtol=1e-12)
    # The mean is 500 deviations away, which costs digits of a variance.
    np.testing.assert_allclose(cells.squares / 40, drive.var(axis=0), rtol=1e-9)


def test_only_the_cells_that_listen_learn_and_one_that_forgets_starts_anew(rng):
    first, second = rng.normal(size=(20, 4)), rng.normal(3.0, 2.0, size=(30, 4))
    cells = Homeostasis(4)
    cells.learn(first)
    cells.forget(np.array([1, 3]))
    cells.learn(second, np.array([1]))
    assert cells.counts.tolist() == [20, 30, 20, 0]
    np.testing.assert_allclose(cells.mean[[0, 2]], first.mean(axis=0)[[0, 2]], rtol=1e-12)
    np.testing.assert_allclose(cells.mean[1], second[:, 1].mean(), rtol=1e-12)
    np.testing.assert_allclose(cells.squares[1], 30 * second[:, 1].var(), rtol=1e-9)


def test_a_homeostatic_cell_has_mean_zero_and_deviation_one(rng):
    cells = Homeostasis(5)
    drive = (rng.normal(size=(300, 5)) * [1, 2, 3, 4, 0] + [0, 5, 9, 1, 3]).astype(np.float32)
    assert np.array_equal(cells.normalise(drive), drive)  # Nothing learnt yet.
    cells.learn(drive)
    z = cells.normalise(drive)
    np.testing.assert_allclose(z[:, :4].mean(axis=0), 0.0, atol=1e-5)  # float32
    np.testing.assert_allclose(z[:, :4].std(axis=0), 1.0, rtol=1e-5)
    assert np.isfinite(z).all()  # A cell whose drive never changed, too.


@pytest.mark.parametrize(("n_input", "n_units", "fan_out"), [(50, 70, 9), (31, 3, 2), (7, 64, 64)])
def test_a_generated_path_counts_the_targets_of_the_active_cells(rng, n_input, n_units, fan_out):
    path = GeneratedPath(n_input, n_units, fan_out, seed=3)
    code = SparseCode.random(n_input, min(11, n_input), rng)
    expected = np.zeros(n_units)
    for cell in code.active:
        expected[path.wiring.targets(cell)] += 1
    assert expected.sum() == len(code) * fan_out
    np.testing.assert_array_equal(path.drive_of(code), expected)
    n = int(expected.sum())
    assert path.ledger == Ledger(n, 0, n, 2 * n)
    np.testing.assert_array_equal(path.drive(code.to_dense(np.float32)[None])[0], expected)
    with pytest.raises(ConfigError, match="entorhinal code"):
        path.drive_of(SparseCode.random(n_input + 1, 2, rng))


@pytest.mark.compiled
def test_a_generated_path_gives_the_same_drive_on_any_number_of_threads(rng):
    code = SparseCode.random(5000, 500, rng)
    drives = [GeneratedPath(5000, 40_000, 3000, 1, threads).drive_of(code) for threads in (1, 2)]
    assert drives[0].any()
    np.testing.assert_array_equal(*drives)


def test_a_stored_path_is_the_expansion(rng):
    path = StoredPath(30, 20, 5, rng)
    activity = rng.random((2, 30)).astype(np.float32)
    expected = np.zeros((2, 20))
    for i, row in enumerate(path.synapses.targets):
        expected[:, row] += activity[:, [i]]
    activity[0, :7] = 0.0
    expected[0] = sum(
        activity[0, i] * np.bincount(row, minlength=20)
        for i, row in enumerate(path.synapses.targets)
    )
    np.testing.assert_allclose(path.drive(activity), expected, rtol=1e-5)  # float32
    n = (23 + 30) * 5  # Silent cells are passed by.
    assert path.synapses.ledger == Ledger(n, 0, n, n * (path.synapses.targets.itemsize + 4))


def test_a_plastic_path_counts_gaps_in_a_product_and_only_synapses_in_learning(rng):
    path, rule = PlasticPath(30, 20, 0.4, rng), Instar()
    path.drive(rng.random((3, 30)).astype(np.float32))
    assert path.ledger == Ledger(3 * 600, 0, 3 * 600, 3 * 600 * 8)
    path.ledger, before = Ledger(), path.weights.copy()
    activity, cells = (rng.random(30) < 0.5).astype(np.float32), np.array([2, 11])
    events = path.learn(rule, activity, cells, np.ones(2, dtype=np.float32))
    changed = int((path.weights != before).sum())
    assert events == path.connected[cells].sum() > changed > 0
    assert path.ledger == Ledger(events, changed, 3 * events, 12 * events)  # Three products.
