"""The training loop that every rule shares: epochs of updates in a seeded order, checkpoints, resume, progress.

    for every epoch:  images in a new order;  for every batch of them:  loss -> gradients -> optimiser -> schedule -> ``after_update``

A rule brings its net, its optimiser and its loss; the loop brings the rest. After every epoch all that the epochs to come depend on goes
into one checkpoint file, whole or not at all: parameters and buffers, the optimiser's and the schedule's state, both random generators and
the history. A training that was killed and is started again with the same checkpoint goes on after its last whole epoch and ends with
the same bits as one that was never killed. Training runs on one thread: for products of this size that is as fast as two, and the order of
sums does not depend on their number. Random draws of a loss come from the generator it is given, or from torch's, which is seeded here.

:func:`command` is the command line that rules share: ``python -m spikeloop.golden.rules.RULE --data FOLDER --out FILE``.
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

from spikeloop.golden.training.progress import Bar
from spikeloop.golden.training.resume import keep, restore
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError

__all__ = ["LoopConfig", "fit", "one_thread"]

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
                    keep(checkpoint, labels, net, optimiser, schedule, rng, history)
                bar.epoch(history)
    return history


@contextmanager
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
