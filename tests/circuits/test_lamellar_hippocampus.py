"""CA3 over lamellae samples what was stored together; the hippocampus replays sheets of it."""

import numpy as np
import pytest

from circuits.entorhinal_sheet import EntorhinalSheet
from circuits.feature_maps import FeatureMaps, FeatureMapsConfig
from circuits.lamellae_config import QUIET, LamellaeConfig
from circuits.lamellar_ca3 import LamellarCA3, LamellarCA3Config
from circuits.lamellar_hippocampus import LamellarHippocampus, LamellarHippocampusConfig
from neurosim import contracts
from neurosim.errors import ConfigError, InputError

SHEET = (5, 5, 3)


def ca3(grid=(1, 2), n_classes=2, cells=3, **settings):
    return LamellarCA3(LamellarCA3Config(**settings), grid, n_classes, cells)


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


# The sheet


def test_the_sheet_is_normalised_by_the_squares_that_hold_a_cell():
    rng = np.random.default_rng(0)
    maps = FeatureMaps(FeatureMapsConfig(4, 3, 4, 1, 1, 200), (20, 20), rng)
    images = rng.random((3, 400)).astype(np.float32)
    maps.develop(images)
    sheet = EntorhinalSheet(maps, 3, 2)
    x = maps.encode(images)
    total, shared = np.zeros_like(x), np.zeros((5, 5, 1))
    for row in (0, 2):
        for column in (0, 2):
            square = np.s_[:, row : row + 3, column : column + 3]
            norm = np.sqrt((x[square] ** 2).sum(axis=(1, 2, 3), keepdims=True))
            total[square] += x[square] / (norm + QUIET)
            shared[square[1:]] += 1
    levels = np.clip(255 / 0.35 * total / shared, 0, 255).reshape(3, -1)
    assert sheet.shape == SHEET[:2] + (4,) and levels.max() > 100
    assert np.abs(sheet.encode(images) - levels).max() <= 0.5 + 1e-3  # Whole levels.


# CA3


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_synapse_counts_the_patterns_of_both_its_cells(bits):
    rng = np.random.default_rng(0)
    net = ca3((2, 3), bits=bits)
    labels, cells = rng.integers(2, size=60), rng.integers(3, size=(60, 6, 1))
    neighbours = {
        (0, 1),
        (1, 2),
        (3, 4),
        (4, 5),
        (0, 3),
        (1, 4),
        (2, 5),
        (0, 4),
        (1, 3),
        (1, 5),
        (2, 4),
    }  # noqa: E501 fmt: skip
    assert set(map(tuple, net.pairs.tolist())) == neighbours
    fresh = net.write(labels, cells)
    counts = np.zeros_like(net.counts, dtype=int)
    for pair, (a, b) in enumerate(net.pairs):
        np.add.at(counts[pair], (labels, cells[:, a, 0], cells[:, b, 0]), 1)
    np.testing.assert_array_equal(net.counts, np.minimum(counts, (1 << bits) - 1))
    assert fresh == (counts > 0).sum() and counts.max() > 1
    other = ca3((2, 3), bits=bits)
    other.restore(net.state)
    np.testing.assert_array_equal(other.counts, net.counts)
    assert net.state["counts"].nbytes == -(-net.counts.size * bits // 8)


def test_every_active_cell_of_a_lamella_is_wired_to_every_other():
    net = ca3(bits=8)
    net.write(np.array([1]), np.array([[[0, 2], [1, -1]]]))
    assert net.counts[0, 1, 0, 1] == net.counts[0, 1, 2, 1] == 1 and net.counts.sum() == 2


@pytest.mark.compiled
def test_a_cell_fires_with_the_chance_that_its_neighbours_give_it():
    net = ca3(doubt=0.5, sweeps=0, bits=8)
    net.counts[0, 1] = [[6, 1, 0], [0, 2, 2], [0, 0, 9]]
    use = np.zeros((2, 2, 3), np.uint16)
    use[0, 1], use[1, 1] = (7, 4, 9), (6, 3, 11)
    n = 20_000
    found = net.replay(n, use, np.random.default_rng(0))
    assert (found.labels == 1).all()
    for first in range(3):
        # Activity begins on either side; a cell that follows is chosen by its counts alone.
        begun = found.cells[:, 0] == first
        share = np.bincount(found.cells[begun, 1], minlength=3) / begun.sum()
        forward = net.counts[0, 1, first] + 0.5
        backward = (net.counts[0, 1] + 0.5)[first] / (net.counts[0, 1] + 0.5).sum(axis=0)
        joint = forward / forward.sum() + backward  # Each begins in half of the bursts, 1/3 a cell.
        expected = joint / joint.sum()
        assert share == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(begun.sum()))
    heard = net.counts[0, 1][found.cells[:, 0], found.cells[:, 1]] > 0
    np.testing.assert_array_equal(found.agreement, heard)
    assert 0 < heard.mean() < 1


def burst_by_hand(net, use, label, cells, order, chance):
    """Return where a burst goes, by the formula of the docstring."""
    cells = list(cells)
    for lamella, u in zip(order, chance, strict=True):
        odds = np.log(use[lamella, label].astype(float))
        for pair, (a, b) in enumerate(net.pairs):
            table = net.counts[pair, label].astype(float)
            for own, other, w in ((a, b, table.T), (b, a, table)):
                if own == lamella and cells[other] >= 0:
                    odds += np.log(w[cells[other]] + net.config.doubt) - np.log(use[lamella, label])
        p = np.exp(odds - odds.max())
        cells[lamella] = int(np.searchsorted(np.cumsum(p) / p.sum(), u, side="right"))
    return cells


