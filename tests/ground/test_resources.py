"""Costs are measured, and progress is shown to people only."""

import io
import math
import subprocess
import sys
import time

import numpy as np
import pytest

from neurosim import resources
from neurosim.errors import CapacityError
from neurosim.progress import progress
from neurosim.provenance import commit, versions
from neurosim.resources import ResourceMeter


def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        math.sqrt(2.0)


def test_sleeping_costs_wall_time_but_no_processor_time():
    with ResourceMeter() as meter:
        time.sleep(0.2)
    assert 0.2 <= meter.seconds < 2
    assert meter.cpu_seconds < 0.15


def test_work_costs_processor_time_that_no_longer_grows_after_the_block():
    with ResourceMeter() as meter:
        spin(0.1)
    measured = meter.as_dict()
    spin(0.05)
    assert measured["cpu_seconds"] >= 0.099  # the clocks tick in steps of up to a millisecond
    assert meter.as_dict() == measured
    assert list(measured) == ["seconds", "cpu_seconds", "peak_rss_mb"]


def test_the_work_of_a_child_process_is_counted():
    code = "import time\nwhile time.process_time() < 0.3: pass"
    with ResourceMeter() as meter:
        subprocess.run([sys.executable, "-c", code], check=True)
    assert meter.cpu_seconds >= 0.29


def test_the_peak_of_memory_is_seen_in_megabytes():
    code = (
        "import numpy as np\nfrom neurosim.resources import ResourceMeter\n"
        "with ResourceMeter() as meter:\n before = meter.peak_rss_mb\n np.ones(25_000_000)\n"
        "print(meter.peak_rss_mb - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 150 < float(done.stdout) < 260  # 200 MB, and what the allocator adds or had


def test_versions_name_the_software_and_import_none_of_it():
    code = (
        "import sys; from neurosim.provenance import versions; found = versions();"
        "print('numpy' in found, 'python' in found, 'neurosim' in found, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True", "False"]
    assert versions()["numpy"] == np.__version__


def test_the_commit_is_a_hash_or_none():
    revision = commit()
    assert revision is None or len(revision.removesuffix("-dirty")) == 40


def test_progress_is_silent_where_nobody_looks(capsys):
    assert list(progress([1, 2, 3], "Adding")) == [1, 2, 3]
    assert list(progress(3, "Counting")) == [0, 1, 2]
    with progress(2, "Sleeping") as bar:
        bar.advance()
    assert capsys.readouterr() == ("", "")


def test_progress_shows_a_bar_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert sum(progress((x for x in (1, 2, 3)), "Adding up")) == 6
    assert "Adding up" in terminal.getvalue()


def test_memory_that_is_there_is_granted_and_more_is_refused_with_both_numbers():
    free = resources.available_memory()
    assert 1e8 < free < 1e15
    resources.require_memory(free // 2, "half of it")
    with pytest.raises(
        CapacityError, match=r"expected 1000000\.00 GB for a brain, got \d+\.\d\d GB"
    ):
        resources.require_memory(10**15, "a brain")


def test_a_step_is_repeated_until_it_takes_long_enough_to_measure(monkeypatch):
    now = [0.0]

    def step():
        now[0] += 0.003

    monkeypatch.setattr(resources.time, "process_time", lambda: now[0])
    assert resources.times_to_measure(step, enough=0.02) == 8  # Four of 3 ms are too short.
    assert resources.cpu_seconds(step, 5) == pytest.approx(0.003)
