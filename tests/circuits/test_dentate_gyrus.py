"""The dentate gyrus makes similar inputs dissimilar, and each of its mechanisms does its part."""

import dataclasses
from statistics import NormalDist

import numpy as np
import pytest

from circuits.dentate_gyrus import DentateConfig, DentateGyrus
from circuits.lateral_inhibition import Inhibition, InhibitionConfig
from circuits.neurogenesis import Neurogenesis, NeurogenesisConfig
from circuits.perforant_path import PlasticPath
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError, NumericalError
from rules.instar import Instar
from rules.willshaw import Willshaw

N_INPUT, K_INPUT = 1000, 100


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def born(small):
    """Return a function that makes gyri which have matured on random patterns."""

    def make(rule=None, seed=0, **changes):
        config = DentateConfig(
            **{"n_units": 500 if small else 2000, "sparsity": 0.02, "connectivity": 0.5, **changes}
        )
        rng = np.random.default_rng(seed)
        gyrus = DentateGyrus(config, N_INPUT, rng, rule)
        gyrus.mature(patterns(20 if small else 200, rng))
        return gyrus

    return make


def patterns(n, rng):
    dense = np.zeros((n, N_INPUT), dtype=np.float32)
    for row in dense:
        row[rng.choice(N_INPUT, K_INPUT, replace=False)] = 1.0
    return dense


def lure(pattern, share, rng):
    """Return a pattern that keeps a share of the active cells and draws the others anew."""
    on, off = np.flatnonzero(pattern), np.flatnonzero(pattern == 0)
    n = round(share * len(on))
    changed = np.zeros_like(pattern)
    changed[rng.choice(on, n, replace=False)] = 1.0
    changed[rng.choice(off, len(on) - n, replace=False)] = 1.0
    return changed


def transfer(gyrus, share, n, rng):
    """Return the mean output overlap of pairs, learning each first pattern on the way."""
    overlaps = []
    for pattern in patterns(n, rng):
        gyrus.learn(pattern, rng)
        first, second = gyrus.encode(np.stack([pattern, lure(pattern, share, rng)]))
        overlaps.append(first.overlap(second))
    return np.mean(overlaps)


@pytest.mark.parametrize("sparsity", [0.001, 0.01, 0.1, 0.5])
def test_as_many_cells_fire_as_the_sparsity_says(born, rng, sparsity):
    gyrus = born(n_units=1000, sparsity=sparsity)
    assert [len(code) for code in gyrus.encode(patterns(3, rng))] == [round(1000 * sparsity)] * 3


@pytest.mark.compiled
def test_learning_lowers_the_overlap_of_similar_inputs_and_keeps_the_code_of_the_learnt(born, rng):
    plain, learning = born(), born(Instar())
    before = transfer(plain, 0.9, 20, rng)
    after = transfer(learning, 0.9, 20, rng)
    # Measured 0.53 and 0.37 with deviations of 0.10 a pair, 0.03 a mean of 20.
    assert after < before - 0.08
    pattern = patterns(1, rng)[0]
    code = learning.learn(pattern, rng)
    # Other cells recover a little as it learns, and one or two of the forty may pass.
    assert learning.encode(pattern[None])[0].overlap(code) >= 0.9


@pytest.mark.compiled
def test_homeostasis_takes_hubs_out_of_the_codes(rng):
    """Cells with twice the synapses fire for everything, unless each knows its usual drive."""
    shares = {}
    for homeostasis in (True, False):
        config = DentateConfig(n_units=1000, sparsity=0.05, homeostasis=homeostasis)
        gyrus = DentateGyrus(config, N_INPUT, np.random.default_rng(1), Instar())
        path = PlasticPath(N_INPUT, 100, 0.2, np.random.default_rng(2))
        gyrus.perforant.weights[:100], gyrus.perforant.connected[:100] = (
            path.weights,
            path.connected,
        )
        gyrus.mature(patterns(200, rng))
        codes = gyrus.encode(patterns(50, rng))
        shares[homeostasis] = np.mean([np.mean(code.active < 100) for code in codes])
    assert shares[False] > 0.9  # Hubs hold the layer,
    assert abs(shares[True] - 0.1) < 0.03  # or fire as often as the others.


