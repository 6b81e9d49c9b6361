"""Nights over images: what the cortex knows after sleep, and which part of the brain it owes it to.

Classes come two at a time and are never shown again. By day the hippocampus takes them in, by night
its replay teaches the cortex; only the cortex is examined. Each arm changes one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes

from circuits.lamellar_ca3 import LamellarCA3Config
from experiments.comparison import Measured, check_names, key, record
from experiments.continual.sleeping import GYRUS, NIGHT, Sleeping
from experiments.inside_a_sleeper import audit_inside
from experiments.reference import Reference, compare_with
from experiments.sleeper import Sleeper
from neurosim.continual import live
from neurosim.errors import ConfigError, check_counts
from neurosim.hdf5 import Arrays
from neurosim.metrics import mean_interval
from neurosim.plotting import label
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.stream_config import StreamConfig
from neurosim.streams import Stream

RELEASED = Sleeping(
    night=replace(NIGHT, release=True, lessons_per_step=64, dreams_per_step=128),
    gyrus=replace(GYRUS, volatility=0), eta=3e-3, dream_weight=2.0, styles=16, recognition=0.002,
)  # fmt: skip
"""After its nights the hippocampus is empty: what was learnt before must come of dreams.

What is freed by morning need not wander."""

AT_ONCE = Sleeping(capture=0.0)
"""What a step of the night has written answers at once."""

GENTLE = replace(NIGHT, onset=1 / 3)
"""Of a night whose learning rate rises over its first third."""

RELEASED_BACKPROP = replace(RELEASED, cortex="backprop", recognition=0.2)
"""By the chain rule the error of a hidden cell is some hundred times larger than what the one step
of inference, of 0.01, leaves; recognition counts as much beside it."""

SHEETS_ALONE = replace(RELEASED, recognition=0.0)
"""Nothing of a dream stays but its sheet."""

WINNERS = (1, 2, 6, 20, 60, 100)
"""Cells of a class, of 200, that a pattern turns."""

DIMS = {
    "accuracy": ("visit", "task"),
    "cells": ("cell", "found"),
    "replays": ("replay", "found"),
    "dreams": ("dream", "found"),
}

SIZES = (40, 80, 160, 392, 786, 1600)
"""Of the hippocampus [kB]."""

ARMS: Mapping[str, Sleeping] = MappingProxyType(
    {
        "night": Sleeping(),
        "backprop": Sleeping(cortex="backprop"),
        "release and dreams": RELEASED,
        "backprop release and dreams": RELEASED_BACKPROP,
        "release and sheets alone": SHEETS_ALONE,
        "backprop release and sheets alone": replace(SHEETS_ALONE, cortex="backprop"),
        "release and plain dreams": replace(SHEETS_ALONE, styles=0),
        "backprop release and plain dreams": replace(SHEETS_ALONE, cortex="backprop", styles=0),
        "NREM only": replace(RELEASED, night=replace(RELEASED.night, dreams_per_step=0)),
        "REM only": replace(SHEETS_ALONE, first_only=True),
        "no sleep": Sleeping(bedtime="never"),
        "no CA3 synapses": Sleeping(ca3=LamellarCA3Config(recurrent=False)),
        "no DG competition": Sleeping(gyrus=replace(GYRUS, competition=False)),
        "written at once": AT_ONCE,
        "backprop written at once": replace(AT_ONCE, cortex="backprop"),
        "gentle night": replace(AT_ONCE, night=GENTLE),
        "backprop gentle night": replace(AT_ONCE, cortex="backprop", night=GENTLE),
        "steady synapses": Sleeping(gyrus=replace(GYRUS, volatility=0)),
        "faint parts written": Sleeping(
            gyrus=replace(GYRUS, cooperativity=0.0, least_wins=2, volatility=0)
        ),
        "random replay": Sleeping(replay="random"),
        "raw replay": Sleeping(replay="raw"),
        "binary synapses": Sleeping(ca3=LamellarCA3Config(bits=1)),
        "5 cycles": Sleeping(night=replace(NIGHT, cycles=5, steps=NIGHT.steps // 5)),
        "1 night": Sleeping(bedtime="samples"),
        "20 nights": Sleeping(bedtime="samples"),
        "by fatigue": Sleeping(bedtime="fatigue", day=12_000),
        **{f"{n} kB": Sleeping(budget=1000 * n) for n in SIZES},
        **{
            f"DG {k / 2:g} %": Sleeping(gyrus=replace(GYRUS, cells=200, winners=k), n_cells=200)
            for k in WINNERS
        },
    }
)

expected = {
    "acc_night": (
        0.95,
        "this project's bar: local cortex alone, Split-MNIST; our prototype: 0.884",
    ),
    "acc_backprop": (0.965, "this project's bar: backprop cortex alone; our prototype: 0.943"),
    "acc_no_sleep": (0.1, "chance of ten classes: a cortex that has learnt nothing"),
}


@dataclass(frozen=True)
class Config:
    """Which stream, and which brains.

    Parameters
    ----------
    dataset : str
        "mnist", "fashion" (both need NEUROSIM_DATA) or "digits".
    share : float
        Of each class's training images that are in the stream.
    part : str
        "test"; or "validation", a tenth of the training images, which the stream then leaves out:
        for tuning.
    steps : int
        Of the cortex, a night; in the arm "20 nights" a quarter of them, in "1 night" five times
        as many, shared by the cycles where there are several.
    probe : int
        Test images a task for what is measured within a task; 0 leaves it out.
    inside : int
        Replays and test images that are looked at inside each brain, three a task or more; 0 for
        none. See `neurosim.representation`.
    reference : bool
        Whether the network of `class_incremental` learns all tasks mixed, once a seed, so that
        intransigence can be measured.
    audit : int
        Replays and dreams that are looked for among all training images, and with any all cells;
        see `pattern_audit`. 0 for none.
    arms : tuple of str
        Of `ARMS`.
    seeds : tuple of int
    workers : int
        Processes at a time; 0 for one a processor.
    """

    dataset: str = "digits"
    share: float = 1.0
    part: str = "test"
    steps: int = 300
    probe: int = 0
    inside: int = 500
    reference: bool = True
    audit: int = 0
    arms: tuple[str, ...] = tuple(ARMS)
    seeds: tuple[int, ...] = tuple(range(5))
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "arms", self.arms, tuple(ARMS))
        check_names(self, "part", (self.part,), ("test", "validation"))
        if not 0 < self.share <= 1:
            raise ConfigError.expected(
                self, "share", "above 0, up to 1", self.share, "leave it out"
            )
        check_counts(self, "steps", least=20)
        check_counts(self, "probe", "inside", "audit", least=0)

    def stream(self) -> StreamConfig:
        """Return the stream's configuration: five tasks of two classes, each image once."""
        validation = 0.1 if self.part == "validation" else 0.0
        shares = () if self.share == 1 else (self.share,) * 10
        return StreamConfig(self.dataset, validation=validation, shares=shares)

    def method(self, arm: str, n_images: int) -> Sleeping:
        """Return the brain of an arm.

        Parameters
        ----------
        arm : str
        n_images : int
            In the stream, among which the nights of "1 night" and "20 nights" are spread.
        """
        method = ARMS[arm]
        steps = {"1 night": 5 * self.steps, "20 nights": self.steps // 4}.get(arm, self.steps)
        night = replace(method.night, steps=steps // method.night.cycles)
        if method.bedtime == "samples":
            nights = int(arm.split()[0])
            return replace(method, night=night, day=max(1, n_images // nights))
        return replace(method, night=night)


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

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``."""
        numbers: dict[str, float] = {}
        for arm in self.config.arms:
            for name, values in self.measured[arm].items():
                finite = values[np.isfinite(values)] if values.ndim == 1 else values[:0]
                if not finite.size:
                    continue
                found = mean_interval(finite)
                numbers[f"{name}_{key(arm)}"] = found.mean
                if name in ("acc", "forgetting", "acc_hippocampus"):
                    numbers[f"{name}_{key(arm)}_low"] = found.low
                    numbers[f"{name}_{key(arm)}_high"] = found.high
        return numbers


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Let one brain live along the stream of a seed.

    Returns
    -------
    dict of str to ndarray
        ``accuracy (n_visits, n_tasks)`` of the cortex, and numbers: those of `Course.metrics`, what
        the hippocampus alone would say, nights, and bytes.
    """
    stream = Stream(config.stream(), seed)
    n_images = sum(len(batch.y) for v in range(len(stream.visits)) for batch in stream.batches(v))
    method = config.method(arm, n_images)
    rng = Streams(seed).generator("learner")
    course = live(stream, method, rng, config.part, config.probe, inside=config.inside)
    found = {name: np.array(value) for name, value in course.metrics().items()}
    sleeper = course.learner
    assert isinstance(sleeper, Sleeper)
    tests = [stream.test(number, config.part) for number in range(len(stream.tasks))]
    right = [(sleeper.remember(b.x).argmax(axis=1) == b.y).mean() for b in tests]
    cortex = sleeper.cortex.network
    shares = [dawn.n_consolidated / max(dawn.n_examined, 1) for dawn in sleeper.dawns]
    numbers = {
        "acc_hippocampus": float(np.mean(right)),
        "nights": sleeper.nights,
        "n_bytes_naming": sum(a.nbytes for a in (*cortex.up, *cortex.up_bias)),
        "in_use": sleeper.hippocampus.gauge().used,
        "mastered": float(np.mean(shares)) if shares else float("nan"),
    }
    found |= {k: np.array(v) for k, v in numbers.items()} | {"accuracy": course.accuracy}
    return found | (audit_inside(sleeper, stream, config.audit) if config.audit else {})


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
    reference = Reference(config.stream(), config.part) if config.reference else None
    result = Result(config, compare_with(reference, run_arm, config, tick, shelf))
    if recorder is not None:
        record(result.measured, recorder, DIMS)
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw accuracy against bytes, against the sparsity of the gyrus, and arm by arm."""
    axes.set_axis_off()
    sizes = [arm for arm in result.config.arms if arm.endswith("kB")]
    sparse = [arm for arm in result.config.arms if arm.startswith("DG ") and arm.endswith("%")]
    rest = [arm for arm in result.config.arms if arm not in (*sizes, *sparse)]
    panels = [(kind, arms) for kind, arms in (("kB", sizes), ("%", sparse), ("", rest)) if arms]
    curves = max(1, len([kind for kind, _ in panels if kind]))
    height = 1 / curves
    for k, (kind, arms) in enumerate(panels):
        if kind:  # Curves one above the other, on the left.
            place = (0.09, 1 - (k + 1) * height + 0.11, 0.36, height - 0.13)
        else:  # Names of arms need more room than numbers.
            place = (0.74, 0.11, 0.24, 0.87) if len(panels) > 1 else (0.35, 0.11, 0.6, 0.87)
        panel = axes.inset_axes(place)
        (_curve if kind else _arms)(result, panel, arms, kind)


def _curve(result: Result, axes: Axes, arms: list[str], kind: str) -> None:
    """Draw cortex and hippocampus over what the arms vary."""
    for name, said, colour, marker in (
        ("acc", "cortex alone, after sleep", "#332288", "o"),
        ("acc_hippocampus", "hippocampus alone", "#cc6677", "s"),
    ):
        if kind == "kB":
            x = [
                float(np.mean(m["n_bytes"] - m["n_bytes_network"])) / 1000
                for m in (result.measured[arm] for arm in arms)
            ]
        else:
            x = [float(arm.split()[1]) for arm in arms]
        found = [mean_interval(100 * result.measured[arm][name]) for arm in arms]
        bars = [[m.mean - m.low for m in found], [m.high - m.mean for m in found]]
        axes.errorbar(
            x, [m.mean for m in found], np.nan_to_num(bars), fmt=f"{marker}-", color=colour,
            label=said, markersize=4, capsize=2,
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(x, [f"{value:.2g}" if value < 10 else f"{value:.0f}" for value in x])
    axes.minorticks_off()
    if kind == "kB":
        label(axes.xaxis, "kept by the hippocampus", "kB")
    else:
        label(axes.xaxis, "cells of a class in a pattern", "%")
    label(axes.yaxis, "accuracy after all tasks", "%")
    axes.legend(fontsize=7)


def _arms(result: Result, axes: Axes, arms: list[str], kind: str) -> None:
    """Draw every other arm as a row."""
    for row, arm in enumerate(arms):
        values = 100 * result.measured[arm]["acc"]
        seeds, mean = ("", "") if row else ("a seed", "mean")
        at = np.full(len(values), row)
        axes.plot(values, at, "o", color="#332288", markersize=3, alpha=0.5, label=seeds)
        axes.plot(values.mean(), row, "|", color="#332288", markersize=12, label=mean)
    axes.legend(fontsize=7, loc="lower left")
    axes.set_yticks(range(len(arms)), arms, fontsize=7)
    axes.invert_yaxis()
    label(axes.xaxis, "accuracy of the cortex alone", "%")
