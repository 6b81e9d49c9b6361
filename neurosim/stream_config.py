"""Which images of a stream come when: the settings, and those of published protocols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from neurosim.errors import ConfigError, nearest_name

Kind = Literal["split", "permuted"]
Scenario = Literal["class", "domain", "task"]
Boundaries = Literal["sharp", "fuzzy", "none"]


@dataclass(frozen=True)
class StreamConfig:
    """Which images come when, and under which labels.

    Parameters
    ----------
    dataset : str
        "digits", "mnist" or "fashion".
    kind : str
        "split": each task holds classes of its own; "permuted": each holds all classes, its pixels
        shuffled in a way of its own (the first task's are not).
    scenario : str
        "class": one output a class of all tasks, no task is told; "domain": the tasks share their
        outputs; "task": as "class", but the task is told at test.
    n_tasks : int
        Split: divides the number of classes.
    boundaries : str
        "sharp": tasks are told apart while learning; "fuzzy": neighbours blend within `width` of a
        boundary; "none": every task comes and goes like a wave. With the last two no task is told.
    width : float [tasks]
        Half of the blend of fuzzy boundaries, at most 0.5.
    batch : int
        Images at a time; 1 or 10 for online learning.
    epochs : int
        Times that a task's images are seen; 1 is a single pass.
    iterations : int
        Batches a task instead of epochs, drawn from its images as often as it takes; 0 for none.
    shuffle : bool
        Whether classes are assigned to tasks by the seed, or in their order.
    padding : int [pixels]
        Black border added on each side.
    validation : float
        Share of each class's training images kept from the stream, for tuning.
    shares : tuple of float
        Share of each class's training images in the stream, for unbalanced streams; empty for all.
        At least one image of a class with a share above 0 stays.
    visits : tuple of int
        Tasks in the order they come, repeats allowed; empty for each once. Not with fuzzy or no
        boundaries.
    n_outputs : int
        Of the learner; 0 for as many as the scenario needs.

    Raises
    ------
    ConfigError
        For names, sizes or combinations that make no stream.
    """

    dataset: str = "mnist"
    kind: Kind = "split"
    scenario: Scenario = "class"
    n_tasks: int = 5
    boundaries: Boundaries = "sharp"
    width: float = 0.25
    batch: int = 10
    epochs: int = 1
    iterations: int = 0
    shuffle: bool = True
    padding: int = 0
    validation: float = 0.0
    shares: tuple[float, ...] = ()
    visits: tuple[int, ...] = ()
    n_outputs: int = 0

    def __post_init__(self) -> None:
        for field, kinds in (("kind", Kind), ("scenario", Scenario), ("boundaries", Boundaries)):
            name, known = getattr(self, field), get_args(kinds)
            if name not in known:
                near = nearest_name(str(name), known)
                mend = f"did you mean '{near}'?" if near else "choose one of them"
                raise ConfigError.expected(self, field, " or ".join(known), name, mend)
        for field, least in (("n_tasks", 1), ("batch", 1), ("epochs", 1), ("iterations", 0)):
            if getattr(self, field) < least:
                raise ConfigError.expected(
                    self, field, f"{least} or more", getattr(self, field), "leave it out"
                )
        if min(self.padding, self.n_outputs) < 0:
            raise ConfigError.expected(
                self, "padding", "padding and n_outputs of 0 or more",
                (self.padding, self.n_outputs), "leave them out",
            )  # fmt: skip
        if not 0.0 <= self.validation < 1.0:
            raise ConfigError.expected(
                self, "validation", "a share from 0 to below 1", self.validation, "try 0.1"
            )
        if not 0.0 < self.width <= 0.5:
            raise ConfigError.expected(
                self, "width", "above 0 and at most 0.5 tasks", self.width, "try 0.25"
            )
        if any(not 0.0 <= share <= 1.0 for share in self.shares):
            raise ConfigError.expected(
                self, "shares", "shares from 0 to 1", self.shares, "give one a class"
            )
        if any(not 0 <= visit < self.n_tasks for visit in self.visits):
            raise ConfigError.expected(
                self, "visits", f"tasks from 0 to {self.n_tasks - 1}", self.visits, "leave it out"
            )
        if self.boundaries != "sharp" and (self.visits or self.iterations or self.epochs > 1):
            raise ConfigError.expected(
                self, "boundaries", "'sharp' with visits, iterations or epochs", self.boundaries,
                "let each image come once, or keep the boundaries sharp",
            )  # fmt: skip


def van_de_ven(dataset: str = "mnist", scenario: Scenario = "class") -> StreamConfig:
    """Return Split-MNIST as van de Ven and colleagues use it.

    Five tasks of two classes, the order of classes by the seed; batches of 128, 2,000 iterations a
    task. (Beside it: 784-400-400-10 ReLU, Adam at 0.001.)

    References
    ----------
    van de Ven, Tuytelaars & Tolias (2022) Nat. Mach. Intell. 4:1185; repository
    GMvandeVen/continual-learning, ``params/param_values.py``.
    """
    return StreamConfig(dataset, scenario=scenario, batch=128, iterations=2000)


def van_de_ven_permuted(scenario: Scenario = "domain", n_tasks: int = 10) -> StreamConfig:
    """Return Permuted MNIST as van de Ven and colleagues use it: 32 x 32, 5,000 iterations of 128.

    (Beside it: two layers of 1,000, Adam at 0.0001.)

    References
    ----------
    As `van_de_ven`.
    """
    return StreamConfig(
        "mnist", "permuted", scenario, n_tasks, batch=128, iterations=5000, padding=2
    )


def mammoth(dataset: str = "mnist", scenario: Scenario = "class") -> StreamConfig:
    """Return ``seq-mnist`` of Mammoth: five tasks in the order 0..9, one pass, batches of 10.

    (Beside it: 784-100-100-10 ReLU, SGD.)

    References
    ----------
    Buzzega, Boschini, Porrello, Abati & Calderara (2020) NeurIPS, Dark experience; repository
    aimagelab/mammoth, ``utils/best_args.py``, "seq-mnist".
    """
    return StreamConfig(dataset, scenario=scenario, shuffle=False)
