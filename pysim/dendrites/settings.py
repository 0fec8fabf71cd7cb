"""Settings and state of a net of dendritic neurons (docs/dendritic.md), each named once."""

from typing import NamedTuple

__all__ = [
    "CURRENT_BITS",
    "INHIBITION_BITS",
    "MAX_INPUTS",
    "MAX_NEURONS",
    "MAX_STIMULI",
    "PASSING",
    "PSP_BITS",
    "RATE_BITS",
    "SETTINGS",
    "SHOW",
    "TABLE_WORDS",
    "UNITS",
    "WEIGHT_BITS",
    "Format",
    "Setting",
]

MAX_INPUTS, MAX_NEURONS, MAX_STIMULI = 2048, 16, 64
CURRENT_BITS, PSP_BITS, WEIGHT_BITS, INHIBITION_BITS, RATE_BITS = 17, 20, 32, 20, 16
TABLE_WORDS = 1024


class Setting(NamedTuple):
    """A whole number of ``low..high``, and what it is unless something else is said."""

    low: int
    high: int
    default: int

    @property
    def bits(self) -> int:
        return self.high.bit_length()


class Format(NamedTuple):
    """Bits of a value, and whether the first of them is a sign."""

    bits: int
    signed: bool

    @property
    def low(self) -> int:
        return -1 << self.bits - 1 if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << self.bits - self.signed) - 1


_WORD = (1 << 16) - 1
_WIDE = (1 << 20) - 1
SETTINGS = {
    "inputs": Setting(8, MAX_INPUTS, 1353),
    "neurons": Setting(2, MAX_NEURONS, 8),
    "impulse": Setting(0, _WORD, 21408),
    "leak_i": Setting(0, _WORD, 13107),
    "leak_e": Setting(0, _WORD, 4369),
    "leak_u": Setting(0, _WORD, 4369),
    "gain_d": Setting(0, _WORD, 45875),
    "attenuation": Setting(0, _WORD, 59837),
    "stat_shift": Setting(1, 16, 9),
    "warm_up": Setting(0, _WORD - 1, 800),
    "noise": Setting(0, 255, 45),
    "rate": Setting(0, (1 << 18) - 1, 53687),
    "decay": Setting(1, 31, 19),
    "spike_gain": Setting(0, _WORD, 655),
    "leak_p": Setting(0, _WORD, 3277),
    "leak_d": Setting(0, _WORD, 1638),
    "step_p": Setting(0, _WIDE, 176161),
    "step_d": Setting(0, _WIDE, 88080),
    "g_max": Setting(0, _WIDE, 52428),
}
"""Settings of a net, in the order of the macro's registers."""
SHOW = {
    "stimulus": Setting(0, MAX_STIMULI - 1, 0),
    "steps": Setting(1, (1 << 24) - 1, 400),
    "learn": Setting(0, 1, 0),
    "plastic": Setting(0, 1, 1),
}
"""Settings of a show; their registers follow."""
UNITS = {
    "u": Format(21, True),
    "f": Format(16, False),
    "mean": Format(26, True),
    "var": Format(36, False),
    "trace_p": Format(26, True),
    "trace_d": Format(26, True),
    "rn": Format(32, False),
    "rs": Format(32, False),
}
"""State of a neuron, in the order of its rows and of the port ``unit``."""
PASSING = {
    "v": Format(26, True),
    "q": Format(16, False),
    "c": Format(19, True),
    "s": Format(1, False),
}
"""Values of a neuron that live for a step; they follow in the port."""