def test_without_a_rule_an_episode_changes_nothing(born, rng):
    gyrus = born()
    before = {name: values.copy() for name, values in gyrus.state.items()}
    pattern = patterns(1, rng)[0]
    assert gyrus.learn(pattern, rng) == gyrus.encode(pattern[None])[0]
    assert all(np.array_equal(before[name], values) for name, values in gyrus.state.items())


def test_learning_is_the_rule_on_the_synapses_of_the_winners(born, rng):
    gyrus, rule = born(Instar(eta=0.4), recovery=0.0), Instar(eta=0.4)
    path, pattern = gyrus.perforant, patterns(1, rng)[0]
    before = path.weights.copy()
    code = gyrus.learn(pattern, rng)
    post = code.to_dense(np.float64)
    expected = before + rule.reference(pattern, post, before, 0.4, 1.0) * path.connected
    assert len(code) and not np.array_equal(path.weights, before)
    np.testing.assert_allclose(path.weights, expected, rtol=1e-6)  # float32


def test_weights_recover_towards_birth(born, rng):
    gyrus = born(Instar(eta=1.0), recovery=0.5)
    gyrus.learn(patterns(1, rng)[0], rng)
    path = gyrus.perforant
    lost = (path.connected - path.weights).sum()
    gyrus.perforant.recover(0.5)
    assert lost > 0
    assert (path.connected - path.weights).sum() == pytest.approx(lost / 2, rel=1e-5)


def test_a_fixed_path_takes_no_learning_and_no_births(rng):
    fixed = DentateGyrus(DentateConfig(n_units=100), N_INPUT, rng).perforant
    with pytest.raises(ConfigError, match="plastic perforant path"):
        DentateGyrus(DentateConfig(n_units=100), N_INPUT, rng, Instar(), fixed)
    lively = DentateConfig(n_units=100, neurogenesis=NeurogenesisConfig(turnover=0.01))
    with pytest.raises(ConfigError, match="plastic perforant path"):
        DentateGyrus(lively, N_INPUT, rng)
    with pytest.raises(ConfigError, match="acts on post"):
        gyrus = DentateGyrus(DentateConfig(n_units=100), N_INPUT, rng, Willshaw())
        gyrus.learn(patterns(1, rng)[0], rng)


def test_a_saved_gyrus_goes_on_as_the_one_that_was_saved(born):
    lively = NeurogenesisConfig(turnover=0.01, dormancy=2, youth=2)
    first, second = (born(Instar(), seed, neurogenesis=lively) for seed in (0, 9))
    rng = np.random.default_rng(1)
    for pattern in patterns(6, rng):
        first.learn(pattern, rng)
    second.restore({name: np.copy(values) for name, values in first.state.items()})
    later = patterns(4, rng)
    for pattern in later:
        codes = [each.learn(pattern, np.random.default_rng(7)) for each in (first, second)]
        assert codes[0] == codes[1]
    with pytest.raises(ConfigError, match="shape"):
        small = DentateGyrus(DentateConfig(n_units=50), N_INPUT, rng, Instar())
        small.restore(first.state)


# Lateral inhibition


def test_pools_let_the_strongest_of_each_neighbourhood_fire(rng):
    drive = rng.normal(size=90)
    drive[:30] += 10.0  # One neighbourhood is driven far more.
    code = Inhibition(InhibitionConfig("pools", n_pools=3), 90, 9).winners(drive)
    assert np.histogram(code.active, [0, 30, 60, 90])[0].tolist() == [3, 3, 3]
    for start in (0, 30, 60):
        best = start + np.argsort(drive[start : start + 30])[-3:]
        assert set(best) <= set(code.active.tolist())
    assert Inhibition(InhibitionConfig(), 90, 9).winners(drive).active.max() < 30
    with pytest.raises(ConfigError, match="at most 9"):
        Inhibition(InhibitionConfig("pools", n_pools=10), 90, 9)


def test_thresholds_learn_to_let_every_cell_fire_for_its_share(rng):
    cells = Inhibition(InhibitionConfig("threshold", gain=0.1), 200, 10)
    drive = rng.exponential(size=(4000, 200)) - 1.0  # Normalised, but not normal.
    wrong = np.mean([len(cells.winners(row)) for row in drive[:200]]) / 200
    cells.learn(drive)
    fired = np.mean([len(cells.winners(row)) for row in drive[-1000:]]) / 200
    assert wrong > 0.065
    assert fired == pytest.approx(0.05, abs=0.005)
    with pytest.raises(NumericalError):
        cells.winners(np.full(200, np.nan))
    assert NormalDist().inv_cdf(0.95) < cells.threshold.mean()


