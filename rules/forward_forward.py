"""Forward-forward: layers learn to be active for true pairs of sample and label, else quiet."""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError
from neurosim.learner import Direction, Learner, Memory, correlation
from neurosim.network import Network, softmax
from neurosim.samples import check_inputs

Array = NDArray[np.floating]

Negatives = Literal["even", "hard"]
NEGATIVES = get_args(Negatives)
TINY = 1e-8


@dataclass(frozen=True, kw_only=True)
class ForwardForward(Learner):
    """Raise the goodness of a layer for samples with their label, lower it with a wrong one.

    ``g_l = sum_j h_lj^2 / n_l,  p_l = sigmoid(steepness (g_l - threshold))``
    ``delta W_l = (2 steepness / n_l) (real - p_l) h_l f'(z_l) pre_l``
    ``pre_l = h_{l-1} / rms(h_{l-1})``

    There is no way back: each layer climbs the log likelihood of telling real pairs (`real` = 1)
    from false ones (0) by its own goodness. The next layer gets the direction of the activity
    without its length, or it could read off what the layer below has found. The label stands
    in the first n_out inputs, in place of what they carried (black margin in MNIST): `amplitude` at
    its class.

    `output` is the goodness of each class: the sum over layers, the first left out where there are
    more. Beside it the network's output layer learns by the delta rule to name the class from
    the last hidden layer under a neutral label, ``amplitude / n_out`` at every class, the paper's
    faster way to ask (`read_out`). Wrong labels are drawn evenly, or in proportion to what this
    read-out takes them for ("hard"), which needs fewer epochs; then the choice of the wrong label
    tells lower layers something of the weights above, and `needs` says so.

    What a synapse must be given: pre, post, ``real - p`` as a modulator of its layer, in two
    phases, the second with wrong labels; labels come as an input.

    Parameters
    ----------
    threshold : float
        theta, above 0; bounded cells need one that they can reach.
    steepness : float
        Of p, above 0. The paper sums squares in place of their mean: steepness n_l, which learns
        slower here.
    amplitude : float
        Of a label, above 0.
    negatives : str
        "even" or "hard", how wrong labels are drawn.
    readout : bool
        Whether the output layer learns; False saves a third of the forward passes.
    upper_rate : float
        Factor of the learning rate of hidden layers above the first, above 0. Their inputs are many
        and of length 1 a cell, where those of an image are few and mostly black: a step of Adam,
        `eta` in every weight, moves the drive of a layer of 2,000 ten times as far as that of the
        first, which has the label in it and lags behind.
    lead : float
        How far the learning rate of each hidden layer, as a share of its first, lies below that of
        the layer above: as a schedule falls, layers come to rest from below, and each learns from
        one that has. At 0, all at once.

    References
    ----------
    Hinton (2022) arXiv:2212.13345, Eq. 1 and Sections 2 and 3.3.
    """

    threshold: float = 0.5
    steepness: float = 10.0
    amplitude: float = 3.0
    negatives: Negatives = "even"
    readout: bool = True
    upper_rate: float = 1.0
    lead: float = 0.0

    source: ClassVar[str] = "Hinton (2022) arXiv:2212.13345"
    needs: ClassVar[frozenset[str]] = frozenset(
        {"pre", "post", "modulator", "second phase", "labels"}
    )

    def __post_init__(self) -> None:
        for field in ("threshold", "steepness", "amplitude", "upper_rate"):
            value = getattr(self, field)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError.expected(self, field, "a number above 0", value, "try 1")
        if not 0 <= self.lead < 1:
            raise ConfigError.expected(self, "lead", "0 or more, below 1", self.lead, "try 0.1")
        if self.negatives not in NEGATIVES:
            raise ConfigError.expected(
                self, "negatives", " or ".join(NEGATIVES), self.negatives, "choose one of them"
            )
        if self.negatives == "hard":
            needs = self.needs | {"transposed forward weights"}
            object.__setattr__(self, "needs", needs)  # Of this learner, not of the class.
        if self.negatives == "hard" and not self.readout:
            raise ConfigError.expected(
                self, "readout", "True where wrong labels are hard", self.readout,
                "the read-out says which labels are taken for right",
            )  # fmt: skip

    def check(self, network: Network) -> None:
        """Refuse a network without classes, without room for the label or without hidden cells."""
        sizes = network.config.sizes
        if sizes[-1] < 2 or sizes[0] <= sizes[-1] or len(sizes) < 3:
            raise ConfigError.expected(
                self, "network", "2 or more classes, more inputs than classes and a hidden layer",
                sizes, "give labels inputs of their own, in front of the others",
            )  # fmt: skip

    def direction(self, network: Network, memory: Memory, x: Array, y: Array) -> Direction:
        """Return the way up the likelihood of each layer, and of the read-out."""
        n, n_out = y.shape
        x, labels = without_label(x, n_out), y.argmax(axis=1)
        bare = network.drive(0, x)  # The same for both labels and for none.
        change, bias, read_loss, said = self._read_out_change(network, memory, bare, y)
        wrong = wrong_labels(said if self.negatives == "hard" else np.ones_like(y), labels, memory)
        drive = np.concatenate([bare + self._label_drive(network, k) for k in (labels, wrong)])
        losses = np.zeros(n)
        weights: list[Array] = []
        biases: list[Array] = []
        h = pre = x
        for layer in range(network.n_layers - 1):
            if layer > 0:
                pre = normalised(h)
                drive = network.drive(layer, pre)
            h = network.activation.value(drive)
            miss, loss = self._judged(h)
            losses += loss
            show(memory, layer, pre, h, miss)
            climb = network.slope(drive, h) * h
            climb *= miss
            climb *= x.dtype.type(2 * self.steepness / (n * h.shape[1]))
            both = climb if layer > 0 else climb[:n] + climb[n:]
            network.count_products(layer, len(pre))
            weights.append(both.T @ pre)
            biases.append(climb.sum(axis=0))
            if layer == 0:
                for half, classes in ((climb[:n], labels), (climb[n:], wrong)):
                    weights[0][:, :n_out] += half.T @ self._label_input(network, classes)
        return Direction([*weights, change], [*biases, bias], losses + read_loss)

    def layer_rate(self, network: Network, layer: int, rate: float) -> float:
        """Return the rate of each hidden layer, see `upper_rate` and `lead`; 0 where it rests."""
        top = network.n_layers - 2
        if layer > top:
            return rate
        below = self.lead * (top - layer)
        own = max(0.0, (rate - below) / (1 - below)) if below < 1 else 0.0
        return own * (self.upper_rate if layer > 0 else 1.0)

    def output(self, network: Network, memory: Memory, x: ArrayLike, batch: int = 200) -> Array:
        """Return the goodness of each class, ``(n_samples, n_out)``."""
        inputs = check_inputs(network, x)
        parts = [inputs[k : k + batch] for k in range(0, len(inputs), batch)]
        return np.concatenate([self._goodness_of_classes(network, part) for part in parts])

    def read_out(self, network: Network, x: ArrayLike) -> Array:
        """Return what the output layer says under a neutral label, ``(n_samples, n_out)``."""
        x = without_label(check_inputs(network, x), network.n_outputs)
        pre = self._neutral(network, network.drive(0, x))
        return network.output(network.drive(network.n_layers - 1, pre))

    def _goodness_of_classes(self, network: Network, x: Array) -> Array:
        """Ask all classes at once; the product with the input is the same for all."""
        n, n_out, n_hidden = len(x), network.n_outputs, network.n_layers - 1
        bare = network.drive(0, without_label(x, n_out))
        labels = self._label_drive(network, np.arange(n_out))
        h = network.activation.value((bare + labels[:, None]).reshape(n_out * n, -1))
        total = goodness(h) if n_hidden == 1 else np.zeros(n_out * n, dtype=x.dtype)
        for layer in range(1, n_hidden):
            h = network.activation.value(network.drive(layer, normalised(h)))
            total += goodness(h)
        return total.reshape(n_out, n).T

    def _judged(self, h: Array) -> tuple[Array, Array]:
        """Return ``real - p``, ``(2 n, 1)``, and the negative log likelihoods of each pair."""
        n = len(h) // 2
        steepness, threshold = (h.dtype.type(v) for v in (self.steepness, self.threshold))
        logit = steepness * (goodness(h) - threshold)
        logit[n:] *= -1  # Now: how surely it is right.
        loss = np.logaddexp(h.dtype.type(0), -logit)
        miss = -np.expm1(-loss)
        miss[n:] *= -1
        return miss[:, None], loss[:n] + loss[n:]

    def _label_input(self, network: Network, labels: NDArray[np.intp]) -> Array:
        active = np.zeros((len(labels), network.n_outputs), dtype=network.dtype)
        active[np.arange(len(labels)), labels] = self.amplitude
        return active

    def _label_drive(self, network: Network, labels: NDArray[np.intp]) -> Array:
        return network.dtype.type(self.amplitude) * network.weights[0][:, labels].T

    def _neutral(self, network: Network, bare: Array) -> Array:
        """Return the last hidden activity, normalised, when every class is a little active."""
        n_out = network.n_outputs
        each = network.dtype.type(self.amplitude / n_out)
        drive = bare + each * network.weights[0][:, :n_out].sum(axis=1)
        for layer in range(1, network.n_layers - 1):
            drive = network.drive(layer, normalised(network.activation.value(drive)))
        return normalised(network.activation.value(drive))

    def _read_out_change(
        self, network: Network, memory: Memory, bare: Array, y: Array
    ) -> tuple[Array, Array, NDArray[np.floating], Array]:
        """Return its changes of weights and biases, its losses, and what it says."""
        top = network.n_layers - 1
        if not self.readout:
            zeros = np.zeros_like(network.weights[top]), np.zeros_like(network.biases[top])
            return *zeros, np.zeros(len(y)), y
        pre = self._neutral(network, bare)
        output = network.output(network.drive(top, pre))
        change, bias = correlation(network, memory, top, y - output, pre)
        said = softmax(output) if network.config.loss == "mse" else output
        return change, bias, network.losses(output, y), said


