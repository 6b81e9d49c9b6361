"""Ctrl-C ends the program in one sentence from the first line of ours on."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SENTENCE = "neurosim: interrupted; what was finished is kept\n"
SCRIPT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
MODULE, _, FUNCTION = SCRIPT["neurosim"].partition(":")
ENTRIES = {
    "the module": "import runpy; runpy.run_module('experiments', run_name='__main__')",
    "the script": f"from {MODULE} import {FUNCTION} as entry; sys.exit(entry())",
}
LISTENING = "signal.signal(signal.SIGINT, signal.default_int_handler)"
# The process sends the signal to itself when a module is looked for: no clock is involved.
INTERRUPTED_AT = """
import os, signal, sys
{handler}

def send():
    os.write(1, b"sent")
    os.kill(os.getpid(), signal.SIGINT)

class Callback:
    def __del__(self):  # Python drops what is raised here, as in callbacks of the import system.
        send()

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {moment!r}:
            {send}()

sys.meta_path.insert(0, Finder())
sys.argv = ["neurosim", "status", "nowhere"]
{entry}
"""


def interrupted(moment, entry, send="send", handler=LISTENING):
    code = INTERRUPTED_AT.format(moment=moment, entry=ENTRIES[entry], send=send, handler=handler)
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    "moment",
    [
        "experiments.command_line",
        "neurosim",
        "neurosim.discovery",
        "numpy",
        "numpy.linalg",
        "neurosim.storage",
        "experiments.commands",
        "experiments.commands.ask",
        "experiments.commands.status",
        "circuits.brain",
    ],
)
def test_an_interrupt_while_modules_are_imported_is_one_sentence(moment, entry):
    found = interrupted(moment, entry)
    assert found.stdout == "sent"
    assert (found.returncode, found.stderr) == (130, SENTENCE)


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_interrupt_in_a_callback_of_an_import_is_not_lost(entry):
    found = interrupted("numpy", entry, "Callback")
    assert found.stdout == "sent"
    assert (found.returncode, found.stderr) == (130, SENTENCE)


def test_who_was_told_to_ignore_interrupts_ignores_them_while_it_imports():
    found = interrupted(
        "numpy", "the module", handler=LISTENING.replace("default_int_handler", "SIG_IGN")
    )
    assert found.stdout == "sent"
    assert found.returncode == 2 and "nowhere: expected a directory" in found.stderr


def test_the_entry_imports_nothing_of_weight_before_it_listens():
    code = (
        f"import sys, types; before = set(sys.modules); import {MODULE}; "
        "print(*sorted(set(sys.modules) - before))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.split() == ["experiments", "experiments.__main__"]


def test_interrupts_are_exceptions_again_once_all_is_imported():
    code = (
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from experiments.__main__ import main\nfrom experiments.commands import ask\n"
        "ask.run = lambda arguments: print(\n"
        "    signal.getsignal(signal.SIGINT) is signal.default_int_handler) or {}\n"
        "main(['ask', 'brain', 'cue'])"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout == "True\n"
