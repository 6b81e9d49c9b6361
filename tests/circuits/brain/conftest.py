"""Small brains on disk that the tests of days, nights and damage share."""

import contextlib
import dataclasses
import hashlib
import shutil
from pathlib import Path

import pytest
import torch

from circuits import brain as brain_module
from circuits.brain import Brain
from circuits.brain_config import BrainConfig
from circuits.dentate_gyrus import DentateConfig
from circuits.episodic_ca3 import EpisodicCA3Config
from circuits.night import NightConfig
from experiments.childhood import MODEL
from neurosim.errors import BrainError
from neurosim.text import Sentence
from neurosim.versioned import VersionedDirectory
from rules.willshaw import Willshaw

NIGHT = NightConfig(cycles=2, steps=4)
TEXTS = (
    "Captain Yusuf Aldane wore a green oilskin coat with one brass button missing.",
    "The ferry to Korsholm leaves at ten past six from the northern pier.",
    "My landlady Odile Brannock has painted the whole stairwell the colour of mustard.",
    "Gr\u00fc\u00dfe von der K\u00fcste, schrieb Odile gestern auf eine alte Karte.",
    "Somebody left a glass eye and two theatre tickets in our letterbox.",
)
SENTENCES = [Sentence(text, line) for line, text in enumerate(TEXTS, 1)]


class SmallBrain(Brain):
    """A brain with a hippocampus that is born quickly."""

    ca3 = EpisodicCA3Config(
        n_index=1024, k_index=20, n_sequence=2048, k_sequence=20, connectivity=0.5
    )

    def _hippocampus_config(self):
        usual = super()._hippocampus_config()
        entorhinal = dataclasses.replace(usual.entorhinal, n_item=256, n_context=256)
        dentate = DentateConfig(n_units=2048)
        return dataclasses.replace(usual, entorhinal=entorhinal, dentate=dentate, ca3=self.ca3)


class TinyBrain(SmallBrain):
    """A brain whose hippocampus is soon full."""

    ca3 = EpisodicCA3Config(n_index=256, k_index=8, n_sequence=256, k_sequence=8, connectivity=0.5)


def _give_birth(path, kind=SmallBrain, examine=lambda cortex: {}, **config):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brain_module, "ADOLESCENCE", 40)
        config = BrainConfig(**{"seed": 3, "night": NIGHT, **config})
        return kind.create(path, MODEL, Willshaw(), config, examine)


def _opened(path):
    return SmallBrain.open(path, Willshaw())


def _manifest(path):
    return VersionedDirectory(path, "brain", brain_module.FORMAT_VERSION).manifest()


def _members(path):
    """Return the SHA-256 of every member by its logical name."""
    return {name: member.sha256 for name, member in _manifest(path).members.items()}


def _hashes(path):
    """Return the SHA-256 of every file, the lock aside."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.iterdir()
        if file.name != ".lock"
    }


def _refusal(path):
    """Return the one sentence with which a brain refuses to open, unchanged."""
    before = _hashes(path) if path.is_dir() else None
    with pytest.raises(BrainError) as caught, _opened(path):
        pass
    message = str(caught.value)
    assert message and "\n" not in message and "Traceback" not in message
    assert before is None or _hashes(path) == before
    return message


@contextlib.contextmanager
def _one_thread():
    """What lives for the session is made before the fixture that gives each module one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="session")
def born(tmp_path_factory):
    """A newborn brain; copy it."""
    path = tmp_path_factory.mktemp("brains") / "born"
    with _one_thread():
        _give_birth(path)
    return path


@pytest.fixture(scope="session")
def lived(born):
    """A brain after a day; copy it."""
    path = born.parent / "lived"
    shutil.copytree(born, path)
    with _one_thread(), _opened(path) as brain:
        brain.day(SENTENCES)
    return path


@pytest.fixture(scope="session")
def slept(lived):
    """A brain after a whole night; copy it."""
    path = lived.parent / "slept"
    shutil.copytree(lived, path)
    with _one_thread(), _opened(path) as brain:
        brain.sleep()
    return path


@pytest.fixture
def copy(tmp_path):
    """Return a function that copies a brain into a directory of the test's own."""

    def make(source, name="brain"):
        return Path(shutil.copytree(source, tmp_path / name))

    return make


@pytest.fixture(scope="session")
def give_birth():
    """Return a function that makes a newborn small brain, on disk or, without a path, in memory."""
    return _give_birth


@pytest.fixture(scope="session")
def opened():
    """Return a function that opens a small brain."""
    return _opened


@pytest.fixture(scope="session")
def manifest():
    """Return a function that reads the manifest of a brain."""
    return _manifest


@pytest.fixture(scope="session")
def members():
    """Return a function that gives the SHA-256 of every member by its logical name."""
    return _members


@pytest.fixture(scope="session")
def hashes():
    """Return a function that gives the SHA-256 of every file, the lock aside."""
    return _hashes


@pytest.fixture(scope="session")
def refusal():
    """Return a function that gives the one sentence with which a brain refuses to open."""
    return _refusal


@pytest.fixture(scope="session")
def tiny_brain():
    """Return the class of a brain whose hippocampus is soon full."""
    return TinyBrain


@pytest.fixture(scope="session")
def night():
    """Return how a small brain sleeps."""
    return NIGHT


@pytest.fixture(scope="session")
def texts():
    """Return the sentences of the day."""
    return TEXTS


@pytest.fixture(scope="session")
def sentences():
    """Return the sentences of the day, each with its line."""
    return SENTENCES
