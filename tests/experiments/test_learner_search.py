"""A learner's trial at a task, and the same search for every learner's settings."""

import dataclasses
import math

import numpy as np
import pytest

from experiments.learners import comparison, search
from experiments.learners.search import SEED, Found, space_of, suggest, winners
from experiments.learners.trial import Job, Trial, configured, run_trial
from experiments.tasks.concept_drift import ConceptDrift
from experiments.tasks.digits import Digits
from experiments.tasks.interference import Interference
from experiments.tasks.regression import Regression
from neurosim.discovery import member, members
from neurosim.errors import ConfigError, CorruptFileError, StorageError
from neurosim.learner import Learner
from neurosim.task import Task
from rules.backprop import Backprop

pytestmark = pytest.mark.compiled

LEARNERS = members("rules", Learner)
TINY = Digits(hidden=(12,), n_train=96, n_validation=40, n_test=40, passes=2, batch=8)


@pytest.fixture(autouse=True)
def _no_winners(monkeypatch, tmp_path):
    """Search from the learners' defaults, whatever is committed."""
    monkeypatch.setattr(search, "WINNERS", tmp_path / "none.json")


# One trial


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_learns_a_task_or_says_why_it_cannot(name):
    task = dataclasses.replace(TINY, n_train=400, passes=3)
    trial = run_trial(name, {}, "digits", task, 0, True)
    if trial.fault:
        assert trial.fault.startswith("not defined")
        return
    assert trial.score > 0.3 and trial.score == trial.scores[-1, 0]
    assert trial.samples[0] == 0 and trial.samples[-1] == trial.numbers["samples"] == 1200
    assert trial.cosines.shape == (11, 2) and np.isfinite(trial.cosines[1:]).any()
    assert all(trial.numbers[name] > 0 for name in comparison.COSTS)


def test_learners_get_the_same_weights_samples_and_order():
    one, other = (
        run_trial("backprop", {"engine": engine}, "digits", TINY, 3, True)
        for engine in ("numpy", "torch")
    )
    np.testing.assert_array_equal(one.samples, other.samples)
    np.testing.assert_array_equal(one.scores, other.scores)
    third = run_trial("backprop", {}, "digits", TINY, 4, True)
    assert not np.array_equal(one.scores, third.scores)
    aligned = run_trial("feedback_alignment", {}, "digits", TINY, 3, True)
    np.testing.assert_array_equal(one.scores[0], aligned.scores[0])  # Before learning.
    assert not np.array_equal(one.scores[-4:], aligned.scores[-4:])


def test_costs_are_those_of_learning_not_of_exams():
    trial = run_trial("backprop", {}, "digits", TINY, 0, True)
    first, last = 64 * 12, 12 * 10
    # Up, the change of weights, down through the last layer; and the step, once a batch.
    per_sample = 2 * (first + last) + last
    assert trial.numbers["updates_per_sample"] == (first + last) / 8
    assert trial.numbers["multiply_adds_per_sample"] == per_sample + (first + last) / 8
    fewer = run_trial("backprop", {}, "digits", dataclasses.replace(TINY, probes=(1.0,)), 0, True)
    assert fewer.numbers["multiply_adds_per_sample"] == per_sample + (first + last) / 8
    # Single precision, with biases and the number of steps taken.
    n_bytes = 4 * (first + last + 12 + 10) + 8
    assert trial.numbers["bytes_per_synapse"] == pytest.approx(n_bytes / (first + last))


def test_a_validation_trial_measures_the_score_only():
    trial = run_trial("backprop", {}, "digits", TINY, 0, False)
    assert np.isnan(trial.cosines).all() and math.isfinite(trial.score)
    assert trial.score != run_trial("backprop", {}, "digits", TINY, 0, True).score


def test_a_trial_comes_back_from_its_bytes():
    trial = run_trial("backprop", {}, "digits", TINY, 0, True)
    again = Trial.unpack(trial.pack())
    assert again.score == trial.score and again.fault == ""
    np.testing.assert_equal(again.numbers, trial.numbers)
    np.testing.assert_array_equal(again.cosines, trial.cosines)


def test_later_stages_change_what_was_learnt():
    kept = {"n_train": 200, "n_validation": 40, "hidden": (16,), "passes": 8}
    trial = run_trial("backprop", {}, "interference", Interference(**kept), 0, True)
    assert trial.scores.shape == (15, 2) and trial.numbers["interference"] > 0.1
    drift = ConceptDrift(n_concepts=3, interval=30, n_train=400, n_validation=40, hidden=(32,))
    trial = run_trial("backprop", {"optimiser.eta": 0.5}, "concept_drift", drift, 0, True)
    assert trial.scores.shape == (13, 1)
    # Just after the labels were reshuffled it knows less than just before.
    assert trial.scores[5] < trial.scores[4]


def test_a_run_that_diverges_is_told_with_layer_step_and_value():
    trial = run_trial("backprop", {"optimiser.eta": 1e6}, "regression", Regression(), 0, True)
    assert trial.fault.startswith("diverged: Backprop.loss: expected a finite number")
    assert "at step" in trial.fault and "in layer" in trial.fault
    assert math.isnan(trial.score) and len(trial.samples) < 11
    assert Trial.unpack(trial.pack()).fault == trial.fault


def test_settings_are_fields_by_dotted_path():
    learner = configured(Backprop(), {"optimiser.eta": 0.5, "engine": "torch"})
    assert learner.optimiser.eta == 0.5 and learner.engine == "torch"
    with pytest.raises(ConfigError, match="did you mean 'eta'"):
        configured(Backprop(), {"optimiser.etta": 0.5})
    with pytest.raises(ConfigError, match="a learning rate above 0"):
        configured(Backprop(), {"optimiser.eta": 0.0})


