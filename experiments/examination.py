"""The examination: cloze questions on a day's sentences, answered by free generation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from circuits.language_cortex import LanguageCortex
from neurosim.errors import InputError
from neurosim.metrics import exact_recall
from neurosim.text import Sentence, read_sentences


@dataclass(frozen=True)
class Item:
    """A sentence of the day as the examination uses it: the first half of its words, the rest."""

    text: str
    line: int
    cue: str
    answer: str


def read_day(file: Path) -> list[Sentence]:
    """Read a day's text.

    Raises
    ------
    InputError
        When it cannot be read, or holds nothing to examine.
    """
    sentences = list(read_sentences(file))
    if not examine_items(sentences):
        raise InputError("no sentence has two words or more; give a text of whole sentences")
    return sentences


def examine_items(sentences: Sequence[Sentence]) -> list[Item]:
    """Make the cloze examination: sentences of two words and more."""
    items = []
    for sentence in sentences:
        words = sentence.text.split()
        half = (len(words) + 1) // 2
        if len(words) >= 2:
            cue, answer = " ".join(words[:half]), " ".join(words[half:])
            items.append(Item(sentence.text, sentence.line, cue, answer))
    return items


def cloze(cortex: LanguageCortex, pairs: Sequence[tuple[str, str]]) -> tuple[float, list[str]]:
    """Return the share of exact answers by free greedy generation, and what was said."""
    answers = cortex.recall([cortex.encode(cue) for cue, _ in pairs])
    said = [cortex.decode(answer.items).strip() for answer in answers]
    return float(np.mean(exact_recall([truth for _, truth in pairs], said))), said
