"""Methods of continual learning follow their papers' formulas, and memories keep what they say."""

import math
from dataclasses import replace

import numpy as np
import pytest

from experiments.continual.der import DER
from experiments.continual.ewc import EWC, expected_fisher_diagonal, fisher_diagonal
from experiments.continual.generative_replay import Generator
from experiments.continual.lwf import LwF
from experiments.continual.nearest_class_mean import NearestClassMean
from experiments.continual.random_features import RandomFeatures
from experiments.continual.si import SI
from experiments.continual.streaming_lda import StreamingLDA
from experiments.continual_network import NetworkLearner, NetworkMethod, RawMemory
from neurosim.continual_learner import Shape
from neurosim.datasets import load
from neurosim.errors import ConfigError
from neurosim.network import softmax
from neurosim.stream_config import StreamConfig
from neurosim.streams import Batch, Stream

SHAPE = Shape(16, 4, (4, 4))


def drawn_batch(n=12, seed=0, task=0, classes=4):
    rng = np.random.default_rng(seed)
    return Batch(rng.random((n, 16)).astype(np.float32), rng.integers(classes, size=n), task)


def learner_of(method=None, seed=0):
    return NetworkLearner(
        method or NetworkMethod(hidden=(7, 5)), SHAPE, np.random.default_rng(seed)
    )


def losses_by_autograd(learner, x, loss):
    """Return minus the gradient, by parameter, of a loss of drives, from torch."""
    import torch

    params = [torch.tensor(p, requires_grad=True) for p in learner.network.parameters]
    n = learner.network.n_layers
    h = torch.tensor(x)
    for layer in range(n):
        z = h @ params[layer].T + params[n + layer]
        h = torch.relu(z)
    loss(z).backward()
    return [-p.grad.numpy() for p in params]


def same_ways(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)  # float32 on both sides.


def capture(learner):
    """Return the list that will hold the direction of the learner's next step."""
    kept = []
    learner.move = lambda way, rate=1.0: kept.extend(way)
    return kept


def test_first_weights_and_biases_are_torchs_where_they_are_asked_for():
    wide = NetworkMethod(hidden=(3000,), gain=6**-0.5, drawn_biases=True)
    network, plain = learner_of(wide).network, learner_of(replace(wide, drawn_biases=False)).network
    torchs = 16**-0.5  # Both uniform within 1/sqrt(n_pre): torch.nn.Linear.reset_parameters.
    for values in (network.weights[0], network.biases[0]):
        assert 0.99 * torchs < np.abs(values).max() <= torchs
        assert values.std() == pytest.approx(torchs / math.sqrt(3), rel=0.03)
    assert np.abs(network.biases[1]).max() <= 3000**-0.5
    assert not any(biases.any() for biases in plain.biases)


def test_a_gradient_of_any_error_is_autograds():
    import torch

    learner, batch = learner_of(), drawn_batch()
    targets = learner.one_hot(batch.y)
    got = learner.gradient_of(batch.x, lambda z, p: (targets - p) / np.float32(len(p)))
    cross = torch.nn.functional.cross_entropy
    same_ways(got, losses_by_autograd(learner, batch.x, lambda z: cross(z, torch.tensor(batch.y))))
    same_ways(got, learner.gradient(batch.x, targets))


@pytest.mark.parametrize("unweighted", [False, True])
def test_lwf_goes_down_its_loss(unweighted):
    import torch

    method = LwF(hidden=(7,), unweighted=unweighted)
    learner = method.begin(SHAPE, np.random.default_rng(0))
    first = drawn_batch(classes=2)
    learner.observe(first)
    learner.end_of_task(0)
    old = learner.before.forward(first.x).drives[-1]
    learner.observe(drawn_batch(seed=3))  # So that it is not what it was.
    batch, way = drawn_batch(seed=1), capture(learner)
    learner.observe(batch)
    n_old = 4 if unweighted else 2
    old = torch.tensor(learner.before.forward(batch.x).drives[-1][:, :n_old])
    t = method.temperature

    def loss(z):
        hard = torch.nn.functional.cross_entropy(z, torch.tensor(batch.y))
        now = torch.log_softmax(z[:, :n_old] / t, 1)
        soft = -(torch.softmax(old / t, 1) * now).sum(1).mean()
        return hard + soft if unweighted else hard / 2 + t * t * soft / 2

    same_ways(way, losses_by_autograd(learner, batch.x, loss))


