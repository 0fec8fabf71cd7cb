"""The SystemRDL 2.0 description of a wrapped chip, from its memory map."""

import json

from spikeloop.pysim.chip.memory_map import Memory, Register
from spikeloop.pysim.chip.wrap import WrapMap

__all__ = ["systemrdl"]

RDL = """\
// Core {name}. Written by spikeloop verilog from the memory map of the chip: do not edit.
addrmap {name} {{
    name = "{name}";
    desc = "A spiking core of spikeloop, fingerprint 0x{fingerprint:08x}.";
    default regwidth = 32;
    default accesswidth = 32;
{body}
}};
"""


def systemrdl(map_: WrapMap, name: str) -> str:
    """The description ``name``.rdl. Each core of a mesh is an element of the array ``core``."""
    chip_map, cores = map_.chip_map, map_.chip.derived.cores
    body = [_register(map_, r) for r in chip_map.registers.values()]
    for memory in chip_map.memories.values():
        body += [_memory(map_, memory, n) for n in range(map_.chip.banks if memory.loaded else 1)]
    if cores > 1:
        stride = map_.byte_address(chip_map.core_base(1))
        body = ["    addrmap {", *body, f"    }} core[{cores}] @ 0x0 += 0x{stride:x};"]
    body += [_register(map_, r) for r in map_.registers.values()]
    return RDL.format(name=name, fingerprint=map_.chip.fingerprint(), body="\n".join(body))


def _register(map_: WrapMap, r: Register) -> str:
    side = "sw = rw; hw = rw;" if r.name == "event" else f"sw = {r.access}; hw = rw;"
    return (
        f"    reg {{ desc = {json.dumps(r.meaning)}; "
        f"field {{ {side} }} value[31:0] = 0x{r.reset:x}; }} "
        f"{r.name} @ 0x{map_.byte_address(r.address):x};"
    )


def _memory(map_: WrapMap, m: Memory, bank: int) -> str:
    """A memory as the bus sees it: words of 32 bits, a power of two for each row."""
    address = map_.byte_address(map_.chip_map.bank_base(bank) + m.base)
    access = "rw" if m.writable and m.readable else "r" if m.readable else "w"
    words = 1 << m.chunk_bits
    meaning = f"{m.meaning}; {m.rows} rows of {m.width} bits, {words} words each"
    return (
        f"    external mem {{ desc = {json.dumps(meaning)}; "
        f"mementries = {m.rows * words}; memwidth = 32; sw = {access}; }} "
        f"{m.name}{'_bank1' * bank} @ 0x{address:x};"
    )
