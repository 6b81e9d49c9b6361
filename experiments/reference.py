"""What intransigence is measured against: the baselines' network, taught all tasks at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from experiments.comparison import Armed, Measured, compare
from experiments.continual.joint import Joint
from neurosim import continual_metrics as measures
from neurosim.continual import live
from neurosim.continual_learner import Method
from neurosim.hdf5 import Arrays
from neurosim.jobs import clear_jobs, run_jobs
from neurosim.randomness import Streams
from neurosim.stream_config import StreamConfig
from neurosim.streams import Stream

C = TypeVar("C", bound=Armed)

JOINT = Joint(eta=0.1)


@dataclass(frozen=True)
class Reference:
    """One course of joint learning a seed, whatever the arms.

    Parameters
    ----------
    stream : StreamConfig
        That of the arms.
    part : str
        Of the images that are examined on, "test" or "validation".
    few : int
        Test images a task, the first so many; 0 for all.
    method : Method
        With `Method.joint`.
    """

    stream: StreamConfig
    part: str = "test"
    few: int = 0
    method: Method = JOINT


def joint_accuracy(reference: Reference, seed: int) -> np.ndarray:
    """Return `continual_metrics.joint_reference` at a seed, ``(n_tasks,)``."""
    stream = Stream(reference.stream, seed)
    rng = Streams(seed).generator("learner")
    course = live(stream, reference.method, rng, reference.part, probe=0, few=reference.few)
    return measures.joint_reference(course.accuracy, course.hindsight, course.visits)


def compare_with(
    reference: Reference | None,
    run_arm: Callable[[C, str, int], Arrays],
    config: C,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Measured:
    """Return what `compare` does, and of each arm its ``intransigence``, one number a seed.

    NaN of the arm "joint", which learns no task before another.

    Parameters
    ----------
    reference : Reference or None
        None leaves the intransigence out.
    run_arm, config, tick, shelf
        As `compare`; `run_arm` returns an ``accuracy (n_visits, n_tasks)``, each task visited once
        and in order.
    """
    if reference is None:
        return compare(run_arm, config, tick, shelf)
    jobs = [(reference, seed) for seed in config.seeds]
    best = run_jobs(joint_accuracy, jobs, config.workers, shelf=shelf, clear=False)
    measured = compare(run_arm, config, tick, shelf)
    for arm, values in measured.items():
        courses = zip(values["accuracy"], best, strict=True)
        worse = np.array([measures.intransigence(r, a) for r, a in courses])
        values["intransigence"] = np.full_like(worse, np.nan) if arm == "joint" else worse
    if shelf is not None:
        clear_jobs(joint_accuracy, jobs, shelf)
    return measured
