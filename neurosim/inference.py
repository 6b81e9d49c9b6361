"""How predictive coding infers: the settings, and the error of an inference that diverges."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from neurosim.errors import ConfigError, NumericalError


@dataclass(frozen=True)
class Inference:
    """How value nodes settle.

    Parameters
    ----------
    n_steps : int
        Most steps.
    step : float
        Length of a step down the gradient of the energy, see `stable_step`.
    halve : bool
        Whether a sample whose energy has risen goes on with half the step.
    tolerance : float
        A sample stays where it is once its energy falls by no more than this share of it in a step;
        when all do, inference stops. 0 never stops.
    nudge : float
        Precision of the output: how much its error counts.
    active : float
        Share of the units of a hidden layer that may be active, those with the highest activity.

    Raises
    ------
    ConfigError
        For a value out of its range.

    References
    ----------
    Whittington & Bogacz (2017) Neural Computation 29:1229, Eqs. 2.15-2.19. Song et al. (2024) Nat.
    Neurosci. 27:348, Methods (the halved step; here sample by sample, there for the whole batch).
    """

    n_steps: int = 20
    step: float = 0.1
    halve: bool = False
    tolerance: float = 0.0
    nudge: float = 1.0
    active: float = 1.0

    def __post_init__(self) -> None:
        if self.n_steps < 0:
            raise ConfigError.expected(self, "n_steps", "0 or more", self.n_steps, "try 20")
        for field in ("step", "nudge"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError.expected(self, field, "a number above 0", value, "try 0.1")
        if not 0 <= self.tolerance < 1:
            raise ConfigError.expected(
                self, "tolerance", "0 <= share < 1", self.tolerance, "try 0.0001"
            )
        if not 0 < self.active <= 1:
            raise ConfigError.expected(self, "active", "0 < share <= 1", self.active, "try 0.15")

    @property
    def watches_energy(self) -> bool:
        """Whether the energy is needed after every step."""
        return self.halve or self.tolerance > 0


class InferenceDiverged(NumericalError):
    """Value nodes that are no longer finite: ``what; mend``.

    Parameters
    ----------
    what : str
        What came instead of finite values, and where.
    mend : str
        What to do about it, as an imperative.
    """

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what, mend)
        self.what, self.mend = what, mend

    def __str__(self) -> str:
        return f"{self.what}; {self.mend}"

    def in_training(self, step: int) -> Self:
        """Return the same error, which also says in which step of training it came.

        Parameters
        ----------
        step : int
            So many steps the optimiser had made.
        """
        return type(self)(f"{self.what}, at step {step} of training", self.mend)


def diverged(
    name: str, inference: Inference, step: int, layer: int, value: float
) -> InferenceDiverged:
    """Build the error of an inference that is no longer finite."""
    return InferenceDiverged(
        f"{name}.inference: expected finite values, got {value:g} at step {step} of inference in "
        f"layer {layer}",
        f"lower the step (now {inference.step:g}), or the learning rate",
    )
