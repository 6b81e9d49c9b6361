"""Learners x tasks x seeds on the same network, samples, order and budget."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.learners.search import SEED, Found, forget, search
from experiments.learners.trial import NOT_DEFINED, Job, Settings, Trial, configured, run_trial
from neurosim.audit import Audit
from neurosim.discovery import member, members
from neurosim.errors import ConfigError
from neurosim.jobs import run_jobs
from neurosim.learner import Learner
from neurosim.learner_audit import audit_learner
from neurosim.metrics import Interval, mean_interval, paired_difference
from neurosim.task import Task

BASELINE = "backprop"
COSTS = (
    "updates_per_sample",
    "multiply_adds_per_sample",
    "bytes_per_synapse",
    "cpu_seconds",
    "microseconds_per_sample",
)


@dataclass(frozen=True)
class Config:
    """What is compared.

    Parameters
    ----------
    learners : tuple of str
        Of `rules/`; all, by default.
    tasks : dict of str to Task
        By name; the digits by default.
    seeds : tuple of int
    n_trials : int
        Of the search for each learner's settings on each task; 0 takes what `winners` says.
    winners : dict
        Settings by task and learner, as `search.winners` reads them; who is not in it keeps the
        defaults.
    workers : int
        Processes at a time; 0 for one a processor.
    """

    learners: tuple[str, ...] = ()
    tasks: Mapping[str, Task] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0, 1, 2)
    n_trials: int = 0
    winners: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    workers: int = 0

    def __post_init__(self) -> None:
        learners = self.learners or tuple(members("rules", Learner))
        tasks = self.tasks or {"digits": member("experiments.tasks", Task, "digits")()}
        object.__setattr__(self, "tasks", tasks)
        names = {name: member("rules", Learner, name) for name in learners}
        modules = (kind.__module__.rpartition(".")[2] for kind in names.values())
        object.__setattr__(self, "learners", tuple(dict.fromkeys(modules)))
        if not self.seeds or min(self.seeds) < 0 or SEED in self.seeds:
            raise ConfigError.expected(
                self, "seeds", f"one or more from 0 on, without {SEED}, which is the search's",
                self.seeds, "try 0,1,2",
            )  # fmt: skip
        if self.n_trials < 0:
            raise ConfigError.expected(self, "n_trials", "0 or more", self.n_trials, "try 12")


@dataclass(frozen=True)
class Result:
    """What was found.

    Parameters
    ----------
    config : Config
    settings : dict of (str, str) to dict
        Of each task and learner.
    trials : dict of (str, str) to list of Trial
        By task and learner, a trial a seed.
    audits : dict of str to Audit
        By learner.
    searches : dict of (str, str) to Found
        What was searched in this run.
    """

    config: Config
    settings: dict[tuple[str, str], Settings]
    trials: dict[tuple[str, str], list[Trial]]
    audits: dict[str, Audit]
    searches: dict[tuple[str, str], Found]

    def fault(self, task: str, learner: str) -> str:
        """Return what stopped a learner on a task, at the first seed where something did."""
        return next((t.fault for t in self.trials[task, learner] if t.fault), "")

    def scores(self, task: str, learner: str) -> NDArray[np.float64]:
        """Return the score at each seed, NaN where there was a fault."""
        return np.array([trial.score for trial in self.trials[task, learner]])

    def mean(self, task: str, learner: str, name: str) -> Interval:
        """Return the mean over the seeds that have a value of `Trial.numbers`, or ``score``."""
        if name == "score":
            return _over_seeds(self.scores(task, learner))
        trials = self.trials[task, learner]
        return _over_seeds(np.array([trial.numbers.get(name, np.nan) for trial in trials]))

    def credit(self, task: str, learner: str) -> tuple[NDArray[np.float64], float]:
        """Return cosines with the gradient ``(n_layers,)`` and target alignment.

        Means over seeds and exams, the first excepted, before which nothing was learnt.
        """
        whole = [trial for trial in self.trials[task, learner] if len(trial.cosines) > 1]
        if not whole:
            return np.full(0, np.nan), float("nan")
        cosines = np.stack([_mean(trial.cosines[1:]) for trial in whole])
        alignment = np.stack([_mean(trial.alignment[1:, None]) for trial in whole])
        return _mean(cosines), float(_mean(alignment)[0])

    def minus_baseline(self, task: str, learner: str) -> Interval | None:
        """Return the score minus backpropagation's, paired by seed; None where there is no pair."""
        if learner == BASELINE or (task, BASELINE) not in self.trials:
            return None
        mine, other = self.scores(task, learner), self.scores(task, BASELINE)
        both = np.isfinite(mine) & np.isfinite(other)
        return paired_difference(mine[both], other[both]) if both.any() else None

    def metrics(self) -> dict[str, Any]:
        """Return the flat keys of the command's ``--json``."""
        values: dict[str, Any] = {
            "learners": list(self.config.learners),
            "tasks": list(self.config.tasks),
            "n_seeds": len(self.config.seeds),
            "n_trials": self.config.n_trials,
            "n_faults": sum(bool(t.fault) for row in self.trials.values() for t in row),
        }
        for task, learner in self.trials:
            for name, value in self._cell(task, learner).items():
                values[f"{task}_{learner}_{name}"] = value
        for learner, audit in self.audits.items():
            values[f"{learner}_signals"] = sorted(audit.used)
            values[f"{learner}_local"] = audit.local
            values[f"{learner}_honest"] = audit.honest
        return values

    def _cell(self, task: str, learner: str) -> dict[str, Any]:
        score, trials = self.mean(task, learner, "score"), self.trials[task, learner]
        reached = [t.numbers.get("samples_to_90", np.nan) for t in trials]
        cosines, alignment = self.credit(task, learner)
        difference = self.minus_baseline(task, learner) or _over_seeds(np.full(1, np.nan))
        return {
            **_with_ends("score", score),
            **_with_ends("minus_backprop", difference),
            "samples_to_90": self.mean(task, learner, "samples_to_90").mean,
            "reached_90": int(np.isfinite(reached).sum()),
            **{f"cosine_layer_{k}": float(value) for k, value in enumerate(cosines)},
            "target_alignment": alignment,
            **_with_ends("interference", self.mean(task, learner, "interference")),
            **{name: self.mean(task, learner, name).mean for name in COSTS},
            "samples": self.mean(task, learner, "samples").mean,
            "n_faults": sum(bool(t.fault) for t in trials),
            "fault": self.fault(task, learner),
            "settings": ", ".join(f"{k}={v}" for k, v in self.settings[task, learner].items()),
        }


