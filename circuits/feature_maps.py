"""Feature maps: local receptive fields, the same at every place, before entorhinal cortex."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numba
import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError, InputError, check_real
from neurosim.ledger import Ledger
from neurosim.ranges import Count, Range, check_fields
from neurosim.state import check_shapes

FloatArray = NDArray[np.float32]

FAINT = 0.5
"""Contrast of a patch below which it teaches no field, and that halves a cell's response."""

UNFAIR = 0.3
"""Share by which a field that wins twice as often as is fair must match better."""

SLOWEST = 0.01
"""A field never learns more slowly, so that early patches do not decide."""

MOST_FIELDS = 256

Fields = Annotated[int, Range(2, MOST_FIELDS)]


@dataclass(frozen=True)
class FeatureMapsConfig:
    """Size of the maps.

    Parameters
    ----------
    n_fields : int
        Receptive fields, each at every place, up to 256.
    side : int [pixels]
        Of a field; odd.
    pool : int [pixels]
        Side of the square in which a complex cell takes the largest response of a field.
    winners : int
        Fields that may respond at one place.
    development : int
        Images that the fields develop on; they are not remembered.
    patches : int
        Of each of those images.
    """

    n_fields: Fields = 32
    side: Count = 5
    pool: Count = 4
    winners: Count = 3
    development: Count = 400
    patches: Count = 100

    def __post_init__(self) -> None:
        check_fields(self)
        if self.winners >= self.n_fields:
            raise ConfigError.expected(
                self, "winners", f"fewer than the {self.n_fields} fields", self.winners,
                "take fewer, or more fields",
            )  # fmt: skip
        if self.side % 2 == 0:
            raise ConfigError.expected(
                self, "side", "an odd number of pixels", self.side, "leave it out for 5"
            )


