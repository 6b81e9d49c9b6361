"""Neurogenesis: granule cells are born, listen, are easily recruited, mature, compete and die."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.codes import SparseCode
from neurosim.errors import ConfigError


@dataclass(frozen=True)
class NeurogenesisConfig:
    """The life of a granule cell; time is counted in episodes.

    Parameters
    ----------
    turnover : float
        Share of the cells that die and are born anew in each episode; 0 switches it off.
    dormancy : int [episodes]
        A newborn cell is silent so long and learns what drive is usual for it.
    youth : int [episodes]
        So long after that it is excitable and plastic.
    excitability : float [standard deviations of its drive]
        Advantage of a young cell in the competition; fades to none over its youth.
    plasticity : float
        Learning rate of a young cell, in units of a mature one's.
    maturity : float
        Learning rate of a mature cell, in units of the rule's; 0: only the young learn.

    Raises
    ------
    ConfigError
        For a turnover outside of 0..0.1, or a time of life of less than an episode.
    """

    turnover: float = 0.0
    dormancy: int = 15
    youth: int = 45
    excitability: float = 0.6
    plasticity: float = 3.0
    maturity: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.turnover <= 0.1:
            raise ConfigError.expected(
                self, "turnover", "0 to 0.1 of the cells an episode", self.turnover, "try 0.005"
            )
        for name in ("dormancy", "youth"):
            if getattr(self, name) < 1:
                raise ConfigError.expected(
                    self, name, "1 or more episodes", getattr(self, name), "try 30"
                )


class Neurogenesis:
    """Ages, and who dies next.

    Among the mature cells those die first that no episode has recruited, and of these the oldest:
    a cell survives by taking part. All but the cells born here start mature.

    Parameters
    ----------
    config : NeurogenesisConfig
    n_units : int

    Attributes
    ----------
    age : (n_units,) int64 [episodes]
    recruited : (n_units,) int64
        Episodes that a cell took part in since it was born.
    debt : float
        Births due, a fraction of a cell.

    References
    ----------
    Aimone, Wiles & Gage (2009) Neuron 61:187 (young cells in a network model); Tashiro et al.
    (2006) Nature 442:929 (competitive survival); Ge et al. (2007) Neuron 54:559 (a critical period
    of enhanced plasticity); Alme et al. (2010) Hippocampus 20:1109 (mature cells retire). The
    numbers are ours: an episode is no unit of time in the animal.
    """

    def __init__(self, config: NeurogenesisConfig, n_units: int) -> None:
        self.config = config
        self.age = np.full(n_units, config.dormancy + config.youth, dtype=np.int64)
        self.recruited = np.zeros(n_units, dtype=np.int64)
        self.debt = 0.0

    @property
    def dormant(self) -> NDArray[np.bool_]:
        """Which cells are too young to fire, ``(n_units,)``."""
        return self.age < self.config.dormancy

    @property
    def young(self) -> NDArray[np.bool_]:
        """Which cells are excitable and plastic, ``(n_units,)``."""
        config = self.config
        return (self.age >= config.dormancy) & (self.age < config.dormancy + config.youth)

    def advantage(self) -> NDArray[np.float32]:
        """Return what age adds to the normalised drive ``(n_units,)``; dormant cells never win."""
        left = 1.0 - (self.age - self.config.dormancy) / self.config.youth
        bonus = self.config.excitability * np.clip(left, 0.0, 1.0)
        bonus[self.dormant] = -np.inf
        return bonus.astype(np.float32)

    def plasticity(self) -> NDArray[np.float32]:
        """Return the learning rate of each cell ``(n_units,)``, in units of the rule's."""
        rate = np.where(self.young, self.config.plasticity, self.config.maturity)
        return rate.astype(np.float32)

    def pass_episode(self, code: SparseCode) -> NDArray[np.int64]:
        """Let one episode pass; return the cells that died and are born anew, ascending.

        Parameters
        ----------
        code : SparseCode of n_units
            The cells the episode recruited.
        """
        self.age += 1
        self.recruited[code.active] += 1
        self.debt += self.config.turnover * len(self.age)
        mature = np.flatnonzero(self.age >= self.config.dormancy + self.config.youth)
        n_born = min(int(self.debt), len(mature))
        self.debt -= int(self.debt)
        order = np.lexsort((-self.age[mature], self.recruited[mature]))
        born = np.sort(mature[order[:n_born]])
        self.age[born] = 0
        self.recruited[born] = 0
        return born

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return the named arrays of the cells' lives."""
        return {"age": self.age, "recruited": self.recruited, "debt": np.array(self.debt)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back."""
        self.age[...] = state["age"]
        self.recruited[...] = state["recruited"]
        self.debt = float(state["debt"])
