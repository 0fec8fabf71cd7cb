"""pysim/image.py: rows as docs/architecture.md says, and a bundle that is exactly what was saved or is refused."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pysim import image as module
from pysim.errors import InputError
from pysim.image import Image, from_readmemh, pack, row_bytes, to_readmemh
from pysim.memory_map import MemoryMap
from pysim.network import Edge, LeakRounding, LowBound, Reset, WeightFormat
from pysim.params import PRESETS, Chip
from pysim.records import bound_record, fire_record, leak_record, neuron_record, route_record, unpack_lanes, unpack_plain, word_record
from tests.networks import random_network
from tests.pysim.small import CHIP, network


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(network(), chip=CHIP).save(tmp_path_factory.mktemp("images") / "small")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "small"))


# -- what is in the memories -----------------------------------------------------------------------------------


def test_excess_weights_row_by_row() -> None:
    """Weight w of 4 bits is stored as w + 8 in lanes 4 n.. of the word, on every axon, used or not."""
    bits = pack(network(), chip=CHIP).bits("synapse").reshape(-1, 8, 8)  # words in use, axon, lane
    stored = (bits.reshape(3, 8, 2, 4) << np.arange(4)).sum(axis=3)  # two neurons a word
    hid = np.array([[3, 1, -2], [0, 2, 7], [-8, 0, 1]]) + 8
    assert stored[0, :3].tolist() == hid[:, :2].tolist() and stored[1, :3, 0].tolist() == hid[:, 2].tolist()
    assert (stored[0, 3:] == 8).all() and (stored[1, 3:, 0] == 8).all()  # the excess of 0 on all other axons
    assert (stored[1, :, 1] == 0).all()  # lanes that no neuron uses
    assert stored[2, 3:6].tolist() == [[9, 8], [10, 5], [8, 10]] and (stored[2, :3] == 8).all()


@pytest.mark.parametrize(("form", "bits", "columns"), [
    (WeightFormat.BINARY, 1, {0: [0], 1: [1]}), (WeightFormat.TERNARY, 2, {-1: [0, 0], 0: [1, 0], 1: [1, 1]}),
    (WeightFormat.SIGNED, 1, {-1: [0], 0: [1]}), (WeightFormat.SIGNED, 2, {-2: [0, 0], -1: [1, 0], 0: [0, 1], 1: [1, 1]})])
def test_columns_of_formats(form: WeightFormat, bits: int, columns: dict[int, list[int]]) -> None:
    for weight, expected in columns.items():
        net = network(hidden={"weight_bits": bits, "weight_format": form},
                      edges=(Edge(source="x", target="hid", weights=np.full((3, 3), weight, np.int32)),))
        got = pack(net, chip=CHIP).bits("synapse").reshape(-1, 8, 8)[0, :, :len(expected)]
        assert (got[:3] == expected).all() and (got[3:] == columns[0]).all()


def test_digit_bits_are_planes_of_a_row() -> None:
    """Bit b of lane l is memory bit b * lanes + l."""
    chip = CHIP.replace(digit_bits=2, lanes=8)
    bits = pack(network(), chip=chip).bits("synapse").reshape(2, 8, 2, 8)  # word, axon, bit, lane
    digits = bits[:, :, 0] + 2 * bits[:, :, 1]
    assert (digits[0, :3, 0:6:2] + 4 * digits[0, :3, 1:6:2]).tolist() == [[11, 9, 6], [8, 10, 15], [0, 8, 9]]


def test_fanout_counts_synapses_that_are_not_zero() -> None:
    image = pack(network(), chip=CHIP)
    fanout = (image.bits("fanout").astype(int) << np.arange(6)).sum(axis=1)
    assert fanout.tolist() == [3, 2, 2, 1, 2, 1, 0, 0]


def test_words_and_routes() -> None:
    image = pack(network(out={"pages": 2}), chip=CHIP)
    words = unpack_plain(word_record(CHIP), image.bits("words"))
    assert {k: v.tolist() for k, v in words.items()} == {
        "used": [1, 1, 1, 0], "start": [0, 0, 1, 0], "last_page": [0, 0, 1, 0], "last_digit": [3, 3, 3, 0], "shift": [1, 1, 1, 0],
        "offset": [1, 1, 1, 0], "offset_shift": [3, 3, 3, 0]}
    routes = unpack_plain(route_record(CHIP), image.bits("routes"))
    rows = {0: (1, 3, 1), 4: (1, 4, 1), 64: (1, 5, 1), 128: (2, 0, 0), 132: (2, 1, 0)}
    for row in range(4 * 64):
        assert (routes["kind"][row], routes["address"][row], routes["delay"][row]) == rows.get(row, (0, 0, 0))


def test_lane_records() -> None:
    hidden = {"bias": [[5, -6, 7], [8, 9, -2048]], "pages": 2, "v_th": 3, "v_sub": [1, 2, 3], "k0": [[1, 0, 1], [0, 1, 0]],
              "leak_sign": [[[0, 1, -1], [0, 0, 1], [-1, 1, 0]]], "leak_shift": [[[9, 1, 2], [9, 9, 3], [4, 5, 9]]],
              "rounding": [0, 1, 2], "rectify": [1, 0, 0], "fire": [1, 0, 1], "reset": [Reset.HARD, Reset.SOFT, Reset.NONE],
              "v_reset": -4, "v_init": [1, 2, 3], "low": [LowBound.CLIP, LowBound.RESET, LowBound.ADD], "v_low": -9, "v_low_reset": -7,
              "v_low_add": 11, "refractory": [0, 1, 63], "hold": [0, 1, 0]}
    for key in ("k0", "rectify", "fire", "hold"):
        hidden[key] = np.array(hidden[key], bool)
    image = pack(network(hidden=hidden), chip=CHIP)

    def lanes(name: str, record: Any, page: int | None) -> dict[str, list[int]]:
        rows = unpack_lanes(record, 8, image.bits(name))
        at = [(0, 0), (0, 4), (1, 0)]
        return {k: [int(v[w if page is None else w * 2 + page, lane]) for w, lane in at] for k, v in rows.items()}

    first = lanes("leak", leak_record(CHIP), 0)
    assert first["bias"] == [5, -6, 7] and first["k0"] == [1, 0, 1] and first["rectify"] == [1, 0, 0]
    assert (first["toward_zero"], first["at_least_one"]) == ([0, 1, 1], [0, 0, 1])
    terms = [[(first[f"negative{r}"][i], first[f"shift{r}"][i]) for r in range(3) if first[f"on{r}"][i]] for i in range(3)]
    assert terms == [[(1, 4)], [(0, 1), (0, 5)], [(1, 2), (0, 3)]]
    assert first["on0"] == [1, 1, 1]  # terms in use come first
    assert lanes("leak", leak_record(CHIP), 1)["bias"] == [8, 9, -2048]
    assert lanes("fire", fire_record(CHIP), 1) == {"v_th": [3, 3, 3], "v_sub": [1, 2, 3]}
    assert lanes("neuron", neuron_record(CHIP), None) == {
        "used": [1, 1, 1], "fire": [1, 0, 1], "hard": [1, 0, 0], "soft": [0, 1, 0], "v_reset": [-4, -4, -4], "v_init": [1, 2, 3],
        "refractory": [0, 1, 63], "hold": [0, 1, 0]}
    assert lanes("bound", bound_record(CHIP), None) == {
        "bounded": [1, 1, 1], "low_add": [0, 0, 1], "v_low": [-9, -9, -9], "low_value": [-9, -7, 11]}
    assert LeakRounding.AT_LEAST_ONE == 2


def test_few_leak_terms_fit_a_chip_with_few() -> None:
    chip = CHIP.replace(leak_terms=1)
    image = pack(network(hidden={"leak_sign": [[0], [0], [-1]], "leak_shift": 5}), chip=chip)
    leak = unpack_lanes(leak_record(chip), 8, image.bits("leak"))
    assert (leak["on0"][0, 0], leak["negative0"][0, 0], leak["shift0"][0, 0]) == (1, 1, 5)


def test_rows_beyond_the_pages_are_zero() -> None:
    image = pack(network(), chip=CHIP)
    for name in ("leak", "fire"):
        assert image.bits(name)[0::2].any() and not image.bits(name)[1::2].any()


# -- the folder ------------------------------------------------------------------------------------------------


def test_round_trip(tmp_path: Path, rng: np.random.Generator) -> None:
    for name, chip in PRESETS.items():
        net = random_network(rng, chip).with_metadata(scale=[0.25, 1e-9], note="ü")
        image = pack(net, chip=chip)
        again = Image.load(image.save(tmp_path / name), chip)
        assert again.chip == chip and again.network == image.network and again.placement.to_dict() == image.placement.to_dict()
        assert again.network["sha256"] == net.sha256()
        assert (again.name, again.steps, again.ticks, again.output) == (net.name, net.steps, net.ticks, net.output)
        assert [(i.name, i.size) for i in again.inputs] == [(i.name, i.size) for i in net.inputs]
        for memory in MemoryMap(chip).loaded:
            rows = again.rows(memory.name)
            assert rows.shape == (image.placement.used_rows(memory), -(-memory.width // 8)) and rows.dtype == np.uint8
            np.testing.assert_array_equal(rows, image.rows(memory.name))
            np.testing.assert_array_equal(row_bytes(again.bits(memory.name)), rows)


def test_the_same_network_gives_the_same_bundle(tmp_path: Path, saved: Path) -> None:
    again = pack(network(), chip=CHIP).save(tmp_path / "again")
    files = sorted(str(p.relative_to(saved)) for p in saved.rglob("*") if p.is_file())
    assert files == sorted(["manifest.json", *(f"core0/{m.name}.mem" for m in MemoryMap(CHIP).loaded)])
    for file in files:
        assert (again / file).read_bytes() == (saved / file).read_bytes()


@given(st.integers(1, 5), st.integers(1, 70), st.integers(0, 2**32))
def test_readmemh(rows: int, width: int, seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (rows, width), dtype=np.uint8)
    text = to_readmemh(row_bytes(bits), width)
    numbers = [int(line, 16) for line in text.decode().splitlines()]
    assert numbers == [sum(int(b) << i for i, b in enumerate(row)) for row in bits]
    assert all(len(line) == -(-width // 4) for line in text.split())
    np.testing.assert_array_equal(from_readmemh(text, rows, width), row_bytes(bits))


@pytest.mark.parametrize("text", [b"0ff\n1ff", b"0FF\n1ff\n", b"0ff 1ff\n", b"0ff\n3ff\n", b"0xf\n1ff\n", b"0ff\n", b"0ff\n1ff\n000\n"])
def test_readmemh_refuses(text: bytes) -> None:
    assert from_readmemh(b"0ff\n1ff\n", 2, 9).tolist() == [[255, 0], [255, 1]]
    with pytest.raises(ValueError, match=r"not|rows"):
        from_readmemh(text, 2, 9)


def test_saving_replaces_an_image_and_nothing_else(tmp_path: Path) -> None:
    image = pack(network(), chip=CHIP)
    folder = image.save(tmp_path / "a")
    pack(network(steps=9), chip=CHIP).save(folder)
    assert Image.load(folder).steps == 9
    (tmp_path / "empty").mkdir()
    image.save(tmp_path / "empty")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    (tmp_path / "file").write_text("x")
    for taken in ("mine", "file"):
        with pytest.raises(InputError, match="image folder must be new, empty or an earlier image, not"):
            image.save(tmp_path / taken)
    with pytest.raises(InputError, match="image folder must be writable, not"):
        image.save(tmp_path / "file" / "below")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "empty", "file", "mine"]  # nothing half-written


# -- damage ----------------------------------------------------------------------------------------------------


def assert_refused(folder: Path, message: str, **options: Any) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Image.load(folder, **options)
    assert "\n" not in str(caught.value)


def test_flipped_bits(folder: Path, rng: np.random.Generator) -> None:
    """Every bit of the smallest memory; one bit of every eighth byte of all others and of the manifest."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        smallest = path.name == "words.mem"
        bits = range(8 * len(data)) if smallest else 8 * np.arange(rng.integers(8), len(data), 8) + rng.integers(8)
        for at in bits:
            flipped = bytearray(data)
            flipped[at // 8] ^= 1 << at % 8
            path.write_bytes(flipped)
            assert_refused(folder, "must be as spikeloop wrote it" if path.suffix == ".json" else "must have the SHA-256 of its manifest")
        path.write_bytes(data)
    Image.load(folder)


def test_truncations(folder: Path) -> None:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        for length in {0, 1, len(data) // 2, len(data) - 1}:
            path.write_bytes(data[:length])
            assert_refused(folder, "must be as spikeloop wrote it|bytes, not .*truncated")
        path.write_bytes(data + b"\n")
        assert_refused(folder, "must be as spikeloop wrote it|must be at most")
        path.unlink()
        assert_refused(folder, "must be a readable file, not missing")
        path.write_bytes(data)
    Image.load(folder)


def reseal(folder: Path, change: Any) -> None:
    """Edit the manifest and seal it again, as somebody with bad intentions would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest.pop("sha256")
    change(manifest)
    path.write_bytes(module.seal(manifest))


def section(manifest: dict[str, Any], **changes: Any) -> None:
    manifest["cores"][0]["sections"][3].update(changes)


SPOILED = {
    "version": (lambda m: m.update(version=2), "must be of version 1, not 2"),
    "format": (lambda m: m.update(format="zip"), "must be of version 1"),
    "chip": (lambda m: m["chip"].update(lanes=9), "must be"),
    "no chip": (lambda m: m.pop("chip"), "must be complete, not without 'chip'"),
    "a chip parameter": (lambda m: m["chip"].pop("lanes"), "chip parameters must be exactly"),
    "two cores": (lambda m: m.update(cores=m["cores"] * 2), "must have 1 core, not 2"),
    "no steps": (lambda m: m["network"].pop("steps"), "must be complete, not without 'steps'"),
    "no section": (lambda m: m["cores"][0]["sections"].pop(), "sections of .* must be words, fanout"),
    "other order": (lambda m: m["cores"][0]["sections"].reverse(), "sections of .* must be words, fanout"),
    "rows": (lambda m: section(m, rows=1), "section synapse of .* must be 24 rows of 8 bits, not 1 of 8"),
    "width": (lambda m: section(m, width=9), "must be 24 rows of 8 bits, not 24 of 9"),
    "escaping path": (lambda m: section(m, file="../../secret"),
                      "file of section synapse .* must be 'core0/synapse.mem', not '../../secret'"),
    "absolute path": (lambda m: section(m, file="/etc/passwd"), "must be 'core0/synapse.mem', not '/etc/passwd'"),
    "sha": (lambda m: section(m, sha256="0" * 64), "must have the SHA-256 of its manifest"),
    "crc": (lambda m: section(m, crc32=1), "CRC-32 of core0/synapse.mem .* must be 1, not"),
    "two on one axon": (lambda m: m["cores"][0]["placement"]["populations"][0].update(first_axon=1),
                        r"axons of 'x' and 'hid' must be different ones, not both 1"),
    "placement": (lambda m: m["cores"][0]["placement"]["inputs"][0].update(first_axon=99), "placement of the image must lie on its chip"),
    "cores null": (lambda m: m.update(cores=None), "must be complete"),
}


@pytest.mark.parametrize(("change", "message"), SPOILED.values(), ids=SPOILED)
def test_resealed(folder: Path, change: Any, message: str) -> None:
    reseal(folder, change)
    assert_refused(folder, message)


def test_resealing_alone_spoils_nothing(folder: Path) -> None:
    reseal(folder, lambda m: None)
    Image.load(folder)


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{}", b"[" * 100000, b"\xff\xfe", b"\x80\x04\x95"])
def test_no_manifest(folder: Path, text: bytes) -> None:
    (folder / "manifest.json").write_bytes(text)
    assert_refused(folder, "manifest of .* must be as spikeloop wrote it")


def test_an_edited_comment_counts_as_damage(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"chip": {', b'"chip":  {'))
    assert_refused(folder, "must be as spikeloop wrote it")


def test_symbolic_links(folder: Path, tmp_path: Path) -> None:
    path = folder / "core0" / "words.mem"
    shutil.move(path, tmp_path / "words.mem")
    os.symlink(tmp_path / "words.mem", path)
    assert_refused(folder, "core0/words.mem of .* must be a file of its folder, not a symbolic link")
    path.unlink()
    shutil.move(tmp_path / "words.mem", path)
    Image.load(folder)
    shutil.move(folder / "core0", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", folder / "core0")
    assert_refused(folder, "must be a file of its folder, not a symbolic link")


def test_another_chip(folder: Path) -> None:
    assert_refused(folder, r"must be packed for the chip at hand \(lanes 16, not 8\)", chip=CHIP.replace(lanes=16))
    assert_refused(folder, "must be packed for the chip at hand", chip=PRESETS["tiny"])


def test_no_folder(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none", "must be a readable file, not missing")


def test_pack_needs_a_chip() -> None:
    with pytest.raises(InputError, match="must be given a placement or a chip"):
        pack(network())
    assert isinstance(pack(network(), chip=CHIP).chip, Chip)
