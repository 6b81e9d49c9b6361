"""A dream remembers the hidden values it came of, and what it teaches is traced back to them."""

import numpy as np
import pytest

from circuits.bidirectional import BidirectionalConfig
from circuits.dream_origins import Origins, origins_of, traced_back
from circuits.predictive_cortex import PredictiveCortex
from circuits.predictive_cortex_config import PredictiveCortexConfig
from neurosim.errors import ConfigError
from neurosim.optimisers import Optimiser

SIZES = (9, 7, 5, 3)


def cortex(recognition=0.5, eta=1e-3, **settings):
    shape = BidirectionalConfig(SIZES, "tanh", dtype="float64", optimiser=Optimiser("sgd", eta=eta))
    born = PredictiveCortex(
        PredictiveCortexConfig(shape, covered=0.0, recognition=recognition, seed=4, **settings)
    )
    born.familiar[:] = True
    return born


def grey(**settings):
    """Return a cortex whose dreams lie within 0..1, where nothing is clipped."""
    own = cortex(**settings)
    own.network.down[0] *= 0.2
    own.network.down_bias[0][...] = 0.5
    return own


def batch(n=6):
    rng = np.random.default_rng(1)
    images, labels = rng.random((n, 9)), rng.integers(3, size=n)
    hidden = [rng.normal(size=(2, 7)), rng.normal(size=(2, 5))]
    return images, labels, Origins(np.array([1, 4]), hidden)


def test_a_dream_is_what_the_top_down_weights_make_of_its_origin():
    own = cortex(rounds=0, styles=2)
    dreams = own.dream(20, 3)
    origins = origins_of(dreams, 5)
    np.testing.assert_array_equal(origins.rows, np.arange(5, 25))
    net = own.network
    drawn = np.clip(net.fall(0, net.activity(1, origins.hidden[0])[0]), 0, 1)
    sheets = np.array([list(dream[:-1]) for dream in dreams]) / 255
    np.testing.assert_allclose(sheets, drawn, atol=0.5 / 255 + 1e-9)  # Rounded to a byte.
    assert sheets.std(axis=0).max() > 0.05  # They differ.
    plain = cortex(recognition=0.0, rounds=0, styles=2).dream(20, 3)
    assert plain == dreams and origins_of(plain) is None


def test_a_dream_that_completes_itself_remembers_what_it_settled_on():
    own = cortex(rounds=2)
    dreams = own.dream(10, 3)
    net, hidden = own.network, origins_of(dreams).hidden
    drawn = np.clip(net.fall(0, net.activity(1, hidden[0])[0]), 0, 1)
    sheets = np.array([list(dream[:-1]) for dream in dreams]) / 255
    np.testing.assert_allclose(sheets, drawn, atol=0.5 / 255 + 1e-9)


def test_errors_are_those_of_the_formula_in_dreams_and_as_they_were_in_lessons():
    own, (images, labels, origins) = cortex(), batch()
    net, (top, known) = own.network, own._told(labels, 6)
    before = own.credit(images, images, top, known)
    after = traced_back(net, before, origins, 0.5)
    rows, rest = origins.rows, np.array([0, 2, 3, 5])
    h = [images[rows], *origins.hidden, top[rows]]
    for layer in range(3):
        sent = np.tanh(h[layer + 1]) if layer < 2 else h[layer + 1]
        told = sent @ net.down[layer].T + net.down_bias[layer]
        np.testing.assert_allclose(after.top_down[layer][rows], h[layer] - told)
        np.testing.assert_allclose(after.causes[layer + 1][rows], sent)
    for layer in range(2):
        found = before.activities[layer][rows] @ net.up[layer].T + net.up_bias[layer]
        extra = after.bottom_up[layer][rows] - before.bottom_up[layer][rows]
        np.testing.assert_allclose(extra, 0.5 * (h[layer + 1] - found))
    np.testing.assert_array_equal(after.bottom_up[2], before.bottom_up[2])
    for old, new in ((before.bottom_up, after.bottom_up), (before.top_down, after.top_down)):
        for was, now in zip(old, new, strict=True):
            np.testing.assert_array_equal(now[rest], was[rest])


def test_what_generates_is_not_worn_down_by_being_dreamt_and_else_it_is():
    moved = {}
    for recognition in (0.5, 0.0):
        own = grey(recognition=recognition, eta=0.05)
        old = [w.copy() for w in own.network.down]
        for step in range(50):
            own.learn((), (), own.dream(20, step))
        moved[recognition] = [
            np.abs(new - was).max() for new, was in zip(own.network.down, old, strict=True)
        ]
    # By rounding and a rare clipped cell alone; those above also by the chance of finite draws.
    assert moved[0.5][0] < 0.01 * moved[0.0][0] and moved[0.0][0] > 0.01


def test_what_sees_learns_to_find_again_what_was_dreamt():
    asked = grey().dream(400, 99)
    origin = origins_of(asked).hidden[0]
    sheets = np.array([list(dream[:-1]) for dream in asked]) / 255
    one = np.column_stack([sheets, np.ones(len(sheets))])
    best = np.square(one @ np.linalg.lstsq(one, origin, rcond=None)[0] - origin).mean()
    far = {}
    for recognition in (1.0, 0.0):
        own = grey(recognition=recognition, eta=0.1)
        for step in range(400):
            own.learn((), (), own.dream(20, step))
        far[recognition] = np.square(own.network.sweep(sheets)[1] - origin).mean()
    assert far[1.0] - best < 0.4 * (far[0.0] - best)  # Of what a linear reading could find.


def test_recognition_is_none_or_more():
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="recognition: expected 0 or more"):
            PredictiveCortexConfig(recognition=wrong)
