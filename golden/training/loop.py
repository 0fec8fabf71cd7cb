"""The training loop that all rules share: epochs of updates in a seeded order.

    for every epoch: put the images in a new order
        for every batch of them: loss -> gradients -> optimiser -> schedule -> ``after_update``

A rule brings its net, its optimiser and its loss; the loop brings the rest. After every epoch one
checkpoint is written (golden/training/resume.py). A training that was killed and is started again
with this checkpoint continues after its last complete epoch. It ends with the same bits as a
training that was never killed.

Training runs on one thread. For products of this size that is as fast as two, and the order of sums
does not depend on the number of threads. Random draws of a loss come from the generator it is
given, or from torch's, which is seeded here. All this holds for the CPU. On another device
(golden/training/device.py) equal results are what torch promises there, and no more.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from spikeloop.golden.training.device import CPU, placed
from spikeloop.golden.training.progress import Bar
from spikeloop.golden.training.resume import keep, restore
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError

__all__ = ["LoopConfig", "fit", "one_thread"]

MOST = (1 << 63) - 1


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Settings that every training has.

    epochs: passes over the training images.
    batch:  images per update.
    lr:     first learning rate.
    shift:  most pixels by which a training image is moved at random, each time anew, 0..8; only for
            square images.
    seed:   of the initial weights, the order of the images and all random draws.

    A rule's configuration adds its own fields. It adds their limits to ``INTS`` (name: least, most)
    or ``REALS`` (finite, at least 0). A field that is None is not checked.
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
                    f"{key} of the training must be a number of at least 0, not "
                    f"{getattr(self, key)!r}"
                )


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
    """Train ``net`` in place for ``epochs`` passes over ``count`` images.

    loss:          scalar loss of a batch, called with image numbers (int64, at most ``batch``) and
                   a generator for its draws.
    schedule:      stepped after every update.
    whole_batches: leave out the images that remain at the end of an epoch.
    before_epoch:  called with the epoch's number, beginning at 0.
    after_update:  called while the gradients are still in place.
    after_epoch:   called with the epoch's number; its result (JSON) joins the history.
    checkpoint:    file of the epochs so far. It stays after the last epoch; the caller deletes it
                   when its result is safe.
    training:      JSON that identifies the training; a checkpoint of another one is refused.

    Returns the history: for each epoch ``loss`` (the mean), the result of ``after_epoch``, and
    ``device`` unless it was the CPU. The net is on the CPU again.
    InputError for a checkpoint that is damaged or of another training, and for a loss that is not
    finite.
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
    with one_thread(), placed(net) as device:
        torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]))
        if checkpoint is not None and checkpoint.exists():
            history = restore(checkpoint, labels, net, optimiser, schedule, rng)
        with Bar(name, progress, epochs, updates, len(history), count / max(updates, 1)) as bar:
            for epoch in range(len(history), epochs):
                if before_epoch:
                    before_epoch(epoch)
                order, total = rng.permutation(count), 0.0
                for update in range(updates):
                    value = loss(order[update * batch : (update + 1) * batch], rng)
                    total += value.item()
                    if not math.isfinite(value.item()):
                        raise InputError(
                            f"loss of the training must be finite, not {value.item()} "
                            f"({name}, epoch {epoch + 1}): choose a smaller lr"
                        )
                    optimiser.zero_grad()
                    value.backward()
                    optimiser.step()
                    if schedule:
                        schedule.step()
                    if after_update:
                        after_update()
                    bar.update(epoch, value.item())
                more = (after_epoch(epoch) if after_epoch else None) or {}
                where = {} if device.type == CPU else {"device": str(device)}
                history.append({"loss": total / max(updates, 1), **where, **more})
                if checkpoint is not None:
                    keep(checkpoint, labels, net, optimiser, schedule, rng, history)
                bar.epoch(history)
    return history


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread inside the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
