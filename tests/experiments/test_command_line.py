"""The command line: a brain is born, lives, sleeps and answers; mistakes get one sentence."""

import dataclasses
import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from circuits import brain as brain_module
from circuits.brain import Brain, BrainConfig
from circuits.dentate_gyrus import DentateConfig
from circuits.episodic_ca3 import EpisodicCA3Config
from circuits.night import NightConfig
from experiments import arms, one_night
from experiments.__main__ import main
from experiments.childhood import DATA, MODEL, newborn_scores, shipped_facts
from experiments.commands import run as run_command
from neurosim.recorder import Recorder
from neurosim.text import Sentence, read_sentences
from neurosim.versioned import DirectoryLock
from rules.willshaw import Willshaw

pytestmark = pytest.mark.compiled

ROOT = Path(__file__).parents[2]
NIGHT = NightConfig(cycles=2, steps=3)
LINES = (DATA / "diary.txt").read_text("utf-8").splitlines()[:4]
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


@pytest.fixture(autouse=True)
def _as_it_was():
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
    monkeypatch.setattr(Brain, "_hippocampus_config", small)
    monkeypatch.setattr(brain_module, "ADOLESCENCE", 40)


def raised(folder, sizes, config):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Brain, "_hippocampus_config", sizes)
        patch.setattr(brain_module, "ADOLESCENCE", 40)
        brain = Brain.create(folder, MODEL, Willshaw(), config, newborn_scores)
        brain.day(read_sentences(folder.parent / "diary.txt"))
    return folder


@pytest.fixture(scope="module")
def lived(tmp_path_factory):
    """A small brain after a day; copy it."""
    place = tmp_path_factory.mktemp("brains")
    (place / "diary.txt").write_text("\n".join(LINES), "utf-8")
    return raised(place / "lived", small, BrainConfig(night=NIGHT))


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


def hashes(folder):
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


def neurosim(*words, **options):
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "experiments", *map(str, words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        **options,
    )


def said(capsys, *words, code=0):
    """Run a command within this process; return what it wrote to stdout and to stderr."""
    capsys.readouterr()
    found = main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert found == code, err
    return out, err


def numbers(capsys, *words):
    out, err = said(capsys, *words, "--json", "-")
    assert err == ""  # No progress bar where nobody looks.
    return json.loads(out[out.index("{\n") :])


# As it should be


def test_a_brain_is_born_through_the_command_line(tmp_path):
    found = neurosim("init", tmp_path / "brain", "--seed", 7, "--json", tmp_path / "birth.json")
    assert (found.returncode, found.stderr) == (0, "")
    values = json.loads((tmp_path / "birth.json").read_text())
    assert values["seed"] == 7
    assert values["n_parameters"] > 1e6 and values["n_synapses"] > 1e6
    assert values["room_tokens"] > 1000
    assert (tmp_path / "brain" / "brain.json").is_file()


def test_a_day_a_night_and_questions_follow_each_other(capsys, brain, written):
    before = numbers(capsys, "status", brain)
    assert before["memories_held"] == len(LINES) and before["nights"] == 0
    assert before["synapses_potentiated"] > 0 and before["perplexity"] > 1
    new = written("A purple walrus sang under the old stone bridge at midnight.")
    day = numbers(capsys, "day", brain, new)
    assert (day["n_read"], day["n_stored"], day["memories_held"]) == (1, 1, len(LINES) + 1)
    answer = numbers(capsys, "ask", brain, "A purple walrus sang under the")
    assert answer["text"] == "old stone bridge at midnight."
    assert answer["source"] in ("hippocampus", "both") and 0.5 < answer["confidence"] <= 1
    night = numbers(capsys, "night", brain)
    assert night["n_steps"] == NIGHT.cycles * NIGHT.steps
    assert night["merged"] and night["seconds"] > 0 and night["drift"] > 0
    after = numbers(capsys, "status", brain)
    assert (after["nights"], after["days"]) == (1, 2)
    assert after["consolidated"] == night["n_consolidated"]
    assert after["parameters"] > after["parameters_at_birth"]
    assert after["perplexity_at_birth"] == before["perplexity"]


