"""Style cells: in which ways the members of a class differ together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

QUIET = 1e-4
"""Variance that a cell has at least."""


class StyleCells:
    """A few cells for each class that predict what its members' errors have in common.

    What a class predicts of a layer is its mean; how a member differs from that is mostly shared by
    many cells at once. ``e = m_c + B_c y + noise``, y the style cells of the class, of unit
    variance, noise of variance ``psi_c``. The cells settle where both errors balance,
    ``y = (1 + B' psi^-1 B)^-1 B' psi^-1 (e - m)``, and a synapse keeps the running mean of ``e y``:
    factor analysis by predictive coding. `imagine` lets the style cells fire by chance, so that
    cells vary together in a dream as they do in what was seen.

    What a synapse must know: the error of its cell, the activity of its style cell, and whether the
    class is on. The division by what the style cells of a class have in common (``<y y'>``, one
    small matrix a class) stands for their competition.

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
    mean, rest : (n_classes, n_units) float32
        m and psi.
    shared : (n_classes, n_units, n_styles) float32
        Running mean of ``e y``.
    power : (n_classes, n_styles, n_styles) float32
        Running mean of ``y y'``, its uncertainty included.
    seen : (n_classes,) float32
        Samples of each class, at most `memory`.

    References
    ----------
    Rubin & Thayer (1982) Psychometrika 47:69 (EM for factor analysis); Cappé & Moulines (2009)
    J. R. Stat. Soc. B 71:593 (running means of its statistics); Rao & Ballard (1999) Nat. Neurosci.
    2:79 (cells that predict errors).
    """

    def __init__(
        self, n_classes: int, n_units: int, n_styles: int, memory: float, rng: np.random.Generator
    ) -> None:
        self.memory = memory
        shape = (n_classes, n_units, n_styles)
        self.weights = rng.normal(0, 0.1, size=shape).astype(np.float32)
        self.mean = np.zeros(shape[:2], np.float32)
        self.rest = np.ones(shape[:2], np.float32)
        self.shared = self.weights.copy()
        self.power = np.tile(np.eye(n_styles, dtype=np.float32), (n_classes, 1, 1))
        self.seen = np.zeros(n_classes, np.float32)

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

    def imagine(self, labels: NDArray[np.integer], spread: float, rng: np.random.Generator) -> Array:
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
        names = ("weights", "mean", "rest", "shared", "power", "seen")
        return {f"style/{name}": getattr(self, name) for name in names}

    def _learn(self, c: int, errors: Array) -> None:
        """Take one step of running expectation and maximisation for a class."""
        n = len(errors)
        self.seen[c] = min(self.seen[c] + n, self.memory)
        rate = np.float32(min(n / float(self.seen[c]), 1.0))
        self.mean[c] += rate * (errors.mean(axis=0) - self.mean[c])
        e = (errors - self.mean[c]).astype(np.float32)
        scaled = self.weights[c] / self.rest[c][:, None]
        doubt = np.linalg.inv(np.eye(scaled.shape[1], dtype=np.float32) + self.weights[c].T @ scaled)
        y = e @ scaled @ doubt
        self.shared[c] += rate * (e.T @ y / n - self.shared[c])
        self.power[c] += rate * (y.T @ y / n + doubt - self.power[c])
        self.weights[c] = np.linalg.solve(self.power[c], self.shared[c].T).T
        left = np.square(e - y @ self.weights[c].T).mean(axis=0)
        left += np.einsum("us,st,ut->u", self.weights[c], doubt, self.weights[c])
        self.rest[c] += rate * (np.maximum(left, QUIET) - self.rest[c])
