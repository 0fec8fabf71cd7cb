"""The command line that all rules share: ``python -m spikeloop.golden.rules.RULE.train``.

A trained net holds the rule and the arguments that trained it, not a command:
``{"rule": "bntt", "arguments": ["--net", "rate"]}``, and the module if it is not ``train``.
:func:`training_command` makes the command from them, so that no kept file depends on where the
modules lie.
"""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch

from spikeloop.golden.data.datasets import Dataset, held_out, load_mnist
from spikeloop.golden.training.device import CPU, training_on
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import check_output

__all__ = ["DATA", "Result", "command", "forget", "training_command"]

DATA = "FOLDER"  # stands for the folder of images in the arguments of a kept net


class Result(Protocol):
    """The result of a training: the integer network, or the rule's own net."""

    @property
    def metadata(self) -> dict[str, Any]: ...

    def save(self, path: str | Path) -> Path: ...


def training_command(trained_by: dict[str, Any]) -> list[str]:
    """Module and arguments, to be run by ``python -m``, of the entry ``command`` of a net's
    metadata."""
    module = trained_by.get("module", "train")
    return [f"spikeloop.golden.rules.{trained_by['rule']}.{module}", *trained_by["arguments"]]


def forget(checkpoint: Path) -> None:
    """Remove the checkpoint of a training that has ended, and those of its phases."""
    for left in checkpoint.parent.glob(f"{checkpoint.name}*"):
        left.unlink()


def command(
    rule: str,
    parser: argparse.ArgumentParser,
    train: Callable[[argparse.Namespace, Dataset, Path], Result],
    epochs: int,
    of: str = "passes over the training images",
    load: Callable[[argparse.Namespace], Dataset] = lambda given: load_mnist(given.data),
) -> None:
    """Parse the command line, train, and save the net with ``command`` and ``torch`` (its version)
    in the metadata.

    rule:   folder of golden/rules.
    parser: with the rule's own arguments; --data, --images, --held-out, --epochs, --seed, --device
            and --out are added.
    train:  called with the arguments, the images and a file beside --out for the checkpoint.
    epochs: default of --epochs.
    of:     what an epoch is, for the help.
    load:   the data, by the arguments; default: the images of --data.

    The same command line continues a training that was killed. The checkpoint is removed once the
    net is written. For an error that the user can mend, the process prints one sentence and exits
    with status 2.
    """
    parser.add_argument(
        "--data", help="folder of the four MNIST IDX files (default: the embedded 5,000 images)"
    )
    parser.add_argument(
        "--images", type=int, help="only the first N training images (default: all)"
    )
    parser.add_argument(
        "--held-out",
        type=int,
        help="score the last N of them, and do not train on them (default: score the test images)",
    )
    parser.add_argument("--epochs", type=int, default=epochs, help=of)
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of weights, order of the images and all draws"
    )
    parser.add_argument(
        "--device", default=CPU, help=f"where torch trains, such as cuda (default: {CPU})"
    )
    parser.add_argument("--out", type=Path, required=True, help="file of the trained net")
    given = parser.parse_args()
    try:
        check_output(given.out, file=True)
        checkpoint = given.out.with_name(f"{given.out.name}.training")
        data = load(given)
        if given.images is not None:
            check_int("images to train on", given.images, 1, len(data.train_labels))
            data = replace(
                data,
                train_images=data.train_images[: given.images],
                train_labels=data.train_labels[: given.images],
            )
        if given.held_out is not None:
            data = held_out(data, given.held_out)
        with training_on(given.device):
            net = train(given, data, checkpoint)
        trained_by = {"rule": rule, "arguments": _arguments(given)}
        net.metadata.update(torch=torch.__version__, command=trained_by)
        net.save(given.out)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    forget(checkpoint)
    accuracy = {k: value for k, value in net.metadata.items() if k.startswith("accuracy")}
    print(f"{accuracy} -> {given.out}")


def _arguments(given: argparse.Namespace) -> list[str]:
    """The arguments as words, by name; ``DATA`` stands for the folder.

    --out is left out, and so is the CPU, on which the kept nets were trained.
    """
    words = []
    for key, value in sorted(vars(given).items()):
        if key == "out" or value is None or value is False or (key, value) == ("device", CPU):
            continue
        words.append(f"--{key.replace('_', '-')}")
        if value is not True:
            words.append(DATA if key == "data" else str(value))
    return words
