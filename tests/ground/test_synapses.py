"""Synapses: kernels equal plain NumPy bit for bit, at any width, wiring and number of threads."""

import numba
import numpy as np
import pytest

from neurosim import transmission
from neurosim.codes import SparseCode
from neurosim.connectivity import Full, Generated, Nearby, Stored
from neurosim.errors import CapacityError, ConfigError, CorruptFileError
from neurosim.synapses import CountSynapses
from neurosim.transmission import push

N_PRE, N_POST = 61, 53
WIRINGS = {
    "full": lambda: Full(N_PRE, N_POST),
    "stored": lambda: Stored(N_PRE, N_POST, 17, np.random.default_rng(0)),
    "generated": lambda: Generated(N_PRE, N_POST, 17, 1),
    "nearby": lambda: Nearby(N_PRE, N_POST, 17, 0.1, 2, zones=5),
}
every_wiring = pytest.mark.parametrize("wiring", WIRINGS.values(), ids=WIRINGS)
every_width = pytest.mark.parametrize("bits", [1, 4, 8])


class Reference:
    """The same synapses in plain NumPy, one weight a cell of a matrix."""

    def __init__(self, connectivity, bits, recurrent=False):
        self.rows = np.array([connectivity.targets(i) for i in range(connectivity.n_pre)])
        self.counts = np.zeros(self.rows.shape, dtype=np.int64)
        self.most, self.recurrent, self.n_post = 2**bits - 1, recurrent, connectivity.n_post

    def potentiate(self, pre, post, amount):
        met = np.isin(np.arange(len(self.rows)), pre.active)[:, None] & np.isin(
            self.rows, post.active
        )
        if self.recurrent:
            met &= self.rows != np.arange(len(self.rows))[:, None]
        wanted = self.counts + amount * met
        self.counts = np.clip(wanted, 0, self.most)
        return met, int(np.abs(wanted - self.counts).sum())

    def score(self, pre, pre_class, post_class, table):
        total = np.zeros(self.n_post, dtype=np.float64)
        for i in pre.active:
            for j, count in zip(self.rows[i], self.counts[i], strict=True):
                total[j] += table[pre_class[i] + post_class[j], count]
        return total


def random_pair(rng, k_pre=20, k_post=25):
    return SparseCode.random(N_PRE, k_pre, rng), SparseCode.random(N_POST, k_post, rng)


@every_wiring
@every_width
@pytest.mark.parametrize("threads", [1, 2])
def test_kernels_equal_the_reference_bit_for_bit(wiring, bits, threads):
    if threads > numba.config.NUMBA_NUM_THREADS:
        pytest.skip("the machine has one thread")
    connectivity, rng = wiring(), np.random.default_rng(7)
    own = CountSynapses(connectivity, bits, threads=threads)
    reference = Reference(connectivity, bits)
    for amount in [1] * 24 + [-1, -1, 3]:
        pre, post = random_pair(rng)
        change = own.potentiate(pre, post, amount)
        met, lost = reference.potentiate(pre, post, amount)
        assert (change.n_events, change.n_lost) == (met.sum(), lost)
        assert np.array_equal(np.sort(own.coincident(pre, post)), np.flatnonzero(met))
    assert np.array_equal(own.counts(), reference.counts)
    assert own.largest >= reference.counts.max()
    assert 0 < reference.counts.min(initial=1) + reference.counts.max() <= own.most
    classes = rng.integers(0, 4, N_PRE), rng.integers(0, 3, N_POST)
    table = np.round(rng.normal(size=(6, own.most + 1)) * 256) / 256  # Exact in fixed point.
    pre, _ = random_pair(rng)
    scored = own.score(pre, *classes, table)
    assert np.array_equal(scored, reference.score(pre, *classes, table))
    counting = np.arange(own.most + 1)[None]
    zeros = np.zeros(N_PRE, int), np.zeros(N_POST, int)
    assert np.array_equal(own.strength(pre), reference.score(pre, *zeros, counting))


