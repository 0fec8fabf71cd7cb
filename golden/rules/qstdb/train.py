"""Hybrid training of Q-STDB nets (Datta et al. 2022, sections 4.2 and 6.3), and the MNIST net whose
first layer is a PIM macro.

    1. ANN: ReLU, no bias; SGD with momentum 0.9, learning rate x 0.1 after 60, 80 and 90 % of the
       epochs
    2. conversion: leak 1; layer by layer v = the 99.7 percentile of the layer's currents over 100
       steps of 50 images; then all v x 0.8
    3. Q-STDB: T steps, affine weights forward; Adam, learning rate x 0.5 after 60, 80 and 90 % of
       the epochs; weights, leaks and thresholds are trained

The last epoch's net is kept; test images choose nothing. In phase 3 a PIM layer's range shift and
discharge clip are calibrated before every epoch, since its weights move. The same configuration
gives the same bits on the same machine (golden/training/loop.py).

    python -m spikeloop.golden.rules.qstdb.train --data FOLDER --out pim-mnist.safetensors
"""

import argparse
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.rules.qstdb.integer import classes
from spikeloop.golden.rules.qstdb.net import Layer, QstdbNet, fire
from spikeloop.golden.training.command import command
from spikeloop.golden.training.images import about, shifted
from spikeloop.golden.training.loop import LoopConfig, fit
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.layer import PimParams
from spikeloop.pysim.pim.window import PimWindow

__all__ = [
    "MACRO",
    "QstdbConfig",
    "accuracy",
    "convert",
    "mnist_layers",
    "outputs",
    "stages",
    "train",
    "train_ann",
    "train_spiking",
]

PERCENTILE, THRESHOLD_SCALE, CONVERSION_STEPS, CONVERSION_IMAGES = 0.997, 0.8, 100, 50
CALIBRATION_IMAGES, CALIBRATION_PERCENTILE = 200, 99.9
# 8 words: one for each channel of the MNIST net's first layer
MACRO = PimParams(banks=1, columns=48, rows=32, share=4)


@dataclass(frozen=True, kw_only=True)
class QstdbConfig(LoopConfig):
    """What is trained, and how; further fields in :class:`LoopConfig`.

    ann_epochs, ann_lr: of phase 1 (paper: 100, 0.01).
    epochs, lr:         of phase 3 (paper: 100, 1e-4).
    """

    ann_epochs: int = 12
    ann_lr: float = 0.05
    epochs: int = 15
    shift: int = 1

    INTS = LoopConfig.INTS | {"ann_epochs": (0, 1 << 20), "epochs": (0, 1 << 20)}
    REALS = ("ann_lr", "lr")


def mnist_layers() -> tuple[Layer, ...]:
    """8C5s2-32C5s2-10FC: 28 x 28 -> 8 x 12 x 12 -> 32 x 4 x 4 -> 10.

    In the macro the first layer takes 25 rows, one row group.
    """
    first = Layer(name="conv1", window=PimWindow.make((1, 28, 28), (5, 5), stride=2), channels=8)
    second = Layer(name="conv2", window=PimWindow.make(first.target, (5, 5), stride=2), channels=32)
    last = Layer(name="fc", window=PimWindow.make((math.prod(second.target),)), channels=10)
    return first, second, last


