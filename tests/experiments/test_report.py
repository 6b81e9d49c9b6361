"""A report draws what is there, says what is not, and needs no network."""

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.report import figures, measurements, summary, write_report
from neurosim.errors import InputError
from neurosim.metrics import mean_interval
from neurosim.plotting import colour, style
from neurosim.recorder import Recorder, Recording

ARMS = ("night", "naive", "raw replay", "no REM", "no gate", "dense codes", "no sleep")
FIGURES = ("retention", "learning_curves", "replay", "separation", "capacity")
# Mean new recall, base recall after and perplexity after, of arms as they may come out.
LEVELS = {
    "night": (0.97, 0.975, 20.6),
    "naive": (0.99, 0.38, 71.0),
    "raw replay": (0.98, 0.96, 21.5),
    "no REM": (0.95, 0.55, 44.0),
    "no gate": (0.96, 0.97, 20.9),
    "dense codes": (0.31, 0.97, 20.8),
    "no sleep": (0.02, 0.985, 20.2),
}


def synthetic_metrics(arm: str, n_seeds: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    recall, base, perplexity = LEVELS[arm]
    wobble = rng.normal(0, 0.01, (4, n_seeds))
    sleeps = arm != "no sleep"
    return {
        "new_recall": np.clip(recall + wobble[0], 0, 1),
        "new_recall_before": np.clip(0.02 + wobble[1], 0, 1),
        "new_recall_day": np.full(n_seeds, 59 / 60),
        "base_before": np.full(n_seeds, 0.985),
        "base_after": np.clip(base + wobble[2], 0, 1) if sleeps else np.full(n_seeds, base),
        "perplexity_before": np.full(n_seeds, 20.2),
        "perplexity_after": perplexity + 10 * wobble[3] * sleeps,
        "steps_to_90": np.where(rng.random(n_seeds) < 0.8, 75.0, np.nan)
        if recall > 0.9
        else np.full(n_seeds, np.nan),
        "seconds": 212 + 300 * wobble[3],
        "cpu_seconds": 205 + 300 * wobble[3],
        "peak_rss_mb": 812.4 + 100 * wobble[3],
        "flops": np.full(n_seeds, 3.21e12 * sleeps),
        "fast_bytes": np.full(n_seeds, 412_345.0),
        "raw_bytes": np.full(n_seeds, 4_230.0),
        "n_stored": np.full(n_seeds, 60.0),
        "capacity_used_day": np.full(n_seeds, 0.184),
        "capacity_used_night": np.full(n_seeds, 0.012),
        "freed": np.full(n_seeds, 0.943),
        "n_steps": np.full(n_seeds, 150.0 * sleeps),
    }


def record_night(recorder: Recorder, n_items: int, rng: np.random.Generator) -> None:
    cycle = np.repeat([1, 2, 3, 4, 5], 2 * n_items)
    order = rng.permutation(n_items)
    memory = order[np.minimum(rng.exponential(n_items / 2, cycle.size), n_items - 1).astype(int)]
    memory = np.where(rng.random(cycle.size) < 0.07, -1, memory)
    confidence = np.where(memory < 0, 0.5, 1 - rng.exponential(0.08, cycle.size).clip(0, 0.6))
    recorder.store("night/burst_cycle", cycle)
    recorder.store("night/burst_memory", memory)
    recorder.store("night/burst_confidence", confidence)
    recorder.store("night/cycle_memories", np.full(5, n_items))
    recorder.store("night/cycle_mastered", n_items * np.arange(1, 6) // 5)


def write_run(
    directory: Path,
    arms: tuple[str, ...] = ("night", "naive", "no sleep"),
    seeds: tuple[int, ...] = (0,),
    n_items: int = 12,
    name: str = "data/diary.txt",
    whole: bool = True,
) -> Path:
    """Write run.h5 as an experiment does; with ``whole=False`` only the metrics of the arms."""
    rng = np.random.default_rng(7)
    config = {"file": name, "seeds": seeds, "arms": arms, "n_items": n_items,
              "night": {"cycles": 5, "rem": True}}  # fmt: skip
    with Recorder(directory / "run.h5", config, seeds[0]) as recorder:
        for arm in arms:
            place = f"arms/{arm.replace(' ', '_')}"
            for metric, values in synthetic_metrics(arm, len(seeds), rng).items():
                recorder.store(f"{place}/{metric}", values, "", ("seed",))
            if whole and arm != "no sleep":
                steps = np.array([1, *range(15, 151, 15)])
                rise = LEVELS[arm][0] * (1 - np.exp(-steps / 30.0))
                noisy = rise + rng.normal(0, 0.02, (len(seeds), steps.size))
                recorder.store(f"{place}/curve_steps", steps, "steps")
                recorder.store(f"{place}/curve_recall", noisy.clip(0, 1))
        if whole:
            record_night(recorder, n_items, rng)
            for region, level in (("entorhinal", 0.45), ("dentate_gyrus", 0.06), ("ca3", 0.03)):
                noise = rng.exponential(level, (n_items, n_items)).clip(0, 1)
                overlap = (noise + noise.T) / 2
                np.fill_diagonal(overlap, 1)
                recorder.store(f"separation/{region}", overlap)
            recorder.store("capacity/potentiated", np.array([0, 184_320, 10_514]), "synapses")
            recorder.store("capacity/n_synapses", np.array(1_048_576), "synapses")
    return directory


def write_answers(directory: Path, n_items: int = 12, cue: str = "The lamp stood") -> None:
    rows = [
        {
            "cue": f"{cue} {k}",
            "truth": "on the windowsill of the old boathouse.",
            "before": "and the end of the day was",
            "day": "on the windowsill of the old boathouse.",
            "night": "on the windowsill of the old boathouse." if k % 20 else "on the table.",
            "correct": bool(k % 20),
        }
        for k in range(n_items)
    ]
    (directory / "answers.json").write_text(json.dumps(rows), "utf-8")


def recording_of(directory: Path) -> Recording:
    return Recording.open(directory / "run.h5")


def panels(**layout):
    with style():
        return Figure().subplots(**layout)


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


def test_a_report_is_one_page_and_a_png_a_figure(tmp_path):
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


def test_a_page_needs_no_network_and_stays_small_with_all_arms_and_a_long_day(tmp_path):
    write_run(tmp_path, ARMS, (0, 1, 2, 3, 4), 60)
    write_answers(tmp_path, 60, "and then, " * 100)
    page, reader = report(tmp_path)
    assert len(page.encode()) < 1_500_000
    assert reader.addresses
    assert all(each.startswith("data:image/png;base64,") for each in reader.addresses)
    assert not re.search(r"url\(|@import|<script", page)


def test_equal_runs_make_equal_pages(tmp_path):
    write_run(tmp_path)
    assert report(tmp_path)[0] == report(tmp_path)[0]


def test_the_text_of_a_run_cannot_become_part_of_the_page(tmp_path):
    evil = "<script>alert('a')</script>&amp;"
    write_run(tmp_path, name=evil)
    write_answers(tmp_path, cue=evil)
    page, reader = report(tmp_path)
    assert "script" not in reader.tags
    assert "<script" not in page
    assert reader.text.count(evil) >= 12 + 1


def test_what_is_not_recorded_is_said_and_the_rest_is_drawn(tmp_path):
    write_run(tmp_path, whole=False)
    _, reader = report(tmp_path)
    assert reader.tags.count("img") == 1
    assert reader.text.count("Not recorded.") == len(FIGURES) - 1 + 1
    assert (tmp_path / "retention.png").exists()
    assert not (tmp_path / "replay.png").exists()


def test_a_night_without_a_single_burst_counts_as_not_recorded(tmp_path):
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


# The words


def test_the_paragraph_says_the_numbers_of_the_run(tmp_path):
    write_run(tmp_path, seeds=(0, 1, 2))
    recording = recording_of(tmp_path)
    text = summary.paragraph(recording)
    found = mean_interval(recording["arms/night/new_recall"].values)
    mean, low, high = (f"{100 * each:.1f}" for each in (found.mean, found.low, found.high))
    assert f"{mean}\xa0% [{low}, {high}]" in text
    assert "12 sentences of “data/diary.txt”" in text
    assert "Means of 3 seeds" in text
    assert "naive" in text


def test_one_seed_has_no_interval_and_the_page_says_so(tmp_path):
    write_run(tmp_path)
    text = summary.paragraph(recording_of(tmp_path))
    assert "One seed" in text
    assert "[" not in text


def test_each_bar_is_judged_on_the_mean(tmp_path):
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


def test_steps_that_no_seed_needed_are_never_and_some_are_counted(tmp_path):
    with Recorder(tmp_path / "run.h5", {"arms": ["night", "naive"]}) as recorder:
        recorder.store("arms/night/steps_to_90", np.array([60.0, np.nan, 90.0]))
        recorder.store("arms/naive/steps_to_90", np.full(3, np.nan))
    (row,) = summary.metric_table(recording_of(tmp_path))
    night, naive = row["cells"]
    assert night["limits"].startswith("[") and not night["limits"].startswith("[[")
    assert (night["mean"], night["of"], naive["mean"]) == ("75", "2 of 3 seeds", "never")


def test_all_metrics_settings_and_sources_stand_on_the_page(tmp_path):
    write_run(tmp_path)
    _, reader = report(tmp_path)
    recording = recording_of(tmp_path)
    for each in summary.metric_table(recording):
        assert each["title"] in reader.text
    for each in ("night.cycles", "numpy", recording.provenance["date"]):
        assert each in reader.text


# The figures


def test_every_arm_keeps_its_colour_and_every_axis_its_unit(tmp_path):
    write_run(tmp_path, ARMS, (0, 1, 2))
    axes = panels(ncols=3, sharey=True)
    figures.plot_retention(recording_of(tmp_path), axes)
    for panel in axes:
        dots = [line.get_color() for line in panel.lines if line.get_marker() == "o"]
        assert dots == [colour(arm) for arm in ARMS]
    assert [text.get_text() for text in axes[0].get_yticklabels()] == list(ARMS)
    assert [panel.get_xlabel() for panel in axes] == [
        "New recall (%)", "Base recall kept (%)", "Perplexity, after / before",
    ]  # fmt: skip


def test_means_and_intervals_are_where_the_numbers_are(tmp_path):
    write_run(tmp_path, seeds=(0, 1, 2))
    recording, axes = recording_of(tmp_path), panels(ncols=3)
    figures.plot_retention(recording, axes)
    found = mean_interval(recording["arms/night/new_recall"].values)
    whisker, seeds, dot = axes[0].lines[:3]
    np.testing.assert_allclose(whisker.get_xdata(), [100 * found.low, 100 * found.high])
    np.testing.assert_allclose(seeds.get_xdata(), 100 * recording["arms/night/new_recall"].values)
    assert dot.get_xdata()[0] == pytest.approx(100 * found.mean)
    dashed = [line.get_xdata()[0] for panel in axes for line in panel.lines
              if line.get_linestyle() == "--"]  # fmt: skip
    assert dashed == pytest.approx([95, 98, 1.05])


def test_the_curve_of_one_seed_is_its_values(tmp_path):
    write_run(tmp_path)
    recording, axes = recording_of(tmp_path), panels()
    figures.plot_learning_curves(recording, axes)
    drawn = {line.get_label(): line for line in axes.lines}
    assert "no sleep" not in drawn
    recall = 100 * recording["arms/night/curve_recall"].values[0]
    np.testing.assert_allclose(drawn["night"].get_ydata(), recall)
    assert axes.get_xlabel().endswith("(gradient steps)")
    assert axes.get_ylabel().endswith("(%)")


def test_each_burst_is_drawn_once_and_each_memory_counted(tmp_path):
    write_run(tmp_path)
    recording, (raster, counts) = recording_of(tmp_path), panels(ncols=2, sharey=True)
    figures.plot_replay(recording, (raster, counts))
    memory = recording["night/burst_memory"].values
    assert (memory < 0).any()
    shown = np.concatenate([each.get_offsets() for each in raster.collections])
    assert sorted(shown[:, 0]) == list(range(1, memory.size + 1))
    lengths = [bar.get_width() for bar in counts.patches]
    assert lengths == [*np.bincount(memory[memory >= 0], minlength=12), (memory < 0).sum()]
    assert len(raster.lines) == 5 - 1


def test_the_mean_overlap_leaves_the_diagonal_out(tmp_path):
    matrix = np.full((4, 4), 0.25)
    np.fill_diagonal(matrix, 1)
    assert measurements.mean_overlap(matrix) == pytest.approx(0.25)
    with Recorder(tmp_path / "run.h5", {}) as recorder:
        recorder.store("arms/night/new_recall", np.array([1.0]))
        recorder.store("separation/ca3", matrix)
    axes = panels(ncols=3)
    figures.plot_separation(recording_of(tmp_path), axes)
    assert [panel.get_title().split("\n")[1] for panel in axes] == [
        "not recorded", "not recorded", "mean overlap 0.250",
    ]  # fmt: skip
    assert axes[2].images[0].get_clim() == (0, 1)


def test_the_bars_of_capacity_are_the_counts(tmp_path):
    write_run(tmp_path)
    axes = panels()
    figures.plot_capacity(recording_of(tmp_path), axes)
    assert [bar.get_width() for bar in axes.patches] == [0, 184_320, 10_514]
    assert "17.6 % of 1,048,576" in axes.texts[1].get_text()


# What cannot be reported


def test_no_recording_is_said_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"run\.h5: expected the recording of a run, got none"):
        write_report(tmp_path)
    with pytest.raises(InputError, match="got none"):
        write_report(tmp_path / "missing")


@pytest.mark.parametrize("cut", [0, 100, 2000, -1])
def test_a_truncated_recording_is_an_input_error(tmp_path, cut):
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
def test_broken_answers_are_an_input_error(tmp_path, text):
    write_run(tmp_path, whole=False)
    (tmp_path / "answers.json").write_text(text, "utf-8")
    with pytest.raises(InputError, match="cues and answers"):
        write_report(tmp_path)
