"""A brain is born, lives, sleeps and answers; mistakes get one sentence and change nothing."""

import dataclasses
import errno
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from circuits import brain as brain_module
from circuits.brain import Brain
from circuits.brain_config import BrainConfig
from circuits.night import NightConfig
from experiments.childhood import DATA, MODEL, newborn_scores
from neurosim.text import read_sentences
from neurosim.versioned import DirectoryLock
from rules.willshaw import Willshaw

pytestmark = [pytest.mark.compiled, pytest.mark.usefixtures("as_it_was")]

ROOT = Path(__file__).parents[2]
NIGHT = NightConfig(cycles=2, steps=3)
LINES = (DATA / "diary.txt").read_text("utf-8").splitlines()[:4]


def raised(folder, sizes, config):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Brain, "_hippocampus_config", sizes)
        patch.setattr(brain_module, "ADOLESCENCE", 40)
        brain = Brain.create(folder, MODEL, Willshaw(), config, newborn_scores)
        brain.day(read_sentences(folder.parent / "diary.txt"))
    return folder


@pytest.fixture(scope="module")
def lived(tmp_path_factory, sizes):
    """A small brain after a day; copy it."""
    place = tmp_path_factory.mktemp("brains")
    (place / "diary.txt").write_text("\n".join(LINES), "utf-8")
    return raised(place / "lived", sizes["small"], BrainConfig(night=NIGHT))


@pytest.fixture
def brain(lived, tmp_path, small_brains):
    """A small brain after a day, for commands within this process."""
    return Path(shutil.copytree(lived, tmp_path / "brain"))


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a file of the user's."""

    def write(content):
        path = tmp_path / "day.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def test_a_brain_is_born_through_the_command_line(tmp_path, neurosim):
    found = neurosim("init", tmp_path / "brain", "--seed", 7, "--json", tmp_path / "birth.json")
    assert (found.returncode, found.stderr) == (0, "")
    values = json.loads((tmp_path / "birth.json").read_text())
    assert values["seed"] == 7
    assert values["n_parameters"] > 1e6 and values["n_synapses"] > 1e6
    assert values["room_tokens"] > 1000
    assert (tmp_path / "brain" / "brain.json").is_file()


def test_a_day_a_night_and_questions_follow_each_other(brain, written, numbers):
    before = numbers("status", brain)
    assert before["memories_held"] == len(LINES) and before["nights"] == 0
    assert before["synapses_potentiated"] > 0 and before["perplexity"] > 1
    new = written("A purple walrus sang under the old stone bridge at midnight.")
    day = numbers("day", brain, new)
    assert (day["n_read"], day["n_stored"], day["memories_held"]) == (1, 1, len(LINES) + 1)
    answer = numbers("ask", brain, "A purple walrus sang under the")
    assert answer["text"] == "old stone bridge at midnight."
    assert answer["source"] in ("hippocampus", "both") and 0.5 < answer["confidence"] <= 1
    night = numbers("night", brain)
    assert night["n_steps"] == NIGHT.cycles * NIGHT.steps
    assert night["merged"] and night["seconds"] > 0 and night["drift"] > 0
    after = numbers("status", brain)
    assert (after["nights"], after["days"]) == (1, 2)
    assert after["consolidated"] == night["n_consolidated"]
    assert after["parameters"] > after["parameters_at_birth"]
    assert after["perplexity_at_birth"] == before["perplexity"]


def test_a_day_is_read_from_standard_input(brain, monkeypatch, numbers):
    text = "A purple walrus sang under the old stone bridge at midnight."
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert numbers("day", brain, "-")["n_stored"] == 1


def test_several_files_make_one_day(brain, tmp_path, numbers):
    for name in "ab":
        (tmp_path / name).write_text(f"The {name} boat sank near Skarrow Point in a heavy storm.")
    assert numbers("day", brain, tmp_path / "a", tmp_path / "b")["n_read"] == 2


@pytest.mark.parametrize(
    "cue",
    [
        "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0",
        "\U0001f600\U0001f469\u200d\U0001f680",
        "\u4eca\u5929\u5929\u6c14",
        "\x07\x1b",
        "<|end|>",
        "\udcff\udcfe",  # What a shell passes on from bytes that are not UTF-8.
        "word " * 400,
        "\u10d2" * 500,
    ],
    ids=["Georgian", "emoji", "Chinese", "control", "mark", "no UTF-8", "long", "long Georgian"],
)
def test_a_cue_in_any_script_is_answered(brain, cue, numbers):
    answer = numbers("ask", brain, cue)
    assert answer["source"] in ("cortex", "hippocampus", "both")
    assert 0 <= answer["confidence"] <= 1


