"""How far each learner comes on images: the same network and order, each by its own protocol."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from experiments.comparison import Measured, check_names, compare, record
from neurosim import datasets
from neurosim.errors import ConfigError
from neurosim.hdf5 import Arrays
from neurosim.learner import Learner
from neurosim.metrics import Interval, mean_interval
from neurosim.network import Network, NetworkConfig
from neurosim.optimisers import Optimiser
from neurosim.plotting import colour, label
from neurosim.predictive_coding import Inference
from neurosim.randomness import Streams
from neurosim.recorder import Recorder
from neurosim.training import cosine, train
from rules.backprop import Backprop
from rules.difference_target_propagation import DifferenceTargetPropagation
from rules.direct_feedback_alignment import DirectFeedbackAlignment
from rules.equilibrium_propagation import EquilibriumPropagation
from rules.feedback_alignment import FeedbackAlignment
from rules.forward_forward import ForwardForward
from rules.ipc import IncrementalPredictiveCoding
from rules.pc import PredictiveCoding
from rules.prospective import ProspectiveConfiguration
from rules.sign_symmetry import SignSymmetry
from rules.softhebb_layers import SoftHebbLayers
from rules.zil import ZeroDivergence

SOURCES = ("mnist", "fashion", "digits")


class Protocol(NamedTuple):
    """How a learner is trained.

    Parameters
    ----------
    learner : Learner
    n_epochs : int
    batch : int
    hidden : tuple of int
        Units of each hidden layer; inputs and outputs follow from the images.
    network : NetworkConfig
        All but its sizes.
    schedule : callable
        As for `neurosim.training.train`.
    """

    learner: Learner
    n_epochs: int
    batch: int
    hidden: tuple[int, ...] = (256, 256)
    network: NetworkConfig = NetworkConfig()
    schedule: Callable[[float], float] = cosine


def adam(eta: float) -> Optimiser:
    """Return Adam with a learning rate and its usual moments."""
    return Optimiser("adam", eta=eta)


TANH = NetworkConfig(activation="tanh")
SIGMOID = NetworkConfig(activation="sigmoid", initial="kaiming_uniform")

# Whoever adds a learner adds a line. Settings were chosen on validation images, never on test ones.
PROTOCOLS: Mapping[str, Protocol] = {
    "backprop": Protocol(Backprop(optimiser=adam(1e-3)), 8, 64),
    "feedback_alignment": Protocol(FeedbackAlignment(optimiser=adam(2e-3)), 8, 64, network=TANH),
    "direct_feedback_alignment": Protocol(
        DirectFeedbackAlignment(optimiser=adam(2e-3)), 8, 64, network=TANH
    ),
    "sign_symmetry": Protocol(SignSymmetry(optimiser=adam(1e-3)), 8, 64),
    "difference_target_propagation": Protocol(
        DifferenceTargetPropagation(
            optimiser=adam(2e-3), inverse=adam(2e-3), noise=0.3, target_step=1.0
        ),
        8,
        64,
        network=TANH,
    ),
    # With gentle slopes the net has one equilibrium: on validation images better than tanh.
    "equilibrium_propagation": Protocol(
        EquilibriumPropagation(optimiser=adam(3e-3), n_free=5, n_nudged=3), 8, 64, network=SIGMOID
    ),
    # One pass; wider, since each cell stands for one kind of image.
    "softhebb_layers": Protocol(
        SoftHebbLayers(optimiser=Optimiser("sgd", eta=2.0), readout_rate=20.0),
        1,
        16,
        hidden=(2000,),
    ),
    # Each layer needs room for its own goodness; the paper's net is 4 x 2000, for 60 epochs.
    "forward_forward": Protocol(
        ForwardForward(optimiser=adam(2e-3), steepness=25.0, negatives="hard"),
        8,
        128,
        hidden=(500, 500),
    ),
    # The paper's width. Where all layers went at one rate, those above ran ahead of the first, and
    # each was kept from rest by those below.
    "forward_forward_wide": Protocol(
        ForwardForward(
            optimiser=adam(4e-3), steepness=25.0, negatives="hard", upper_rate=1 / 8, lead=0.12
        ),
        6,
        128,
        hidden=(2000,) * 4,
    ),
    # Batches of 64, as for backprop: on validation images half a point better than 128.
    "pc": Protocol(PredictiveCoding(optimiser=adam(1e-3), inference=Inference(8, 0.1)), 8, 64),
    "ipc": Protocol(
        # Five steps a batch: moments of the usual length in batches.
        IncrementalPredictiveCoding(
            optimiser=Optimiser("adam", 3e-4, beta1=0.9**0.2, beta2=0.999**0.2),
            inference=Inference(5, 0.3),
        ),
        8,
        64,
    ),
    # By a search of twelve trials for each of these: docs/results/predictive_coding.md.
    "backprop_searched": Protocol(
        Backprop(optimiser=Optimiser("adam", 2.83e-3, decay=0.00924)), 8, 32
    ),
    "pc_searched": Protocol(
        PredictiveCoding(
            optimiser=Optimiser("adam", 1.06e-3, decay=0.14),
            inference=Inference(12, 0.148, nudge=0.84),
        ),
        8,
        32,
    ),
    "ipc_searched": Protocol(
        IncrementalPredictiveCoding(
            optimiser=Optimiser(
                "adam", 1.06e-3 / 6, beta1=0.9 ** (1 / 6), beta2=0.999 ** (1 / 6), decay=0.14
            ),
            inference=Inference(6, 0.148, nudge=0.84),
        ),
        8,
        32,
    ),
    "zil": Protocol(ZeroDivergence(optimiser=adam(1e-3)), 10, 128),
    "prospective": Protocol(
        ProspectiveConfiguration(
            optimiser=adam(1e-3),
            inference=Inference(n_steps=32, step=0.2, halve=True, tolerance=1e-2),
        ),
        10,
        128,
    ),
}

# Only where they are named: minutes a seed, or a second protocol of a learner.
BY_NAME = ("forward_forward_wide", "backprop_searched", "pc_searched", "ipc_searched")

BAR = "this project's bar, MNIST, 784-256-256-10"
expected = {
    "accuracy_backprop": (0.980, BAR),
    "accuracy_feedback_alignment": (0.975, BAR),
    "accuracy_direct_feedback_alignment": (0.975, BAR),
    "accuracy_difference_target_propagation": (0.975, BAR),
    "accuracy_equilibrium_propagation": (0.975, BAR),
    "accuracy_forward_forward": (0.965, "this project's bar, MNIST, a width of its own"),
    "accuracy_forward_forward_wide": (0.965, "this project's bar, MNIST, 784 - 4 x 2000 - 10"),
    "accuracy_softhebb_layers": (0.95, "this project's bar, MNIST, one pass, a width of its own"),
    "accuracy_pc": (0.977, f"{BAR}: within 0.3 of backprop's"),
    "accuracy_ipc": (0.977, f"{BAR}: within 0.3 of backprop's"),
}


@dataclass(frozen=True)
class Config:
    """What is learnt, by whom, how often.

    Parameters
    ----------
    source : str
        Of `SOURCES`; "mnist" and "fashion" need NEUROSIM_DATA, "digits" comes with scikit-learn.
    arms : tuple of str
        Learners, of `PROTOCOLS`; all but those of `BY_NAME` by default.
    seeds : tuple of int
        Each draws other weights and another order, the same for every learner.
    n_train : int
        Training images, the first of the set; 0 for all.
    n_validation : int
        Training images, the last of the set, that are examined in place of the test images, and not
        learnt: for the choice of settings. 0 to examine the test images.
    n_epochs : int
        In place of the protocol's; 0 for the protocol's.
    eta : float
        In place of the protocol's learning rate; 0 for the protocol's.
    workers : int
        Processes at a time; 0 for one a processor.
    """

    source: str = "mnist"
    arms: tuple[str, ...] = tuple(name for name in PROTOCOLS if name not in BY_NAME)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    n_train: int = 0
    n_validation: int = 0
    n_epochs: int = 0
    eta: float = 0.0
    workers: int = 0

    def __post_init__(self) -> None:
        check_names(self, "source", (self.source,), SOURCES)
        check_names(self, "arms", self.arms, tuple(PROTOCOLS))
        for field in ("n_train", "n_validation", "n_epochs", "eta"):
            if getattr(self, field) < 0:
                raise ConfigError.expected(
                    self, field, "0 or more", getattr(self, field), "leave it out"
                )


class Split(NamedTuple):
    """What is learnt and what is examined.

    Parameters
    ----------
    x, x_test : (n_images, n_pixels) float32
        Grey values from 0 to 1.
    y, y_test : (n_images,) int
    """

    x: NDArray[np.float32]
    y: NDArray[np.intp]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.intp]


def images(config: Config) -> Split:
    """Return the images of a configuration.

    Raises
    ------
    ConfigError
        When fewer images are there than are asked for.
    """
    loaded = datasets.load(config.source)
    x, x_test = (
        each.reshape(len(each), -1).astype(np.float32) / np.float32(255)
        for each in (loaded.train_images, loaded.test_images)
    )
    y, y_test = (each.astype(np.intp) for each in (loaded.train_labels, loaded.test_labels))
    if config.n_validation:
        cut = len(x) - config.n_validation
        if cut < 1:
            raise ConfigError.expected(
                config, "n_validation", f"less than {len(x)} images", config.n_validation,
                "leave some to learn",
            )  # fmt: skip
        x, x_test, y, y_test = x[:cut], x[cut:], y[:cut], y[cut:]
    if config.n_train > len(x) or not len(x):
        raise ConfigError.expected(
            config, "n_train", f"at most {len(x)} images", config.n_train, "use fewer"
        )
    x, y = x[: config.n_train or None], y[: config.n_train or None]
    return Split(x, y, x_test, y_test)


def run_arm(config: Config, arm: str, seed: int) -> Arrays:
    """Train one learner at one seed and examine it once, at the end.

    Returns
    -------
    dict of str to ndarray
        ``accuracy``, the share of examined images that are named right; ``loss (n_epochs,)``, what
        the learner minimises, a mean over each epoch; ``seconds``, CPU time of learning [s];
        ``bytes_per_synapse`` of the learner's state [B].
    """
    protocol, split, streams = PROTOCOLS[arm], images(config), Streams(seed)
    learner = protocol.learner
    if config.eta:
        learner = replace(learner, optimiser=replace(learner.optimiser, eta=config.eta))
    sizes = (split.x.shape[1], *protocol.hidden, 10)
    network = Network(replace(protocol.network, sizes=sizes), streams.generator("weights"))
    memory = learner.begin(network, streams.generator("learner"))
    n_epochs = config.n_epochs or protocol.n_epochs
    order, start = streams.generator("order"), time.process_time()
    epochs = train(
        learner, network, memory, split.x, split.y, n_epochs, protocol.batch, order,
        protocol.schedule,
    )  # fmt: skip
    losses = list(epochs)
    seconds = time.process_time() - start
    answers = learner.output(network, memory, split.x_test).argmax(axis=1)
    return {
        "accuracy": np.array((answers == split.y_test).mean()),
        "loss": np.array(losses),
        "seconds": np.array(seconds),
        "bytes_per_synapse": np.array(learner.state_bytes_per_synapse(network, memory)),
    }


@dataclass(frozen=True)
class Result:
    """All learners at all seeds.

    Parameters
    ----------
    config : Config
    measured : dict of str to dict of str to ndarray
        By learner and by name: what `run_arm` returns, ``(n_seeds, ...)``.
    """

    config: Config
    measured: Measured

    def accuracy(self, arm: str) -> Interval:
        """Return the mean accuracy of a learner over seeds, with its 95 % interval."""
        return mean_interval(self.measured[arm]["accuracy"])

    def metrics(self) -> dict[str, float]:
        """Return the flat numbers of the command's ``--json``."""
        numbers: dict[str, float] = {"n_seeds": len(self.config.seeds)}
        for arm, measured in self.measured.items():
            interval = self.accuracy(arm)
            numbers[f"accuracy_{arm}"] = interval.mean
            numbers[f"accuracy_{arm}_low"] = interval.low
            numbers[f"accuracy_{arm}_high"] = interval.high
            numbers[f"seconds_{arm}"] = float(measured["seconds"].mean())
            numbers[f"bytes_per_synapse_{arm}"] = float(measured["bytes_per_synapse"].mean())
        return numbers


