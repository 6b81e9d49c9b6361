"""What was measured of a learner along a stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosim import continual_metrics as measures
from neurosim.continual_learner import ContinualLearner

FloatArray = NDArray[np.float64]

SHOTS = (1, 5, 10)
"""Samples of each class of a task after which the speed of learning is measured."""


@dataclass(frozen=True, eq=False)
class Course:
    """What was measured along a stream.

    Parameters
    ----------
    visits : tuple of int
    accuracy : (n_visits, n_tasks) float
        After each visit, on the test images of each task, among all outputs unless the scenario
        tells the task. Of joint learning: the same row throughout. NaN where it was not measured.
    untrained : (n_tasks,) float
    gaps : (n_visits,) float
        `continual_metrics.stability_gap` of the classes met before; NaN in the first visit.
    hindsight : (n_visits, n_tasks) float
        `continual_metrics.hindsight_matrix` of the learner at the end; NaN where tasks share
        outputs or are told.
    hindsight_fall : float
        `continual_metrics.hindsight_fall` on the test images that `gaps` is measured on.
    speed : (n_visits, len(SHOTS)) float
        Accuracy on a task's test images after so many samples of each of its classes, one by one.
    n_bytes, n_bytes_network, n_bytes_raw : int [B]
        Of the state at the end: all of it, the weights that answer, and raw images.
    multiply_adds, weight_writes : int
        Of learning.
    cpu_seconds, test_cpu_seconds : float [s]
        Of learning, and of all answers.
    learner : ContinualLearner
        At the end.
    inside : mapping of str to float
        What `representation.look_inside` found in it.
    joint : bool
        Whether all was learnt at once, so that there is no forward transfer.
    """

    visits: tuple[int, ...]
    accuracy: FloatArray
    untrained: FloatArray
    gaps: FloatArray
    hindsight: FloatArray
    hindsight_fall: float
    speed: FloatArray
    n_bytes: int
    n_bytes_network: int
    n_bytes_raw: int
    multiply_adds: int
    weight_writes: int
    cpu_seconds: float
    test_cpu_seconds: float
    learner: ContinualLearner
    inside: Mapping[str, float]
    joint: bool = False

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers; shares, not per cent."""
        r, visits = self.accuracy, self.visits
        later = self.gaps[1:]
        numbers = {
            "acc": measures.average_accuracy(r, visits),
            "incremental_acc": measures.average_incremental_accuracy(r, visits),
            "bwt": measures.backward_transfer(r, visits),
            "fwt": float("nan")
            if self.joint
            else measures.forward_transfer(r, self.untrained, visits),
            "forgetting": measures.forgetting(r, visits),
            "forgetting_in_hindsight": measures.forgetting(self.hindsight, visits),
            "stability_gap": float(np.max(later)) if later.size else float("nan"),
            "stability_gap_in_hindsight": self.hindsight_fall,
        }
        for shots, value in zip(SHOTS, self.speed.mean(axis=0), strict=True):
            numbers[f"acc_after_{shots}"] = float(value)
        names = ("n_bytes", "n_bytes_network", "n_bytes_raw", "multiply_adds", "weight_writes")
        numbers |= {name: float(getattr(self, name)) for name in names}
        return numbers | {
            "cpu_seconds": self.cpu_seconds,
            "test_cpu_seconds": self.test_cpu_seconds,
            **self.inside,
        }
