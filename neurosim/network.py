"""One multilayer network for every learner: dense layers, its forward pass, its losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import ConfigError, nearest_name
from neurosim.ledger import Ledger
from neurosim.samples import check_inputs
from neurosim.state import take_over

Array = NDArray[np.floating]
Loss = Literal["cross_entropy", "mse"]
Initial = Literal["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"]

LEAK = 0.01
LOSSES = get_args(Loss)
INITIALS = get_args(Initial)


class Activation(NamedTuple):
    """A transfer function and its slope.

    Parameters
    ----------
    value : callable
        Of the drive.
    slope : callable
        Of the drive and the value, whichever is cheaper.
    """

    value: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]


def _sigmoid(z: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * z))  # Does not overflow.


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": Activation(np.tanh, lambda z, h: 1 - h * h),
    "relu": Activation(lambda z: np.maximum(z, 0), lambda z, h: (z > 0).astype(z.dtype)),
    "sigmoid": Activation(_sigmoid, lambda z, h: h * (1 - h)),
    "leaky_relu": Activation(
        lambda z: np.where(z > 0, z, z.dtype.type(LEAK) * z),
        lambda z, h: np.where(z > 0, z.dtype.type(1), z.dtype.type(LEAK)),
    ),
    "linear": Activation(lambda z: z.copy(), lambda z, h: np.ones_like(z)),
}


@dataclass(frozen=True)
class NetworkConfig:
    """Shape of a network.

    Parameters
    ----------
    sizes : tuple of int
        Units of each layer, input and output included.
    activation : str
        Of hidden units: tanh, relu, sigmoid, leaky_relu (slope 0.01) or linear. The output is
        linear, and a softmax with cross-entropy.
    loss : str
        "cross_entropy", or "mse": half the squared error, summed over outputs.
    bias : bool
        Whether units have one.
    initial : str
        How weights are drawn: xavier_uniform, xavier_normal, kaiming_uniform (Glorot & Bengio 2010,
        Eq. 16; He et al. 2015, Eq. 10), or kaiming_normal. Biases start at 0.
    dtype : str
        "float32" or "float64".

    Raises
    ------
    ConfigError
        For an unknown name (the nearest is suggested) or an impossible size.
    """

    sizes: tuple[int, ...] = (784, 256, 256, 10)
    activation: str = "relu"
    loss: Loss = "cross_entropy"
    bias: bool = True
    initial: Initial = "xavier_uniform"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise ConfigError.expected(
                self, "sizes", "two or more layers of one or more units", self.sizes,
                "write for example (784, 256, 10)",
            )  # fmt: skip
        for field, known in (
            ("activation", tuple(ACTIVATIONS)),
            ("loss", LOSSES),
            ("initial", INITIALS),
            ("dtype", ("float32", "float64")),
        ):
            name = getattr(self, field)
            if name not in known:
                near = nearest_name(str(name), known)
                mend = f"did you mean '{near}'?" if near else "choose one of them"
                raise ConfigError.expected(self, field, " or ".join(known), name, mend)


class Pass(NamedTuple):
    """What a forward pass leaves behind.

    Parameters
    ----------
    drives : list of (n_samples, n_units) float
        Summed input of each layer from the first hidden one to the output.
    activities : list of (n_samples, n_units) float
        The input, the hidden activities, and the output (a softmax with cross-entropy).
    """

    drives: list[Array]
    activities: list[Array]


class Network:
    """Dense layers: ``z_l = W_l h_{l-1} + b_l``, ``h_l = f(z_l)``, linear at the output.

    Learners change `weights` and `biases` in place, through an optimiser.

    Parameters
    ----------
    config : NetworkConfig
    rng : numpy.random.Generator
        Draws the weights.

    Attributes
    ----------
    weights : list of (n_post, n_pre) float
        C-contiguous, of the configured dtype.
    biases : list of (n_post,) float
        Zeros that no learner touches where the configuration has no biases.
    ledger : Ledger
        What the network's products have cost.
    """

    def __init__(self, config: NetworkConfig, rng: np.random.Generator) -> None:
        self.config = config
        self.dtype = np.dtype(config.dtype)
        self.weights = [
            draw_weights((n_post, n_pre), config.initial, rng).astype(self.dtype)
            for n_pre, n_post in zip(config.sizes[:-1], config.sizes[1:], strict=True)
        ]
        self.biases = [np.zeros(n, dtype=self.dtype) for n in config.sizes[1:]]
        self.activation = ACTIVATIONS[config.activation]
        self.ledger = Ledger()

    @property
    def n_layers(self) -> int:
        """Number of layers of weights."""
        return len(self.weights)

    @property
    def n_inputs(self) -> int:
        """Number of input units."""
        return self.config.sizes[0]

    @property
    def n_outputs(self) -> int:
        """Number of output units."""
        return self.config.sizes[-1]

    @property
    def n_synapses(self) -> int:
        """Number of weights, biases not counted."""
        return sum(w.size for w in self.weights)

    @property
    def parameters(self) -> list[Array]:
        """The arrays that learn: weights, then biases where there are any."""
        return [*self.weights, *(self.biases if self.config.bias else [])]

    def drive(self, layer: int, activity: Array) -> Array:
        """Return ``h W^T + b``, ``(n_samples, n_post)``, of one layer of weights."""
        self.count_products(layer, len(activity))
        drive = activity @ self.weights[layer].T
        if self.config.bias:
            drive += self.biases[layer]
        return drive

    def feedback(self, layer: int, error: Array) -> Array:
        """Return ``e W``, ``(n_samples, n_pre)``: errors through the transposed forward weights."""
        self.count_products(layer, len(error))
        return error @ self.weights[layer]

    def through(self, matrix: Array, signal: Array) -> Array:
        """Return ``signal matrix`` through weights of a learner's own, and count the product.

        Parameters
        ----------
        matrix : (n_from, n_to) float
        signal : (n_samples, n_from) float
        """
        size = matrix.size
        self.ledger.add(size * len(signal), 0, size * len(signal), matrix.nbytes)
        return signal @ matrix

    def forward(self, x: Array) -> Pass:
        """Run a batch through the network.

        Parameters
        ----------
        x : (n_samples, n_in) float
            Checked already, see `check_inputs`.
        """
        drives: list[Array] = []
        activities = [x]
        for layer in range(self.n_layers):
            drives.append(self.drive(layer, activities[-1]))
            last = layer == self.n_layers - 1
            activities.append(
                self.output(drives[-1]) if last else self.activation.value(drives[-1])
            )
        return Pass(drives, activities)

    def output(self, drive: Array) -> Array:
        """Return what the drive of the output layer says: softmax or the drive itself."""
        return softmax(drive) if self.config.loss == "cross_entropy" else drive

    def losses(self, output: Array, targets: Array) -> NDArray[np.float64]:
        """Return the loss of each sample.

        Parameters
        ----------
        output, targets : (n_samples, n_out) float

        Returns
        -------
        (n_samples,) float64
            [nats] with cross-entropy, half the summed square with mse.
        """
        if self.config.loss == "mse":
            return 0.5 * np.square(targets - output, dtype=np.float64).sum(axis=1)
        tiny = np.finfo(self.dtype).tiny
        return -(targets * np.log(np.maximum(output, tiny))).sum(axis=1, dtype=np.float64)

    def slope(self, drive: Array, activity: Array) -> Array:
        """Return f'(z) of hidden units."""
        return self.activation.slope(drive, activity)

    def predict(self, x: ArrayLike, batch: int = 1000) -> Array:
        """Return the output for any number of samples, ``(n_samples, n_out)``.

        Raises
        ------
        InputError
            As `check_inputs`.
        """
        inputs = check_inputs(self, x)
        parts = [
            self.forward(inputs[start : start + batch]).activities[-1]
            for start in range(0, len(inputs), batch)
        ]
        return np.concatenate(parts)

    def classify(self, x: ArrayLike) -> NDArray[np.intp]:
        """Return the most active output of each sample."""
        return self.predict(x).argmax(axis=1)

    def count(self, products: Sequence[int], n_samples: int, writes: int = 0) -> None:
        """Enter so many products with each layer's matrix, and changes of all weights, at once."""
        size, moved = 0, 0
        for w, times in zip(self.weights, products, strict=True):
            size += w.size * times
            moved += w.size * writes
        n_bytes = (size + 2 * moved) * self.dtype.itemsize
        self.ledger.add(size * n_samples, moved, size * n_samples + moved, n_bytes)

    def count_products(self, layer: int, n_samples: int, times: int = 1) -> None:
        """Enter products of `n_samples` vectors with a layer's matrix into the ledgers."""
        size = self.weights[layer].size * times
        self.ledger.add(size * n_samples, 0, size * n_samples, size * self.dtype.itemsize)

    def count_writes(self, layer: int) -> None:
        """Enter one change of all weights of a layer into the ledgers."""
        size = self.weights[layer].size
        self.ledger.add(0, size, size, 2 * size * self.dtype.itemsize)

    def copy(self) -> Network:
        """Return a network of the same weights, with arrays and a ledger of its own."""
        other = object.__new__(Network)
        other.__dict__.update(self.__dict__)
        other.weights = [w.copy() for w in self.weights]
        other.biases = [b.copy() for b in self.biases]
        other.ledger = Ledger()
        return other

    @property
    def state(self) -> dict[str, Array]:
        """Return the named arrays: ``weights/0``, ``biases/0``, and so on."""
        named = {f"weights/{k}": w for k, w in enumerate(self.weights)}
        return named | {f"biases/{k}": b for k, b in enumerate(self.biases)}

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take over the arrays of another network of the same shape.

        Raises
        ------
        InputError
            When an array is missing or of another shape.
        """
        take_over(self, self.state, state)


def draw_weights(
    shape: tuple[int, ...], initial: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return initial weights of a shape ``(n_post, n_pre)``, in float64; see `weight_spread`."""
    spread = weight_spread(shape, initial)
    if initial.endswith("normal"):
        return rng.normal(0.0, spread, size=shape)
    return rng.uniform(-math.sqrt(3) * spread, math.sqrt(3) * spread, size=shape)


def weight_spread(shape: tuple[int, ...], initial: str) -> float:
    """Return the standard deviation of initial weights of a shape ``(n_post, n_pre)``.

    References
    ----------
    Glorot & Bengio (2010) AISTATS, Eq. 16: variance 2 / (n_pre + n_post). He, Zhang, Ren & Sun
    (2015) ICCV, Eq. 10: variance 2 / n_pre.
    """
    n_post, n_pre = shape
    return math.sqrt(2.0 / (n_pre + n_post if initial.startswith("xavier") else n_pre))


def softmax(drive: Array) -> Array:
    """Return the softmax over the last axis."""
    shifted = np.exp(drive - drive.max(axis=-1, keepdims=True))
    shifted /= shifted.sum(axis=-1, keepdims=True)
    return shifted
