"""A module put into a folder is found without being listed anywhere."""

import sys

import pytest

from neurosim import discovery
from neurosim.errors import ConfigError


@pytest.fixture
def garden(tmp_path, monkeypatch):
    folder = tmp_path / "garden_of_rules"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Rules."""\n')
    (folder / "oja.py").write_text("value = 1\n")
    (folder / "hebb.py").write_text("value = 2\n")
    (folder / "_private.py").write_text("raise RuntimeError\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [each for each in sys.modules if each.startswith("garden_of_rules")]:
        del sys.modules[name]


def test_public_modules_are_found_by_listing_the_folder(garden):
    found = discovery.modules("garden_of_rules")
    assert {name: module.value for name, module in found.items()} == {"oja": 1, "hebb": 2}


def test_names_are_listed_without_importing_anything(garden):
    (garden / "broken.py").write_text("raise RuntimeError\n")
    assert discovery.names("garden_of_rules") == ["broken", "hebb", "oja"]
    assert "garden_of_rules.oja" not in sys.modules


def test_a_file_added_later_is_found_too(garden):
    discovery.modules("garden_of_rules")
    (garden / "mine.py").write_text("value = 3\n")
    assert discovery.find("garden_of_rules", "mine").value == 3


def test_a_folder_of_the_users_is_added_once_however_often_one_looks(garden, tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text("value = 3\n")
    monkeypatch.setenv("NEUROSIM_GARDEN_OF_RULES", str(tmp_path / "own"))
    for _ in range(3):
        assert discovery.find("garden_of_rules", "mine").value == 3
    path = list(sys.modules["garden_of_rules"].__path__)
    assert path == [str(garden), str(tmp_path / "own")]


def test_a_slip_gets_the_nearest_name(garden):
    with pytest.raises(ConfigError, match="did you mean 'hebb'"):
        discovery.find("garden_of_rules", "heb")


def test_without_a_near_name_all_are_offered(garden):
    with pytest.raises(ConfigError, match="choose one of hebb, oja"):
        discovery.find("garden_of_rules", "zzzzzz")


@pytest.mark.parametrize("name", ["_private", "os.path", "../oja", ""])
def test_only_public_modules_of_the_package_can_be_found(garden, name):
    with pytest.raises(ConfigError):
        discovery.find("garden_of_rules", name)


def test_a_missing_package_is_said_and_a_missing_dependency_not_hidden(garden):
    with pytest.raises(ConfigError, match="no_such_garden"):
        discovery.names("no_such_garden")
    (garden / "__init__.py").write_text("import no_such_dependency\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        discovery.names("garden_of_rules")
