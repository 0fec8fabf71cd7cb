"""Memories and settings of the macro of dendritic neurons (pysim/dendritic/memories.py)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data

from spikeloop.hdl.dendrites.layouts import settings_layout
from spikeloop.hdl.lib.ram import RAM
from spikeloop.pysim.dendritic.memories import memories, setting_bits
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["add_memories"]

DOMAINS = {"weights": "sweep", "synapses": "sweep", "stimuli": "sweep", "table": "tail"}
"""Memories that are no registers, and the domain of their ports."""


def add_memories(
    m: Module, p: DendriticParams, held: data.View
) -> tuple[data.View, dict[str, RAM]]:
    """Adds settings and memories to ``m``, written as ``held`` says.

    Returns the settings, in domain "port", and the memories by name. The caller drives their read
    ports, and writes whole words.
    """
    settings = Signal(settings_layout(), reset_less=True)
    with m.If(held.en & held.write & (held.memory == 0)):
        with m.Switch(held.row):
            for number, name in enumerate(setting_bits()):
                with m.Case(number):
                    m.d.port += settings[name].eq(held.data)
    rams = {}
    for number, memory in enumerate(memories(p)):
        if memory.name not in DOMAINS:
            continue
        ram = rams[memory.name] = RAM(
            f"dendritic.{memory.name}",  # no memory of a map: an image's rows have another form
            width=memory.width,
            rows=memory.rows,
            chunk=memory.chunk,
            read_domain=DOMAINS[memory.name],
            write_domain=DOMAINS[memory.name],
        )
        m.submodules[f"{memory.name}_memory"] = ram
        m.d.comb += [
            ram.c_en.eq(held.en & held.write & (held.memory == number)),
            ram.c_row.eq(held.row),
            ram.c_index.eq(held.index),
            ram.c_data.eq(held.data),
        ]
    return settings, rams
