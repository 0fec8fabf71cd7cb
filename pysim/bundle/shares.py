"""A network shared out over several cores: what each core holds, and the folder of it all.

    HEAD                 format, version, chip, network (as in an image's manifest), populations,
                         reason, number of shares, for each the first share that has its image,
                         SHA-256 of the tables and of itself
    EACHs.safetensors    int64 tables EACH<n>.lines.<input> and EACH<n>.neurons.<population>: lines
                         and neurons of the whole
    EACH<n>/             the image bundle of share n, and of later shares with an equal image

A subclass says what the shares do: they take turns on one core (pysim.bundle.program, ``part``), or
they run at once (pysim.bundle.mesh, ``core``).
"""

import hashlib
import os
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import open_seal, seal, write_folder
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.image.folder import MANIFEST, Budget
from spikeloop.pysim.image.image import Bundle, Image
from spikeloop.pysim.network.parameters import MAX_START
from spikeloop.pysim.network.summary import NetworkSummary

__all__ = ["HEADS", "KEPT_BYTES", "Nodes", "Share", "Shared"]

S = TypeVar("S", bound="Shared")
Nodes = tuple[tuple[str, int, int], ...]
"""(name, size, start tick) of each population."""

VERSION = 3
HEADS = {"program": "program.json", "mesh": "mesh.json"}
"""The file that says what a folder holds, by kind; an image has neither."""
AGAIN = "map the network again"
KEPT_BYTES = 128 << 20
"""Bytes of rows of images that a loaded folder keeps in memory. Others are read when they run."""


@dataclass(frozen=True, eq=False)
class Share:
    """What one core holds.

    image:    the image of the core's own network
    lines:    by its inputs, which lines of the whole each carries: int64 ``[input size]``
    neurons:  by its populations, which neurons of the whole each holds: int64 ``[size]``
    """

    image: Image
    lines: dict[str, np.ndarray]
    neurons: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False, repr=False)
