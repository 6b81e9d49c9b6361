"""Handwritten digits of 28 x 28 pixels, a part of MNIST."""

from dataclasses import dataclass
from typing import ClassVar

from neurosim.task import ImageTask


@dataclass(frozen=True, kw_only=True)
class MNIST(ImageTask):
    """Classify digits, from a sixth of MNIST by default.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner (1998) Proc. IEEE 86:2278.
    """

    data: str = "mnist"
    hidden: tuple[int, ...] = (128, 128)
    n_train: int = 10_000
    n_validation: int = 2_000
    n_test: int = 10_000
    passes: float = 3.0
    batch: int = 32

    title: ClassVar[str] = "MNIST"
