"""The memories of a macro of oscillators, in the order in which its load port numbers them.

RTL and host share this table; pysim/onn/contents.py fills them. Memory 0 is the settings'
registers, memory 1 the four values of the net, memory 2 the rows of state.
"""

from spikeloop.pysim.common.memory import CHUNK_BITS, LoadMemory
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.settings import GLOBALS, RATE_BITS, SETTINGS

__all__ = ["DELAY_BITS", "global_bits", "memories", "setting_bits", "state_chunks"]

DELAY_BITS = 16


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


def memories(p: OnnParams) -> list[LoadMemory]:
    """All memories of a macro that the load port reaches."""
    g = p.coupling_bits
    table = [
        LoadMemory("settings", len(setting_bits(p)), 64),
        LoadMemory("globals", len(GLOBALS), CHUNK_BITS),
        LoadMemory("state", p.oscillators, len(state_chunks(p)) * CHUNK_BITS),
        LoadMemory("coupling", p.coupling_rows, p.lanes * g, g),
    ]
    if p.cell == "relaxation":
        table += [
            LoadMemory("sums", p.passes, p.lanes * RATE_BITS, RATE_BITS),
            LoadMemory("delays", p.passes, p.lanes * DELAY_BITS, DELAY_BITS),
        ]
    return table
