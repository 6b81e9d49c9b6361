"""A-GEM projects as its paper says, and steps as the code of van de Ven et al. does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.class_incremental import Config
from experiments.continual.a_gem import project
from neurosim.continual_learner import Shape
from neurosim.streams import Batch

SHAPE = Shape(64, 10, (8, 8))


def test_a_projected_step_does_not_harm_the_memories_and_is_the_nearest():
    rng = np.random.default_rng(0)
    way, memory = ([rng.normal(size=(3, 4)), rng.normal(size=3)] for _ in range(2))
    flat = [np.concatenate([a.ravel() for a in each]) for each in (way, memory)]
    if flat[0] @ flat[1] > 0:
        memory, flat[1] = [-a for a in memory], -flat[1]
    got = np.concatenate([a.ravel() for a in project(way, memory)])
    assert got @ flat[1] == pytest.approx(0, abs=1e-6)
    # The rest is untouched: the change is along the memories' direction only.
    change = got - flat[0]
    assert abs(change @ flat[1]) == pytest.approx(np.linalg.norm(change) * np.linalg.norm(flat[1]))
    kept = project(way, [-a for a in memory])
    assert all(a is b for a, b in zip(kept, way, strict=True))


def test_van_de_vens_steps_are_those_of_autograd_and_adam():
    # All that is kept is drawn: a draw's order changes no mean.
    method = replace(Config(protocol="van_de_ven").method("A-GEM 100"), draw=1000)
    learner = method.begin(SHAPE, np.random.default_rng(0))
    rng = np.random.default_rng(1)
    prototypes = rng.random((10, 64))
    layers = [torch.nn.Parameter(torch.from_numpy(p.copy())) for p in learner.network.parameters]
    adam = torch.optim.Adam(layers, lr=1e-3, betas=(0.9, 0.999))
    start = [p.detach().clone() for p in layers]
    projected = 0
    for step in range(40):
        task = step // 20
        y = rng.integers(2 * task, 2 * task + 2, size=32)
        x = np.clip(prototypes[y] + 0.1 * rng.normal(size=(32, 64)), 0, 1).astype(np.float32)
        if step == 20:
            learner.end_of_task(0)
        old = np.flatnonzero(learner.memory.task[: len(learner.memory)] < task)
        projected += _step_of_the_authors(layers, adam, x, y, learner.memory.take(old))
        learner.observe(Batch(x, y, task))
    assert projected > 0 and len(old) == 200
    for ours, theirs, before in zip(learner.network.parameters, layers, start, strict=True):
        moved = (theirs.detach() - before).abs().max()
        gap = np.abs(ours - theirs.detach().numpy()).max()
        assert moved > 5e-3 and gap < 0.01 * moved  # Single precision, under Adam's root.


def _step_of_the_authors(layers, adam, x, y, old):
    """Take the step of ``Classifier.train_a_batch`` with ``use_replay == "inequality"``."""

    def gradient(images, labels):
        weights, biases = layers[: len(layers) // 2], layers[len(layers) // 2 :]
        h = torch.from_numpy(images)
        for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            h = torch.nn.functional.linear(h, weight, bias)
            h = torch.relu(h) if k < len(weights) - 1 else h
        loss = torch.nn.functional.cross_entropy(h, torch.from_numpy(labels))
        return torch.cat([g.ravel() for g in torch.autograd.grad(loss, layers)])

    now, violated = gradient(x, y), False
    if len(old.y):
        memory = gradient(old.x, old.y)
        angle = (now * memory).sum()
        violated = bool(angle < 0)
        if violated:
            now = now - angle / ((memory * memory).sum() + 1e-7) * memory
    parts = now.split([p.numel() for p in layers])
    for p, part in zip(layers, parts, strict=True):
        p.grad = part.view_as(p).clone()
    adam.step()
    return violated
