"""A hundred examples of each digit."""

from dataclasses import dataclass
from typing import ClassVar

from experiments.tasks.small_data_10 import SmallData


@dataclass(frozen=True, kw_only=True)
class MoreData(SmallData):
    """Classify digits from a hundred examples of each, with the budget of ten.

    References
    ----------
    Song et al. (2024) Nature Neuroscience 27:348, Fig. 4h.
    """

    n_a_class: int = 100
    n_train: int = 1237
    n_validation: int = 200
    passes: float = 4.0

    title: ClassVar[str] = "100 a class"