def test_status_and_questions_change_nothing(brain, said, hashes):
    before = hashes(brain)
    said("status", brain)
    said("ask", brain, "The ferry")
    assert hashes(brain) == before


BAD_TEXTS = {
    "empty": (b"", "empty file"),
    "blank": (b" \n\n\t\n", "empty file"),
    "binary": (b"A good start here.\n\x00\x01\x02", "byte offset 19"),
    "program": (b"\x7fELF\x02\x01\x01\x00", "byte offset 0"),
    "Latin-1": ("A caf\u00e9 by the sea.".encode("latin-1"), "byte offset 5"),
    "UTF-16": ("A boat by the sea.".encode("utf-16"), "byte offset 0"),
    "10,000 words": (b"word " * 10_000, "words"),
    "fault after good lines": (b"A boat lay by the sea.\n" * 9 + b"\xff", "byte offset 207"),
    "endless word": (b"x" * 100_000, "bytes"),
}


@pytest.mark.parametrize("kind", BAD_TEXTS)
def test_a_text_that_cannot_be_read_leaves_the_brain_as_it_was(brain, written, kind, refused):
    content, reason = BAD_TEXTS[kind]
    assert reason in refused(brain, "day", brain, written(content))


def test_a_missing_text_or_a_directory_leaves_the_brain_as_it_was(brain, tmp_path, refused):
    assert "no such file" in refused(brain, "day", brain, tmp_path / "none.txt")
    assert "directory" in refused(brain, "day", brain, tmp_path)


def test_one_bad_file_of_several_spoils_the_whole_day(brain, tmp_path, written, refused):
    good = written("A boat lay by the sea near Korsholm all winter.")
    assert "no such file" in refused(brain, "day", brain, good, tmp_path / "none.txt")


def test_empty_standard_input_is_refused(brain, monkeypatch, refused):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "standard input" in refused(brain, "day", brain, "-")


def commands(brain, text):
    return (
        ("day", brain, text),
        ("night", brain),
        ("ask", brain, "The ferry"),
        ("status", brain),
    )


