"""Streams of images for continual learning: tasks one after the other, or flowing into each other.

A stream is made of the training images of a set; the test images are never among them, and what
tunes a method is the `Stream.validation` part of the training images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim.datasets import ImageSet, load
from neurosim.errors import ConfigError, InputError, check_real
from neurosim.randomness import Streams
from neurosim.stream_config import StreamConfig

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


class Batch(NamedTuple):
    """What a learner sees at once.

    Parameters
    ----------
    x : (n, n_inputs) float32
        Pixels, 0..1.
    y : (n,) int64
        Which output is right.
    task : int or None
        Where the task is told; None in a stream without sharp boundaries.
    """

    x: FloatArray
    y: IntArray
    task: int | None


@dataclass(frozen=True, eq=False)
class Task:
    """A part of the images, with the labels it is learnt under.

    Parameters
    ----------
    classes : tuple of int
        Of the set.
    outputs : (n_outputs,) bool
        Which outputs its images can have.
    train, validation, test : (n,) int64
        Numbers of its images, the first two among the training images.
    pixels : (n_inputs,) int64 or None
        How its pixels are shuffled.
    """

    classes: tuple[int, ...]
    outputs: NDArray[np.bool_]
    train: IntArray
    validation: IntArray
    test: IntArray
    pixels: IntArray | None


class Stream:
    """Images in the order of a configuration and a seed.

    Parameters
    ----------
    config : StreamConfig
    seed : int
        Gives the order of classes, the validation part, the permutations and the order of images.
    images : ImageSet, optional
        Instead of the set that the configuration names. Its images may be uint8, or float of
        0..1.

    Attributes
    ----------
    tasks : list of Task
    n_inputs, n_outputs : int
    image_shape : (n_rows, n_columns)

    Raises
    ------
    InputError
        For images that are not finite, of unequal number or size, or outside 0..1; for labels that
        are no numbers of classes, or of a class that is not among the training images; and, from
        `neurosim.datasets.load`, for files that are missing or damaged.
    ConfigError
        For more classes than outputs, a task without images, or classes that do not divide.
    """

    def __init__(self, config: StreamConfig, seed: int = 0, images: ImageSet | None = None) -> None:
        self.config, self._streams = config, Streams(seed)
        found = load(config.dataset) if images is None else images
        self._x = {"train": _pixels(found, "train"), "test": _pixels(found, "test")}
        self._labels = {
            "train": found.train_labels.astype(np.int64),
            "test": found.test_labels.astype(np.int64),
        }
        if found.train_images.shape[1:] != found.test_images.shape[1:]:
            raise InputError.expected(
                "Stream", "images", "training and test images of one size",
                (found.train_images.shape[1:], found.test_images.shape[1:]),
                "cut or scale them alike",
            )  # fmt: skip
        rows, columns = found.train_images.shape[1:]
        self.image_shape = (rows + 2 * config.padding, columns + 2 * config.padding)
        self.n_inputs = self.image_shape[0] * self.image_shape[1]
        n_classes = int(self._labels["train"].max(initial=-1)) + 1
        strange = self._labels["test"] >= n_classes
        if strange.any():
            raise InputError.expected(
                f"{found.name}.test_labels", f"[{int(strange.argmax())}]",
                f"a class from 0 to {n_classes - 1}, as the training images have",
                int(self._labels["test"][strange][0]), "leave it out, or renumber the classes",
            )  # fmt: skip
        self._check_classes(n_classes)
        order = self._streams.generator("classes").permutation(n_classes)
        classes = order if config.shuffle else np.arange(n_classes)
        per_task = n_classes // config.n_tasks if config.kind == "split" else n_classes
        self._per_task = per_task
        needed = per_task if config.scenario == "domain" else per_task * config.n_tasks
        self.n_outputs = config.n_outputs or needed
        if needed > self.n_outputs:
            raise ConfigError.expected(
                config, "n_outputs", f"{needed} or more for as many classes", self.n_outputs,
                "give the learner more outputs, or leave it out",
            )  # fmt: skip
        # Where the tasks share outputs, a class's place in the order is its output; else it keeps
        # its number.
        self._place = np.arange(n_classes)
        if config.kind == "split" and config.scenario == "domain":
            self._place[classes] = np.arange(n_classes)
        kept, held_out = self._parts(n_classes)
        self.tasks = [
            self._task(number, classes, kept, held_out) for number in range(config.n_tasks)
        ]

    @property
    def visits(self) -> tuple[int, ...]:
        """Return the tasks in the order they come; all at once is one visit of each."""
        return self.config.visits or tuple(range(len(self.tasks)))

    def batches(self, visit: int) -> Iterator[Batch]:
        """Yield the batches of one visit, in an order of its own.

        Without sharp boundaries: those of the same length of time, whatever tasks they are of.

        Parameters
        ----------
        visit : int
            Position in `visits`.
        """
        if self.config.boundaries != "sharp":
            yield from self._flow(visit)
            return
        task = self.visits[visit]
        rng = self._streams.generator("order", visit)
        yield from self._draw([task], 1, rng, task)

    def mixed(self) -> Iterator[Batch]:
        """Yield the images of all tasks mixed, as many as in all visits: what joint learning sees.

        No task is told.
        """
        rng = self._streams.generator("mixed")
        yield from self._draw(sorted(set(self.visits)), len(self.visits), rng, None)

    def test(self, number: int, part: str = "test", few: int = 0) -> Batch:
        """Return the test images of a task, or its validation images, in their order.

        Parameters
        ----------
        number : int
        part : str
            "test" or "validation".
        few : int
            The first so many; 0 for all.
        """
        task = self.tasks[number]
        which = (task.test if part == "test" else task.validation)[: few or None]
        source = "test" if part == "test" else "train"
        return self._batch(source, which, np.full(len(which), number), number)

    def train(self, number: int) -> Batch:
        """Return the images that a task is learnt from, each once, in their order."""
        which = self.tasks[number].train
        return self._batch("train", which, np.full(len(which), number), number)

    def _draw(
        self, tasks: list[int], times: int, rng: np.random.Generator, told: int | None
    ) -> Iterator[Batch]:
        """Yield batches of some tasks mixed: `times` the iterations, or all epochs."""
        config = self.config
        number = np.repeat(tasks, [len(self.tasks[task].train) for task in tasks])
        which = np.concatenate([self.tasks[task].train for task in tasks])
        left = times * config.iterations
        left = left or config.epochs * math.ceil(len(which) / config.batch)
        pool = np.empty(0, dtype=np.int64)
        for _ in range(left):
            # With iterations batches are always full, so that a pass may end within one.
            while len(pool) < config.batch and (config.iterations or not len(pool)):
                pool = np.concatenate([pool, rng.permutation(len(which))])
            taken, pool = pool[: config.batch], pool[config.batch :]
            yield self._batch("train", which[taken], number[taken], told)

    def _flow(self, visit: int) -> Iterator[Batch]:
        """Each image comes once, at its task's time and some chance later or earlier."""
        config, n = self.config, len(self.tasks)
        rng = self._streams.generator("flow")  # The same in all visits: they cut one river.
        number = np.repeat(np.arange(n), [len(task.train) for task in self.tasks])
        which = np.concatenate([task.train for task in self.tasks])
        if config.boundaries == "fuzzy":
            noise = rng.uniform(-config.width, config.width, size=len(which))
            time = number + rng.random(len(which)) + noise
        else:
            time = rng.normal(number + 0.5, 1.0)
        order = np.argsort(time, kind="stable")
        cut = np.linspace(0, len(order), n + 1).astype(np.int64)
        part = order[cut[visit] : cut[visit + 1]]
        for start in range(0, len(part), config.batch):
            some = part[start : start + config.batch]
            yield self._batch("train", which[some], number[some], None)

    def _batch(self, source: str, which: IntArray, number: IntArray, task: int | None) -> Batch:
        x = self._x[source][which]
        if self.config.padding:
            p = self.config.padding
            x = np.pad(x, ((0, 0), (p, p), (p, p)))
        x = x.reshape(len(which), self.n_inputs)
        if self.config.kind == "permuted":
            x = x.copy()
            for each in np.unique(number):
                pixels = self.tasks[each].pixels
                if pixels is not None:
                    x[number == each] = x[number == each][:, pixels]
        return Batch(np.ascontiguousarray(x), self._output(source, which, number), task)

    def _output(self, source: str, which: IntArray, number: IntArray) -> IntArray:
        place = self._place[self._labels[source][which]]
        if self.config.scenario == "domain":
            return place % self._per_task
        return place + number * self._per_task if self.config.kind == "permuted" else place

    def _check_classes(self, n_classes: int) -> None:
        config = self.config
        if n_classes < 1 or (config.kind == "split" and n_classes % config.n_tasks):
            raise ConfigError.expected(
                config, "n_tasks", f"a divisor of the {n_classes} classes", config.n_tasks,
                "choose one",
            )  # fmt: skip
        if config.scenario != "class" and n_classes < 2 * config.n_tasks and config.kind == "split":
            raise ConfigError.expected(
                config, "n_tasks", f"two or more of the {n_classes} classes a task",
                config.n_tasks, "take fewer tasks, or the scenario 'class'",
            )  # fmt: skip
        if config.shares and len(config.shares) != n_classes:
            raise ConfigError.expected(
                config, "shares", f"one share for each of {n_classes} classes", config.shares,
                "add or leave out some",
            )  # fmt: skip

    def _parts(self, n_classes: int) -> tuple[list[IntArray], list[IntArray]]:
        """Return by class the images of the stream, and those held out for validation."""
        kept, held_out = [], []
        for label in range(n_classes):
            rng = self._streams.generator("parts", label)
            which = rng.permutation(np.flatnonzero(self._labels["train"] == label))
            # The only image of a class is for learning.
            out = min(round(self.config.validation * len(which)), max(len(which) - 1, 0))
            held_out.append(np.sort(which[:out]))
            which = which[out:]
            share = self.config.shares[label] if self.config.shares else 1.0
            most = max(round(share * len(which)), 1 if share > 0 else 0)
            kept.append(np.sort(which[:most]))
        return kept, held_out

    def _task(
        self,
        number: int,
        classes: NDArray[np.integer],
        kept: list[IntArray],
        held_out: list[IntArray],
    ) -> Task:
        config, per_task = self.config, self._per_task
        split = config.kind == "split"
        mine = classes[number * per_task : (number + 1) * per_task] if split else classes
        outputs = np.zeros(self.n_outputs, dtype=np.bool_)
        if config.scenario == "domain":
            outputs[:per_task] = True
        elif split:
            outputs[mine] = True
        else:
            outputs[number * per_task : (number + 1) * per_task] = True
        pixels = None
        if config.kind == "permuted" and number > 0:
            pixels = self._streams.generator("pixels", number).permutation(self.n_inputs)
        train = np.concatenate([kept[label] for label in mine])
        if not len(train):
            raise ConfigError.expected(
                "Stream", f"tasks[{number}]", "a training image or more", f"none of {mine}",
                "raise its shares, or leave its classes out of the set",
            )  # fmt: skip
        test = np.flatnonzero(np.isin(self._labels["test"], mine))
        names = tuple(int(label) for label in mine)
        held = np.concatenate([held_out[label] for label in mine])
        return Task(names, outputs, train, held, test, pixels)


