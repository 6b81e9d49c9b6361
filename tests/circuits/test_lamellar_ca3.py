"""CA3 over lamellae samples what was stored together; its kernel keeps the formula."""

import numpy as np
import pytest

from circuits.lamellar_ca3 import LamellarCA3, LamellarCA3Config


def ca3(grid=(1, 2), n_classes=2, cells=3, **settings):
    return LamellarCA3(LamellarCA3Config(**settings), grid, n_classes, cells)


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