def test_der_goes_down_its_loss():
    import torch

    method = DER(hidden=(7,), per_class=5, alpha=0.7, beta=0.4)
    learner = method.begin(SHAPE, np.random.default_rng(0))
    learner.observe(drawn_batch(20))
    twin = np.random.default_rng(8)
    learner.rng = np.random.default_rng(8)
    dark, plain = (learner.memory.draw(12, twin) for _ in range(2))
    batch, way = drawn_batch(seed=1), capture(learner)
    assert np.abs(dark.answers).max() > 0
    learner.observe(batch)
    cross = torch.nn.functional.cross_entropy

    def loss(z):
        new = cross(z[:12], torch.tensor(batch.y))
        answers = 0.7 * torch.nn.functional.mse_loss(z[12:24], torch.tensor(dark.answers))
        return new + answers + 0.4 * cross(z[24:], torch.tensor(plain.y))

    x = np.concatenate([batch.x, dark.x, plain.x])
    same_ways(way, losses_by_autograd(learner, x, loss))


def test_the_generators_loss_bounds_the_likelihood():
    """With a decoder that ignores its input the bound is the exact likelihood, but for the KL."""
    import torch

    generator = Generator(16, (5,), 3)
    x, noise = torch.rand(4, 16).round(), torch.zeros(4, 3)
    with torch.no_grad():
        generator.mean.weight.zero_()
        generator.mean.bias.zero_()
        generator.log_variance.weight.zero_()
        generator.pixels.weight.zero_()
        p = torch.sigmoid(generator.pixels.bias)
        exact = -(x * p.log() + (1 - x) * (1 - p).log()).sum(1)
        torch.testing.assert_close(generator.loss(x, noise), exact)
        generator.mean.bias.fill_(0.5)
        generator.encoder[0].weight.zero_()
        generator.encoder[0].bias.fill_(1.0)  # All five hidden cells are at 1.
        generator.log_variance.weight.fill_(-1 / 5)
        normal = torch.distributions.Normal
        apart = torch.distributions.kl_divergence(
            normal(0.5, torch.exp(torch.tensor(-0.5))), normal(0.0, 1.0)
        )
        torch.testing.assert_close(generator.loss(x, noise), exact + 3 * apart)


def test_the_fisher_diagonal_is_the_mean_square_of_single_slopes():
    learner, batch = learner_of(), drawn_batch(6)
    got = fisher_diagonal(learner.network, batch.x, np.random.default_rng(2))
    p = softmax(learner.network.forward(batch.x).drives[-1])
    drawn = (p.cumsum(1) < np.random.default_rng(2).random((6, 1))).sum(1)
    assert len(set(drawn.tolist())) > 1
    singles = [
        learner.gradient(batch.x[k : k + 1], learner.one_hot(drawn[k : k + 1])) for k in range(6)
    ]
    same_ways(got, [np.mean([np.square(s[j]) for s in singles], axis=0) for j in range(len(got))])


def test_the_expected_fisher_diagonal_takes_every_label_as_often_as_it_is_answered():
    learner, batch = learner_of(), drawn_batch(6)
    got = expected_fisher_diagonal(learner.network, batch.x)
    p = softmax(learner.network.forward(batch.x).drives[-1])
    expected = [np.zeros_like(each) for each in learner.network.parameters]
    for k in range(6):
        for label in range(4):
            slopes = learner.gradient(batch.x[k : k + 1], learner.one_hot(np.array([label])))
            for whole, slope in zip(expected, slopes, strict=True):
                whole += p[k, label] * np.square(slope) / 6
    same_ways(got, expected)
    elastic = EWC(hidden=(7,), all_labels=True).begin(SHAPE, np.random.default_rng(0))
    elastic.observe(batch)
    kept = elastic.samples.x[:6].astype(np.float32) / 255
    elastic.end_of_task(0)
    same_ways(elastic.stiffness, expected_fisher_diagonal(elastic.network, kept))


