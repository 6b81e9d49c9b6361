"""Rate rules do what their papers say; every expectation is computed without the rule."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import vonmises_fisher

from neurosim.connectivity import Full
from neurosim.plasticity import PlasticProjection
from rules.bcm import BCM
from rules.bcpnn import BCPNN
from rules.covariance import Covariance
from rules.delta_rule import DeltaRule
from rules.hebb import Hebb
from rules.homeostatic_scaling import HomeostaticScaling
from rules.intrinsic_threshold import IntrinsicThreshold
from rules.oja import Oja
from rules.sanger import Sanger
from rules.softhebb import SoftHebb
from rules.three_factor import ThreeFactor

pytestmark = pytest.mark.compiled


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def gaussian(rng, spectrum, n):
    """Draw centred data with these variances along random axes; return data and true axes."""
    axes = np.linalg.qr(rng.normal(size=(len(spectrum), len(spectrum))))[0]
    x = rng.normal(size=(n, len(spectrum))) * np.sqrt(spectrum) @ axes.T
    values, vectors = np.linalg.eigh(x.T @ x / n)
    return x, vectors[:, ::-1].T


def train_linear(rule, data, weights, etas, rng):
    for eta in etas:
        made = PlasticProjection(Full(data.shape[1], len(weights)), rule(eta=eta), weights)
        post = np.empty(len(weights))
        for x in data[rng.permutation(len(data))]:
            made.learn(x, made.drive(x, post))
        weights = made.matrix()
    return weights


def angle(a, b):
    """Return the angle between two axes in degrees."""
    return math.degrees(math.acos(min(1.0, abs(a @ b) / np.linalg.norm(a) / np.linalg.norm(b))))


def test_hebb_is_the_sum_of_outer_products(rng):
    x, y = rng.random((50, 6)), rng.random((50, 4))
    made = PlasticProjection(Full(6, 4), Hebb(eta=0.1))
    for pre, post in zip(x, y, strict=True):
        made.learn(pre, post)
    np.testing.assert_allclose(made.matrix(), 0.1 * y.T @ x, rtol=1e-12)


def test_covariance_learning_finds_the_covariance(rng):
    x = rng.random((4000, 5))
    y = x @ rng.random((5, 3)) + rng.random((4000, 3))
    made = PlasticProjection(Full(5, 3), Covariance(eta=1 / len(x), tau=1e12))
    made.traces["mean_pre"][:], made.traces["mean_post"][:] = x.mean(0), y.mean(0)
    for pre, post in zip(x, y, strict=True):
        made.learn(pre, post)
    expected = np.cov(y.T, x.T, bias=True)[:3, 3:]
    np.testing.assert_allclose(made.matrix(), expected, rtol=1e-6)  # The means hardly move.


def test_the_means_of_covariance_learning_follow_the_activity(rng):
    made = PlasticProjection(Full(1, 1), Covariance(tau=50.0))
    values = rng.random(2000)
    for value in values:
        made.learn([value], [1 - value])
    weights = (1 - math.exp(-1 / 50)) * np.exp(-np.arange(2000)[::-1] / 50)
    assert made.traces["mean_pre"][0] == pytest.approx(weights @ values, rel=1e-12)
    assert made.traces["mean_post"][0] == pytest.approx(weights @ (1 - values), rel=1e-12)


def test_oja_converges_to_the_first_principal_component_at_length_one(rng):
    data, axes = gaussian(rng, [4.0, 2.0, 1.5, 1.0, 0.5, 0.5, 0.3, 0.2], 4000)
    start = rng.normal(size=(2, 8)) * 0.3
    assert min(angle(row, axes[0]) for row in start) > 20
    weights = train_linear(Oja, data, start, (1e-2, 1e-3, 1e-4, 1e-4), rng)
    for row in weights:
        assert angle(row, axes[0]) < 1.0
        assert np.linalg.norm(row) == pytest.approx(1.0, abs=0.01)


def test_sanger_finds_the_first_five_components_in_order(rng):
    data, axes = gaussian(rng, [10.0, 7.0, 4.9, 3.4, 2.4, 0.8, 0.6, 0.4, 0.3, 0.2], 5000)
    start = rng.normal(size=(5, 10)) * 0.2
    weights = train_linear(
        Sanger, data, start, (5e-3, 3e-3, 1e-3, 5e-4, 2e-4, 1e-4, 5e-5, 2e-5), rng
    )
    for row, axis in zip(weights, axes, strict=False):
        assert angle(row, axis) < 1.0
    # The weights are orthonormal.
    np.testing.assert_allclose(weights @ weights.T, np.eye(5), atol=0.03)


def test_bcm_makes_every_cell_selective_for_one_pattern(rng):
    patterns = np.eye(4) + 0.25
    weights, theta = 0.4 + 0.2 * rng.random((12, 4)), 0.0
    for eta, tau in ((0.005, 20.0), (0.0005, 400.0)):
        made = PlasticProjection(Full(4, 12), BCM(eta, tau), weights)
        made.traces["theta"][:] = theta
        for k in rng.integers(4, size=30_000):
            made.learn(patterns[k], np.maximum(made.drive(patterns[k]), 0.0))
        weights, theta = made.matrix(), made.traces["theta"]
    response = np.maximum(patterns @ made.matrix().T, 0.0)  # (pattern, cell)
    # Fixed point (Intrator & Cooper 1992): 1 / p on one pattern of probability p, 0 on the others.
    # The threshold averages 400 samples at last, so a cell hovers about it.
    order = np.sort(response, axis=0)
    assert np.abs(order[-1] - 4.0).max() < 0.6
    assert order[-2].max() < 0.4
    assert len(set(response.argmax(axis=0))) >= 3


def test_bcm_without_its_sliding_threshold_is_not_selective(rng):
    patterns = np.eye(4) + 0.25
    start = 0.4 + 0.2 * rng.random((12, 4))
    made = PlasticProjection(Full(4, 12), BCM(tau=1e12), start, bounds=(-10.0, 10.0))
    made.traces["theta"][:] = 0.1
    for k in rng.integers(4, size=4000):
        made.learn(patterns[k], np.maximum(made.drive(patterns[k]), 0.0))
    assert (made.matrix() > 9.0).all()  # All strong on everything.


def test_bcpnn_weights_are_the_log_odds_of_the_counts(rng):
    causes = rng.random((3000, 3)) < 0.4
    x = (causes @ rng.random((3, 6)) + rng.random((3000, 6)) > 1.0).astype(float)
    y = (causes @ rng.random((3, 4)) + rng.random((3000, 4)) > 1.0).astype(float)
    together, n = y.T @ x, len(x)
    assert together.min() > 0  # No log odds are infinite.
    made = PlasticProjection(Full(6, 4), BCPNN(tau=1.0, floor=1e-9))
    for t, (pre, post) in enumerate(zip(x, y, strict=True)):
        made.learn(pre, post, modulator=1 / (t + 1))
    expected = np.log(together * n / np.outer(y.sum(0), x.sum(0)))
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(made.matrix(), expected, rtol=1e-6, atol=1e-9)


def test_softhebb_learns_the_posterior_of_a_mixture(rng):
    kappa, priors = 10.0, np.array([0.5, 0.3, 0.2])
    centres = np.linalg.qr(rng.normal(size=(6, 6)))[0][:3]
    labels = rng.choice(3, size=30_000, p=priors)
    data = np.empty((len(labels), 6))
    for k, centre in enumerate(centres):
        drawn = vonmises_fisher(centre, kappa).rvs(int((labels == k).sum()), random_state=rng)
        data[labels == k] = drawn
    weights, bias = data[:3], np.full(3, math.log(1 / 3))
    for eta, part in zip((0.03, 0.01, 0.003), np.array_split(data, 3), strict=True):
        made = PlasticProjection(Full(6, 3), SoftHebb(eta=eta), weights)
        made.traces["bias"][:] = bias
        for x in part:
            u = made.drive(x)
            made.learn(x, _softmax(kappa * u + made.traces["bias"]), drive=u)
        weights, bias = made.matrix(), made.traces["bias"].copy()
    learnt = _softmax(kappa * data @ weights.T + bias)
    truth = _softmax(kappa * data @ centres.T + np.log(priors))
    best = min(permutations(range(3)), key=lambda p: np.abs(learnt[:, p] - truth).sum())
    distance = 0.5 * np.abs(learnt[:, best] - truth).sum(axis=1)  # Total variation.
    assert distance.mean() < 0.02
    np.testing.assert_allclose(np.exp(bias[list(best)]), priors, atol=0.03)
    assert max(angle(weights[k], centres[j]) for j, k in enumerate(best)) < 5


def _softmax(u):
    e = np.exp(u - u.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def delayed_reward(rule, rng, delay=5, n_trials=600):
    """Two cues, two actions, a reward half a second after the right one; return late accuracy."""
    made = PlasticProjection(Full(2, 2), rule, 0.5, bounds=(0.0, 1.0), dt=0.1)
    silence, right = np.zeros(2), []
    for _ in range(n_trials):
        cue = int(rng.integers(2))
        pre = np.eye(2)[cue]
        action = int(np.argmax(made.drive(pre) + 0.3 * rng.normal(size=2)))
        made.learn(pre, np.eye(2)[action], modulator=0.0)
        for _ in range(delay - 1):
            made.learn(silence, silence, modulator=0.0)
        made.learn(silence, silence, modulator=1.0 if action == cue else -1.0)
        for name in made.rule.own_traces:  # A long pause between trials.
            made.traces[name][:] = 0.0
        right.append(action == cue)
    return np.mean(right[-200:])


def test_three_factors_solve_a_delayed_reward_that_plain_hebb_cannot():
    scores = {}
    for name, rule in {
        "three": ThreeFactor(eta=0.1, tau=1.0),
        "hebb": Hebb(eta=0.05),
        "forgetful": ThreeFactor(eta=0.1, tau=0.03),  # The trace is gone when the reward comes.
    }.items():
        scores[name] = [delayed_reward(rule, np.random.default_rng(s)) for s in range(10)]
    assert min(scores["three"]) > 0.95
    assert np.mean(scores["hebb"]) < 0.75 and np.mean(scores["forgetful"]) < 0.75


def test_eligibility_decays_with_its_time_constant():
    made = PlasticProjection(Full(1, 1), ThreeFactor(eta=1.0, tau=0.5), dt=0.1)
    made.learn([1.0], [1.0], modulator=0.0)
    for _ in range(3):
        made.learn([0.0], [0.0], modulator=0.0)
    made.learn([0.0], [0.0], modulator=2.0)
    assert made.weights[0, 0] == pytest.approx(2 * math.exp(-0.4 / 0.5), rel=1e-12)


def test_the_delta_rule_finds_the_least_squares_solution(rng):
    x, truth = rng.normal(size=(400, 5)), rng.normal(size=(3, 5))
    y = x @ truth.T
    made = PlasticProjection(Full(5, 3), DeltaRule(eta=0.05))
    for pre, target in zip(x, y, strict=True):
        out = made.drive(pre)
        made.learn(pre, out, error=target - out)
    expected = np.linalg.lstsq(x, y, rcond=None)[0].T
    np.testing.assert_allclose(made.matrix(), expected, atol=1e-6)  # It converges geometrically.


def test_homeostatic_scaling_reaches_its_target_and_keeps_the_ratios(rng):
    start = rng.random((3, 10)) + 0.1
    rule = HomeostaticScaling(eta=0.02, target=2.0, tau=5.0)
    made = PlasticProjection(Full(10, 3), rule, start)
    for _ in range(6000):
        x = rng.random(10)
        made.learn(x, made.drive(x))
    mean = made.matrix().sum(axis=1) * 0.5
    np.testing.assert_allclose(mean, 2.0, rtol=0.05)  # Rates fluctuate with the input.
    ratio = made.matrix() / start
    np.testing.assert_allclose(ratio / ratio.mean(axis=1, keepdims=True), 1.0, rtol=1e-9)
    assert np.ptp(ratio.mean(axis=1)) > 0.01


def test_intrinsic_thresholds_bring_every_cell_to_its_target(rng):
    gains = np.array([0.5, 1.0, 3.0])
    rule = IntrinsicThreshold(eta=0.02, target=0.1)
    made = PlasticProjection(Full(1, 3), rule, 1.0)
    fired = []
    for _ in range(12_000):
        y = (gains * rng.normal(size=3) > made.traces["threshold"]).astype(float)
        made.learn([1.0], y)
        fired.append(y)
    rates = np.mean(fired[-8000:], axis=0)
    # 4 standard errors of 8000 independent draws of probability 0.1 are 0.013.
    np.testing.assert_allclose(rates, 0.1, atol=0.013)
    assert (made.weights == 1.0).all()
