"""The locality audit of learners: what the update of a hidden synapse is computed from.

A small network meets a batch. What stands at a synapse when plasticity happens (`Memory.show`) is
perturbed unit by unit. Then it is frozen, while weights and targets change behind it: whatever
still moves the update reaches the synapse by a way of its own. Two questions are asked of the whole
learner: targets are permuted, and the weights above a layer are changed orthogonally to every
activity of the batch, so that no signal on its way up changes by more than rounding.

The learning rate is next to nothing. So what is asked is what a change is computed from, and not
what it changes for the next, in a learner that takes many small steps in a call.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.audit import SIGNALS, Audit, as_it_was, stopped_clock
from neurosim.errors import ConfigError
from neurosim.learner import Learner, Memory, Tap
from neurosim.network import ACTIVATIONS, LOSSES, Network, NetworkConfig

Updates = list[NDArray[np.float64]]
Edit = Callable[[Network, Memory], None]

# Wider than all activities of a batch together, so that a layer has directions nobody is active in.
SIZES = (8, 30, 28, 4)
N_SAMPLES = 3
# A change seen is larger than what steps of this learning rate do to one another, or rounding to
# their sum over the rate (1e-16 / ETA).
ETA = 1e-7
TOLERANCE = 1e-5
NUDGE = 1e-3
_SIDES = {"pre": 1, "post": 0, "error neuron": 0, "drive": 0}
_NEIGHBOURS = ("another postsynaptic cell", "another presynaptic cell")
_LIVES = (("tanh", 2), ("relu", 40))
"""Cells of the network, and the steps it has learnt: at first much is still far from balance."""


@dataclass
class World:
    """A network that has learnt a little, the learner's memory, and a batch.

    Parameters
    ----------
    learner : Learner
    network : Network
    memory : Memory
    x : (n_samples, n_in) float
    y : (n_samples, n_out) float
    """

    learner: Learner
    network: Network
    memory: Memory
    x: NDArray[np.float64]
    y: NDArray[np.float64]

    def update(
        self,
        edit: Edit | None = None,
        tap: Tap | None = None,
        y: NDArray[np.float64] | None = None,
        chosen: Any = slice(None),
        clock: float = 1e9,
        seed: int = 0,
    ) -> Updates:
        """Return the changes of the hidden layers' weights, computed in a copy of the world.

        Parameters
        ----------
        edit : callable, optional
            Changes the copy first.
        tap : callable, optional
            Of `Memory`.
        y : (n_samples, n_out) float, optional
            Other targets.
        chosen : index
            Of samples.
        clock : float [s]
            What every clock shows.
        seed : int
            Of the global generators.
        """
        network, memory = copy.deepcopy((self.network, self.memory))
        if edit is not None:
            edit(network, memory)
        memory.tap = tap
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        x, targets = self.x[chosen].copy(), (self.y if y is None else y)[chosen].copy()
        slow = replace(self.learner, optimiser=replace(self.learner.optimiser, eta=ETA))
        with stopped_clock(clock):
            direction = slow.direction(network, memory, x, targets)
        return [np.array(w) for w in direction.weights[:-1]]


@dataclass
class _Shown:
    """A tap that keeps what it is shown, or puts back what it has kept."""

    kept: dict[tuple[str, int], list[NDArray[Any]]] = field(default_factory=dict)
    freezing: bool = False
    _seen: dict[tuple[str, int], int] = field(default_factory=dict)

    def __call__(self, signal: str, layer: int, values: NDArray[Any]) -> None:
        mine = self.kept.setdefault((signal, layer), [])
        if not self.freezing:
            mine.append(values.copy())
            return
        k = self._seen.get((signal, layer), 0)
        self._seen[signal, layer] = k + 1
        if k < len(mine):  # A relaxation may take more steps than before.
            values[...] = mine[k]

    def frozen(self) -> _Shown:
        """Return a tap that puts back, in the same order, what this one has kept."""
        return _Shown(self.kept, freezing=True)


def audit_learner(learner: Learner, seed: int = 0) -> Audit:
    """Perturb one thing at a time, and see what the update of hidden synapses depends on.

    Parameters
    ----------
    learner : Learner
    seed : int
        Draws the world and the perturbations.

    Returns
    -------
    Audit
        Of the words of `SIGNALS`; what is declared is the learner's `needs`.
    """
    unknown = learner.needs - set(SIGNALS)
    if unknown:
        raise ConfigError.expected(
            learner, "needs", "signals of neurosim.audit.SIGNALS", sorted(unknown), "use its words"
        )
    used: set[str] = set()
    with as_it_was():
        for activation, n_steps in _LIVES:
            world = made(learner, seed, activation, n_steps)
            used |= _used(world, np.random.default_rng(seed + 1))
    return Audit(type(learner).__name__, learner.needs, frozenset(used))


def _used(world: World, rng: np.random.Generator) -> set[str]:
    shown = _Shown()
    world.update()  # What is built once, such as kernels, is built here.
    base = world.update(tap=shown)
    if _differ(world.update(), base, 0.0):
        # What differs by itself cannot be asked what else it depends on.
        return {"hidden state"}
    used = _from_outside(world, base, rng) | _ways_up_and_down(world, base, shown, rng)
    used |= _at_the_synapse(world, base, shown, rng)
    used |= _behind_the_signals(world, base, shown, rng)
    if _differ(world.update(), base, 0.0):
        used.add("hidden state")
    return used


def made(learner: Learner, seed: int, activation: str, n_steps: int) -> World:
    """Return a world for a learner, with the first loss that it accepts.

    Parameters
    ----------
    learner : Learner
    seed : int
    activation : str
        Of the network's hidden cells; another, if the learner refuses these.
    n_steps : int
        That it has learnt already.
    """
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.1, 1.0, size=(2 * N_SAMPLES, SIZES[0]))
    y = np.eye(SIZES[-1])[np.arange(2 * N_SAMPLES) % SIZES[-1]]
    kinds = [(loss, kind) for kind in (activation, *ACTIVATIONS) for loss in LOSSES]
    for k, (loss, kind) in enumerate(kinds):
        network = Network(NetworkConfig(SIZES, kind, loss, dtype="float64"), rng)
        try:
            memory = learner.begin(network, rng)
            break
        except ConfigError:
            if k == len(kinds) - 1:
                raise
    for _ in range(n_steps):
        learner.step(network, memory, x.copy(), y.copy(), 1.0)
    return World(learner, network, memory, x[:N_SAMPLES], y[:N_SAMPLES])


def _from_outside(world: World, base: Updates, rng: np.random.Generator) -> set[str]:
    """Ask about clocks, global generators, other samples of the batch and earlier batches."""
    used = set()
    if _differ(world.update(clock=2e9), base, 0.0):
        used.add("clock")
    if _differ(world.update(seed=1), base, 0.0):
        used.add("random numbers")
    # Additive over samples: swapping partners changes no sum. The numbers drawn are the same.
    pairs = [world.update(chosen=[a, b]) for a, b in ((0, 1), (2, 2), (0, 2), (2, 1))]
    together = [p + q for p, q in zip(pairs[0], pairs[1], strict=True)]
    if _differ(together, [p + q for p, q in zip(pairs[2], pairs[3], strict=True)]):
        used.add("batch")
    past = rng.uniform(0.1, 1.0, size=(2, *world.x.shape))
    lived = [world.update(edit=partial(_live, world, x)) for x in past]
    if _differ(lived[0], lived[1]):
        used.add("stored past")
    return used


def _live(world: World, x: NDArray[Any], network: Network, memory: Memory) -> None:
    """Learn another batch, then take the weights and the generator back, but not the memory."""
    before, drawn = network.copy().state, copy.deepcopy(memory.rng.bit_generator.state)
    for k in range(2):
        world.learner.step(network, memory, x.copy(), np.roll(world.y, k, axis=0), 1.0)
    network.restore(before)
    memory.rng.bit_generator.state = drawn


def _ways_up_and_down(
    world: World, base: Updates, shown: _Shown, rng: np.random.Generator
) -> set[str]:
    """Ask about targets, and about the weights above, while nothing on its way up changes."""
    used = set()
    if _differ(world.update(y=np.roll(world.y, 1, axis=0)), base):
        used.add("labels")
    activities = world.network.forward(world.x).activities
    for layer in range(len(base)):
        active = np.concatenate([activities[layer + 1], *shown.kept.get(("pre", layer + 1), [])])
        _, values, axes = np.linalg.svd(active)
        silent = axes[(values > 1e-9 * values.max()).sum() :]
        if not len(silent):
            raise RuntimeError(f"{world.learner}: no direction of layer {layer + 1} is silent")

        def edit(network: Network, memory: Memory, at: int = layer + 1, q: Any = silent) -> None:
            weights = network.weights[at]
            # Several times the weights, so that signs change too.
            weights += 5 * np.abs(weights).max() * rng.normal(size=(len(weights), len(q))) @ q

        if _differ(world.update(edit)[layer], base[layer]):
            used.add("transposed forward weights")
    return used


def _at_the_synapse(
    world: World, base: Updates, shown: _Shown, rng: np.random.Generator
) -> set[str]:
    """Perturb what plasticity is shown, at the cells of a synapse and at all others."""
    used = set()
    for (signal, layer), times in shown.kept.items():
        if layer >= len(base):
            continue
        perturbed = partial(_perturbed, world, signal, layer, len(times), rng)
        if signal not in _SIDES:
            if _differ(perturbed(slice(None))[layer], base[layer]):
                used.add(signal)
            continue
        axis = _SIDES[signal]
        for unit in (0, base[layer].shape[axis] - 1):
            mine = np.arange(base[layer].shape[axis]) == unit
            for which, name in ((mine, signal), (~mine, _NEIGHBOURS[axis])):
                after = perturbed(which)[layer]
                if _differ(after.take(unit, axis), base[layer].take(unit, axis)):
                    used.add(name)
    return used


def _perturbed(
    world: World, signal: str, layer: int, last: int, rng: np.random.Generator, units: Any
) -> Updates:
    """Perturb units where they are shown for the last time: the array may be the activity itself.

    So nothing is computed from it any more than the change of the weights.
    """
    seen = 0

    def tap(name: str, at: int, values: NDArray[Any]) -> None:
        nonlocal seen
        seen += (name, at) == (signal, layer)
        if (name, at, seen) == (signal, layer, last):
            values[..., units] = rng.uniform(0.1, 1.5, size=values[..., units].shape)

    return world.update(tap=tap)


def _behind_the_signals(
    world: World, base: Updates, shown: _Shown, rng: np.random.Generator
) -> set[str]:
    """Freeze what the synapses are shown, and change weights and targets behind it."""
    used = set()

    def ask(name: str, after: Updates, layer: int, at: Any = ...) -> None:
        if _differ(after[layer][at], base[layer][at]):
            # One factor for all synapses is a broadcast; anything else knows the thing itself.
            used.add("global loss" if _one_factor(after, base) else name)

    for layer, update in enumerate(base):
        for j, i in ((0, 0), (len(update) - 1, 1)):
            own = np.zeros(update.shape, dtype=bool)
            own[j, i] = True
            for chosen, name in ((own, "own weight"), (~own, "another synapse")):
                ask(name, world.update(_changed({layer: chosen}, rng), shown.frozen()), layer, own)
        others = {k: ... for k in range(world.network.n_layers) if k != layer}
        after = world.update(_changed(others, rng), shown.frozen())
        ask("other layers' weights", after, layer)
        after = world.update(tap=shown.frozen(), y=np.roll(world.y, 1, axis=0))
        ask("labels", after, layer)
    return used


def _changed(places: dict[int, Any], rng: np.random.Generator) -> Edit:
    def edit(network: Network, memory: Memory) -> None:
        for layer, chosen in places.items():
            weights = network.weights[layer]
            # Little, so that a drive behind a frozen activity keeps its sign.
            change = NUDGE * np.abs(weights).max()
            weights[chosen] += rng.uniform(change / 2, change, size=weights[chosen].shape)

    return edit


def _one_factor(after: Updates, base: Updates) -> bool:
    """Tell whether all synapses of all layers changed by the same share of their update."""
    one, other = (np.concatenate([w.ravel() for w in each]) for each in (after, base))
    change = one - other
    share = float(change @ other) / float(other @ other)
    return bool(np.abs(change - share * other).max() < 0.01 * np.abs(change).max())


def _differ(one: Any, other: Any, tolerance: float = TOLERANCE) -> bool:
    """Tell whether updates differ, relative to the largest of each layer."""
    if isinstance(one, list):
        return any(_differ(a, b, tolerance) for a, b in zip(one, other, strict=True))
    return not bool(np.all(np.abs(one - other) <= tolerance * np.abs(other).max()))
