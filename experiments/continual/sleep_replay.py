"""SRC, sleep replay consolidation: the network as spiking cells, woken by noise, with STDP."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from experiments.continual_network import NetworkLearner, NetworkMethod, RawMemory
from neurosim.batches import checked_batch, checked_images
from neurosim.continual_learner import ContinualLearner, Shape
from neurosim.learner import Memory
from neurosim.ledger import Ledger
from neurosim.network import Network, NetworkConfig
from neurosim.optimisers import Moments, Optimiser
from neurosim.ranges import Count, NotNegative, PartialShare, Positive, Whole
from neurosim.representation import Replayed
from neurosim.streams import Batch

Array = NDArray[np.float32]

STEEPNESS = 0.001
"""Weight over which the step falls from its largest to nothing."""

NIGHT_PART = 500
"""Steps a call of the kernel, which holds an interruption until it returns."""

MOMENT = 10
"""Steps whose spikes are taken together when it is asked what a night replays."""


@dataclass(frozen=True)
class SleepReplay(NetworkMethod):
    """Learn by gradient descent; after each task sleep, without an image or a label.

    Asleep the units are integrate-and-fire cells of the same weights, the input spikes at random as
    the mean image does inside a window that jumps, and where a cell fires

    ``w += inc s(w)`` from inputs that fire too, ``w -= dec s(w)`` from the others,
    ``s(w) = 2 / (1 + exp(w / 0.001))``.

    So a synapse above a few thousandths stays as it is; what sleep does is raise or lower those
    below. Awake: no biases, squared error of rectified outputs, dropout, momentum, as in the paper.

    Parameters
    ----------
    hidden : tuple of int
        The paper's, which the constants of sleep were fitted to.
    momentum, dropout : float
        Of learning awake; dropout of hidden units, unscaled while learning, ``1 - dropout`` later.
    rate : float [Hz]
        Of an input cell whose mean pixel is 1, up to a factor of 2, in steps of 1 ms.
    inc, dec : float
        Steps of a weight.
    thresholds : tuple of three float
        Of the first layer of cells, of those between, and of the output.
    gain : float
        Of each layer's input, times what makes its largest activity 1.
    steps, more : int
        Steps of the first night, and by how many each is longer than the one before.
    window : int [pixels]
        Side of the window.
    samples : int
        Images of a task that its largest activities are measured on; they are kept until its end.

    Attributes
    ----------
    fashion : mapping of str to value
        The constants that were fitted to Fashion-MNIST; the defaults are those of MNIST.

    References
    ----------
    Tadros, Krishnan, Ramyaa & Bazhenov (2022) Nat. Commun. 13:7742; the constants, the decay of
    0.999 a step and the order of operations from the authors' repository
    (``MNIST/run_class_task_summary.m``, ``sleep/sleepnn_old.m``). There the largest activities are
    of all images of all tasks so far; here of a sample of the last task's.
    """

    hidden: tuple[Count, ...] = (1200, 1200)
    eta: Positive = 0.1
    momentum: PartialShare = 0.5
    dropout: PartialShare = 0.25
    rate: Positive = 239.515363
    inc: NotNegative = 0.032064
    dec: NotNegative = 0.003344
    thresholds: tuple[Positive, Positive, Positive] = (14.548273, 44.560317, 38.046326)
    gain: Positive = 55.882454
    steps: Whole = 15_000
    more: Whole = 5_000
    window: Count = 11
    samples: Count = 1_000

    source: ClassVar[str] = "Tadros, Krishnan, Ramyaa & Bazhenov (2022) Nat. Commun. 13:7742"
    published: ClassVar[Mapping[str, float]] = {"tadros": 48.5}
    van_de_ven: ClassVar[Mapping[str, Any]] = {}
    fashion: ClassVar[Mapping[str, Any]] = {
        "rate": 181.047258,
        "inc": 0.041001,
        "thresholds": (40.446884, 27.596929, 33.109393),
        "gain": 31.592987,
    }

    def begin(self, shape: Shape, rng: np.random.Generator) -> ContinualLearner:
        """Return a newborn network."""
        return Sleeping(self, shape, rng)


class Moment(NamedTuple):
    """Some steps of a night.

    Parameters
    ----------
    mean : (n_rows, n_columns) float64
        Image.
    corners : (n_steps, 2) int64
        Of the window.
    chance : (n_steps, side, side) float64
        A cell in the window spikes where it is no larger than the mean image.
    """

    mean: NDArray[np.float64]
    corners: NDArray[np.int64]
    chance: NDArray[np.float64]


class Sleeping(NetworkLearner):
    """A network that sleeps between tasks.

    Parameters
    ----------
    method : SleepReplay
    shape : Shape
    rng : numpy.random.Generator
    """

    def __init__(self, method: SleepReplay, shape: Shape, rng: np.random.Generator) -> None:
        self.method, self.shape, self.rng = method, shape, rng
        sizes = (shape.n_inputs, *method.hidden, shape.n_outputs)
        self.network = Network(NetworkConfig(sizes, loss="mse", bias=False), rng)
        for weights in self.network.weights:
            weights[...] = rng.uniform(-0.01, 0.01, weights.shape)
        kind = Optimiser("momentum", method.eta, method.momentum)
        self.moments = Moments(kind, self.network.parameters)
        self._memory = Memory(self.moments)
        self.tasks_done = 0
        self.total, self.n_seen = np.zeros(shape.n_inputs, np.float64), np.zeros(1, np.int64)
        self.samples = RawMemory(method.samples, shape)
        self.ledger = Ledger()
        self._gains = np.ones(len(self.network.weights))  # Only for a look at what it replays.

    def observe(self, batch: Batch) -> None:
        """Take one step down the squared error, some hidden units silenced by chance."""
        batch = checked_batch(batch, self.shape)
        network, activities, masks = self.network, [batch.x], []
        for layer in range(network.n_layers - 1):
            awake = self.rng.random((len(batch.x), len(network.weights[layer]))) >= (
                self.method.dropout
            )
            masks.append(awake)
            activities.append(np.maximum(network.drive(layer, activities[-1]), 0) * awake)  # type: ignore[arg-type]
        answer = np.maximum(network.drive(network.n_layers - 1, activities[-1]), 0)
        # The slope of the output's rectifier is left out, as in the authors' code.
        back = (self.one_hot(batch.y) - answer) / np.float32(len(batch.y))
        way = []
        for layer in reversed(range(network.n_layers)):
            way.append(back.T @ activities[layer])
            network.count_products(layer, len(batch.x))
            if layer:
                back = network.feedback(layer, back) * (activities[layer] > 0)
        self.move(way[::-1])
        self.total += batch.x.sum(axis=0, dtype=np.float64)
        self.n_seen += len(batch.x)
        self.samples.add(batch.x, batch.y, self.rng)

    def end_of_task(self, task: int) -> None:
        """Sleep."""
        self._gains = self.gains(self.samples.take(np.arange(len(self.samples))).x)
        self.samples = RawMemory(self.method.samples, self.shape)
        self.sleep(self.method.steps + self.method.more * self.tasks_done, self._gains)
        super().end_of_task(task)

    def predict(self, x: Array) -> Array:
        """Return the rectified output, ``(n, n_outputs)``."""
        return self.activities(checked_images(x, self.shape))[-1]

    def regions(self, x: Array) -> Mapping[str, Array]:
        """Return the activity of each hidden layer, ``(n, n_units)``."""
        hidden = self.activities(checked_images(x, self.shape))[:-1]
        return {f"hidden_{k}": each for k, each in enumerate(hidden, start=1)}

    def replay(self, n: int, rng: np.random.Generator) -> Replayed:
        """Return what a twin sees in the next moments of sleep, and what it calls it awake.

        A pattern is how often each input cell spikes in a moment, over the most often. Output cells
        spike too rarely, some five times a night, to say of which class a moment is.
        """
        twin = copy.deepcopy(self)
        twin.rng, side = rng, min(self.method.window, *self.shape.image_shape)
        patterns = [np.zeros((0, self.shape.n_inputs), np.float32)]
        for moment in twin.parts(n * MOMENT, self._gains, MOMENT) if self.tasks_done else ():
            seen = np.zeros(self.shape.image_shape, np.float32)
            for (a, b), chance in zip(moment.corners, moment.chance, strict=True):
                here = slice(a, a + side), slice(b, b + side)
                seen[here] += chance <= moment.mean[here]
            patterns.append(seen.reshape(1, -1) / max(seen.max(), 1))
        replayed = np.concatenate(patterns)
        return Replayed(replayed, self.predict(replayed).argmax(axis=1))

    def activities(self, x: Array) -> list[Array]:
        """Return the activity of each layer when no unit is silenced."""
        activities, last = [], self.network.n_layers - 1
        for layer in range(self.network.n_layers):
            x = np.maximum(self.network.drive(layer, x), 0)  # type: ignore[assignment]
            if layer < last:
                x = x * np.float32(1 - self.method.dropout)
            activities.append(x)
        return activities

    def gains(self, x: Array) -> NDArray[np.float64]:
        """Return the gain of each layer's input: what makes rates of images comparable, scaled.

        References
        ----------
        Diehl et al. (2015) IJCNN, algorithm 1 (data-based normalisation), as the authors' code has
        it: a layer's factor is divided by the factor applied before, not by its scale.
        """
        before, gains = 1.0, []
        for weights, activity in zip(self.network.weights, self.activities(x), strict=True):
            scale = max(float(weights.max()), float(activity.max(initial=0.0)), 1e-12)
            before = scale / before
            gains.append(self.method.gain / before)
        return np.array(gains)

    def sleep(self, steps: int, gains: NDArray[np.float64]) -> None:
        """Let noise run through the cells, and synapses change where they fire."""
        for _ in self.parts(steps, gains, NIGHT_PART):
            pass

    def parts(self, steps: int, gains: NDArray[np.float64], part: int) -> Iterator[Moment]:
        """Sleep part by part, so many steps each, and yield what happened in it."""
        method, weights = self.method, tuple(self.network.weights)
        rows, columns = self.shape.image_shape
        side = min(method.window, rows, columns)
        mean = (self.total / max(int(self.n_seen[0]), 1)).reshape(rows, columns)
        n_layers = len(weights)
        bars = np.full(n_layers, method.thresholds[1])
        bars[0], bars[-1] = method.thresholds[0], method.thresholds[2]
        potentials = tuple(np.zeros(len(w)) for w in weights)
        bar = 0.5 * 1000 / method.rate  # A pixel of p spikes with a chance of 2 p rate dt.
        # One place less than would fit at each end, as in the authors' code.
        room = [max(rows - side, 1), max(columns - side, 1)]
        for start in range(0, steps, part):
            n = min(part, steps - start)
            # One bound for both draws other numbers than two bounds that are the same.
            corners = self.rng.integers(room[0] if room[0] == room[1] else room, size=(n, 2))
            chance = bar * self.rng.random((n, side, side))
            events, writes = _sleep(
                weights, potentials, mean, corners, chance, gains, bars, method.inc, method.dec
            )
            self.ledger.add(events, writes, events + writes, 4 * (events + 2 * writes))
            yield Moment(mean, corners, chance)

    @property
    def state(self) -> Mapping[str, NDArray]:
        """Return the network, its moments and the mean image; the samples are gone after a task."""
        mean = {"memory/total": self.total, "memory/n_seen": self.n_seen}
        samples = self.samples.state if len(self.samples) else {}
        return {**super().state, **mean, **samples}


@numba.njit(cache=True, error_model="numpy")
def _sleep(weights, potentials, mean, corners, chance, gains, bars, inc, dec):
    n_inputs, side = mean.size, chance.shape[1]
    most = n_inputs
    for layer in range(len(weights)):
        most = max(most, weights[layer].shape[0])
    fired, firing = np.zeros(most, np.bool_), np.zeros(most, np.int64)
    fired_next, firing_next = np.zeros(most, np.bool_), np.zeros(most, np.int64)
    events, writes = 0, 0
    for t in range(corners.shape[0]):
        fired[:] = False
        n = 0
        for a in range(side):
            for b in range(side):
                row, column = corners[t, 0] + a, corners[t, 1] + b
                if chance[t, a, b] <= mean[row, column]:
                    fired[row * mean.shape[1] + column] = True
                    firing[n] = row * mean.shape[1] + column
                    n += 1
        for layer in range(len(weights)):
            w, v = weights[layer], potentials[layer]
            fired_next[:] = False
            n_next = 0
            for j in range(w.shape[0]):
                drive = 0.0
                for k in range(n):
                    drive += w[j, firing[k]]
                v[j] = 0.999 * v[j] + gains[layer] * drive
                if v[j] >= bars[layer]:
                    v[j] = 0.0
                    fired_next[j] = True
                    firing_next[n_next] = j
                    n_next += 1
                    for i in range(w.shape[1]):
                        x = w[j, i] / STEEPNESS
                        if x < 40.0:  # Beyond it the step is below 1e-17.
                            s = 2.0 / (1.0 + np.exp(x)) if x > -40.0 else 2.0
                            w[j, i] += inc * s if fired[i] else -dec * s
            events += n * w.shape[0]
            writes += n_next * w.shape[1]
            fired, fired_next = fired_next, fired
            firing, firing_next = firing_next, firing
            n = n_next
    return events, writes
