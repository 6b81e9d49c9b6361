"""Nights over images: the hippocampus learns by day, and by night its replay teaches a cortex."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from circuits.bidirectional import BidirectionalConfig
from circuits.entorhinal_sheet import EntorhinalSheet
from circuits.feature_maps import FeatureMaps, FeatureMapsConfig
from circuits.lamellae_config import LamellaeConfig
from circuits.lamellar_ca3 import LamellarCA3Config
from circuits.lamellar_hippocampus import LamellarHippocampus, LamellarHippocampusConfig
from circuits.night import Night
from circuits.night_config import NightConfig
from circuits.night_report import DawnReport
from circuits.predictive_cortex import PredictiveCortex
from circuits.predictive_cortex_config import PredictiveCortexConfig
from experiments.backprop_cortex import BackpropCortex
from experiments.continual.fast_memory import maps_for
from experiments.replay_controls import RandomReplay, RawReplay
from neurosim.continual import ContinualLearner, Method, Shape
from neurosim.errors import ConfigError
from neurosim.optimisers import Optimiser
from neurosim.randomness import Streams
from neurosim.streams import Batch

Array = NDArray[np.float32]
Bedtime = Literal["task", "samples", "fatigue", "never"]
Kind = Literal["predictive", "backprop"]
Source = Literal["ca3", "random", "raw"]

NIGHT = NightConfig(
    cycles=1, bursts_per_memory=25, steps=300, steps_for=1 << 40, lessons_per_step=128,
    dreams_per_step=0, recombined=0.0, continued=0, confidence=0.9, drift_limit=float("inf"),
    release=False,
)  # fmt: skip
"""A night of one long cycle; the hippocampus stays, as an archive, and so no dreams are needed."""


@dataclass(frozen=True)
class Sleeping(Method):
    """By day one exposure writes into the hippocampus; by night its replay teaches the cortex.

    Only the cortex answers: at every examination the hippocampus is as if removed. The cortex never
    gets a sheet that the eyes have brought, only what CA3 brings back, and its own dreams.

    Parameters
    ----------
    budget : int [B]
        For the hippocampus: fields, granule cells, CA3's synapses.
    n_fields, n_winners, development, patches : int
        See `FastMemory` and `FeatureMapsConfig`.
    gyrus : LamellaeConfig
        Its classes and lamellae follow from the stream, and its cells from the budget unless
        `n_cells` is given.
    n_cells : int
        Of a class in each lamella; 0 for as many as the budget holds.
    ca3 : LamellarCA3Config
    replay : str
        "ca3"; or, as controls, "random" or "raw" (see `experiments.replay_controls`).
    cortex : str
        "predictive", with local rules, or "backprop".
    hidden : tuple of int
        Cells of the cortex's hidden layers.
    eta : float
        Its learning rate (Adam).
    variety : float
        Of its dreams; see `PredictiveCortexConfig`.
    dream_weight : float
        How much a dream counts beside a lesson.
    night : NightConfig
    bedtime : str
        "task": a night after every task; "samples": after every `day` samples; "fatigue": when
        `day` recurrent synapses have been written that were silent before; "never".
    day : int
    first_only : bool
        NREM in the first night only; what is learnt later must come of dreams alone.

    References
    ----------
    McClelland, McNaughton & O'Reilly (1995) Psychol. Rev. 102:419; Tononi & Cirelli (2014) Neuron
    81:12 (what was written by day makes tired).
    """

    budget: int = 786_000
    n_fields: int = 16
    n_winners: int = 2
    development: int = 4
    patches: int = 40_000
    gyrus: LamellaeConfig = field(default_factory=LamellaeConfig)
    n_cells: int = 0
    ca3: LamellarCA3Config = field(default_factory=LamellarCA3Config)
    replay: Source = "ca3"
    cortex: Kind = "predictive"
    hidden: tuple[int, ...] = (256,)
    eta: float = 1e-3
    variety: float = 1.0
    dream_weight: float = 1.0
    night: NightConfig = NIGHT
    bedtime: Bedtime = "task"
    day: int = 6000
    first_only: bool = False

    source: ClassVar[str] = "this project; circuits/night.py"
    published: ClassVar[Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        for name, value, known in (
            ("cortex", self.cortex, get_args(Kind)),
            ("bedtime", self.bedtime, get_args(Bedtime)),
            ("replay", self.replay, get_args(Source)),
        ):
            if value not in known:
                raise ConfigError.expected(
                    self, name, " or ".join(known), value, "choose one of them"
                )
        if self.day < 1 or self.n_cells < 0:
            raise ConfigError.expected(
                self, "day", "1 or more, and n_cells 0 or more", (self.day, self.n_cells),
                "leave them out",
            )  # fmt: skip

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn.

        Raises
        ------
        ConfigError
            When the budget does not hold a cell a class in each lamella; says the least.
        """
        return Sleeper(self, shape, rng)

    def maps(self, shape: Shape) -> FeatureMapsConfig:
        """Return the maps of the fast memory."""
        return maps_for(shape, self.n_fields, self.n_winners, self.development, self.patches)

    def hippocampus(
        self, sheet: EntorhinalSheet, n_classes: int, extent: int, stride: int,
        rng: np.random.Generator,
    ) -> LamellarHippocampus:  # fmt: skip
        """Return the largest hippocampus that the budget holds, or one of `n_cells`."""
        gyrus = replace(self.gyrus, n_classes=n_classes, extent=extent, stride=stride)

        def build(cells: int) -> LamellarHippocampus:
            config = LamellarHippocampusConfig(replace(gyrus, cells=cells), self.ca3)
            kinds = {"ca3": LamellarHippocampus, "random": RandomReplay, "raw": RawReplay}
            return kinds[self.replay](config, sheet.shape, rng)

        if self.n_cells:
            return build(self.n_cells)
        room = self.budget - sheet.maps.fields.nbytes
        sizes = [_n_bytes(build(cells)) for cells in (1, 2, 3)]
        if room < sizes[0]:
            raise ConfigError.expected(
                self, "budget", f"{sizes[0] + sheet.maps.fields.nbytes} bytes or more, a cell a "
                "class", self.budget, "raise it, or take fewer fields",
            )  # fmt: skip
        cells = 1
        square = (sizes[2] - 2 * sizes[1] + sizes[0]) / 2  # Synapses grow with the square.
        guess = sizes[1] - sizes[0] - 3 * square
        while sizes[0] + guess * cells + square * ((cells + 1) ** 2 - 1) <= room:
            cells += 1
        while cells > 1 and _n_bytes(build(cells)) > room:
            cells -= 1
        return build(cells)


