"""Settings, formats and state of a net of oscillators (docs/onn.md), each named once."""

from typing import NamedTuple

__all__ = [
    "CELLS",
    "FORMATS",
    "GLOBALS",
    "MAX_OSCILLATORS",
    "MAX_START",
    "RATE_BITS",
    "SETTINGS",
    "UNITS",
    "Range",
]

CELLS = ("relaxation", "phase")
MAX_OSCILLATORS = 256
MAX_START = 65535
"""Longest delay of an oscillator, in steps."""
RATE_BITS = 24
"""Bits of a rate b, and of S + b."""
UNITS = {"relaxation": ("v", "met", "age", "phase", "out"), "phase": ("phi", "new", "ref", "out")}
"""Values of an oscillator, by cell."""
GLOBALS = ("step", "period", "cycles", "same")
"""Values of a net."""


class Range(NamedTuple):
    """A whole number of ``low..high``."""

    low: int
    high: int


_COMMON = {
    "steps_max": Range(1, (1 << 24) - 1),
    "settle": Range(0, 255),
    "reference": Range(0, MAX_OSCILLATORS - 1),
}
SETTINGS = {
    "relaxation": {
        **_COMMON,
        "sh": Range(1, 40),
        **dict.fromkeys(("a_ins", "a_met"), Range(0, (1 << 48) - 1)),
        **dict.fromkeys(("b_ins", "b_met"), Range(0, (1 << RATE_BITS) - 1)),
        **dict.fromkeys(("v_high", "v_low"), Range(0, (1 << 28) - 1)),
        "t_on": Range(0, (1 << 24) - 1),
    },
    "phase": _COMMON,
}
"""Settings of each cell. Thresholds have v_frac + 2 bits, the reference is below N."""
FORMATS = {
    "relaxation": {"coupling_bits": Range(4, 14), "v_frac": Range(12, 26), "x_frac": Range(8, 26)},
    "phase": {"coupling_bits": Range(4, 14), "phase_bits": Range(2, 8)},
}
"""Formats of each cell: a macro is built for them."""
