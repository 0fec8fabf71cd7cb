"""Bits and the integers they stand for: the one packing of spikes and memory rows, and the strengths of bit planes.

Packed bits are little-endian along the last axis: bit i of byte j is bit 8 j + i.
"""

import numpy as np

__all__ = ["integers", "pack", "planes", "strengths", "unpack"]


def pack(bits: np.ndarray) -> np.ndarray:
    """Binary ``[..., n]`` to packed uint8 ``[..., ceil(n / 8)]``; the padding bits are 0."""
    return np.packbits(np.asarray(bits, dtype=np.uint8), axis=-1, bitorder="little")


def unpack(packed: np.ndarray, size: int) -> np.ndarray:
    """Inverse of :func:`pack`: the first ``size`` bits as uint8 0/1 ``[..., size]``."""
    return np.unpackbits(packed, axis=-1, count=size, bitorder="little")


def strengths(bits: int, signed: bool = False) -> np.ndarray:
    """What each bit of a number is worth: int64 ``[bits]``, 2^i; of two's complement the last is negative."""
    worth = np.int64(1) << np.arange(bits, dtype=np.int64)
    if signed:
        worth[-1] = -worth[-1]
    return worth


def planes(numbers: np.ndarray, bits: int) -> np.ndarray:
    """The ``bits`` low bits of integers ``[...]``, least significant first: uint8 0/1 ``[..., bits]``."""
    return (np.asarray(numbers, np.int64)[..., None] >> np.arange(bits) & 1).astype(np.uint8)


def integers(bits: np.ndarray, signed: bool = False) -> np.ndarray:
    """Inverse of :func:`planes`: the int64 numbers ``[...]`` of bits 0/1 ``[..., bits]``; two's complement if ``signed``."""
    return bits @ strengths(bits.shape[-1], signed)
