"""The benchmark of continual learning: libraries that are not installed are named, others agree."""

import importlib.util
import json

import numpy as np
import pytest

from experiments import continual_peers
from experiments.__main__ import main
from experiments.benchmarks import continual
from experiments.class_incremental import ARMS
from neurosim.stream_config import mammoth
from neurosim.streams import Stream

INSTALLED = sorted(continual_peers.installed())


def test_libraries_are_found_by_listing_the_folder():
    known = continual_peers.known()
    assert "avalanche" in known
    for library in known.values():
        assert {type(ARMS[arm]) for arm in continual.Config().arms} <= set(library.METHODS)


def test_an_absent_library_is_named_and_ours_measured(tmp_path, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "avalanche" else find(n, *a)
    )
    target = tmp_path / "bench.json"
    command = ["bench", "continual", "arms=none,ER 10", "seeds=0,1", "--json", str(target)]
    assert main(command) == 0
    assert "avalanche: absent (not installed), not measured" in capsys.readouterr().out
    values = json.loads(target.read_text())
    assert values["acc_none_ours"] < 0.25 < values["acc_er_10_ours"]
    assert not any(name.startswith("apart_") for name in values)
    assert "| er_10 |" in continual.table(values)


def test_a_method_that_is_no_network_is_refused(capsys):
    assert main(["bench", "continual", "arms=NCM"]) == 2
    assert "expected some of none, joint" in capsys.readouterr().err


def test_the_table_says_how_many_agree():
    values = {
        "acc_er_10_ours": 0.70, "sd_er_10_ours": 0.01, "acc_none_ours": 0.2, "sd_none_ours": 0.0,
        "acc_er_10_avalanche": 0.725, "sd_er_10_avalanche": 0.02, "apart_er_10_avalanche": 0.025,
        "acc_none_avalanche": 0.19, "sd_none_avalanche": 0.0, "apart_none_avalanche": -0.01,
    }  # fmt: skip
    text = continual.table(values)
    assert "1 of 2 methods agree with avalanche within 2 points." in text
    assert "| er_10 | 70.00 (s.d. 1.00) | 72.50 (s.d. 2.00) | +2.50 |" in text


@pytest.mark.skipif("avalanche" not in INSTALLED, reason="avalanche is not installed")
@pytest.mark.global_rng
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("arm", continual.Config().arms)
def test_avalanches_strategies_live_along_our_stream(arm):
    stream = Stream(mammoth("digits"), 0)
    found = continual_peers.known()["avalanche"].accuracies(stream, ARMS[arm], 0)
    assert found.shape == (5,) and found[-1] > 0.6  # The last task is known in any case.
    assert (found[:-1].mean() > 0.5) == (arm == "ER 50")
    again = continual_peers.known()["avalanche"].accuracies(stream, ARMS[arm], 0)
    np.testing.assert_array_equal(found, again)
