"""The MNIST net of explicit current control: a small residual CNN, trained and converted.

    12C5s2 - AP2 - 20C3 - [20C3 - 20C3 + short way] - AP2 - 10FC
    28 x 28 -> 12 x 12 -> (6 x 6) -> 6 x 6 x 3 -> (3 x 3) -> 10

Every convolution has a batch norm and a clipped ReLU behind it (the paper's section 5: without
outliers lambda is small and rates are high). Pixels are the ``planes`` upper bits, as the chip sees
them. Adam; the learning rate falls from ``lr`` to 0 along a half cosine. The last epoch's net is
kept; test images choose nothing.

    python -m spikeloop.golden.rules.ecc.train --data FOLDER --out ecc-mnist.safetensors
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder, grey
from spikeloop.golden.reference.integer import right
from spikeloop.golden.rules.ecc.net import (
    ETA,
    IMAGE,
    Branch,
    Cnn,
    Layer,
    check_choices,
    convert,
    fold_batch_norm,
    fold_pool,
    identity,
    mac_ops,
)
from spikeloop.golden.training.command import command
from spikeloop.golden.training.images import about, shifted
from spikeloop.golden.training.loop import LoopConfig, fit
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.graph import Network

__all__ = ["EccConfig", "accuracy", "cnn_accuracy", "pixels", "train", "train_cnn"]

EPS = 1e-5  # of the batch norm
MAXIMA_IMAGES = 5000  # training images on which lambda is measured
TABLE_STEPS, TABLE_BITS, TABLE_IMAGES = (4, 8, 16, 32, 64), (10, 8, 7, 6, 5, 4), 500


@dataclass(frozen=True, kw_only=True)
class EccConfig(LoopConfig):
    """What is trained and converted, and how; further fields in :class:`LoopConfig`.

    channels: of the first convolution and of the three others.
    clip:     limit of the ReLU.
    steps:    T.
    bits:     of a weight.
    planes:   bits of a pixel.
    eta:      of the residual elimination.
    """

    channels: tuple[int, int] = (12, 20)
    clip: float = 2.0
    steps: int = 32
    bits: int = 8
    planes: int = 4
    eta: float = ETA
    epochs: int = 3
    lr: float = 4e-3
    shift: int = 1

    INTS = LoopConfig.INTS | {"steps": (1, 1 << 16)}
    REALS = ("lr", "clip")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choices(self.bits, self.planes, self.eta)

    @property
    def encoder(self) -> Encoder:
        return Encoder(name="bit_planes", steps=self.steps, planes=self.planes)


class _Net(nn.Module):
    """The CNN while it is trained."""

    def __init__(self, config: EccConfig, side: int, classes: int) -> None:
        super().__init__()
        few, many = config.channels
        self.side, self.first, self.clip = side, (side - 5) // 2 + 1, config.clip
        if side < 5 or self.first % 4:
            raise InputError(
                f"images of this net must have a side of 12, 20, 28, ... pixels, not {side}"
            )
        self.convs: Sequence[nn.Conv2d] = nn.ModuleList(  # type: ignore[assignment]
            [nn.Conv2d(1, few, 5, stride=2)]
            + [nn.Conv2d(n, many, 3, padding=1) for n in (few, many, many)]
        )
        self.norms: Sequence[nn.BatchNorm2d] = nn.ModuleList(  # type: ignore[assignment]
            [nn.BatchNorm2d(n, eps=EPS) for n in (few, many, many, many)]
        )
        self.last = nn.Conv2d(many, classes, self.first // 4)

    def forward(self, x: Tensor) -> Tensor:
        """Sums ``[B, classes]`` of pixels ``[B, 1, side, side]``."""
        one, two, three, four = (
            lambda a, c=c, n=n: n(c(a)) for c, n in zip(self.convs, self.norms, strict=True)
        )
        a = self._relu(two(F.avg_pool2d(self._relu(one(x)), 2)))
        a = self._relu(four(self._relu(three(a))) + a)
        out: Tensor = self.last(F.avg_pool2d(a, 2)).flatten(1)
        return out

    def _relu(self, x: Tensor) -> Tensor:
        return x.clamp(0, self.clip)

    def cnn(self) -> Cnn:
        """The trained CNN with batch norms and poolings folded."""
        few, many = self.convs[0].out_channels, self.convs[1].out_channels
        inner = self.first // 2
        one = Conv.make((1, self.side, self.side), few, (5, 5), stride=(2, 2))
        two, inside = (
            Conv.make((n, inner, inner), many, (3, 3), padding=(1, 1)) for n in (few, many)
        )
        half = inner // 2
        last = Conv.make((many, half, half), self.last.out_channels, (half, half))
        pairs = zip(self.convs, self.norms, strict=True)
        (w1, b1), (w2, b2), (w3, b3), (w4, b4) = (_folded(conv, norm) for conv, norm in pairs)
        two, w2 = fold_pool(two, w2, 2)
        last, w5 = fold_pool(last, _array(self.last.weight), 2)
        first = Branch(source=IMAGE, conv=one, weights=w1)
        second = Branch(source="conv1", conv=two, weights=w2)
        third = Branch(source="conv2", conv=inside, weights=w3)
        fourth = Branch(source="conv3", conv=inside, weights=w4)
        fifth = Branch(source="conv4", conv=last, weights=w5)
        short_way = identity("conv2", two.target)
        layers = (
            Layer(name="conv1", branches=(first,), bias=b1),
            Layer(name="conv2", branches=(second,), bias=b2),
            Layer(name="conv3", branches=(third,), bias=b3),
            Layer(name="conv4", branches=(fourth, short_way), bias=b4),
            Layer(name="output", branches=(fifth,), bias=_array(self.last.bias)),
        )
        return Cnn(clip=self.clip, layers=layers)


def train_cnn(
    config: EccConfig, data: Dataset, *, checkpoint: Path | None = None, progress: bool = True
) -> Cnn:
    """The trained CNN. InputError if images and net do not fit, or if the training diverges."""
    side, count = math.isqrt(data.pixels), len(data.train_labels)
    if side**2 != data.pixels:
        raise InputError(f"images of this net must be square, not of {data.pixels} pixels")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = _Net(config, side, data.classes)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, config.epochs * -(-count // config.batch)
    )

    def loss(chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        images = shifted(data.train_images[chosen], config.shift, rng)
        x = torch.as_tensor(pixels(images, config.planes)).float()
        return F.cross_entropy(net(x), torch.as_tensor(data.train_labels[chosen]))

    fit(
        net,
        optimiser,
        loss,
        count,
        epochs=config.epochs,
        batch=config.batch,
        seed=config.seed,
        schedule=schedule,
        checkpoint=checkpoint,
        training=asdict(config) | {"source": data.source},
        name="ecc",
        progress=progress,
    )
    return net.cnn()


def train(
    config: EccConfig,
    data: Dataset,
    *,
    table: bool = False,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> Network:
    """Train, convert, score on all test images.

    table: the metadata also hold integer accuracies on the first TABLE_IMAGES of them (``table``):
           for other T, with and without residual elimination, and for other bits. All else is as
           configured.
    """
    cnn = train_cnn(config, data, checkpoint=checkpoint, progress=progress)
    maxima = cnn.maxima(pixels(data.train_images[:MAXIMA_IMAGES], config.planes))
    given = {"steps": config.steps, "bits": config.bits, "planes": config.planes, "eta": config.eta}

    def score(images: int, **changed: float) -> float:
        network = convert(cnn, maxima, **{**given, **changed})  # type: ignore[arg-type]
        encoder = Encoder(name="bit_planes", steps=network.steps, planes=config.planes)
        return accuracy(network, encoder, data.test_images[:images], data.test_labels[:images])

    network = convert(cnn, maxima, **given, name="ecc-mnist").with_metadata(  # type: ignore[arg-type]
        rule="ecc",
        encoder=asdict(config.encoder),
        training=asdict(config),
        dataset=about(data),
        maxima=maxima,
        cnn_ops=mac_ops(cnn),
        accuracy_float=cnn_accuracy(cnn, data, config.planes),
        accuracy_integer=score(len(data.test_labels)),
        published={"CIFAR-10, VGG16, T = 128": {"float": 0.9276, "spiking": 0.9252}},
    )
    if not table:
        return network
    by_steps = {
        str(eta): {str(steps): score(TABLE_IMAGES, steps=steps, eta=eta) for steps in TABLE_STEPS}
        for eta in (config.eta, 0.0)
    }
    by_bits = {str(bits): score(TABLE_IMAGES, bits=bits) for bits in TABLE_BITS}
    return network.with_metadata(table={"images": TABLE_IMAGES, "steps": by_steps, "bits": by_bits})


def pixels(images: np.ndarray, planes: int) -> np.ndarray:
    """The ``planes`` upper bits of square images as numbers in 0..1: ``[n, 1, side, side]``.

    images: uint8 ``[n, pixels]``. The result is float64.
    """
    side = math.isqrt(images.shape[1])
    return grey(images, planes).reshape(-1, 1, side, side)


def cnn_accuracy(cnn: Cnn, data: Dataset, planes: int, batch: int = 500) -> float:
    """Share of test images that the CNN gets right, 0..1."""
    correct = 0
    for at in range(0, len(data.test_labels), batch):
        part = slice(at, at + batch)
        sums = cnn.activations(pixels(data.test_images[part], planes))[cnn.layers[-1].name]
        classes = sums.reshape(len(sums), -1).argmax(1)
        correct += int((classes == data.test_labels[part]).sum())
    return correct / len(data.test_labels)


def accuracy(
    network: Network, encoder: Encoder, images: np.ndarray, labels: np.ndarray, batch: int = 250
) -> float:
    """Share of ``images`` that the integer network gets right, 0..1.

    Only ``batch`` of them are encoded at a time.
    """
    correct, name = 0, network.inputs[0].name
    for at in range(0, len(labels), batch):
        part = slice(at, at + batch)
        correct += right(network, {name: encoder(images[part])}, labels[part])
    return correct / len(labels)


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[np.ndarray, np.ndarray]:
    """Weights and bias of a convolution with the batch norm behind it."""
    learnt = (conv.weight, conv.bias, norm.weight, norm.bias)
    weight, bias, gamma, beta, mean, var = (
        _array(tensor) for tensor in (*learnt, norm.running_mean, norm.running_var)
    )
    return fold_batch_norm(weight, bias, gamma, beta, mean, var, EPS)


def _array(tensor: Tensor | None) -> np.ndarray:
    assert tensor is not None
    return tensor.detach().numpy().astype(np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="train a residual CNN on MNIST and convert it to integrate-and-fire neurons"
    )
    for name in ("steps", "bits", "planes"):
        parser.add_argument(f"--{name}", type=int, default=getattr(EccConfig, name))
    parser.add_argument(
        "--table", action="store_true", help="also measure the accuracy for other T and other bits"
    )

    def trained(given: argparse.Namespace, data: Dataset, checkpoint: Path) -> Network:
        config = EccConfig(
            epochs=given.epochs,
            seed=given.seed,
            steps=given.steps,
            bits=given.bits,
            planes=given.planes,
        )
        return train(config, data, table=given.table, checkpoint=checkpoint)

    command("ecc", parser, trained, EccConfig.epochs)


if __name__ == "__main__":
    main()
