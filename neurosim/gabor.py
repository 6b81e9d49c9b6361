"""Gabor functions, and how well one describes a receptive field."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

FloatArray = NDArray[np.float64]


class Gabor(NamedTuple):
    """A plane wave under a Gaussian, ``exp(-u^2/2a^2 - v^2/2b^2) cos(2 pi f u + phase)``.

    u runs along the wave, v along its crests, both from the centre.

    Parameters
    ----------
    y, x : float [pixels]
        Centre.
    theta : float [rad]
        Direction of u, from the x axis towards y.
    frequency : float [cycles/pixel]
    along, across : float [pixels]
        Deviations a, of u, and b, of v.
    phase : float [rad]
    amplitude : float
    """

    y: float
    x: float
    theta: float
    frequency: float
    along: float
    across: float
    phase: float
    amplitude: float

    def image(self, side: int) -> FloatArray:
        """Return its values ``(side, side)``."""
        wave, other = _waves(np.array(self[:6]), side)
        values = math.cos(self.phase) * wave - math.sin(self.phase) * other
        return self.amplitude * values.reshape(side, side)


def fit_gabor(field: FloatArray, side: int) -> tuple[Gabor, float]:
    """Return the Gabor nearest to a field, and the share of the field's variance it explains.

    The search starts at the peak of the field's spectrum and at the centre of its energy, with a
    round and with a long envelope; for given centre, wave and envelope the best amplitude and phase
    follow by linear least squares.

    Parameters
    ----------
    field : (side * side,) float64
    side : int [pixels]

    References
    ----------
    Jones & Palmer (1987) J. Neurophysiol. 58:1233.
    """
    square = field.reshape(side, side)
    energy = square**2
    total = float(energy.sum())
    if total == 0:
        return Gabor(0.0, 0.0, 0.0, 0.1, 1.0, 1.0, 0.0, 0.0), 0.0
    rows, columns = np.mgrid[:side, :side]
    centre = [float((energy * at).sum() / total) for at in (rows, columns)]
    spectrum = np.abs(np.fft.fft2(square, (64, 64)))
    spectrum[0, 0] = 0
    fy, fx = (np.fft.fftfreq(64)[k] for k in np.unravel_index(spectrum.argmax(), spectrum.shape))
    theta, frequency = math.atan2(fy, fx), max(math.hypot(fy, fx), 0.03)
    lower = [-2, -2, -10, 0.01, 0.7, 0.7]
    upper = [side + 1, side + 1, 10, 0.5, side, side]
    best, least = None, math.inf
    for along, across in ((side / 6, side / 6), (side / 8, side / 3)):
        start = np.array([*centre, theta, frequency, along, across])
        start = np.clip(start, np.array(lower) + 1e-6, np.array(upper) - 1e-6)
        found = least_squares(
            _residual, start, args=(field, side), bounds=(lower, upper), max_nfev=60
        )
        if 2 * found.cost < least:
            best, least = found.x, 2 * float(found.cost)
    assert best is not None
    (a, b), _ = _amplitudes(best, field, side)
    y, x, theta, frequency, along, across = (float(value) for value in best)
    phase, amplitude = math.atan2(-b, a), math.hypot(a, b)
    gabor = Gabor(y, x, theta, frequency, along, across, phase, amplitude)
    return gabor, 1 - least / total


def _waves(shape: FloatArray, side: int) -> FloatArray:
    """Return cosine and sine under the envelope, ``(2, side * side)``."""
    y, x, theta, frequency, along, across = shape
    rows, columns = np.mgrid[:side, :side].reshape(2, -1)
    u = np.cos(theta) * (columns - x) + np.sin(theta) * (rows - y)
    v = -np.sin(theta) * (columns - x) + np.cos(theta) * (rows - y)
    envelope = np.exp(-(u**2) / (2 * along**2) - v**2 / (2 * across**2))
    turn = 2 * np.pi * frequency * u
    return np.stack([envelope * np.cos(turn), envelope * np.sin(turn)])


def _amplitudes(shape: FloatArray, field: FloatArray, side: int) -> tuple[FloatArray, FloatArray]:
    waves = _waves(shape, side)
    gram = waves @ waves.T + 1e-9 * np.eye(2)
    parts: FloatArray = np.linalg.solve(gram, waves @ field).astype(np.float64)
    return parts, parts @ waves


def _residual(shape: FloatArray, field: FloatArray, side: int) -> FloatArray:
    return field - _amplitudes(shape, field, side)[1]
