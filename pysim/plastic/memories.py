"""The memories of a plastic core, in the order in which its load port numbers them.

RTL and host share this table; pysim/plastic/contents.py fills them. Memory 0 is the settings'
registers, a row each.
"""

from dataclasses import dataclass

from spikeloop.pysim.lessons.settings import SETTINGS
from spikeloop.pysim.lessons.tables import AGES, SEGMENTS
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["CHUNK_BITS", "STATE", "TRACE", "PlasticMemory", "memories", "state_fields"]

CHUNK_BITS = 32
TRACE = (("x", 16), ("t", 16))
"""Fields of a pre trace."""


@dataclass(frozen=True)
class PlasticMemory:
    """A memory of ``rows`` words of ``width`` bits, which the load port sees in chunks."""

    name: str
    rows: int
    width: int
    chunk: int = CHUNK_BITS

    @property
    def chunks(self) -> int:
        """Chunks of a word."""
        return -(-self.width // self.chunk)


def state_fields(p: PlasticParams) -> list[tuple[str, int]]:
    """Fields of a neuron's state and their bits, the first in the lowest bits."""
    return [("v", p.membrane_bits), *STATE]


STATE = (("ge", 24), ("gi", 24), ("theta", 24), ("c", 6), ("y", 16), ("own", 1), ("dirty", 1))
"""Fields of a neuron's state behind its membrane."""


def memories(p: PlasticParams) -> list[PlasticMemory]:
    """All memories of a core that the load port reaches."""
    return [
        PlasticMemory("settings", len(SETTINGS), CHUNK_BITS),
        PlasticMemory("weights", p.weight_rows, p.lanes * p.weight_bits, p.weight_bits),
        PlasticMemory("state", p.neurons, sum(bits for _, bits in state_fields(p))),
        PlasticMemory("traces", p.axons, sum(bits for _, bits in TRACE)),
        PlasticMemory("post", SEGMENTS, 32),
        PlasticMemory("pre", SEGMENTS, 32),
        PlasticMemory("near", AGES, 16),
        PlasticMemory("far", AGES, 16),
    ]
