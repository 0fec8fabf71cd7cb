"""A chip in an SoC: its memory map on a bus, and the two registers of the wrapper around it.

The bus counts bytes: byte address = 4 x the address of the memory map. So every register and memory
has one fixed place, an access needs no other access before it, and a driver needs one pointer. The
wrapper's own registers lie behind the last address of the chip.

An event travels as a word of 32 bits, in registers and on streams: the fields of its record, the
first lowest, and bit END above them. A word with bit END holds no event.
"""

from spikeloop.pysim.chip.memory_map import MemoryMap, Register
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import event_record, numbered, output_record, width
from spikeloop.pysim.common.errors import InputError

__all__ = ["BUSES", "END", "WAIT_CYCLES", "WrapMap"]

END = BUS_BITS - 1
BYTE_BITS = 2  # address bits of the bytes of a word
WAIT_CYCLES = 1 << 17  # longer than a tick of any preset: zou2021 scans 73,728 axons
BUSES = ("axi", "wishbone")


class WrapMap:
    """The map of a wrapped chip.

    bus: "axi" has streams of events beside its registers, "wishbone" registers alone.
    chip_map: the chip's own map.
    registers: the wrapper's own, by name; addresses are of words, as in ``chip_map``.
    load_bits: bits of a word's address at the chip's load port.
    address_bits: bits of a word's address.
    byte_bits: bits of the address on the bus.
    event_in, event_out: fields of an event into the chip and out of it.
    """

    def __init__(self, chip: Chip, bus: str) -> None:
        if bus not in BUSES:
            raise InputError(f"bus of a wrapper must be one of {', '.join(BUSES)}, not {bus!r}")
        self.chip, self.bus, self.streams = chip, bus, bus == "axi"
        self.chip_map = chip_map = MemoryMap(chip)
        cores = chip.derived.cores
        self.load_bits = chip_map.address_bits
        self.event_in, self.event_out = event_record(chip), output_record(chip)
        if cores > 1:
            self.load_bits += chip.derived.core_bits
            self.event_in = numbered(self.event_in, chip)
            self.event_out = numbered(self.event_out, chip)
        behind = max(m.base + (1 << m.size_bits) for m in chip_map.memories.values())
        first = chip_map.bank_base(chip.banks - 1) + behind + behind % 2
        if cores > 1:  # behind the whole range of the last core
            first = chip_map.core_base(cores)
        collect = "bit 0: events out go to register event, not to the stream"
        rows = (
            ("event", "rw", 1 << END, "write: an event in; read: the next event out, or bit 31"),
            ("collect", "rw", 0, collect)
            if self.streams
            else ("collect", "r", 1, "events out go to register event"),
        )
        self.registers = {
            row[0]: Register(row[0], first + i, *row[1:]) for i, row in enumerate(rows)
        }
        self.address_bits = (first + len(rows) - 1).bit_length()
        self.byte_bits = self.address_bits + BYTE_BITS
        widest = max(width(self.event_in), width(self.event_out))
        if self.byte_bits > BUS_BITS or widest > END:
            raise InputError(
                f"chip on a bus must have at most {BUS_BITS} address bits of bytes and events of "
                f"at most {END} bits, not {self.byte_bits} and {widest}: choose a smaller mesh"
            )

    def byte_address(self, address: int) -> int:
        """The address on the bus of a word of the map."""
        return address << BYTE_BITS
