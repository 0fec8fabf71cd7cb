"""The memory map: one table from which the RTL decoder, the packer, the drivers and docs/memory_map.md come.

The load port is 32 bits wide and word-addressed. A memory of ``rows`` rows of ``width`` bits is read and written
in chunks of 32 bits: address = base + (row << chunk_bits) + chunk, chunk 0 the least significant. Memories
may be accessed while the core is idle; registers always. Memories are undefined after reset. A chip of two banks has every loaded memory
twice: the bank is the top address bit, and the bank at rest may be written at any time. Each core of a mesh has this map; the number of
the core lies in the address bits above it.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from spikeloop.pysim.chip.params import BUS_BITS, SCAN_BITS, Chip
from spikeloop.pysim.chip.records import (
    bound_record,
    fire_record,
    leak_record,
    neuron_record,
    place_record,
    route_record,
    width,
    word_record,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.memories import memories as macro_memories

__all__ = [
    "Memory",
    "MemoryMap",
    "Register",
    "CHIP_ID",
    "CHIP_VERSION",
    "COUNTERS",
    "PIM_COUNTERS",
    "CONTROL_TICK",
    "CONTROL_CLEAR",
    "CONTROL_ZERO",
    "CONTROL_PIM",
    "PIM",
]

CHIP_ID = 0x53504C50  # "SPLP"
CHIP_VERSION = 1
CONTROL_TICK, CONTROL_CLEAR, CONTROL_ZERO, CONTROL_PIM = 1, 2, 4, 8
PIM = "pim_"  # how the memories and registers of the PIM macro begin
MAX_ADDRESS_BITS = 31  # a request is one 64-bit word: address, data, write

COUNTERS = {
    "cycles": "cycles in which the core was busy with ticks, stalls included",
    "stalls": "cycles in which the output stream was blocked by its receiver",
    "spikes_in": "axon events scanned",
    "spikes_out": "spikes of all neurons",
    "sops": "synaptic operations: non-zero synapses of the scanned events",
    "slots": "synapse slots visited: events x columns (dense mode: axons x columns)",
    "saturations": "neuron-steps in which a clip acted",
    "dropped": "events lost (must stay 0)",
    "ticks": "ticks completed",
}
PIM_COUNTERS = {
    "pim_cycles": "cycles in which the PIM layer computed currents",
    "n_read": "evaluations of a bank",
    "n_blp": "products of a pixel's pulse and a weight",
    "n_adc": "conversions",
    "n_cycles": "cycles of the macro at work",
    "n_sat": "currents clipped to their width",
    "n_clip": "conversions in which the discharge clip or the code's range acted",
}


@dataclass(frozen=True)
class Register:
    """One 32-bit register. ``access`` is "r", "w" or "rw"; ``reset`` its value after reset, or a constant."""

    name: str
    address: int
    access: str
    reset: int
    meaning: str


@dataclass(frozen=True)
class Memory:
    """One memory: ``rows`` x ``width`` bits at ``base``; ``loaded`` = filled from the image, else the core's own state;
    ``writable``, ``readable`` = the load port may write it, read it."""

    name: str
    base: int
    rows: int
    width: int
    loaded: bool
    meaning: str
    writable: bool = True
    readable: bool = True

    @property
    def chunks(self) -> int:
        return -(-self.width // BUS_BITS)

    @property
    def chunk_bits(self) -> int:
        return (self.chunks - 1).bit_length()

    @property
    def row_bits(self) -> int:
        return (self.rows - 1).bit_length()

    @property
    def size_bits(self) -> int:
        """log2 of the addresses the memory takes."""
        return self.row_bits + self.chunk_bits

    def address(self, row: int, chunk: int = 0) -> int:
        return self.base + (row << self.chunk_bits) + chunk


class MemoryMap:
    """All registers and memories of a chip, with their addresses."""

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        d = chip.derived
        registers = [
            ("id", "r", CHIP_ID, "identification, ASCII SPLP"),
            ("version", "r", CHIP_VERSION, "version of this map"),
            ("fingerprint", "r", chip.fingerprint(), "CRC-32 of the chip parameters"),
            ("axons", "r", chip.axons, "axons"),
            ("columns", "r", chip.columns, "columns"),
            ("lanes", "r", chip.lanes, "lanes"),
            (
                "control",
                "w",
                0,
                f"{CONTROL_TICK} runs a tick, {CONTROL_CLEAR} clears state, {CONTROL_ZERO} zeroes counters"
                + f", {CONTROL_PIM} computes currents" * bool(chip.pim),
            ),
            ("status", "r", 0, "bit 0: busy"),
            ("steps", "rw", 0, "steps T of a sample"),
            ("dense", "rw", 0, "bit 0: visit silent axons too (the paper's timing)"),
            ("extension", "rw", 0, f"log2 of the axon extension f in use, 0..{d.extensions}"),
            (
                "bank",
                "rw",
                0,
                f"image bank, 0..{chip.banks - 1}, of ticks and clears from the next on",
            ),
            ("tick", "r", 0, "tick that runs next"),
        ]
        self.counters = COUNTERS | (PIM_COUNTERS if chip.pim else {})
        """names and meanings"""
        self.command_bits = (CONTROL_PIM if chip.pim else CONTROL_ZERO).bit_length()
        """bits of the control register"""
        for name, meaning in COUNTERS.items():
            registers += [
                (name, "r", 0, f"{meaning}: low half"),
                (f"{name}_high", "r", 0, f"{meaning}: high half"),
            ]
        if chip.pim:
            registers += _pim_registers()
        self.registers = {
            name: Register(name, i, access, reset, meaning)
            for i, (name, access, reset, meaning) in enumerate(registers)
        }

        ring_rows = d.slots << (d.axon_chunks - 1).bit_length()
        memories = [
            (
                "ring",
                ring_rows,
                SCAN_BITS,
                False,
                "axon ring: row = slot << chunk bits | 64 axons; bit = axon",
            ),
            ("words", d.words, width(word_record(chip)), True, "word records"),
            (
                "fanout",
                d.axon_lines,
                chip.columns.bit_length(),
                True,
                "non-zero synapses of each axon",
            ),
            (
                "routes",
                d.route_rows,
                width(route_record(chip)),
                True,
                "route records; row = word << lane bits | lane"
                f"{'; from row ' + str(d.words << d.lane_bits) + ' on those of chains' if d.cores > 1 else ''}",
            ),
            (
                "synapse",
                d.synapse_rows,
                chip.lanes * chip.digit_bits,
                True,
                "synapses; row = word * axons * f + axon; bit = digit bit * lanes + lane",
            ),
            (
                "leak",
                d.words * chip.pages,
                chip.lanes * width(leak_record(chip)),
                True,
                "leak records; row = word * pages + page",
            ),
            (
                "fire",
                d.words * chip.pages,
                chip.lanes * width(fire_record(chip)),
                True,
                "fire records; row = word * pages + page",
            ),
            ("neuron", d.words, chip.lanes * width(neuron_record(chip)), True, "neuron records"),
            *(
                [("bound", d.words, chip.lanes * width(bound_record(chip)), True, "bound records")]
                if chip.bounded
                else []
            ),
            ("v", d.words, chip.lanes * chip.membrane_bits, False, "membranes, bit planes"),
        ]
        if chip.refractory_bits:
            memories.append(
                (
                    "refractory",
                    d.words,
                    chip.lanes * chip.refractory_bits,
                    False,
                    "refractory counters, bit planes",
                )
            )
        memories.append(
            (
                "spikes",
                d.words,
                chip.lanes,
                False,
                "spikes of the last step of each word; bit = lane; read only",
            )
        )
        if chip.pim:
            memories += _pim_memories(chip)
        base, self.memories = len(self.registers), {}
        for name, rows, bits, loaded, meaning in memories:
            memory = Memory(
                name, 0, rows, bits, loaded, meaning, name != "spikes", not name.startswith(PIM)
            )
            size = 1 << memory.size_bits
            base = -(-base // size) * size
            self.memories[name] = replace(memory, base=base)
            base += size
        self.address_bits = (base - 1).bit_length()
        """bits of an address of one core; in a mesh the core's number lies above them"""
        self.bank_bit = self.address_bits
        """bit of an address that names the bank of a loaded memory, on a chip of two"""
        self.address_bits += chip.banks - 1
        if d.cores > 1 and self.address_bits + d.core_bits > MAX_ADDRESS_BITS:
            most = 1 << max(0, MAX_ADDRESS_BITS - self.address_bits)
            raise InputError(
                f"mesh of cores of {self.address_bits} address bits must have at most {most} cores ({MAX_ADDRESS_BITS} "
                f"address bits in all), not {d.cores}: choose a smaller mesh or core"
            )

    def core_base(self, core: int) -> int:
        """What to add to an address to mean that of core ``core`` of a mesh."""
        return core << self.address_bits

    def bank_base(self, bank: int) -> int:
        """What to add to the address of a loaded memory to mean that of bank ``bank``."""
        return bank << self.bank_bit

    @cached_property
    def loaded(self) -> list[Memory]:
        """The memories an image fills, in the order of the bundle."""
        return [m for m in self.memories.values() if m.loaded]


