"""What the pages say is there: links, pictures, files, commands, options and fields."""

import operator
import re
import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.commands import compare
from experiments.commands import list as list_command
from experiments.commands.run import changed, split
from neurosim import discovery
from neurosim.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder, pattern in ((ROOT, "*.md"), (ROOT / "data", "**/*.md"), (ROOT / "docs", "**/*.md"))
    for path in folder.glob(pattern)
)
FLOORS = ("neurosim", "rules", "circuits", "experiments", "tests", "data", "docs")
SUFFIXES = ("py", "md", "json", "csv", "png", "gif", "toml", "txt", "j2")
"""Of files that a page may name; h5 and others are what a run writes."""
PLACEHOLDER = re.compile(r"[A-Z]+|\.\.\.")
"""A word in capitals stands for what the reader fills in."""


# Reading the pages


def code(text: str) -> Iterator[str]:
    """Yield what stands in code: lines of fenced and of indented blocks, and spans, unwrapped."""
    for k, part in enumerate(re.split(r"^```.*$", text, flags=re.MULTILINE)):
        if k % 2:
            yield from part.splitlines()
        else:
            yield from re.findall(r"^ {4}(\S.*)$", part, flags=re.MULTILINE)
            yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", part))


def commands(text: str) -> Iterator[str]:
    """Yield every call of the command line, without what a shell adds to it."""
    before = r"(?:env (?:-u \w+ )*)?(?:\w+=\S+ )*"
    call = before + r"(?:neurosim|python -m experiments|(\./run demo))(?:\s+(.*))?"
    for line in code(text):
        found = re.fullmatch(call, line)
        if found and line.count(" | ") < 2:  # A row of a table is no pipe.
            words = re.split(r"(?:^|\s)#\s|[;>]|&&|\s\|\s", found[2] or "")[0].strip()
            yield f"sleep {words}" if found[1] else words


def links(text: str) -> Iterator[str]:
    """Yield the targets of links and pictures that lie in this checkout."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(text: str) -> set[str]:
    """Return the names by which a page's headings can be reached."""
    headings = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


# Checkers: each takes a page's path and text and returns its complaints


def dead_links(page: str, text: str) -> list[str]:
    """Find links whose file or heading is not there."""
    complaints = []
    for link in links(text):
        target, _, anchor = link.partition("#")
        path = (ROOT / page).parent / target if target else ROOT / page
        if not path.exists() or (anchor and anchor not in anchors(path.read_text("utf-8"))):
            complaints.append(link)
    return complaints


def missing_files(page: str, text: str) -> list[str]:
    """Find files that are named by a path from the root and are not there."""
    name = rf"(?:{'|'.join(FLOORS)})/[\w/.-]+\.(?:{'|'.join(SUFFIXES)})"
    named = {word for line in code(text) for word in re.findall(rf"(?<![\w/.]){name}\b", line)}
    return sorted(word for word in named if not (ROOT / word).exists())


def wrong_commands(page: str, text: str) -> list[str]:
    """Find calls with a command, option, experiment, field or value that is refused."""
    complaints = []
    for line in commands(text):
        try:
            check(shlex.split(line))
        except (AssertionError, AttributeError, ConfigError, SystemExit, ValueError) as error:
            complaints.append(f"{line}: {error}")
    return complaints


def check(words: list[str]) -> None:
    """Refuse what the command line would refuse, without running anything."""
    if not words or words[0].startswith("--") or PLACEHOLDER.fullmatch(words[0]):
        return
    module = discovery.find("experiments.commands", words[0])
    parser = ArgumentParser(prog=words[0])
    module.add_arguments(parser)
    for name in ("--seed", "--json"):
        if name not in parser._option_string_actions:
            parser.add_argument(name)
    unknown = {word for word in words if word.startswith("--")} - set(parser._option_string_actions)
    if unknown:
        raise ConfigError.expected("page", "option", "an option", unknown, "mend the page")
    words = ["1" if word == "N" else word.split("|")[0] for word in words[1:]]
    if all(word.startswith("--") for word in words):  # Named, not called.
        return
    check_values(module.__name__.rpartition(".")[2], parser.parse_intermixed_args(words))


