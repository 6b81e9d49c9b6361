"""Reading a day's text: how sentences are found, what is refused, how little memory it takes."""

import io
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest

from neurosim.errors import InputError
from neurosim.text import Sentence, count_estimate, read_sentences

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture
def written(tmp_path):
    """Return a function that writes text or bytes to a file and returns its path."""

    def write(content):
        path = tmp_path / "day.txt"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def texts(written):
    """Return a function that gives the sentences of a text as strings."""
    return lambda content: [sentence.text for sentence in read_sentences(written(content))]


def refusal(path, **options):
    with pytest.raises(InputError) as caught:
        list(read_sentences(path, **options))
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


# One string a case; " | " marks where it must be cut.
SPLITS = [
    "The cat sat. | The dog ran! | Did it? | Yes\u2026 | It did.",
    "Mr. Brown met Mrs. Green and Dr. Gray at St. Mary. | They spoke.",
    "Prof. J. R. Ewing lives here. | J. A. Smith does not.",
    "She likes fruit, e.g. Apples of the north, i.e. Cox. | He does not.",
    "Bring pens, paper, etc. and a ruler. | Bring nuts, figs, etc. | Nobody came.",
    "We met at 5 p.m. by the gate. | He came at 7 a.m. | We had left at 6 p.m. 30 days before.",
    "It costs 3.50 crowns, or 1,000.25 in all. | It is version 2.0.1 now.",
    "The U.S. Army left the U.K. in May. | He stayed in the U.S. | She did not.",
    "Wait... what did you say? | I said... | Nothing at all.",
    '"Stop!" he cried. | "Why?" she asked. | He said "No." | Then he left.',
    "(It was late.) | We slept. | [So it goes.] | \u00abOui.\u00bb | \u201cDone.\u201d | The end.",
    "He shouted \u201cRun!\u201d and ran. | \u2018Now?\u2019 she said.",
    "See No. 5 and Fig. 3 for that. | The answer was no. | Peter left.",
    "What?! | Really?? | Yes!",
    "In 1984. | He was ten. | 7 men came.",
    "He is taller than I. | She is not.",
    "Caf\u00e9s open at na\u00efve hours. | \u00c9mile dines late. | \u00d1and\u00fa is a bird.",
    "\u041e\u043d \u0442\u0430\u043c. | \u041e\u043d\u0430 \u0442\u0443\u0442.",
    "Visit example.org or a.b.c for more. | Use file.txt then.",
    "*He left.* | She stayed.",
]


@pytest.mark.parametrize("marked", SPLITS)
def test_a_paragraph_is_cut_into_its_sentences(texts, marked):
    assert texts(marked.replace(" | ", " ")) == marked.split(" | ")


def test_chinese_sentences_need_no_space(texts):
    text = "\u4f60\u597d\u3002\u6211\u5f88\u597d\uff01\u4f60\u5462\uff1f\u597d\u3002"
    assert texts(text) == [
        "\u4f60\u597d\u3002",
        "\u6211\u5f88\u597d\uff01",
        "\u4f60\u5462\uff1f",
        "\u597d\u3002",
    ]


def test_wrapped_lines_are_joined(texts):
    wrapped = (
        "The quick brown fox met a dog whose name nobody in the whole village of\n"
        "Harby knew. It was old\nand it was\ttired of   foxes. Mr.\nBrown took it home\nat last.\n"
    )
    assert texts(wrapped) == [
        "The quick brown fox met a dog whose name nobody in the whole village of Harby knew.",
        "It was old and it was tired of foxes.",
        "Mr. Brown took it home at last.",
    ]


def test_a_blank_line_ends_a_sentence(texts):
    assert texts("a title\n\nand some text\n  \nand more") == [
        "a title",
        "and some text",
        "and more",
    ]


def test_a_line_that_ends_with_a_full_stop_ends_a_sentence(texts):
    assert texts("i went home.\nthen i slept.\nthen\ni woke.\n") == [
        "i went home.",
        "then i slept.",
        "then i woke.",
    ]


def test_a_quotation_goes_on_after_a_line_break(texts):
    assert texts('then he said\n"Stop it!"\nand went away.') == [
        'then he said "Stop it!" and went away.'
    ]