def _pim_registers() -> list[tuple[str, str, int, str]]:
    settings = {
        "kernel_rows": "kernel rows",
        "channels": "channels",
        "positions": "output positions",
        "shift": "range shift",
        "limit": "discharge clip",
        "sigma": "noise",
        "stream": "word XORed onto all seeds: the stream of the noise",
    }
    return [
        *((f"{PIM}{name}", "rw", 0, f"PIM layer: {meaning}") for name, meaning in settings.items()),
        *(
            (f"{name}{high}", "r", 0, f"{meaning}: {half} half")
            for name, meaning in PIM_COUNTERS.items()
            for high, half in (("", "low"), ("_high", "high"))
        ),
    ]


def _pim_memories(chip: Chip) -> list[tuple[str, int, int, bool, str]]:
    """Those of the macro under their names there, then what is around it."""
    front, d = chip.pim, chip.derived
    assert front
    address = front.pixel_address_bits
    return [
        *(
            (f"{PIM}{m.name}", m.rows, m.width, True, "PIM macro, see docs/pim.md; write only")
            for m in macro_memories(front.macro)
        ),
        (
            f"{PIM}taps",
            front.macro.rows,
            address,
            True,
            "where kernel rows lie in a window of the padded map; write only",
        ),
        (
            f"{PIM}windows",
            front.positions,
            address,
            True,
            "where the windows of positions begin; write only",
        ),
        (
            f"{PIM}places",
            front.currents,
            width(place_record(chip)),
            True,
            "place records; row = position * channels + channel; write only",
        ),
        (f"{PIM}pixels", front.pixels, front.macro.pixel_bits, True, "the padded map; write only"),
        (
            "currents",
            d.words,
            chip.lanes * BUS_BITS,
            True,
            "currents of a PIM layer, 32 bits signed per lane",
        ),
    ]
