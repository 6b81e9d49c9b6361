"""A brain on disk: days, nights that can be interrupted, no text in its files, damage reported."""

import base64
import dataclasses
import hashlib
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from circuits import brain as brain_module
from circuits.brain import Brain, BrainConfig
from circuits.dentate_gyrus import DentateConfig
from circuits.episodic_ca3 import EpisodicCA3Config
from circuits.night import NightConfig
from experiments.childhood import MODEL, shipped_facts
from neurosim.errors import (
    BrainBusyError,
    BrainError,
    CapacityError,
    InputError,
    NeurosimError,
    StorageError,
)
from neurosim.text import Sentence
from neurosim.versioned import VersionedDirectory
from rules.willshaw import Willshaw

pytestmark = pytest.mark.compiled

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


def give_birth(path, kind=SmallBrain, **config):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brain_module, "ADOLESCENCE", 40)
        config = BrainConfig(**{"seed": 3, "night": NIGHT, **config})
        return kind.create(path, MODEL, Willshaw(), config)


@pytest.fixture(scope="module")
def born(tmp_path_factory):
    """A newborn brain; copy it."""
    path = tmp_path_factory.mktemp("brains") / "born"
    give_birth(path)
    return path


@pytest.fixture(scope="module")
def lived(born):
    """A brain after a day; copy it."""
    path = born.parent / "lived"
    shutil.copytree(born, path)
    with opened(path) as brain:
        brain.day(SENTENCES)
    return path


@pytest.fixture(scope="module")
def slept(lived):
    """A brain after a whole night; copy it."""
    path = lived.parent / "slept"
    shutil.copytree(lived, path)
    with opened(path) as brain:
        brain.sleep()
    return path


@pytest.fixture
def copy(tmp_path):
    """Return a function that copies a brain into a directory of the test's own."""

    def make(source, name="brain"):
        return Path(shutil.copytree(source, tmp_path / name))

    return make


def opened(path):
    return SmallBrain.open(path, Willshaw())


def manifest(path):
    return VersionedDirectory(path, "brain", brain_module.FORMAT_VERSION).manifest()


def members(path):
    """Return the SHA-256 of every member by its logical name."""
    return {name: member.sha256 for name, member in manifest(path).members.items()}


