"""Digits one by one, each seen once."""

from dataclasses import dataclass
from typing import ClassVar

from neurosim.task import ImageTask


@dataclass(frozen=True, kw_only=True)
class OnlineStream(ImageTask):
    """Learn after every sample, as an animal must, and in one pass.

    References
    ----------
    Song et al. (2024) Nature Neuroscience 27:348, Fig. 4b-c, batch size 1.
    """

    passes: float = 1.0
    batch: int = 1

    title: ClassVar[str] = "online stream"
