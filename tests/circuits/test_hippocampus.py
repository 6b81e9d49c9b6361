"""One exposure is enough, a fragment brings it back, replay is spontaneous, fullness is seen."""

import dataclasses

import numpy as np
import pytest

from circuits.dentate_gyrus import DentateConfig
from circuits.episodic_ca3 import EpisodicCA3Config
from circuits.hippocampus import Hippocampus
from circuits.hippocampus_config import HippocampusConfig
from neurosim.codes import SparseCode
from neurosim.errors import CapacityError, ConfigError
from neurosim.hdf5 import pack_hdf5, unpack_hdf5
from neurosim.metrics import overlap_matrix
from neurosim.phases import REM


def weights(hippocampus):
    return {p.name: p.weights.copy() for p in hippocampus.plastic}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert np.array_equal(a[name], b[name]), name


def share_recalled(hippocampus, sequences, cue=slice(0, 6)):
    found = [hippocampus.remember(items[cue]).items == items for items in sequences]
    return float(np.mean(found))


# One exposure


def test_a_newborn_remembers_nothing(newborn, sequences):
    assert not any(projection.weights.any() for projection in newborn.plastic)
    assert not newborn.knows(sequences[0])
    assert newborn.replay(0, np.random.default_rng(0)) == []


def test_one_exposure_is_enough_to_recall_the_rest_from_the_first_half(filled, sequences):
    assert filled.n_episodes == len(sequences)
    for items in sequences:
        answer = filled.recall(items[:6])
        assert answer.items == items[6:]
        assert answer.confidence > 0.9


@pytest.mark.compiled
def test_any_three_tokens_from_the_middle_bring_the_whole_back(filled, sequences):
    cues = [(items, at) for items in sequences for at in range(1, 9)]
    assert len(cues) > 100
    for items, at in cues:
        cue = items[at : at + 3]
        assert filled.remember(cue).items == items
        assert filled.recall(cue).items == items[at + 3 :]


def test_tokens_of_no_memory_are_answered_without_confidence(filled, sequences):
    stranger = tuple(range(150, 156))
    assert not any(stranger == items[:6] for items in sequences)
    assert filled.recall(stranger).confidence < 0.5 < filled.recall(sequences[0][:6]).confidence


def test_it_knows_what_it_read_and_only_that(filled, sequences):
    assert all(filled.knows(items) for items in sequences[:4])
    changed = (*sequences[0][:-1], (sequences[0][-1] + 1) % 190 + 3)
    assert changed != sequences[0] and not filled.knows(changed)


def test_an_empty_cue_brings_nothing_back(filled):
    assert filled.remember(()) is None
    assert filled.recall(()).items == () and filled.recall(()).confidence == 0.0


def test_one_token_sequences_can_be_stored(newborn):
    newborn.store((17,))
    assert newborn.remember((17,)).items == (17,)


def test_the_longest_sequence_that_is_allowed_is_recalled(newborn):
    rng = np.random.default_rng(2)
    items = tuple(rng.integers(3, 200, size=newborn.config.longest - 1).tolist())
    newborn.store(items)
    assert newborn.remember(items[:8]).items == items


@pytest.mark.parametrize("length", [0, 24, 40])
def test_what_is_too_short_or_too_long_is_refused_and_leaves_no_trace(newborn, length):
    with pytest.raises(ConfigError, match="expected 1..23"):
        newborn.store((5,) * length)
    assert not any(projection.weights.any() for projection in newborn.plastic)
    assert newborn.n_episodes == newborn.n_items == newborn.n_recruited == 0


def test_synaptic_events_are_the_counts_that_were_added(newborn, sequences):
    events = newborn.store(sequences[0], salience=0.0)
    depth = 3
    total = sum(int(p.weights.astype(np.int64).sum()) for p in newborn.plastic)
    auto = int(newborn.ca3.auto.weights.astype(np.int64).sum())
    assert auto > 0
    assert events == total - auto + auto // depth


# Pattern separation


def test_two_to_five_per_cent_of_the_granule_cells_fire(newborn, sequences):
    active = np.concatenate([newborn.separation(s)["dentate gyrus"] for s in sequences[:5]])
    fraction = active.mean(axis=1)
    assert (fraction >= 0.02).all() and (fraction <= 0.05).all()


def test_the_dentate_gyrus_makes_similar_inputs_dissimilar(newborn, sequences):
    first = sequences[0]
    similar = [first[:k] + sequences[1][k:] for k in range(2, 12)]
    patterns = [newborn.separation(items) for items in similar]
    means = {}
    for region in ("entorhinal", "dentate gyrus", "CA3"):
        matrix = overlap_matrix(np.stack([p[region][-1] for p in patterns]))
        means[region] = (matrix.sum() - len(matrix)) / (len(matrix) * (len(matrix) - 1))
    assert means["entorhinal"] > 0.3  # The inputs are similar.
    assert means["dentate gyrus"] < means["entorhinal"]
    assert means["CA3"] < means["entorhinal"]


