"""No method of continual learning takes a parameter that cannot be meant, and all it takes work.

The fields are found in the methods themselves, in those of their parts, too: whoever adds one adds
no line here.
"""

import dataclasses
import math
import re
from dataclasses import replace
from typing import ClassVar, get_origin, get_type_hints

import numpy as np
import pytest

from experiments.continual.sleeping import NIGHT
from neurosim.continual_learner import Method, Shape
from neurosim.discovery import members
from neurosim.errors import ConfigError
from neurosim.streams import Batch

SHAPE = Shape(16, 4, (4, 4))
QUICK = {
    "hidden": (7,), "per_class": 3, "n_features": 20, "epochs": 2, "budget": 4000, "steps": 20,
    "more": 10, "samples": 30, "development": 2, "n_fields": 4, "patches": 200, "n_units": 50,
    "night": replace(NIGHT, steps=5),
}  # fmt: skip
METHODS = members("experiments.continual", Method)

# By type: what no field of it can be meant to be. A Boolean is no number, and nothing in a method
# is negative.
NO_NUMBER = (math.nan, -math.inf, -1, "3", None, True, 1j)
NOT_MEANT = {
    bool: (2, "no", None, math.nan),
    int: (*NO_NUMBER, math.inf, 1.5, 2.0),
    float: NO_NUMBER,
    str: ("", "nothing of that name", None, 3),
    tuple: (None, 5, (-1,), (math.nan,), ("a",), [7]),
}


def fields_of(config, path=()):
    """Yield the path to every field, and its type; of a name or a tuple, `str` or `tuple`."""
    for name, hint in get_type_hints(type(config)).items():
        if name in config.__dataclass_fields__ and get_origin(hint) is not ClassVar:
            value = getattr(config, name)
            yield (*path, name), type(value) if get_origin(hint) else hint
            if dataclasses.is_dataclass(value):
                yield from fields_of(value, (*path, name))


def changed(config, path, value):
    """Return a copy with the field at a path changed."""
    name, *rest = path
    value = changed(getattr(config, name), rest, value) if rest else value
    return replace(config, **{name: value})


def quick(name):
    """Build a method of tiny size."""
    kind = METHODS[name]
    own = {field.name for field in dataclasses.fields(kind)}
    return kind(**{k: v for k, v in QUICK.items() if k in own})


FIELDS = [(name, path, kind) for name in METHODS for path, kind in fields_of(METHODS[name]())]
every_field = pytest.mark.parametrize(
    ("name", "path", "kind"), FIELDS, ids=[f"{name}.{'.'.join(path)}" for name, path, _ in FIELDS]
)  # fmt: skip


def test_there_are_methods_with_fields():
    assert len(METHODS) >= 20
    assert len(FIELDS) >= 100
    assert ("sleeping", ("night", "cycles"), int) in FIELDS


@every_field
def test_what_cannot_be_meant_is_refused_in_one_sentence_that_says_what_can(name, path, kind):
    method = METHODS[name]()
    for value in NOT_MEANT.get(kind, (None, 3, "x")):
        with pytest.raises(ConfigError) as refused:
            changed(method, path, value)
        said = str(refused.value)
        assert re.fullmatch(rf"\w+\.{path[-1]}: expected \S.*, got .*; \w.*", said), said
        assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        (name, path, value)
        for name, path, kind in FIELDS
        for value in {int: (0, 1, 3), float: (0, 0.5, 1, 3), tuple: ((),)}.get(kind, ())
    ],
    ids=str,
)
def test_what_is_taken_works(name, path, value):
    """At the ends of a range a learner either says why not, or learns and answers."""
    try:
        learner = changed(quick(name), path, value).begin(SHAPE, np.random.default_rng(0))
    except ConfigError:
        return
    rng = np.random.default_rng(1)
    with np.errstate(invalid="raise", divide="raise"):
        for task in range(2):
            for _ in range(3):
                x = rng.random((12, 16)).astype(np.float32)
                learner.observe(Batch(x, rng.integers(4, size=12), task))
            learner.end_of_task(task)
    scores = learner.predict(rng.random((5, 16)).astype(np.float32))
    assert scores.shape == (5, 4)
    assert not np.isnan(scores).any()
    assert all(np.isfinite(array).all() for array in learner.state.values())


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        (
            "er",
            {"per_class": 0},
            "a whole number of 1 or more, got 0; leave it out for 50",
        ),
        ("sleep_replay", {"thresholds": (1.0, 2.0)}, "a tuple of 3 values, each a number above 0"),
        ("streaming_lda", {"epsilon": 2.0}, "epsilon: expected a number above 0, up to 1, got 2.0"),
        ("fly_model", {"sparsity": 1.0}, "sparsity: expected a number above 0 and below 1"),
        ("none", {"optimiser": "momentum"}, "optimiser: expected sgd or adam, got 'momentum'"),
        ("fast_memory", {"bits": 5}, "bits: expected 4 or 8, got 5"),
        ("fast_memory", {"n_fields": 3, "winners": 3}, "winners: expected fewer than the 3 fields"),
        ("fast_memory", {"budget": 10}, r"\d bytes or more, a cell a class, got 10; raise it"),
        ("sleeping", {"budget": 10}, r"\d bytes or more, a cell a class, got 10; raise it"),
        ("generative_replay", {"hidden": ()}, r"hidden: expected 1 or more, got \(\)"),
        ("sleeping", {"hidden": ()}, r"hidden: expected 1 or more, got \(\)"),
    ],
)
def test_a_refusal_says_what_would_have_been_right(name, settings, said):
    with pytest.raises(ConfigError, match=said):
        replace(quick(name), **settings).begin(SHAPE, np.random.default_rng(0))
