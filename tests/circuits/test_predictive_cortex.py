"""The predictive-coding cortex: its energy, its rules, what it names, completes and dreams."""

import numpy as np
import pytest

from circuits.bidirectional import BidirectionalConfig, BidirectionalNetwork
from circuits.image_items import UNKNOWN
from circuits.inferred import Precisions
from circuits.predictive_cortex import PredictiveCortex
from circuits.predictive_cortex_config import PredictiveCortexConfig
from neurosim import contracts
from neurosim.contracts import drift_since_dusk
from neurosim.errors import ConfigError, InputError, NumericalError
from neurosim.optimisers import Optimiser
from neurosim.training import batches, cosine

LOCAL = Precisions(0.7, 0.4)


def network(sizes=(6, 5, 4, 3), **settings):
    settings = {"activation": "tanh", "dtype": "float64", "step": 0.05, **settings}
    return BidirectionalNetwork(BidirectionalConfig(sizes, **settings), np.random.default_rng(0))


def inputs(n=3):
    rng = np.random.default_rng(1)
    senses, seen = rng.normal(size=(n, 6)), (rng.random((n, 6)) < 0.6).astype(float)
    return senses * seen, senses, seen, rng.normal(size=(n, 3))


def energy(net, inferred, view, seen, precisions):
    """Return the energy of the docstring, from values and weights alone."""
    x, top = inferred.values, net.top
    sent = [view, *(net.function.value(v) for v in x[1:top]), x[top]]
    total = 0.0
    for layer in range(top):
        up = x[layer + 1] - sent[layer] @ net.up[layer].T - net.up_bias[layer]
        down = x[layer] - sent[layer + 1] @ net.down[layer].T - net.down_bias[layer]
        weight = precisions.prior
        if layer == 0:
            down, weight = down * seen, precisions.sensory
        total += 0.5 * (up**2).sum() + 0.5 * weight * (down**2).sum()
    return total / len(view)


def test_inference_reports_the_energy_of_the_formula_and_never_climbs():
    net = network()
    view, senses, seen, top = inputs()
    inferred = net.infer(view, senses, seen, top, None, LOCAL, 30)
    assert inferred.energies[-1] == pytest.approx(energy(net, inferred, view, seen, LOCAL))
    assert (np.diff(inferred.energies) <= 0).all()
    assert inferred.energies[-1] < 0.95 * inferred.energies[0]
    np.testing.assert_array_equal(inferred.values[-1], top)


def test_each_step_goes_down_the_gradient_of_the_energy():
    net = network()
    view, senses, seen, _ = inputs()
    start = net.infer(view, senses, seen, None, None, LOCAL, 0)
    after = net.infer(view, senses, seen, None, None, LOCAL, 1)
    for layer in (1, 2, 3):
        moved = (after.values[layer] - start.values[layer]) / net.config.step
        for index in [(0, 0), (1, 2)]:
            slopes = []
            for sign in (1, -1):
                values = [v.copy() for v in start.values]
                values[layer][index] += sign * 1e-5
                slopes.append(energy(net, start._replace(values=values), view, seen, LOCAL))
            gradient = (slopes[0] - slopes[1]) / 2e-5 * len(view)
            assert moved[index] == pytest.approx(-gradient, rel=1e-6, abs=1e-9)


def test_weights_go_down_the_gradient_of_the_energy():
    view, senses, seen, top = inputs()
    net = network(optimiser=Optimiser("sgd", eta=1e-6))
    whole = Precisions(1.0, 1.0)  # Each weight of W minds its own error, whatever its precision.
    inferred = net.infer(view, senses, seen, top, None, whole, 10)
    before = energy(net, inferred, view, seen, whole)
    old = [p.copy() for p in net.parameters]
    net.learn(inferred)
    change = sum(((new - was) ** 2).sum() for new, was in zip(net.parameters, old, strict=True))
    fallen = before - energy(net, inferred, view, seen, whole)
    # Down the gradient, the energy falls by |change|^2 / eta.
    assert fallen == pytest.approx(change / 1e-6, rel=1e-4)
    assert change > 0


def test_sparse_activity_is_as_sparse_as_it_should_be():
    net = network((6, 40, 3), active=0.15, activation="relu")
    view, senses, _, _ = inputs()
    sent = net.infer(view, senses, n_steps=5).activities[1]
    assert ((sent > 0).mean(axis=1) <= 0.15).all() and (sent > 0).any()


