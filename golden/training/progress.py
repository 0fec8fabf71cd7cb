"""Progress of a training with its rate and the time left."""

import sys
import time
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

__all__ = ["Bar"]


class Bar:
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
