"""Training of BPSA nets (Shen et al. 2022; golden/rules/bpsa/net.py) on MNIST.

AdamW with the authors' decay. The learning rate follows one half cosine from ``lr`` to 0, of which
the first tenth of the updates is cut off by a straight rise. (The paper: SGDR's restarts over 300
epochs, after a warm-up with another rule.) The last epoch's net is kept; test images choose
nothing.

The net of the paper is 128C3-MP2-128C3-256C3-MP2-2048FC-10Voting with T = 16. Its first layer takes
the grey image as a current, as here with the encoder ``bit_planes``. Ours are smaller, with T = 8.

    python -m spikeloop.golden.rules.bpsa.train --data FOLDER --out bpsa-mnist.safetensors
"""

import argparse
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import ENCODERS, Encoder, grey
from spikeloop.golden.reference.integer import right
from spikeloop.golden.rules.bpsa.net import BpsaNet, energy_efficiency
from spikeloop.golden.rules.structure import structure, synapses
from spikeloop.golden.training.command import command
from spikeloop.golden.training.images import about, reseeded, shifted
from spikeloop.golden.training.loop import LoopConfig, fit
from spikeloop.golden.training.train import time_first
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network

__all__ = ["BpsaConfig", "integer_network", "train"]

PUBLISHED = {
    "accuracy": 0.9967,
    "accuracy_table5": 0.9958,
    "baseline": 0.9942,
    "rate": 0.082,
    "baseline_rate": 0.183,
    "efficiency": 35.1,
}
DECAY = 1e-4  # of all parameters, by AdamW
WARM_UP = 0.1  # of the updates


@dataclass(frozen=True, kw_only=True)
class BpsaConfig(LoopConfig):
    """What is trained, and how; further fields in :class:`LoopConfig`.

    structure: the layers (golden/rules/structure.py). The last has as many neurons for each of the
               ten classes, which vote.
    bare:      as of :class:`BpsaNet`.
    """

    structure: str = "12c5/2-24c3-mp2-fc100-fc50"
    bare: bool = False
    encoder: Encoder = field(default_factory=lambda: Encoder(name="rate"))
    epochs: int = 4
    batch: int = 64
    lr: float = 2e-3
    shift: int = 1


