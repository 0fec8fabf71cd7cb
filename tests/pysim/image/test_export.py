"""pysim/image/export.py: every form reads back to the same bits, and a damaged file is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeloop.pysim.chip.memory_map import Memory, MemoryMap
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.bits import pack as pack_bits
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.export import FORMS, export, read
from spikeloop.pysim.image.pack import pack
from tests.make.networks import random_network
from tests.make.small import CHIP, network


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("preset", ["tiny", "zou2021"])
def test_round_trip(form: str, preset: str, tmp_path: Path, rng: np.random.Generator) -> None:
    image = pack(random_network(rng, PRESETS[preset]), chip=PRESETS[preset])
    paths = export(image, form, tmp_path)
    loaded = MemoryMap(image.chip).loaded
    assert [p.name for p in paths] == [f"{m.name}.{form}" for m in loaded]
    for memory, path in zip(loaded, paths, strict=True):
        memory = replace(memory, rows=image.placement.used_rows(memory))
        np.testing.assert_array_equal(read(path, memory), image.rows(memory.name))


@given(
    st.sampled_from(sorted(FORMS)), st.integers(1, 40), st.integers(1, 100), st.integers(0, 2**32)
)
def test_any_shape(form: str, rows: int, width: int, seed: int) -> None:
    data = pack_bits(np.random.default_rng(seed).integers(0, 2, (rows, width), dtype=np.uint8))
    np.testing.assert_array_equal(
        FORMS[form].decode(FORMS[form].encode(data, width), rows, width), data
    )


ROWS = np.array([[0x34, 0x02], [0xFF, 0x01]], np.uint8)  # two rows of 10 bits


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("mem", b"234\n1ff\n"),
        ("coe", b"memory_initialization_radix=16;\nmemory_initialization_vector=\n234,\n1ff;\n"),
        (
            "mif",
            b"DEPTH = 2;\nWIDTH = 10;\nADDRESS_RADIX = HEX;\nDATA_RADIX = HEX;\n"
            b"CONTENT\nBEGIN\n0 : 234;\n1 : 1ff;\nEND;\n",
        ),
        ("bin", b"\x34\x02\0\0\xff\x01\0\0"),
        ("hex", b":020000040000FA\n:0800000034020000FF010000C2\n:00000001FF\n"),
    ],
)
def test_forms_by_hand(form: str, text: bytes) -> None:
    assert FORMS[form].encode(ROWS, 10) == text


def test_intel_hex_by_an_independent_reader(tmp_path: Path, rng: np.random.Generator) -> None:
    """Beyond 64 KiB, where addresses need a second record."""
    intelhex = pytest.importorskip(
        "intelhex", reason="intelhex is not installed: pip install -e '.[test]'"
    )
    data = rng.integers(0, 256, (9000, 12), dtype=np.uint8)
    (tmp_path / "m.hex").write_bytes(FORMS["hex"].encode(data, 96))
    got = intelhex.IntelHex(str(tmp_path / "m.hex"))
    assert (got.minaddr(), got.maxaddr()) == (0, data.size - 1)
    assert got.tobinstr() == data.tobytes()
    assert (
        FORMS["hex"].decode((tmp_path / "m.hex").read_bytes(), 9000, 96).tobytes() == data.tobytes()
    )


@pytest.mark.parametrize("form", FORMS)
def test_damage(form: str, tmp_path: Path) -> None:
    memory = Memory("words", 0, 2, 10, True, "")
    path, good = tmp_path / f"words.{form}", FORMS[form].encode(ROWS, 10)
    bad = {
        "empty": b"",
        "cut": good[: len(good) // 2],
        "last byte": good[:-1],
        "longer": good + good,
        "not text": b"\xff\xfe" * 9,
        "a row more": FORMS[form].encode(np.vstack([ROWS, ROWS[:1]]), 10),
        "wider": FORMS[form].encode(np.hstack([ROWS, ROWS * 3]), 32),
    }
    if form == "hex":
        bad.pop("last byte")  # the end of the last line is no part of the records
        bad |= {
            "checksum": good.replace(b"C2", b"C3"),
            "gap": good.replace(b":08000000", b":08000100"),
            "no end": good[:-12],
        }
    for what, data in bad.items():
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"must be memory words \(2 rows of 10 bits\) in form"):
            read(path, memory)
            pytest.fail(f"{what} was accepted")
    path.write_bytes(good)
    assert (read(path, memory) == ROWS).all()


def test_bad_requests(tmp_path: Path) -> None:
    image = pack(network(), chip=CHIP)
    with pytest.raises(
        InputError, match="export form must be one of mem, hex, coe, mif, bin, not 'elf'"
    ):
        export(image, "elf", tmp_path)
    with pytest.raises(InputError, match=r"exported file .* is missing: spikeloop export"):
        read(tmp_path / "none.mem", MemoryMap(CHIP).loaded[0])
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="output file must be writable, not"):
        export(image, "bin", tmp_path / "file")
