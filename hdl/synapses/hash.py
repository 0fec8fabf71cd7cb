"""The keyed hash of docs/plasticity.md, six cycles from key to word, a word a cycle.

    key = base + axon * 0x85EBCA6B + neuron * 0xC2B2AE35     word = mix(mix(key))     modulo 2^32

``base`` holds what is the same for a whole tick: seed, tick and use. The twelve steps of the two
rounds are three a stage. Source of the steps: R. Jenkins, "4-byte integer hashing".
"""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["LATENCY", "TICK_STEP", "USE_STEP", "KeyedHash"]

AXON_STEP, NEURON_STEP = 0x85EBCA6B, 0xC2B2AE35
TICK_STEP, USE_STEP = 0x9E3779B9, 0x27D4EB2F
LATENCY = 6

STEPS = (
    lambda z: z + 0x7ED55D16 + (z << 12),
    lambda z: z ^ 0xC761C23C ^ (z >> 19),
    lambda z: z + 0x165667B1 + (z << 5),
    lambda z: (z + 0xD3A2646C) ^ (z << 9),
    lambda z: z + 0xFD7046C5 + (z << 3),
    lambda z: z ^ 0xB55A4F09 ^ (z >> 16),
)


class KeyedHash(wiring.Component):
    """The hash, in domain ``domain``.

    Members
    -------
    base: In(32)   seed + tick * TICK_STEP + use * USE_STEP; it stays during a sweep.
    axon: In       axon of the synapse.
    neuron: In     neuron of the synapse.
    word: Out(32)  its random word, LATENCY cycles later.
    """

    def __init__(self, axon_bits: int, neuron_bits: int, domain: str = "sync"):
        self.domain = domain
        super().__init__(
            {"base": In(32), "axon": In(axon_bits), "neuron": In(neuron_bits), "word": Out(32)}
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        d = m.d[self.domain]
        of_axon, of_neuron, key = Signal(32), Signal(32), Signal(32)
        d += [
            of_axon.eq(self.axon * AXON_STEP),
            of_neuron.eq(self.neuron * NEURON_STEP),
            key.eq(self.base + of_axon + of_neuron),
        ]
        value = key
        for number, step in enumerate((*STEPS, *STEPS)):
            result = Signal(32, name=f"step_{number}")
            place = d if number % 3 == 2 else m.d.comb
            place += result.eq(step(value))
            value = result
        m.d.comb += self.word.eq(value)
        return m
