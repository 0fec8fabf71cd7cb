"""Mutations of files: of their bytes, and of what their formats hold, sealed again.

All of them draw from one ``random.Random``, so that a seed says which input it was.
"""

import hashlib
import io
import json
import lzma
import random
import struct
import zipfile
from typing import Any

import numpy as np
from safetensors.numpy import save

from spikeloop.pysim.common.files import seal
from spikeloop.pysim.common.tensors import decode

__all__ = ["Files", "flipped", "mutate", "mutate_bytes"]

Files = dict[str, bytes]
"""Contents of the files of an input, by their path in its folder."""

INTS = (0, 1, -1, 2, 7, 8, 31, 32, 63, 64, 65, 255, 256, 65535, 65536, 65537)
LARGE = (2**31 - 1, 2**31, -(2**31), 2**32, 2**63 - 1, 2**63, -(2**63), 2**64, 10**30, -(10**30))
VALUES: tuple[Any, ...] = (
    *INTS,
    *LARGE,
    *(None, True, False, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "a", "1", "nan"),
    *(
        "../../x",
        "core0/../../x",
        "\u202e\0x",
        "x" * 300,
        "<script>x</script>",
        "[/red]",
        "\x1b[31m",
    ),
    *([], {}, [[]], [0], ["a"], {"a": 1}, [1, 2, 3]),
)
CONSTANTS = (
    b"",
    b"\0",
    b"\0" * 64,
    b"PK\x03\x04",
    b"{}",
    b"[]",
    b"null",
    b"\xff" * 32,
    b"[" * 9999,
)
DTYPES = ("<f8", ">i8", "<U5", "S3", "?", "<c16", "<M8[s]", "u1", "<i4", "V7", "<f2", "<i8", "<u8")
TENSORS = ("F64", "F32", "F16", "BF16", "I64", "I8", "U8", "BOOL", "F8_E4M3", "U64", "I32", "X")
SHAPES = ([], [0], [-1], [2**63], [2**64], [2**32, 2**32], [10**30], [1])
HEADERS = (
    "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (2**40,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (0,1000000000000), }",
    "{'descr': '|S0', 'fortran_order': False, 'shape': (1000000000000,), }",
    "(" * 90 + ")" * 90,
    "__import__('os').system('touch PWNED')",
    "{}",
)


def mutate(r: random.Random, files: Files) -> Files:
    """The files of an input with something changed, left out or doubled."""
    files, name = dict(files), r.choice(sorted(files))
    draw = r.random()
    if draw < 0.03 and len(files) > 1:
        del files[name]
    elif draw < 0.5:
        files[name] = mutate_bytes(r, files[name])
    else:
        files = _inside(r, files, name)
    return files


