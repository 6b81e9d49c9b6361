"""The fields of a configuration are what is written beside them, or are refused."""

import math
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import numpy as np
import pytest

from neurosim.errors import ConfigError
from neurosim.ranges import Count, OneOf, PartialShare, Positive, Range, SomeShare, check_fields


@dataclass(frozen=True)
class Part:
    """A part."""

    size: Count = 1


@dataclass(frozen=True)
class Config:
    """One field of every kind."""

    n_cells: Count = 5
    tau: Positive = 0.1
    kept: PartialShare = 0.0
    chosen: SomeShare = 1.0
    limit: Annotated[float, Range(0, infinite=True)] = math.inf
    bits: Annotated[int, OneOf((4, 8))] = 4
    kind: Literal["a", "b"] = "a"
    name: str = ""
    fast: bool = False
    layers: tuple[Count, ...] = ()
    ends: tuple[Positive, Positive] = (1.0, 2.0)
    part: Part = field(default_factory=Part)

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize(
    "good",
    [
        {"n_cells": np.int64(1)},
        {"tau": np.float32(1e-30)},
        {"tau": 1},
        {"kept": 1 - 1e-12},
        {"chosen": 1e-12},
        {"limit": 0.0},
        {"bits": 8},
        {"layers": (3, 1)},
        {"fast": True},
    ],
)
def test_what_is_in_range_is_taken_as_it_is(good):
    config = Config(**good)
    (name, value), *_ = good.items()
    assert getattr(config, name) is value


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"n_cells": 0},
            "n_cells: expected a whole number of 1 or more, got 0; leave it out",
        ),
        ({"n_cells": 2.0}, "got 2.0; leave it out for 5"),
        ({"n_cells": True}, "a whole number"),
        ({"tau": 0.0}, "Config.tau: expected a number above 0, got 0.0"),
        ({"tau": math.nan}, "got nan"),
        ({"tau": math.inf}, "got inf"),
        ({"tau": "1"}, "got '1'"),
        ({"kept": 1.0}, "a number from 0 to below 1"),
        ({"kept": -1e-12}, "a number from 0 to below 1"),
        ({"chosen": 0.0}, "a number above 0, up to 1"),
        ({"chosen": 1 + 1e-12}, "a number above 0, up to 1"),
        ({"limit": math.nan}, "a number of 0 or more"),
        ({"bits": 6}, "expected 4 or 8, got 6"),
        ({"bits": 4.0}, "expected 4 or 8"),
        ({"kind": "c"}, "expected a or b, got 'c'; leave it out for 'a'"),
        ({"name": None}, "a text"),
        ({"fast": 1}, "True or False, got 1"),
        ({"layers": (3, 0)}, "a tuple of values, each a whole number of 1 or more, got (3, 0)"),
        ({"layers": [3]}, "a tuple"),
        ({"ends": (1.0,)}, "a tuple of 2 values, each a number above 0"),
        ({"part": None}, "a Part, got None; leave it out"),
    ],
)
def test_what_is_out_of_range_or_of_another_type_is_refused_with_what_is_in_it(wrong, said):
    with pytest.raises(ConfigError) as refused:
        replace(Config(), **wrong)
    assert said in str(refused.value)
