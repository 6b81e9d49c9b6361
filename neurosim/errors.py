"""The errors of neurosim: each is one sentence that says what is wrong and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Self

import numpy as np

_LONGEST_VALUE = 80


class NeurosimError(Exception):
    """Base of every error neurosim raises on purpose.

    Attributes
    ----------
    exit_code : int
        What the command line returns: 2 for what the user can mend, 1 for a run gone wrong.
    """

    exit_code = 2

    @classmethod
    def expected(cls, owner: object, attribute: str, expected: str, got: object, mend: str) -> Self:
        """Build the error ``Owner.attribute: expected X, got Y; mend``.

        Parameters
        ----------
        owner : object
            Class, instance or name the attribute belongs to.
        attribute : str
            Name of the offending parameter.
        expected : str
            What would have been right, in words.
        got : object
            The value that came instead.
        mend : str
            What to do about it, as an imperative.
        """
        return cls(
            f"{_owner_name(owner)}.{attribute}: expected {expected}, got {_shown(got)}; {mend}"
        )


class ConfigError(NeurosimError):
    """A parameter, name or shape that neurosim cannot work with."""


class InputError(NeurosimError):
    """A file or text of the user that cannot be used."""


class BrainError(NeurosimError):
    """A brain directory that is missing, half-written, damaged or too new."""


class BrainBusyError(BrainError):
    """A brain directory that another process is using."""


class CapacityError(NeurosimError):
    """A store without room for what should be written, or a run too big for the machine."""


class StorageError(NeurosimError):
    """A disk that is full, read-only or failing."""


class CorruptFileError(StorageError):
    """A file that is truncated, altered or not ours."""


class NumericalError(NeurosimError):
    """Activity or weights that are no longer finite."""

    exit_code = 1

    @classmethod
    def at(cls, region: str, signal: str, time: float, mend: str = "lower the rate or dt") -> Self:
        """Build the error that names region, signal and time.

        Parameters
        ----------
        region, signal : str
            Where the value arose; an empty region is left out.
        time : float [s]
            Simulated time of the first offending sample.
        mend : str
            What to do about it.
        """
        place = f"{region}.{signal}" if region else signal
        return cls(f"{place}: expected finite values, got NaN or inf at t = {time:g} s; {mend}")


def check_counts(config: object, *names: str, least: float = 1) -> None:
    """Refuse a configuration whose counts are too small to do anything.

    Parameters
    ----------
    config : object
    *names : str
        Attributes: a number, or a sequence of one number or more.
    least : float
        The smallest that is accepted of each number.

    Raises
    ------
    ConfigError
        At the first that is smaller, no number, or a sequence without any.
    """
    for name in names:
        value = getattr(config, name)
        numbers = value if isinstance(value, tuple | list) else (value,)
        if not numbers or not all(number >= least for number in numbers):
            raise ConfigError.expected(config, name, f"{least:g} or more", value, "raise it")


def check_real(owner: object, name: str, values: np.ndarray) -> None:
    """Refuse complex numbers, of which NumPy would drop the imaginary part.

    Parameters
    ----------
    owner : object
        As for `NeurosimError.expected`, and `name` with it.
    name : str
    values : array
        As it came, before any conversion.

    Raises
    ------
    InputError
    """
    if np.iscomplexobj(values):
        raise InputError.expected(
            owner, name, "real numbers", f"{values.dtype} of shape {values.shape}",
            "take their real part or their magnitude, whichever is meant",
        )  # fmt: skip


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name most like `name`, or None if nothing is near.

    Parameters
    ----------
    name : str
        What the user wrote.
    known : iterable of str
        The names that exist.
    """
    by_lower_case = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.6)
    return by_lower_case[matches[0]] if matches else None


def _owner_name(owner: object) -> str:
    if isinstance(owner, str):
        return owner
    return owner.__name__ if isinstance(owner, type) else type(owner).__name__


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
