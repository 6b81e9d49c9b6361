"""What a continual learner promises, and the course of a life along a stream."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from neurosim import continual_metrics as measures
from neurosim.course import SHOTS, Course
from neurosim.errors import ConfigError, NumericalError
from neurosim.ledger import counting
from neurosim.ranges import check_fields
from neurosim.representation import look_inside
from neurosim.resources import ResourceMeter
from neurosim.streams import Batch, Stream, Task

FloatArray = NDArray[np.float64]

PROBES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
"""Batches of a visit after which the old tasks are looked at."""

CLOCK = "memory/clock/"
"""How names begin in a state that are no synapses but counters, seeds and a generator's place.

Without them a life cannot go on bit for bit; they are some hundred bytes, and counted of nobody.
"""


class Shape(NamedTuple):
    """What a method must know of a stream before it begins.

    Parameters
    ----------
    n_inputs, n_outputs : int
    image_shape : (n_rows, n_columns)
    """

    n_inputs: int
    n_outputs: int
    image_shape: tuple[int, int]


@runtime_checkable
class ContinualLearner(Protocol):
    """A learner in the middle of its life."""

    def observe(self, batch: Batch) -> None:
        """Learn from a batch; it is not shown again unless the stream says so."""

    def end_of_task(self, task: int) -> None:
        """Do what is done between tasks; never called where no boundary is told."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.floating]:
        """Return a score for each output, ``(n, n_outputs)``; changes nothing."""

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return all that survives until the next batch.

        Names begin with ``network/`` (the weights that answer) or ``memory/`` (all else: buffers,
        prototypes, importances, moments, old networks); those of images kept as they were with
        ``memory/raw``, and those of `CLOCK` with its name.
        """


@dataclass(frozen=True)
class Method:
    """A way to learn continually: a frozen dataclass, all parameters with defaults and ranges.

    Attributes
    ----------
    source : str
        The paper.
    published : mapping of str to float
        ACC [%] by protocol, ``"mammoth"`` or ``"van_de_ven"``; empty where none is known to us.
    joint : bool
        Whether it is shown all tasks mixed.

    Raises
    ------
    ConfigError
        For a parameter of another type than written, or out of its range; see `neurosim.ranges`.
    """

    source: ClassVar[str]
    published: ClassVar[Mapping[str, float]] = {}
    joint: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self)

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn learner."""
        raise NotImplementedError


def live(
    stream: Stream,
    method: Method,
    rng: np.random.Generator,
    part: str = "test",
    probe: int = 100,
    tick: Callable[[], object] = lambda: None,
    inside: int = 0,
    few: int = 0,
    sparse: bool = False,
) -> Course:
    """Let a newborn learner live along a stream, and examine it after every visit.

    Parameters
    ----------
    stream : Stream
    method : Method
    rng : numpy.random.Generator
        The learner's.
    part : str
        "test", or "validation" while a method is tuned.
    probe : int
        First test images of a task for what is measured within a visit (stability gap and speed);
        0 leaves both out.
    tick : callable
        Called after each visit.
    inside : int
        Replays and test images that are looked at inside the learner at the end; 0 for none.
    few : int
        Test images a task that it is examined on, the first so many; 0 for all.
    sparse : bool
        Examine after a visit only the task just learnt and the next to come, and all at the end,
        and leave out the stability gap: for streams of many tasks, whose exams would cost far more
        than what they learn.

    Raises
    ------
    NumericalError
        When the scores are no longer finite numbers; says in which visit.
    ConfigError
        When a task has no image to be examined on; says which.
    """
    return _Life(stream, method, rng, part, probe, few, sparse).run(tick, inside)