def test_ewc_pulls_down_the_sum_of_its_parabolas():
    method = EWC(hidden=(7,), optimiser="adam", strength=5.0)
    learner = method.begin(SHAPE, np.random.default_rng(0))
    centres, fishers = [], []
    for task in range(2):
        learner.observe(drawn_batch(seed=task))
        samples = learner.samples.x[: len(learner.samples)].astype(np.float32) / 255
        before = [f.copy() for f in learner.stiffness]
        learner.end_of_task(task)
        assert len(samples) == 12 and len(learner.samples) == 0
        fishers.append([f - b for f, b in zip(learner.stiffness, before, strict=True)])
        centres.append([p.copy() for p in learner.network.parameters])
    learner.observe(drawn_batch(seed=7))
    batch, way = drawn_batch(seed=8), capture(learner)
    plain = learner.gradient(batch.x, learner.one_hot(batch.y))
    learner.observe(batch)
    for j, p in enumerate(learner.network.parameters):
        pull = sum(f[j] * (p - c[j]) for f, c in zip(fishers, centres, strict=True))
        np.testing.assert_allclose(way[j], plain[j] - 5.0 * pull, atol=1e-5)
    assert np.abs(way[0] - plain[0]).max() > 1e-4


def test_si_books_what_its_steps_did_for_the_loss():
    learner = SI(hidden=(7,), eta=1e-3).begin(SHAPE, np.random.default_rng(0))
    batch = drawn_batch()
    targets = learner.one_hot(batch.y)

    def loss():
        return float(np.mean(learner.network.losses(learner.predict(batch.x), targets)))

    start = loss()
    for _ in range(200):
        learner.observe(batch)
    booked = sum(float(s.sum()) for s in learner.path)
    fallen = start - loss()
    # A path integral in small steps; what is left is of the order of the step.
    assert fallen > 0.005 and booked == pytest.approx(fallen, rel=0.02)


def test_si_books_the_springs_too_where_it_is_told_to():
    """After the first task the springs pull back: their part of the way counts, harm as well."""
    batch = drawn_batch(seed=2)
    for whole in (False, True):
        method = SI(hidden=(7,), optimiser="adam", eta=1e-2, strength=50.0, xi=0.1, whole=whole)
        learner = method.begin(SHAPE, np.random.default_rng(0))
        learner.observe(drawn_batch())
        learner.end_of_task(0)
        learner.observe(drawn_batch(seed=1))
        before = [p.copy() for p in learner.network.parameters]
        booked = [s.copy() for s in learner.path]
        way = learner.gradient(batch.x, learner.one_hot(batch.y))
        springs = [
            100.0 * o * (p - a)
            for o, p, a in zip(learner.importance, before, learner.anchor, strict=True)
        ]
        learner.observe(batch)
        for j, p in enumerate(learner.network.parameters):
            along = way[j] - springs[j] if whole else way[j]
            got = learner.path[j] - booked[j]
            np.testing.assert_allclose(got, along * (p - before[j]), atol=1e-6)
        assert max(float(np.abs(each).max()) for each in springs) > 1e-4
        learner.path[0][...] = -1.0
        old = learner.importance[0].copy()
        learner.end_of_task(1)
        assert (learner.importance[0] < old).all() == whole