@pytest.mark.compiled
def test_thresholds_give_a_gyrus_about_its_sparsity(born, rng):
    gyrus = born(inhibition=InhibitionConfig("threshold"))
    sizes = [len(code) for code in gyrus.encode(patterns(20, rng))]
    # The share of one cell scatters by a third of itself after few hundred patterns.
    assert np.mean(sizes) == pytest.approx(gyrus.config.k, rel=0.35)
    assert len(set(sizes)) > 1
    with pytest.raises(ConfigError, match="homeostasis"):
        dataclasses.replace(gyrus.config, homeostasis=False)


def test_feedback_brings_the_activity_near_its_set_point_and_leaves_the_silent_out(rng):
    cells = Inhibition(InhibitionConfig("feedback"), 5000, 100)
    drive = rng.normal(size=5000)
    drive[:200] = -np.inf
    code = cells.winners(drive)
    assert len(code) == pytest.approx(100, abs=2)  # Its tolerance is 2 per cent.
    assert code.active.min() >= 200
    assert drive[code.active].min() > np.sort(drive)[-104]


# Neurogenesis


def test_a_cell_is_silent_then_favoured_then_as_all_others():
    config = NeurogenesisConfig(0.05, dormancy=2, youth=4, excitability=0.4, plasticity=1.5)
    cells = Neurogenesis(config, 20)
    nobody = SparseCode(np.array([], dtype=np.int64), 20)
    assert cells.advantage().tolist() == [0.0] * 20
    (born,) = cells.pass_episode(nobody)
    seen = []
    for _ in range(7):
        seen.append((cells.advantage()[born], cells.plasticity()[born]))
        cells.pass_episode(nobody)
    advantage, plasticity = np.array(seen).T
    np.testing.assert_allclose(advantage, [-np.inf, -np.inf, 0.4, 0.3, 0.2, 0.1, 0.0], 1e-6)
    assert plasticity.tolist() == [1.0, 1.0, 1.5, 1.5, 1.5, 1.5, 1.0]


def test_who_is_never_recruited_dies_first_and_turnover_is_kept():
    cells = Neurogenesis(NeurogenesisConfig(turnover=0.02, dormancy=1, youth=1), 50)
    used = SparseCode(np.arange(30), 50)
    dead = np.concatenate([cells.pass_episode(used) for _ in range(20)])
    assert len(dead) == 20
    assert dead.min() >= 30 and len(set(dead.tolist())) == 20
    slow = Neurogenesis(NeurogenesisConfig(turnover=0.001), 50)
    assert sum(len(slow.pass_episode(used)) for _ in range(100)) == 5


def test_a_newborn_is_wired_anew_and_a_dormant_one_never_fires(born, rng):
    lively = NeurogenesisConfig(turnover=0.02, dormancy=50)
    gyrus = born(Instar(), neurogenesis=lively)
    old = gyrus.perforant.connected.copy()
    for pattern in patterns(5, rng):
        gyrus.learn(pattern, rng)
    dormant = np.flatnonzero(gyrus.neurogenesis.dormant)
    assert len(dormant) == round(5 * 0.02 * gyrus.config.n_units)
    changed = np.flatnonzero((old != gyrus.perforant.connected).any(axis=1))
    assert np.array_equal(changed, dormant)
    fired = np.concatenate([code.active for code in gyrus.encode(patterns(20, rng))])
    assert not set(fired.tolist()) & set(dormant.tolist())


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: DentateConfig(n_units=100, sparsity=0.001), "at least one of 100"),
        (lambda: DentateConfig(connectivity=1.5), "a fraction from 0 to 1"),
        (lambda: InhibitionConfig(kind="none"), "global or pools or feedback"),
        (lambda: InhibitionConfig(n_pools=0), "1 or more"),
        (lambda: NeurogenesisConfig(turnover=0.5), "0 to 0.1"),
        (lambda: NeurogenesisConfig(youth=0), "1 or more episodes"),
    ],
)
def test_a_wrong_setting_is_named(make, says):
    with pytest.raises(ConfigError, match=says):
        make()
