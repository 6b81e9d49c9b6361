"""The benchmark of the cortex: sides that compute the same are compared, absent ones are named."""

import importlib.util
import json
import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from experiments import peers
from experiments.__main__ import main
from experiments.benchmarks import cortex
from neurosim.network import Network, NetworkConfig
from neurosim.optimisers import Optimiser
from neurosim.predictive_coding import Inference
from rules.backprop import Backprop
from rules.pc import PredictiveCoding

INSTALLED = [name for name, there in peers.known().items() if there]


def test_peers_are_found_by_listing_the_folder():
    assert {"jpc", "ngclearn", "pcx", "torch_pc", "torch_bp"} <= set(peers.known())
    assert {"torch_pc", "torch_bp"} <= set(INSTALLED)


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_peer_computes_what_it_is_compared_for(name, loss, activation):
    if loss not in peers.losses(name):
        pytest.skip(f"{name} does not know {loss}")
    rng = np.random.default_rng(0)
    network = Network(NetworkConfig((12, 9, 8, 4), activation, loss), rng)
    x = rng.normal(size=(5, 12)).astype(np.float32)
    y = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 5)]
    inference, eta = Inference(6, 0.2), 0.05
    peer = peers.made(name, network, inference, eta)
    begin = network.copy()
    optimiser = Optimiser(eta=eta)
    learner = (
        Backprop(optimiser=optimiser)
        if "backprop" in peers.differs(name)
        else PredictiveCoding(optimiser=optimiser, inference=inference)
    )
    memory = learner.begin(network, rng)
    for _ in range(3):
        peer.step(x, y)
        learner.step(network, memory, x, y, 1.0)
    for ours, theirs, old in zip(network.weights, peer.weights(), begin.weights, strict=True):
        assert np.abs(ours - old).max() > 1e-3
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-6)


@pytest.mark.compiled
def test_sides_are_measured_on_the_same_step(tmp_path, capsys):
    target = tmp_path / "bench.json"
    settings = [
        "widths=16", "batches=1,8", "against=torch_pc,torch_bp,pcx,jpc", "repeats=3",
        "scale_widths=16,32", "scale_depths=2,3",
    ]  # fmt: skip
    assert main(["bench", "cortex", *settings, "--json", str(target)]) == 0
    values, said = json.loads(target.read_text()), capsys.readouterr().out
    for batch in (1, 8):
        place = f"16_{batch}"
        assert values[f"apart_torch_pc_{place}"] < cortex.SAME
        assert values[f"neurosim_seconds_{place}"] > 0
        assert values[f"speedup_torch_pc_{place}"] > 0
        assert 0 < values[f"sgemm_share_{place}"] < 1
        assert 1 <= values[f"n_steps_same_energy_{place}"] <= 20
    assert values["sgemm_flops_per_second"] >= values["sgemm_blas_flops_per_second"] > 1e9
    assert values["blas"] and f"BLAS: {values['blas']}" in said
    assert {"slope_width", "slope_depth"} <= set(values)
    assert values["bytes_per_parameter_width_32"] > 4
    assert "| torch pc |" in said and "share of the sgemm peak" in said
    for name in ("pcx", "jpc"):
        if importlib.util.find_spec(name) is None:
            assert f"{name}: absent (not installed)" in said


@pytest.mark.skipif(platform.machine() != "x86_64", reason="kernels of x86-64 are asked for")
@pytest.mark.parametrize("cap", ["Nehalem", None])
def test_a_variable_that_holds_the_blas_back_is_named(cap):
    left = {name: value for name, value in os.environ.items() if name != cortex.CAP}
    ask = "import json; from experiments.benchmarks.cortex import blas_in_use as ask\n"
    told = subprocess.run(
        [sys.executable, "-c", ask + "print(json.dumps(ask(print)))"],
        env={**left, cortex.CAP: cap} if cap else left, capture_output=True, text=True, check=True,
    )  # fmt: skip
    *said, found = told.stdout.splitlines()
    blas = json.loads(found)
    if "openblas" not in blas["blas"]:
        pytest.skip("NumPy has another BLAS")
    if cap is None:
        assert set(blas) == {"blas"} and len(said) == 1
        return
    assert "openblas Nehalem" in blas["blas"] and "Nehalem" not in blas["blas_if_free"]
    free = blas["blas_if_free"].removeprefix("openblas ")
    assert f"{cortex.CAP}=Nehalem holds OpenBLAS to its Nehalem kernels" in said[-1]
    assert f"takes {free}: run `env -u {cortex.CAP} neurosim bench cortex`" in said[-1]


def test_fewer_steps_come_as_far_down():
    task = cortex.Task(cortex.Config(), (32, 32), 4)
    less = task.fewer()
    ends = [
        cortex.settle(task.network, task.x, task.y, inference, record=True).energies[-1].mean()
        for inference in (task.inference, less)
    ]
    assert less.n_steps < task.inference.n_steps and ends[1] <= ends[0]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("batches=1,0", "Config.batches: expected 1 or more, got (1, 0)"),
        ("widths=-5", "Config.widths: expected 1 or more"),
        ("scale_batch=0", "Config.scale_batch: expected 1 or more"),
        ("repeats=0", "Config.repeats: expected 1 or more"),
        ("n_steps=0", "Config.n_steps: expected 1 or more"),
        ("seed=-1", "Config.seed: expected 0 or more"),
        ("against=pxc", "did you mean pcx"),
        ("eta=0", "Optimiser.eta: expected a learning rate above 0"),
        ("step=-1", "Inference.step: expected a number above 0"),
        ("activation=rel", "did you mean 'relu'?"),
        ("loss=ms", "did you mean 'mse'?"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(capsys, setting, expected):
    assert main(["bench", "cortex", setting]) == 2
    told = capsys.readouterr()
    assert expected in told.err and told.err.count("\n") == 1 and not told.out
