"""CA3 stores, completes, replays, forgets on request and knows how full it is."""

import dataclasses

import numpy as np
import pytest

from circuits import readouts
from circuits.ca3 import CA3, CA3Config
from neurosim.codes import SparseCode, corrupted
from neurosim.errors import CapacityError, ConfigError, CorruptFileError, NumericalError

SMALL = CA3Config(n_units=600, fan_in=200, sparsity=0.05)


def patterns(config, n, seed=0):
    rng = np.random.default_rng(seed)
    return [SparseCode.random(config.n_units, config.k, rng) for _ in range(n)]


def trained(config=SMALL, n=15, seed=0):
    network = CA3(config, np.random.default_rng(seed))
    stored = patterns(config, n, seed)
    for code in stored:
        network.store(code)
    return network, stored


def mean_recall(network, codes, rng, right=0.5, wrong=0.0):
    cues = [corrupted(code, right, wrong, rng) for code in codes]
    return np.mean([network.recall(q).code.overlap(c) for q, c in zip(cues, codes, strict=True)])


@pytest.mark.compiled
@pytest.mark.parametrize("readout", readouts.READOUTS)
@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("wiring", ["generated", "stored", "full"])
def test_a_half_cue_brings_the_whole_pattern_back(readout, bits, wiring):
    network, stored = trained(
        dataclasses.replace(SMALL, readout=readout, bits=bits, wiring=wiring), 8
    )
    rng = np.random.default_rng(1)
    before = mean_recall(CA3(network.config, rng), stored, rng)
    assert before < 0.5  # Nothing is known that was not stored.
    assert mean_recall(network, stored, rng) > 0.97


@pytest.mark.compiled
def test_a_cue_of_half_right_and_half_wrong_cells_is_mended():
    network, stored = trained()
    assert mean_recall(network, stored, np.random.default_rng(2), 0.5, 0.5) > 0.97


@pytest.mark.compiled
def test_nearby_cells_complete_what_nearby_cells_stored():
    config = dataclasses.replace(SMALL, wiring="nearby", reach=0.2)
    network, stored = trained(config, 6)
    assert mean_recall(network, stored, np.random.default_rng(3), 0.7) > 0.9


def test_the_drive_is_the_sum_of_what_the_counts_are_worth():
    network, stored = trained(n=20)
    auto, n = network.auto, SMALL.n_units
    counts = np.zeros((n, n))
    wired = np.zeros((n, n), dtype=bool)
    for i in range(n):
        counts[auto.connectivity.targets(i), i] = auto.counts()[i]
        wired[auto.connectivity.targets(i), i] = True
    state = patterns(SMALL, 1, seed=9)[0]
    use = np.maximum(np.bincount(np.concatenate([c.active for c in stored]), minlength=n), 0.5)
    chance = np.outer(use, use) / len(stored) * (1 - 1 / SMALL.k)  # Of k cells, one is itself.
    trust = 0.8
    worth = np.log1p(-trust + trust * counts / chance) * wired
    expected = worth[:, state.active].sum(axis=1)
    # Loads are told apart in steps of 2 %, two of which multiply, over some ten synapses a cell.
    np.testing.assert_allclose(network.drive(state, trust), expected, atol=10 * 0.03)


def test_cells_are_sorted_by_load_anew_whenever_loads_change():
    network, stored = trained(n=12)
    cue, rng = stored[0], np.random.default_rng(7)
    changes = [
        lambda: network.store(patterns(SMALL, 1, seed=11)[0]),
        lambda: network.release(stored[3]),
        lambda: network.decay(0.3, rng),
        lambda: network.restore(trained(n=5, seed=0)[0].state),
    ]
    for change in changes:
        before = network.drive(cue, 0.8)
        assert np.array_equal(network.drive(cue, 0.8), before)
        change()
        fresh = CA3(SMALL, np.random.default_rng(0))
        fresh.restore(network.state)
        assert np.array_equal(network.drive(cue, 0.8), fresh.drive(cue, 0.8))
        assert not np.array_equal(network.drive(cue, 0.8), before)


@pytest.mark.compiled
def test_both_inhibitions_recall_alike():
    rng = np.random.default_rng(6)
    values = []
    for kind in ("feedback", "exact"):
        network, stored = trained(dataclasses.replace(SMALL, inhibition=kind), 20)
        values.append(mean_recall(network, stored, rng))
    assert min(values) > 0.97 and abs(values[0] - values[1]) < 0.02


