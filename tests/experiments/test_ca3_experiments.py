"""The experiments on CA3, each at small size: what it measures, and that it can fail."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments import capacity, free_capacity, replay, sequences, writability
from neurosim.codes import SparseCode
from neurosim.errors import ConfigError
from neurosim.recorder import Recorder

compiled = pytest.mark.compiled


def drawn(module, result):
    axes = Figure().add_subplot()
    module.plot(result, axes)
    assert axes.get_xlabel() and axes.get_ylabel() and axes.get_legend()


# Capacity


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    config = capacity.Config(
        fan_ins=(160, 400),
        dilution=0.5,
        sparsities=(0.05,),
        loads=(0.03, 0.06, 0.1, 0.14, 0.18, 0.22),
        n_cues=6,
        seeds=(0, 1),
        workers=1,
    )
    recorder = Recorder()
    return capacity.run(config, None, recorder, shelf=tmp_path_factory.mktemp("kept")), recorder


@compiled
def test_capacity_rises_with_fan_in_as_theory_says_and_log_odds_hold_more(filled):
    result, recorder = filled
    assert recorder.recording()["overlap"].values.shape == (2, 2, 2, 3, 6)
    half = result.k(0.5).mean(axis=0)[:, :, 0]
    assert (half[1] > half[0]).all()  # A larger fan-in, whatever the read-out.
    strict = result.k(0.95).mean(axis=0)[1]
    covariance, bayesian = result.config.readouts.index("covariance"), 1
    assert (strict[bayesian] > 1.2 * strict[covariance]).all()
    network = result.config.networks()[1]
    for r, readout in enumerate(result.config.readouts):
        theory = network.theory_k(readout, capacity.CUES["full"], 0.5)
        # 40 active cells of 800: chance patterns differ, and cells are not independent.
        assert half[1, r] == pytest.approx(theory, rel=0.2)
    drawn(capacity, result)


def test_the_load_at_the_criterion_is_found_between_two_loads():
    config = capacity.Config(fan_ins=(200,), loads=(0.1, 0.2, 0.3), seeds=(0,))
    overlaps = np.broadcast_to([0.9, 0.7, 0.1], (1, 1, 2, 3, 3))
    result = capacity.Result(config, overlaps)
    assert result.k(0.5)[0, 0, 0, 0] == pytest.approx(0.2 + 0.1 * 2 / 6)
    assert result.k(0.95)[0, 0, 0, 0] == pytest.approx(0.05)
    assert result.k(0.05)[0, 0, 0, 0] == 0.3  # Not lost within the loads: at least the last.


# Replay


@compiled
def test_adapting_cells_let_replay_visit_nearly_all_memories():
    config = replay.Config(
        n_units=512, fan_in=256, n_memories=8, n_bursts=48, seeds=(0, 1, 2), workers=1
    )
    result = replay.run(config, None, Recorder())
    metrics = result.metrics()
    assert metrics["visited"] >= 0.95
    assert metrics["valid"] > 0.9
    # Tired cells let others go first: all have been visited sooner.
    visited = result.visited().mean(axis=0)
    assert visited[0, :24].mean() > visited[1, :24].mean()
    drawn(replay, result)


def test_a_visit_counts_once_and_only_if_the_overlap_is_large():
    config = replay.Config(n_memories=4, n_bursts=5, seeds=(0,))
    memory = np.broadcast_to([2, 2, 0, 1, 3], (1, 2, 5))
    overlap = np.broadcast_to([0.94, 0.95, 1.0, 0.5, 1.0], (1, 2, 5))
    visited = replay.Result(config, memory, overlap).visited()
    np.testing.assert_allclose(visited[0, 0], [0, 0.25, 0.5, 0.5, 0.75])


# Sequences


@compiled
def test_sequences_replay_in_order_both_ways_at_half_capacity_and_not_when_overfull(tmp_path):
    config = sequences.Config(
        n_units=768,
        fan_in=384,
        length=4,
        loads=(0.02, 0.06, 0.1, 0.16),
        n_replays=3,
        strengths=(1, 4),
        n_branch_replays=6,
        seeds=(0, 1),
        workers=1,
    )
    result = sequences.run(config, None, Recorder(), shelf=tmp_path)
    again = sequences.one_seed(1, config)  # Each seed stands in its own row.
    for name, value in again.items():
        np.testing.assert_array_equal(getattr(result, name)[1], value, err_msg=name)
    assert (result.capacity[0], *result.first_arm[0]) != (result.capacity[1], *result.first_arm[1])
    assert (result.in_order[:, :, 0] == 1).all()
    assert (result.in_order[:, :, -1] < 0.5).all()
    assert result.half.mean() > 0.85  # Some ten sequences; one may fail.
    assert (result.laps == 1).all()
    assert result.whole_arm.mean() > 0.8
    assert result.first_arm[:, 1].mean() > result.first_arm[:, 0].mean()
    metrics = result.metrics()
    assert 0.02 < metrics["items_per_step_forward"] < 0.5
    assert metrics["items_per_ms"] == pytest.approx(metrics["items_per_step_forward"] / 6.25)
    drawn(sequences, result)


def test_items_in_order_are_counted_up_to_the_first_that_is_wrong():
    class Visited:
        def __init__(self, cells):
            self.code = SparseCode.of(cells, 9)

    wanted = [SparseCode.of(cells, 9) for cells in ((0, 1), (2, 3), (4, 5))]
    visited = [Visited(c) for c in ((0, 1), (2, 7), (4, 5))]
    assert sequences.n_in_order(visited, wanted) == 1
    assert sequences.n_in_order([visited[0]], wanted) == 1
    assert sequences.n_in_order([Visited(code.active) for code in wanted], wanted) == 3


def test_half_is_found_between_two_loads_and_kept_within_them():
    loads = np.array([0.1, 0.2, 0.3])
    assert sequences.falls_to_half(loads, np.array([1.0, 0.75, 0.25])) == pytest.approx(0.25)
    assert sequences.falls_to_half(loads, np.array([1.0, 1.0, 0.9])) == 0.3
    assert sequences.falls_to_half(loads, np.array([0.2, 0.0, 0.0])) == 0.1


# Free capacity


@compiled
def test_the_next_pattern_s_recall_is_predicted_and_its_release_is_exact():
    config = free_capacity.Config(
        n_units=1024, fan_in=512, loads=(0.02, 0.35), n_next=6, seeds=(0, 1),
        workers=1,
    )  # fmt: skip
    result = free_capacity.run(config, None, Recorder())
    assert (result.exact == 1).all()
    assert result.measured[:, 0].mean() > 0.95 > 0.2 > result.measured[:, -1].mean()
    # Twelve patterns a load: one more that fails in a net of 20 active cells makes 0.08.
    assert np.abs((result.predicted - result.measured).mean(axis=0)).max() < 0.1
    drawn(free_capacity, result)


# Writability


@pytest.fixture(scope="module")
def written():
    config = writability.Config(
        n_units=600,
        fan_in=300,
        sparsities=(0.05,),
        synapses=("willshaw 1 bit", "bayesian 8 bits"),
        loads=(0.03, 0.1, 0.3),
        n_probes=12,
        seeds=(0, 1),
        workers=1,
    )
    return writability.run(config, None, Recorder())


@compiled
def test_a_write_costs_others_nothing_at_first_and_everything_when_full(written):
    stored, damage = written.stored.mean(axis=0), written.damage.mean(axis=0)
    assert (damage[:, 0] < 0.1).all()
    assert (stored[:, 2] < stored[:, :2].max(axis=1)).all()
    assert damage[0, 1] > 0.3  # One bit a synapse is full first.
    assert stored.max() < 0.4  # No more than a graded synapse of an auto-association can.
    drawn(writability, written)


@compiled
def test_no_network_is_better_in_both_than_one_on_the_pareto_front(written):
    stored, damage = (x.mean(axis=0).ravel() for x in (written.stored, written.damage))
    front = written.front()
    assert 1 <= len(front) <= stored.size
    assert [point[3] for point in front] == sorted(point[3] for point in front)
    assert front[-1][3] == pytest.approx(stored.max())
    for *_, bits, harm in front:
        assert not ((stored > bits) & (damage < harm) & (damage >= 0)).any()


@compiled
def test_a_perfect_recall_yields_the_information_of_its_pattern_and_a_wrong_one_none():
    class Perfect:
        class config:
            n_units = 100

        @staticmethod
        def recall(cue):
            return type("Recall", (), {"code": cue})

    codes = [SparseCode.of(range(10), 100)]
    full = writability.recalled_information(Perfect, codes, codes)
    assert full == pytest.approx(100 * (-0.1 * np.log2(0.1) - 0.9 * np.log2(0.9)))
    other = [SparseCode.of(range(50, 60), 100)]
    assert writability.recalled_information(Perfect, other, codes) == 0.0


@pytest.mark.parametrize(
    "make",
    [
        lambda: capacity.Config(dilution=0.0),
        lambda: capacity.Config(loads=(0.2, 0.1)),
        lambda: capacity.Config(n_cues=0),
        lambda: capacity.Config(readouts=("guess",)),
        lambda: replay.Config(n_bursts=0),
        lambda: replay.Config(fan_in=10**6),
        lambda: sequences.Config(length=2),
        lambda: sequences.Config(delay=0.0),
        lambda: sequences.Config(strengths=(0,)),
        lambda: free_capacity.Config(n_next=0),
        lambda: free_capacity.Config(loads=()),
        lambda: writability.Config(written=0.0),
        lambda: writability.Config(synapses=("rubber",)),
    ],
)
def test_a_configuration_that_cannot_be_run_is_refused(make):
    with pytest.raises(ConfigError, match=r"^(CA3)?Config\.\w+: expected"):
        make()
