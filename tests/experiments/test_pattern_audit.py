"""The audit finds a pattern that is one image's, and lets pass what many images share."""

from dataclasses import replace

import numpy as np
import pytest

from circuits.lamellae import Lamellae
from circuits.lamellae_config import LamellaeConfig
from experiments import class_incremental, pattern_audit
from experiments.continual.fast_memory import FastMemory
from experiments.continual.sleeping import NIGHT, Sleeping
from experiments.inside_a_sleeper import audit_inside
from neurosim.continual import live
from neurosim.randomness import Streams
from neurosim.stream_config import StreamConfig
from neurosim.streams import Stream

SHEET = (4, 4, 3)
CONFIG = LamellaeConfig(n_classes=2, cells=6, extent=2, stride=2, cooperativity=0.0)
"""Faint parts are written: what the audit must find."""


def learnt(n=200, seed=0, config=CONFIG):
    """Return lamellae that have seen `n` sheets, and the sheets."""
    rng = np.random.default_rng(seed)
    lamellae = Lamellae(config, SHEET, rng)
    activity = (rng.random((n, *SHEET)) * (rng.random((n, *SHEET)) < 0.5)).astype(np.float32)
    lamellae.observe(activity, rng.integers(2, size=n))
    return lamellae, activity


def look(lamellae, activity):
    return pattern_audit.table(lamellae, activity, np.random.default_rng(0), 20)


def test_nearest_distance_and_sharing_are_those_of_comparing_one_by_one(monkeypatch):
    monkeypatch.setattr(pattern_audit, "BLOCK", 7)
    rng = np.random.default_rng(0)
    images = rng.integers(4, size=(50, 3)).astype(np.float32)
    patterns = np.concatenate([images[[3, 9]] + np.float32(0.6), images[[11]], 9 + images[:1]])
    found = pattern_audit.audit(patterns, images)
    gaps = np.abs(patterns[:, None] - images[None])
    np.testing.assert_array_equal(found.sharing, (gaps < 1).all(axis=2).sum(axis=1))
    exact = np.sqrt(np.square(gaps).sum(axis=2))
    np.testing.assert_allclose(found.distance, exact.min(axis=1), rtol=1e-6)
    np.testing.assert_allclose(exact[np.arange(4), found.nearest], found.distance, rtol=1e-6)
    assert found.sharing[2] >= 1 and found.distance[2] == 0 and not found.verbatim[3]
    which = np.array([0, 13, 49])
    own = np.square(images[which][:, None] - images[None]).sum(axis=2)
    own[np.arange(3), which] = np.inf
    np.testing.assert_allclose(
        pattern_audit.nearest_other(images, which), np.sqrt(own.min(axis=1)), rtol=1e-6
    )


def test_what_one_exposure_writes_is_found_though_chance_has_rounded_it():
    lamellae, activity = learnt(n=6)  # A cell for each: nothing was averaged.
    found = look(lamellae, activity)
    used = found["cells"][np.isfinite(found["cells"][:, 0])]
    assert len(used) > 12 and (used[:, 0] == 1).all() and found["cells_single"] == len(used)
    assert found["cells_told"] == found["cells_verbatim"] == len(used)
    # Hardly any is at distance 0: to look for that would have found no copy.
    assert (used[:, 2] > 0).mean() > 0.9


def test_a_planted_copy_of_one_image_is_found_among_cells_of_many():
    lamellae, activity = learnt()
    clean = look(lamellae, activity)
    assert clean["cells_told"] == clean["cells_single"] == 0 and clean["cells_fewest_wins"] > 5
    part = lamellae.squares.part(activity, 2)[77]
    lamellae.weights[2, 1, 4] = np.floor(part + np.random.default_rng(1).random(part.shape))
    found = look(lamellae, activity)
    assert found["cells_told"] == found["cells_verbatim"] == 1 == found["cells_least_shared"]
    row = found["cells"].reshape(*lamellae.wins.shape, 4)[2, 1, 4]
    assert row[1] == 77 and row[3] == 1 and row[0] == lamellae.wins[2, 1, 4] > 1
    assert found["cells_distance_least"] < 0.5 * clean["cells_distance_least"]


def test_a_corner_that_many_images_share_tells_none_of_them():
    lamellae, activity = learnt()
    corner = np.zeros((2, 2, 3), np.float32)
    corner[0, 0, 1] = 0.1
    activity[20:60, :2, :2] = corner  # Forty images have the same faint stroke there.
    lamellae.weights[0, 0, 3] = np.rint(lamellae.squares.part(activity, 0)[20])
    found = look(lamellae, activity)
    assert found["cells_verbatim"] == 1 and found["cells_told"] == 0
    assert found["cells_least_shared"] == 40


def test_a_silent_cell_holds_nothing_and_is_counted_apart():
    lamellae, activity = learnt(config=replace(CONFIG, cooperativity=0.085))
    activity[:50, :2, 2:] = 0  # Fifty images have nothing there.
    clean = look(lamellae, activity)
    cell = (1, 0, int(lamellae.weights[1, 0].any(axis=1).argmax()))
    lamellae.weights[cell], lamellae.wins[cell] = 0, 1
    found = look(lamellae, activity)
    row = found["cells"].reshape(*lamellae.wins.shape, 4)[cell]
    assert row[0] == 1 and np.isnan(row[1:]).all()
    assert found["cells_silent"] == clean["cells_silent"] + 1
    assert found["cells_verbatim"] == clean["cells_verbatim"]
    assert found["cells_single"] == clean["cells_single"] + 1  # It stems from one all the same.