def test_the_kernel_keeps_the_formula(monkeypatch):
    rng = np.random.default_rng(3)
    net = ca3((2, 2), cells=4, sweeps=2)
    use = rng.integers(1, 30, size=(4, 2, 4)).astype(np.uint16)
    net.counts[...] = rng.integers(0, 9, size=net.counts.shape)
    orders = []
    monkeypatch.setattr(
        net,
        "_order",
        lambda begun, rng: orders.append(LamellarCA3._order(net, begun, rng)) or orders[-1],
    )
    found = net.replay(40, use, np.random.default_rng(7))
    again = np.random.default_rng(7)
    eager = np.ones(use.size) / use.size
    begun, label, cell = np.unravel_index(again.choice(use.size, 40, p=eager), use.shape)
    order = LamellarCA3._order(net, begun, again)
    np.testing.assert_array_equal(order, orders[0])
    assert (order[:, :3] != begun[:, None]).all() and order.shape == (40, 3 + 2 * 4)
    chance = again.random(order.shape, np.float32)
    for k in range(40):
        cells = [-1] * 4
        cells[begun[k]] = cell[k]
        assert found.cells[k].tolist() == burst_by_hand(
            net, use, label[k], cells, order[k], chance[k]
        )


@pytest.mark.compiled
def test_without_recurrent_synapses_cells_fire_as_often_as_before():
    net = ca3(recurrent=False)
    net.counts[0, 1] = 15 * np.eye(3)
    use = np.zeros((2, 2, 3), np.uint16)
    use[:, 1] = (1, 2, 3)
    cells = net.replay(6000, use, np.random.default_rng(0)).cells
    same = (cells[:, 0] == cells[:, 1]).mean()
    assert same == pytest.approx((1 + 4 + 9) / 36, abs=4 * 0.5 / np.sqrt(6000))
    with_them = ca3()
    with_them.counts[0, 1] = 15 * np.eye(3)
    cells = with_them.replay(1000, use, np.random.default_rng(0)).cells
    assert (cells[:, 0] == cells[:, 1]).mean() > 0.95


def test_deep_cells_begin_more_often_but_not_under_acetylcholine():
    net = ca3(deepest=8, sweeps=0)
    net.write(np.array([0, 1]), np.array([[[0], [0]], [[1], [1]]]))
    use = (net.depth > 1).astype(np.uint16)
    assert use.sum() == 4
    for _ in range(20):
        net.fade(0, np.array([0, 0]))
    assert net.depth[0, 0, 0] == 1 and net.depth[0, 1, 1] == 8
    shares = [
        (net.replay(2000, use, np.random.default_rng(1), level).labels == 1).mean()
        for level in (0.0, 1.0)
    ]
    assert shares == pytest.approx([8 / 9, 0.5], abs=4 * 0.5 / np.sqrt(2000))


def test_what_is_released_is_silent_and_all_else_is_as_it_was():
    rng = np.random.default_rng(1)
    net = ca3((2, 2), cells=5)
    net.write(rng.integers(2, size=30), rng.integers(5, size=(30, 4, 1)))
    before, trace = net.counts.copy(), np.array([1, 4, 0, 2], np.int32)
    net.release(1, trace)
    mine = np.zeros_like(before, dtype=bool)
    for pair, (a, b) in enumerate(net.pairs):
        mine[pair, 1, trace[a]] = mine[pair, 1, :, trace[b]] = True
    assert before[mine].any() and not net.counts[mine].any()
    np.testing.assert_array_equal(net.counts[~mine], before[~mine])


def test_a_silent_part_is_completed_with_the_cells_stored_beside_it():
    net = ca3((2, 2), cells=4)
    use = np.zeros((4, 2, 4), np.uint16)
    for cell in range(4):
        net.write(np.full(5, 1), np.tile(np.full((4, 1), cell), (5, 1, 1)))
        use[:, 1, cell] = 5
    for cell in range(4):
        for known in range(4):
            cue = np.full(4, -1)
            cue[known] = cell
            assert net.complete(1, cue, use).tolist() == [cell] * 4


# The hippocampus


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


@pytest.mark.parametrize("bits", [1, 4])
def test_who_takes_a_cell_s_part_has_counted_what_it_has(bits):
    """As if the one that is kept had fired wherever the other did."""
    mine, other = (ca3((2, 2), 2, 4, bits=bits, deepest=3) for _ in range(2))
    rng = np.random.default_rng(0)
    labels, cells = rng.integers(2, size=60), rng.integers(4, size=(60, 4, 1))
    mine.write(labels, cells)
    mine.depth[2, 1, 3], mine.depth[2, 1, 0] = 3, 2
    mine.inherit(2, 1, 3, 0)
    cells[labels == 1, 2] %= 3
    other.write(labels, cells)
    np.testing.assert_array_equal(mine.counts, other.counts)
    assert mine.depth[2, 1].tolist()[::3] == [3, 1] and mine.counts.any()


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
