"""The figures of a report stand for the numbers of the run."""

import numpy as np
import pytest

from experiments.report import figures, measurements
from neurosim.metrics import mean_interval
from neurosim.plotting import colour
from neurosim.recorder import Recorder


def test_every_arm_keeps_its_colour_and_every_axis_its_unit(
    tmp_path, every_arm, write_run, recording_of, panels
):
    write_run(tmp_path, every_arm, (0, 1, 2))
    axes = panels(ncols=3, sharey=True)
    figures.plot_retention(recording_of(tmp_path), axes)
    for panel in axes:
        dots = [line.get_color() for line in panel.lines if line.get_marker() == "o"]
        assert dots == [colour(arm) for arm in every_arm]
    assert [text.get_text() for text in axes[0].get_yticklabels()] == list(every_arm)
    assert [panel.get_xlabel() for panel in axes] == [
        "New recall (%)", "Base recall kept (%)", "Perplexity, after / before",
    ]  # fmt: skip


def test_means_and_intervals_are_where_the_numbers_are(tmp_path, write_run, recording_of, panels):
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


def test_the_curve_of_one_seed_is_its_values(tmp_path, write_run, recording_of, panels):
    write_run(tmp_path)
    recording, axes = recording_of(tmp_path), panels()
    figures.plot_learning_curves(recording, axes)
    drawn = {line.get_label(): line for line in axes.lines}
    assert "no sleep" not in drawn
    recall = 100 * recording["arms/night/curve_recall"].values[0]
    np.testing.assert_allclose(drawn["night"].get_ydata(), recall)
    assert axes.get_xlabel().endswith("(gradient steps)")
    assert axes.get_ylabel().endswith("(%)")


def test_each_burst_is_drawn_once_and_each_memory_counted(
    tmp_path, write_run, recording_of, panels
):
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


def test_the_mean_overlap_leaves_the_diagonal_out(tmp_path, recording_of, panels):
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


def test_the_bars_of_capacity_are_the_counts(tmp_path, write_run, recording_of, panels):
    write_run(tmp_path)
    axes = panels()
    figures.plot_capacity(recording_of(tmp_path), axes)
    assert [bar.get_width() for bar in axes.patches] == [0, 184_320, 10_514]
    assert "17.6 % of 1,048,576" in axes.texts[1].get_text()
