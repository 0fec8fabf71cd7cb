"""The images of a walk: an input of stages, read when the first of them needs it."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spikeloop.golden.data.datasets import Dataset, load_mnist, mnist_files

__all__ = ["Images"]


@dataclass(frozen=True)
class Images:
    """The MNIST files in ``folder``; None: the embedded images."""

    folder: Path | None

    def files(self) -> list[Path]:
        return mnist_files(self.folder)

    def load(self) -> Dataset:
        """The data set. InputError if its files are missing or damaged."""
        return _load(self.folder)


@lru_cache(maxsize=1)
def _load(folder: Path | None) -> Dataset:
    return load_mnist(folder)
