"""The memories of a plastic core, in the order in which its load port numbers them.

RTL and host share this table; pysim/plastic/contents.py fills them. Memory 0 is the settings'
registers, a row each.
"""

from spikeloop.pysim.common.memory import CHUNK_BITS, LoadMemory
from spikeloop.pysim.lessons.settings import SETTINGS
from spikeloop.pysim.lessons.tables import AGES, SEGMENTS
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["STATE", "TRACE", "memories", "state_fields"]

TRACE = (("x", 16), ("t", 16))
"""Fields of a pre trace."""


def state_fields(p: PlasticParams) -> list[tuple[str, int]]:
    """Fields of a neuron's state and their bits, the first in the lowest bits."""
    return [("v", p.membrane_bits), *STATE]


STATE = (("ge", 24), ("gi", 24), ("theta", 24), ("c", 6), ("y", 16), ("own", 1), ("dirty", 1))
"""Fields of a neuron's state behind its membrane."""


def memories(p: PlasticParams) -> list[LoadMemory]:
    """All memories of a core that the load port reaches."""
    return [
        LoadMemory("settings", len(SETTINGS), CHUNK_BITS),
        LoadMemory("weights", p.weight_rows, p.lanes * p.weight_bits, p.weight_bits),
        LoadMemory("state", p.neurons, sum(bits for _, bits in state_fields(p))),
        LoadMemory("traces", p.axons, sum(bits for _, bits in TRACE)),
        LoadMemory("post", SEGMENTS, 32),
        LoadMemory("pre", SEGMENTS, 32),
        LoadMemory("near", AGES, 16),
        LoadMemory("far", AGES, 16),
    ]
