"""How the predictive-coding cortex learns, completes and dreams."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from circuits.bidirectional import BidirectionalConfig
from circuits.image_items import WHITE
from neurosim.errors import ConfigError


@dataclass(frozen=True)
class PredictiveCortexConfig:
    """How the cortex learns, completes and dreams.

    Parameters
    ----------
    network : BidirectionalConfig
        Its lowest layer is the image, its top layer the classes.
    covered : float
        Share of the images that are seen in part while the whole teaches, 0 to 1.
    completion : int
        Steps of inference of a completion.
    completion_step : float
        Their length.
    trust : float
        Precision of what is seen, in a completion and in a dream.
    guidance : float
        Precision of what a told class predicts of hidden layers, in a completion and in a dream.
    variety : float
        How far a dream's hidden values start from what the class predicts, in their usual
        deviations, at temperature 1. Below 1, since cells vary together and noise does not.
    styles : int
        Style cells of each class, by which hidden cells vary together in a dream; without any
        they vary each by itself (see `StyleCells`).
    rounds : int
        Times a dream then covers a part of itself and completes it anew; each makes it smoother.
    dream_weight : float
        How much a dream counts beside a lesson.
    recognition : float
        How much it counts in learning that the bottom-up weights find again the hidden values
        which a dream came of; at 0 nothing of a dream stays but its image (see `dream_origins`).
    capture : float [steps]
        Over which what a night writes is captured by the synapses that answer; at 0 it answers at
        once (see `SynapticCapture`).
    memory : float [samples]
        Over which the running variances of errors are taken.
    seed : int
        Of first weights and of what is covered.

    Raises
    ------
    ConfigError
        For a share covered outside of 0..1, counts or a recognition below 0, a capture within less
        than a step, a memory of less than a sample, or more classes than a byte tells apart.
    """

    network: BidirectionalConfig = field(default_factory=BidirectionalConfig)
    covered: float = 0.6
    completion: int = 10
    completion_step: float = 0.1
    trust: float = 1.0
    guidance: float = 1.0
    variety: float = 0.3
    styles: int = 0
    rounds: int = 0
    dream_weight: float = 1.0
    recognition: float = 0.0
    capture: float = 0.0
    memory: float = 5000.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.covered <= 1:
            raise ConfigError.expected(self, "covered", "0 to 1", self.covered, "try 0.6")
        if min(self.completion, self.rounds, self.styles) < 0:
            raise ConfigError.expected(
                self, "completion", "0 or more, as rounds and styles",
                (self.completion, self.rounds, self.styles), "leave them out",
            )  # fmt: skip
        if not (math.isfinite(self.recognition) and self.recognition >= 0):
            raise ConfigError.expected(
                self, "recognition", "0 or more", self.recognition, "leave it out"
            )
        if self.capture and not 1 <= self.capture < math.inf:
            raise ConfigError.expected(
                self, "capture", "a step or more, or 0", self.capture, "try a tenth of a night's"
            )
        if self.network.sizes[-1] > WHITE + 1:
            raise ConfigError.expected(
                self, "network", f"at most {WHITE + 1} classes", self.network.sizes[-1],
                "an item is written in bytes; tell fewer",
            )  # fmt: skip
        if not self.memory >= 1:
            raise ConfigError.expected(self, "memory", "1 sample or more", self.memory, "try 5000")