def test_one_item_a_line_needs_no_full_stops(texts):
    items = [
        "The ferry to Korsholm leaves at ten past six from the northern pier of the harbour",
        "My cousin keeps bees",
        "Nobody in the whole town of Harby may whistle after nine in the evening without leave",
        "7 swans live on the pond",
    ]
    assert texts("\n".join(items)) == items


def test_two_short_lines_without_full_stops_are_two_items(texts):
    assert texts("My dog is brown\nCats are nice") == ["My dog is brown", "Cats are nice"]


def test_a_line_that_ends_with_a_comma_goes_on(texts):
    assert texts("Roses are red,\nViolets are blue,\nSugar is sweet.") == [
        "Roses are red, Violets are blue, Sugar is sweet."
    ]


def test_marks_of_headings_lists_and_quotations_are_stripped(texts):
    text = (
        "# My day\n## In the morning ##\n- buy milk\n* call Bob about\n  the car\n+ sleep\n\n---\n"
        "1. Get up.\n2. Go out\n3) come home\n\n> a quoted line\n> goes on.\n```\n\u2022 end\n"
    )
    assert texts(text) == [
        "My day",
        "In the morning ##",
        "buy milk",
        "call Bob about the car",
        "sleep",
        "Get up.",
        "Go out",
        "come home",
        "a quoted line goes on.",
        "end",
    ]


def test_lines_without_a_letter_are_no_sentences(texts):
    assert texts("***\nOne.\n... !!!\n\n- - -\nTwo.\n") == ["One.", "Two."]


def test_windows_and_old_mac_newlines_are_newlines(texts):
    unix = "One line.\nAnother\nline. A third.\n\nthe end"
    expected = texts(unix)
    assert len(expected) == 4
    assert texts(unix.replace("\n", "\r\n")) == expected
    assert texts(unix.replace("\n", "\r")) == expected


def test_a_byte_order_mark_is_skipped(written):
    assert list(read_sentences(written(b"\xef\xbb\xbfOne."))) == [Sentence("One.", 1)]


def test_each_sentence_knows_its_line(written):
    text = "One. Two.\n\n\nThree goes\non. Four.\r\n# Five\n- six\nseven\n\n\n'Eight!'\nNine.\n"
    lines = {s.text: s.line for s in read_sentences(written(text))}
    assert lines == {
        "One.": 1,
        "Two.": 1,
        "Three goes on.": 4,
        "Four.": 5,
        "Five": 6,
        "six seven": 7,
        "'Eight!'": 11,
        "Nine.": 12,
    }


def test_the_standard_input_is_read_for_a_dash(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"One. Two.")))
    assert [s.text for s in read_sentences("-")] == ["One.", "Two."]


def test_where_a_chunk_ends_does_not_matter(texts):
    sentence = "J. R. met Mr. \u00c9mile at 3.5 p.m. in the caf\u00e9... and \u201cleft\u201d? "
    for shift in range(0, 90, 7):
        text = "x" * shift + "xyz. " + sentence * 1200
        assert texts(text)[1:] == [sentence.strip()] * 1200, shift


def test_the_shipped_texts_have_one_sentence_a_line():
    paths = [DATA / "diary.txt", *sorted((DATA / "days").glob("*.txt"))]
    assert len(paths) == 11
    for path in paths:
        assert [s.text for s in read_sentences(path)] == path.read_text("ascii").splitlines()


def test_shipped_sentences_are_told_apart_by_their_first_halves():
    for paths in ([DATA / "diary.txt"], sorted((DATA / "days").glob("*.txt"))):
        lines = [line.split() for path in paths for line in path.read_text("ascii").splitlines()]
        assert len(lines) >= 60
        for half in (lambda n: n // 2, lambda n: (n + 1) // 2):
            cues = {" ".join(words[: half(len(words))]).lower() for words in lines}
            assert len(cues) == len(lines)


def test_a_missing_file_is_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "none.txt")
    with pytest.raises(InputError, match="no such file"):
        count_estimate(tmp_path / "none.txt")


def test_a_directory_is_refused(tmp_path):
    assert "got a directory" in refusal(tmp_path)


def test_a_path_with_a_nul_is_refused():
    assert "expected a" in refusal("a\0b")


@pytest.mark.parametrize("content", [b"", b" \n\t\r\n  ", b"\xef\xbb\xbf", b"***\n---\n"])
def test_an_empty_text_is_refused(written, content):
    assert "empty" in refusal(written(content))


