"""No five words of a day stand in any file of a brain, however they may be written."""

import base64
import io
import json

import h5py
import numpy as np
import pytest

pytestmark = pytest.mark.compiled


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
def test_no_five_words_of_the_day_stand_in_any_file(when, request, opened, texts):
    path = request.getfixturevalue(when)
    with opened(path) as brain:
        tokens = [brain.cortex.encode(text) for text in texts]
    assert sum(1 for _ in haystacks(path)) > 20  # Data sets are unpacked.
    assert raw_text(path, texts, tokens) == []


def plants(tokens, texts):
    run, plain = " ".join(texts[3].split()[2:7]), texts[0].encode()
    yield from (
        f"..{run}..".encode(codec) for codec in ("utf-8", "utf-16-le", "utf-16-be", "latin-1")
    )
    yield from (base64.b64encode(b"x" * k + plain) for k in range(3))
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    yield json.dumps({"note": texts[3]}).encode()
    yield json.dumps(tokens).encode()
    yield from (np.array(tokens, dtype=t).tobytes() for t in ("<i2", ">i2", "<i4", "<i8", "<f4"))
    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        file.create_dataset("deep/inside", data=np.array(tokens * 50), compression="gzip")
    yield packed.getvalue()


def test_the_search_for_raw_text_finds_what_is_planted(tmp_path, texts):
    tokens = list(range(300, 320))
    planted = list(plants(tokens, texts))
    assert len(planted) > 12
    for k, data in enumerate(planted):
        place = tmp_path / str(k)
        place.mkdir()
        (place / "file").write_bytes(b"before" + data if data[:4] != b"\x89HDF" else data)
        assert raw_text(place, texts, [tokens]), data[:60]
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean" / "file").write_bytes(b"Captain Yusuf Aldane wore; nothing else " * 9)
    assert raw_text(tmp_path / "clean", texts, [tokens]) == []
