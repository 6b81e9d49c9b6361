"""Jobs in processes give what they give here, in order."""

import os

import numpy as np
import pytest

from neurosim.errors import ConfigError
from neurosim.seeds import in_processes


def power(base, exponent):
    return base**exponent


def fail(number):
    raise ConfigError(f"job {number} failed")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs_whatever_the_workers(workers):
    ticks = []
    jobs = [(k, 2) for k in range(5)]
    # A function of an importable module: tests are not importable in a new process.
    function = pow if workers > 1 else power
    results = in_processes(function, jobs, workers, lambda: ticks.append(1))
    assert results == [0, 1, 4, 9, 16]
    assert len(ticks) == 5


def test_each_process_computes_on_one_thread_and_the_parent_keeps_its_own():
    before = dict(os.environ)
    threads = in_processes(os.getenv, [("OMP_NUM_THREADS",), ("NUMBA_NUM_THREADS",)], 2)
    assert threads == ["1", "1"]
    assert dict(os.environ) == before


def test_an_error_of_a_job_is_raised_here():
    with pytest.raises(ConfigError, match="job 0 failed"):
        in_processes(fail, [(0,), (1,)], 1)
    with pytest.raises(ValueError):
        in_processes(int, [("1",), ("x",)], 2)


def test_no_jobs_give_no_results_and_negative_workers_are_refused():
    assert in_processes(power, []) == []
    with pytest.raises(ConfigError, match=r"in_processes\.workers: expected"):
        in_processes(power, [(1, 1)], -1)


def counted(calls, number):
    calls.append(number)
    return np.array([number, 2.0 * number])


def test_a_kept_job_is_not_computed_again_and_another_is(tmp_path):
    class Calls(list):
        def __repr__(self):  # The same name in each run: what a job is called by its arguments.
            return "calls"

    calls, keep = Calls(), str(tmp_path / "kept")
    first = in_processes(counted, [(calls, 1), (calls, 2)], 1, keep=keep)
    again = in_processes(counted, [(calls, 2), (calls, 3), (calls, 1)], 1, keep=keep)
    assert calls == [1, 2, 3]
    np.testing.assert_array_equal(first[0], again[2])
    np.testing.assert_array_equal(again[1], [3.0, 6.0])