def check_values(command: str, arguments: Namespace) -> None:
    """Refuse names of experiments, learners, fields and values that the command would refuse."""
    if command == "compare":
        if not PLACEHOLDER.fullmatch(arguments.learners):
            compare.configured(arguments)
    elif command in ("run", "bench") and not PLACEHOLDER.fullmatch(arguments.name):
        package = "experiments" if command == "run" else "experiments.benchmarks"
        module = discovery.find(package, arguments.name)
        start = module.SLOW if getattr(arguments, "slow", False) else module.Config()
        for setting in arguments.settings:
            name, value = split(setting)
            if PLACEHOLDER.fullmatch(value):
                assert operator.attrgetter(name)(start) is not None
            else:
                start = changed(start, name, value)
    elif command == "list":
        assert arguments.kind in (None, *list_command.KINDS)


CHECKERS = (dead_links, missing_files, wrong_commands)


# The pages themselves


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_a_page_is_free_of(checker, page):
    assert checker(page, (ROOT / page).read_text("utf-8")) == []


def test_the_gallery_shows_each_picture_once_and_every_result_is_within_reach_of_the_readme():
    gallery = ROOT / "docs" / "gallery"
    shown = set(links((gallery / "README.md").read_text("utf-8")))
    pictures = {path.name for path in gallery.iterdir() if path.suffix in (".png", ".gif")}
    assert pictures and pictures <= shown
    assert len({(gallery / name).read_bytes() for name in pictures}) == len(pictures)
    reached, pending = set(), ["README.md"]
    while pending:
        page = pending.pop()
        reached.add(page)
        there = ((ROOT / page).parent / link for link in links((ROOT / page).read_text("utf-8")))
        found = {path.resolve().relative_to(ROOT).as_posix() for path in there if path.is_file()}
        pending += sorted(each for each in found - reached if each.endswith(".md"))
    assert [page for page in PAGES if page not in reached] == []


# The checkers themselves


@pytest.mark.parametrize(
    ("checker", "text"),
    [
        (dead_links, "[a page](docs/none.md)"),
        (dead_links, "![a picture](docs/gallery/none.png)"),
        (dead_links, "[a heading](ARCHITECTURE.md#no-such-floor)"),
        (missing_files, "see `neurosim/none.py`"),
        (wrong_commands, "`neurosim dream my_brain`"),
        (wrong_commands, "`neurosim\nrun none`"),
        (wrong_commands, "`neurosim compare --serch`"),
        (wrong_commands, "`neurosim run ten_days dais=3`"),
        (wrong_commands, "`neurosim run separation sparsities=S`"),
        (wrong_commands, "`neurosim run ten_days days=three`"),
        (wrong_commands, "```\nneurosim init a b  # a comment\n```"),
        (wrong_commands, "    neurosim compare --learners backpop --seeds 2"),
        (wrong_commands, "    env -u A B=1 neurosim bench none"),
        (wrong_commands, "`./run demo my_day.txt --sed 3`"),
    ],
)
def test_a_planted_fault_is_found(checker, text):
    assert len(checker("README.md", text)) == 1


def test_a_good_page_passes_every_checker():
    text = (
        "[a page](docs/measures.md), [a heading](ARCHITECTURE.md#the-floors), [web](https://a.org)\n"
        "`neurosim/rule.py`, `neurosim --help`, `neurosim compare --search N`, `neurosim run`\n"
        "`neurosim run separation sparsity=S`, `neurosim run EXPERIMENT`\n"
        '```\nX=1 neurosim ask my_brain "A cue" --json -   # a comment\n```\n'
        "| neurosim beside others | 1 | 2 |\n"
    )
    assert [c for checker in CHECKERS for c in checker("README.md", text)] == []