def test_releasing_a_memory_leaves_the_others_exactly_as_without_it():
    network, stored = trained(n=20)
    rest = CA3(SMALL, np.random.default_rng(0))
    for code in stored[:7] + stored[8:]:
        rest.store(code)
    written = network.release(stored[7])
    assert written.n_lost == 0 and written.n_events > 0
    for name, array in rest.state.items():
        assert np.array_equal(network.state[name], array), name


@pytest.mark.compiled
def test_overwriting_puts_one_memory_in_the_place_of_another():
    network, stored = trained(n=10)
    new = patterns(SMALL, 1, seed=77)[0]
    network.overwrite(stored[0], new)
    rng = np.random.default_rng(7)
    assert mean_recall(network, [new], rng) > 0.97
    assert mean_recall(network, stored[:1], rng) < 0.8
    assert network.auto.n_stored == 10


@pytest.mark.compiled
def test_decay_fades_what_was_stored():
    network, stored = trained(n=10)
    network.decay(0.9, np.random.default_rng(8))
    assert network.auto.n_stored == pytest.approx(1.0)
    assert mean_recall(network, stored, np.random.default_rng(9), 0.3) < 0.9


@pytest.mark.compiled
def test_spontaneous_replay_hops_through_the_stored_memories():
    network, stored = trained(n=12)
    bursts = network.replay(100, np.random.default_rng(10))
    seen = [int(np.argmax([b.code.overlap(c) for c in stored])) for b in bursts]
    good = [b.code.overlap(stored[s]) > 0.95 for b, s in zip(bursts, seen, strict=True)]
    assert np.mean(good) > 0.9
    assert len({s for s, g in zip(seen, good, strict=True) if g}) == 12
    hops = np.mean(np.diff(seen) != 0)
    assert hops > 0.8


@pytest.mark.compiled
def test_without_adaptation_replay_returns_to_fewer_memories():
    visits = []
    for adaptation in (0.0, 4.0):
        network, stored = trained(dataclasses.replace(SMALL, adaptation=adaptation), 30)
        bursts = network.replay(60, np.random.default_rng(11))
        visits.append(len({int(np.argmax([b.code.overlap(c) for c in stored])) for b in bursts}))
    assert visits[0] < visits[1]


def order(visited, codes):
    return [int(np.argmax([v.code.overlap(c) for c in codes])) for v in visited]


@pytest.mark.compiled
def test_a_sequence_replays_in_order_and_in_reverse_and_ends():
    network = CA3(SMALL, np.random.default_rng(0))
    codes = patterns(SMALL, 12)
    network.store_sequence(codes)
    rng = np.random.default_rng(12)
    first = corrupted(codes[0], 0.5, 0.0, rng)
    last = corrupted(codes[-1], 0.5, 0.0, rng)
    assert order(network.replay_sequence(first), codes) == list(range(12))
    assert order(network.replay_sequence(last, reverse=True), codes) == list(range(12))[::-1]


@pytest.mark.compiled
def test_a_cycle_goes_round_and_a_branch_is_decided_by_noise():
    network = CA3(SMALL, np.random.default_rng(0))
    a, b, c, d, e = codes = patterns(SMALL, 5)
    network.store_sequence([a, b, c, a])
    assert order(network.replay_sequence(a, n_steps=8), codes) == [0, 1, 2, 0, 1, 2, 0, 1]
    network = CA3(SMALL, np.random.default_rng(0))
    network.store_sequence([a, b, c])
    network.store_sequence([a, d, e], auto=False)
    for code in (d, e):
        network.store(code)
    ways = {
        tuple(order(network.replay_sequence(a, rng=np.random.default_rng(s)), codes))
        for s in range(12)
    }
    assert ways == {(0, 1, 2), (0, 3, 4)}


