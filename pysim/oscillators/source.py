"""Oscillators as the source of an input's spikes: their place in a network and in its file.

The net runs once for each sample, before step 0. Line i of the input then spikes in every step of
the sample if oscillator i ended out of phase with the reference (docs/onn.md, "In a network").
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from spikeloop.pysim.common.checks import check_array, check_int, from_exactly
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.oscillators.net import OnnNet
from spikeloop.pysim.oscillators.settings import MAX_OSCILLATORS, MAX_START

__all__ = ["OnnHead", "OnnSource"]

FILE = ("input", "cell", "formats", "settings", "metadata")
TENSOR = "onn.couplings"


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
        what, shape = f"starts of {self.input!r}", (samples, self.oscillators)
        if starts.dtype != np.uint16 or starts.shape != shape:
            raise InputError(
                f"{what} must be uint16 of shape {shape} (sample, oscillator), "
                f"not {starts.dtype} of {starts.shape}"
            )
        if starts.size and starts.max() > self.start_max:
            raise InputError(f"{what} must be in 0..{self.start_max}, not {starts.max()}")


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnSource:
    """A net of oscillators, and the input of the network whose spikes it makes."""

    input: str
    net: OnnNet

    @cached_property
    def head(self) -> OnnHead:
        return OnnHead(input=self.input, oscillators=self.net.size, start_max=self.net.start_max)

    def check(self, sizes: dict[str, int]) -> None:
        """InputError unless ``sizes``, lines by input, have an input of the net's size."""
        if self.input not in sizes:
            raise InputError(
                f"input of the oscillators must be one of {', '.join(sizes) or 'the network'}, "
                f"not {self.input!r}"
            )
        if sizes[self.input] != self.net.size:
            raise InputError(
                f"lines of input {self.input!r} must be as many as its oscillators, "
                f"{self.net.size}, not {sizes[self.input]}"
            )

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
