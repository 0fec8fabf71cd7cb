"""Table 2 of ACE-SNN (Datta et al. 2022): an ANN and five nets from it, for multispectral patches.

The ANN comes first. From it, converted, comes the spiking net of full precision; from that the net
of 6 bits, then 5, then 4. In training patches are turned and mirrored at random.

OA is the share of right classes, AA the mean of the classes' shares. kappa is
(OA - chance) / (1 - chance), with the chance from the margins of the confusion matrix.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikeloop.golden.data.datasets import Dataset
from spikeloop.golden.data.patches import UNIT, mirrored
from spikeloop.golden.rules.qstdb.integer import classes
from spikeloop.golden.rules.qstdb.net import Layer, QstdbNet
from spikeloop.golden.rules.qstdb.train import (
    CONVERSION_IMAGES,
    QstdbConfig,
    convert,
    outputs,
    train_ann,
    train_spiking,
)
from spikeloop.golden.training.command import forget
from spikeloop.golden.training.images import about
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import check_output, write_atomic

__all__ = ["evaluate", "scores", "study", "study_command"]

MEASURED = ("scale", "integer", "shift", "affine")  # forms of a net of few bits
BATCH = 16  # patches evaluated at once: their membranes stay in the cache
BITS = (6, 5, 4)
EVERY = 5  # only each fifth patch for 50 steps, which take ten times as long as 5


def scores(classes: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """OA, AA and kappa, 0..1, of predicted ``classes``; AA is over the classes in ``labels``."""
    size = 1 + int(max(classes.max(), labels.max()))
    confusion = np.bincount(labels * size + classes, minlength=size * size).reshape(size, size)
    total, true, said = confusion.sum(), confusion.sum(1), confusion.sum(0)
    right = confusion.diagonal()
    oa, chance = right.sum() / total, float(true @ said) / total**2
    return {
        "OA": float(oa),
        "AA": float((right[true > 0] / true[true > 0]).mean()),
        "kappa": float((oa - chance) / (1 - chance)),
    }


def evaluate(net: QstdbNet, data: Dataset, form: str, steps: int | None = None) -> dict[str, Any]:
    """Scores of a form on the test images, with leaks and thresholds.

    form:  of QstdbNet, or "integer" for the chip's arithmetic.
    steps: replaces T.
    For those of QstdbNet the result also holds ``zeta``, the spikes per neuron of every hidden
    layer over all steps.
    """
    about = {"leaks": net.leak.tolist(), "thresholds": net.threshold.tolist()}
    if form == "integer":
        return scores(classes(net, data.test_images, batch=BATCH), data.test_labels) | about
    counts: list[Any] = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        out, spikes = net.run(x, form, steps)
        counts.append([float(s.sum()) / s[0, 0].numel() for s in spikes])
        return out

    measured = scores(outputs(forward, data.test_images, BATCH), data.test_labels)
    zeta = (np.sum(counts, 0) / len(data.test_labels)).tolist()
    return measured | about | {"zeta": zeta}


def study(
    folder: Path,
    layers: tuple[Layer, ...],
    config: QstdbConfig,
    few_bit: QstdbConfig,
    data: Dataset,
    bits: Sequence[int] = BITS,
) -> dict[str, Any]:
    """All nets and their scores, written after each.

    config:  of the ANN and of the spiking net of full precision.
    few_bit: of the nets of 6, 5 and 4 bits, each of which starts from the one before.
    data:    patches int8 ``[n, side * side * bands]``, in units of 1 / UNIT.
    bits:    of the last nets, each trained from the one before.
    InputError for a folder with results of another training.
    """
    path = folder / "results.json"
    results: dict[str, Any] = {
        "training": {"full precision": asdict(config), "few bits": asdict(few_bit)},
        "dataset": data.source,
        "test": len(data.test_labels),
    }
    if path.is_file():
        try:
            earlier = json.loads(path.read_bytes())
        except ValueError:
            earlier = None
        if not isinstance(earlier, dict) or any(
            earlier.get(key) != value for key, value in results.items()
        ):
            raise InputError(
                f"results in {str(folder)!r} must be of this training, not of another one or "
                "damaged: choose another folder"
            )
        results = earlier

    def keep(name: str, measure: Callable[[], dict[str, Any]]) -> None:
        if name not in results:
            results[name] = measure()
            write_atomic(path, json.dumps(results, indent=1).encode())
        print(name, results[name], flush=True)

    def trained(
        name: str, start: Callable[[], QstdbNet], make: Callable[[QstdbNet, Path], None]
    ) -> QstdbNet:
        file, checkpoint = folder / f"{name}.safetensors", folder / f"{name}.training"
        if file.is_file():
            return QstdbNet.load(file)
        net = start()
        make(net, checkpoint)
        net.save(file)
        forget(checkpoint)
        return net

    side = layers[0].window.source[1]
    augment = partial(mirrored, side=side)

    def train_few_bits(net: QstdbNet, checkpoint: Path) -> None:
        train_spiking(net, few_bit, data, augment=augment, checkpoint=checkpoint)

    torch.manual_seed(config.seed)
    ann = trained(
        "ann",
        lambda: QstdbNet(layers, unit=UNIT),
        lambda net, checkpoint: train_ann(
            net, config, data, augment=augment, checkpoint=checkpoint
        ),
    )
    keep("ann", lambda: scores(outputs(ann.ann, data.test_images, BATCH), data.test_labels))
    converted = trained(
        "converted",
        lambda: _same(ann, 6),
        lambda net, _: convert(net, data.train_images[:CONVERSION_IMAGES]),
    )
    last = full = trained(
        "snn32",
        lambda: _same(converted, 6),
        lambda net, checkpoint: train_spiking(
            net, config, data, form="float", augment=augment, checkpoint=checkpoint
        ),
    )
    keep("32 bits, float", partial(evaluate, full, data, "float"))
    keep("converted, 5 steps", partial(evaluate, converted, data, "float"))
    fifth = replace(
        data, test_images=data.test_images[::EVERY], test_labels=data.test_labels[::EVERY]
    )
    keep(
        f"converted, 50 steps, every {EVERY}th patch",
        partial(evaluate, converted, fifth, "float", 50),
    )
    for few in bits:
        last = trained(f"snn{few}", partial(_same, last, few), train_few_bits)
        for form in MEASURED:
            keep(f"{few} bits, {form}", partial(evaluate, last, data, form))
    return results


def _same(net: QstdbNet, bits: int) -> QstdbNet:
    """A net with the parameters of ``net``, to be trained with ``bits``."""
    copy = QstdbNet(net.layers, unit=net.unit, bits=bits)
    copy.load_state_dict(net.state_dict())
    return copy


def study_command(
    parser: argparse.ArgumentParser,
    layers: tuple[Layer, ...],
    load: Callable[[argparse.Namespace], Dataset],
    batch: int,
    module: str | None = None,
) -> None:
    """Parse the command line and do the study; the same line continues one that was broken off.

    parser: with the arguments of ``load``; the study's own are added.
    batch:  patches of an update.
    module: of this command line, if its net of 6 bits comes with the package: ``--out FILE`` makes
            it without those of fewer bits.
    For an error that the user can mend, the process prints one sentence and exits with status 2.
    """
    parser.add_argument(
        "--folder", type=Path, required=not module, help="where nets and results.json are kept"
    )
    if module:
        parser.add_argument(
            "--out",
            type=Path,
            help="file of the net of 6 bits; the nets before it are in OUT.study, or --folder",
        )
    parser.add_argument("--ann-epochs", type=int, default=60)
    parser.add_argument(
        "--epochs", type=int, default=60, help="of the spiking net of full precision"
    )
    parser.add_argument(
        "--few-bit-epochs", type=int, default=60, help="of each net of 6, 5 and 4 bits"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of weights, order and symmetries, and of a split that is drawn",
    )
    given = parser.parse_args()
    out = given.out if module else None
    if not given.folder and not out:
        parser.error("--folder or --out must be given")
    try:
        config = QstdbConfig(
            ann_epochs=given.ann_epochs,
            ann_lr=0.01,
            epochs=given.epochs,
            lr=5e-4,
            batch=batch,
            shift=0,
            seed=given.seed,
        )
        few_bit = replace(config, epochs=given.few_bit_epochs)
        if not out:
            study(given.folder, layers, config, few_bit, load(given))
            return
        check_output(out, file=True)
        folder, data = given.folder or out.with_name(f"{out.name}.study"), load(given)
        results = study(folder, layers, config, few_bit, data, bits=BITS[:1])
        net = QstdbNet.load(folder / f"snn{BITS[0]}.safetensors")
        keys = ("ann_epochs", "epochs", "few_bit_epochs", "seed")
        words = [(f"--{key.replace('_', '-')}", str(getattr(given, key))) for key in keys]
        net.metadata = {
            "training": results["training"],
            "accuracy": {form: results[f"{BITS[0]} bits, {form}"]["OA"] for form in MEASURED},
            "dataset": about(data),
            "torch": torch.__version__,
            "command": {
                "rule": "qstdb",
                "module": module,
                "arguments": [word for pair in words for word in pair],
            },
        }
        net.save(out)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
