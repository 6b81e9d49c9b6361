"""The one table of a comparison, in Markdown that reads as plain text too."""

import math

from experiments.learners.comparison import Result, marked
from neurosim.audit import LOCAL
from neurosim.metrics import Interval

HEAD = (
    "task",
    "learner",
    "score",
    "minus backprop",
    "samples to 90 %",
    "cosine by layer",
    "target alignment",
    "interference",
    "updates a sample",
    "multiply-adds a sample",
    "B a synapse",
    "CPU s",
    "beyond its two cells",
)
NOTES = (
    "Score: mean [95 % interval] over seeds of the accuracy (regression: R squared) on test "
    "samples; concept drift: mean over all exams; two tasks: both in the end. Minus backprop: "
    "paired by seed. Cosine with the gradient, from the first layer to the last, and target "
    "alignment: means over exams. Beyond its two cells: signals that a hidden synapse needs and "
    "that are not at hand there, found by intervention."
)


def table(result: Result) -> str:
    """Return a row a task and learner, and what the columns mean."""
    rows: list[tuple[str, ...]] = [HEAD]
    for task, learner in result.trials:
        title = result.config.tasks[task].title
        rows.append((title, learner, *_cells(result, task, learner)))
    widths = [max(len(row[k]) for row in rows) for k in range(len(HEAD))]
    lines = [
        "| " + " | ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join([*lines, "", NOTES, *_faults(result)])


def _cells(result: Result, task: str, learner: str) -> tuple[str, ...]:
    fault = result.fault(task, learner)
    score, n_seeds = result.mean(task, learner, "score"), len(result.config.seeds)
    text = shown(score) if score.n else ""
    if fault:
        broken = sum(bool(trial.fault) for trial in result.trials[task, learner])
        count = "" if broken == n_seeds else f" {broken} of {n_seeds}"
        text = f"{text} ({marked(fault)}{count})" if text else marked(fault)
    if score.n == 0:
        return (text, *("" for _ in HEAD[3:-1]), _beyond(result, learner))
    difference = result.minus_baseline(task, learner)
    cosines, alignment = result.credit(task, learner)
    reached = result.mean(task, learner, "samples_to_90")
    missed = f" ({reached.n} of {n_seeds})" if 0 < reached.n < n_seeds else ""
    interference = result.mean(task, learner, "interference")
    costs = {
        name: result.mean(task, learner, name).mean
        for name in (
            "updates_per_sample",
            "multiply_adds_per_sample",
            "bytes_per_synapse",
            "cpu_seconds",
        )
    }
    return (
        text,
        shown(difference, sign=True) if difference else "",
        f"{reached.mean:,.0f}{missed}" if reached.n else "never",
        " ".join("-" if math.isnan(value) else f"{value:.2f}" for value in cosines),
        "-" if math.isnan(alignment) else f"{alignment:.2f}",
        shown(interference) if interference.n else "",
        f"{costs['updates_per_sample']:,.0f}",
        f"{costs['multiply_adds_per_sample']:,.0f}",
        f"{costs['bytes_per_synapse']:.1f}",
        f"{costs['cpu_seconds']:.2f}",
        _beyond(result, learner),
    )


def shown(interval: Interval, sign: bool = False) -> str:
    """Return a mean and its interval, three digits."""
    plus = "+" if sign else ""
    mean = format(interval.mean, f"{plus}.3f")
    if not math.isfinite(interval.low):
        return mean
    return f"{mean} [{interval.low:{plus}.3f}, {interval.high:{plus}.3f}]"


def _beyond(result: Result, learner: str) -> str:
    audit = result.audits[learner]
    return ", ".join(sorted(audit.used - LOCAL)) or "nothing"


def _faults(result: Result) -> list[str]:
    lines = [
        f"- {result.config.tasks[task].title}, {learner}: {result.fault(task, learner)}"
        for task, learner in result.trials
        if result.fault(task, learner)
    ]
    return ["", *lines] if lines else []
