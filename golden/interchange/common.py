"""What all imports share: their result, what they had to assume, and the bounds on files that
strangers wrote.

An import says nothing in silence. Every value that the file does not state, or states in another
form than the core has, is one :class:`Assumption`, and the command prints them all.
"""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.network.graph import Network

__all__ = [
    "Assumption",
    "Drift",
    "Imported",
    "MAX_FILE",
    "MAX_VALUES",
    "PopulationDrift",
    "minimal_bits",
    "read_bounded",
    "read_json",
]

MAX_FILE = 1 << 30  # bytes of a file
MAX_VALUES = 1 << 28  # numbers in all arrays of a file together


@dataclass(frozen=True)
class Assumption:
    """The choice of ``value`` for ``what``, and the reason ``why``."""

    what: str
    value: str
    why: str


@dataclass(frozen=True)
class PopulationDrift:
    """One population, integers against floats: ``different`` of ``spikes`` spikes; ``rate`` of the
    float ones; ``saturated`` steps of neurons in which the membrane was clipped."""

    population: str
    spikes: int
    different: int
    rate: float
    saturated: int


@dataclass(frozen=True)
class Drift:
    """An import's integers against its floats: ``answers`` of ``samples`` samples change (most
    spikes, or the largest membrane of a read-out)."""

    populations: tuple[PopulationDrift, ...]
    answers: int
    samples: int


@dataclass(frozen=True, eq=False)
class Imported:
    """A network from elsewhere.

    assumed:  what the import had to assume.
    inputs:   its stimulus if the source has one, uint8 0/1 ``[sample, step, size]`` by input.
    expected: output spikes that the source states, uint8 0/1 ``[sample, step, size]`` of the output
              population.
    first:    the first step of ``expected`` that counts.
    axons:    of a core that suits the network.
    """

    network: Network
    assumed: list[Assumption]
    inputs: dict[str, np.ndarray] | None = None
    expected: np.ndarray | None = None
    first: int = 0
    axons: int = 1024
    drift: Drift | None = None
    floats: Any = None


def read_bounded(path: Path, limit: int = MAX_FILE) -> bytes:
    """The bytes of a regular file of at most ``limit`` bytes; InputError otherwise."""
    data = read_file(path, "file to import", "name one that is there", most=limit)
    if data[:4] == b"PK\x03\x04" or zipfile.is_zipfile(io.BytesIO(data)):
        raise InputError(f"file {str(path)!r} must be plain, not an archive: unpack it first")
    return data


def read_json(path: Path, limit: int = 1 << 20) -> dict[str, object]:
    """A small JSON object; InputError for anything else."""
    try:
        value = json.loads(read_bounded(path, limit))
    except (ValueError, RecursionError):
        raise InputError(f"file {str(path)!r} must be JSON, not something else") from None
    if not isinstance(value, dict):
        raise InputError(f"file {str(path)!r} must be a JSON object, not {type(value).__name__}")
    return value


def minimal_bits(weights: np.ndarray) -> int:
    """The fewest bits, at least 2, with which two's complement holds all ``weights``."""
    low, high = (int(weights.min()), int(weights.max())) if weights.size else (0, 0)
    return max(2, high.bit_length() + 1, (-low - 1).bit_length() + 1 if low < 0 else 0)
