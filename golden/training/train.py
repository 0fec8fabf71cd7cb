"""Training by backpropagation through time with a surrogate gradient (BPSR, Yan et al. 2022).

The class is the output neuron with the most spikes:

    p    = softmax(k * sum over t of s_c[t]),   k = 10 / T
    loss = cross entropy(p, label) + spike_cost / 2 * sum over hidden i, t of s_i[t]^2

averaged over the batch. The optimiser is Adam. The learning rate falls from ``lr`` to 0 along a
half cosine. After every update weights and biases are clamped to -1..1 and tau to 0..1. The same
configuration gives the same bits on the same machine (golden/training/loop.py).
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.nets.layers import FloatNet, LayeredNet
from spikeloop.golden.training.images import about, check_shift, drawn
from spikeloop.golden.training.loop import LoopConfig, fit
from spikeloop.pysim.common.errors import InputError

__all__ = [
    "TrainConfig",
    "accuracy",
    "check_layers",
    "count_loss",
    "float_spikes",
    "spike_loss",
    "time_first",
    "train",
]

UPDATES = 9000  # default length of a training in updates, between MIN_EPOCHS and MAX_EPOCHS
MIN_EPOCHS, MAX_EPOCHS = 15, 60
SOFTMAX_GAIN = 10.0


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LoopConfig):
    """What is trained, and how; further fields in :class:`LoopConfig`.

    layers:     sizes, inputs first.
    recurrent:  lateral synapses in every hidden layer.
    epochs:     None for the number that gives about UPDATES updates, 15..60.
    spike_cost: lambda_s, the weight of the hidden layers' squared spikes.
    """

    layers: tuple[int, ...] = (784, 100, 10)
    recurrent: bool = False
    encoder: Encoder = field(default_factory=Encoder)
    epochs: int | None = None  # type: ignore[assignment]
    lr: float = 1.5e-2
    shift: int = 1
    spike_cost: float = 0.0

    REALS = ("lr", "spike_cost")


def train(
    config: TrainConfig, data: Dataset, *, checkpoint: Path | None = None, progress: bool = True
) -> FloatNet:
    """Train a net on the training images of ``data`` and score it on the test images.

    checkpoint: file to resume from.

    The net's metadata hold ``encoder`` (its fields), ``dataset`` (source and counts), ``training``
    (the configuration with its epochs) and ``accuracy_float``. InputError if data and layers do not
    fit each other, or if the training diverges.
    """
    check_layers(config, data)
    check_shift(config.shift, data.pixels)
    count = len(data.train_labels)
    updates = -(-count // config.batch)
    epochs = config.epochs or min(max(round(UPDATES / updates), MIN_EPOCHS), MAX_EPOCHS)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = FloatNet(config.layers, recurrent=config.recurrent)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * updates)

    def loss(chosen: np.ndarray, rng: np.random.Generator) -> Tensor:
        spikes = drawn(config.encoder, data.train_images[chosen], config.shift, rng)
        labels = torch.as_tensor(data.train_labels[chosen])
        return count_loss(net(time_first(spikes)), labels, config.spike_cost)

    def clamp() -> None:
        for layer in net.layers:
            layer.clamp_()

    fit(
        net,
        optimiser,
        loss,
        count,
        epochs=epochs,
        batch=config.batch,
        seed=config.seed,
        schedule=schedule,
        after_update=clamp,
        checkpoint=checkpoint,
        training=asdict(config) | {"source": data.source},
        progress=progress,
    )
    net.check_finite()
    score = accuracy(net, config.encoder(data.test_images), data.test_labels)
    net.metadata = {
        "encoder": asdict(config.encoder),
        "training": {**asdict(config), "layers": list(config.layers), "epochs": epochs},
        "dataset": about(data),
        "accuracy_float": score,
    }
    net.metadata["training"].pop("encoder")
    return net


def check_layers(config: TrainConfig, data: Dataset) -> None:
    """InputError unless the first layer takes the encoded images and the last one names a class."""
    lines = config.encoder.lines(data.pixels)
    if config.layers[0] != lines or config.layers[-1] < data.classes:
        kind = "pixels" if lines == data.pixels else "input lines"
        raise InputError(
            f"layers must begin with {lines} ({kind}) and end with at least {data.classes} "
            f"(classes), not be {'-'.join(map(str, config.layers))}"
        )


def count_loss(spikes: list[Tensor], labels: Tensor, spike_cost: float) -> Tensor:
    """Loss of one batch from the spikes ``[T, B, n]`` of every layer."""
    steps, batch, _ = spikes[-1].shape
    loss = spike_loss(spikes[-1].sum(0), steps, labels)
    for hidden in spikes[:-1] if spike_cost else ():
        loss = loss + spike_cost / 2 * hidden.square().sum() / batch
    return loss


def spike_loss(counts: Tensor, steps: int, labels: Tensor) -> Tensor:
    """Mean cross entropy of the output neurons' spikes in ``steps``, ``[B, classes]``."""
    return F.cross_entropy(counts * (SOFTMAX_GAIN / steps), labels)


def time_first(spikes: np.ndarray) -> Tensor:
    """uint8 ``[sample, step, line]`` to float32 ``[step, sample, line]``."""
    return torch.as_tensor(np.ascontiguousarray(spikes.transpose(1, 0, 2))).float()


@torch.no_grad()
def float_spikes(net: LayeredNet, spikes: np.ndarray, *, batch: int = 500) -> list[np.ndarray]:
    """Spikes of every layer of the float net, uint8 ``[sample, step, size]``.

    spikes: of the input, uint8 ``[sample, step, line]``.
    """
    parts = [
        [
            s.permute(1, 0, 2).to(torch.uint8).numpy()
            for s in net(time_first(spikes[at : at + batch]))
        ]
        for at in range(0, len(spikes), batch)
    ]
    return [np.concatenate(layer) for layer in zip(*parts, strict=True)]


def accuracy(net: LayeredNet, spikes: np.ndarray, labels: np.ndarray) -> float:
    """Share of samples whose label has the most output spikes, 0..1; a tie takes the lowest."""
    counts = float_spikes(net, spikes)[-1].sum(1, dtype=np.int64)
    return float((counts.argmax(1) == labels).mean())
