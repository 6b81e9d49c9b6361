"""Accuracy against bytes for every method that was measured, drawn from the committed tables.

Nothing is run: the numbers are those of the tables in docs/results, as data/accuracy_and_bytes.json
holds them, so that methods measured on different days stand on one figure.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from experiments.comparison import check_names
from neurosim.errors import CorruptFileError
from neurosim.plotting import label
from neurosim.point_names import name_points
from neurosim.recorder import Recorder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DATA = Path(__file__).parents[1] / "data" / "accuracy_and_bytes.json"

FloatArray = NDArray[np.floating]

COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "fast memory": "#332288",
        "cortex after sleep": "#117733",
        "cortex after sleep, backpropagation": "#ddaa33",
        "cortex after sleep, released": "#aa4499",
        "cortex after sleep, a tenth of the images": "#88ccee",
        "class-gated prototypes": "#44aa99",
        "ER": "#cc6677",
        "DER++": "#882255",
        "GDumb": "#999933",
        "1-NN": "#888888",
    }
)

TICKS = (20, 40, 60, 70, 80, 85, 90, 93, 95, 97, 98, 99)
"""Accuracies that are written at the axis [%]."""
WIDEST = 18
"""Letters in a line of a method's name."""

expected = {
    "best_mnist": (98.0, "this project's bar for the fast memory on Split-MNIST in 1.1 MB [%]"),
}


@dataclass(frozen=True)
class Config:
    """What is drawn.

    Parameters
    ----------
    dataset : str
        "mnist" or "fashion".
    """

    dataset: str = "mnist"

    def __post_init__(self) -> None:
        check_names(self, "dataset", (self.dataset,), ("mnist", "fashion"))


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Parameters
    ----------
    dataset, method : str
    family : str
        Rows of one family differ in their bytes, and are joined; "" for a method by itself.
    seeds : int
    accuracy : float [%]
        After all tasks, on the test images.
    low, high : float [%]
        95 % interval over seeds; NaN of one or two.
    beside_kb, network_kb : float [kB]
        Kept beside the network that answers, and that network.
    raw_images : bool
        Whether some of what is kept are images as they were.
    """

    dataset: str
    method: str
    family: str
    seeds: int
    accuracy: float
    low: float
    high: float
    beside_kb: float
    network_kb: float
    raw_images: bool

    @property
    def all_kb(self) -> float:
        """All that is kept."""
        return self.beside_kb + self.network_kb


@dataclass(frozen=True)
class Result:
    """The rows of a set.

    Parameters
    ----------
    config : Config
    rows : tuple of Row
    """

    config: Config
    rows: tuple[Row, ...]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers: how many methods, the best, and who beats ER at its bytes."""
        replayed = [row for row in self.rows if row.family == "ER"]
        found = {
            "n_rows": float(len(self.rows)),
            f"best_{self.config.dataset}": max(row.accuracy for row in self.rows),
        }
        for er in replayed:
            rest = [r for r in self.rows if r.all_kb <= er.all_kb and not r.raw_images]
            if rest:
                above = max(r.accuracy for r in rest) - er.accuracy
                found[f"above_er_in_{er.all_kb:.0f}_kb"] = above
        return found


def read_rows(path: Path = DATA) -> tuple[Row, ...]:
    """Return the rows of a file.

    Raises
    ------
    CorruptFileError
        When a row lacks what a row has.
    """
    rows = []
    for number, each in enumerate(json.loads(path.read_text("utf-8"))["rows"]):
        low, high = each.get("interval", (float("nan"),) * 2)
        try:
            rows.append(
                Row(
                    each["dataset"], each["method"], each["family"], each["seeds"],
                    each["accuracy"], low, high, each["beside_kb"], each["network_kb"],
                    each["raw_images"],
                )
            )  # fmt: skip
        except KeyError as missing:
            raise CorruptFileError(
                f"{path.name}: expected {missing} in row {number}; take the file from the checkout"
            ) from missing
    return tuple(rows)


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Read the rows of a set.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: nothing is drawn by chance.
    recorder : Recorder, optional
    tick : callable
        Called once.
    shelf : Path, optional
        Not used: nothing takes long.
    """
    result = Result(config, tuple(r for r in read_rows() if r.dataset == config.dataset))
    if recorder is not None:
        for name, unit in (("accuracy", "%"), ("low", "%"), ("high", "%"), ("all_kb", "kB")):
            values = np.array([getattr(row, name) for row in result.rows])
            recorder.store(name, values, unit, ("row",))
    tick()
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw accuracy over what is kept beside the network that answers, and over all that is kept.

    Filled: no image is kept as it was. The scale of accuracy is that of the logarithm of the error,
    so that 98 and 99 % are as far apart as 60 and 80 %.
    """
    axes.set_axis_off()
    panels = {}
    for left, name, said in (
        (0.0, "beside_kb", "kept beside the network"),
        (0.56, "all_kb", "kept, the network too"),
    ):
        panel = panels[name] = axes.inset_axes((left, 0.24, 0.44, 0.76))
        panel.set_xscale("log")
        panel.set_yscale("function", functions=(_spread, _gather))
        panel.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
        _draw(panel, result.rows, name)
        label(panel.xaxis, said, "kB")
        label(panel.yaxis, "accuracy after all tasks", "%")
    handles, names = panel.get_legend_handles_labels()
    axes.legend(handles, names, fontsize=7, ncol=3, loc="lower center", bbox_to_anchor=(0.5, -0.03))
    for name, panel in panels.items():
        _name(panel, result.rows, name)


def _spread(accuracy: FloatArray) -> FloatArray:
    return np.asarray(-np.log(np.maximum(100.0 - accuracy, 0.1)))


def _gather(place: FloatArray) -> FloatArray:
    return np.asarray(100.0 - np.exp(-place))


def _draw(axes: Axes, rows: tuple[Row, ...], name: str) -> None:
    for family, colour in COLOURS.items():
        own = sorted((r for r in rows if r.family == family), key=lambda r: getattr(r, name))
        if not own:
            continue
        x, y = ([getattr(r, which) for r in own] for which in (name, "accuracy"))
        below, above = [r.accuracy - r.low for r in own], [r.high - r.accuracy for r in own]
        axes.errorbar(
            x, y, np.nan_to_num([below, above]), fmt="o-", color=colour, label=family,
            markersize=4, capsize=2, zorder=2 if len(own) > 1 else 3,
            markerfacecolor="white" if own[0].raw_images else colour,
        )  # fmt: skip
    alone = [r for r in rows if not r.family]
    placed = [r for r in alone if getattr(r, name)]
    axes.plot([getattr(r, name) for r in placed], [r.accuracy for r in placed], "kx", markersize=4)
    for row in alone:
        if not getattr(row, name):  # There is no place for nothing on a logarithmic axis.
            axes.axhline(row.accuracy, color="0.7", linewidth=0.7, linestyle=":")


def _name(axes: Axes, rows: tuple[Row, ...], name: str) -> None:
    """Write the names of the methods that are no family."""
    alone = [r for r in rows if not r.family]
    left = axes.get_xlim()[0]
    x = [getattr(row, name) or left for row in alone]
    names = [textwrap.fill(row.method, WIDEST) for row in alone]  # Two short lines find more room.
    name_points(axes, names, x, [row.accuracy for row in alone])
