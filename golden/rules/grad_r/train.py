"""Training of 784-800-10 nets by Grad R and Deep R (golden/rules/grad_r/net.py) on MNIST.

    python -m spikeloop.golden.rules.grad_r.train --data FOLDER --alpha 0.05 --out FILE
    python -m spikeloop.golden.rules.grad_r.train --data FOLDER --deep-r 0.0563 --out FILE

T = 8, p = 0.95 and Adam are the paper's, which prints neither input nor loss. There are two forms:

spikes    Pixels are Bernoulli spikes. (Rank-order spikes serve this net badly: with tau_m = 2 the
          last step has forgotten the first ones.) The loss is the cross entropy of
          softmax(10 / T * spike counts). Images move by a pixel.
currents  The authors' code (Yanqi-Chen/Gradient-Rewiring, mnist/): the normalised grey value is a
          constant current, the loss the squared error of the rates. Images turn by up to 30
          degrees, move by 15 % and are scaled by 0.85 to 1.11. Weights begin as wide as PyTorch
          draws them, the learning rate is 1e-3. On the chip a grey value of four bits is four
          lines, and what is subtracted from it a bias. This is --currents.

The paper trains for 512 epochs at a learning rate of 1e-4, in which the prior can move theta by
24 alpha. Here the learning rate falls from ``lr`` to 0 along a half cosine over few epochs (6
epochs: 14 alpha). The last epoch's net is kept.
"""

import argparse
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder, grey
from spikeloop.golden.quantize.quantize import quantize
from spikeloop.golden.reference.integer import right
from spikeloop.golden.rules.grad_r.net import SparseNet
from spikeloop.golden.training.command import command
from spikeloop.golden.training.images import about, drawn, warped
from spikeloop.golden.training.loop import LoopConfig, fit
from spikeloop.golden.training.train import accuracy, count_loss, time_first
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network

__all__ = ["PUBLISHED", "GradRConfig", "train"]

# Tables 1 and 2 of Chen et al. 2021, MNIST: connectivity and accuracy, in percent
PUBLISHED = {
    "grad-r": ((25.71, 98.59), (17.94, 98.48), (5.63, 96.90), (3.06, 95.37), (1.38, 90.84)),
    "deep-r": ((37.14, 98.56), (13.30, 98.36), (4.18, 96.45), (1.10, 89.25)),
}
SCALING = 2000  # training images on which the weights' scale is chosen
AUTHORS: dict[str, Any] = {  # settings of the form of currents
    "encoder": Encoder(name="bit_planes", planes=4),
    "shift": 0,
    "gain": 3**-0.5,  # the standard deviation of PyTorch's uniform weights, times sqrt(inputs)
    "lr": 1e-3,
}
MEAN, DEVIATION = 0.1307, 0.3081  # of MNIST's grey values, as the authors subtract and divide


@dataclass(frozen=True, kw_only=True)
class GradRConfig(LoopConfig):
    """What is trained, and how; further fields in :class:`LoopConfig`.

    hidden:       number of hidden neurons.
    alpha, p, connectivity, temperature, gain: as of :class:`SparseNet`.
    bits:         of an integer weight. The weights of a pixel's lines together have planes - 1
                  more, so that the lowest line's has ``bits``.
    encoder:      ``rate`` for the form of spikes, ``bit_planes`` for that of currents. The latter
                  turns images and does not use ``shift``.
    """

    hidden: int = 800
    alpha: float = 0.05
    p: float = 0.95
    connectivity: float | None = None
    temperature: float = 1e-6
    gain: float = 3.0
    bits: int = 8
    epochs: int = 6
    lr: float = 1e-2
    shift: int = 1
    encoder: Encoder = field(default_factory=lambda: Encoder(name="rate"))

    INTS = LoopConfig.INTS | {"hidden": (1, 1 << 16), "bits": (2, 16)}
    REALS = ("lr", "alpha", "temperature", "gain")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bits > (most := 17 - max(self.encoder.current_bits, 1)):
            raise InputError(
                f"bits of the training must be in 2..{most} for {self.encoder.current_bits} bits "
                f"of a pixel, not {self.bits}"
            )
        if self.connectivity is not None and not 0 < self.connectivity < 1:
            raise InputError(
                f"connectivity of Deep R must be between 0 and 1, not {self.connectivity!r}"
            )


