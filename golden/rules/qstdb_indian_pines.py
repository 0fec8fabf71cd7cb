"""CNN-3D of ACE-SNN (Datta et al. 2022, Table 1) on Indian Pines: Table 2's six nets, from one ANN.

    python -m golden.rules.qstdb_indian_pines --folder FOLDER

trains what is not yet in FOLDER (the ANN, then the spiking nets of 6, 5, 4 and 32 bits), so that a broken-off run goes on, and writes
``results.json``. OA: share of right classes; AA: mean of the classes' shares; kappa: (OA - chance) / (1 - chance), chance from the
margins of the confusion matrix.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from golden.datasets import Dataset
from golden.indian_pines import BANDS, PATCH, UNIT, load_indian_pines
from golden.rules.qstdb import Layer, QstdbNet
from golden.rules.qstdb_integer import classes
from golden.rules.qstdb_train import CONVERSION_IMAGES, QstdbConfig, convert, outputs, train_ann, train_spiking
from pysim.network import InputError, PimWindow, write_atomic

__all__ = ["cnn3d", "evaluate", "scores"]

# filters, kernel, stride and padding, (height, width, depth); the paper prints paddings as (depth, height, width)
TABLE1 = ((20, (3, 3, 3), (1, 1, 1), (0, 0, 0)), (40, (1, 1, 3), (1, 1, 2), (0, 0, 1)), (84, (3, 3, 3), (1, 1, 1), (0, 0, 1)),
          (84, (1, 1, 3), (1, 1, 2), (0, 0, 1)), (84, (1, 1, 3), (1, 1, 1), (0, 0, 1)), (84, (1, 1, 2), (1, 1, 2), (0, 0, 1)))


def cnn3d(patch: int = PATCH, bands: int = BANDS, classes: int = 16) -> tuple[Layer, ...]:
    """The six 3-D convolutions and the classifier."""
    layers, source = list[Layer](), (1, patch, patch, bands)
    for i, (channels, kernel, stride, padding) in enumerate(TABLE1, 1):
        window = PimWindow(source=source, kernel=kernel, stride=stride, padding=padding)
        layers.append(Layer(name=f"conv{i}", window=window, channels=channels))
        source = layers[-1].target  # type: ignore[assignment]
    return (*layers, Layer(name="fc", window=PimWindow.make((int(np.prod(source)),)), channels=classes))


def scores(classes: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """OA, AA and kappa, 0..1, of predicted ``classes``; AA over the classes that ``labels`` holds."""
    size = 1 + int(max(classes.max(), labels.max()))
    confusion = np.bincount(labels * size + classes, minlength=size * size).reshape(size, size)
    total, true, said = confusion.sum(), confusion.sum(1), confusion.sum(0)
    right = confusion.diagonal()
    oa, chance = right.sum() / total, float(true @ said) / total**2
    return {"OA": float(oa), "AA": float((right[true > 0] / true[true > 0]).mean()), "kappa": float((oa - chance) / (1 - chance))}


def evaluate(net: QstdbNet, data: Dataset, form: str, steps: int | None = None) -> dict[str, Any]:
    """Scores on the test images, and of every hidden layer the spikes per neuron over all steps (the paper's zeta)."""
    counts: list[Any] = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        out, spikes = net.run(x, form, steps)
        counts.append([float(s.sum()) / s[0, 0].numel() for s in spikes])
        return out
    found = scores(outputs(forward, data.test_images, 50), data.test_labels)
    return found | {"zeta": (np.sum(counts, 0) / len(data.test_labels)).tolist()}


def _kept(path: Path, make: Callable[[], QstdbNet]) -> QstdbNet:
    if path.is_file():
        return QstdbNet.load(path)
    net = make()
    net.save(path)
    return net


def study(folder: Path, config: QstdbConfig, data: Dataset) -> dict[str, Any]:
    """All nets and their scores, written after each. ``data``: see :func:`load_indian_pines`."""
    results: dict[str, Any] = {"training": asdict(config), "dataset": data.source, "test": len(data.test_labels)}

    def keep(name: str, **values: Any) -> None:
        results[name] = values
        write_atomic(folder / "results.json", json.dumps(results, indent=1).encode())
        print(name, values, flush=True)

    def ann() -> QstdbNet:
        torch.manual_seed(config.seed)
        net = QstdbNet(cnn3d(), unit=UNIT)
        train_ann(net, config, data)
        return net

    net = _kept(folder / "ann.safetensors", ann)
    keep("ann", **scores(outputs(net.ann, data.test_images, 50), data.test_labels))
    convert(net, data.train_images[:CONVERSION_IMAGES])
    keep("converted, 5 steps", **evaluate(net, data, "float"))
    for bits in (6, 5, 4, 32):
        form = "float" if bits == 32 else "affine"

        def spiking(bits: int = bits, form: str = form) -> QstdbNet:
            started = QstdbNet(cnn3d(), unit=UNIT, bits=6 if bits == 32 else bits)
            started.load_state_dict(net.state_dict())
            train_spiking(started, config, data, form=form)
            return started
        trained = _kept(folder / f"snn{bits}.safetensors", spiking)
        about = {"leaks": trained.leak.tolist(), "thresholds": trained.threshold.tolist()}
        keep(f"{bits} bits", **about, **{kind: evaluate(trained, data, kind)
                                         for kind in (("float",) if bits == 32 else ("affine", "scale", "shift"))})
    keep("converted, 50 steps", **evaluate(net, data, "float", 50))
    for bits in (6, 5, 4):
        trained = QstdbNet.load(folder / f"snn{bits}.safetensors")
        keep(f"{bits} bits, integers", **scores(classes(trained, data.test_images, batch=50), data.test_labels))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description="Table 2 of ACE-SNN: CNN-3D on Indian Pines")
    parser.add_argument("--folder", type=Path, required=True, help="where nets and results.json are kept")
    parser.add_argument("--ann-epochs", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=5, help="of each spiking net")
    parser.add_argument("--seed", type=int, default=0, help="of split, weights and order")
    given = parser.parse_args()
    try:
        config = QstdbConfig(ann_epochs=given.ann_epochs, ann_lr=0.01, epochs=given.epochs, lr=5e-4, batch=32, shift=0, seed=given.seed)
        study(given.folder, config, load_indian_pines(given.seed))
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
