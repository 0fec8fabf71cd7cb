"""Bits, packed as spikes and memory rows are, and the integers that bit planes stand for.

Packed bits are little-endian along the last axis: bit i of byte j is bit 8 j + i.
"""

import numpy as np

__all__ = ["integers", "pack", "strengths", "to_words", "unpack"]


def pack(bits: np.ndarray) -> np.ndarray:
    """Binary ``[..., n]`` to packed uint8 ``[..., ceil(n / 8)]``; the padding bits are 0."""
    bits = np.asarray(bits, dtype=np.uint8)
    if bits.shape[-1] % 8:
        return np.packbits(bits, axis=-1, bitorder="little")
    packed = np.packbits(bits, bitorder="little")  # no padding: all at once is much faster
    return packed.reshape(*bits.shape[:-1], bits.shape[-1] // 8)


def unpack(packed: np.ndarray, size: int) -> np.ndarray:
    """Inverse of :func:`pack`: the first ``size`` bits as uint8 0/1 ``[..., size]``."""
    return np.unpackbits(packed, axis=-1, count=size, bitorder="little")


def to_words(packed: np.ndarray, size: int) -> np.ndarray:
    """Packed rows uint8 ``[rows, bytes]`` of ``size`` bits as uint32 ``[rows, ceil(size / 32)]``.

    The least significant word comes first; the padding bits are 0.
    """
    padded = np.zeros((len(packed), 4 * -(-size // 32)), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded.view("<u4")


def strengths(bits: int, signed: bool = False) -> np.ndarray:
    """What each bit of a number is worth: int64 ``[bits]``, 2^i.

    Of two's complement the last is negative.
    """
    worth = np.int64(1) << np.arange(bits, dtype=np.int64)
    if signed:
        worth[-1] = -worth[-1]
    return worth


def integers(bits: np.ndarray, signed: bool = False) -> np.ndarray:
    """The int64 numbers ``[...]`` of bits 0/1 ``[..., bits]``, least significant first.

    Two's complement if ``signed``.
    """
    return np.einsum("...b,b->...", bits, strengths(bits.shape[-1], signed))
