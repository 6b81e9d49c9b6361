"""The one figure of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.learners.comparison import BASELINE, Result, marked
from neurosim.plotting import colour, label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(result: Result) -> Figure:
    """Return scores task by task, and for the first task: learning, credit and cost."""
    from matplotlib.figure import Figure

    tasks, learners = result.config.tasks, result.config.learners
    tall = 0.27 * len(learners) + 1.0
    figure = Figure(figsize=(max(9.0, 1.7 * len(tasks) + 3.0), tall + 3.8), layout="constrained")
    parts = figure.add_gridspec(2, 1, height_ratios=(tall, 3.8))
    upper, lower = figure.add_subfigure(parts[0]), figure.add_subfigure(parts[1])
    for axes, task in zip(np.ravel(upper.subplots(1, len(tasks), sharey=True)), tasks, strict=True):
        scores(result, task, axes)
    left, middle, right = lower.subplots(1, 3)
    first = next(iter(tasks))
    learning(result, first, left)
    credit(result, first, middle)
    cost(result, first, right)
    return figure


def scores(result: Result, task: str, axes: Axes) -> None:
    """Draw the score of each learner with its interval; a line marks backpropagation."""
    learners = result.config.learners
    for row, learner in enumerate(learners):
        mean = result.mean(task, learner, "score")
        if not mean.n:
            word = marked(result.fault(task, learner))
            place = axes.get_yaxis_transform()
            axes.text(0.02, row, word, transform=place, va="center", fontsize=7)
            continue
        ends = [[mean.mean - mean.low], [mean.high - mean.mean]] if mean.n > 1 else None
        axes.errorbar(
            mean.mean, row, xerr=ends, fmt="o", color=colour(learner), markersize=4, capsize=2
        )
    if BASELINE in learners and result.mean(task, BASELINE, "score").n:
        axes.axvline(result.mean(task, BASELINE, "score").mean, color="0.6", linewidth=0.8)
    means = [result.mean(task, learner, "score").mean for learner in learners]
    if np.isfinite(means).any():  # Few seeds may have intervals far beyond what a score can be.
        low = float(np.clip(np.nanmin(means), -0.5, 0.9))
        axes.set_xlim(low - 0.15 * (1 - low), 1 + 0.05 * (1 - low))
    axes.set_yticks(range(len(learners)), [name.replace("_", " ") for name in learners])
    axes.set_ylim(len(learners) - 0.5, -0.5)
    axes.set_title(result.config.tasks[task].title, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.locator_params(axis="x", nbins=4)
    measure = {"r_squared": "R squared"}.get(result.config.tasks[task].measure, "accuracy")
    label(axes.xaxis, measure)


def learning(result: Result, task: str, axes: Axes) -> None:
    """Draw the score over the samples learnt from."""
    for learner in result.config.learners:
        trials = [t for t in result.trials[task, learner] if not t.fault]
        if trials:
            mean = np.mean([trial.scores[:, 0] for trial in trials], axis=0)
            axes.plot(trials[0].samples[1:], mean[1:], color=colour(learner), linewidth=1.2)
    axes.set_xscale("log")
    label(axes.xaxis, "learnt from", "samples")
    label(axes.yaxis, f"score, {result.config.tasks[task].title}")


def credit(result: Result, task: str, axes: Axes) -> None:
    """Draw the cosine with the gradient layer by layer."""
    for learner in result.config.learners:
        cosines, _ = result.credit(task, learner)
        if np.isfinite(cosines).any():
            axes.plot(np.arange(1, len(cosines) + 1), cosines, "o-", color=colour(learner),
                      markersize=4, linewidth=1.2)  # fmt: skip
    axes.axhline(0.0, color="0.6", linewidth=0.8)
    axes.set_xticks(range(1, len(result.config.tasks[task].network().sizes)))
    label(axes.xaxis, "layer of weights")
    label(axes.yaxis, "cosine with the gradient")


def cost(result: Result, task: str, axes: Axes) -> None:
    """Draw the score over what a sample costs."""
    costs = []
    for learner in result.config.learners:
        mean = result.mean(task, learner, "score")
        if mean.n:
            at = result.mean(task, learner, "multiply_adds_per_sample").mean
            axes.plot(at, mean.mean, "o", color=colour(learner), markersize=6)
            costs.append(np.log10(at))
    axes.set_xscale("log")
    if costs:  # Whole decades, or ticks crowd.
        axes.set_xlim(10 ** np.floor(min(costs)), 10 ** np.ceil(max(costs) + 1e-9))
    label(axes.xaxis, "cost", "multiply-adds a sample")
    label(axes.yaxis, f"score, {result.config.tasks[task].title}")
