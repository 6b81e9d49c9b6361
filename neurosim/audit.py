"""The locality audit: what a synapse's update depends on, found by intervention.

A small world is set up in which everything that a learner could look at has a value: the two cells,
their neighbours, other layers, labels, the loss, a second phase, the past, the future, the clock.
One quantity is perturbed at a time, where the observed synapse should not see it or where it says
that it does, and its update is computed anew. An honest learner's update does not change by one bit
through anything that it does not declare. Learners of a network are audited by
`neurosim.learner_audit`, in the same words.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neurosim.connectivity import Full
from neurosim.plasticity import PlasticProjection
from neurosim.rule import Rule, arguments

Scene = dict[str, NDArray[np.float64]]
Mask = Callable[[int, int], Any]

N_PRE, N_POST, N_ABOVE, N_BATCH, N_STEPS = 4, 3, 2, 3, 2
DT = 0.01
_OBSERVED = ((0, 0), (0, N_PRE - 1), (N_POST - 1, 1), (1, 2))
_DRAWS = 2
_CLOCKS = ("time", "perf_counter", "monotonic", "process_time")


class Subject(Protocol):
    """What can be audited: a rule, or a learner of a network.

    Attributes
    ----------
    name : str
    declares : frozenset of str
        Signals of `SIGNALS` that it says it uses.
    """

    name: str
    declares: frozenset[str]

    def scene(self, rng: np.random.Generator) -> Scene:
        """Return a world, with the subject's own state in it."""

    def update(self, scene: Scene) -> NDArray[np.float64]:
        """Return what happens to each synapse, ``(n_values, n_post, n_pre)``, from scratch."""


@dataclass(frozen=True)
class Probe:
    """One kind of intervention.

    Parameters
    ----------
    signal : str
        What is perturbed, as it stands in the table.
    places : mapping of str to callable
        By quantity (or beginning of its name), a function of the observed synapse ``(j, i)`` that
        gives the index of the elements to perturb.
    """

    signal: str
    places: Mapping[str, Mask]


def _all(j: int, i: int) -> Any:
    return ...


def _but(axis_of: str) -> Mask:
    """Return the mask of everything but the observed cell or synapse."""

    def mask(j: int, i: int) -> Any:
        shape = {"pre": (N_PRE,), "post": (N_POST,), "synapse": (N_POST, N_PRE)}[axis_of]
        others = np.ones(shape, dtype=bool)
        others[{"pre": (i,), "post": (j,), "synapse": (j, i)}[axis_of]] = False
        return others

    return mask


PROBES = (
    Probe("pre", {"pre": lambda j, i: i}),
    Probe("post", {"post": lambda j, i: j}),
    Probe("own weight", {"weights": lambda j, i: (j, i)}),
    Probe(
        "own trace",
        {
            "pre_trace/": lambda j, i: i,
            "post_trace/": lambda j, i: j,
            "own_trace/": lambda j, i: (j, i),
        },
    ),
    Probe("modulator", {"modulator": _all}),
    Probe("error neuron", {"error": lambda j, i: j}),
    Probe("drive", {"drive": lambda j, i: j}),
    Probe("another presynaptic cell", {"pre": _but("pre"), "pre_trace/": _but("pre")}),
    Probe(
        "another postsynaptic cell",
        {
            "post": _but("post"),
            "error": _but("post"),
            "drive": _but("post"),
            "post_trace/": _but("post"),
        },
    ),
    Probe("another synapse", {"weights": _but("synapse"), "own_trace/": _but("synapse")}),
    Probe("transposed forward weights", {"weights_above": _all}),
    Probe("other layers' weights", {"weights_below": _all}),
    Probe("labels", {"labels": _all}),
    Probe("global loss", {"loss": _all}),
    Probe("batch", {"batch_pre": _all, "batch_post": _all}),
    Probe("second phase", {"second_pre": _all, "second_post": _all}),
    Probe("stored past", {"past_pre": _all, "past_post": _all}),
    Probe("future", {"future_pre": _all, "future_post": _all}),
)
FORBIDDEN = ("hidden state", "clock", "random numbers")
SIGNALS = (*(probe.signal for probe in PROBES), *FORBIDDEN)
LOCAL = frozenset(("pre", "post", "own weight", "own trace", "modulator", "error neuron", "drive"))
_MEANING = {
    "pre": {"pre"},
    "post": {"post"},
    "weights": {"own weight"},
    "trace": {"own trace"},
    "modulator": {"modulator"},
    "error": {"error neuron"},
    "drive": {"drive"},
    # A sum over cells and their synapses, this one among them.
    "explained": {"own weight", "post", "another postsynaptic cell", "another synapse"},
}


