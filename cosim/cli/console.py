"""What the commands print: one document or a table on stdout, all else on stderr."""

import contextlib
import io
import json as json_text
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console as Rich
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from spikeloop.cosim.verilator.cache import on_progress

__all__ = [
    "BAD_INPUT",
    "BUG",
    "DIFFERENT",
    "INTERRUPTED",
    "PIPE_GONE",
    "STATUS",
    "UNPROVEN",
    "Console",
    "complain",
    "open_console",
    "open_streams",
    "write",
    "zoo_table",
]

RIGHT = ("float", "integer", "RTL", "synapses", "spikes", "SOPs", "cycles", "nJ", "neuron-ticks")
WIDTH = 140  # columns of a table that no terminal shows

# exit statuses
DIFFERENT = 1
BAD_INPUT = 2
UNPROVEN = 3  # nothing differs, but the run proves nothing
BUG = 70
INTERRUPTED = 130
PIPE_GONE = 141  # who read our stdout has gone, as the shell has it (128 + SIGPIPE)
STATUS = {"equal": 0, "different": DIFFERENT, "unproven": UNPROVEN}
"""Exit status of each verdict (cosim/compare/result.py)."""


class Console:
    """The two streams of one command.

    ``verbose``: True for more progress, with times; False for none; None for the usual.
    """

    def __init__(self, json: bool, verbose: bool | None, stdout: Any) -> None:
        self.json, self.verbose, self.stdout = json, verbose, stdout
        self.quiet = verbose is False
        self.started = time.monotonic()

    def result(self, document: dict[str, Any], rows: dict[str, Any]) -> None:
        """The answer of the command: ``document`` for ``--json``, else ``rows`` as a table."""
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows.items():
            table.add_row(Text(name), Text(str(value)))
        self.table(table)
        if self.json:
            write(json_text.dumps(document), self.stdout)

    def table(self, table: Table) -> None:
        """A table on stdout; on stderr with ``--json``, unless ``--quiet``."""
        if self.json and self.quiet:
            return
        file = sys.stderr if self.json else self.stdout
        width = None if file.isatty() else WIDTH
        Rich(file=file, highlight=False, markup=False, width=width).print(table)

    def tell(self, text: str) -> None:
        """A line of progress."""
        if not self.quiet:
            elapsed = f"[{time.monotonic() - self.started:7.1f} s] " if self.verbose else ""
            complain(elapsed + text)

    def stage(self, text: str, seconds: float | None) -> None:
        """A stage of a build begins (``seconds`` None) or has ended."""
        self.tell(f"{text} ..." if seconds is None else f"{text}: {seconds:.1f} s")

    @contextlib.contextmanager
    def bar(self, what: str, unit: str) -> Iterator[tuple[Callable[[int], None], ...]]:
        """Gives ``start(total)`` and ``advance(n)`` of a progress bar on stderr, with rate and
        times."""
        columns = (
            TextColumn(what, markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            _Rate(unit),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        stderr = Rich(stderr=True)
        hidden = self.quiet or not stderr.is_terminal
        progress = Progress(*columns, console=stderr, transient=True, disable=hidden)
        task = progress.add_task("", total=None)

        def start(total: int) -> None:
            progress.update(task, total=total)
            progress.start()

        try:
            yield start, lambda n: progress.advance(task, n)
        finally:
            if progress.live.is_started:
                progress.stop()


@contextlib.contextmanager
def open_console(json: bool, verbose: bool | None = None) -> Iterator[Console]:
    """The console of a command. With ``json``, what others print meanwhile goes to stderr."""
    console = Console(json, verbose, sys.stdout)
    on_progress(None if console.quiet else console.stage)
    with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext():
        yield console


def write(text: str, file: Any = None) -> None:
    """A line on stdout, at once."""
    try:
        print(text, file=file or sys.stdout, flush=True)
    except BrokenPipeError:
        raise SystemExit(PIPE_GONE) from None


def complain(text: str) -> None:
    """A line on stderr."""
    with contextlib.suppress(OSError):  # nobody is there to read it
        print(text, file=sys.stderr, flush=True)


def open_streams() -> None:
    """Streams that the shell closed (``>&-``) lead nowhere, rather than into the next file.

    Letters that a stream cannot take are written as escapes (a terminal that has ASCII alone).
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
            setattr(sys, name, os.fdopen(number, "w", closefd=False))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Rate(ProgressColumn):
    """Units a second, over the last while."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.1f} {self.unit}/s")


def zoo_table(rows: list[dict[str, Any]]) -> Table:
    """The rows of the zoo (cosim/studies/zoo.py)."""
    table = Table(box=None, pad_edge=False)
    for name in ("net", "rule"):
        table.add_column(name, no_wrap=True)
    for name in (*RIGHT, "different"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        scores = [row["accuracy"][key] for key in ("float", "all", "rtl")]
        table.add_row(
            Text(row["name"]),
            Text(row["rule"]),
            *("-" if score is None else f"{score:.2%}" for score in scores),
            *(f"{row[key]:,.0f}" for key in ("synapses", "spikes", "sops", "cycles")),
            f"{1e9 * row['energy']:,.1f}",
            f"{row['neuron_ticks']:,}",
            f"{row['different']:,}",
        )
    return table
