"""What the commands print: one document or a table on stdout, all else on stderr."""

import contextlib
import json as json_text
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console
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

__all__ = ["Bits", "ChipName", "Json", "bar", "names", "output", "tell"]

Json = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout; tables and progress on stderr.")
]
ChipName = Annotated[
    str,
    typer.Option(
        "--chip",
        metavar="PRESET",
        help="Chip preset: tiny, default, zou2021, full, ulx3s-85f or hx8k.",
    ),
]
Bits = Annotated[int, typer.Option("--bits", metavar="N", help="Bits of a weight, 2 to 16.")]


@contextlib.contextmanager
def output(json: bool) -> Iterator[Any]:
    """Gives ``out(document, rows)``. With ``json``, whatever else is printed meanwhile goes to stderr."""
    stdout = sys.stdout

    def out(document: dict[str, Any], rows: dict[str, Any]) -> None:
        if json:
            print(json_text.dumps(document), file=stdout, flush=True)
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows.items():
            table.add_row(name, str(value))
        file = sys.stderr if json else stdout
        Console(file=file, highlight=False, width=None if file.isatty() else 140).print(table)

    with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext():
        yield out


def tell(text: str) -> None:
    """A line on stderr."""
    print(text, file=sys.stderr, flush=True)


class _Rate(ProgressColumn):
    """Units a second, of the last while."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.1f} {self.unit}/s")


@contextlib.contextmanager
def bar(what: str = "compare", unit: str = "samples") -> Iterator[Any]:
    """Gives ``start(total)`` and ``advance(n)`` of a progress bar with rate, time gone and time to come, on stderr."""
    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        _Rate(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None, visible=False)
        yield (
            (lambda total: progress.update(task, total=total, visible=True)),
            (lambda n: progress.advance(task, n)),
        )


def names(text: str) -> list[str]:
    """ "a, b" to its parts."""
    return [name for part in text.split(",") if (name := part.strip())]
