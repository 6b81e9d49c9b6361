"""Spiking cells and the channels of their synapses: parameters in SI units, checked at the door."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from neurosim.errors import ConfigError

PLAUSIBLE = MappingProxyType(
    {"s": (1e-7, 100.0), "S": (0.0, 1e-3), "V": (-0.3, 0.3), "A": (-1e-6, 1e-6)}
)
"""Range of a cell's parameters by unit: a value outside of it was given in ms, nS, mV or pA."""

EXAMPLES = MappingProxyType(
    {"s": "0.002 for 2 ms", "S": "2e-9 for 2 nS", "V": "-0.07 for -70 mV", "A": "2e-12 for 2 pA"}
)


def quantity(
    unit: str, signed: bool = False, default: float | None = None, most: float | None = None
) -> Any:
    """Return a field of a dataclass that holds a quantity of this SI unit.

    Parameters
    ----------
    unit : {"s", "S", "V", "A"}
    signed : bool
        Whether a conductance may be negative.
    default : float, optional
    most : float, optional
        A larger value was given in ms, nS, mV or pA.
    """
    metadata = {"unit": unit, "signed": signed, "most": most}
    return (
        field(metadata=metadata) if default is None else field(default=default, metadata=metadata)
    )


class Quantities:
    """Base of parameter sets: every field declared by `quantity` is checked and held as a float.

    A field may be given as a plain number in its SI unit or as a Brian2 quantity, whose dimension
    must fit.
    """

    def __post_init__(self) -> None:
        """Convert and check every quantity."""
        for each in fields(self):  # type: ignore[arg-type]
            if "unit" in each.metadata:
                value = in_si(self, each.name, getattr(self, each.name), **each.metadata)
                object.__setattr__(self, each.name, value)


def in_si(
    owner: object,
    name: str,
    value: Any,
    unit: str,
    signed: bool = False,
    most: float | None = None,
) -> float:
    """Return a quantity as a number in its SI unit.

    Parameters
    ----------
    owner : object
        Whom an error names.
    name : str
        Of the parameter.
    value : float or Brian2 quantity
    unit : {"s", "S", "V", "A"}
    signed : bool
        Whether a conductance may be negative.
    most : float, optional
        By default what `PLAUSIBLE` says.

    Raises
    ------
    ConfigError
        For another dimension, for what is not finite, and for a value so large or so small that
        its unit must have been forgotten.
    """
    low, high = PLAUSIBLE[unit]
    high = high if most is None else most
    low = -high if signed else low
    mend = f"give it in {unit}, such as {EXAMPLES[unit]}"
    if hasattr(value, "dimensions"):
        import brian2

        units = {"s": brian2.second, "S": brian2.siemens, "V": brian2.volt, "A": brian2.amp}
        if not brian2.have_same_dimensions(value, units[unit]):
            raise ConfigError.expected(owner, name, f"a quantity in {unit}", value, mend)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not low <= number <= high:
        raise ConfigError.expected(
            owner, name, f"a value within {low:g}..{high:g} {unit}", value, mend
        )
    return number