@pytest.mark.compiled
def test_without_separation_recall_collapses_at_the_same_load(birth, monkeypatch):
    sequences = random_sequences(60, 5)
    memories = birth(), birth(separation=False)
    assert memories[1].config.ca3.k_sequence > 5 * memories[0].config.ca3.k_sequence
    with monkeypatch.context() as patch:  # Never full: what can the codes bear?
        roomy = dataclasses.replace(memories[0].gauge(), room=10**6)
        patch.setattr(Hippocampus, "gauge", lambda self: roomy)
        for memory in memories:
            for items in sequences:
                memory.store(items)
    assert [memory.n_episodes for memory in memories] == [60, 60]
    with_it, without = (share_recalled(memory, sequences[::3]) for memory in memories)
    assert with_it > 0.95
    assert without < 0.2
    assert memories[0].gauge().used < 0.5 and memories[1].gauge().used > 1  # As the gauges say.


def random_sequences(n, seed):
    rng = np.random.default_rng(seed)
    return [tuple(rng.integers(3, 200, size=12).tolist()) for _ in range(n)]


@pytest.mark.compiled
def test_homeostasis_keeps_cells_from_becoming_hubs(sizes, sequences, birth):
    grown = birth()
    young = type(grown)(grown.config, grown.ca3.rule, grown._streams)

    def busiest(hippocampus):
        active = [hippocampus.separation(items)["dentate gyrus"] for items in sequences]
        return np.concatenate(active).mean(axis=0).max()

    assert grown.dentate.homeostasis.n_seen > 100 and young.dentate.homeostasis.n_seen == 0
    assert busiest(grown) < 0.7 * busiest(young)


# Replay


@pytest.mark.compiled
def test_spontaneous_replay_visits_the_memories_and_brings_them_back_whole(filled, sequences):
    replays = filled.replay(5 * len(sequences), np.random.default_rng(0))
    stored = set(sequences)
    valid = [replay for replay in replays if replay.valid]
    assert len(valid) > 0.9 * len(replays)
    assert np.mean([replay.items in stored for replay in valid]) > 0.95
    assert len({replay.items for replay in valid} & stored) >= 0.95 * len(stored)
    assert all(0.0 <= replay.confidence <= 1.0 for replay in replays)
    true = [replay.confidence for replay in valid if replay.items in stored]
    assert min(true) > 0.9


def test_replay_changes_no_synapse(filled):
    before = weights(filled)
    assert filled.replay(4, np.random.default_rng(0))
    assert_same(weights(filled), before)


def test_the_same_noise_gives_the_same_replays(birth, sequences):
    def night():
        memory = birth()
        for items in sequences[:4]:
            memory.store(items)
        return [(r.items, r.confidence) for r in memory.replay(8, np.random.default_rng(5))]

    assert night() == night()


def deep_replays(birth, sequences, acetylcholine):
    """Return how many replays brought back a salient memory, and how many any memory."""
    n_deep = n_replays = 0
    for seed in range(8):
        memory = birth(seed)
        deep = set(sequences[seed % 4 :: 4])
        for items in sequences:
            memory.store(items, 3.0 if items in deep else 0.0)
        replays = memory.replay(24, np.random.default_rng(seed), acetylcholine)
        valid = [replay.items for replay in replays if replay.valid]
        n_deep += sum(items in deep for items in valid)
        n_replays += sum(items in set(sequences) for items in valid)
    return n_deep, n_replays


@pytest.mark.compiled
def test_salient_memories_replay_more_often_unless_acetylcholine_is_high(birth, sequences):
    p = 1 / 4  # The share of the deep ones; four standard errors of a binomial count.
    n_deep, n_replays = deep_replays(birth, sequences, 0.0)
    assert n_replays > 150
    assert n_deep - p * n_replays > 4 * np.sqrt(n_replays * p * (1 - p))
    n_deep, n_replays = deep_replays(birth, sequences, REM.acetylcholine)
    assert n_replays > 150
    assert abs(n_deep - p * n_replays) < 4 * np.sqrt(n_replays * p * (1 - p))


def test_fatigue_moves_replay_on(filled):
    rng = np.random.default_rng(0)
    index, _ = filled.ca3.spontaneous(rng)
    assert (filled.ca3.fatigue[index.active] > 0).all()
    rested = np.setdiff1d(np.arange(filled.ca3.config.n_index), index.active)
    assert not filled.ca3.fatigue[rested].any()


# Capacity


def test_the_gauge_grows_with_every_memory(newborn, sequences):
    gauges = [newborn.gauge()]
    for items in sequences:
        newborn.store(items)
        gauges.append(newborn.gauge())
    assert gauges[0].used == 0.0 and gauges[0].potentiated == 0
    for before, after in zip(gauges, gauges[1:], strict=False):
        assert after.used > before.used
        assert after.potentiated > before.potentiated
        assert after.n_episodes == before.n_episodes + 1
        assert after.n_items == before.n_items + 13
        assert after.room < gauges[0].room
    counted = sum(np.count_nonzero(p.weights) for p in newborn.plastic)
    assert gauges[-1].potentiated == counted
    assert gauges[-1].n_synapses == sum(p.weights.size for p in newborn.plastic)


