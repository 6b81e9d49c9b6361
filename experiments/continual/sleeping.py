"""Nights over images: the hippocampus learns by day, and by night its replay teaches a cortex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np

from circuits.entorhinal_sheet import EntorhinalSheet
from circuits.feature_maps import FeatureMapsConfig, Fields
from circuits.lamellae_config import LamellaeConfig
from circuits.lamellar_ca3 import LamellarCA3Config
from circuits.lamellar_hippocampus import LamellarHippocampus, LamellarHippocampusConfig
from circuits.night_config import NightConfig
from experiments.continual.fast_memory import maps_for
from experiments.replay_controls import RandomReplay, RawReplay
from experiments.sleeper import Sleeper
from neurosim.continual_learner import ContinualLearner, Method, Shape
from neurosim.errors import ConfigError, check_counts
from neurosim.ranges import Count, NotNegative, Positive, Share, Whole

Bedtime = Literal["task", "samples", "fatigue", "never"]
Kind = Literal["predictive", "backprop"]
Source = Literal["ca3", "random", "raw"]

NIGHT = NightConfig(
    cycles=1, bursts_per_memory=25, steps=300, steps_for=1 << 40, lessons_per_step=128,
    dreams_per_step=0, recombined=0.0, continued=0, confidence=0.9, drift_limit=float("inf"),
    release=False,
)  # fmt: skip
"""A night of one long cycle; the hippocampus stays, as an archive, and so no dreams are needed."""

GYRUS = LamellaeConfig(cooperativity=0.05, volatility=1, steady=0.12)
"""Fainter parts are written than by the fast memory, since the cortex misses them: the least at
which no cell was an image's on the validation streams of two seeds. Cells that hold little wander
by a count at dusk, so that the mean of many images does not stay beside one of them."""


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
    variety, styles, recognition : float, int and float
        Of its dreams; see `PredictiveCortexConfig`.
    dream_weight : float
        How much a dream counts beside a lesson.
    capture : float
        Share of a night's steps over which the cortex captures what they have written; at 0 it
        answers with it at once (see `SynapticCapture`).
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

    budget: Count = 786_000
    n_fields: Fields = 16
    n_winners: Count = 2
    development: Count = 4
    patches: Count = 40_000
    gyrus: LamellaeConfig = GYRUS
    n_cells: Whole = 0
    ca3: LamellarCA3Config = field(default_factory=LamellarCA3Config)
    replay: Source = "ca3"
    cortex: Kind = "predictive"
    hidden: tuple[Count, ...] = (256,)
    eta: Positive = 1e-3
    variety: NotNegative = 1.0
    styles: Whole = 0
    recognition: NotNegative = 0.0
    dream_weight: NotNegative = 1.0
    capture: Share = 0.15
    night: NightConfig = NIGHT
    bedtime: Bedtime = "task"
    day: Count = 6000
    first_only: bool = False

    source: ClassVar[str] = "this project; circuits/night.py"
    published: ClassVar[Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "hidden")  # A cortex has a hidden layer or more.
        FeatureMapsConfig(self.n_fields, winners=self.n_winners)

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
        if not room >= sizes[0]:
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


def _n_bytes(hippocampus: LamellarHippocampus) -> int:
    return sum(array.nbytes for array in hippocampus.state.values())
