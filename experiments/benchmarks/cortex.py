"""What a step of predictive coding costs, beside other programs, and how it grows."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_info, threadpool_limits

from experiments import peers
from experiments.comparison import check_names
from neurosim.errors import ConfigError, check_counts
from neurosim.ledger import counting
from neurosim.network import Network, NetworkConfig
from neurosim.optimisers import Optimiser
from neurosim.predictive_coding import Inference, settle, stable_step
from neurosim.products import IN_TILES, product
from neurosim.resources import cpu_seconds, times_to_measure
from rules.pc import PredictiveCoding

Array = NDArray[np.floating]
Step = Callable[[], object]

OURS, LESS = "neurosim", "neurosim_same_energy"
N_IN, N_OUT = 784, 10
SAME = 1e-5  # Weights of two programs that do the same differ by rounding of this order.
CAP = "OPENBLAS_CORETYPE"
ASK = """
import numpy, threadpoolctl
print(*(i["architecture"] for i in threadpoolctl.threadpool_info() if "architecture" in i))
"""


@dataclass(frozen=True)
class Config:
    """Which networks, how often.

    Parameters
    ----------
    widths : tuple of int
        Units of each of the two hidden layers of the networks that are compared.
    batches : tuple of int
        Samples of a step.
    n_steps : int
        Of inference, for all sides.
    step : float
        Length of a step of inference, for all sides.
    eta : float
        Learning rate.
    activation : str
        relu or tanh.
    loss : str
        mse or cross_entropy.
    against : tuple of str
        Peers; all that are known, where none is named.
    repeats : int
        Interleaved rounds, of which the median counts.
    scale_widths, scale_depths : tuple of int
        Units of two hidden layers, and hidden layers of 256 units, over which growth is measured.
    scale_batch : int
        Samples of a step there.
    seed : int
    """

    widths: tuple[int, ...] = (256, 1024)
    batches: tuple[int, ...] = (1, 64)
    n_steps: int = 20
    step: float = 0.1
    eta: float = 0.01
    activation: str = "relu"
    loss: str = "mse"
    against: tuple[str, ...] = ()
    repeats: int = 15
    scale_widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048, 4096)
    scale_depths: tuple[int, ...] = (2, 3, 5, 8, 12, 20)
    scale_batch: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be measured before anything is."""
        check_counts(self, "widths", "batches", "n_steps", "repeats")
        check_counts(self, "scale_widths", "scale_depths", "scale_batch")
        if self.seed < 0:
            raise ConfigError.expected(self, "seed", "0 or more", self.seed, "take 0")
        check_names(self, "against", self.against, tuple(peers.known()))
        Optimiser(eta=self.eta)
        Inference(self.n_steps, self.step)
        NetworkConfig((N_IN, N_OUT), self.activation, self.loss)  # type: ignore[arg-type]


class Task:
    """A network and a batch, the same for all sides.

    Parameters
    ----------
    config : Config
    hidden : tuple of int
    batch : int
    """

    def __init__(self, config: Config, hidden: tuple[int, ...], batch: int) -> None:
        rng = np.random.default_rng(config.seed)
        shape = NetworkConfig((N_IN, *hidden, N_OUT), config.activation, config.loss)  # type: ignore[arg-type]
        self.network, self.config = Network(shape, rng), config
        # As many pixels of a digit are not zero.
        lit = rng.random((batch, N_IN)) < 0.19
        self.x = (rng.random((batch, N_IN)) * lit).astype(np.float32)
        self.y = np.eye(N_OUT, dtype=np.float32)[rng.integers(0, N_OUT, batch)]
        self.inference = Inference(config.n_steps, config.step)

    def ours(self, inference: Inference | None = None) -> peers.Peer:
        """Return our training step, on a copy of the network."""
        network = self.network.copy()
        learner = PredictiveCoding(
            optimiser=Optimiser(eta=self.config.eta), inference=inference or self.inference
        )
        memory = learner.begin(network, np.random.default_rng(0))
        return peers.Peer(
            lambda x, y: learner.step(network, memory, x, y, 1.0), lambda: network.weights
        )

    def fewer(self) -> Inference:
        """Return the fewest steps, near the longest stable ones, that come as far down."""

        def energy(inference: Inference) -> float:
            found = settle(self.network, self.x, self.y, inference, record=True)
            return float(found.energies[-1].mean())

        aim = energy(self.inference)
        step = 0.9 * stable_step(self.network)
        for n_steps in range(1, self.inference.n_steps):
            if energy(Inference(n_steps, step)) <= aim:
                return Inference(n_steps, step)
        return self.inference


