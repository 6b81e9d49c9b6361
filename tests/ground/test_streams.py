"""Streams hold each image once, in its task, under the label its scenario says."""

from dataclasses import replace

import numpy as np
import pytest

from neurosim.datasets import ImageSet
from neurosim.errors import ConfigError, InputError
from neurosim.stream_config import StreamConfig, mammoth, van_de_ven, van_de_ven_permuted
from neurosim.streams import Stream

N_TRAIN, N_TEST, SIDE = 12, 3, 4
SMALL = StreamConfig("digits", batch=5)


def numbered_set(n_classes=10, n_train=N_TRAIN, dtype=np.uint8):
    """Make images whose first pixel is the class and whose next two are their number."""
    labels = np.arange(n_classes * n_train) % n_classes
    images = np.zeros((len(labels), SIDE, SIDE), dtype)
    images[:, 0, 0] = labels
    images[:, 0, 1], images[:, 0, 2] = np.divmod(np.arange(len(labels)), 200)
    test = np.arange(n_classes * N_TEST) % n_classes
    test_images = np.zeros((len(test), SIDE, SIDE), dtype)
    test_images[:, 0, 0] = test
    whole = ImageSet(
        "numbered", images, labels.astype(np.uint8), test_images, test.astype(np.uint8)
    )
    return whole


def classes_of(x):
    return np.rint(x[:, 0] * 255).astype(int)


def numbers_of(x):
    pixels = np.rint(x * 255).astype(int)
    return pixels[:, 1] * 200 + pixels[:, 2]


def all_batches(stream):
    return [batch for visit in range(len(stream.visits)) for batch in stream.batches(visit)]


@pytest.mark.parametrize("boundaries", ["sharp", "fuzzy", "none"])
def test_in_a_single_pass_each_image_comes_once_under_its_label(boundaries):
    stream = Stream(replace(SMALL, boundaries=boundaries), 3, numbered_set())
    batches = all_batches(stream)
    seen = np.concatenate([numbers_of(batch.x) for batch in batches])
    np.testing.assert_array_equal(np.sort(seen), np.arange(10 * N_TRAIN))
    for batch in batches:
        np.testing.assert_array_equal(batch.y, classes_of(batch.x))
        assert batch.x.dtype == np.float32 and batch.x.max() <= 1
    told = {batch.task for batch in batches}
    assert told == (set(range(5)) if boundaries == "sharp" else {None})


def test_two_classes_come_at_a_time_and_the_seed_gives_which():
    orders = []
    for seed in (0, 1):
        stream = Stream(SMALL, seed, numbered_set())
        for visit, task in enumerate(stream.tasks):
            seen = {int(c) for batch in stream.batches(visit) for c in classes_of(batch.x)}
            assert seen == set(task.classes) and len(seen) == 2
            assert set(np.flatnonzero(task.outputs)) == seen
        orders.append([task.classes for task in stream.tasks])
    assert orders[0] != orders[1]
    again = Stream(SMALL, 0, numbered_set())
    for one, two in zip(
        all_batches(Stream(SMALL, 0, numbered_set())), all_batches(again), strict=True
    ):
        np.testing.assert_array_equal(one.x, two.x)
    sorted_stream = Stream(replace(SMALL, shuffle=False), 1, numbered_set())
    assert [task.classes for task in sorted_stream.tasks] == [
        (0, 1),
        (2, 3),
        (4, 5),
        (6, 7),
        (8, 9),
    ]


def test_domain_tasks_share_their_outputs():
    stream = Stream(replace(SMALL, scenario="domain"), 1, numbered_set())
    assert stream.n_outputs == 2
    for visit, task in enumerate(stream.tasks):
        for batch in [*stream.batches(visit), stream.test(visit)]:
            expected = [task.classes.index(c) for c in classes_of(batch.x)]
            np.testing.assert_array_equal(batch.y, expected)


