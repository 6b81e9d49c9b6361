"""Handwritten digits of 28 x 28 pixels, a part of MNIST."""

from dataclasses import dataclass
from typing import ClassVar

from neurosim.task import ImageTask


@dataclass(frozen=True, kw_only=True)
class MNIST(ImageTask):
    """Classify digits, from a twelfth of MNIST by default.

    References
    ----------
    LeCun, Bottou, Bengio & Haffner (1998) Proc. IEEE 86:2278.
    """

    data: str = "mnist"
    hidden: tuple[int, ...] = (128, 128)
    n_train: int = 5_000
    n_validation: int = 1_000
    n_test: int = 5_000
    passes: float = 4.0
    batch: int = 32
    probes: tuple[float, ...] = (0.04, 0.16, 0.36, 0.64, 1.0)

    title: ClassVar[str] = "MNIST"
    kin: ClassVar[str] = "digits"
