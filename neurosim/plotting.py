"""One style for all figures: colours that stay with a name, units on axes, shaded intervals."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.storage import atomic_write_bytes

if TYPE_CHECKING:  # Matplotlib is slow to import; only drawing needs it.
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe & Ito; Wong (2011), Points of view: Color blindness, Nature Methods 8, 441.
_COLOUR_OF_ARM = {
    "night": "#0072B2",
    "naive": "#D55E00",
    "raw replay": "#E69F00",
    "no REM": "#56B4E9",
    "no gate": "#CC79A7",
    "dense codes": "#009E73",
    "no sleep": "#000000",
    # The hippocampus with its parts and mechanisms; what is never drawn together may share.
    "intact": "#0072B2",
    "all mechanisms": "#0072B2",
    "random k-WTA": "#D55E00",
    "raw k-WTA": "#D55E00",
    "no CA3 NMDA receptors": "#D55E00",
    "raw with fair ties": "#E69F00",
    "homeostasis": "#56B4E9",
    "learning": "#009E73",
    "only the young learn": "#CC79A7",
    "no CA1 learning": "#CC79A7",
    "no dentate gyrus": "#000000",
}
_COLOUR_OF_RULE = {
    "pair_stdp": "#D55E00",
    "triplet_stdp": "#0072B2",
    "symmetric_stdp": "#009E73",
    "inhibitory_stdp": "#CC79A7",
}
_COLOUR_OF_LEARNER = {
    "backprop": "#000000",
    "feedback_alignment": "#E69F00",
    "direct_feedback_alignment": "#D55E00",
    "sign_symmetry": "#CC79A7",
    "difference_target_propagation": "#882255",
    "equilibrium_propagation": "#117733",
    "forward_forward": "#999933",
    "softhebb_layers": "#88CCEE",
    "pc": "#0072B2",
    "ipc": "#56B4E9",
    "zil": "#332288",
    "prospective": "#009E73",
}
# Paul Tol's muted scheme, which stays apart from the above in hue and for the colour-blind.
_COLOURS_OF_OTHERS = (
    "#332288",
    "#88CCEE",
    "#44AA99",
    "#117733",
    "#999933",
    "#DDCC77",
    "#CC6677",
    "#882255",
    "#AA4499",
)
SHADES = ("#88CCEE", "#44AA99", "#332288", "#882255", "#CC6677", "#DDCC77")
"""Paul Tol's muted scheme from light to dark, for curves of one family such as rising sizes."""

_STYLE = {
    "figure.constrained_layout.use": True,
    "figure.figsize": (6.4, 4.0),
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "image.cmap": "cividis",  # Alike for all eyes, and in grey.
}


def colour(learner_name: str) -> str:
    """Return the colour that belongs to a name, the same in every figure and every run.

    The arms of the house, its spike rules and its learners have fixed colours; any other name gets
    one by its hash, so that two of these may share one.

    Parameters
    ----------
    learner_name : str
        Name of a learner, rule or arm.

    Returns
    -------
    str
        As ``#RRGGBB``.
    """
    fixed = {**_COLOUR_OF_ARM, **_COLOUR_OF_RULE, **_COLOUR_OF_LEARNER}
    if learner_name in fixed:
        return fixed[learner_name]
    digest = hashlib.sha256(learner_name.encode()).digest()
    return _COLOURS_OF_OTHERS[int.from_bytes(digest[:8], "big") % len(_COLOURS_OF_OTHERS)]


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in the house style within a ``with``; settings outside stay as they were."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):  # type: ignore[arg-type]
        yield


def figure_bytes(figure: Figure) -> bytes:
    """Return a figure as PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    # Without Matplotlib's version in it, so that the bytes depend on the picture only.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, atomically.

    Raises
    ------
    StorageError
        If the file cannot be written; an old one is untouched then.
    """
    atomic_write_bytes(path, figure_bytes(figure))


def label(axis: Axis, quantity: str, unit: str = "") -> None:
    """Name an axis ``quantity (unit)``.

    Parameters
    ----------
    axis : matplotlib Axis
        Such as ``axes.xaxis``.
    quantity : str
        What is drawn.
    unit : str
        Its unit as drawn; empty if there is none.
    """
    axis.set_label_text(f"{quantity} ({unit})" if unit else quantity)


def shade(
    axes: Axes, x: ArrayLike, mean: ArrayLike, low: ArrayLike, high: ArrayLike, name: str
) -> None:
    """Draw a mean as a line within its shaded interval, in the colour of `name`.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    x, mean, low, high : (n,) array-like
        Abscissa, mean and limits of the interval.
    name : str
        Name in the legend, and key of the colour.
    """
    axes.fill_between(x, low, high, color=colour(name), alpha=0.2, linewidth=0)
    axes.plot(x, mean, color=colour(name), label=name)


def curve(
    axes: Axes,
    x: ArrayLike,
    samples: NDArray[Any],
    name: str,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Draw the mean over seeds as a line within its shaded 95 % interval, in the colour of `name`.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    x : (n,) array-like
        Abscissa.
    samples : (n_seeds, n) float
        One row a seed; NaN where a seed has no value.
    name : str
        Name in the legend, and key of the colour.
    within : (float, float)
        What the measure can be; the interval is cut to it.
    """
    points(axes, x, samples, name, colour(name), "-", within)


def points(
    axes: Axes,
    x: ArrayLike,
    samples: NDArray[Any],
    name: str,
    colour: str,
    line: str = "o",
    within: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Draw the mean over seeds as points within their shaded 95 % interval.

    Parameters
    ----------
    axes : matplotlib Axes
        Where to draw.
    x : (n,) array-like
        Abscissa.
    samples : (n_seeds, n) float
        One row a seed; NaN where a seed has no value.
    name : str
        Name in the legend.
    colour : str
        Such as ``"#332288"``.
    line : str
        Matplotlib's format of points and line.
    within : (float, float)
        What the measure can be; the interval is cut to it.
    """
    from neurosim.metrics import mean_interval

    at = np.asarray(x, dtype=np.float64)
    kept = np.flatnonzero(np.isfinite(samples).any(axis=0))
    rows = [mean_interval(column[np.isfinite(column)]) for column in samples.T[kept]]
    low, high = (np.clip(ends, *within) for ends in ([r.low for r in rows], [r.high for r in rows]))
    axes.fill_between(at[kept], low, high, color=colour, alpha=0.2, linewidth=0)
    axes.plot(at[kept], [r.mean for r in rows], line, color=colour, label=name, markersize=4)
