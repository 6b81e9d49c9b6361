"""The predictive-coding cortex: it names what it sees, completes what is covered, and dreams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits.bidirectional import BidirectionalNetwork
from circuits.dream_origins import Origins, origins_of, remembering, traced_back
from circuits.dusk_and_dawn import DuskAndDawn
from circuits.image_items import UNKNOWN, Array, Mask, checked, glimpses, read, written
from circuits.inferred import Inferred, Precisions
from circuits.predictive_cortex_config import PredictiveCortexConfig
from circuits.style_cells import StyleCells
from neurosim.contracts import Completion
from neurosim.errors import InputError
from neurosim.randomness import Streams


class PredictiveCortex(DuskAndDawn):
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
    styles : StyleCells or None
        Of the layer below the top, if the configuration has any.
    """

    def __init__(self, config: PredictiveCortexConfig | None = None) -> None:
        self.config = config or PredictiveCortexConfig()
        self.streams = Streams(self.config.seed)
        rng = self.streams.generator("predictive_cortex/weights")
        network = BidirectionalNetwork(self.config.network, rng)
        super().__init__(network, self.config.capture)
        self.variance = [np.ones(n, self.network.dtype) for n in self.config.network.sizes]
        self.familiar = np.zeros(self.n_classes, dtype=np.bool_)
        self.styles = None
        if self.config.styles:
            self.styles = StyleCells(
                self.n_classes, self.config.network.sizes[-2], self.config.styles,
                self.config.memory / self.n_classes, self.streams.generator("styles"),
            )  # fmt: skip

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
        origins: Origins | None = None,
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
        origins : Origins, optional
            Which of them were dreamt, and from which hidden values.

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
        images = checked(images, self.n_pixels, self.network.dtype)
        if labels is not None:
            self._meet(labels, len(images))
        step = int(self.network.moments.n_steps[0])
        view = images
        if self.config.covered:
            rng = self.streams.generator("predictive_cortex/views", step)
            view = images * glimpses(len(images), self.n_pixels, self.config.covered, rng)
        top, known = self._told(labels, len(images))
        with self.learning():
            inferred = self.credit(view, images, top, known)
            if origins is not None:
                inferred = traced_back(self.network, inferred, origins, self.config.recognition)
            self._track(inferred, known)
            if self.styles is not None and labels is not None:
                self.styles.learn(inferred.top_down[self.network.top - 1], np.asarray(labels))
            self.network.learn(inferred, weight, pace)
        return float(inferred.energies[0])

    def credit(self, view: Array, images: Array, top: Array | None, known: Mask | None) -> Inferred:
        """Return the errors from which synapses learn: those of value nodes that settle."""
        return self.network.infer(view, images, top=top, known=known)

    def scores(self, images: Array) -> Array:
        """Return what a bottom-up sweep tells of the classes, ``(n, n_classes)``."""
        return self.network.sweep(checked(images, self.n_pixels, self.network.dtype))[-1]

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
        images = checked(images, self.n_pixels, self.network.dtype)
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
        return self._drawn(labels, rng, temperature)[0]

    def _drawn(
        self, labels: NDArray[np.integer], rng: np.random.Generator, temperature: float
    ) -> tuple[Array, list[Array]]:
        """Return images as `generate` does, and the hidden values that they come of."""
        net = self.network
        top, _ = self._told(labels, len(labels))
        assert top is not None
        values, hidden = top, list[Array]()
        for layer in range(net.top - 1, 0, -1):
            spread = temperature * self.config.variety
            predicted = net.fall(layer, net.activity(layer + 1, values)[0])
            if self.styles is not None and layer == net.top - 1:
                errors = self.styles.imagine(labels, spread, rng)
            else:
                errors = spread * np.sqrt(self.variance[layer]) * rng.normal(size=predicted.shape)
            values = (predicted + errors).astype(net.dtype)
            hidden.insert(0, values)
        image = np.clip(net.fall(0, net.activity(1, values)[0]), 0, 1)
        for _ in range(self.config.rounds):
            seen = glimpses(len(image), self.n_pixels, 1.0, rng)
            inferred = self.perceive(image, seen, labels)
            image, hidden = self.imagine(inferred), inferred.values[1:-1]
        return image, hidden

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
            return written(images, named)
        known = np.flatnonzero(self.familiar)
        if not n or not len(known):
            return []
        labels = known[rng.integers(len(known), size=n)]
        images, hidden = self._drawn(labels, rng, temperature)
        dreams = written(images, labels)
        return remembering(dreams, hidden) if self.config.recognition else dreams

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
        filled = written(images, belief.argmax(1))
        return [
            Completion(tuple(item[len(cue) :]), float(p.max()))
            for item, cue, p in zip(filled, cues, belief, strict=True)
        ]

    def opening(self, items: Sequence[int]) -> int:
        """Return the number of pixels: an examination shows the image and asks for the class."""
        return min(self.n_pixels, len(items))

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
        return self.study(images, labels, weight, pace, origins_of(dreams, len(lessons)))

    @property
    def learnt(self) -> dict[str, NDArray[Any]]:
        """Return weights, moments, running variances, styles, familiar classes and the seed."""
        known: dict[str, NDArray[Any]] = {f"variance/{k}": v for k, v in enumerate(self.variance)}
        known["familiar"] = self.familiar
        known["seed"] = np.array([self.streams.seed], np.uint64)
        styles = {} if self.styles is None else self.styles.state
        return {**self.network.state, **known, **styles, **self.network.moments.state}

    # Its parts

    def _meet(self, labels: NDArray[np.integer], n: int) -> None:
        """Become familiar with the classes of a batch."""
        _, known = self._told(labels, n)
        self.familiar[np.asarray(labels)[known]] = True

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

    def _read(self, items: Sequence[Sequence[int]]) -> tuple[Array, Mask, NDArray[np.intp]]:
        images, seen, labels = read(items, self.n_pixels, self.network.dtype)
        self._told(labels, len(labels))  # Refuses what is no class.
        return images, seen, labels