def flip_a_byte(brain):
    file = next(brain.glob("hippocampus*"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def make_newer(brain):
    fields = json.loads((brain / "brain.json").read_text())
    fields["format_version"] = 99
    (brain / "brain.json").write_text(json.dumps(fields))


DAMAGES = {
    "half-written": (lambda brain: (brain / "brain.json").unlink(), "never finished"),
    "flipped byte": (flip_a_byte, "damaged"),
    "truncated": (lambda brain: next(brain.glob("language*.safe*")).write_bytes(b""), "damaged"),
    "missing file": (lambda brain: next(brain.glob("tokenizer*")).unlink(), "missing"),
    "newer version": (make_newer, "upgrade neurosim"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_brain_is_refused_by_every_command(brain, written, kind, refused):
    spoil, reason = DAMAGES[kind]
    spoil(brain)
    for words in commands(brain, written("A boat lay by the sea.")):
        assert reason in refused(brain, *words)


def test_a_missing_brain_is_refused_by_every_command(tmp_path, written, refused):
    text = written("A boat lay by the sea.")
    for words in commands(tmp_path / "nowhere", text):
        assert "nowhere" in refused(tmp_path, *words)
    assert not (tmp_path / "nowhere").exists()


def test_a_brain_in_use_is_refused_by_every_command(brain, written, refused):
    with DirectoryLock(brain):
        for words in commands(brain, written("A boat lay by the sea.")):
            assert "in use" in refused(brain, *words)


@pytest.mark.parametrize("cycles", ["0", "-1"])
def test_a_night_without_cycles_is_refused(brain, cycles, refused):
    assert "--cycles" in refused(brain, "night", brain, "--cycles", cycles)


def test_an_empty_cue_is_refused(brain, refused):
    assert "CUE" in refused(brain, "ask", brain, "  ")


def test_a_full_disk_leaves_the_brain_as_it_was(brain, written, monkeypatch, refused):
    full = type(shutil.disk_usage(brain))(10**9, 10**9, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    text = written("A boat lay by the sea near Korsholm all winter.")
    assert "free" in refused(brain, "day", brain, text)


def test_numbers_that_cannot_be_written_are_noticed_before_the_brain_changes(
    brain, written, tmp_path, refused
):
    text = written("A boat lay by the sea near Korsholm all winter.")
    place = tmp_path / "none" / "numbers.json"
    refused(brain, "day", brain, text, "--json", place)


def test_a_birth_that_cannot_be_is_refused(brain, tmp_path, refused):
    assert "not empty" in refused(brain, "init", brain)
    new = tmp_path / "new"
    assert "config.json" in refused(tmp_path, "init", new, "--lm", tmp_path / "none")
    assert "seed" in refused(tmp_path, "init", new, "--seed", -1)
    assert not new.exists()


@pytest.mark.parametrize(
    "words",
    [("no-such-file.txt",), ("--controls", "nonsense"), ("--seeds", "0"), ("--cycles", "0")],
)
def test_the_main_job_keeps_an_older_brain_when_it_cannot_start(brain, tmp_path, words, refused):
    (tmp_path / "out").mkdir()
    brain.rename(tmp_path / "out" / "brain")
    refused(tmp_path / "out", "sleep", *words, "--out", tmp_path / "out")


def test_a_text_of_100_megabytes_says_what_fits_and_stops_when_full(
    tmp_path, monkeypatch, said, sizes
):
    rng = np.random.default_rng(0)
    words = np.array((DATA / "diary.txt").read_text("utf-8").replace(".", "").split())
    lines = [" ".join(rng.choice(words, 9)).capitalize() + ".\n" for _ in range(20_000)]
    block = "".join(lines).encode()
    with open(tmp_path / "huge.txt", "wb") as file:
        for _ in range(100_000_000 // len(block) + 1):
            file.write(block)
    (tmp_path / "diary.txt").write_text(LINES[0])
    brain = raised(tmp_path / "brain", sizes["tiny"], BrainConfig())
    monkeypatch.setattr(Brain, "_hippocampus_config", sizes["tiny"])
    start = time.perf_counter()
    _, err = said("day", brain, tmp_path / "huge.txt", code=2)
    warning, error = err.splitlines()
    assert "fit into the hippocampus" in warning and "MB" in warning
    assert "is full" in error and "were not" in error and "let a night pass" in error
    assert time.perf_counter() - start < 30  # It did not read to the end.


def test_a_mistake_is_one_line_from_a_process_of_its_own_too(tmp_path, neurosim):
    found = neurosim("status", tmp_path / "nowhere")
    assert found.returncode == 2 and found.stdout == ""
    assert found.stderr.count("\n") == 1 and "Traceback" not in found.stderr


# The command line itself, with the sizes of a small brain.
SMALL_PROCESS = """
import dataclasses, sys
from circuits.brain import Brain
from circuits.episodic_ca3 import EpisodicCA3Config
from circuits.dentate_gyrus import DentateConfig
from experiments.__main__ import main
usual = Brain._hippocampus_config
def small(brain):
    config = usual(brain)
    entorhinal = dataclasses.replace(config.entorhinal, n_item=256, n_context=256)
    ca3 = EpisodicCA3Config(1024, 20, 2048, 20, connectivity=0.5)
    dentate = DentateConfig(n_units=2048)
    return dataclasses.replace(config, entorhinal=entorhinal, dentate=dentate, ca3=ca3)
Brain._hippocampus_config = small
sys.exit(main())
"""


def cycles(brain):
    ledger = json.loads((brain / "brain.json").read_text())["meta"]["ledger"]
    return [event["event"] for event in ledger].count("cycle")


def stopped_after_another_cycle(brain, how):
    """Start a night in a process of its own, stop it after one more cycle; return its code."""
    before = cycles(brain)
    process = subprocess.Popen(
        [sys.executable, "-c", SMALL_PROCESS, "night", str(brain)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while cycles(brain) == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert cycles(brain) > before
    return process.returncode


def test_a_night_that_is_killed_and_then_interrupted_still_comes_to_its_end(
    tmp_path, monkeypatch, said, sizes
):
    (tmp_path / "diary.txt").write_text("\n".join(LINES), "utf-8")
    config = BrainConfig(night=dataclasses.replace(NIGHT, cycles=6, steps=3))
    brain = raised(tmp_path / "brain", sizes["small"], config)
    assert stopped_after_another_cycle(brain, signal.SIGKILL) == -signal.SIGKILL
    assert stopped_after_another_cycle(brain, signal.SIGINT) == 130
    slept = cycles(brain)
    assert 2 <= slept < 6
    monkeypatch.setattr(Brain, "_hippocampus_config", sizes["small"])
    out, _ = said("night", brain)
    assert f"going on after cycle {slept}" in out
    assert cycles(brain) == 6
    ledger = json.loads((brain / "brain.json").read_text())["meta"]["ledger"]
    assert ledger[-1]["event"] == "night"


def test_a_brain_is_not_born_below_a_file(tmp_path, refused):
    (tmp_path / "file").write_text("the user's")
    assert "choose another" in refused(tmp_path, "init", tmp_path / "file" / "brain")


def test_a_birth_that_failed_half_way_can_be_tried_again(tmp_path, small_brains, monkeypatch, said):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("neurosim.versioned.os.replace", full)
        err = said("init", tmp_path / "brain", code=2)[1]
        assert "free some space" in err and (tmp_path / "brain" / ".lock").exists()
    said("init", tmp_path / "brain")
