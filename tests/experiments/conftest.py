"""What tests of the command line share: small brains, and commands within this process."""

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from circuits import brain as brain_module
from circuits.brain import Brain
from circuits.dentate_gyrus import DentateConfig
from circuits.episodic_ca3 import EpisodicCA3Config
from experiments.__main__ import main

ROOT = Path(__file__).parents[2]
USUAL = Brain._hippocampus_config


def small(brain):
    """Return the sizes of a hippocampus that is born quickly."""
    usual = USUAL(brain)
    return dataclasses.replace(
        usual,
        entorhinal=dataclasses.replace(usual.entorhinal, n_item=256, n_context=256),
        dentate=DentateConfig(n_units=2048),
        ca3=EpisodicCA3Config(
            n_index=1024, k_index=20, n_sequence=2048, k_sequence=20, connectivity=0.5
        ),
    )


def tiny(brain):
    """Return the sizes of a hippocampus that is soon full."""
    ca3 = EpisodicCA3Config(n_index=256, k_index=8, n_sequence=256, k_sequence=8, connectivity=0.5)
    return dataclasses.replace(small(brain), ca3=ca3)


@pytest.fixture(scope="session")
def sizes():
    """Return the sizes of hippocampi by name: born quickly, and soon full."""
    return {"small": small, "tiny": tiny}


@pytest.fixture
def as_it_was():
    """Give back what commands change: a handler, the environment and torch's settings."""
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    environment = dict(os.environ)
    torch.set_num_threads(1)
    yield
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def small_brains(monkeypatch):
    """Let brains within this process be born quickly."""
    monkeypatch.setattr(Brain, "_hippocampus_config", small)
    monkeypatch.setattr(brain_module, "ADOLESCENCE", 40)


def _hashes(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


def _neurosim(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "experiments", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


@pytest.fixture(scope="session")
def hashes():
    """Return a function that gives the SHA-256 of every file of a folder, locks aside."""
    return _hashes


@pytest.fixture(scope="session")
def neurosim():
    """Return a function that runs a command in a process of its own."""
    return _neurosim


@pytest.fixture
def said(capsys):
    """Return a function that runs a command in this process and gives its stdout and stderr."""

    def run(*words, code=0):
        capsys.readouterr()
        found = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert found == code, err
        return out, err

    return run


@pytest.fixture
def numbers(said):
    """Return a function that gives the numbers of a command."""

    def run(*words):
        out, err = said(*words, "--json", "-")
        assert err == ""  # No progress bar where nobody looks.
        return json.loads(out[out.index("{\n") :])

    return run


@pytest.fixture
def refused(said):
    """Return a function for a command that must fail: code 2, one sentence, nothing changed."""

    def run(folder, *words):
        before = _hashes(folder)
        out, err = said(*words, code=2)
        assert err.count("\n") == 1 and err.startswith("neurosim: ") and err.endswith("\n")
        assert "Traceback" not in out + err
        assert out == ""
        assert _hashes(folder) == before
        return err

    return run
