"""What a dream came of: hidden activity that the cortex knows, and learns to find again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from circuits.bidirectional import BidirectionalNetwork
from circuits.inferred import Array, Inferred


class Dream(bytes):
    """A dreamt item, and the hidden values that it was drawn from.

    Parameters
    ----------
    item : bytes
        Levels and class, as of any item.
    hidden : sequence of (n_units,) float
        Value nodes of the hidden layers, from the senses upwards.
    """

    hidden: tuple[Array, ...]

    def __new__(cls, item: bytes, hidden: Sequence[Array]) -> Self:
        """Let the item remember where it came from."""
        dream = super().__new__(cls, item)
        dream.hidden = tuple(hidden)
        return dream


class Origins(NamedTuple):
    """Which samples of a batch were dreamt, and from which hidden values.

    Parameters
    ----------
    rows : (n_dreams,) int
    hidden : list of (n_dreams, n_units) float
        Hidden layer by hidden layer.
    """

    rows: NDArray[np.intp]
    hidden: list[Array]


def remembering(items: Sequence[bytes], hidden: Sequence[Array]) -> list[bytes]:
    """Return items that remember the hidden values, ``(n, n_units)`` a layer, they came of."""
    rows = zip(*hidden, strict=True)
    return [Dream(item, own) for item, own in zip(items, rows, strict=True)]


def origins_of(items: Sequence[Sequence[int]], start: int = 0) -> Origins | None:
    """Return the origins of those items that remember them; None if none does.

    Parameters
    ----------
    items : (n,) sequences of int
    start : int
        Row of the first item in its batch.
    """
    own = [(row, item) for row, item in enumerate(items, start) if isinstance(item, Dream)]
    if not own:
        return None
    layers = zip(*(dream.hidden for _, dream in own), strict=True)
    return Origins(np.array([row for row, _ in own]), [np.stack(layer) for layer in layers])


def traced_back(
    network: BidirectionalNetwork, inferred: Inferred, origins: Origins, recognition: float
) -> Inferred:
    """Return the errors of a batch in which dreams are traced back to what they came of.

    A dream is drawn from hidden values h, downwards, so all that generates is known: top-down
    weights (and style cells) are taught with h in place of what a sweep makes of the drawn image,

    ``e'_l = h_l - W_l f(h_{l+1}) - d_l``  (h_0 the image),  ``delta W_l = e'_l f(h_{l+1})``,

    which is nothing as long as they are as they were at dusk: what is dreamt is not worn down by
    being dreamt. Bottom-up weights learn, besides what inference has left to them, to find h again,

    ``e_l = x_l - V_l f(x_{l-1}) - c_l + k (h_l - V_l f(x_{l-1}) - c_l)``,

    so that the hidden layer goes on to mean what it meant. What a synapse must know is what it
    must know by day: the activity that it carries and the error of its own cell, whose value was
    h a moment ago. k is small where inference moves values little (`BidirectionalConfig.step`).

    Parameters
    ----------
    network : BidirectionalNetwork
    inferred : Inferred
        Of all samples, as credit was assigned to them.
    origins : Origins
    recognition : float
        k.

    References
    ----------
    Hinton, Dayan, Frey & Neal (1995) Science 268:1158 (the sleep phase of wake-sleep; there
    top-down weights are left alone in it, since they do not change at once for other lessons).
    """
    rows, hidden = origins
    values, sent = inferred.values, inferred.activities
    up, down, causes = list(inferred.bottom_up), list(inferred.top_down), list(sent)
    for layer, value in enumerate(hidden, 1):
        found = network.rise(layer - 1, sent[layer - 1][rows])
        up[layer - 1] = up[layer - 1].copy()
        up[layer - 1][rows] += (recognition * (value - found)).astype(network.dtype)
        causes[layer] = causes[layer].copy()
        causes[layer][rows] = network.activity(layer, value)[0]
    for layer, value in enumerate([values[0][rows], *hidden]):
        down[layer] = down[layer].copy()
        down[layer][rows] = value - network.fall(layer, causes[layer + 1][rows])
    return inferred._replace(bottom_up=up, top_down=down, causes=causes)
