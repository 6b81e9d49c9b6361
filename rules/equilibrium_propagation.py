"""Equilibrium propagation: a network settles, is nudged both ways, and compares the states."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError
from neurosim.learner import Direction, Learner, Memory
from neurosim.network import Network
from neurosim.samples import check_inputs

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class EquilibriumPropagation(Learner):
    """Let the states of two nudged equilibria, correlated and anti-correlated, change the weights.

    ``E(s) = sum_l [G(s_l) - s_l W_l s_{l-1} - b_l s_l],  G' = f^{-1},  F = E + beta C``
    ``delta W_l = (s_l^+ s_{l-1}^+ - s_l^- s_{l-1}^-) / (2 beta)``, at minima of F under +-beta

    The network is run as a Hopfield network whose synapses serve both ways: a layer's weights carry
    states up and, transposed, down. Without intralayer synapses the minimum of F over one layer,
    the others held, is ``s_l = f(W_l s_{l-1} + b_l + s_{l+1} W_{l+1})``, so that sweeps from the
    top down lower the energy at every move, and nothing is integrated with small steps. Free sweeps
    start from the forward pass; nudged ones start from the free equilibrium. With
    cross-entropy the softmax read-out stands outside the energy and nudges only (Laborieux et al.
    2021). `relu` states are cut at `ceiling`, or the energy has no minimum: with 1, the paper's
    rectifier. `output` answers from the free equilibrium, which is not the forward pass.

    Here we differ from Scellier & Bengio (2017): the nudge goes both ways, which makes the error of
    the estimate beta squared in place of beta; states move to minima, not by small steps.

    What a synapse must be given: pre and post in two phases, whose states hear the labels through
    the transposed forward weights of the layers above.

    Parameters
    ----------
    beta : float
        Strength of the nudge, above 0; below 1 where it goes both ways.
    n_free, n_nudged : int
        Sweeps of the free phase and of each nudged phase.
    centred : bool
        Nudge both ways; if not, compare the nudged with the free state (the first paper).
    ceiling : float
        Largest state of `relu` cells.

    References
    ----------
    Scellier & Bengio (2017) Front. Comput. Neurosci. 11:24. Laborieux, Ernoult,
    Scellier, Bengio, Grollier & Querlioz (2021) Front. Neurosci. 15:633674. Energy:
    Hopfield (1984) PNAS 81:3088.
    """

    beta: float = 0.5
    n_free: int = 12
    n_nudged: int = 6
    centred: bool = True
    ceiling: float = 1.0

    source: ClassVar[str] = "Scellier & Bengio (2017) Front. Comput. Neurosci. 11:24"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"pre", "post", "second phase", "transposed forward weights", "labels"}
    )

    def __post_init__(self) -> None:
        most = 1.0 if self.centred else math.inf
        if not 0 < self.beta < most:
            raise ConfigError.expected(
                self, "beta", f"0 < beta < {most:g}", self.beta, "try 0.5, or less"
            )
        for field in ("n_free", "n_nudged"):
            if getattr(self, field) < 1:
                raise ConfigError.expected(
                    self, field, "1 or more sweeps", getattr(self, field), "try 6"
                )
        if not self.ceiling > 0:
            raise ConfigError.expected(self, "ceiling", "above 0", self.ceiling, "leave it at 1")

    def check(self, network: Network) -> None:
        """Refuse cells whose activity has no bound."""
        if network.config.activation in ("linear", "leaky_relu"):
            raise ConfigError.expected(
                self, "network", "tanh, sigmoid or relu cells, whose states have a bound",
                network.config.activation, "the energy of others may have no minimum",
            )  # fmt: skip

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return the contrast of two phases."""
        free = self.settle(network, x)
        losses = network.losses(self._answer(network, free), y)
        n, beta = len(x), network.dtype.type(self.beta)
        if self.centred:
            start = [np.concatenate([s, s]) for s in free.states]
            nudges = np.repeat(np.array([beta, -beta]), n)[:, None]
            both = Phase(np.concatenate([free.first, free.first]), start)
            self._sweep(network, both, self.n_nudged, np.concatenate([y, y]), nudges)
            return self._contrast(
                network, memory, x, np.concatenate([y, y]), both, 2 * beta, losses
            )
        nudged = Phase(free.first, [s.copy() for s in free.states])
        self._sweep(network, nudged, self.n_nudged, y, np.full((n, 1), beta))
        pairs = zip(nudged.states, free.states, strict=True)
        both = Phase(free.first, [np.concatenate(pair) for pair in pairs])
        return self._contrast(network, memory, x, np.concatenate([y, y]), both, beta, losses)

    def settle(self, network: Network, x: Array) -> "Phase":
        """Return the free equilibrium."""
        first = network.drive(0, x)
        states: list[Array] = []
        for layer in range(self._n_states(network)):
            drive = first if layer == 0 else network.drive(layer, states[-1])
            states.append(self._state(network, layer, drive))
        phase = Phase(first, states)
        self._sweep(network, phase, self.n_free)
        return phase

    def output(self, network: Network, memory: Memory, x: ArrayLike, batch: int = 1000) -> Array:
        """Return the answers of the free equilibrium, ``(n_samples, n_out)``."""
        inputs = check_inputs(network, x)
        parts = [inputs[k : k + batch] for k in range(0, len(inputs), batch)]
        return np.concatenate([self._answer(network, self.settle(network, p)) for p in parts])

    def energy(self, network: Network, phase: "Phase", y: Array, nudge: float) -> Array:
        """Return F of each sample, ``(n_samples,)``, for a look at how it falls; G as of `f`."""
        total = np.zeros(len(y))
        below = None
        for layer, s in enumerate(phase.states):
            drive = phase.first if below is None else network.drive(layer, below)
            total += (primitive(network, layer, s) - s * drive).sum(axis=1)
            below = s
        return total + nudge * network.losses(self._answer(network, phase), y)

    def _n_states(self, network: Network) -> int:
        """Layers that settle: all, but not a softmax."""
        return network.n_layers - (network.config.loss == "cross_entropy")

    def _state(self, network: Network, layer: int, drive: Array) -> Array:
        if layer == network.n_layers - 1:
            return drive
        if network.config.activation == "relu":
            return np.clip(drive, 0, network.dtype.type(self.ceiling))
        return network.activation.value(drive)

    def _answer(self, network: Network, phase: "Phase") -> Array:
        if network.config.loss == "mse":
            return phase.states[-1]
        top = network.n_layers - 1
        drive = network.drive(top, phase.states[-1]) if phase.states else phase.first
        return network.output(drive)

    def _sweep(
        self,
        network: Network,
        phase: "Phase",
        n_sweeps: int,
        y: Array | None = None,
        nudges: Array | None = None,
    ) -> None:
        """Move each layer to its minimum given the others, from the top down, `n_sweeps` times."""
        states, top = phase.states, network.n_layers - 1
        if not states or (nudges is None and len(states) == 1):
            return  # Nothing hidden talks back: the forward pass is the equilibrium.
        for _ in range(n_sweeps):
            for layer in reversed(range(len(states))):
                if layer == 0:
                    drive = phase.first.copy()  # The input is clamped: its product is constant.
                else:
                    drive = network.drive(layer, states[layer - 1])
                if layer < len(states) - 1:
                    drive += network.feedback(layer + 1, states[layer + 1])
                elif nudges is not None and y is not None:
                    if layer == top:
                        drive = (drive + nudges * y) / (1 + nudges)
                    else:
                        miss = nudges * (y - self._answer(network, phase))
                        drive += network.feedback(top, miss)
                states[layer] = self._state(network, layer, drive)

    def _contrast(
        self,
        network: Network,
        memory: Memory,
        x: Array,
        y: Array,
        both: "Phase",
        distance: np.floating,
        losses: Array,
    ) -> Direction:
        """Return ``(s^+ s^+ - s^- s^-) / distance``, a mean over samples, from stacked phases."""
        n, states = len(x), both.states
        weights: list[Array] = []
        biases: list[Array] = []
        for layer in range(network.n_layers):
            pre = x if layer == 0 else states[layer - 1]
            if layer == len(states):  # A read-out outside: the mean of its gradients.
                signed = y - self._answer(network, both)
                signed /= network.dtype.type(2 * n)
            else:
                post = states[layer]
                for signal, part in (("pre", pre[:n]), ("post", post[:n])):
                    memory.show(signal, layer, part)
                second = [post[n:]] if layer == 0 else [pre[n:], post[n:]]
                for part in second:
                    memory.show("second phase", layer, part)
                signed = post / (distance * network.dtype.type(n))
                signed[n:] *= -1
            if layer == 0:  # The input is the same in both phases.
                signed = signed[:n] + signed[n:]
            network.count_products(layer, len(signed))
            weights.append(signed.T @ pre)
            biases.append(signed.sum(axis=0))
        return Direction(weights, biases, losses)


@dataclass
class Phase:
    """States of all layers at one time.

    Parameters
    ----------
    first : (n_samples, n_units) float
        Drive of the first layer by the clamped input.
    states : list of (n_samples, n_units) float
        Of the hidden layers, and of the output where it belongs to the energy.
    """

    first: Array
    states: list[Array]


def primitive(network: Network, layer: int, s: Array) -> Array:
    """Return G, with ``G' = f^{-1}``, of each state (Hopfield 1984)."""
    activation = network.config.activation
    if layer == network.n_layers - 1 or activation == "relu":
        return 0.5 * s * s
    entropy: Callable[[Array], Array] = lambda p: p * np.log(np.maximum(p, 1e-300))  # noqa: E731
    if activation == "sigmoid":
        return entropy(s) + entropy(1 - s)
    return 0.5 * (entropy(1 + s) + entropy(1 - s))
