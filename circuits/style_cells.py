"""Style cells: in which ways the members of a class differ together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.ledger import Ledger

Array = NDArray[np.floating]

QUIET = 1e-4
"""Variance that a cell has at least."""


class StyleCells:
    """A few cells for each class that predict what its members' errors have in common.

    What a class predicts of a layer is its mean; how a member differs from that is mostly shared by
    many cells at once. ``e = m_c + B_c y + noise``, y the style cells of the class, of unit
    variance, noise of variance ``psi_c``. The cells settle where both errors balance,
    ``y = (1 + B' psi^-1 B)^-1 B' psi^-1 (e - m)``; a synapse is the running mean of ``e y``, and
    the style cells of a class keep unit variance and apart from each other. That is factor
    analysis, in the form that converges fastest. `imagine` lets the style cells fire by chance, so
    that cells vary together in a dream as they do in what was seen.

    What a synapse must know: the error of its cell, the activity of its style cell, and whether the
    class is on. What a style cell must know: how it and the others of its class vary (a small
    matrix, which stands for lateral inhibition).

    Parameters
    ----------
    n_classes, n_units, n_styles : int
    memory : float [samples]
        Of a class, over which running means are taken.
    rng : numpy.random.Generator
        Draws the first synapses.

    Attributes
    ----------
    weights : (n_classes, n_units, n_styles) float32
    mean, square, rest : (n_classes, n_units) float32
        m, the running mean of ``(e - m)^2``, and psi.
    seen : (n_classes,) float32
        Samples of each class, at most `memory`.
    ledger : Ledger
        What its products and changes have cost.

    References
    ----------
    Rubin & Thayer (1982) Psychometrika 47:69 (EM for factor analysis); Cappé & Moulines (2009)
    J. R. Stat. Soc. B 71:593 (running means of its statistics); Liu, Rubin & Wu (1998) Biometrika
    85:755 (unit variance anew at each step); Rao & Ballard (1999) Nat. Neurosci.
    2:79 (cells that predict errors).
    """

    def __init__(
        self, n_classes: int, n_units: int, n_styles: int, memory: float, rng: np.random.Generator
    ) -> None:
        self.memory = memory
        shape = (n_classes, n_units, n_styles)
        self.weights = rng.normal(0, 0.1, size=shape).astype(np.float32)
        self.mean = np.zeros(shape[:2], np.float32)
        self.square = np.ones(shape[:2], np.float32)
        self.rest = np.ones(shape[:2], np.float32)
        self.seen = np.zeros(n_classes, np.float32)
        self.ledger = Ledger()

    def learn(self, errors: Array, labels: NDArray[np.integer]) -> None:
        """Follow the errors of a batch.

        Parameters
        ----------
        errors : (n, n_units) float
        labels : (n,) int
            -1 where no class is known; nothing is learnt of these.
        """
        for c in np.unique(labels[labels >= 0]):
            self._learn(int(c), errors[labels == c])

    def imagine(
        self, labels: NDArray[np.integer], spread: float, rng: np.random.Generator
    ) -> Array:
        """Return errors as members of the classes have them, ``(n, n_units)``.

        Parameters
        ----------
        labels : (n,) int
        spread : float
            Factor of the style cells' and the noise's deviation; at 0 the mean.
        rng : numpy.random.Generator
        """
        y = spread * rng.normal(size=(len(labels), self.weights.shape[2]))
        noise = spread * rng.normal(size=(len(labels), self.mean.shape[1]))
        errors = self.mean[labels] + np.sqrt(self.rest[labels]) * noise
        for c in np.unique(labels):
            errors[labels == c] += y[labels == c] @ self.weights[c].T
        return errors

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """Return the named arrays."""
        names = ("weights", "mean", "square", "rest", "seen")
        return {f"style/{name}": getattr(self, name) for name in names}

    def _learn(self, c: int, errors: Array) -> None:
        """Take one step of running expectation and maximisation for a class."""
        n = len(errors)
        self.seen[c] = min(self.seen[c] + n, self.memory)
        rate = np.float32(min(n / float(self.seen[c]), 1.0))
        self.mean[c] += rate * (errors.mean(axis=0) - self.mean[c])
        e = (errors - self.mean[c]).astype(np.float32)
        own, one = self.weights[c], np.eye(self.weights.shape[2], dtype=np.float32)
        scaled = own / self.rest[c][:, None]
        doubt = np.linalg.inv(one + own.T @ scaled)
        y = e @ scaled @ doubt
        power = one + rate * (y.T @ y / n + doubt - one)
        own += rate * (e.T @ y / n - own)
        own[...] = np.linalg.solve(np.linalg.cholesky(power), own.T).T
        # What is left of the usual square of an error when the style cells have had their part.
        usual = self.square[c]
        usual += rate * (np.square(e).mean(axis=0) - usual)
        self.rest[c] = np.maximum(usual - np.square(own).sum(axis=1), QUIET)
        size = self.weights[c].size
        visits, written = 2 * n * size, size + 3 * len(usual)
        self.ledger.add(visits, written, visits + 3 * size * len(doubt), 8 * written)
