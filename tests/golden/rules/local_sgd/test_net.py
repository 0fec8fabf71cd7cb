"""LoCal+SGD's block by block: local updates written out, gradients that stop, work and bytes
counted by torch itself. About 2 CPU-seconds."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from spikeloop.golden.rules.local_sgd.net import Block, LocalNet, hebbian, saved_bytes
from spikeloop.pysim.common.errors import InputError

BLOCKS = (
    Block(channels=3, kernel=5, stride=2),
    Block(channels=4),
    Block(channels=2, stride=2),
    Block(channels=4, up=True, skip=1),
    Block(channels=4, skip=3),
)
RATE = 0.01


def small() -> LocalNet:
    torch.manual_seed(0)
    return LocalNet(BLOCKS, (1, 12, 12), (2, 6), clip=2.0)


def images(count: int = 5) -> Tensor:
    return torch.rand(count, 1, 12, 12, generator=torch.Generator().manual_seed(1))


def written_out(conv: nn.Conv2d, a: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Eq 3 as a sum over images, places and synapses."""
    (pad, _), (step, _) = conv.padding, conv.stride
    a = np.pad(a, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    update = np.zeros(tuple(conv.weight.shape))
    for image, row, column in np.ndindex(z.shape[0], *z.shape[2:]):
        seen = a[image, :, row * step :, column * step :][:, : conv.kernel_size[0]]
        seen = seen[:, :, : conv.kernel_size[1]]
        update += z[image, :, row, column][:, None, None, None] * seen
    return update / np.sqrt((update**2).sum())


@pytest.mark.parametrize("normed", [False, True])
def test_local_blocks_move_by_the_rate_along_the_written_out_sum(normed: bool):
    net, x = small(), images()
    before = copy.deepcopy(net).double()
    net = net.double()
    net(x.double(), local=5, rate=RATE, normed=normed)
    maps = [x.double()]
    for i, block in enumerate(BLOCKS):
        conv, norm = before.convs[i], before.norms[i]
        a = maps[-1].repeat_interleave(2, 2).repeat_interleave(2, 3) if block.up else maps[-1]
        with torch.no_grad():
            s = conv(a)
            n = norm(s)
            added = maps[block.skip + 1] if block.skip is not None else torch.zeros_like(s)
            maps.append((n + added).clamp(0, 2.0))
            wanted = written_out(conv, a.numpy(), ((n if normed else s) + added).numpy())
            moved = (net.convs[i].weight - conv.weight).numpy() / RATE
        assert np.abs(moved - wanted).max() < 1e-9, i
        assert abs(np.sqrt((moved**2).sum()) - 1) < 1e-9
        # batch norm: gain and offset stay, statistics go on
        assert torch.equal(net.norms[i].weight, norm.weight)
        assert torch.equal(net.norms[i].running_mean, norm.running_mean)
        assert not torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean))
    assert torch.equal(net.last.weight, before.last.weight)


def test_a_layer_of_one_place_is_fully_connected():
    conv = nn.Conv2d(2, 3, 4, bias=False)
    a, z = torch.randn(6, 2, 4, 4), torch.randn(6, 3, 1, 1)
    wanted = z.flatten(1).T @ a.flatten(1)
    assert torch.allclose(hebbian(conv, a, z).flatten(1), wanted / wanted.norm(), atol=1e-6)
    assert not hebbian(conv, a, torch.zeros_like(z)).any()


@pytest.mark.parametrize("local", [0, 2, 5])
def test_gradients_end_at_the_first_block_that_is_not_local(local: int):
    """They are those of the same blocks behind a constant input."""
    net, x = small(), images()
    plain = copy.deepcopy(net)
    net(x, local=local).square().sum().backward()
    kept = list[Tensor]()
    a = x
    for i, block in enumerate(BLOCKS):
        if block.up:
            a = nn.functional.interpolate(a, scale_factor=2)
        a = plain.norms[i](plain.convs[i](a))
        a = (a + (kept[block.skip] if block.skip is not None else 0)).clamp(0, 2.0)
        a = a.detach() if i < local else a
        kept.append(a)
    plain.last(a).square().sum().backward()
    for (name, mine), other in zip(net.named_parameters(), plain.parameters(), strict=True):
        block = int(name.split(".")[1]) if name[:4] != "last" else len(BLOCKS)
        assert (mine.grad is None) == (block < local), name
        assert mine.grad is None or torch.allclose(mine.grad, other.grad, atol=1e-5), name


@pytest.mark.parametrize("rate", [0.0, RATE])
def test_work_is_what_torch_counts_and_kept_bytes_fall(rate: float):
    kept = []
    for local in range(len(BLOCKS) + 1):
        net, counter = small(), saved_bytes(5)
        with FlopCounterMode(display=False) as flops:
            with counter:
                out = net(images(), local, rate)
            out.sum().backward()
        assert flops.get_total_flops() == 2 * 5 * net.work(local, learns=rate > 0), local
        kept.append(counter.total)
    assert kept == sorted(kept, reverse=True) and kept[-1] < kept[0] / 4
    # the last convolution alone keeps its input: 4 maps of 6 x 6, 4 bytes each
    assert kept[-1] == 5 * 4 * 36 * 4


def test_a_tensor_that_is_kept_twice_counts_once():
    x, counter = torch.rand(5, 3, requires_grad=True), saved_bytes(5)
    with counter:
        y = (x + 0).square() * torch.rand(3)  # keeps x + 0; what has no image does not count
        y = y * y  # keeps y as both factors
    assert counter.total == 2 * 5 * 3 * 4


def test_a_skip_between_maps_that_differ_is_refused():
    with pytest.raises(InputError, match=r"skip of block 3 must come from an earlier map of shape"):
        LocalNet(BLOCKS, (1, 9, 9), (2, 6), clip=2.0)
    with pytest.raises(InputError, match="not from block 1"):
        LocalNet((Block(channels=2), Block(channels=2, skip=1)), (1, 4, 4), (2, 4), clip=2.0)
