"""Connectivity: which cell reaches which, without weights; stored, or generated when it is asked.

Cell i has `fan_out` synapses, its slots. Slot k leads into the k-th of `fan_out` strata that
divide the target population, so targets are ascending, no cell is reached twice, and whether i
reaches j is one look at one slot.
"""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from neurosim import kernels
from neurosim.errors import ConfigError
from neurosim.randomness import Streams
from neurosim.strata import Indices, blocks_of, deal, edges_of, nearness, strata_of

_WORD = (1 << 64) - 1
_BLOCK = 1 << 20


class Connectivity:
    """Who reaches whom: `fan_out` targets a presynaptic cell, one in each stratum.

    Attributes
    ----------
    n_pre, n_post, fan_out : int
    wires : kernels.Wires
        The wiring as the kernels see it.
    """

    n_pre: int
    n_post: int
    fan_out: int
    wires: kernels.Wires
    _quota: Indices
    _prefix: Indices

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse to change: what was built on a wiring relies on it."""
        raise ConfigError.expected(
            self, name, "no change of a finished wiring", value, "build another one"
        )

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return self.n_pre * self.fan_out

    @property
    def fan_in(self) -> float:
        """Mean number of synapses onto a postsynaptic cell."""
        return self.n_synapses / self.n_post

    @property
    def n_bytes(self) -> int:
        """Memory of the wiring itself [bytes]."""
        return sum(part.nbytes for part in self.wires if isinstance(part, np.ndarray))

    def targets(self, pre: SupportsIndex) -> Indices:
        """Return the cells that `pre` reaches, ``(fan_out,)``, ascending; slots are positions."""
        cell = self._cell("pre", pre, self.n_pre)
        out = np.empty(self.fan_out, dtype=np.uint32)
        kernels.targets(self.wires, cell, out)
        return out.astype(np.int64)

    def sources(self, post: SupportsIndex) -> tuple[Indices, Indices]:
        """Return the cells that reach `post`, ascending, and the slot each of them does it by."""
        cell = self._cell("post", post, self.n_post)
        slots = self.slots(np.array([cell]))[:, 0]
        rows = np.arange(len(slots))
        size = 1 << self.wires.bits
        undo = [
            np.array([pow(int(a), -1, size) for a in table[rows, slots]], dtype=np.uint32)
            for table in (self.wires.mul, self.wires.mix)
        ]
        widths = np.maximum(self.wires.width[rows, slots].astype(np.int64), 1)
        most = int((size // widths + 2).sum()) if not self.wires.stored.size else self.n_pre
        pre, slot = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64)
        last = np.uint32(pow(int(kernels.LAST), -1, size))
        n = kernels.sources(self.wires, cell, slots, undo[0], undo[1], last, pre, slot)
        order = np.argsort(pre[:n])
        return pre[:n][order], slot[:n][order]

    def slot(self, pre: SupportsIndex, post: SupportsIndex) -> int:
        """Return the slot by which `pre` reaches `post`, or -1."""
        i = self._cell("pre", pre, self.n_pre)
        j = self._cell("post", post, self.n_post)
        zone = int(np.searchsorted(self.wires.zones, i, side="right")) - 1
        k = int(self.slots(np.array([j]))[zone, 0])
        if k < 0:
            return -1
        out = np.empty(1, dtype=np.uint32)
        kernels._reach(self.wires, zone, i, k, k + 1, out)
        return k if out[0] == j else -1

    def slots(self, post: Indices) -> Indices:
        """Return the only slot by which a cell of each zone can reach each of `post`.

        Returns
        -------
        (n_zones, len(post)) int64
            -1 where the zone does not reach that part of the population.
        """
        n_parts = self._quota.shape[1]
        edges = edges_of(self.n_post, n_parts)
        part = np.searchsorted(edges, post, side="right") - 1
        place, size = post - edges[part], np.diff(edges)[part]
        quota = self._quota[:, part]
        slot = self._prefix[:, part] + ((place + 1) * quota - 1) // size
        return np.ascontiguousarray(np.where(quota > 0, slot, -1))

    def keys(self, post: Indices, slots: Indices) -> NDArray[np.uint32]:
        """Return what decides whether a cell reaches each of `post`: ``(n_zones, 5, n)``.

        Rows are A, B, C and the width of the stratum, and the cell's place in it; a width of 0
        stands where there is no slot.
        """
        wires, rows = self.wires, np.arange(len(slots))[:, None]
        if wires.stored.size:
            return np.zeros((len(slots), 5, 0), dtype=np.uint32)
        parts = [table[rows, slots] for table in (wires.mul, wires.add, wires.mix, wires.width)]
        parts.append((post - wires.low[rows, slots].astype(np.int64)).astype(np.uint32))
        keys = np.stack(parts, axis=1)
        nowhere = slots < 0
        keys[:, 3][nowhere] = 0  # Every cell falls on place 0 of it,
        keys[:, 4][nowhere] = 1  # which is not this one.
        return keys

    def _build(self, n_pre: int, n_post: int, quota: Indices, **parts: Any) -> None:
        """Set the fields; `quota (n_zones, n_parts)` is a zone's number of slots into each part."""
        n_zones, n_parts = quota.shape
        fan_out = int(quota[0].sum())
        prefix = np.cumsum(quota, axis=1) - quota
        low, width = strata_of(n_post, quota)
        fields: dict[str, Any] = {
            "zones": edges_of(n_pre, n_zones),
            "low": low,
            "width": width,
            "blocks": blocks_of(quota, n_post, fan_out),
            "stored": np.empty((0, 0), dtype=np.int32),
            "bits": 1,
        }
        for name in ("mul", "add", "mix"):
            fields[name] = np.ones((n_zones, fan_out), dtype=np.uint32)
        fields.update(parts)
        for name, value in {
            "n_pre": n_pre,
            "n_post": n_post,
            "fan_out": fan_out,
            "wires": kernels.Wires(**fields),
            "_quota": quota,
            "_prefix": prefix,
        }.items():
            object.__setattr__(self, name, value)

    def _cell(self, side: str, cell: SupportsIndex, n: int) -> int:
        number = operator.index(cell)
        if not 0 <= number < n:
            raise ConfigError.expected(self, side, f"a cell in 0..{n - 1}", number, "check it")
        return number