def train(
    config: GradRConfig, data: Dataset, *, checkpoint: Path | None = None, progress: bool = True
) -> Network:
    """The integer network, scored on the test images of ``data``.

    The metadata hold ``connectivity`` and ``connectivity_integer`` too. InputError if the training
    diverges.
    """
    rule = "grad-r" if config.connectivity is None else "deep-r"
    planes = config.encoder.current_bits
    if planes and math.isqrt(data.pixels) ** 2 != data.pixels:
        raise InputError(f"images that are currents must be square, not of {data.pixels} pixels")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = SparseNet(
            (data.pixels, config.hidden, data.classes),
            alpha=config.alpha,
            p=config.p,
            connectivity=config.connectivity,
            temperature=config.temperature,
            gain=config.gain,
        )
    count = len(data.train_labels)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, config.epochs * -(-count // config.batch)
    )

    def loss(chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        images, labels = data.train_images[chosen], torch.as_tensor(data.train_labels[chosen])
        if not planes:
            spikes = time_first(drawn(config.encoder, images, config.shift, rng))
            return count_loss(net(spikes), labels, 0.0)
        images = warped(images, rng, degrees=30.0, move=0.15, scale=(0.85, 1.11))
        values = torch.as_tensor(grey(images, planes)).float()
        rates = net((values[None] - MEAN) / DEVIATION, held=config.encoder.steps)[-1].mean(0)
        return F.mse_loss(rates, F.one_hot(labels, data.classes).float())

    def rewire() -> None:
        lr = optimiser.param_groups[0]["lr"]
        if net.deep:
            net.rewire(lr, optimiser)
        else:
            net.pull(lr)

    training: dict[str, Any] = asdict(config) | {"rule": rule}
    fit(
        net,
        optimiser,
        loss,
        count,
        epochs=config.epochs,
        batch=config.batch,
        seed=config.seed,
        schedule=schedule,
        after_update=rewire,
        after_epoch=lambda epoch: {"connectivity": net.connectivity()},
        checkpoint=checkpoint,
        training=training | {"source": data.source},
        name=rule,
        progress=progress,
    )

    float_net = net.float_net(planes, MEAN, DEVIATION)
    network, report = quantize(
        float_net,
        config.encoder(data.train_images[:SCALING]),
        data.train_labels[:SCALING],
        bits=[config.bits + max(planes - 1, 0), config.bits],
        name=f"{rule}-mnist",
    )
    spikes = config.encoder(data.test_images)
    used = [edge.weights != 0 for edge in network.edges]
    if planes:  # the lines of a pixel are one synapse
        used[0] = used[0].reshape(planes, data.pixels, -1).any(0)
    nonzero = sum(int(synapses.sum()) for synapses in used)
    correct = right(network, {"input": spikes}, data.test_labels)
    return network.with_metadata(
        rule=rule,
        encoder=asdict(config.encoder),
        training=training,
        dataset=about(data),
        connectivity=net.connectivity(),
        connectivity_integer=nonzero / sum(theta.numel() for theta in net.theta),
        accuracy_float=accuracy(float_net, spikes, data.test_labels),
        accuracy_integer=correct / len(data.test_labels),
        quantisation=report["layers"],
        published={"connectivity, accuracy in %": PUBLISHED[rule]},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="train 784-800-10 by Grad R or Deep R on MNIST")
    parser.add_argument(
        "--alpha",
        type=float,
        help=f"prior of Grad R (default {GradRConfig.alpha}) or pull of Deep R (default 1e-4)",
    )
    parser.add_argument(
        "--deep-r", type=float, metavar="SHARE", help="Deep R with this share of the synapses"
    )
    parser.add_argument("--hidden", type=int, default=GradRConfig.hidden)
    parser.add_argument(
        "--currents",
        action="store_true",
        help="the authors' form: grey values as currents, squared error of the rates, images "
        "turned, moved and scaled; with --epochs 60 --alpha 0.005",
    )

    def trained(given: argparse.Namespace, data: Dataset, checkpoint: Path) -> Network:
        usual = GradRConfig.alpha if given.deep_r is None else 1e-4
        config = GradRConfig(
            alpha=usual if given.alpha is None else given.alpha,
            connectivity=given.deep_r,
            hidden=given.hidden,
            epochs=given.epochs,
            seed=given.seed,
            **(AUTHORS if given.currents else {}),
        )
        return train(config, data, checkpoint=checkpoint)

    command("grad_r", parser, trained, GradRConfig.epochs)


if __name__ == "__main__":
    main()