def train(
    config: BpsaConfig, data: Dataset, *, checkpoint: Path | None = None, progress: bool = True
) -> BpsaNet:
    """Train a net and score it on the test images of ``data``.

    checkpoint: file to resume from.

    The net's metadata hold ``rule``, ``encoder``, ``training``, ``dataset``, ``curve``,
    ``synapses``, ``accuracy_float``, ``spikes`` (per test image, all layers), ``rate`` (spikes per
    neuron and step, without pools), ``efficiency`` (Eq 1) and ``published``. InputError if data and
    layers do not fit each other, or if the training diverges.
    """
    encoder, side = config.encoder, math.isqrt(data.pixels)
    planes, lines = encoder.current_bits, encoder.lines(data.pixels)
    held = encoder.steps if planes else 1
    if encoder.name == "sequence" or lines != side**2 * max(planes, 1):
        raise InputError(
            f"images for this net must be square and drive a line for each of {data.pixels} "
            f"pixels, not {lines} lines"
        )
    layers = structure(config.structure, (1, side, side), "c mp fc")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = BpsaNet(layers, data.classes, planes=planes, bare=config.bare)
    count = len(data.train_labels)
    updates = count // config.batch
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=DECAY)
    every = config.epochs * max(updates, 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda at: min((at + 1) / (WARM_UP * every), (1 + math.cos(math.pi * at / every)) / 2),
    )

    def loss(chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        images = shifted(data.train_images[chosen], config.shift, rng)
        spikes = net(time_first(_seen(reseeded(encoder, rng), images)), held)[-1]
        wanted = torch.eye(data.classes)[torch.as_tensor(data.train_labels[chosen])]
        return (wanted - net.votes(spikes)).square().sum(1).mean()

    how = asdict(config)
    net.train()
    curve = fit(
        net,
        optimiser,
        loss,
        count,
        epochs=config.epochs,
        batch=config.batch,
        seed=config.seed,
        schedule=schedule,
        whole_batches=True,
        checkpoint=checkpoint,
        training=how | {"source": data.source},
        name="BPSA",
        progress=progress,
    )
    net.eval()
    score, counts = _score(net, _seen(encoder, data.test_images), held, data.test_labels)
    neurons = sum(layer.size for layer in layers if not layer.pool)
    fired = sum(n for n, layer in zip(counts, layers, strict=True) if not layer.pool)
    rate = fired / (neurons * encoder.steps)
    net.metadata = {
        "rule": "bpsa",
        "encoder": how.pop("encoder"),
        "training": how,
        "dataset": about(data),
        "curve": curve,
        "published": PUBLISHED,
        "synapses": synapses(layers),
        "accuracy_float": score,
        "spikes": sum(counts),
        "rate": rate,
        "efficiency": energy_efficiency(rate, encoder.steps),
    }
    return net


def _seen(encoder: Encoder, images: np.ndarray) -> np.ndarray:
    """What the net sees: spikes ``[n, T, pixels]``, or grey values ``[n, 1, pixels]``."""
    bits = encoder.current_bits
    return grey(images, bits)[:, None] if bits else encoder(images)


@torch.no_grad()
def _score(
    net: BpsaNet, seen: np.ndarray, held: int, labels: np.ndarray, batch: int = 500
) -> tuple[float, list[float]]:
    """Accuracy, and the spikes of each layer per sample."""
    correct, counts = 0, np.zeros(len(net.structure))
    for at in range(0, len(labels), batch):
        every = net(time_first(seen[at : at + batch]), held)
        correct += int((net.votes(every[-1]).argmax(1).numpy() == labels[at : at + batch]).sum())
        counts += [float(s.sum()) for s in every]
    return correct / len(labels), (counts / len(labels)).tolist()


def integer_network(net: BpsaNet, data: Dataset, *, bits: int = 8) -> Network:
    """The integer network; its metadata hold ``accuracy_integer`` on the test images."""
    encoder = Encoder(**net.metadata["encoder"])
    network = net.to_network(encoder.steps, bits=bits)
    correct = right(network, {"input": encoder(data.test_images)}, data.test_labels, batch=250)
    score = correct / len(data.test_labels)
    return network.with_metadata(accuracy_integer=score)


def main() -> None:
    parser = argparse.ArgumentParser(description="train a BPSA net on MNIST")
    parser.add_argument(
        "--structure", default=BpsaConfig.structure, help="layers, as in 12c5/2-24c3-mp2-fc100-fc50"
    )
    parser.add_argument(
        "--encoder", choices=ENCODERS, default="rate", help="how images become spikes"
    )
    parser.add_argument("--steps", type=int, default=8, help="steps of a sample")
    parser.add_argument("--lr", type=float, default=BpsaConfig.lr, help="largest learning rate")
    parser.add_argument(
        "--bare",
        action="store_true",
        help="fully connected layers without norm, the last one without rectifier, as the authors",
    )
    parser.add_argument("--bits", type=int, default=8, help="bits of a weight")

    def trained(given: argparse.Namespace, data: Dataset, checkpoint: Path) -> Network:
        encoder = Encoder(name=given.encoder, steps=given.steps)
        check_int("bits of a weight", given.bits, 2, 17 - max(encoder.current_bits, 1))  # in time
        config = BpsaConfig(
            structure=given.structure,
            bare=given.bare,
            encoder=encoder,
            epochs=given.epochs,
            lr=given.lr,
            seed=given.seed,
        )
        return integer_network(train(config, data, checkpoint=checkpoint), data, bits=given.bits)

    command("bpsa", parser, trained, BpsaConfig.epochs)


if __name__ == "__main__":
    main()
