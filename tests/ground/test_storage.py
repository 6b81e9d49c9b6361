"""A file or directory is whole or reports its damage, whatever happens to the writer."""

import json
import signal
import subprocess
import sys
import textwrap
import time

import h5py
import numpy as np
import pytest

from neurosim import storage
from neurosim.errors import (
    BrainBusyError,
    BrainError,
    ConfigError,
    CorruptFileError,
    NeurosimError,
    StorageError,
)

ARRAYS = {
    "ca3/weights": np.random.default_rng(0).random((20, 30)).astype(np.float32),
    "ca3/active": np.array([True, False, True]),
    "step": np.array(7, dtype=np.int64),
    "empty": np.empty((0, 4), dtype=np.uint16),
    "complex": np.array([1 + 2j]),
}
ATTRIBUTES = {
    "name": "Ärmel",
    "seed": 3,
    "rate": 0.5,
    "fresh": True,
    "layers": [3, 4],
    "ca3/weights": {"unit": "V", "dims": ["post", "pre"]},
}


def process(code, *arguments, **options):
    """Start Python on some code that ends, or that is killed by the caller."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def brain(path, version=1):
    return storage.VersionedDirectory(path / "brain", "brain", version)


def saved_brain(path):
    directory = brain(path)
    directory.commit({"cortex.h5": b"cortex 1", "ca3.h5": b"ca3 1"}, {"nights": 1})
    return directory


# Files


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


def test_a_limit_on_file_size_leaves_the_last_good_state(tmp_path):
    directory = saved_brain(tmp_path)
    code = """
        import resource, sys
        from neurosim.errors import StorageError
        from neurosim.storage import VersionedDirectory, atomic_write_bytes
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for write in (
            lambda: atomic_write_bytes(sys.argv[1] + "/a", bytes(200_000)),
            lambda: VersionedDirectory(sys.argv[1] + "/brain", "brain", 1).commit(
                {"cortex.h5": b"cortex 2", "big.h5": bytes(200_000)}, {"nights": 2}),
        ):
            try:
                write()
            except StorageError as error:
                print(error)
    """
    writer = process(code, tmp_path)
    out, err = writer.communicate(timeout=60)
    assert writer.returncode == 0, err
    assert out.count("raise the limit on file size") == 2
    assert directory.verify().meta == {"nights": 1}
    assert directory.read("cortex.h5") == b"cortex 1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["brain"]
    assert len(list(directory.root.iterdir())) == 4  # two members, manifest, lock


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


# HDF5


def test_hdf5_returns_what_it_was_given(tmp_path):
    storage.write_hdf5(tmp_path / "a.h5", ARRAYS, ATTRIBUTES)
    arrays, attributes = storage.read_hdf5(tmp_path / "a.h5")
    assert attributes == ATTRIBUTES
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert np.array_equal(arrays[name], array) and arrays[name].shape == array.shape


def test_other_programs_can_open_the_file_and_find_it_compressed(tmp_path):
    storage.write_hdf5(tmp_path / "a.h5", ARRAYS, ATTRIBUTES)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        weights = file["ca3/weights"]
        assert weights.compression == "gzip" and weights.compression_opts == 1
        assert weights.shuffle and weights.fletcher32
        assert weights.attrs["unit"] == "V"


def test_no_flipped_bit_goes_unnoticed():
    data = storage.pack_hdf5(ARRAYS, ATTRIBUTES)
    rng = np.random.default_rng(0)
    places = [*range(0, 600, 7), *rng.integers(0, len(data), 300).tolist(), len(data) - 1]
    for place in places:
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(CorruptFileError, match="restore"):
            storage.unpack_hdf5(bytes(flipped))


def test_no_truncation_goes_unnoticed(tmp_path):
    path = tmp_path / "a.h5"
    storage.write_hdf5(path, ARRAYS)
    data = path.read_bytes()
    for size in [*range(0, len(data), len(data) // 40), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(CorruptFileError, match=r"a\.h5"):
            storage.read_hdf5(path)


def test_a_foreign_and_a_missing_file_are_said(tmp_path):
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = [1, 2]
    (tmp_path / "text.h5").write_text("hello")
    for name in ("foreign.h5", "text.h5"):
        with pytest.raises(CorruptFileError, match="foreign"):
            storage.read_hdf5(tmp_path / name)
    with pytest.raises(StorageError, match="check the path"):
        storage.read_hdf5(tmp_path / "missing.h5")


def test_a_long_text_fits_into_an_attribute():
    text = "x" * 200_000
    assert storage.unpack_hdf5(storage.pack_hdf5({}, {"config": text}))[1] == {"config": text}


@pytest.mark.parametrize(
    ("arrays", "attributes"),
    [
        ({"a": np.array(["text"])}, {}),
        ({"a": np.array([None])}, {}),
        ({}, {"a": None}),
        ({}, {"a": 2**70}),
        ({}, {"a": np.zeros(100_000)}),
        ({}, {"a": {"unit": "s"}}),
    ],
)
def test_what_hdf5_cannot_hold_is_refused(arrays, attributes):
    with pytest.raises(ConfigError, match=r"pack_hdf5\.a"):
        storage.pack_hdf5(arrays, attributes)


# The lock


def test_a_second_holder_is_refused_and_told_where(tmp_path):
    with storage.DirectoryLock(tmp_path) as lock:
        assert lock.held
        with pytest.raises(BrainBusyError, match=tmp_path.name):
            storage.DirectoryLock(tmp_path).acquire()
    assert not lock.held
    with storage.DirectoryLock(tmp_path):
        pass


def test_a_lock_may_be_entered_again_by_its_holder(tmp_path):
    lock = storage.DirectoryLock(tmp_path)
    with lock, lock:
        assert lock.held
    assert not lock.held


def test_a_killed_process_frees_its_lock(tmp_path):
    code = """
        import sys, time
        from neurosim.storage import DirectoryLock
        with DirectoryLock(sys.argv[1]):
            print("held", flush=True)
            time.sleep(60)
    """
    holder = process(code, tmp_path)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BrainBusyError, match="close the other"):
            storage.DirectoryLock(tmp_path).acquire()
    finally:
        holder.kill()
        holder.communicate()
    with storage.DirectoryLock(tmp_path) as lock:
        assert lock.held


def test_a_lock_on_no_directory_is_refused_and_creates_none(tmp_path):
    with pytest.raises(BrainError, match="check the path"):
        storage.DirectoryLock(tmp_path / "missing").acquire()
    assert list(tmp_path.iterdir()) == []


# Directories with commits


def test_a_commit_changes_what_is_given_and_keeps_the_rest(tmp_path):
    directory = saved_brain(tmp_path)
    directory.commit({"cortex.h5": b"cortex 2", "notes": b""}, {"nights": 2})
    again = brain(tmp_path)
    assert again.read("cortex.h5") == b"cortex 2"
    assert again.read("ca3.h5") == b"ca3 1"
    assert again.read("notes") == b""
    assert again.verify().meta == {"nights": 2}
    assert sorted(path.name for path in again.root.iterdir()) == [
        ".lock",
        "brain.json",
        "ca3.000001.h5",
        "cortex.000002.h5",
        "notes.000002",
    ]


def test_a_failed_commit_leaves_the_last_state_and_no_garbage(tmp_path, monkeypatch):
    directory = saved_brain(tmp_path)
    before = sorted(directory.root.iterdir())
    write = storage.atomic_write_bytes

    def fail_at_the_manifest(path, data):
        if path.name == "brain.json":
            raise StorageError("full")
        write(path, data)

    monkeypatch.setattr(storage, "atomic_write_bytes", fail_at_the_manifest)
    with pytest.raises(StorageError):
        directory.commit({"cortex.h5": b"cortex 2", "new.h5": b"new"}, {})
    assert sorted(directory.root.iterdir()) == before
    assert directory.verify().meta == {"nights": 1}


WRITER = """
    import sys
    from neurosim.storage import VersionedDirectory
    directory = VersionedDirectory(sys.argv[1], "brain", 1)
    n = directory.manifest().meta["n"]
    print("ready", flush=True)
    while True:
        n += 1
        directory.commit({k + ".h5": (k + str(n)).encode() * 20_000 for k in "abc"}, {"n": n})
