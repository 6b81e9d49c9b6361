"""Every rule keeps the contract: whoever adds a file to `rules/` adds no line here."""

import dataclasses
import inspect
import math
import re

import numpy as np
import pytest

from neurosim.audit import RuleSubject, audit
from neurosim.connectivity import Full, Generated, Stored
from neurosim.discovery import members, modules
from neurosim.errors import ConfigError
from neurosim.learner import Learner
from neurosim.plasticity import PlasticProjection
from neurosim.rule import SIGNALS, Rule, arguments, check_rule

RULES = members("rules", Rule)
LEARNERS = members("rules", Learner)
SYNAPTIC = {name: rule for name, rule in RULES.items() if rule.acts_on != "cell"}
N_PRE, N_POST, FAN_OUT = 9, 8, 5
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
every_synaptic_rule = pytest.mark.parametrize("rule", SYNAPTIC.values(), ids=SYNAPTIC)


def projection(rule, connectivity=None, seed=0, **options):
    """Return a projection in the middle of its life: weights and traces are drawn."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 5, size=(N_POST, N_PRE)).astype(float)
    wired = connectivity or Full(N_PRE, N_POST)
    made = PlasticProjection(wired, rule(), weights, dt=0.01, **options)
    for name in rule.pre_traces + rule.post_traces:
        made.traces[name][:] = 0.2 + 0.6 * rng.random(made.traces[name].shape)
    drawn = 0.2 + 0.6 * rng.random((len(rule.own_traces), N_POST, N_PRE))
    for name, values in zip(rule.own_traces, drawn, strict=True):
        for i in range(N_PRE):
            made.traces[name][i] = values[made.connectivity.targets(i), i]
    return made


def signals(seed=1, modulator=1.0):
    rng = np.random.default_rng(seed)
    return {
        "pre": (rng.random(N_PRE) < 0.6).astype(float),
        "post": (rng.random(N_POST) < 0.4).astype(float),
        "modulator": modulator,
        "error": rng.normal(size=N_POST),
        "drive": rng.normal(size=N_POST),
    }


def as_matrix(made, name):
    """Return a trace in the shape that `reference` gets."""
    values = made.traces[name]
    return values.T.copy() if values.ndim == 2 else values.copy()


def test_there_are_rules_and_each_module_holds_a_rule_or_a_learner():
    assert len(RULES) >= 16
    assert not set(RULES) & set(LEARNERS)
    assert set(RULES) | set(LEARNERS) == set(modules("rules"))


@every_rule
def test_a_rule_is_a_frozen_dataclass_whose_parameters_have_defaults(rule):
    assert dataclasses.is_dataclass(rule) and rule.__dataclass_params__.frozen
    instance = rule()
    assert isinstance(instance, Rule)
    for field in dataclasses.fields(rule):
        assert re.search(rf"\b{field.name}\b", rule.__doc__), field.name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(instance, field.name, 0)


@every_rule
def test_a_rule_names_its_source_and_what_a_synapse_must_know(rule):
    assert re.search(r"\(\d{4}\)", rule.source), "a source has authors and a year"
    assert set(rule.knows) <= {*SIGNALS, "weights", "trace"} and rule.knows
    text = " ".join(rule.__doc__.split())
    for words in ("must know", "may not", "References"):
        assert words in text


@every_rule
def test_a_rule_asks_for_nothing_that_a_synapse_cannot_know(rule):
    check_rule(rule)


@every_rule
def test_a_rule_uses_what_it_declares_and_nothing_else(rule):
    found = audit(RuleSubject(rule()))
    assert (found.undeclared, found.unused) == (set(), set())


@every_rule
def test_a_rule_refuses_parameters_that_make_no_sense(rule):
    for field in dataclasses.fields(rule):
        wrong = [math.nan, math.inf]
        wrong += [-1.0] if field.name.startswith(("tau", "eta", "step")) else []
        wrong += [0.0] if field.name.startswith("tau") else []
        for value in wrong:
            with pytest.raises(ConfigError, match=rf"{rule.__name__}\.{field.name}: expected"):
                rule(**{field.name: value})


@every_rule
@pytest.mark.parametrize("modulator", [1.0, -1.0, 0.0, 2.5])
def test_a_step_is_the_formula_of_the_paper(rule, modulator):
    made, given = projection(rule), signals(modulator=modulator)
    before, traces = made.matrix(), {name: as_matrix(made, name) for name in rule.traces()}
    made.learn(**given)
    if rule.traces_first:
        traces = {name: as_matrix(made, name) for name in rule.traces()}
    known = {**dataclasses.asdict(made.rule), **given, "weight": before, "dt": 0.01, **traces}
    wanted = inspect.signature(rule.reference).parameters
    expected = rule.reference(**{name: known[name] for name in wanted})
    if rule.acts_on == "cell":
        (name,) = rule.post_traces
        np.testing.assert_allclose(made.traces[name], expected, rtol=1e-12)
        assert np.array_equal(made.matrix(), before)
        return
    assert expected.shape == (N_POST, N_PRE)
    assert np.any(expected != 0) or not modulator
    # Weights are of the order of 1, and a change is one rounding of their sum.
    np.testing.assert_allclose(made.matrix() - before, expected, rtol=1e-12, atol=1e-14)


@every_synaptic_rule
def test_where_a_rule_does_not_act_nothing_changes(rule):
    given = signals()
    everyone = dataclasses.make_dataclass(
        "Everywhere", [], bases=(rule,), frozen=True, namespace={"acts_on": "all"}
    )
    here, everywhere = projection(rule), projection(everyone)
    n = here.learn(**given)
    everywhere.learn(**given)
    assert np.array_equal(here.weights, everywhere.weights)
    assert 0 < n <= N_PRE * N_POST


@every_rule
def test_dense_stored_and_generated_give_the_same_weights_bit_for_bit(rule):
    whole = {
        "dense": Full(N_PRE, N_POST),
        "generated": Generated(N_PRE, N_POST, N_POST, seed=3),
        "stored": Stored(N_PRE, N_POST, N_POST, np.random.default_rng(4)),
    }
    part = {
        "generated": Generated(N_PRE, N_POST, FAN_OUT, seed=3),
        "stored": Stored(N_PRE, N_POST, FAN_OUT, np.random.default_rng(4)),
    }
    grown = {}
    for place, wirings in (("whole", whole), ("part", part)):
        for name, wired in wirings.items():
            made = projection(rule, wired)
            for step in range(6):
                made.learn(**signals(step, modulator=0.5))
            grown[place, name] = made
    dense = grown["whole", "dense"]
    if rule.acts_on != "cell":
        assert not np.array_equal(dense.matrix(), projection(rule).matrix())
    for (place, _), made in grown.items():
        if place == "part" and "explained" in rule.knows:
            continue  # What is explained depends on who is connected.
        weights = made.matrix()
        for i in range(N_PRE):
            targets = made.connectivity.targets(i)
            assert np.array_equal(weights[targets, i], dense.matrix()[targets, i])
        for name in rule.pre_traces + rule.post_traces:
            assert np.array_equal(made.traces[name], dense.traces[name])


@every_rule
def test_interpreted_loops_give_what_compiled_loops_give(rule):
    compiled, interpreted = projection(rule), projection(rule, manner="interpreted")
    for step in range(3):
        counts = [each.learn(**signals(step)) for each in (compiled, interpreted)]
        assert counts[0] == counts[1]
    np.testing.assert_allclose(compiled.weights, interpreted.weights, rtol=1e-12)
    assert compiled.ledger == interpreted.ledger


@every_synaptic_rule
def test_single_precision_follows_double_precision_and_bounds_hold(rule):
    single = projection(rule, dtype=np.float32, bounds=(0.5, 4.5))
    double = projection(rule, bounds=(0.5, 4.5))
    for step in range(4):
        single.learn(**signals(step))
        double.learn(**signals(step))
    assert single.weights.dtype == np.float32
    np.testing.assert_allclose(single.weights, double.weights, rtol=1e-5)
    for made in (single, double):
        assert made.weights.min() >= 0.5 and made.weights.max() <= 4.5


@every_rule
def test_a_signal_that_a_rule_knows_must_be_given(rule):
    wanted = {name for formula in rule.formulas() for name in arguments(formula)}
    for name in wanted & {"modulator", "error", "drive"}:
        with pytest.raises(ConfigError, match="never comes"):
            projection(rule).learn(**{**signals(), name: None})
