"""What a learner promises: credit assignment on a shared network, all through one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import NumericalError
from neurosim.inference import InferenceDiverged
from neurosim.network import Network
from neurosim.optimisers import Moments, Optimiser
from neurosim.samples import check_inputs, check_targets

Array = NDArray[np.floating]
Tap = Callable[[str, int, Array], None]


class Direction(NamedTuple):
    """Where the parameters should go: the way down, as a mean over the samples.

    Parameters
    ----------
    weights : list of (n_post, n_pre) float
    biases : list of (n_post,) float
    losses : (n_samples,) float
        Of the network before it learns, or of what the learner minimises in its place.
    """

    weights: list[Array]
    biases: list[Array]
    losses: NDArray[np.floating]


class Report(NamedTuple):
    """What came of one call of `learn`.

    Parameters
    ----------
    loss : float
        Mean over the samples before the step, see `Direction`.
    n_samples : int
    """

    loss: float
    n_samples: int


@dataclass
class Memory:
    """What a learner keeps beside the network: all its state is here, by name.

    Parameters
    ----------
    moments : Moments
        The optimiser, bound to the network's parameters.
    arrays : dict of str to array
        Such as feedback weights.
    rng : numpy.random.Generator
        For learners that draw, such as the wrong labels of forward-forward.
    own_moments : dict of str to Moments
        Optimisers of arrays that learn beside the network, such as inverses, by name.
    tap : callable, optional
        Called with a signal's name, the layer of weights and the array, just before plasticity uses
        it; may write into the array. The audit intervenes here.
    """

    moments: Moments
    arrays: dict[str, Array] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    own_moments: dict[str, Moments] = field(default_factory=dict)
    tap: Tap | None = None
    room: dict[str, Any] = field(default_factory=dict)

    def show(self, signal: str, layer: int, values: Array) -> None:
        """Hold a signal under the audit's eyes.

        Parameters
        ----------
        signal : str
            "pre", "post", "error neuron", "drive", "modulator" or "second phase".
        layer : int
            Of weights, from 0.
        values : (n_samples, n_units) float
            ``(n_samples, 1)`` where the layer shares it.
        """
        if self.tap is not None:
            self.tap(signal, layer, values)

    @property
    def state(self) -> dict[str, NDArray]:
        """Return the named arrays: the learner's own and the optimiser's."""
        own = {
            f"{name}/{key}": array
            for name, moments in self.own_moments.items()
            for key, array in moments.state.items()
        }
        return {**self.arrays, **self.moments.state, **own}


@dataclass(frozen=True, kw_only=True)
class Learner:
    """Credit assignment: from a sample and its target to a change of every weight.

    A learner is a frozen dataclass, all parameters with defaults; its state is a `Memory`. It gives
    a `direction`; the optimiser, the same for all, makes the step. `needs` says which signals
    of `neurosim.audit.SIGNALS` a synapse of a hidden layer must be given; the audit checks it by
    intervention.

    Parameters
    ----------
    optimiser : Optimiser

    Attributes
    ----------
    source : str
        The paper.
    needs : frozenset of str
    """

    optimiser: Optimiser = Optimiser()

    source: ClassVar[str]
    needs: ClassVar[frozenset[str]]

    def begin(self, network: Network, rng: np.random.Generator) -> Memory:
        """Return the state of a learner that has not learnt yet.

        Parameters
        ----------
        network : Network
        rng : numpy.random.Generator
            Draws what `keep` needs, and is kept.

        Raises
        ------
        ConfigError
            When the learner cannot work on such a network, see `check`.
        """
        self.check(network)
        kept = self.keep(network, rng)
        moments = Moments(self.optimiser, network.parameters)
        return Memory(moments, kept, rng, self.own_moments(kept))

    def check(self, network: Network) -> None:
        """Refuse a network on which the learner is not defined.

        Raises
        ------
        ConfigError
        """

    def keep(self, network: Network, rng: np.random.Generator) -> dict[str, Array]:
        """Return the arrays that the learner keeps beside the network."""
        return {}

    def own_moments(self, kept: dict[str, Array]) -> dict[str, Moments]:
        """Return optimisers, by name, of those arrays of `keep` that learn."""
        return {}

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return where the parameters should go, and change nothing of the network.

        Parameters
        ----------
        network : Network
        memory : Memory
            May change where the learner has more to learn than the network.
        x : (n_samples, n_in) float
        y : (n_samples, n_out) float
            Both checked already.
        """
        raise NotImplementedError

    def learn(
        self, network: Network, memory: Memory, x: ArrayLike, y: ArrayLike, rate: float = 1.0
    ) -> Report:
        """Take one step on a batch.

        Parameters
        ----------
        network : Network
            Changed in place.
        memory : Memory
            Of `begin` on the same network.
        x : (n_samples, n_in) array-like
        y : (n_samples,) int or (n_samples, n_out) array-like
            Labels or targets.
        rate : float
            Factor of the learning rate, as a schedule gives it.

        Raises
        ------
        InputError
            As `check_inputs` and `check_targets`.
        NumericalError
            When the run diverges; names layer, step and value, and the step of inference, if it
            was inference that diverged.
        """
        inputs = check_inputs(network, x)
        targets = check_targets(network, y, len(inputs))
        return self.step(network, memory, inputs, targets, rate)

    def step(self, network: Network, memory: Memory, x: Array, y: Array, rate: float) -> Report:
        """Take one step on samples that are checked already.

        Raises
        ------
        NumericalError
            As `learn`.
        """
        try:
            return self.take_step(network, memory, x, y, rate)
        except InferenceDiverged as error:
            raise error.in_training(int(memory.moments.n_steps[0])) from None

    def take_step(
        self, network: Network, memory: Memory, x: Array, y: Array, rate: float
    ) -> Report:
        """Go where `direction` says; a learner may have a faster way."""
        direction = self.direction(network, memory, x, y)
        loss = float(np.mean(direction.losses))
        if not np.isfinite(loss):
            raise diverged(self, network, memory, loss)
        biases = direction.biases if network.config.bias else []
        rates = [self.layer_rate(network, layer, rate) for layer in range(network.n_layers)]
        memory.moments.tick()
        for which, change in enumerate([*direction.weights, *biases]):
            if rates[which % network.n_layers] > 0:
                memory.moments.step_one(which, change, rates[which % network.n_layers])
        for layer, own in enumerate(rates):
            if own > 0:
                network.count_writes(layer)
        return Report(loss, len(x))

    def layer_rate(self, network: Network, layer: int, rate: float) -> float:
        """Return the factor of a layer's learning rate, given that of the schedule; 0 is rest."""
        return rate

    def output(self, network: Network, memory: Memory, x: ArrayLike) -> Array:
        """Return the score of each output for each sample, as this learner's network answers."""
        return network.predict(x)

    def state_bytes_per_synapse(self, network: Network, memory: Memory) -> float:
        """Return the bytes a synapse needs: weights, feedback, moments; biases included."""
        held = sum(a.nbytes for a in network.parameters)
        held += sum(a.nbytes for a in memory.state.values())
        return held / network.n_synapses


