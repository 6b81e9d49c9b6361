"""What a field of a configuration may be: stated once, beside its type, and checked at the door."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from neurosim.errors import ConfigError

_TYPES: Mapping[type, tuple[type, str]] = MappingProxyType(
    {
        bool: (bool, "True or False"),
        int: (numbers.Integral, "a whole number"),
        float: (numbers.Real, "a number"),
        str: (str, "a text"),
    }
)
"""By the type that is written: what an instance must be, and what it is called."""


@dataclass(frozen=True)
class Range:
    """An interval that a number lies in.

    Parameters
    ----------
    low, high : float
        Its ends.
    above, below : bool
        Whether the number is above `low`, and below `high`; else it may be these, too.
    infinite : bool
        Whether it may be infinite.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False
    infinite: bool = False

    def holds(self, value: float) -> bool:
        """Return whether a number lies in it; NaN never does."""
        if not (math.isfinite(value) or self.infinite):
            return False
        over = value > self.low if self.above else value >= self.low
        return over and (value < self.high if self.below else value <= self.high)

    @property
    def words(self) -> str:
        """Return what it says of a number, such as ``"above 0, up to 1"``."""
        if self.high == math.inf:
            return f"above {self.low:g}" if self.above else f"of {self.low:g} or more"
        end = f"below {self.high:g}" if self.below else f"{self.high:g}"
        if self.above:
            return f"above {self.low:g}" + (f" and {end}" if self.below else f", up to {end}")
        return f"from {self.low:g} to {end}"


@dataclass(frozen=True)
class OneOf:
    """Values that can be counted on the fingers.

    Parameters
    ----------
    values : tuple
    """

    values: tuple[object, ...]

    def holds(self, value: object) -> bool:
        """Return whether it is one of them."""
        return value in self.values

    @property
    def words(self) -> str:
        """Return them, such as ``"4 or 8"``."""
        return " or ".join(map(str, self.values))


Count = Annotated[int, Range(1)]
Whole = Annotated[int, Range(0)]
Positive = Annotated[float, Range(0, above=True)]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
SomeShare = Annotated[float, Range(0, 1, above=True)]
PartialShare = Annotated[float, Range(0, 1, below=True)]
"""Of nothing up to, but not, all."""


def check_fields(config: Any) -> None:
    """Refuse a configuration with a field that is of another type than written, or out of range.

    Of the types ``bool``, ``int``, ``float`` and ``str``, dataclasses, ``Literal`` and tuples of
    these; ``Annotated`` adds a `Range` or a `OneOf`. A number is never NaN, and a whole one is
    written as such.

    Parameters
    ----------
    config : dataclass

    Raises
    ------
    ConfigError
        At the first such field; says what it may be.
    """
    hints = get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        if not _holds(hint, value):
            plain = isinstance(field.default, bool | int | float | str | tuple)
            mend = f"leave it out for {field.default!r}" if plain else "leave it out"
            raise ConfigError.expected(config, field.name, _words(hint), value, mend)


def _holds(hint: Any, value: Any) -> bool:
    if get_origin(hint) is Annotated:
        inner, *limits = get_args(hint)
        return _holds(inner, value) and all(limit.holds(value) for limit in limits)
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) is tuple:
        each, *more = get_args(hint)
        if not isinstance(value, tuple) or (more[:1] != [...] and len(value) != 1 + len(more)):
            return False
        return all(_holds(each, part) for part in value)
    kind: Any = _TYPES[hint][0] if hint in _TYPES else hint
    if not isinstance(value, kind) or (isinstance(value, bool) and hint is not bool):
        return False
    return hint is not float or not math.isnan(value)


def _words(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        inner, *limits = get_args(hint)
        said = [limit.words for limit in limits]
        return " ".join(said if isinstance(limits[0], OneOf) else [_words(inner), *said])
    if get_origin(hint) is Literal:
        return OneOf(get_args(hint)).words
    if get_origin(hint) is tuple:
        each, *more = get_args(hint)
        length = "" if more[:1] == [...] else f"{1 + len(more)} "
        return f"a tuple of {length}values, each {_words(each)}"
    return _TYPES[hint][1] if hint in _TYPES else f"a {hint.__name__}"
