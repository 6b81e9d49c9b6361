"""Projections agree with dense matrices, and their bookkeeping with a count from scratch."""

import dataclasses

import numpy as np
import pytest

from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.kernels import wire
from neurosim.projections import MAX_COUNT, SparseProjection, _drive, _strength
from rules.willshaw import Willshaw

N_PRE, N_POST, FAN_OUT = 30, 40, 12


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def projection(rng):
    return SparseProjection("test", N_PRE, N_POST, FAN_OUT, rng)


@pytest.fixture
def loaded(projection, rng):
    weights = rng.integers(0, 4, size=projection.weights.shape).astype(np.uint8)
    projection.restore(weights)
    assert 0.6 < projection.load() < 0.9
    return projection


def dense(projection, values):
    """Return values ``(n_pre, fan_out)`` as the matrix ``(n_post, n_pre)``."""
    matrix = np.zeros((projection.n_post, projection.n_pre))
    for i in range(projection.n_pre):
        for k in range(projection.fan_out):
            matrix[projection.targets[i, k], i] = values[i, k]
    return matrix


def connections(projection):
    return dense(projection, np.ones(projection.targets.shape))


def loads(projection):
    """Count all loads anew from the weights."""
    used = dense(projection, projection.weights) > 0
    wired = connections(projection)
    return used.sum() / wired.sum(), used.sum(0) / wired.sum(0), used.sum(1) / wired.sum(1)


def check_loads(projection):
    whole, by_pre, by_post = loads(projection)
    assert projection.load() == pytest.approx(whole, rel=1e-12)
    # Loads are float32.
    np.testing.assert_allclose(projection.load_by_pre(), by_pre, rtol=1e-6)
    np.testing.assert_allclose(projection.load_by_post(), by_post, rtol=1e-6)


# Kernels against their formulas


@pytest.mark.parametrize(("n_post", "fan_out"), [(40, 12), (12, 12), (7, 1), (1000, 333)])
def test_wiring_is_one_uniform_draw_a_stratum(rng, n_post, fan_out):
    uniforms = rng.random((5, fan_out))
    uniforms[0], uniforms[1] = 0.0, np.nextafter(1.0, 0.0)
    wired = np.empty((5, fan_out), dtype=np.int32)
    wire(uniforms, n_post, wired)
    edges = np.arange(fan_out + 1) * n_post // fan_out
    expected = edges[:-1] + np.floor(uniforms * np.diff(edges)).astype(int)
    assert np.array_equal(wired, np.minimum(expected, edges[1:] - 1))
    assert (np.diff(wired, axis=1) > 0).all()  # Ascending, so no cell is reached twice.
    assert wired.min() >= 0 and wired.max() < n_post


def test_every_cell_is_reached_about_equally_often(rng):
    n_pre = 4000
    wide = SparseProjection("wide", n_pre, 50, 10, rng)
    reached = np.bincount(wide.targets.ravel(), minlength=50)
    p = 10 / 50
    assert np.abs(reached - n_pre * p).max() < 4 * np.sqrt(n_pre * p * (1 - p))


def test_drive_is_the_clipped_matrix_times_the_gains(loaded, rng):
    pre, gain = SparseCode.random(N_PRE, 9, rng), rng.random(N_PRE).astype(np.float32)
    potentiated, connected = np.zeros((2, N_POST), dtype=np.float64)
    _drive(pre.active, loaded.targets, loaded.weights, gain, potentiated, connected)
    x = pre.to_dense(np.float64) * gain
    np.testing.assert_allclose(connected, connections(loaded) @ x, rtol=1e-12)
    clipped = dense(loaded, loaded.weights) > 0
    np.testing.assert_allclose(potentiated, clipped @ x, rtol=1e-12)
    assert 0 < potentiated.sum() < connected.sum()
    through_the_door = loaded.drive(pre, gain)
    np.testing.assert_allclose(through_the_door.potentiated, potentiated, rtol=1e-6)
    np.testing.assert_allclose(through_the_door.connected, connected, rtol=1e-6)


def test_without_gains_every_cell_counts_one(loaded, rng):
    pre = SparseCode.random(N_PRE, 9, rng)
    ones = loaded.drive(pre, np.ones(N_PRE, dtype=np.float32))
    assert np.array_equal(loaded.drive(pre).potentiated, ones.potentiated)
    assert np.array_equal(loaded.drive(pre).connected, ones.connected)


def test_strength_is_the_matrix_of_counts_times_the_pattern(loaded, rng):
    pre = SparseCode.random(N_PRE, 9, rng)
    total = np.zeros(N_POST)
    _strength(pre.active, loaded.targets, loaded.weights, np.arange(256.0), total)
    expected = dense(loaded, loaded.weights) @ pre.to_dense(np.float64)
    np.testing.assert_allclose(total, expected, rtol=1e-12)
    assert np.array_equal(loaded.strength(pre), expected.astype(np.float32))
    assert total.sum() > 0


@pytest.mark.parametrize("exponent", [0.0, 0.5])
def test_strength_raises_every_count_to_a_power_and_leaves_silent_synapses_silent(
    loaded, rng, exponent
):
    pre = SparseCode.random(N_PRE, 9, rng)
    counts = dense(loaded, loaded.weights)
    conductance = np.where(counts > 0, counts.astype(np.float64) ** exponent, 0.0)
    assert counts.max() > 1
    np.testing.assert_allclose(
        loaded.strength(pre, exponent), conductance @ pre.to_dense(np.float64), rtol=1e-6
    )