def test_a_reservoir_keeps_all_alike_and_a_balanced_box_all_classes():
    counts = np.zeros(40)
    for seed in range(300):
        memory = RawMemory(10, Shape(1, 2, (1, 1)))
        x = np.arange(40, dtype=np.float32)[:, None] / 255
        memory.add(x, np.arange(40) % 2, np.random.default_rng(seed))
        counts[memory.x[:, 0]] += 1
    # Binomial, 300 draws of chance 1/4: 4 standard errors and a half for 40 looks.
    assert np.abs(counts / 300 - 0.25).max() < 4.5 * math.sqrt(0.25 * 0.75 / 300)
    balanced = RawMemory(9, Shape(1, 3, (1, 1)), balanced=True)
    for label, n in ((0, 30), (1, 20), (2, 3)):
        x, rng = np.zeros((n, 1), np.float32), np.random.default_rng(label)
        balanced.add(x, np.full(n, label), rng)
    assert np.bincount(balanced.y).tolist() == [3, 3, 3]
    with pytest.raises(ConfigError, match=r"1 image \(16 bytes\)"):
        RawMemory(0, SHAPE)


def test_a_quota_is_a_uniform_sample_of_each_class():
    limited, rng = RawMemory(9, Shape(1, 3, (1, 1)), quota=3), np.random.default_rng(0)
    for label, n in ((0, 40), (1, 2), (2, 40)):
        limited.add(np.full((n, 1), label / 255, np.float32), np.full(n, label), rng)
    assert limited.y[: len(limited)].tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    counts = np.zeros(40)
    for seed in range(300):
        memory = RawMemory(20, Shape(1, 2, (1, 1)), quota=10)
        x = np.arange(40, dtype=np.float32)[:, None] / 255
        memory.add(x, np.zeros(40, dtype=np.int64), np.random.default_rng(seed))
        assert len(memory) == 10
        counts[memory.x[:10, 0]] += 1
    # As above: 4.5 standard errors of 300 draws of chance 1/4.
    assert np.abs(counts / 300 - 0.25).max() < 4.5 * math.sqrt(0.25 * 0.75 / 300)
    with pytest.raises(ConfigError, match=r"1 image \(16 bytes\)"):
        RawMemory(0, SHAPE)


def test_old_tasks_are_told_from_the_new_in_memory():
    memory = RawMemory(10, SHAPE)
    rng = np.random.default_rng(0)
    memory.add(np.zeros((3, 16), np.float32), np.zeros(3, dtype=np.int64), rng, task=0)
    memory.add(np.ones((4, 16), np.float32), np.ones(4, dtype=np.int64), rng, task=1)
    assert len(memory.draw(9, rng, before=0).y) == 0
    assert memory.draw(9, rng, before=1).y.tolist() == [0, 0, 0]
    assert len(memory.draw(9, rng).y) == 7


def test_the_linear_classifiers_are_scikit_learns():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.neighbors import NearestCentroid

    digits = load("digits")
    stream = Stream(StreamConfig("digits"), 0)
    x = (digits.train_images / 255).reshape(-1, 64).astype(np.float32)
    test = (digits.test_images / 255).reshape(-1, 64).astype(np.float32)
    shape = Shape(64, 10, (8, 8))
    answers = {}
    for method in (NearestClassMean(), StreamingLDA(), RandomFeatures(100, 0.5)):
        learner = method.begin(shape, np.random.default_rng(0))
        for visit in range(5):
            for batch in stream.batches(visit):
                learner.observe(batch)
            learner.end_of_task(visit)
        answers[type(method)] = learner.predict(test)
        last = learner
    mean = NearestCentroid().fit(x, digits.train_labels).predict(test)
    np.testing.assert_array_equal(answers[NearestClassMean].argmax(1), mean)
    lda = LinearDiscriminantAnalysis("lsqr", shrinkage=1e-3, priors=[0.1] * 10)
    same = answers[StreamingLDA].argmax(1) == lda.fit(x, digits.train_labels).predict(test)
    assert same.mean() > 0.97  # The stream's covariance is around running means.
    h = np.maximum(x @ last.projection + last.bias, 0).astype(np.float64)
    y = np.eye(10)[digits.train_labels]
    weights = np.linalg.solve(h.T @ h + 0.5 * np.eye(100), h.T @ y)
    np.testing.assert_allclose(last.weights, weights, rtol=0.02, atol=2e-3)
