"""The MNIST net of LoCal+SGD: seven small convolutions, trained, converted by ECC, scored.

    8C5s2 - 8C3 - 16C3s2 - 16C3 - [16C3 + map of the third] - 32C3s2 - 32C3 - 10FC
    28 x 28 -> 14 x 14 -> 7 x 7 -> 4 x 4 -> 10

An epoch is a part of the images, so that the schedules have 12 epochs in one pass. Blocks that
learn by gradients have SGD with momentum 0.9 and weight decay; its learning rate falls from ``lr``
to 0 along a half cosine. The rate of local updates is halved after each third of the epochs (the
paper: every 30 of 90). The last epoch's net is kept; test images choose nothing. The trained CNN
becomes integers as in golden/rules/ecc.

    python -m spikeloop.golden.rules.local_sgd.train --data FOLDER --out local-sgd-mnist.safetensors
"""

import argparse
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.rules.ecc.net import (
    IMAGE,
    Branch,
    Cnn,
    Layer,
    convert,
    fold_batch_norm,
    identity,
)
from spikeloop.golden.rules.ecc.train import MAXIMA_IMAGES, accuracy, pixels
from spikeloop.golden.rules.local_sgd.net import Block, LocalNet, saved_bytes
from spikeloop.golden.rules.local_sgd.schedule import SCHEDULES, STATIC, Modes, static
from spikeloop.golden.training.command import command
from spikeloop.golden.training.images import about, shifted
from spikeloop.golden.training.loop import LoopConfig, fit
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.graph import Network

__all__ = ["BLOCKS", "LocalConfig", "float_accuracy", "to_cnn", "train", "train_net"]

BLOCKS = (
    Block(channels=8, kernel=5, stride=2),
    Block(channels=8),
    Block(channels=16, stride=2),
    Block(channels=16),
    Block(channels=16, skip=2),
    Block(channels=32, stride=2),
    Block(channels=32),
)
MOMENTUM = 0.9


@dataclass(frozen=True, kw_only=True)
class LocalConfig(LoopConfig):
    """What is trained and converted, and how; further fields in :class:`LoopConfig`.

    epochs:    of ``part`` images each, drawn without repeating until all have been seen.
    part:      images of an epoch, at most all there are.
    decay:     weight decay of the blocks that learn by gradients.
    schedule:  one of SCHEDULES, with ``c1`` and ``c2`` or with ``alpha`` and ``move``.
    c1, c2:    shares of the blocks and of the epochs, 0..1.
    alpha:     of the dynamic schedule.
    move:      blocks that become local at once.
    eta:       first rate of the local updates; 0: local blocks are frozen.
    weak:      the weak supervision gives local updates their sign.
    normed:    local updates see the outputs behind the batch norm.
    clip:      limit of the ReLU.
    steps, bits, planes: T, bits of a weight and of a pixel of the integer network.
    """

    epochs: int = 12
    part: int = 5_000
    lr: float = 0.05
    decay: float = 5e-4
    shift: int = 1
    schedule: str = "quadratic"
    c1: float = 0.8
    c2: float = 0.2
    alpha: float = 0.5
    move: int = 1
    eta: float = 1e-4
    weak: bool = True
    normed: bool = False
    clip: float = 2.0
    steps: int = 64
    bits: int = 8
    planes: int = 4

    INTS = LoopConfig.INTS | {"part": (1, 1 << 24), "move": (1, 64), "steps": (1, 1 << 16)}
    REALS = ("lr", "decay", "c1", "c2", "alpha", "eta", "clip")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule not in SCHEDULES:
            raise InputError(
                f"schedule of the training must be one of {', '.join(SCHEDULES)}, not "
                f"{self.schedule!r}"
            )
        if self.c1 > 1 or self.c2 >= 1:
            raise InputError(
                f"c1 and c2 of the training must be at most 1 and below 1, not {self.c1} and "
                f"{self.c2}"
            )

    @property
    def encoder(self) -> Encoder:
        return Encoder(name="bit_planes", steps=self.steps, planes=self.planes)


class _Trained(torch.nn.Module):
    """Net and modes as one module, so that a checkpoint holds both."""

    def __init__(self, net: LocalNet) -> None:
        super().__init__()
        self.net, self.modes = net, Modes(len(net.blocks))


