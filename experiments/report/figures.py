"""The five figures of a report; each draws a recording on the axes it is given."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from experiments.report.measurements import (
    BARS,
    REGIONS,
    Bar,
    FloatArray,
    arm_names,
    array,
    curve,
    interval,
    mean_overlap,
    values,
)
from neurosim.plotting import colour, label, shade
from neurosim.recorder import Recording

_GREY = "#707070"
_RATIO_TICKS = (0.5, 1, 2, 3, 5, 10, 30, 100, 300, 1000, 10_000, 100_000)
_MARKERS = "osD^vPX"  # So that no two lines differ in colour alone.


def plot_retention(recording: Recording, axes: Sequence[Axes]) -> None:
    """Draw what each arm learnt and what it kept, with the bars it is to reach.

    Parameters
    ----------
    recording : Recording
        With the metrics of at least one arm.
    axes : three Axes
        New recall, base recall kept and perplexity ratio; they share the arms on y.
    """
    arms = arm_names(recording)
    for panel, bar in zip(axes, BARS, strict=True):
        for place, arm in enumerate(arms):
            _arm_row(panel, place, arm, values(recording, arm, bar.quantity), bar.scale)
        _bar_line(panel, bar)
        label(panel.xaxis, bar.title, "%" if bar.percent else "")
        panel.grid(False, axis="y")
        panel.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(arms)), arms)
    axes[0].set_ylim(len(arms) - 0.4, -0.6)


def plot_learning_curves(recording: Recording, axes: Axes) -> None:
    """Draw recall of the new sentences over gradient steps, arm by arm.

    Parameters
    ----------
    recording : Recording
        With ``curve_steps`` and ``curve_recall`` of some arms.
    axes : Axes
    """
    for place, arm in enumerate(arm_names(recording)):
        found = curve(recording, arm)
        if found is not None:
            _curve(axes, arm, *found, _MARKERS[place % len(_MARKERS)])
    axes.axhline(90, color=_GREY, linestyle=":", linewidth=1, zorder=1)
    axes.text(0.01, 91, "90 %", transform=axes.get_yaxis_transform(), fontsize="small", color=_GREY)
    axes.set_ylim(-3, 106)
    axes.set_xlim(left=0)
    axes.set_yticks(range(0, 101, 20))
    label(axes.xaxis, "Learning of the night", "gradient steps")
    label(axes.yaxis, "Recall of the new sentences", "%")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def plot_replay(recording: Recording, axes: Sequence[Axes]) -> None:
    """Draw which memory each ripple burst brought back, and how often each came.

    Parameters
    ----------
    recording : Recording
        With ``night/burst_cycle``, ``burst_memory`` and ``burst_confidence``.
    axes : two Axes
        Raster and counts; they share the memories on y.
    """
    raster, counts = axes
    cycle, memory, confidence = (
        recording[f"night/burst_{name}"].values for name in ("cycle", "memory", "confidence")
    )
    number, valid = np.arange(1, memory.size + 1), memory >= 0
    n_memories = int(memory.max(initial=0)) + 1
    silent = -max(1.0, 0.06 * n_memories)  # The row of bursts without a memory.
    lowest = float(np.nanmin(confidence[valid], initial=0.5))
    points = raster.scatter(
        number[valid],
        memory[valid] + 1,
        c=confidence[valid],
        cmap="cividis_r",  # Reversed: what is sure must stand out from the paper.
        vmin=np.floor(10 * lowest) / 10,
        vmax=1,
        s=float(np.clip(6000 / memory.size, 3, 22)),
        marker="s",
        linewidths=0,
    )
    raster.scatter(
        number[~valid],
        np.full((~valid).sum(), silent),
        color=_GREY,
        marker="|",
        s=22,
        linewidths=0.8,
    )
    _cycle_lines(raster, cycle)
    _memory_rows(raster, n_memories, silent)
    label(raster.xaxis, "Ripple burst of the night", "number")
    label(raster.yaxis, "Memory", "number")
    tally = np.bincount(memory[valid].astype(np.int64), minlength=n_memories)
    width = max(1.0, 0.05 * n_memories)
    counts.barh(np.arange(1, n_memories + 1), tally, height=0.8, color=colour("night"))
    counts.barh([silent], [(~valid).sum()], height=width, color=_GREY)
    label(counts.xaxis, "Replays", "bursts")
    counts.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    counts.grid(False, axis="y")
    counts.tick_params(left=False, labelleft=False)
    bar = counts.figure.colorbar(points, ax=list(axes), pad=0.02, aspect=30)
    label(bar.ax.yaxis, "Confidence of the replay")


def plot_separation(recording: Recording, axes: Sequence[Axes]) -> None:
    """Draw how much the patterns of the day's sentences overlap, region by region.

    Parameters
    ----------
    recording : Recording
        With some of ``separation/entorhinal``, ``dentate_gyrus`` and ``ca3``.
    axes : three Axes
        One a region, in the order of the way inwards.
    """
    image = None
    for panel, (key, region) in zip(axes, REGIONS.items(), strict=True):
        panel.grid(False)
        matrix = array(recording, f"separation/{key}")
        label(panel.xaxis, "Sentence", "number")
        if matrix is None:
            panel.set_title(f"{region}\nnot recorded")
            panel.set(xticks=[], yticks=[])
            continue
        n = len(matrix)
        extent = (0.5, n + 0.5, n + 0.5, 0.5)
        image = panel.imshow(matrix, vmin=0, vmax=1, extent=extent, interpolation="nearest")
        mean = mean_overlap(matrix)
        panel.set_title(f"{region}\n" + (f"mean overlap {mean:.3f}" if n > 1 else "one sentence"))
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    label(axes[0].yaxis, "Sentence", "number")
    if image is not None:
        bar = axes[0].figure.colorbar(image, ax=list(axes), pad=0.02, aspect=22, shrink=0.85)
        label(bar.ax.yaxis, "Overlap (cosine)")


def plot_capacity(recording: Recording, axes: Axes) -> None:
    """Draw how many synapses hold something before the day, after it and after the night.

    Parameters
    ----------
    recording : Recording
        With ``capacity/potentiated`` and, for the shares, ``capacity/n_synapses``.
    axes : Axes
    """
    used = recording["capacity/potentiated"].values.astype(np.float64)
    whole = array(recording, "capacity/n_synapses")
    total = float(whole.ravel()[0]) if whole is not None else 0.0
    names = ("before the day", "after the day", "after the night")
    axes.barh(range(3), used, height=0.6, color=colour("night"))
    for place, count in enumerate(used):
        share = f"  ({100 * count / total:.3g} % of {total:,.0f})" if total > 0 else ""
        axes.annotate(
            f"{count:,.0f}{share}", (count, place), (5, 0), textcoords="offset points", va="center"
        )
    # The longest label needs room beside the longest bar.
    axes.set_xlim(0, max(float(used.max()), 1.0) * (1.6 if total > 0 else 1.25))
    axes.set_yticks(range(3), names)
    axes.set_ylim(2.6, -0.6)
    axes.grid(False)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
    label(axes.xaxis, "Potentiated synapses of the hippocampus", "synapses")


def _arm_row(panel: Axes, place: int, arm: str, row: FloatArray | None, scale: float) -> None:
    found = None if row is None else interval(row)
    if row is None or found is None:
        panel.annotate(
            "not recorded",
            (0.5, place),
            xycoords=("axes fraction", "data"),
            ha="center",
            va="center",
            fontsize="small",
            color=_GREY,
        )
        return
    own, mean = colour(arm), scale * found.mean
    if found.n > 1:
        panel.plot([scale * found.low, scale * found.high], [place, place], color=own, linewidth=2)
        seeds = scale * row[np.isfinite(row)]
        below = np.full(seeds.size, place + 0.27)
        panel.plot(seeds, below, ".", markersize=5, color=own, alpha=0.6, markeredgewidth=0)
    panel.plot([mean], [place], "o", markersize=5, color=own)
    text = f"{mean:.1f}" if scale > 1 else f"{mean:.2f}"
    # Beside the panel: above its dot it would lie on the bar.
    panel.text(1.02, place, text, transform=panel.get_yaxis_transform(), va="center")


def _bar_line(panel: Axes, bar: Bar) -> None:
    limit = bar.limit * bar.scale
    panel.axvline(limit, color=_GREY, linestyle="--", linewidth=1, zorder=1)
    panel.set_title(f"bar: {bar.words()}", fontsize="medium", color=_GREY)
    drawn = np.concatenate([np.asarray(each.get_xdata(), dtype=float) for each in panel.lines])
    drawn = drawn[np.isfinite(drawn)]
    if bar.percent:
        # From zero, so that a distance between two arms is what it looks like.
        panel.set_xlim(-4, max(104.0, 1.04 * float(drawn.max())))
        panel.set_xticks(range(0, 101, 25))
    elif drawn.max() > 3 * limit:
        panel.set_xscale("log")
        ticks = [each for each in _RATIO_TICKS if drawn.min() <= each <= drawn.max()]
        panel.xaxis.set_major_locator(FixedLocator(ticks))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    panel.margins(x=0.08)


def _curve(axes: Axes, arm: str, steps: FloatArray, recall: FloatArray, marker: str) -> None:
    points = [interval(column) for column in recall.T]
    kept = [(step, each) for step, each in zip(steps, points, strict=True) if each is not None]
    if not kept:
        return
    x = np.array([step for step, _ in kept])
    mean, low, high = (
        100 * np.array([getattr(each, name) for _, each in kept])
        for name in ("mean", "low", "high")
    )
    shade(axes, x, mean, np.clip(low, 0, 100), np.clip(high, 0, 100), arm)
    axes.lines[-1].set(marker=marker, markersize=4, markevery=max(1, len(x) // 20), linewidth=1.5)


def _cycle_lines(raster: Axes, cycle: np.ndarray) -> None:
    starts = np.flatnonzero(np.diff(cycle)) + 1
    edges = np.concatenate([[0], starts, [cycle.size]]) + 0.5
    for edge in edges[1:-1]:
        raster.axvline(edge, color=_GREY, linewidth=0.8)
    for left, right in zip(edges[:-1], edges[1:], strict=True):
        share = (right - left) / cycle.size
        text = f"{cycle[int(left)]:g}"
        raster.annotate(
            f"cycle {text}" if share > 0.1 else text if share > 0.02 else "",
            ((left + right) / 2, 1),
            (0, 4),
            raster.get_xaxis_transform(),
            "offset points",
            ha="center",
            fontsize="small",
            color=_GREY,
            annotation_clip=False,
        )
    raster.set_xlim(0.5 - 0.01 * cycle.size, cycle.size * 1.01 + 0.5)


def _memory_rows(raster: Axes, n_memories: int, silent: float) -> None:
    numbers = MaxNLocator(6, integer=True).tick_values(1, n_memories)
    ticks = [each for each in dict.fromkeys([1, *numbers]) if 1 <= each <= n_memories]
    raster.set_yticks([silent, *ticks], ["none", *(f"{each:g}" for each in ticks)])
    raster.set_ylim(silent - 0.05 * n_memories - 0.5, n_memories + 0.03 * n_memories + 0.5)
