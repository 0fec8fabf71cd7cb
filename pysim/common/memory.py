"""A memory that a macro's load port reaches: what RTL and host know of it."""

from dataclasses import dataclass

__all__ = ["CHUNK_BITS", "LoadMemory"]

CHUNK_BITS = 32
"""Bits of data in one access of a load port."""


@dataclass(frozen=True)
class LoadMemory:
    """A memory of ``rows`` words of ``width`` bits, written in chunks of ``chunk`` bits."""

    name: str
    rows: int
    width: int
    chunk: int = CHUNK_BITS

    @property
    def chunks(self) -> int:
        """Chunks of a word."""
        return -(-self.width // self.chunk)