@pytest.mark.compiled
def test_at_a_branch_the_arm_that_was_stored_more_often_is_taken_more_often():
    taken = []
    for seed in range(6):
        network = CA3(SMALL, np.random.default_rng(seed))
        stem, often, once, *others = patterns(SMALL, 23, seed)
        network.store_sequence(others)
        network.store_sequence([stem, once])
        for _ in range(5):
            network.store_sequence([stem, often], auto=False)
        network.store(often)
        rng = np.random.default_rng(seed)
        for _ in range(10):
            for recall in network.replay_sequence(stem, n_steps=2, rng=rng)[1:]:
                taken.append(recall.code.overlap(often) > recall.code.overlap(once))
    assert len(taken) > 30  # Noise ends some replays at the stem.
    assert np.mean(taken) > 0.8  # Without the bias 0.73.


def test_the_bias_is_the_log_of_how_often_a_cell_took_part():
    found = readouts.bias(np.array([0.0, 1.0, 5.0, 10.0]), 10.0)
    np.testing.assert_allclose(np.exp(found), [0.05, 0.1, 0.5, 1.0])


def test_sequences_and_single_patterns_do_not_share_synapses():
    network, stored = trained(n=5)
    before = network.auto.weights.copy()
    network.store_sequence(stored, auto=False)
    assert np.array_equal(network.auto.weights, before)
    assert network.forward.weights.any() and network.backward.weights.any()


@pytest.mark.compiled
def test_the_same_seed_and_state_go_on_to_the_same_bits():
    network, stored = trained(n=8)
    network.store_sequence(stored[:3], auto=False)
    network.replay(3, np.random.default_rng(1))
    copy = CA3(SMALL, np.random.default_rng(99))
    copy.from_bytes(network.to_bytes())
    for name, array in network.state.items():
        assert np.array_equal(copy.state[name], array), name
    one, other = (n.replay(4, np.random.default_rng(2)) for n in (network, copy))
    assert all(
        a.code == b.code and a.overlaps == b.overlaps for a, b in zip(one, other, strict=True)
    )


