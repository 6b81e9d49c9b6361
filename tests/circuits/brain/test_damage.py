"""A brain on disk that is damaged, in use or none says so in one sentence."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from circuits import brain as brain_module
from circuits.brain import Brain
from circuits.brain_config import BrainConfig
from experiments.childhood import MODEL
from neurosim.errors import (
    BrainBusyError,
    BrainError,
    NeurosimError,
)
from rules.willshaw import Willshaw

pytestmark = pytest.mark.compiled


def test_a_whole_brain_opens(lived, opened, texts):
    with opened(lived) as brain:
        assert brain.hippocampus.n_episodes == len(texts)


@pytest.mark.parametrize("name", ["hippocampus.h5", "language_model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_a_flipped_bit_is_noticed(lived, copy, name, place, manifest, refusal):
    path = copy(lived)
    file = path / manifest(path).members[name].file
    data = bytearray(file.read_bytes())
    data[int(place * len(data))] ^= 1
    file.write_bytes(data)
    assert file.name in refusal(path)


def test_a_flipped_bit_anywhere_in_the_manifest_is_noticed(born, copy, refusal):
    path = copy(born)
    file = path / "brain.json"
    data = file.read_bytes()
    told = json.loads(data)
    for place in range(0, len(data), max(1, len(data) // 60)):
        flipped = bytearray(data)
        flipped[place] ^= 2
        try:
            harmless = json.loads(flipped) == told
        except ValueError:
            harmless = False
        file.write_bytes(flipped)
        if not harmless:
            refusal(path)


@pytest.mark.parametrize("size", [0, 100, 0.9])
def test_a_truncated_file_is_noticed(lived, copy, size, manifest, refusal):
    path = copy(lived)
    file = path / manifest(path).members["hippocampus.h5"].file
    data = file.read_bytes()
    file.write_bytes(data[: int(size * len(data)) if isinstance(size, float) else size])
    assert "damaged" in refusal(path)


def test_a_truncated_manifest_is_noticed(lived, copy, refusal):
    path = copy(lived)
    text = (path / "brain.json").read_text()
    (path / "brain.json").write_text(text[: len(text) // 2])
    assert "brain.json" in refusal(path)


@pytest.mark.parametrize(
    "name", ["hippocampus.h5", "growth.safetensors", "language_model.json", "tokenizer.json"]
)
def test_a_missing_file_is_named(lived, copy, name, manifest, refusal):
    path = copy(lived)
    file = path / manifest(path).members[name].file
    file.unlink()
    assert file.name in refusal(path) and "missing" in refusal(path)


def test_a_half_written_brain_is_told_from_a_whole_one(lived, copy, refusal):
    path = copy(lived)
    (path / "brain.json").unlink()
    assert "never finished" in refusal(path)


def test_a_brain_of_a_newer_version_asks_for_an_upgrade(lived, copy, refusal):
    path = copy(lived)
    fields = json.loads((path / "brain.json").read_text())
    assert fields["format_version"] == brain_module.FORMAT_VERSION
    fields["format_version"] += 1
    (path / "brain.json").write_text(json.dumps(fields))
    assert "newer neurosim; upgrade" in refusal(path)


def test_a_missing_directory_is_named(tmp_path, refusal):
    assert "nowhere" in refusal(tmp_path / "nowhere")
    (tmp_path / "a file").write_text("")
    assert "a file" in refusal(tmp_path / "a file")


def test_a_brain_in_use_by_another_process_says_so(lived, copy, opened, refusal, texts):
    path = copy(lived)
    code = (
        "import sys\n"
        "from neurosim.versioned import DirectoryLock\n"
        "with DirectoryLock(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    )
    try:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BrainBusyError):
            opened(path).__enter__()
        assert "in use" in refusal(path)
    finally:
        other.communicate("")
    with opened(path) as brain:
        assert brain.hippocampus.n_episodes == len(texts)


def test_a_brain_is_not_born_where_something_is(tmp_path, give_birth):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(BrainError, match="not empty"):
        give_birth(tmp_path)
    with pytest.raises(BrainError, match="not empty"):
        give_birth(tmp_path / "diary.txt")
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_of_two_births_in_one_place_the_later_is_refused(tmp_path, give_birth, hashes):
    path, states = tmp_path / "brain", []

    def meanwhile(cortex):
        give_birth(path)
        states.append(hashes(path))
        return {}

    with pytest.raises(BrainError, match="not empty"):
        give_birth(path, examine=meanwhile)
    assert hashes(path) == states[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", None),
        ("config.json", b"{"),
        ("config.json", b"[1]"),
        ("config.json", b'{"model_type": "gpt2"}'),
        ("config.json", b'{"vocab_size": 7}'),
        ("config.json", b'{"hidden_size": "wide"}'),
        ("model.safetensors", None),
        ("model.safetensors", b""),
        ("model.safetensors", b"\x08" + bytes(30)),
        ("tokenizer.json", None),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"\xff\xfe"),
    ],
)
def test_what_is_no_language_model_is_refused_in_one_sentence(tmp_path, name, content):
    model = Path(shutil.copytree(MODEL, tmp_path / "model"))
    if content is None:
        (model / name).unlink()
    else:
        (model / name).write_bytes(content)
    with pytest.raises(NeurosimError) as caught:
        Brain.create(tmp_path / "brain", model, Willshaw())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "brain").exists()


def test_a_brain_of_an_earlier_version_opens_without_the_dials_that_are_gone(night):
    config = BrainConfig(seed=4, night=night)
    saved = dataclasses.asdict(config)
    saved["night"]["dreams"] = 520
    saved["former"] = True
    assert BrainConfig.from_mapping(saved) == config
