"""A day's text as a stream of sentences: read in chunks, checked byte by byte, never held whole."""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from neurosim.errors import InputError

STDIN = "-"
MAX_WORDS = 400
MAX_WORD_BYTES = 2000

_CHUNK_BYTES = 1 << 16
_SHORT_LINE = 60
_ONE_PER_LINE_SHARE = 0.9

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_CLOSERS = r"""["'\u2019\u201d\u00bb)\]*_]*"""
_END = re.compile(
    rf"[.!?\u2026\u061f\u0964]+{_CLOSERS}(?=\s|$)|[\u3002\uff01\uff1f]+[\u300d\u300f\u201d\u2019]*"
)
_HEADING = re.compile(r"#{1,6}\s+")
_BULLET = re.compile(r"[-*+\u2022]\s+")
_NUMBER = re.compile(r"\d{1,2}[.)]\s+")
_QUOTE = re.compile(r"(?:>\s?)+")
_RULE = re.compile(r"\s*(?:([-*_=~])\s*(?:\1\s*){2,}|`{3,}.*)$")

# A full stop after these never ends a sentence ...
_TITLES = frozenset("mr mrs ms mx dr prof rev hon messrs mme mlle gen col capt lt sgt fr".split())
# ... after these only before a word that starts sentences, since names often follow ...
_SHORT_FORMS = frozenset(
    """st mt e.g i.e cf viz vs approx ca al dept ave blvd rd
    jan feb apr jun jul aug sep sept oct nov dec""".split()
)
# ... and after these always, but not before a number.
_BEFORE_NUMBERS = frozenset(
    "no nos pp fig eq ch vol etc a.m p.m inc ltd co corp jr sr ph.d b.c a.d".split()
)
_WORD = re.compile(r"\S{1,24}")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_STARTERS = frozenset(
    """A An The This That These Those There Then Thus He She It They We I You His Her Its Their Our
    My Your And But Or So Yet If In On At By For From To With Without When While Where What Who Why
    How After Before Since Because Although As Not No Yes All Both Each Every Some Many Most Nobody
    Nothing Once Later Today Tomorrow Yesterday However Meanwhile Now""".split()
)


@dataclass(frozen=True)
class Sentence:
    """One item of a day.

    Parameters
    ----------
    text : str
        The sentence, single spaces between its words.
    line : int
        Line of the source in which it begins, counted from 1.
    """

    text: str
    line: int


def read_sentences(source: Path | str, *, max_words: int = MAX_WORDS) -> Iterator[Sentence]:
    """Read a UTF-8 text as a stream of sentences.

    A sentence ends at ``. ! ?`` or an ellipsis before a space and a new start, at a blank line,
    and at the end of a line that is one item of a list; other line breaks are soft. The source is
    read in chunks of 64 KiB: memory does not grow with its length. A fault is raised where it is
    met, after the sentences before it: whoever must not keep half a file runs through it first.

    Parameters
    ----------
    source : Path or '-'
        A file, or '-' for the standard input.
    max_words : int
        Longest sentence that is taken.

    Yields
    ------
    Sentence

    Raises
    ------
    InputError
        No such file, a directory, no text in it, a control byte or a byte that is not UTF-8 (with
        its offset), a sentence with too many words or a word with too many bytes (with its line).
    """
    name = "standard input" if str(source) == STDIN else str(source)
    with _opened(source, name) as stream:
        yield from _sentences(_chunks(stream, name), name, max_words)


def count_estimate(path: Path | str) -> int:
    """Estimate from size and first 64 KiB how many sentences a file holds.

    Parameters
    ----------
    path : Path
        A regular file; up to 64 KiB the count is exact.

    Raises
    ------
    InputError
        As `read_sentences`, for faults in the first 64 KiB.
    """
    name = str(path)
    with _opened(path, name) as stream:
        head = _read(stream, name)
        size = max(os.fstat(stream.fileno()).st_size, len(head))
    if size > len(head):
        # The last sentence is likely cut: leave it to the extrapolation.
        head = head[: head.rfind(b"\n") + 1 or head.rfind(b" ") + 1 or _whole_characters(head)]
    found = sum(1 for _ in _sentences(iter([head]), name, MAX_WORDS))
    return round(found * size / len(head))


def _whole_characters(head: bytes) -> int:
    """Return the length of `head` without a UTF-8 character that is cut at its end."""
    for back in range(1, min(4, len(head)) + 1):
        if head[-back] & 0xC0 == 0xC0:  # A first byte: its high ones count the character's bytes.
            length = 2 + (head[-back] >= 0xE0) + (head[-back] >= 0xF0)
            return len(head) - back if back < length else len(head)
    return len(head)


