"""Classes that come one after the other: every method on one stream, accuracy against bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from circuits.lamellar_readout import decode, ideal_sheets
from experiments import pattern_audit
from experiments.comparison import Measured, check_names, key, record
from experiments.continual.a_gem import AGEM
from experiments.continual.der import DER
from experiments.continual.er import ER
from experiments.continual.ewc import EWC
from experiments.continual.fast_memory import FastLearner, FastMemory
from experiments.continual.fly_model import FlyModel
from experiments.continual.gated_prototypes import GatedPrototypes
from experiments.continual.gdumb import GDumb
from experiments.continual.generative_replay import GenerativeReplay
from experiments.continual.joint import Joint
from experiments.continual.lwf import LwF
from experiments.continual.nearest_class_mean import NearestClassMean
from experiments.continual.nearest_neighbour import NearestNeighbour
from experiments.continual.none import Nothing
from experiments.continual.online_ewc import OnlineEWC
from experiments.continual.random_features import RandomFeatures
from experiments.continual.si import SI
from experiments.continual.sleep_replay import SleepReplay
from experiments.continual.sleeping import Sleeping
from experiments.continual.streaming_lda import StreamingLDA
from experiments.continual_network import NetworkMethod
from experiments.reference import Reference, compare_with
from neurosim.continual import live
from neurosim.continual_learner import Method
from neurosim.errors import check_counts
from neurosim.hdf5 import Arrays
from neurosim.metrics import mean_interval
from neurosim.plotting import label
from neurosim.point_names import name_points
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.stream_config import StreamConfig, mammoth, van_de_ven
from neurosim.streams import Stream

FloatArray = NDArray[np.floating]

ARMS: Mapping[str, Method] = MappingProxyType(
    {
        "none": Nothing(),
        "joint": Joint(eta=0.1),
        "EWC": EWC(),
        "online EWC": OnlineEWC(),
        "SI": SI(),
        "LwF": LwF(),
        **{f"A-GEM {n}": AGEM(per_class=n) for n in (50, 100)},
        **{f"ER {n}": ER(per_class=n) for n in (10, 20, 50, 100)},
        **{f"DER {n}": DER(per_class=n) for n in (20, 50)},
        **{f"GDumb {n}": GDumb(per_class=n) for n in (10, 50, 100)},
        "DGR": GenerativeReplay(),
        "SRC": SleepReplay(),
        "NCM": NearestClassMean(),
        "SLDA": StreamingLDA(),
        "FlyModel": FlyModel(),
        "random features": RandomFeatures(),
        **{f"1-NN {n}": NearestNeighbour(n) for n in (10, 50, 100)},
        **{f"prototypes {n}": GatedPrototypes(n) for n in (10, 50, 100)},
        **{f"fast {n} kB": FastMemory(1000 * n) for n in (69, 348, 392, 786, 954, 1100)},
        **{f"night {n} kB": Sleeping(1000 * n) for n in (80, 392, 786)},
    }
)
PROTOCOLS: Mapping[str, StreamConfig] = MappingProxyType(
    {
        "online": replace(mammoth(), shuffle=True),
        "mammoth": mammoth(),
        "van_de_ven": van_de_ven(),
        "van_de_ven_500": replace(van_de_ven(), iterations=500),
        # About 5,000 images a task of MNIST and Fashion-MNIST, where there are 6,000 a class.
        "tadros": replace(mammoth(), batch=100, epochs=2, shares=(0.42,) * 10),
    }
)
DIMS = {
    "accuracy": ("visit", "task"),
    "hindsight": ("visit", "task"),
    "gaps": ("visit",),
    "cells": ("cell", "found"),
}
FAMILIES = ("ER", "DER", "GDumb", "1-NN", "prototypes", "fast")

expected = {
    "acc_fast_954_kb": (0.98, "this project's bar on Split-MNIST in 1.1 MB; our prototype: 0.974"),
    "acc_fast_348_kb": (0.965, "this project's bar on Split-MNIST in 400 kB; our prototype: 0.956"),
    "acc_fast_69_kb": (0.94, "this project's bar on Split-MNIST in 79 kB; our prototype: 0.926"),
    "forgetting_fast_954_kb": (0.015, "this project's bar, at most that, after five tasks"),
    "acc_er_50": (0.8612, "Buzzega et al. (2020) NeurIPS, 500 images, mammoth (from memory)"),
    "acc_none": (0.196, "Buzzega et al. (2020) NeurIPS, mammoth (from memory)"),
}


@dataclass(frozen=True)
class Config:
    """Which stream, and which methods.

    Parameters
    ----------
    dataset : str
        "mnist", "fashion" (both need NEUROSIM_DATA) or "digits".
    protocol : str
        Of `PROTOCOLS`: "online" is Mammoth's single pass with an order of classes of each seed's
        own, "mammoth" has the order 0..9; "van_de_ven" has its own network, too, and
        "van_de_ven_500" a quarter of its steps; "tadros", that of Tadros et al. (2022), has two
        passes in batches of 100 over 42 % of the images.
    kind, scenario : str
        See `StreamConfig`.
    boundaries : str
        "sharp", "fuzzy" or "none".
    n_tasks : int
    part : str
        "test"; or "validation", a tenth of the training images, which the stream then leaves out:
        for tuning.
    probe : int
        Test images a task for what is measured within a task; 0 leaves it out.
    inside : int
        Replays and test images that are looked at inside each learner; 0 for none. See
        `neurosim.representation`.
    reference : bool
        Whether the shared network also learns all tasks mixed, once a seed, so that intransigence
        can be measured.
    audit : int
        Training images that are encoded, decoded and looked for among all, and with any all cells
        of a fast memory; 0 for none. See `pattern_audit`.
    arms : tuple of str
        Of `ARMS`.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.
    """

    dataset: str = "digits"
    protocol: str = "online"
    kind: str = "split"
    scenario: str = "class"
    boundaries: str = "sharp"
    n_tasks: int = 5
    part: str = "test"
    probe: int = 100
    inside: int = 250
    reference: bool = True
    audit: int = 0
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: tuple[int, ...] = tuple(range(5))
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "arms", self.arms, tuple(ARMS))
        check_names(self, "protocol", (self.protocol,), tuple(PROTOCOLS))
        check_names(self, "part", (self.part,), ("test", "validation"))
        check_counts(self, "probe", "inside", "audit", least=0)
        self.stream()

    def stream(self) -> StreamConfig:
        """Return the stream's configuration."""
        return replace(
            PROTOCOLS[self.protocol],
            dataset=self.dataset,
            kind=self.kind,  # type: ignore[arg-type]
            scenario=self.scenario,  # type: ignore[arg-type]
            boundaries=self.boundaries,  # type: ignore[arg-type]
            n_tasks=self.n_tasks,
            validation=0.1 if self.part == "validation" else 0.0,
        )

    def method(self, arm: str) -> Method:
        """Return the method of an arm, as it is in the protocol."""
        method = ARMS[arm]
        if isinstance(method, SleepReplay):  # It has a network and constants of its own.
            return replace(method, **method.fashion) if self.dataset == "fashion" else method
        if not self.protocol.startswith("van_de_ven") or not isinstance(method, NetworkMethod):
            return method
        own = {name: v for name, v in method.van_de_ven.items() if name != "per_class"}
        return replace(
            method, hidden=(400, 400), optimiser="adam", eta=1e-3, gain=6**-0.5,
            drawn_biases=True, **own,
        )  # fmt: skip


