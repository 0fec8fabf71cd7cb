"""pysim/image/folder.py: a bundle is exactly what was saved or is refused."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.bits import pack as pack_bits
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import seal
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.image.readmemh import from_readmemh, to_readmemh
from tests.make.networks import random_network
from tests.make.small import CHIP, network


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(network(), chip=CHIP).save(tmp_path_factory.mktemp("images") / "small")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "small"))


def test_round_trip(tmp_path: Path, rng: np.random.Generator) -> None:
    for name, chip in PRESETS.items():
        net = random_network(rng, chip).with_metadata(scale=[0.25, 1e-9], note="ü")
        image = pack(net, chip=chip)
        again = Image.load(image.save(tmp_path / name), chip)
        assert (
            again.chip == chip
            and again.network == image.network
            and again.placement.to_dict() == image.placement.to_dict()
        )
        assert again.network.sha256 == net.sha256()
        assert (again.name, again.steps, again.ticks, again.output) == (
            net.name,
            net.steps,
            net.ticks,
            net.output,
        )
        assert [(i.name, i.size) for i in again.inputs] == [(i.name, i.size) for i in net.inputs]
        for memory in MemoryMap(chip).loaded:
            rows = again.rows(memory.name)
            assert (
                rows.shape == (image.placement.used_rows(memory), -(-memory.width // 8))
                and rows.dtype == np.uint8
            )
            np.testing.assert_array_equal(rows, image.rows(memory.name))
            np.testing.assert_array_equal(pack_bits(again.bits(memory.name)), rows)


def test_the_same_network_gives_the_same_bundle(tmp_path: Path, saved: Path) -> None:
    again = pack(network(), chip=CHIP).save(tmp_path / "again")
    files = sorted(str(p.relative_to(saved)) for p in saved.rglob("*") if p.is_file())
    assert files == sorted(
        ["manifest.json", *(f"core0/{m.name}.rows" for m in MemoryMap(CHIP).loaded)]
    )
    for file in files:
        assert (again / file).read_bytes() == (saved / file).read_bytes()


@given(st.integers(1, 5), st.integers(1, 70), st.integers(0, 2**32))
def test_readmemh(rows: int, width: int, seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (rows, width), dtype=np.uint8)
    text = to_readmemh(pack_bits(bits), width)
    numbers = [int(line, 16) for line in text.decode().splitlines()]
    assert numbers == [sum(int(b) << i for i, b in enumerate(row)) for row in bits]
    assert all(len(line) == -(-width // 4) for line in text.split())
    np.testing.assert_array_equal(from_readmemh(text, rows, width), pack_bits(bits))


@pytest.mark.parametrize(
    "text",
    [
        b"0ff\n1ff",
        b"0FF\n1ff\n",
        b"0ff 1ff\n",
        b"0ff\n3ff\n",
        b"0xf\n1ff\n",
        b"0ff\n",
        b"0ff\n1ff\n000\n",
    ],
)
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
        with pytest.raises(
            InputError, match="image folder must be new, empty or an earlier image, not"
        ):
            image.save(tmp_path / taken)
    with pytest.raises(InputError, match="image folder must be writable, not"):
        image.save(tmp_path / "file" / "below")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a",
        "empty",
        "file",
        "mine",
    ]  # nothing half-written


# -- damage ------------------------------------------------------------------------------------


def assert_refused(folder: Path, message: str, **options: Any) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Image.load(folder, **options)
    assert "\n" not in str(caught.value)


def test_flipped_bits(folder: Path, rng: np.random.Generator) -> None:
    """Every bit of the smallest memory.

    One bit of every eighth byte of all others and of the manifest.
    """
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        smallest = path.name == "words.rows"
        bits = (
            range(8 * len(data))
            if smallest
            else 8 * np.arange(rng.integers(8), len(data), 8) + rng.integers(8)
        )
        for at in bits:
            flipped = bytearray(data)
            flipped[at // 8] ^= 1 << at % 8
            path.write_bytes(flipped)
            assert_refused(
                folder,
                "must be as spikeloop wrote it"
                if path.suffix == ".json"
                else "must have the SHA-256 of its manifest",
            )
        path.write_bytes(data)
    Image.load(folder)


def test_truncations(folder: Path) -> None:
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        for length in {0, 1, len(data) // 2, len(data) - 1} - {len(data)}:
            path.write_bytes(data[:length])
            assert_refused(folder, "must be as spikeloop wrote it|bytes, not .*truncated")
        path.write_bytes(data + b"\n")
        assert_refused(folder, "must be as spikeloop wrote it|must be at most")
        path.unlink()
        assert_refused(folder, "is missing: map the network again|is missing .no manifest")
        path.write_bytes(data)
    Image.load(folder)


def reseal(folder: Path, change: Any) -> None:
    """Edit the manifest and seal it again, as somebody with bad intentions would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest.pop("sha256")
    change(manifest)
    path.write_bytes(seal(manifest))


def section(manifest: dict[str, Any], **changes: Any) -> None:
    manifest["cores"][0]["sections"][3].update(changes)


