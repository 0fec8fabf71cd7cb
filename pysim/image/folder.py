"""The image bundle on disk: a folder with all that a host needs to run a mapped network.

    manifest.json     version, chip parameters, network (pysim.network.summary), cores: placement
                      and sections
    core0/NAME.rows   each loaded memory, without the rows that repeat the one before them

A file of rows begins with one bit a row, little-endian in bytes: whether the row differs from the
one before it; before row 0 is a row of zeros. Then come the rows that do.

A section carries the SHA-256 of its file and the CRC-32 of its rows' bytes. The manifest carries
its own SHA-256 and has one canonical text. Whatever is not exactly what :func:`write_image` wrote
is refused.

The rows of many images may take more memory than a host has. A :class:`Budget` says how many bytes
of them stay in memory; the others are read from their files whenever they are asked for.
"""

import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.pysim.chip.memory_map import Memory, MemoryMap
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.bits import pack, unpack
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import open_seal, seal, write_folder
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.mapping.placement import Placement
from spikeloop.pysim.network.parameters import MAX_DELAY, MAX_START
from spikeloop.pysim.network.summary import NetworkSummary

__all__ = ["IMAGE_VERSION", "MANIFEST", "Budget", "Stored", "read_image", "write_image"]

IMAGE_VERSION = 3
FORMAT = "spikeloop image"
MANIFEST = "manifest.json"
MAX_MANIFEST = 64 << 20
MOST_DELAY = MAX_DELAY + MAX_START
"""Ticks from a step of an input to the tick at which its spikes arrive."""


@dataclass
class Budget:
    """Bytes that may still be kept in memory."""

    left: int

    def take(self, size: int) -> bool:
        """Take ``size`` bytes if so many are left. What came first stays."""
        if size > self.left:
            return False
        self.left -= size
        return True


class Stored(Mapping[str, np.ndarray]):
    """The memories of an image whose rows lie on disk: each is read anew when it is asked for.

    InputError if a file is damaged, here at its size and SHA-256, in full when it is read.
    """

    def __init__(
        self, folder: Path, memories: list[Memory], sections: dict[str, Any], what: str
    ) -> None:
        self._folder, self._sections, self._what = folder, sections, what
        self._memories = {memory.name: memory for memory in memories}
        for memory in memories:
            _load_bytes(folder, memory, sections[memory.name], what)

    def __getitem__(self, name: str) -> np.ndarray:
        memory = self._memories[name]
        return _load_section(self._folder, memory, self._sections[name], self._what)

    def __iter__(self) -> Iterator[str]:
        return iter(self._memories)

    def __len__(self) -> int:
        return len(self._memories)


def write_image(
    folder: str | Path,
    chip: Chip,
    placement: Placement,
    network: NetworkSummary,
    memories: Mapping[str, np.ndarray],
) -> Path:
    """Write what an Image (pysim.image.image) holds, whole or not at all.

    An earlier image in ``folder`` is replaced. Returns the folder.
    """

    def fill(new: Path) -> None:
        (new / "core0").mkdir()
        sections = []
        for memory in MemoryMap(chip).loaded:
            rows = memories[memory.name]
            differs = _differs(rows)
            data = pack(differs).tobytes() + rows[differs].tobytes()
            sections.append(
                {
                    "name": memory.name,
                    "file": _file(memory),
                    "rows": len(rows),
                    "width": memory.width,
                    "stored": int(differs.sum()),
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "crc32": zlib.crc32(rows.tobytes()),
                }
            )
            (new / _file(memory)).write_bytes(data)
        manifest = {
            "format": FORMAT,
            "version": IMAGE_VERSION,
            "chip": chip.to_dict(),
            "network": network.to_dict(),
            "cores": [{"placement": placement.to_dict(), "sections": sections}],
        }
        (new / MANIFEST).write_bytes(seal(manifest))

    return write_folder(folder, "image", (MANIFEST,), fill)


def read_image(
    folder: str | Path, chip: Chip | None, budget: Budget | None = None
) -> tuple[Chip, Placement, NetworkSummary, Mapping[str, np.ndarray]]:
    """What :func:`write_image` was given, in its order.

    chip:   the chip that the image must have been packed for, if the caller has one.
    budget: bytes of rows that may be kept; None: all. Rows beyond it are :class:`Stored`.

    InputError for anything but a whole, undamaged bundle.
    """
    folder = Path(folder)
    what = f"image {str(folder)!r}"
    manifest = open_seal(_read(folder, MANIFEST, MAX_MANIFEST, what), what)
    try:
        if manifest["format"] != FORMAT or manifest["version"] != IMAGE_VERSION:
            raise InputError(
                f"{what} must be of version {IMAGE_VERSION}, not {manifest['version']!r}: "
                "map the network again"
            )
        packed = Chip.from_dict(manifest["chip"])
        network = NetworkSummary.from_dict(manifest["network"], what)
        cores = manifest["cores"]
        if len(cores) != 1:
            raise InputError(f"{what} must have 1 core, not {len(cores)}")
        sections = {s["name"]: s for s in cores[0]["sections"]}
        placement = Placement.from_dict(packed, cores[0]["placement"])
        _check_placement(placement, network, f"placement of {what}")
        loaded = MemoryMap(packed).loaded
        if list(sections) != [m.name for m in loaded]:
            raise InputError(
                f"sections of {what} must be {', '.join(m.name for m in loaded)}, "
                f"not {', '.join(sections)}"
            )
        if chip is not None and chip != packed:
            raise InputError(
                f"{what} must be packed for the chip at hand ({_differences(chip, packed)}): "
                "map the network again for it"
            )
        held = placement.held(loaded)
        memories: Mapping[str, np.ndarray]
        if budget is None or budget.take(placement.bytes(loaded)):
            memories = {m.name: _load_section(folder, m, sections[m.name], what) for m in held}
        else:
            memories = Stored(folder, held, sections, what)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"manifest of {what} must be complete, not without {error}") from None
    return packed, placement, network, memories


