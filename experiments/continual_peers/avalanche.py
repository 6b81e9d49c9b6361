"""Avalanche (Lomonaco et al. 2021; Carta et al. 2023): its own strategies in torch."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.continual.a_gem import AGEM
from experiments.continual.er import ER
from experiments.continual.ewc import EWC
from experiments.continual.lwf import LwF
from experiments.continual.none import Nothing
from experiments.continual.si import SI
from experiments.continual_network import NetworkMethod
from neurosim.errors import ConfigError
from neurosim.streams import Stream

REQUIRES = "avalanche"
METHODS: Mapping[type[NetworkMethod], str] = MappingProxyType(
    {
        Nothing: "Naive",
        EWC: "EWC",
        SI: "SynapticIntelligence",
        LwF: "LwF",
        AGEM: "AGEM",
        ER: "Naive with ReplayPlugin",
    }
)


def accuracies(stream: Stream, method: NetworkMethod, seed: int) -> NDArray[np.float64]:
    """Return the accuracy on each task after all, by Avalanche's strategy.

    The images of each task are those of the stream, shuffled anew by Avalanche; network, rates,
    batches and constants are the method's. Its replay takes into its memory at the end of a task.

    Parameters
    ----------
    stream : Stream
        Class-incremental, each task visited once.
    method : NetworkMethod
        Of a class in `METHODS`; plain steps ("sgd").
    seed : int
        Of torch: weights and the order of images.

    Raises
    ------
    ConfigError
        For a stream or a method that it is not written for.
    """
    if stream.config.scenario != "class" or len(stream.visits) != len(set(stream.visits)):
        raise ConfigError.expected(
            "avalanche", "stream", "class-incremental, each task visited once",
            (stream.config.scenario, stream.visits), "leave scenario and visits out",
        )  # fmt: skip
    if type(method) not in METHODS or method.optimiser != "sgd":
        raise ConfigError.expected(
            "avalanche", "method", f"with sgd, one of {', '.join(m.__name__ for m in METHODS)}",
            (type(method).__name__, getattr(method, "optimiser", "")), "compare one of those",
        )  # fmt: skip
    import torch

    load_torchvision()
    from avalanche.training.determinism.rng_manager import RNGManager

    tests = [stream.test(number) for number in range(len(stream.tasks))]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            RNGManager.set_random_seeds(seed)
            network = _network(stream, method)
            strategy = _strategy(stream, method, network)
            for experience in _benchmark(stream, tests).train_stream:
                strategy.train(experience, num_workers=0, shuffle=True)
    finally:
        torch.set_num_threads(before)
    network.eval()
    with torch.no_grad():
        answers = [network(torch.from_numpy(test.x)).argmax(1).numpy() for test in tests]
    right = [(a == test.y).mean() for a, test in zip(answers, tests, strict=True)]
    return np.array(right, dtype=np.float64)


def load_torchvision() -> ModuleType:
    """Import torchvision, which Avalanche imports, also where its operators do not load.

    Beside a torch for processors alone, torchvision's compiled operators (made for CUDA) are not
    loaded, and its import ends at the shapes it would register for them. Nothing here uses them:
    then the one operator that its Python code names is declared, without an implementation, and
    the file that registers the shapes is skipped.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    from torch import library

    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    _kept.append(library.Library("torchvision", "DEF"))
    _kept[0].define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    finder = _Skip()
    sys.meta_path.insert(0, finder)
    try:
        return importlib.import_module("torchvision")
    finally:
        sys.meta_path.remove(finder)


_kept: list[Any] = []
"""A library that is dropped takes its operators with it."""


class _Skip(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Find an empty module in place of torchvision's registration of shapes."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name == "torchvision._meta_registrations":
            return importlib.machinery.ModuleSpec(name, self)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        return None


def _network(stream: Stream, method: NetworkMethod) -> Any:
    """Return the method's network in torch, its weights drawn alike (He), biases 0."""
    from torch import nn

    sizes = (stream.n_inputs, *method.hidden, stream.n_outputs)
    parts: list[Any] = []
    for k, (n, m) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        layer = nn.Linear(n, m)
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        nn.init.zeros_(layer.bias)
        parts += [nn.ReLU(), layer] if k else [layer]
    return nn.Sequential(*parts)


def _benchmark(stream: Stream, tests: list[Any]) -> Any:
    """Return the stream's tasks as Avalanche's experiences, without task labels."""
    import torch
    from avalanche.benchmarks import benchmark_from_datasets, with_classes_timeline
    from avalanche.benchmarks.utils import _make_taskaware_tensor_classification_dataset

    def experience(x: NDArray[np.float32], y: NDArray[np.int64]) -> Any:
        pair = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y.astype(np.int64))
        return _make_taskaware_tensor_classification_dataset(*pair, task_labels=0)

    train = []
    for visit in range(len(stream.visits)):
        batches = list(stream.batches(visit))
        x, y = (np.concatenate([batch[k] for batch in batches]) for k in (0, 1))  # type: ignore[misc]
        train.append(experience(x, y))
    test = [experience(each.x, each.y) for each in tests]
    return with_classes_timeline(benchmark_from_datasets(train=train, test=test))


def _strategy(stream: Stream, method: NetworkMethod, network: Any) -> Any:
    """Return the strategy that is the method's counterpart, with the method's constants."""
    import torch
    from avalanche.training import supervised
    from avalanche.training.plugins import EvaluationPlugin, ReplayPlugin
    from avalanche.training.storage_policy import ReservoirSamplingBuffer

    batch = stream.config.batch
    common = {
        "model": network,
        "optimizer": torch.optim.SGD(network.parameters(), lr=method.eta),
        "criterion": torch.nn.CrossEntropyLoss(),
        "train_mb_size": batch,
        "train_epochs": 1,  # Of the batches of a visit, in which every epoch already is.
        "evaluator": EvaluationPlugin(loggers=[]),
    }
    made: Callable[..., Any]
    if isinstance(method, ER):
        size = method.per_class * stream.n_outputs
        plugin = ReplayPlugin(
            size, batch_size=batch, batch_size_mem=batch,
            storage_policy=ReservoirSamplingBuffer(size),
        )  # fmt: skip
        return supervised.Naive(**common, plugins=[plugin])
    own: dict[str, Any] = {}
    if isinstance(method, EWC):
        made, own = supervised.EWC, {"ewc_lambda": method.strength}
    elif isinstance(method, SI):
        made, own = supervised.SynapticIntelligence, {"si_lambda": method.strength}
    elif isinstance(method, LwF):
        made, own = supervised.LwF, {"alpha": 1.0, "temperature": method.temperature}
    elif isinstance(method, AGEM):
        per_task = method.per_class * stream.n_outputs // len(stream.tasks)
        made, own = supervised.AGEM, {"patterns_per_exp": per_task, "sample_size": method.draw}
    else:
        made = supervised.Naive
    return made(**common, **own)
