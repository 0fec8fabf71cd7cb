"""The training loop that every rule shares: epochs of updates in a seeded order, checkpoints, resume, progress.

    for every epoch:  images in a new order;  for every batch of them:  loss -> gradients -> optimiser -> schedule -> ``after_update``

A rule brings its net, its optimiser and its loss; the loop brings the rest. After every epoch all that the epochs to come depend on goes
into one checkpoint file, whole or not at all: parameters and buffers, the optimiser's and the schedule's state, both random generators and
the history. A training that was killed and is started again with the same checkpoint goes on after its last whole epoch and ends with
the same bits as one that was never killed. Training runs on one thread: for products of this size that is as fast as two, and the order of
sums does not depend on their number. Random draws of a loss come from the generator it is given, or from torch's, which is seeded here.

:func:`command` is the command line that rules share: ``python -m spikeloop.golden.rules.RULE --data FOLDER --out FILE``.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors.torch import save
from torch import Tensor, nn

from spikeloop.golden.data.datasets import Dataset, load_mnist
from spikeloop.golden.data.encoders import Encoder
from spikeloop.golden.nets.files import read_safetensors
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic

__all__ = [
    "LoopConfig",
    "Result",
    "about",
    "check_shift",
    "command",
    "drawn",
    "fit",
    "forget",
    "one_thread",
    "shifted",
]

VERSION = 1
MOST = (1 << 63) - 1


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """What every training has; a rule's configuration adds its own fields, and their limits to ``INTS`` (name: least, most) or ``REALS``
    (finite, at least 0). A field that is None is not checked.

    epochs: passes over the training images; batch: images per update; lr: first learning rate
    shift:  pixels by which training images are moved at random, each time anew, 0..8; square images alone
    seed:   of the initial weights, the order of the images and all random draws
    """

    epochs: int = 10
    batch: int = 128
    lr: float = 1e-3
    shift: int = 0
    seed: int = 0

    INTS: ClassVar[dict[str, tuple[int, int]]] = {
        "epochs": (1, 1 << 20),
        "batch": (1, 1 << 20),
        "shift": (0, 8),
        "seed": (0, MOST),
    }
    REALS: ClassVar[tuple[str, ...]] = ("lr",)

    def __post_init__(self) -> None:
        for key, (low, high) in self.INTS.items():
            if getattr(self, key) is not None:
                check_int(f"{key} of the training", getattr(self, key), low, high)
        for key in self.REALS:
            if not 0 <= getattr(self, key) < math.inf:
                raise InputError(
                    f"{key} of the training must be a number of at least 0, not {getattr(self, key)!r}"
                )


def about(data: Dataset) -> dict[str, Any]:
    """``dataset`` of a net's metadata: source and counts."""
    return {"source": data.source, "train": len(data.train_labels), "test": len(data.test_labels)}