class Generated(Connectivity):
    """A random graph of which no index is stored: targets are a hash of seed, cell and slot.

    In each stratum a keyed bijection spreads the presynaptic cells over the target cells
    (`neurosim.kernels`), so both orders are computed directly. Sets of targets of two cells
    overlap as in a random graph. The fan-in is that of drawing without replacement, a little
    narrower than binomial: its variance is ``(1 - n_pre / M)`` of it, M the power of two above
    n_pre (and 64 times the width of a stratum).

    Parameters
    ----------
    n_pre, n_post : int
        From 1 to 2^31; they need not be divisible by anything.
    fan_out : int
        Targets of a cell, 1..n_post.
    seed : int
        Any integer from 0 on, of any integer type; the same on every machine.

    Raises
    ------
    ConfigError
        When a number does not fit the others.

    References
    ----------
    Knight & Nowotny (2018) Front. Neurosci. 12:941 and Izhikevich (2005), personal communication
    therein, generate connectivity anew at each spike; strata and bijections are ours.
    """

    def __init__(self, n_pre: int, n_post: int, fan_out: int, seed: SupportsIndex = 0) -> None:
        n_pre, n_post, fan_out = _sizes(self, n_pre, n_post, fan_out)
        self._generate(n_pre, n_post, np.array([[fan_out]], dtype=np.int64), seed)

    @classmethod
    def with_fan_in(
        cls, n_pre: int, n_post: int, fan_in: int, seed: SupportsIndex = 0
    ) -> Generated:
        """Wire so that a target cell has `fan_in` sources on average (rounded to whole slots)."""
        return cls(n_pre, n_post, _fan_out_for(cls, n_pre, n_post, fan_in), seed)

    def _generate(self, n_pre: int, n_post: int, quota: Indices, seed: SupportsIndex) -> None:
        n_zones, fan_out = len(quota), int(quota[0].sum())
        largest = int(np.diff(edges_of(n_pre, n_zones)).max())
        widest = int(strata_of(n_post, quota)[1].max())
        bits = max((largest - 1).bit_length(), (widest - 1).bit_length() + 6, 8)
        if bits > 31:
            raise ConfigError.expected(
                self, "n_post", "strata of at most 2^25 cells", widest, "raise fan_out"
            )
        root = Streams(seed).seed_for("connectivity")  # type: ignore[arg-type]
        first = _words(root, 2 * np.arange(n_zones * fan_out, dtype=np.uint64))
        second = _words(root, 2 * np.arange(n_zones * fan_out, dtype=np.uint64) + np.uint64(1))
        odd, half, shape = np.uint64(1), np.uint64(32), (n_zones, fan_out)
        self._build(
            n_pre,
            n_post,
            quota,
            bits=bits,
            mul=((first >> half) | odd).astype(np.uint32).reshape(shape),
            add=(first & np.uint64(0xFFFFFFFF)).astype(np.uint32).reshape(shape),
            mix=((second >> half) | odd).astype(np.uint32).reshape(shape),
        )


class Full(Generated):
    """Every cell reaches every cell; slot k is cell k.

    Parameters
    ----------
    n_pre, n_post : int
    """

    def __init__(self, n_pre: int, n_post: int) -> None:
        super().__init__(n_pre, n_post, n_post, 0)