@pytest.fixture
def tiny_sizes():
    return {
        "dentate": DentateConfig(n_units=512),
        "ca3": EpisodicCA3Config(
            n_index=128, k_index=8, n_sequence=128, k_sequence=8, connectivity=0.5
        ),
    }


def test_a_full_hippocampus_says_so_and_stays_as_it_was(birth, tiny_sizes):
    memory = birth(**tiny_sizes)
    rng = np.random.default_rng(0)
    with pytest.raises(CapacityError, match=r"full with \d+ memories; let a night pass"):
        for _ in range(500):
            before = weights(memory), memory.n_episodes, memory.n_recruited
            memory.store(tuple(rng.integers(3, 200, size=12).tolist()))
    assert memory.n_episodes > 2
    assert_same(weights(memory), before[0])
    assert (memory.n_episodes, memory.n_recruited) == before[1:]
    assert memory.gauge().room < 13


@pytest.mark.compiled
@pytest.mark.parametrize("seed", [0, 1])
def test_what_the_gauge_calls_roomy_is_recalled(birth, seed):
    memory = birth(seed)
    rng = np.random.default_rng(seed)
    stored = []
    while memory.gauge().used < 0.1:
        items = tuple(rng.integers(3, 200, size=12).tolist())
        memory.store(items)
        stored.append(items)
    assert len(stored) > 20
    assert share_recalled(memory, stored[:: len(stored) // 20]) >= 0.9


# Damage and persistence


@pytest.mark.compiled
def test_losing_a_fifth_of_the_synapses_leaves_most_memories(filled, sequences):
    rng = np.random.default_rng(4)
    for projection in filled.plastic:
        cut = projection.weights.copy()
        cut[rng.random(cut.shape) < 0.2] = 0
        assert np.count_nonzero(cut) < 0.85 * np.count_nonzero(projection.weights)
        projection.restore(cut)
    assert share_recalled(filled, sequences) >= 0.8


def test_losing_all_synapses_leaves_nothing(filled, sequences):
    for projection in filled.plastic:
        projection.restore(np.zeros_like(projection.weights))
    assert share_recalled(filled, sequences) == 0.0


def test_a_state_goes_to_disk_and_comes_back_bit_for_bit(birth, sequences):
    original, copy = birth(), birth()
    for items in sequences[:4]:
        original.store(items, salience=2.0)
    original.replay(3, np.random.default_rng(0))  # So that something is tired.
    data = pack_hdf5(original.state, {})
    assert pack_hdf5(original.state, {}) == data
    arrays, _ = unpack_hdf5(data)
    copy.restore(arrays)
    assert copy.ca3.fatigue.any()
    assert_same({k: np.asarray(v) for k, v in copy.state.items()}, arrays)
    assert copy.gauge() == original.gauge()
    again = [m.replay(4, np.random.default_rng(1)) for m in (original, copy)]
    assert [(r.items, r.confidence) for r in again[0]] == [
        (r.items, r.confidence) for r in again[1]
    ]
    for memory in (original, copy):
        memory.store(sequences[4])
    assert_same(weights(original), weights(copy))


def test_nothing_of_the_text_stands_in_the_state(filled, sequences):
    for name, array in filled.state.items():
        data = np.ascontiguousarray(array).tobytes()
        for items in sequences[:6]:
            for dtype in ("<i2", "<i4", "<i8", "<u2"):
                assert np.array(items[:5], dtype=dtype).tobytes() not in data, name


def test_weights_of_another_shape_are_refused(filled, birth, tiny_sizes):
    other = birth(**tiny_sizes)
    with pytest.raises(ConfigError, match="expected"):
        other.restore(filled.state)


def test_the_ablation_differs_in_separation_and_density_only(sizes):
    whole = HippocampusConfig(**sizes)
    dense = whole.dense(0.1)
    assert not whole.dense().separation
    assert whole.separation and not dense.separation
    assert dense.ca3.k_index == round(0.1 * whole.ca3.n_index)
    assert dense.ca3.k_sequence == round(0.1 * whole.ca3.n_sequence)
    for name in ("n_index", "n_sequence", "connectivity", "settle_steps"):
        assert getattr(dense.ca3, name) == getattr(whole.ca3, name)


def test_an_index_is_drawn_by_chance_alone(newborn):
    drawn = [newborn.ca3.recruit(np.random.default_rng(seed)) for seed in range(3)]
    assert len({tuple(code.active) for code in drawn}) == 3
    assert drawn[0] == SparseCode.random(
        newborn.ca3.config.n_index, newborn.ca3.config.k_index, np.random.default_rng(0)
    )
