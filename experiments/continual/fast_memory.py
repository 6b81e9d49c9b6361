"""The hippocampus's fast memory alone: feature maps, lamellae, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from circuits.feature_maps import FeatureMaps, FeatureMapsConfig, Fields
from circuits.lamellae import Lamellae
from circuits.lamellae_config import Bits, LamellaeConfig
from neurosim.batches import checked_batch, checked_images
from neurosim.codes import stack
from neurosim.continual_learner import CLOCK, ContinualLearner, Method, Shape
from neurosim.errors import ConfigError, InputError
from neurosim.randomness import generator_state, restore_generator
from neurosim.ranges import Count, PartialShare, Share, Whole
from neurosim.state import check_shapes
from neurosim.streams import Batch

Array = NDArray[np.float32]

PER_CELL = 2
"""Bytes of a cell's count of wins."""


@dataclass(frozen=True)
class FastMemory(Method):
    """One exposure, local rules, no image kept.

    The fields of the maps develop on the first images of the stream, which are not remembered; then
    every image is written once. How many cells a class may recruit follows from the bytes.

    Parameters
    ----------
    budget : int [B]
        For everything kept: fields, weights packed to their bits, and wins.
    n_fields : int
        Fields of the maps; their side and pool fit the image; see `maps_for`.
    winners : int
        Fields that may respond at one place.
    development, patches : int
        Images before the first is remembered, and patches that the fields learn from in all.
    bits : int
        Of a weight.
    conscience : float
        See `LamellaeConfig`.
    room : bool
        See `LamellaeConfig`: whether a class that comes back in another task makes room.
    cooperativity, least_wins : float and int
        See `LamellaeConfig`: which parts are too faint to be written, and how many patterns a cell
        must stem from. Where there are no maps no part is faint.
    volatility, steady : int and float
        See `LamellaeConfig`: by how much a cell wanders at dusk, and from what on it does not, so
        that none stays beside an image. Where there are no maps none wanders.
    maps : bool
        False: no maps; the pixels themselves drive four lamellae, a quarter of the image each. For
        images in which neighbours have nothing to do with each other.

    References
    ----------
    See `circuits.feature_maps` and `circuits.lamellae`.
    """

    budget: Count = 400_000
    n_fields: Fields = 16
    winners: Count = 2
    development: Count = 4
    patches: Count = 40_000
    bits: Bits = 4
    conscience: Share = 0.5
    room: bool = True
    cooperativity: PartialShare = LamellaeConfig.cooperativity
    least_wins: Count = LamellaeConfig.least_wins
    volatility: Whole = 1
    steady: Share = 0.12
    maps: bool = True

    source: ClassVar[str] = "this project; circuits/lamellae.py"
    published: ClassVar[Mapping[str, float]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        FeatureMapsConfig(self.n_fields, winners=self.winners)

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn memory.

        Raises
        ------
        ConfigError
            When the budget does not hold a cell a class in each lamella; says the least.
        """
        return FastLearner(self, shape, rng)


def maps_for(
    shape: Shape, n_fields: int, winners: int, development: int, patches: int
) -> FeatureMapsConfig:
    """Return maps whose complex cells make a grid of about 7 x 7 (small images: 4 x 4)."""
    small = min(shape.image_shape) < 16
    per_image = max(1, patches // development)
    return FeatureMapsConfig(n_fields, 3, 2 if small else 4, winners, development, per_image)


class Pixels:
    """What stands for the maps where there are none: the image is the sheet.

    Parameters
    ----------
    image_shape : (n_rows, n_columns)
    """

    mature = True

    def __init__(self, image_shape: tuple[int, int]) -> None:
        self.grid = image_shape
        self.state: dict[str, NDArray] = {}
        self.growth: dict[str, NDArray] = {}

    def develop(self, images: Array) -> int:
        """Use none."""
        return 0

    def encode(self, images: Array) -> Array:
        """Return the images, ``(n, n_rows, n_columns, 1)``."""
        n_pixels = self.grid[0] * self.grid[1]
        if images.ndim != 2 or images.shape[1] != n_pixels:
            raise InputError.expected(
                self, "images", f"(n, {n_pixels}) pixels", images.shape,
                "give images of the size that it was made for",
            )  # fmt: skip
        return images.reshape(len(images), *self.grid, 1)

    def restore(self, state: Mapping[str, NDArray]) -> None:
        """Take nothing back: there is nothing that changes."""


class FastLearner:
    """Maps and lamellae at work.

    Parameters
    ----------
    method : FastMemory
    shape : Shape
    rng : numpy.random.Generator
    """

    def __init__(self, method: FastMemory, shape: Shape, rng: np.random.Generator) -> None:
        self.shape, self.rng = shape, rng
        self.maps: FeatureMaps | Pixels
        if method.maps:
            config = maps_for(
                shape, method.n_fields, method.winners, method.development, method.patches
            )
            self.maps = FeatureMaps(config, shape.image_shape, rng)
            extent, stride = (2, 1) if min(self.maps.grid) < 6 else (3, 2)
            strongest = LamellaeConfig.strongest
        else:
            self.maps = Pixels(shape.image_shape)
            extent = stride = max(1, min(shape.image_shape) // 2)
            # The larger a part, the smaller its share of a length of 1.
            strongest = min(LamellaeConfig.strongest, 4.2 / extent)
        sheet = (*self.maps.grid, method.n_fields if method.maps else 1)

        def lamellae(cells: int) -> Lamellae:
            config = LamellaeConfig(
                shape.n_outputs, cells, extent, stride, method.bits, strongest, method.conscience,
                room=method.room, least_wins=method.least_wins, steady=method.steady,
                volatility=method.volatility if method.maps else 0,
                cooperativity=method.cooperativity if method.maps else 0.0,
            )  # fmt: skip
            return Lamellae(config, sheet, rng)  # type: ignore[arg-type]

        one, two = (sum(array.nbytes for array in lamellae(n).state.values()) for n in (1, 2))
        fixed = sum(array.nbytes for array in self.maps.state.values())
        room = method.budget - fixed
        if not room >= one:
            raise ConfigError.expected(
                method, "budget", f"{one + fixed} bytes or more, a cell a class",
                method.budget, "raise it, or take fewer fields",
            )  # fmt: skip
        self.lamellae = lamellae(1 + (room - one) // (two - one))

    def observe(self, batch: Batch) -> None:
        """Develop, or write."""
        batch = checked_batch(batch, self.shape)
        used = 0 if self.maps.mature else self.maps.develop(batch.x)
        if used < len(batch.y):
            self.lamellae.observe(self.maps.encode(batch.x[used:]), batch.y[used:])

    def end_of_task(self, task: int) -> None:
        """Leave no cell of a single image."""
        self.lamellae.settle()

    def predict(self, x: Array) -> Array:
        """Return the evidence for each class."""
        return self.lamellae.evidence(self.maps.encode(checked_images(x, self.shape)))

    def regions(self, x: Array) -> Mapping[str, NDArray]:
        """Return the activity of complex cells, and which granule cells win."""
        activity = self.maps.encode(checked_images(x, self.shape))
        codes = stack(self.lamellae.encode(activity))
        return {"ec": activity.reshape(len(x), -1), "dg": codes}

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return fields, weights and wins, and under ``memory/clock`` where chance stands."""
        kept = {**self.maps.state, **self.lamellae.state}
        own = {f"memory/{name}": array for name, array in kept.items()}
        return own | {CLOCK + name: array for name, array in self._clock.items()}

    @property
    def _clock(self) -> dict[str, NDArray]:
        """Return what is no synapse, and without which it cannot go on the same."""
        return {"generator": generator_state(self.rng), **self.maps.growth}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        """Take a saved state back: it goes on bit for bit as the one that was saved would have.

        Raises
        ------
        InputError
            When an array is missing or of another shape; nothing has been taken then.
        """
        check_shapes(self, self.state, state)
        restore_generator(self.rng, state[f"{CLOCK}generator"])
        memory = {name.removeprefix("memory/"): array for name, array in state.items()}
        clock = {name.removeprefix(CLOCK): array for name, array in state.items()}
        self.maps.restore({**memory, **clock})
        self.lamellae.restore(memory)
