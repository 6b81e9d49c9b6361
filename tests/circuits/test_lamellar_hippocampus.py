"""The hippocampus over lamellae replays sheets of what was stored together."""

import numpy as np
import pytest

from circuits.lamellae_config import LamellaeConfig
from circuits.lamellar_ca3 import LamellarCA3Config
from circuits.lamellar_hippocampus import LamellarHippocampus, LamellarHippocampusConfig
from neurosim import contracts
from neurosim.errors import ConfigError, InputError

SHEET = (5, 5, 3)


def hippocampus(cells=4, ca3=None, seed=0, **gyrus):
    config = LamellarHippocampusConfig(
        LamellaeConfig(n_classes=3, cells=cells, extent=3, stride=2, **gyrus),
        ca3 or LamellarCA3Config(),
    )
    return LamellarHippocampus(config, SHEET, np.random.default_rng(seed))


def sheets(n, seed=0, n_classes=3):
    """Return sheets of classes that differ, each with some noise."""
    rng = np.random.default_rng(seed)
    means = np.random.default_rng(99).random((n_classes, 75)) < 0.4
    labels = rng.integers(n_classes, size=n)
    drawn = 160 * means[labels] + rng.integers(0, 60, size=(n, 75))
    return drawn.astype(np.uint8), labels


def test_it_keeps_the_contract_of_a_hippocampus():
    mine = hippocampus()
    assert isinstance(mine, contracts.Hippocampus)
    assert mine.replay(5, np.random.default_rng(0)) == []
    levels, labels = sheets(1)
    events = mine.store((*levels[0].tolist(), int(labels[0])), 1.0)
    assert events > 0 and mine.gauge().n_episodes == 1
    replay = mine.replay(3, np.random.default_rng(0))[0]
    assert replay.items[-1] == labels[0] and len(replay.items) == 76
    assert replay.valid and replay.confidence == 1.0 and not replay.fragment


def test_a_burst_brings_back_its_class_and_wholes_that_never_were():
    mine = hippocampus(cells=6)
    levels, labels = sheets(120)
    assert mine.experience(levels, labels) > 0
    replays = mine.replay(300, np.random.default_rng(0))
    named = np.array([r.items[-1] for r in replays])
    assert np.bincount(named, minlength=3).min() > 60  # A class's cells are as many as another's.
    means = np.stack([levels[labels == c].mean(axis=0) for c in range(3)])
    seen = np.array([list(r.items[:-1]) for r in replays], float)
    nearest = np.square(seen[:, None] - means * (seen.sum() / means[named].sum())).sum(2).argmin(1)
    assert (nearest == named).mean() > 0.95
    assert np.mean([r.confidence == 1 for r in replays]) > 0.7
    stored = {row.tobytes() for row in levels}
    assert not any(r.items[:-1] in stored for r in replays)


def test_it_names_a_whole_and_completes_a_part():
    mine = hippocampus(cells=8)
    mine.experience(*sheets(200))
    levels, labels = sheets(60, seed=5)
    named = [mine.recall(row.tobytes()) for row in levels]
    assert np.mean([c.items == (int(y),) for c, y in zip(named, labels, strict=True)]) > 0.9
    half = [mine.recall(tuple(row[:45].tolist())) for row in levels]  # Three rows of five.
    assert all(len(c.items) == 31 for c in half)
    assert np.mean([c.items[-1] == y for c, y in zip(half, labels, strict=True)]) > 0.9
    filled = np.array([c.items[:-1] for c in half], float)
    own = [np.corrcoef(filled[k], levels[k, 45:])[0, 1] for k in range(60)]
    other = [
        np.corrcoef(filled[k], levels[k - 1, 45:])[0, 1]
        for k in range(60)
        if labels[k] != labels[k - 1]
    ]
    assert np.mean(own) > np.mean(other) + 0.3
    assert mine.recall(()).confidence == 0.0  # Nothing to go by.


def test_what_is_released_frees_its_cells_and_nothing_of_another_class():
    mine = hippocampus(cells=5)
    mine.experience(*sheets(90))
    kept = mine.gyrus.weights[:, 1].copy(), mine.gyrus.wins[:, 1].copy()
    synapses = mine.ca3.counts[:, 1].copy()
    for _ in range(40):
        for replay in mine.replay(50, np.random.default_rng(0)):
            if replay.items[-1] != 1:
                mine.release(replay)
    assert mine.gyrus.wins[:, 0].sum() == mine.gyrus.wins[:, 2].sum() == 0
    np.testing.assert_array_equal(mine.gyrus.weights[:, 1], kept[0])
    np.testing.assert_array_equal(mine.gyrus.wins[:, 1], kept[1])
    np.testing.assert_array_equal(mine.ca3.counts[:, 1], synapses)
    assert mine.gauge().n_items == (kept[1] > 0).sum() and mine.gauge().room > 0
    mine.experience(*sheets(90))  # There is room for them again.
    assert {r.items[-1] for r in mine.replay(100, np.random.default_rng(1))} == {0, 1, 2}


