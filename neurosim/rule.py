"""What a synaptic rule promises: its signature is all that one synapse can know."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError, nearest_name

Event = Literal["coincidence", "pre", "post", "either", "all", "cell"]
"""Which synapses a rule acts on: both cells active, one of them, at least one, any, or none."""

SIGNALS = {
    "pre": "activity of the presynaptic cell",
    "post": "activity of the postsynaptic cell",
    "weight": "the synapse's own weight",
    "modulator": "one number that is broadcast to all synapses",
    "error": "error neuron of the postsynaptic cell",
    "drive": "summed input of the postsynaptic cell before competition",
    "explained": "what this cell and those before it send back to the presynaptic cell",
}
NON_LOCAL = frozenset({"explained"})
_CONSTANTS = ("dt",)


class _Knows:
    """The signals in the signatures of a rule's formulas."""

    def __get__(self, instance: object, owner: type[Rule]) -> tuple[str, ...]:
        names = [name for formula in owner.formulas() for name in arguments(formula)]
        found = dict.fromkeys("weights" if n == "weight" else n for n in names if n in SIGNALS)
        return (*found, *(("trace",) if owner.traces() else ()))


class Rule:
    """A synaptic rule: a frozen dataclass, all parameters with defaults.

    *Locality is the signature.* `change` is the formula of one synapse, in plain numbers, and its
    arguments are all it can know. Allowed are the signals of `SIGNALS`, the step ``dt`` [s], the
    rule's own traces and its parameters. A trace is a named state of a cell or of the synapse; the
    static method of its name returns its next value. A `PlasticProjection` compiles the formulas
    into its loops and is the only place where weights change.

    Attributes
    ----------
    source : str
        The paper.
    acts_on : Event
        Where `change` can differ from zero: an event-driven projection visits no other synapse.
        "cell" is a rule that changes cells and no synapse, without `change`.
    pre_traces, post_traces, own_traces : tuple of str
        Names of the traces of the presynaptic cell, the postsynaptic cell and the synapse.
    traces_first : bool
        Whether `change` sees the traces with this step's activity in them, or as they were just
        before it (the ``t - epsilon`` of spike rules).
    knows : tuple of str
        The signals in the signatures; "trace" stands for any trace.

    Raises
    ------
    ConfigError
        For a parameter that is not finite, a time constant that is not positive, or a negative
        learning rate.
    """

    source: ClassVar[str]
    acts_on: ClassVar[Event]
    pre_traces: ClassVar[tuple[str, ...]] = ()
    post_traces: ClassVar[tuple[str, ...]] = ()
    own_traces: ClassVar[tuple[str, ...]] = ()
    traces_first: ClassVar[bool] = False
    knows: ClassVar[tuple[str, ...]] = _Knows()  # type: ignore[assignment]
    change: ClassVar[Callable[..., Any]]
    reference: ClassVar[Callable[..., Any]]

    def __post_init__(self) -> None:
        for name, value in self.parameters().items():
            if not math.isfinite(value):
                raise ConfigError.expected(self, name, "a finite number", value, "mend it")
            if name.startswith("tau") and value <= 0:
                raise ConfigError.expected(
                    self, name, "a time constant above 0", value, "give it in seconds"
                )
            if name.startswith(("eta", "step")) and value < 0:
                raise ConfigError.expected(
                    self, name, "a learning rate of 0 or more", value, "change the formula's sign"
                )

    @classmethod
    def traces(cls) -> tuple[str, ...]:
        """Return the names of all traces."""
        return (*cls.pre_traces, *cls.post_traces, *cls.own_traces)

    @classmethod
    def formulas(cls) -> list[Callable[..., Any]]:
        """Return `change`, if there is one, and the traces' formulas."""
        names = (() if cls.acts_on == "cell" else ("change",)) + cls.traces()
        return [getattr(cls, name) for name in names]

    def parameters(self) -> dict[str, float]:
        """Return the parameters by name, as floats."""
        return {field.name: float(getattr(self, field.name)) for field in fields(self)}  # type: ignore[arg-type]

    def delta(
        self,
        pre: NDArray[np.floating],
        post: NDArray[np.floating],
        weights: NDArray[np.floating],
        modulator: float,
        out: NDArray[np.floating],
    ) -> None:
        """Fill `out` with the changes of the synapses given, for a rule without traces.

        Parameters
        ----------
        pre, post, weights : (n_synapses,) float
            Activity of each synapse's two cells, and its weight.
        modulator : float
        out : (n_synapses,) float

        Raises
        ------
        ConfigError
            If the rule needs more than these.
        """
        known = {"pre": pre, "post": post, "weight": weights, "modulator": modulator}
        known |= self.parameters()
        wanted = arguments(type(self).change)
        missing = [name for name in wanted if name not in known]
        if missing:
            raise ConfigError.expected(
                self, "delta", "a rule of pre, post, weight and modulator", missing,
                "run it on a PlasticProjection",
            )  # fmt: skip
        out[...] = type(self).change(**{name: known[name] for name in wanted})


def arguments(formula: Callable[..., Any]) -> list[str]:
    """Return the names of a formula's arguments."""
    return list(inspect.signature(formula).parameters)


def check_rule(rule: type[Rule]) -> None:
    """See that a rule's formulas ask for nothing that a synapse or a cell cannot know.

    Raises
    ------
    ConfigError
        Naming the argument; the nearest known name is suggested.
    """
    if not (is_dataclass(rule) and rule.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise ConfigError.expected(
            rule, "class", "a frozen dataclass", rule, "decorate it with @dataclass(frozen=True)"
        )
    parameters = [field.name for field in fields(rule)]
    common = {"modulator", *_CONSTANTS, *parameters}
    side = {
        "pre": {"pre", *rule.pre_traces} | common,
        "post": {"post", "drive", "error", *rule.post_traces} | common,
        "own": {*SIGNALS, *rule.traces()} | common,
    }
    if "explained" in rule.knows and rule.acts_on not in ("all", "pre"):
        raise ConfigError.expected(
            rule, "acts_on", "'all' or 'pre' for a rule that knows what is explained",
            rule.acts_on, "say 'all'",
        )  # fmt: skip
    places = [("own", "change")] if rule.acts_on != "cell" else []
    for place in ("pre", "post", "own"):
        places += [(place, name) for name in getattr(rule, f"{place}_traces")]
    for place, name in places:
        for argument in arguments(getattr(rule, name)):
            if argument not in side[place]:
                near = nearest_name(argument, side[place])
                hint = f"did you mean '{near}'?" if near else "a synapse cannot know it"
                known = f"arguments of {', '.join(sorted(side[place]))}"
                raise ConfigError(
                    f"{rule.__name__}.{name}: {argument} is not among the {known}; {hint}"
                )
