"""The engines that run a lesson or a net of a macro: their names, and what each of them offers."""

from collections.abc import Callable, Sequence
from typing import Any

from spikeloop.pysim.common.errors import InputError

__all__ = ["ENGINES", "Engine", "check_engines", "known_engines"]

ENGINES = ("golden", "pysim", "numpy", "verilator")
"""PyTorch; numba, or numpy where it is not installed; numpy; the Verilated RTL."""


class Engine:
    """A name; ``run``, whose arguments the engines of one kind share; ``close`` gives back what it
    holds."""

    def __init__(
        self, name: str, run: Callable[..., Any], close: Callable[[], None] = lambda: None
    ) -> None:
        self.name, self.run, self.close = name, run, close


def known_engines(names: Sequence[str], what: str) -> list[str]:
    """The names without repetition; InputError for an unknown one, which it calls ``what``."""
    for name in names:
        if name not in ENGINES:
            raise InputError(f"{what} must be one of {', '.join(ENGINES)}, not {name!r}")
    return list(dict.fromkeys(names))


def check_engines(names: Sequence[str]) -> list[str]:
    """The names of backends without repetition; InputError for an unknown one, and for none."""
    return known_engines(names or [""], "backend")
