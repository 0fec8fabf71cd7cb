"""Progress of a training: a bar on a terminal, else one line per epoch."""

import sys
import time
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Bar"]


class Bar:
    """Shows progress with its rate and the time left.

    done:    epochs that a checkpoint brought.
    updates: in each epoch.
    images:  in each update, on average.
    """

    def __init__(
        self, name: str, show: bool, epochs: int, updates: int, done: int, images: float
    ) -> None:
        self.name, self.epochs, self.updates = name, epochs, updates
        self.done, self.images = done, images
        self.columns = (
            TextColumn(name),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% {task.description}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        terminal = sys.stdout.isatty()
        self.lines, self.shown = show and not terminal, show and terminal

    def __enter__(self) -> "Bar":
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
        """Images per second since the start."""
        return self.count * self.images / max(time.monotonic() - self.began, 1e-9)

    def update(self, epoch: int, loss: float) -> None:
        self.count += 1
        if self.shown:
            where = f"epoch {epoch + 1}/{self.epochs} loss {loss:.4f}"
            self.bar.update(
                self.task, advance=1, description=f"{where} {self.rate():,.0f} images/s"
            )

    def epoch(self, history: list[dict[str, Any]]) -> None:
        if not self.lines:
            return
        results = "  ".join(
            f"{key} {value:.4f}" if isinstance(value, float) else f"{key} {value}"
            for key, value in history[-1].items()
        )
        images_left = (self.epochs - len(history)) * self.updates * self.images
        print(
            f"{self.name} epoch {len(history)}/{self.epochs}  {results}  "
            f"{self.rate():,.0f} images/s  {images_left / max(self.rate(), 1e-9):.0f} s left",
            flush=True,
        )