class Sleeper:
    """Maps, hippocampus and cortex at work, and asleep.

    Parameters
    ----------
    method : Sleeping
    shape : Shape
    rng : numpy.random.Generator

    Attributes
    ----------
    nights : int
        Those that are over.
    dawns : list of DawnReport
    """

    def __init__(self, method: Sleeping, shape: Shape, rng: np.random.Generator) -> None:
        self.method, self.rng = method, rng
        maps = FeatureMaps(method.maps(shape), shape.image_shape, rng)
        extent, stride = (2, 1) if min(maps.grid) < 6 else (3, 2)
        self.sheet = EntorhinalSheet(maps, extent, stride)
        self.hippocampus = method.hippocampus(self.sheet, shape.n_outputs, extent, stride, rng)
        self.streams = Streams(int(rng.integers(1 << 31)))
        network = BidirectionalConfig(
            (self.sheet.n_cells, *method.hidden, shape.n_outputs),
            optimiser=Optimiser("adam", eta=method.eta),
        )
        cortex = BackpropCortex if method.cortex == "backprop" else PredictiveCortex
        self.cortex = cortex(
            PredictiveCortexConfig(
                network,
                covered=0.0,
                variety=method.variety,
                dream_weight=method.dream_weight,
                seed=self.streams.seed_for("cortex"),
            )  # fmt: skip
        )
        self.nights = 0
        self.dawns: list[DawnReport] = []
        self.tired = 0

    # By day

    def observe(self, batch: Batch) -> None:
        """Develop, or write; and fall asleep when it is time."""
        self.wake()
        maps = self.sheet.maps
        used = 0 if maps.mature else maps.develop(batch.x)
        fresh = 0
        if used < len(batch.y):
            fresh = self.hippocampus.experience(self.sheet.encode(batch.x[used:]), batch.y[used:])
        # Images that only the fields saw are samples, too: a day is as long whatever the batch.
        self.tired += {"samples": len(batch.y), "fatigue": fresh}.get(self.method.bedtime, 0)
        if self.tired >= self.method.day:
            over = self.tired - self.method.day if self.method.bedtime == "samples" else 0
            self.sleep()
            self.tired = over  # A batch that ends past bedtime does not put off the next night.

    def end_of_task(self, task: int) -> None:
        """Sleep, where a night follows every task; leave no cell of a single image in any case."""
        self.wake()
        if self.method.bedtime == "task":
            self.sleep()
        else:
            self.hippocampus.settle()

    def predict(self, x: Array) -> Array:
        """Return the cortex's scores; the hippocampus has no say."""
        return self.cortex.scores(self._seen(x))

    def remember(self, x: Array) -> Array:
        """Return what the hippocampus alone would say, ``(n, n_outputs)``."""
        return self.hippocampus.evidence(self.sheet.encode(x))

    # By night

    def sleep(self) -> None:
        """Sleep a whole night."""
        for _ in self.night():
            pass

    def night(self) -> Iterator[int]:
        """Sleep a night, cycle by cycle; what is left of it when it is broken off ends in `wake`.

        Yields
        ------
        int
            The number of the cycle that is over.
        """
        self.tired = 0
        self.hippocampus.settle()
        if not self.hippocampus.gauge().n_items:
            return
        night = self._night()
        if not self.cortex.growing:
            self.cortex.network.moments.clear()
        night.begin()
        for number in range(1, self.method.night.cycles + 1):
            night.cycle(number)
            yield number
        self.wake()

    def wake(self) -> None:
        """Let a night that was broken off end: at dawn what it has written is kept.

        A stream that ends mid-night leaves a cortex that is growing; it answers with what it has
        learnt so far, and whoever goes on with it first lets the night end.
        """
        if not self.cortex.growing:
            return
        self.dawns.append(self._night().dawn())
        self.cortex.network.moments.clear()
        self.nights += 1

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return fields, hippocampus and cortex; an optimiser's moments only during a night."""
        kept = {**self.sheet.maps.state, **self.hippocampus.state}
        own = {f"memory/{name}": array for name, array in kept.items()}
        for name, array in self.cortex.state.items():
            momentary = name.startswith("moments/") or name == "n_steps"
            if not momentary:
                own[f"network/{name}"] = array
            elif self.cortex.growing:
                own[f"memory/{name}"] = array
        return own

    def _seen(self, x: Array) -> Array:
        levels: Array = self.sheet.encode(x).astype(np.float32) / np.float32(255)
        return levels

    def _night(self) -> Night:
        config = self.method.night
        if self.method.first_only and self.nights:
            config = replace(config, lessons_per_step=0)
        return Night(self.hippocampus, self.cortex, config, self.streams, self.nights + 1)


def _n_bytes(hippocampus: LamellarHippocampus) -> int:
    return sum(array.nbytes for array in hippocampus.state.values())