def run(config: Config, tick: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """Measure CPU time on one thread; ratios are medians over interleaved rounds."""
    installed = peers.known()
    wanted = config.against or tuple(installed)
    for name in wanted:
        if not installed.get(name, False):
            tick(f"{name}: absent (not installed), not measured")
        elif config.loss not in peers.losses(name):
            tick(f"{name}: does not know {config.loss}, not measured")
    sides = [n for n in wanted if installed.get(n, False) and config.loss in peers.losses(n)]
    values: dict[str, Any] = {}
    with threadpool_limits(limits=1):
        values |= blas_in_use(tick) | peaks(config.repeats, tick)
        for width in config.widths:
            for batch in config.batches:
                values |= compared(config, width, batch, sides, values, tick)
        values |= grown(config, tick)
    return values


def blas_in_use(tick: Callable[[str], object] = lambda line: None) -> dict[str, str]:
    """Return whose products are used, and which kernels OpenBLAS would take if it were let.

    A variable of the environment may hold OpenBLAS to older kernels than the processor's; peers
    that bring their own products do not read it.
    """
    families = [(i["internal_api"], i.get("architecture", "")) for i in threadpool_info()]
    found = {"blas": ", ".join(sorted({f"{api} {family}".strip() for api, family in families}))}
    tiles = "our own tiles (AVX-512) for batches, else by " if IN_TILES else ""
    tick(f"products by {tiles}{found['blas']}")
    taken = [family for api, family in families if api == "openblas"]
    if os.environ.get(CAP) and taken:
        left = {name: value for name, value in os.environ.items() if name != CAP}
        told = subprocess.run([sys.executable, "-c", ASK], env=left, capture_output=True, text=True)
        free = told.stdout.split()
        if free and free[0] != taken[0]:
            found["blas_if_free"] = f"openblas {free[0]}"
            tick(
                f"{CAP}={os.environ[CAP]} holds OpenBLAS to its {taken[0]} kernels; by itself it "
                f"takes {free[0]}: run `env -u {CAP} neurosim bench cortex` to let it"
            )
    return found


def peaks(repeats: int, tick: Callable[[str], object] = lambda line: None) -> dict[str, float]:
    """Return the floating point operations a second of one thread, by whose product is fastest.

    Of BLAS in a large product, 2048 x 2048 twice, and of our tiles where they are used, in one of
    256 x 256 with 64 samples, which lies in the cache.
    """
    sides: dict[str, tuple[Callable[..., object], int, int]] = {"blas": (np.matmul, 2048, 2048)}
    if IN_TILES:
        sides["tiles"] = (product, 256, 64)
    found = {}
    for name, (multiply, n, n_columns) in sides.items():
        w = np.random.default_rng(0).random((n, n), dtype=np.float32)
        h, out = w[:, :n_columns].copy(), np.empty((n, n_columns), np.float32)
        step: Step = partial(multiply, w, h, out)
        times = times_to_measure(step, enough=0.03)
        seconds = float(np.median([cpu_seconds(step, times) for _ in range(max(3, repeats // 3))]))
        found[f"sgemm_{name}_flops_per_second"] = 2 * n * n * n_columns / seconds
    for name, flops in found.items():
        tick(f"sgemm by {name.split('_')[1]}: {flops / 1e9:.0f} GFLOP/s")
    return {**found, "sgemm_flops_per_second": max(found.values())}


def compared(
    config: Config, width: int, batch: int, names: list[str], values: dict[str, Any],
    tick: Callable[[str], object],
) -> dict[str, float]:  # fmt: skip
    """Measure all sides on one network and batch; check that they compute the same."""
    task, place = Task(config, (width, width), batch), f"{width}_{batch}"
    less = task.fewer()
    sides = {OURS: task.ours(), LESS: task.ours(less)}
    found: dict[str, float] = {f"n_steps_same_energy_{place}": less.n_steps}
    for name in names:
        sides[name] = peers.made(name, task.network, task.inference, config.eta)
    for _ in range(2):  # What is compiled is compiled here.
        for side in sides.values():
            side.step(task.x, task.y)
    for name in names:
        pairs = zip(sides[name].weights(), sides[OURS].weights(), strict=True)
        apart = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
        found[f"apart_{name}_{place}"] = apart
        if apart > SAME and not peers.differs(name):
            tick(f"{name} computes something else: weights differ by {apart:.1g}")
    with counting() as cost:
        sides[OURS].step(task.x, task.y)
    steps: dict[str, Step] = {n: partial(s.step, task.x, task.y) for n, s in sides.items()}
    times = {name: times_to_measure(step, enough=0.03) for name, step in steps.items()}
    rounds = {name: np.empty(config.repeats) for name in sides}
    for k in range(config.repeats):
        for name, step in steps.items():
            rounds[name][k] = cpu_seconds(step, times[name])
    for name, seconds in rounds.items():
        found[f"{name}_seconds_{place}"] = float(np.median(seconds))
        if name != OURS:
            found[f"speedup_{name}_{place}"] = float(np.median(seconds / rounds[OURS]))
    operations = 2 * cost.multiply_adds / found[f"{OURS}_seconds_{place}"]
    found[f"sgemm_share_{place}"] = operations / values["sgemm_flops_per_second"]
    for name in sides:
        spent = 1e6 * found[f"{name}_seconds_{place}"]
        tick(f"{width} units, batch {batch:3}: {name:22}{spent:9.0f} us")
    return found


def grown(config: Config, tick: Callable[[str], object]) -> dict[str, float]:
    """Measure how a step grows with width and with depth, and its memory a parameter."""
    found: dict[str, float] = {}
    for kind, sizes in (("width", config.scale_widths), ("depth", config.scale_depths)):
        seconds = []
        for size in sizes:
            hidden = (size, size) if kind == "width" else (256,) * size
            task = Task(config, hidden, config.scale_batch)
            step: Step = partial(task.ours().step, task.x, task.y)
            times = times_to_measure(step, enough=0.03)
            rounds = [cpu_seconds(step, times) for _ in range(max(3, config.repeats // 3))]
            seconds.append(float(np.median(rounds)))
            found[f"seconds_{kind}_{size}"] = seconds[-1]
            n_parameters = sum(p.size for p in task.network.parameters)
            tracemalloc.start()
            step()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            held = sum(p.nbytes for p in task.network.parameters)
            found[f"bytes_per_parameter_{kind}_{size}"] = (held + peak) / n_parameters
            tick(f"{kind} {size:5}: {1e3 * seconds[-1]:9.2f} ms a step")
        if len(sizes) > 1:
            slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
            found[f"slope_{kind}"] = float(slope)
            tick(f"slope of log time against log {kind}: {slope:.2f}")
    return found


def table(values: dict[str, Any]) -> str:
    """Return step times, ratios and growth as Markdown."""
    places = [k.removeprefix("sgemm_share_") for k in values if k.startswith("sgemm_share_")]
    names = [OURS, LESS] + [
        k.removeprefix("speedup_").removesuffix(f"_{places[0]}")
        for k in values
        if places and k.startswith("speedup_") and k.endswith(f"_{places[0]}") and LESS not in k
    ]
    heads = [
        f"{N_IN}-{w}-{w}-{N_OUT}, batch {b}" for w, b in (place.split("_") for place in places)
    ]
    lines = ["| side | " + " | ".join(heads) + " |", "|---" * (len(places) + 1) + "|"]
    for name in names:
        cells = []
        for place in places:
            cell = f"{1e6 * values[f'{name}_seconds_{place}']:,.0f} us"
            ratio = values.get(f"speedup_{name}_{place}")
            if name == LESS:
                cell += f" ({values[f'n_steps_same_energy_{place}']:.0f} steps)"
            elif ratio is not None:
                cell += f" ({ratio:.2f}x)"
            cells.append(cell)
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    shares = [f"{100 * values[f'sgemm_share_{place}']:.0f} %" for place in places]
    lines.append("| share of the sgemm peak | " + " | ".join(shares) + " |")
    if "blas" in values:
        held = f" ({CAP}; {values['blas_if_free']} by itself)" if "blas_if_free" in values else ""
        lines += ["", f"BLAS: {values['blas']}{held}."]
    for kind in ("width", "depth"):
        sizes = [k.split("_")[-1] for k in values if k.startswith(f"seconds_{kind}_")]
        if sizes:
            lines += ["", f"| {kind} | ms a step | bytes a parameter |", "|---|---|---|"]
            lines += [
                f"| {n} | {1e3 * values[f'seconds_{kind}_{n}']:.2f} | "
                f"{values[f'bytes_per_parameter_{kind}_{n}']:.1f} |"
                for n in sizes
            ]
        if f"slope_{kind}" in values:
            lines.append(f"\nSlope of log time against log {kind}: {values[f'slope_{kind}']:.2f}.")
    return "\n".join(lines)
