"""PIM layers as torch modules.

The forward pass is the macro's own integer arithmetic; the backward pass is that of the ideal
layer. So training sees what the macro does.

    forward:  y = 2^shift * current / scale
              weights round(scale * w),  scale = (2^(weight_bits-1) - 1) / max|w|
    backward: of sum over k of x_k * w_k, straight through rounding, converter, stuck cells, noise

Source: ACE-SNN (Datta et al. 2022), section 4: symmetric weights, one scale per layer, no bias.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeloop.golden.reference.pim import calibrate, run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.layer import PimLayer, PimParams
from spikeloop.pysim.pim.window import PimWindow

__all__ = ["PimConv2d", "PimConv3d", "PimLinear", "scale"]


def scale(w: Tensor, bits: int) -> float:
    """Integer units per unit of weight, for weights of ``bits`` bits."""
    return ((1 << bits - 1) - 1) / max(float(w.detach().abs().max()), 1e-12)


class _PimModule(nn.Module):
    """A layer with ``weight``, float ``[channels, source channels, *kernel]``.

    tables: tables and settings of :meth:`PimLayer.make`.

    In training every image has a noise stream of its own, numbered in order. In evaluation all
    images have stream 0, so that results repeat.

    The macro's arithmetic is computed on the CPU, wherever the layer is.
    """

    def __init__(self, params: PimParams, window: PimWindow, channels: int, **tables: Any) -> None:
        super().__init__()
        self.params, self.window, self.tables, self.images = params, window, tables, 0
        self.weight = nn.Parameter(torch.empty(channels, window.source[0], *window.kernel))
        nn.init.kaiming_uniform_(self.weight.view(channels, -1), a=5**0.5)
        self.layer()  # refuses a bad table now

    @property
    def scale(self) -> float:
        """Integer units per unit of weight."""
        return scale(self.weight, self.params.weight_bits)

    def layer(self) -> PimLayer:
        """The layer as it is loaded into the macro."""
        weights = torch.round(self.weight.detach().cpu().double() * self.scale).long().numpy()
        return PimLayer.make(self.params, self.window, weights, **self.tables)

    def calibrate(self, images: np.ndarray, percentile: float = 100.0) -> tuple[int, int]:
        """Set range shift and discharge clip from a sample of the training set; return both.

        See :func:`golden.reference.pim.calibrate`.
        """
        with torch.device("cpu"):
            found = calibrate(self.layer(), images, percentile)
        self.tables["shift"], self.tables["limit"] = found
        return self.tables["shift"], self.tables["limit"]

    def forward(self, x: Tensor) -> Tensor:
        """Sums in units of pixel * weight, float32 ``[sample, channels, *target]``.

        x: pixels, whole numbers ``[sample, *source]``. InputError for fractions.
        """
        pixels = x.detach().cpu().numpy()
        if not np.array_equal(pixels, np.rint(pixels)):
            raise InputError(
                "pixels of a PIM layer must be whole numbers, not fractions: scale them to "
                "0..2^pixel_bits - 1"
            )
        streams = self.images + np.arange(len(x)) if self.training else None
        if self.training:
            self.images += len(x)
        layer = self.layer()
        with torch.device("cpu"):
            currents = run(layer, pixels.astype(np.int64), streams, codes=False).currents
        actual = (
            torch.from_numpy(currents * (2.0**layer.shift / self.scale))
            .float()
            .view(len(x), len(self.weight), *self.window.target)
        )
        ideal = self._ideal(x.float())
        return ideal + (actual.to(ideal) - ideal).detach()

    def _ideal(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class PimLinear(_PimModule):
    """A fully connected layer of ``features`` pixels."""

    def __init__(self, params: PimParams, features: int, channels: int, **tables: Any) -> None:
        super().__init__(params, PimWindow.make((features,)), channels, **tables)

    def _ideal(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)


class PimConv2d(_PimModule):
    """A convolution of images (channels, height, width)."""

    def __init__(
        self,
        params: PimParams,
        source: tuple[int, int, int],
        channels: int,
        kernel: tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        **tables: Any,
    ) -> None:
        super().__init__(
            params,
            PimWindow.make(source, kernel, stride=stride, padding=padding),
            channels,
            **tables,
        )

    def _ideal(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, stride=self.window.stride, padding=self.window.padding)


class PimConv3d(_PimModule):
    """A convolution of cubes (channels, depth, height, width), such as hyperspectral patches."""

    def __init__(
        self,
        params: PimParams,
        source: tuple[int, int, int, int],
        channels: int,
        kernel: tuple[int, int, int],
        *,
        stride: int | tuple[int, int, int] = 1,
        padding: int | tuple[int, int, int] = 0,
        **tables: Any,
    ) -> None:
        super().__init__(
            params,
            PimWindow.make(source, kernel, stride=stride, padding=padding),
            channels,
            **tables,
        )

    def _ideal(self, x: Tensor) -> Tensor:
        return F.conv3d(x, self.weight, stride=self.window.stride, padding=self.window.padding)
