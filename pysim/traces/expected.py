"""Expected spikes: what somebody else says must come out, for ``spikeloop compare --expected``.

File: ``.npz`` with ``spikes/POPULATION``, packed uint8 ``[sample, step, ceil(size / 8)]``, of one or more populations, and ``first``,
an int64 number: steps before it are not known and not compared.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.trace import save_arrays, unpack

__all__ = ["Expected"]

MAX_BYTES = 1 << 30


@dataclass(frozen=True, eq=False)
class Expected:
    """``spikes``: packed uint8 ``[sample, step, ceil(size / 8)]`` by population; steps ``first`` and later count."""

    spikes: dict[str, np.ndarray]
    first: int = 0

    @property
    def samples(self) -> int:
        return next(iter(self.spikes.values())).shape[0]

    def take(self, samples: slice) -> "Expected":
        return Expected({name: packed[samples] for name, packed in self.spikes.items()}, self.first)

    def check(self, network: Network, samples: int) -> None:
        """InputError unless all populations are of the network, of its steps, and there are as many samples."""
        for name, packed in self.spikes.items():
            want = (samples, network.steps, -(-network.population(name).size // 8))
            if packed.dtype != np.uint8 or packed.shape != want:
                raise InputError(
                    f"expected spikes of population {name!r} must be uint8 of shape {want}, "
                    f"not {packed.dtype} of {packed.shape}"
                )
        if not 0 <= self.first < network.steps:
            raise InputError(
                f"first step of the expected spikes must be in 0..{network.steps - 1}, not {self.first}"
            )

    def wrong(self, name: str, size: int, got: np.ndarray) -> np.ndarray:
        """Where packed spikes of a population differ from the expected ones: bool ``[sample, step, size]``."""
        different = unpack(self.spikes[name] ^ got, size).astype(bool)
        different[:, : self.first] = False
        return different

    def save(self, path: Path) -> Path:
        return save_arrays(
            path,
            {"first": np.int64(self.first), **{f"spikes/{k}": v for k, v in self.spikes.items()}},
        )

    @classmethod
    def load(cls, path: Path) -> "Expected":
        what = f"file of expected spikes {str(path)!r}"
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                    raise InputError(f"{what} must unpack to at most {MAX_BYTES:,} bytes, not more")
            with np.load(path, allow_pickle=False) as file:
                arrays = {key: file[key] for key in file.files}
        except FileNotFoundError:
            raise InputError(f"{what} must be there, not missing") from None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            raise InputError(
                f"{what} must be an .npz archive without pickles, not this one"
            ) from None
        first = arrays.pop("first", np.int64(0))
        spikes = {
            key.removeprefix("spikes/"): value
            for key, value in arrays.items()
            if key.startswith("spikes/")
        }
        if not spikes or len(spikes) != len(arrays) or first.shape != () or first.dtype.kind != "i":
            raise InputError(
                f"{what} must hold arrays spikes/<population> and a number first, not {', '.join(arrays) or 'none'}"
            )
        return cls(spikes, int(first))
