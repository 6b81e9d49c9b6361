"""Every task keeps the contract: whoever adds a file to `experiments/tasks/` adds no line here."""

import dataclasses

import numpy as np
import pytest

from experiments.tasks.concept_drift import ConceptDrift, reshuffled
from experiments.tasks.interference import Interference
from experiments.tasks.regression import Regression, friedman
from experiments.tasks.small_data_10 import SmallData
from neurosim.datasets import available
from neurosim.discovery import members
from neurosim.errors import ConfigError, InputError
from neurosim.task import Task

TASKS = members("experiments.tasks", Task)
every_task = pytest.mark.parametrize("kind", TASKS.values(), ids=TASKS)


def made(kind, **settings):
    """Return a task whose data are here."""
    task = kind(**settings)
    if not available(getattr(task, "data", "digits")):
        pytest.skip(f"{task.data} is not here")
    return task


def stages(task, seed=0, final=False):
    return task.stages(np.random.default_rng(seed), final)


def test_there_are_the_tasks_of_the_comparison():
    assert {
        "digits", "mnist", "fashion", "regression", "online_stream", "small_data_10",
        "small_data_100", "concept_drift", "interference",
    } <= set(TASKS)  # fmt: skip


@every_task
def test_a_task_is_a_frozen_dataclass_with_a_title_and_a_source(kind):
    assert kind.__dataclass_params__.frozen and kind.title
    assert "References" in kind.__doc__ and kind.measure in ("accuracy", "r_squared")
    mine = {f.name for f in dataclasses.fields(kind)} & set(kind.__annotations__)
    inherited = {f.name for base in kind.__mro__[1:-1] for f in dataclasses.fields(base)}
    for name in mine - inherited:
        assert (
            f"{name} :" in kind.__doc__
            or f", {name}" in kind.__doc__
            or f"{name}," in (kind.__doc__)
        ), name


@every_task
def test_samples_fit_the_network_and_follow_from_the_seed(kind):
    task = made(kind)
    network = task.network()
    for final in (False, True):
        one, same, other = (stages(task, seed, final) for seed in (0, 0, 1))
        for stage, again in zip(one, same, strict=True):
            np.testing.assert_array_equal(stage.x, again.x)
            np.testing.assert_array_equal(stage.y, again.y)
            assert stage.x.shape[1] == network.sizes[0] and stage.n_presented >= len(task.probes)
            assert len({len(stage.exams) for stage in one}) == 1
            for x, y in (*stage.exams, (stage.x, stage.y)):
                assert len(x) == len(y) and x.dtype == np.float32
                if task.measure == "accuracy":
                    assert y.min() >= 0 and y.max() < network.sizes[-1]
        assert not np.array_equal(one[0].x[:10], other[0].x[:10])


@every_task
def test_nothing_that_is_examined_is_learnt_and_validation_is_apart_from_test(kind):
    task = made(kind)
    learnt, examined = [], []
    for final in (False, True):
        all_stages = stages(task, 0, final)
        learnt.append({row.tobytes() for stage in all_stages for row in stage.x})
        examined.append({r.tobytes() for stage in all_stages for x, _ in stage.exams for r in x})
    assert learnt[0] == learnt[1]
    # A few images of clothing are in the published set twice.
    rare = 0.005 * len(examined[1])
    assert len(learnt[0] & examined[0]) <= rare and len(learnt[0] & examined[1]) <= rare
    assert len(examined[0] & examined[1]) <= rare


@every_task
def test_the_right_answer_gets_full_marks_and_a_constant_few(kind):
    task = made(kind)
    _, y = stages(task)[0].exams[0]
    if task.measure == "accuracy":
        right, constant = np.eye(task.ends[1])[y], np.eye(task.ends[1])[np.zeros_like(y)]
        assert task.grade(constant, y) < 0.35
    else:
        right, constant = y, np.broadcast_to(y.mean(axis=0), y.shape)
        assert task.grade(constant, y) == pytest.approx(0, abs=1e-6)
    assert task.grade(right, y) == 1