def _pixels(images: ImageSet, part: str) -> FloatArray:
    """Return images as float32 of 0..1, checked."""
    x = images.train_images if part == "train" else images.test_images
    labels = images.train_labels if part == "train" else images.test_labels
    owner = f"{images.name}.{part}_images"
    if x.ndim != 3 or not x.size or labels.shape != x.shape[:1]:
        raise InputError.expected(
            owner, "shape", "(n, n_rows, n_columns), one image a label, one or more",
            f"{x.shape} and labels {labels.shape}", "give as many images as labels",
        )  # fmt: skip
    whole = np.issubdtype(labels.dtype, np.integer)
    bad = labels < 0 if whole else np.ones(len(labels), np.bool_)
    if labels.dtype.kind == "f":
        bad = labels != np.rint(labels)
    if bad.any() or not whole:
        where = int(bad.argmax())
        raise InputError.expected(
            f"{images.name}.{part}_labels", f"[{where}]", "an integer of 0 or more",
            labels[where : where + 1].tolist()[0], "number the classes from 0",
        )  # fmt: skip
    check_real(owner, "dtype", x)
    values: FloatArray = x.astype(np.float32)
    if x.dtype == np.uint8:
        values /= np.float32(255)
    wrong = ~np.isfinite(values)
    if not wrong.any():
        wrong = (values < 0) | (values > 1)
    if wrong.any():
        image, row, column = (int(k) for k in np.argwhere(wrong)[0])
        raise InputError.expected(
            owner, f"[{image}, {row}, {column}]", "a grey value from 0 to 1",
            float(values[image, row, column]), "mend or leave out the image",
        )  # fmt: skip
    return values
