"""The random words of dendritic neurons (docs/dendritic.md): xorshift of 32 and of 64 bits.

Words m + 1 .. 2m of a generator are words 1 .. m advanced by m steps, and m steps are a linear map
of its bits. So the words of a whole show are found by doubling. The generators are those of
Marsaglia 2003.
"""

import torch
from torch import Tensor

__all__ = ["words32", "words64"]

SHIFTS = {32: (13, 17, 5), 64: (13, 7, 17)}


def words64(start: int, count: int) -> Tensor:
    """The first ``count`` words behind ``start``: int64 ``[count]``, two's complement."""
    return _words(torch.tensor([_signed(start)]), count, 64)[0]


def words32(start: Tensor, count: int) -> Tensor:
    """The first ``count`` words behind each of ``start``: int64 ``[count, generator]``."""
    return _words(start, count, 32).T.contiguous()


def _words(start: Tensor, count: int, bits: int) -> Tensor:
    step = torch.tensor([_signed(_next(1 << bit, bits)) for bit in range(bits)])
    words = _advance(step, start[:, None])
    while words.shape[1] < count:
        words = torch.cat([words, _advance(step, words)], 1)
        step = _advance(step, step)
    return words[:, :count]


def _next(word: int, bits: int) -> int:
    left, right, again = SHIFTS[bits]
    mask = (1 << bits) - 1
    word ^= word << left & mask
    word ^= word >> right
    return word ^ word << again & mask


def _advance(images: Tensor, words: Tensor) -> Tensor:
    """The linear map that takes bit b to ``images[b]``, applied to all words, byte by byte."""
    result = torch.zeros_like(words)
    for at in range(0, len(images), 8):
        table = torch.zeros(1, dtype=torch.int64)
        for image in images[at : at + 8]:
            table = torch.cat([table, table ^ image])
        result ^= table[words >> at & 255]
    return result


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word
