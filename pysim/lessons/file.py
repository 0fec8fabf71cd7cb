"""A lesson as a safetensors file: the arrays as tensors, sizes and settings as JSON in the header.

The same lesson always gives the same bytes, with a digest of them (pysim/common/tensors.py). Never
pickle. Readers of networks refuse it, and this one refuses networks.
"""

from typing import Any

import numpy as np

from spikeloop.pysim.common import tensors as safetensors
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.lesson import FLAGS, Lesson
from spikeloop.pysim.lessons.population import PlasticPopulation

__all__ = ["decode", "encode"]

VERSION = 1
KIND = "lesson"
KEY = "spikeloop"
HEADER = {"kind", "version", "name", "size", "settings"}
TABLES = ("post", "pre", "near", "far")
ARRAYS = {
    "weights": np.uint16,
    "theta": np.int64,
    "ticks": np.int64,
    "spikes": np.uint8,
    "teacher": np.uint8,
    **dict.fromkeys(FLAGS, np.bool_),
    "labels": np.int64,
}


def encode(lesson: Lesson) -> bytes:
    """The file's content."""
    p = lesson.population
    header = {
        "kind": KIND,
        "version": VERSION,
        "name": lesson.name,
        "size": p.size,
        "settings": p.settings,
    }
    tensors: dict[str, np.ndarray] = {
        name: np.ascontiguousarray(getattr(lesson, name), kind) for name, kind in ARRAYS.items()
    }
    tensors |= {name: np.ascontiguousarray(getattr(p, name), np.int64) for name in TABLES}
    return safetensors.encode(header, tensors, KEY, f"lesson {lesson.name!r}")


def decode(data: bytes, where: str) -> Lesson:
    """The lesson of a file's content; InputError for anything else than a sound one.

    where: the name of the file in messages.
    """
    what = f"lesson file {where!r}"
    header, tensors = _open(data, what)
    wanted = {**ARRAYS, **dict.fromkeys(TABLES, np.int64)}
    for name, kind in wanted.items():
        if name not in tensors or tensors[name].dtype != kind:
            found = tensors[name].dtype if name in tensors else "missing"
            raise InputError(
                f"tensor {name!r} of {what} must be {np.dtype(kind).name}, not {found}"
            )
    try:
        size, settings = header["size"], header["settings"]
        tables: dict[str, Any] = {name: tensors[name] for name in TABLES}
        p = PlasticPopulation.make(**size, **tables, **settings)
        bits = {}
        for name, lines in (("spikes", p.axons), ("teacher", p.neurons)):
            packed = tensors[name]
            if packed.ndim != 2 or packed.shape[1] != -(-lines // 8):
                raise InputError(f"{name} of {what} must be packed lines, not {packed.shape}")
            bits[name] = unpack(packed, lines)
            if beyond := int(unpack(packed, 8 * packed.shape[1])[:, lines:].sum()):
                raise InputError(
                    f"{name} of {what} must be on lines 0..{lines - 1}, not on others "
                    f"({beyond} spikes)"
                )
        return Lesson.make(
            p,
            tensors["weights"],
            bits["spikes"],
            ticks=tensors["ticks"],
            teacher=bits["teacher"],
            theta=tensors["theta"],
            **{name: tensors[name] for name in FLAGS},
            labels=tensors["labels"],
            name=header["name"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"header of {what} must be complete, not without {error}") from None


def _open(data: bytes, what: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    header, tensors = safetensors.decode_kind(data, KEY, what, KIND, "a lesson")
    if header.get("version") != VERSION:
        raise InputError(
            f"{what} must be of version {VERSION}, not {header.get('version')!r}: "
            "write it again with this release"
        )
    if set(header) != HEADER:
        raise InputError(
            f"header of {what} must have {', '.join(sorted(HEADER))}, "
            f"not {', '.join(sorted(header))}"
        )
    return header, tensors
