"""Expected spikes: what somebody else says must come out, for ``spikeloop compare --expected``.

The ``.npz`` file holds ``spikes/POPULATION``, packed uint8 ``[sample, step, ceil(size / 8)]``, of
one or more populations. It may hold ``first``, an int64 number: steps before it are not known and
not compared.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces import npz

__all__ = ["Expected"]

MEMBERS: npz.Members = {"spikes/": np.uint8, "first": np.int64}


@dataclass(frozen=True, eq=False)
class Expected:
    """Spikes that some populations must have.

    spikes:  uint8 ``[sample, step, ceil(size / 8)]`` by population, packed (pysim.common.bits)
    first:   the first step that counts, 0..steps - 1
    """

    spikes: dict[str, np.ndarray]
    first: int = 0

    @property
    def samples(self) -> int:
        """Number of samples."""
        return len(next(iter(self.spikes.values())))

    def take(self, samples: slice) -> "Expected":
        """The expected spikes of some of the samples."""
        return Expected({name: packed[samples] for name, packed in self.spikes.items()}, self.first)

    def check(self, network: Network, samples: int) -> None:
        """InputError unless these are populations of ``network``, with its steps and samples."""
        for name, packed in self.spikes.items():
            want = (samples, network.steps, -(-network.population(name).size // 8))
            if packed.dtype != np.uint8 or packed.shape != want:
                raise InputError(
                    f"expected spikes of population {name!r} must be uint8 of shape {want}, "
                    f"not {packed.dtype} of {packed.shape}"
                )
        if not 0 <= self.first < network.steps:
            raise InputError(
                f"first step of the expected spikes must be in 0..{network.steps - 1}, "
                f"not {self.first}"
            )

    def wrong(self, name: str, size: int, got: np.ndarray) -> np.ndarray:
        """Where packed spikes of a population are not as expected: bool ``[sample, step, size]``.

        got: uint8 ``[sample, step, ceil(size / 8)]``.
        """
        different = unpack(self.spikes[name] ^ got, size).astype(bool)
        different[:, : self.first] = False
        return different

    def save(self, path: Path) -> Path:
        """Write the expected spikes to ``path``, whole or not at all."""
        spikes = {f"spikes/{name}": packed for name, packed in self.spikes.items()}
        return npz.save(path, {"first": np.int64(self.first), **spikes})

    @classmethod
    def load(cls, path: Path) -> "Expected":
        """Inverse of :meth:`save`; InputError for any other file.

        ``first`` is 0 if the file does not say it.
        """
        arrays = npz.load(path, "expected", MEMBERS)
        first, spikes = arrays.pop("first", np.int64(0)), npz.under(arrays, "spikes/")
        if not spikes or first.shape != ():
            raise InputError(
                f"expected file {str(path)!r} must hold arrays spikes/NAME and one number first, "
                f"not {', '.join(spikes) or 'no spikes'} and {first.tolist()}"
            )
        return cls(spikes, int(first))
