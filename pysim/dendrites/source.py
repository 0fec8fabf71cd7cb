"""Dendritic neurons as the source of an input's spikes: their place in a network and in its file.

The net does a step, which learns, right before each step of a sample. Line i of the input then has
a spike if neuron i has an output spike (docs/dendritic.md, "In a network").
"""

from dataclasses import asdict, dataclass, replace
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
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import MAX_INPUTS, MAX_NEURONS, UNITS
from spikeloop.pysim.dendrites.state import DendriticState, place_of

__all__ = ["DendriticHead", "DendriticSource", "starts"]

FILE = ("input", "settings", "metadata", "rin", "age")
ARRAYS = ("weights", "inhibition", "currents", "psps", "units")
PREFIX = "dendritic."
WHAT = "dendritic neurons"
FROZEN = {"rate": 0, "decay": 31, "step_p": 0, "step_d": 0, "noise": 0}
SILENT = ("u", "f", "trace_p", "trace_d")


def starts(thresholds: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Starts of a stimulus, uint16 ``[sample, 1 + input]``.

    thresholds: ``[sample, input]``, 0..65535: how probable a spike of an input is, in 1/65536
    seeds:      ``[sample]``, 0..65535: of the generators
    """
    return np.concatenate([np.asarray(seeds)[:, None], thresholds], 1).astype(np.uint16)


@dataclass(frozen=True, kw_only=True)
class DendriticHead:
    """What a host must know of a source: the manifest of an image holds it.

    input:   the input whose lines spike; also the name of the starts in the stimulus
    neurons: of the net; lines of the input
    inputs:  of the net
    """

    input: str
    neurons: int
    inputs: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any], what: str) -> "DendriticHead":
        """Inverse of :meth:`to_dict`; InputError unless it is one. ``what`` names its file."""
        head: DendriticHead = from_exactly(cls, values, f"{WHAT} of {what}")
        if not isinstance(head.input, str):
            raise InputError(f"input of the {WHAT} of {what} must be text, not {head.input!r}")
        check_int(f"{WHAT} of {what}", head.neurons, 2, MAX_NEURONS)
        check_int(f"inputs of the {WHAT} of {what}", head.inputs, 8, MAX_INPUTS)
        return head

    def check(self, starts: np.ndarray, samples: int) -> None:
        """InputError unless ``starts`` are uint16 ``[sample, 1 + input]``."""
        shape = (samples, 1 + self.inputs)
        check_starts(self.input, starts, shape, "sample, seed and inputs", (1 << 16) - 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class DendriticSource:
    """A net of dendritic neurons with its state, and the input whose spikes it makes.

    state: what every sample begins with, but for the generators. Checked when a network is made.
    """

    input: str
    net: DendriticNet
    state: DendriticState

    what = WHAT

    @property
    def size(self) -> int:
        """Neurons."""
        return self.net.neurons

    @cached_property
    def head(self) -> DendriticHead:
        return DendriticHead(input=self.input, neurons=self.size, inputs=self.net.inputs)

    def check(self, sizes: dict[str, int]) -> None:
        """InputError unless ``sizes``, lines by input, have an input of the net's size."""
        check_lines(WHAT, self.input, self.size, sizes)
        self.state.check(self.net)

    def frozen(self) -> "DendriticSource":
        """The same net, silent, with settings by which weights and inhibition stay.

        Weights beyond 1 or -1 move by 2^-30 a step. Mean and variance go on.
        """
        units = self.state.units.copy()
        units[[list(UNITS).index(name) for name in SILENT]] = 0
        zero = np.zeros_like(self.state.currents)
        state = replace(self.state, currents=zero, psps=zero.copy(), units=units)
        return replace(self, net=self.net.with_(**FROZEN), state=state)

    def place_of(self, value: int) -> tuple[str, int]:
        """What a last value of a trace is, and of which neuron or input."""
        return place_of(self.net, value)

    # -- file ----------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """What the network's file says beside the arrays."""
        net, state = self.net, self.state
        values = (self.input, net.settings, net.metadata, state.rin, state.age)
        return dict(zip(FILE, values, strict=True))

    def tensors(self) -> dict[str, np.ndarray]:
        """The table and the state's arrays, by their names in the file."""
        arrays = {"table": self.net.table, **{n: getattr(self.state, n) for n in ARRAYS}}
        return {f"{PREFIX}{n}": np.ascontiguousarray(a, np.int64) for n, a in arrays.items()}

    @classmethod
    def from_file(
        cls, values: dict[str, Any], tensors: dict[str, np.ndarray], what: str
    ) -> "DendriticSource":
        """The source of :meth:`to_dict` and of its arrays, which are taken out of ``tensors``.

        ``what`` names the file in errors.
        """
        if not isinstance(values, dict) or set(values) != set(FILE):
            raise InputError(f"{WHAT} of {what} must be exactly {', '.join(FILE)}, not others")
        arrays = {name: tensors.pop(f"{PREFIX}{name}") for name in ("table", *ARRAYS)}
        for name, array in arrays.items():
            check_array(f"{PREFIX}{name} in {what}", array, np.int64)
        net = DendriticNet.make(values["settings"], arrays.pop("table"), values["metadata"])
        state = DendriticState(**arrays, rin=values["rin"], age=values["age"])
        return cls(input=values["input"], net=net, state=state.check(net))