def wrong_labels(chances: Array, labels: NDArray[np.intp], memory: Memory) -> NDArray[np.intp]:
    """Draw a wrong label for each sample, with chances ``(n_samples, n_out)`` of any scale."""
    chances = chances + chances.dtype.type(TINY)
    chances[np.arange(len(labels)), labels] = 0
    sums = chances.cumsum(axis=1)
    drawn = memory.rng.random(len(labels)) * sums[:, -1]
    return np.minimum((sums <= drawn[:, None]).sum(axis=1), chances.shape[1] - 1)


def without_label(x: Array, n_out: int) -> Array:
    """Return a copy of inputs in which those that stand for the label are silent."""
    bare = x.copy()
    bare[:, :n_out] = 0
    return bare


def goodness(h: Array) -> Array:
    """Return the mean square of each sample's activities."""
    return np.einsum("ij,ij->i", h, h) / h.dtype.type(h.shape[1])


def normalised(h: Array) -> Array:
    """Return activities whose mean square is 1 in each sample, or 0 where all are silent."""
    return h / (np.sqrt(goodness(h)) + h.dtype.type(TINY))[:, None]


def show(memory: Memory, layer: int, pre: Array, post: Array, miss: Array) -> None:
    """Hold both phases under the audit's eyes; the input's cells are the same in both."""
    n = len(post) // 2
    memory.show("pre", layer, pre[:n])
    memory.show("post", layer, post[:n])
    memory.show("modulator", layer, miss)
    if len(pre) > n:
        memory.show("second phase", layer, pre[n:])
    memory.show("second phase", layer, post[n:])
