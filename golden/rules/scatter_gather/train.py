"""Training of scatter-and-gather nets (Zou et al. 2021, section 2.2): the quantised ANN, by
straight-through estimators.

    forward:   w = sign(W) where |W| > D, else 0;  D = 0.7 mean |W| of the layer (Li & Liu 2016)
               y = clip(round(r 2^k) / 2^k, 0, B)
    backward:  dw/dW = 1;  dy/dr = 1 for 0 < r < B, else 0 (the clipped ReLU in place of the steps)

First and last layer have full precision. The loss is the cross entropy of the last layer, plus that
of a ternary last layer. The ternary one learns from the same features and sends no gradient into
them, so that the net is the one that the paper trains. Adam; the learning rate falls from ``lr`` to
0 along a half cosine. The paper's schedule (x 0.1 each 200 epochs) is far longer. The last epoch's
net is kept; test images choose nothing.

    python -m spikeloop.golden.rules.scatter_gather.train --data FOLDER --spikes 4 --out FILE

``--net vgg`` trains the paper's VGG-Net on coloured digits (golden/data/coloured.py).
"""

import argparse
import math
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeloop.golden.data.coloured import SHAPE, coloured_data
from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.rules.scatter_gather.counts import gather, scatter, silence
from spikeloop.golden.rules.scatter_gather.layer import Layer
from spikeloop.golden.rules.scatter_gather.net import ScatterGather
from spikeloop.golden.training.command import command
from spikeloop.golden.training.images import about, shifted
from spikeloop.golden.training.loop import LoopConfig, fit
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv

__all__ = ["MODELS", "NETS", "ScatterGatherConfig", "accuracy", "lenet", "train", "vgg"]

MODELS = {1: (0, 1), 2: (0, 2), 4: (1, 2)}  # spikes: (k, B), section 4.3
MOMENTUM = 0.1  # of the running mean and variance
TINY = 1e-12  # of the variance: sqrt(var + 1e-12) is about sigma + 1e-6 where it matters, near 0


def _chain(source: tuple[int, int, int], plan: str) -> dict[str, Conv]:
    """Layers by name of words NAME-CHANNELS-KERNEL-PADDING; what pools has the stride of its
    kernel."""
    layers = {}
    for word in plan.split():
        name, *numbers = word.split("-")
        channels, kernel, padding = map(int, numbers)
        stride = kernel if name.startswith("pool") else 1
        layers[name] = Conv.make(
            source, channels, (kernel, kernel), stride=(stride, stride), padding=(padding, padding)
        )
        source = layers[name].target
    return layers


def lenet() -> dict[str, Conv]:
    """The layers 16C5-16C5-2P2-32C5-2P2-256FC of the paper's LeNet, by name.

    The side goes 28 -> 28 (padded) -> 24 -> 12 -> 8 -> 4 -> 1.
    """
    plan = "conv1-16-5-2 conv2-16-5-0 pool1-16-2-0 conv3-32-5-0 pool2-32-2-0 fc1-256-4-0"
    return _chain((1, 28, 28), plan)


def vgg() -> dict[str, Conv]:
    """The layers of the paper's VGG-Net, by name: 64C3 x 3-2P2-128C3 x 2-2P2-256C3 x 2-2P2-
    512C3 x 2. The side goes 24 -> 12 -> 6 -> 3 -> 1."""
    plan = """conv1-64-3-1 conv2-64-3-1 conv3-64-3-1 pool1-64-2-0 conv4-128-3-1 conv5-128-3-1
        pool2-128-2-0 conv6-256-3-1 conv7-256-3-1 pool3-256-2-0 conv8-512-3-1 conv9-512-3-0"""
    return _chain(SHAPE, plan)


NETS = {"lenet": lenet, "vgg": vgg}


@dataclass(frozen=True, kw_only=True)
class ScatterGatherConfig(LoopConfig):
    """What is trained, and how; further fields in :class:`LoopConfig`.

    k, bound: k and B of the activations, which take up to B 2^k spikes.
    """

    k: int = 1
    bound: int = 2
    epochs: int = 25
    shift: int = 2

    INTS = LoopConfig.INTS | {"k": (0, 4), "bound": (1, 16), "batch": (2, 1 << 20)}