class FeatureMaps:
    """Simple cells that compete at each place, and complex cells that pool their responses.

    ``r_f = F_f . (p - mean p) / (|p - mean p| + FAINT)`` for the patch p around a place; lateral
    inhibition subtracts the (winners + 1)-th largest response of the place, and what is below zero
    is silent; a complex cell gives the square root of the largest response of its field in its
    square.

    In development the field that matches a patch best turns towards it, ``F += (p - F) / n``, n its
    wins so far; one that wins more often than its share is handicapped, so that all are used.

    What a synapse must know: pre, post, its weight, how often its cell has won. A field is *one*
    set of weights for all places, as in a convolution, and counted once; in a brain each place has
    its own, which develop alike because all places see alike edges.

    Parameters
    ----------
    config : FeatureMapsConfig
    image_shape : (n_rows, n_columns)
    rng : numpy.random.Generator
        Chooses the patches.

    Attributes
    ----------
    fields : (n_fields, side * side) float32
        Unit length. Before development: the first patches seen.
    wins : (n_fields,) int64
    n_seen : int
        Images it has developed on.
    grid : (n_rows, n_columns)
        Of complex cells.

    References
    ----------
    Rumelhart & Zipser (1985) Cogn. Sci. 9:75 (competitive learning); DeSieno (1988) ICNN 1:117
    (conscience); Riesenhuber & Poggio (1999) Nat. Neurosci. 2:1019 (complex cells take the
    maximum); Carandini & Heeger (2012) Nat. Rev. Neurosci. 13:51 (normalisation).
    """

    def __init__(
        self, config: FeatureMapsConfig, image_shape: tuple[int, int], rng: np.random.Generator
    ) -> None:
        if min(image_shape) < config.side:
            raise ConfigError.expected(
                "FeatureMaps", "image_shape", f"{config.side} pixels or more each way",
                image_shape, "take smaller fields",
            )  # fmt: skip
        self.config, self.image_shape, self._rng = config, image_shape, rng
        self.fields: FloatArray = np.zeros((config.n_fields, config.side**2), np.float32)
        self.wins = np.zeros(config.n_fields, dtype=np.int64)
        self.n_seen = 0
        self._born = 0
        self.grid = tuple(-(-extent // config.pool) for extent in image_shape)
        self.ledger = Ledger()

    @property
    def n_features(self) -> int:
        """Complex cells."""
        return self.grid[0] * self.grid[1] * self.config.n_fields

    @property
    def mature(self) -> bool:
        """Whether development is over: from now on a pattern is coded as it will be for ever."""
        return self.n_seen >= self.config.development

    def develop(self, images: FloatArray) -> int:
        """Learn from patches of images until development is over; return how many were used.

        Parameters
        ----------
        images : (n, n_rows * n_columns) float32
            0..1.
        """
        used = images[: max(self.config.development - self.n_seen, 0)]
        for image in self._check(used):
            self._learn(self._patches(image))
        self.n_seen += len(used)
        return len(used)

    def encode(self, images: FloatArray) -> FloatArray:
        """Return the activity of the complex cells, ``(n, n_rows, n_columns, n_fields)`` of grid.

        Parameters
        ----------
        images : (n, n_rows * n_columns) float32
        """
        checked = self._check(images)
        out = np.zeros((len(checked), *self.grid, self.config.n_fields), np.float32)
        _respond(
            checked, np.ascontiguousarray(self.fields.T), self.config.side, self.config.pool,
            self.config.winners, np.float32(FAINT), out,
        )  # fmt: skip
        n = len(checked) * self.image_shape[0] * self.image_shape[1] * self.fields.size
        self.ledger.add(n, 0, n, self.fields.nbytes * len(checked))
        return np.sqrt(out, out=out)

    @property
    def state(self) -> dict[str, NDArray]:
        """Return the named arrays that make it up."""
        return {"fields": self.fields}

    @property
    def growth(self) -> dict[str, NDArray]:
        """Return how far development has come: ``wins``, and images seen and fields born.

        Nothing of it is needed any more when development is over.
        """
        return {"wins": self.wins, "seen_and_born": np.array([self.n_seen, self._born])}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        """Take a saved state and growth back.

        Raises
        ------
        InputError
            When an array is missing or of another shape.
        """
        check_shapes(self, {**self.state, **self.growth}, state)
        self.fields[...], self.wins[...] = state["fields"], state["wins"]
        self.n_seen, self._born = (int(n) for n in state["seen_and_born"])

    def _check(self, images: FloatArray) -> FloatArray:
        rows, columns = self.image_shape
        if images.ndim != 2 or images.shape[1] != rows * columns:
            raise InputError.expected(
                "FeatureMaps", "images", f"(n, {rows * columns}) pixels", images.shape,
                "give images of the size that the maps were made for",
            )  # fmt: skip
        check_real("FeatureMaps", "images", images)
        wrong = ~np.isfinite(images)
        if wrong.any():
            image, pixel = np.argwhere(wrong)[0]
            raise InputError.expected(
                "FeatureMaps", f"images[{image}, {pixel}]", "a finite number",
                float(images[image, pixel]), "mend or leave out the image",
            )  # fmt: skip
        return np.ascontiguousarray(images, dtype=np.float32).reshape(-1, rows, columns)

    def _patches(self, image: FloatArray) -> FloatArray:
        """Return patches of an image that have contrast, mean 0 and unit length."""
        side, n = self.config.side, self.config.patches
        rows = self._rng.integers(image.shape[0] - side + 1, size=n)
        columns = self._rng.integers(image.shape[1] - side + 1, size=n)
        windows = np.lib.stride_tricks.sliding_window_view(image, (side, side))
        patches = windows[rows, columns].reshape(n, -1).astype(np.float32)
        patches -= patches.mean(axis=1, keepdims=True)
        contrast = np.linalg.norm(patches, axis=1)
        clear = contrast > FAINT
        return patches[clear] / contrast[clear, None]

    def _learn(self, patches: FloatArray) -> None:
        born = min(len(patches), self.config.n_fields - self._born)
        self.fields[self._born : self._born + born] = patches[:born]
        self._born += born
        if self._born == self.config.n_fields:
            _compete(self.fields, self.wins, patches[born:], UNFAIR, SLOWEST)
            n = len(patches[born:]) * self.fields.size
            self.ledger.add(n, len(patches[born:]) * self.fields.shape[1], n, n * 4)


@numba.njit(cache=True, error_model="numpy")
def _compete(fields, wins, patches, unfair, slowest):
    n_fields, size = fields.shape
    total = wins.sum()
    for p in range(patches.shape[0]):
        best, winner = -np.inf, 0
        for f in range(n_fields):
            match = 0.0
            for d in range(size):
                match += fields[f, d] * patches[p, d]
            if total > 0:
                match -= unfair * (wins[f] * n_fields / total - 1.0)
            if match > best:
                best, winner = match, f
        wins[winner] += 1
        total += 1
        eta = max(slowest, 1.0 / (1 + wins[winner]))
        length = 0.0
        for d in range(size):
            fields[winner, d] += np.float32(eta * (patches[p, d] - fields[winner, d]))
            length += fields[winner, d] ** 2
        for d in range(size):
            fields[winner, d] /= np.float32(np.sqrt(length))


@numba.njit(cache=True, error_model="numpy")
def _respond(images, fields, side, pool, winners, faint, out):
    n_fields = fields.shape[1]
    half = side // 2
    response = np.zeros(n_fields, np.float32)
    largest = np.zeros(winners + 1, np.float32)
    for i in range(images.shape[0]):
        for row in range(images.shape[1]):
            for column in range(images.shape[2]):
                total = np.float32(0)
                square = np.float32(0)
                response[:] = 0
                for a in range(side):
                    r = row + a - half
                    if r < 0 or r >= images.shape[1]:
                        continue
                    for b in range(side):
                        c = column + b - half
                        if c < 0 or c >= images.shape[2]:
                            continue
                        x = images[i, r, c]
                        if x == 0:
                            continue
                        total += x
                        square += x * x
                        for f in range(n_fields):  # Fields have mean 0: that of p drops out.
                            response[f] += x * fields[a * side + b, f]
                if square == 0:
                    continue
                spread = max(square - total * total / (side * side), np.float32(0))
                gain = np.float32(1) / (np.float32(np.sqrt(spread)) + faint)
                largest[:] = 0
                for f in range(n_fields):
                    x = response[f]
                    if x > largest[winners]:
                        k = winners
                        while k > 0 and largest[k - 1] < x:
                            largest[k] = largest[k - 1]
                            k -= 1
                        largest[k] = x
                bar = largest[winners]
                for f in range(n_fields):
                    x = (response[f] - bar) * gain
                    if x > out[i, row // pool, column // pool, f]:
                        out[i, row // pool, column // pool, f] = x