def test_a_day_is_read_from_standard_input(capsys, brain, monkeypatch):
    text = "A purple walrus sang under the old stone bridge at midnight."
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert numbers(capsys, "day", brain, "-")["n_stored"] == 1


def test_several_files_make_one_day(capsys, brain, tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(f"The {name} boat sank near Skarrow Point in a heavy storm.")
    assert numbers(capsys, "day", brain, tmp_path / "a", tmp_path / "b")["n_read"] == 2


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
def test_a_cue_in_any_script_is_answered(capsys, brain, cue):
    answer = numbers(capsys, "ask", brain, cue)
    assert answer["source"] in ("cortex", "hippocampus", "both")
    assert 0 <= answer["confidence"] <= 1


def test_status_and_questions_change_nothing(capsys, brain):
    before = hashes(brain)
    said(capsys, "status", brain)
    said(capsys, "ask", brain, "The ferry")
    assert hashes(brain) == before


def test_an_answer_in_any_script_can_be_printed_on_any_terminal(lived):
    code = (
        "import dataclasses, sys; sys.path.insert(0, '.')\n"
        "from experiments.__main__ import main\n"
        "from experiments.commands import ask\n"
        "ask.run = lambda arguments: print('\\U0001f600 \\u10d2') or {}\n"
        "sys.exit(main(['ask', 'nowhere', 'cue']))\n"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert "Traceback" not in found.stderr and found.returncode == 0


def test_help_is_quick_and_does_not_load_torch():
    times = []
    for _ in range(3):
        start = time.perf_counter()
        found = neurosim("--help")
        times.append(time.perf_counter() - start)
        assert found.returncode == 0 and "night" in found.stdout
    assert min(times) < 1.5
    code = (
        "import sys\nfrom experiments.__main__ import main\n"
        "try:\n    main(['night', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit('torch' in sys.modules or 'numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# Bad input


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


def refused(capsys, folder, *words):
    """Run a command that must fail: code 2, one sentence, nothing changed. Return the sentence."""
    before = hashes(folder)
    out, err = said(capsys, *words, code=2)
    assert err.count("\n") == 1 and err.startswith("neurosim: ") and err.endswith("\n")
    assert "Traceback" not in out + err
    assert out == ""
    assert hashes(folder) == before
    return err


@pytest.mark.parametrize("kind", BAD_TEXTS)
def test_a_text_that_cannot_be_read_leaves_the_brain_as_it_was(capsys, brain, written, kind):
    content, reason = BAD_TEXTS[kind]
    assert reason in refused(capsys, brain, "day", brain, written(content))


def test_a_missing_text_or_a_directory_leaves_the_brain_as_it_was(capsys, brain, tmp_path):
    assert "no such file" in refused(capsys, brain, "day", brain, tmp_path / "none.txt")
    assert "directory" in refused(capsys, brain, "day", brain, tmp_path)


def test_one_bad_file_of_several_spoils_the_whole_day(capsys, brain, tmp_path, written):
    good = written("A boat lay by the sea near Korsholm all winter.")
    assert "no such file" in refused(capsys, brain, "day", brain, good, tmp_path / "none.txt")


def test_empty_standard_input_is_refused(capsys, brain, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "standard input" in refused(capsys, brain, "day", brain, "-")


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
def test_a_damaged_brain_is_refused_by_every_command(capsys, brain, written, kind):
    spoil, reason = DAMAGES[kind]
    spoil(brain)
    for words in commands(brain, written("A boat lay by the sea.")):
        assert reason in refused(capsys, brain, *words)


def test_a_missing_brain_is_refused_by_every_command(capsys, tmp_path, written):
    text = written("A boat lay by the sea.")
    for words in commands(tmp_path / "nowhere", text):
        assert "nowhere" in refused(capsys, tmp_path, *words)
    assert not (tmp_path / "nowhere").exists()


def test_a_brain_in_use_is_refused_by_every_command(capsys, brain, written):
    with DirectoryLock(brain):
        for words in commands(brain, written("A boat lay by the sea.")):
            assert "in use" in refused(capsys, brain, *words)


@pytest.mark.parametrize("cycles", ["0", "-1"])
def test_a_night_without_cycles_is_refused(capsys, brain, cycles):
    assert "--cycles" in refused(capsys, brain, "night", brain, "--cycles", cycles)


def test_an_empty_cue_is_refused(capsys, brain):
    assert "CUE" in refused(capsys, brain, "ask", brain, "  ")


def test_a_full_disk_leaves_the_brain_as_it_was(capsys, brain, written, monkeypatch):
    full = type(shutil.disk_usage(brain))(10**9, 10**9, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    text = written("A boat lay by the sea near Korsholm all winter.")
    assert "free" in refused(capsys, brain, "day", brain, text)


def test_numbers_that_cannot_be_written_are_noticed_before_the_brain_changes(
    capsys, brain, written, tmp_path
):
    text = written("A boat lay by the sea near Korsholm all winter.")
    place = tmp_path / "none" / "numbers.json"
    refused(capsys, brain, "day", brain, text, "--json", place)


def test_a_birth_that_cannot_be_is_refused(capsys, brain, tmp_path):
    assert "not empty" in refused(capsys, brain, "init", brain)
    new = tmp_path / "new"
    assert "config.json" in refused(capsys, tmp_path, "init", new, "--lm", tmp_path / "none")
    assert "seed" in refused(capsys, tmp_path, "init", new, "--seed", -1)
    assert not new.exists()


@pytest.mark.parametrize(
    "words",
    [("no-such-file.txt",), ("--controls", "nonsense"), ("--seeds", "0"), ("--cycles", "0")],
)
def test_the_main_job_keeps_an_older_brain_when_it_cannot_start(capsys, brain, tmp_path, words):
    (tmp_path / "out").mkdir()
    brain.rename(tmp_path / "out" / "brain")
    refused(capsys, tmp_path / "out", "sleep", *words, "--out", tmp_path / "out")


def test_a_text_of_100_megabytes_says_what_fits_and_stops_when_full(capsys, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    words = np.array((DATA / "diary.txt").read_text("utf-8").replace(".", "").split())
    lines = [" ".join(rng.choice(words, 9)).capitalize() + ".\n" for _ in range(20_000)]
    block = "".join(lines).encode()
    with open(tmp_path / "huge.txt", "wb") as file:
        for _ in range(100_000_000 // len(block) + 1):
            file.write(block)
    (tmp_path / "diary.txt").write_text(LINES[0])
    brain = raised(tmp_path / "brain", tiny, BrainConfig())
    monkeypatch.setattr(Brain, "_hippocampus_config", tiny)
    start = time.perf_counter()
    _, err = said(capsys, "day", brain, tmp_path / "huge.txt", code=2)
    warning, error = err.splitlines()
    assert "fit into the hippocampus" in warning and "MB" in warning
    assert "is full" in error and "were not" in error and "let a night pass" in error
    assert time.perf_counter() - start < 30  # It did not read to the end.


def test_a_mistake_is_one_line_from_a_process_of_its_own_too(tmp_path):
    found = neurosim("status", tmp_path / "nowhere")
    assert found.returncode == 2 and found.stdout == ""
    assert found.stderr.count("\n") == 1 and "Traceback" not in found.stderr


# Interruption


# The command line itself, with the sizes of `small`.
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
    capsys, tmp_path, monkeypatch
):
    (tmp_path / "diary.txt").write_text("\n".join(LINES), "utf-8")
    config = BrainConfig(night=dataclasses.replace(NIGHT, cycles=6, steps=3))
    brain = raised(tmp_path / "brain", small, config)
    assert stopped_after_another_cycle(brain, signal.SIGKILL) == -signal.SIGKILL
    assert stopped_after_another_cycle(brain, signal.SIGINT) == 130
    slept = cycles(brain)
    assert 2 <= slept < 6
    monkeypatch.setattr(Brain, "_hippocampus_config", small)
    out, _ = said(capsys, "night", brain)
    assert f"going on after cycle {slept}" in out
    assert cycles(brain) == 6
    ledger = json.loads((brain / "brain.json").read_text())["meta"]["ledger"]
    assert ledger[-1]["event"] == "night"


# The main job


@pytest.mark.parametrize("arm", ["night", "naive", "no REM", "dense codes"])
def test_every_arm_of_the_main_job_runs_through(small_brains, monkeypatch, arm):
    facts = shipped_facts()[:20]
    monkeypatch.setattr(arms, "shipped_facts", lambda: facts)
    monkeypatch.setattr(arms, "heldout_perplexity", lambda cortex: 40.0)
    sentences = list(read_sentences(DATA / "diary.txt"))[:8]
    night = dataclasses.replace(NIGHT, cycles=1)
    result = arms.run_arm(arms.ArmConfig(arm, 1, known=3, night=night), sentences)
    metrics = result.metrics
    assert metrics["base_before"] >= 0.95 and 0 <= metrics["base_after"] <= 1
    assert 0 <= metrics["new_recall"] <= 1 and metrics["new_recall_before"] <= 0.25
    assert metrics["n_steps"] == NIGHT.steps
    assert metrics["n_read"] == 11 and len(result.answers) == 8
    if arm != "dense codes":
        assert metrics["new_recall_day"] >= 0.9


def test_a_sentence_longer_than_the_language_model_can_read_stops_no_arm(small_brains, monkeypatch):
    monkeypatch.setattr(arms, "shipped_facts", lambda: shipped_facts()[:5])
    monkeypatch.setattr(arms, "heldout_perplexity", lambda cortex: 40.0)
    long = " ".join(f"harbour{k}" for k in range(200)) + "."
    sentences = [Sentence(text, k) for k, text in enumerate([*LINES, long])]
    for arm in ("night", "naive"):
        config = arms.ArmConfig(arm, 1, night=NIGHT)
        assert arms.run_arm(config, sentences).metrics["n_read"] >= 5


def test_a_day_that_does_not_fit_stops_no_arm(monkeypatch):
    """Dense codes hold less than a day: what fits is what that control has."""
    monkeypatch.setattr(Brain, "_hippocampus_config", tiny)
    monkeypatch.setattr(brain_module, "ADOLESCENCE", 40)
    monkeypatch.setattr(arms, "shipped_facts", lambda: shipped_facts()[:5])
    monkeypatch.setattr(arms, "heldout_perplexity", lambda cortex: 40.0)
    sentences = list(read_sentences(DATA / "diary.txt"))
    metrics = arms.run_arm(arms.ArmConfig("night", 1, known=20, night=NIGHT), sentences).metrics
    assert 0 < metrics["n_stored"] < len(sentences)


def test_every_arm_takes_the_same_number_of_steps_however_much_it_writes():
    config = one_night.Config(arms=arms.ARMS, seeds=(0, 1))
    jobs = one_night.arms_of(config, n_sentences=120)
    assert len(jobs) == 2 * len(arms.ARMS)
    assert {job.night.steps for job in jobs} == {2 * config.night.steps}
    assert min(job.night.steps_for for job in jobs) > 10**6


def test_an_arm_survives_being_kept_in_a_file(small_brains, monkeypatch):
    monkeypatch.setattr(arms, "shipped_facts", lambda: shipped_facts()[:5])
    monkeypatch.setattr(arms, "heldout_perplexity", lambda cortex: 40.0)
    sentences = list(read_sentences(DATA / "diary.txt"))[:5]
    config = arms.ArmConfig("night", night=dataclasses.replace(NIGHT, cycles=1))
    result = arms.run_arm(config, sentences)
    again = arms.ArmResult.unpack(result.pack())
    assert result.bursts and result.overlaps
    for field in dataclasses.fields(result):
        if field.name != "overlaps":  # By text, since a criterion never reached is NaN.
            assert repr(getattr(again, field.name)) == repr(getattr(result, field.name)), field.name
    assert all(np.array_equal(again.overlaps[k], v) for k, v in result.overlaps.items())


@pytest.mark.slow
def test_the_main_job_meets_its_bars(tmp_path):
    place = tmp_path / "sleep.json"
    found = neurosim("sleep", "--out", tmp_path / "out", "--json", place)
    assert found.returncode == 0, found.stderr
    values = json.loads(place.read_text())
    keys = {
        "new_recall", "base_before", "base_after", "perplexity_before", "perplexity_after",
        "seconds", "cpu_seconds", "peak_rss_mb",
    }  # fmt: skip
    assert keys <= set(values)
    assert values["controls"] and all(keys <= set(row) for row in values["controls"].values())
    assert values["new_recall"] >= 0.95
    assert values["base_after"] >= 0.98 * values["base_before"]
    assert values["perplexity_after"] <= 1.05 * values["perplexity_before"]
    assert values["peak_rss_mb"] <= 2000
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<html" in page and "http" not in page.split("<body")[0].replace("http-equiv", "")


# Settings of an experiment


@pytest.mark.parametrize(
    "line",
    [
        ["--slow", "steps=3", "rate=2"],
        ["steps=3", "--slow", "rate=2"],
        ["steps=3", "rate=2", "--slow"],
        ["--out", "folder", "steps=3", "--slow", "rate=2"],
    ],
)
def test_settings_may_stand_before_and_after_options(monkeypatch, line):
    seen = []
    monkeypatch.setattr(run_command, "run", lambda arguments: seen.append(arguments) or {})
    assert main(["run", "whole_rat", *line]) == 0
    assert seen[0].name == "whole_rat" and seen[0].slow
    assert seen[0].settings == ["steps=3", "rate=2"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            ["run", "whole_rat", "--slow", "fast"],
            "run: expected an option or FIELD=VALUE, got fast",
        ),
        (
            ["bench", "machine", "--tabel=x"],
            "bench: expected an option or FIELD=VALUE, got --tabel",
        ),
        (["night", "brain", "--json", "-", "steps=3"], "night: expected an option of this command"),
    ],
)
def test_a_word_that_is_no_setting_and_no_option_is_refused(capsys, line, words):
    with pytest.raises(SystemExit) as stopped:
        main(line)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


# Settings and places that cannot be


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["run", "separation", "seeds=0,0"], "different integers from 0 on, got (0, 0)"),
        (["run", "separation", "seeds=-1"], "different integers from 0 on, got (-1,)"),
        (["run", "separation", "seeds="], "expected ints apart by commas"),
        (["run", "hopfield_capacity", "loads=0.1,nan,0.2"], "a finite number"),
        (["run", "ten_days", "night.cycles.x=3"], "write cycles=VALUE"),
        (["run", "ten_days", "night=3"], "write for example night.cycles=5"),
        (["run", "ten_days", "days=0"], "1 to 10"),
        (["run", "ten_days", "days=11"], "1 to 10"),
        (["run", "stdp_windows", "n_delays=0"], "Config.n_delays: expected 3 or more"),
        (["run", "stdp_windows", "longest=-1"], "Config.longest: expected 0.001 or more"),
        (["run", "receptive_fields", "n_patches=0"], "Config.n_patches: expected 1 or more"),
        (["run", "triplet_frequency", "n_pairs=0"], "Config.n_pairs: expected 1 or more"),
        (["run", "spiking_night", "n_pyramidal=0"], "Config.n_pyramidal: expected 2 or more"),
        (["run", "childhood", "steps=0"], "Config.steps: expected 1 or more"),
        (["sleep", "--seed", "-1"], "Config.seeds: expected 0 or more"),
        (["compare", "--seeds", "0"], "--seeds: expected 1 or more"),
        (["compare", "--learners", ","], "compare.learners: expected one or more names"),
        (["compare", "--tasks", ","], "compare.tasks: expected one or more names"),
        (["run", "whole_rat", "patterns=0"], "Config.patterns: expected 1 or more"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_anything_is_made(
    capsys, tmp_path, words, reason
):
    assert reason in refused(capsys, tmp_path, *words, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [["run", "stdp_windows"], ["compare"], ["sleep"], ["pretrain"]],
)
@pytest.mark.parametrize("place", ["file", "file/within"])
def test_a_file_where_the_results_should_go_is_refused(capsys, tmp_path, words, place):
    (tmp_path / "file").write_text("the user's")
    assert "choose another" in refused(capsys, tmp_path, *words, "--out", tmp_path / place)


@pytest.mark.parametrize(
    "words",
    [
        ["bench", "machine", "--table"],
        ["compare", "--figure"],
        ["compare", "--table"],
        ["compare", "--search", "1", "--winners"],
        ["export", "figure", "run.h5", "--out"],
        ["status", "brain", "--json"],
    ],
)
@pytest.mark.parametrize("place", ["none/file", "."])
def test_a_place_for_a_file_is_looked_at_before_the_work(
    capsys, tmp_path, monkeypatch, words, place
):
    monkeypatch.chdir(tmp_path)
    with Recorder(tmp_path / "run.h5"):
        pass
    (tmp_path / "out" / "compare").mkdir(parents=True)
    assert "make it first" in (err := refused(capsys, tmp_path, *words, place)) or "another" in err


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "some.png"), "some.png"),
        (OSError(errno.ENOSPC, "No space left on device"), "free some space"),
        (MemoryError("Unable to allocate 7.28 TiB"), "7.28 TiB"),
    ],
)
def test_a_full_disk_or_memory_anywhere_is_one_sentence(
    capsys, tmp_path, monkeypatch, error, reason
):
    def fail(arguments):
        raise error

    monkeypatch.setattr(run_command, "run", fail)
    assert reason in refused(capsys, tmp_path, "run", "stdp_windows")


