"""Predictive coding both ways: value nodes shared by bottom-up and top-down weights."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from circuits.inferred import Inferred, Precisions
from neurosim import network as networks
from neurosim.errors import ConfigError, NumericalError, nearest_name
from neurosim.ledger import Ledger
from neurosim.optimisers import Moments, Optimiser
from neurosim.settling import losers
from neurosim.state import take_over

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class BidirectionalConfig:
    """Shape and dynamics of a bidirectional predictive-coding network.

    Parameters
    ----------
    sizes : tuple of int
        Units of each layer, from the senses to the top.
    activation : str
        Transfer function of hidden units, as of `neurosim.network`; the ends are linear.
    active : float
        Share of a hidden layer's units that may be active, the strongest ones; 1 for all.
    n_steps : int
        Of inference.
    step : float
        Of value nodes; halved for the whole batch when its energy has risen. While learning it is
        short: a hidden layer that has moved far towards the whole image would teach the top-down
        weights to imagine from what a view of a part cannot tell.
    sensory : float
        Precision of the top-down prediction of the senses while learning, against 1 of all
        bottom-up predictions.
    prior : float
        Precision of the top-down predictions of hidden layers while learning. At 0 they learn what
        the layer does, and do not tell it what to do.
    optimiser : Optimiser
    dtype : str
        "float32" or "float64".

    Raises
    ------
    ConfigError
        For fewer than three layers, an unknown activation or type, a share outside of 0..1, a step
        that is not positive, or counts below 0.
    """

    sizes: tuple[int, ...] = (784, 512, 10)
    activation: str = "leaky_relu"
    active: float = 1.0
    n_steps: int = 1
    step: float = 0.01
    sensory: float = 0.05
    prior: float = 0.0
    optimiser: Optimiser = field(default_factory=lambda: Optimiser("adam", eta=1e-3))
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if len(self.sizes) < 3 or min(self.sizes) < 1:
            raise ConfigError.expected(
                self, "sizes", "three or more layers of one or more units", self.sizes,
                "write for example (784, 512, 10)",
            )  # fmt: skip
        for name, value, known in (
            ("activation", self.activation, tuple(networks.ACTIVATIONS)),
            ("dtype", self.dtype, ("float32", "float64")),
        ):
            if value not in known:
                near = nearest_name(str(value), known) or known[0]
                raise ConfigError.expected(
                    self, name, " or ".join(known), value, f"did you mean '{near}'?"
                )
        if not 0 < self.active <= 1:
            raise ConfigError.expected(self, "active", "0 < share <= 1", self.active, "try 0.15")
        for name in ("step", "sensory"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError.expected(self, name, "a number above 0", value, "leave it out")
        if self.n_steps < 0 or self.prior < 0:
            raise ConfigError.expected(
                self, "n_steps", "0 or more, as prior", (self.n_steps, self.prior), "leave it out"
            )


class BidirectionalNetwork:
    """Value nodes x_l that weights V predict from below and weights W from above.

    ``E = sum_l |x_l - V_l f(x_{l-1}) - c_l|^2 / 2 + sum_l p_l |x_l - W_l f(x_{l+1}) - d_l|^2 / 2``

    All that a synapse of V or W needs is the activity below or above it and the error of its own
    cell: ``delta V_l = e_l f(x_{l-1})``, ``delta W_l = e'_l f(x_{l+1})``. No weight is carried
    to its mirror synapse but as errors travel along their own predictions, as in any
    predictive-coding network.

    The senses may give one thing to V (a view, parts of it covered) and another to the error
    nodes that W predicts (all there is). So V learns to see from a part what the whole would have
    made of the higher layers.

    Parameters
    ----------
    config : BidirectionalConfig
    rng : numpy.random.Generator
        Draws the weights.

    Attributes
    ----------
    up, down : list of (n_post, n_pre) float
        V and W, from the senses upwards.
    ledger : Ledger
        What its products and changes of weights have cost; biases are not counted.

    References
    ----------
    Oliviers, Tang & Bogacz (2025) Bidirectional predictive coding, arXiv:2505.23415, Eqs. 1-5.
    There the precision of hidden top-down predictions equals that of the senses'; here it is its
    own, since the two errors differ in scale by what a layer and an image differ.
    """

    def __init__(self, config: BidirectionalConfig, rng: np.random.Generator) -> None:
        self.config, self.dtype = config, np.dtype(config.dtype)
        self.function = networks.ACTIVATIONS[config.activation]
        pairs = list(zip(config.sizes[:-1], config.sizes[1:], strict=True))
        self.up = [self._drawn(above, below, rng) for below, above in pairs]
        self.down = [self._drawn(below, above, rng) for below, above in pairs]
        self.up_bias = [np.zeros(above, self.dtype) for _, above in pairs]
        self.down_bias = [np.zeros(below, self.dtype) for below, _ in pairs]
        self.moments = Moments(config.optimiser, self.parameters)
        self.ledger = Ledger()

    def _drawn(self, n_post: int, n_pre: int, rng: np.random.Generator) -> Array:
        spread = math.sqrt(2 / (n_post + n_pre))
        return rng.normal(0, spread, size=(n_post, n_pre)).astype(self.dtype)

    @property
    def parameters(self) -> list[Array]:
        """Return all weights and biases, in the order of the moments."""
        return [*self.up, *self.down, *self.up_bias, *self.down_bias]

    def place(self, parameters: Sequence[Array]) -> None:
        """Compute with other arrays from now on; the optimiser goes on to move those it has.

        Parameters
        ----------
        parameters : sequence of float array
            In the order of `parameters`, and of the same shapes.
        """
        n = self.top
        self.up, self.down = list(parameters[:n]), list(parameters[n : 2 * n])
        self.up_bias, self.down_bias = list(parameters[2 * n : 3 * n]), list(parameters[3 * n :])

    @property
    def top(self) -> int:
        """Number of the top layer."""
        return len(self.up)

    @property
    def learning(self) -> Precisions:
        """Return the precisions of learning."""
        return Precisions(self.config.sensory, self.config.prior)

    def activity(self, layer: int, values: Array) -> tuple[Array, Array]:
        """Return activity and slope of a layer; only the strongest units of a sparse one."""
        if layer in (0, self.top):
            return values, np.ones_like(values)
        h = self.function.value(values)
        slope = self.function.slope(values, h)
        if self.config.active < 1:
            silent = losers(h, self.config.active)
            h[silent] = 0
            slope[silent] = 0
        return h, slope

    def rise(self, layer: int, activity: Array) -> Array:
        """Return what a layer's activity predicts of the layer above."""
        return self.through(self.up[layer].T, activity) + self.up_bias[layer]

    def fall(self, layer: int, activity: Array) -> Array:
        """Return what the activity of the layer above predicts of a layer."""
        return self.through(self.down[layer].T, activity) + self.down_bias[layer]

    def through(self, matrix: Array, signal: Array) -> Array:
        """Return ``signal matrix``, and enter the product into the ledgers."""
        self._count_products(matrix, len(signal))
        return signal @ matrix

    def _count_products(self, matrix: Array, n_samples: int) -> None:
        visits = matrix.size * n_samples
        self.ledger.add(visits, 0, visits, matrix.nbytes)

    def sweep(self, view: Array) -> list[Array]:
        """Return the value nodes of a bottom-up sweep, from the view to the top."""
        values = [view]
        for layer in range(self.top):
            values.append(self.rise(layer, self.activity(layer, values[-1])[0]))
        return values

    def infer(
        self,
        view: Array,
        senses: Array,
        seen: Array | None = None,
        top: Array | None = None,
        known: Mask | None = None,
        precisions: Precisions | None = None,
        n_steps: int | None = None,
        step: float | None = None,
    ) -> Inferred:
        """Let value nodes settle, from a bottom-up sweep.

        Parameters
        ----------
        view : (n_samples, n_in) float
            What V is given.
        senses : (n_samples, n_in) float
            What the top-down prediction is compared with.
        seen : (n_samples, n_in) float, optional
            1 where it is compared, 0 where nothing is known; everywhere, if not given.
        top : (n_samples, n_top) float, optional
            To clamp the top layer to; free, if not given.
        known : (n_samples,) bool, optional
            The samples whose top is clamped; all, if not given.
        precisions : Precisions, optional
            Those of learning, if not given.
        n_steps, step : int and float, optional
            Instead of the configuration's.
        """
        state = _State(
            self, view, senses, seen, top, known, precisions or self.learning,
            self.config.step if step is None else step,
        )  # fmt: skip
        for _ in range(self.config.n_steps if n_steps is None else n_steps):
            state.move()
        return Inferred(
            state.values, state.activities, state.up, state.down, np.array(state.energies)
        )

    def learn(self, inferred: Inferred, weight: Array | None = None, rate: float = 1.0) -> None:
        """Let every synapse explain away the error of its cell.

        Parameters
        ----------
        inferred : Inferred
        weight : (n_samples,) float, optional
            How much each sample counts.
        rate : float
            Factor of the learning rate.

        Raises
        ------
        NumericalError
            When an error is no longer finite; names the layer.
        """
        n = self.dtype.type(len(inferred.values[0]))
        share = None if weight is None else weight.astype(self.dtype)[:, None]
        up, down = [
            [(e if share is None else e * share) / n for e in errors]
            for errors in (inferred.bottom_up, inferred.top_down)
        ]
        for layer, error in enumerate([*up, *down]):
            if not np.isfinite(error).all():
                raise NumericalError(
                    f"BidirectionalNetwork.errors: expected finite numbers, got others in layer "
                    f"{layer % len(up)}; lower the learning rate or the step of inference"
                )
        sent = inferred.activities
        causes = sent if inferred.causes is None else inferred.causes
        for matrix in (*self.up, *self.down):
            self._count_products(matrix, len(sent[0]))
            self.ledger.add(0, matrix.size, matrix.size, 2 * matrix.nbytes)
        self.moments.step(
            [
                *(e.T @ sent[layer] for layer, e in enumerate(up)),
                *(e.T @ causes[layer + 1] for layer, e in enumerate(down)),
                *(e.sum(axis=0) for e in up),
                *(e.sum(axis=0) for e in down),
            ],
            rate,
        )

    @property
    def state(self) -> dict[str, Array]:
        """Return the named arrays: ``up/0``, ``down/0``, ``up_bias/0``, ``down_bias/0``, ..."""
        return {
            f"{kind}/{layer}": array
            for kind in ("up", "down", "up_bias", "down_bias")
            for layer, array in enumerate(getattr(self, kind))
        }

    def restore(self, state: Mapping[str, Array]) -> None:
        """Take over the arrays of another network of the same shape.

        Raises
        ------
        InputError
            When an array is missing or of another shape.
        """
        take_over(self, self.state, state)