def _check_placement(placement: Placement, network: NetworkSummary, what: str) -> None:
    """InputError unless the placement is one of the network: names, sizes, delays and starts."""
    sizes = {node.name: node.size for node in network.inputs}
    for group in placement.inputs:
        if group.size != sizes.get(group.name):
            raise InputError(
                f"input {group.name!r} of the {what} must have {sizes.get(group.name, 'no')} "
                f"lines, not {group.size}"
            )
        check_int(f"delay of input {group.name!r} of the {what}", group.delay, 0, MOST_DELAY)
    names = [place.name for place in placement.populations]
    for place in placement.populations:
        check_int(f"start of population {place.name!r} of the {what}", place.start, 0, MAX_START)
        if place.first_axon is not None:
            most = placement.chip.delay_max
            check_int(f"delay of population {place.name!r} of the {what}", place.delay, 1, most)
    wanted = [network.output, *([network.pim.target] if network.pim else [])]
    if len(set(names)) < len(names) or not set(wanted) <= set(names):
        raise InputError(
            f"populations of the {what} must be different ones, {' and '.join(wanted)} among them, "
            f"not {', '.join(map(str, names))}"
        )


def _file(memory: Memory) -> str:
    return f"core0/{memory.name}.rows"


def _read(folder: Path, file: str, most: int, what: str) -> bytes:
    path = folder / file
    if path.is_symlink() or (path.parent != folder and path.parent.is_symlink()):
        raise InputError(f"{file} of {what} must be a file of its folder, not a symbolic link")
    if not os.path.lexists(path):
        if file == MANIFEST:
            raise InputError(f"{what} is missing (no {file}): run spikeloop map first")
        raise InputError(f"{file} of {what} is missing: map the network again")
    return read_file(path, "image file", "map the network again", most=most, links=False)


def _load_bytes(folder: Path, memory: Memory, section: dict[str, Any], what: str) -> bytes:
    """The file of a section, of the size and the SHA-256 that its manifest says."""
    file = _file(memory)
    if section["file"] != file:
        raise InputError(
            f"file of section {memory.name} of {what} must be {file!r}, not {section['file']!r}"
        )
    if (section["rows"], section["width"]) != (memory.rows, memory.width):
        raise InputError(
            f"section {memory.name} of {what} must be {memory.rows} rows of {memory.width} bits, "
            f"not {section['rows']} of {section['width']}"
        )
    stored = section["stored"]
    check_int(f"stored rows of {file} of {what}", stored, 0, memory.rows)
    size = -(-memory.rows // 8) + stored * -(-memory.width // 8)
    data = _read(folder, file, size, what)
    if len(data) != size:
        raise InputError(
            f"{file} of {what} must be {size} bytes, not {len(data)} (truncated): "
            "map the network again"
        )
    if hashlib.sha256(data).hexdigest() != section["sha256"]:
        raise InputError(
            f"{file} of {what} must have the SHA-256 of its manifest, not another (damaged): "
            "map the network again"
        )
    return data


def _load_section(folder: Path, memory: Memory, section: dict[str, Any], what: str) -> np.ndarray:
    data, file, stored = (
        _load_bytes(folder, memory, section, what),
        _file(memory),
        section["stored"],
    )
    rows = _rows(data, memory, stored)
    if rows is None:
        raise InputError(
            f"{file} of {what} must hold {stored} different rows of {memory.width} bits, not others"
        )
    if (crc := zlib.crc32(rows.tobytes())) != section["crc32"]:
        raise InputError(f"CRC-32 of {file} of {what} must be {section['crc32']}, not {crc}")
    return rows


def _differs(rows: np.ndarray) -> np.ndarray:
    """Whether each row differs from the one before it, bool ``[rows]``."""
    differs = np.empty(len(rows), np.bool_)
    differs[:1] = rows[:1].any()
    differs[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return differs


def _rows(data: bytes, memory: Memory, stored: int) -> np.ndarray | None:
    """The rows of a file; None if it is not what :func:`write_image` makes of them."""
    flags, size = -(-memory.rows // 8), -(-memory.width // 8)
    packed = np.frombuffer(data, np.uint8)
    differs = unpack(packed[:flags], 8 * flags)
    if differs.sum() != stored or differs[memory.rows :].any():
        return None
    kept = np.zeros((stored + 1, size), np.uint8)
    kept[1:] = packed[flags:].reshape(stored, size)
    rows = kept[np.cumsum(differs[: memory.rows])]
    beyond = memory.width % 8 and (rows[:, -1] >> memory.width % 8).any()
    return None if beyond or (_differs(rows) != differs[: memory.rows]).any() else rows


def _differences(wanted: Chip, got: Chip) -> str:
    pairs = [(k, v, got.to_dict()[k]) for k, v in wanted.to_dict().items() if got.to_dict()[k] != v]
    return ", ".join(f"{k} {v}, not {other}" for k, v, other in pairs)