class _Life:
    def __init__(
        self,
        stream: Stream,
        method: Method,
        rng: np.random.Generator,
        part: str,
        probe: int,
        few: int,
        sparse: bool,
    ) -> None:
        self.stream, self.method, self.part = stream, method, part
        self.probe, self.sparse = probe, sparse
        shape = Shape(stream.n_inputs, stream.n_outputs, stream.image_shape)
        self.learner = method.begin(shape, rng)
        self.tests = [stream.test(number, part, few) for number in range(len(stream.tasks))]
        for number, test in enumerate(self.tests):
            if not len(test.y):
                mend = "raise validation" if part == "validation" else "leave its classes out"
                raise ConfigError.expected(
                    "live", f"tasks[{number}]", f"a {part} image or more",
                    f"none of {stream.tasks[number].classes}", mend,
                )  # fmt: skip
        self.learning, self.testing = 0.0, 0.0
        self.multiply_adds, self.weight_writes = 0, 0

    def run(self, tick: Callable[[], object], inside: int) -> Course:
        """Live all visits."""
        visits, n = self.stream.visits, len(self.tests)
        untrained = self.examine(self.learner)
        accuracy = np.full((len(visits), n), np.nan)
        gaps = np.full(len(visits), np.nan)
        speed = np.full((len(visits), len(SHOTS)), np.nan)
        for visit in range(len(visits)):
            if self.method.joint:
                if visit == 0:
                    self.learn_all()
                    accuracy[:] = self.examine(self.learner)
            else:
                if self.probe:
                    speed[visit] = [self.speed(visit, shots) for shots in SHOTS]
                gaps[visit] = self.visit(visit)
                near = visits[visit : visit + 2] if self.sparse and visit + 1 < len(visits) else ()
                which = list(near or range(n))
                accuracy[visit, which] = self.examine(self.learner, which)
            tick()
        state = self.learner.state
        return Course(
            visits, accuracy, untrained, gaps, *self.look_back(), speed,
            n_bytes(state), n_bytes(state, "network/"), n_bytes(state, "memory/raw"),
            self.multiply_adds, self.weight_writes, self.learning, self.testing, self.learner,
            look_inside(self.learner, self.stream, self.part, inside) if inside else {},
            self.method.joint,
        )  # fmt: skip

    def look_back(self) -> tuple[FloatArray, float]:
        """Return the hindsight matrix of the learner as it is now, and the largest fall in it."""
        n, config = len(self.tests), self.stream.config
        if config.scenario != "class" or config.boundaries != "sharp":
            return np.full((len(self.stream.visits), n), np.nan), float("nan")
        with ResourceMeter() as meter:
            scores = [self.learner.predict(test.x) for test in self.tests]
        self.testing += meter.cpu_seconds
        outputs = [task.outputs for task in self.stream.tasks]
        y, visits = [test.y for test in self.tests], self.stream.visits
        matrix = measures.hindsight_matrix(scores, y, outputs, visits)
        if not self.probe:
            return matrix, float("nan")
        few, labels = [s[: self.probe] for s in scores], [each[: self.probe] for each in y]
        return matrix, measures.hindsight_fall(few, labels, outputs, visits)

    def visit(self, visit: int) -> float:
        """Learn one visit; return the stability gap of the tasks met before."""
        visits = self.stream.visits
        asked = self.probe and not self.sparse
        old = sorted(set(visits[:visit]) - {visits[visit]}) if asked else []
        before = self.glance(old)
        during = []
        for number, batch in enumerate(self.stream.batches(visit), start=1):
            self.spend(lambda batch=batch: self.learner.observe(batch))  # type: ignore[misc]
            if old and number in PROBES:
                during.append(self.glance(old))
        if self.stream.config.boundaries == "sharp":
            self.spend(lambda: self.learner.end_of_task(visits[visit]))
        if not old:
            return float("nan")
        during.append(self.glance(old))
        return measures.stability_gap(before, during)

    def learn_all(self) -> None:
        """Learn all tasks mixed."""
        for batch in self.stream.mixed():
            self.spend(lambda batch=batch: self.learner.observe(batch))  # type: ignore[misc]
        self.spend(lambda: self.learner.end_of_task(self.stream.visits[-1]))

    def spend(self, work: Callable[[], None]) -> None:
        """Do a piece of learning, and book what it costs."""
        with counting() as cost, ResourceMeter() as meter:
            work()
        self.learning += meter.cpu_seconds
        self.multiply_adds += cost.multiply_adds
        self.weight_writes += cost.weight_writes

    def examine(
        self, learner: ContinualLearner, which: list[int] | None = None, few: bool = False
    ) -> FloatArray:
        """Return the accuracy on each task, or on some, or on the first test images of them."""
        asked = range(len(self.tests)) if which is None else which
        with ResourceMeter() as meter:
            right = np.array([self.right(learner, number, few).mean() for number in asked])
        self.testing += meter.cpu_seconds
        return right

    def glance(self, tasks: list[int]) -> FloatArray:
        """Return the accuracy on each class of some tasks, on their first test images."""
        found = []
        with ResourceMeter() as meter:
            for number in tasks:
                right = self.right(self.learner, number, few=True)
                y = self.tests[number].y[: self.probe]
                found += [right[y == label].mean() for label in np.unique(y)]
        self.testing += meter.cpu_seconds
        return np.array(found)

    def right(self, learner: ContinualLearner, number: int, few: bool) -> NDArray[np.bool_]:
        """Return which of a task's test images are answered rightly."""
        x, y, _ = self.tests[number]
        if few:
            x, y = x[: self.probe], y[: self.probe]
        scores = learner.predict(x)
        if np.isnan(scores).any():
            raise NumericalError.at(type(learner).__name__, "scores", float(number))
        if self.stream.config.scenario == "task":
            scores = np.where(self.stream.tasks[number].outputs, scores, -np.inf)
        return np.asarray(scores.argmax(axis=1) == y)

    def speed(self, visit: int, shots: int) -> float:
        """Return the accuracy on a task after some samples of each of its classes.

        A twin of the learner sees them, one by one; the learner itself does not.
        """
        number = self.stream.visits[visit]
        if self.stream.config.boundaries != "sharp":
            return float("nan")
        twin = copy.deepcopy(self.learner)
        for batch in first_samples(self.stream, self.stream.tasks[number], visit, shots):
            twin.observe(batch)
        return float(self.examine(twin, [number], few=True)[0])


def first_samples(stream: Stream, task: Task, visit: int, shots: int) -> list[Batch]:
    """Return the first samples of each output of a visit, one a batch, in their order."""
    seen = dict.fromkeys(range(stream.n_outputs), 0)
    wanted = int(task.outputs.sum()) * shots
    found: list[Batch] = []
    for batch in stream.batches(visit):
        for k, y in enumerate(batch.y):
            if seen[int(y)] < shots:
                seen[int(y)] += 1
                found.append(Batch(batch.x[k : k + 1], batch.y[k : k + 1], batch.task))
        if len(found) >= wanted:
            break
    return found


def n_bytes(state: Mapping[str, NDArray], start: str = "") -> int:
    """Return the bytes of the arrays whose names begin so, without those of the clock."""
    counted = {k: v for k, v in state.items() if k.startswith(start) and not k.startswith(CLOCK)}
    return sum(array.nbytes for array in counted.values())