def _opened(source: Path | str, name: str) -> AbstractContextManager[BinaryIO]:
    if str(source) == STDIN:
        return nullcontext(sys.stdin.buffer)
    try:
        if Path(source).is_dir():
            raise InputError(f"{name}: expected a text file, got a directory; name a file in it")
        return Path(source).open("rb")
    except FileNotFoundError:
        raise InputError(
            f"{name}: expected a text file, got no such file; check the path"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name}: expected a readable file, got: {reason}; check it") from None


def _read(stream: BinaryIO, name: str) -> bytes:
    try:
        return stream.read(_CHUNK_BYTES)
    except OSError as error:
        raise InputError(f"{name}: reading failed: {error.strerror}; check the disk") from None


def _chunks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    while chunk := _read(stream, name):
        yield chunk


def _decoded(chunks: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode and check the chunks, line breaks as ``\\n``, without a byte order mark."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    offset = 0
    for chunk in chunks:
        text = _checked(decoder, chunk, offset, name)
        if offset == 0:
            text = text.removeprefix("\ufeff")
        offset += len(chunk)
        # typeshed knows only the use on bytes, with a decoder.
        yield newlines.decode(cast(bytes, text))
    _checked(decoder, b"", offset, name, final=True)
    yield newlines.decode(cast(bytes, ""), final=True)


def _checked(
    decoder: codecs.IncrementalDecoder, chunk: bytes, offset: int, name: str, final: bool = False
) -> str:
    control = _CONTROL.search(chunk)
    pending = len(decoder.getstate()[0])
    try:
        text = decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        if control is None or error.start - pending < control.start():
            raise InputError(
                f"{name}: expected UTF-8 text, got byte 0x{error.object[error.start]:02x} at byte "
                f"offset {offset - pending + error.start}; save the file as UTF-8"
            ) from None
        text = ""
    if control is not None:
        raise InputError(
            f"{name}: expected text, got control byte 0x{chunk[control.start()]:02x} at byte "
            f"offset {offset + control.start()}; a binary file cannot be read"
        )
    return text


def _sentences(chunks: Iterable[bytes], name: str, max_words: int) -> Iterator[Sentence]:
    splitter = _Splitter(name, max_words)
    found = False
    for text in _decoded(chunks, name):
        for sentence in splitter.feed(text):
            found = True
            yield sentence
    for sentence in splitter.close():
        found = True
        yield sentence
    if not found:
        raise InputError(f"{name}: expected text, got an empty file; write a sentence into it")


class _Splitter:
    """Cut text that arrives in pieces into sentences.

    `_buffer` holds what is not yet a whole sentence, line breaks included, and `_line` is the line
    it begins in; `_seen` is how far it was searched for an end without success.
    """

    def __init__(self, name: str, max_words: int) -> None:
        self._name = name
        self._max_words = max_words
        self._most_chars = max(1 << 18, max_words * (MAX_WORD_BYTES + 1))
        self._buffer = ""
        self._seen = 0
        self._line = 1
        self._at_line = 1
        self._line_is_open = False
        self._last_line = ""
        self._one_per_line: bool | None = None
        self._in_list = False

    def feed(self, text: str) -> Iterator[Sentence]:
        if self._one_per_line is None and text:
            self._one_per_line = _has_one_item_per_line(text)
        for piece in _lines(text):
            yield from self._add(piece)

    def close(self) -> Iterator[Sentence]:
        if self._line_is_open:
            yield from self._add("\n")
        yield from self._flush()

    def _add(self, piece: str) -> Iterator[Sentence]:
        ends = piece.endswith("\n")
        if not self._line_is_open:
            piece, starts, alone = self._begun(piece)
            if starts:
                yield from self._flush()
            self._last_line = ""
        else:
            alone = False
        if not self._buffer:
            self._line = self._at_line
        # Runs of blanks carry nothing and would let the buffer grow.
        self._buffer += re.sub(r"[^\S\n]+", " ", piece)
        self._last_line = (self._last_line + piece)[-_SHORT_LINE - 1 :]
        self._line_is_open = not ends
        yield from self._take()
        if alone and ends:
            yield from self._flush()
        self._at_line += ends
        if len(self._buffer) > self._most_chars:
            self._check(self._buffer, "more than ")

    def _begun(self, piece: str) -> tuple[str, bool, bool]:
        """Strip a new line's markers; say whether an item starts here, whether it is alone."""
        if not piece.strip() or _RULE.match(piece):
            self._in_list = False
            return "\n" if piece.endswith("\n") else "", True, False
        body = piece.lstrip()
        if quote := _QUOTE.match(body):
            body = body[quote.end() :].lstrip()
        if heading := _HEADING.match(body):
            return body[heading.end() :], True, True
        if bullet := _BULLET.match(body):
            self._in_list = True
            return body[bullet.end() :], True, False
        number = _NUMBER.match(body)
        if number and (self._in_list or not self._buffer.strip()):
            self._in_list = True
            return body[number.end() :], True, False
        return body, self._breaks_before(body), False

    def _breaks_before(self, body: str) -> bool:
        last = self._last_line.strip()
        if not last or body[:1].islower() or last[-1] in ",;-\u2013\u2014&(":
            return False
        if self._one_per_line:
            return True
        return len(last) < _SHORT_LINE and last[-1].isalnum() and body[:1].isupper()

    def _take(self) -> Iterator[Sentence]:
        """Yield the whole sentences at the front of the buffer."""
        start = 0
        for end in _END.finditer(self._buffer, self._seen):
            verdict = _is_boundary(self._buffer, start, end)
            if verdict is None:
                self._cut(start, end.start() - start)
                return
            if verdict:
                yield from self._emit(self._buffer[start : end.end()])
                following = _past_blanks(self._buffer, end.end())
                self._line += self._buffer.count("\n", start, following)
                start = following
        # An end at the very end may still grow by a dot or a quote: see it whole next time.
        self._cut(start, max(0, len(self._buffer.rstrip(".!?\u2026\"'\u2019\u201d)]")) - start))

    def _cut(self, start: int, seen: int) -> None:
        rest = self._buffer[start:]
        kept = rest.lstrip()
        skipped = len(rest) - len(kept)
        self._line += rest.count("\n", 0, skipped)
        self._buffer, self._seen = kept, max(0, seen - skipped)

    def _flush(self) -> Iterator[Sentence]:
        """End the sentence in the buffer, whatever it ends with."""
        yield from self._emit(self._buffer)
        self._buffer, self._seen, self._last_line = "", 0, ""

    def _emit(self, raw: str) -> Iterator[Sentence]:
        self._check(raw)
        text = " ".join(raw.split())
        if any(letter.isalnum() for letter in text):
            yield Sentence(text, self._line)

    def _check(self, raw: str, about: str = "") -> None:
        words = raw.split()
        longest = max(map(len, words), default=0)
        if 4 * longest > MAX_WORD_BYTES:
            longest = max(len(word.encode()) for word in words)
        if longest > MAX_WORD_BYTES:
            raise InputError(
                f"{self._name}: line {self._line}: expected words of at most {MAX_WORD_BYTES} "
                f"bytes, got {about}{longest} bytes without a space; is this text?"
            )
        if len(words) > self._max_words:
            raise InputError(
                f"{self._name}: line {self._line}: expected sentences of at most "
                f"{self._max_words} words, got {about}{len(words)} without an end; "
                "set full stops or line breaks"
            )


def _lines(text: str) -> Iterator[str]:
    """Cut at ``\\n`` only: str.splitlines also cuts at form feeds and the like."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _has_one_item_per_line(text: str) -> bool:
    """Tell a list of sentences, one a line, from wrapped prose by how its lines begin."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return len(lines) >= 3 and (
        sum(not line[0].islower() for line in lines) >= _ONE_PER_LINE_SHARE * len(lines)
    )


def _past_blanks(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _is_boundary(text: str, start: int, end: re.Match[str]) -> bool | None:
    """Judge whether a sentence ends here; None if what follows is not known yet."""
    mark = end.group()
    if mark[0] in "\u3002\uff01\uff1f":
        return True if end.end() < len(text) else None
    short = _short_form(text, start, end) if mark == "." else ""
    after = _past_blanks(text, end.end())
    if not short and mark in (".", "!", "?") and "\n" in text[end.end() : after]:
        return True
    follows = _WORD.match(text, after)
    if follows is None or (short and follows.end() == len(text)):
        return None
    word = follows.group()
    if word[0].islower() or short in _TITLES:
        return False
    if short in _BEFORE_NUMBERS:
        return not word[0].isdigit()
    return not short or word.rstrip(",") in _STARTERS


def _short_form(text: str, start: int, end: re.Match[str]) -> str:
    """Return the abbreviation before a full stop in lower case, or an empty string."""
    head = text[max(start, end.start() - 24) : end.start()].split()
    word = head[-1].lstrip("\"'(\u2018\u201c[") if head else ""
    known = word.lower() in _TITLES | _SHORT_FORMS | _BEFORE_NUMBERS
    return word.lower() if known or _INITIALS.fullmatch(word) else ""
