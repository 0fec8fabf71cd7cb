"""The C header of a wrapped chip, from its memory map; offsets count bytes."""

from collections.abc import Iterable

from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.chip.records import Field
from spikeloop.pysim.chip.wrap import WrapMap

__all__ = ["common_registers", "header"]

HEADER = """\
/* Core {name}: offsets of its registers and memories in bytes, and the fields of its events.
   Written by spikeloop verilog from the memory map of the chip: do not edit. */
#ifndef {guard}_H
#define {guard}_H

#include "spikeloop.h"

/* bytes of its address range, a power of two: the base is a multiple of it */
#define {guard}_SIZE 0x{size:x}u
#define {guard}_CORES {cores}u
#define {guard}_CORE_STRIDE 0x{core_stride:x}u /* to the registers and memories of the next core */
#define {guard}_BANKS {banks}u
#define {guard}_BANK_STRIDE 0x{bank_stride:x}u /* to the loaded memories of the other bank */

/* registers */
{registers}

/* memories: row r, word w of it at offset + r * STRIDE + 4 * w */
{memories}

/* fields of an event */
{fields}

/* the device of the driver, at an address of the bus */
#define {guard}_DEVICE(base) \\
    {{(base), 0x{fingerprint:08x}u, {guard}_EVENT, {guard}_COLLECT, {guard}_IN_DELAY_SHIFT}}

#endif
"""


def header(map_: WrapMap, name: str) -> str:
    """The header ``name``.h."""
    guard, chip_map, chip = name.upper(), map_.chip_map, map_.chip
    registers = [*chip_map.registers.values(), *map_.registers.values()]
    memories = []
    for m in chip_map.memories.values():
        at = f"{guard}_{m.name.upper()}"
        memories += [
            f"#define {at} 0x{map_.byte_address(m.base):x}u /* {_comment(m.meaning)} */",
            f"#define {at}_ROWS {m.rows}u",
            f"#define {at}_BITS {m.width}u",
            f"#define {at}_STRIDE {map_.byte_address(1 << m.chunk_bits)}u",
        ]
    return HEADER.format(
        name=name,
        guard=guard,
        size=1 << map_.byte_bits,
        cores=chip.derived.cores,
        core_stride=map_.byte_address(chip_map.core_base(1)),
        banks=chip.banks,
        bank_stride=map_.byte_address(chip_map.bank_base(1)),
        registers="\n".join(
            f"#define {guard}_{r.name.upper()} 0x{map_.byte_address(r.address):x}u"
            f" /* {r.access}: {_comment(r.meaning)} */"
            for r in registers
        ),
        memories="\n".join(memories),
        fields="\n".join([*_fields(f"{guard}_IN", map_.event_in),
                          *_fields(f"{guard}_OUT", map_.event_out)]),
        fingerprint=chip.fingerprint(),
    )  # fmt: skip


def common_registers() -> str:
    """The registers that are the same on every chip, as the driver knows them."""
    map_ = WrapMap(PRESETS["tiny"], "axi")
    return "\n".join(
        f"#define SPIKELOOP_{r.name.upper()} 0x{map_.byte_address(r.address):x}u"
        for r in MemoryMap(PRESETS["tiny"]).registers.values()
    )


def _fields(prefix: str, record: Iterable[Field]) -> list[str]:
    at, lines = 0, []
    for field in record:
        what = f"{prefix}_{field.name.upper()}"
        lines += [
            f"#define {what}_SHIFT {at}u /* {_comment(field.meaning)} */",
            f"#define {what}_BITS {field.bits}u",
        ]
        at += field.bits
    return lines


def _comment(text: str) -> str:
    return text.replace("*/", "* /")
