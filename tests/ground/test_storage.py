"""A file is whole or not there, whatever happens to its writer."""

import json

import numpy as np
import pytest

from neurosim import storage
from neurosim.errors import (
    ConfigError,
    StorageError,
)


def test_a_write_replaces_the_whole_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    storage.atomic_write_text(path, "long old text")
    storage.atomic_write_text(path, "ä")
    assert path.read_text("utf-8") == "ä"
    # of the bytes "abc": FIPS 180-2, appendix B.1
    storage.atomic_write_text(path, "abc")
    assert storage.sha256_of(path).startswith("ba7816bf8f01cfea414140de5dae2223")
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_goes_through_a_link(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real")
    storage.atomic_write_bytes(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"x"


def test_a_full_disk_is_reported_before_anything_is_written(tmp_path, monkeypatch):
    path = tmp_path / "a"
    storage.atomic_write_bytes(path, b"good")
    monkeypatch.setattr(storage.shutil, "disk_usage", lambda _: type("U", (), {"free": 1000}))
    with pytest.raises(StorageError, match="free some space"):
        storage.atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"good"


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", ["ENOSPC", "EROFS", "EACCES", "EIO"])
def test_a_fault_of_the_disk_leaves_the_last_good_file(tmp_path, monkeypatch, call, code):
    path = tmp_path / "a"
    storage.atomic_write_bytes(path, b"good")

    def fail(*_):
        raise OSError(getattr(storage.errno, code), "fault")

    monkeypatch.setattr(storage.os, call, fail)
    with pytest.raises(StorageError, match="untouched") as caught:
        storage.atomic_write_bytes(path, b"new")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"good"
    assert list(tmp_path.iterdir()) == [path]


def test_ctrl_c_in_the_middle_leaves_the_last_good_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    storage.atomic_write_bytes(path, b"good")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(storage.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        storage.atomic_write_bytes(path, b"new")
    assert path.read_bytes() == b"good"
    assert list(tmp_path.iterdir()) == [path]


def test_json_takes_what_configurations_are_made_of(tmp_path):
    from neurosim.phases import NREM

    value = {"phase": NREM, "path": tmp_path, "rate": np.float32(0.5), "codes": np.arange(3)}
    storage.atomic_write_json(tmp_path / "a.json", value)
    read = json.loads((tmp_path / "a.json").read_text())
    assert read["phase"]["duration"] == NREM.duration
    assert read["phase"]["plastic"] == []
    assert read["codes"] == [0, 1, 2]


@pytest.mark.parametrize("value", [float("nan"), object(), {"a": float("inf")}])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(ConfigError, match="convert"):
        storage.json_text(value)
