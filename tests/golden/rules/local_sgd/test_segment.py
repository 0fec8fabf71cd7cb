"""The small U-Net: its images, its score, and local blocks behind long connections.

About 2 CPU-seconds.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.rules.local_sgd.net import LocalNet
from spikeloop.golden.rules.local_sgd.segment import UNET, dice, small, train_unet
from spikeloop.golden.rules.local_sgd.train import LocalConfig
from spikeloop.pysim.common.errors import InputError


@pytest.fixture(scope="module")
def data() -> Dataset:
    whole = load_mnist()
    return replace(whole, test_images=whole.test_images[:200], test_labels=whole.test_labels[:200])


def test_images_are_means_of_the_inner_pixels():
    image = np.arange(784, dtype=np.int64).reshape(28, 28) % 251
    mean = small(image.reshape(1, -1).astype(np.uint8))
    assert mean.shape == (1, 1, 12, 12) and mean.dtype == np.float32
    assert mean[0, 0, 3, 5] == pytest.approx(image[8:10, 12:14].mean() / 255)
    with pytest.raises(InputError, match=r"side of 12, 20, 28, .* not of 49 pixels"):
        small(np.zeros((1, 49), np.uint8))


class _Constant(nn.Module):
    """Finds ink where its map is above 0."""

    def __init__(self, found: Tensor) -> None:
        super().__init__()
        self.found = found

    def forward(self, x: Tensor) -> Tensor:
        return self.found


def test_the_score_is_the_dice_coefficient(data: Dataset):
    ink = torch.from_numpy(small(data.test_images) > 0.5)
    count = int(ink.sum())
    assert dice(_Constant(ink.float()), data) == 1
    assert dice(_Constant(ink.float() * 0), data) == 0
    everywhere = 2 * count / (count + ink.numel())
    assert dice(_Constant(torch.ones(ink.shape)), data) == pytest.approx(everywhere)


def test_it_learns_with_blocks_behind_the_long_connections_local(data: Dataset):
    config = LocalConfig(epochs=5, part=1000, batch=20, lr=0.1, c1=0.95, c2=0.2)
    net, history = train_unet(config, data, progress=False)
    assert [epoch["local"] for epoch in history] == [0, 0, 4, 6, 6]  # block 5 adds the map of 2
    assert isinstance(net, LocalNet) and net.blocks == UNET
    assert dice(net, data) > 0.5  # a threshold finds 0.4 at best; everywhere is 0.3
