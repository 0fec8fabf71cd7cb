"""The memory map: one table from which RTL decoder, packer, drivers and docs/memory_map.md come.

The load port is 32 bits wide and word-addressed. A memory of ``rows`` rows of ``width`` bits is
read and written in chunks of 32 bits: address = base + (row << chunk_bits) + chunk, chunk 0 the
least significant. Memories may be accessed while the core is idle, registers always. Memories are
undefined after reset.

A chip of two banks has every loaded memory twice. The top address bit names the bank, and the bank
at rest may be written at any time. Each core of a mesh has this map; the address bits above it name
the core.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from spikeloop.pysim.chip.params import BUS_BITS, SCAN_BITS, Chip
from spikeloop.pysim.chip.records import (
    adaptive_record,
    bound_record,
    fire_record,
    leak_record,
    neuron_record,
    place_record,
    route_record,
    synaptic_record,
    width,
    word_record,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.pim.front import PIM_SETTINGS
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
    "CONTROL_RUN",
    "CONTROL_SEND",
    "PIM",
]

CHIP_ID = 0x53504C50  # "SPLP"
CHIP_VERSION = 1
CONTROL_TICK, CONTROL_CLEAR, CONTROL_ZERO, CONTROL_PIM = 1, 2, 4, 8
CONTROL_RUN, CONTROL_SEND = 16, 32  # of a macro whose results are events
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
    """One 32-bit register.

    access: "r", "w" or "rw".
    reset: the value after reset, or a constant.
    """

    name: str
    address: int
    access: str
    reset: int
    meaning: str


@dataclass(frozen=True)
class Memory:
    """One memory of ``rows`` x ``width`` bits at the address ``base``.

    loaded: filled from the image; else the core's own state.
    writable, readable: what the load port may do.
    ported: the RTL keeps it in a form of its own; only the load port sees these rows.
    """

    name: str
    base: int
    rows: int
    width: int
    loaded: bool
    meaning: str
    writable: bool = True
    readable: bool = True
    ported: bool = False

    @property
    def chunks(self) -> int:
        """32-bit words of a row."""
        return -(-self.width // BUS_BITS)

    @property
    def chunk_bits(self) -> int:
        """Address bits that name a word of a row."""
        return (self.chunks - 1).bit_length()

    @property
    def row_bits(self) -> int:
        """Address bits that name a row."""
        return (self.rows - 1).bit_length()

    @property
    def size_bits(self) -> int:
        """log2 of the addresses the memory takes."""
        return self.row_bits + self.chunk_bits

    def address(self, row: int, chunk: int = 0) -> int:
        """Address of word ``chunk`` of ``row``."""
        return self.base + (row << self.chunk_bits) + chunk


class MemoryMap:
    """All registers and memories of a chip, with their addresses.

    counters: names and meanings of the counters.
    command_bits: bits of the control register.
    address_bits: bits of an address of one core; in a mesh the core's number lies above them.
    bank_bit: the bit of an address that names the bank of a loaded memory, on a chip of two.
    """

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        more = chip.front.counters if chip.front else PIM_COUNTERS if chip.pim else {}
        self.counters = COUNTERS | more
        last = CONTROL_SEND if chip.front else CONTROL_PIM if chip.pim else CONTROL_ZERO
        self.command_bits = last.bit_length()
        self.registers = {
            name: Register(name, i, access, reset, meaning)
            for i, (name, access, reset, meaning) in enumerate(_registers(chip))
        }
        self.memories: dict[str, Memory] = {}
        end = len(self.registers)
        for name, rows, bits, loaded, meaning, readable in _memories(chip):
            writable, meaning = name != "spikes", meaning + "; write only" * (not readable)
            ported = chip.front is not None and name.startswith(chip.front.prefix)
            memory = Memory(name, 0, rows, bits, loaded, meaning, writable, readable, ported)
            size = 1 << memory.size_bits
            base = -(-end // size) * size
            self.memories[name] = replace(memory, base=base)
            end = base + size
        self.bank_bit = (end - 1).bit_length()
        self.address_bits = self.bank_bit + chip.banks - 1
        self._check_mesh()

    def _check_mesh(self) -> None:
        d = self.chip.derived
        if d.cores > 1 and self.address_bits + d.core_bits > MAX_ADDRESS_BITS:
            most = 1 << max(0, MAX_ADDRESS_BITS - self.address_bits)
            raise InputError(
                f"mesh of cores of {self.address_bits} address bits must have at most {most} cores "
                f"({MAX_ADDRESS_BITS} address bits in all), not {d.cores}: "
                "choose a smaller mesh or core"
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


# -- registers -----------------------------------------------------------------------------------


class _Register(NamedTuple):
    """A register without its address, which follows from the order."""

    name: str
    access: str
    reset: int
    meaning: str


def _registers(chip: Chip) -> list[_Register]:
    """In the order of their addresses."""
    commands = (
        f"{CONTROL_TICK} runs a tick, {CONTROL_CLEAR} clears state, {CONTROL_ZERO} zeroes counters"
    )
    if chip.pim:
        commands += f", {CONTROL_PIM} computes currents"
    if chip.front:
        commands += f", {CONTROL_RUN} runs the macro, {CONTROL_SEND} sends its events"
    registers = [
        _Register("id", "r", CHIP_ID, "identification, ASCII SPLP"),
        _Register("version", "r", CHIP_VERSION, "version of this map"),
        _Register("fingerprint", "r", chip.fingerprint(), "CRC-32 of the chip parameters"),
        _Register("axons", "r", chip.axons, "axons"),
        _Register("columns", "r", chip.columns, "columns"),
        _Register("lanes", "r", chip.lanes, "lanes"),
        _Register("control", "w", 0, commands),
        _Register("status", "r", 0, "bit 0: busy; bit 1: a tick was missed since the last zero"),
        _Register("steps", "rw", 0, "steps T of a sample"),
        _Register("dense", "rw", 0, "bit 0: visit silent axons too (the paper's timing)"),
        _Register(
            "extension",
            "rw",
            0,
            f"log2 of the axon extension f in use, 0..{chip.derived.extensions}; more is not taken",
        ),
        _Register(
            "bank",
            "rw",
            0,
            f"image bank, 0..{chip.banks - 1}, of ticks and clears from the next on",
        ),
        _Register("tick", "r", 0, "tick that runs next; from 2^24 - 1 on it stands"),
    ]
    registers += _halves(COUNTERS)
    if chip.pim:
        settings = PIM_SETTINGS.items()
        registers += [_Register(f"{PIM}{n}", "rw", 0, f"PIM layer: {what}") for n, what in settings]
        registers += _halves(PIM_COUNTERS)
    if front := chip.front:
        registers += [_Register(*row) for row in front.registers()] + _halves(front.counters)
    return registers


def _halves(counters: dict[str, str]) -> list[_Register]:
    """Two registers for each counter of 64 bits."""
    return [
        _Register(f"{name}{suffix}", "r", 0, f"{meaning}: {half} half")
        for name, meaning in counters.items()
        for suffix, half in (("", "low"), ("_high", "high"))
    ]


# -- memories ------------------------------------------------------------------------------------


class _Memory(NamedTuple):
    """A memory without its address, which follows from the order."""

    name: str
    rows: int
    width: int
    loaded: bool
    meaning: str
    readable: bool = True


def _memories(chip: Chip) -> list[_Memory]:
    """In the order of their addresses."""
    memories = _event_memories(chip) + _neuron_memories(chip)
    if chip.front:
        memories += [_Memory(*row) for row in chip.front.rows()]
    return memories + _pim_memories(chip) if chip.pim else memories


def _event_memories(chip: Chip) -> list[_Memory]:
    """The ring, the word records, and what an axon needs: fan-out, routes, synapses."""
    d = chip.derived
    ring_rows = d.slots << (d.axon_chunks - 1).bit_length()
    routes = "route records; row = word << lane bits | lane"
    if d.cores > 1:
        routes += f"; from row {d.words << d.lane_bits} on those of chains"
    return [
        _Memory(
            "ring",
            ring_rows,
            SCAN_BITS,
            False,
            "axon ring: row = slot << chunk bits | 64 axons; bit = axon",
        ),
        _Memory("words", d.words, width(word_record(chip)), True, "word records"),
        _Memory(
            "fanout",
            d.axon_lines,
            chip.columns.bit_length(),
            True,
            "non-zero synapses of each axon",
        ),
        _Memory("routes", d.route_rows, width(route_record(chip)), True, routes),
        _Memory(
            "synapse",
            d.synapse_rows,
            chip.lanes * chip.digit_bits,
            True,
            "synapses; row = word * axons * f + axon; bit = digit bit * lanes + lane",
        ),
    ]


def _neuron_memories(chip: Chip) -> list[_Memory]:
    """Parameters and state of the neurons: bit planes of all lanes of a word."""
    words, lanes = chip.derived.words, chip.lanes
    leak, fire = lanes * width(leak_record(chip)), lanes * width(fire_record(chip))
    paged = words * chip.pages
    memories = [
        _Memory("leak", paged, leak, True, "leak records; row = word * pages + page"),
        _Memory("fire", paged, fire, True, "fire records; row = word * pages + page"),
        _Memory("neuron", words, lanes * width(neuron_record(chip)), True, "neuron records"),
    ]
    if chip.bounded:
        bound = lanes * width(bound_record(chip))
        memories.append(_Memory("bound", words, bound, True, "bound records"))
    if chip.current_bits:
        bits = lanes * width(synaptic_record(chip))
        row = "synaptic records; row = word * pages + page"
        memories.append(_Memory("synaptic", paged, bits, True, row))
    if chip.adaptation_bits:
        bits = lanes * width(adaptive_record(chip))
        row = "adaptive records; row = word * pages + page"
        memories.append(_Memory("adaptive", paged, bits, True, row))
    states = {
        "v": (chip.membrane_bits, "membranes, bit planes"),
        "y": (chip.current_bits, "synaptic currents, bit planes"),
        "a": (chip.adaptation_bits, "adaptations, bit planes"),
    }
    memories += [
        _Memory(name, words, lanes * bits, False, meaning)
        for name, (bits, meaning) in states.items()
        if bits
    ]
    if chip.refractory_bits:
        bits = lanes * chip.refractory_bits
        memories.append(
            _Memory("refractory", words, bits, False, "refractory counters, bit planes")
        )
    meaning = "spikes of the last step of each word; bit = lane; read only"
    return [*memories, _Memory("spikes", words, lanes, False, meaning)]


def _pim_memories(chip: Chip) -> list[_Memory]:
    """Those of the macro under their names there, then what is around it."""
    front, d = chip.pim, chip.derived
    assert front
    address = front.pixel_address_bits
    macro = [
        *(
            _Memory(f"{PIM}{m.name}", m.rows, m.width, True, "PIM macro, see docs/pim.md")
            for m in macro_memories(front.macro)
        ),
        _Memory(
            f"{PIM}taps",
            front.macro.rows,
            address,
            True,
            "where kernel rows lie in a window of the padded map",
        ),
        _Memory(
            f"{PIM}windows", front.positions, address, True, "where the windows of positions begin"
        ),
        _Memory(
            f"{PIM}places",
            front.currents,
            width(place_record(chip)),
            True,
            "place records; row = position * channels + channel",
        ),
        _Memory(f"{PIM}pixels", front.pixels, front.macro.pixel_bits, True, "the padded map"),
    ]
    currents = _Memory(
        "currents",
        d.words,
        chip.lanes * BUS_BITS,
        True,
        "currents of a PIM layer, 32 bits signed per lane",
    )
    return [*(memory._replace(readable=False) for memory in macro), currents]
