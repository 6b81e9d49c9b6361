"""Every region keeps the contract: whoever adds a file to `circuits/` adds no line here."""

import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from neurosim import contracts
from neurosim.discovery import modules

MODULES = modules("circuits")
every_module = pytest.mark.parametrize("name", MODULES)


def own_classes(module):
    return [
        each
        for _, each in inspect.getmembers(module, inspect.isclass)
        if each.__module__ == module.__name__ and not each.__name__.startswith("_")
    ]


CONFIGS = [
    each
    for module in MODULES.values()
    for each in own_classes(module)
    if each.__name__.endswith("Config")
]


def implementations(*members):
    """Return every concrete class in `circuits/` that has the given members."""
    return [
        each
        for module in MODULES.values()
        for each in own_classes(module)
        if all(hasattr(each, member) for member in members)
    ]


def test_there_are_regions_and_configurations():
    assert len(MODULES) >= 5
    assert len(CONFIGS) >= 5


@every_module
def test_every_public_function_class_and_method_says_what_it_does(name):
    tree = ast.parse(Path(MODULES[name].__file__).read_text("utf-8"))
    public = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not _is_inner(tree, node)
    ]
    assert public
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@every_module
def test_a_region_holds_no_state_at_module_level(name):
    module = MODULES[name]
    mutable = {
        key
        for key, value in vars(module).items()
        if isinstance(value, list | dict | set) and not key.startswith("__")
    }
    assert mutable == set()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_a_configuration_is_frozen_has_defaults_and_describes_every_field(config):
    assert dataclasses.is_dataclass(config) and config.__dataclass_params__.frozen
    config()
    undescribed = [
        field.name
        for field in dataclasses.fields(config)
        if not re.search(rf"\b{field.name}\b", config.__doc__)
    ]
    assert undescribed == []


def test_every_cortex_keeps_the_contract_of_a_cortex(language_cortex):
    found = implementations("dream", "recall", "surprise")
    assert type(language_cortex) in found
    assert isinstance(language_cortex, contracts.Cortex)
    check_signatures(found, contracts.Cortex)


def test_every_hippocampus_keeps_the_contract_of_a_hippocampus(newborn):
    found = implementations("store", "replay", "release", "depth")
    assert type(newborn) in found
    assert isinstance(newborn, contracts.Hippocampus)
    check_signatures(found, contracts.Hippocampus)


def check_signatures(classes, protocol):
    """See that what the contract passes by name is understood."""
    promised = {
        name: inspect.signature(member)
        for name, member in vars(protocol).items()
        if inspect.isfunction(member) and not name.startswith("_")
    }
    assert promised
    for each in classes:
        for name, signature in promised.items():
            own = inspect.signature(getattr(each, name)).parameters
            assert list(own)[: len(signature.parameters)] == list(signature.parameters), name
            extra = list(own.values())[len(signature.parameters) :]
            assert all(parameter.default is not parameter.empty for parameter in extra), name


def _is_inner(tree, node):
    functions = (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))
    return any(node in ast.walk(each) and node is not each for each in functions)