def train(
    config: ScatterGatherConfig,
    data: Dataset,
    *,
    layers: dict[str, Conv] | None = None,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> ScatterGather:
    """Train on the training images of ``data`` and score on its test images.

    layers:     lead from image to features; default: LeNet.
    checkpoint: file to resume from.

    The metadata hold ``training`` (the configuration), ``dataset`` (source and counts),
    ``accuracy`` (of :func:`accuracy`) and ``curve`` (test accuracy after each epoch, with the last
    layer on the host). InputError if data and layers do not fit, or if the training diverges.
    """
    layers = layers or lenet()
    source = next(iter(layers.values())).source
    if math.prod(source) != data.pixels:
        raise InputError(
            f"images for this net must have {math.prod(source)} pixels, not {data.pixels}"
        )
    count = len(data.train_labels)
    # The rest of an epoch is left out: a batch norm of a handful of images would jump.
    updates = count // config.batch
    if not updates:
        raise InputError(
            f"batch of the training must be at most the {count} training images, not {config.batch}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = _Net(layers, data.classes, config.k, config.bound)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.epochs * updates)

    def loss(chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        host, chip = net(_pixels(shifted(data.train_images[chosen], config.shift, rng), source))
        labels = torch.as_tensor(data.train_labels[chosen])
        return F.cross_entropy(host, labels) + F.cross_entropy(chip, labels)

    history = fit(
        net,
        optimiser,
        loss,
        count,
        epochs=config.epochs,
        batch=config.batch,
        seed=config.seed,
        schedule=schedule,
        whole_batches=True,
        after_epoch=lambda epoch: {"test": _score(net, data, source)},
        checkpoint=checkpoint,
        training=asdict(config) | {"source": data.source},
        progress=progress,
    )
    trained = net.integer()
    scores = accuracy(trained, data.test_images, data.test_labels)
    return trained.with_metadata(
        training=asdict(config),
        accuracy=scores,
        dataset=about(data),
        curve=[entry["test"] for entry in history],
    )


def accuracy(
    net: ScatterGather,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    silent: float = 0.0,
    seed: int = 0,
    batch: int = 500,
) -> dict[str, float]:
    """Share of right classes of the quantised ANN, 0..1.

    ``host`` is read by the full-precision last layer, ``chip`` by the ternary one.

    silent: share of the first layer's spiking neurons that never spike, drawn with ``seed`` (the
            noise of Table 4).
    """
    right = {"host": 0, "chip": 0}
    ternary = net.readout.T.astype(np.int64)
    for at in range(0, len(images), batch):
        wanted = labels[at : at + batch]
        (spikes,) = net.encode(images[at : at + batch]).values()
        counts = gather(silence(spikes, silent, seed), net.copies, net.layers[0].conv.target)
        features = net.activations(counts)[net.layers[-1].name]
        on_chip = (features.reshape(len(wanted), -1) @ ternary).argmax(1)
        right["host"] += int((net.classify(scatter(features, net.copies)) == wanted).sum())
        right["chip"] += int((on_chip == wanted).sum())
    return {key: value / len(labels) for key, value in right.items()}


class _Quantise(torch.autograd.Function):
    """Eq 6 forward, the clipped ReLU backward."""

    @staticmethod
    def forward(ctx: Any, r: Tensor, k: int, bound: int) -> Tensor:
        ctx.save_for_backward(r)
        ctx.bound = bound
        return torch.floor(r * (1 << k) + 0.5).div_(1 << k).clamp_(0, bound)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (r,) = ctx.saved_tensors
        return grad * ((r > 0) & (r < ctx.bound)), None, None


def _ternary(weight: Tensor) -> Tensor:
    """Signs of the weights above the threshold D, with the gradient of ``weight``."""
    real = weight.detach()
    signs = real.sign() * (real.abs() > 0.7 * real.abs().mean())
    return weight + (signs - real)


class _Conv(nn.Module):
    """Convolution, batch norm without gain, quantised ReLU."""

    mean: Tensor
    var: Tensor

    def __init__(self, conv: Conv, ternary: bool, k: int, bound: int) -> None:
        super().__init__()
        self.conv, self.ternary, self.k, self.bound = conv, ternary, k, bound
        self.weight = nn.Parameter(
            torch.randn(conv.weights_shape) / math.prod(conv.weights_shape[1:]) ** 0.5
        )
        self.beta = nn.Parameter(torch.zeros(conv.target[0]))
        self.register_buffer("mean", torch.zeros(conv.target[0]))
        self.register_buffer("var", torch.ones(conv.target[0]))

    def forward(self, x: Tensor) -> Tensor:
        weight = _ternary(self.weight) if self.ternary else self.weight
        s = F.conv2d(x, weight, stride=self.conv.stride, padding=self.conv.padding)
        r = F.batch_norm(
            s,
            self.mean,
            self.var,
            bias=self.beta,
            training=self.training,
            momentum=MOMENTUM,
            eps=TINY,
        )
        out: Tensor = _Quantise.apply(r, self.k, self.bound)
        return out


class _Net(nn.Module):
    """The ANN while it is trained, with both last layers."""

    def __init__(self, layers: dict[str, Conv], classes: int, k: int, bound: int) -> None:
        super().__init__()
        for before, after in pairwise(layers.values()):
            if before.target != after.source:
                raise InputError(
                    f"layers must chain, source {after.source} to target {before.target} before "
                    "it, not differ"
                )
        self.k, self.bound = k, bound
        self.body = nn.ModuleDict(
            {name: _Conv(conv, i > 0, k, bound) for i, (name, conv) in enumerate(layers.items())}
        )
        features = math.prod(list(layers.values())[-1].target)
        self.last = nn.Linear(features, classes)
        self.chip = nn.Parameter(torch.randn(classes, features) / features**0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs ``[B, classes]`` of both last layers, of ``[B, channels, height, width]``."""
        for layer in self.body.values():
            x = layer(x)
        x = x.flatten(1)
        scale = self.chip.detach().abs().mean()  # keeps the loss soft; the argmax does not see it
        return self.last(x), scale * (x.detach() @ _ternary(self.chip).T)

    @torch.no_grad()
    def integer(self) -> ScatterGather:
        """The trained net as arrays."""
        layers = []
        for name, module in self.body.items():
            assert isinstance(module, _Conv)
            weights = module.weight.detach()
            if module.ternary:
                weights = _ternary(module.weight).round().to(torch.int8)
            mu, sigma, beta = (
                t.detach().clone().numpy() for t in (module.mean, module.var.sqrt(), module.beta)
            )
            layers.append(
                Layer(
                    name=name,
                    conv=module.conv,
                    weights=weights.numpy(),
                    mu=mu,
                    sigma=sigma,
                    beta=beta,
                )
            )
        return ScatterGather(
            k=self.k,
            bound=self.bound,
            layers=tuple(layers),
            last_weights=self.last.weight.detach().numpy(),
            last_bias=self.last.bias.detach().numpy(),
            readout=_ternary(self.chip).round().to(torch.int8).numpy(),
        )


def _pixels(images: np.ndarray, source: tuple[int, int, int]) -> Tensor:
    return torch.as_tensor(images.astype(np.float32).reshape(-1, *source) / 255)


@torch.no_grad()
def _score(net: _Net, data: Dataset, source: tuple[int, int, int], batch: int = 500) -> float:
    """Test accuracy in the float32 of the training, for the curve."""
    net.eval()
    classes = [
        net(_pixels(data.test_images[at : at + batch], source))[0].argmax(1)
        for at in range(0, len(data.test_labels), batch)
    ]
    net.train()
    return float((torch.cat(classes).cpu().numpy() == data.test_labels).mean())


def main() -> None:
    parser = argparse.ArgumentParser(
        description="train the LeNet or the VGG-Net of Zou et al. on MNIST"
    )
    parser.add_argument(
        "--net", choices=sorted(NETS), default="lenet", help="vgg: on digits in colour, not moved"
    )
    parser.add_argument(
        "--spikes", type=int, choices=sorted(MODELS), default=4, help="spikes per neuron"
    )

    def load(given: argparse.Namespace) -> Dataset:
        data = load_mnist(given.data)
        return coloured_data(data) if given.net == "vgg" else data

    def trained(given: argparse.Namespace, data: Dataset, checkpoint: Path) -> ScatterGather:
        k, bound = MODELS[given.spikes]
        moved = {"shift": 0} if given.net == "vgg" else {}
        return train(
            ScatterGatherConfig(k=k, bound=bound, epochs=given.epochs, seed=given.seed, **moved),
            data,
            layers=NETS[given.net](),
            checkpoint=checkpoint,
        )

    command("scatter_gather", parser, trained, ScatterGatherConfig.epochs, load=load)


if __name__ == "__main__":
    main()