def shifted(images: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Every image ``[n, pixels]`` moved by -most..most pixels along both axes, with background moved in."""
    if not most:
        return images
    count, side = len(images), math.isqrt(images.shape[1])
    padded = np.pad(images.reshape(count, side, side), ((0, 0), (most, most), (most, most)))
    rows, columns = (rng.integers(0, 2 * most + 1, (count, 1)) + np.arange(side) for _ in range(2))
    return padded[np.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(
        count, -1
    )


def check_shift(shift: int, pixels: int) -> None:
    """InputError for a shift of images that are not square."""
    if shift and math.isqrt(pixels) ** 2 != pixels:
        raise InputError(
            f"shift of the training must be 0 for images of {pixels} pixels, which are not square, not {shift}"
        )


def drawn(encoder: Encoder, images: np.ndarray, shift: int, rng: np.random.Generator) -> np.ndarray:
    """Spikes ``[n, step, line]`` of the images of an update, moved at random; rate encoding draws anew in every update."""
    encoder = replace(encoder, seed=int(rng.integers(1 << 62)))
    return encoder(shifted(images, shift, rng))


def fit(
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss: Callable[[np.ndarray, np.random.Generator], Tensor],
    count: int,
    *,
    epochs: int,
    batch: int,
    seed: int | list[int],
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    whole_batches: bool = False,
    before_epoch: Callable[[int], None] | None = None,
    after_update: Callable[[], None] | None = None,
    after_epoch: Callable[[int], dict[str, Any] | None] | None = None,
    checkpoint: Path | None = None,
    training: dict[str, Any] | None = None,
    name: str = "train",
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train ``net`` in place for ``epochs`` passes over ``count`` images; the history has one entry per epoch.

    loss:          of the images of these numbers (int64 ``[<= batch]``), a scalar; its draws come from the given generator
    schedule:      stepped after every update; whole_batches: the images left over at an epoch's end wait for another epoch
    before_epoch:  called with the epoch's number, 0 first; after_update: with the gradients still in place
    after_epoch:   called with the epoch's number; what it returns (JSON) joins ``loss``, the epoch's mean, in the history
    checkpoint:    file of the epochs so far, kept after the last one too, for the caller to delete when its result is safe
    training:      JSON that says which training this is; a checkpoint of another one is refused

    InputError for a checkpoint that is damaged or of another training, and for a loss that is not finite.
    """
    labels = {
        "training": training,
        "count": count,
        "epochs": epochs,
        "batch": batch,
        "seed": seed,
        "name": name,
    }
    updates = count // batch if whole_batches else -(-count // batch)
    rng = np.random.default_rng(seed)
    history: list[dict[str, Any]] = []
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
        if checkpoint is not None and checkpoint.exists():
            history = _restore(checkpoint, labels, net, optimiser, schedule, rng)
        with _Bar(name, progress, epochs, updates, len(history), count / max(updates, 1)) as bar:
            for epoch in range(len(history), epochs):
                if before_epoch:
                    before_epoch(epoch)
                order, total = rng.permutation(count), 0.0
                for update in range(updates):
                    value = loss(order[update * batch : (update + 1) * batch], rng)
                    total += value.item()
                    if not math.isfinite(value.item()):
                        raise InputError(
                            f"loss of the training must be finite, not {value.item()} ({name}, epoch {epoch + 1}): "
                            "choose a smaller lr"
                        )
                    optimiser.zero_grad()
                    value.backward()
                    optimiser.step()
                    if schedule:
                        schedule.step()
                    if after_update:
                        after_update()
                    bar.update(epoch, value.item())
                history.append(
                    {
                        "loss": total / max(updates, 1),
                        **((after_epoch and after_epoch(epoch)) or {}),
                    }
                )
                if checkpoint is not None:
                    _keep(checkpoint, labels, net, optimiser, schedule, rng, history)
                bar.epoch(history)
    return history


def _keep(
    path: Path,
    labels: dict[str, Any],
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None,
    rng: np.random.Generator,
    history: list[dict[str, Any]],
) -> None:
    tensors = {f"net.{name}": t for name, t in net.state_dict().items()} | {
        "torch": torch.get_rng_state()
    }
    state, numbers = optimiser.state_dict(), dict[str, dict[str, Any]]()
    for i, entry in state["state"].items():
        numbers[str(i)] = {
            key: value for key, value in entry.items() if not isinstance(value, Tensor)
        }
        tensors |= {
            f"optimiser.{i}.{key}": value
            for key, value in entry.items()
            if isinstance(value, Tensor)
        }
    header = {
        "version": VERSION,
        "labels": labels,
        "history": history,
        "rng": rng.bit_generator.state,
        "optimiser": {"state": numbers, "param_groups": state["param_groups"]},
        # what changes; milestones and functions are the caller's
        "schedule": schedule
        and {k: v for k, v in schedule.state_dict().items() if isinstance(v, (int, float, list))},
    }
    held = {
        name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()
    }  # clone: some are shared
    write_atomic(path, save(held, {"spikeloop_training": json.dumps(header)}))


def _restore(
    path: Path,
    labels: dict[str, Any],
    net: nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler | None,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Everything as :func:`_keep` found it; the history."""
    what = f"checkpoint {str(path)!r}"
    header, tensors = read_safetensors(
        path,
        what=what,
        key="spikeloop_training",
        version=VERSION,
        writer="a training",
        framework="pt",
    )
    same = json.loads(json.dumps(labels))
    if header["labels"] != same:
        differ = [key for key in same if header["labels"].get(key) != same[key]]
        raise InputError(
            f"{what} must be of this training, not of one that differs in {', '.join(differ)}: delete it to begin anew"
        )
    parts: dict[str, dict[str, Tensor]] = {"net": {}, "optimiser": {}, "torch": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    net.load_state_dict(parts["net"])
    state = {int(i): dict(numbers) for i, numbers in header["optimiser"]["state"].items()}
    for name, tensor in parts["optimiser"].items():
        i, _, key = name.partition(".")
        state[int(i)][key] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": header["optimiser"]["param_groups"]})
    if schedule:
        schedule.load_state_dict(header["schedule"])
    rng.bit_generator.state = header["rng"]
    torch.set_rng_state(parts["torch"][""])
    history: list[dict[str, Any]] = header["history"]
    return history


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Bar:
    """Progress with rate and time left: a bar on a terminal, else one line per epoch."""

    def __init__(
        self, name: str, show: bool, epochs: int, updates: int, done: int, images: float
    ) -> None:
        self.name, self.epochs, self.updates, self.done, self.images = (
            name,
            epochs,
            updates,
            done,
            images,
        )
        self.columns = (
            TextColumn(name),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% {task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self.lines, self.shown = show and not sys.stdout.isatty(), show and sys.stdout.isatty()

    def __enter__(self) -> "_Bar":
        self.bar = Progress(*self.columns, disable=not self.shown)
        self.bar.start()
        self.task = self.bar.add_task(
            "", total=self.epochs * self.updates, completed=self.done * self.updates
        )
        self.began, self.count = time.monotonic(), 0
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def rate(self) -> float:
        """Images a second since the start."""
        return self.count * self.images / max(time.monotonic() - self.began, 1e-9)

    def update(self, epoch: int, loss: float) -> None:
        self.count += 1
        if self.shown:
            self.bar.update(
                self.task,
                advance=1,
                description=f"epoch {epoch + 1}/{self.epochs} loss {loss:.4f} {self.rate():,.0f} images/s",
            )

    def epoch(self, history: list[dict[str, Any]]) -> None:
        if self.lines:
            known = "  ".join(
                f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}"
                for key, value in history[-1].items()
            )
            left = (
                (self.epochs - len(history)) * self.updates * self.images / max(self.rate(), 1e-9)
            )
            print(
                f"{self.name} epoch {len(history)}/{self.epochs}  {known}  {self.rate():,.0f} images/s  {left:.0f} s left",
                flush=True,
            )


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
