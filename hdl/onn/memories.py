"""The memories of the macro of oscillators (pysim/onn/memories.py), registers and load port."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data

from spikeloop.hdl.lib.layout import access_layout
from spikeloop.hdl.lib.ram import RAM
from spikeloop.pysim.onn.memories import memories, setting_bits
from spikeloop.pysim.onn.params import OnnParams

__all__ = ["add_memories", "load_layout", "settings_layout"]

READ_DOMAINS = {"coupling": "column", "sums": "fetch", "delays": "fetch"}


def settings_layout(p: OnnParams) -> data.StructLayout:
    """All settings, by name."""
    return data.StructLayout(setting_bits(p))


def load_layout(p: OnnParams) -> data.StructLayout:
    """An access of the host to the memories of pysim.onn.memories.memories.

    The macro is idle. What was read is at port ``read`` three cycles later.
    """
    return access_layout(memories(p), reads=True, index_bits=2)


def add_memories(m: Module, p: OnnParams, held: data.View) -> tuple[data.View, dict[str, RAM]]:
    """Adds registers and memories to ``m``, written and read as ``held`` says, in domain "port".

    Returns the settings, and the memories by name. While ``held.en`` is low, the caller drives
    their read ports.
    """
    settings = Signal(settings_layout(p), reset_less=True)
    with m.If(held.en & held.write & (held.memory == 0)):
        with m.Switch(held.row):
            for number, (name, bits) in enumerate(setting_bits(p).items()):
                with m.Case(number):
                    if bits <= 32:
                        with m.If(held.index == 0):
                            m.d.port += settings[name].eq(held.data)
                    else:
                        with m.If(held.index == 0):
                            m.d.port += settings[name][:32].eq(held.data)
                        with m.Else():
                            m.d.port += settings[name][32:].eq(held.data)
    rams = {}
    for number, memory in enumerate(memories(p)):
        if memory.name not in READ_DOMAINS:
            continue
        ram = rams[memory.name] = RAM(
            f"onn.{memory.name}",  # no memory of a map: an image has these rows in another form
            width=memory.width,
            rows=memory.rows,
            chunk=memory.chunk,
            read_domain=READ_DOMAINS[memory.name],
            write_domain="port",
        )
        m.submodules[f"{memory.name}_memory"] = ram
        m.d.comb += [
            ram.c_en.eq(held.en & held.write & (held.memory == number)),
            ram.c_row.eq(held.row),
            ram.c_index.eq(held.index),
            ram.c_data.eq(held.data),
            ram.r_en.eq(1),
        ]
    return settings, rams