@dataclass(frozen=True)
class AdEx(Quantities):
    """Adaptive exponential integrate-and-fire cell.

    ``C dv/dt = -g_L (v - E_L) + g_L D exp((v - theta) / D) - w - I_syn``,
    ``tau_w dw/dt = a (v - E_L) - w``; when v exceeds the cut-off, v is set to `reset` and held
    there for `refractory`, and w grows by b.

    Parameters
    ----------
    leak : float [S]
        g_L.
    tau_membrane : float [s]
        ``C / g_L``.
    rest, reset, theta : float [V]
        E_L, the potential after a spike, and where the upstroke begins.
    slope : float [V]
        D, how sharply it begins.
    cutoff : float [V]
        Above it the cell has fired.
    refractory : float [s]
    subthreshold : float [S]
        a; negative where depolarisation makes the cell more excitable.
    increment : float [A]
        b.
    tau_adaptation : float [s]
        tau_w.

    Raises
    ------
    ConfigError
        For a slope or leak that is not positive, or a reset at the cut-off or above it.

    References
    ----------
    Brette & Gerstner (2005) J. Neurophysiol. 94:3637, equations 1-3.
    """

    leak: float = quantity("S")
    tau_membrane: float = quantity("s", most=1.0)
    rest: float = quantity("V")
    reset: float = quantity("V")
    theta: float = quantity("V")
    slope: float = quantity("V")
    cutoff: float = quantity("V")
    refractory: float = quantity("s", most=0.1)
    subthreshold: float = quantity("S", signed=True)
    increment: float = quantity("A")
    tau_adaptation: float = quantity("s", most=10.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_cell(self)
        if self.slope <= 0:
            raise ConfigError.expected(
                self, "slope", "a slope above 0 V", self.slope, "use LIF for a sharp threshold"
            )

    @property
    def capacitance(self) -> float:
        """C [F]."""
        return self.leak * self.tau_membrane


@dataclass(frozen=True)
class LIF(Quantities):
    """Leaky integrate-and-fire cell: ``C dv/dt = -g_L (v - E_L) - I_syn``.

    Parameters
    ----------
    leak : float [S]
        g_L.
    tau_membrane : float [s]
        ``C / g_L``.
    rest, reset, cutoff : float [V]
        E_L, the potential after a spike, and the threshold.
    refractory : float [s]
        How long v is held at `reset`.

    References
    ----------
    Lapicque (1907); Gerstner, Kistler, Naud & Paninski (2014) Neuronal Dynamics, equation 1.5.
    """

    leak: float = quantity("S")
    tau_membrane: float = quantity("s", most=1.0)
    rest: float = quantity("V")
    reset: float = quantity("V")
    cutoff: float = quantity("V")
    refractory: float = quantity("s", most=0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_cell(self)

    @property
    def capacitance(self) -> float:
        """C [F]."""
        return self.leak * self.tau_membrane


Cell = AdEx | LIF


@dataclass(frozen=True)
class Channel(Quantities):
    """Conductance of one kind of synapse: bi-exponential, with a peak of the synapse's weight.

    ``dg/dt = (x - g) / rise``, ``dx/dt = -x / decay``; a spike adds ``weight * norm`` to x.

    Parameters
    ----------
    rise, decay : float [s]
    reversal : float [V]

    Raises
    ------
    ConfigError
        For a decay no longer than the rise.

    References
    ----------
    Ecker et al. (2022) eLife 11:e71850, methods ("synapse model"); Roth & van Rossum (2009).
    """

    rise: float = quantity("s", most=0.2)
    decay: float = quantity("s", most=1.0)
    reversal: float = quantity("V")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decay <= self.rise:
            raise ConfigError.expected(
                self, "decay", f"more than the rise time {self.rise:g} s", self.decay, "swap them"
            )

    @property
    def norm(self) -> float:
        """What x needs so that g peaks at one, as the reference scales it.

        Time to peak ``t = decay rise / (decay - rise) ln(decay / rise)``;
        ``norm = 1 / (exp(-t / decay) - exp(-t / rise))``.

        As in the reference code this normalises the difference of two exponentials, whereas the
        cascade above peaks at ``decay / (decay - rise)`` times that: weights are the published
        ones, peak conductances that factor larger (1.16 for recurrent excitation).
        """
        peak = self.decay * self.rise / (self.decay - self.rise) * math.log(self.decay / self.rise)
        return 1.0 / (math.exp(-peak / self.decay) - math.exp(-peak / self.rise))


def _check_cell(cell: Cell) -> None:
    if cell.leak <= 0:
        raise ConfigError.expected(cell, "leak", "a conductance above 0 S", cell.leak, "raise it")
    if cell.reset >= cell.cutoff:
        raise ConfigError.expected(
            cell, "reset", f"a potential below the cut-off {cell.cutoff:g} V", cell.reset,
            "or the cell would fire at every step",
        )  # fmt: skip