# The search


@pytest.fixture
def asked(monkeypatch):
    """Return the jobs that a search runs; the score is known."""
    jobs = []

    def trial(*job):
        jobs.append(Job(*job))
        eta = jobs[-1].settings["optimiser.eta"]
        return Trial(1 - abs(math.log10(eta) + 2) / 10)

    monkeypatch.setattr(search, "run_trial", trial)
    return jobs


def test_a_search_has_its_budget_starts_at_the_defaults_and_never_sees_test_samples(asked):
    same = set()
    for learner in LEARNERS:
        asked.clear()
        found = search.search(learner, "digits", TINY, 10, "")
        assert len(found.tried) == len(asked) == 10
        assert not any(job.final for job in asked) and {job.seed for job in asked} == {SEED}
        own = member("rules", Learner, learner)().optimiser
        assert asked[0].settings["optimiser.kind"] == own.kind
        assert asked[0].settings["optimiser.eta"] == own.eta
        # The next seven are the same learning rates for every learner, all else its own.
        shared = [(j.settings["optimiser.kind"], j.settings["optimiser.eta"]) for j in asked[1:8]]
        same.add(tuple(shared))
        for job in asked[1:8]:
            rest = {k: v for k, v in job.settings.items() if not k.startswith("optimiser")}
            kind = member("rules", Learner, learner)
            assert configured(kind(), rest) == kind()
        assert found.best[1] == max(score for _, score in found.tried)
        for job in asked:  # Whatever is suggested, the learner can be.
            configured(member("rules", Learner, learner)(), job.settings)
    assert len(same) == 1


def test_learners_with_the_same_space_and_scores_are_asked_the_same(asked):
    one, other = (search.search(name, "digits", TINY, 11, "") for name in ("backprop", "zil"))
    assert one.tried == other.tried


def test_a_search_is_seeded_and_goes_on_where_it_was_interrupted(asked, monkeypatch, tmp_path):
    whole = search.search("backprop", "digits", TINY, 6, "")
    assert search.search("backprop", "digits", TINY, 6, "").tried == whole.tried
    known, n_before = search.run_trial, len(asked)

    def dies(*job):
        if len(asked) - n_before == 4:
            raise KeyboardInterrupt
        return known(*job)

    monkeypatch.setattr(search, "run_trial", dies)
    with pytest.raises(KeyboardInterrupt):
        search.search("backprop", "digits", TINY, 6, str(tmp_path))
    monkeypatch.setattr(search, "run_trial", known)
    asked.clear()
    again = search.search("backprop", "digits", TINY, 6, str(tmp_path))
    assert again.tried == whole.tried and len(asked) == 2
    search.forget(again, TINY, str(tmp_path))
    assert not (tmp_path / "unfinished").exists()


def test_what_diverges_does_not_win(monkeypatch):
    scores = iter([math.nan, 0.3, math.nan, 0.2])
    monkeypatch.setattr(search, "run_trial", lambda *job: Trial(next(scores), fault="diverged"))
    found = search.search("backprop", "digits", TINY, 4, "")
    assert found.best[1] == 0.3
    assert str(Found.unpack(found.pack())) == str(found)
    assert Found("a", "b", (({"x": 1}, math.nan),)).best[0] == {"x": 1}


def test_a_learner_that_is_not_defined_is_asked_once(monkeypatch):
    monkeypatch.setattr(search, "run_trial", lambda *job: Trial(math.nan, fault="not defined: x"))
    assert len(search.search("backprop", "digits", TINY, 5, "").tried) == 1


class Asked:
    """What optuna's trial is to a space."""

    def suggest_categorical(self, name, choices):
        return choices[-1]

    def suggest_int(self, name, low, high):
        return high

    def suggest_float(self, name, low, high, log):
        return low


def test_a_range_may_depend_on_a_choice():
    space = {
        "kind": {"choices": ["sgd", "adam"]},
        "eta": {"by": "kind", "sgd": {"log": [0.1, 1]}, "adam": {"linear": [0.2, 0.3]}},
        "n": {"integer": [2, 5]},
    }
    assert suggest(Asked(), space) == {"kind": "adam", "eta": 0.2, "n": 5}
    with pytest.raises(ConfigError, match="log, linear, integer, choices or by"):
        suggest(Asked(), {"n": {"between": [2, 5]}})


def test_all_learners_share_the_space_of_the_optimiser_and_others_are_learners_own():
    from neurosim.storage import read_json

    spaces = read_json(search.SPACE)
    assert set(spaces) - {search.ALL, search.FIRST} <= set(LEARNERS)
    for learner in LEARNERS:
        assert set(spaces[search.ALL]) <= set(space_of(learner))


def test_committed_winners_are_settings_that_learners_can_have():
    found = winners(search.DATA / "learner_winners.json")
    tasks = members("experiments.tasks", Task)
    assert found
    for task, rows in found.items():
        budgets = {row["n_trials"] for row in rows.values() if row["validation_score"] is not None}
        assert task in tasks and len(budgets) == 1, task
        for learner, row in rows.items():
            configured(member("rules", Learner, learner)(), row["settings"])


def test_a_file_of_something_else_is_refused(tmp_path):
    (tmp_path / "other.json").write_text("[1]")
    with pytest.raises(CorruptFileError, match="expected winners of neurosim compare"):
        winners(tmp_path / "other.json")
    with pytest.raises(StorageError):
        winners(tmp_path / "missing.json")
    assert winners() == {}
