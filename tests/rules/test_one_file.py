"""A rule is one file: written into a folder of the user's, everything knows it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.compiled

ROOT = Path(__file__).parents[2]
RULE = '''"""Anti-symmetric STDP of this test: post before pre strengthens."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from neurosim.rule import Event, Rule


@dataclass(frozen=True)
class BackwardSTDP(Rule):
    """Strengthen what fired too late.

    What the synapse must know: pre, post and a trace of post. It may not know anything else.

    Parameters
    ----------
    amplitude : float
    tau : float [s]

    References
    ----------
    Nobody (2026), this test.
    """

    amplitude: float = 0.01
    tau: float = 0.02

    source: ClassVar[str] = "Nobody (2026)"
    acts_on: ClassVar[Event] = "either"
    pre_traces: ClassVar[tuple[str, ...]] = ("r1",)
    post_traces: ClassVar[tuple[str, ...]] = ("o1",)

    @staticmethod
    def r1(r1, pre, tau, dt):
        """Return the next trace of the presynaptic cell."""
        return (r1 + pre) * math.exp(-dt / tau)

    @staticmethod
    def o1(o1, post, tau, dt):
        """Return the next trace of the postsynaptic cell."""
        return (o1 + post) * math.exp(-dt / tau)

    @staticmethod
    def change(pre, post, r1, o1, amplitude):
        """Return the change of one synapse."""
        return amplitude * (pre * o1 - post * r1)

    @staticmethod
    def reference(pre, post, r1, o1, amplitude):
        """Return the change, from the formula."""
        return amplitude * (np.outer(o1, pre) - np.outer(post, r1))
'''


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("my_rules")
    (folder / "backward_stdp.py").write_text(RULE, "utf-8")
    return {**os.environ, "NEUROSIM_RULES": str(folder), "OMP_NUM_THREADS": "1"}


def command(environment, *words, code=0):
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout + done.stderr


def test_the_list_knows_it(environment):
    text = command(environment, "experiments", "list", "rules")
    assert "backward_stdp" in text and "post before pre strengthens" in text


def test_the_audit_knows_it(environment, tmp_path):
    target = tmp_path / "audit.json"
    command(environment, "experiments", "audit", "backward_stdp", "--json", str(target))
    values = json.loads(target.read_text("utf-8"))
    assert values["backward_stdp_uses"] == ["pre", "post", "own trace"]
    assert values["backward_stdp_local"] and values["n_dishonest"] == 0


def test_the_contract_tests_know_it(environment):
    contract = "tests/rules/test_rule_contract.py"
    text = command(environment, "pytest", contract, "-q", "-k", "backward_stdp")
    assert "passed" in text and "failed" not in text
    assert int(text.split(" passed")[0].split()[-1]) >= 14


def test_the_plots_know_it(environment, tmp_path):
    out = str(tmp_path / "out")
    text = command(
        environment,
        "experiments",
        "run",
        "stdp_windows",
        "n_delays=21",
        "rules=backward_stdp",
        "--out",
        out,
    )
    assert "backward_stdp_max" in text and "pair_stdp_max" not in text
    assert (tmp_path / "out" / "stdp_windows.png").stat().st_size > 10_000


def test_without_the_folder_it_is_unknown_and_the_nearest_rule_suggested(environment):
    plain = {key: value for key, value in environment.items() if key != "NEUROSIM_RULES"}
    text = command(plain, "experiments", "audit", "pair_sdtp", code=2)
    assert "did you mean 'pair_stdp'" in text
    missing = {**plain, "NEUROSIM_RULES": "/nowhere/at/all"}
    assert "NEUROSIM_RULES" in command(missing, "experiments", "list", "rules", code=2)
