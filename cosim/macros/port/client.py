"""A Verilated macro behind its load port, as a harness of cosim/macros gives it to Python."""

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.pysim.common.memory import LoadMemory

__all__ = ["LoadPort", "harness_of"]

HERE = Path(__file__).parent


def harness_of(name: str) -> str:
    """The text of cosim/macros/``name``, with the headers of this folder in place."""
    text = (HERE.parent / name).read_text()
    for header in ("bits.h", "clocked.h", "load.h"):
        text = text.replace(f'#include "port/{header}"\n', (HERE / header).read_text())
    return text


class LoadPort:
    """One model of a compiled macro. Close it, or it stays until the process ends.

    library:  the shared library; its functions are ``prefix``_new, _free, _load, _read, _counters.
    memories: what the load port reaches, in its order.
    names:    of the macro's counters, in the order of _counters.
    """

    def __init__(
        self, library: Path, prefix: str, memories: Sequence[LoadMemory], names: Sequence[str]
    ) -> None:
        self._lib, self._prefix = ctypes.CDLL(str(library)), prefix
        self._memories, self._names = list(memories), tuple(names)
        self.function("new").restype = ctypes.c_void_p
        self._handle = ctypes.c_void_p(self.function("new")())

    def function(self, name: str) -> Any:
        """The library's function ``prefix``_``name``, of ctypes."""
        return getattr(self._lib, f"{self._prefix}_{name}")

    def read(self, name: str) -> np.ndarray:
        """A memory through the load port: uint32 ``[row, chunk]``."""
        at = [memory.name for memory in self._memories].index(name)
        memory = self._memories[at]
        row, index = np.indices((memory.rows, memory.chunks)).reshape(2, -1)
        number = np.full(row.shape, at)
        asked = np.ascontiguousarray(np.stack([number, row, index, row], -1), np.uint32)
        pointer = asked.ctypes.data_as(ctypes.c_void_p)
        self.function("read")(self._handle, pointer, ctypes.c_int64(len(asked)))
        return asked[:, 3].reshape(memory.rows, memory.chunks)

    def write_chunks(self, chunks: np.ndarray) -> None:
        """Chunks through the load port: ``[chunk, 4]``, memory, row, index and data."""
        chunks = np.ascontiguousarray(chunks, np.uint32)
        pointer = chunks.ctypes.data_as(ctypes.c_void_p)
        self.function("load")(self._handle, pointer, ctypes.c_int64(len(chunks)))

    def counters(self) -> dict[str, int]:
        """The macro's counters since the model was made."""
        values = np.zeros(len(self._names), np.uint64)
        self.function("counters")(self._handle, values.ctypes.data_as(ctypes.c_void_p))
        return dict(zip(self._names, values.tolist(), strict=True))

    def close(self) -> None:
        """Give the model back. Closing twice is harmless."""
        if self._handle:
            self.function("free")(self._handle)
            self._handle = ctypes.c_void_p()
