"""A colour stays with its name, and figures are drawn without a display."""

import subprocess
import sys

import pytest
from matplotlib.colors import is_color_like
from matplotlib.figure import Figure

from neurosim import plotting

ARMS = ("night", "naive", "raw replay", "no REM", "no gate", "dense codes", "no sleep")


def drawn():
    with plotting.style():
        figure = Figure()
        axes = figure.subplots()
        plotting.shade(axes, [0, 1, 2], [1, 2, 3], [0, 1, 2], [2, 3, 4], "night")
        plotting.label(axes.xaxis, "Time", "s")
        plotting.label(axes.yaxis, "Recall")
        axes.legend()
    return figure


def test_the_arms_have_colours_of_their_own():
    assert len({plotting.colour(arm) for arm in ARMS}) == len(ARMS)


def test_no_other_name_takes_the_colour_of_an_arm():
    taken = {plotting.colour(arm) for arm in ARMS}
    others = {plotting.colour(f"rule {k}") for k in range(100)}
    assert len(others) > 5
    assert taken.isdisjoint(others)
    assert all(is_color_like(each) for each in others)


def test_a_colour_is_the_same_in_another_process():
    code = "from neurosim.plotting import colour; print(colour('my rule'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == plotting.colour("my rule")


def test_importing_the_module_does_not_import_matplotlib_and_drawing_not_pyplot():
    code = (
        "import sys; import neurosim.plotting as p; print('matplotlib' in sys.modules);"
        "from matplotlib.figure import Figure\n"
        "with p.style(): p.figure_bytes(Figure())\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_style_holds_inside_and_ends_outside():
    import matplotlib

    before = matplotlib.rcParams["legend.frameon"]
    with plotting.style():
        assert matplotlib.rcParams["legend.frameon"] is False
        assert Figure().get_layout_engine() is not None
    assert matplotlib.rcParams["legend.frameon"] == before


def test_axes_carry_their_units_and_the_interval_its_colour():
    axes = drawn().axes[0]
    assert axes.get_xlabel() == "Time (s)"
    assert axes.get_ylabel() == "Recall"
    assert axes.lines[0].get_color() == plotting.colour("night")
    assert axes.lines[0].get_label() == "night"
    assert len(axes.collections) == 1


def test_a_saved_figure_is_a_png_and_equal_figures_equal_files(tmp_path):
    plotting.save(drawn(), tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert data == plotting.figure_bytes(drawn())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_saving_where_no_directory_is_says_so(tmp_path):
    from neurosim.errors import StorageError

    with pytest.raises(StorageError, match="create the directory"):
        plotting.save(drawn(), tmp_path / "missing" / "a.png")
