"""A network shared out over several cores: which lines and neurons each of them has, its image, and the folder of it all.

    HEAD                    format, version, chip, network (as in an image's manifest), populations,
                            reason, number of shares, SHA-256 of the tables and of itself
    EACHs.safetensors       int64: EACH<n>.lines.<input> and EACH<n>.neurons.<population>, lines and neurons of the whole
    EACH<n>/                the image bundle of share n

A subclass says what the shares do: take turns on one core (pysim.bundle.program, ``part``) or run at once (pysim.bundle.mesh, ``core``).
"""

import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import open_seal, seal, write_folder
from spikeloop.pysim.image.folder import MANIFEST
from spikeloop.pysim.image.image import Bundle, Image
from spikeloop.pysim.network.summary import NetworkSummary

__all__ = ["HEADS", "Nodes", "Share", "Shared"]

S = TypeVar("S", bound="Shared")
Nodes = tuple[tuple[str, int, int], ...]  # (name, size, start) of each population

VERSION = 2
HEADS = {"program": "program.json", "mesh": "mesh.json"}
"""file that says what a folder holds, by kind; an image has none of them"""


@dataclass(frozen=True, eq=False)
class Share:
    """``image`` of the core's own network; ``lines``: of each of its inputs, which lines of the whole it carries, int64 ``[input size]``;
    ``neurons``: of each of its populations, which neurons of the whole one, int64 ``[size]``."""

    image: Image
    lines: dict[str, np.ndarray]
    neurons: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False, repr=False)
class Shared(Bundle):
    """A packed network of several shares.

    ``network`` is what an image's manifest says of it. ``reason``: the sentence that says why one
    core does not hold the network; None if it does, or if the caller chose the shares.
    """

    chip: Chip
    network: NetworkSummary
    populations: Nodes
    reason: str | None

    @property
    @abstractmethod
    def shares(self) -> Mapping[int, Share]:
        """By number, ascending."""

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
        """From its shares by number."""

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
        return {f"{self.each}{n}": image for n, image in self.images.items()}

    def holders(self) -> dict[str, np.ndarray]:
        found = {name: np.zeros(size, np.int64) for name, size, _ in self.populations}
        for n, share in self.shares.items():
            for name, neurons in share.neurons.items():
                found[name][neurons] = n
        return found

    def cores_of(self) -> dict[str, int]:
        count = super().cores_of()
        return {name: count[name] for name, _, _ in self.populations if name in count}

    # -- folder ------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        def fill(new: Path) -> None:
            for name, image in self.folders().items():
                image.save(new / name)
            tables: dict[str, np.ndarray] = {}
            for n, share in self.shares.items():
                tables |= {
                    f"{self.each}{n}.lines.{name}": rows for name, rows in share.lines.items()
                }
                tables |= {
                    f"{self.each}{n}.neurons.{name}": rows for name, rows in share.neurons.items()
                }
            data = save({k: np.ascontiguousarray(v, np.int64) for k, v in tables.items()})
            (new / f"{self.each}s.safetensors").write_bytes(data)
            (new / HEADS[self.kind]).write_bytes(
                seal(
                    {
                        "format": f"spikeloop {self.kind}",
                        "version": VERSION,
                        "chip": self.chip.to_dict(),
                        "network": self.network.to_dict(),
                        "populations": [list(p) for p in self.populations],
                        "reason": self.reason,
                        f"{self.each}s": len(self.shares),
                        "tables": hashlib.sha256(data).hexdigest(),
                    }
                )
            )

        return write_folder(folder, self.kind, (*HEADS.values(), MANIFEST), fill)

    @classmethod
    def load(cls: type[S], folder: str | Path) -> S:
        """Read and check; InputError for anything else than a sound one."""
        folder, what = Path(folder), f"{cls.kind} {str(folder)!r}"
        head_file, tables_file = HEADS[cls.kind], f"{cls.each}s.safetensors"
        try:
            head = open_seal((folder / head_file).read_bytes(), what)
            tables = load(data := (folder / tables_file).read_bytes())
        except OSError as error:
            raise InputError(
                f"{what} must hold {head_file} and {tables_file}, not miss one ({error.strerror})"
            ) from None
        except SafetensorError:
            raise InputError(
                f"{tables_file} of {what} must be a safetensors file, not damaged: map the network again"
            ) from None
        if head.get("format") != f"spikeloop {cls.kind}" or head.get("version") != VERSION:
            raise InputError(
                f"{what} must be of version {VERSION}, not {head.get('version')!r}: map the network again"
            )
        if head.get("tables") != hashlib.sha256(data).hexdigest():
            raise InputError(
                f"{tables_file} of {what} must have the SHA-256 of {head_file}, not another (damaged): map the network again"
            )
        try:
            chip = Chip.from_dict(head["chip"])
            populations = tuple((name, size, start) for name, size, start in head["populations"])
            numbers = sorted({int(key.partition(".")[0].removeprefix(cls.each)) for key in tables})
            if len(numbers) != head[f"{cls.each}s"]:
                raise InputError(
                    f"tables of {what} must be of {head[f'{cls.each}s']} {cls.each}s, not of {len(numbers)}"
                )
            shares = {}
            for n in numbers:
                image = Image.load(folder / f"{cls.each}{n}", chip)
                shares[n] = Share(
                    image,
                    {i.name: tables.pop(f"{cls.each}{n}.lines.{i.name}") for i in image.inputs},
                    {
                        p.name: tables.pop(f"{cls.each}{n}.neurons.{p.name}")
                        for p in image.placement.populations
                    },
                )
            summary = NetworkSummary.from_dict(head["network"], what)
            bundle = cls.of(chip, summary, populations, head["reason"], shares)
            bundle._check(what, tables)
        except InputError:  # of a share: says itself what is wrong
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{what} must be complete, not without {error}") from None
        return bundle

    def _check(self, what: str, left: dict[str, np.ndarray]) -> None:
        """Lines and neurons exist, every neuron once."""
        sizes = {name: size for name, size, _ in self.populations}
        lines = sizes | {node.name: node.size for node in self.inputs}
        held: dict[str, list[np.ndarray]] = {name: [] for name in sizes}
        for share in self.shares.values():
            for node in share.image.inputs:
                rows, most = share.lines[node.name], lines[self.source(node.name)]
                if rows.shape != (node.size,) or rows.min() < 0 or rows.max() >= most:
                    raise InputError(
                        f"lines of {node.name!r} in {what} must be {node.size} of 0..{most - 1}, not others"
                    )
            for held_here in share.image.placement.populations:
                rows = share.neurons[held_here.name]
                if rows.shape != (held_here.size,):
                    raise InputError(
                        f"neurons of {held_here.name!r} in {what} must be {held_here.size}, not {rows.size}"
                    )
                held[held_here.name].append(rows)
        for name, some in held.items():
            if not np.array_equal(
                np.sort(np.concatenate([*some, np.zeros(0, np.int64)])), np.arange(sizes[name])
            ):
                raise InputError(
                    f"neurons of {name!r} in {what} must be in one {self.each} each, not otherwise: map the network again"
                )
        if left:
            raise InputError(f"tables of {what} must belong to its {self.each}s, not {min(left)!r}")
