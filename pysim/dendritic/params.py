"""The macro of dendritic neurons as built: its geometry.

RTL, the host that loads it and the cycle model share this. docs/dendritic.md, "The RTL".
"""

from dataclasses import asdict, dataclass
from typing import Any

from spikeloop.pysim.common.checks import check_int, from_exactly
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import MAX_INPUTS, MAX_NEURONS, MAX_STIMULI

__all__ = ["COUNTERS", "DendriticParams"]

COUNTERS = ("cycles", "steps", "inputs", "spikes", "clips", "saturations")
"""Busy cycles, steps, input spikes, output spikes, clipped values, clipped weights."""


@dataclass(frozen=True, kw_only=True)
class DendriticParams:
    """Geometry of a macro.

    inputs:  M, 8..2048
    neurons: L, 2..16: lanes
    stimuli: S, 1..64: rows of thresholds that it holds
    """

    inputs: int = 1353
    neurons: int = 8
    stimuli: int = 8

    def __post_init__(self) -> None:
        what = "parameter {} of a macro of dendritic neurons"
        check_int(what.format("inputs"), self.inputs, 8, MAX_INPUTS)
        check_int(what.format("neurons"), self.neurons, 2, MAX_NEURONS)
        check_int(what.format("stimuli"), self.stimuli, 1, MAX_STIMULI)

    @classmethod
    def of(cls, net: DendriticNet, stimuli: int) -> "DendriticParams":
        """The macro that a net fills, with room for ``stimuli``."""
        return cls(inputs=net.inputs, neurons=net.neurons, stimuli=stimuli)

    def check(self, net: DendriticNet, stimuli: int) -> None:
        """InputError unless the net and so many stimuli fit the macro."""
        for name, value in (("inputs", net.inputs), ("neurons", net.neurons), ("stimuli", stimuli)):
            room = getattr(self, name)
            if value > room:
                raise InputError(
                    f"{name} of the net must be {room} at most, the macro's, not {value}"
                )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DendriticParams":
        return from_exactly(cls, values, "parameters of a macro of dendritic neurons")
