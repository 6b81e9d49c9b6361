"""An empty name of a file or folder, such as of a shell variable not set, is refused anywhere."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

from experiments.__main__ import main
from neurosim import discovery

pytestmark = pytest.mark.usefixtures("as_it_was")

COMMANDS = discovery.modules("experiments.commands")


def arguments_of(command):
    """Return the arguments that a command declares."""
    parser = ArgumentParser(prog=command)
    COMMANDS[command].add_arguments(parser)
    return [action for action in parser._actions if action.dest != "help"]


def required(command):
    """Return a word for each argument that a command cannot do without, by name."""
    return {
        action.dest: action.choices[0] if action.choices else "word"
        for action in arguments_of(command)
        if not action.option_strings and action.nargs not in ("?", "*")
    }


def emptied(command, action):
    """Return the line of a command with one argument empty."""
    words = required(command)
    if action.option_strings:
        return [command, *words.values(), action.option_strings[0], ""]
    before = list(words)[: list(words).index(action.dest)] if action.dest in words else words
    return [command, *(words[name] for name in before), ""]


PLACES = [
    (action.dest, emptied(command, action))
    for command in COMMANDS
    for action in arguments_of(command)
    if action.type is Path
]


def test_commands_have_places():
    assert {"out", "brain", "table", "figure", "winners", "recording"} <= {
        name for name, _ in PLACES
    }


@pytest.mark.parametrize(
    ("name", "line"),
    [
        *PLACES,
        *(("json", [command, *required(command).values(), "--json", ""]) for command in COMMANDS),
        ("out", ["compare", "--out="]),
        ("out", ["compare", "--out", "folder", "--out", ""]),
        ("json", ["run", "separation", "--json="]),
        ("lm", ["init", "brain", "--lm", ""]),
        ("files", ["day", "brain", "-", ""]),
        ("file", ["sleep", ""]),
    ],
    ids=lambda given: given if isinstance(given, str) else " ".join(given),
)
def test_an_empty_place_is_refused_and_nothing_is_written(
    tmp_path, monkeypatch, name, line, refused
):
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS.values():
        monkeypatch.setattr(command, "run", lambda arguments: pytest.fail("it has begun"))
    said = refused(tmp_path, *line)
    assert f"neurosim: {line[0]}.{name}: expected a file or a folder, got ''; see whether" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_does_without_a_place_is_not_refused(monkeypatch, command):
    seen = []
    monkeypatch.setattr(COMMANDS[command], "run", lambda arguments: seen.append(arguments) or {})
    assert main([command, *required(command).values()]) == 0
    assert len(seen) == 1


def test_the_current_folder_may_be_named(monkeypatch):
    seen = []
    monkeypatch.setattr(COMMANDS["run"], "run", lambda arguments: seen.append(arguments.out) or {})
    assert main(["run", "separation", "--out", "."]) == 0
    assert seen == [Path(".")]
