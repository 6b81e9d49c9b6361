"""What learners need is found by intervention, and who needs more than it says is caught."""

import random
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest

from neurosim.audit import LOCAL, SIGNALS
from neurosim.discovery import members
from neurosim.errors import ConfigError
from neurosim.learner import Direction, Learner, correlation
from neurosim.learner_audit import audit_learner, made
from neurosim.optimisers import Optimiser
from rules.backprop import Backprop
from rules.feedback_alignment import FeedbackAlignment

LEARNERS = members("rules", Learner)
every_learner = pytest.mark.parametrize("kind", LEARNERS.values(), ids=LEARNERS)


@every_learner
def test_a_learner_uses_exactly_the_signals_it_says_it_needs(kind):
    for seed in range(2):
        found = audit_learner(kind(), seed)
        assert found.used == kind.needs, (found.undeclared, found.unused)


def test_backprop_needs_the_way_down_and_feedback_alignment_does_not():
    backprop, alignment = audit_learner(Backprop()), audit_learner(FeedbackAlignment())
    assert backprop.used - alignment.used == {"transposed forward weights"}
    assert alignment.used - LOCAL == {"labels"}


def test_autograd_from_outside_is_seen_to_use_the_weights_above_and_the_labels():
    found = audit_learner(Backprop(engine="torch"))
    assert {"transposed forward weights", "labels"} <= found.used and not found.local


# Cheats: feedback alignment declares pre, an error neuron and labels; each looks at something more.

HISTORY = []
CALLS = []


def remembers(network, memory, x, y, d):
    past = memory.arrays.setdefault("past", np.zeros(()))
    past += x.sum()
    return past


def counts(network, memory, x, y, d):
    CALLS.append(1)
    return len(CALLS)


CHEATS = {
    "transposed forward weights": lambda network, memory, x, y, d: network.weights[1].sum(axis=0)[
        :, None
    ],
    "own weight": lambda network, memory, x, y, d: network.weights[0],
    "another synapse": lambda network, memory, x, y, d: np.square(network.weights[0]).sum(),
    "other layers' weights": lambda network, memory, x, y, d: network.weights[2].sum(),
    "another postsynaptic cell": lambda network, memory, x, y, d: d.sum(axis=0),
    "another presynaptic cell": lambda network, memory, x, y, d: d.sum(axis=1)[:, None],
    "batch": lambda network, memory, x, y, d: x.std(axis=0).sum(),
    "stored past": remembers,
    "hidden state": counts,
    "clock": lambda network, memory, x, y, d: time.perf_counter() % 7,
    "random numbers": lambda network, memory, x, y, d: random.random() + np.random.random(),  # noqa: NPY002
}


def cheating(peek):
    """Return feedback alignment, its first layer multiplied by what it has no right to know."""

    @dataclass(frozen=True, kw_only=True)
    class Cheat(FeedbackAlignment):
        def direction(self, network, memory, x, y):
            found = super().direction(network, memory, x, y)
            first = found.weights[0]
            return found._replace(
                weights=[first * (1 + peek(network, memory, x, y, first)), *found.weights[1:]]
            )

    return Cheat()


@pytest.mark.global_rng
@pytest.mark.parametrize("signal", CHEATS)
def test_a_cheat_is_caught(signal):
    found = audit_learner(cheating(CHEATS[signal]))
    assert not found.honest and not found.local
    assert signal in found.undeclared


def test_more_than_ten_kinds_of_cheat_are_injected():
    assert set(CHEATS) <= set(SIGNALS) and len(CHEATS) > 10


@dataclass(frozen=True, kw_only=True)
class Hebbian(Learner):
    """Hebb's product of the activities on their way up, too slow to grow without bound."""

    optimiser: Optimiser = Optimiser(eta=1e-4)

    source: ClassVar[str] = "This test (2026)"
    needs: ClassVar[frozenset[str]] = frozenset({"pre", "post"})

    def direction(self, network, memory, x, y):
        activities, weights = network.forward(x).activities, []
        gate = self.gate(network, x, y)
        for layer, (pre, post) in enumerate(pairwise(activities)):
            memory.show("pre", layer, pre)
            memory.show("post", layer, post)
            weights.append(gate * post.T @ pre / len(x))
        losses = network.losses(activities[-1], y)
        return Direction(weights, [np.zeros_like(b) for b in network.biases], losses)

    def gate(self, network, x, y):
        return 1.0


@dataclass(frozen=True, kw_only=True)
class Broadcast(Hebbian):
    """A three-factor rule: times the loss, the same for all synapses."""

    needs: ClassVar[frozenset[str]] = Hebbian.needs | {"labels", "global loss", "batch"}

    def gate(self, network, x, y):
        return -network.losses(network.predict(x), y).mean()


@dataclass(frozen=True, kw_only=True)
class Peeking(Hebbian):
    """The target has its own say at each cell."""

    def gate(self, network, x, y):
        return y[:, 0]


def test_unsupervised_learning_needs_its_two_cells_only():
    found = audit_learner(Hebbian())
    assert found.honest and found.local


def test_a_broadcast_is_told_from_knowing_the_targets():
    assert audit_learner(Broadcast()).honest
    assert audit_learner(Peeking()).undeclared == {"labels"}


@dataclass(frozen=True, kw_only=True)
class TwoPhases(FeedbackAlignment):
    """Feedback alignment whose hidden errors are shown as a second phase."""

    needs: ClassVar[frozenset[str]] = frozenset({"pre", "second phase", "labels"})

    def direction(self, network, memory, x, y):
        drives, activities = network.forward(x)
        error = y - activities[-1]
        weights, biases = [], []
        for layer in reversed(range(network.n_layers)):
            memory.show("pre", layer, activities[layer])
            memory.show("second phase", layer, error)
            weights.insert(0, error.T @ activities[layer] / len(x))
            biases.insert(0, error.mean(axis=0))
            if layer:
                error = error @ memory.arrays[f"feedback/{layer}"]
        found = super().direction(network, memory.__class__(memory.moments, memory.arrays), x, y)
        return found._replace(weights=weights, biases=biases)


def test_a_second_phase_is_found():
    assert audit_learner(TwoPhases()).honest


def test_a_learner_that_declares_more_than_it_uses_is_told_so():
    @dataclass(frozen=True, kw_only=True)
    class Boasting(FeedbackAlignment):
        needs: ClassVar[frozenset[str]] = FeedbackAlignment.needs | {"own weight", "batch"}

    found = audit_learner(Boasting())
    assert found.unused == {"own weight", "batch"} and not found.honest


def test_a_need_that_is_no_signal_of_the_audit_is_refused():
    @dataclass(frozen=True, kw_only=True)
    class Vague(FeedbackAlignment):
        needs: ClassVar[frozenset[str]] = frozenset({"intuition"})

    with pytest.raises(ConfigError, match="intuition"):
        audit_learner(Vague())


def test_a_learner_that_accepts_no_network_says_which_it_would():
    @dataclass(frozen=True, kw_only=True)
    class Choosy(FeedbackAlignment):
        def check(self, network):
            raise ConfigError("Choosy: expected a network of one layer")

    with pytest.raises(ConfigError, match="one layer"):
        audit_learner(Choosy())


def test_correlation_shows_both_its_signals():
    shown = []
    world = made(FeedbackAlignment(), 0, "tanh", 0)
    world.memory.tap = lambda signal, layer, values: shown.append((signal, layer))
    correlation(world.network, world.memory, 1, world.x[:, :3].copy(), world.x)
    assert shown == [("pre", 1), ("error neuron", 1)]