def hashes(path):
    """Return the SHA-256 of every file, the lock aside."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in path.iterdir()
        if file.name != ".lock"
    }


def refusal(path):
    """Return the one sentence with which a brain refuses to open, unchanged."""
    before = hashes(path) if path.is_dir() else None
    with pytest.raises(BrainError) as caught, opened(path):
        pass
    message = str(caught.value)
    assert message and "\n" not in message and "Traceback" not in message
    assert before is None or hashes(path) == before
    return message


# Day


def test_a_day_writes_the_hippocampus_and_leaves_the_language_model(born, lived):
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


def test_a_day_is_remembered_after_one_exposure(lived):
    with opened(lived) as brain:
        assert brain.hippocampus.n_episodes == len(TEXTS)
        for text in TEXTS:
            words = text.split()
            half = (len(words) + 1) // 2
            answer = brain.ask(" ".join(words[:half]))
            assert answer.text == " ".join(words[half:])
            assert answer.source == "hippocampus" and answer.hippocampus == answer.text
            assert answer.cortex != answer.text
            assert answer.confidence == answer.hippocampus_confidence > answer.cortex_confidence


def test_what_is_met_again_is_strengthened_and_not_stored_twice(lived, copy):
    with opened(copy(lived)) as brain:
        memory = brain.hippocampus
        items = brain.cortex.encode(TEXTS[0])
        depth = memory.ca3.depth(memory.remember(items).episode.index)
        report = brain.day(SENTENCES)
        assert (report.n_familiar, report.n_stored) == (len(TEXTS), 0)
        assert memory.n_episodes == len(TEXTS)
        assert memory.ca3.depth(memory.remember(items).episode.index) == depth + 1


def test_what_the_cortex_expects_is_not_written_unless_the_gate_is_open():
    brains = {gate: give_birth(None, gate=gate) for gate in (True, False)}
    facts = [Sentence(fact.sentence(), k) for k, fact in enumerate(shipped_facts()[::10], 1)]
    known = [sentence for sentence in facts if says_by_itself(brains[True].cortex, sentence)]
    assert len(known) >= 20
    reports = {gate: brain.day([*known, *SENTENCES]) for gate, brain in brains.items()}
    assert reports[True].n_expected >= 0.9 * len(known)
    assert reports[True].n_stored == len(known) + len(TEXTS) - reports[True].n_expected
    assert (reports[False].n_expected, reports[False].n_stored) == (0, len(known) + len(TEXTS))


def says_by_itself(cortex, sentence):
    items = cortex.encode(sentence.text)
    cue = items[: cortex.opening(items)]
    return cue + list(cortex.recall([cue])[0].items) == items


def test_a_sentence_longer_than_an_episode_is_kept_in_parts(born, copy):
    long = " ".join(f"harbour{k} mast{k}" for k in range(60))
    with opened(copy(born)) as brain:
        n_tokens = len(brain.cortex.encode(long))
        report = brain.day([Sentence(long, 1)])
        room = brain.hippocampus.config.longest - 1
        assert report.n_split == report.n_stored == -(-n_tokens // room) > 1
        assert brain.hippocampus.n_items == n_tokens + report.n_stored


def test_a_fault_in_the_text_leaves_the_brain_on_disk_untouched(born, copy):
    path = copy(born)

    def faulty():
        yield SENTENCES[0]
        raise InputError("no more")

    before = hashes(path)
    with opened(path) as brain, pytest.raises(InputError, match="no more"):
        brain.day(faulty())
    with opened(path) as brain, pytest.raises(InputError, match="no sentence"):
        brain.day([])
    assert hashes(path) == before


def test_a_full_hippocampus_says_what_was_stored_and_what_was_not(tmp_path):
    path = tmp_path / "tiny"
    give_birth(path, TinyBrain)
    rng = np.random.default_rng(0)
    words = " ".join(TEXTS).replace(".", "").split()
    day = [Sentence(" ".join(rng.choice(words, 12)), 10 + k) for k in range(300)]
    with TinyBrain.open(path, Willshaw()) as brain:
        with pytest.raises(CapacityError, match="the hippocampus is full") as caught:
            brain.day(day)
        message, n = str(caught.value), brain.hippocampus.n_episodes
    assert 0 < n < len(day)
    report = next(e for e in manifest(path).meta["ledger"] if e["event"] == "day")
    first_left_out = 9 + report["n_read"]
    assert f"{n} sentences were stored" in message
    assert f"line {first_left_out} and what follows were not" in message
    assert "let a night pass" in message
    with TinyBrain.open(path, Willshaw()) as brain:  # What was stored is saved.
        assert brain.hippocampus.n_episodes == n
        assert brain.hippocampus.gauge().used > 0.5


def test_a_full_disk_leaves_the_last_state(lived, copy, monkeypatch):
    path = copy(lived)
    before = hashes(path)
    full = type(shutil.disk_usage(path))(10**9, 10**9, 0)
    with opened(path) as brain:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
        with pytest.raises(StorageError, match="free space"):
            brain.day(SENTENCES)
        monkeypatch.undo()
    assert hashes(path) == before


# No raw text


def in_base64(needle):
    """Return what stands in base64 text wherever the needle begins: three alignments."""
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + needle)
        yield whole[-(-shift * 8 // 6) : (shift + len(needle)) * 8 // 6]


def needles(texts, token_lists, n=5):
    """Yield every run of `n` words or tokens in every encoding a search of bytes can see."""
    for text in texts:
        words = text.split()
        for k in range(len(words) - n + 1):
            run = " ".join(words[k : k + n])
            for codec in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
                yield run.encode(codec)
            plain = run.encode()
            yield plain.hex().encode()
            yield plain.hex().upper().encode()
            yield json.dumps(run)[1:-1].encode()
            yield from in_base64(plain)
    for tokens in token_lists:
        for k in range(len(tokens) - n + 1):
            run = tokens[k : k + n]
            for dtype in ("<i2", ">i2", "<i4", ">i4", "<i8", "<f4"):
                yield np.array(run, dtype=dtype).tobytes()
            for separator in (",", ", ", " "):
                yield separator.join(map(str, run)).encode()


def haystacks(path):
    """Yield the bytes of every file of a directory, and of every data set within, unpacked."""
    for file in sorted(path.rglob("*")):
        if not file.is_file():
            continue
        data = file.read_bytes()
        yield file.name, data
        yield f"{file.name} (name)", file.name.encode()
        if data[512:516] == b"\x89HDF" or data[:4] == b"\x89HDF":
            with h5py.File(io.BytesIO(data), "r") as content:
                parts = []
                content.visititems(lambda name, item, parts=parts: parts.append((name, item)))
                for name, item in parts:
                    notes = repr(dict(item.attrs)).encode()
                    yield f"{file.name}/{name} (notes)", name.encode() + notes
                    if isinstance(item, h5py.Dataset):
                        yield f"{file.name}/{name}", np.asarray(item[()]).tobytes()


def raw_text(path, texts, token_lists):
    """Return where something of a text stands in a directory."""
    wanted = set(needles(texts, token_lists))
    return [name for name, data in haystacks(path) if holds_any(data, wanted)]


def holds_any(data, wanted):
    """Return whether any of many byte strings stands in the data, in one pass over it.

    Only where the first four pairs of bytes are pairs that some string begins with can one of
    them stand; the few such places are looked at one by one.
    """
    if len(data) < 8:
        return False
    values = np.frombuffer(data, dtype=np.uint8)
    pairs = values[:-1].astype(np.uint16) << 8 | values[1:]
    possible = np.ones(len(data) - 7, dtype=np.bool_)
    for at in range(0, 8, 2):
        known = np.zeros(1 << 16, dtype=np.bool_)
        known[[needle[at] << 8 | needle[at + 1] for needle in wanted]] = True
        possible &= known[pairs[at : at + len(possible)]]
    beginnings = {}
    for needle in wanted:
        beginnings.setdefault(needle[:8], []).append(needle)
    return any(
        data.startswith(needle, place)
        for place in np.flatnonzero(possible).tolist()
        for needle in beginnings.get(data[place : place + 8], ())
    )


@pytest.mark.parametrize("when", ["lived", "slept"])
def test_no_five_words_of_the_day_stand_in_any_file(when, request):
    path = request.getfixturevalue(when)
    with opened(path) as brain:
        tokens = [brain.cortex.encode(text) for text in TEXTS]
    assert sum(1 for _ in haystacks(path)) > 20  # Data sets are unpacked.
    assert raw_text(path, TEXTS, tokens) == []


def plants(tokens):
    run, plain = " ".join(TEXTS[3].split()[2:7]), TEXTS[0].encode()
    yield from (
        f"..{run}..".encode(codec) for codec in ("utf-8", "utf-16-le", "utf-16-be", "latin-1")
    )
    yield from (base64.b64encode(b"x" * k + plain) for k in range(3))
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    yield json.dumps({"note": TEXTS[3]}).encode()
    yield json.dumps(tokens).encode()
    yield from (np.array(tokens, dtype=t).tobytes() for t in ("<i2", ">i2", "<i4", "<i8", "<f4"))
    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        file.create_dataset("deep/inside", data=np.array(tokens * 50), compression="gzip")
    yield packed.getvalue()


def test_the_search_for_raw_text_finds_what_is_planted(tmp_path):
    tokens = list(range(300, 320))
    planted = list(plants(tokens))
    assert len(planted) > 12
    for k, data in enumerate(planted):
        place = tmp_path / str(k)
        place.mkdir()
        (place / "file").write_bytes(b"before" + data if data[:4] != b"\x89HDF" else data)
        assert raw_text(place, TEXTS, [tokens]), data[:60]
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean" / "file").write_bytes(b"Captain Yusuf Aldane wore; nothing else " * 9)
    assert raw_text(tmp_path / "clean", TEXTS, [tokens]) == []


# Night


def test_a_night_changes_the_language_model_and_its_ledger_counts_it(lived, slept):
    assert (
        members(lived)["language_model.safetensors"] != members(slept)["language_model.safetensors"]
    )
    ledger = [event["event"] for event in manifest(slept).meta["ledger"]]
    assert ledger == ["birth", "day", "cycle", "cycle", "night"]
    with opened(slept) as brain:
        assert brain.nights == 1 and brain.cycles_slept == 0
        assert brain.cortex.optimiser is None


def test_the_same_seed_gives_the_same_brain_bit_for_bit(slept, tmp_path):
    path = tmp_path / "again"
    give_birth(path)
    with opened(path) as brain:
        brain.day(SENTENCES)
        brain.sleep()
    assert members(path) == members(slept)
    assert manifest(path).meta == manifest(slept).meta


def test_another_seed_gives_another_brain(born):
    other = give_birth(None, seed=4)
    with opened(born) as brain:
        a, b = other.hippocampus.ca3.auto, brain.hippocampus.ca3.auto
        assert not np.array_equal(a.targets, b.targets)


def interrupt(_):
    raise KeyboardInterrupt


def test_a_night_interrupted_after_a_cycle_goes_on_to_the_same_end(lived, slept, copy):
    path = copy(lived)
    with pytest.raises(KeyboardInterrupt), opened(path) as brain:
        brain.sleep(on_cycle=interrupt)
    with opened(path) as brain:
        assert brain.cycles_slept == 1 and brain.nights == 0
        assert brain.cortex.optimiser is not None
        with pytest.raises(BrainError, match="asleep after 1 cycle"):
            brain.day(SENTENCES)
        reports, dawn = brain.sleep()
        assert [report.cycle for report in reports] == [2] and dawn is not None
    assert members(path) == members(slept)
    assert manifest(path).meta == manifest(slept).meta


def test_a_night_interrupted_within_a_cycle_goes_back_to_the_last_whole_one(lived, slept, copy):
    path = copy(lived)
    steps = []

    def stop_in_the_second_cycle(step):
        steps.append(step)
        if step > NIGHT.steps + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), opened(path) as brain:
        brain.sleep(on_step=stop_in_the_second_cycle)
    assert len(steps) == NIGHT.steps + 2
    with opened(path) as brain:
        assert brain.cycles_slept == 1
        brain.sleep()
    assert members(path) == members(slept)


def test_an_interruption_in_the_first_cycle_leaves_the_brain_as_it_was(lived, copy):
    path = copy(lived)
    before = hashes(path)
    with pytest.raises(KeyboardInterrupt), opened(path) as brain:
        brain.sleep(on_step=interrupt)
    assert hashes(path) == before


def test_there_is_nothing_to_sleep_on_without_a_day(born, copy):
    path = copy(born)
    before = hashes(path)
    with opened(path) as brain:
        assert brain.sleep() == ([], None)
    assert hashes(path) == before


# Damage


def test_a_whole_brain_opens(lived):
    with opened(lived) as brain:
        assert brain.hippocampus.n_episodes == len(TEXTS)


@pytest.mark.parametrize("name", ["hippocampus.h5", "language_model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_a_flipped_bit_is_noticed(lived, copy, name, place):
    path = copy(lived)
    file = path / manifest(path).members[name].file
    data = bytearray(file.read_bytes())
    data[int(place * len(data))] ^= 1
    file.write_bytes(data)
    assert file.name in refusal(path)


def test_a_flipped_bit_anywhere_in_the_manifest_is_noticed(born, copy):
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
def test_a_truncated_file_is_noticed(lived, copy, size):
    path = copy(lived)
    file = path / manifest(path).members["hippocampus.h5"].file
    data = file.read_bytes()
    file.write_bytes(data[: int(size * len(data)) if isinstance(size, float) else size])
    assert "damaged" in refusal(path)


def test_a_truncated_manifest_is_noticed(lived, copy):
    path = copy(lived)
    text = (path / "brain.json").read_text()
    (path / "brain.json").write_text(text[: len(text) // 2])
    assert "brain.json" in refusal(path)


@pytest.mark.parametrize(
    "name", ["hippocampus.h5", "growth.safetensors", "language_model.json", "tokenizer.json"]
)
def test_a_missing_file_is_named(lived, copy, name):
    path = copy(lived)
    file = path / manifest(path).members[name].file
    file.unlink()
    assert file.name in refusal(path) and "missing" in refusal(path)


def test_a_half_written_brain_is_told_from_a_whole_one(lived, copy):
    path = copy(lived)
    (path / "brain.json").unlink()
    assert "never finished" in refusal(path)


def test_a_brain_of_a_newer_version_asks_for_an_upgrade(lived, copy):
    path = copy(lived)
    fields = json.loads((path / "brain.json").read_text())
    assert fields["format_version"] == brain_module.FORMAT_VERSION
    fields["format_version"] += 1
    (path / "brain.json").write_text(json.dumps(fields))
    assert "newer neurosim; upgrade" in refusal(path)


def test_a_missing_directory_is_named(tmp_path):
    assert "nowhere" in refusal(tmp_path / "nowhere")
    (tmp_path / "a file").write_text("")
    assert "a file" in refusal(tmp_path / "a file")


def test_a_brain_in_use_by_another_process_says_so(lived, copy):
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
        cwd=Path(__file__).parents[2],
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
        assert brain.hippocampus.n_episodes == len(TEXTS)


def test_a_brain_is_not_born_where_something_is(tmp_path):
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(BrainError, match="not empty"):
        give_birth(tmp_path)
    with pytest.raises(BrainError, match="not empty"):
        give_birth(tmp_path / "diary.txt")
    assert (tmp_path / "diary.txt").read_text() == "mine"


def test_of_two_births_in_one_place_the_later_is_refused(tmp_path):
    path, states = tmp_path / "brain", []

    def meanwhile(cortex):
        SmallBrain.create(path, MODEL, Willshaw())
        states.append(hashes(path))
        return {}

    with pytest.raises(BrainError, match="not empty"):
        SmallBrain.create(path, MODEL, Willshaw(), examine=meanwhile)
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
        SmallBrain.create(tmp_path / "brain", model, Willshaw())
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "brain").exists()


def test_a_brain_of_an_earlier_version_opens_without_the_dials_that_are_gone():
    config = BrainConfig(seed=4, night=NIGHT)
    saved = dataclasses.asdict(config)
    saved["night"]["dreams"] = 520
    saved["former"] = True
    assert BrainConfig.from_mapping(saved) == config