def test_a_silent_cell_fires_with_its_neighbours_and_is_replayed_as_an_empty_part():
    mine = hippocampus(cells=4)
    levels, labels = sheets(90)
    square = levels.reshape(-1, *SHEET)
    square[labels == 1, 2:, 2:] = 0  # One class never has anything in the last lamella.
    assert mine.experience(levels, labels) > 0
    mine.settle()
    wins, weights = mine.gyrus.wins[3, 1], mine.gyrus.weights[3, 1]
    assert (wins > 0).sum() == 1 and wins.max() == (labels == 1).sum() and not weights.any()
    assert mine.gyrus.weights[3, [0, 2]].any()
    replays = mine.replay(60, np.random.default_rng(0))
    assert all(r.valid for r in replays)
    drawn = np.array([list(r.items) for r in replays])
    sheet = drawn[:, :-1].reshape(-1, *SHEET)
    assert (drawn[:, -1] == 1).sum() > 5
    assert not sheet[drawn[:, -1] == 1][:, 3:, 3:].any()
    assert sheet[drawn[:, -1] == 1][:, :2, :2].any() and sheet[drawn[:, -1] != 1][:, 3:, 3:].any()


def test_what_a_single_sheet_left_goes_with_its_synapses():
    mine = hippocampus(cells=6)
    levels, labels = sheets(9)
    mine.experience(levels, labels)
    mine.settle()
    free = mine.gyrus.wins == 0
    for pair, (a, b) in enumerate(mine.ca3.pairs):
        assert not mine.ca3.counts[pair][free[a]].any()
        assert not mine.ca3.counts[pair].transpose(0, 2, 1)[free[b]].any()


def test_a_state_brings_back_the_same_replays():
    mine, other = hippocampus(cells=6), hippocampus(cells=6, seed=4)
    mine.experience(*sheets(50))
    other.restore(mine.state)
    first, second = (
        [r.items for r in each.replay(20, np.random.default_rng(2))] for each in (mine, other)
    )
    assert first == second


def test_without_competition_cells_are_blurred():
    levels, labels = sheets(300, n_classes=1)
    spread = []
    for competition in (True, False):
        mine = hippocampus(cells=6, competition=competition)
        mine.experience(levels, labels)
        spread.append(mine.gyrus.weights[:, 0].astype(float).std(axis=1).mean())
    assert spread[1] < 0.8 * spread[0]


def test_more_winners_blur_and_each_leaves_its_synapses():
    levels, labels = sheets(40, n_classes=1)
    spread, synapses = [], []
    for winners in (1, 4):
        mine = hippocampus(cells=16, winners=winners)
        mine.experience(levels, labels)
        spread.append(mine.gyrus.weights[:, 0].astype(float).std(axis=1).mean())
        synapses.append(mine.gauge().potentiated)
    assert spread[1] < 0.9 * spread[0] and synapses[1] > 2 * synapses[0]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda h: h.experience(np.zeros((2, 74), np.uint8), np.zeros(2, int)), InputError, "75"),
        (lambda h: h.experience(np.zeros((1, 75), np.uint8), np.array([3])), InputError, "class"),
        (lambda h: h.store((0,) * 75, 1.0), InputError, "complete it first"),
        (lambda h: h.store((0,) * 75 + (7,), 1.0), InputError, "scale the sheet"),
        (lambda h: h.recall((300,)), InputError, "0..255"),
        (lambda h: h.recall((0,) * 77), InputError, "at most 75"),
        (lambda h: h.reconsolidate(None, ()), ConfigError, "anew"),
        (lambda h: h.ca3.restore({}), InputError, "same configuration"),
    ],
)
def test_what_does_not_fit_is_refused(call, error, said):
    with pytest.raises(error, match=said):
        call(hippocampus())


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: LamellarCA3Config(bits=2), "1 or 4 or 8"),
        (lambda: LamellarCA3Config(doubt=0.0), "above 0"),
        (lambda: LamellarCA3Config(deepest=0), "from 1 to 255"),
        (lambda: LamellaeConfig(winners=0), "winners"),
        (lambda: LamellaeConfig(winners=2, competition=False), "1 to 1"),
        (lambda: LamellarHippocampusConfig(LamellaeConfig(n_classes=300)), "at most 255"),
    ],
)
def test_what_cannot_be_built_is_refused(build, said):
    with pytest.raises(ConfigError, match=said):
        build()


def test_a_class_that_comes_back_keeps_the_cells_that_ca3_knows():
    memory = hippocampus(cells=4, least_wins=2)
    first, labels = sheets(40)
    memory.experience(first, labels)
    memory.settle()
    used = memory.gyrus.wins > 0
    again, labels = sheets(5, seed=1)
    memory.experience(again, labels)
    assert used.sum() > 20 and (memory.gyrus.wins[used] > 0).all()
    assert not memory.gyrus.config.room  # With it, cells merge and others take their place.
