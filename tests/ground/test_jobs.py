"""Jobs in processes give what they give here, in order, and what is finished is not done twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from neurosim.errors import CapacityError, ConfigError
from neurosim.jobs import Shelf, clear_jobs, pack_array, run_apart, run_jobs, unpack_array
from neurosim.ledger import Ledger, counting

ROOT = Path(__file__).parents[2]


def power(base, exponent):
    return base**exponent


def noted(number, log, forbidden):
    """Square a number and note that it was done; fail at one of them."""
    if number == forbidden:
        raise ValueError("interrupted")
    with open(log, "a") as file:
        file.write(f"{number}\n")
    return np.array([number, number**2])


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs_whatever_the_workers(workers):
    ticks = []
    jobs = [(k, 2) for k in range(5)]
    # A function of an importable module: tests are not importable in a new process.
    function = pow if workers > 1 else power
    results = run_jobs(function, jobs, workers, lambda: ticks.append(1))
    assert results == [0, 1, 4, 9, 16]
    assert len(ticks) == 5


def test_each_process_computes_on_one_thread_and_the_parent_keeps_its_own():
    before = dict(os.environ)
    threads = run_jobs(os.getenv, [("OMP_NUM_THREADS",), ("NUMBA_NUM_THREADS",)], 2)
    assert threads == ["1", "1"]
    assert dict(os.environ) == before


def test_an_error_of_a_job_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        run_jobs(power, [(0, -1), (1, 1)], 1)
    with pytest.raises(ValueError):
        run_jobs(int, [("1",), ("x",)], 2)


def test_what_runs_apart_has_a_process_of_its_own():
    assert run_apart(pow, 3, 2) == 9
    assert run_apart(os.getpid) != os.getpid()


def test_a_process_that_is_killed_from_outside_is_said_in_a_sentence():
    with pytest.raises(CapacityError, match="memory"):
        run_jobs(os._exit, [(1,), (1,)], 2)


def test_processes_end_when_the_one_that_started_them_is_killed(tmp_path):
    job = "import os, time; open({!r}, 'x').write(str(os.getpid())); time.sleep(60)"
    places = [tmp_path / str(k) for k in range(2)]
    jobs = [(job.format(str(place)),) for place in places]
    code = f"from neurosim.jobs import run_jobs; run_jobs(exec, {jobs}, 2)"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        wait_for(lambda: all(place.exists() and place.read_text() for place in places))
    finally:
        parent.kill()
        parent.wait()
    workers = [int(place.read_text()) for place in places]
    wait_for(lambda: not any(is_alive(worker) for worker in workers))


@pytest.mark.parametrize("to_all", [True, False])
def test_an_interruption_ends_all_processes_at_once_and_only_ours_says_so(tmp_path, to_all):
    job = "import os, time; open({!r}, 'x').write(str(os.getpid())); time.sleep(60)"
    place = tmp_path / "worker"
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from neurosim.jobs import run_jobs\n"
        f"run_jobs(exec, [({job.format(str(place))!r},), ('import time; time.sleep(60)',)], 2)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT, start_new_session=True, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(lambda: place.exists() and place.read_text())
    (os.killpg if to_all else os.kill)(parent.pid, signal.SIGINT)
    _, said = parent.communicate(timeout=30)
    assert said.strip().endswith("KeyboardInterrupt") and "SpawnProcess" not in said
    assert not is_alive(int(place.read_text()))


def wait_for(condition, seconds=30):
    """Return as soon as a condition holds; fail if it does not come to hold."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(process):
    """Return whether a process runs; one that ended and that nobody asked about does not."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def test_no_jobs_give_no_results_and_negative_workers_are_refused():
    assert run_jobs(power, []) == []
    with pytest.raises(ConfigError, match=r"run_jobs\.workers: expected"):
        run_jobs(power, [(1, 1)], -1)


def test_an_interrupted_run_goes_on_with_what_is_missing_and_then_clears_its_shelf(tmp_path):
    log, ticks = tmp_path / "log", []
    with pytest.raises(ValueError, match="interrupted"):
        run_jobs(until(2), [(n, log) for n in (0, 1, 2, 3)], 1, shelf=tmp_path)
    assert log.read_text().split() == ["0", "1"]
    found = run_jobs(
        until(-1), [(n, log) for n in (0, 1, 2, 3)], 1, lambda: ticks.append(1), tmp_path
    )
    assert [each.tolist() for each in found] == [[0, 0], [1, 1], [2, 4], [3, 9]]
    assert log.read_text().split() == ["0", "1", "2", "3"]  # Nothing was done twice.
    assert len(ticks) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def until(forbidden):
    """Return a function under one name that squares, notes, and fails at one number."""

    def square(number, log):
        return noted(number, log, forbidden)

    return square


def test_a_result_of_other_work_is_not_taken_for_this_and_damage_is_done_again(tmp_path):
    shelf = Shelf(tmp_path)
    mine, other = shelf.place("square", {"seed": 0}), shelf.place("square", {"seed": 1})
    assert mine != other and mine == shelf.place("square", {"seed": 0})
    data = pack_array(np.arange(4))
    shelf.put(mine, data)
    assert np.array_equal(shelf.get(mine, unpack_array), np.arange(4))
    assert shelf.get(other, unpack_array) is None
    mine.write_bytes(data[:-1])
    assert shelf.get(mine, unpack_array) is None


def costly(number, forbidden):
    """Do as much as the number says, and fail at one of them."""
    if number == forbidden:
        raise ValueError("interrupted")
    Ledger().add(number, 0, 2 * number, 8 * number)
    return np.array(number)


def test_what_jobs_cost_is_counted_in_this_process_in_others_and_on_the_shelf(tmp_path):
    with counting() as cost:
        run_jobs(Ledger().add, [(1, 2, 3, 4), (10, 20, 30, 40)], 2)
    assert cost == Ledger(11, 22, 33, 44)
    with counting() as cost, pytest.raises(ValueError, match="interrupted"):
        run_jobs(spending(3), [(n,) for n in (1, 2, 3)], 1, shelf=tmp_path)
    assert cost == Ledger(3, 0, 6, 24)
    with counting() as cost:
        run_jobs(spending(-1), [(n,) for n in (1, 2, 3)], 1, shelf=tmp_path)
    assert cost == Ledger(6, 0, 12, 48)
    assert not list(tmp_path.iterdir())


def spending(forbidden):
    """Return a function under one name that costs, and fails at one number."""

    def spend(number):
        return costly(number, forbidden)

    return spend


def test_results_may_stay_for_the_next_jobs_of_a_run_until_they_are_cleared(tmp_path):
    log, shelf = tmp_path / "log", tmp_path / "shelf"
    jobs = [(k, str(log), -1) for k in range(3)]
    run_jobs(noted, jobs[:2], 1, shelf=shelf, clear=False)
    run_jobs(noted, jobs, 1, shelf=shelf, clear=False)
    assert log.read_text().split() == ["0", "1", "2"]
    clear_jobs(noted, jobs, shelf)
    assert not list(shelf.rglob("*"))