def train(
    config: QstdbConfig,
    data: Dataset,
    layers: tuple[Layer, ...],
    *,
    checkpoint: Path | None = None,
    progress: bool = True,
    **options: Any,
) -> QstdbNet:
    """All three phases.

    checkpoint: stem of the files to resume from.
    options:    of :class:`QstdbNet`.

    The metadata hold ``training``, ``dataset`` and ``accuracy`` (:func:`stages`). InputError if
    data and layers do not fit, or if the training diverges.
    """
    pixels = math.prod(layers[0].window.source)
    if pixels != data.pixels:
        raise InputError(f"images for this net must have {pixels} pixels, not {data.pixels}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = QstdbNet(layers, **options)
    train_ann(net, config, data, checkpoint=checkpoint, progress=progress)
    scores = {"ann": accuracy(net.ann, data.test_images, data.test_labels)}
    convert(net, data.train_images[:CONVERSION_IMAGES])
    scores["converted"] = accuracy(lambda x: net(x, "float"), data.test_images, data.test_labels)
    train_spiking(net, config, data, checkpoint=checkpoint, progress=progress)
    net.metadata = {
        "training": asdict(config),
        "accuracy": scores | stages(net, data.test_images, data.test_labels),
        "dataset": about(data),
    }
    return net


def train_ann(net: QstdbNet, config: QstdbConfig, data: Dataset, **how: Any) -> None:
    """Phase 1; ``how`` holds ``augment``, ``checkpoint`` and ``progress`` of :func:`_epochs`.

    InputError if the training diverges.
    """
    optimiser = torch.optim.SGD(net.weights.parameters(), lr=config.ann_lr, momentum=0.9)
    _epochs(net, net.ann, optimiser, 0.1, config.ann_epochs, config, data, "ANN", **how)


@torch.no_grad()
def convert(net: QstdbNet, images: np.ndarray) -> None:
    """Phase 2: thresholds from ``images`` int ``[n, ...]`` in full precision, and leak 1."""
    net.leak.fill_(1)
    values = _pixels(images) / net.unit
    for i, layer in enumerate(net.layers[:-1]):
        currents = layer.sum(values, net.weights[i])
        net.threshold[i] = max(float(np.quantile(currents.numpy().reshape(-1), PERCENTILE)), 1e-3)
        values = fire(currents, net.leak[i], net.threshold[i], CONVERSION_STEPS, held=i == 0)
    net.threshold.mul_(THRESHOLD_SCALE)


def train_spiking(
    net: QstdbNet, config: QstdbConfig, data: Dataset, *, form: str = "affine", **how: Any
) -> None:
    """Phase 3 with the weights in ``form`` ("float" is the paper's "FP SNN").

    InputError if the training diverges.
    """

    def before(epoch: int) -> None:
        if net.pim:
            images = data.train_images[:CALIBRATION_IMAGES]
            maps = images.reshape(-1, *net.layers[0].window.source)
            net.pim.calibrate(maps, CALIBRATION_PERCENTILE)

    net.train()
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
    _epochs(
        net,
        lambda x: net(x, form),
        optimiser,
        0.5,
        config.epochs,
        config,
        data,
        "SNN",
        before,
        **how,
    )
    net.eval()


def _epochs(
    net: QstdbNet,
    forward: Callable[[Tensor], Tensor],
    optimiser: torch.optim.Optimizer,
    decay: float,
    epochs: int,
    config: QstdbConfig,
    data: Dataset,
    what: str,
    before: Callable[[int], None] | None = None,
    *,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> None:
    """Epochs of cross entropy; the learning rate decays after 60, 80 and 90 % of them.

    Each phase has a checkpoint of its own.

    before:  called with the number of each epoch.
    augment: replaces the images of an update; default: move them by up to ``config.shift``.
    """
    count = len(data.train_labels)
    updates = -(-count // config.batch)
    schedule = torch.optim.lr_scheduler.MultiStepLR(
        optimiser, [round(part * epochs * updates) for part in (0.6, 0.8, 0.9)], decay
    )

    def loss(chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        images = data.train_images[chosen]
        shown = augment(images, rng) if augment else shifted(images, config.shift, rng)
        labels = torch.as_tensor(data.train_labels[chosen])
        return F.cross_entropy(forward(_pixels(shown)), labels)

    phase_file = checkpoint and checkpoint.with_name(f"{checkpoint.name}.{what}")
    fit(
        net,
        optimiser,
        loss,
        count,
        epochs=epochs,
        batch=config.batch,
        seed=[config.seed, what == "SNN"],
        schedule=schedule,
        before_epoch=before,
        after_update=net.clamp_,
        checkpoint=phase_file,
        training=asdict(config) | {"source": data.source, "bits": net.bits},
        name=what,
        progress=progress,
    )


@torch.inference_mode()
def outputs(
    forward: Callable[[Tensor], Tensor], images: np.ndarray, batch: int = 250
) -> np.ndarray:
    """Classes int64 ``[n]`` that ``forward`` gives."""
    parts = [
        forward(_pixels(images[at : at + batch])).argmax(1) for at in range(0, len(images), batch)
    ]
    return torch.cat(parts).numpy()


def accuracy(forward: Callable[[Tensor], Tensor], images: np.ndarray, labels: np.ndarray) -> float:
    """Share of the images whose label ``forward`` gives, 0..1."""
    return float((outputs(forward, images) == labels).mean())


def stages(net: QstdbNet, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy of each form, from the trained one to the chip's.

    Affine weights, scale weights, then shift-add leaks, then integers throughout.
    """
    forms = {
        form: accuracy(lambda x, form=form: net(x, form), images, labels)  # type: ignore[misc]
        for form in ("affine", "scale", "shift")
    }
    return forms | {"integer": float((classes(net, images) == labels).mean())}


def _pixels(images: np.ndarray) -> Tensor:
    return torch.as_tensor(images.astype(np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(
        description="train the MNIST net whose first layer is a PIM macro"
    )
    parser.add_argument("--bits", type=int, choices=(4, 5, 6), default=6, help="bits of a weight")
    parser.add_argument(
        "--digital", action="store_true", help="first layer exact, without macro and ADC"
    )
    parser.add_argument("--ann-epochs", type=int, default=QstdbConfig.ann_epochs)

    def trained(given: argparse.Namespace, data: Dataset, checkpoint: Path) -> QstdbNet:
        config = QstdbConfig(ann_epochs=given.ann_epochs, epochs=given.epochs, seed=given.seed)
        macro = None
        if not given.digital:
            sizes = {"weight_bits": given.bits, "columns": 8 * given.bits}
            macro = PimParams.from_dict({**MACRO.to_dict(), **sizes})
        return train(
            config, data, mnist_layers(), bits=given.bits, pim=macro, checkpoint=checkpoint
        )

    command("qstdb", parser, trained, QstdbConfig.epochs)


if __name__ == "__main__":
    main()
