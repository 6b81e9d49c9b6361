"""Every experiment keeps the contract: whoever adds a file to `experiments/` adds no line here."""

import ast
import dataclasses
import inspect
import math
from argparse import ArgumentParser
from pathlib import Path

import matplotlib.axes
import pytest

import experiments
from neurosim.discovery import modules

FOLDER = Path(experiments.__file__).parent
MODULES = {
    name: module
    for name, module in modules("experiments").items()
    if not name.startswith("_") and not hasattr(module, "__path__")
}
PARTS = ("run", "plot", "expected")
EXPERIMENTS = {n: m for n, m in MODULES.items() if any(hasattr(m, part) for part in PARTS)}
COMMANDS = modules("experiments.commands")
every_module = pytest.mark.parametrize("name", MODULES)
every_experiment = pytest.mark.parametrize("name", EXPERIMENTS)
every_command = pytest.mark.parametrize("name", COMMANDS)


def imported_within_the_roof():
    found = set()
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
    return found


def test_there_are_experiments_and_commands():
    assert EXPERIMENTS
    assert {"init", "day", "night", "ask", "status", "sleep"} <= set(COMMANDS)


@every_module
def test_a_module_is_an_experiment_or_serves_one(name):
    assert name in EXPERIMENTS or f"experiments.{name}" in imported_within_the_roof()


@every_experiment
def test_a_configuration_is_frozen_and_has_defaults(name):
    config = EXPERIMENTS[name].Config
    assert dataclasses.is_dataclass(config) and config.__dataclass_params__.frozen
    config()
    for field in dataclasses.fields(config):
        assert field.name in config.__doc__, field.name


@every_experiment
def test_an_experiment_runs_plots_and_says_what_is_expected(name):
    module = EXPERIMENTS[name]
    run = inspect.signature(module.run).parameters
    assert list(run)[:3] == ["config", "rng", "recorder"]
    assert all(p.default is not p.empty for p in list(run.values())[3:])
    plot = inspect.signature(module.plot).parameters
    assert list(plot) == ["result", "axes"]
    assert plot["axes"].annotation in (matplotlib.axes.Axes, "Axes")
    assert module.expected
    for key, (value, source) in module.expected.items():
        assert math.isfinite(value), key
        assert isinstance(source, str) and len(source.split()) >= 3, key


@every_command
def test_a_command_declares_its_arguments_and_runs(name):
    module = COMMANDS[name]
    first_line = module.__doc__.strip().splitlines()[0]
    assert first_line and first_line[0].islower()  # It stands in the list of commands.
    parser = ArgumentParser()
    module.add_arguments(parser)
    assert all(action.help for action in parser._actions)
    assert list(inspect.signature(module.run).parameters) == ["arguments"]