def test_an_unknown_activation_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'leaky_relu'"):
        BidirectionalConfig(activation="leaky_rel")


@pytest.fixture(scope="module")
def digits():
    from neurosim.datasets import load

    loaded = load("digits")
    return [
        (images.reshape(-1, 64).astype(np.float32) / 255, labels.astype(int))
        for images, labels in (
            (loaded.train_images, loaded.train_labels),
            (loaded.test_images, loaded.test_labels),
        )
    ]


def cortex(**settings):
    shape = BidirectionalConfig((64, 256, 10), optimiser=Optimiser("adam", eta=3e-3))
    return PredictiveCortex(PredictiveCortexConfig(**{"network": shape, **settings}))


@pytest.fixture(scope="module")
def taught(digits):
    """Return a cortex that has seen the training digits 25 times."""
    learner, (images, labels) = cortex(), digits[0]
    rng = np.random.default_rng(0)
    for epoch in range(25):
        for chosen in batches(len(images), 32, rng):
            learner.study(images[chosen], labels[chosen], pace=cosine(epoch / 25))
    return learner


def item(image, label):
    return (*np.rint(image * 255).astype(int).tolist(), int(label))


@pytest.mark.compiled
def test_it_names_and_completes_better_than_a_linear_decoder(taught, digits):
    (train, _), (test, truth) = digits
    assert (taught.classify(test) == truth).mean() > 0.88
    seen = np.arange(64) < 32
    x, t = (np.column_stack([part[:, seen], np.ones(len(part))]) for part in (train, test))
    errors = []
    for penalty in 10.0 ** np.arange(-2, 3):  # The best on the test set: more than it deserves.
        fit = np.linalg.solve(x.T @ x + penalty * np.eye(33), x.T @ train[:, ~seen])
        errors.append(np.mean((np.clip(t @ fit, 0, 1) - test[:, ~seen]) ** 2))
    filled = taught.complete(test, np.broadcast_to(seen, test.shape))
    np.testing.assert_array_equal(filled[:, seen], test[:, seen])
    assert np.mean((filled - test)[:, ~seen] ** 2) < min(errors)


@pytest.mark.compiled
def test_it_keeps_the_contract_of_a_cortex(taught, digits):
    assert isinstance(taught, contracts.Cortex)
    images, labels = digits[1]
    items = [item(*pair) for pair in zip(images[:40], labels[:40], strict=True)]
    cues = [each[: taught.opening(each)] for each in items]
    answers = taught.recall(cues)
    right = [a.items == (each[-1],) for a, each in zip(answers, items, strict=True)]
    assert np.mean(right) > 0.8
    assert all(0 < a.confidence <= 1 for a in answers)
    assert [len(a.items) for a in taught.recall([each[:32] for each in items])] == [33] * 40
    known, odd = (
        taught.surprise(items),
        taught.surprise([(*each[:64], (each[64] + 1) % 10) for each in items]),
    )
    assert [len(s) for s in known] == [65] * 40
    assert np.mean([s[-1] for s in known]) < np.mean([s[-1] for s in odd])
    noise = np.random.default_rng(0).integers(0, 256, size=(40, 65)) % [*[256] * 64, 10]
    strange = taught.surprise(noise.tolist())
    assert np.mean([s[:64].mean() for s in strange]) > 2 * np.mean([s[:64].mean() for s in known])


@pytest.mark.compiled
def test_dreams_are_of_their_class_and_differ(taught):
    labels = np.repeat(np.arange(10), 5)
    images = taught.generate(labels, np.random.default_rng(0))
    assert (taught.classify(images) == labels).mean() > 0.5
    assert images[:5].std(axis=0).mean() > 0.01
    dreams = taught.dream(4, 3)
    assert dreams == taught.dream(4, 3) and len(dreams[0]) == 65
    assert all(0 <= value <= 255 for value in dreams[0][:64]) and 0 <= dreams[0][64] < 10
    cue = [*dreams[0][:32], *[UNKNOWN] * 33]
    assert taught.dream(1, 0, cues=[cue])[0][:32] == dreams[0][:32]


