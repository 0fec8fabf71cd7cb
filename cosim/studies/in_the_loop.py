"""Rounding after training against training in the chip's arithmetic, at 8, 4, 3 and 2 bits.

    python -m spikeloop.cosim.studies.in_the_loop FOLDER [--data MNIST] [--net dense|conv]

A net trains with weights of 12 bits, which stand for floats. For each width its weights are rounded
(spikeloop.nn.with_bits), scored, tuned in the chip's arithmetic for TUNING epochs, and scored
again. Nothing is chosen on the test images; each net is scored on them once. A study that was
stopped goes on: every net is kept in FOLDER. docs/training.md has the table.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.nn.layers import LIF, Conv2d, Linear, sequential
from spikeloop.golden.nn.model import IntegerModel
from spikeloop.golden.quantize.scales import with_bits
from spikeloop.golden.training.images import drawn
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.network.graph import Network

__all__ = ["study"]

STEPS = 8
BITS = (8, 4, 3, 2)
FINE = 12  # bits that stand for floats: sums of 16 bits would need float64
EPOCHS, TUNING = {"dense": 15, "conv": 6}, {"dense": 5, "conv": 3}
BATCH, GAIN, SHIFT = 100, 10.0, 1
RATE, TUNING_RATE = 3e-3, 1e-3
ENCODER = Encoder(name="rank_order", steps=STEPS)
NEURONS = LIF(leak=0.875, threshold=0.5)


def dense(seed: int) -> IntegerModel:
    """784-100-10."""
    return sequential(
        Linear(784, 100, bits=FINE),
        NEURONS,
        Linear(100, 10, bits=FINE),
        NEURONS,
        input=(784,),
        steps=STEPS,
        seed=seed,
    )


def conv(seed: int) -> IntegerModel:
    """8C3/2-16C3/2-10: convolutions of stride 2 instead of pools."""
    return sequential(
        Conv2d(1, 8, 3, stride=2, bits=FINE),
        NEURONS,
        Conv2d(8, 16, 3, stride=2, bits=FINE),
        NEURONS,
        Linear(576, 10, bits=FINE),
        NEURONS,
        input=(1, 28, 28),
        steps=STEPS,
        seed=seed,
    )


NETS: dict[str, Callable[[int], IntegerModel]] = {"dense": dense, "conv": conv}


def study(
    name: str, data: Dataset, folder: Path, seed: int = 0, tell: Callable[[str], None] = print
) -> dict[str, float]:
    """Accuracies in percent: "float", and for each width "N rounded" and "N trained"."""
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{name}-{seed}.json"
    rows: dict[str, float] = json.loads(kept.read_text()) if kept.exists() else {}

    def score(key: str, model: IntegerModel) -> None:
        rows[key] = round(100 * accuracy(model, data), 2)
        write_atomic(kept, json.dumps(rows, indent=1).encode())
        tell(f"{name} {key}: {rows[key]:.2f} %")

    file = folder / f"{name}-{seed}.safetensors"
    if "float" in rows:
        fine = Network.load(file)
    else:
        model = NETS[name](seed)
        train(model, data, EPOCHS[name], RATE, seed, tell)
        fine = model.to_network()
        fine.save(file)
        score("float", model)
    for bits in BITS:
        if f"{bits} trained" in rows:
            continue
        model = tuned(fine, bits)
        score(f"{bits} rounded", model)
        train(model, data, TUNING[name], TUNING_RATE, seed + bits, tell)
        model.to_network().save(folder / f"{name}-{seed}-{bits}.safetensors")
        score(f"{bits} trained", model)
    return rows


def tuned(fine: Network, bits: int) -> IntegerModel:
    """The net at ``bits``, whose parameters are still the fine ones."""
    model = IntegerModel(with_bits(fine, bits))
    model.take_parameters(IntegerModel(fine))
    return model


def train(
    model: IntegerModel,
    data: Dataset,
    epochs: int,
    rate: float,
    seed: int,
    tell: Callable[[str], None],
) -> None:
    """Cross entropy of the output's spike counts."""
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    updates = epochs * -(-len(data.train_labels) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(data.train_labels).long()
    for epoch in range(epochs):
        total = 0.0
        order = rng.permutation(len(labels))
        for at in range(0, len(order), BATCH):
            chosen = order[at : at + BATCH]
            spikes = drawn(ENCODER, data.train_images[chosen], SHIFT, rng)
            counts = model(_tensor(spikes)).sum(1)
            loss = torch.nn.functional.cross_entropy(counts * (GAIN / STEPS), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        tell(f"  epoch {epoch + 1} of {epochs}: loss {total * BATCH / len(order):.4f}")


@torch.no_grad()
def accuracy(model: IntegerModel, data: Dataset) -> float:
    right = 0
    for at in range(0, len(data.test_labels), 500):
        spikes = _tensor(ENCODER(data.test_images[at : at + 500]))
        answers = model(spikes).sum(1).argmax(1).numpy()
        right += int((answers == data.test_labels[at : at + 500]).sum())
    return right / len(data.test_labels)


def _tensor(spikes: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(spikes)).float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--data", type=Path, help="folder of MNIST; without it 5,000 embedded images"
    )
    parser.add_argument("--net", choices=tuple(NETS), default="dense")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(json.dumps(study(given.net, load_mnist(given.data), given.folder, given.seed), indent=1))


if __name__ == "__main__":
    main()
