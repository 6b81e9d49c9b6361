"""The audit sees what a rule uses, and catches every rule that uses more than it says."""

import random
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest

from neurosim.audit import LOCAL, PROBES, SIGNALS, RuleSubject, audit, empty_scene, stage
from neurosim.discovery import members
from neurosim.rule import Rule
from rules.hebb import Hebb
from rules.sanger import Sanger
from rules.three_factor import ThreeFactor

RULES = members("rules", Rule)
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


@every_rule
def test_a_rule_is_local_unless_it_says_so(rule):
    assert audit(RuleSubject(rule())).local == ("explained" not in rule.knows)


def test_sanger_needs_other_cells_and_their_synapses():
    found = audit(RuleSubject(Sanger()))
    assert found.used - LOCAL == {"another postsynaptic cell", "another synapse"}


# Cheats: Hebb's rule declares pre and post, and each of these looks at something more. The loops
# run in Python while the audit runs, so a rule can reach whatever lives in the process.


def seen(name):
    """Return a variable of the loop that calls a formula; zero where there is no loop."""
    return np.asarray(sys._getframe(3).f_locals.get(name, 0.0))


def world():
    """Return the open world of the audit; zeros before it begins."""
    return stage() or empty_scene(np.random.default_rng(0))


HISTORY = []
CALLS = []
OWN_RNG = np.random.default_rng(0)


def remembers(pre, post):
    HISTORY.append(pre * post)
    return float(np.mean(HISTORY[-20:]))


def counts(pre, post):
    CALLS.append(1)
    return len(CALLS)


CHEATS = {
    "labels": lambda pre, post: world()["labels"][0],
    "another synapse": lambda pre, post: seen("weights").ravel()[-1],
    "another presynaptic cell": lambda pre, post: seen("pre").sum(),
    "another postsynaptic cell": lambda pre, post: seen("post").max(),
    "transposed forward weights": lambda pre, post: world()["weights_above"].T[0, 0],
    "other layers' weights": lambda pre, post: world()["weights_below"][1, 1],
    "global loss": lambda pre, post: world()["loss"],
    "batch": lambda pre, post: world()["batch_post"].mean(),
    "second phase": lambda pre, post: world()["second_post"][0],
    "future": lambda pre, post: world()["future_pre"][0, 0],
    "stored past": remembers,
    "hidden state": counts,
    "clock": lambda pre, post: time.perf_counter() % 7,
    "random numbers": lambda pre, post: random.random() + np.random.random(),  # noqa: NPY002
    "own weight": lambda pre, post: seen("x_weight"),
    "modulator": lambda pre, post: seen("modulator"),
    "error neuron": lambda pre, post: world()["error"][int(seen("j"))],
    "drive": lambda pre, post: world()["drive"][int(seen("j"))],
}


def cheating(peek):
    """Return Hebb's rule, multiplied by what it has no right to know."""

    @dataclass(frozen=True)
    class Cheat(Hebb):
        @staticmethod
        def change(pre, post, eta):
            return eta * pre * post * (1 + peek(pre, post))

    return Cheat()


@pytest.mark.global_rng
@pytest.mark.parametrize("signal", CHEATS)
def test_a_cheat_is_caught(signal):
    found = audit(RuleSubject(cheating(CHEATS[signal])))
    assert signal in found.undeclared
    assert not found.honest
    # And it is not accused of much else: a sum over all synapses has the own one in it, say.
    assert len(found.undeclared) <= 3


def test_twelve_cheats_and_more_are_injected():
    assert len(CHEATS) >= 12
    assert set(CHEATS) <= set(SIGNALS)
    # Pre and post are what the cheats may see; their traces and every neighbour are probed too.
    assert {probe.signal for probe in PROBES} - set(CHEATS) == {"pre", "post", "own trace"}


def test_a_generator_of_its_own_is_a_hidden_state():
    found = audit(RuleSubject(cheating(lambda pre, post: OWN_RNG.random())))
    assert "hidden state" in found.undeclared


def test_a_clock_that_was_imported_before_is_caught_as_a_hidden_state():
    now = time.perf_counter_ns
    found = audit(RuleSubject(cheating(lambda pre, post: now())))
    assert "hidden state" in found.undeclared


def test_a_cheat_in_a_trace_is_caught_before_it_reaches_a_weight():
    @dataclass(frozen=True)
    class Peeking(ThreeFactor):
        @staticmethod
        def eligibility(eligibility, pre, post, tau, dt):
            return eligibility + pre * post * world()["labels"].sum()

    assert audit(RuleSubject(Peeking())).undeclared == {"labels"}


def test_a_cheat_that_hides_at_one_synapse_only_is_caught():
    def peek(pre, post):
        return world()["labels"][0] if (seen("i"), seen("j")) == (1, 2) else 0.0

    assert "labels" in audit(RuleSubject(cheating(peek))).undeclared


def test_a_rule_that_declares_more_than_it_uses_is_told_so():
    @dataclass(frozen=True)
    class Boasting(Hebb):
        @staticmethod
        def change(pre, post, weight, modulator, eta):
            return eta * pre * post

    found = audit(RuleSubject(Boasting()))
    assert found.unused == {"own weight", "modulator"} and not found.honest


# Learners of a network are audited by the same call.


class Gradient:
    """One layer of a two-layer linear network, taught by backpropagation or a random way back."""

    def __init__(self, transposed):
        self.transposed, self.name = transposed, "gradient"
        self.declares = frozenset(
            {"pre", "labels", "other layers' weights", "post", "another postsynaptic cell"}
            | ({"transposed forward weights"} if transposed else set())
        )

    def scene(self, rng):
        return empty_scene(rng)

    def update(self, scene):
        forward = scene["weights_above"]
        error = scene["labels"] - (forward @ scene["post"] if self.transposed else 0.0)
        back = forward.T if self.transposed else np.ones((3, 2)) * scene["weights_below"][0, 0]
        return np.outer(back @ error, scene["pre"])[None]


def test_backpropagation_is_found_to_use_the_transposed_weights_and_the_labels():
    found = audit(Gradient(transposed=True))
    assert {"transposed forward weights", "labels", "another postsynaptic cell"} <= found.used
    assert not found.local and found.undeclared == set()


def test_a_random_way_back_is_found_to_do_without_them():
    found = audit(Gradient(transposed=False))
    assert "transposed forward weights" not in found.used and "labels" in found.used