@every_wiring
@every_width
def test_single_counts_are_read_by_cell_and_slot(wiring, bits):
    own, rng = CountSynapses(wiring(), bits), np.random.default_rng(1)
    for _ in range(8):
        own.potentiate(*random_pair(rng))
    counts = own.counts()
    rows, slots = np.indices(counts.shape)
    assert counts.any()
    assert np.array_equal(own.read(rows.ravel(), slots.ravel()), counts.ravel())


def test_a_recurrent_synapse_of_a_cell_on_itself_stays_silent():
    own = CountSynapses(Full(30, 30), 8, recurrent=True)
    code = SparseCode.of(range(5, 15), 30)
    assert own.potentiate(code, code).n_events == 90
    assert not np.diag(own.counts()).any() and own.counts().sum() == 90


@every_width
def test_what_is_taken_back_leaves_the_rest_as_if_it_had_never_been(bits):
    rng = np.random.default_rng(2)
    pairs = [random_pair(rng, 14, 14) for _ in range(6)]
    with_all, without = (CountSynapses(WIRINGS["generated"](), bits) for _ in range(2))
    lost = 0
    for number, pair in enumerate(pairs):
        lost += with_all.potentiate(*pair).n_lost
        if number != 2:
            without.potentiate(*pair)
    lost += with_all.potentiate(*pairs[2], amount=-1).n_lost
    same = np.array_equal(with_all.weights, without.weights)
    assert same or lost > 0  # One bit cannot count; it says so.
    assert same == (bits > 1)
    assert np.array_equal(with_all.post_use, without.post_use)
    assert with_all.n_stored == without.n_stored == 5


@every_wiring
def test_gains_are_pushed_like_a_matrix_of_ones(wiring):
    connectivity, rng = wiring(), np.random.default_rng(3)
    wired = np.zeros((N_POST, N_PRE))
    for i in range(N_PRE):
        wired[connectivity.targets(i), i] = 1.0
    gain = rng.random(N_PRE)
    pre = SparseCode.random(N_PRE, 20, rng)
    pushed = CountSynapses(connectivity).push(pre, gain, np.float64)
    np.testing.assert_allclose(pushed, wired @ (gain * pre.to_dense()), rtol=1e-12)
    assert np.array_equal(push(connectivity, pre, None, np.uint16), wired @ pre.to_dense())


def test_pushing_in_parts_changes_nothing(monkeypatch):
    connectivity, rng = WIRINGS["generated"](), np.random.default_rng(4)
    pre, gain = SparseCode.random(N_PRE, 30, rng), rng.random(N_PRE)
    whole = push(connectivity, pre, gain)
    monkeypatch.setattr(transmission, "SYNAPSES_A_CALL", 40)
    assert np.array_equal(push(connectivity, pre, gain), whole)


@every_width
def test_decay_takes_each_unit_with_the_same_chance(bits):
    connectivity, rng = Generated(200, 200, 100, 1), np.random.default_rng(5)
    own = CountSynapses(connectivity, bits)
    for _ in range(12):
        own.potentiate(SparseCode.random(200, 60, rng), SparseCode.random(200, 60, rng))
    before, n_stored = own.counts().astype(int), own.n_stored
    own.decay(0.3, rng)
    after = own.counts().astype(int)
    assert (after <= before).all()
    total = before.sum()
    # Binomial with p = 0.7: 5 standard errors.
    assert after.sum() == pytest.approx(0.7 * total, abs=5 * np.sqrt(0.21 * total))
    twice = before == 2
    if twice.any():  # Units go independently of each other.
        assert np.mean(after[twice] == 0) == pytest.approx(0.09, abs=5 * 0.29 / twice.sum() ** 0.5)
    assert own.n_stored == pytest.approx(0.7 * n_stored)
    own.decay(1.0, rng)
    assert not own.weights.any()


