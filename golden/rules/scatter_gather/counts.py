"""Counts of the quantised ANN as spikes of the spiking net, and back."""

import numpy as np
import torch
from torch import Tensor

from spikeloop.pysim.common.errors import InputError

__all__ = ["gather", "quantise", "scatter", "silence"]


def quantise(r: Tensor, k: int, bound: int) -> np.ndarray:
    """2^k y = clip(round(r 2^k), 0, B 2^k), halves up (Eq 6): the number of spikes, uint8."""
    return torch.floor(r * (1 << k) + 0.5).clamp(0, bound << k).to(torch.uint8).numpy()


def scatter(counts: np.ndarray, copies: int) -> np.ndarray:
    """Spikes uint8 0/1 ``[n, 1, lines]`` of counts ``[n, channels, height, width]``.

    The first ``count`` of the ``copies`` neurons of a group fire.
    """
    fires = counts[:, :, None] > np.arange(copies)[:, None, None]
    return fires.astype(np.uint8).reshape(len(counts), 1, -1)


def gather(spikes: np.ndarray, copies: int, target: tuple[int, int, int]) -> np.ndarray:
    """Counts int64 ``[n, channels, height, width]`` of spikes ``[n, 1, lines]``.

    target: the map of the ANN.
    """
    return spikes.reshape(len(spikes), target[0], copies, *target[1:]).sum(2, dtype=np.int64)


def silence(spikes: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """The noise of the paper's Table 4: ``share`` of the lines never spikes.

    These lines, drawn with ``seed``, are the same for all samples.
    """
    if not 0 <= share <= 1:
        raise InputError(f"share of silent lines must be in 0..1, not {share}")
    count = round(share * spikes.shape[-1])
    silent = np.random.default_rng(seed).permutation(spikes.shape[-1])[:count]
    noisy = spikes.copy()
    noisy[..., silent] = 0
    return noisy
