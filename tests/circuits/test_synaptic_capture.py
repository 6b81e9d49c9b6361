"""What a night writes is captured slowly: what answers is a running mean of what learns."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from circuits.bidirectional import BidirectionalConfig
from circuits.predictive_cortex import PredictiveCortex
from circuits.predictive_cortex_config import PredictiveCortexConfig
from experiments.backprop_cortex import BackpropCortex
from neurosim.errors import ConfigError, InputError, NumericalError
from neurosim.metrics import mean_interval

CONFIG = PredictiveCortexConfig(
    BidirectionalConfig((12, 7, 3), dtype="float64"), covered=0.0, styles=2, seed=4, capture=8.0
)
KINDS = pytest.mark.parametrize("kind", [PredictiveCortex, BackpropCortex])
N_STEPS = 20


def lesson(step):
    rng = np.random.default_rng(step)
    labels = rng.integers(3, size=6)
    return (rng.random((6, 12)) + np.eye(12)[4 * labels]) / 2, labels


def taught(cortex, first=0, last=N_STEPS):
    """Teach from one step to another, and return the weights that answer after each."""
    path = []
    for step in range(first, last):
        cortex.study(*lesson(step))
        path.append([array.copy() for array in cortex.network.parameters])
    return path


def same(first, second):
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


@KINDS
def test_what_answers_is_the_running_mean_of_what_learns(kind):
    """What learns goes the way of a cortex without; the mean is taken here by its formula."""
    cortex, at_once = kind(CONFIG), kind(replace(CONFIG, capture=0.0))
    for each in (cortex, at_once):
        each.grow(1)
    mean = [array.copy() for array in at_once.network.parameters]
    path = taught(at_once)
    answers = taught(cortex)
    for learnt, found in zip(path, answers, strict=True):
        for m, v, w in zip(mean, learnt, found, strict=True):
            m += (v - m) / 8
            np.testing.assert_allclose(w, m, rtol=1e-12, atol=1e-15)
    moved = np.abs(path[-1][0] - answers[-1][0]).max()
    assert moved > 1e-3  # It is not the same thing.
    x, _ = lesson(99)
    said = cortex.scores(x)
    by_hand = kind(replace(CONFIG, capture=0.0))
    by_hand.network.place(mean)
    np.testing.assert_allclose(said, by_hand.scores(x), rtol=1e-10)
    # By morning the mean is all there is, and what learns goes on from it.
    cortex.merge()
    np.testing.assert_array_equal(cortex.scores(x), said)
    by_hand.network.moments.clear()
    cortex.network.moments.clear()
    cortex.study(*lesson(50))
    assert cortex.network.parameters[0] is cortex.network.moments.parameters[0]
    assert (cortex.scores(x) != said).any()


@KINDS
def test_all_else_of_a_night_is_as_it_was(kind):
    """Styles, variances and moments follow what learns; dusk comes back, and so does tonight."""
    cortex, at_once = kind(CONFIG), kind(replace(CONFIG, capture=0.0))
    for each in (cortex, at_once):
        taught(each, 90, 95)  # By day nothing is captured slowly.
        each.grow(1)
        taught(each)
    own, other = cortex.state, at_once.state
    assert {name for name in own if name not in other} == {
        f"tagged/{name}" for name in cortex.network.state
    }
    for name, array in other.items():
        learns = f"tagged/{name}" if name in cortex.network.state else name
        np.testing.assert_array_equal(own[learns], array, err_msg=name)
    x, _ = lesson(99)
    said = cortex.scores(x)
    with cortex.dusk(), at_once.dusk():
        np.testing.assert_array_equal(cortex.scores(x), at_once.scores(x))
    np.testing.assert_array_equal(cortex.scores(x), said)
    for each in (cortex, at_once):
        each.discard()
        assert not any(name.startswith("tagged/") for name in each.state)
    same(cortex.state.values(), at_once.state.values())


@KINDS
def test_a_night_that_was_saved_goes_on_bit_for_bit(kind):
    whole, cut = kind(CONFIG), kind(CONFIG)
    whole.grow(1)
    taught(whole, last=8)
    saved = {name: array.copy() for name, array in whole.state.items()}
    cut.grow(7)
    taught(cut, 30, 35)  # It was in another night.
    cut.restore(saved)
    assert cut.growing
    cut.restore(cut.state)  # Its own changes nothing.
    for each in (whole, cut):
        taught(each, 8)
    same(whole.state.values(), cut.state.values())
    for each in (whole, cut):
        each.merge()
    same(whole.state.values(), cut.state.values())
    # By day there is nothing to capture: it wakes from the night that it was in.
    cut.grow(2)
    taught(cut, last=3)
    cut.restore(whole.state)
    assert not cut.growing
    same(whole.state.values(), cut.state.values())
    del saved["tagged/up/0"]
    before = [array.copy() for array in cut.state.values()]
    with pytest.raises(InputError, match="tagged/up/0"):
        cut.restore(saved)
    same(cut.state.values(), before)


def test_a_night_that_diverges_still_answers():
    cortex = PredictiveCortex(CONFIG)
    cortex.grow(1)
    taught(cortex, last=3)
    x, labels = lesson(99)
    said = cortex.scores(x)
    with (
        np.errstate(over="ignore", invalid="ignore"),
        pytest.raises(NumericalError, match="lower the learning rate"),
    ):
        cortex.study(x, labels, weight=np.full(6, np.inf))
    np.testing.assert_array_equal(cortex.scores(x), said)


def test_each_step_writes_the_weights_twice():
    cortex, at_once = (PredictiveCortex(replace(CONFIG, capture=c)) for c in (8.0, 0.0))
    for each in (cortex, at_once):
        each.grow(1)
        taught(each, last=5)
    n = sum(array.size for array in cortex.network.parameters)
    assert cortex.network.ledger.weight_writes - at_once.network.ledger.weight_writes == 5 * n


def lost_in_a_night(kind, capture, seed):
    """Return the largest fall of an old digit while two more are learnt beside two, and its end."""
    images, labels = load_digits(return_X_y=True)
    images, rng = images / 16, np.random.default_rng(seed)
    order = rng.permutation(10)
    network = BidirectionalConfig((64, 64, 10), dtype="float64")
    cortex = kind(PredictiveCortexConfig(network, covered=0.0, seed=seed, capture=capture))
    for night, n_classes in enumerate((2, 4)):
        pool = np.flatnonzero(np.isin(labels, order[:n_classes]))
        cortex.network.moments.clear()
        cortex.grow(night)
        known = [right_of(cortex, images, labels, order[:2])]
        for step in range(60):
            some = rng.choice(pool, 64)
            cortex.study(images[some], labels[some], pace=min(1.0, (60 - step) / 20))
            known.append(right_of(cortex, images, labels, order[:2]))
        cortex.merge()
    fall = (known[0] - np.array(known)) / known[0]
    return fall.max(), right_of(cortex, images, labels, order[:4]).mean()


def right_of(cortex, images, labels, classes):
    return np.array([(cortex.classify(images[labels == c]) == c).mean() for c in classes])


@pytest.mark.compiled
@KINDS
def test_what_is_captured_slowly_shakes_the_old_less_and_teaches_as_much(kind):
    """Digits, seed by seed: ten seeds, the mean and its interval."""
    slowly, at_once = (
        np.array([lost_in_a_night(kind, capture, seed) for seed in range(10)])
        for capture in (9.0, 0.0)
    )
    less, gain = (mean_interval(column) for column in (slowly - at_once).T)
    assert at_once[:, 0].mean() > 0.05  # There is a gap.
    assert less.high < 0 and slowly[:, 0].mean() < 0.7 * at_once[:, 0].mean()
    assert gain.low > -0.02 and slowly[:, 1].mean() > 0.9


@pytest.mark.parametrize("capture", [0.5, -1.0, np.inf, np.nan])
def test_what_cannot_be_captured_is_refused(capture):
    with pytest.raises(ConfigError, match="capture: expected a step or more, or 0"):
        PredictiveCortexConfig(capture=capture)
