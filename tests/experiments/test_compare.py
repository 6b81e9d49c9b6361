"""Learners are compared on equal terms, and the comparison survives what happens to it."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.learners import comparison, search
from experiments.learners.comparison import Config
from experiments.learners.search import SEED
from experiments.learners.table import table
from experiments.learners.trial import Job
from experiments.tasks.digits import Digits
from experiments.tasks.mnist import MNIST
from experiments.tasks.regression import Regression
from neurosim.discovery import members
from neurosim.errors import ConfigError
from neurosim.learner import Learner
from rules.backprop import Backprop

pytestmark = pytest.mark.compiled

ROOT = Path(__file__).parents[2]
LEARNERS = members("rules", Learner)
TINY = Digits(hidden=(12,), n_train=96, n_validation=40, n_test=40, passes=2, batch=8)
SMALL = ["digits.hidden=12", "digits.n_train=96", "digits.n_test=40", "digits.passes=1"]


def config(learners=("backprop", "feedback_alignment"), task=TINY, **settings):
    settings = {"seeds": (0, 1), "workers": 1, **settings}
    return Config(learners, {"digits": task}, **settings)


@pytest.fixture(autouse=True)
def _no_winners(monkeypatch, tmp_path):
    """Compare with the learners' defaults, whatever is committed."""
    monkeypatch.setattr(search, "WINNERS", tmp_path / "none.json")


# The comparison


def test_a_comparison_measures_every_cell_and_pairs_by_seed():
    result = comparison.run(config())
    values = result.metrics()
    difference = np.subtract(
        result.scores("digits", "feedback_alignment"), result.scores("digits", "backprop")
    )
    assert values["digits_feedback_alignment_minus_backprop"] == pytest.approx(difference.mean())
    assert values["digits_backprop_cosine_layer_0"] == pytest.approx(1)
    assert values["digits_feedback_alignment_cosine_layer_1"] == pytest.approx(1)
    assert values["feedback_alignment_signals"] == ["error neuron", "labels", "pre"]
    assert values["digits_backprop_score_low"] < values["digits_backprop_score"]
    text = table(result)
    assert text.count("\n| ") == 2 and "transposed forward weights" in text
    lengths = {len(line) for line in text.splitlines()[:4]}
    assert len(lengths) == 1  # It reads as plain text too.


def test_winners_are_used_where_there_are_any():
    chosen = {"digits": {"backprop": {"settings": {"optimiser.eta": 0.33}}}}
    result = comparison.run(config(winners=chosen))
    assert result.settings["digits", "backprop"] == {"optimiser.eta": 0.33}
    assert result.settings["digits", "feedback_alignment"] == {}
    kin = Config(("backprop",), {"mnist": MNIST()}, (0,), 0, chosen)
    assert comparison.won(kin, "mnist", "backprop") == {"optimiser.eta": 0.33}
    wrong = {"digits": {"backprop": {"settings": {"optimiser.eta": -1.0}}}}
    with pytest.raises(ConfigError, match="a learning rate above 0"):
        comparison.run(config(winners=wrong))


def test_a_cell_that_diverges_is_marked_and_the_comparison_goes_on(tmp_path):
    chosen = {"regression": {"backprop": {"settings": {"optimiser.eta": 1e6}}}}
    task = Regression(n_train=100, n_exam=20, passes=2)
    ours = Config(("backprop", "feedback_alignment"), {"regression": task}, (0, 1), 0, chosen, 1)
    result = comparison.run(ours)
    values = result.metrics()
    assert values["n_faults"] == values["regression_backprop_n_faults"] == 2
    assert math.isnan(values["regression_backprop_score"])
    assert values["regression_backprop_fault"].startswith("diverged: Backprop.loss")
    assert math.isfinite(values["regression_feedback_alignment_score"])
    assert math.isnan(values["regression_feedback_alignment_minus_backprop"])
    text = table(result)
    assert "| diverged" in text and "- regression, backprop: diverged: Backprop.loss" in text
    drawn(result)


def test_a_learner_that_refuses_the_network_is_marked(monkeypatch):
    def check(self, network):
        raise ConfigError("Backprop: expected something else")

    result = comparison.run(config())
    monkeypatch.setattr(Backprop, "check", check)
    monkeypatch.setattr(comparison, "audit_learner", lambda learner: result.audits["backprop"])
    result = comparison.run(config())
    assert "| not defined" in table(result)
    assert math.isfinite(result.metrics()["digits_feedback_alignment_score"])
    drawn(result)


def drawn(result):
    from experiments.learners.figure import draw
    from neurosim import plotting

    with plotting.style():
        assert len(plotting.figure_bytes(draw(result))) > 10_000


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learners": ("backpropp",)}, "did you mean 'Backprop'"),
        ({"seeds": ()}, "one or more from 0 on"),
        ({"seeds": (SEED,)}, "without 1000"),
        ({"n_trials": -1}, "0 or more"),
    ],
)
def test_a_comparison_that_cannot_be_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        config(**settings)


# The command


def command(*words, out, learners="backprop,feedback_alignment"):
    return main(
        ["compare", "--learners", learners, "--workers", "1", "--seeds", "2", "--out", str(out)]
        + [*words, *SMALL]
    )


def test_the_command_prints_draws_and_writes(tmp_path, capsys):
    target, figure, text = (tmp_path / name for name in ("n.json", "f.png", "t.md"))
    assert command("--json", str(target), "--figure", str(figure), "--table", str(text),
                   out=tmp_path / "out") == 0  # fmt: skip
    values = json.loads(target.read_text())
    assert values["n_seeds"] == 2 and values["learners"] == ["backprop", "feedback_alignment"]
    assert values["digits_backprop_multiply_adds_per_sample"] > 0
    assert values["digits_backprop_interference"] is None
    assert figure.stat().st_size > 10_000
    assert text.read_text().strip() in capsys.readouterr().out


