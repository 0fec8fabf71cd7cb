"""pysim/chip/memory_map.py: nothing overlaps, all is aligned, every counter has two halves."""

import pytest
from hypothesis import given, settings

from spikeloop.pysim.chip.memory_map import CHIP_ID, COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import PRESETS, SCAN_BITS, Chip
from tests.pysim.chip.test_params import chips


@given(chips)
@settings(max_examples=50)
def test_regions(chip: Chip) -> None:
    table = MemoryMap(chip)
    assert [r.address for r in table.registers.values()] == list(range(len(table.registers)))
    end = len(table.registers)
    for memory in sorted(table.memories.values(), key=lambda m: m.base):
        assert memory.base >= end, f"{memory.name} overlaps"
        assert memory.base % (1 << memory.size_bits) == 0, f"{memory.name} is not aligned"
        last = memory.address(memory.rows - 1, memory.chunks - 1)
        end = memory.base + (1 << memory.size_bits)
        assert memory.base <= last < end
        assert 32 * memory.chunks >= memory.width > 32 * (memory.chunks - 1)
    assert end <= 1 << table.address_bits


@given(chips)
@settings(max_examples=50)
def test_memories_hold_the_core(chip: Chip) -> None:
    m, d = MemoryMap(chip).memories, chip.derived
    assert m["synapse"].rows * m["synapse"].width >= chip.axons * chip.columns
    assert m["ring"].width == SCAN_BITS and m["ring"].rows * SCAN_BITS >= d.slots * chip.axons
    assert m["routes"].rows >= d.words * chip.lanes
    assert chip.columns < 1 << m["fanout"].width and m["fanout"].rows == chip.axons
    assert m["v"].rows * m["v"].width == d.words * chip.lanes * chip.membrane_bits
    assert ("refractory" in m) == bool(chip.refractory_bits)
    assert [memory.name for memory in MemoryMap(chip).loaded] == [
        "words",
        "fanout",
        "routes",
        "synapse",
        "leak",
        "fire",
        "neuron",
        *(["bound"] if chip.bounded else []),
        *(["synaptic"] if chip.current_bits else []),
        *(["adaptive"] if chip.adaptation_bits else []),
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_a_second_bank_is_one_address_bit_on_top(name: str) -> None:
    one, two = MemoryMap(PRESETS[name]), MemoryMap(PRESETS[name].replace(banks=2))
    assert one.memories == two.memories and one.registers.keys() == two.registers.keys()
    assert (two.bank_bit, two.address_bits) == (one.address_bits, one.address_bits + 1)
    assert [two.bank_base(bank) for bank in (0, 1)] == [0, 1 << one.address_bits]


@pytest.mark.parametrize("name", PRESETS)
def test_registers(name: str) -> None:
    chip, registers = PRESETS[name], MemoryMap(PRESETS[name]).registers
    assert registers["id"].reset == CHIP_ID and registers["fingerprint"].reset == chip.fingerprint()
    assert (registers["axons"].reset, registers["columns"].reset, registers["lanes"].reset) == (
        chip.axons,
        chip.columns,
        chip.lanes,
    )
    for counter in COUNTERS:
        assert registers[f"{counter}_high"].address == registers[counter].address + 1
