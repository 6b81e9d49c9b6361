"""The network from which Song et al. (2024) start their concept drift, drawn as torch draws it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from experiments import prospective_protocols as protocols
from neurosim.hdf5 import Arrays

AUTHORS_SEED = protocols.AUTHORS_SEEDS[0]
"""Of the configuration that made their checkpoint."""
ETA, BATCH, N_HIDDEN = 0.01, 60, 32


class Draws:
    """Random numbers in the order in which the authors' code asks torch for them.

    Parameters
    ----------
    seed : int
        As for ``torch.manual_seed``, whose numbers these are.
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def subset(self, part: str, per_class: int = -1) -> tuple[torch.Tensor, torch.Tensor]:
        """Return images ``(n, 784)`` and classes ``(n,)`` of a part, class by class.

        Where all images of a class are asked for, their slice to the last but one leaves one out.
        """
        images, labels = protocols.fashion(part)
        kept = []
        for each in range(protocols.N_CLASSES):
            of_class = np.flatnonzero(labels == each)
            mixed = torch.randperm(len(of_class), generator=self.generator).numpy()
            end = per_class if per_class < len(of_class) else -1
            kept.append(np.sort(of_class[mixed[:end]]))
        chosen = np.concatenate(kept)
        return torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen])

    def weights(
        self, sizes: tuple[int, ...], initial: str = "xavier_uniform", gain: float = 1.0
    ) -> list[torch.Tensor]:
        """Return Glorot's weights ``(n_post, n_pre)`` of each layer, as of a net without biases."""
        shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
        for shape in shapes:  # A torch layer is born with weights, which are then overwritten.
            torch.empty(shape).uniform_(generator=self.generator)
        fill = getattr(nn.init, f"{initial}_")
        return [fill(torch.empty(shape), gain, generator=self.generator) for shape in shapes]

    def network(self) -> nn.Sequential:
        """Return 784-32-32-10, sigmoid, no biases, Glorot's uniform weights."""
        layers: list[nn.Module] = []
        for drawn in self.weights((784, N_HIDDEN, N_HIDDEN, protocols.N_CLASSES)):
            layer = nn.utils.skip_init(nn.Linear, drawn.shape[1], drawn.shape[0], bias=False)
            layer.weight.data = drawn
            layers += [layer, nn.Sigmoid()]
        return nn.Sequential(*layers[:-1])

    def order(self, n: int) -> torch.Tensor:
        """Return the order of an epoch, ``(n,)``: a loader first draws a seed for its workers."""
        whole = torch.empty((), dtype=torch.int64)
        whole.random_(generator=self.generator)
        shuffle = torch.Generator().manual_seed(int(whole.random_(generator=self.generator)))
        return torch.randperm(n, generator=shuffle)


def pretrained(seed: int = AUTHORS_SEED, n_epochs: int = 64) -> Arrays:
    """Return weights ``layer/0``.. of a network that has learnt the ten classes.

    Backpropagation, batches of 60, half the squared error, targets -1 and 1, eta 0.01 of the error
    summed over a batch. That is far above what the first steps stand: weights jump until most
    hidden units are saturated, and only then the network learns. How many units are left, and so
    how well backpropagation can relearn, differs from seed to seed. So the seed is that of the
    authors, and torch's generator is asked for the same numbers in the same order.

    Parameters
    ----------
    seed : int
    n_epochs : int

    References
    ----------
    Song et al. (2024) Nat. Neurosci. 27:348; repository YuhangSong/Prospective-Configuration,
    experiments/nature_concept_drift/pre-FashionMNIST.yaml.
    """
    draws = Draws(seed)
    images, labels = draws.subset("train")
    n_tests = len(draws.subset("test")[1])
    targets = torch.where(nn.functional.one_hot(labels, protocols.N_CLASSES) > 0, 1.0, -1.0)
    network = draws.network()
    optimiser = torch.optim.SGD(network.parameters(), lr=ETA)
    for _ in range(n_epochs):
        for chosen in draws.order(len(images)).split(BATCH):
            optimiser.zero_grad()
            (0.5 * (network(images[chosen]) - targets[chosen]).square().sum()).backward()
            optimiser.step()
        draws.order(n_tests)  # Their tests are shuffled too.
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    return {f"layer/{k}": layer.weight.detach().numpy() for k, layer in enumerate(layers)}


def n_alive(weights: tuple[NDArray[np.float32], ...], spread: float = 0.05) -> tuple[int, int]:
    """Return how many units of each hidden layer answer differently to different test images.

    Parameters
    ----------
    weights : sequence of (n_post, n_pre) float32
    spread : float
        Standard deviation of the activity, of 0..1, from which a unit counts.
    """
    h, counts = protocols.fashion("test")[0], []
    for layer in weights[:2]:
        h = 1 / (1 + np.exp(-(h @ layer.T)))
        counts.append(int((h.std(axis=0) > spread).sum()))
    return counts[0], counts[1]
