"""The macro of oscillators as built: its geometry and what follows from it.

RTL, the host that loads it and the cycle model share this. docs/onn.md, "The RTL".
"""

from dataclasses import asdict, dataclass
from typing import Any

from spikeloop.pysim.common.checks import check_int, from_exactly
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.oscillators.net import OnnNet
from spikeloop.pysim.oscillators.settings import CELLS, FORMATS, MAX_OSCILLATORS, RATE_BITS

__all__ = ["COUNTERS", "OnnParams"]

COUNTERS = ("cycles", "steps", "reads", "clips", "crossings")
"""Busy cycles, steps, words of couplings read, clipped voltages, crossings of V+."""


@dataclass(frozen=True, kw_only=True)
class OnnParams:
    """Geometry of a macro.

    cell:           "relaxation" or "phase"
    oscillators:    M, 2..256
    lanes:          L, 1..M: multipliers (relaxation), adders (phase)
    coupling_bits:  G, 4..14
    v_frac, x_frac: F 12..26, X 8..F; of the relaxation cell
    phase_bits:     P 2..8; of the phase cell
    """

    cell: str = "relaxation"
    oscillators: int = 60
    lanes: int = 60
    coupling_bits: int = 12
    v_frac: int = 24
    x_frac: int = 18
    phase_bits: int = 4

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise InputError(f"cell must be one of {', '.join(CELLS)}, not {self.cell!r}")
        what = "parameter {} of a macro of oscillators"
        check_int(what.format("oscillators"), self.oscillators, 2, MAX_OSCILLATORS)
        check_int(what.format("lanes"), self.lanes, 1, self.oscillators)
        ranges = {name: limit for formats in FORMATS.values() for name, limit in formats.items()}
        for name, limit in ranges.items():
            check_int(what.format(name), getattr(self, name), *limit)
        check_int(what.format("x_frac"), self.x_frac, 8, self.v_frac)

    @classmethod
    def of(cls, net: OnnNet, lanes: int | None = None) -> "OnnParams":
        """The macro that a net fills; ``lanes``: one for each oscillator unless given."""
        return cls(
            cell=net.cell,
            oscillators=net.size,
            lanes=net.size if lanes is None else lanes,
            **net.formats,
        )

    def check(self, net: OnnNet) -> None:
        """InputError unless the net fits the macro."""
        if net.cell != self.cell:
            raise InputError(
                f"cell of the net must be {self.cell!r}, the macro's, not {net.cell!r}"
            )
        if net.size > self.oscillators:
            raise InputError(
                f"oscillators of the net must be {self.oscillators} at most, the macro's, "
                f"not {net.size}"
            )
        for name, value in net.formats.items():
            if value != getattr(self, name):
                raise InputError(
                    f"{name} of the net must be {getattr(self, name)}, the macro's, not {value}"
                )

    @property
    def passes(self) -> int:
        """W: turns that the lanes take in a step."""
        return -(-self.oscillators // self.lanes)

    @property
    def places(self) -> int:
        """Oscillators with room in lanes and passes."""
        return self.passes * self.lanes

    @property
    def digits(self) -> int:
        """D: digits of coupling_bits in a rate."""
        return -(-RATE_BITS // self.coupling_bits)

    @property
    def volt_bits(self) -> int:
        """Bits of a voltage."""
        return self.v_frac + 2

    @property
    def shown_bits(self) -> int:
        """Bits of an x."""
        return self.x_frac + 2

    @property
    def sum_bits(self) -> int:
        """Bits of the accumulator of a lane, with its sign."""
        if self.cell == "phase":
            return (self.oscillators << (self.coupling_bits - 1)).bit_length() + 1
        return max(48, RATE_BITS + self.shown_bits) + 3

    @property
    def index_bits(self) -> int:
        """Bits of the number of an oscillator."""
        return (self.oscillators - 1).bit_length()

    @property
    def coupling_rows(self) -> int:
        """Row ``pass * M + j`` holds the couplings of oscillator j to the lanes of a pass."""
        return self.passes * self.oscillators

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "OnnParams":
        return from_exactly(cls, values, "parameters of a macro of oscillators")
