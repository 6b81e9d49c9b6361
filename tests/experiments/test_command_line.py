"""The command line: settings, places and options; what cannot be is refused in one sentence."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import class_incremental, separation
from experiments.__main__ import main
from experiments.commands import run as run_command
from neurosim.recorder import Recorder

pytestmark = [pytest.mark.compiled, pytest.mark.usefixtures("as_it_was")]

ROOT = Path(__file__).parents[2]


def test_an_answer_in_any_script_can_be_printed_on_any_terminal():
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


def test_help_is_quick_and_does_not_load_torch(neurosim):
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


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["run", "separation", "seeds=0,0"], "different integers from 0 on, got (0, 0)"),
        (["run", "separation", "seeds=-1"], "different integers from 0 on, got (-1,)"),
        (["run", "separation", "seeds="], "expected one or more values apart by commas, got none"),
        (["run", "class_incremental", "arms=NCM,EWC,NCM"], "Config.arms: expected each name once"),
        (["run", "local_accuracy", "arms=pc,pc"], "Config.arms: expected each name once"),
        (["run", "class_incremental", "arms=ER"], "got 'ER'; choose among them"),
        (["run", "class_incremental", "arms= "], "write for example arms=none,joint,EWC, or leave"),
        (["run", "class_incremental", "seeds=0,,1"], "expected ints apart by commas, got '0,,1'"),
        (["run", "class_incremental", "n_tasks="], "expected an integer, got ''"),
        (["run", "class_incremental", "reference=maybe"], "expected true or false, got 'maybe'"),
        (["run", "permuted_tasks", "share=0"], "Config.share: expected above 0, up to 1, got 0.0"),
        (["run", "permuted_tasks", "inside=-1"], "Config.inside: expected 0 or more, got -1"),
        (["run", "nights_over_images", "audit=-1"], "Config.audit: expected 0 or more, got -1"),
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
    tmp_path, words, reason, refused
):
    assert reason in refused(tmp_path, *words, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [["run", "stdp_windows"], ["compare"], ["sleep"], ["pretrain"]],
)
@pytest.mark.parametrize("place", ["file", "file/within"])
def test_a_file_where_the_results_should_go_is_refused(tmp_path, words, place, refused):
    (tmp_path / "file").write_text("the user's")
    assert "choose another" in refused(tmp_path, *words, "--out", tmp_path / place)


@pytest.mark.parametrize("name", ["run.h5", "separation.png"])
def test_a_folder_where_a_file_of_a_run_should_go_is_refused_before_the_work(
    tmp_path, name, monkeypatch, refused
):
    monkeypatch.setattr(separation, "run", lambda *anything: pytest.fail("it has begun"))
    (tmp_path / name / "the user's").mkdir(parents=True)
    said = refused(tmp_path, "run", "separation", "--out", tmp_path)
    assert f"{name}: expected a file, got a folder" in said


@pytest.mark.parametrize("name", ["unfinished", "long"])
def test_a_place_where_no_finished_job_can_wait_is_refused_before_the_work(
    tmp_path, name, monkeypatch, refused
):
    monkeypatch.setattr(class_incremental, "run_arm", lambda *anything: pytest.fail("it has begun"))
    (tmp_path / "unfinished").write_text("the user's")
    out = tmp_path if name == "unfinished" else tmp_path / ("a" * 300)
    line = ("run", "class_incremental", "arms=NCM", "seeds=0", "workers=1", "reference=false")
    said = refused(tmp_path, *line, "--out", out)
    assert "unfinished: expected a folder, got a file" in said or "choose a shorter name" in said


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
    tmp_path, monkeypatch, words, place, refused
):
    monkeypatch.chdir(tmp_path)
    with Recorder(tmp_path / "run.h5"):
        pass
    (tmp_path / "out" / "compare").mkdir(parents=True)
    assert "make it first" in (err := refused(tmp_path, *words, place)) or "another" in err


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "some.png"), "some.png"),
        (OSError(errno.ENOSPC, "No space left on device"), "free some space"),
        (MemoryError("Unable to allocate 7.28 TiB"), "7.28 TiB"),
    ],
)
def test_a_full_disk_or_memory_anywhere_is_one_sentence(
    tmp_path, monkeypatch, error, reason, refused
):
    def fail(arguments):
        raise error

    monkeypatch.setattr(run_command, "run", fail)
    assert reason in refused(tmp_path, "run", "stdp_windows")


@pytest.mark.parametrize("setting", ["sizes=0", "sizes="])
def test_a_benchmark_of_nothing_is_refused(tmp_path, setting, refused):
    assert "Config.sizes" in refused(tmp_path, "bench", "hippocampus", setting)


@pytest.mark.parametrize(
    ("words", "named", "unnamed"),
    [
        (["run"], "EXPERIMENT", "FIELD"),
        (["bench"], "BENCHMARK", "FIELD"),
        (["status", "--help"], "a brain keeps its own seed", "nothing is drawn"),
        (["list", "--help"], "nothing is drawn", "a brain keeps its own seed"),
    ],
)
def test_a_line_names_what_it_lacks_and_help_what_is_ignored(capsys, words, named, unnamed, said):
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


def test_a_refused_run_leaves_no_folder(tmp_path, monkeypatch, refused):
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path))
    out = tmp_path / "out"
    for words in (("run", "class_incremental", "dataset=mnist"), ("compare", "--tasks", "mnist")):
        assert "NEUROSIM_DATA" in refused(tmp_path, *words, "--out", out)
        assert not out.exists()
