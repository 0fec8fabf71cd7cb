"""The exact sums of the weights of arriving spikes, in torch.

Sums are matrix products. They run in float32 only where the sum of a neuron's |weights| stays below
2^24, and in float64 only where it stays below 2^53. Every partial sum is then an integer that the
format holds, in whatever order, so the product is exact. Otherwise they run in int64.
"""

from math import prod

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import unfold

from spikeloop.pysim.network.elements import Edge

__all__ = ["Synapses"]

PATCHES = 1 << 20  # most numbers in the patches of a convolution at once: what a cache holds


class Synapses:
    """One edge: the exact sums of the weights of arriving spikes."""

    def __init__(self, edge: Edge) -> None:
        self.source, self.delay, self.conv = edge.source, edge.delay, edge.conv
        # all axes but that of the neuron, or of its channel
        axes = tuple(range(1, 4)) if edge.conv else 0
        bound = int(np.abs(edge.weights).sum(axes, np.int64).max())  # weights have few bits
        # A user may have allowed float32 products of lower precision, which do not hold 24 bits.
        if bound < 1 << 24 and torch.get_float32_matmul_precision() == "highest":
            self.dtype = torch.float32
        else:
            self.dtype = torch.float64 if bound < 1 << 53 else torch.int64
        # A kernel is converted for each sum, which costs little beside its patches: a large net
        # does not lie in memory twice.
        weights = torch.from_numpy(edge.weights)
        self.weights = weights if edge.conv else weights.to(self.dtype)

    def sum(self, spikes: Tensor) -> Tensor:
        """S of this edge, int64 ``[sample, target]``, of spikes uint8 ``[sample, source]``."""
        x = spikes.to(self.dtype)
        if self.conv is None:
            return (x @ self.weights).to(torch.int64)
        # Patches times kernels is a product of matrices. A library's convolution might choose a
        # transform that rounds (Winograd).
        conv = self.conv
        maps = x.view(-1, *conv.source)
        kernels = self.weights.to(self.dtype).view(conv.groups, -1, self.weights[0].numel())
        fan_in = kernels.shape[2]
        numbers = len(maps) * fan_in * conv.groups * prod(conv.target[1:])
        sums = []
        for part in maps.tensor_split(max(1, min(len(maps), numbers // PATCHES))):
            patches = unfold(part, conv.kernel, stride=conv.stride, padding=conv.padding)
            patches = patches.view(len(part), conv.groups, fan_in, -1)
            sums.append((kernels @ patches).flatten(1))
        return torch.cat(sums).to(torch.int64)
