"""One seed for a run; every part of the model draws from its own named stream."""

from __future__ import annotations

import hashlib
import json
import operator
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import ConfigError, InputError

_WORD = (1 << 64) - 1


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


def generator_state(rng: np.random.Generator) -> NDArray[np.uint64]:
    """Return where a PCG64 generator stands, as an array that can be saved with the others.

    Returns
    -------
    (6,) uint64
        Low and high word of the state and of the increment, and the half of a word that is left
        over: whether there is one, and which.

    Raises
    ------
    InputError
        For another kind of generator.
    """
    _require_pcg64(rng)
    now = rng.bit_generator.state
    words = [now["state"][name] >> shift & _WORD for name in ("state", "inc") for shift in (0, 64)]
    return np.array([*words, now["has_uint32"], now["uinteger"]], dtype=np.uint64)


def restore_generator(rng: np.random.Generator, state: NDArray[np.uint64]) -> None:
    """Let a PCG64 generator, and all who share it, go on from what `generator_state` returned.

    Raises
    ------
    InputError
        For another kind of generator, or an array that is no such state.
    """
    _require_pcg64(rng)
    given = np.asarray(state)
    if given.shape != (6,) or given.dtype != np.uint64:
        raise InputError.expected(
            "restore_generator", "state", "six numbers of 64 bits", (given.shape, given.dtype),
            "pass what generator_state returned",
        )  # fmt: skip
    words = given.tolist()
    rng.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": words[0] | words[1] << 64, "inc": words[2] | words[3] << 64},
        "has_uint32": words[4],
        "uinteger": words[5],
    }


def _require_pcg64(rng: np.random.Generator) -> None:
    if not isinstance(rng.bit_generator, np.random.PCG64):
        raise InputError.expected(
            "generator_state", "rng", "a generator of kind PCG64",
            type(rng.bit_generator).__name__, "draw it from Streams, or numpy.random.default_rng",
        )  # fmt: skip


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
