"""Benchmarks are found by name, measure what they say, and hand over flat numbers."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.benchmarks import hippocampus, machine, rules, spiking
from neurosim.discovery import members, modules
from neurosim.rule import Rule

TINY = hippocampus.Config(sizes=(300, 600), dense_up_to=600, smallest_in_slope=300)


@pytest.mark.parametrize("name", modules("experiments.benchmarks"))
def test_every_benchmark_keeps_the_contract(name):
    module = modules("experiments.benchmarks")[name]
    module.Config()
    assert callable(module.run) and callable(module.table)
    assert re.match(r"[A-Z].*", module.__doc__)
    for field in module.Config.__dataclass_fields__:
        assert field in module.Config.__doc__


@pytest.mark.compiled
def test_the_machine_reads_faster_in_order_than_at_random():
    values = machine.run(machine.Config(megabytes=64, accesses=1_000_000, repeats=2))
    assert values["memory_bytes_per_second"] / 8 > values["random_reads_per_second"] > 0


@pytest.mark.compiled
def test_the_hippocampus_is_measured_at_each_size(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(hippocampus, "run_apart", lambda do, config, n: do(config, n))
    monkeypatch.setattr(hippocampus, "WORK", 0.005)
    monkeypatch.setattr(
        machine, "Config", lambda: machine_config(megabytes=8, accesses=100_000, repeats=1)
    )
    target, page = tmp_path / "bench.json", tmp_path / "bench.md"
    code = main(
        ["bench", "hippocampus", "sizes=300,600", "dense_up_to=600", "smallest_in_slope=300"]
        + ["--json", str(target), "--table", str(page)]
    )
    assert code == 0
    values = json.loads(target.read_text())
    for n in (300, 600):
        k, fan_in = round(0.02 * n), round(0.04 * n)
        assert values[f"recall_events_{n}"] == k * fan_in
        for act in ("encode", "store", "recall"):
            cpu = values[f"{act}_cpu_seconds_{n}"]
            assert cpu > 0 and values[f"{act}_seconds_{n}"] > 0
            rate = values[f"{act}_events_per_second_{n}"]
            assert rate == pytest.approx(values[f"{act}_events_{n}"] / cpu)
            share = rate / values["random_reads_per_second"]
            assert values[f"{act}_random_share_{n}"] == pytest.approx(share)
        for kind in ("numpy", "torch", "rows"):
            assert values[f"speedup_{kind}_recall_{n}"] > 0
        assert values[f"peak_rss_mb_{n}"] > 10
    assert {"encode_slope", "store_slope", "recall_slope"} <= set(values)
    table = page.read_text()
    assert table.count("| 300 x 12 |") == 3 and "Slope of log cost" in table
    assert table.strip() in capsys.readouterr().out


machine_config = machine.Config


@pytest.mark.compiled
def test_dense_programs_compute_what_they_are_compared_for():
    values = hippocampus.measure_dense(TINY, 300)
    assert all(value > 0 for value in values.values())
    assert len(values) == 12


def test_a_benchmark_that_is_none_or_a_field_that_is_none_is_refused(capsys):
    assert main(["bench", "hipocampus"]) == 2
    assert "did you mean 'hippocampus'?" in capsys.readouterr().err
    assert main(["bench", "hippocampus", "size=3"]) == 2
    assert "did you mean sizes?" in capsys.readouterr().err


def test_an_experiment_without_a_long_version_says_so(capsys):
    assert main(["run", "ten_days", "--slow"]) == 2
    assert "has no long version" in capsys.readouterr().err


@pytest.mark.compiled
def test_the_spiking_network_is_measured_at_each_size(monkeypatch):
    monkeypatch.setattr(spiking, "run_apart", lambda do, config, n: do(config, n))
    monkeypatch.setattr(
        machine, "Config", lambda: machine_config(megabytes=8, accesses=100_000, repeats=1)
    )
    config = spiking.Config(sizes=(200, 400), seconds=0.1, turns=1, compared=0, memory=(1_500,))
    values = spiking.run(config)
    values |= spiking.measure_learning(spiking.Config(track_seconds=3.0), 200)
    for n in (200, 400):
        assert values[f"cpu_seconds_{n}"] > 0 and values[f"ns_per_update_{n}"] > 0
        assert values[f"pyramidal_rate_{n}"] > 0
        assert values[f"bytes_per_synapse_{n}"] <= 5
    assert values["learning_synapses"] == 200 * 80
    assert 0 < values["limit_update"] < 20 and 0 < values["limit_event"] < 20
    # In a process of many tests the peak says nothing.
    assert np.isfinite([values["plastic_bytes_1500"], values["static_bytes_1500"]]).all()
    others = {
        "ours_cpu_seconds": 1.0, "cython_cpu_seconds": 3.0, "peer_cpu_seconds_bindsnet": 7.0,
        "peer_times_bindsnet": 14.0,
    }  # fmt: skip
    page = spiking.table(values | others)
    assert "| 400 |" in page and "Brian2, Cython" in page and "16,000 synapses" in page
    assert "bytes a plastic synapse" in page and "| bindsnet (another model" in page
    assert "pyramidal) | 7 | 14 |" in page


@pytest.mark.compiled
def test_a_simulator_that_is_not_there_is_named_and_one_that_is_none_refused(monkeypatch, capsys):
    gone = SimpleNamespace(REQUIRES="no_such_simulator", NOTE="")

    def load():
        raise RuntimeError("built for another torch\nand more")

    broken = SimpleNamespace(REQUIRES="json", NOTE="", load=load)
    known = {"gone": gone, "broken": broken}
    monkeypatch.setattr(spiking.spiking_peers, "known", lambda: known)
    values = spiking.measure_peers(spiking.Config(seconds=0.1, turns=1), 200)
    assert values == {
        "peer_absent_gone": "absent (not installed)",
        "peer_absent_broken": "absent (installed, but does not load: built for another torch)",
    }
    limits = {"limit_update": 1.0, "limit_event": 1.0}
    speeds = {"memory_bytes_per_second": 1e9, "random_reads_per_second": 1e6}
    page = spiking.table(values | limits | speeds)
    assert "| gone | absent (not installed) | |" in page
    monkeypatch.undo()
    assert main(["bench", "spiking", "against=nets"]) == 2
    assert "did you mean nest?" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.compiled
@pytest.mark.global_rng
def test_brian2_is_measured_in_turns_with_ours():
    values = spiking.measure_brian2(spiking.Config(seconds=0.1, turns=1), 400)
    for name in ("cython", "standalone"):
        assert values[f"speedup_{name}"] > 1
        assert values[f"{name}_cpu_seconds"] > 0


@pytest.mark.parametrize("name", rules.HAND)
def test_a_loop_by_hand_does_what_the_rule_does_that_is_timed_beside_it(name):
    config = rules.Config(n_units=6)
    rule = members("rules", Rule)[name]()
    step, by_hand, (ours, theirs) = rules.side_by_side(rule, rules.plain(rules.HAND[name]), config)
    before = ours.copy()
    np.testing.assert_array_equal(theirs, before)
    step()
    by_hand()
    # The loop of BCPNN is given the averages of before the step; they move by dt / tau of 1e-3.
    close = 1e-3 if name == "bcpnn" else 1e-12
    np.testing.assert_allclose(ours - before, theirs - before, rtol=close, atol=close / 10)
    assert np.abs(ours - before).max() > 1e-6