"""


def test_kill_9_at_any_moment_leaves_the_last_committed_state(tmp_path):
    directory = brain(tmp_path)
    directory.commit({f"{k}.h5": f"{k}0".encode() * 20_000 for k in "abc"}, {"n": 0})
    committed = []
    for round_ in range(5):
        writer = process(WRITER, directory.root)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(0.1 + 0.037 * round_)
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        n = directory.verify().meta["n"]
        for k in "abc":
            assert directory.read(f"{k}.h5") == f"{k}{n}".encode() * 20_000
        directory.clean()
        assert len(list(directory.root.iterdir())) == 5  # three members, manifest, lock
        committed.append(n)
    assert committed[-1] > 5  # the rounds did write


def test_clean_removes_what_a_crash_left_and_nothing_else(tmp_path):
    directory = saved_brain(tmp_path)
    stale = directory.root / f".cortex.000002.h5.{'0' * 16}.tmp"
    orphan = directory.root / "cortex.000002.h5"
    mine = [directory.root / name for name in ("photo.000001.png", "notes.txt", ".hidden.tmp")]
    for path in (stale, orphan, *mine):
        path.write_bytes(b"x")
    assert sorted(directory.clean()) == sorted([stale, orphan])
    assert all(path.exists() for path in mine)
    assert directory.verify().generation == 1


def test_nobody_commits_or_cleans_while_another_holds_the_lock(tmp_path):
    directory = saved_brain(tmp_path)
    with directory.lock:
        directory.commit({}, {"nights": 2})  # the holder may
        for refused in (lambda: brain(tmp_path).commit({}, {}), brain(tmp_path).clean):
            with pytest.raises(BrainBusyError):
                refused()
    assert directory.verify().meta == {"nights": 2}


def test_a_reader_follows_a_commit_that_overtakes_it(tmp_path):
    directory = saved_brain(tmp_path)
    outdated = directory.manifest()
    directory.commit({"cortex.h5": b"cortex 2"}, {})
    reader = brain(tmp_path)
    current = reader.manifest
    manifests = iter([outdated])
    reader.manifest = lambda: next(manifests, None) or current()
    assert reader.read("cortex.h5") == b"cortex 2"


def test_each_fault_of_a_directory_is_said_in_a_sentence_with_a_mend(tmp_path):
    def fault(change, version=1):
        saved_brain(tmp_path)
        root = tmp_path / "brain"
        change(root)
        with pytest.raises(BrainError) as caught:
            brain(tmp_path, version).verify()
        storage.shutil.rmtree(root, ignore_errors=True)
        message = str(caught.value)
        assert "\n" not in message and "; " in message
        return message

    def newer(root):
        storage.VersionedDirectory(root, "brain", 2).commit({}, {})

    def other_kind(root):
        text = (root / "brain.json").read_text()
        (root / "brain.json").write_text(text.replace('"brain"', '"sweep"'))

    assert "got none" in fault(storage.shutil.rmtree)
    assert "never finished" in fault(lambda root: (root / "brain.json").unlink())
    assert "upgrade neurosim" in fault(newer)
    assert "a sweep" in fault(other_kind)
    assert "ca3.000001.h5" in fault(lambda root: (root / "ca3.000001.h5").unlink())
    assert "5 bytes of 8" in fault(lambda root: (root / "cortex.000001.h5").write_bytes(b"corte"))
    assert "cortex.000001.h5" in fault(
        lambda root: (root / "cortex.000001.h5").write_bytes(b"cortex 2")
    )
    assert "brain.json" in fault(lambda root: (root / "brain.json").write_text("[]"))


def test_no_flipped_bit_of_the_manifest_goes_unnoticed(tmp_path):
    directory = saved_brain(tmp_path)
    path = directory.root / "brain.json"
    data, good = path.read_bytes(), directory.manifest()
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(bytes(flipped))
        try:
            assert directory.manifest() == good  # white space only
        except NeurosimError:
            continue


def test_an_older_layout_can_still_be_opened(tmp_path):
    saved_brain(tmp_path)
    assert brain(tmp_path, version=3).verify().format_version == 1


def test_an_unknown_member_gets_the_nearest_name(tmp_path):
    with pytest.raises(BrainError, match="did you mean 'cortex.h5'"):
        saved_brain(tmp_path).read("cortx.h5")


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".lock", "brain.json", "a.000001.h5"])
def test_a_member_name_that_could_collide_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="plain file name"):
        brain(tmp_path).commit({name: b""}, {})
    assert not brain(tmp_path).exists()
