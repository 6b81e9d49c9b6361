"""The hippocampus and the reader on real text, which the project may not ship."""

import json

import numpy as np
import pytest

from circuits.brain import Brain
from experiments.childhood import MODEL
from experiments.examination import cloze, examine_items
from neurosim.metrics import exact_recall
from neurosim.text import Sentence, read_sentences
from rules.willshaw import Willshaw

pytestmark = [pytest.mark.data, pytest.mark.compiled]


@pytest.fixture(scope="module")
def real_facts(neurosim_data):
    """Sixty real facts with different subjects, told in one sentence each."""
    records = json.loads((neurosim_data / "text" / "known_1000.json").read_text(encoding="utf-8"))
    told = {}
    for record in records:
        told.setdefault(record["subject"], f"{record['prompt']} {record['attribute']}.")
    return [Sentence(text, line) for line, text in enumerate(list(told.values())[:60], 1)]


def test_real_facts_told_once_come_back_from_their_first_half(real_facts):
    brain = Brain.create(None, MODEL, Willshaw())
    items = examine_items(real_facts)
    pairs = [(item.cue, item.answer) for item in items]
    assert cloze(brain.cortex, pairs)[0] < 0.1, "the model must not know them before"
    report = brain.day(real_facts)
    assert report.n_stored >= 55
    said = [
        brain.cortex.decode(brain.hippocampus.recall(brain.cortex.encode(cue)).items).strip()
        for cue, _ in pairs
    ]
    # Different subjects, so each first half is a cue for one answer; a few share all their words.
    assert np.mean(exact_recall([answer for _, answer in pairs], said)) >= 0.9


def test_a_play_is_read_as_sentences(neurosim_data):
    sentences = list(read_sentences(neurosim_data / "text" / "tinyshakespeare.txt"))
    assert len(sentences) > 10_000
    assert all(sentence.text == " ".join(sentence.text.split()) for sentence in sentences)
