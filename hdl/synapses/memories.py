"""The memories of the plastic core (pysim/plastic/memories.py), its registers and its load port."""

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data

from spikeloop.hdl.lib.layout import access_layout
from spikeloop.hdl.lib.ram import RAM
from spikeloop.pysim.lessons.settings import SETTINGS, setting_bits
from spikeloop.pysim.plastic.memories import TRACE, memories, state_fields
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = [
    "add_memories",
    "entry_layout",
    "load_layout",
    "settings_layout",
    "state_layout",
    "trace_layout",
]


def settings_layout(p: PlasticParams) -> data.StructLayout:
    """All settings, by name."""
    shapes = {}
    for setting in SETTINGS:
        bits = setting_bits(setting, p.weight_bits, p.membrane_bits)
        shapes[setting.name] = signed(bits) if setting.signed else bits
    return data.StructLayout(shapes)


def state_layout(p: PlasticParams) -> data.StructLayout:
    """A neuron's row of state."""
    shapes = {name: signed(n) if name == "v" else n for name, n in state_fields(p)}
    return data.StructLayout(shapes)


def trace_layout() -> data.StructLayout:
    """An axon's row of the pre traces."""
    return data.StructLayout(dict(TRACE))


def entry_layout(p: PlasticParams) -> data.StructLayout:
    """A neuron in a list: its number, its lane, row 0 of its word, its post trace."""
    return data.StructLayout(
        {"neuron": p.neuron_bits, "lane": p.lane_bits, "base": p.row_bits, "y": 16}
    )


def load_layout(p: PlasticParams) -> data.StructLayout:
    """An access of the host to the memories of pysim.plastic.memories.memories.

    The core is idle. What was read is at port ``read`` two cycles later.
    """
    return access_layout(memories(p), reads=True)


def add_memories(
    m: Module, p: PlasticParams, load: data.View, read: Signal
) -> tuple[data.View, dict[str, RAM]]:
    """Adds registers and memories to ``m``, written and read as ``load`` says.

    Returns the settings, and the memories by name. While ``load.en`` is low, the caller drives
    their read ports and may write.
    """
    settings = Signal(settings_layout(p))
    asked = Signal(range(max(2, len(memories(p)))))
    m.d.sync += asked.eq(load.memory)
    with m.If(load.en & load.write & (load.memory == 0)):
        with m.Switch(load.row):
            for number, setting in enumerate(SETTINGS):
                with m.Case(number):
                    m.d.sync += settings[setting.name].eq(load.data)
    rams = {}
    for number, memory in enumerate(memories(p)):
        if not number:
            continue
        name = memory.name
        ram = rams[name] = RAM(
            f"plastic_{name}", width=memory.width, rows=memory.rows, chunk=memory.chunk
        )
        m.submodules[f"{name}_memory"] = ram
        index = Signal(ram.chunk_bits, name=f"{name}_index")
        m.d.sync += index.eq(load.index)
        m.d.comb += ram.r_index.eq(index)
        with m.If(load.en & (load.memory == number)):
            m.d.comb += [
                ram.c_en.eq(load.write),
                ram.c_row.eq(load.row),
                ram.c_index.eq(load.index),
                ram.c_data.eq(load.data),
                ram.r_en.eq(~load.write),
                ram.r_row.eq(load.row),
            ]
        with m.If(asked == number):
            m.d.sync += read.eq(ram.r_chunk)
    return settings, rams