def test_permuted_tasks_shuffle_pixels_and_keep_the_first():
    images = numbered_set()
    stream = Stream(replace(SMALL, kind="permuted", n_tasks=3, scenario="domain"), 0, images)
    plain = stream.test(0).x
    np.testing.assert_array_equal(classes_of(plain), stream.test(0).y)
    for number in (1, 2):
        other = stream.test(number)
        assert not np.array_equal(other.x, plain)
        np.testing.assert_array_equal(np.sort(other.x, axis=1), np.sort(plain, axis=1))
        np.testing.assert_array_equal(other.y, stream.test(0).y)
    assert not np.array_equal(stream.test(1).x, stream.test(2).x)
    incremental = Stream(replace(SMALL, kind="permuted", n_tasks=3), 0, images)
    assert incremental.n_outputs == 30
    np.testing.assert_array_equal(incremental.test(2).y, 20 + incremental.test(0).y)


def test_fuzzy_boundaries_blend_neighbours_only_near_the_boundary():
    config = replace(SMALL, boundaries="fuzzy", width=0.25, batch=1, shuffle=False)
    stream = Stream(config, 0, numbered_set(n_train=400))
    task = np.array([int(batch.y[0]) // 2 for batch in all_batches(stream)])
    time = np.arange(len(task)) / len(task) * 5
    inner = np.abs(time - np.rint(time)) > 0.3  # A blend ends 0.25 tasks from its boundary.
    np.testing.assert_array_equal(task[inner], np.floor(time[inner]))
    near = np.abs(time - 2) < 0.02
    # At the boundary both are as likely: within 4 standard errors.
    share = (task[near] == 1).mean()
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(near.sum())


def test_without_boundaries_most_tasks_are_there_at_any_time():
    stream = Stream(replace(SMALL, boundaries="none", batch=100), 0, numbered_set(n_train=200))
    middle = [batch for batch in stream.batches(2)]
    assert all(len(np.unique(batch.y)) >= 6 for batch in middle)


def test_the_published_protocols_have_their_numbers():
    stream = Stream(replace(van_de_ven("digits"), iterations=7), 0, numbered_set(n_train=40))
    sizes = [len(batch.y) for batch in stream.batches(0)]
    assert sizes == [128] * 7 and van_de_ven().iterations == 2000
    counts = np.bincount(np.concatenate([numbers_of(b.x) for b in stream.batches(0)]))
    counts = counts[counts > 0]  # 896 draws from 80 images: each pass ends before the next begins.
    assert len(counts) == 80 and counts.max() - counts.min() <= 1
    assert (mammoth().batch, mammoth().epochs, mammoth().shuffle) == (10, 1, False)
    permuted = Stream(replace(van_de_ven_permuted(), n_tasks=2), 0, numbered_set())
    assert permuted.image_shape == (SIDE + 4, SIDE + 4) and permuted.config.iterations == 5000


def test_joint_learning_sees_all_tasks_mixed():
    stream = Stream(SMALL, 0, numbered_set())
    batches = list(stream.mixed())
    seen = np.concatenate([numbers_of(batch.x) for batch in batches])
    np.testing.assert_array_equal(np.sort(seen), np.arange(10 * N_TRAIN))
    assert len({int(y) // 2 for y in batches[0].y} | {int(y) // 2 for y in batches[1].y}) > 2


def test_validation_images_are_training_images_that_the_stream_leaves_out():
    stream = Stream(replace(SMALL, validation=0.25), 0, numbered_set())
    seen = np.concatenate([numbers_of(batch.x) for batch in all_batches(stream)])
    held = np.concatenate([numbers_of(stream.test(k, "validation").x) for k in range(5)])
    assert len(held) == 10 * 3 and not set(seen) & set(held)
    assert set(seen) | set(held) == set(range(10 * N_TRAIN))


def test_tasks_may_come_again_and_classes_be_rare():
    config = replace(SMALL, visits=(0, 1, 0), shares=(1.0,) * 9 + (0.01,), shuffle=False)
    stream = Stream(config, 0, numbered_set())
    assert stream.visits == (0, 1, 0)
    first, again = (np.concatenate([numbers_of(b.x) for b in stream.batches(v)]) for v in (0, 2))
    assert set(first) == set(again) and first.tolist() != again.tolist()
    # A class with one sample: it is learnt from, also when a validation part is asked for.
    alone = Stream(replace(config, validation=0.5, visits=()), 0, numbered_set())
    y = np.concatenate([batch.y for batch in all_batches(alone)])
    assert (y == 9).sum() == 1
    single = numbered_set(n_train=1)
    assert len(all_batches(Stream(replace(SMALL, validation=0.9), 0, single))) == 5


def test_images_that_are_not_images_are_refused():
    good = numbered_set(dtype=np.float64)
    spoilt = good.train_images / 255
    spoilt[7, 1, 2] = np.nan
    bad = ImageSet("mine", spoilt, good.train_labels, good.test_images / 255, good.test_labels)
    with pytest.raises(InputError, match=r"mine\.train_images\.\[7, 1, 2\].*nan"):
        Stream(SMALL, 0, bad)
    turned = replace(good, name="mine", train_images=good.train_images * 1j)
    with pytest.raises(InputError, match=r"mine\.train_images\.dtype: expected real numbers"):
        Stream(SMALL, 0, turned)
    with pytest.raises(InputError, match="0 to 1"):
        Stream(SMALL, 0, good)  # Floats of 0..255.
    small = numbered_set()
    other = ImageSet(
        "m", small.train_images, small.train_labels, small.test_images[:, :3], small.test_labels
    )
    with pytest.raises(InputError, match="one size"):
        Stream(SMALL, 0, other)
    fewer = ImageSet(
        "m", small.train_images[:5], small.train_labels, small.test_images, small.test_labels
    )
    with pytest.raises(InputError, match="one image a label"):
        Stream(SMALL, 0, fewer)
    none = ImageSet(
        "m", small.train_images[:, :0], small.train_labels, small.test_images, small.test_labels
    )
    with pytest.raises(InputError, match=r"one image a label, one or more, got '\(\d+, 0, \d+\)"):
        Stream(SMALL, 0, none)


@pytest.mark.parametrize(
    ("part", "labels", "said"),
    [
        ("train", lambda y: y - 1, r"train_labels\.\[\d+\].*0 or more, got -1"),
        ("train", lambda y: y + 0.5, r"train_labels\.\[0\].*an integer.*\.5"),
        ("train", lambda y: y.astype(float), "an integer"),
        ("train", lambda y: y.astype(str), "an integer"),
        ("train", lambda y: y.astype(object), "an integer"),
        ("test", lambda y: y[:, None], r"one image a label, one or more, got .*labels \(\d+, 1\)"),
        ("test", lambda y: y + 5, "a class from 0 to 9, as the training images have"),
    ],
)
def test_labels_that_number_no_class_are_refused(part, labels, said):
    good = numbered_set()
    changed = {f"{part}_labels": labels(getattr(good, f"{part}_labels").astype(int))}
    with pytest.raises(InputError, match=said):
        Stream(SMALL, 0, replace(good, **changed))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_outputs": 9}, "n_outputs.*10 or more"),
        ({"n_tasks": 3}, "divisor of the 10 classes"),
        ({"n_tasks": 10, "scenario": "domain"}, "n_tasks.*two or more of the 10 classes a task"),
        ({"n_tasks": 10, "scenario": "task"}, "n_tasks.*two or more of the 10 classes a task"),
        ({"shares": (1.0, 0.5)}, "one share for each"),
        ({"shares": (0.0, 0.0) + (1.0,) * 8, "shuffle": False}, r"tasks\[0\].*training image"),
        ({"kind": "spilt"}, "did you mean 'split'"),
        ({"boundaries": "fuzzy", "epochs": 2}, "let each image come once"),
        ({"visits": (0, 7)}, "tasks from 0 to 4"),
        ({"validation": 1.0}, "below 1"),
        ({"batch": 0}, "1 or more"),
        ({"width": 0.7}, "0.5 tasks"),
    ],
)
def test_what_makes_no_stream_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        Stream(replace(SMALL, **changes), 0, numbered_set())


def test_the_digits_flow_through_a_stream():
    stream = Stream(StreamConfig("digits"), 0)
    assert stream.n_inputs == 64 and len(stream.tasks) == 5
    assert sum(len(batch.y) for batch in all_batches(stream)) == 1437
    assert sum(len(stream.test(k).y) for k in range(5)) == 360
