"""What a release takes back leaves the others as if it had never been, but for its opening."""

import numpy as np
import pytest


def weights(hippocampus):
    return {p.name: p.weights.copy() for p in hippocampus.plastic}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert np.array_equal(a[name], b[name]), name


def replayed(hippocampus, items, fragment=False):
    """Let bursts come until one brings a memory back."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        (replay,) = hippocampus.replay(1, rng)
        if replay.valid and (replay.items, replay.fragment) == (items, fragment):
            return replay
    pytest.fail("the memory did not replay")


@pytest.mark.parametrize("which", [0, 1, 3])
def test_release_leaves_the_others_as_if_it_had_never_been_written(birth, sequences, which):
    stored, never = birth(), birth()
    for place, items in enumerate(sequences[:4]):
        stored.store(items, salience=1.5 * place)
        if place == which:
            never.n_recruited += 1  # So that later memories get the same index.
        else:
            never.store(items, salience=1.5 * place)
    before = weights(stored)
    replay = replayed(stored, sequences[which])
    stored.release(replay, kept=0)
    after = weights(stored)
    assert all((before[name] != after[name]).any() for name in before)
    assert_same(after, weights(never))
    assert (stored.n_episodes, stored.n_items) == (never.n_episodes, never.n_items)
    assert stored.gauge() == never.gauge()
    assert not stored.knows(sequences[which])
    assert all(stored.knows(s) for k, s in enumerate(sequences[:4]) if k != which)


def test_what_stays_of_a_released_memory_is_its_opening_and_nothing_else(birth, sequences):
    stored, never = birth(), birth()
    for items in sequences[:3]:
        stored.store(items)
    for items in sequences[:2]:
        never.store(items)
    released = sequences[2]
    opening = released[: stored.opening(released)]
    assert 0 < len(opening) < len(released) / 2
    stored.release(replayed(stored, released))
    index = never.ca3.recruit(never._streams.generator("recruit", 2))
    never._write(index, (*opening, never.config.more), 1, 1)
    assert_same(weights(stored), weights(never))
    gauge = stored.gauge()
    assert (gauge.n_episodes, gauge.n_fragments) == (2, 1)
    assert gauge.n_items == 2 * 13 + len(opening) + 1
    assert not stored.knows(released)
    assert stored.recall(released[:6]).confidence < 0.5 < stored.recall(sequences[0][:6]).confidence
    assert all(stored.knows(items) for items in sequences[:2])
    left = replayed(stored, opening, fragment=True)
    stored.release(left)
    assert (stored.gauge().n_episodes, stored.gauge().n_fragments) == (2, 0)
    untouched = birth()
    for items in sequences[:2]:
        untouched.store(items)
    assert_same(weights(stored), weights(untouched))


@pytest.mark.compiled
def test_releasing_everything_frees_most_synapses_and_then_every_one(filled, sequences):
    full = filled.gauge().potentiated
    assert full > 0
    rng = np.random.default_rng(1)
    release_all(filled, set(sequences), rng, fragments=False)
    assert filled.n_episodes == 0 and filled.n_fragments == len(sequences)
    assert filled.gauge().potentiated < 0.3 * full  # The bar: 70 per cent are free again.
    openings = {items[: filled.opening(items)] for items in sequences}
    assert len(openings) == len(sequences)
    release_all(filled, openings, rng, fragments=True)
    assert filled.gauge().potentiated == 0
    assert filled.n_episodes == filled.n_fragments == filled.n_items == 0


def release_all(hippocampus, held, rng, fragments):
    """Release what replays until nothing of `held` is left."""
    for _ in range(100):
        for replay in hippocampus.replay(10, rng):
            if replay.valid and replay.fragment == fragments and replay.items in held:
                hippocampus.release(replay)
                held.discard(replay.items)
        if not held:
            return
    pytest.fail(f"{len(held)} memories did not replay")


def test_what_is_met_again_lies_deeper_and_is_released_all_the_same(birth, sequences):
    memory = birth()
    for items in sequences[:3]:
        memory.store(items)
    index = memory.remember(sequences[0]).episode.index
    before = memory.ca3.depth(index)
    memory.strengthen(sequences[0])
    memory.strengthen(sequences[0])
    assert memory.ca3.depth(index) == before + 2
    assert memory.n_episodes == 3
    for items in sequences[:3]:
        memory.release(replayed(memory, items), kept=0)
    assert not any(projection.weights.any() for projection in memory.plastic)
