"""Every rule keeps the contract: whoever adds a file to `rules/` adds no line here."""

import dataclasses
import inspect
import re

import numpy as np
import pytest

from neurosim.contracts import Rule
from neurosim.discovery import modules

MODULES = modules("rules")
N_PRE, N_POST = 7, 5
SIGNALS = {"pre", "post", "weights", "modulator"}


def rules_of(module):
    return [
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if each.__module__ == module.__name__ and hasattr(each, "delta")
    ]


RULES = [rule for module in MODULES.values() for rule in rules_of(module)]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)


def situation(seed=0):
    """Draw the activity and the dense weights ``(n_post, n_pre)`` of a small projection."""
    rng = np.random.default_rng(seed)
    return {
        "pre": (rng.random(N_PRE) < 0.6).astype(np.float64),
        "post": (rng.random(N_POST) < 0.6).astype(np.float64),
        "weights": rng.integers(0, 5, size=(N_POST, N_PRE)).astype(np.float64),
        "modulator": 1.0,
    }


def delta(rule, pre, post, weights, modulator):
    """Apply a rule to every synapse of a dense projection."""
    out = np.full(N_POST * N_PRE, np.nan)  # A synapse that is not filled shows.
    rule.delta(np.tile(pre, N_POST), np.repeat(post, N_PRE), weights.ravel(), modulator, out)
    return out.reshape(N_POST, N_PRE)


def perturbed(signals, name):
    changed = {**signals, name: np.asarray(signals[name]) * 0.5 + 0.25}
    return {**changed, "modulator": float(changed["modulator"])}


def test_there_are_rules_and_each_module_holds_one():
    assert RULES
    assert {name for name, module in MODULES.items() if not rules_of(module)} == set()


@every_rule
def test_a_rule_is_a_frozen_dataclass_whose_parameters_have_defaults(rule):
    assert dataclasses.is_dataclass(rule) and rule.__dataclass_params__.frozen
    instance = rule()
    assert isinstance(instance, Rule)
    for field in dataclasses.fields(rule):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(instance, field.name, 0)


@every_rule
def test_a_rule_names_its_source_and_what_a_synapse_must_know(rule):
    assert re.search(r"\(\d{4}\)", rule.source), "a source has authors and a year"
    assert set(rule.knows) <= SIGNALS and rule.knows
    assert rule.acts_on in ("coincidence", "pre", "post", "all")
    for words in ("must know", "may not", "References"):
        assert words in rule.__doc__


@every_rule
@pytest.mark.parametrize("modulator", [1.0, -1.0, 0.0, 2.5])
def test_delta_is_the_formula_of_the_paper(rule, modulator):
    instance, signals = rule(), {**situation(), "modulator": modulator}
    known = {**dataclasses.asdict(instance), **signals}
    wanted = inspect.signature(rule.reference).parameters
    expected = rule.reference(**{name: known[name] for name in wanted})
    assert expected.shape == (N_POST, N_PRE)
    if modulator:
        assert np.any(expected != 0)
    np.testing.assert_allclose(delta(instance, **signals), expected, rtol=1e-12)


@every_rule
def test_delta_depends_on_what_it_declares_and_on_nothing_else(rule):
    instance, signals = rule(), situation()
    before = delta(instance, **signals)
    assert np.isfinite(before).all()
    for name in SIGNALS:
        after = delta(instance, **perturbed(signals, name))
        assert np.array_equal(after, before) == (name not in rule.knows), name


@every_rule
def test_delta_is_local_and_changes_no_input(rule):
    instance, signals = rule(), situation()
    copies = {name: np.copy(value) for name, value in signals.items()}
    before = delta(instance, **signals)
    assert all(np.array_equal(signals[name], copies[name]) for name in SIGNALS)
    signals["pre"][2] = 7.0
    after = delta(instance, **signals)
    others = np.arange(N_PRE) != 2
    assert np.array_equal(after[:, others], before[:, others])
    assert not np.array_equal(after[:, 2], before[:, 2])