@dataclass(frozen=True)
class Result:
    """All arms at all seeds.

    Parameters
    ----------
    config : Config
    measured : dict of str to dict of str to ndarray
        By arm and by name: what `run_arm` returns, ``(n_seeds, ...)``.
    """

    config: Config
    measured: Measured

    def values(self, arm: str, name: str) -> NDArray[np.float64]:
        """Return one number a seed."""
        return self.measured[arm][name]

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``."""
        numbers: dict[str, float] = {}
        for arm in self.config.arms:
            for name, values in self.measured[arm].items():
                if values.ndim > 1:
                    continue
                finite = values[np.isfinite(values)]
                if not finite.size:
                    continue
                found = mean_interval(finite)
                numbers[f"{name}_{key(arm)}"] = found.mean
                if name in ("acc", "forgetting"):
                    numbers[f"{name}_{key(arm)}_low"] = found.low
                    numbers[f"{name}_{key(arm)}_high"] = found.high
                if name == "stability_gap":
                    numbers[f"{name}_{key(arm)}_worst"] = float(finite.max())
        return numbers


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Let one learner live along the stream of a seed.

    Returns
    -------
    dict of str to ndarray
        ``accuracy`` and ``hindsight (n_visits, n_tasks)``, ``gaps (n_visits,)``, and the numbers of
        `Course.metrics`. Of the fast memory also what `look_at_cells` finds.
    """
    stream = Stream(config.stream(), seed)
    rng = Streams(seed).generator("learner")
    method = config.method(arm)
    course = live(stream, method, rng, config.part, config.probe, inside=config.inside)
    found = {name: np.array(value) for name, value in course.metrics().items()}
    if isinstance(course.learner, FastLearner):
        found |= look_at_cells(course.learner, stream, config.audit, rng)
    matrices = {"accuracy": course.accuracy, "hindsight": course.hindsight}
    return {**found, **matrices, "gaps": course.gaps}


def look_at_cells(
    learner: FastLearner, stream: Stream, audit: int, rng: np.random.Generator
) -> Arrays:
    """Count what the cells of a fast memory stem from, and find out whether it keeps an image.

    Parameters
    ----------
    learner : FastLearner
    stream : Stream
    audit : int
        Wholes to look at; 0 for no audit.
    rng : numpy.random.Generator
        Chooses them.

    Returns
    -------
    dict of str to ndarray
        ``fewest_wins`` of a cell in use and ``single_cells``, those with one. With an audit, what
        `nearest_images` finds.
    """
    used = learner.lamellae.wins[learner.lamellae.wins > 0]
    found = {"fewest_wins": np.array(used.min()), "single_cells": np.array((used == 1).sum())}
    return found | (nearest_images(learner, stream, audit, rng) if audit else {})