def test_a_night_can_be_forgotten_or_kept(digits):
    learner, (images, labels) = cortex(), digits[0]
    lessons = [item(*pair) for pair in zip(images[:8], labels[:8], strict=True)]
    dusk = {name: array.copy() for name, array in learner.state.items()}
    assert not learner.growing
    learner.grow(5)
    for _ in range(3):
        learner.learn(lessons, [1.0] * 8, learner.dream(2, 0))
    assert learner.growing and drift_since_dusk(learner, lessons) < 1
    tonight = learner.state["up/0"].copy()
    assert (tonight != dusk["up/0"]).any()
    with learner.dusk():
        np.testing.assert_array_equal(learner.state["up/0"], dusk["up/0"])
    np.testing.assert_array_equal(learner.state["up/0"], tonight)
    learner.discard()
    assert not learner.growing
    for name, array in learner.state.items():
        np.testing.assert_array_equal(array, dusk[name], err_msg=name)
    learner.grow(5)
    learner.learn(lessons, [1.0] * 8, [])
    learner.merge()
    assert not learner.growing and (learner.state["up/0"] != dusk["up/0"]).any()


@pytest.mark.parametrize("cut", ["by day", "at night"])
def test_a_restored_cortex_goes_on_bit_for_bit(digits, cut):
    images, labels = digits[0]
    lessons = [item(*pair) for pair in zip(images[:8], labels[:8], strict=True)]
    whole, other = cortex(), cortex()
    whole.study(images[:8], labels[:8])
    whole.grow(5)
    whole.learn(lessons, [1.0] * 8, [])
    if cut == "by day":
        whole.merge()
    saved = {name: array.copy() for name, array in whole.state.items()}
    assert any(name.startswith("dusk/") for name in saved) == (cut == "at night")
    other.grow(7)  # What it was amid is over.
    other.restore(saved)
    assert other.growing == whole.growing == (cut == "at night")
    seen = []
    for each in (whole, other):
        drift = drift_since_dusk(each, lessons)
        each.learn(lessons, [1.0] * 8, each.dream(2, 0))  # The views are drawn from its seed.
        seen.append((drift, each.state))
        each.discard()
    assert seen[0][0] == seen[1][0] and (seen[0][0] != 1) == (cut == "at night")
    assert other.streams == whole.streams
    for (name, array), mine in zip(seen[0][1].items(), seen[1][1].values(), strict=True):
        np.testing.assert_array_equal(array, mine, err_msg=name)
    with pytest.raises(InputError, match="variance/0: expected an array of shape"):
        other.restore({n: a for n, a in saved.items() if n != "variance/0"})


def test_it_learns_one_image_at_a_time_without_being_told(digits):
    learner, (images, _) = cortex(), digits[0]
    before = np.mean((learner.complete(images[:1], images[:1] < -1) - images[:1]) ** 2)
    losses = [learner.study(images[0]) for _ in range(60)]
    assert losses[-1] < losses[0]
    assert np.mean((learner.complete(images[:1], images[:1] >= 0) - images[:1]) ** 2) == 0
    after = learner.imagine(learner.perceive(images[:1]))
    assert np.mean((after - images[:1]) ** 2) < before


def test_the_same_seed_learns_the_same_bits(digits):
    images, labels = digits[0]
    learners = [cortex(), cortex()]
    for each in learners:
        for k in range(3):
            each.study(images[8 * k : 8 * k + 8], labels[8 * k : 8 * k + 8])
    for name, array in learners[0].state.items():
        np.testing.assert_array_equal(array, learners[1].state[name], err_msg=name)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda c: c.study(np.ones((2, 63))), InputError, "reshape"),
        (lambda c: c.study(np.full((1, 64), np.nan)), InputError, r"images\[0, 0\]"),
        (lambda c: c.study(np.ones((1, 64)) * 1j), InputError, "images: expected real numbers"),
        (lambda c: c.study(np.ones((1, 64)), np.array([10])), InputError, "classes from 0 to 9"),
        (lambda c: c.surprise([[300] * 64]), InputError, "grey levels"),
        (lambda c: c.surprise([[0] * 66]), InputError, "at most 64 pixels"),
        (lambda c: c.surprise([[0] * 64 + [10]]), InputError, "classes from 0 to 9"),
        (lambda c: c.surprise([bytes(64) + b"\x0a"]), InputError, "classes from 0 to 9"),
        (lambda c: c.study(np.full((1, 64), 3e38)), NumericalError, "lower the learning rate"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_learnt(call, error, message):
    learner = cortex()
    before = {name: array.copy() for name, array in learner.network.state.items()}
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(error, match=message):
        call(learner)
    for name, array in learner.network.state.items():
        np.testing.assert_array_equal(array, before[name])