def train_net(
    config: LocalConfig, data: Dataset, *, checkpoint: Path | None = None, progress: bool = True
) -> tuple[LocalNet, list[dict[str, Any]]]:
    """The trained net in evaluation mode, and of every epoch:

    ``loss``, ``local`` (N), ``sign``, ``macs`` of a training step and ``kept`` bytes for its
    backward pass, both an image, and ``seconds`` of processor time.

    InputError if images and settings do not fit, or if the training diverges.
    """
    side, count = math.isqrt(data.pixels), len(data.train_labels)
    if side**2 != data.pixels:
        raise InputError(f"images of this net must be square, not of {data.pixels} pixels")
    if config.part > count or config.batch > config.part:
        raise InputError(
            f"part and batch of the training must be at most the {count} training images and the "
            f"part, not {config.part} and {config.batch}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        small = -(-side // 8)  # behind the three strides of 2
        net = LocalNet(BLOCKS, (1, side, side), (data.classes, small), config.clip)

    def loss(chosen: np.ndarray, rng: np.random.Generator, **local: Any) -> Tensor:
        images = shifted(data.train_images[chosen], config.shift, rng)
        x = torch.as_tensor(pixels(images, config.planes)).float()
        labels = torch.as_tensor(data.train_labels[chosen])
        return F.cross_entropy(net(x, **local).flatten(1), labels)

    history = fit_local(
        net, config, loss, count, source=data.source, checkpoint=checkpoint, progress=progress
    )
    return net.eval(), history


def fit_local(
    net: LocalNet,
    config: LocalConfig,
    loss: Any,
    count: int,
    *,
    source: str,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train ``net`` in place on ``count`` images; the history of :func:`train_net`.

    loss: called with image numbers, a generator, and the last three arguments of the net.
    """
    trained = _Trained(net)
    modes, layers = trained.modes, len(net.blocks)
    optimiser = torch.optim.SGD(
        net.parameters(), lr=config.lr, momentum=MOMENTUM, weight_decay=config.decay
    )
    updates = config.part // config.batch
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs * updates)
    images = np.empty(0, np.int64)  # of the epoch
    rate, lr, kept, total, began, norms = 0.0, 0.0, 0, 0.0, 0.0, torch.zeros(0)

    def before_epoch(epoch: int) -> None:
        nonlocal images, rate, kept, total, began, norms
        images = _part(config, count, epoch)
        if config.schedule in STATIC:
            shares = config.c1, config.c2
            modes.grow(static(config.schedule, epoch, config.epochs, layers, *shares))
        sign = modes.sign() if config.weak else 1
        rate = sign * config.eta * 0.5 ** (3 * epoch // config.epochs)
        kept, total = 0, 0.0
        norms = torch.zeros(layers, dtype=torch.float64)
        began = time.process_time()

    def of_batch(chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        nonlocal lr, kept, total
        lr = float(schedule.get_last_lr()[0])
        given = {"local": int(modes.local), "rate": rate, "normed": config.normed}
        if kept:
            value: Tensor = loss(images[chosen], rng, **given)
        else:
            counter = saved_bytes(len(chosen))
            with counter:
                value = loss(images[chosen], rng, **given)
            kept = counter.total // len(chosen)
        total += value.item()
        return value

    def after_update() -> None:
        for i in range(int(modes.local), layers):
            gradient = net.convs[i].weight.grad
            assert gradient is not None
            norms[i] += lr * gradient.norm()

    def after_epoch(epoch: int) -> dict[str, Any]:
        seconds, local = time.process_time() - began, int(modes.local)
        sign = modes.sign() if config.weak else 1
        modes.end_epoch(total / updates)
        if config.schedule == "dynamic":
            modes.watch(norms / updates, config.alpha, config.move)
        macs = net.work(local, learns=config.eta > 0)
        return {"local": local, "sign": sign, "macs": macs, "kept": kept, "seconds": seconds}

    return fit(
        trained,
        optimiser,
        of_batch,
        config.part,
        epochs=config.epochs,
        batch=config.batch,
        seed=config.seed,
        schedule=schedule,
        whole_batches=True,
        before_epoch=before_epoch,
        after_update=after_update if config.schedule == "dynamic" else None,
        after_epoch=after_epoch,
        checkpoint=checkpoint,
        training=asdict(config) | {"source": source},
        name="local-sgd",
        progress=progress,
    )


def _part(config: LocalConfig, count: int, epoch: int) -> np.ndarray:
    """Numbers of the images of ``epoch``: its part of one shuffled pass after the other."""
    passes, places = np.divmod(np.arange(config.part) + epoch * config.part, count)
    orders = (
        np.random.default_rng([config.seed, number]).permutation(count)[places[passes == number]]
        for number in range(int(passes[0]), int(passes[-1]) + 1)
    )
    return np.concatenate(list(orders))


def to_cnn(net: LocalNet, source: tuple[int, int, int]) -> Cnn:
    """The trained net with its batch norms folded, for golden/rules/ecc. It has no ``up``."""
    layers, before = list[Layer](), IMAGE
    for i, (block, conv, norm) in enumerate(zip(net.blocks, net.convs, net.norms, strict=True)):
        pad, stride = (block.kernel // 2,) * 2, (block.stride,) * 2
        shape = Conv.make(source, block.channels, (block.kernel,) * 2, stride=stride, padding=pad)
        learnt = (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
        weight, gamma, beta, mean, var = (_array(tensor) for tensor in learnt)
        zero = np.zeros(block.channels)
        weights, bias = fold_batch_norm(weight, zero, gamma, beta, mean, var, norm.eps)
        branches = [Branch(source=before, conv=shape, weights=weights)]
        if block.skip is not None:
            branches.append(identity(layers[block.skip].name, shape.target))
        before, source = f"conv{i + 1}", shape.target
        layers.append(Layer(name=before, branches=tuple(branches), bias=bias))
    weights = _array(net.last.weight)
    shape = Conv.make(source, len(weights), (weights.shape[2], weights.shape[3]))
    end = Branch(source=before, conv=shape, weights=weights)
    layers.append(Layer(name="output", branches=(end,), bias=_array(net.last.bias)))
    return Cnn(layers=tuple(layers), clip=net.clip)


def _array(tensor: Tensor | None) -> np.ndarray:
    assert tensor is not None
    return tensor.detach().numpy().astype(np.float64)


@torch.inference_mode()
def float_accuracy(net: LocalNet, data: Dataset, planes: int, batch: int = 500) -> float:
    """Share of the test images that the net gets right, 0..1."""
    correct = 0
    for at in range(0, len(data.test_labels), batch):
        x = torch.from_numpy(pixels(data.test_images[at : at + batch], planes)).float()
        classes = net(x).flatten(1).argmax(1).numpy()
        correct += int((classes == data.test_labels[at : at + batch]).sum())
    return correct / len(data.test_labels)


def train(
    config: LocalConfig, data: Dataset, *, checkpoint: Path | None = None, progress: bool = True
) -> Network:
    """Train, convert, score on all test images.

    The metadata hold N of every epoch (``local``), multiply-accumulates of the training as a share
    of those of SGD (``work``), and bytes kept for the backward pass of an image (``kept``).
    """
    net, history = train_net(config, data, checkpoint=checkpoint, progress=progress)
    side = math.isqrt(data.pixels)
    cnn = to_cnn(net, (1, side, side))
    maxima = cnn.maxima(pixels(data.train_images[:MAXIMA_IMAGES], config.planes))
    network = convert(
        cnn,
        maxima,
        steps=config.steps,
        bits=config.bits,
        planes=config.planes,
        name="local-sgd-mnist",
    )
    full = net.work(0, learns=True) * config.epochs
    return network.with_metadata(
        rule="local_sgd",
        encoder=asdict(config.encoder),
        training=asdict(config),
        dataset=about(data),
        maxima=maxima,
        local=[epoch["local"] for epoch in history],
        work=sum(epoch["macs"] for epoch in history) / full,
        kept=[epoch["kept"] for epoch in history],
        accuracy_float=float_accuracy(net, data, config.planes),
        accuracy_integer=accuracy(network, config.encoder, data.test_images, data.test_labels),
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description="train a CNN on MNIST by gradients and locally, and convert it to "
        "integrate-and-fire neurons"
    )
    parser.add_argument(
        "--schedule",
        choices=SCHEDULES,
        default=LocalConfig.schedule,
        help="when blocks become local",
    )

    def trained(given: argparse.Namespace, data: Dataset, checkpoint: Path) -> Network:
        config = LocalConfig(epochs=given.epochs, seed=given.seed, schedule=given.schedule)
        return train(config, data, checkpoint=checkpoint)

    command("local_sgd", parser, trained, LocalConfig.epochs, of="parts of 5,000 training images")


if __name__ == "__main__":
    main()