def test_state_is_taken_back_and_a_foreign_one_refused():
    own, rng = CountSynapses(WIRINGS["generated"](), 4), np.random.default_rng(6)
    own.potentiate(*random_pair(rng))
    saved = {name: array.copy() for name, array in own.state.items()}
    other = CountSynapses(WIRINGS["generated"](), 4)
    other.restore(saved)
    assert np.array_equal(other.weights, own.weights) and other.n_stored == other.largest == 1
    for broken in (
        {name: saved[name] for name in saved if name != "post_use"},
        saved | {"weights": saved["weights"][:-1]},
        saved | {"pre_use": saved["pre_use"].astype(np.float32)},
    ):
        with pytest.raises(CorruptFileError, match=r"CountSynapses\.\w+: expected .* got"):
            other.restore(broken)


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda s: CountSynapses(s.connectivity, 2), "bits: expected 1, 4 or 8"),
        (lambda s: s.strength(SparseCode.of([1], 9)), "pre: expected a code of 61 cells, got"),
        (
            lambda s: s.potentiate(SparseCode.of([1], N_PRE), SparseCode.of([1], 9)),
            "post: expected a code of 53 cells",
        ),
        (lambda s: s.push(SparseCode.of([1], N_PRE), np.ones(3)), "gain: expected shape"),
        (lambda s: s.decay(1.5, np.random.default_rng(0)), "fraction: expected 0..1"),
        (
            lambda s: s.score(
                SparseCode.of([1], N_PRE),
                np.ones(N_PRE, int),
                np.ones(N_POST, int),
                np.ones((2, 256)),
            ),
            "table: expected at least 3 rows of 1 levels",
        ),
        (
            lambda s: CountSynapses(s.connectivity, threads=99).strength(SparseCode.of([1], N_PRE)),
            "threads: expected",
        ),
    ],
)
def test_what_does_not_fit_is_refused(act, words):
    with pytest.raises(ConfigError, match=words):
        act(CountSynapses(WIRINGS["generated"](), 8))


def test_memory_that_is_not_there_is_refused_before_it_is_taken():
    connectivity = Generated(1 << 30, 1 << 30, 1 << 14, 0)
    with pytest.raises(CapacityError, match=r"expected 17592\.19 GB for 17,592,186,044,416 syn"):
        CountSynapses(connectivity, 8)


@every_width
def test_imagined_counts_follow_the_chances_and_are_the_same_both_ways(bits):
    n, rng = 40, np.random.default_rng(8)
    own = CountSynapses(Full(n, n), bits)
    chances = np.cumsum(np.full((1, own.most + 1), 1.0 / (own.most + 1)), axis=1)
    table = np.arange(own.most + 1.0)[None]
    flat, none = np.zeros(n, int), SparseCode.of([], n)
    counts = np.array(
        [
            own.imagine(SparseCode.of([i], n), flat, flat, table, flat, chances, none, 5)
            for i in range(n)
        ]
    )
    assert np.array_equal(counts, counts.T) and not np.diag(counts).any()
    drawn = counts[np.triu_indices(n, 1)]
    # Uniform on 0..most: 4 standard errors of the mean of 780.
    spread = np.sqrt(((own.most + 1) ** 2 - 1) / 12)
    assert drawn.mean() == pytest.approx(own.most / 2, abs=4 * spread / np.sqrt(drawn.size))
    member = SparseCode.random(n, 12, rng)
    inside = np.outer(member.to_dense(), member.to_dense()) & ~np.eye(n, dtype=bool)
    raised = np.array(
        [
            own.imagine(SparseCode.of([i], n), flat, flat, table, flat, chances, member, 5)
            for i in range(n)
        ]
    )
    assert np.array_equal(raised, np.minimum(counts + inside, own.most))
    other = own.imagine(SparseCode.of([0], n), flat, flat, table, flat, chances, none, 6)
    assert not np.array_equal(other, counts[0])