def test_half_of_the_labels_move_each_to_another_class():
    rng = np.random.default_rng(0)
    names = np.arange(10)
    for _ in range(20):
        new = reshuffled(names, rng)
        assert sorted(new) == list(range(10)) and (new != names).sum() == 5
        names = new


def test_the_exam_follows_the_drift():
    task = ConceptDrift(n_concepts=3, interval=4)
    first, second, _ = stages(task)
    assert first.n_presented == 4 * 32
    images, before = first.exams[0]
    again, after = second.exams[0]
    np.testing.assert_array_equal(images, again)
    moved = {old: new for old, new in zip(before, after, strict=True)}
    assert sum(old != new for old, new in moved.items()) == 5
    np.testing.assert_array_equal(second.y, [moved[label] for label in first.y])
    assert task.score(np.array([[0.1], [0.5], [0.9]])) == pytest.approx(0.7)


def test_few_examples_are_the_same_number_of_each_class():
    for name, n in (("small_data_10", 10), ("small_data_100", 100)):
        (stage,) = stages(TASKS[name]())
        assert (np.bincount(stage.y) == n).all() and stage.n_presented == 4000
    fewer = stages(SmallData(n_a_class=3))[0].x
    assert {row.tobytes() for row in fewer} <= {row.tobytes() for row in stages(SmallData())[0].x}


def test_two_tasks_share_five_outputs_and_interference_is_what_the_second_took():
    task = Interference()
    first, second = stages(task)
    assert set(first.y) == set(second.y) == set(range(5))
    assert not {r.tobytes() for r in first.x} & {r.tobytes() for r in second.x}
    np.testing.assert_array_equal(first.exams[1][0], second.exams[1][0])
    n = len(task.probes)
    scores = np.zeros((1 + 2 * n, 2))
    scores[n] = 0.9, 0.2
    scores[-1] = 0.5, 0.8
    assert task.interference(scores) == pytest.approx(0.4)
    assert task.score(scores) == pytest.approx(0.65)
    assert np.isnan(Regression().interference(scores))


def test_friedmans_function_is_scaled():
    x, y = friedman(200_000, np.random.default_rng(0))
    assert x.shape == (200_000, 10) and y.shape == (200_000, 1)
    assert abs(y.mean()) < 0.01 and y.std() == pytest.approx(1, abs=0.01)
    a = x[7].astype(float)
    wanted = 10 * np.sin(np.pi * a[0] * a[1]) + 20 * (a[2] - 0.5) ** 2 + 10 * a[3] + 5 * a[4]
    assert y[7, 0] * 4.8812 + 14.4133 == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("digits", {"hidden": ()}, "one or more layers"),
        ("digits", {"batch": 0}, "1 or more samples"),
        ("digits", {"probes": (0.5, 0.2, 1.0)}, "rise from above 0 to 1"),
        ("digits", {"passes": 0.0}, "more than 0"),
        ("digits", {"passes": float("nan")}, "more than 0"),
        ("concept_drift", {"n_concepts": 1}, "2 or more"),
        ("regression", {"n_train": 1}, "2 or more samples"),
    ],
)
def test_a_task_that_cannot_be_is_refused(name, settings, words):
    with pytest.raises(ConfigError, match=words):
        TASKS[name](**settings)


def test_more_samples_than_there_are_are_refused():
    with pytest.raises(ConfigError, match="n_train: expected 1137 or fewer"):
        stages(TASKS["digits"](n_train=1500))


def test_a_missing_set_says_where_it_is_looked_for(monkeypatch, tmp_path):
    from neurosim import task

    task._loaded.cache_clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path / "sets"))
    with pytest.raises(InputError) as caught:
        TASKS["mnist"]().check_data()
    text = str(caught.value)
    assert str(tmp_path / "sets" / "mnist") in text and "NEUROSIM_DATA" in text
    assert "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609" in text
