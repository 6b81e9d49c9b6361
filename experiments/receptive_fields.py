"""Receptive fields from natural-image-like patches, under Oja, BCM and SoftHebb."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from neurosim.connectivity import Full
from neurosim.errors import check_counts
from neurosim.images import dead_leaves, orientation_selectivity, patches, retina
from neurosim.metrics import mean_interval
from neurosim.plasticity import PlasticProjection
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.rule import Rule
from rules.bcm import BCM
from rules.oja import Oja
from rules.softhebb import SoftHebb

RULES = ("oja", "bcm", "softhebb")

expected = {
    "oja_over_chance": (0.0, "above chance: Oja (1982) on patches gives an oriented gradient"),
    "bcm_over_chance": (0.0, "above chance: Law & Cooper (1994) find oriented fields with BCM"),
    "softhebb_over_chance": (0.0, "above chance: Moraitis et al. (2022) show oriented fields"),
}


@dataclass(frozen=True)
class Config:
    """Which patches, how many cells, how long.

    Parameters
    ----------
    side : int
        Of a patch [pixels].
    n_cells : int
        Cells a rule.
    n_patches : int
        Patches each cell learns from, one at a time.
    n_images : int
        Images of 256 x 256 pixels, other ones for each seed.
    temperature : float
        Of SoftHebb's competition; patches are of length 1.
    seeds : tuple of int
        Runs of everything.
    """

    side: int = 10
    n_cells: int = 24
    n_patches: int = 100_000
    n_images: int = 6
    temperature: float = 0.1
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)

    def __post_init__(self) -> None:
        check_counts(self, "side", "n_cells", "n_patches", "n_images")
        check_counts(self, "seeds", least=0)


@dataclass(frozen=True)
class Result:
    """What came of it.

    Parameters
    ----------
    config : Config
    fields : dict of str to (n_seeds, n_cells, side * side) float64
        By rule, and "chance": correlations of noise with the patches.
    selectivity : dict of str to (n_seeds, n_cells) float64
        Orientation selectivity of each field.
    """

    config: Config
    fields: dict[str, NDArray[np.float64]]
    selectivity: dict[str, NDArray[np.float64]]

    def metrics(self) -> dict[str, float]:
        """Return means over seeds, with limits of their 95 % interval."""
        values: dict[str, float] = {}
        chance = self.selectivity["chance"].mean(axis=1)
        for name, cells in self.selectivity.items():
            for key, rows in (("", cells.mean(axis=1)), ("_over_chance", cells.mean(1) - chance)):
                if key and name == "chance":
                    continue
                interval = mean_interval(rows)
                values[f"{name}{key}"] = interval.mean
                values[f"{name}{key}_low"] = interval.low
                values[f"{name}{key}_high"] = interval.high
        return values


def run(config: Config, rng: np.random.Generator, recorder: Recorder) -> Result:
    """Let the cells of each rule learn, at every seed.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator
        Not used: each seed has streams of its own.
    recorder : Recorder
    """
    fields: dict[str, list[NDArray[np.float64]]] = {name: [] for name in (*RULES, "chance")}
    for seed in config.seeds:
        streams = Streams(seed)
        draw = streams.generator("receptive_fields/patches")
        plain = [dead_leaves(256, draw) for _ in range(config.n_images)]
        x = patches([retina(image) for image in plain], config.side, config.n_patches, draw)
        x = x[np.linalg.norm(x, axis=1) > 0.4 * config.side]  # Not the blank ones.
        # Oja's rule sees what it is about, variance: the patches before the retina flattens them.
        grey = patches(plain, config.side, config.n_patches, draw)
        for name, data in (("oja", grey / grey.std()), ("bcm", x), ("softhebb", x)):
            start = streams.generator(f"receptive_fields/{name}")
            fields[name].append(learn(name, data, config, start))
        noise = streams.generator("receptive_fields/chance").normal(size=(config.n_cells, len(x)))
        fields["chance"].append(noise @ x / len(x))
    stacked = {name: np.stack(rows) for name, rows in fields.items()}
    selectivity = {
        name: np.stack([orientation_selectivity(each, config.side) for each in rows])
        for name, rows in stacked.items()
    }
    for name in stacked:
        recorder.store(f"fields/{name}", stacked[name], "", ("seed", "cell", "pixel"))
        recorder.store(f"selectivity/{name}", selectivity[name], "", ("seed", "cell"))
    return Result(config, stacked, selectivity)


def learn(
    name: str, data: NDArray[np.float64], config: Config, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the weights ``(n_cells, n_pixels)`` of one rule after all patches."""
    weights = 0.05 * rng.normal(size=(config.n_cells, data.shape[1]))
    if name == "softhebb":
        data = data / np.linalg.norm(data, axis=1, keepdims=True)
        weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    rules: dict[str, tuple[Rule, Rule]] = {
        "oja": (Oja(eta=2e-4), Oja(eta=2e-5)),
        "bcm": (BCM(eta=2e-5, tau=500.0), BCM(eta=2e-5, tau=500.0)),
        "softhebb": (SoftHebb(eta=0.03), SoftHebb(eta=0.005)),
    }
    theta = np.zeros(config.n_cells)
    for rule, part in zip(rules[name], np.array_split(data, 2), strict=True):
        projection = PlasticProjection(Full(data.shape[1], config.n_cells), rule, weights)
        if name == "bcm":
            projection.traces["theta"][:] = theta
        drive = np.empty(config.n_cells)
        for x in part:
            u = projection.drive(x, drive)
            if name == "softhebb":
                e = np.exp((u - u.max()) / config.temperature)
                projection.learn(x, e / e.sum(), drive=u)
            else:
                projection.learn(x, np.maximum(u, 0.0) if name == "bcm" else u)
        weights = projection.matrix()
        theta = projection.traces.get("theta", theta)
    return weights


def plot(result: Result, axes: Axes) -> None:
    """Draw the fields of the first seed, two rows a rule, each field on its own scale."""
    side, names, gap = result.config.side, (*RULES, "chance"), 2
    across = -(-result.config.n_cells // 2)
    step = side + gap
    sheet = np.full((2 * len(names) * step - gap, across * step - gap), np.nan)
    for row, name in enumerate(names):
        for k, field in enumerate(result.fields[name][0]):
            top, left = (2 * row + k // across) * step, k % across * step
            square = field.reshape(side, side) / np.abs(field).max()
            sheet[top : top + side, left : left + side] = square
        label = {"oja": "Oja", "bcm": "BCM", "softhebb": "SoftHebb", "chance": "chance"}[name]
        words = f"{label}\nselectivity {result.selectivity[name].mean():.2f}"
        axes.text(-gap, (2 * row + 1) * step - gap / 2, words, ha="right", va="center", fontsize=9)
    axes.imshow(sheet, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(f"Receptive fields ({side} x {side} pixels), one a cell", fontsize=10)