class _State:
    """Value nodes on their way down the energy."""

    def __init__(
        self,
        network: BidirectionalNetwork,
        view: Array,
        senses: Array,
        seen: Array | None,
        top: Array | None,
        known: Mask | None,
        precisions: Precisions,
        step: float,
    ) -> None:
        self.network, self.seen = network, seen
        self.values = network.sweep(view)
        self.values[0] = senses
        self.from_view = self.values[1].copy()  # The view is clamped: computed once.
        self.view = view
        self.clamped = np.zeros((len(view), 1), dtype=bool)
        if top is not None:
            self.clamped[:] = True if known is None else known[:, None]
            self.values[-1] = np.where(self.clamped, top, self.values[-1])
        self.weight = [precisions.sensory] + [precisions.prior] * (network.top - 1)
        self.step = step
        self.energies: list[float] = []
        self._predict()

    def _predict(self) -> None:
        net, x = self.network, self.values
        both = [net.activity(layer, x[layer]) for layer in range(net.top + 1)]
        self.activities: list[Array] = [self.view, *(h for h, _ in both[1:])]
        self.slopes = [slope for _, slope in both]
        self.up: list[Array] = [x[1] - self.from_view]
        self.up += [
            x[layer + 1] - net.rise(layer, self.activities[layer]) for layer in range(1, net.top)
        ]
        self.down: list[Array] = [
            x[layer] - net.fall(layer, self.activities[layer + 1]) for layer in range(net.top)
        ]
        if self.seen is not None:
            self.down[0] *= self.seen
        energy = 0.5 * sum(float(np.vdot(e, e)) for e in self.up)
        for weight, e in zip(self.weight, self.down, strict=True):
            energy += 0.5 * weight * float(np.vdot(e, e))
        self.energies.append(energy / len(x[0]))

    def move(self) -> None:
        """Take one step with all value nodes above the senses."""
        net = self.network
        moves = []
        for layer in range(1, net.top + 1):
            back, pull = np.zeros_like(self.values[layer]), -self.up[layer - 1]
            if self.weight[layer - 1]:  # The prior of hidden layers often counts for nothing.
                error = self.down[layer - 1]
                back += self.weight[layer - 1] * net.through(net.down[layer - 1], error)
            if layer < net.top:
                back += net.through(net.up[layer], self.up[layer])
                if self.weight[layer]:
                    pull -= self.weight[layer] * self.down[layer]
            move = self.step * (pull + self.slopes[layer] * back)
            moves.append(np.where(self.clamped, 0, move) if layer == net.top else move)
        for layer, move in enumerate(moves, start=1):
            self.values[layer] = (self.values[layer] + move).astype(net.dtype, copy=False)
        self._predict()
        if not self.energies[-1] < self.energies[-2]:
            self.step *= 0.5