def test_copies_lie_nearer_to_what_was_shown_and_means_to_neither():
    """A cell an image is a copy; of hundreds of images each cell is a mean."""
    chance = np.random.default_rng(3)
    few, activity = learnt(n=6)
    unseen = learnt(n=6, seed=1)[1]
    found = pattern_audit.against_unseen(few, activity, unseen, chance)
    used = np.isfinite(look(few, activity)["cells"][:, 0]).sum()
    assert found["cells_verbatim_seen"] == found["cells_near_seen"] == used
    assert found["cells_verbatim_unseen"] == 0 and found["cells_nearer_seen"] == 1
    many, activity = learnt(n=600)
    unseen = learnt(n=200, seed=1)[1]
    found = pattern_audit.against_unseen(many, activity, unseen, chance)
    assert found["cells_verbatim_seen"] == found["cells_verbatim_unseen"] == 0
    assert 0.3 < found["cells_nearer_seen"] < 0.7
    # Which of the two is called unseen decides nothing but the names.
    other = pattern_audit.against_unseen(many, unseen, activity[:200], chance)
    again = pattern_audit.against_unseen(many, activity[:200], unseen, chance)
    assert other["cells_nearer_seen"] + again["cells_nearer_seen"] == 1
    assert other["cells_near_seen"] == again["cells_near_unseen"]


def test_against_unseen_asks_nothing_of_an_empty_memory():
    lamellae = Lamellae(CONFIG, SHEET, np.random.default_rng(0))
    activity = learnt(20)[1]
    assert (
        pattern_audit.against_unseen(lamellae, activity, activity, np.random.default_rng(0)) == {}
    )


def lived(budget, seed, **settings):
    """Return the numbers of the audit of a fast memory that has lived along the digits."""
    stream = Stream(class_incremental.Config().stream(), seed)
    rng = Streams(seed).generator("learner")
    learner = live(stream, FastMemory(budget, **settings), rng, probe=0).learner
    batches = [b.x for v in range(len(stream.visits)) for b in stream.batches(v)]
    activity = learner.maps.encode(np.concatenate(batches))
    found = look(learner.lamellae, activity)
    part = learner.lamellae.squares.part(activity, 4)[123]
    cell = (4, 0, int(learner.lamellae.wins[4, 0].argmax()))
    learner.lamellae.weights[cell] = np.rint(part)  # A copy, among what was learnt.
    planted = look(learner.lamellae, activity)["cells"].reshape(*learner.lamellae.wins.shape, 4)
    assert planted[cell][1:].tolist() == [123, planted[cell][2], 1] and planted[cell][2] < 6
    return found


@pytest.mark.compiled
@pytest.mark.parametrize(("budget", "seed"), [(69_000, 0), (69_000, 1), (348_000, 4)])
def test_no_cell_is_an_image_s_where_faint_parts_are_not_written(budget, seed):
    before = lived(budget, seed, cooperativity=0.0, least_wins=2, volatility=0)
    assert before["cells_verbatim"] >= before["cells_told"] >= 1
    found = lived(budget, seed, volatility=0)
    assert found["cells_verbatim"] == found["cells_single"] == 0
    assert found["cells_fewest_wins"] >= 5 and found["cells_silent"] > 5


@pytest.mark.compiled
def test_no_cell_that_has_wandered_is_an_image_s():
    """Where faint parts are written some cells are; a day's end moves every one of them away.

    For that it is enough that those wander which hold little.
    """
    written = {"cooperativity": 0.0, "least_wins": 2}
    assert lived(348_000, 4, **written, volatility=0)["cells_verbatim"] >= 1
    for steady in (0.25, 1.0):
        assert lived(348_000, 4, **written, steady=steady)["cells_verbatim"] == 0


def test_an_empty_memory_holds_nothing_to_audit():
    lamellae = Lamellae(CONFIG, SHEET, np.random.default_rng(0))
    found = look(lamellae, learnt(20)[1])
    assert set(found) == {"cells"} and np.isnan(found["cells"]).all()


@pytest.mark.compiled
@pytest.mark.parametrize("replay", ["ca3", "raw"])
def test_raw_sheets_that_are_replayed_are_found_and_what_ca3_brings_back_is_none(replay):
    stream = Stream(StreamConfig("digits", n_tasks=1), 0)
    night = replace(NIGHT, steps=20)
    method = Sleeping(budget=100_000, replay=replay, hidden=(16,), night=night)
    sleeper = live(stream, method, np.random.default_rng(0), probe=0).learner
    found = audit_inside(sleeper, stream, 60)
    assert found["replays"].shape == found["dreams"].shape == (60, 3)
    assert found["cells_single"] == 0 and found["cells_fewest_wins"] >= 2
    assert 0.3 < found["cells_nearer_seen"] < 0.8
    assert found["cells_verbatim_unseen"] <= found["cells_near_unseen"]
    if replay == "raw":
        assert found["replays_verbatim"] == 60 and found["replays_told"] > 50
        assert found["replays_distance"] == 0
    else:
        assert found["replays_told"] == found["dreams_told"] == 0
        assert found["replays_distance_least"] > 0.1
