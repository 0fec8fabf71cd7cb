"""The PIM macro in front of a core: pixels to the macro, its currents to the lanes of neurons.

    pixels --> row group --> macro (hdl/pim/macro.py) --> currents, one by one
           --> memory ``currents`` of the core

``start`` runs one image. For every position, pass and row group the driver collects the group's
pixels, one a cycle, while the macro evaluates the group before. The pixels lie in a memory that
holds the padded map, at address windows[position] + taps[kernel row]. At the same time the driver
writes the currents of the position before, one a cycle, where the table of places says. Cycles:
pysim.pim.front.front_cycles.

Written for one clock domain, which sleeps between images.
"""

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.layout import layout
from spikeloop.hdl.lib.ram import RAM
from spikeloop.hdl.pim.macro import SETTINGS as MACRO_SETTINGS
from spikeloop.hdl.pim.macro import PimMacro
from spikeloop.pysim.chip.memory_map import PIM, PIM_COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, Chip
from spikeloop.pysim.chip.records import place_record
from spikeloop.pysim.pim.memories import memories as macro_memories

__all__ = ["SETTINGS", "PimDriver"]

SETTINGS = ("kernel_rows", "channels", "positions", "shift", "limit", "sigma", "stream")


class PimDriver(wiring.Component):
    """The driver and, inside, the macro.

    Members
    -------
    start: In(1)      strobe, while not busy: compute the currents of the image in memory.
    zero: In(1)       counters become 0.
    busy: Out(1)      an image is under way.
    awake: Out(1)     the next edge does something; otherwise the domain may sleep.
    kernel_rows: In   setting of the macro (hdl/pim/macro.py).
    channels: In      setting of the macro.
    positions: In     positions of the layer.
    shift: In         setting of the macro.
    limit: In         setting of the macro.
    sigma: In         setting of the macro.
    stream: In        setting of the macro.
    select: In        the memory that the load port asks for: those of the map from the first PIM
                      memory on, ``currents`` the last, a bit each.
    write: In(1)      the load port writes.
    row: In           row that it writes.
    chunk: In         chunk of this row.
    data: In          what it writes.
    c_en: Out(1)      write to the memory of currents.
    c_row: Out        its row.
    c_index: Out      chunk of this row.
    c_data: Out       the current.
    count_*: Out(64)  counters, as memory_map.PIM_COUNTERS names them.
    """

    def __init__(self, chip: Chip):
        assert chip.pim
        self.chip, self.front = chip, chip.pim
        self.memories = [
            m
            for m in MemoryMap(chip).memories.values()
            if m.name.startswith(PIM) or m.name == "currents"
        ]
        macro = self.front.macro
        currents = self.memories[-1]
        self.bits = {
            "kernel_rows": 11,
            "channels": range(macro.groups * macro.capacity + 1),
            "positions": range(self.front.positions + 1),
            "shift": 5,
            "limit": macro.value_bits - 1,
            "sigma": 8,
            "stream": BUS_BITS,
        }
        super().__init__(
            {
                "start": In(1),
                "zero": In(1),
                "busy": Out(1),
                "awake": Out(1),
                **{name: In(self.bits[name]) for name in SETTINGS},
                "select": In(len(self.memories)),
                "write": In(1),
                "row": In(max(m.row_bits for m in self.memories)),
                "chunk": In(max(1, *(m.chunk_bits for m in self.memories))),
                "data": In(BUS_BITS),
                "c_en": Out(1),
                "c_row": Out(max(1, currents.row_bits)),
                "c_index": Out(max(1, currents.chunk_bits)),
                "c_data": Out(BUS_BITS),
                **{f"count_{name}": Out(64) for name in PIM_COUNTERS},
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.macro = macro = PimMacro(self.front.macro)
        for name in (*MACRO_SETTINGS, "zero"):
            m.d.comb += getattr(macro, name).eq(getattr(self, name))
        m.d.comb += macro.clear.eq(self.start)
        rams = self._load(m, macro)
        self._collect(m, macro, rams)
        last = self._scatter(m, macro, rams["places"])

        with m.If(self.start):
            m.d.sync += self.busy.eq(1)
        with m.Elif(last):
            m.d.sync += self.busy.eq(0)
        for name in PIM_COUNTERS:
            if name != "pim_cycles":
                m.d.comb += getattr(self, f"count_{name}").eq(getattr(macro, f"count_{name}"))
        with m.If(self.zero):
            m.d.sync += self.count_pim_cycles.eq(0)
        with m.Elif(self.busy):
            m.d.sync += self.count_pim_cycles.eq(self.count_pim_cycles + 1)
        return m

    def _load(self, m: Module, macro: PimMacro) -> dict[str, RAM]:
        """The load port's writes, one cycle late, to the macro and to the driver's own memories."""
        written = Signal()
        select, row, chunk, data = (
            Signal.like(signal) for signal in (self.select, self.row, self.chunk, self.data)
        )
        m.d.sync += written.eq(self.write & self.select.any())
        with m.If(self.write):
            m.d.sync += [
                select.eq(self.select),
                row.eq(self.row),
                chunk.eq(self.chunk),
                data.eq(self.data),
            ]
        # the macro writes one cycle after it was told, and its gates open for one more
        later = Signal()
        m.d.sync += later.eq(written)
        working = self.start | self.zero | self.busy | (self.write & self.select.any())
        m.d.comb += self.awake.eq(working | written | later | macro.busy)
        rams, own = {}, len(macro_memories(self.front.macro))
        m.d.comb += [
            macro.load.en.eq(written & select[:own].any()),
            macro.load.row.eq(row),
            macro.load.index.eq(chunk),
            macro.load.data.eq(data),
        ]
        for number in range(own):
            with m.If(select[number]):
                m.d.comb += macro.load.memory.eq(number)
        for number, memory in enumerate(self.memories[own:-1], own):
            name = memory.name.removeprefix(PIM)
            rams[name] = ram = RAM(memory.name, width=memory.width, rows=memory.rows)
            m.submodules[f"{memory.name}_memory"] = ram
            m.d.comb += [
                ram.c_en.eq(written & select[number]),
                ram.c_row.eq(row),
                ram.c_index.eq(chunk),
                ram.c_data.eq(data),
            ]
        self.loaded = written & select[-1], row, chunk, data  # of the memory of currents
        return rams

    def _collect(self, m: Module, macro: PimMacro, rams: dict[str, RAM]) -> None:
        """Row groups: addresses, pixels, the group, and the group that waits for the macro."""
        p = self.front.macro
        # reserved: a group is on its way to the macro, or waits for it
        fetching, reserved = Signal(), Signal()
        position, tap = Signal.like(self.positions), Signal.like(self.kernel_rows)
        place = Signal(range(max(2, p.active_rows)))
        words_left = Signal.like(self.channels)
        last_tap, last_row, issue, taken = Signal(), Signal(), Signal(), Signal()
        m.d.comb += [
            last_tap.eq(tap == self.kernel_rows - 1),
            last_row.eq(last_tap | (place == p.active_rows - 1)),
            taken.eq(macro.i.valid & macro.i.ready),
            issue.eq(fetching & (~last_row | ~reserved | taken)),
        ]
        with m.If(taken):
            m.d.sync += reserved.eq(0)
        with m.If(self.start):
            m.d.sync += [
                fetching.eq(1),
                position.eq(0),
                tap.eq(0),
                place.eq(0),
                words_left.eq(self.channels),
            ]
        with m.Elif(issue):
            m.d.sync += [tap.eq(tap + 1), place.eq(place + 1)]
            with m.If(last_row):
                m.d.sync += [place.eq(0), reserved.eq(1)]
            with m.If(last_tap):
                m.d.sync += [tap.eq(0), words_left.eq(words_left - p.capacity)]
                with m.If(words_left <= p.capacity):
                    m.d.sync += [
                        words_left.eq(self.channels),
                        position.eq(position + 1),
                        fetching.eq(position != self.positions - 1),
                    ]

        # addressed: taps and windows are there; fetched: the pixel is; whole: the group is
        addressed, fetched, whole = Signal(), Signal(), Signal()
        at = [Signal.like(place) for _ in range(2)]
        ends = [Signal() for _ in range(2)]
        m.d.sync += [
            addressed.eq(issue),
            fetched.eq(addressed),
            whole.eq(fetched & ends[1]),
            at[0].eq(place),
            at[1].eq(at[0]),
            ends[0].eq(last_row),
            ends[1].eq(ends[0]),
        ]
        taps, windows, pixels = rams["taps"], rams["windows"], rams["pixels"]
        m.d.comb += [
            taps.r_row.eq(tap),
            taps.r_en.eq(issue),
            windows.r_row.eq(position),
            windows.r_en.eq(issue),
            pixels.r_row.eq(taps.r_data + windows.r_data),
            pixels.r_en.eq(addressed),
        ]
        group = Signal(p.active_rows * p.pixel_bits)
        with m.If(fetched):
            with m.If(at[1] == 0):
                m.d.sync += group.eq(pixels.r_data)
            with m.Else():
                m.d.sync += group.word_select(at[1], p.pixel_bits).eq(pixels.r_data)
        valid, payload = Signal(), Signal.like(group)
        m.d.comb += [macro.i.valid.eq(valid), macro.i.payload.eq(payload)]
        with m.If(whole):
            m.d.sync += [valid.eq(1), payload.eq(group)]
        with m.Elif(taken):
            m.d.sync += valid.eq(0)

    def _scatter(self, m: Module, macro: PimMacro, places: RAM):
        """Currents to their lanes; returns the last write of the image."""
        p = self.front.macro
        number = Signal(range(self.front.currents + 1))
        word, written_word = Signal(range(max(2, p.capacity))), Signal(range(max(2, p.capacity)))
        words_left, positions_left = Signal.like(self.channels), Signal.like(self.positions)
        landed, last, ends = Signal(), Signal(), Signal()
        m.d.comb += [
            last.eq((word == p.capacity - 1) | (word == words_left - 1)),
            macro.o.ready.eq(last),
            places.r_row.eq(number),
            places.r_en.eq(macro.o.valid),
        ]
        m.d.sync += [landed.eq(macro.o.valid), written_word.eq(word), ends.eq(0)]
        with m.If(self.start):
            m.d.sync += [
                number.eq(0),
                word.eq(0),
                words_left.eq(self.channels),
                positions_left.eq(self.positions),
            ]
        with m.Elif(macro.o.valid):
            m.d.sync += [number.eq(number + 1), word.eq(word + 1)]
            with m.If(last):
                m.d.sync += [word.eq(0), words_left.eq(words_left - p.capacity)]
                with m.If(words_left <= p.capacity):
                    m.d.sync += [
                        words_left.eq(self.channels),
                        positions_left.eq(positions_left - 1),
                        ends.eq(positions_left == 1),
                    ]
        record = Signal(layout(place_record(self.chip)))
        current = macro.o.payload.word_select(written_word, p.current_bits).as_signed()
        extended = Cat(current, current[-1].replicate(BUS_BITS - p.current_bits))
        load_en, row, chunk, data = self.loaded
        m.d.comb += [
            record.eq(places.r_data),
            self.c_en.eq(Mux(landed, record.used, load_en)),
            self.c_row.eq(Mux(landed, record.word, row)),
            self.c_index.eq(Mux(landed, record.lane, chunk)),
            self.c_data.eq(Mux(landed, extended, data)),
        ]
        return ends