def test_coincident_synapses_are_those_of_the_outer_product(projection, rng):
    for _ in range(20):
        pre, post = SparseCode.random(N_PRE, 6, rng), SparseCode.random(N_POST, 15, rng)
        slots = projection.coincident(pre, post)
        marked = np.zeros(projection.weights.size)
        marked[slots] = 1
        expected = np.outer(post.to_dense(), pre.to_dense()) * connections(projection)
        assert np.array_equal(dense(projection, marked.reshape(N_PRE, FAN_OUT)), expected)
        assert slots.size and (np.diff(slots) > 0).all()


# Learning


def test_learning_with_willshaw_is_the_sum_of_dense_outer_products(projection, rng):
    rule, expected = Willshaw(), np.zeros((N_POST, N_PRE))
    for _ in range(25):
        pre, post = SparseCode.random(N_PRE, 7, rng), SparseCode.random(N_POST, 9, rng)
        seen = projection.learn(rule, pre, post)
        x, y = pre.to_dense(np.float64), post.to_dense(np.float64)
        change = Willshaw.reference(x, y, rule.step, 1.0) * connections(projection)
        assert seen == change.sum()
        expected += change
    assert expected.max() > 1  # Some synapses met more than one pair.
    assert np.array_equal(dense(projection, projection.weights), expected)


def test_loads_stay_true_while_synapses_are_written_taken_back_and_restored(projection, rng):
    pairs = [
        (SparseCode.random(N_PRE, 7, rng), SparseCode.random(N_POST, 9, rng)) for _ in range(12)
    ]
    for pre, post in pairs:
        projection.learn(Willshaw(), pre, post)
        check_loads(projection)
    kept = projection.weights.copy()
    assert projection.load() > 0.2
    for pre, post in pairs:
        projection.learn(Willshaw(), pre, post, -1.0)
        check_loads(projection)
    assert projection.load() == 0.0 and not projection.weights.any()
    projection.restore(kept)
    check_loads(projection)
    projection.learn(Willshaw(), *pairs[0], -1.0)
    check_loads(projection)


def test_weights_stay_within_their_bounds(projection, rng):
    pre, post = SparseCode.random(N_PRE, 7, rng), SparseCode.random(N_POST, 9, rng)
    slots = projection.coincident(pre, post)
    assert slots.size
    projection.learn(Willshaw(), pre, post, -5.0)
    assert not projection.weights.any()
    projection.learn(Willshaw(step=200), pre, post)
    projection.learn(Willshaw(step=200), pre, post)
    assert (projection.weights.ravel()[slots] == MAX_COUNT).all()
    assert projection.weights.sum() == MAX_COUNT * slots.size
    check_loads(projection)
    projection.learn(Willshaw(), pre, post, -1000.0)
    assert not projection.weights.any()
    check_loads(projection)


def test_weights_return_bit_for_bit(loaded):
    saved = loaded.weights.copy()
    loaded.restore(np.zeros_like(saved))
    assert loaded.load() == 0.0
    loaded.restore(saved)
    assert np.array_equal(loaded.weights, saved)
    assert loaded.weights is not saved


def test_the_same_generator_gives_the_same_wiring():
    a, b, c = (
        SparseProjection("x", N_PRE, N_POST, FAN_OUT, np.random.default_rng(s)) for s in (1, 1, 2)
    )
    assert np.array_equal(a.targets, b.targets)
    assert not np.array_equal(a.targets, c.targets)


# The door


class EveryPre(Willshaw):
    acts_on = "pre"


PRE, POST = SparseCode.of([1, 2], N_PRE), SparseCode.of([3], N_POST)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p: SparseProjection("x", 5, 5, 0, np.random.default_rng(0)),
        lambda p: SparseProjection("x", 5, 5, 6, np.random.default_rng(0)),
        lambda p: p.drive(POST),
        lambda p: p.drive(PRE, np.ones(3, dtype=np.float32)),
        lambda p: p.drive(PRE, np.ones((N_PRE, 1), dtype=np.float32)),
        lambda p: p.strength(POST),
        lambda p: p.learn(Willshaw(), POST, POST),
        lambda p: p.learn(Willshaw(), PRE, PRE),
        lambda p: p.learn(EveryPre(), PRE, POST),
        lambda p: p.coincident(POST, POST),
        lambda p: p.coincident(PRE, PRE),
        lambda p: p.restore(np.zeros((N_PRE, FAN_OUT + 1), dtype=np.uint8)),
        lambda p: p.restore(np.zeros((N_PRE, FAN_OUT), dtype=np.float64)),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_changes(projection, wrong):
    with pytest.raises(ConfigError, match="expected"):
        wrong(projection)
    assert not projection.weights.any() and projection.load() == 0.0


def test_a_rule_is_shown_nothing_but_ones_and_its_own_weights(projection):
    seen = []

    @dataclasses.dataclass(frozen=True)
    class Spy(Willshaw):
        def delta(self, pre, post, weights, modulator, out):
            seen.append((pre.copy(), post.copy(), weights.copy(), modulator))
            out[:] = 3

    slots = projection.coincident(PRE, SparseCode.of(range(20), N_POST))
    for _ in range(2):
        projection.learn(Spy(), PRE, SparseCode.of(range(20), N_POST), 0.5)
    assert slots.size > 0
    for (pre, post, weights, modulator), before in zip(seen, (0, 3), strict=True):
        assert (pre == 1).all() and (post == 1).all() and modulator == 0.5
        assert np.array_equal(weights, np.full(slots.size, before))
