"""Names beside the points of a figure, where they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # Matplotlib is slow to import; only drawing needs it.
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation

FloatArray = NDArray[Any]

DISTANCES = (3.5, 7.0, 11.0, 18.0, 26.0)
"""From a point to the edge of its name [points]."""
SPACING = 3.0
"""Of the places along a line that a name should not cover [pixels]."""
MARGIN = 3.0
"""Kept free around a name [pixels]."""
APART = 15.0
"""Between a name and a point of another name, lest it be taken for that one's [pixels]."""


class Place(NamedTuple):
    """Where a name stands as seen from its point.

    Parameters
    ----------
    x, y : float
        Direction, -1 to 1.
    horizontal, vertical : str
        The edge of the name that is nearest to the point.
    """

    x: float
    y: float
    horizontal: str
    vertical: str


PLACES = (
    Place(1, 0, "left", "center"),
    Place(-1, 0, "right", "center"),
    Place(0.7, 0.7, "left", "bottom"),
    Place(0.7, -0.7, "left", "top"),
    Place(-0.7, 0.7, "right", "bottom"),
    Place(-0.7, -0.7, "right", "top"),
    Place(0, 1, "center", "bottom"),
    Place(0, -1, "center", "top"),
)


def name_points(
    axes: Axes, names: Sequence[str], x: Sequence[float], y: Sequence[float], fontsize: float = 6
) -> list[Annotation]:
    """Write a name beside each point, after everything else is drawn and the limits are set.

    Of eight places around its point, near ones first, a name takes the first that is within the
    axes, covers no line, point, error bar or earlier name and is not close to another's point, or
    the one where that is least so. The points furthest to the right choose first, since most names
    stand to the right.

    Parameters
    ----------
    axes : matplotlib Axes
        As part of a figure that is laid out here, so that pixels mean something.
    names : sequence of str
    x, y : sequence of float
        In units of the data.
    fontsize : float [points]

    Returns
    -------
    list of matplotlib Annotation
        In the order of the names.
    """
    import matplotlib

    figure = axes.get_figure(root=True)
    assert figure is not None
    seen, saved = figure.dpi, matplotlib.rcParams["savefig.dpi"]
    figure.set_dpi(seen if saved == "figure" else saved)  # Letters are not as wide in another.
    figure.draw_without_rendering()
    taken = drawn_places(axes)
    points = axes.transData.transform(np.stack([x, y], axis=1))
    inside = axes.get_window_extent()
    written = [
        axes.annotate(
            name,
            (a, b),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=fontsize,
            arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.4, "shrinkB": 2},
        )
        for name, a, b in zip(names, x, y, strict=True)
    ]
    for note in sorted(written, key=lambda each: -each.xy[0]):
        note.set_in_layout(False)  # Else a name would move the axes it was measured in.
        own = axes.transData.transform(note.xy)
        others = points[np.hypot(*(points - own).T) > 1]
        tried = []
        for distance in DISTANCES:
            for place in PLACES:
                low, high = stand(note, place, distance)
                out = bool((low < inside.min).any() or (high > inside.max).any())
                worse = 1000 * out + n_within(taken, low - MARGIN, high + MARGIN)
                worse += 5 * n_within(others, low - APART, high + APART)
                worse += 50 * n_within(others, low - MARGIN, high + MARGIN)
                tried.append((worse, distance, place))
        _, distance, place = min(tried, key=lambda each: each[0])
        taken = np.concatenate([taken, grid(*stand(note, place, distance))])
    figure.set_dpi(seen)
    return written


def stand(note: Annotation, place: Place, distance: float) -> tuple[FloatArray, FloatArray]:
    """Put a name at a place and distance [points] from its point, joined by a line if far.

    Returns
    -------
    low, high : (2,) float
        Corners of the name [pixels].
    """
    from matplotlib.text import Text

    note.set_position((place.x * distance, place.y * distance))
    note.set_horizontalalignment(place.horizontal)  # type: ignore[arg-type]
    note.set_verticalalignment(place.vertical)  # type: ignore[arg-type]
    assert note.arrow_patch is not None
    note.arrow_patch.set_visible(distance > DISTANCES[0])
    note.get_window_extent()  # Moves the text; the corners it returns are of text and line.
    box = Text.get_window_extent(note)
    return np.array(box.min), np.array(box.max)


def drawn_places(axes: Axes) -> FloatArray:
    """Return places all along what is drawn in the axes, ``(n, 2)`` [pixels].

    Error bars are collections of lines; a line without a stroke counts by its points alone.
    """
    from matplotlib.collections import LineCollection

    found: list[FloatArray] = [np.empty((0, 2))]
    for line in axes.lines:
        ends = line.get_transform().transform(np.asarray(line.get_xydata(), dtype=np.float64))
        found.append(ends if line.get_linestyle() == "None" else along(ends))
    for bars in axes.collections:
        if isinstance(bars, LineCollection):
            found += [along(axes.transData.transform(ends)) for ends in bars.get_segments()]
    places = np.concatenate(found)
    return places[np.isfinite(places).all(axis=1)]


def n_within(places: FloatArray, low: FloatArray, high: FloatArray) -> int:
    """Return how many places are in a box."""
    return int(np.all((places > low) & (places < high), axis=1).sum())


def along(ends: FloatArray) -> FloatArray:
    """Return places every `SPACING` pixels along a line through `ends`, ``(n, 2)``."""
    parts: list[FloatArray] = [ends]
    for a, b in zip(ends[:-1], ends[1:], strict=True):
        length = np.hypot(*(b - a))
        if np.isfinite(length):
            parts.append(a + np.linspace(0, 1, int(length / SPACING) + 2)[:, None] * (b - a))
    return np.concatenate(parts)


def grid(low: FloatArray, high: FloatArray) -> FloatArray:
    """Return places every `SPACING` pixels in a box, ``(n, 2)``."""
    x = np.arange(low[0], high[0] + SPACING, SPACING)
    y = np.arange(low[1], high[1] + SPACING, SPACING)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