def correlation(
    network: Network, memory: Memory, layer: int, error: Array, pre: Array
) -> tuple[Array, Array]:
    """Return the changes of one layer by the delta rule, ``mean(error x pre)`` and ``mean(error)``.

    Parameters
    ----------
    network : Network
    memory : Memory
        Its tap sees both signals.
    layer : int
    error : (n_samples, n_post) float
    pre : (n_samples, n_pre) float

    Returns
    -------
    weights : (n_post, n_pre) float
    biases : (n_post,) float
    """
    memory.show("pre", layer, pre)
    memory.show("error neuron", layer, error)
    network.count_products(layer, len(pre))
    n = network.dtype.type(len(pre))
    if len(pre) == 1:
        return error.T * pre, error[0].copy()
    scaled = error / n
    return scaled.T @ pre, scaled.sum(axis=0)


def send_back(
    network: Network,
    memory: Memory,
    x: Array,
    y: Array,
    back: Callable[[int, Array], Array],
) -> Direction:
    """Send the error of the output back, layer by layer, on whatever way `back` says.

    ``e_L = y - output,  e_l = f'(z_l) back(l + 1, e_{l+1}),  delta W_l = e_l h_{l-1}``

    Parameters
    ----------
    network : Network
    memory : Memory
    x : (n_samples, n_in) float
    y : (n_samples, n_out) float
    back : callable
        Given a layer of weights and the error above it, ``(n_samples, n_post)``; returns what
        arrives below, ``(n_samples, n_pre)``.
    """
    drives, activities = network.forward(x)
    error = y - activities[-1]
    weights: list[Array] = []
    biases: list[Array] = []
    for layer in reversed(range(network.n_layers)):
        pre = activities[layer]
        change, bias = correlation(network, memory, layer, error, pre)
        weights.insert(0, change)
        biases.insert(0, bias)
        if layer > 0:
            error = network.slope(drives[layer - 1], pre) * back(layer, error)
    return Direction(weights, biases, network.losses(activities[-1], y))


def diverged(
    learner: Learner, network: Network, memory: Memory, loss: float, where: str = ""
) -> NumericalError:
    """Build the error of a run that is no longer finite.

    Parameters
    ----------
    learner : Learner
    network : Network
    memory : Memory
    loss : float
    where : str
        What the learner knows better, such as the step of inference.
    """
    worst = [float(np.abs(w).max()) for w in network.weights]
    layer = next(
        (k for k, value in enumerate(worst) if not np.isfinite(value)), int(np.argmax(worst))
    )
    step = int(memory.moments.n_steps[0])
    return NumericalError(
        f"{type(learner).__name__}.loss: expected a finite number, got {loss:g} at step {step}"
        f"{where}; largest weight {worst[layer]:.3g} in layer {layer}; lower the learning rate "
        f"(now {learner.optimiser.eta:g})"
    )
