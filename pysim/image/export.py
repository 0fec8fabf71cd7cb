"""The image's memories in the forms other tools read, and back: the same bits in every one.

    form  file     for
    mem   .mem     $readmemh of any Verilog simulator; one row a line
    hex   .hex     Intel HEX (I32HEX records of 32 bytes): programmers, bootloaders
    coe   .coe     AMD/Xilinx block memory generator
    mif   .mif     Altera/Intel memory initialisation
    bin   .bin     anything

``hex`` and ``bin`` hold a row as the load port takes it: ceil(width / 32) words of 32 bits, the
least significant first, each little-endian, rows one after the other without gaps. The others hold
a row as one hexadecimal number.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikeloop.pysim.chip.memory_map import Memory
from spikeloop.pysim.common.bits import to_words
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.readmemh import from_readmemh, to_readmemh

__all__ = ["FORMS", "Form", "export", "read"]

RECORD = 32  # bytes of an Intel HEX data record


def export(image: Image, form: str, folder: str | Path) -> list[Path]:
    """Write every loaded memory to ``folder``/NAME.``form``; returns the paths in bundle order."""
    encode = _form(form).encode
    return [
        write_atomic(
            Path(folder) / f"{memory.name}.{form}", encode(image.rows(memory.name), memory.width)
        )
        for memory in image.map.loaded
    ]


def read(path: str | Path, memory: Memory, form: str | None = None) -> np.ndarray:
    """Rows of one exported file, uint8 ``[rows, ceil(width / 8)]``.

    form: one of FORMS; None: that of the file's suffix. InputError for a file that is not
    ``memory`` in that form.
    """
    path = Path(path)
    form = form or path.suffix[1:]
    data = read_file(path, "exported file", "spikeloop export writes it")
    try:
        return _form(form).decode(data, memory.rows, memory.width)
    except (ValueError, IndexError):
        raise InputError(
            f"{str(path)!r} must be memory {memory.name} ({memory.rows} rows of "
            f"{memory.width} bits) in form {form}, not another or a damaged one"
        ) from None


class Form(NamedTuple):
    """A form of a memory.

    encode:  from rows uint8 ``[rows, bytes]`` and their width in bits to a file
    decode:  from a file, its number of rows and their width to rows; ValueError if it has others
    """

    encode: Callable[[np.ndarray, int], bytes]
    decode: Callable[[bytes, int, int], np.ndarray]


# -- binary ------------------------------------------------------------------------------------


def _to_bin(rows: np.ndarray, width: int) -> bytes:
    return to_words(rows, width).tobytes()


def _from_bin(data: bytes, rows: int, width: int) -> np.ndarray:
    padded = np.frombuffer(data, np.uint8).reshape(rows, -(-width // 32) * 4)
    used = -(-width // 8)
    if padded[:, used:].any() or (width % 8 and (padded[:, used - 1] >> width % 8).any()):
        raise ValueError("bits beyond the row's width")
    return padded[:, :used].copy()


def _record(kind: int, address: int, data: bytes) -> str:
    body = bytes([len(data), address >> 8 & 255, address & 255, kind]) + data
    return f":{body.hex().upper()}{-sum(body) & 255:02X}"


def _to_hex(rows: np.ndarray, width: int) -> bytes:
    data, lines = _to_bin(rows, width), []
    for at in range(0, len(data), RECORD):
        if at % (1 << 16) == 0:
            lines.append(_record(4, 0, (at >> 16).to_bytes(2, "big")))
        lines.append(_record(0, at & 0xFFFF, data[at : at + RECORD]))
    return "\n".join([*lines, _record(1, 0, b""), ""]).encode()


def _from_hex(data: bytes, rows: int, width: int) -> np.ndarray:
    image, upper, ended = bytearray(), 0, False
    for line in data.decode("ascii").splitlines():
        record = bytes.fromhex(line[1:])
        if line[:1] != ":" or ended or len(record) != record[0] + 5 or sum(record) & 255:
            raise ValueError("not a record")
        body = record[4:-1]
        if record[3] == 0:
            if upper + int.from_bytes(record[1:3], "big") != len(image):
                raise ValueError("a gap")
            image += body
        elif record[3] == 4:
            upper = int.from_bytes(body, "big") << 16
        elif record[3] == 1:
            ended = True
        else:
            raise ValueError("another record")
    if not ended:
        raise ValueError("no end")
    return _from_bin(bytes(image), rows, width)


# -- text --------------------------------------------------------------------------------------


def _to_coe(rows: np.ndarray, width: int) -> bytes:
    body = to_readmemh(rows, width)[:-1].replace(b"\n", b",\n")
    return b"memory_initialization_radix=16;\nmemory_initialization_vector=\n" + body + b";\n"


def _from_coe(data: bytes, rows: int, width: int) -> np.ndarray:
    match = re.fullmatch(
        rb"memory_initialization_radix=16;\nmemory_initialization_vector=\n([0-9a-f,\n]+);\n", data
    )
    if not match:
        raise ValueError("not a coefficient file")
    return from_readmemh(match[1].replace(b",", b"") + b"\n", rows, width)


def _mif_head(rows: int, width: int) -> str:
    return f"DEPTH = {rows};\nWIDTH = {width};\nADDRESS_RADIX = HEX;\nDATA_RADIX = HEX;\n"


def _to_mif(rows: np.ndarray, width: int) -> bytes:
    lines = to_readmemh(rows, width).decode().split()
    body = "".join(f"{at:x} : {line};\n" for at, line in enumerate(lines))
    return f"{_mif_head(len(lines), width)}CONTENT\nBEGIN\n{body}END;\n".encode()


def _from_mif(data: bytes, rows: int, width: int) -> np.ndarray:
    head, _, body = data.decode("ascii").partition("CONTENT\nBEGIN\n")
    body, end, rest = body.partition("END;\n")
    if head != _mif_head(rows, width) or not end or rest:
        raise ValueError("another head or end")
    lines = [re.fullmatch(r"([0-9a-f]+) : ([0-9a-f]+);", line) for line in body.splitlines()]
    if [line and int(line[1], 16) for line in lines] != list(range(rows)):
        raise ValueError("rows out of order")
    return from_readmemh("".join(f"{line[2]}\n" for line in lines if line).encode(), rows, width)


FORMS = {
    "mem": Form(to_readmemh, from_readmemh),
    "hex": Form(_to_hex, _from_hex),
    "coe": Form(_to_coe, _from_coe),
    "mif": Form(_to_mif, _from_mif),
    "bin": Form(_to_bin, _from_bin),
}


def _form(name: str) -> Form:
    try:
        return FORMS[name]
    except KeyError:
        raise InputError(f"export form must be one of {', '.join(FORMS)}, not {name!r}") from None
