"""Header and SystemRDL of a wrapped chip say what its memory map says."""

import re
import subprocess
from pathlib import Path

import pytest
from systemrdl import RDLCompiler
from systemrdl.node import MemNode, RegNode

from spikeloop.cosim.soc.header import common_registers, header
from spikeloop.cosim.soc.package import driver
from spikeloop.cosim.soc.rdl import systemrdl
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.chip.wrap import BUSES, WrapMap
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.onn.params import OnnParams
from tests.campaigns.regression.pim_chip import FRONT

ONN = PRESETS["tiny"].replace(
    onn=OnnParams(oscillators=9, lanes=4, coupling_bits=8, v_frac=20, x_frac=14)
)
CHIPS = {
    **PRESETS,
    "banks": PRESETS["tiny"].replace(banks=2),
    "mesh": PRESETS["tiny"].replace(mesh_width=2, mesh_height=2, banks=2),
    "onn": ONN,
    "pim": PRESETS["tiny"].replace(pim=FRONT),
}


@pytest.mark.parametrize(
    ("name", "bus"),
    [("zou2021", "axi"), ("mesh", "axi"), ("onn", "axi"), ("pim", "axi"), ("banks", "wishbone")],
)
def test_systemrdl_has_every_register_and_memory(name: str, bus: str, tmp_path: Path) -> None:
    map_, file = WrapMap(CHIPS[name], bus), tmp_path / "map.rdl"
    file.write_text(systemrdl(map_, "mine"))
    compiler = RDLCompiler()
    compiler.compile_file(str(file))
    cores = map_.chip.derived.cores
    found = {}
    for node in compiler.elaborate().top.descendants(unroll=True):
        path = (node.parent.current_idx[0] if node.parent.is_array else 0, node.inst_name)
        if isinstance(node, MemNode):
            access = (node.is_sw_readable, node.is_sw_writable)
        elif isinstance(node, RegNode):
            access = (node.has_sw_readable, node.has_sw_writable)
        else:
            continue
        found[path] = (node.absolute_address, node.size, *access)
    chip_map, expected = map_.chip_map, {}
    for core in range(cores):
        base = chip_map.core_base(core)
        for r in chip_map.registers.values():
            expected[core, r.name] = (4 * (base + r.address), 4, "r" in r.access, "w" in r.access)
        for m in chip_map.memories.values():
            for bank in range(map_.chip.banks if m.loaded else 1):
                at = 4 * (base + chip_map.bank_base(bank) + m.base)
                size = 4 * (m.rows << m.chunk_bits)
                name = m.name + "_bank1" * bank
                expected[core, name] = (at, size, m.readable, m.writable)
    for r in map_.registers.values():
        expected[0, r.name] = (4 * r.address, 4, "r" in r.access, "w" in r.access)
    assert found == expected and len(found) > 40


@pytest.mark.parametrize("name", CHIPS)
def test_the_header_has_them_too(name: str, tmp_path: Path) -> None:
    map_ = WrapMap(CHIPS[name], "axi")
    text = header(map_, "mine")
    values = dict(re.findall(r"#define MINE_(\w+) (0x[0-9a-f]+|\d+)u", text))
    chip_map = map_.chip_map
    for r in (*chip_map.registers.values(), *map_.registers.values()):
        assert int(values[r.name.upper()], 0) == 4 * r.address
    for m in chip_map.memories.values():
        at = m.name.upper()
        wanted = (4 * m.base, m.rows, m.width, 4 << m.chunk_bits)
        got = (values[at], values[f"{at}_ROWS"], values[f"{at}_BITS"], values[f"{at}_STRIDE"])
        assert tuple(int(v, 0) for v in got) == wanted
    # each name once: a register may not hide a memory
    assert len(re.findall(r"#define MINE_\w+ ", text)) == len(values)


@pytest.mark.parametrize("name", CHIPS)
def test_the_registers_of_the_driver_are_those_of_every_chip(name: str) -> None:
    registers = WrapMap(CHIPS[name], "axi").chip_map.registers
    for register, offset in re.findall(r"SPIKELOOP_(\w+) (0x[0-9a-f]+)u", common_registers()):
        assert 4 * registers[register.lower()].address == int(offset, 16)
    assert len(common_registers().splitlines()) == 31


def test_no_address_is_taken_twice() -> None:
    for chip in CHIPS.values():
        for bus in BUSES:
            map_ = WrapMap(chip, bus)
            chip_map, cores = map_.chip_map, chip.derived.cores
            top = chip_map.core_base(cores - 1) + chip_map.bank_base(chip.banks - 1)
            last = top + max(m.base + (1 << m.size_bits) for m in chip_map.memories.values())
            addresses = [r.address for r in map_.registers.values()]
            assert last <= addresses[0] < addresses[1] < 1 << map_.address_bits


def test_a_chip_too_large_for_32_bits_is_refused() -> None:
    chip = PRESETS["zou2021"].replace(mesh_width=32, mesh_height=32)
    with pytest.raises(InputError, match="at most 32 address bits of bytes"):
        WrapMap(chip, "axi")
    with pytest.raises(InputError, match="one of axi, wishbone, not 'apb'"):
        WrapMap(Chip(axons=8, columns=8, lanes=8), "apb")


def test_the_driver_is_strict_c99(tmp_path: Path) -> None:
    for name, text in {**driver(), "mine.h": header(WrapMap(ONN, "axi"), "mine")}.items():
        (tmp_path / name).write_text(text)
        assert "@" not in text
    use = '#include "mine.h"\nstruct spikeloop core = MINE_DEVICE(0x40000000);\n'
    (tmp_path / "use.c").write_text(use)
    strict = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-c"]
    done = subprocess.run(
        ["cc", *strict, "spikeloop.c", "use.c"], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
