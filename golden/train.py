"""Training: backpropagation through time with the surrogate gradient (BPSR, Yan et al. 2022), read out by output spike counts.

    p = softmax(k * sum_t s_c[t]),  k = 10 / T;   loss = cross entropy(p, label) + spike_cost / 2 * sum over hidden i, t of s_i[t]^2

averaged over the batch. Optimiser Adam, learning rate from ``lr`` to 0 along a half cosine; after every update weights and biases are
clamped to -1..1 and tau to 0..1. One configuration gives the same bits again on the same machine: training runs on one thread, which for
products of this size is as fast as two and does not let the order of sums depend on their number.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor
from torch.nn import functional as F

from golden.datasets import Dataset
from golden.encoders import Encoder
from golden.layers import FloatNet
from pysim.network import InputError, check_int

__all__ = ["TrainConfig", "accuracy", "float_spikes", "train"]

UPDATES = 9000  # default length of a training in updates, between MIN_EPOCHS and MAX_EPOCHS
MIN_EPOCHS, MAX_EPOCHS = 15, 60
SOFTMAX_GAIN = 10.0


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What is trained, and how.

    layers:     sizes, inputs first; recurrent: lateral synapses in every hidden layer
    epochs:     passes over the training images; None: as many as UPDATES updates take, 15..60
    batch:      images per update; lr: first learning rate of Adam
    shift:      pixels by which training images are moved at random, each time anew, 0..8; square images alone
    spike_cost: lambda_s, weight of the hidden layers' squared spikes
    seed:       of the initial weights, the order of the images and the rate encoder's draws
    """

    layers: tuple[int, ...] = (784, 100, 10)
    recurrent: bool = False
    encoder: Encoder = field(default_factory=Encoder)
    epochs: int | None = None
    batch: int = 128
    lr: float = 1.5e-2
    shift: int = 1
    spike_cost: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for key, low, high in (("epochs", 1, 1 << 20), ("batch", 1, 1 << 20), ("shift", 0, 8), ("seed", 0, (1 << 63) - 1)):
            if key != "epochs" or self.epochs is not None:
                check_int(f"{key} of the training", getattr(self, key), low, high)
        for key in ("lr", "spike_cost"):
            if not 0 <= getattr(self, key) < math.inf:
                raise InputError(f"{key} of the training must be a number of at least 0, not {getattr(self, key)!r}")


def train(config: TrainConfig, data: Dataset, *, progress: bool = True) -> FloatNet:
    """Train a net on the training images of ``data`` and score it on its test images.

    The net's metadata: ``encoder`` (its fields), ``dataset`` (source and counts), ``training`` (the configuration, epochs filled in) and
    ``accuracy_float``. InputError if data and layers do not fit, or if the training diverges.
    """
    if config.layers[0] != data.pixels or config.layers[-1] < data.classes:
        raise InputError(f"layers must begin with {data.pixels} (pixels) and end with at least {data.classes} (classes), "
                         f"not be {'-'.join(map(str, config.layers))}")
    if config.shift and math.isqrt(data.pixels)**2 != data.pixels:
        raise InputError(f"shift of the training must be 0 for images of {data.pixels} pixels, which are not square, not {config.shift}")
    count = len(data.train_labels)
    updates = -(-count // config.batch)
    epochs = config.epochs or min(max(round(UPDATES / updates), MIN_EPOCHS), MAX_EPOCHS)
    rng = np.random.default_rng(config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = FloatNet(config.layers, recurrent=config.recurrent)
    optimiser = torch.optim.Adam(net.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs * updates)
    labels = torch.from_numpy(data.train_labels)
    with _one_thread(), _bar(progress, epochs * updates) as tell:
        for epoch in range(epochs):
            order = rng.permutation(count)
            for at in range(0, count, config.batch):
                chosen = order[at:at + config.batch]
                encoder = replace(config.encoder, seed=int(rng.integers(1 << 62)))  # rate: other draws in every batch
                spikes = encoder(_shifted(data.train_images[chosen], config.shift, rng))
                loss = _loss(net(_time_first(spikes)), labels[chosen], config.spike_cost)
                if not math.isfinite(loss.item()):
                    raise InputError(f"loss of the training must be finite, not {loss.item()} (epoch {epoch + 1}): choose a smaller lr")
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
                for layer in net.layers:
                    layer.clamp_()
                tell(f"epoch {epoch + 1}/{epochs} loss {loss.item():.4f}")
    net.check_finite()
    score = accuracy(net, config.encoder(data.test_images), data.test_labels)
    net.metadata = {
        "encoder": asdict(config.encoder), "training": {**asdict(config), "layers": list(config.layers), "epochs": epochs},
        "dataset": {"source": data.source, "train": count, "test": len(data.test_labels)}, "accuracy_float": score}
    net.metadata["training"].pop("encoder")
    return net


def _shifted(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Every image moved by -most..most pixels along both axes, with background moved in."""
    if not most:
        return images
    count, side = len(images), math.isqrt(images.shape[1])
    padded = np.pad(images.reshape(count, side, side), ((0, 0), (most, most), (most, most)))
    rows, columns = (rng.integers(0, 2 * most + 1, (count, 1)) + np.arange(side) for _ in range(2))
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(count, -1)


def _loss(spikes: list[Tensor], labels: Tensor, spike_cost: float) -> Tensor:
    """Loss of one batch from the spikes ``[T, B, n]`` of every layer."""
    steps, batch, _ = spikes[-1].shape
    loss = F.cross_entropy(spikes[-1].sum(0) * (SOFTMAX_GAIN / steps), labels)
    for hidden in spikes[:-1] if spike_cost else ():
        loss = loss + spike_cost / 2 * hidden.square().sum() / batch
    return loss


def _time_first(spikes: np.ndarray) -> Tensor:
    """uint8 ``[sample, step, line]`` to float32 ``[step, sample, line]``."""
    return torch.from_numpy(np.ascontiguousarray(spikes.transpose(1, 0, 2))).float()


@torch.no_grad()
def float_spikes(net: FloatNet, spikes: np.ndarray, *, batch: int = 500) -> list[np.ndarray]:
    """Spikes uint8 ``[sample, step, size]`` of every layer of the float net, from input spikes uint8 ``[sample, step, line]``."""
    parts = [[s.permute(1, 0, 2).to(torch.uint8).numpy() for s in net(_time_first(spikes[at:at + batch]))]
             for at in range(0, len(spikes), batch)]
    return [np.concatenate(layer) for layer in zip(*parts, strict=True)]


def accuracy(net: FloatNet, spikes: np.ndarray, labels: np.ndarray) -> float:
    """Share of samples whose label has the most output spikes (of equals the lowest), 0..1."""
    counts = float_spikes(net, spikes)[-1].sum(1, dtype=np.int64)
    return float((counts.argmax(1) == labels).mean())


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _bar(show: bool, total: int) -> Iterator[Any]:
    columns = (TextColumn("train"), BarColumn(), TextColumn("{task.percentage:>3.0f}% {task.description}"), TimeElapsedColumn())
    with Progress(*columns, disable=not show) as bar:
        task = bar.add_task("", total=total)
        yield lambda text: bar.update(task, advance=1, description=text)