class Shared(Bundle):
    """A packed network of several shares.

    The fields are those of Bundle, and the populations of the whole.
    """

    chip: Chip
    network: NetworkSummary
    populations: Nodes
    reason: str | None

    @property
    @abstractmethod
    def shares(self) -> Mapping[int, Share]:
        """The shares by number, ascending."""

    @classmethod
    @abstractmethod
    def of(
        cls: type[S],
        chip: Chip,
        network: NetworkSummary,
        populations: Nodes,
        reason: str | None,
        shares: dict[int, Share],
    ) -> S:
        """The bundle of these shares by number."""

    def source(self, line: str) -> str:
        """The input or population of the whole that the input ``line`` of a share carries."""
        return line

    @property
    def ticks(self) -> int:
        return self.steps + max(start for _, _, start in self.populations)

    @property
    def images(self) -> Mapping[int, Image]:
        return {n: share.image for n, share in self.shares.items()}

    def folders(self) -> dict[str, Image]:
        images = self.images
        return {f"{self.each}{n}": images[n] for n in dict.fromkeys(self._firsts())}

    def _firsts(self) -> list[int]:
        """For each share, the number of the first one that has the same image."""
        first: dict[int, int] = {}
        return [first.setdefault(id(image), n) for n, image in self.images.items()]

    def holders(self) -> dict[str, np.ndarray]:
        numbers = {name: np.zeros(size, np.int64) for name, size, _ in self.populations}
        for n, share in self.shares.items():
            for name, neurons in share.neurons.items():
                numbers[name][neurons] = n
        return numbers

    def cores_of(self) -> dict[str, int]:
        count = super().cores_of()
        return {name: count[name] for name, _, _ in self.populations if name in count}

    # -- folder --------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        tables: dict[str, np.ndarray] = {}
        for n, share in self.shares.items():
            for kind, rows_of in (("lines", share.lines), ("neurons", share.neurons)):
                for name, rows in rows_of.items():
                    tables[f"{self.each}{n}.{kind}.{name}"] = np.ascontiguousarray(rows, np.int64)
        data = save(tables)
        head = {
            "format": f"spikeloop {self.kind}",
            "version": VERSION,
            "chip": self.chip.to_dict(),
            "network": self.network.to_dict(),
            "populations": [list(p) for p in self.populations],
            "reason": self.reason,
            f"{self.each}s": len(self.shares),
            "images": self._firsts(),
            "tables": hashlib.sha256(data).hexdigest(),
        }

        def fill(new: Path) -> None:
            for name, image in self.folders().items():
                image.save(new / name)
            (new / f"{self.each}s.safetensors").write_bytes(data)
            (new / HEADS[self.kind]).write_bytes(seal(head))

        return write_folder(folder, self.kind, (*HEADS.values(), MANIFEST), fill)

    @classmethod
    def load(cls: type[S], folder: str | Path) -> S:
        """Read and check a folder; InputError for anything but a sound one.

        The folder must stay as it is while the result is used: rows of images beyond KEPT_BYTES
        are read when they are asked for.
        """
        folder, what = Path(folder), f"{cls.kind} {str(folder)!r}"
        head, tables = cls._read(folder, what)
        try:
            chip = Chip.from_dict(head["chip"])
            populations = _populations(head["populations"], what)
            reason = head["reason"]
            if not isinstance(reason, str | None):
                raise InputError(f"reason of {what} must be a sentence or null, not {reason!r}")
            numbers = sorted({int(key.partition(".")[0].removeprefix(cls.each)) for key in tables})
            if len(numbers) != head[f"{cls.each}s"]:
                raise InputError(
                    f"tables of {what} must be of {head[f'{cls.each}s']} {cls.each}s, "
                    f"not of {len(numbers)}"
                )
            summary = NetworkSummary.from_dict(head["network"], what)
            firsts = _firsts(head["images"], numbers, what)
            budget = Budget(KEPT_BYTES)
            images = {
                n: Image.load(folder / f"{cls.each}{n}", chip, budget)
                for n in dict.fromkeys(firsts)
            }
            shares = {
                n: cls._share(images[first], n, tables)
                for n, first in zip(numbers, firsts, strict=True)
            }
            bundle = cls.of(chip, summary, populations, reason, shares)
            bundle._check(what, tables)
        except InputError:  # of a share: says itself what is wrong
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{what} must be complete, not without {error}") from None
        return bundle

    @classmethod
    def _read(cls, folder: Path, what: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The head and the tables of a folder, neither of them damaged."""
        head_file, tables_file = HEADS[cls.kind], f"{cls.each}s.safetensors"
        try:
            for file in (head_file, tables_file):
                if not os.path.lexists(folder / file):
                    raise InputError(f"{what} is damaged (no {file}): {AGAIN}")
            text, data = (
                read_file(folder / file, f"{cls.kind} file", AGAIN, links=False)
                for file in (head_file, tables_file)
            )
            head = open_seal(text, what)
            tables = load(data)
        except (SafetensorError, KeyError):  # KeyError: a dtype that numpy does not have
            raise InputError(f"{tables_file} of {what} is damaged: {AGAIN}") from None
        if head.get("format") != f"spikeloop {cls.kind}" or head.get("version") != VERSION:
            raise InputError(
                f"{what} must be of version {VERSION}, not {head.get('version')!r}: {AGAIN}"
            )
        if head.get("tables") != hashlib.sha256(data).hexdigest():
            raise InputError(
                f"{tables_file} of {what} must have the SHA-256 of {head_file}, "
                f"not another (damaged): {AGAIN}"
            )
        for name, rows in tables.items():
            if rows.dtype != np.int64:
                raise InputError(f"table {name!r} of {what} must be int64, not {rows.dtype}")
        return head, tables

    @classmethod
    def _share(cls, image: Image, n: int, tables: dict[str, np.ndarray]) -> Share:
        """Share ``n`` of a folder, with its image; takes its tables out of ``tables``.

        KeyError if one is missing.
        """
        name = f"{cls.each}{n}"
        lines = {i.name: tables.pop(f"{name}.lines.{i.name}") for i in image.inputs}
        neurons = {
            p.name: tables.pop(f"{name}.neurons.{p.name}") for p in image.placement.populations
        }
        return Share(image, lines, neurons)

    def _check(self, what: str, left: dict[str, np.ndarray]) -> None:
        """InputError unless lines exist, every neuron lies in one share, and no table is left."""
        sizes = {name: size for name, size, _ in self.populations}
        lines = sizes | {node.name: node.size for node in self.inputs}
        parts: dict[str, list[np.ndarray]] = {name: [np.zeros(0, np.int64)] for name in sizes}
        for share in self.shares.values():
            for node in share.image.inputs:
                rows, most = share.lines[node.name], lines[self.source(node.name)]
                if rows.shape != (node.size,) or rows.min() < 0 or rows.max() >= most:
                    raise InputError(
                        f"lines of {node.name!r} in {what} must be {node.size} of 0..{most - 1}, "
                        "not others"
                    )
            for place in share.image.placement.populations:
                rows = share.neurons[place.name]
                if rows.shape != (place.size,):
                    raise InputError(
                        f"neurons of {place.name!r} in {what} must be {place.size}, not {rows.size}"
                    )
                parts[place.name].append(rows)
        for name, rows_of in parts.items():
            if not np.array_equal(np.sort(np.concatenate(rows_of)), np.arange(sizes[name])):
                raise InputError(
                    f"neurons of {name!r} in {what} must be in one {self.each} each, "
                    f"not otherwise: {AGAIN}"
                )
        if left:
            raise InputError(f"tables of {what} must belong to its {self.each}s, not {min(left)!r}")


def _firsts(values: Any, numbers: list[int], what: str) -> list[int]:
    """The number of the share whose folder has the image, for each of ``numbers``."""
    first = dict(zip(numbers, values, strict=True))
    if any(m not in first or m > n or first[m] != m for n, m in first.items()):
        raise InputError(
            f"images of {what} must be those of the first share that has each, not others: {AGAIN}"
        )
    return list(first.values())


def _populations(values: Any, what: str) -> Nodes:
    """The populations of a head; InputError or TypeError unless each is [name, size, start]."""
    populations = tuple((name, size, start) for name, size, start in values)
    for name, size, start in populations:
        check_int(f"size of population {name!r} of {what}", size, 1, 1 << 24)
        check_int(f"start of population {name!r} of {what}", start, 0, MAX_START)
    return populations
