"""A regression: Friedman's function of five inputs among ten."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neurosim.errors import ConfigError
from neurosim.task import Samples, Stage, Task


@dataclass(frozen=True, kw_only=True)
class Regression(Task):
    """Predict ``10 sin(pi x1 x2) + 20 (x3 - 1/2)^2 + 10 x4 + 5 x5`` from ten uniform inputs.

    Training targets bear noise of unit variance; exams do not. Targets are scaled by the function's
    own mean and deviation.

    Parameters
    ----------
    n_train, n_exam : int
    passes : float
        Over the training samples: the budget.

    References
    ----------
    Friedman (1991) Annals of Statistics 19:1, Eq. 62.
    """

    hidden: tuple[int, ...] = (32, 32)
    n_train: int = 1000
    n_exam: int = 500
    passes: float = 15.0

    title: ClassVar[str] = "regression"
    measure: ClassVar[str] = "r_squared"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.n_train, self.n_exam) < 2 or not self.passes > 0:
            raise ConfigError.expected(
                self, "n_train", "2 or more samples and a budget above 0", self.n_train, "try 1000"
            )

    @property
    def ends(self) -> tuple[int, int]:
        """Ten inputs, one output."""
        return 10, 1

    def stages(self, rng: np.random.Generator, final: bool) -> tuple[Stage, ...]:
        """Return one stage; samples of validation and test are drawn apart."""
        learnt = friedman(self.n_train, rng, noise=1.0)
        validation, test = (friedman(self.n_exam, rng) for _ in range(2))
        n = max(1, round(self.passes * self.n_train))
        return (Stage(*learnt, n, (test if final else validation,)),)


def friedman(n: int, rng: np.random.Generator, noise: float = 0.0) -> Samples:
    """Return inputs ``(n, 10)`` and targets ``(n, 1)``, scaled to mean 0 and variance 1."""
    x = rng.random((n, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    y += 10 * x[:, 3] + 5 * x[:, 4] + noise * rng.normal(size=n)
    scaled = (y - 14.4133) / 4.8812  # Mean and deviation of the noise-free function.
    return x.astype(np.float32), scaled[:, None].astype(np.float32)
