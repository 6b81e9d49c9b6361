"""Prospective configuration: activity settles to what it should be, and weights follow it."""

from dataclasses import dataclass
from typing import ClassVar

from neurosim.predictive_coding import Inference
from rules.pc import PredictiveCoding


@dataclass(frozen=True, kw_only=True)
class ProspectiveConfiguration(PredictiveCoding):
    """Settle to equilibrium before any weight moves.

    Predictive coding, run until the energy does not fall any more: with a step that is halved
    whenever the energy of the sample has risen, at most 128 times, stopping when a step gains less
    than a thousandth. The activity then is what the network will answer after the change of
    weights, so one association disturbs others less than with backpropagation.

    What a synapse must be given: pre, an error neuron of its cell, which hears the labels through
    the transposed weights of the layers above. Pre and error are those of the equilibrium.

    Parameters
    ----------
    inference : Inference

    References
    ----------
    Song, Millidge, Salvatori, Lukasiewicz, Xu & Bogacz (2024) Nat. Neurosci. 27:348, Eqs. 1-5 and
    Methods. There T steps are always taken, and the step is halved for a whole batch.
    """

    inference: Inference = Inference(n_steps=128, step=0.1, halve=True, tolerance=1e-3)

    source: ClassVar[str] = "Song et al. (2024) Nat. Neurosci. 27:348"