class Nearby(Generated):
    """A generated graph whose connections become rarer with distance.

    Both populations lie on the same ring, or with `sheet` on the same torus, cut into zones. A
    zone sends its cells' slots to the zones in proportion to ``exp(-d / reach)``, d the distance
    between the centres; within a zone the targets are random.

    Parameters
    ----------
    n_pre, n_post, fan_out, seed
        As for `Generated`.
    reach : float
        Length constant, as a fraction of the length of the ring (or of a side of the sheet).
    zones : int
        Number of zones (a square number with `sheet`).
    sheet : bool
        Zones lie on a torus of equal sides instead of a ring.

    Raises
    ------
    ConfigError
        For a number of zones that the populations or the sheet do not have, or a reach that is not
        positive.
    """

    def __init__(
        self,
        n_pre: int,
        n_post: int,
        fan_out: int,
        reach: float = 0.1,
        seed: SupportsIndex = 0,
        zones: int = 32,
        sheet: bool = False,
    ) -> None:
        n_pre, n_post, fan_out = _sizes(self, n_pre, n_post, fan_out)
        side = round(zones**0.5)
        if not 1 <= zones <= min(n_pre, n_post) or (sheet and side * side != zones):
            raise ConfigError.expected(
                self,
                "zones",
                f"1..{min(n_pre, n_post)}, a square number on a sheet",
                zones,
                "use fewer zones, such as 16",
            )
        if not reach > 0:
            raise ConfigError.expected(self, "reach", "a length above 0", reach, "try 0.1")
        sizes = np.diff(edges_of(n_post, zones))
        quota = np.array(
            [
                deal(fan_out, nearness(zone, zones, side if sheet else 0, reach), sizes)
                for zone in range(zones)
            ]
        )
        self._generate(n_pre, n_post, quota, seed)


class Stored(Connectivity):
    """A random graph whose targets are stored, drawn once from a generator.

    Parameters
    ----------
    n_pre, n_post, fan_out : int
        As for `Generated`.
    rng : numpy.random.Generator
        Draws one uniform target a stratum.
    balanced : bool
        Deal the targets of each stratum out like cards, so that all target cells of a stratum
        have the same fan-in up to one; otherwise fan-in is binomial.
    """

    def __init__(
        self,
        n_pre: int,
        n_post: int,
        fan_out: int,
        rng: np.random.Generator,
        balanced: bool = False,
    ) -> None:
        n_pre, n_post, fan_out = _sizes(self, n_pre, n_post, fan_out)
        kind = np.uint16 if n_post <= 1 << 16 else np.int32
        index: NDArray[Any] = np.empty((n_pre, fan_out), dtype=kind)
        quota = np.array([[fan_out]], dtype=np.int64)
        if balanced:
            low, width = (each[0] for each in strata_of(n_post, quota))
            for k in range(fan_out):
                index[:, k] = low[k] + (rng.permutation(n_pre) + rng.integers(width[k])) % width[k]
        else:
            for rows in np.array_split(index, max(1, index.size // _BLOCK)):
                kernels.wire(rng.random(rows.shape, dtype=np.float32), n_post, rows)
        self._build(n_pre, n_post, quota, stored=index)

    @classmethod
    def with_fan_in(cls, n_pre: int, n_post: int, fan_in: int, rng: np.random.Generator) -> Stored:
        """Wire so that every target cell has `fan_in` sources, as nearly as whole slots allow."""
        return cls(n_pre, n_post, _fan_out_for(cls, n_pre, n_post, fan_in), rng, balanced=True)

    @property
    def index(self) -> NDArray[Any]:
        """Targets ``(n_pre, fan_out)``, uint16 or int32, ascending in a row."""
        return self.wires.stored


def _sizes(owner: object, n_pre: int, n_post: int, fan_out: int) -> tuple[int, int, int]:
    numbers = []
    for name, value, most in (
        ("n_pre", n_pre, 1 << 31),
        ("n_post", n_post, 1 << 31),
        ("fan_out", fan_out, n_post),
    ):
        try:
            number = operator.index(value)
        except TypeError:
            number = 0
        if isinstance(value, bool | np.bool_) or not 1 <= number <= most:
            raise ConfigError.expected(
                owner, name, f"a whole number in 1..{most}", value, "make the numbers fit"
            )
        numbers.append(number)
    return numbers[0], numbers[1], numbers[2]


def _fan_out_for(owner: object, n_pre: int, n_post: int, fan_in: int) -> int:
    if not 1 <= fan_in <= n_pre:
        raise ConfigError.expected(
            owner, "fan_in", f"1..{n_pre} of the presynaptic cells", fan_in, "lower it"
        )
    return min(max(1, round(fan_in * n_post / n_pre)), n_post)


def _words(root: int, counter: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a 64-bit word for each counter (Steele, Lea & Flood 2014, splitmix64)."""
    golden = 0x9E3779B97F4A7C15
    x = np.uint64(root & _WORD) + (counter + np.uint64(1)) * np.uint64(golden)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
