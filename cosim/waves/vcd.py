"""Value change dumps (IEEE 1364, section 18) read and written, as far as simulators use them: wires and vectors, one time scale."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TextIO

from spikeloop.pysim.common.errors import InputError

__all__ = ["Signal", "changes", "header", "write"]

FIRST_ID, LAST_ID = 33, 126


@dataclass(frozen=True)
class Signal:
    """``scope``: names of the modules around it; ``key``: its short name in the file."""

    scope: tuple[str, ...]
    name: str
    width: int
    key: str

    @property
    def path(self) -> str:
        return ".".join((*self.scope, self.name))


def header(file: TextIO) -> list[Signal]:
    """Signals of the dump, in order; ``file`` then stands before the values. InputError for what is no dump."""
    scope: list[str] = []
    found = []
    for line in file:
        match line.split():
            case ["$scope", _, name, "$end"]:
                scope.append(name)
            case ["$upscope", *_]:
                scope.pop()
            case ["$var", _, width, key, name, *_]:
                found.append(Signal(tuple(scope), name, int(width), key))
            case ["$enddefinitions", *_]:
                return found
    raise InputError("dump must have a header that ends, not be cut off")


def changes(file: TextIO, keys: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """Time, key, value (binary digits, x, z) of every change of the signals ``keys``."""
    wanted, now = frozenset(keys), 0
    for line in file:
        first = line[0]
        if first == "#":
            now = int(line[1:])
        elif first in "bB":
            value, _, key = line[1:].rstrip().partition(" ")
            if key in wanted:
                yield now, key, value
        elif first in "01xz" and line[1:].rstrip() in wanted:
            yield now, line[1:].rstrip(), first


def write(
    path: Path,
    signals: list[Signal],
    values: dict[str, str],
    moves: Iterable[tuple[int, str, str]],
    comment: str,
) -> None:
    """A dump of ``signals`` (sorted by scope) whose values at its begin are ``values`` by key, and then change by ``moves``."""
    ids = {
        signal.key: "".join(chr(FIRST_ID + d) for d in _digits(i))
        for i, signal in enumerate(signals)
    }
    lines = [f"$comment {comment} $end", "$timescale 1ps $end"]
    scope: list[str] = []
    for signal in signals:
        common = next(
            (i for i, (a, b) in enumerate(zip(scope, signal.scope, strict=False)) if a != b),
            min(len(scope), len(signal.scope)),
        )
        lines += ["$upscope $end"] * (len(scope) - common) + [
            f"$scope module {name} $end" for name in signal.scope[common:]
        ]
        scope = [*signal.scope]
        span = f" [{signal.width - 1}:0]" if signal.width > 1 else ""
        lines.append(f"$var wire {signal.width} {ids[signal.key]} {signal.name}{span} $end")
    lines += ["$upscope $end"] * len(scope) + ["$enddefinitions $end", "$dumpvars"]
    widths = {signal.key: signal.width for signal in signals}

    def change(key: str, value: str) -> str:
        return f"{value}{ids[key]}" if widths[key] == 1 else f"b{value} {ids[key]}"

    lines += [change(key, values.get(key, "x")) for key in ids] + ["$end"]
    for time, some in groupby(moves, key=lambda move: move[0]):
        lines.append(f"#{time}")
        lines += [change(key, value) for _, key, value in some]
    path.write_text("\n".join(lines) + "\n")


def _digits(number: int) -> list[int]:
    base = LAST_ID - FIRST_ID + 1
    return [*(_digits(number // base - 1) if number >= base else []), number % base]
