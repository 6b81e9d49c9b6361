"""One recording a run: signals over time, whole arrays, and how they came about."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from neurosim.errors import (
    ConfigError,
    CorruptFileError,
    NumericalError,
    StorageError,
    nearest_name,
)
from neurosim.hdf5 import read_hdf5, write_hdf5
from neurosim.provenance import commit, versions
from neurosim.storage import check_places, json_text, make_directory

_FORMAT = "neurosim recording 1"


@dataclass(frozen=True)
class Signal:
    """A recorded quantity.

    Parameters
    ----------
    values : (n_samples, ...) ndarray
        Time first; for a whole array, its own shape.
    unit : str
        SI unit, such as ``"Hz"``; empty if there is none.
    dims : tuple of str
        What each axis of `values` counts.
    time : (n_samples,) float64 [s], optional
        When each sample was taken; None for a whole array.
    """

    values: np.ndarray
    unit: str
    dims: tuple[str, ...]
    time: np.ndarray | None = None


@dataclass(frozen=True)
class Recording:
    """What a Recorder wrote, read back.

    Parameters
    ----------
    signals : mapping of str to Signal
        Signals and whole arrays by name.
    config : Any
        The configuration of the run, as plain JSON values.
    seed : int
        The seed of the run.
    provenance : mapping of str to str
        Versions of the software, ``commit`` if known, and ``date``.
    """

    signals: Mapping[str, Signal]
    config: Any
    seed: int
    provenance: Mapping[str, str]

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Recording:
        """Read a recording.

        Raises
        ------
        CorruptFileError
            If the file is damaged, or no recording.
        """
        arrays, attributes = read_hdf5(path)
        if attributes.get("format") != _FORMAT:
            raise CorruptFileError(
                f"{path}: expected a recording, got another kind of file; check the path"
            )
        signals = {}
        for key, values in arrays.items():
            kind, _, name = key.partition("/")
            if kind != "time":
                unit, dims = attributes[key]["unit"], tuple(attributes[key]["dims"])
                signals[name] = Signal(values, unit, dims, arrays.get(f"time/{name}"))
        provenance = json.loads(attributes["provenance"])
        return cls(signals, json.loads(attributes["config"]), int(attributes["seed"]), provenance)

    def __getitem__(self, name: str) -> Signal:
        """Return the signal or array `name`."""
        if name not in self.signals:
            raise _unknown(type(self), name, self.signals)
        return self.signals[name]


@dataclass
class _Watched:
    unit: str
    dims: tuple[str, ...]
    allow_nan: bool
    times: list[float] = field(default_factory=list)
    samples: list[np.ndarray] = field(default_factory=list)


class Recorder:
    """Collect the signals of a run and write them to one HDF5 file.

    Use it in a ``with``: the file is written on leaving, after an error or Ctrl-C too. Only a run
    that fails before it has recorded anything leaves the recording of an earlier one in place.

    Parameters
    ----------
    path : path-like, optional
        The HDF5 file, replaced at each flush, which makes its folder too; None records in memory
        only.
    config : dataclass or mapping, optional
        The configuration of the run.
    seed : int
        The seed of the run.

    Examples
    --------
    >>> with Recorder(None, seed=1) as recorder:
    ...     recorder.watch("ca3/rate", "Hz")
    ...     recorder.sample(0.0, {"ca3/rate": 2.5})
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, config: object = None, seed: int = 0
    ) -> None:
        self.path = None if path is None else Path(path)
        self.seed = int(seed)
        self._config = json_text({} if config is None else config)
        self._watched: dict[str, _Watched] = {}
        self._stored: dict[str, Signal] = {}
        self._date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        # Asked before the run, not after it: an unwritable place must not cost hours.
        if self.path is not None:
            check_places(self.path.parent, self.path.name)

    def watch(
        self, name: str, unit: str, dims: Sequence[str] = ("time",), *, allow_nan: bool = False
    ) -> None:
        """Announce a signal.

        Parameters
        ----------
        name : str
            Region and signal, such as ``"ca3/rate"``.
        unit : str
            SI unit; empty if there is none.
        dims : sequence of str
            What each axis counts, ``"time"`` first.
        allow_nan : bool
            Whether samples may be NaN or infinite.

        Raises
        ------
        ConfigError
            For dimensions that do not begin with time, or a name that is taken.
        """
        if isinstance(dims, str) or tuple(dims)[:1] != ("time",):
            raise ConfigError.expected(self, "dims", "names with 'time' first", dims, "reorder it")
        self._check_new(name)
        self._watched[name] = _Watched(unit, tuple(dims), allow_nan)

    def sample(
        self, t: float, values: Mapping[str, ArrayLike] | None = None, /, **named: ArrayLike
    ) -> None:
        """Record the present values of any of the watched signals.

        Parameters
        ----------
        t : float [s]
            Simulated time.
        values : mapping of str to array-like, optional
            Values by name; a signal whose name is an identifier may be given as a keyword.
        **named : array-like
            The same, as keywords.

        Raises
        ------
        NumericalError
            If a value is not finite and its signal was not announced with ``allow_nan``.
        """
        for name, value in {**(values or {}), **named}.items():
            if name not in self._watched:
                raise _unknown(type(self), name, self._watched)
            self._append(name, float(t), _numbers(name, value))

    def store(
        self, name: str, array: ArrayLike, unit: str = "", dims: Sequence[str] | None = None
    ) -> None:
        """Record a whole array; a second call under the same name replaces it.

        Parameters
        ----------
        name : str
            Region and quantity, such as ``"ca3/patterns"``.
        array : array-like
            Numbers or booleans; a copy is kept.
        unit : str
            SI unit; empty if there is none.
        dims : sequence of str, optional
            What each axis counts.

        Raises
        ------
        ConfigError
            For another number of names than axes, or a name that is taken.
        """
        values = _numbers(name, array)
        names = tuple(f"axis_{k}" for k in range(values.ndim)) if dims is None else tuple(dims)
        if len(names) != values.ndim:
            raise ConfigError.expected(
                self, "dims", f"{values.ndim} names for '{name}'", names, "name each axis"
            )
        if name not in self._stored:
            self._check_new(name)
        self._stored[name] = Signal(values, unit, names)

    def recording(self) -> Recording:
        """Return what was recorded so far."""
        signals = {name: _stacked(watched) for name, watched in self._watched.items()}
        return Recording(
            {**signals, **self._stored}, json.loads(self._config), self.seed, self._provenance()
        )

    def flush(self) -> None:
        """Write everything recorded so far; the file is complete and readable at any moment."""
        if self.path is None:
            return
        arrays: dict[str, np.ndarray] = {}
        attributes: dict[str, Any] = {
            "format": _FORMAT,
            "config": self._config,
            "seed": str(self.seed),  # As text, since HDF5 has no integers above 64 bits.
            "provenance": json_text(self._provenance()),
        }
        for name, signal in self.recording().signals.items():
            key = f"signal/{name}" if signal.time is not None else f"array/{name}"
            arrays[key] = signal.values
            attributes[key] = {"unit": signal.unit, "dims": list(signal.dims)}
            if signal.time is not None:
                arrays[f"time/{name}"] = signal.time
                attributes[f"time/{name}"] = {"unit": "s", "dims": ["time"]}
        make_directory(self.path.parent)  # Not before: a run that is refused leaves none.
        write_hdf5(self.path, arrays, attributes)

    def __enter__(self) -> Self:
        """Start recording."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write the file, also after an error if anything was recorded."""
        samples = any(watched.samples for watched in self._watched.values())
        if error is not None and not samples and not self._stored:
            return
        try:
            self.flush()
        except StorageError as failure:
            if error is None:
                raise
            error.add_note(f"The recording could not be written either: {failure}")

    def _append(self, name: str, t: float, value: np.ndarray) -> None:
        watched = self._watched[name]
        if not (watched.allow_nan or np.isfinite(value).all()):
            region, _, signal = name.rpartition("/")
            raise NumericalError.at(region, signal, t)
        shape = watched.samples[0].shape if watched.samples else value.shape
        if value.shape != shape or value.ndim != len(watched.dims) - 1:
            wanted = f"shape {shape}" if watched.samples else f"axes {watched.dims[1:]}"
            raise ConfigError.expected(
                self, "sample", f"{wanted} in '{name}'", value.shape, "check dims or the value"
            )
        watched.times.append(t)
        watched.samples.append(value)

    def _check_new(self, name: str) -> None:
        if not all(part.strip(".") for part in name.split("/")):
            raise ConfigError.expected(self, "name", "such as 'ca3/rate'", name, "choose another")
        for other in (*self._watched, *self._stored):
            # In HDF5 a name is a file or a folder, so "ca3" and "ca3/rate" exclude each other.
            if f"{other}/".startswith(f"{name}/") or f"{name}/".startswith(f"{other}/"):
                raise ConfigError.expected(
                    self, "name", f"a name apart from '{other}'", name, "choose another"
                )

    def _provenance(self) -> dict[str, str]:
        revision = commit()
        known = {**versions(), "date": self._date}
        return known if revision is None else {**known, "commit": revision}


def _stacked(watched: _Watched) -> Signal:
    if watched.samples:
        values = np.stack(watched.samples)
    else:
        values = np.empty((0,) * len(watched.dims))
    return Signal(values, watched.unit, watched.dims, np.array(watched.times, dtype=np.float64))


def _numbers(name: str, value: ArrayLike) -> np.ndarray:
    try:
        array = np.array(value)
    except ValueError:  # Rows of different lengths.
        array = np.array(None)
    if array.dtype.kind not in "biufc":
        raise ConfigError.expected(
            Recorder, "values", f"an array of numbers for '{name}'", value, "convert it first"
        )
    return array


def _unknown(owner: type, name: str, known: Mapping[str, object]) -> ConfigError:
    near = nearest_name(name, known)
    mend = f"did you mean '{near}'?" if near else "watch or store it first"
    return ConfigError.expected(owner, "name", "a recorded signal", name, mend)
