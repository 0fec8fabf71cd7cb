"""The memories of a core: a RAM each, read and written by the core's stages or by the load port.

The load port reads and writes only while the core is idle, or in the bank at rest. So a memory has
one address multiplexer and no arbiter. The axon ring keeps its memory to itself
(hdl/events/ring.py); the load port reaches it through the ring's ``bus_*`` ports.

These are functions on the core's module and no component: a component would be a module of its own
in the Verilog, between the stages and their memories.
"""

from amaranth.hdl import Cat, Module, Mux, ResetSignal, Signal, Value

from spikeloop.hdl.bus.loadport import LoadPort
from spikeloop.hdl.events.ring import AxonRing
from spikeloop.hdl.lib.ram import RAM
from spikeloop.pysim.chip.memory_map import PIM, Memory
from spikeloop.pysim.chip.params import BUS_BITS, SCAN_BITS, Chip

__all__ = ["Memories"]

RESULTS = ("v", "y", "a", "refractory", "spikes")  # written by the neuron step
WRITE_DOMAINS = {**dict.fromkeys(RESULTS, "out"), "currents": "pim"}  # others: "control"


class Memories:
    """The RAMs of a core.

    Parameters
    ----------
    chip: parameters of the core.
    table: the memories of the core's map, by name.
    read_domains: by name, the clock domain in which a memory is read; by default "control".

    Attributes
    ----------
    rams: RAM of each memory, by name, without the ring's and those of a macro.
    select: by name, the load port asks for this memory.
    accessed: by name, the load port reads this memory in this cycle.
    """

    def __init__(self, chip: Chip, table: dict[str, Memory], read_domains: dict[str, str]):
        self.table = table
        self.banked = {
            name: memory.row_bits
            for name, memory in table.items()
            if memory.loaded and chip.banks > 1
        }
        self.rams = {}
        for name, memory in table.items():
            if name in ("ring", "spikes") or name.startswith(PIM) or memory.ported:
                continue
            # rows of bank 0, with those that only an address could name
            below = 1 << self.banked[name] if name in self.banked else 0
            self.rams[name] = RAM(
                name,
                width=memory.width,
                rows=below + memory.rows,
                read_domain=read_domains.get(name, "control"),
                write_domain=WRITE_DOMAINS.get(name, "control"),
            )
        self.rams["spikes"] = RAM(
            "spikes",
            width=chip.lanes,
            rows=chip.derived.words,
            chunk=SCAN_BITS,
            read_domain="events",
            write_domain="out",
        )

    def ask(self, m: Module, port: LoadPort) -> None:
        """Decodes which memory the load port asks for."""
        self.select = dict(zip(self.table, port.select, strict=True))
        self.accessed = {name: Signal(name=f"{name}_access") for name in self.table}
        m.d.comb += [
            accessed.eq(self.select[name] & port.read) for name, accessed in self.accessed.items()
        ]

    def connect(
        self,
        m: Module,
        registers: Module,
        port: LoadPort,
        ring: AxonRing,
        reads: dict[str, tuple[Value, Value]],
        *,
        bus_busy: Value,
        active: Value | None,
        front: Value | None,
        spike_chunk: Value,
        written: tuple[Value, Value],
        no_row: Value,
    ) -> None:
        """Connects all RAMs to the core and to the load port.

        Parameters
        ----------
        registers: module whose registers tick with the sleeping domains.
        ring: the axon ring, which has its memory inside.
        reads: by name, the row that the core reads, and when.
        bus_busy: the load port has the address in this cycle.
        active: number of the bank that the core reads; None on chips of one bank.
        front: what a macro in front of the core answers; None without one.
        spike_chunk: the chunk of the spike memory that is asked for.
        written: the row that takes the results of the neuron step, and when.
        no_row: the synapse memory reads 0 in this cycle, as it does in a reset of domain "row".
        """
        answers: dict[str, Value] = {"ring": ring.bus_chunk}
        if front is not None:
            answers |= {name: front for name, memory in self.table.items() if memory.ported}
        m.d.comb += [
            ring.bus_read.eq(self.accessed["ring"]),
            ring.bus_row.eq(port.row),
            ring.bus_index.eq(port.chunk),
            ring.bus_write.eq(self.select["ring"] & port.write),
            ring.bus_data.eq(port.data),
        ]
        for name, ram in self.rams.items():
            row, when = reads[name]
            if name in self.banked:
                m.d.comb += (within := Signal(self.banked[name], name=f"{name}_row")).eq(row)
                row = Cat(within, active)
            m.d.comb += [
                ram.r_row.eq(Mux(bus_busy, port.row, row)),
                ram.r_en.eq(when | self.accessed[name]),
            ]
            answers[name] = ram.r_chunk
            if name == "spikes":
                odd = Signal()  # the load port reads halves of the scanner's chunks
                registers.d.control += odd.eq(port.chunk[0])
                m.d.comb += ram.r_index.eq(spike_chunk)
                answers[name] = Mux(odd, ram.r_chunk[BUS_BITS:], ram.r_chunk[:BUS_BITS])
            elif name == "currents":  # written by the PIM layer, and through it
                m.d.comb += ram.r_index.eq(port.chunk)
            else:
                m.d.comb += [
                    ram.r_index.eq(port.chunk),
                    ram.c_en.eq(self.select[name] & port.write),
                    ram.c_row.eq(port.row),
                    ram.c_index.eq(port.chunk),
                    ram.c_data.eq(port.data),
                ]
            if name in RESULTS:
                m.d.comb += [ram.w_row.eq(written[0]), ram.w_en.eq(written[1])]
        synapse = self.rams["synapse"]
        m.d.comb += synapse.r_zero.eq(no_row | ResetSignal("row"))
        with m.If(ResetSignal("row")):
            m.d.comb += synapse.r_en.eq(1)
        chosen = Signal.like(port.select)  # the memory that was asked in the cycle before
        with registers.If(port.read):
            registers.d.control += chosen.eq(port.select)
        for index, (name, memory) in enumerate(self.table.items()):
            if memory.readable:
                with m.If(chosen[index]):
                    m.d.comb += port.answer.eq(answers[name])
