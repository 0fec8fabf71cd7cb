"""The memories of a macro of dendritic neurons, in the order in which its load port numbers them.

RTL and host share this table; pysim/dendritic/contents.py fills them.
"""

from spikeloop.pysim.common.memory import CHUNK_BITS, LoadMemory
from spikeloop.pysim.dendrites.settings import (
    INHIBITION_BITS,
    PSP_BITS,
    RATE_BITS,
    SETTINGS,
    SHOW,
    TABLE_WORDS,
    WEIGHT_BITS,
)
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["GLOBALS", "UNIT_CHUNKS", "memories", "setting_bits"]

GLOBALS = {"age": 16, "rin": 64}
"""Rows of the memory of the same name, and their bits."""
UNIT_CHUNKS = (
    (("u", 0, 0, 21),),
    (("f", 0, 0, 16), ("var", 32, 16, 4)),
    (("mean", 0, 0, 26),),
    (("var", 0, 0, 32),),
    (("trace_p", 0, 0, 26),),
    (("trace_d", 0, 0, 26),),
    (("rn", 0, 0, 32),),
    (("rs", 0, 0, 32),),
)
"""What each chunk of a neuron holds: name, first bit of the value, first bit in the chunk, bits."""


def setting_bits() -> dict[str, int]:
    """Bits of each register, a row each: those of the net, then those of a show."""
    return {name: setting.bits for name, setting in {**SETTINGS, **SHOW}.items()}


def memories(p: DendriticParams) -> list[LoadMemory]:
    """All memories of a macro that the load port reaches."""
    return [
        LoadMemory("settings", len(setting_bits()), CHUNK_BITS),
        LoadMemory("globals", len(GLOBALS), 2 * CHUNK_BITS),
        LoadMemory("neurons", p.neurons, len(UNIT_CHUNKS) * CHUNK_BITS),
        LoadMemory("inhibition", p.neurons, p.neurons * INHIBITION_BITS, INHIBITION_BITS),
        LoadMemory("weights", p.inputs, p.neurons * WEIGHT_BITS, WEIGHT_BITS),
        LoadMemory("synapses", p.inputs, 2 * PSP_BITS, PSP_BITS),
        LoadMemory("stimuli", p.stimuli * p.inputs, RATE_BITS, RATE_BITS),
        LoadMemory("table", TABLE_WORDS, RATE_BITS, RATE_BITS),
    ]
