"""The command line that all rules share: ``python -m spikeloop.golden.rules.RULE.train``."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch

from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError

__all__ = ["Result", "forget", "command"]


class Result(Protocol):
    """What a training makes: the integer network, or the rule's own net."""

    @property
    def metadata(self) -> dict[str, Any]: ...

    def save(self, path: str | Path) -> Path: ...


def forget(checkpoint: Path) -> None:
    """Remove the checkpoint of a training that has ended, and those of its phases."""
    for left in checkpoint.parent.glob(f"{checkpoint.name}*"):
        left.unlink()


def command(
    parser: argparse.ArgumentParser,
    train: Callable[[argparse.Namespace, Dataset, Path], Result],
    epochs: int,
) -> None:
    """Parse the rule's own arguments and --data, --images, --epochs, --seed, --out; train; save with ``command`` and ``torch`` in the
    metadata.

    ``train`` is given the arguments, the images and a file name for its checkpoint, beside --out; one command line of a killed training
    goes on where it was. The checkpoint goes once the result is written. Exits 2 with one sentence for what the user can mend.
    """
    parser.add_argument(
        "--data", help="folder of the four MNIST IDX files (default: the embedded 5,000 images)"
    )
    parser.add_argument(
        "--images", type=int, help="only the first N training images (default: all)"
    )
    parser.add_argument(
        "--epochs", type=int, default=epochs, help="passes over the training images"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the weights, the order of the images and all draws"
    )
    parser.add_argument("--out", type=Path, required=True, help="file of the trained net")
    given = parser.parse_args()
    checkpoint = given.out.with_name(f"{given.out.name}.training")
    try:
        data = load_mnist(given.data)
        if given.images is not None:
            check_int("images to train on", given.images, 1, len(data.train_labels))
            data = replace(
                data,
                train_images=data.train_images[: given.images],
                train_labels=data.train_labels[: given.images],
            )
        made = train(given, data, checkpoint)
        words = [
            part
            for key, value in sorted(vars(given).items())
            if key != "out" and value is not None and value is not False
            for part in (
                [f"--{key.replace('_', '-')}"]
                + ([] if value is True else ["FOLDER" if key == "data" else str(value)])
            )
        ]
        module = sys.modules["__main__"].__spec__
        made.metadata.update(
            torch=torch.__version__,
            command=" ".join(["python -m", module.name if module else sys.argv[0], *words]),
        )
        made.save(given.out)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    forget(checkpoint)
    print(
        f"{ {key: value for key, value in made.metadata.items() if key.startswith('accuracy')} } -> {given.out}"
    )
