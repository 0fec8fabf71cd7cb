"""The one reader and writer of ``.npz`` archives: stimulus, trace, expected spikes, checkpoints.

Nothing in an archive is trusted. The reader knows every member's name and dtype beforehand, bounds
the sizes before it unpacks anything, and never runs a pickle. Whatever is wrong is one InputError
sentence.
"""

import io
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path

import numpy as np

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.common.reading import MAX_BYTES, read_file

__all__ = [
    "MAX_BYTES",
    "Arrays",
    "Members",
    "decode",
    "encode",
    "load",
    "load_array",
    "read_array",
    "save",
    "under",
    "unpack",
]

Arrays = dict[str, np.ndarray]
Members = Mapping[str, type[np.generic]]
"""Dtype of each member. A name that ends in "/" stands for all members below it."""

END = 22
"""Bytes of the record at the end of an archive; its number of entries stands at byte 10."""
LOCAL = 30
"""Bytes of the header before a member; the lengths of its name and extra field are the last."""
MAGIC = b"\x93NUMPY\x01\x00"
HEADER = re.compile(
    rb"\{'descr': ?'([|<>][A-Za-z]\d{0,4})', ?'fortran_order': ?(True|False), ?"
    rb"'shape': ?\(((?:\d{1,12}, ?)*(?:\d{1,12})?)\),? ?\} *\n"
)
NPY_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
DAMAGE = (
    EOFError,
    NotImplementedError,  # a compression or a version that zipfile does not know
    OSError,
    OverflowError,
    RuntimeError,  # encrypted
    TypeError,  # a dtype that numpy does not know
    ValueError,
    struct.error,
    zipfile.BadZipFile,  # a wrong CRC among others
    zlib.error,
)


def save(path: str | Path, arrays: Arrays) -> Path:
    """Write the arrays to ``path``, whole or not at all.

    InputError if they take more than MAX_BYTES.
    """
    size = sum(array.nbytes for array in arrays.values())
    if size > MAX_BYTES:
        raise InputError(
            f"arrays of {str(path)!r} must take at most {MAX_BYTES:,} bytes, not {size:,}: "
            "take fewer samples"
        )
    return write_atomic(path, encode(arrays))


def load(path: str | Path, what: str, members: Members) -> Arrays:
    """Read the arrays of a ``what`` file ("stimulus"): those of ``members`` and no other.

    InputError for a path that is no regular file, for more than MAX_BYTES, and as :func:`decode`
    says.
    """
    data = read_file(path, f"{what} file", "name another", most=MAX_BYTES)
    return decode(data, f"{what} file {str(path)!r}", members)


def load_array(path: str | Path, what: str, remedy: str) -> np.ndarray:
    """Read the one array of a ``.npy`` file that a user gives.

    what:   kind of the file ("file of sounds"); remedy: how to come by one.
    InputError for a path that is no regular file, for more than MAX_BYTES, and for anything but
    one whole array of plain values.
    """
    data = read_file(path, what, remedy)
    try:
        return read_array(data)
    except Exception:  # whatever numpy's parser raises for a header of another's making
        raise InputError(
            f"{what} must hold one whole array that numpy saved, not {str(path)!r}: {remedy}"
        ) from None


def read_array(data: bytes) -> np.ndarray:
    """The array of a ``.npy`` file of any dtype but objects.

    ValueError unless it is one whole array; a damaged header may raise anything.
    """
    stream = io.BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of headers that are damaged
        shape, _, dtype = NPY_HEADERS[np.lib.format.read_magic(stream)](stream)
        size = prod(shape) * dtype.itemsize
        if dtype.hasobject or not dtype.itemsize or size != len(data) - stream.tell():
            raise ValueError("too few or too many bytes")
        stream.seek(0)
        return np.load(stream, allow_pickle=False)


