"""A net of oscillators: couplings and settings, as integers. docs/onn.md is normative."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import check_int, check_object
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.common.reading import read_file
from spikeloop.pysim.oscillators.settings import (
    CELLS,
    FORMATS,
    GLOBALS,
    MAX_OSCILLATORS,
    MAX_START,
    RATE_BITS,
    SETTINGS,
    UNITS,
)

__all__ = ["OnnNet", "OnnState"]


@dataclass(frozen=True, eq=False)
class OnnState:
    """All values of a net between two steps.

    units:  int64 ``[field, oscillator]``, rows UNITS[cell]
    whole:  int64 ``[4]``, GLOBALS
    """

    units: np.ndarray
    whole: np.ndarray

    @property
    def step(self) -> int:
        return int(self.whole[0])

    def words(self) -> np.ndarray:
        """All values as a trace keeps them, int32 ``[value]``; OnnSource.place_of names it."""
        return np.concatenate([self.units.ravel(), self.whole]).astype(np.int32)


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnNet:
    """A net. Build it with :meth:`make`, which checks.

    cell:       "relaxation" or "phase"
    couplings:  int64 ``[oscillator, oscillator]``, symmetric, 0 on the diagonal
    formats:    by name, those of FORMATS[cell]
    settings:   by name, those of SETTINGS[cell]
    metadata:   what the host wants to remember: steps of a free period, and what it was made of
    """

    cell: str
    couplings: np.ndarray
    formats: dict[str, int]
    settings: dict[str, int]
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        cell: str,
        couplings: np.ndarray,
        formats: dict[str, int],
        settings: dict[str, int],
        metadata: dict[str, Any] | None = None,
    ) -> "OnnNet":
        """A net; InputError for anything out of range, and for couplings that are not symmetric."""
        if cell not in CELLS:
            raise InputError(f"cell must be one of {', '.join(CELLS)}, not {cell!r}")
        check_object("metadata of a net of oscillators", {} if metadata is None else metadata)
        _checked("format", formats, FORMATS[cell])
        _checked("setting", settings, SETTINGS[cell])
        g = _couplings(cell, np.asarray(couplings), formats["coupling_bits"])
        net = cls(
            cell=cell,
            couplings=g,
            formats=dict(formats),
            settings=dict(settings),
            metadata=metadata or {},
        )
        check_int("setting reference", settings["reference"], 0, net.size - 1)
        if cell == "relaxation":
            net._check_volts()
        return net

    def _check_volts(self) -> None:
        f, s = self.formats, self.settings
        check_int("format x_frac", f["x_frac"], 8, f["v_frac"])
        for name in ("v_high", "v_low"):
            check_int(f"threshold {name}", s[name], 0, self.top)
        if s["v_low"] >= s["v_high"]:
            raise InputError(
                f"threshold v_low must be below v_high, {s['v_high']}, not {s['v_low']}"
            )
        most = int(self.sums.max()) + max(s["b_ins"], s["b_met"])
        if most >> RATE_BITS:
            raise InputError(
                f"sum of an oscillator's couplings and its rate must be below {1 << RATE_BITS}, "
                f"not {most}"
            )

    def __getitem__(self, setting: str) -> int:
        return self.settings[setting]

    @property
    def size(self) -> int:
        """N."""
        return len(self.couplings)

    @property
    def sums(self) -> np.ndarray:
        """S, int64 ``[oscillator]``."""
        return self.couplings.sum(1)

    @property
    def top(self) -> int:
        """The highest voltage."""
        return (4 << self.formats["v_frac"]) - 1

    @property
    def slots(self) -> int:
        """K."""
        return 1 << self.formats["phase_bits"]

    @property
    def start_max(self) -> int:
        """Largest input of an oscillator: a delay in steps, or a slot."""
        return MAX_START if self.cell == "relaxation" else self.slots - 1

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the rows of a state."""
        return UNITS[self.cell]

    def check_input(self, start: np.ndarray) -> np.ndarray:
        """Delays or slots as int64 ``[oscillator]``; InputError if they do not fit."""
        start = np.asarray(start)
        if start.shape != (self.size,) or not np.issubdtype(start.dtype, np.integer):
            raise InputError(
                f"input of {self.size} oscillators must be integers of shape ({self.size},), "
                f"not {start.dtype} of shape {start.shape}"
            )
        wrong = start[(start < 0) | (start > self.start_max)]
        if wrong.size:
            raise InputError(
                f"input of an oscillator must be in 0..{self.start_max}, not {wrong[0]}"
            )
        return start.astype(np.int64)

    def begin(self, start: np.ndarray) -> OnnState:
        """The state before the first step."""
        start = self.check_input(start)
        units = np.zeros((len(self.units), self.size), np.int64)
        if self.cell == "phase":
            units[0] = units[1] = start
            units[2] = 1
        return OnnState(units, np.zeros(len(GLOBALS), np.int64))

    def with_(self, **settings: int) -> "OnnNet":
        """The same net with other settings, checked."""
        return OnnNet.make(
            self.cell, self.couplings, self.formats, {**self.settings, **settings}, self.metadata
        )

    def named(self, **metadata: Any) -> "OnnNet":
        """The same net with further metadata."""
        return replace(self, metadata={**self.metadata, **metadata})

    def save(self, path: str | Path) -> Path:
        """Write the net's file, whole or not at all."""
        from spikeloop.pysim.oscillators.file import encode

        return write_atomic(path, encode(self))

    @classmethod
    def load(cls, path: str | Path) -> "OnnNet":
        """Read a net's file; InputError for anything else than a sound one."""
        from spikeloop.pysim.oscillators.file import decode

        data = read_file(path, "file of oscillators", "write it with OnnNet.save")
        return decode(data, str(path))


def _checked(what: str, given: dict[str, int], known: dict[str, Any]) -> None:
    if set(given) != set(known):
        names = ", ".join(sorted(known))
        raise InputError(f"{what}s must be exactly {names}, not {', '.join(sorted(given))}")
    for name, value in given.items():
        check_int(f"{what} {name}", value, *known[name])


def _couplings(cell: str, g: np.ndarray, bits: int) -> np.ndarray:
    if g.ndim != 2 or g.shape[0] != g.shape[1] or not 2 <= len(g) <= MAX_OSCILLATORS:
        raise InputError(
            f"couplings must be a square of 2 to {MAX_OSCILLATORS} oscillators, not {g.shape}"
        )
    if not np.issubdtype(g.dtype, np.integer):
        raise InputError(f"couplings must be integers, not {g.dtype}")
    low, high = (
        (0, (1 << bits) - 1) if cell == "relaxation" else (-1 << bits - 1, (1 << bits - 1) - 1)
    )
    wrong = g[(g < low) | (g > high)]
    if wrong.size:
        raise InputError(f"couplings of {bits} bits must be in {low}..{high}, not {wrong[0]}")
    i, j = np.nonzero(g != g.T)
    if i.size:
        raise InputError(
            f"couplings must be symmetric, not {g[i[0], j[0]]} from {j[0]} to {i[0]} and "
            f"{g[j[0], i[0]]} back"
        )
    if g.diagonal().any():
        raise InputError(
            f"couplings of an oscillator with itself must be 0, not {g.diagonal().max()}"
        )
    return g.astype(np.int64)
