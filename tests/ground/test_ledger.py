"""Costs are counted where they arise: every number is compared with a count by hand."""

import numpy as np
import pytest

from neurosim.codes import SparseCode
from neurosim.connectivity import Full, Generated, Stored
from neurosim.ledger import Ledger, counting, operations, total
from neurosim.plasticity import PlasticProjection
from neurosim.projections import SparseProjection
from neurosim.synapses import CountSynapses
from rules.bcm import BCM
from rules.hebb import Hebb
from rules.oja import Oja
from rules.pair_stdp import PairSTDP
from rules.willshaw import Willshaw


def test_a_dense_step_is_counted_synapse_by_synapse():
    made = PlasticProjection(Full(6, 5), Hebb(eta=1.0))
    pre, post = np.array([1.0, 0, 1, 0, 0, 1]), np.array([1.0, 0, 0, 1, 0])
    assert made.learn(pre, post) == 3 * 5
    # Three rows of five; two of them change; eta * pre * post is two multiplications. A visit
    # reads and writes a weight and reads post.
    assert made.ledger == Ledger(15, 3 * 2, 15 * 2, 15 * (8 + 8 + 8))
    made.learn(np.zeros(6), post)
    assert made.ledger.synaptic_events == 15


@pytest.mark.parametrize("wired", [Full(6, 5), Stored(6, 5, 3, np.random.default_rng(0))])
def test_spikes_of_either_side_are_visited_once(wired):
    made = PlasticProjection(wired, PairSTDP(), dt=0.01)
    made.traces["r1"][:], made.traces["o1"][:] = 1.0, 1.0
    pre, post = np.zeros(6), np.zeros(5)
    pre[[1, 4]], post[[2, 3]] = 1.0, 1.0
    connected = PlasticProjection(wired, Hebb(), 1.0).matrix()
    seen = (post[:, None] + pre[None, :] > 0) * connected
    assert made.learn(pre, post) == seen.sum()
    assert (
        made.ledger.synaptic_events
        == seen.sum()
        == made.ledger.weight_writes + (np.outer(post, pre) * connected * (0.005 == 0.00525)).sum()
    )


def test_traces_of_cells_are_counted_too():
    made = PlasticProjection(Full(2, 7), BCM())
    made.learn(np.zeros(2), np.zeros(7))
    assert made.ledger.synaptic_events == 0
    # A theta is read and written and its post read; -dt / tau, (1 - decay), post * post, ...
    assert made.ledger.bytes_touched == 7 * (8 + 8 + 8)
    assert made.ledger.multiply_adds == 7 * operations(BCM.theta)


def test_reading_is_counted():
    made = PlasticProjection(Full(6, 5), Oja())
    made.drive(np.ones(6))
    assert made.ledger.synaptic_events == made.ledger.multiply_adds == 30
    sparse = PlasticProjection(Stored(6, 5, 3, np.random.default_rng(0)), Oja())
    sparse.drive(np.array([1.0, 0, 0, 1, 0, 0]))
    assert sparse.ledger.synaptic_events == 2 * 3


def test_operations_of_a_formula_are_those_one_would_count():
    def formula(a, b):
        return a * b + a * (b - 2.0) - 1.0

    assert operations(formula) == 3  # Two products and three sums: the larger.
    assert operations(lambda a: a) == 0
    assert operations(Oja.change) == 3


def test_counts_of_a_sparse_projection_and_of_everything_within_a_with():
    rng = np.random.default_rng(1)
    with counting() as whole, counting() as inner:
        counts = SparseProjection("test", 20, 30, 6, rng)
        dense = PlasticProjection(Full(3, 3), Hebb())
        seen = counts.learn(Willshaw(), SparseCode.of([1, 2], 20), SparseCode.of(range(15), 30))
        counts.strength(SparseCode.of([1, 2], 20))
        dense.learn(np.ones(3), np.ones(3))
    assert counts.ledger.synaptic_events == seen + 12
    assert counts.ledger.weight_writes == seen > 0
    assert whole == inner == total([counts.ledger, dense.ledger])
    dense.learn(np.ones(3), np.ones(3))
    assert whole.synaptic_events == seen + 12 + 9
    assert "synaptic events" in str(whole) and whole.as_dict()["synaptic_events"] == seen + 21


WIRED = {
    "stored": lambda: Stored(40, 30, 12, np.random.default_rng(0)),
    "generated": lambda: Generated(40, 30, 12, 1),
}


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("kind", WIRED)
def test_counting_synapses_enter_what_a_slow_loop_over_them_counts(kind, bits):
    rng, connectivity = np.random.default_rng(3), WIRED[kind]()
    made, rows = CountSynapses(connectivity, bits), [connectivity.targets(i) for i in range(40)]
    index = connectivity.index.itemsize if kind == "stored" else 0
    met = changed = looked_up = 0
    for amount in (1, 1, 3, -2, 300, -1):
        pre, post = SparseCode.random(40, 15, rng), SparseCode.random(30, 11, rng)
        before = made.counts().copy()
        made.potentiate(pre, post, amount)
        for i in pre.active:
            met += sum(int(j) in post.active for j in rows[i])
            looked_up += len(post.active)
        changed += int((made.counts() != before).sum())
    assert 0 < changed < met
    assert made.ledger == Ledger(met, changed, met, 2 * met + looked_up * index)

    made.ledger, visits = Ledger(), 0
    pre = SparseCode.random(40, 7, rng)
    made.strength(pre)
    for i in pre.active:
        visits += len(rows[i])
    packed = 7 * made.weights.shape[1]
    assert made.ledger == Ledger(visits, 0, visits, visits * (4 + index) + packed)
    made.push(pre)
    assert made.ledger.synaptic_events == 2 * visits

    made.ledger, before = Ledger(), made.counts().astype(int)
    made.decay(0.4, rng)
    lost = int((made.counts() != before).sum())
    assert 0 < lost
    assert made.ledger == Ledger(40 * 12, lost, before.sum(), 2 * made.weights.size)


def test_generated_rows_are_counted_in_all_blocks_that_they_are_made_in():
    """Targets are generated so many rows at a time; writes of all of them count."""
    wired = Generated(12, 9000, 4000, seed=0)
    made = PlasticProjection(wired, Hebb(eta=1.0))
    assert made.learn(np.ones(12), np.ones(9000)) == 12 * 4000
    assert made.ledger.weight_writes == 12 * 4000
