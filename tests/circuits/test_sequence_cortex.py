"""A sequence cortex learns which place comes next, by context, and looks at itself at dusk."""

import numpy as np
import pytest
import torch

from circuits.sequence_cortex import SequenceCortex, SequenceCortexConfig
from neurosim.contracts import Cortex, drift_since_dusk
from neurosim.errors import ConfigError, InputError

FORWARD = tuple(range(8))


def trained(lessons=(FORWARD, FORWARD[::-1]), steps=300, rate=2.0, n_items=8):
    cortex = SequenceCortex(SequenceCortexConfig(n_items=n_items, rate=rate))
    for _ in range(steps):
        cortex.learn(lessons, [1.0] * len(lessons), [])
    return cortex


def test_it_keeps_the_contract_of_a_cortex():
    assert isinstance(SequenceCortex(), Cortex)


def test_both_directions_of_a_track_are_told_apart_by_two_places():
    cortex = trained()
    assert cortex.recall([(2, 3)])[0].items == (4, 5, 6, 7)
    assert cortex.recall([(5, 4)])[0].items == (3, 2, 1, 0)
    # One place alone cannot tell: either neighbour is about as likely.
    p = cortex.predict([(4,)])[0]
    assert min(p[3], p[5]) > 0.3


def test_a_step_goes_down_the_gradient_of_the_cross_entropy():
    """By autograd, on weights that are not zero."""
    cortex = trained(steps=3, rate=0.5)
    before = cortex.weights.copy()
    lessons, dreams, trust = [(0, 1, 2), (3, 2)], [(5, 6)], [0.9, 0.4]
    weights = torch.tensor(before, requires_grad=True)
    loss = torch.zeros((), dtype=torch.float64)
    n, end = 8, 8
    for sequence, weight in zip([*lessons, *dreams], [*trust, 0.5], strict=True):
        items = [end, end, *sequence, end]
        for k in range(2, len(items)):
            drive = weights[items[k - 1]] + weights[n + 1 + items[k - 2]] + weights[-1]
            loss = loss - weight / 3 * torch.log_softmax(drive, 0)[items[k]]
    loss.backward()
    cortex.learn(lessons, trust, dreams)
    np.testing.assert_allclose(cortex.weights, before - 0.5 * weights.grad.numpy(), rtol=1e-12)


def test_what_a_night_writes_is_apart_until_it_is_merged():
    cortex = trained()
    before = {name: array.copy() for name, array in cortex.state.items()}
    cortex.grow(0)
    assert cortex.growing
    np.testing.assert_array_equal(cortex.weights, before["weights"])
    dreams = cortex.dream(5, 1)
    assert drift_since_dusk(cortex, dreams) == 1.0
    for _ in range(200):
        cortex.learn([(0, 4, 1, 5)], [1.0], [])
    assert cortex.recall([(0, 4)])[0].items == (1, 5)
    assert drift_since_dusk(cortex, dreams) > 1.0
    with cortex.dusk():
        assert cortex.recall([(2, 3)])[0].items == (4, 5, 6, 7)
    discarded = trained()
    discarded.grow(0)
    discarded.learn([(0, 4)], [1.0], [])
    discarded.discard()
    np.testing.assert_array_equal(discarded.weights, before["weights"])
    cortex.merge()
    assert not cortex.growing
    assert cortex.recall([(0, 4)])[0].items == (1, 5)


def test_dreams_of_what_is_known_are_sequences_of_it_and_follow_their_cue():
    cortex = trained()
    steps = np.concatenate([np.diff(dream) for dream in cortex.dream(40, 3, 0.3)])
    neighbours = np.abs(steps) == 1
    assert len(neighbours) > 100
    assert np.mean(neighbours) > 0.9
    for dream in cortex.dream(6, 4, 0.3, cues=[(3, 4)] * 6):
        assert dream[:2] == (3, 4)
    assert cortex.dream(5, 7) == cortex.dream(5, 7)


def test_surprise_is_low_for_what_is_known_and_has_one_value_an_element():
    cortex = trained()
    known, strange = cortex.surprise([FORWARD, (0, 5, 1)])
    assert known.shape == (8,) and strange.shape == (3,)
    assert known[2:].max() < 1.0 < strange[1:].min()


def test_bad_input_is_refused():
    with pytest.raises(InputError, match=r"places of 0\.\.7"):
        trained(steps=1).recall([(3, 8)])
    with pytest.raises(ConfigError, match="SequenceCortexConfig.n_items"):
        SequenceCortexConfig(n_items=1)
    with pytest.raises(ConfigError, match="SequenceCortexConfig.rate"):
        SequenceCortexConfig(rate=-1.0)


def test_at_no_temperature_it_dreams_of_what_is_most_likely():
    cortex = SequenceCortex(SequenceCortexConfig(n_items=8))
    # The likeliest has 0.13, and 0.13 ** 1000 is 0 in double precision.
    cortex.weights[-1, 3], cortex.weights[-1, -1] = 0.2, 0.1
    assert cortex.dream(1, seed=0, temperature=0.0) == [(3,) * cortex.config.longest]


def test_a_restored_cortex_goes_on_bit_for_bit_in_the_middle_of_a_night():
    whole, other = trained(steps=20), trained(steps=3)
    other.grow(0)
    other.restore(whole.state)
    assert not other.growing
    whole.grow(1)
    whole.learn([FORWARD], [1.0], [])
    other.restore(whole.state)
    assert other.growing
    for each in (whole, other):
        each.learn([FORWARD], [1.0], each.dream(3, 2))
        each.merge()
    np.testing.assert_array_equal(other.weights, whole.weights)
    assert (whole.weights != trained(steps=20).weights).any()
    other.restore(whole.state)
    other.weights[0] += 1  # It has taken a copy.
    assert (other.weights != whole.weights).any()
    for state in ({}, {"weights": np.zeros((2, 2))}, {**whole.state, "tonight": np.zeros(3)}):
        with pytest.raises(InputError, match="expected an array of shape"):
            other.restore(state)
