"""A small U-Net of LoCal+SGD (section 3.7): which pixels of a noisy digit are ink.

    8C3 - 16C3s2 - 16C3 - 32C3s2 - 32C3 - up [16C3 + map of the third] - up [8C3 + map of the first]
    - 1C1;   12 x 12 -> 6 x 6 -> 3 x 3 -> 6 x 6 -> 12 x 12

The two long connections of the U-Net add maps. Local updates of a block behind one see the sum, as
the paper says. It scores U-Net by the Dice coefficient on images of cells, which we do not have: a
digit is its inner 24 x 24 pixels, the mean of each 2 x 2, plus normal noise. Ink is where a mean is
above a half. Noise is drawn anew in every update, and once for the test images.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.rules.local_sgd.net import Block, LocalNet
from spikeloop.golden.rules.local_sgd.train import LocalConfig, fit_local
from spikeloop.pysim.common.errors import InputError

__all__ = ["UNET", "dice", "small", "train_unet"]

UNET = (
    Block(channels=8),
    Block(channels=16, stride=2),
    Block(channels=16),
    Block(channels=32, stride=2),
    Block(channels=32),
    Block(channels=16, up=True, skip=2),
    Block(channels=8, up=True, skip=0),
)
EDGE = 2  # pixels of a digit's side that are cut off
NOISE = 0.3  # standard deviation; ink is 1


def small(images: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels, float32 in 0..1 ``[n, 1, 12, 12]``, of digits uint8 ``[n, 784]``.

    Other square images are cut and halved alike. InputError unless a side is then 4, 8, 12, ...
    """
    side = math.isqrt(images.shape[1])
    half = side // 2 - EDGE
    if side**2 != images.shape[1] or side % 2 or half < 4 or half % 4:
        raise InputError(
            f"images of the U-Net must be square with a side of 12, 20, 28, ... pixels, not of "
            f"{images.shape[1]} pixels"
        )
    inner = images.reshape(-1, side, side)[:, EDGE : side - EDGE, EDGE : side - EDGE]
    means = inner.reshape(-1, half, 2, half, 2).mean((2, 4)) / 255
    return means[:, None].astype(np.float32)


def train_unet(
    config: LocalConfig, data: Dataset, *, checkpoint: Path | None = None, progress: bool = True
) -> tuple[LocalNet, list[dict[str, Any]]]:
    """The trained U-Net in evaluation mode, and its epochs as of ``train_net``.

    Images are not moved, so ``shift`` of the configuration does not count.
    """
    clean = small(data.train_images)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = LocalNet(UNET, clean.shape[1:], (1, 1), config.clip)

    def loss(chosen: np.ndarray, rng: np.random.Generator, **local: Any) -> Tensor:
        x, ink = _noisy(clean[chosen], rng)
        return F.binary_cross_entropy_with_logits(net(x, **local), ink.float())

    history = fit_local(
        net,
        config,
        loss,
        len(clean),
        source=f"{data.source}, ink",
        checkpoint=checkpoint,
        progress=progress,
    )
    return net.eval(), history


@torch.inference_mode()
def dice(net: LocalNet, data: Dataset, batch: int = 500) -> float:
    """Dice coefficient over all pixels of the test images: 2 |A and B| / (|A| + |B|), 0..1.

    A is the ink, B where the net finds ink.
    """
    clean, rng = small(data.test_images), np.random.default_rng(0)
    both = either = 0
    for at in range(0, len(clean), batch):
        x, ink = _noisy(clean[at : at + batch], rng)
        found = net(x) > 0
        both += int((found & ink).sum())
        either += int(found.sum()) + int(ink.sum())
    return 2 * both / max(either, 1)


def _noisy(clean: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Noisy images, and where their ink is (bool), of the same shape."""
    noise = rng.standard_normal(clean.shape, np.float32)
    return torch.as_tensor(clean + np.float32(NOISE) * noise), torch.as_tensor(clean > 0.5)