def test_a_damaged_or_foreign_file_is_refused_and_changes_nothing():
    network, stored = trained(n=5)
    data = network.to_bytes()
    before = network.state["auto/weights"].copy()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 16
    for bad in (data[:-100], bytes(flipped), b""):
        with pytest.raises(CorruptFileError, match="truncated, altered or foreign"):
            network.from_bytes(bad)
    foreign = CA3(dataclasses.replace(SMALL, bits=4), np.random.default_rng(0))
    with pytest.raises(CorruptFileError, match=r"CountSynapses.weights: expected uint8"):
        network.restore(foreign.state)
    with pytest.raises(
        CorruptFileError, match=r"CA3.fatigue: expected .*float32 \(600,\).*, got .*none"
    ):
        network.restore({"seeds": network.state["seeds"]})
    assert np.array_equal(network.state["auto/weights"], before)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("sparsity", 0.0001, "CA3Config.sparsity: expected a fraction of at least one of 600"),
        ("sparsity", 0.9999, "not of all"),
        ("sparsity", float("nan"), "sparsity: expected"),
        ("fan_in", 601, "CA3Config.fan_in: expected 1..600"),
        ("bits", 2, "bits: expected 1, 4 or 8"),
        ("readout", "bayes", "readout: expected one of willshaw, covariance, bayesian"),
        ("wiring", "dense", "wiring: expected one of"),
        ("inhibition", "none", "inhibition: expected one of"),
        ("steps", 0, "steps: expected 1 or more"),
        ("trust", (), "trust: expected at least one"),
        ("n_units", 1, "n_units: expected 2"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(field, value, words):
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(SMALL, **{field: value})


@pytest.mark.parametrize(
    "code",
    [SparseCode.of([1, 2], 599), SparseCode.of([], 600), SparseCode.of(range(600), 600)],
    ids=["wrong size", "empty", "all active"],
)
def test_patterns_that_are_none_are_refused(code):
    network, _ = trained(n=1)
    for act in (network.store, network.recall, network.release, network.replay_sequence):
        with pytest.raises(ConfigError, match="a code of 600 cells, some active and not all"):
            act(code)
    with pytest.raises(ConfigError, match="a code of 600 cells"):
        network.store_sequence([code, code])


def test_what_cannot_be_done_is_said():
    network = CA3(SMALL, np.random.default_rng(0))
    code = patterns(SMALL, 1)[0]
    with pytest.raises(ConfigError, match="release: expected a stored pattern, got 'none'"):
        network.release(code)
    with pytest.raises(ConfigError, match="expected a stored sequence"):
        network.replay_sequence(code)
    with pytest.raises(ConfigError, match="two patterns or more"):
        network.store_sequence([code])
    single = CA3(dataclasses.replace(SMALL, bits=1), np.random.default_rng(0))
    single.store(code)
    with pytest.raises(ConfigError, match="release: expected counts of 4 or 8 bits"):
        single.release(code)


@pytest.mark.compiled
def test_a_recall_that_does_not_settle_says_how_far_it_came():
    network, stored = trained(dataclasses.replace(SMALL, steps=2), 40)
    found = network.recall(stored[0])
    assert not found.settled and found.n_steps == len(found.overlaps) == 2
    with pytest.raises(NumericalError, match=r"a fixed point within 2 steps, got .*overlap of 0\."):
        network.recall(patterns(SMALL, 1, seed=5)[0], must_settle=True)


def test_a_network_that_does_not_fit_into_memory_says_what_it_needs():
    config = CA3Config(n_units=1 << 24, fan_in=1 << 22)
    with pytest.raises(CapacityError, match=r"expected 7036\d\.\d\d GB for a CA3 of 16,777,216 x"):
        CA3(config, np.random.default_rng(0))


@pytest.mark.compiled
def test_odd_sizes_work():
    config = CA3Config(n_units=601, fan_in=173, sparsity=0.041, bits=4)
    network, stored = trained(config, 6)
    assert mean_recall(network, stored, np.random.default_rng(1)) > 0.95


# Where recall breaks down it is all or nothing, which takes hundreds of patterns to measure: see
# docs/results/free_capacity.md. Elsewhere 40 of them have a standard error of 0.01.
@pytest.mark.compiled
@pytest.mark.parametrize("readout", ["covariance", "bayesian"])
def test_the_recall_of_the_next_pattern_is_predicted_at_every_load(readout):
    config = CA3Config(n_units=2000, fan_in=400, readout=readout)
    network, rng = CA3(config, np.random.default_rng(0)), np.random.default_rng(1)
    seen = []
    for load in (100, 250, 2000):
        while network.auto.n_stored < load:
            network.store(patterns(config, 1, seed=int(network.auto.n_stored))[0])
        predicted = network.predicted_recall(probes=40, rng=rng)
        measured = []
        for seed in range(40):
            code = patterns(config, 1, seed=10_000 + seed)[0]
            network.store(code)
            measured.append(mean_recall(network, [code], rng))
            network.release(code)
        assert predicted == pytest.approx(np.mean(measured), abs=0.05), load
        # Another number of patterns than there are: from the loads of the cells alone.
        imagined = network.predicted_recall(n_stored=load + 0.1, probes=40, rng=rng)
        assert imagined == pytest.approx(np.mean(measured), abs=0.06), load
        seen.append(np.mean(measured))
    assert seen[0] > 0.9 and seen[2] < 0.2  # From empty to far beyond full.


@pytest.mark.compiled
def test_the_gauge_rises_with_every_pattern_and_says_when_it_is_full():
    config = CA3Config(n_units=500, fan_in=100, sparsity=0.04)
    network = CA3(config, np.random.default_rng(0))
    used, codes = [], patterns(config, 400)
    for first in (0, 20, 100):
        gauge = network.gauge(probes=1)
        used.append(gauge.used)
        assert gauge.n_stored == first
        for code in codes[first : {0: 20, 20: 100, 100: 400}[first]]:
            network.store(code)
    gauge = network.gauge(probes=1)
    assert used[0] == 0.0 and used[0] < used[1] < used[2] < gauge.used
    assert gauge.used > 1 and gauge.room == 0
    assert gauge.mean_count == pytest.approx(network.auto.counts().mean(), rel=0.05)
    share = np.mean(network.auto.counts() > 0)
    assert gauge.potentiated == pytest.approx(share, rel=0.05)


@pytest.mark.compiled
def test_storing_beyond_capacity_works_and_says_what_is_lost():
    config = dataclasses.replace(SMALL, bits=4)
    network, code = CA3(config, np.random.default_rng(0)), patterns(SMALL, 1)[0]
    lost = [network.store(code).n_lost for _ in range(17)]
    assert lost[:15] == [0] * 15 and lost[15] == lost[16] == network.store(code).n_events
    assert network.recall(code).code.overlap(code) > 0.95
