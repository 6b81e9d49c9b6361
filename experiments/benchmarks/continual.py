"""Our methods of continual learning beside those of other libraries, on one stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from experiments import continual_peers
from experiments.class_incremental import ARMS
from experiments.comparison import check_names, key
from experiments.continual_network import NetworkMethod
from neurosim.continual import live
from neurosim.randomness import Streams
from neurosim.resources import ResourceMeter
from neurosim.stream_config import StreamConfig, mammoth
from neurosim.streams import Stream

WITHIN = 0.02
"""How far the mean accuracies of two programs of one method may be apart."""


@dataclass(frozen=True)
class Config:
    """Which methods, on which stream.

    Parameters
    ----------
    dataset : str
        "mnist", "fashion" (both need NEUROSIM_DATA) or "digits".
    arms : tuple of str
        Of `class_incremental.ARMS`; of those that a library does not have ours alone is measured.
    against : tuple of str
        Libraries of `experiments.continual_peers`; empty for all.
    seeds : tuple of int
    shuffle : bool
        Whether classes are assigned to tasks by the seed, or in their order as Mammoth has them.
    """

    dataset: str = "digits"
    arms: tuple[str, ...] = ("none", "EWC", "SI", "LwF", "A-GEM 50", "ER 50")
    against: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1)
    shuffle: bool = False

    def __post_init__(self) -> None:
        networks = [name for name, m in ARMS.items() if isinstance(m, NetworkMethod)]
        check_names(self, "arms", self.arms, networks)
        check_names(self, "against", self.against, tuple(continual_peers.known()))
        self.stream()

    def stream(self) -> StreamConfig:
        """Return Mammoth's protocol: one pass, batches of 10."""
        return replace(mammoth(self.dataset), shuffle=self.shuffle)


def run(config: Config, tick: Callable[[str], object] = lambda line: None) -> dict[str, Any]:
    """Measure the accuracy after all tasks of ours and theirs, at the same seeds."""
    installed = continual_peers.installed()
    wanted = config.against or tuple(continual_peers.known())
    for name in wanted:
        if name not in installed:
            tick(f"{name}: absent (not installed), not measured")
    values: dict[str, Any] = {}
    for arm in config.arms:
        method, place = ARMS[arm], key(arm)
        found = {"ours": _measured(config, lambda s, seed, m=method: _ours(s, m, seed))}  # type: ignore[misc]
        for name in wanted:
            if name in installed and type(method) in installed[name].METHODS:
                peer = installed[name]
                found[name] = _measured(
                    config,
                    lambda s, seed, p=peer, m=method: float(p.accuracies(s, m, seed).mean()),  # type: ignore[misc]
                )
        for name, (accs, seconds) in found.items():
            values[f"acc_{place}_{name}"] = float(np.mean(accs))
            values[f"sd_{place}_{name}"] = float(np.std(accs, ddof=1)) if len(accs) > 1 else 0.0
            values[f"cpu_seconds_{place}_{name}"] = seconds
            each = ", ".join(f"{100 * acc:.2f}" for acc in accs)
            tick(f"{arm}, {name}: {each} ({seconds:.1f} CPU s a seed)")
            if name != "ours":
                values[f"apart_{place}_{name}"] = float(np.mean(accs) - np.mean(found["ours"][0]))
    return values


def table(values: dict[str, Any]) -> str:
    """Return the accuracies as Markdown, and how many methods agree."""
    arms = [k[4:-5] for k in values if k.startswith("acc_") and k.endswith("_ours")]
    peers = [
        name
        for name in continual_peers.known()
        if any(f"acc_{arm}_{name}" in values for arm in arms)
    ]
    heads = ["ours", *(word for name in peers for word in (name, "apart"))]
    lines = [f"| method | {' | '.join(heads)} |", "|---" * (1 + len(heads)) + "|"]
    for arm in arms:
        cells = [_cell(values, arm, "ours")]
        for name in peers:
            apart = values.get(f"apart_{arm}_{name}")
            cells += [_cell(values, arm, name), "" if apart is None else f"{100 * apart:+.2f}"]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    for name in peers:
        gaps = [values[f"apart_{arm}_{name}"] for arm in arms if f"apart_{arm}_{name}" in values]
        same = sum(abs(gap) <= WITHIN for gap in gaps)
        lines += ["", f"{same} of {len(gaps)} methods agree with {name} within 2 points."]
    return "\n".join(lines)


def _ours(stream: Stream, method: Any, seed: int) -> float:
    course = live(stream, method, Streams(seed).generator("learner"), probe=0)
    return course.metrics()["acc"]


def _measured(
    config: Config, accuracy: Callable[[Stream, int], float]
) -> tuple[list[float], float]:
    """Return the accuracy at each seed, and CPU seconds a seed, examination included."""
    accs, seconds = [], 0.0
    for seed in config.seeds:
        stream = Stream(config.stream(), seed)
        with ResourceMeter() as meter:
            accs.append(accuracy(stream, seed))
        seconds += meter.cpu_seconds
    return accs, seconds / max(len(config.seeds), 1)


def _cell(values: dict[str, Any], arm: str, name: str) -> str:
    if f"acc_{arm}_{name}" not in values:
        return ""
    return f"{100 * values[f'acc_{arm}_{name}']:.2f} (s.d. {100 * values[f'sd_{arm}_{name}']:.2f})"