def nearest_images(
    learner: FastLearner, stream: Stream, n: int, rng: np.random.Generator
) -> Arrays:
    """Audit all that a fast memory stores, and what it decodes to.

    Parameters
    ----------
    learner : FastLearner
    stream : Stream
    n : int
        Wholes, and images a lamella from which distances between images are measured.
    rng : numpy.random.Generator
        Chooses them.

    Returns
    -------
    dict of str to ndarray
        Those of `pattern_audit.table` and, with the test images for those that were never shown, of
        `pattern_audit.against_unseen`; and ``decoded_`` with ``verbatim``, ``told``, ``distance``
        and ``distance_least``, of whole sheets: `n` training images encoded and decoded again, and
        compared with the sheets of all (the nearest being their own or another), in units of the
        mean distance of those images to the nearest other.
    """
    lamellae = learner.lamellae
    activity = np.concatenate(
        [
            learner.maps.encode(batch.x)
            for visit in range(len(stream.visits))
            for batch in stream.batches(visit)
        ]
    )
    tests = [learner.maps.encode(stream.test(k).x) for k in range(len(stream.tasks))]
    found = pattern_audit.against_unseen(
        lamellae, activity, np.concatenate(tests), Streams(0).generator("unseen")
    )
    found |= pattern_audit.table(lamellae, activity, rng, n)
    sheets = ideal_sheets(lamellae, activity).reshape(len(activity), -1)
    asked = rng.permutation(len(activity))[:n]
    codes = lamellae.encode(activity[asked])
    decoded = np.stack([decode(lamellae, code).ravel() for code in codes])
    count = lamellae.config.strongest / lamellae.config.most
    wholes = pattern_audit.audit(decoded, sheets, count)
    unit = pattern_audit.nearest_other(sheets, asked).mean()
    return found | pattern_audit.summary("decoded", wholes, float(unit))


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Run every arm at every seed, in processes of one thread each.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each arm draws from its own seed, so that arms can be compared.
    recorder : Recorder, optional
    tick : callable
        Called after each arm.
    shelf : Path, optional
        Folder in which the arms that are finished outlive an interruption.
    """
    joint = Reference(config.stream(), config.part, method=config.method("joint"))
    reference = joint if config.reference else None
    result = Result(config, compare_with(reference, run_arm, config, tick, shelf))
    if recorder is not None:
        record(result.measured, recorder, DIMS)
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw accuracy against the bytes kept besides the network; what keeps none is a line."""
    colours = dict(
        zip(
            FAMILIES,
            ("#cc6677", "#882255", "#999933", "#888888", "#44aa99", "#332288"),
            strict=True,
        )
    )
    lines: dict[str, list[tuple[float, NDArray[np.float64]]]] = {}
    alone: dict[str, tuple[float, float]] = {}
    for arm in result.config.arms:
        values = 100 * result.values(arm, "acc")
        extra = result.values(arm, "n_bytes") - result.values(arm, "n_bytes_network")
        family = arm.rsplit(" ", 2 if arm.startswith("fast") else 1)[0]
        if family in FAMILIES:
            lines.setdefault(family, []).append((float(extra.mean()), values))
        else:
            alone[arm] = float(extra.mean()), float(values.mean())
    for family, points in lines.items():
        means = [mean_interval(values) for _, values in points]
        bars = [[m.mean - m.low for m in means], [m.high - m.mean for m in means]]
        axes.errorbar(
            [x for x, _ in points], [m.mean for m in means], np.nan_to_num(bars), fmt="o-",
            color=colours[family], label=family, markersize=4, capsize=2,
        )  # fmt: skip
    axes.set_xscale("log")
    _draw_alone(axes, alone)
    label(axes.xaxis, "kept besides the network that answers", "bytes")
    label(axes.yaxis, "accuracy after all tasks", "%")
    axes.set_title(f"{result.config.dataset}, {result.config.scenario}-incremental")
    if lines:
        axes.legend(fontsize=8)
    left = axes.get_xlim()[0]
    name_points(
        axes, list(alone), [kept or left for kept, _ in alone.values()],
        [accuracy for _, accuracy in alone.values()], fontsize=7,
    )  # fmt: skip


def _draw_alone(axes: Axes, alone: Mapping[str, tuple[float, float]]) -> None:
    """Draw what is of no family, by bytes and accuracy: a cross, or a line if it keeps nothing."""
    for kept, accuracy in alone.values():
        if kept:
            axes.plot(kept, accuracy, "kx", markersize=5)
        else:
            axes.axhline(accuracy, color="0.6", linewidth=0.8, linestyle=":")
