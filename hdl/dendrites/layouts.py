"""What the parts of the macro of dendritic neurons tell each other, as Amaranth layouts."""

from amaranth.lib import data

from spikeloop.hdl.lib.layout import access_layout
from spikeloop.pysim.common.memory import CHUNK_BITS
from spikeloop.pysim.dendritic.memories import memories, setting_bits
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = [
    "SEEN_BITS",
    "SEEN_WEIGHT_BITS",
    "load_layout",
    "phase_layout",
    "settings_layout",
    "sum_bits",
    "write_layout",
]

SEEN_WEIGHT_BITS, SEEN_BITS = 18, 16
"""Bits of wm and em, what the products of a dendrite see."""
STROBES = (
    *("inhibit", "first", "gather", "move", "mean", "part", "vary", "root", "compare", "divide"),
    *("take_f", "take_q", "draw", "add", "gate", "rate", "trace", "meet", "pair", "end"),
)


def settings_layout() -> data.StructLayout:
    """All settings, by name."""
    return data.StructLayout(setting_bits())


def load_layout(p: DendriticParams) -> data.StructLayout:
    """An access of the host to the memories of pysim.dendritic.memories.memories.

    The macro is idle. What was read is at port ``read`` three cycles later.
    """
    return access_layout(memories(p), reads=True)


def write_layout(p: DendriticParams) -> data.StructLayout:
    """A chunk that the host writes into the row of one neuron.

    state: it is one of ``neurons``, number ``index``.
    pair:  it is one of ``inhibition``, likewise.
    """
    index = load_layout(p)["index"].width
    return data.StructLayout({"state": 1, "pair": 1, "index": index, "data": CHUNK_BITS})


def phase_layout(p: DendriticParams) -> data.StructLayout:
    """What is done in a cycle, a strobe each, and with which neuron.

    inhibit:     the response of neuron ``other`` pulls; ``first``: it is the first.
    gather:      what moves the somata is summed.
    move:        they move.
    mean, part, vary: the mean, the distance from it, the variance.
    root:        a bit of the standard deviation.
    compare:     the deviation that is looked up is tested for what the table holds.
    divide:      a bit of its place.
    take_f, take_q: the table has the response or the prediction of neuron ``taker``.
    draw, add:   noise is drawn, and added.
    gate, rate:  the two products of c.
    trace, meet: output spikes and traces, then what a pair gains by a spike.
    pair:        inhibition between all neurons and neuron ``other``.
    end:         the last cycle of the step.
    """
    number = (p.neurons - 1).bit_length()
    return data.StructLayout({**dict.fromkeys(STROBES, 1), "other": number, "taker": number})


def sum_bits(p: DendriticParams) -> int:
    """Bits of an exact sum of wm em, with its sign."""
    return SEEN_WEIGHT_BITS + SEEN_BITS + (p.inputs - 1).bit_length()
