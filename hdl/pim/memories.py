"""The memories of the PIM macro (pysim/pim/memories.py), and the port that loads them."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data

from spikeloop.hdl.lib.layout import access_layout
from spikeloop.hdl.lib.ram import RAM
from spikeloop.pysim.pim.layer import PimParams
from spikeloop.pysim.pim.memories import memories

__all__ = ["add_memories", "load_layout"]

READ_DOMAINS = {"tables": "tables", "seeds": "seed"}  # others: "cells"


def load_layout(p: PimParams) -> data.StructLayout:
    """A chunk for one of the memories of pysim.pim.memories.memories; they are only written."""
    return access_layout(memories(p), reads=False)


def add_memories(m: Module, p: PimParams, load: data.View, address: Signal) -> dict[str, RAM]:
    """Adds the memories to ``m``, written as ``load`` says and read at ``address``; by name."""
    rams = {}
    for number, memory in enumerate(memories(p)):
        ram = rams[memory.name] = RAM(
            f"pim_{memory.name}",
            width=memory.width,
            rows=memory.rows,
            write_domain="port",
            read_domain=READ_DOMAINS.get(memory.name, "cells"),
        )
        m.submodules[f"pim_{memory.name}_memory"] = ram
        m.d.comb += [
            ram.c_en.eq(load.en & (load.memory == number)),
            ram.c_row.eq(load.row),
            ram.c_index.eq(load.index),
            ram.c_data.eq(load.data),
            ram.r_en.eq(1),
            ram.r_row.eq(address),
        ]
    return rams