@pytest.mark.parametrize("padding", [0, 5, 65535, 65536, 70001])
@pytest.mark.parametrize("byte", [0x00, 0x07, 0x1B, 0x7F])
def test_a_control_byte_is_named_with_its_offset(written, byte, padding):
    words = (b"ab. " * (padding // 4 + 1))[:padding]
    message = refusal(written(words + bytes([byte]) + b" and more."))
    assert f"0x{byte:02x} at byte offset {padding};" in message


@pytest.mark.parametrize("padding", [0, 5, 65535, 65536, 70001])
@pytest.mark.parametrize(
    "wrong", [b"\xe9t\xe9", b"\xff\xfe", b"\xc3(", b"\xed\xa0\x80", b"\xe2\x82"]
)
def test_a_wrong_encoding_is_named_with_its_offset(written, wrong, padding):
    words = (b"ab. " * (padding // 4 + 1))[:padding]
    message = refusal(written(words + wrong))
    assert f"0x{wrong[0]:02x} at byte offset {padding};" in message


def test_the_first_of_two_faults_is_named(written):
    assert "0x00 at byte offset 1;" in refusal(written(b"a\0\xff"))
    assert "0xff at byte offset 1;" in refusal(written(b"a\xff\0"))


def test_a_line_of_ten_thousand_words_is_refused(written):
    message = refusal(written("Fine.\n\n" + "word " * 10_000 + "\nMore."))
    assert "line 3:" in message
    assert "at most 400 words, got 10000 " in message


def test_a_sentence_over_many_lines_is_refused(written):
    message = refusal(written("Fine.\n" + "and then some\n" * 200 + "it ended. More."))
    assert "line 2:" in message
    assert "got 602 " in message


def test_the_longest_sentence_is_a_choice(written):
    path = written("one two three four.")
    assert len(list(read_sentences(path, max_words=4))) == 1
    assert "at most 3 words, got 4 " in refusal(path, max_words=3)


def test_a_word_without_end_is_refused(written):
    assert len(list(read_sentences(written("x" * 1999 + ".\nfine"), max_words=2))) == 2
    message = refusal(written("Fine.\n" + "\u00e9" * 1001))
    assert "line 2:" in message
    assert "2002 bytes" in message


def test_an_endless_line_is_refused_before_its_end(written):
    assert "more than" in refusal(written("word " * 1_000_000))
    assert "more than" in refusal(written("x" * 3_000_000))


def test_long_runs_of_blanks_are_harmless(texts):
    assert texts("a" + " " * 2_000_000 + "b.\n" + "\n" * 100_000 + "c.") == ["a b.", "c."]


def test_sentences_before_a_fault_are_given_first(written):
    stream = read_sentences(written(b"One sentence.\n" * 10_000 + b"\0"))
    assert next(stream) == Sentence("One sentence.", 1)


@pytest.mark.parametrize("size", [4_000_000, pytest.param(20_000_000, marks=pytest.mark.slow)])
def test_a_big_file_takes_little_memory(tmp_path, size):
    path = tmp_path / "big.txt"
    paragraph = 60 * (
        "The quick brown fox jumped over the lazy dog of Mr. Brown, who lived in\n"
        "the old mill at 3.5 miles from the town; it was never seen again. "
    )
    repeats = size // len(paragraph) + 1
    with path.open("w") as file:
        for _ in range(repeats):
            file.write(paragraph + "\n\n")
    tracemalloc.start()
    count = sum(1 for _ in read_sentences(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60 * repeats
    # A few chunks of 64 KiB, as bytes and as text; the file is at least four times the bound.
    assert peak < 1_000_000


def test_the_estimate_is_exact_for_a_small_file():
    assert count_estimate(DATA / "diary.txt") == 60


def test_the_estimate_of_a_big_file_is_near(written):
    lines = [f"Item {n} is a sentence of {'some ' * (n % 7)}words." for n in range(20_000)]
    assert count_estimate(written("\n".join(lines))) == pytest.approx(20_000, rel=0.03)


def test_a_text_without_spaces_is_estimated_though_the_first_chunk_cuts_a_character(written):
    text = "今天天气很好。" * 10_000
    assert len(text.encode()) > 65536 and 65536 % 3 != 0  # The chunk ends inside a character.
    assert count_estimate(written(text)) == pytest.approx(10_000, rel=0.01)
    assert count_estimate(written("a" + text)) == pytest.approx(10_000, rel=0.01)