SPOILED = {
    "version": (
        lambda m: m.update(version=2),
        "must be of version 3, not 2: map the network again",
    ),
    "format": (lambda m: m.update(format="zip"), "must be of version 3"),
    "chip": (lambda m: m["chip"].update(lanes=9), "must be"),
    "no chip": (lambda m: m.pop("chip"), "must be complete, not without 'chip'"),
    "a chip parameter": (lambda m: m["chip"].pop("lanes"), "chip parameters must be exactly"),
    "two cores": (lambda m: m.update(cores=m["cores"] * 2), "must have 1 core, not 2"),
    "no steps": (lambda m: m["network"].pop("steps"), "must be complete, not without 'steps'"),
    "no section": (
        lambda m: m["cores"][0]["sections"].pop(),
        "sections of .* must be words, fanout",
    ),
    "other order": (
        lambda m: m["cores"][0]["sections"].reverse(),
        "sections of .* must be words, fanout",
    ),
    "rows": (
        lambda m: section(m, rows=1),
        "section synapse of .* must be 24 rows of 8 bits, not 1 of 8",
    ),
    "width": (lambda m: section(m, width=9), "must be 24 rows of 8 bits, not 24 of 9"),
    "escaping path": (
        lambda m: section(m, file="../../secret"),
        "file of section synapse .* must be 'core0/synapse.rows', not '../../secret'",
    ),
    "absolute path": (
        lambda m: section(m, file="/etc/passwd"),
        "must be 'core0/synapse.rows', not '/etc/passwd'",
    ),
    "sha": (lambda m: section(m, sha256="0" * 64), "must have the SHA-256 of its manifest"),
    "crc": (lambda m: section(m, crc32=1), "CRC-32 of core0/synapse.rows .* must be 1, not"),
    "two on one axon": (
        lambda m: m["cores"][0]["placement"]["populations"][0].update(first_axon=1),
        r"axons of 'x' and 'hid' must be different ones, not both 1",
    ),
    "placement": (
        lambda m: m["cores"][0]["placement"]["inputs"][0].update(first_axon=99),
        "placement of the image must lie on its chip",
    ),
    "size of an input": (
        lambda m: m["network"].update(inputs=[["x", 9]]),
        "input 'x' of the placement of .* must have 9 lines, not 3",
    ),
    "no input": (
        lambda m: m["network"].update(inputs=[]),
        "input 'x' of the placement of .* must have no lines, not 3",
    ),
    "delay of an input": (
        lambda m: m["cores"][0]["placement"]["inputs"][0].update(delay=-1),
        r"delay of input 'x' of the placement of .* must be in 0\.\.271, not -1",
    ),
    "start": (
        lambda m: m["cores"][0]["placement"]["populations"][1].update(start=10**9),
        r"start of population 'out' of the placement of .* must be in 0\.\.255, not 1000000000",
    ),
    "delay of a population": (
        lambda m: m["cores"][0]["placement"]["populations"][0].update(delay=4),
        r"delay of population 'hid' of the placement of .* must be in 1\.\.3, not 4",
    ),
    "output": (
        lambda m: m["network"].update(output="x"),
        "populations of the placement of .* must be different ones, x among them, not hid, out",
    ),
    "steps": (lambda m: m["network"].update(steps=-4), r"steps .* must be in 1\.\.65536, not -4"),
    "cores null": (lambda m: m.update(cores=None), "must be complete"),
}


@pytest.mark.parametrize(("change", "message"), SPOILED.values(), ids=SPOILED)
def test_resealed(folder: Path, change: Any, message: str) -> None:
    reseal(folder, change)
    assert_refused(folder, message)


def test_resealing_alone_spoils_nothing(folder: Path) -> None:
    reseal(folder, lambda m: None)
    Image.load(folder)


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"null", b"{}", b"[" * 100000, b"\xff\xfe", b"\x80\x04\x95"]
)
def test_no_manifest(folder: Path, text: bytes) -> None:
    (folder / "manifest.json").write_bytes(text)
    assert_refused(folder, "manifest of .* must be as spikeloop wrote it")


def test_an_edited_comment_counts_as_damage(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"chip": {', b'"chip":  {'))
    assert_refused(folder, "must be as spikeloop wrote it")


def test_symbolic_links(folder: Path, tmp_path: Path) -> None:
    path = folder / "core0" / "words.rows"
    shutil.move(path, tmp_path / "words.rows")
    os.symlink(tmp_path / "words.rows", path)
    assert_refused(
        folder, "core0/words.rows of .* must be a file of its folder, not a symbolic link"
    )
    path.unlink()
    shutil.move(tmp_path / "words.rows", path)
    Image.load(folder)
    shutil.move(folder / "core0", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", folder / "core0")
    assert_refused(folder, "must be a file of its folder, not a symbolic link")


def test_another_chip(folder: Path) -> None:
    assert_refused(
        folder,
        r"must be packed for the chip at hand \(lanes 16, not 8\)",
        chip=CHIP.replace(lanes=16),
    )
    assert_refused(folder, "must be packed for the chip at hand", chip=PRESETS["tiny"])


def test_no_folder(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none", r"is missing \(no manifest.json\): run spikeloop map first")


def test_every_number_of_a_placement_must_be_a_whole_one(folder: Path) -> None:
    """What is equal to a whole number (1.0, True) is not one."""
    manifest = (folder / "manifest.json").read_bytes()
    placement = json.loads(manifest)["cores"][0]["placement"]
    places = [(key,) for key in ("axons", "columns", "extension")]
    for group in ("inputs", "populations", "words"):
        rows = placement[group]
        places += [(group, 0, key) for key, value in rows[0].items() if type(value) is int]
    places.append(("populations", 0, "neurons", 0))
    assert len(places) > 12
    for *way, key in places:
        for wrong in (float, str, bool, lambda n: [n]):

            def change(m: Any, way: list[Any] = way, key: Any = key, wrong: Any = wrong) -> None:
                holder = m["cores"][0]["placement"]
                for step in way:
                    holder = holder[step]
                holder[key] = wrong(holder[key])

            (folder / "manifest.json").write_bytes(manifest)
            reseal(folder, change)
            with pytest.raises(InputError):
                Image.load(folder)
