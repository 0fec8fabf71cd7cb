"""Tail index of weight changes: an estimate of the Blumenthal-Getoor index of a learning rule.

    1 / alpha = (mean ln |Y| - mean ln |X|) / ln K1      Y: sums of K1 increments X, in order

for an alpha-stable process of independent increments (Mohammadi et al. 2015, the estimator that
Chakraborty & Mukhopadhyay 2021 name). Their paper does not say which increments. Ours, which are
choices: the change of a weight over one image, its normalisation included; the last images of the
training; each synapse a process of its own, its increments in the order of the images; increments
that are 0 left out; K1 increments a block, incomplete blocks left out; one alpha over all synapses.
Blocks never mix synapses, so that increments of one sweep, which share a sign, are not summed.
"""

import math

import numpy as np

from spikeloop.pysim.common.errors import InputError

__all__ = ["BLOCK", "tail_index"]

BLOCK = 10
"""Increments of a block, K1."""
LEAST = 100
"""Blocks below which there is no estimate."""
SLICE = 4096
"""Synapses at once, to bound the memory."""


def tail_index(increments: np.ndarray, block: int = BLOCK, *, pooled: bool = False) -> float:
    """alpha of increments ``[image, ...]``; nan where fewer than 100 blocks are left.

    pooled: all synapses as one process, image after image, instead of each on its own.
    InputError for a block of less than 2.
    """
    if block < 2:
        raise InputError(f"increments of a block must be at least 2, not {block}")
    rows = increments.reshape(len(increments), -1)
    if pooled:
        rows = rows.reshape(-1, 1)
    fine = coarse = 0.0
    count = blocks = 0
    for first in range(0, rows.shape[1], SLICE):
        x = _blocks(rows[:, first : first + SLICE], block)
        y = x.sum(1, dtype=np.float64)
        y = y[y != 0]
        fine += float(np.log(np.abs(x)).sum())
        coarse += float(np.log(np.abs(y)).sum())
        count, blocks = count + x.size, blocks + len(y)
    if blocks < LEAST:
        return math.nan
    return math.log(block) / (coarse / blocks - fine / count)


def _blocks(rows: np.ndarray, block: int) -> np.ndarray:
    """Whole blocks ``[block, increment]`` of each column's increments that are not 0."""
    columns = rows.T
    alive = columns != 0
    order = np.argsort(~alive, axis=1, kind="stable")
    closed = np.take_along_axis(columns, order, 1)
    width = closed.shape[1] // block
    whole = np.arange(width) < (alive.sum(1) // block)[:, None]
    return closed[:, : width * block].reshape(len(closed), width, block)[whole]