def run(
    config: Config,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Search where that is asked for, then let every learner learn every task at every seed.

    Parameters
    ----------
    config : Config
    tick : callable
        Called after each search and each trial, see `n_jobs`.
    shelf : Path, optional
        Folder in which what is finished outlives an interruption.

    Raises
    ------
    InputError
        When a task's data are missing.
    ConfigError
        For settings that a learner does not have.
    """
    for task in config.tasks.values():
        task.check_data()
    audits = {name: audit_learner(_made(name)) for name in config.learners}
    searches = _searched(config, tick, shelf)
    settings = {
        (task, learner): searches[task, learner].best[0]
        if config.n_trials
        else won(config, task, learner)
        for task in config.tasks
        for learner in config.learners
    }
    for (_, learner), own in settings.items():
        configured(_made(learner), own)  # Refuses what it cannot be before anything runs.
    cells = list(settings)
    jobs = [
        tuple(Job(learner, settings[task, learner], task, config.tasks[task], seed))
        for seed in config.seeds
        for task, learner in cells
    ]
    results = run_jobs(run_trial, jobs, config.workers, tick, shelf, Trial.pack, Trial.unpack)
    trials = {cell: results[k :: len(cells)] for k, cell in enumerate(cells)}
    for found in searches.values():
        forget(found, config.tasks[found.task], "" if shelf is None else str(shelf))
    return Result(config, settings, trials, audits, searches)


def won(config: Config, task: str, learner: str) -> Settings:
    """Return what a search found before: on this task, on its kin, or nothing."""
    for name in (task, config.tasks[task].kin):
        found = config.winners.get(name, {}).get(learner)
        if found is not None:
            return dict(found["settings"])
    return {}


def n_jobs(config: Config) -> int:
    """Return how often `run` ticks."""
    cells = len(config.learners) * len(config.tasks)
    return cells * (len(config.seeds) + bool(config.n_trials))


def _searched(
    config: Config, tick: Callable[[], object], shelf: Path | None
) -> dict[tuple[str, str], Found]:
    if not config.n_trials:
        return {}
    root = "" if shelf is None else str(shelf)
    jobs = [
        (learner, name, task, config.n_trials, root)
        for name, task in config.tasks.items()
        for learner in config.learners
    ]
    # Each search keeps its own trials, so that it goes on within itself.
    found = run_jobs(search, jobs, config.workers, tick)
    return {(each.task, each.learner): each for each in found}


def _made(name: str) -> Learner:
    return member("rules", Learner, name)()


def _over_seeds(values: NDArray[np.float64]) -> Interval:
    kept = values[np.isfinite(values)]
    return mean_interval(kept) if kept.size else Interval(np.nan, np.nan, np.nan, 0)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the first axis of what is not NaN; NaN where nothing is."""
    there = np.isfinite(values)
    sums = np.where(there, values, 0.0).sum(axis=0)
    counts = there.sum(axis=0)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def _with_ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def marked(fault: str) -> str:
    """Return a fault as one word of a table."""
    return "not defined" if fault.startswith(NOT_DEFINED) else "diverged"
