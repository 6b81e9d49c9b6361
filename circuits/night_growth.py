"""Night growth: the neurons that a language model grows in a night, all that it may write."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from circuits.transformer import Transformer


@dataclass(frozen=True)
class PlasticityConfig:
    """How the cortex learns at night.

    Parameters
    ----------
    neurons : int
        Neurons that every block grows in a night; they are all that the night may write.
    rate : float
        Step size of AdamW (Loshchilov & Hutter, 2019).
    clip : float
        Largest norm of a gradient.
    dream_weight : float
        Weight of the distillation from dreams against the lessons of the replay.
    silence : float
        Weight of what the grown neurons say in dreams, squared: they should be silent on the old.
    opening : float
        Share of a lesson, from its beginning, that nothing before it can predict.
    opening_weight : float
        Weight of these tokens against the rest.
    """

    neurons: int = 64
    rate: float = 5e-3
    clip: float = 1.0
    dream_weight: float = 4.0
    silence: float = 0.02
    opening: float = 0.2
    opening_weight: float = 0.1


class NightGrowth:
    """The part of the `Cortex` contract that begins and ends a night, for a transformer that grows.

    Parameters
    ----------
    network : Transformer
        Whose blocks grow; what they have by day is left as it is.
    plasticity : PlasticityConfig
    """

    def __init__(self, network: Transformer, plasticity: PlasticityConfig) -> None:
        self.network, self.plasticity = network, plasticity
        self.optimiser: torch.optim.AdamW | None = None

    def grow(self, seed: int) -> None:
        """Grow the neurons this night may write, silent at first, and their optimiser."""
        self.network.grow(self.plasticity.neurons, torch.Generator().manual_seed(seed))
        self._start_optimiser()

    @property
    def growing(self) -> bool:
        """Whether something has grown that is not merged yet."""
        return self.optimiser is not None

    @contextmanager
    def dusk(self) -> Iterator[None]:
        """Look at the cortex without what this night has written."""
        parts = self.network.feed_forwards()
        grown = [part.grown for part in parts]
        for part in parts:
            part.grown = None
        try:
            yield
        finally:
            for part, neurons in zip(parts, grown, strict=True):
                part.grown = neurons

    def merge(self) -> None:
        """Make what has grown part of the cortex; the night is over."""
        self.network.merge()
        self.optimiser = None

    def discard(self) -> None:
        """Forget what has grown; the cortex is as it was at dusk."""
        for part in self.network.feed_forwards():
            part.grown = None
        self.optimiser = None

    def save_growth(self) -> dict[str, Tensor]:
        """Return what has grown this night and the optimiser's moments, by name."""
        if self.optimiser is None:
            return {}
        tensors: dict[str, Tensor] = {}
        for name, parameter in self._named_writable():
            tensors[f"weight/{name}"] = parameter.detach()
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"{key}/{name}"] = value
        return tensors

    def load_growth(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `save_growth` returned; nothing for an empty mapping."""
        if not tensors:
            return
        n = len(tensors["weight/0.gate"])
        self.network.grow(n, torch.Generator())
        self._start_optimiser()
        assert self.optimiser is not None
        for name, parameter in self._named_writable():
            parameter.data.copy_(tensors[f"weight/{name}"])
            moments = {
                key.split("/")[0]: value.clone()
                for key, value in tensors.items()
                if key.endswith(f"/{name}") and not key.startswith("weight/")
            }
            if moments:
                self.optimiser.state[parameter] = moments

    def _named_writable(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        for block, part in enumerate(self.network.feed_forwards()):
            if part.grown is not None:
                for name in ("gate", "up", "down"):
                    yield f"{block}.{name}", part.grown[name]

    def _writable(self) -> list[torch.nn.Parameter]:
        return [parameter for _, parameter in self._named_writable()]

    def _start_optimiser(self) -> None:
        self.optimiser = torch.optim.AdamW(
            self._writable(), lr=self.plasticity.rate, betas=(0.9, 0.98), weight_decay=0.0
        )