@dataclass(frozen=True)
class Audit:
    """What was found of one subject.

    Parameters
    ----------
    name : str
    declared, used : frozenset of str
        Of `SIGNALS`.
    """

    name: str
    declared: frozenset[str]
    used: frozenset[str]

    @property
    def undeclared(self) -> frozenset[str]:
        """Signals that it uses and does not declare: it cheats."""
        return self.used - self.declared

    @property
    def unused(self) -> frozenset[str]:
        """Signals that it declares and does not use."""
        return self.declared - self.used

    @property
    def honest(self) -> bool:
        """Whether it uses exactly what it declares."""
        return self.used == self.declared

    @property
    def local(self) -> bool:
        """Whether it uses nothing but its two cells, itself and broadcast signals."""
        return self.used <= LOCAL


def audit(subject: Subject, seed: int = 0) -> Audit:
    """Perturb everything, one thing at a time, and see what changes.

    Parameters
    ----------
    subject : Subject
        Such as ``RuleSubject(rule)``.
    seed : int
        Draws the world and the perturbations.
    """
    rng = np.random.default_rng(seed)
    scene = subject.scene(rng)
    with as_it_was():
        _update(subject, scene)  # What is built once, such as the loops, is built here.
        base = _update(subject, scene)
        if not np.array_equal(_update(subject, scene), base):
            # What differs by itself cannot be asked what else it depends on.
            return Audit(subject.name, subject.declares, frozenset({"hidden state"}))
        used = {
            probe.signal
            for probe in PROBES
            if any(_changes(subject, scene, base, probe, rng) for _ in range(_DRAWS))
        }
        for signal, world in (("clock", {"clock": 2e9}), ("random numbers", {"seed": 1})):
            if not np.array_equal(_update(subject, scene, **world), base):
                used.add(signal)
        if not np.array_equal(_update(subject, scene), base):
            used.add("hidden state")
    return Audit(subject.name, subject.declares, frozenset(used))


def stage() -> Scene | None:
    """Return the world of the audit in progress.

    It lies open as everything does within one process, for a learner that wants to cheat: an
    audit that hides what it perturbs would prove nothing.
    """
    return _STAGE[-1] if _STAGE else None


_STAGE: list[Scene] = []


def empty_scene(rng: np.random.Generator) -> Scene:
    """Return a world of a layer between two others, everything in it above 0."""
    shapes = {
        "pre": (N_PRE,),
        "post": (N_POST,),
        "weights": (N_POST, N_PRE),
        "modulator": (),
        "error": (N_POST,),
        "drive": (N_POST,),
        "weights_above": (N_ABOVE, N_POST),
        "weights_below": (N_PRE, N_PRE),
        "labels": (N_ABOVE,),
        "loss": (),
        "batch_pre": (N_BATCH, N_PRE),
        "batch_post": (N_BATCH, N_POST),
        "second_pre": (N_PRE,),
        "second_post": (N_POST,),
        "past_pre": (N_STEPS, N_PRE),
        "past_post": (N_STEPS, N_POST),
        "future_pre": (N_STEPS, N_PRE),
        "future_post": (N_STEPS, N_POST),
    }
    return {name: np.asarray(0.2 + rng.random(shape)) for name, shape in shapes.items()}


