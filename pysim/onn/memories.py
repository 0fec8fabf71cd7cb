"""The memories of a macro of oscillators, in the order in which its load port numbers them.

RTL and host share this table; pysim/onn/contents.py fills them. Memory 0 is the settings'
registers, memory 1 the four values of the net, memory 2 the rows of state.
"""

from dataclasses import dataclass

from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.settings import GLOBALS, RATE_BITS, SETTINGS

__all__ = [
    "CHUNK_BITS",
    "DELAY_BITS",
    "OnnMemory",
    "global_bits",
    "memories",
    "setting_bits",
    "state_chunks",
]

CHUNK_BITS = 32
DELAY_BITS = 16


@dataclass(frozen=True)
class OnnMemory:
    """A memory of ``rows`` words of ``width`` bits, which the load port sees in chunks."""

    name: str
    rows: int
    width: int
    chunk: int = CHUNK_BITS

    @property
    def chunks(self) -> int:
        """Chunks of a word."""
        return -(-self.width // self.chunk)


def setting_bits(p: OnnParams) -> dict[str, int]:
    """Bits of each register, the number of oscillators first."""
    bits = {"oscillators": p.oscillators.bit_length()}
    for name, limit in SETTINGS[p.cell].items():
        bits[name] = limit.high.bit_length()
    bits["reference"] = p.index_bits
    if p.cell == "relaxation":
        bits |= {"v_high": p.volt_bits, "v_low": p.volt_bits}
    return bits


def global_bits() -> dict[str, int]:
    """Bits of each value of the net."""
    return dict(zip(GLOBALS, (24, 16, 16, 8), strict=True))


def state_chunks(p: OnnParams) -> list[list[tuple[str, int, int]]]:
    """What each chunk of an oscillator's row of state holds: name, first bit, bits."""
    if p.cell == "phase":
        bits = p.phase_bits
        return [[("phi", 0, bits), ("new", 8, bits), ("ref", 16, 1), ("out", 17, 1)]]
    return [
        [("v", 0, p.volt_bits)],
        [("age", 0, 16), ("phase", 16, 16)],
        [("met", 0, 1), ("out", 1, 1)],
    ]


def memories(p: OnnParams) -> list[OnnMemory]:
    """All memories of a macro that the load port reaches."""
    g = p.coupling_bits
    table = [
        OnnMemory("settings", len(setting_bits(p)), 64),
        OnnMemory("globals", len(GLOBALS), CHUNK_BITS),
        OnnMemory("state", p.oscillators, len(state_chunks(p)) * CHUNK_BITS),
        OnnMemory("coupling", p.coupling_rows, p.lanes * g, g),
    ]
    if p.cell == "relaxation":
        table += [
            OnnMemory("sums", p.passes, p.lanes * RATE_BITS, RATE_BITS),
            OnnMemory("delays", p.passes, p.lanes * DELAY_BITS, DELAY_BITS),
        ]
    return table
