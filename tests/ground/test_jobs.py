"""Jobs run in processes of their own, and what is finished outlives an interruption."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from neurosim.errors import CorruptFileError
from neurosim.jobs import Shelf, run_jobs


@dataclass(frozen=True)
class Square:
    """A result: a number squared, and the process that did it."""

    value: int
    process: int

    def pack(self) -> bytes:
        """Return both numbers in words."""
        return f"{self.value} {self.process}".encode()

    @classmethod
    def unpack(cls, data: bytes) -> "Square":
        """Take them back."""
        words = data.split()
        if len(words) != 2:
            raise CorruptFileError("expected two numbers")
        return cls(int(words[0]), int(words[1]))


def square(number: int, log: Path, forbidden: int = -1) -> Square:
    """Square a number and note that it was done."""
    if number == forbidden:
        raise ValueError("interrupted")
    with open(log, "a") as file:
        file.write(f"{number}\n")
    return Square(number**2, os.getpid())


def done(log):
    return sorted(int(line) for line in log.read_text().split()) if log.exists() else []


def test_results_come_by_key_in_the_order_of_the_jobs_from_other_processes(tmp_path):
    log = tmp_path / "log"
    found = run_jobs(square, {f"job{n}": (n, log) for n in (3, 1, 2)}, Square, workers=2)
    assert [(key, each.value) for key, each in found.items()] == [
        ("job3", 9),
        ("job1", 1),
        ("job2", 4),
    ]
    assert os.getpid() not in {each.process for each in found.values()}


def test_an_interrupted_run_goes_on_with_what_is_missing_and_then_clears_its_shelf(tmp_path):
    log, ticks = tmp_path / "log", []
    jobs = {f"job{n}": (n, log, 2) for n in (0, 1, 2)}
    with pytest.raises(ValueError, match="interrupted"):
        run_jobs(square, jobs, Square, Shelf(tmp_path, "numbers"), workers=1)
    kept = done(log)
    assert kept and 2 not in kept
    jobs = {f"job{n}": (n, log) for n in (0, 1, 2)}
    shelf = Shelf(tmp_path, "numbers")
    found = run_jobs(square, jobs, Square, shelf, workers=1, tick=lambda: ticks.append(1))
    assert [each.value for each in found.values()] == [0, 1, 4]
    assert done(log) == [0, 1, 2]  # Nothing was done twice.
    assert len(ticks) == 3
    assert not shelf.folder.exists()


def test_a_shelf_of_other_work_is_not_taken_for_this_and_damage_is_done_again(tmp_path):
    mine, other = Shelf(tmp_path, {"seed": 0}), Shelf(tmp_path, {"seed": 1})
    mine.put("a", Square(4, 1))
    assert mine.get("a", Square) == Square(4, 1)
    assert other.get("a", Square) is None
    (mine.folder / "a.h5").write_bytes(b"4")
    assert mine.get("a", Square) is None