class RuleSubject:
    """A synaptic rule before the audit, run by the loops of `PlasticProjection`, interpreted.

    Parameters
    ----------
    rule : Rule
    """

    def __init__(self, rule: Rule) -> None:
        self.rule, self.name = rule, type(rule).__name__
        self.declares = frozenset().union(*(_MEANING[signal] for signal in rule.knows))
        self._sides = {
            **dict.fromkeys(rule.pre_traces, "pre_trace"),
            **dict.fromkeys(rule.post_traces, "post_trace"),
            **dict.fromkeys(rule.own_traces, "own_trace"),
        }

    def scene(self, rng: np.random.Generator) -> Scene:
        """Return a world with the rule's traces in it."""
        scene = empty_scene(rng)
        shapes = {"pre_trace": (N_PRE,), "post_trace": (N_POST,), "own_trace": (N_POST, N_PRE)}
        for name, side in self._sides.items():
            scene[f"{side}/{name}"] = 0.2 + rng.random(shapes[side])
        return scene

    def update(self, scene: Scene) -> NDArray[np.float64]:
        """Live through the past, then take one step from the state of the scene.

        Returns
        -------
        (n_values, n_post, n_pre) float64
            The change of the weight, then the next value of every trace that the synapse sees.
        """
        projection = self._projection(scene, "interpreted")
        for pre, post in zip(scene["past_pre"], scene["past_post"], strict=True):
            self._step(projection, scene, pre, post)
        projection = self._projection(scene, "bare")
        for name, side in self._sides.items():
            given = scene[f"{side}/{name}"]
            projection.traces[name][...] = given.T if given.ndim == 2 else given
        self._step(projection, scene, scene["pre"], scene["post"])
        values = [] if self.rule.acts_on == "cell" else [projection.weights.T]
        for name, side in self._sides.items():
            trace = projection.traces[name]
            values.append(trace[:, None] if side == "post_trace" else trace.T)
        return np.stack([np.broadcast_to(each, (N_POST, N_PRE)) for each in values])

    def _projection(self, scene: Scene, manner: Any) -> PlasticProjection:
        return PlasticProjection(
            Full(N_PRE, N_POST), self.rule, scene["weights"], dt=DT, manner=manner
        )

    def _step(self, projection: PlasticProjection, scene: Scene, pre: Any, post: Any) -> None:
        wanted = {name for formula in self.rule.formulas() for name in arguments(formula)}
        error, drive = (scene[name] if name in wanted else None for name in ("error", "drive"))
        projection.learn(pre, post, float(scene["modulator"]), error, drive)


def _changes(
    subject: Subject,
    scene: Scene,
    base: NDArray[np.float64],
    probe: Probe,
    rng: np.random.Generator,
) -> bool:
    """Tell whether a perturbation reaches the update of a synapse that it is aimed at."""
    everywhere = all(mask is _all for mask in probe.places.values())
    for j, i in _OBSERVED:
        changed = {name: np.array(values) for name, values in scene.items()}
        touched = False
        for name, values in changed.items():
            for key, mask in probe.places.items():
                if name == key or (key.endswith("/") and name.startswith(key)):
                    part = values[mask(j, i)]
                    values[mask(j, i)] = 0.1 + 1.5 * rng.random(np.shape(part))
                    touched = True
        if not touched:
            return False
        after = _update(subject, changed)
        if everywhere:
            return not np.array_equal(after, base)
        if not np.array_equal(after[:, j, i], base[:, j, i]):
            return True
    return False


def _update(
    subject: Subject, scene: Scene, clock: float = 1e9, seed: int = 0
) -> NDArray[np.float64]:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    _STAGE.append(scene)
    try:
        with stopped_clock(clock):
            return subject.update({name: values.copy() for name, values in scene.items()})
    finally:
        _STAGE.pop()


@contextlib.contextmanager
def stopped_clock(now: float) -> Iterator[None]:
    """Let every clock of Python's show the same time, `now` [s], within a ``with``."""
    plain = {name: getattr(time, name) for each in _CLOCKS for name in (each, f"{each}_ns")}
    for name in plain:
        value = int(now * 1e9) if name.endswith("_ns") else now
        setattr(time, name, lambda value=value: value)
    try:
        yield
    finally:
        for name, function in plain.items():
            setattr(time, name, function)


@contextlib.contextmanager
def as_it_was() -> Iterator[None]:
    """Give the global generators back as they were."""
    plain, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(plain)
        np.random.set_state(numpy_state)  # noqa: NPY002
