"""Experience replay weighs what is new and what is old as its papers say."""

import numpy as np
import pytest

from experiments.continual.er import ER
from neurosim.continual_learner import Shape
from neurosim.streams import Batch

SHAPE = Shape(16, 4, (4, 4))


def drawn_batch(n, seed, task):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(256, size=(n, 16)) / np.float32(255)  # As the memory keeps them.
    return Batch(pixels, rng.integers(4, size=n), task)


@pytest.mark.parametrize("tasks_done", [1, 2, 4])
def test_each_task_seen_so_far_has_an_equal_share_of_a_step(tasks_done):
    """van de Ven et al. (2022), Methods: the loss on what is new counts 1 / (tasks so far)."""
    method = ER(hidden=(7,), eta=0.05, per_class=3, by_tasks=True)
    learner = method.begin(SHAPE, np.random.default_rng(0))
    old, new = drawn_batch(12, 1, 0), drawn_batch(20, 2, tasks_done)
    learner.observe(old)
    for task in range(tasks_done):
        learner.end_of_task(task)
    before = [p.copy() for p in learner.network.parameters]
    ways = [learner.gradient(each.x, learner.one_hot(each.y)) for each in (new, old)]
    learner.observe(new)
    share = 1 / (tasks_done + 1)
    for p, was, of_new, of_old in zip(learner.network.parameters, before, *ways, strict=True):
        assert np.abs(of_new - of_old).max() > 1e-3
        np.testing.assert_allclose(
            p - was, 0.05 * (share * of_new + (1 - share) * of_old), atol=1e-6
        )