def flipped(data: bytes, bit: int) -> bytes:
    """The bytes with one bit, counted from the first byte's lowest, inverted."""
    found = bytearray(data)
    found[bit // 8] ^= 1 << bit % 8
    return bytes(found)


def mutate_bytes(r: random.Random, data: bytes) -> bytes:
    """Bits flipped, bytes set, left out, doubled, moved or added."""
    if len(data) < 8 or r.random() < 0.06:
        return r.choice((*CONSTANTS, data * 2, data[::-1]))
    found, n, kind = bytearray(data), len(data), r.randrange(9)
    at = r.randrange(n)
    end = min(n, at + r.randrange(1, 65))
    if kind <= 2:
        for _ in range(r.choice((1, 1, 1, 2, 8))):
            found[r.randrange(n)] ^= 1 << r.randrange(8)
    elif kind == 3:
        for _ in range(r.randrange(1, 17)):
            found[r.randrange(n)] = r.choice((0, 255, 127, 128, 10, 34, 48, 123, r.randrange(256)))
    elif kind == 4:
        del found[at:]
    elif kind == 5:
        del found[at:end]
    elif kind == 6:
        found[at:at] = r.choice((found[at:end], bytes(r.randrange(256) for _ in range(33))))
    elif kind == 7:
        width = r.choice((1, 2, 4, 8))
        number = r.choice(INTS + LARGE) % (1 << 8 * width)
        found[at : at + width] = number.to_bytes(width, r.choice(("little", "big")))
    else:
        found[at:at] = found[r.randrange(n) :][:4096]
    return bytes(found)


def _inside(r: random.Random, files: Files, name: str) -> Files:
    """A change of what a file holds, sealed again where the format has a seal."""
    data = files[name]
    try:
        if name.endswith(".npz"):
            files[name] = _npz(r, data)
        elif name.endswith(".safetensors"):
            files[name] = _safetensors(r, data)
        elif name.endswith(".jsonl"):
            files[name] = _lines(r, data)
        elif name.endswith(".rda"):
            files[name] = lzma.compress(mutate_bytes(r, lzma.decompress(data)))
        elif name.endswith(".json"):
            value = json.loads(data)
            sealed = isinstance(value, dict) and value.pop("sha256", None)
            value = mutate_json(r, value)
            files[name] = seal(value) if sealed else json.dumps(value).encode()
        else:
            files[name] = mutate_bytes(r, data)
            _sealed_again(files, name)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        files[name] = mutate_bytes(r, data)  # the change cannot be written
    return files


def _sealed_again(files: Files, name: str) -> None:
    """Give the section of a memory of an image the digest of its new bytes."""
    folder, _, _ = name.rpartition("core0/")
    if (manifest := f"{folder}manifest.json") in files:
        value = json.loads(files[manifest])
        value.pop("sha256")
        for section in value["cores"][0]["sections"]:
            if folder + section["file"] == name:
                section["sha256"] = hashlib.sha256(files[name]).hexdigest()
        files[manifest] = seal(value)


def mutate_json(r: random.Random, value: Any) -> Any:
    """One to three entries set to another value, left out, moved, wrapped or nested."""
    value = json.loads(json.dumps(value))
    for _ in range(r.choice((1, 1, 1, 2, 3))):
        at = r.choice(places) if (places := list(_places(value))) else None
        if at is None:
            return r.choice(VALUES)
        holder, key = at
        old, kind = holder[key], r.randrange(8)
        if kind <= 2:
            holder[key] = r.choice(VALUES)
        elif kind == 3 and isinstance(old, int) and not isinstance(old, bool):
            holder[key] = r.choice((old + 1, old - 1, -old, old * 1000, old // 2, float(old)))
        elif kind == 4:
            del holder[key]
        elif kind == 5:
            other, name = r.choice(places)
            holder[key] = json.loads(json.dumps(other[name]))
        elif kind == 6 and isinstance(holder, list):
            r.shuffle(holder)
        elif isinstance(holder, dict):
            holder[r.choice(("x", "..", "__class__", "pim", ""))] = old
        else:
            for _ in range(r.choice((1, 50, 400))):
                holder[key] = [holder[key]]
    return value


def _places(value: Any) -> Any:
    """Holder and key of every entry of a JSON value."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _safetensors(r: random.Random, data: bytes) -> bytes:
    """The header inside, the outer header or the tensors changed; without a digest or with one."""
    (length,) = struct.unpack("<Q", data[:8])
    head, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    (key,) = head.get("__metadata__", {"": ""})
    names, kind = sorted(set(head) - {"__metadata__"}), r.randrange(5)
    if kind <= 1 and key:
        header, tensors = decode(data, key, "file")
        if kind and names:
            array = tensors[name := r.choice(names)]
            flat = array.reshape(-1).copy()
            if flat.size:
                flat[r.randrange(flat.size)] = r.choice((0, 1, flat.max()))
            shape = r.choice((array.shape, array.shape[::-1], flat.shape, (1, *array.shape)))
            tensors[name] = flat.reshape(shape).astype(r.choice((array.dtype, "<i8", "u1", "<f4")))
        else:
            header = mutate_json(r, header)
        return save(tensors, metadata={key: json.dumps(header)})
    entry = head[r.choice(names)] if names else {}
    if kind == 2:
        entry["dtype"] = r.choice(TENSORS)
    elif kind == 3:
        entry["shape"] = r.choice((*SHAPES, entry.get("shape", [])[::-1]))
    else:
        head = mutate_json(r, head)
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + body


def _npz(r: random.Random, data: bytes) -> bytes:
    """A member of another dtype, shape, header, name or compression, or one twice."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(entry, archive.read(entry)) for entry in archive.namelist()]
    number, kind = r.randrange(len(members)), r.randrange(6)
    name, member = members[number]
    array = np.load(io.BytesIO(member))
    if kind == 0:
        member = _npy(np.zeros(array.shape, r.choice(DTYPES)))
    elif kind == 1:
        member = _npy(
            r.choice((array[None][..., :0], array.ravel(), np.array(5), array[None], array.T))
        )
    elif kind == 2:
        text = r.choice(HEADERS).encode() + b"\n"
        member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"abc"
    elif kind == 3:
        name = r.choice(("spikes/../x.npy", "labels.npy", "x", "", "spikes/.npy", "counters/y.npy"))
    elif kind == 4:
        member = mutate_bytes(r, member)
    else:
        members.append(members[0])
    members[number] = name, member
    buffer = io.BytesIO()
    packing = r.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, member in members:
            archive.writestr(zipfile.ZipInfo(name), member, compress_type=packing)
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _lines(r: random.Random, data: bytes) -> bytes:
    """A line of JSON changed, left out or doubled; digests are those of the new lines."""
    lines = [json.loads(line) for line in data.splitlines()]
    sealed = all("digest" in line for line in lines)
    for line in lines:
        line.pop("digest", None)
    number = r.randrange(len(lines))
    if r.random() < 0.1:
        lines.insert(number, lines[r.randrange(len(lines))])
    else:
        lines[number] = mutate_json(r, lines[number])
    digest, text = "", ""
    for line in lines:
        digest = hashlib.sha256((digest + json.dumps(line)).encode()).hexdigest()
        text += json.dumps({**line, "digest": digest} if sealed else line) + "\n"
    return text.encode()
