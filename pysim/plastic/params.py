"""The plastic core as built: its geometry and what follows from it.

RTL, the host that loads it and the cycle model share this. docs/plasticity.md, "The RTL".
"""

from dataclasses import asdict, dataclass
from typing import Any

from spikeloop.pysim.common.checks import check_int, from_exactly
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.lessons.population import MAX_AXONS, MAX_NEURONS, PlasticPopulation

__all__ = ["COUNTERS", "LINE_CHUNK", "PlasticParams"]

LINE_CHUNK = 64
"""Input lines that the scan looks at in one cycle."""
COUNTERS = ("cycles", "stalls", "spikes", "updates", "weight_clips")


def _bits(count: int) -> int:
    """Bits of a number below ``count``; at least 1."""
    return max(1, (count - 1).bit_length())


@dataclass(frozen=True, kw_only=True)
class PlasticParams:
    """Geometry of a plastic core.

    axons:          1..4096
    neurons:        1..4096
    weight_bits:    8..16
    membrane_bits:  16..32
    lanes:          1..64, weights in a row of the weight memory
    """

    axons: int = 48
    neurons: int = 16
    weight_bits: int = 16
    membrane_bits: int = 24
    lanes: int = 4

    def __post_init__(self) -> None:
        for name, low, high in (
            ("axons", 1, MAX_AXONS),
            ("neurons", 1, MAX_NEURONS),
            ("weight_bits", 8, 16),
            ("membrane_bits", 16, 32),
            ("lanes", 1, 64),
        ):
            check_int(f"parameter {name} of a plastic core", getattr(self, name), low, high)

    @classmethod
    def of(cls, population: PlasticPopulation, lanes: int = 4) -> "PlasticParams":
        """The core that a population fills."""
        return cls(**population.size, lanes=lanes)

    def check(self, population: PlasticPopulation) -> None:
        """InputError unless the population has the size of the core."""
        for name, value in population.size.items():
            if value != getattr(self, name):
                raise InputError(
                    f"{name} of the population must be those of the core, {getattr(self, name)}, "
                    f"not {value}"
                )

    @property
    def words(self) -> int:
        """Rows of weights of one axon."""
        return -(-self.neurons // self.lanes)

    @property
    def last_lanes(self) -> int:
        """Neurons of the last word."""
        return self.neurons - (self.words - 1) * self.lanes

    @property
    def weight_rows(self) -> int:
        """Row ``word * axons + axon`` holds the weights of an axon onto the neurons of a word."""
        return self.words * self.axons

    @property
    def lines(self) -> int:
        """Input lines: the axons, then the teacher lines of the neurons."""
        return self.axons + self.neurons

    @property
    def line_rows(self) -> int:
        return -(-self.lines // LINE_CHUNK)

    @property
    def axon_bits(self) -> int:
        return _bits(self.axons)

    @property
    def neuron_bits(self) -> int:
        return _bits(self.neurons)

    @property
    def lane_bits(self) -> int:
        return _bits(self.lanes)

    @property
    def row_bits(self) -> int:
        return _bits(self.weight_rows)

    @property
    def line_bits(self) -> int:
        return _bits(self.lines)

    @property
    def sum_bits(self) -> int:
        """Bits of the sum of all weights of a neuron."""
        return (self.axons * ((1 << self.weight_bits) - 1)).bit_length()

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "PlasticParams":
        return from_exactly(cls, values, "parameters of a plastic core")
