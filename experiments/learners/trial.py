"""One learner on one task at one seed, examined as it learns."""

import copy
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from neurosim.credit import gradient_cosines, target_alignment
from neurosim.discovery import member
from neurosim.errors import ConfigError, NumericalError, nearest_name
from neurosim.hdf5 import pack_hdf5, unpack_hdf5
from neurosim.learner import Learner, Memory, diverged
from neurosim.ledger import Ledger
from neurosim.metrics import steps_to_criterion
from neurosim.network import Network
from neurosim.randomness import Streams
from neurosim.samples import check_inputs, check_targets
from neurosim.task import Stage, Task
from neurosim.training import batches

CRITERION = 0.9
NOT_DEFINED = "not defined"
NOTED = ("samples", "scores", "cosines", "alignment")
N_CREDIT = 64
"""Training samples of the cosine with the gradient; an eighth of them for target alignment."""

Settings = dict[str, Any]
"""Fields of a learner by dotted path, such as ``{"optimiser.eta": 0.01}``."""


class Job(NamedTuple):
    """What a trial depends on.

    Parameters
    ----------
    learner : str
        Of `rules/`, by name, so that another process finds it.
    settings : dict
        See `Settings`.
    task_name : str
    task : Task
    seed : int
        Of samples, weights and order: the same for every learner.
    final : bool
        Examine on test samples, and measure the credit; else on validation samples, nothing else.
    """

    learner: str
    settings: Settings
    task_name: str
    task: Task
    seed: int
    final: bool = True