def run(
    config: Config,
    rng: np.random.Generator | None = None,
    recorder: Recorder | None = None,
    tick: Callable[[], object] = lambda: None,
    shelf: Path | None = None,
) -> Result:
    """Train every learner at every seed, in processes of one thread each.

    Parameters
    ----------
    config : Config
    rng : numpy.random.Generator, optional
        Not used: each run draws from its own seed, so that learners can be compared.
    recorder : Recorder, optional
    tick : callable
        Called after each run.
    shelf : Path, optional
        Folder in which the runs that are finished outlive an interruption.

    Raises
    ------
    InputError
        When the images are nowhere.
    """
    images(config)  # Missing ones are told before any process starts.
    result = Result(config, compare(run_arm, config, tick, shelf))
    if recorder is not None:
        record(result.measured, recorder, {"loss": ("epoch",)})
    return result


def plot(result: Result, axes: Axes) -> None:
    """Draw each learner's accuracy: every seed, the mean and its 95 % interval, and the bar."""
    bars = result.config.source == "mnist" and not result.config.n_validation
    for row, (arm, measured) in enumerate(result.measured.items()):
        interval = result.accuracy(arm)
        percent = 100 * measured["accuracy"]
        once = "" if row else "one seed"
        axes.plot(
            percent, np.full(len(percent), row + 0.28), ".", color="0.6", markersize=5, label=once
        )
        half = 100 * (interval.high - interval.mean) if len(percent) > 1 else 0.0
        axes.errorbar(
            100 * interval.mean, row, xerr=half, fmt="o", color=colour(arm), capsize=3, markersize=6
        )
        if bars and f"accuracy_{arm}" in expected:
            bar = 100 * expected[f"accuracy_{arm}"][0]
            name = "" if "the bar" in axes.get_legend_handles_labels()[1] else "the bar"
            axes.plot([bar, bar], [row - 0.3, row + 0.3], color="black", linewidth=1.5, label=name)
    names = [arm.replace("_", " ") for arm in result.measured]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    seeds = ", ".join(str(seed) for seed in result.config.seeds)
    axes.set_title(f"{result.config.source}, seeds {seeds}", fontsize=10)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower left", fontsize=8)
    label(axes.xaxis, "accuracy", "%")
