"""The page of a run: figures, words and tables in one HTML file without a network."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from experiments.report import figures, summary
from experiments.report.measurements import (
    REGIONS,
    arm_names,
    array,
    curve,
    open_run,
    read_answers,
)
from neurosim.plotting import figure_bytes, style
from neurosim.recorder import Recording
from neurosim.storage import atomic_write_bytes, atomic_write_text

PAGE = "report.html"
_TEMPLATE = "page.html.j2"
_MOST_ROWS = 300  # Of the answers, so that the page of a book still opens.
_MOST_LETTERS = 300  # Of one answer: a cortex that fails may never stop.


@dataclass(frozen=True)
class _Drawing:
    """One figure: where its panels are, what draws them, how to read it."""

    name: str
    title: str
    plot: Callable[[Recording, Any], None]
    recorded: Callable[[Recording], bool]
    caption: str
    height: Callable[[int], float]
    panels: Mapping[str, Any] = field(default_factory=dict)


def write_report(directory: Path) -> Path:
    """Draw the figures of a run and write its page.

    Parameters
    ----------
    directory : Path
        Holds ``run.h5``, the recording of a run, and ``answers.json``, the cues and answers of
        its first seed. What is not recorded is said to be so on the page.

    Returns
    -------
    Path
        ``report.html`` in `directory`, beside one PNG a figure.

    Raises
    ------
    InputError
        If the recording or the answers are missing, damaged or of another kind.
    StorageError
        If the files cannot be written.
    """
    directory = Path(directory)
    recording = open_run(directory / "run.h5")
    answers = read_answers(directory / "answers.json")
    images = {}
    for drawing in _DRAWINGS:
        if drawing.recorded(recording):
            images[drawing.name] = _png(drawing, recording)
            atomic_write_bytes(directory / f"{drawing.name}.png", images[drawing.name])
    page = directory / PAGE
    atomic_write_text(page, _html(recording, answers, images))
    return page


def _png(drawing: _Drawing, recording: Recording) -> bytes:
    with style():
        height = drawing.height(len(arm_names(recording)))
        figure = Figure(figsize=(9.6, height))
        drawing.plot(recording, figure.subplots(**drawing.panels))
        return figure_bytes(figure)


def _html(
    recording: Recording, answers: list[dict[str, Any]] | None, images: Mapping[str, bytes]
) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    drawn = [
        {
            "name": drawing.name,
            "title": drawing.title,
            "caption": drawing.caption,
            "data": base64.b64encode(images.get(drawing.name, b"")).decode(),
        }
        for drawing in _DRAWINGS
    ]
    return environment.get_template(_TEMPLATE).render(
        arm=summary.main_arm(recording),
        arms=arm_names(recording),
        paragraph=summary.paragraph(recording),
        seeds_in_words=summary.seeds_in_words(recording),
        verdicts=summary.verdicts(recording),
        figures=drawn,
        cycles=summary.cycle_table(recording),
        metrics=summary.metric_table(recording),
        answers=[_shortened(row) for row in (answers or [])[:_MOST_ROWS]],
        n_answers=len(answers or []),
        n_correct=sum(row["correct"] for row in answers or []),
        settings=summary.setting_table(recording),
        provenance=summary.provenance_table(recording),
    )


def _shortened(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: f"{value[:_MOST_LETTERS]} …"
        if isinstance(value, str) and len(value) > _MOST_LETTERS
        else value
        for key, value in row.items()
    }


def _any_curve(recording: Recording) -> bool:
    return any(curve(recording, arm) is not None for arm in arm_names(recording))


_DRAWINGS = (
    _Drawing(
        "retention",
        "What was learnt, and what was kept",
        figures.plot_retention,
        lambda recording: True,
        "One row is one arm. Large dots, and the numbers beside them, are means, small dots below "
        "them single seeds, lines 95 % t-intervals; dashed lines are the bars. Left: exact answers "
        "of the cortex alone to cues from the day; further right is better. Middle: base facts it "
        "answers after the night, over those before; further right is better. Right: how much "
        "worse it predicts ordinary held-out text; 1 is unchanged, further left is better.",
        lambda n_arms: 1.5 + 0.42 * n_arms,
        {"ncols": 3, "sharey": True},
    ),
    _Drawing(
        "learning_curves",
        "How fast the cortex learns",
        figures.plot_learning_curves,
        _any_curve,
        "Exact answers of the cortex to the day's cues while it learns, over the gradient steps "
        "of the night. Lines are means over seeds, shades 95 % t-intervals, cut off at 0 and "
        "100 %. A line that rises further left learns with fewer steps; the dotted line is what "
        "“steps to 90 %” in the table counts to.",
        lambda n_arms: 4.0,
    ),
    _Drawing(
        "replay",
        "What CA3 replayed",
        figures.plot_replay,
        lambda recording: array(recording, "night/burst_memory") is not None,
        "First seed. Left: each mark is one ripple burst, from dusk on the left to dawn on the "
        "right; its height is the memory it brought back, numbered in order of first replay, its "
        "colour how well CA3 settled into it. Vertical lines part the cycles; ticks in the row "
        "“none” are bursts that brought back no stored memory and taught nothing. Right: how "
        "often each memory came. Even bars are a fair rehearsal; long ones are favourites.",
        lambda n_arms: 4.6,
        {"ncols": 2, "sharey": True, "width_ratios": [4, 1]},
    ),
    _Drawing(
        "separation",
        "How the regions tell sentences apart",
        figures.plot_separation,
        lambda recording: any(array(recording, f"separation/{key}") is not None for key in REGIONS),
        "First seed. Each square compares two sentences of the day: bright means that the same "
        "cells are active, dark that hardly any are shared. All three panels have one scale; the "
        "diagonal is a sentence with itself and is left out of the mean. Pattern separation makes "
        "the squares darker from left to right.",
        lambda n_arms: 3.6,
        {"ncols": 3},
    ),
    _Drawing(
        "capacity",
        "Room for another day",
        figures.plot_capacity,
        lambda recording: array(recording, "capacity/potentiated") is not None,
        "First seed. Synapses of the hippocampus that hold something. The day writes; the night "
        "lets go of what the cortex has taken over, so the last bar returns towards the first as "
        "far as memories were consolidated.",
        lambda n_arms: 2.4,
    ),
)
