"""Training of nets with hard-concrete gates (golden/rules/hard_concrete/net.py), and the paper's
experiment with few samples.

    python -m spikeloop.golden.rules.hard_concrete.train --data FOLDER --images 1000 --out FILE

--plain trains the same net without gates. Pixels are Bernoulli spikes, T = 12. By default the net
is smaller than the paper's, which is ``15c5-ap2-40c5-ap2-fc300-fc10``. Adam; the learning rate
falls from ``lr`` to 0 along a half cosine, and is ten times as large for log_alpha. The last
epoch's net is kept; test images choose nothing. Quantisation then uses ``leak_terms`` shifts for
k_tau.
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
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.quantize.leak import best_leak
from spikeloop.golden.quantize.quantize import quantize
from spikeloop.golden.reference.integer import right
from spikeloop.golden.rules.hard_concrete.net import K_TAU, GatedNet
from spikeloop.golden.rules.structure import structure, synapses
from spikeloop.golden.training.command import command
from spikeloop.golden.training.images import about, drawn
from spikeloop.golden.training.loop import LoopConfig, fit
from spikeloop.golden.training.train import accuracy, time_first
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.parameters import LEAK_TERMS

__all__ = ["HardConcreteConfig", "train", "train_net"]

PUBLISHED = {
    "99.46 at 4.68 MFLOPs, 99.53 at 16.26 without gates": "60,000 training images",
    "92 against 69 without gates": "1,000",
}
SCALING = 1000  # training images on which the weights' scale is chosen
LEAK_IMAGES = 1000  # test images on which the leaks are compared


@dataclass(frozen=True, kw_only=True)
class HardConcreteConfig(LoopConfig):
    """What is trained, and how; further fields in :class:`LoopConfig`.

    layers:     the structure (golden/rules/structure.py).
    gated:      False for a net without gates.
    penalty:    lambda, per training image.
    bits:       of a weight.
    leak_terms: shifts that make k_tau, 0..3.
    """

    layers: str = "8c5/2-16c5/2-fc100-fc10"
    gated: bool = True
    penalty: float = 1e-3
    k_tau: float = K_TAU
    bits: int = 8
    leak_terms: int = 3
    epochs: int = 30
    batch: int = 32
    lr: float = 3e-3
    encoder: Encoder = field(default_factory=lambda: Encoder(name="rate", steps=12))

    INTS = LoopConfig.INTS | {"bits": (2, 16), "leak_terms": (0, LEAK_TERMS)}
    REALS = ("lr", "penalty", "k_tau")


def train_net(
    config: HardConcreteConfig,
    data: Dataset,
    *,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> tuple[GatedNet, list[dict[str, Any]]]:
    """The trained float net, and the curve: loss and share of open gates of each epoch.

    InputError if data and layers do not fit each other, or if the training diverges.
    """
    side = math.isqrt(data.pixels)
    source = (1, side, side) if side**2 == data.pixels else (data.pixels, 1, 1)
    layers = structure(config.layers, source, "c ap fc")
    if layers[-1].size != data.classes:
        raise InputError(
            f"layers of the net must end with fc{data.classes} (classes), not fc{layers[-1].size}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = GatedNet(layers, gated=config.gated, k_tau=config.k_tau)
    count = len(data.train_labels)
    groups: list[dict[str, Any]] = [
        {"params": list(net.weight)},
        {"params": list(net.log_alpha), "lr": 10 * config.lr},
    ]
    optimiser = torch.optim.Adam(groups[: 1 + config.gated], lr=config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, config.epochs * -(-count // config.batch)
    )

    def loss(chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        spikes = time_first(drawn(config.encoder, data.train_images[chosen], config.shift, rng))
        rates = net(spikes)[-1].mean(0)
        labels = torch.as_tensor(data.train_labels[chosen])
        wanted = F.one_hot(labels, data.classes).float()
        error = (wanted - rates).square().sum(1).mean()
        return error + config.penalty / count * net.penalty()

    curve = fit(
        net,
        optimiser,
        loss,
        count,
        epochs=config.epochs,
        batch=config.batch,
        seed=config.seed,
        schedule=schedule,
        after_epoch=lambda epoch: {"open": net.open_share()},
        checkpoint=checkpoint,
        training=asdict(config) | {"source": data.source},
        name="hard-concrete" if config.gated else "plain",
        progress=progress,
    )
    return net, curve


def train(
    config: HardConcreteConfig,
    data: Dataset,
    *,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> Network:
    """The integer network, scored on the test images of ``data``.

    Its metadata hold ``open`` (share of the weights whose gate is above 0),
    ``connectivity_integer`` (share of the synapses that are not 0) and ``leaks`` (for each number
    of shifts the error of k_tau and the accuracy on LEAK_IMAGES). InputError as for
    :func:`train_net`.
    """
    net, curve = train_net(config, data, checkpoint=checkpoint, progress=progress)
    float_net, spikes = net.float_net(), config.encoder(data.test_images)
    scaling = config.encoder(data.train_images[:SCALING])

    def integer(terms: int) -> Network:
        network, _ = quantize(
            float_net,
            scaling,
            data.train_labels[:SCALING],
            bits=config.bits,
            leak_terms=terms,
            name="hard-concrete-mnist",
        )
        return network

    def score(network: Network, images: int) -> float:
        labels = data.test_labels[:images]
        return right(network, {"input": spikes[:images]}, labels) / len(labels)

    leaks = [
        {
            "terms": terms,
            "error": best_leak(config.k_tau, terms).error,
            "accuracy": score(integer(terms), LEAK_IMAGES),
        }
        for terms in range(LEAK_TERMS + 1)
    ]
    network = integer(config.leak_terms)
    nonzero = sum(int(edge.fanout().sum()) for edge in network.edges)
    training = asdict(config)
    return network.with_metadata(
        rule="hard-concrete",
        encoder=training.pop("encoder"),
        training=training,
        dataset=about(data),
        open=net.open_share(),
        connectivity_integer=nonzero / synapses(net.structure),
        accuracy_float=accuracy(float_net, spikes, data.test_labels),
        accuracy_integer=score(network, len(spikes)),
        leaks=leaks,
        curve=curve,
        published=PUBLISHED,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="train a net with hard-concrete gates on MNIST")
    parser.add_argument("--plain", action="store_true", help="train without gates, for comparison")
    parser.add_argument(
        "--penalty",
        type=float,
        default=HardConcreteConfig.penalty,
        help="lambda, per training image",
    )
    parser.add_argument(
        "--structure",
        default=HardConcreteConfig.layers,
        help="layers of the net (default: %(default)s; the paper's: 15c5-ap2-40c5-ap2-fc300-fc10)",
    )

    def trained(given: argparse.Namespace, data: Dataset, checkpoint: Path) -> Network:
        config = HardConcreteConfig(
            layers=given.structure,
            gated=not given.plain,
            penalty=given.penalty,
            epochs=given.epochs,
            seed=given.seed,
        )
        return train(config, data, checkpoint=checkpoint)

    command("hard_concrete", parser, trained, HardConcreteConfig.epochs)


if __name__ == "__main__":
    main()
