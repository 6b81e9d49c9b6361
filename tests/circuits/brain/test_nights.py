"""A brain by night: it can be interrupted anywhere and comes to the same end, bit for bit."""

import numpy as np
import pytest

from neurosim.errors import (
    BrainError,
)

pytestmark = pytest.mark.compiled


def test_a_night_changes_the_language_model_and_its_ledger_counts_it(
    lived, slept, opened, manifest, members
):
    assert (
        members(lived)["language_model.safetensors"] != members(slept)["language_model.safetensors"]
    )
    ledger = [event["event"] for event in manifest(slept).meta["ledger"]]
    assert ledger == ["birth", "day", "cycle", "cycle", "night"]
    with opened(slept) as brain:
        assert brain.nights == 1 and brain.cycles_slept == 0
        assert brain.cortex.optimiser is None


def test_the_same_seed_gives_the_same_brain_bit_for_bit(
    slept, tmp_path, give_birth, opened, manifest, members, sentences
):
    path = tmp_path / "again"
    give_birth(path)
    with opened(path) as brain:
        brain.day(sentences)
        brain.sleep()
    assert members(path) == members(slept)
    assert manifest(path).meta == manifest(slept).meta


def test_another_seed_gives_another_brain(born, give_birth, opened):
    other = give_birth(None, seed=4)
    with opened(born) as brain:
        a, b = other.hippocampus.ca3.auto, brain.hippocampus.ca3.auto
        assert not np.array_equal(a.targets, b.targets)


def interrupt(_):
    raise KeyboardInterrupt


def test_a_night_interrupted_after_a_cycle_goes_on_to_the_same_end(
    lived, slept, copy, opened, manifest, members, sentences
):
    path = copy(lived)
    with pytest.raises(KeyboardInterrupt), opened(path) as brain:
        brain.sleep(on_cycle=interrupt)
    with opened(path) as brain:
        assert brain.cycles_slept == 1 and brain.nights == 0
        assert brain.cortex.optimiser is not None
        with pytest.raises(BrainError, match="asleep after 1 cycle"):
            brain.day(sentences)
        reports, dawn = brain.sleep()
        assert [report.cycle for report in reports] == [2] and dawn is not None
    assert members(path) == members(slept)
    assert manifest(path).meta == manifest(slept).meta


def test_a_night_interrupted_within_a_cycle_goes_back_to_the_last_whole_one(
    lived, slept, copy, opened, members, night
):
    path = copy(lived)
    steps = []

    def stop_in_the_second_cycle(step):
        steps.append(step)
        if step > night.steps + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), opened(path) as brain:
        brain.sleep(on_step=stop_in_the_second_cycle)
    assert len(steps) == night.steps + 2
    with opened(path) as brain:
        assert brain.cycles_slept == 1
        brain.sleep()
    assert members(path) == members(slept)


def test_an_interruption_in_the_first_cycle_leaves_the_brain_as_it_was(lived, copy, opened, hashes):
    path = copy(lived)
    before = hashes(path)
    with pytest.raises(KeyboardInterrupt), opened(path) as brain:
        brain.sleep(on_step=interrupt)
    assert hashes(path) == before


def test_there_is_nothing_to_sleep_on_without_a_day(born, copy, opened, hashes):
    path = copy(born)
    before = hashes(path)
    with opened(path) as brain:
        assert brain.sleep() == ([], None)
    assert hashes(path) == before
