"""Oscillators as the source of an input's spikes: their place in a network and in its file.

The net runs once for each sample, before step 0. Line i of the input then spikes in every step of
the sample if oscillator i ended out of phase with the reference (docs/onn.md, "In a network").
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import (
    check_array,
    check_int,
    check_lines,
    check_starts,
    from_exactly,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.oscillators.net import OnnNet
from spikeloop.pysim.oscillators.settings import GLOBALS, MAX_OSCILLATORS, MAX_START

__all__ = ["OnnHead", "OnnSource"]

FILE = ("input", "cell", "formats", "settings", "metadata")
TENSOR = "onn.couplings"
WHAT = "oscillators"


@dataclass(frozen=True, kw_only=True)
class OnnHead:
    """What a host must know of a source: the manifest of an image holds it.

    input:       the input whose lines spike; also the name of the starts in the stimulus
    oscillators: of the net; lines of the input
    start_max:   largest delay or slot of an oscillator
    """

    input: str
    oscillators: int
    start_max: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], what: str) -> "OnnHead":
        """Inverse of :meth:`to_dict`; InputError unless it is one. ``what`` names its file."""
        head: OnnHead = from_exactly(cls, values, f"oscillators of {what}")
        if not isinstance(head.input, str):
            raise InputError(f"input of the oscillators of {what} must be text, not {head.input!r}")
        check_int(f"oscillators of {what}", head.oscillators, 2, MAX_OSCILLATORS)
        check_int(f"largest start of the oscillators of {what}", head.start_max, 1, MAX_START)
        return head

    def check(self, starts: np.ndarray, samples: int) -> None:
        """InputError unless ``starts`` are uint16 ``[sample, oscillator]`` in range."""
        shape = (samples, self.oscillators)
        check_starts(self.input, starts, shape, "sample, oscillator", self.start_max)


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnSource:
    """A net of oscillators, and the input of the network whose spikes it makes."""

    input: str
    net: OnnNet

    what = WHAT

    @property
    def size(self) -> int:
        """Oscillators."""
        return self.net.size

    @cached_property
    def head(self) -> OnnHead:
        return OnnHead(input=self.input, oscillators=self.size, start_max=self.net.start_max)

    def check(self, sizes: dict[str, int]) -> None:
        """InputError unless ``sizes``, lines by input, have an input of the net's size."""
        check_lines(WHAT, self.input, self.size, sizes)

    def place_of(self, value: int) -> tuple[str, int]:
        """What a last value of a trace is, and of which oscillator.

        A value of the whole net is of its reference.
        """
        row, oscillator = divmod(value, self.size)
        if row < len(self.net.units):
            return self.net.units[row], oscillator
        return GLOBALS[value - len(self.net.units) * self.size], self.net["reference"]

    # -- file ----------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """What the network's file says beside the couplings."""
        return {name: getattr(self if name == "input" else self.net, name) for name in FILE}

    def tensors(self) -> dict[str, np.ndarray]:
        """The couplings, by their name in the file."""
        return {TENSOR: np.ascontiguousarray(self.net.couplings)}

    @classmethod
    def from_file(
        cls, values: dict[str, Any], tensors: dict[str, np.ndarray], what: str
    ) -> "OnnSource":
        """The source of :meth:`to_dict` and of its couplings, which are taken out of ``tensors``.

        ``what`` names the file in errors.
        """
        if not isinstance(values, dict) or set(values) != set(FILE):
            raise InputError(f"oscillators of {what} must be exactly {', '.join(FILE)}, not others")
        couplings = tensors.pop(TENSOR)
        check_array(f"{TENSOR} in {what}", couplings, np.int64)
        parts = (values[name] for name in FILE[2:])
        return cls(input=values["input"], net=OnnNet.make(values["cell"], couplings, *parts))