def test_a_brain_is_not_born_below_a_file(capsys, tmp_path):
    (tmp_path / "file").write_text("the user's")
    assert "choose another" in refused(capsys, tmp_path, "init", tmp_path / "file" / "brain")


@pytest.mark.parametrize("setting", ["sizes=0", "sizes="])
def test_a_benchmark_of_nothing_is_refused(capsys, tmp_path, setting):
    assert "Config.sizes" in refused(capsys, tmp_path, "bench", "hippocampus", setting)


def test_a_birth_that_failed_half_way_can_be_tried_again(
    capsys, tmp_path, small_brains, monkeypatch
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("neurosim.versioned.os.replace", full)
        err = said(capsys, "init", tmp_path / "brain", code=2)[1]
        assert "free some space" in err and (tmp_path / "brain" / ".lock").exists()
    said(capsys, "init", tmp_path / "brain")


@pytest.mark.parametrize(
    ("words", "named", "unnamed"),
    [
        (["run"], "EXPERIMENT", "FIELD"),
        (["bench"], "BENCHMARK", "FIELD"),
        (["status", "--help"], "a brain keeps its own seed", "nothing is drawn"),
        (["list", "--help"], "nothing is drawn", "a brain keeps its own seed"),
    ],
)
def test_a_line_names_what_it_lacks_and_help_what_is_ignored(capsys, words, named, unnamed):
    with pytest.raises(SystemExit):
        main(words)
    shown = capsys.readouterr()
    said = " ".join((shown.out or shown.err.splitlines()[-1]).split())
    assert named in said
    assert unnamed not in said


def test_a_list_is_a_table_whose_columns_stand_below_each_other(capsys):
    assert main(["list", "rules"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    starts = {len(row) - len(row[2:].partition("  ")[2].lstrip()) for row in rows}
    assert len(rows) > 10
    assert len(starts) == 1


def test_a_refused_run_leaves_no_folder(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path))
    out = tmp_path / "out"
    for words in (("run", "class_incremental", "dataset=mnist"), ("compare", "--tasks", "mnist")):
        assert "NEUROSIM_DATA" in refused(capsys, tmp_path, *words, "--out", out)
        assert not out.exists()
