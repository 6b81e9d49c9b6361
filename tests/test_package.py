"""The four packages are ours, the package says what it is, the two scripts parse."""

import importlib
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ["neurosim", "rules", "circuits", "experiments"]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("name", PACKAGES)
def test_the_package_is_the_one_of_this_checkout(name):
    module = importlib.import_module(name)
    assert module.__file__ is not None, f"{name} has no __init__.py"
    assert Path(module.__file__).resolve() == ROOT / name / "__init__.py"


def test_every_folder_with_modules_is_a_package():
    for name in PACKAGES:
        for module in (ROOT / name).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), module


def test_the_classifier_forbids_an_upload():
    assert "Private :: Do Not Upload" in project()["classifiers"]


def test_the_version_is_the_same_everywhere():
    import neurosim

    version = project()["version"]
    assert neurosim.__version__ == version
    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.parametrize(("script", "shell"), [("run", "sh"), (".ci/run", "bash")])
def test_the_script_is_executable_and_parses(script, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run([shell, "-n", str(ROOT / script)], check=True)


def test_run_refuses_an_unknown_command_with_its_usage():
    done = subprocess.run([str(ROOT / "run"), "dance"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "usage: ./run demo" in done.stderr
