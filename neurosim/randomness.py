"""One seed for a run; every part of the model draws from its own named stream."""

from __future__ import annotations

import hashlib
import json
import operator
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np

from neurosim.errors import ConfigError


@dataclass(frozen=True)
class Streams:
    """Named, independent random streams grown from one seed.

    A stream depends on the seed, its name and its keys only: not on the order of requests, on
    other streams, nor on the number of processes.

    Parameters
    ----------
    seed : int
        Any integer from 0 on, of any integer type.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        """Check the seed and keep it as a plain int."""
        object.__setattr__(self, "seed", _natural_number("seed", self.seed))

    def generator(self, name: str, *keys: SupportsIndex) -> np.random.Generator:
        """Return a fresh Generator at the start of the stream `name`, `keys`.

        Parameters
        ----------
        name : str
            What the numbers are for, such as ``"dentate_gyrus"``.
        *keys : int
            Further distinctions, such as a night or a layer; 0 or greater.
        """
        return np.random.Generator(np.random.PCG64(self._sequence(name, keys)))

    def seed_for(self, name: str, *keys: SupportsIndex) -> int:
        """Return a 63-bit seed for a foreign generator, such as torch's.

        Parameters
        ----------
        name, *keys
            As for `generator`.
        """
        return int(self._sequence(name, keys).generate_state(1, np.uint64)[0] >> np.uint64(1))

    def _sequence(self, name: str, keys: tuple[SupportsIndex, ...]) -> np.random.SeedSequence:
        if not isinstance(name, str) or not name:
            raise ConfigError.expected(
                self, "name", "the name of a stream", name, "say what the numbers are for"
            )
        address = [name, *(_natural_number("keys", key) for key in keys)]
        # Of fixed length, because SeedSequence cannot tell the keys (2**32,) and (0, 1) apart.
        digest = hashlib.sha256(json.dumps(address).encode()).digest()
        words = np.frombuffer(digest, dtype="<u4").tolist()
        return np.random.SeedSequence(self.seed, spawn_key=words)


def _natural_number(attribute: str, value: SupportsIndex) -> int:
    try:
        number = -1 if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = -1
    if number < 0:
        raise ConfigError.expected(
            Streams, attribute, "an integer of 0 or greater", value, "pass such an integer"
        )
    return number
