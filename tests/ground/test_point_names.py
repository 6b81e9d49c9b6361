"""Names beside points cover neither points nor each other."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from neurosim import plotting
from neurosim.point_names import along, drawn_places, grid, n_within, name_points


@pytest.fixture
def axes():
    figure = Figure(figsize=(5, 4), layout="constrained")
    return figure.add_subplot()


def boxes(notes):
    """Return the corners of names as they are drawn."""
    for note in notes:
        note.get_window_extent()
    return [Text.get_window_extent(note) for note in notes]


def test_names_cover_no_point_no_line_and_no_name(axes):
    x, y = [1.0, 1.02, 1.6, 9.0], [1.0, 1.02, 1.0, 5.0]  # Two beside each other, one at the edge.
    axes.plot(x, y, "kx")
    axes.errorbar([2.0, 8.0], [1.2, 4.0], [0.5, 0.5], fmt="o-")
    with plotting.style():
        before = axes.figure.dpi
        notes = name_points(axes, ["first", "second", "third", "a long name"], x, y)
        assert axes.figure.dpi == before
        axes.figure.set_dpi(150)  # As the style saves it.
        axes.figure.draw_without_rendering()
        drawn, inside = drawn_places(axes), axes.get_window_extent()
        found = boxes(notes)
    assert [note.get_text() for note in notes] == ["first", "second", "third", "a long name"]
    for box in found:
        assert n_within(drawn, box.min, box.max) == 0
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1
        assert inside.y0 <= box.y0 and box.y1 <= inside.y1
    assert not any(a.overlaps(b) for a, b in combinations(found, 2))


def test_a_name_alone_stands_close_to_the_right(axes):
    axes.plot([1, 2, 3], [1, 2, 3], "kx")
    (note,) = name_points(axes, ["alone"], [2.0], [2.0])
    assert note.get_position() == (3.5, 0) and not note.arrow_patch.get_visible()


def test_places_lie_all_along_what_is_drawn(axes):
    ends = np.array([[0.0, 0.0], [30.0, 40.0]])
    places = along(ends)
    assert len(places) >= 50 / 3 and np.allclose(places[:, 1] * 3, places[:, 0] * 4)
    assert np.diff(np.sort(places[:, 0])).max() <= 3.0
    box = grid(np.zeros(2), np.array([6.0, 3.0]))
    assert len(box) == 6 and n_within(box, np.array([-1, -1]), np.array([4, 1])) == 2
    axes.plot([0, 1], [0, 1], "o")  # Without a stroke between them.
    assert len(drawn_places(axes)) == 2
    axes.errorbar([0.5], [0.5], [0.2], fmt="none")
    assert len(drawn_places(axes)) > 10
