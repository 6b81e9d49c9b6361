"""The words of a report: its paragraph, its verdicts and its table of numbers."""

import numpy as np
import pytest

from experiments.report import summary
from neurosim.metrics import mean_interval
from neurosim.recorder import Recorder


def test_the_paragraph_says_the_numbers_of_the_run(tmp_path, write_run, recording_of):
    write_run(tmp_path, seeds=(0, 1, 2))
    recording = recording_of(tmp_path)
    text = summary.paragraph(recording)
    found = mean_interval(recording["arms/night/new_recall"].values)
    mean, low, high = (f"{100 * each:.1f}" for each in (found.mean, found.low, found.high))
    assert f"{mean}\xa0% [{low}, {high}]" in text
    assert "12 sentences of “data/diary.txt”" in text
    assert "Means of 3 seeds" in text
    assert "naive" in text


def test_one_seed_has_no_interval_and_the_page_says_so(tmp_path, write_run, recording_of):
    write_run(tmp_path)
    text = summary.paragraph(recording_of(tmp_path))
    assert "One seed" in text
    assert "[" not in text


def test_each_bar_is_judged_on_the_mean(tmp_path, recording_of):
    with Recorder(tmp_path / "run.h5", {}) as recorder:
        for name, row in {
            "new_recall": [0.94, 0.96],  # Its mean is the bar itself.
            "base_before": [1.0, 1.0],
            "base_after": [0.99, 0.95],
            "perplexity_before": [20.0, 20.0],
            "perplexity_after": [20.0, 21.5],
        }.items():
            recorder.store(f"arms/night/{name}", np.array(row))
    states = [tile["state"] for tile in summary.verdicts(recording_of(tmp_path))]
    assert states == ["met", "missed", "met"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1, "1"), (57.00000001, "57"), (97.3333, "97.33"), (1.0234, "1.023"),
        (0.012345, "0.01235"), (1234.5, "1,234"), (412345, "412,345"), (-3.21, "-3.210"),
        (float("nan"), "—"), (1e-5, "1e-05"),
    ],
)  # fmt: skip
def test_a_number_has_four_digits_or_is_whole(value, text):
    assert summary.number(value) == text


def test_steps_that_no_seed_needed_are_never_and_some_are_counted(tmp_path, recording_of):
    with Recorder(tmp_path / "run.h5", {"arms": ["night", "naive"]}) as recorder:
        recorder.store("arms/night/steps_to_90", np.array([60.0, np.nan, 90.0]))
        recorder.store("arms/naive/steps_to_90", np.full(3, np.nan))
    (row,) = summary.metric_table(recording_of(tmp_path))
    night, naive = row["cells"]
    assert night["limits"].startswith("[") and not night["limits"].startswith("[[")
    assert (night["mean"], night["of"], naive["mean"]) == ("75", "2 of 3 seeds", "never")
