"""Handwritten digits of 8 x 8 pixels, ten passes."""

from dataclasses import dataclass
from typing import ClassVar

from neurosim.task import ImageTask


@dataclass(frozen=True, kw_only=True)
class Digits(ImageTask):
    """Classify digits.

    References
    ----------
    Alpaydin & Kaynak (1998), UCI repository.
    """

    title: ClassVar[str] = "digits"
