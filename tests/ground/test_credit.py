"""Measures of credit assignment, where their value is known."""

import copy
from dataclasses import dataclass

import numpy as np
import pytest

from neurosim.credit import SMALL, gradient_cosines, target_alignment
from neurosim.network import Network, NetworkConfig
from rules.backprop import Backprop
from rules.feedback_alignment import FeedbackAlignment


def made(learner, sizes=(5, 6, 4, 3), seed=0, **settings):
    rng = np.random.default_rng(seed)
    network = Network(NetworkConfig(sizes, "tanh", dtype="float64", **settings), rng)
    return learner, network, learner.begin(network, rng)


def samples(n=8, n_in=5, n_out=3, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, n_in)), np.eye(n_out)[rng.integers(n_out, size=n)]


@dataclass(frozen=True, kw_only=True)
class Ascent(Backprop):
    def direction(self, network, memory, x, y):
        found = super().direction(network, memory, x, y)
        return found._replace(weights=[-w for w in found.weights])


@dataclass(frozen=True, kw_only=True)
class Turned(Backprop):
    """A single layer whose error is turned by an angle in the plane of the first two outputs."""

    angle: float = 0.5

    def direction(self, network, memory, x, y):
        c, s = np.cos(self.angle), np.sin(self.angle)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        found = super().direction(network, memory, x, y)
        return found._replace(weights=[turn @ w for w in found.weights])


def test_the_gradient_agrees_with_itself_and_not_with_its_opposite():
    x, y = samples()
    np.testing.assert_allclose(gradient_cosines(*made(Backprop()), x, y), 1, atol=1e-12)
    np.testing.assert_allclose(gradient_cosines(*made(Ascent()), x, y), -1, atol=1e-12)


def test_feedback_alignment_has_the_gradient_in_its_last_layer_only():
    cosines = gradient_cosines(*made(FeedbackAlignment()), *samples())
    assert cosines[-1] == pytest.approx(1, abs=1e-12)
    assert (np.abs(cosines[:-1]) < 0.95).all()


def test_where_there_is_no_gradient_there_is_no_cosine():
    learner, network, memory = made(Backprop(), loss="mse")
    x, _ = samples()
    assert np.isnan(gradient_cosines(learner, network, memory, x, network.predict(x))).all()


@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0])
def test_a_linear_layer_moves_its_output_along_its_error(angle):
    # delta W = e x^T moves the output by |x|^2 e; turned by an angle in the plane it lies in.
    network = made(Backprop(), sizes=(5, 3), loss="mse", bias=False)
    x, _ = samples()
    error = np.array([[3.0, 4.0, 0.0]])
    y = network[1].predict(x) + error
    learner = Turned(angle=angle)
    assert target_alignment(learner, *network[1:], x, y) == pytest.approx(np.cos(angle), abs=1e-9)


def test_the_step_is_small_whatever_the_optimiser():
    x, y = samples()
    values = [
        target_alignment(*made(Backprop(optimiser=Backprop().optimiser.__class__(kind, 0.5))), x, y)
        for kind in ("sgd", "adam")
    ]
    assert values[0] == values[1] and 0 < values[0] <= 1 and SMALL < 0.01


def test_measuring_changes_nothing():
    learner, network, memory = made(FeedbackAlignment())
    before = copy.deepcopy((network.state, memory.state, memory.rng.bit_generator.state))
    x, y = samples()
    gradient_cosines(learner, network, memory, x, y)
    target_alignment(learner, network, memory, x, y)
    for mine, kept in zip((network.state, memory.state), before, strict=False):
        for name, values in mine.items():
            np.testing.assert_array_equal(values, kept[name])
    assert memory.rng.bit_generator.state == before[2]


def test_who_answers_otherwise_than_by_the_output_has_no_target_alignment():
    @dataclass(frozen=True, kw_only=True)
    class Answers(Backprop):
        def output(self, network, memory, x):
            return -network.predict(x)

    assert np.isnan(target_alignment(*made(Answers()), *samples()))
