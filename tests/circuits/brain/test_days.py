"""A brain by day: it writes its hippocampus once, and leaves all else as it was."""

import shutil

import numpy as np
import pytest

from experiments.childhood import shipped_facts
from neurosim.errors import (
    CapacityError,
    InputError,
    StorageError,
)
from neurosim.text import Sentence
from rules.willshaw import Willshaw

pytestmark = pytest.mark.compiled


def test_a_day_writes_the_hippocampus_and_leaves_the_language_model(born, lived, members):
    before, after = members(born), members(lived)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"hippocampus.h5"}
    assert set(after) == {
        "hippocampus.h5",
        "growth.safetensors",
        "language_model.safetensors",
        "language_model.json",
        "tokenizer.json",
    }


def test_a_day_is_remembered_after_one_exposure(lived, opened, texts):
    with opened(lived) as brain:
        assert brain.hippocampus.n_episodes == len(texts)
        for text in texts:
            words = text.split()
            half = (len(words) + 1) // 2
            answer = brain.ask(" ".join(words[:half]))
            assert answer.text == " ".join(words[half:])
            assert answer.source == "hippocampus" and answer.hippocampus == answer.text
            assert answer.cortex != answer.text
            assert answer.confidence == answer.hippocampus_confidence > answer.cortex_confidence


def test_what_is_met_again_is_strengthened_and_not_stored_twice(
    lived, copy, opened, texts, sentences
):
    with opened(copy(lived)) as brain:
        memory = brain.hippocampus
        items = brain.cortex.encode(texts[0])
        depth = memory.ca3.depth(memory.remember(items).episode.index)
        report = brain.day(sentences)
        assert (report.n_familiar, report.n_stored) == (len(texts), 0)
        assert memory.n_episodes == len(texts)
        assert memory.ca3.depth(memory.remember(items).episode.index) == depth + 1


def test_what_the_cortex_expects_is_not_written_unless_the_gate_is_open(
    give_birth, texts, sentences
):
    brains = {gate: give_birth(None, gate=gate) for gate in (True, False)}
    facts = [Sentence(fact.sentence(), k) for k, fact in enumerate(shipped_facts()[::10], 1)]
    known = [sentence for sentence in facts if says_by_itself(brains[True].cortex, sentence)]
    assert len(known) >= 20
    reports = {gate: brain.day([*known, *sentences]) for gate, brain in brains.items()}
    assert reports[True].n_expected >= 0.9 * len(known)
    assert reports[True].n_stored == len(known) + len(texts) - reports[True].n_expected
    assert (reports[False].n_expected, reports[False].n_stored) == (0, len(known) + len(texts))


def says_by_itself(cortex, sentence):
    items = cortex.encode(sentence.text)
    cue = items[: cortex.opening(items)]
    return cue + list(cortex.recall([cue])[0].items) == items


def test_a_sentence_longer_than_an_episode_is_kept_in_parts(born, copy, opened):
    long = " ".join(f"harbour{k} mast{k}" for k in range(60))
    with opened(copy(born)) as brain:
        n_tokens = len(brain.cortex.encode(long))
        report = brain.day([Sentence(long, 1)])
        room = brain.hippocampus.config.longest - 1
        assert report.n_split == report.n_stored == -(-n_tokens // room) > 1
        assert brain.hippocampus.n_items == n_tokens + report.n_stored


def test_a_fault_in_the_text_leaves_the_brain_on_disk_untouched(
    born, copy, opened, hashes, sentences
):
    path = copy(born)

    def faulty():
        yield sentences[0]
        raise InputError("no more")

    before = hashes(path)
    with opened(path) as brain, pytest.raises(InputError, match="no more"):
        brain.day(faulty())
    with opened(path) as brain, pytest.raises(InputError, match="no sentence"):
        brain.day([])
    assert hashes(path) == before


def test_a_full_hippocampus_says_what_was_stored_and_what_was_not(
    tmp_path, give_birth, manifest, texts, tiny_brain
):
    path = tmp_path / "tiny"
    give_birth(path, tiny_brain)
    rng = np.random.default_rng(0)
    words = " ".join(texts).replace(".", "").split()
    day = [Sentence(" ".join(rng.choice(words, 12)), 10 + k) for k in range(300)]
    with tiny_brain.open(path, Willshaw()) as brain:
        with pytest.raises(CapacityError, match="the hippocampus is full") as caught:
            brain.day(day)
        message, n = str(caught.value), brain.hippocampus.n_episodes
    assert 0 < n < len(day)
    report = next(e for e in manifest(path).meta["ledger"] if e["event"] == "day")
    first_left_out = 9 + report["n_read"]
    assert f"{n} sentences were stored" in message
    assert f"line {first_left_out} and what follows were not" in message
    assert "let a night pass" in message
    with tiny_brain.open(path, Willshaw()) as brain:  # What was stored is saved.
        assert brain.hippocampus.n_episodes == n
        assert brain.hippocampus.gauge().used > 0.5


def test_a_full_disk_leaves_the_last_state(lived, copy, monkeypatch, opened, hashes, sentences):
    path = copy(lived)
    before = hashes(path)
    full = type(shutil.disk_usage(path))(10**9, 10**9, 0)
    with opened(path) as brain:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
        with pytest.raises(StorageError, match="free space"):
            brain.day(sentences)
        monkeypatch.undo()
    assert hashes(path) == before
