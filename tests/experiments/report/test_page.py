"""A report draws what is there, says what is not, and needs no network."""

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from experiments.report import summary, write_report
from neurosim.errors import InputError
from neurosim.recorder import Recorder

FIGURES = ("retention", "learning_curves", "replay", "separation", "capacity")


class Reader(HTMLParser):
    """Collect the addresses, identifiers and text of a page, and see that tags close."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open_tags: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset")]
        if tag not in self.VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open_tags:
            self.text += data


def report(directory: Path) -> tuple[str, Reader]:
    page = write_report(directory).read_text("utf-8")
    return page, Reader(page)


# The page


def test_a_report_is_one_page_and_a_png_a_figure(tmp_path, write_run, write_answers):
    write_run(tmp_path)
    write_answers(tmp_path)
    page, reader = report(tmp_path)
    made = {path.name for path in tmp_path.iterdir()} - {"run.h5", "answers.json"}
    assert made == {"report.html", *(f"{name}.png" for name in FIGURES)}
    assert reader.open_tags == []
    assert reader.tags.count("img") == len(FIGURES)
    for name in FIGURES:
        drawn = (tmp_path / f"{name}.png").read_bytes()
        assert drawn.startswith(b"\x89PNG")
        assert base64.b64encode(drawn).decode() in page
    assert "Not recorded." not in reader.text


def test_a_page_needs_no_network_and_stays_small_with_all_arms_and_a_long_day(
    tmp_path, every_arm, write_run, write_answers
):
    write_run(tmp_path, every_arm, (0, 1, 2, 3, 4), 60)
    write_answers(tmp_path, 60, "and then, " * 100)
    page, reader = report(tmp_path)
    assert len(page.encode()) < 1_500_000
    assert reader.addresses
    assert all(each.startswith("data:image/png;base64,") for each in reader.addresses)
    assert not re.search(r"url\(|@import|<script", page)


def test_equal_runs_make_equal_pages(tmp_path, write_run):
    write_run(tmp_path)
    assert report(tmp_path)[0] == report(tmp_path)[0]


def test_the_text_of_a_run_cannot_become_part_of_the_page(tmp_path, write_run, write_answers):
    evil = "<script>alert('a')</script>&amp;"
    write_run(tmp_path, name=evil)
    write_answers(tmp_path, cue=evil)
    page, reader = report(tmp_path)
    assert "script" not in reader.tags
    assert "<script" not in page
    assert reader.text.count(evil) >= 12 + 1


def test_what_is_not_recorded_is_said_and_the_rest_is_drawn(tmp_path, write_run):
    write_run(tmp_path, whole=False)
    _, reader = report(tmp_path)
    assert reader.tags.count("img") == 1
    assert reader.text.count("Not recorded.") == len(FIGURES) - 1 + 1
    assert (tmp_path / "retention.png").exists()
    assert not (tmp_path / "replay.png").exists()


def test_a_night_without_a_single_burst_counts_as_not_recorded(tmp_path, write_run):
    write_run(tmp_path, whole=False)
    with Recorder(tmp_path / "run.h5", {"arms": ["night"]}) as recorder:
        recorder.store("arms/night/new_recall", np.array([0.5]))
        for name in ("burst_cycle", "burst_memory", "burst_confidence", "cycle_memories"):
            recorder.store(f"night/{name}", np.array([]))
    _, reader = report(tmp_path)
    assert not (tmp_path / "replay.png").exists()
    assert "not recorded" in reader.text


def test_an_arm_without_a_metric_and_a_brain_that_knew_nothing_are_drawn(tmp_path):
    with Recorder(tmp_path / "run.h5", {"arms": ["night", "no REM"]}) as recorder:
        recorder.store("arms/night/new_recall", np.array([0.5, 0.75]))
        recorder.store("arms/night/base_before", np.zeros(2))
        recorder.store("arms/night/base_after", np.zeros(2))
        recorder.store("arms/no_REM/perplexity_before", np.ones(2))
        recorder.store("arms/no_REM/perplexity_after", np.array([np.inf, 2.0]))
        recorder.store("arms/no_REM/of_my_own", np.array([3.0, 3.0]))
    _, reader = report(tmp_path)
    assert "1 of 2 seeds" in reader.text
    assert "of_my_own" in reader.text


def test_all_metrics_settings_and_sources_stand_on_the_page(tmp_path, write_run, recording_of):
    write_run(tmp_path)
    _, reader = report(tmp_path)
    recording = recording_of(tmp_path)
    for each in summary.metric_table(recording):
        assert each["title"] in reader.text
    for each in ("night.cycles", "numpy", recording.provenance["date"]):
        assert each in reader.text


# What cannot be reported


def test_no_recording_is_said_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"run\.h5: expected the recording of a run, got none"):
        write_report(tmp_path)
    with pytest.raises(InputError, match="got none"):
        write_report(tmp_path / "missing")


@pytest.mark.parametrize("cut", [0, 100, 2000, -1])
def test_a_truncated_recording_is_an_input_error(tmp_path, cut, write_run):
    path = write_run(tmp_path) / "run.h5"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match="truncated"):
        write_report(tmp_path)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("other/x", (3,), "at least one arm"),
        ("arms/night/new_recall", (2, 2), "one value a seed"),
        ("separation/ca3", (2, 3), "square"),
        ("capacity/potentiated", (2,), "three counts"),
        ("night/burst_cycle", (4,), "equal rows"),
        ("arms/night/curve_recall", (2, 9), "for each step"),
    ],
)
def test_a_recording_of_another_shape_is_an_input_error(tmp_path, name, shape, words):
    with Recorder(tmp_path / "run.h5", {}) as recorder:
        if not name.startswith("other"):
            recorder.store("arms/night/seconds", np.ones(2))
            recorder.store("arms/night/curve_steps", np.ones(3))
        recorder.store(name, np.ones(shape))
    with pytest.raises(InputError, match=words) as caught:
        write_report(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "3", '["a"]', '[{"cue": "a"}]'])
def test_broken_answers_are_an_input_error(tmp_path, text, write_run):
    write_run(tmp_path, whole=False)
    (tmp_path / "answers.json").write_text(text, "utf-8")
    with pytest.raises(InputError, match="cues and answers"):
        write_report(tmp_path)
