"""What it costs to encode, store and recall one pattern, from a thousand cells to a rat's CA3."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from circuits import inhibition
from circuits.ca3 import CA3, CA3Config
from experiments.benchmarks import machine
from neurosim.codes import SparseCode
from neurosim.connectivity import Generated
from neurosim.errors import check_counts
from neurosim.jobs import run_apart
from neurosim.resources import available_memory, require_memory
from neurosim.transmission import push

CONNECTIVITY = 0.04
"""Share of the cells before it that drives one cell, in CA3 up to `MOST_SYNAPSES`."""

MOST_SYNAPSES = 12_000
GRANULES = 3
"""Granule cells over CA3 cells; the entorhinal layer has a tenth of them."""

WORK = 0.2  # Seconds of processor time that a measurement should last.


@dataclass(frozen=True)
class Config:
    """Which sizes are measured.

    Parameters
    ----------
    sizes : tuple of int
        Cells of CA3.
    sparsity : float
        Active in CA3; 2 % of the granule cells and 10 % of the entorhinal ones always.
    bits : int
        Of a count.
    threads : int
        For the kernels; processor time counts all of them.
    dense_up_to : int
        Largest size at which a dense matrix is measured beside, if it fits into memory.
    smallest_in_slope : int
        Below it the call from Python and what each cell costs beside its synapses weigh more.
    seed : int
    """

    sizes: tuple[int, ...] = (1_000, 3_300, 10_000, 33_000, 100_000, 330_000)
    sparsity: float = 0.02
    bits: int = 8
    threads: int = 1
    dense_up_to: int = 33_000
    smallest_in_slope: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_counts(self, "sizes", least=100)
        check_counts(self, "threads")


def run(config: Config, tick: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """Measure every size in a process of its own, so that its peak memory is its own.

    Returns
    -------
    dict
        ``<act>_<measure>_<size>`` with act encode, store or recall and measure seconds (wall),
        cpu_seconds, events, events_per_second (of processor time), bandwidth_share,
        random_share; ``peak_rss_mb_<size>``; ``dense_<numpy|torch|rows>_<act>_cpu_seconds_<size>``;
        ``<act>_slope``.
    """
    values: dict[str, Any] = dict(machine.run(machine.Config()))
    for n in config.sizes:
        values |= run_apart(measure, config, n)
        tick(f"{n:,} cells: recall {values[f'recall_cpu_seconds_{n}'] * 1e3:.3g} ms")
        fits = 4 * n * n + 1e9 < available_memory()
        if n <= config.dense_up_to and fits:
            values |= run_apart(measure_dense, config, n)
            tick(f"{n:,} cells, dense: {values[f'speedup_torch_recall_{n}']:.0f} times slower")
    fitted = [n for n in config.sizes if n >= config.smallest_in_slope]
    for act in ("encode", "store", "recall"):
        for n in config.sizes:
            _add_shares(values, act, n)
        if len(fitted) > 1:
            # The synapses of the active cells: for storing too, whose cost is looking at them.
            work = [values[f"{act if act == 'encode' else 'recall'}_events_{n}"] for n in fitted]
            cost = [values[f"{act}_cpu_seconds_{n}"] for n in fitted]
            values[f"{act}_slope"] = float(np.polyfit(np.log(work), np.log(cost), 1)[0])
    return values


def measure(config: Config, n: int) -> dict[str, float]:
    """Measure one size: CA3 stores and takes recall steps, the dentate gyrus encodes."""
    rng = np.random.default_rng(config.seed)
    network = _network(config, n)
    k, fan_out = network.config.k, network.auto.connectivity.fan_out
    codes = [SparseCode.random(n, k, rng) for _ in range(8)]
    written = [network.store(code).n_events for code in codes]
    values: dict[str, float] = {f"fan_in_{n}": network.config.fan_in, f"active_{n}": k}
    values |= _timed("recall", n, codes, lambda code: _step(network, code))
    values |= _timed("store", n, codes, network.store)
    values[f"recall_events_{n}"] = k * fan_out
    values[f"store_events_{n}"] = float(np.mean(written))
    values[f"recall_bytes_{n}"] = values[f"store_bytes_{n}"] = float(
        k * network.auto.weights.shape[1]
    )
    n_input, n_granule = max(10, GRANULES * n // 10), GRANULES * n
    wiring = Generated.with_fan_in(n_input, n_granule, max(1, round(CONNECTIVITY * n_input)), 1)
    inputs = [SparseCode.random(n_input, n_input // 10, rng) for _ in range(4)]

    def encode(code: SparseCode) -> SparseCode:
        drive = push(wiring, code, None, np.uint16, config.threads)
        return inhibition.exact(drive, max(1, n_granule // 50))

    values |= _timed("encode", n, inputs, encode)
    values[f"encode_events_{n}"] = (n_input // 10) * wiring.fan_out
    values[f"encode_bytes_{n}"] = 0.0  # No weights are read: they are one.
    values[f"peak_rss_mb_{n}"] = _peak_rss_mb()
    return values


def measure_dense(config: Config, n: int) -> dict[str, float]:
    """Measure a dense float32 matrix beside, in turns with ours.

    numpy and torch multiply the whole matrix with the pattern and add its outer product; rows
    reads and writes (in torch) only the rows of active cells, which a dense program can do too.
    """
    import torch

    torch.set_num_threads(config.threads)
    require_memory(4 * n * n, f"a dense matrix of {n:,} cells")
    rng = np.random.default_rng(config.seed)
    network = _network(config, n)
    codes = [SparseCode.random(n, network.config.k, rng) for _ in range(4)]
    matrix = np.ones((n, n), dtype=np.float32)  # Touched, so that it is really there.
    tensor = torch.from_numpy(matrix)

    def numpy_store(code: SparseCode) -> None:
        row = _dense(code)
        for first in range(0, n, 256):  # An outer product at once would need a second matrix.
            matrix[first : first + 256] += np.outer(row[first : first + 256], row)

    def torch_store(code: SparseCode) -> None:
        row = torch.from_numpy(_dense(code))
        tensor.addr_(row, row)

    def rows_store(code: SparseCode) -> None:
        active = torch.from_numpy(code.active)
        row = torch.from_numpy(_dense(code))
        tensor.index_add_(0, active, row.expand(len(code), n))

    acts: dict[str, Callable[[SparseCode], object]] = {
        "ours_recall": lambda c: _step(network, c),
        "ours_store": network.store,
        "numpy_recall": lambda c: matrix @ _dense(c),
        "numpy_store": numpy_store,
        "torch_recall": lambda c: tensor @ torch.from_numpy(_dense(c)),
        "torch_store": torch_store,
        "rows_recall": lambda c: tensor.index_select(0, torch.from_numpy(c.active)).sum(0),
        "rows_store": rows_store,
    }
    spent: dict[str, list[float]] = {name: [] for name in acts}
    for turn in range(6):
        for name, act in acts.items():
            spent[name].append(_cpu_of(act, codes))
        if turn == 0:  # Compiled and warm now.
            spent = {name: [] for name in acts}
    cost = {name: float(np.median(times)) for name, times in spent.items()}
    values = {f"dense_{name}_cpu_seconds_{n}": cost[name] for name in acts if "ours" not in name}
    for kind in ("numpy", "torch", "rows"):
        for what in ("recall", "store"):
            values[f"speedup_{kind}_{what}_{n}"] = cost[f"{kind}_{what}"] / cost[f"ours_{what}"]
    return values


def table(values: dict[str, Any]) -> str:
    """Return the measurements as Markdown."""
    sizes = sorted(int(key.rsplit("_", 1)[1]) for key in values if key.startswith("peak_rss_mb_"))
    lines = [
        machine.table(values),
        "",
        "| CA3 cells x synapses | act | active synapses | CPU ms | wall ms | million synapses "
        "a CPU second | of the bandwidth | of the random reads | peak MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for n in sizes:
        for act in ("encode", "store", "recall"):
            lines.append(
                f"| {n:,} x {values[f'fan_in_{n}']:,.0f} | {act} "
                f"| {values[f'{act}_events_{n}']:,.0f} "
                f"| {1e3 * values[f'{act}_cpu_seconds_{n}']:.3g} "
                f"| {1e3 * values[f'{act}_seconds_{n}']:.3g} "
                f"| {values[f'{act}_events_per_second_{n}'] / 1e6:,.0f} "
                f"| {values[f'{act}_bandwidth_share_{n}']:.1%} "
                f"| {values[f'{act}_random_share_{n}']:.2f} "
                f"| {values[f'peak_rss_mb_{n}']:,.0f} |"
            )
    dense = [n for n in sizes if f"speedup_torch_recall_{n}" in values]
    if dense:
        lines += ["", "| cells | act | dense NumPy | dense torch | torch, active rows only |"]
        lines.append("|---|---|---|---|---|")
    for n in dense:
        for act in ("store", "recall"):
            cells = " | ".join(
                f"{1e3 * values[f'dense_{kind}_{act}_cpu_seconds_{n}']:.3g} ms, "
                f"{values[f'speedup_{kind}_{act}_{n}']:.3g}x"
                for kind in ("numpy", "torch", "rows")
            )
            lines.append(f"| {n:,} | {act} | {cells} |")
    slopes = [f"{act} {values[f'{act}_slope']:.3f}" for act in ACTS if f"{act}_slope" in values]
    if slopes:
        lines += ["", f"Slope of log cost over log active synapses: {', '.join(slopes)}."]
    return "\n".join(lines)


ACTS = ("encode", "store", "recall")


def _network(config: Config, n: int) -> CA3:
    fan_in = min(MOST_SYNAPSES, max(1, round(CONNECTIVITY * n)))
    own = CA3Config(
        n_units=n,
        fan_in=fan_in,
        sparsity=config.sparsity,
        bits=config.bits,
        threads=config.threads,
    )
    return CA3(own, np.random.default_rng(config.seed))


def _dense(code: SparseCode) -> NDArray[np.float32]:
    row = np.zeros(code.n_units, dtype=np.float32)
    row[code.active] = 1.0
    return row


def _step(network: CA3, code: SparseCode) -> SparseCode:
    return inhibition.feedback(network.drive(code, network.config.trust[0]), network.config.k)


def _timed(
    act: str, n: int, codes: list[SparseCode], do: Callable[[SparseCode], object]
) -> dict[str, float]:
    """Return wall and processor time of one call: medians over turns that last long enough."""
    for code in codes:
        do(code)
    wall, cpu = [], []
    rounds = max(1, int(WORK / 5 / max(_cpu_of(do, codes) * len(codes), 1e-6)))
    for _ in range(5):
        start = time.perf_counter(), time.process_time()
        for _ in range(rounds):
            for code in codes:
                do(code)
        wall.append((time.perf_counter() - start[0]) / rounds / len(codes))
        cpu.append((time.process_time() - start[1]) / rounds / len(codes))
    return {
        f"{act}_seconds_{n}": float(np.median(wall)),
        f"{act}_cpu_seconds_{n}": float(np.median(cpu)),
    }


def _cpu_of(do: Callable[[SparseCode], object], codes: list[SparseCode]) -> float:
    start = time.process_time()
    for code in codes:
        do(code)
    return (time.process_time() - start) / len(codes)


def _add_shares(values: dict[str, Any], act: str, n: int) -> None:
    cpu = values[f"{act}_cpu_seconds_{n}"]
    events = values[f"{act}_events_{n}"]
    values[f"{act}_events_per_second_{n}"] = events / cpu
    rate, width = values["random_reads_per_second"], values["memory_bytes_per_second"]
    values[f"{act}_random_share_{n}"] = events / cpu / rate
    values[f"{act}_bandwidth_share_{n}"] = values[f"{act}_bytes_{n}"] / cpu / width


def _peak_rss_mb() -> float:
    from neurosim.resources import ResourceMeter

    return ResourceMeter().peak_rss_mb