def encode(arrays: Arrays) -> bytes:
    """The arrays as a compressed archive."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def decode(data: bytes, what: str, members: Members) -> Arrays:
    """Inverse of :func:`encode`: the arrays of ``members``, each of its dtype, in the file's order.

    ``what`` names the archive in errors. InputError for damage, another member, another dtype, or
    arrays of more than MAX_BYTES in all; their sizes are summed from the directory before any is
    unpacked.
    """
    arrays: Arrays = {}
    try:
        for key, member in unpack(data, what):
            dtype = _dtype(key, members)
            if dtype is None:
                raise InputError(
                    f"{what} must hold arrays {', '.join(map(_readable, members))}, not {key!r}"
                )
            arrays[key] = _array(member, f"array {key!r} of {what}", dtype)
    except InputError:
        raise
    except DAMAGE:
        raise InputError(f"{what} is damaged or no .npz archive: write it again") from None
    return arrays


def unpack(data: bytes, what: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each member of an archive, the names without ``.npy``.

    InputError for members of more than MAX_BYTES in all, summed before any is unpacked, and for one
    that is there twice. One of DAMAGE for what is damaged, or longer or shorter than it says.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if struct.unpack_from("<H", data, len(data) - END + 10) != (len(entries),):
            raise ValueError("a damaged directory hides entries")
        size = sum(entry.file_size for entry in entries)
        if size > MAX_BYTES:
            raise InputError(f"{what} must unpack to at most {MAX_BYTES:,} bytes, not {size:,}")
        seen: set[str] = set()
        for entry in entries:
            key = entry.filename.removesuffix(".npy")
            if key in seen:
                raise InputError(f"array {key!r} of {what} must be there once, not twice")
            seen.add(key)
            archive.open(entry).close()  # checks the entry's own header: its name, no encryption
            yield key, _member(data, entry)


def _member(data: bytes, entry: zipfile.ZipInfo) -> bytes:
    """The bytes of one entry. No more are ever unpacked than it says that it has."""
    lengths = struct.unpack_from("<HH", data, entry.header_offset + LOCAL - 4)
    start = entry.header_offset + LOCAL + sum(lengths)
    member = data[start : start + entry.compress_size]
    if entry.compress_type == zipfile.ZIP_DEFLATED:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)  # zipfile itself inflates all, then cuts
        member = inflate.decompress(member, entry.file_size + 1)
        if not inflate.eof or inflate.unused_data:
            raise ValueError("a member that is longer or shorter than it says")
    elif entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError("a compression that numpy does not use")
    if len(member) != entry.file_size or zlib.crc32(member) != entry.CRC:
        raise ValueError("a member of another length or CRC")
    return member


def under(arrays: Arrays, folder: str) -> Arrays:
    """The arrays below ``folder`` ("spikes/"), by the rest of their names."""
    return {
        key.removeprefix(folder): array for key, array in arrays.items() if key.startswith(folder)
    }


def _dtype(key: str, members: Members) -> type[np.generic] | None:
    for name, dtype in members.items():
        if key == name or (name.endswith("/") and key.startswith(name) and key != name):
            return dtype
    return None


def _readable(member: str) -> str:
    return f"{member}NAME" if member.endswith("/") else member


def _array(data: bytes, what: str, dtype: type[np.generic]) -> np.ndarray:
    """The array of a ``.npy`` member.

    ValueError unless it is one, whole and without bytes behind it.
    """
    (length,) = struct.unpack_from("<H", data, len(MAGIC))
    start = len(MAGIC) + 2 + length
    header = HEADER.fullmatch(data[len(MAGIC) + 2 : start])
    if not data.startswith(MAGIC) or not header:
        raise ValueError("no header of numpy")
    if (given := np.dtype(header[1].decode())) != dtype:
        raise InputError(f"{what} must be {np.dtype(dtype)}, not {given}")
    shape = tuple(int(n) for n in re.findall(rb"\d+", header[3]))
    if prod(shape) * given.itemsize != len(data) - start:
        raise ValueError("too few or too many bytes")
    flat = np.frombuffer(bytearray(memoryview(data)[start:]), given)
    return flat.reshape(shape, order="F" if header[2] == b"True" else "C")