def test_a_search_writes_winners_that_the_next_comparison_uses(tmp_path, capsys):
    chosen = tmp_path / "w.json"
    assert command("--search", "3", "--winners", str(chosen), out=tmp_path) == 0
    found = json.loads(chosen.read_text())
    assert found["seed"] == SEED and "every learner" in found["space"]
    row = found["winners"]["digits"]["backprop"]
    assert row["n_trials"] == 3 and 0 < row["validation_score"] <= 1
    assert not (tmp_path / "unfinished").exists()
    assert command("--winners", str(chosen), "--json", str(tmp_path / "n.json"), out=tmp_path) == 0
    settings = json.loads((tmp_path / "n.json").read_text())["digits_backprop_settings"]
    assert f"optimiser.eta={row['settings']['optimiser.eta']}" in settings
    # A search of another learner leaves the others' winners.
    assert command("--search", "2", "--winners", str(chosen), out=tmp_path, learners="zil") == 0
    assert set(json.loads(chosen.read_text())["winners"]["digits"]) == {
        "backprop", "feedback_alignment", "zil",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "learners", "expected"),
    [
        ((), "feedback_alignement", "did you mean 'feedback_alignment'?"),
        (("--tasks", "digitz"), "backprop", "did you mean 'Digits'?"),
        (("digits.pases=2",), "backprop", "did you mean passes?"),
        (("digitss.passes=2",), "backprop", "did you mean 'digits'?"),
        (("--seeds", "0"), "backprop", "--seeds: expected 1 or more"),
        (("--winners", "nowhere.json"), "backprop", "nowhere.json"),
        ((), "", "compare.learners: expected one or more names"),
        (("--tasks", ","), "backprop", "compare.tasks: expected one or more names"),
    ],
)
def test_mistakes_get_one_sentence(tmp_path, capsys, words, learners, expected):
    assert command(*words, out=tmp_path, learners=learners) == 2
    text = capsys.readouterr().err
    assert expected in text and text.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"digits": 3}', "expected settings by learner in winners.digits, got others"),
        ('{"digits": {"backprop": {}}}', "in winners.digits.backprop, got others; search anew"),
        ('{"digits": {"backprop": {"settings": 3}}}', "in winners.digits.backprop, got others"),
        (
            '{"digits": {"backprop": {"settings": {"optimiser.eta": "fast"}}}}',
            "Optimiser.eta: expected a value of type float, got 'fast'; write one such as 0.1",
        ),
        (
            '{"digits": {"backprop": {"settings": {"optimiser.eta": -1}}}}',
            "Optimiser.eta: expected a learning rate above 0, got -1",
        ),
    ],
)
def test_winners_that_cannot_be_get_one_sentence(tmp_path, capsys, text, expected):
    chosen = tmp_path / "w.json"
    chosen.write_text(f'{{"winners": {text}}}')
    assert command("--winners", str(chosen), out=tmp_path, learners="backprop") == 2
    said = capsys.readouterr().err
    assert expected in said and said.count("\n") == 1


def test_a_missing_set_stops_before_any_work(tmp_path, capsys, monkeypatch):
    from neurosim import task

    task._loaded.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("NEUROSIM_DATA", raising=False)
    words = ["compare", "--tasks", "digits,fashion", "--learners", "backprop"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 2
    text = capsys.readouterr().err
    assert str(tmp_path / "neurosim" / "fashion") in text and "NEUROSIM_DATA" in text
    assert "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84" in text


def test_an_interrupted_comparison_goes_on(tmp_path, capsys, monkeypatch):
    known, done = comparison.run_trial, []

    def counted(*job):
        done.append(Job(*job))
        return known(*job)

    def dies(*job):
        if len(done) == 3:
            raise KeyboardInterrupt
        return counted(*job)

    for function in (counted, dies):  # A shelf knows a job by its function's name.
        function.__qualname__, function.__module__ = "run_trial", known.__module__
    monkeypatch.setattr(comparison, "run_trial", dies)
    assert command(out=tmp_path) == 130
    assert "what was finished is kept" in capsys.readouterr().err
    assert list((tmp_path / "unfinished").iterdir())
    monkeypatch.setattr(comparison, "run_trial", counted)
    assert command(out=tmp_path) == 0
    assert len(done) == 4 and len({(job.learner, job.seed) for job in done}) == 4
    assert not (tmp_path / "unfinished").exists()


LEARNER = '''"""Feedback alignment by another name."""

from dataclasses import dataclass

from rules.feedback_alignment import FeedbackAlignment


@dataclass(frozen=True, kw_only=True)
class Mine(FeedbackAlignment):
    """Backwards."""
'''


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_learner_of_the_users_own_is_compared_by_dropping_one_file(tmp_path, workers):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "mine.py").write_text(LEARNER)
    target = tmp_path / "n.json"
    words = ["compare", "--learners", "mine,feedback_alignment", "--workers", workers]
    words += ["--seeds", "2", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "experiments", *words, "--json", str(target), *SMALL],
        cwd=ROOT, env={**os.environ, "NEUROSIM_RULES": str(tmp_path / "rules")},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    values = json.loads(target.read_text())
    assert values["mine_honest"] and values["digits_mine_samples"] > 0


@pytest.mark.slow
def test_processes_give_the_same_numbers():
    one, other = (comparison.run(config(workers=n)).metrics() for n in (1, 2))
    for key, value in one.items():
        if "seconds" not in key:
            np.testing.assert_equal(other[key], value, err_msg=key)
