"""Value change dumps (IEEE 1364, section 18), read and written.

Only what simulators use of them: wires and vectors, one time scale. Strings (``$var string``, known
to GTKWave and Surfer) are written, not read.
"""

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
    """A wire or a vector of ``width`` bits.

    scope: names of the modules around it; key: its short name in the file; kind: wire or string
    """

    scope: tuple[str, ...]
    name: str
    width: int
    key: str
    kind: str = "wire"

    @property
    def path(self) -> str:
        """Scopes and name, joined by points."""
        return ".".join((*self.scope, self.name))


def header(file: TextIO) -> list[Signal]:
    """Signals of the dump, in order; ``file`` is then at the values. InputError for no dump."""
    scope: list[str] = []
    signals = []
    for line in file:
        match line.split():
            case ["$scope", _, name, "$end"]:
                scope.append(name)
            case ["$upscope", *_]:
                scope.pop()
            case ["$var", _, width, key, name, *_]:
                signals.append(Signal(tuple(scope), name, int(width), key))
            case ["$enddefinitions", *_]:
                return signals
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
    """Write a dump.

    signals: sorted by scope
    values:  at the beginning, by key; a signal without one is unknown (x)
    moves:   changes: time, key, value
    """
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
        lines.append(
            f"$var {signal.kind} {signal.width} {ids[signal.key]} {signal.name}{span} $end"
        )
    lines += ["$upscope $end"] * len(scope) + ["$enddefinitions $end", "$dumpvars"]
    of_key = {signal.key: signal for signal in signals}

    def change(key: str, value: str) -> str:
        if of_key[key].kind == "string":
            return f"s{value} {ids[key]}"
        return f"{value}{ids[key]}" if of_key[key].width == 1 else f"b{value} {ids[key]}"

    lines += [change(key, values.get(key, "x")) for key in ids] + ["$end"]
    for time, together in groupby(moves, key=lambda move: move[0]):
        lines.append(f"#{time}")
        lines += [change(key, value) for _, key, value in together]
    path.write_text("\n".join(lines) + "\n")


def _digits(number: int) -> list[int]:
    base = LAST_ID - FIRST_ID + 1
    return [*(_digits(number // base - 1) if number >= base else []), number % base]
