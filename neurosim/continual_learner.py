"""What a continual learner promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from neurosim.ranges import check_fields
from neurosim.streams import Batch

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


def n_bytes(state: Mapping[str, NDArray], start: str = "") -> int:
    """Return the bytes of the arrays whose names begin so, without those of the clock."""
    counted = {k: v for k, v in state.items() if k.startswith(start) and not k.startswith(CLOCK)}
    return sum(array.nbytes for array in counted.values())
