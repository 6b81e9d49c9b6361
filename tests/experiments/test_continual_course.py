"""A course of continual learning measures what a learner knows, knew, and knew at once."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from experiments.continual.nearest_class_mean import NearestClassMean
from neurosim.continual import first_samples, live
from neurosim.continual_learner import Method
from neurosim.datasets import ImageSet, load
from neurosim.discovery import members
from neurosim.errors import NumericalError
from neurosim.stream_config import StreamConfig, mammoth
from neurosim.streams import Stream

METHODS = members("experiments.continual", Method)


@dataclass(frozen=True)
class Parrot(Method):
    """Answer with the label seen last."""

    source: ClassVar[str] = "made for this test"

    def begin(self, shape, rng):
        return _Parrot(shape)


class _Parrot:
    def __init__(self, shape):
        self.last, self.n, self.state = 0, shape.n_outputs, {"memory/last": np.zeros(3)}
        self.ended = []

    def observe(self, batch):
        self.last = int(batch.y[-1])

    def end_of_task(self, task):
        self.ended.append(task)

    def predict(self, x):
        return np.tile(np.eye(self.n)[self.last], (len(x), 1))


def test_a_course_measures_what_a_parrot_knows():
    stream = Stream(replace(mammoth("digits"), visits=(0, 1, 0)), 0)
    course = live(stream, Parrot(), np.random.default_rng(0))
    share = np.array(
        [(stream.test(k).y == np.bincount(stream.test(k).y).argmax()).mean() for k in (0, 1)]
    )
    assert ((course.accuracy > 0.3) == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0]]).all()
    assert course.accuracy[:, :2].max() <= share.max() + 1e-9
    assert course.visits == (0, 1, 0) and course.n_bytes == 24 and course.n_bytes_network == 0
    np.testing.assert_array_equal(course.gaps[1:], [1.0, 1.0])  # All of the old is gone.
    assert np.isnan(course.gaps[0])
    assert course.metrics()["acc"] == pytest.approx(course.accuracy[-1, :2].mean())
    assert (course.speed[:, 0] > 0.3).all()  # It knows the class it saw last.
    told = live(
        Stream(replace(mammoth("digits"), scenario="task"), 0), Parrot(), np.random.default_rng(0)
    )
    # Told the task, what is not one of its classes cannot be answered: the first output of two.
    assert (told.accuracy > 0.3).all()


def test_hindsight_is_what_happened_to_a_learner_who_loses_nothing():
    stream = Stream(mammoth("digits"), 0)
    keeps_all = METHODS["nearest_neighbour"](per_class=1000)
    course = live(stream, keeps_all, np.random.default_rng(0))
    np.testing.assert_array_equal(course.hindsight, course.accuracy)
    numbers = course.metrics()
    assert numbers["forgetting"] == numbers["forgetting_in_hindsight"] > 0
    # Within a visit the first images of a new class may confuse more than all of them.
    assert 0 < numbers["stability_gap_in_hindsight"] <= numbers["stability_gap"]
    lost = live(stream, METHODS["none"](), np.random.default_rng(0)).metrics()
    assert lost["forgetting_in_hindsight"] < lost["forgetting"] - 0.1
    shared = live(
        Stream(replace(mammoth("digits"), scenario="domain"), 0), NearestClassMean(),
        np.random.default_rng(0), probe=0,
    )  # fmt: skip
    assert np.isnan(shared.metrics()["forgetting_in_hindsight"])


def test_first_samples_are_so_many_of_each_class():
    stream = Stream(StreamConfig("digits"), 1)
    samples = first_samples(stream, stream.tasks[2], 2, 5)
    labels = np.concatenate([batch.y for batch in samples])
    assert {int(n) for n in np.unique(labels, return_counts=True)[1]} == {5}
    assert set(labels.tolist()) == set(stream.tasks[2].classes)
    digits = load("digits")
    one = ImageSet(
        "one", digits.train_images[:15], digits.train_labels[:15], digits.test_images,
        digits.test_labels,
    )  # fmt: skip
    rare = Stream(StreamConfig("digits"), 1, one)
    assert len(first_samples(rare, rare.tasks[2], 2, 5)) < 10  # There are no more.


def test_scores_that_are_no_numbers_end_the_course():
    class Lost(_Parrot):
        def predict(self, x):
            return np.full((len(x), self.n), np.nan)

    @dataclass(frozen=True)
    class Losing(Parrot):
        """Lose count."""

        def begin(self, shape, rng):
            return Lost(shape)

    with pytest.raises(NumericalError, match="Lost.scores"):
        live(Stream(StreamConfig("digits"), 0), Losing(), np.random.default_rng(0))
