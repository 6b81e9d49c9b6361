"""Arms of an experiment compared at the same seeds: their jobs, and what they measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError, nearest_name
from neurosim.hdf5 import Arrays
from neurosim.jobs import pack_arrays, run_jobs, unpack_arrays
from neurosim.recorder import Recorder


class Armed(Protocol):
    """A frozen configuration that says which arms run at which seeds."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Each arm runs once a seed."""

    @property
    def workers(self) -> int:
        """Processes at a time; 0 for one a processor."""


C = TypeVar("C", bound=Armed)
Measured = dict[str, dict[str, NDArray[np.float64]]]
"""By arm and by name, ``(n_seeds, ...)``."""


def check_names(config: object, field: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a name that is not known, and suggest the nearest; and one that comes twice.

    Raises
    ------
    ConfigError
        At the first such name.
    """
    for k, name in enumerate(names):
        if name not in known:
            near = nearest_name(name, known)
            mend = f"did you mean {near}?" if near else "choose among them"
            raise ConfigError.expected(config, field, f"some of {', '.join(known)}", name, mend)
        if name in names[:k]:
            raise ConfigError.expected(config, field, "each name once", names, "name it once")


def key(arm: str) -> str:
    """Return the name of an arm as a part of a key of ``--json``."""
    return arm.replace(" ", "_").replace("-", "_").lower()


def compare(
    run_arm: Callable[[C, str, int], Arrays],
    config: C,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Measured:
    """Run every arm at every seed, in processes of one thread each.

    Parameters
    ----------
    run_arm : callable
        Of a module's top level. It is given the configuration without its arms, seeds and workers,
        since what an arm does depends on none of the others; returns named arrays.
    config : Armed
    tick : callable
        Called after each arm.
    shelf : Path, optional
        Folder in which the arms that are finished outlive an interruption.

    Raises
    ------
    ConfigError
        Without an arm or a seed.
    """
    for name in ("arms", "seeds"):
        if not getattr(config, name):
            raise ConfigError.expected(config, name, "one or more", (), "name some")
    alone = replace(config, arms=(), seeds=(), workers=0)
    jobs = [(alone, arm, seed) for seed in config.seeds for arm in config.arms]
    results = run_jobs(run_arm, jobs, config.workers, tick, shelf, pack_arrays, unpack_arrays)
    measured: Measured = {}
    for arm in config.arms:
        rows = [row for (_, each, _), row in zip(jobs, results, strict=True) if each == arm]
        measured[arm] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return measured


def record(measured: Measured, recorder: Recorder, dims: Mapping[str, tuple[str, ...]]) -> None:
    """Store what each arm measured, from which the figure can be drawn again.

    Parameters
    ----------
    measured : Measured
    recorder : Recorder
    dims : mapping of str to tuple of str
        Dimensions of each measurement besides the seed, by name.
    """
    for arm, values in measured.items():
        for name, array in values.items():
            place = f"{arm.replace(' ', '_')}/{name}"
            recorder.store(place, array, "", ("seed", *dims.get(name, ())))
