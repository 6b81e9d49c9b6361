"""Two levels of visual cortex: patches of an image below, what neighbours have in common above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError, InputError, NumericalError, check_real
from neurosim.ledger import Ledger

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class VisualHierarchyConfig:
    """Shape and dynamics.

    Parameters
    ----------
    side : int [pixels]
        Of the square that one module of the lower level sees.
    shift : int [pixels]
        From one module to its neighbour; less than `side`, so that they overlap.
    modules : int
        Modules of the lower level in each direction.
    n_lower, n_upper : int
        Cells of a module; cells of the upper level, which sees all modules.
    noise : float
        Variance of the image around its prediction.
    noise_above : float
        Variance of lower cells around the prediction from above.
    sparsity : float
        Weight of the prior ``log(1 + r^2)`` of every cell.
    n_steps : int
        Of inference.
    step : float
        Of inference; halved for the whole batch when its energy has risen.
    eta : float
        Learning rate.

    Raises
    ------
    ConfigError
        For modules that leave gaps, none at all, or a variance, step or rate that is not positive.
    """

    side: int = 16
    shift: int = 5
    modules: int = 3
    n_lower: int = 32
    n_upper: int = 128
    noise: float = 1.0
    noise_above: float = 2.0
    sparsity: float = 0.3
    n_steps: int = 25
    step: float = 0.15
    eta: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.shift <= self.side or self.modules < 1:
            raise ConfigError.expected(
                self, "shift", f"1 to {self.side} pixels, and a module or more",
                (self.shift, self.modules), "try 5",
            )  # fmt: skip
        for name in ("noise", "noise_above", "step", "eta"):
            if not getattr(self, name) > 0:
                raise ConfigError.expected(
                    self, name, "a number above 0", getattr(self, name), "leave it out"
                )

    @property
    def field(self) -> int:
        """Side of the image that all modules see together [pixels]."""
        return self.side + (self.modules - 1) * self.shift


class Percept(NamedTuple):
    """What inference has come to.

    Parameters
    ----------
    lower : (n, n_modules, n_lower) float64
    upper : (n, n_upper) float64
    error : (n, n_modules, side * side) float64
        Of the image against the prediction by the lower level.
    error_above : (n, n_modules, n_lower) float64
        Of the lower level against the prediction from above: what its error cells fire.
    energies : (n_steps + 1,) float64
        Mean over images.
    """

    lower: FloatArray
    upper: FloatArray
    error: FloatArray
    error_above: FloatArray
    energies: FloatArray


class VisualHierarchy:
    """Cells that predict the level below them, and error cells that report what is not predicted.

    ``E = |I - U r|^2 / 2 s + |r - U_h r_h|^2 / 2 s_h + alpha sum log(1 + r^2)``

    ``dr = U'(I - U r) / s - (r - U_h r_h) / s_h - 2 alpha r / (1 + r^2)``, likewise for r_h;
    ``dU = (I - U r) r'``

    All modules of the lower level share one U, as if each had learnt alone from its own images.
    After each step the fields are brought back to length 1.

    Parameters
    ----------
    config : VisualHierarchyConfig
    rng : numpy.random.Generator
        Draws the fields to begin with.

    Attributes
    ----------
    fields : (side * side, n_lower) float64
    fields_above : (n_modules * n_lower, n_upper) float64
    ledger : Ledger
        What its products and changes of fields have cost. Modules share their fields, so that a
        field counts once as bytes and as often as there are modules as synapses visited.

    References
    ----------
    Rao & Ballard (1999) Nat. Neurosci. 2:79, Eqs. 1-9. There three modules lie side by side, and
    the weights are kept short by decay.
    """

    def __init__(self, config: VisualHierarchyConfig, rng: np.random.Generator) -> None:
        self.config = config
        n_modules = config.modules**2
        self.fields = rng.normal(size=(config.side**2, config.n_lower))
        self.fields_above = rng.normal(size=(n_modules * config.n_lower, config.n_upper))
        self._shorten()
        self.ledger = Ledger()

    def _through(self, matrix: FloatArray, signal: FloatArray) -> FloatArray:
        """Return ``signal matrix``, and enter the product into the ledgers."""
        visits = signal.size // signal.shape[-1] * matrix.size
        self.ledger.add(visits, 0, visits, matrix.nbytes)
        return signal @ matrix

    def _shorten(self) -> None:
        for fields in (self.fields, self.fields_above):
            fields /= np.linalg.norm(fields, axis=0)

    def cut(self, images: FloatArray) -> FloatArray:
        """Return what each module sees of images ``(n, field, field)``.

        Raises
        ------
        InputError
            For images of another size or with values that are not finite.
        """
        c = self.config
        images = np.asarray(images)
        check_real(self, "images", images)
        images = images.astype(np.float64, copy=False)
        if images.ndim != 3 or images.shape[1:] != (c.field, c.field):
            raise InputError.expected(
                self, "images", f"(n, {c.field}, {c.field}) values", images.shape, "cut them"
            )
        if not np.isfinite(images).all():
            raise InputError.expected(
                self, "images", "finite numbers", "others", "mend or leave out the image"
            )
        at = [k * c.shift for k in range(c.modules)]
        parts = [images[:, y : y + c.side, x : x + c.side] for y in at for x in at]
        return np.stack([part.reshape(len(images), -1) for part in parts], axis=1)

    def perceive(self, images: FloatArray, feedback: bool = True) -> Percept:
        """Let both levels settle.

        Parameters
        ----------
        images : (n, field, field) float64
        feedback : bool
            Without it the upper level predicts nothing, so that error cells of the lower level
            report all that their cells fire.

        Raises
        ------
        NumericalError
            When activity is no longer finite.
        """
        c = self.config
        seen = self.cut(images)
        r = np.zeros((*seen.shape[:2], c.n_lower))
        above = np.zeros((len(seen), c.n_upper))
        energies: list[float] = []
        step = c.step
        for t in range(c.n_steps + 1):
            error = seen - self._through(self.fields.T, r)
            missed = r - self._through(self.fields_above.T, above).reshape(r.shape)
            energy = (error**2).sum() / (2 * c.noise) + (missed**2).sum() / (2 * c.noise_above)
            energy += c.sparsity * (np.log1p(r**2).sum() + np.log1p(above**2).sum())
            energies.append(float(energy) / len(seen))
            if t == c.n_steps:
                break
            if t and not energies[t] < energies[t - 1]:
                step *= 0.5
            pull = self._through(self.fields, error) / c.noise - missed / c.noise_above
            r_next = r + step * (pull - 2 * c.sparsity * r / (1 + r**2))
            if feedback:
                pull = self._through(self.fields_above, missed.reshape(len(seen), -1))
                pull /= c.noise_above
                above = above + step * (pull - 2 * c.sparsity * above / (1 + above**2))
            r = r_next
        if not np.isfinite(energies[-1]):
            raise NumericalError(
                f"VisualHierarchy.energy: expected a finite number, got {energies[-1]:g}; lower "
                f"the step of inference (now {c.step:g})"
            )
        return Percept(r, above, error, missed, np.array(energies))

    def learn(self, percept: Percept, pace: float = 1.0) -> None:
        """Let every synapse explain away what its error cell reports.

        Parameters
        ----------
        percept : Percept
        pace : float
            Factor of the learning rate.
        """
        rate = pace * self.config.eta / len(percept.upper)
        flat = percept.error.reshape(-1, percept.error.shape[2])
        self.fields += rate * flat.T @ percept.lower.reshape(-1, percept.lower.shape[2])
        above = percept.error_above.reshape(len(percept.upper), -1)
        self.fields_above += rate * above.T @ percept.upper
        self._shorten()
        for fields, n in ((self.fields, len(flat)), (self.fields_above, len(above))):
            self.ledger.add(fields.size * n, fields.size, fields.size * (n + 1), 3 * fields.nbytes)

    @property
    def state(self) -> dict[str, FloatArray]:
        """Return the named arrays."""
        return {"fields": self.fields, "fields_above": self.fields_above}
