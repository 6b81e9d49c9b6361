"""The main job: every arm runs through on any day, with as many steps, and is kept in a file."""

import dataclasses
import json

import numpy as np
import pytest

from circuits import brain as brain_module
from circuits.brain import Brain
from circuits.night import NightConfig
from experiments import arms, one_night
from experiments.childhood import DATA, shipped_facts
from experiments.examination import examine_items
from neurosim.text import Sentence, read_sentences

pytestmark = [pytest.mark.compiled, pytest.mark.usefixtures("as_it_was")]

NIGHT = NightConfig(cycles=2, steps=3)
LINES = (DATA / "diary.txt").read_text("utf-8").splitlines()[:4]


def test_the_first_half_of_a_sentence_is_the_cue_and_the_longer_one():
    day = [Sentence(text, k) for k, text in enumerate(("One", "One two", "A b c d e.", "A b c d."))]
    asked = [(item.cue, item.answer) for item in examine_items(day)]
    assert asked == [("One", "two"), ("A b c", "d e."), ("A b", "c d.")]


@pytest.mark.parametrize("arm", ["night", "naive", "no REM", "dense codes"])
def test_every_arm_of_the_main_job_runs_through(small_brains, monkeypatch, arm):
    facts = shipped_facts()[:20]
    monkeypatch.setattr(arms, "shipped_facts", lambda: facts)
    monkeypatch.setattr(arms, "heldout_perplexity", lambda cortex: 40.0)
    sentences = list(read_sentences(DATA / "diary.txt"))[:8]
    night = dataclasses.replace(NIGHT, cycles=1)
    result = arms.run_arm(arms.ArmConfig(arm, 1, known=3, night=night), sentences)
    metrics = result.metrics
    assert metrics["base_before"] >= 0.95 and 0 <= metrics["base_after"] <= 1
    assert 0 <= metrics["new_recall"] <= 1 and metrics["new_recall_before"] <= 0.25
    assert metrics["n_steps"] == NIGHT.steps
    assert metrics["n_read"] == 11 and len(result.answers) == 8
    if arm != "dense codes":
        assert metrics["new_recall_day"] >= 0.9


def test_a_sentence_longer_than_the_language_model_can_read_stops_no_arm(small_brains, monkeypatch):
    monkeypatch.setattr(arms, "shipped_facts", lambda: shipped_facts()[:5])
    monkeypatch.setattr(arms, "heldout_perplexity", lambda cortex: 40.0)
    long = " ".join(f"harbour{k}" for k in range(200)) + "."
    sentences = [Sentence(text, k) for k, text in enumerate([*LINES, long])]
    for arm in ("night", "naive"):
        config = arms.ArmConfig(arm, 1, night=NIGHT)
        assert arms.run_arm(config, sentences).metrics["n_read"] >= 5


def test_a_day_that_does_not_fit_stops_no_arm(monkeypatch, sizes):
    """Dense codes hold less than a day: what fits is what that control has."""
    monkeypatch.setattr(Brain, "_hippocampus_config", sizes["tiny"])
    monkeypatch.setattr(brain_module, "ADOLESCENCE", 40)
    monkeypatch.setattr(arms, "shipped_facts", lambda: shipped_facts()[:5])
    monkeypatch.setattr(arms, "heldout_perplexity", lambda cortex: 40.0)
    sentences = list(read_sentences(DATA / "diary.txt"))
    metrics = arms.run_arm(arms.ArmConfig("night", 1, known=20, night=NIGHT), sentences).metrics
    assert 0 < metrics["n_stored"] < len(sentences)


def test_every_arm_takes_the_same_number_of_steps_however_much_it_writes():
    config = one_night.Config(arms=arms.ARMS, seeds=(0, 1))
    jobs = one_night.arms_of(config, n_sentences=120)
    assert len(jobs) == 2 * len(arms.ARMS)
    assert {job.night.steps for job in jobs} == {2 * config.night.steps}
    assert min(job.night.steps_for for job in jobs) > 10**6


def test_an_arm_survives_being_kept_in_a_file(small_brains, monkeypatch):
    monkeypatch.setattr(arms, "shipped_facts", lambda: shipped_facts()[:5])
    monkeypatch.setattr(arms, "heldout_perplexity", lambda cortex: 40.0)
    sentences = list(read_sentences(DATA / "diary.txt"))[:5]
    config = arms.ArmConfig("night", night=dataclasses.replace(NIGHT, cycles=1))
    result = arms.run_arm(config, sentences)
    again = arms.ArmResult.unpack(result.pack())
    assert result.bursts and result.overlaps
    for field in dataclasses.fields(result):
        if field.name != "overlaps":  # By text, since a criterion never reached is NaN.
            assert repr(getattr(again, field.name)) == repr(getattr(result, field.name)), field.name
    assert all(np.array_equal(again.overlaps[k], v) for k, v in result.overlaps.items())


@pytest.mark.slow
def test_the_main_job_meets_its_bars(tmp_path, neurosim):
    place = tmp_path / "sleep.json"
    found = neurosim("sleep", "--out", tmp_path / "out", "--json", place)
    assert found.returncode == 0, found.stderr
    values = json.loads(place.read_text())
    keys = {
        "new_recall", "base_before", "base_after", "perplexity_before", "perplexity_after",
        "seconds", "cpu_seconds", "peak_rss_mb",
    }  # fmt: skip
    assert keys <= set(values)
    assert values["controls"] and all(keys <= set(row) for row in values["controls"].values())
    assert values["new_recall"] >= 0.95
    assert values["base_after"] >= 0.98 * values["base_before"]
    assert values["perplexity_after"] <= 1.05 * values["perplexity_before"]
    assert values["peak_rss_mb"] <= 2000
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<html" in page and "http" not in page.split("<body")[0].replace("http-equiv", "")
