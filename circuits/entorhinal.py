"""Entorhinal cortex: a token in its context becomes an input pattern, and back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosim.codes import SparseCode


@dataclass(frozen=True)
class EntorhinalConfig:
    """Size of the entorhinal layer.

    Parameters
    ----------
    n_tokens : int
        How many different tokens there are.
    n_item, k_item : int
        Cells that code the present token, and how many of them are active for one token.
    n_context : int
        Cells that hold the fading trace of the tokens before.
    decay : float
        What is left of the trace one token later, 0..1.
    """

    n_tokens: int = 2048
    n_item: int = 1024
    k_item: int = 16
    n_context: int = 1024
    decay: float = 0.8

    @property
    def n_units(self) -> int:
        """Number of cells, item and context together."""
        return self.n_item + self.n_context


class EntorhinalCortex:
    """Code tokens in context.

    The item cells carry a fixed random sparse code of the token. The context cells carry the
    temporal context, ``c(t+1) = decay * c(t) + s(x(t))`` with a second fixed random code ``s``
    of the token just gone, so the same token after other words is another pattern.

    Parameters
    ----------
    config : EntorhinalConfig
    rng : numpy.random.Generator
        Draws the codes.

    References
    ----------
    Howard & Kahana (2002) J. Math. Psychol. 46:269, eq. 4 (temporal context); their normalisation
    of the context to unit length is left out, since the dentate gyrus normalises its drive.
    """

    def __init__(self, config: EntorhinalConfig, rng: np.random.Generator) -> None:
        self.config = config
        self.item_codes = _draw_codes(rng, config.n_tokens, config.n_item, config.k_item)
        self.trace_codes = _draw_codes(rng, config.n_tokens, config.n_context, config.k_item)

    def item(self, token: int) -> SparseCode:
        """Return the item cells of a token."""
        return SparseCode(self.item_codes[token], self.config.n_item)

    def silence(self) -> NDArray[np.float32]:
        """Return the context ``(n_context,)`` before an episode: nothing came before."""
        return np.zeros(self.config.n_context, dtype=np.float32)

    def advance(self, context: NDArray[np.float32], token: int) -> NDArray[np.float32]:
        """Return the context after one more token."""
        following = self.config.decay * context
        following[self.trace_codes[token]] += 1.0
        return following.astype(np.float32)

    def activity(self, token: int, context: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the whole layer ``(n_units,)`` while a token is read in a context."""
        layer = np.zeros(self.config.n_units, dtype=np.float32)
        layer[self.item_codes[token]] = 1.0
        layer[self.config.n_item :] = context
        return layer

    def encode(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """Return the activity ``(n_steps, n_units)`` while `tokens` are read from silence."""
        context = self.silence()
        layers = np.zeros((len(tokens), self.config.n_units), dtype=np.float32)
        for step, token in enumerate(tokens):
            layers[step] = self.activity(token, context)
            context = self.advance(context, token)
        return layers

    def decode(self, activity: NDArray[np.float32]) -> tuple[int, float]:
        """Return the token whose item code is most active, and its lead over the next.

        Parameters
        ----------
        activity : (n_item,) float32
        """
        score = activity[self.item_codes].mean(axis=1)
        best = int(np.argmax(score))
        runner_up = float(np.partition(score, -2)[-2])
        return best, float(score[best]) - runner_up


def _draw_codes(rng: np.random.Generator, n: int, n_cells: int, k: int) -> NDArray[np.int64]:
    order = rng.random((n, n_cells)).argpartition(k, axis=1)[:, :k]
    return np.sort(order, axis=1).astype(np.int64)
