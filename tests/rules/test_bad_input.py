"""What cannot be meant is refused at the door, in one sentence that says where."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from neurosim.connectivity import Full
from neurosim.discovery import member
from neurosim.errors import ConfigError, NumericalError
from neurosim.plasticity import PlasticProjection
from neurosim.rule import Rule, check_rule
from neurosim.spikes import SpikeTrains, run_spikes
from rules.hebb import Hebb
from rules.oja import Oja
from rules.pair_stdp import PairSTDP
from rules.softhebb import SoftHebb
from rules.three_factor import ThreeFactor
from rules.willshaw import Willshaw

X, Y = np.ones(4), np.ones(3)


def made(rule=None, **options):
    return PlasticProjection(Full(4, 3), rule or Hebb(), 0.5, name="test", **options)


def trains(times, cells=None, n_units=1, duration=1.0):
    times = np.asarray(times, dtype=float)
    cells = np.zeros(times.size, dtype=int) if cells is None else np.asarray(cells)
    return SpikeTrains(times, cells, n_units, duration)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: made().learn(np.ones(3), Y), r"pre: expected shape \(4,\)"),
        (lambda: made().learn(X, np.ones((3, 1))), r"post: expected shape \(3,\)"),
        (lambda: made(SoftHebb()).learn(X, Y, drive=X), r"drive: expected shape \(3,\)"),
        (lambda: made().drive(Y), "expected shape"),
        (lambda: PlasticProjection(Full(4, 3), Hebb(), np.ones((4, 3))), "weights: expected"),
        (lambda: PlasticProjection(Full(4, 3), Hebb(), 2.0, (0, 1)), r"weights.*2\.0"),
        (lambda: PlasticProjection(Full(4, 3), Hebb(), math.nan), "weights.*nan"),
        (lambda: made(bounds=(1.0, 0.0)), "bounds: expected low < high"),
        (lambda: made(bounds=(math.nan, 1.0)), "bounds: expected low < high"),
        (lambda: made(dt=0.0), "dt: expected a step above 0"),
        (lambda: made(dt=-0.001), "dt: expected a step above 0"),
        (lambda: made().learn(X, Y, dt=-1.0), "dt: expected a step"),
        (lambda: made(dtype=np.int32), "dtype: expected float64 or float32"),
        (lambda: made(ThreeFactor()).learn(X, Y), "modulator that never comes"),
        (lambda: made(ThreeFactor()).learn(X, Y, math.nan), "modulator: expected a finite"),
        (lambda: made().restore({"weights": np.ones((3, 4))}), r"expected shape \(4, 3\)"),
        (lambda: made().restore({}), "weights: expected shape"),
        (lambda: made(ThreeFactor()).restore({"weights": np.ones((4, 3))}), "eligibility"),
        (lambda: Oja(eta=-0.1), r"Oja\.eta: expected a learning rate of 0 or more, got -0\.1"),
        (lambda: ThreeFactor(tau=0.0), r"ThreeFactor\.tau: expected a time constant above 0"),
        (lambda: PairSTDP(tau_plus=-1.0), r"PairSTDP\.tau_plus: expected a time constant"),
        (lambda: trains([0.2, 0.1]), r"times: expected spikes in order, got 0\.2 in spike 0"),
        (lambda: trains([0.2, 1.1]), r"expected spikes within 0\.\.1 s, got 1\.1 in spike 1"),
        (lambda: trains([-0.1]), "expected spikes within"),
        (lambda: trains([math.nan]), "expected spikes within"),
        (lambda: trains([0.1], [1]), r"cells of 0\.\.0, got 1 in spike 0"),
        (lambda: trains([0.1, 0.1], [0, 0]), "fire once at a time"),
        (lambda: trains([0.1, 0.2], [0]), "a cell a spike"),
        (lambda: trains([0.1], [0.5]), "expected whole numbers"),
        (lambda: trains([], duration=0.0), "duration: expected seconds above 0"),
        (lambda: trains([], duration=math.inf), "duration: expected seconds above 0"),
        (lambda: member("rules", Rule, "trplet_stdp"), "did you mean 'triplet_stdp'"),
        (lambda: member("rules", Rule, "OJA"), "did you mean 'Oja'"),
        (lambda: member("rules", Rule, "zzz"), "choose one of bcm"),
    ],
)
def test_it_is_refused_with_a_sentence(wrong, words):
    with pytest.raises(ConfigError, match=words):
        wrong()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("side", ["pre", "post"])
def test_activity_that_is_not_finite_is_refused_with_its_place(side, value):
    signals = {"pre": X.copy(), "post": Y.copy()}
    signals[side][2] = value
    projection = made()
    with pytest.raises(NumericalError, match=rf"test\.{side}: expected finite.*in cell 2"):
        projection.learn(**signals)
    assert (projection.weights == 0.5).all()


def test_large_but_finite_activity_is_no_error():
    made(bounds=(0.0, 1.0)).learn(np.full(4, 1e308), np.zeros(3))


def test_a_change_that_is_not_finite_stops_the_run_and_says_where():
    projection = made(Oja(eta=1.0))
    with pytest.raises(NumericalError, match=r"test\.weights.*Oja.*synapses of cells \[0"):
        projection.learn(X, np.full(3, 1e200))


@pytest.mark.parametrize(
    "other",
    [
        lambda a: a.astype(np.float32),
        lambda a: np.repeat(a, 2)[::2],
        lambda a: a.tolist(),
        lambda a: np.asfortranarray(a),
        lambda a: a.astype(int),
    ],
)
def test_other_types_and_strides_are_converted_once_and_give_the_same(other):
    pre, post = np.array([1.0, 0.0, 2.0, 3.0]), np.array([1.0, 2.0, 0.0])
    plain, converted = made(Oja()), made(Oja())
    plain.learn(pre, post)
    converted.learn(other(pre), other(post))
    assert np.array_equal(plain.weights, converted.weights)
    plain, converted = (
        PlasticProjection(Full(4, 3), Oja(), weights)
        for weights in (np.arange(12.0).reshape(3, 4), np.arange(12.0).reshape(4, 3, order="F").T)
    )
    assert converted.weights.flags.c_contiguous and plain.weights.shape == (4, 3)


def test_spikes_are_run_only_where_they_fit():
    pre, post = trains([0.1], n_units=4), trains([0.2], n_units=3)
    projection = made(PairSTDP())
    with pytest.raises(ConfigError, match="pre: expected trains of 4 cells, got 3"):
        run_spikes(projection, post, pre)
    with pytest.raises(ConfigError, match="post: expected a run of 1 s"):
        run_spikes(projection, pre, trains([0.2], n_units=3, duration=2.0))
    with pytest.raises(ConfigError, match="changes nothing between spikes"):
        run_spikes(made(ThreeFactor()), pre, post)
    assert (projection.weights == 0.5).all()
    assert run_spikes(projection, pre, post) > 0
    with pytest.raises(ConfigError, match="modulator that never comes"):
        run_spikes(made(Willshaw()), pre, post)


@pytest.mark.parametrize(
    ("argument", "words"),
    [("label", "label is not among"), ("wieght", "did you mean 'weight'"), ("t", "t is not")],
)
def test_a_formula_that_asks_for_what_a_synapse_cannot_know_is_refused(argument, words):
    space = {}
    exec(f"def change(pre, {argument}, eta):\n    return eta * pre", space)  # noqa: S102

    @dataclass(frozen=True)
    class Greedy(Hebb):
        change = staticmethod(space["change"])

    with pytest.raises(ConfigError, match=words):
        check_rule(Greedy)
    with pytest.raises(ConfigError, match=words):
        made(Greedy())


def test_a_rule_must_be_frozen_and_a_sum_along_a_row_needs_rows():
    class Loose(Rule):
        acts_on = "all"

        @staticmethod
        def change(pre):
            return pre

    with pytest.raises(ConfigError, match="frozen dataclass"):
        check_rule(Loose)

    @dataclass(frozen=True)
    class Sideways(Hebb):
        acts_on = "post"

        @staticmethod
        def change(post, explained, eta):
            return eta * post * explained

    with pytest.raises(ConfigError, match="acts_on"):
        check_rule(Sideways)


def test_a_rule_of_more_than_four_signals_cannot_change_counts():
    with pytest.raises(ConfigError, match="PlasticProjection"):
        SoftHebb().delta(X, X, X, 1.0, np.empty(4))
    out = np.empty(4)
    Hebb(eta=0.5).delta(X, 2 * X, X, 1.0, out)
    assert (out == 1.0).all()