@dataclass(frozen=True)
class Trial:
    """What came of it.

    Parameters
    ----------
    score : float
        See `Task.score`; NaN when there was a fault.
    numbers : dict of str to float
        Costs, and what else is measured once.
    samples : (n_probes,) float64
        Learnt from before each exam.
    scores : (n_probes, n_exams) float64
    cosines : (n_probes, n_layers) float64
        With the gradient, see `gradient_cosines`.
    alignment : (n_probes,) float64
        See `target_alignment`.
    fault : str
        Why it stopped; empty if it did not.
    """

    score: float
    numbers: dict[str, float] = field(default_factory=dict)
    samples: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 1)))
    cosines: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 1)))
    alignment: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    fault: str = ""

    def pack(self) -> bytes:
        """Return everything as a sealed HDF5 file."""
        notes = {k: v for k, v in asdict(self).items() if not isinstance(v, np.ndarray)}
        arrays = {k: v for k, v in asdict(self).items() if isinstance(v, np.ndarray)}
        return pack_hdf5(arrays, {"notes": json.dumps(notes)})

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Take back what `pack` returned."""
        arrays, attributes = unpack_hdf5(data, "a trial")
        notes = json.loads(attributes["notes"])
        return cls(
            notes["score"], notes["numbers"], **{k: arrays[k] for k in NOTED}, fault=notes["fault"]
        )


def configured(learner: Learner, settings: Mapping[str, Any]) -> Learner:
    """Return a learner with fields set by dotted path.

    Raises
    ------
    ConfigError
        For a field that it does not have; the nearest is suggested.
    """
    for path, value in settings.items():
        learner = _changed(learner, path, value)
    return learner


def _changed(owner: Any, path: str, value: object) -> Any:
    name, _, rest = path.partition(".")
    known = [each.name for each in fields(owner)] if is_dataclass(owner) else []
    if name not in known:
        near = nearest_name(name, known)
        mend = f"did you mean '{near}'?" if near else f"choose one of {', '.join(known)}"
        raise ConfigError.expected(owner, name, "a field", path, mend)
    old = getattr(owner, name)
    if not rest and not _alike(old, value):
        mend = f"write one such as {old!r}"
        raise ConfigError.expected(
            owner, name, f"a value of type {type(old).__name__}", value, mend
        )
    return replace(owner, **{name: _changed(old, rest, value) if rest else value})


def _alike(old: object, value: object) -> bool:
    """Return whether a value read from a file can stand in the place of another."""
    if isinstance(old, float) and not isinstance(value, bool):
        return isinstance(value, float | int)
    return old is None or type(value) is type(old)


def run_trial(*job: Any) -> Trial:
    """Let a learner learn a task; what stops it is told in the trial, not raised.

    Parameters
    ----------
    *job
        The fields of a `Job`.
    """
    what = Job(*job)
    learner = configured(member("rules", Learner, what.learner)(), what.settings)
    streams = Streams(what.seed)
    stages = what.task.stages(streams.generator("samples"), what.final)
    network = Network(what.task.network(), streams.generator("network"))
    try:
        memory = learner.begin(network, streams.generator("learner"))
    except ConfigError as error:
        return Trial(float("nan"), fault=f"{NOT_DEFINED}: {error}")
    lesson = _Lesson(learner, network, memory, what)
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            lesson.learn(stages, streams.generator("order"))
    except NumericalError as error:
        return lesson.trial(f"diverged: {error}")
    return lesson.trial()


class _Lesson:
    """A learner at work, with its notes."""

    def __init__(self, learner: Learner, network: Network, memory: Memory, job: Job) -> None:
        self.learner, self.network, self.memory, self.job = learner, network, memory, job
        self.n_seen, self.seconds = 0, 0.0
        self.notes: dict[str, list[Any]] = {name: [] for name in NOTED}

    def learn(self, stages: tuple[Stage, ...], order: np.random.Generator) -> None:
        """Learn all stages; examine at the start and at every probe."""
        for k, stage in enumerate(stages):
            x = check_inputs(self.network, stage.x)
            y = check_targets(self.network, stage.y, len(x))
            if k == 0:
                self._warm_up(x, y)
                self._examine(stage, x, y)
            for due in self.job.task.probes:
                self._go_on(x, y, round(due * stage.n_presented), order, fresh=due)
                self._examine(stage, x, y)

    def trial(self, fault: str = "") -> Trial:
        """Return what was noted."""
        arrays = {name: np.array(values, dtype=float) for name, values in self.notes.items()}
        task, scores = self.job.task, arrays["scores"]
        ledger, n = self.network.ledger, max(self.n_seen, 1)
        numbers = {
            "samples": self.n_seen,
            "updates_per_sample": ledger.weight_writes / n,
            "multiply_adds_per_sample": ledger.multiply_adds / n,
            "bytes_per_synapse": self.learner.state_bytes_per_synapse(self.network, self.memory),
            "cpu_seconds": self.seconds,
            "microseconds_per_sample": 1e6 * self.seconds / n,
            "samples_to_90": steps_to_criterion(arrays["samples"], scores[:, 0], CRITERION),
            "interference": float("nan") if fault else task.interference(scores),
        }
        score = float("nan") if fault else task.score(scores)
        return Trial(score, numbers, **arrays, fault=fault)

    def _go_on(
        self, x: NDArray, y: NDArray, until: int, order: np.random.Generator, fresh: float
    ) -> None:
        if fresh == self.job.task.probes[0]:
            self._done, self._waiting = 0, _endless(len(x), self.job.task.batch, order)
        start = time.process_time()
        try:
            while self._done < until:
                chosen = next(self._waiting)
                self.learner.step(self.network, self.memory, x[chosen], y[chosen], 1.0)
                self._done += len(chosen)
                self.n_seen += len(chosen)
        finally:
            self.seconds += time.process_time() - start
        for array in self.network.parameters:
            if not np.isfinite(array).all():
                raise diverged(self.learner, self.network, self.memory, float("nan"))

    def _examine(self, stage: Stage, x: NDArray, y: NDArray) -> None:
        """Note the scores and, in the final trial, the credit; costs nothing in the ledger."""
        spent = copy.copy(self.network.ledger)
        grades = [
            self.job.task.grade(
                self.learner.output(self.network, self.memory, exam).astype(float), answers
            )
            for exam, answers in stage.exams
        ]
        cosines, alignment = np.full(self.network.n_layers, np.nan), float("nan")
        if self.job.final:
            state = (self.learner, self.network, self.memory)
            cosines = gradient_cosines(*state, x[:N_CREDIT], y[:N_CREDIT])
            alignment = target_alignment(*state, x[: N_CREDIT // 8], y[: N_CREDIT // 8])
        noted = (self.n_seen, grades, cosines, alignment)
        for name, value in zip(self.notes, noted, strict=True):
            self.notes[name].append(value)
        self.network.ledger = spent

    def _warm_up(self, x: NDArray, y: NDArray) -> None:
        """Take a step in a copy, so that compiling is not counted as learning."""
        network, memory = copy.deepcopy((self.network, self.memory))
        n = self.job.task.batch
        self.learner.step(network, memory, x[:n], y[:n], 1.0)
        self.network.ledger = Ledger()


def _endless(n: int, batch: int, order: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Yield whole batches, pass after pass; a step from the few samples left over is noise."""
    while True:
        for chosen in batches(n, batch, order):
            if len(chosen) == min(batch, n):
                yield chosen
