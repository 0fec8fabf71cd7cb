"""The net of LoCal+SGD (Krithivasan et al. 2022): blocks that learn by gradients or locally.

A block is a convolution, a batch norm and a clipped ReLU. A block may add the map of an earlier
one, J, as the shortcuts of a ResNet and the long connections of a U-Net do (section 3.7):

    s = W * a_before,   n = batch_norm(s),   a = clip(n + a_J, 0, c)

The first ``local`` blocks learn without gradients, right after their forward pass (Eqs 1, 3, 4):

    dW = sum over images and places of (s + a_J) (x) a_before
    W <- W + rate dW / ||dW||

||dW|| is the Frobenius norm of the whole array. The rate carries the sign of the weak supervision
(schedule.py). The paper takes "the pre-activation-function values z". It does not say whether that
is before or after the batch norm; ``normed`` takes n for s. Its Figure 1, which holds the equations
themselves, is lost in the text we have; these follow from its sections 2.1, 2.3 and 3.7.

Gradients end at the first block that is not local. Its input needs no error, so it costs two
products of matrices, as the first block of any training does. Batch norms of local blocks keep
their gain and offset, and go on with the statistics: the weights in front of them move.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.grad import conv2d_weight

from spikeloop.pysim.common.errors import InputError

__all__ = ["Block", "LocalNet", "hebbian", "saved_bytes"]

TINY = 1e-12  # a layer whose update is 0 stays as it is


@dataclass(frozen=True, kw_only=True)
class Block:
    """A convolution whose map is as large as its input divided by ``stride``, rounded up.

    skip: number of the earlier block whose map is added, of the same shape.
    up:   every pixel of the input is first doubled along both axes.
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    skip: int | None = None
    up: bool = False


class LocalNet(nn.Module):
    """Blocks and a last convolution, which is never local.

    source: channels, height and width of the images.
    last:   channels and kernel of the last convolution, without padding and with a bias.
    clip:   limit of the ReLU.
    macs:   multiply-accumulates an image of each block, then of the last convolution.

    InputError for a skip between maps of different shapes.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        source: tuple[int, int, int],
        last: tuple[int, int],
        clip: float,
    ) -> None:
        super().__init__()
        self.blocks, self.clip = tuple(blocks), clip
        shapes, macs, convs = list[tuple[int, int, int]](), list[int](), list[nn.Conv2d]()
        for i, b in enumerate(self.blocks):
            channels, height, width = source
            if b.up:
                height, width = 2 * height, 2 * width
            conv = nn.Conv2d(channels, b.channels, b.kernel, b.stride, b.kernel // 2, bias=False)
            source = b.channels, -(-height // b.stride), -(-width // b.stride)
            if b.skip is not None and (b.skip >= i or shapes[b.skip] != source):
                raise InputError(
                    f"skip of block {i} must come from an earlier map of shape {source}, not from "
                    f"block {b.skip}"
                )
            convs.append(conv)
            shapes.append(source)
            macs.append(conv.weight.numel() * source[1] * source[2])
        classes, kernel = last
        self.convs: Sequence[nn.Conv2d] = nn.ModuleList(convs)  # type: ignore[assignment]
        self.norms: Sequence[nn.BatchNorm2d] = nn.ModuleList(  # type: ignore[assignment]
            [nn.BatchNorm2d(b.channels) for b in self.blocks]
        )
        self.last = nn.Conv2d(source[0], classes, kernel)
        places = math.prod(size - kernel + 1 for size in source[1:])
        self.macs = (*macs, self.last.weight.numel() * places)
        self.shapes = tuple(shapes)

    def forward(self, x: Tensor, local: int = 0, rate: float = 0.0, normed: bool = False) -> Tensor:
        """Sums ``[B, classes, height, width]`` of images ``[B, channels, height, width]``.

        local: number of blocks, from the first one, that pass no gradient.
        rate:  of their own updates; 0: they are frozen.
        """
        maps: list[Tensor] = []
        for i in range(len(self.blocks)):
            with torch.set_grad_enabled(torch.is_grad_enabled() and i >= local):
                x = self._block(i, x, maps, rate if i < local else 0.0, normed)
            maps.append(x)
        out: Tensor = self.last(x)
        return out

    def _block(self, i: int, a: Tensor, maps: list[Tensor], rate: float, normed: bool) -> Tensor:
        block, conv = self.blocks[i], self.convs[i]
        if block.up:
            a = F.interpolate(a, scale_factor=2)
        s = conv(a)
        n: Tensor = self.norms[i](s)
        added = 0.0 if block.skip is None else maps[block.skip]
        if rate:
            z = (n if normed else s) + added
            conv.weight.add_(hebbian(conv, a, z), alpha=rate)
        return (n + added).clamp(0, self.clip)

    def work(self, local: int, learns: bool) -> int:
        """Multiply-accumulates of a training step, an image.

        learns: local blocks update their weights, which is a product more.
        A block that learns by gradients makes three products (forward, error, weights), the first
        of them two.
        """
        first = [2 if learns else 1] * local + [2]
        factors = first + [3] * (len(self.macs) - len(first))
        return sum(m * factor for m, factor in zip(self.macs, factors, strict=True))


def hebbian(conv: nn.Conv2d, a: Tensor, z: Tensor) -> Tensor:
    """The update of ``conv`` for inputs ``a`` and outputs ``z``, of norm 1 (Eqs 3 and 4)."""
    shape = list(conv.weight.shape)
    update = conv2d_weight(a, shape, z, conv.stride, conv.padding)
    return update / update.norm().clamp(min=TINY)


class saved_bytes(torch.autograd.graph.saved_tensors_hooks):
    """Counts, as ``total``, the bytes that autograd keeps for the backward pass inside the block.

    Only tensors that have a part for each of ``batch`` images count, each once.
    """

    def __init__(self, batch: int) -> None:
        self.total, seen = 0, set[int]()

        def pack(tensor: Tensor) -> Tensor:
            if tensor.ndim and tensor.shape[0] == batch and tensor.data_ptr() not in seen:
                seen.add(tensor.data_ptr())
                self.total += tensor.numel() * tensor.element_size()
            return tensor

        super().__init__(pack, lambda tensor: tensor)
