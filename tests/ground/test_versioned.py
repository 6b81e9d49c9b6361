"""A directory is in its last committed state, whatever happens to the writer."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

from neurosim import storage, versioned
from neurosim.errors import (
    BrainBusyError,
    BrainError,
    ConfigError,
    NeurosimError,
    StorageError,
)


def process(code, *arguments, **options):
    """Start Python on some code that ends, or that is killed by the caller."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def brain(path, version=1):
    return versioned.VersionedDirectory(path / "brain", "brain", version)


def saved_brain(path):
    directory = brain(path)
    directory.commit({"cortex.h5": b"cortex 1", "ca3.h5": b"ca3 1"}, {"nights": 1})
    return directory


def test_a_second_holder_is_refused_and_told_where(tmp_path):
    with versioned.DirectoryLock(tmp_path) as lock:
        assert lock.held
        with pytest.raises(BrainBusyError, match=tmp_path.name):
            versioned.DirectoryLock(tmp_path).acquire()
    assert not lock.held
    with versioned.DirectoryLock(tmp_path):
        pass


def test_a_lock_may_be_entered_again_by_its_holder(tmp_path):
    lock = versioned.DirectoryLock(tmp_path)
    with lock, lock:
        assert lock.held
    assert not lock.held


def test_a_killed_process_frees_its_lock(tmp_path):
    code = """
        import sys, time
        from neurosim.versioned import DirectoryLock
        with DirectoryLock(sys.argv[1]):
            print("held", flush=True)
            time.sleep(60)
    """
    holder = process(code, tmp_path)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BrainBusyError, match="close the other"):
            versioned.DirectoryLock(tmp_path).acquire()
    finally:
        holder.kill()
        holder.communicate()
    with versioned.DirectoryLock(tmp_path) as lock:
        assert lock.held


def test_a_lock_on_no_directory_is_refused_and_creates_none(tmp_path):
    with pytest.raises(BrainError, match="check the path"):
        versioned.DirectoryLock(tmp_path / "missing").acquire()
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
    write = versioned.atomic_write_text

    def fail_at_the_manifest(path, data):
        if path.name == "brain.json":
            raise StorageError("full")
        write(path, data)

    monkeypatch.setattr(versioned, "atomic_write_text", fail_at_the_manifest)
    with pytest.raises(StorageError):
        directory.commit({"cortex.h5": b"cortex 2", "new.h5": b"new"}, {})
    assert sorted(directory.root.iterdir()) == before
    assert directory.verify().meta == {"nights": 1}


WRITER = """
    import sys
    from neurosim.versioned import VersionedDirectory
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
        versioned.VersionedDirectory(root, "brain", 2).commit({}, {})

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


def test_a_limit_on_file_size_leaves_the_last_good_state(tmp_path):
    directory = saved_brain(tmp_path)
    code = """
        import resource, sys
        from neurosim.errors import StorageError
        from neurosim.storage import atomic_write_bytes
        from neurosim.versioned import VersionedDirectory
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
