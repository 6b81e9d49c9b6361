"""DGR, deep generative replay: a generator dreams old images, the old network names them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from experiments.continual_network import NetworkLearner, NetworkMethod
from neurosim.batches import checked_batch
from neurosim.continual_learner import ContinualLearner, Shape
from neurosim.errors import check_counts
from neurosim.ledger import Ledger
from neurosim.network import Network
from neurosim.ranges import Count, Positive
from neurosim.representation import Replayed
from neurosim.streams import Batch

Array = NDArray[np.float32]


@dataclass(frozen=True)
class GenerativeReplay(NetworkMethod):
    """Learn new images beside what a variational autoencoder of the tasks before makes up.

    The network as it was after the last task labels the dreams. ``loss = 1/n new + (1 - 1/n)
    dreams``, n the tasks so far, for the network and for the next generator.

    Parameters
    ----------
    n_latent : int
        Latent variables of the generator; its hidden layers are those of the network.
    generator_eta : float
        Its learning rate (Adam).

    References
    ----------
    Shin, Lee, Kim & Kim (2017) NIPS, Continual learning with deep generative replay; the weights as
    in van de Ven et al. (2022). The generator: Kingma & Welling (2014) ICLR, eq. 10.
    """

    n_latent: Count = 100
    generator_eta: Positive = 1e-3

    source: ClassVar[str] = "Shin, Lee, Kim & Kim (2017) NIPS"
    published: ClassVar[Mapping[str, float]] = {"van_de_ven": 90.4}
    van_de_ven: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "hidden")  # A generator has a hidden layer or more.

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network and generator."""
        return _Dreaming(self, shape, rng)


class Generator(torch.nn.Module):
    """A variational autoencoder of rectifying layers, with binary cross-entropy.

    Parameters
    ----------
    n_inputs, n_latent : int
    hidden : tuple of int
        Units of the encoder's hidden layers; the decoder has them in reverse.
    """

    def __init__(self, n_inputs: int, hidden: tuple[int, ...], n_latent: int) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.encoder = torch.nn.ModuleList(_layers((n_inputs, *hidden)))
        self.mean = torch.nn.Linear(hidden[-1], n_latent)
        self.log_variance = torch.nn.Linear(hidden[-1], n_latent, bias=False)
        self.decoder = torch.nn.ModuleList(_layers((n_latent, *hidden[::-1])))
        self.pixels = torch.nn.Linear(hidden[0], n_inputs)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return the logits of the pixels, ``(n, n_inputs)``."""
        for layer in self.decoder:
            z = torch.relu(layer(z))
        drives: torch.Tensor = self.pixels(z)
        return drives

    def loss(self, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return minus the lower bound of the log likelihood of each image, ``(n,)`` [nats]."""
        h = x
        for layer in self.encoder:
            h = torch.relu(layer(h))
        mean, log_variance = self.mean(h), self.log_variance(h)
        drives = self.decode(mean + torch.exp(0.5 * log_variance) * noise)
        fit = functional.binary_cross_entropy_with_logits(drives, x, reduction="none").sum(dim=1)
        apart = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)
        return fit + apart


class _Dreaming(NetworkLearner):
    """A network, a generator, and both as they were after the last task."""

    def __init__(self, method: GenerativeReplay, shape: Shape, rng: np.random.Generator) -> None:
        super().__init__(method, shape, rng)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(1 << 31)))
            self.generator = Generator(shape.n_inputs, method.hidden, method.n_latent)
        self.optimiser = torch.optim.Adam(self.generator.parameters(), method.generator_eta)
        self.before: tuple[Network, Generator] | None = None
        self.ledger = Ledger()
        self._n_weights = sum(p.numel() for p in self.generator.parameters())

    def observe(self, batch: Batch) -> None:
        """Take one step of the network and one of the generator."""
        batch = checked_batch(batch, self.shape)
        x, targets, weights = batch.x, self.one_hot(batch.y), self._weights(len(batch.y))
        if self.before is not None:
            dreams, names = self._dream(len(batch.y), self.rng, *self.before)
            # The decoder is half of the generator.
            self.ledger.add(0, 0, len(dreams) * self._n_weights // 2, 2 * self._n_weights)
            x, targets = np.concatenate([x, dreams]), np.concatenate([targets, names])
        share = weights[:, None]
        self.move(self.gradient_of(x, lambda z, p: share * (targets - p)))
        noise = self.rng.standard_normal((len(x), self.generator.n_latent), np.float32)
        self.optimiser.zero_grad()
        losses = self.generator.loss(torch.from_numpy(x), torch.from_numpy(noise))
        # A pixel's share, so that Adam's epsilon is to the slopes what it is in the authors' code.
        ((losses / x.shape[1]) * torch.from_numpy(weights)).sum().backward()
        self.optimiser.step()
        n = self._n_weights
        self.ledger.add(0, n, 3 * n * len(x), 12 * n)

    def end_of_task(self, task: int) -> None:
        """Keep both as they are now."""
        super().end_of_task(task)
        self.before = self.network.copy(), copy.deepcopy(self.generator)

    def replay(self, n: int, rng: np.random.Generator) -> Replayed:
        """Return dreams of the tasks that are over, and what they were called."""
        if self.before is None:
            return Replayed(np.zeros((0, self.shape.n_inputs), np.float32), np.zeros(0, np.int64))
        x, names = self._dream(n, rng, *self.before)
        return Replayed(x, names.argmax(axis=1))

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return the networks and generators, now and before, and the optimisers' moments."""
        kept = dict(super().state)
        kept |= _arrays("memory/generator", self.generator)
        if self.before is not None:
            network, generator = self.before
            kept |= {f"memory/before/{name}": a for name, a in network.state.items()}
            kept |= _arrays("memory/generator_before", generator)
        for k, moments in self.optimiser.state_dict()["state"].items():
            for name in ("exp_avg", "exp_avg_sq"):
                kept[f"memory/generator_moments/{k}/{name}"] = moments[name].numpy()
        return kept

    def _weights(self, n: int) -> Array:
        """Return the weight of each image of a batch and its dreams."""
        if self.before is None:
            return np.full(n, 1 / n, np.float32)
        share = 1 / (self.tasks_done + 1)
        return np.repeat([share / n, (1 - share) / n], n).astype(np.float32)

    def _dream(
        self, n: int, rng: np.random.Generator, network: Network, generator: Generator
    ) -> tuple[Array, Array]:
        """Return images of a generator, and what a network calls them."""
        z = rng.standard_normal((n, generator.n_latent), np.float32)
        with torch.no_grad():
            x = torch.sigmoid(generator.decode(torch.from_numpy(z))).numpy()
        return x, self.one_hot(network.forward(x).drives[-1].argmax(axis=1))


def _layers(sizes: tuple[int, ...]) -> list[torch.nn.Linear]:
    return [torch.nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]


def _arrays(start: str, module: torch.nn.Module) -> dict[str, NDArray]:
    return {f"{start}/{n}": p.detach().numpy() for n, p in module.named_parameters()}
