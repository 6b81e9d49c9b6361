"""The predictive-coding cortex: it names what it sees, completes what is covered, and dreams."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from circuits.bidirectional import (
    BidirectionalConfig,
    BidirectionalNetwork,
    Inferred,
    Precisions,
)
from neurosim.contracts import Completion
from neurosim.errors import ConfigError, InputError
from neurosim.randomness import Streams

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

UNKNOWN = -1
"""A pixel that is covered, or a class that nobody has told."""

WHITE = 255


@dataclass(frozen=True)
class PredictiveCortexConfig:
    """How the cortex learns, completes and dreams.

    Parameters
    ----------
    network : BidirectionalConfig
        Its lowest layer is the image, its top layer the classes.
    covered : float
        Share of the images that are seen in part while the whole teaches, 0 to 1.
    completion : int
        Steps of inference of a completion.
    completion_step : float
        Their length.
    trust : float
        Precision of what is seen, in a completion and in a dream.
    guidance : float
        Precision of what a told class predicts of hidden layers, in a completion and in a dream.
    variety : float
        How far a dream's hidden values start from what the class predicts, in their usual
        deviations, at temperature 1. Below 1, since cells vary together and noise does not.
    rounds : int
        Times a dream then covers a part of itself and completes it anew; each makes it smoother.
    dream_weight : float
        How much a dream counts beside a lesson.
    memory : float [samples]
        Over which the running variances of errors are taken.
    seed : int
        Of first weights and of what is covered.
    """

    network: BidirectionalConfig = field(default_factory=BidirectionalConfig)
    covered: float = 0.6
    completion: int = 10
    completion_step: float = 0.1
    trust: float = 1.0
    guidance: float = 1.0
    variety: float = 0.3
    rounds: int = 0
    dream_weight: float = 1.0
    memory: float = 5000.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.covered <= 1:
            raise ConfigError.expected(self, "covered", "0 to 1", self.covered, "try 0.6")
        if self.completion < 0 or self.rounds < 0:
            raise ConfigError.expected(
                self, "completion", "0 or more, as rounds", (self.completion, self.rounds),
                "leave them out",
            )  # fmt: skip
        if self.network.sizes[-1] > WHITE + 1:
            raise ConfigError.expected(
                self, "network", f"at most {WHITE + 1} classes", self.network.sizes[-1],
                "an item is written in bytes; tell fewer",
            )  # fmt: skip
        if not self.memory >= 1:
            raise ConfigError.expected(self, "memory", "1 sample or more", self.memory, "try 5000")


class PredictiveCortex:
    """Images and their classes in one bidirectional predictive-coding network.

    An item of the `Cortex` contract is an image and its class: grey levels 0..255 row by row, then
    the number of the class. `UNKNOWN` stands for a pixel or a class that is not known, and what an
    item is too short for is not known either. Bytes hold the same numbers, all of them known. The
    image may as well be a sheet of entorhinal cells.

    Bottom-up weights name in one sweep, top-down weights imagine. A classifier alone cannot
    imagine, and a generative network alone names badly, so both are here, on the same value nodes
    and with local rules only (see `BidirectionalNetwork`).

    Parameters
    ----------
    config : PredictiveCortexConfig

    Attributes
    ----------
    network : BidirectionalNetwork
    variance : list of (n_units,) float
        Running mean squares of the top-down errors, layer by layer, and last those of the top.
    familiar : (n_classes,) bool
        The classes it has been told of: only these are dreamt of.
    """

    def __init__(self, config: PredictiveCortexConfig | None = None) -> None:
        self.config = config or PredictiveCortexConfig()
        self.streams = Streams(self.config.seed)
        rng = self.streams.generator("predictive_cortex/weights")
        self.network = BidirectionalNetwork(self.config.network, rng)
        self.variance = [np.ones(n, self.network.dtype) for n in self.config.network.sizes]
        self.familiar = np.zeros(self.n_classes, dtype=np.bool_)
        self._at_dusk: dict[str, Array] | None = None

    @property
    def n_pixels(self) -> int:
        """Pixels of an image."""
        return self.config.network.sizes[0]

    @property
    def n_classes(self) -> int:
        """Classes it can tell."""
        return self.config.network.sizes[-1]

    # Images as arrays

    def study(
        self,
        images: Array,
        labels: NDArray[np.integer] | None = None,
        weight: Array | None = None,
        pace: float = 1.0,
    ) -> float:
        """Learn a batch of images, or one.

        Parameters
        ----------
        images : (n, n_pixels) float
            Grey, 0..1.
        labels : (n,) int, optional
            Classes; `UNKNOWN` where nobody tells.
        weight : (n,) float, optional
            How much each counts.
        pace : float
            Factor of the learning rate.

        Returns
        -------
        float
            Energy a sample before activity settled.

        Raises
        ------
        InputError
            For images of another size, values that are not finite, or unknown classes.
        NumericalError
            When the run diverges.
        """
        images = self._checked(images)
        if labels is not None:
            self._meet(labels, len(images))
        step = int(self.network.moments.n_steps[0])
        view = images
        if self.config.covered:
            rng = self.streams.generator("predictive_cortex/views", step)
            view = images * self._glimpses(len(images), rng)
        top, known = self._told(labels, len(images))
        inferred = self.credit(view, images, top, known)
        self._track(inferred, known)
        self.network.learn(inferred, weight, pace)
        return float(inferred.energies[0])

    def credit(self, view: Array, images: Array, top: Array | None, known: Mask | None) -> Inferred:
        """Return the errors from which synapses learn: those of value nodes that settle."""
        return self.network.infer(view, images, top=top, known=known)

    def scores(self, images: Array) -> Array:
        """Return what a bottom-up sweep tells of the classes, ``(n, n_classes)``."""
        return self.network.sweep(self._checked(images))[-1]

    def classify(self, images: Array) -> NDArray[np.intp]:
        """Return the class of each image."""
        return self.scores(images).argmax(axis=1)

    def belief(self, scores: Array) -> Array:
        """Return the probabilities of the classes, from how sure scores have been so far."""
        doubt = max(float(self.variance[-1].mean()), 1e-4)
        odds = np.exp((scores - scores.max(axis=1, keepdims=True)) / doubt)
        return odds / odds.sum(axis=1, keepdims=True)

    def perceive(
        self, images: Array, seen: Mask | None = None, labels: NDArray[np.integer] | None = None
    ) -> Inferred:
        """Settle on what is seen, and on the class where it is told; nothing is learnt.

        The result holds the prediction errors of every layer, from below and from above.

        Parameters
        ----------
        images : (n, n_pixels) float
        seen : (n, n_pixels) bool, optional
            Which pixels are known; all, if not given.
        labels : (n,) int, optional
        """
        images = self._checked(images)
        top, known = self._told(labels, len(images))
        shown = None if seen is None else seen.astype(self.network.dtype)
        view = images if shown is None else images * shown
        precisions = Precisions(self.config.trust, 0.0 if labels is None else self.config.guidance)
        return self.network.infer(view, view, shown, top, known, precisions, self.config.completion)

    def imagine(self, inferred: Inferred) -> Array:
        """Return the images ``(n, n_pixels)`` that what was inferred predicts, 0..1."""
        return np.clip(self.network.fall(0, inferred.activities[1]), 0, 1)

    def complete(
        self, images: Array, seen: Mask, labels: NDArray[np.integer] | None = None
    ) -> Array:
        """Return the images with what is covered filled in, ``(n, n_pixels)``."""
        filled = self.imagine(self.perceive(images, seen, labels))
        return np.where(seen, images, filled).astype(self.network.dtype)

    def generate(
        self, labels: NDArray[np.integer], rng: np.random.Generator, temperature: float = 1.0
    ) -> Array:
        """Clamp the class and run down, with some noise, so that no two images are alike.

        Then, by turns, a part is covered and completed anew, if the configuration says so.
        """
        net = self.network
        top, _ = self._told(labels, len(labels))
        assert top is not None
        values = top
        for layer in range(net.top - 1, 0, -1):
            spread = temperature * self.config.variety * np.sqrt(self.variance[layer])
            predicted = net.fall(layer, net.activity(layer + 1, values)[0])
            values = predicted + spread * rng.normal(size=predicted.shape)
            values = values.astype(net.dtype)
        image = np.clip(net.fall(0, net.activity(1, values)[0]), 0, 1)
        for _ in range(self.config.rounds):
            seen = self._glimpses(len(image), rng, share=1.0) > 0
            image = self.imagine(self.perceive(image, seen, labels))
        return image

    # The contract of a cortex

    def surprise(self, items: Sequence[Sequence[int]]) -> list[NDArray[np.float32]]:
        """Return the surprise [nats] of each element of each item, what is unknown being none.

        A pixel's is ``e^2 / 2 var``, its error against the top-down prediction over its usual
        variance (constants left out); the class's is ``-log p`` given the image alone.
        """
        images, seen, labels = self._read(items)
        inferred = self.perceive(images, seen)
        pixels = inferred.top_down[0] ** 2 / (2 * np.maximum(self.variance[0], 1e-3))
        belief = self.belief(self.network.sweep(images * seen)[-1])
        told = np.clip(labels, 0, None)
        last = -np.log(np.maximum(belief[np.arange(len(told)), told], 1e-12))
        full = np.column_stack([pixels, np.where(labels == UNKNOWN, 0, last)]).astype(np.float32)
        return [row[: len(item)].copy() for row, item in zip(full, items, strict=True)]

    def dream(
        self, n: int, seed: int, temperature: float = 1.0, cues: Sequence[Sequence[int]] = ()
    ) -> list[bytes]:
        """Return `n` images of familiar classes with these, or each cue completed; as bytes.

        The classes are drawn at random. It does not dream of what nobody has told it of.
        """
        rng = Streams(seed).generator("predictive_cortex/dream")
        if len(cues):
            images, seen, labels = self._read(cues)
            inferred = self.perceive(images, seen, labels)
            images = np.where(seen, images, self.imagine(inferred))
            named = np.where(labels == UNKNOWN, inferred.values[-1].argmax(axis=1), labels)
            return self._written(images, named)
        known = np.flatnonzero(self.familiar)
        if not n or not len(known):
            return []
        labels = known[rng.integers(len(known), size=n)]
        return self._written(self.generate(labels, rng, temperature), labels)

    def recall(self, cues: Sequence[Sequence[int]]) -> list[Completion]:
        """Complete each cue; a cue of all pixels is named."""
        images, seen, labels = self._read(cues)
        whole = seen.all(axis=1)  # In full view one sweep says it best, and nothing need settle.
        scores = np.zeros((len(images), self.n_classes), self.network.dtype)
        if whole.any():
            scores[whole] = self.scores(images[whole])
        part = np.flatnonzero(~whole)
        if len(part):
            inferred = self.perceive(images[part], seen[part], labels[part])
            scores[part] = inferred.values[-1]
            images[part] = np.where(seen[part], images[part], self.imagine(inferred))
        belief = self.belief(scores)
        filled = self._written(images, belief.argmax(1))
        return [
            Completion(tuple(item[len(cue) :]), float(p.max()))
            for item, cue, p in zip(filled, cues, belief, strict=True)
        ]

    def opening(self, items: Sequence[int]) -> int:
        """Return the number of pixels: an examination shows the image and asks for the class."""
        return min(self.n_pixels, len(items))

    def grow(self, seed: int) -> None:
        """Keep the cortex of dusk; what the night learns is written beside it."""
        self._at_dusk = {name: array.copy() for name, array in self.state.items()}
        self.streams = Streams(seed)

    @property
    def growing(self) -> bool:
        """Whether a night has begun that is neither merged nor discarded."""
        return self._at_dusk is not None

    def learn(
        self,
        lessons: Sequence[Sequence[int]],
        trust: Sequence[float],
        dreams: Sequence[Sequence[int]],
        pace: float = 1.0,
    ) -> float:
        """Take one step on decoded replays and dreams together; return the mean energy."""
        images, seen, labels = self._read([*lessons, *dreams])
        if not seen.all():
            images = np.where(seen, images, self.imagine(self.perceive(images, seen, labels)))
        weight = np.concatenate([trust, np.full(len(dreams), self.config.dream_weight)])
        return self.study(images, labels, weight, pace)

    @contextmanager
    def dusk(self) -> Iterator[None]:
        """Look at the cortex without what this night has written."""
        if self._at_dusk is None:
            yield
            return
        tonight = {name: array.copy() for name, array in self.state.items()}
        self._restore(self._at_dusk)
        try:
            yield
        finally:
            self._restore(tonight)

    def drift(self, dreams: Sequence[Sequence[int]]) -> float:
        """Return the factor by which the perplexity of `dreams` has risen since dusk."""
        if not len(dreams):
            return 1.0
        now = np.concatenate(self.surprise(dreams)).mean()
        with self.dusk():
            before = np.concatenate(self.surprise(dreams)).mean()
        return float(np.exp(now - before))

    def merge(self) -> None:
        """Keep what the night has written; it is over."""
        self._at_dusk = None

    def discard(self) -> None:
        """Forget what the night has written; the cortex is as it was at dusk."""
        if self._at_dusk is not None:
            self._restore(self._at_dusk)
        self._at_dusk = None

    @property
    def state(self) -> dict[str, Array]:
        """Return weights, biases, running variances and familiar classes by name."""
        known = {f"variance/{k}": v for k, v in enumerate(self.variance)}
        known["familiar"] = self.familiar
        return {**self.network.state, **known, **self.network.moments.state}

    # Its parts

    def _meet(self, labels: NDArray[np.integer], n: int) -> None:
        """Become familiar with the classes of a batch."""
        _, known = self._told(labels, n)
        self.familiar[np.asarray(labels)[known]] = True

    def _restore(self, state: dict[str, Array]) -> None:
        for name, mine in self.state.items():
            mine[...] = state[name]

    def _glimpses(self, n: int, rng: np.random.Generator, share: float | None = None) -> Array:
        """Return masks ``(n, n_pixels)`` of images seen in part: a straight edge covers the rest.

        The edge lies in the middle; the covered half is on any of the four sides. An image that is
        no square is covered pixel by pixel.
        """
        whole = rng.random(n) >= (self.config.covered if share is None else share)
        side = math.isqrt(self.n_pixels)
        if side * side != self.n_pixels:
            seen = rng.random((n, self.n_pixels)) < 0.5
        else:
            edge = np.full((n, 1), side // 2)
            across = rng.integers(2, size=n).astype(bool)[:, None]
            flipped = rng.integers(2, size=n).astype(bool)[:, None]
            row, column = np.divmod(np.arange(self.n_pixels), side)
            seen = (np.where(across, row, column) < edge) ^ flipped
        seen[whole] = True
        return seen.astype(self.network.dtype)

    def _told(self, labels: NDArray[np.integer] | None, n: int) -> tuple[Array | None, Mask | None]:
        if labels is None:
            return None, None
        labels = np.asarray(labels)
        wrong = (labels < UNKNOWN) | (labels >= self.n_classes)
        if labels.shape != (n,) or wrong.any():
            got = labels.shape if labels.shape != (n,) else int(labels[wrong][0])
            raise InputError.expected(
                self, "labels", f"{n} classes from 0 to {self.n_classes - 1}, or {UNKNOWN}", got,
                "renumber them, or give the network more classes",
            )  # fmt: skip
        top = np.zeros((n, self.n_classes), self.network.dtype)
        known = labels != UNKNOWN
        top[known, labels[known]] = 1
        return top, known

    def _track(self, inferred: Inferred, known: Mask | None) -> None:
        """Let running variances follow the errors of a batch."""
        keep = math.exp(-len(inferred.values[0]) / self.config.memory)
        for variance, error in zip(self.variance, inferred.top_down, strict=False):
            variance *= keep
            variance += (1 - keep) * np.mean(error**2, axis=0)
        top = inferred.bottom_up[-1] if known is None else inferred.bottom_up[-1][known]
        if len(top):
            self.variance[-1] *= keep
            self.variance[-1] += (1 - keep) * np.mean(top**2, axis=0)

    def _checked(self, images: Array) -> Array:
        values = np.ascontiguousarray(images, dtype=self.network.dtype)
        values = values[None] if values.ndim == 1 else values
        if values.ndim != 2 or values.shape[1] != self.n_pixels or not len(values):
            raise InputError.expected(
                self, "images", f"(n, {self.n_pixels}) values", np.shape(images),
                "reshape them, or give the network as many input units",
            )  # fmt: skip
        if not np.isfinite(values).all():
            sample, pixel = np.argwhere(~np.isfinite(values))[0]
            raise InputError.expected(
                self, f"images[{sample}, {pixel}]", "a finite number",
                float(values[sample, pixel]), "mend or leave out the image",
            )  # fmt: skip
        return values

    def _read(self, items: Sequence[Sequence[int]]) -> tuple[Array, Mask, NDArray[np.intp]]:
        """Return images, which pixels are known, and classes of items."""
        lengths = {len(item) if isinstance(item, bytes) else -1 for item in items}
        if len(lengths) == 1 and 0 < min(lengths) <= self.n_pixels + 1:
            return self._read_bytes(items)  # type: ignore[arg-type]
        full = np.full((len(items), self.n_pixels + 1), UNKNOWN, dtype=np.int64)
        for row, item in zip(full, items, strict=True):
            if len(item) > len(row):
                raise InputError.expected(
                    self, "items", f"at most {self.n_pixels} pixels and a class", len(item),
                    "shorten it",
                )  # fmt: skip
            row[: len(item)] = list(item)
        pixels, labels = full[:, :-1], full[:, -1]
        wrong = (pixels < UNKNOWN) | (pixels > WHITE)
        if wrong.any():
            raise InputError.expected(
                self, "items", f"grey levels 0..{WHITE}, or {UNKNOWN}", int(pixels[wrong][0]),
                "scale the image",
            )  # fmt: skip
        seen = pixels != UNKNOWN
        images = (np.where(seen, pixels, 0) / WHITE).astype(self.network.dtype)
        return images, seen, labels

    def _read_bytes(self, items: Sequence[bytes]) -> tuple[Array, Mask, NDArray[np.intp]]:
        """Read items of one length, without looking at each number."""
        given = np.frombuffer(b"".join(items), np.uint8).reshape(len(items), -1)
        shape = (len(items), self.n_pixels)
        labels = np.full(len(items), UNKNOWN, np.intp)
        if given.shape[1] > self.n_pixels:
            given, labels = given[:, :-1], given[:, -1].astype(np.intp)
        images, seen = np.zeros(shape, self.network.dtype), np.zeros(shape, np.bool_)
        images[:, : given.shape[1]] = given
        images /= self.network.dtype.type(WHITE)
        seen[:, : given.shape[1]] = True
        return images, seen, labels

    def _written(self, images: Array, labels: NDArray[np.integer]) -> list[bytes]:
        grey = np.rint(np.clip(images, 0, 1) * WHITE)
        full = np.column_stack([grey, labels]).astype(np.uint8)
        return [row.tobytes() for row in full]
