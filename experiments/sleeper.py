"""A brain over images at work and asleep: maps, hippocampus, cortex, and the state between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from circuits.bidirectional import BidirectionalConfig
from circuits.entorhinal_sheet import EntorhinalSheet
from circuits.feature_maps import FeatureMaps
from circuits.night import Night
from circuits.night_report import DawnReport
from circuits.predictive_cortex import PredictiveCortex
from circuits.predictive_cortex_config import PredictiveCortexConfig
from experiments.backprop_cortex import BackpropCortex
from neurosim.batches import checked_batch, checked_images
from neurosim.continual_learner import CLOCK, Shape
from neurosim.errors import InputError
from neurosim.optimisers import Optimiser
from neurosim.randomness import Streams, generator_state, restore_generator
from neurosim.representation import Replayed
from neurosim.streams import Batch

if TYPE_CHECKING:
    from experiments.continual.sleeping import Sleeping

Array = NDArray[np.float32]


class Sleeper:
    """Maps, hippocampus and cortex at work, and asleep.

    Parameters
    ----------
    method : Sleeping
    shape : Shape
    rng : numpy.random.Generator

    Attributes
    ----------
    nights : int
        Those that are over.
    dawns : list of DawnReport
    on_step : callable, optional
        Called after each step of a night with its number, from 1, by whoever looks on.
    """

    def __init__(self, method: Sleeping, shape: Shape, rng: np.random.Generator) -> None:
        self.method, self.shape, self.rng = method, shape, rng
        maps = FeatureMaps(method.maps(shape), shape.image_shape, rng)
        extent, stride = (2, 1) if min(maps.grid) < 6 else (3, 2)
        self.sheet = EntorhinalSheet(maps, extent, stride)
        self.hippocampus = method.hippocampus(self.sheet, shape.n_outputs, extent, stride, rng)
        self.streams = Streams(int(rng.integers(1 << 31)))
        network = BidirectionalConfig(
            (self.sheet.n_cells, *method.hidden, shape.n_outputs),
            optimiser=Optimiser("adam", eta=method.eta),
        )
        cortex = BackpropCortex if method.cortex == "backprop" else PredictiveCortex
        self.cortex = cortex(
            PredictiveCortexConfig(
                network,
                covered=0.0,
                variety=method.variety,
                styles=method.styles,
                dream_weight=method.dream_weight,
                recognition=method.recognition,
                capture=method.capture and max(1.0, method.capture * method.night.n_steps),
                seed=self.streams.seed_for("cortex"),
            )  # fmt: skip
        )
        self.nights = 0
        self.dawns: list[DawnReport] = []
        self.tired = 0
        self.on_step: Callable[[int], None] | None = None

    # By day

    def observe(self, batch: Batch) -> None:
        """Develop, or write; and fall asleep when it is time."""
        batch = checked_batch(batch, self.shape)
        self.wake()
        maps = self.sheet.maps
        used = 0 if maps.mature else maps.develop(batch.x)
        fresh = 0
        if used < len(batch.y):
            fresh = self.hippocampus.experience(self.sheet.encode(batch.x[used:]), batch.y[used:])
        # Images that only the fields saw are samples, too: a day is as long whatever the batch.
        self.tired += {"samples": len(batch.y), "fatigue": fresh}.get(self.method.bedtime, 0)
        if self.tired >= self.method.day:
            over = self.tired - self.method.day if self.method.bedtime == "samples" else 0
            self.sleep()
            self.tired = over  # A batch that ends past bedtime does not put off the next night.

    def end_of_task(self, task: int) -> None:
        """Sleep, where a night follows every task; leave no cell of a single image in any case."""
        self.wake()
        if self.method.bedtime == "task":
            self.sleep()
        else:
            self.hippocampus.settle()

    def predict(self, x: Array) -> Array:
        """Return the cortex's scores; the hippocampus has no say."""
        return self.cortex.scores(self._seen(x))

    def remember(self, x: Array) -> Array:
        """Return what the hippocampus alone would say, ``(n, n_outputs)``."""
        return self.hippocampus.evidence(self.sheet.encode(checked_images(x, self.shape)))

    # Looked at from outside

    def regions(self, x: Array) -> Mapping[str, NDArray[Any]]:
        """Return the rates on the sheet and in the cortex, and in the gyrus and CA3.

        What a sheet is in CA3: where the cells that it drives settle, of the class it is taken for.
        The last two only if every class has been met in every lamella.
        """
        gyrus, net = self.hippocampus.gyrus, self.cortex.network
        sheets = self.sheet.encode(checked_images(x, self.shape))
        levels = sheets.astype(np.float32) / np.float32(255)
        hidden = [net.activity(k, v)[0] for k, v in enumerate(net.sweep(levels))]
        rates = {"ec": sheets.astype(np.float32), "cortex": np.maximum(hidden[1], 0)}
        if not gyrus.wins.any(axis=2).all():
            return rates
        activity = levels.reshape(-1, *self.sheet.shape)
        distances = gyrus.distances(activity, np.arange(gyrus.n_lamellae))
        winners = distances.reshape(*distances.shape[:2], -1).argmin(axis=2)
        named = distances.min(axis=3).sum(axis=1).argmin(axis=1)
        own = distances[np.arange(len(sheets)), :, named].argmin(axis=2)
        settled = self.hippocampus.ca3.settle(named, own, gyrus.wins)
        cells = gyrus.config.cells
        first = np.arange(gyrus.n_lamellae) * gyrus.config.n_classes * cells
        for region, code in (("dg", winners), ("ca3", named[:, None] * cells + settled)):
            rates[region] = np.zeros((len(sheets), gyrus.n_units), np.float32)
            rates[region][np.arange(len(sheets))[:, None], first + code] = 1
        return rates

    def replay(self, n: int, rng: np.random.Generator) -> Replayed:
        """Return the sheets and classes of CA3's bursts.

        Besides: ``agreement`` and ``trusted``, the mean share of synapses that agree with a burst,
        and the share of bursts that teach.
        """
        bursts = self.hippocampus.replay(n, rng, 0.2)
        if not bursts:
            return Replayed(np.zeros((0, self.sheet.n_cells), np.uint8), np.zeros(0, np.int64))
        drawn = np.array([list(burst.items) for burst in bursts], np.uint8)
        confidence = np.array([burst.confidence for burst in bursts])
        numbers = {
            "agreement": float(confidence.mean()),
            "trusted": float((confidence >= self.method.night.confidence).mean()),
        }
        return Replayed(drawn[:, :-1], drawn[:, -1].astype(np.int64), self.sheet.encode, numbers)

    # By night

    def sleep(self) -> None:
        """Sleep a whole night."""
        for _ in self.night():
            pass

    def night(self) -> Iterator[int]:
        """Sleep a night, cycle by cycle; what is left of it when it is broken off ends in `wake`.

        Yields
        ------
        int
            The number of the cycle that is over.
        """
        self.tired = 0
        self.hippocampus.settle()
        if not self.hippocampus.gauge().n_items:
            return
        night = self._night()
        if not self.cortex.growing:
            self.cortex.network.moments.clear()
        night.begin()
        for number in range(1, self.method.night.cycles + 1):
            night.cycle(number)
            yield number
        self.wake()

    def wake(self) -> None:
        """Let a night that was broken off end: at dawn what it has written is kept.

        A stream that ends mid-night leaves a cortex that is growing; it answers with what it has
        learnt so far, and whoever goes on with it first lets the night end.
        """
        if not self.cortex.growing:
            return
        self.dawns.append(self._night().dawn())
        self.cortex.network.moments.clear()
        self.nights += 1

    @property
    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return fields, hippocampus and cortex, and under ``memory/clock`` what time it is.

        An optimiser's moments, tags and the cortex of dusk only during a night: they are gone by
        morning.
        """
        kept = {**self.sheet.maps.state, **self.hippocampus.state}
        own: dict[str, NDArray[Any]] = {f"memory/{name}": array for name, array in kept.items()}
        for name, array in self.cortex.state.items():
            if name == "seed":
                own[f"{CLOCK}cortex_seed"] = array
            elif not name.startswith(("moments/", "n_steps", "dusk/", "tagged/")):
                own[f"network/{name}"] = array
            elif self.cortex.growing:
                own[f"memory/{name}"] = array
        return own | {CLOCK + name: array for name, array in self._clock.items()}

    @property
    def _clock(self) -> dict[str, NDArray[Any]]:
        """Return the numbers that are no synapses, and without which it cannot go on the same."""
        return {
            "generator": generator_state(self.rng),  # Maps and gyrus draw from the same.
            "seed": np.array([self.streams.seed]),
            "nights_and_tired": np.array([self.nights, self.tired]),
            "dawns": np.array([astuple(dawn) for dawn in self.dawns], float).reshape(-1, 6),
            **self.sheet.maps.growth,
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state back: it goes on bit for bit as the one that was saved would have.

        Raises
        ------
        InputError
            When an array is missing or of another shape.
        """
        clock = {k.removeprefix(CLOCK): v for k, v in state.items() if k.startswith(CLOCK)}
        missing = [name for name in (*self._clock, "cortex_seed") if name not in clock]
        if missing:
            raise InputError.expected(
                self, CLOCK + missing[0], "an array", None,
                "restore a state of the same configuration",
            )  # fmt: skip
        memory, network = (
            {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}
            for start in ("memory/", "network/")
        )
        self.sheet.maps.restore({**memory, **clock})
        self.hippocampus.restore(memory)
        growing = any(name.startswith("dusk/") for name in memory)
        if not growing:  # Between nights an optimiser is as it was at birth.
            self.cortex.network.moments.clear()
            memory = {**memory, **self.cortex.network.moments.state}
        self.cortex.restore({**memory, **network, "seed": clock["cortex_seed"]})
        restore_generator(self.rng, clock["generator"])
        self.streams = Streams(int(clock["seed"][0]))
        self.nights, self.tired = (int(n) for n in clock["nights_and_tired"])
        self.dawns = [
            DawnReport(bool(merged), drift, int(seen), int(kept), int(gone), freed)
            for merged, drift, seen, kept, gone, freed in clock["dawns"].tolist()
        ]

    def _seen(self, x: Array) -> Array:
        images = checked_images(x, self.shape)
        levels: Array = self.sheet.encode(images).astype(np.float32) / np.float32(255)
        return levels

    def _night(self) -> Night:
        config = self.method.night
        if self.method.first_only and self.nights:
            config = replace(config, lessons_per_step=0)
        number = self.nights + 1
        return Night(self.hippocampus, self.cortex, config, self.streams, number, self.on_step)
