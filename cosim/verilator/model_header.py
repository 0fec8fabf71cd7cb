"""What lies between Verilator's output and the harness: rewrites of its text, and ``model.h``.

The harness ``chip.cpp`` serves every chip. ``model.h`` tells it where the memories and counters of
one chip's model are, and how wide its records are.
"""

import re

from spikeloop.hdl.names import CHIP_TOP, CORE_MODULE
from spikeloop.pysim.chip.fabric import Mesh
from spikeloop.pysim.chip.memory_map import (
    CONTROL_CLEAR,
    CONTROL_PIM,
    CONTROL_RUN,
    CONTROL_SEND,
    PIM,
    MemoryMap,
)
from spikeloop.pysim.chip.params import BUS_BITS, Chip

__all__ = ["model_header", "named_only", "whole_words"]


def named_only(verilog: str) -> str:
    """The Verilog, its nets without a name of their own (``\\$12``, ``\\wire$34``) not in waves."""
    return re.sub(
        r"^  ((?:wire|reg) (?:\[\d+:0\] )?\\(?:wire|port|)\$.*;)$",
        r"  /*verilator tracing_off*/ \1 /*verilator tracing_on*/",
        verilog,
        flags=re.M,
    )


def whole_words(header: str) -> str:
    """A header of the model with its members of up to 7 bits as 32-bit ones.

    Compilers read bytes four at a time, and such a read waits for a byte that was just written.
    """
    return re.sub(r"CData(/\*[0-6]:0\*/ \w+;)", r"IData\1", header)


def model_header(chip: Chip, root_header: str, core_header: str | None = None) -> str:
    """The text of ``model.h``. root_header, core_header: Verilator's headers of the model.

    The memories and counters of a single core are members of the root. The cores of a mesh are
    objects of a class of their own, which ``core_header`` declares.
    """
    map_, d = MemoryMap(chip), chip.derived
    cores, prefix = ["root->"], f"{CHIP_TOP}__DOT__core__DOT__"
    if core_header is not None:
        mesh = Mesh(chip.mesh_width, chip.mesh_height)
        cores = [f"root->__PVT__{CHIP_TOP}__DOT__core_{x}_{y}__DOT__core->" for x, y in mesh]
        prefix = ""
    control = map_.registers["control"].address
    bits = map_.address_bits + d.core_bits
    lines = [
        "#pragma once",
        f"#define CORES {d.cores}",
        f"#define BANKS {chip.banks}",
        f"#define MEMORIES {_memories(map_, cores, core_header or root_header)}",
        f"#define READ_COUNTERS(root, out) do {{ {_counters(map_, cores, prefix)} }} while (0)",
        f"#define CLOCKS_LOW(root) do {{ {_clocks(root_header)} }} while (0)",
        f"#define GATES_BEHIND_GATES {int(bool(chip.pim or chip.front))}",
        f"#define RING_CHUNKS {1 << (d.axon_chunks - 1).bit_length()}",
        f"#define CONTROL_ADDRESS {control}",
        f"#define CONTROL_CLEAR_BIT {CONTROL_CLEAR}",
        f"#define AXON_BITS {d.axon_bits}",
        f"#define DELAY_BITS {d.delay_bits}",
        "#define REQUEST(address, data, write) "
        f"(uint64_t(address) | uint64_t(data) << {bits} | uint64_t(write) << {bits + BUS_BITS})",
        "#define OUTPUT_ADDRESS(payload) ((payload) & 0xFFFF)",
        "#define OUTPUT_DELAY(payload) ((payload) >> 16 & ((1 << DELAY_BITS) - 1))",
        "#define OUTPUT_CORE(payload) ((payload) >> 16 >> DELAY_BITS)",
    ]
    if core_header is not None:
        lines.append(f'#include "V{CHIP_TOP}_{CORE_MODULE}.h"')
    if "__VicoFirstIteration" in root_header:
        lines.append("#define INPUT_REGION")
    if chip.pim:
        stream = map_.registers[f"{PIM}stream"].address
        lines.append(f"#define PIM_STREAM_ADDRESS {stream}")
        lines.append(f"#define CONTROL_PIM_BIT {CONTROL_PIM}")
    if chip.front:
        for name in chip.front.settings:
            address = map_.registers[f"{chip.front.prefix}{name}"].address
            lines.append(f"#define FRONT_{name.upper()}_ADDRESS {address}")
        lines.append(f"#define CONTROL_RUN_BIT {CONTROL_RUN}")
        lines.append(f"#define CONTROL_SEND_BIT {CONTROL_SEND}")
    return "\n".join(lines) + "\n"


def _memories(map_: MemoryMap, cores: list[str], header: str) -> str:
    """``MEMORY("name", core, member)`` for every memory of every core."""
    pattern = r"\s((?:\w+__DOT__)?(\w+?)_memory__DOT__ram__DOT__mem);"
    members = {name: member for member, name in re.findall(pattern, header)}
    return " ".join(
        f'MEMORY("{name}", {number}, {core}{members[name]})'
        for number, core in enumerate(cores)
        for name, memory in map_.memories.items()
        if not memory.ported
    )


def _counters(map_: MemoryMap, cores: list[str], prefix: str) -> str:
    """Assignments of every core's counters to ``out``, core after core."""
    places = [(core, name) for core in cores for name in map_.counters]
    assignments = [
        f"out[{number}] = {core}{prefix}count_{name};" for number, (core, name) in enumerate(places)
    ]
    return " ".join(assignments)


def _clocks(root_header: str) -> str:
    """Assignments that make every clock low, as the model last looked at them."""
    names = re.findall(r"\s(__Vtrigprevexpr_\w+);", root_header)
    return " ".join(f"root->{name} = 0;" for name in names)
