"""run an experiment by name: fields of its Config as FIELD=VALUE"""

import dataclasses
import inspect
import math
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "name", metavar="EXPERIMENT", help="such as ten_days; neurosim list experiments names all"
    )
    parser.add_argument(
        "settings",
        nargs="*",
        default=(),
        metavar="FIELD=VALUE",
        help="such as days=3 night.cycles=4",
    )
    parser.add_argument(
        "--out", type=Path, default=None, metavar="DIR", help="default: out/EXPERIMENT"
    )
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="the same as seed=N")
    parser.add_argument(
        "--slow",
        action="store_true",
        help="start from the experiment's long version, if it has one",
    )


def run(arguments: Namespace) -> dict[str, Any]:
    """Run the experiment, record it and draw its figure."""
    from matplotlib.figure import Figure

    from neurosim import discovery, plotting
    from neurosim.errors import ConfigError
    from neurosim.ledger import counting
    from neurosim.randomness import Streams
    from neurosim.recorder import Recorder
    from neurosim.resources import ResourceMeter
    from neurosim.storage import check_places, make_directory

    module = discovery.find("experiments", arguments.name)
    if not hasattr(module, "expected"):
        raise ConfigError(f"{arguments.name} is no experiment; try one_night or ten_days")
    start = module.Config()
    if arguments.slow:
        if not hasattr(module, "SLOW"):
            raise ConfigError(f"{arguments.name} has no long version; leave --slow out")
        start = module.SLOW
    config = configured(start, arguments.settings, arguments.seed)
    out = arguments.out or Path("out") / arguments.name
    check_places(out, f"{arguments.name}.png")
    seed = getattr(config, "seed", 0)
    rng = Streams(seed).generator(arguments.name)
    keeps = {"shelf": out} if "shelf" in inspect.signature(module.run).parameters else {}
    with (
        counting() as ledger,
        ResourceMeter() as meter,
        Recorder(out / "run.h5", config, seed) as recorder,
    ):
        result = module.run(config, rng, recorder, **keeps)
    make_directory(out)
    with plotting.style():
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        module.plot(result, figure.add_subplot())
        plotting.save(figure, out / f"{arguments.name}.png")
    values = result.metrics() if hasattr(result, "metrics") else module.summary(result)
    for key, value in values.items():
        if isinstance(value, float | int):
            print(f"{key:24} {value:.4g}")
    for key, (number, source) in module.expected.items():
        print(f"expected {key} {number}: {source}")
    print(f"recorded in {out / 'run.h5'}, drawn in {out / (arguments.name + '.png')}")
    print(f"cost: {ledger}")
    return {**values, **ledger.as_dict(), **meter.as_dict()}


def configured(config: Any, settings: Sequence[str], seed: int | None) -> Any:
    """Return a copy of a configuration with each FIELD=VALUE, and the seed, set."""
    settings = list(settings)
    if seed is not None:
        field = "seed" if hasattr(config, "seed") else "seeds"
        settings.append(f"{field}={seed}")
    for setting in settings:
        config = changed(config, *split(setting))
    _check_seeds(config)
    return config


def _check_seeds(config: Any) -> None:
    """Refuse seeds that are no independent runs: an interval over them would be too narrow."""
    from neurosim.errors import ConfigError

    seeds = getattr(config, "seeds", ())
    if len(set(seeds)) < len(seeds) or any(seed < 0 for seed in seeds):
        raise ConfigError.expected(
            config, "seeds", "different integers from 0 on", seeds, "try 0,1,2"
        )


def changed(config: Any, path: str, text: str) -> Any:
    """Return a copy of a dataclass with the field at a dotted path set from text.

    Raises
    ------
    ConfigError
        For an unknown field (the nearest is suggested) or a value of another type.
    """
    from neurosim.errors import ConfigError, nearest_name

    name, _, rest = path.partition(".")
    known = [field.name for field in dataclasses.fields(config)]
    if name not in known:
        near = nearest_name(name, known)
        hint = f"did you mean {near}?" if near else f"fields are {', '.join(known)}"
        raise ConfigError(f"{type(config).__name__}.{name}: expected a known field; {hint}")
    old = getattr(config, name)
    if rest and not dataclasses.is_dataclass(old):
        raise ConfigError(
            f"{type(config).__name__}.{name}: expected a value, got the field {rest} of it; "
            f"write {name}=VALUE"
        )
    value = (
        changed(old, rest, text) if rest else _value(f"{type(config).__name__}.{name}", old, text)
    )
    return dataclasses.replace(config, **{name: value})


def split(setting: str) -> tuple[str, str]:
    """Return the two sides of FIELD=VALUE.

    Raises
    ------
    ConfigError
        When there is no ``=``.
    """
    from neurosim.errors import ConfigError

    path, equals, text = setting.partition("=")
    if not equals:
        raise ConfigError(f"{setting}: expected FIELD=VALUE, got no =; write for example days=3")
    return path, text


def _value(place: str, old: Any, text: str) -> object:
    from neurosim.errors import ConfigError

    if dataclasses.is_dataclass(old):
        first = dataclasses.fields(old)[0].name
        raise ConfigError(
            f"{place}: expected one field at a time, got {text!r}; "
            f"write for example {place.partition('.')[2]}.{first}={getattr(old, first)}"
        )
    kind: type = type(old)
    if isinstance(old, tuple):
        kind = type(old[0]) if old else str
        if not text.strip():
            return _no_values(place, old)
    try:
        if isinstance(old, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(old, tuple):
            value = tuple(kind(part) for part in text.split(","))
        else:
            value = kind(text)
    except (KeyError, ValueError, TypeError):
        raise ConfigError(
            f"{place}: expected {_wanted(old, kind)}, got {text!r}; its default is {old!r}"
        ) from None
    numbers = value if isinstance(value, tuple) else (value,)
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        raise ConfigError(f"{place}: expected a finite number, got {text}; its default is {old!r}")
    return value


def _wanted(old: object, kind: type) -> str:
    names = {"int": "an integer", "float": "a number", "bool": "true or false"}
    if isinstance(old, tuple):
        return f"{kind.__name__}s apart by commas"
    return names.get(kind.__name__, kind.__name__)


def _no_values(place: str, old: tuple[object, ...]) -> tuple[object, ...]:
    """Take nothing for no values where that is the default; refuse it elsewhere."""
    from neurosim.errors import ConfigError

    if old:
        shown = ",".join(str(each) for each in old[:3])
        raise ConfigError(
            f"{place}: expected one or more values apart by commas, got none; write for example "
            f"{place.partition('.')[2]}={shown}, or leave it out"
        )
    return ()
