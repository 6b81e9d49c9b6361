"""Pieces of clothing, a part of Fashion-MNIST."""

from dataclasses import dataclass
from typing import ClassVar

from experiments.tasks.mnist import MNIST


@dataclass(frozen=True, kw_only=True)
class Fashion(MNIST):
    """Classify clothes, from a twelfth of Fashion-MNIST by default.

    References
    ----------
    Xiao, Rasul & Vollgraf (2017) arXiv:1708.07747.
    """

    data: str = "fashion"

    title: ClassVar[str] = "Fashion-MNIST"
