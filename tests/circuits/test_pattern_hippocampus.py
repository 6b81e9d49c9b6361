"""The hippocampus for patterns stores at high acetylcholine, completes at low, knows the new."""

import dataclasses

import numpy as np
import pytest

from circuits.association import Association
from circuits.ca3 import CA3Config
from circuits.dentate_gyrus import DentateConfig
from circuits.pattern_ca1 import PatternCA1, PatternCA1Config
from circuits.pattern_hippocampus import PatternHippocampus, PatternHippocampusConfig
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError, CorruptFileError
from neurosim.randomness import Streams
from rules.instar import Instar

N_INPUT = 256


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture
def config(small):
    shrink = 2 if small else 1
    return PatternHippocampusConfig(
        N_INPUT,
        DentateConfig(2048 // shrink, sparsity=0.03, connectivity=0.2),
        CA3Config(n_units=1024 // shrink, fan_in=512 // shrink, sparsity=0.04),
        PatternCA1Config(1024 // shrink, sparsity=0.04),
        perforant_fan_in=N_INPUT,
    )


@pytest.fixture
def born(config, small):
    def make(rule=None, seed=0, **changes):
        circuit = PatternHippocampus(dataclasses.replace(config, **changes), Streams(seed), rule)
        circuit.mature(draw(30 if small else 200, np.random.default_rng(99)))
        return circuit

    return make


def draw(n, rng):
    return [SparseCode.random(N_INPUT, 26, rng) for _ in range(n)]


def fragment(pattern, share, rng):
    kept = rng.choice(pattern.active, round(share * len(pattern)), replace=False)
    return SparseCode(np.sort(kept), pattern.n_units)


def morph(pattern, share, rng):
    """Return a pattern of the same size that keeps a share of the active cells."""
    silent = np.setdiff1d(np.arange(pattern.n_units), pattern.active)
    kept = fragment(pattern, share, rng).active
    others = rng.choice(silent, len(pattern) - len(kept), replace=False)
    return SparseCode(np.sort(np.concatenate((kept, others))), pattern.n_units)


def test_a_pattern_stored_once_comes_back_from_a_quarter_of_it(born, rng):
    circuit, patterns = born(), draw(10, rng)
    for pattern in patterns:
        circuit.store(pattern)
    for pattern in patterns:
        found = circuit.recall(fragment(pattern, 0.25, rng))
        assert found.settled
        assert found.pattern.overlap(pattern) > 0.95


def test_without_nmda_receptors_in_ca3_the_whole_cue_works_and_a_fragment_does_not(born, rng):
    """Nakazawa et al. (2002): normal with full cues, impaired with a fraction of them."""
    circuit, patterns = born(nmda=False), draw(10, rng)
    for pattern in patterns:
        circuit.store(pattern)
    whole = np.mean([circuit.recall(p).pattern.overlap(p) for p in patterns])
    part = np.mean([circuit.recall(fragment(p, 0.25, rng)).pattern.overlap(p) for p in patterns])
    assert whole > 0.97
    assert part < whole - 0.3


def test_without_learning_in_ca1_nothing_is_read_out(born, config, rng):
    ca1 = dataclasses.replace(config.ca1, plastic=False)
    circuit, pattern = born(ca1=ca1), draw(1, rng)[0]
    memory = circuit.store(pattern)
    found = circuit.recall(pattern)
    assert found.ca3.overlap(memory.ca3) > 0.95  # CA3 knows it,
    assert found.pattern.overlap(pattern) < 0.3  # but it finds no way back.


@pytest.mark.compiled
def test_the_gyrus_separates_what_ca3_alone_would_blend(born, rng):
    """With a few CA3 cells driven directly, similar patterns share more of their codes."""
    overlaps = {}
    for separation in (True, False):
        circuit = born(separation=separation)
        pairs = [(p, morph(p, 0.8, rng)) for p in draw(10, rng)]
        overlaps[separation] = np.mean(
            [
                circuit._encode(first, 1.0).overlap(circuit._encode(second, 1.0))
                for first, second in pairs
            ]
        )
    assert overlaps[True] < overlaps[False]


@pytest.mark.compiled
def test_what_is_known_is_not_new(born, rng):
    circuit, patterns = born(), draw(12, rng)
    assert circuit.novelty(patterns[0]) > 0.8  # Before anything is stored.
    for pattern in patterns[:6]:
        circuit.store(pattern)
    assert max(circuit.novelty(pattern) for pattern in patterns[:6]) < 0.1
    assert min(circuit.novelty(pattern) for pattern in patterns[6:]) > 0.8
    # In between: the further a pattern is morphed, the newer.
    morphs = [
        np.mean([circuit.novelty(morph(p, share, rng)) for p in patterns[:6]])
        for share in (0.9, 0.6, 0.3)
    ]
    assert morphs == sorted(morphs) and morphs[0] < 0.5 < morphs[2]


def test_novelty_sets_acetylcholine_so_that_each_pattern_is_written_once(born, rng):
    circuit, pattern = born(), draw(1, rng)[0]
    first, second = circuit.experience(pattern), circuit.experience(pattern)
    assert first.acetylcholine == 1.0 and first.memory is not None
    assert second.acetylcholine == 0.0 and second.memory is None
    assert second.recollection.pattern.overlap(pattern) > 0.95
    assert circuit.ca3.auto.n_stored == 1
    assert circuit.experience(pattern, acetylcholine=0.2).memory is None
    assert circuit.experience(pattern, acetylcholine=0.9).memory is not None


def test_little_acetylcholine_blends_the_old_into_the_new(born, rng):
    """Hasselmo: transmission must be suppressed while something similar is stored."""
    blends = []
    for level in (1.0, 0.8, 0.3):
        circuit, old = born(), draw(1, np.random.default_rng(8))[0]
        memory = circuit.store(old)
        new = morph(old, 0.6, np.random.default_rng(9))
        blends.append(circuit.store(new, level).ca3.overlap(memory.ca3))
    assert blends[0] < 0.5 and blends[0] <= blends[1] <= blends[2]
    assert blends[2] > blends[0] + 0.2


def test_a_release_leaves_the_others_as_if_it_had_never_been_stored(born, rng):
    first, second = born(), born()
    patterns = draw(6, rng)
    unwanted = draw(1, rng)[0]
    for pattern in patterns[:3]:
        first.store(pattern), second.store(pattern)
    memory = first.store(unwanted)
    for pattern in patterns[3:]:
        first.store(pattern), second.store(pattern)
    first.release(memory)
    for name, values in second.state.items():
        np.testing.assert_array_equal(first.state[name], values, err_msg=name)


@pytest.mark.compiled
def test_bursts_from_noise_bring_stored_patterns_back(born, rng):
    circuit, patterns = born(), draw(4, rng)
    for pattern in patterns:
        circuit.store(pattern)
    bursts = circuit.replay(20, rng)
    best = [max(burst.pattern.overlap(p) for p in patterns) for burst in bursts]
    assert np.mean(np.array(best) > 0.95) > 0.8


@pytest.mark.compiled
def test_a_saved_hippocampus_recalls_as_the_one_that_was_saved(born, rng):
    first, second = born(Instar()), born(Instar())
    patterns = draw(5, rng)
    for pattern in patterns:
        first.store(pattern)
    second.restore({name: np.copy(values) for name, values in first.state.items()})
    for pattern in patterns:
        cue = fragment(pattern, 0.4, rng)
        assert first.recall(cue).ca3 == second.recall(cue).ca3
        assert first.recall(cue).pattern == second.recall(cue).pattern
    broken = first.ca1.state | {"output/weights": np.zeros(3, dtype=np.uint8)}
    with pytest.raises(CorruptFileError, match="output/weights"):
        second.ca1.restore(broken)


@pytest.mark.parametrize(
    ("pattern", "level", "says"),
    [
        (SparseCode.of([], N_INPUT), 1.0, "some active and not all"),
        (SparseCode.of(range(N_INPUT), N_INPUT), 1.0, "some active and not all"),
        (SparseCode.of([1], 9), 1.0, f"a code of {N_INPUT} cells"),
        (SparseCode.of([1, 2], N_INPUT), 1.5, "a level from 0 to 1"),
    ],
)
def test_what_cannot_be_stored_is_refused(born, pattern, level, says):
    with pytest.raises(ConfigError, match=says):
        born().store(pattern, level)


def test_a_wrong_configuration_is_named():
    for wrong in (
        {"n_input": 1},
        {"mossy_fan_out": 0},
        {"perforant_fan_in": 0},
    ):
        with pytest.raises(ConfigError):
            PatternHippocampusConfig(**wrong)
    for wrong in ({"sparsity": 0.0}, {"fan_in": 0}, {"temporoammonic": 0.0}):
        with pytest.raises(ConfigError):
            PatternCA1Config(**wrong)


# The parts


def test_an_association_scores_by_the_log_odds_of_counts(rng):
    """With every cell reached the score is the sum of log(1 - r + r w / lambda)."""
    association = Association(6, 4, 6, seed=0)
    pairs = [([0, 1], [0]), ([2, 3], [1]), ([4, 5], [2]), ([0, 2], [3])]
    assert not association.drive(SparseCode.of([0, 1], 6)).any()  # Nothing stored yet.
    for pre, post in pairs:
        association.write(SparseCode.of(pre, 6), SparseCode.of(post, 4))
    score = association.drive(SparseCode.of([0, 1], 6), trust=0.9)
    chance = {0: 2 / 4, 1: 1 / 4}  # use_pre * use_post / n_stored
    expected = [
        sum(np.log(0.1 + 0.9 * w / chance[i]) for i, w in zip((0, 1), counts, strict=True))
        for counts in ([1, 1], [0, 0], [0, 0], [1, 0])
    ]
    np.testing.assert_allclose(score, expected, atol=1e-3)  # Fixed point, loads in 2 per cent.
    np.testing.assert_allclose(association.rates(), 0.25)


def test_ca1_reads_out_a_cell_that_every_pattern_has_and_none_that_no_pattern_has(rng):
    ca1 = PatternCA1(PatternCA1Config(64, 0.1), 40, 16, rng)
    for cell in range(1, 9):
        ca1.write(SparseCode.random(40, 4, rng), SparseCode.of([0, cell], 16))
    assert ca1.output.rates()[0] == 1.0 and ca1.output.rates()[15] == 0.0
    cells = ca1.encode(SparseCode.of([0, 3], 16))
    with np.errstate(divide="raise", invalid="raise"):  # Odds stay finite.
        seen = ca1.decode(cells)
    assert 0 in seen.active and 15 not in seen.active


@pytest.mark.compiled
def test_ca1_finds_the_way_back_and_feels_the_mismatch(rng, small):
    ca1 = PatternCA1(PatternCA1Config(512, 0.05), 400, N_INPUT, rng)
    patterns = draw(12, rng)
    ca1.mature(np.stack([p.to_dense(np.float32) for p in draw(30, rng)]))
    states = [SparseCode.random(400, 12, rng) for _ in patterns]
    for state, pattern in zip(states, patterns, strict=True):
        assert ca1.write(state, pattern) > 0
    for k, (state, pattern) in enumerate(zip(states, patterns, strict=True)):
        assert ca1.decode(ca1.predict(state)).overlap(pattern) > 0.9
        assert ca1.mismatch(state, pattern) < 0.15
        assert ca1.mismatch(state, patterns[k - 1]) > 0.7
