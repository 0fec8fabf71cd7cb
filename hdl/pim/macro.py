"""The PIM macro: a first layer in memory, cycle for cycle with the phases of the real one.

    pixels of a row group --> READ, 2 cycles --> BLP, 2 --> ADC, ``share`` rounds of 3
                          --> ... all pulses, all row groups --> SUM, 1 --> currents

A row group's cells are one word per bank (hdl/pim/memories.py). All units are held at once
(hdl/pim/unit.py); all converters turn in lock-step (hdl/pim/adc.py). The latency depends on the
settings alone. Only the controller's clock always runs. The stages lie in the clock domains of
STAGES, and what a stage reads sleeps with the stages before it. docs/pim.md is the arithmetic.

Source of the phases and their times: Datta et al. 2022 (ACE-SNN), Table 4.
"""

from functools import partial
from itertools import pairwise

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    Instance,
    Module,
    Mux,
    ResetSignal,
    Signal,
    signed,
)
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.ram import RAM
from spikeloop.hdl.names import ADC_MODULE, CLOCK_GATE_MODULE
from spikeloop.hdl.pim.adc import table_fields
from spikeloop.hdl.pim.memories import add_memories, load_layout
from spikeloop.hdl.pim.unit import place_units
from spikeloop.pysim.pim.layer import COUNTERS, PimParams
from spikeloop.pysim.pim.memories import SEED_BITS

__all__ = ["SETTINGS", "PimMacro"]

SETTINGS = ("kernel_rows", "channels", "shift", "limit", "sigma", "stream")
STAGES = ("port", "seed", "cells", "blp", "tables", "sense", "code", "sum", "send")


class PimMacro(wiring.Component):
    """The macro. Settings stay as they are while it is busy.

    Members
    -------
    load: In            a chunk to write, while not busy.
    kernel_rows: In     setting: rows of the kernel, 1 and more.
    channels: In        setting: channels out, 1 and more.
    shift: In           setting: range shift of the converters.
    limit: In           setting: what clips the bit lines.
    sigma: In           setting: strength of the noise.
    stream: In          setting: the word XORed onto all seeds.
    clear: In(1)        strobe, while not busy: the next pixels begin an image; generators restart.
    zero: In(1)         counters become 0.
    i: In, stream       pixels of one row group, row after row, 0 in rows beyond the kernel's; one
                        item for each position, pass and row group.
    o: Out, stream      currents of all words of all banks, word after word, of words in use; one
                        item for each position and pass.
    busy: Out(1)        an evaluation or a restart is under way.
    count_*: Out(64)    counters.
    code_valid: Out(1)  in this cycle all converters have a code.
    codes: Out          these codes, of the units in use.
    """

    def __init__(self, p: PimParams):
        self.p = p
        super().__init__(
            {
                "load": In(load_layout(p)),
                "kernel_rows": In(11),
                "channels": In(range(p.groups * p.capacity + 1)),
                "shift": In(5),
                "limit": In(p.value_bits - 1),
                "sigma": In(8),
                "stream": In(SEED_BITS),
                "clear": In(1),
                "zero": In(1),
                "i": In(stream.Signature(p.active_rows * p.pixel_bits)),
                "o": Out(stream.Signature(p.capacity * p.current_bits)),
                "busy": Out(1),
                **{f"count_{name}": Out(64) for name in COUNTERS},
                "code_valid": Out(1),
                "codes": Out(p.banks * p.converters * p.adc_bits),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        self._enable = {stage: Signal(name=f"{stage}_enable") for stage in STAGES}
        for stage in STAGES:
            self._add_domain(m, stage)
        self._control(m)
        rams = self._memories(m)
        units = self._bit_lines(m, rams)
        sums = self._converters(m, rams, units)
        self._currents(m, rams["bias"].r_data, sums)
        self._count(m)
        return m

    def _add_domain(self, m: Module, stage: str) -> None:
        domain = ClockDomain(stage, local=True)
        m.domains += domain
        m.d.comb += domain.rst.eq(ResetSignal())
        enable = self._enable[stage] | ResetSignal()
        m.submodules[f"{stage}_gate"] = Instance(
            CLOCK_GATE_MODULE, i_clk=ClockSignal(), i_enable=enable, o_gated=domain.clk
        )

    def _control(self, m: Module) -> None:
        """Phases, and which pass, row group, pulse and round it is."""
        p, enable = self.p, self._enable
        self.reading, self.last_phase, self.summing = Signal(), Signal(), Signal()
        restart, self.restarting = Signal(), Signal()
        self.rows_left, self.words_left = Signal(11), Signal.like(self.channels)
        self.address, self.pass_ = Signal(range(max(2, p.groups))), Signal(range(max(2, p.groups)))
        self.pulse = Signal(range(max(2, p.pulses)))
        self.round, last_round = Signal(range(max(2, p.share))), Signal()  # domain "sum"
        self.first = first = Signal()  # evaluation of a pass
        beat, last_group, last_pass = Signal(), Signal(), Signal()
        m.d.comb += [
            beat.eq(self.pulse == 0),
            last_group.eq(self.rows_left <= p.active_rows),
            last_pass.eq(self.words_left <= p.capacity),
            last_round.eq(self.round == p.share - 1),
        ]
        with m.If(self.code_valid):  # the gates' clocks may rise once more as a reset ends
            m.d.sum += self.round.eq(Mux(last_round, 0, self.round + 1))
        wait = Signal()

        with m.FSM() as fsm:
            with m.State("WAIT"):
                m.d.comb += wait.eq(1)
                with m.If(self.clear):
                    m.next = "SEED"
                with m.Elif(self.i.valid):
                    m.next = "READ0"
            with m.State("SEED"):
                m.d.comb += restart.eq(1)
                m.next = "RESTART"
            with m.State("RESTART"):
                m.d.comb += self.restarting.eq(1)
                m.next = "WAIT"
            with m.State("READ0"):
                m.d.comb += [self.reading.eq(1), self.i.ready.eq(beat)]
                m.next = "READ1"
            for state, after in pairwise(("READ1", "BLP0", "BLP1", "SENSE", "CODE", "ADD")):
                with m.State(state):
                    m.next = after
            with m.State("ADD"):
                m.next = "SENSE"
                with m.If(last_round):
                    m.d.comb += self.last_phase.eq(1)
                    more = Mux(self.pulse == p.pulses - 1, ~last_group, 1)
                    with m.If(~more):
                        m.next = "SUM"
                    with m.Elif((self.pulse != p.pulses - 1) | self.i.valid):
                        m.next = "READ0"
                    with m.Else():
                        m.next = "WAIT"
            with m.State("SUM"):
                with m.If(~self.o.valid):
                    m.d.comb += self.summing.eq(1)
                    m.next = "WAIT"
                    with m.If(self.i.valid):
                        m.next = "READ0"

        blp0, blp1 = fsm.ongoing("BLP0"), fsm.ongoing("BLP1")
        sense, code, add = fsm.ongoing("SENSE"), fsm.ongoing("CODE"), fsm.ongoing("ADD")
        m.d.comb += [
            self.busy.eq(~wait),
            self.code_valid.eq(add),
            enable["seed"].eq(restart),
            enable["cells"].eq(self.reading),
            enable["blp"].eq(blp0 | blp1),
            enable["tables"].eq(blp1 | add),
            enable["sense"].eq(sense | self.restarting),
            enable["code"].eq(code),
            enable["sum"].eq(add),
            enable["send"].eq(self.summing),
        ]
        self.working = ~wait & ~restart & ~self.restarting & ~(fsm.ongoing("SUM") & self.o.valid)

        with m.If(self.restarting | (self.summing & last_pass)):
            m.d.sync += [
                self.rows_left.eq(self.kernel_rows),
                self.words_left.eq(self.channels),
                self.address.eq(0),
                self.pass_.eq(0),
                self.pulse.eq(0),
                first.eq(1),
            ]
        with m.Elif(self.summing):
            m.d.sync += [
                self.rows_left.eq(self.kernel_rows),
                self.words_left.eq(self.words_left - p.capacity),
                self.address.eq(self.address + 1),
                self.pass_.eq(self.pass_ + 1),
                self.pulse.eq(0),
                first.eq(1),
            ]
        with m.Elif(self.last_phase):
            m.d.sync += first.eq(0)
            with m.If(self.pulse != p.pulses - 1):
                m.d.sync += self.pulse.eq(self.pulse + 1)
            with m.Elif(~last_group):
                m.d.sync += [
                    self.pulse.eq(0),
                    self.address.eq(self.address + 1),
                    self.rows_left.eq(self.rows_left - p.active_rows),
                ]

    def _memories(self, m: Module) -> dict[str, RAM]:
        """The memories, and which row of each is read."""
        p = self.p
        load = Signal(load_layout(p))
        m.d.sync += load.en.eq(self.load.en)
        with m.If(self.load.en):
            m.d.sync += load.eq(self.load)
        m.d.comb += self._enable["port"].eq(load.en)
        rams = add_memories(m, p, load, self.address)
        m.d.comb += [
            rams["bias"].r_row.eq(self.pass_),
            rams["seeds"].r_row.eq(0),
            rams["tables"].r_row.eq(
                Mux(self.code_valid & (self.round != p.share - 1), self.round + 1, 0)
            ),
        ]
        for bank in range(p.banks):  # a bank without a word in use stays silent
            for kind in ("weights", "stuck0_", "stuck1_"):
                m.d.comb += rams[f"{kind}{bank}"].r_en.eq(self.words_left > bank * p.words)
        return rams

    def _bit_lines(self, m: Module, rams: dict[str, RAM]) -> list[tuple[Signal, Signal]]:
        """The values v of all units and where they were clipped, unit after unit."""
        p = self.p
        pixels = Signal(p.active_rows * p.pixel_bits, reset_less=True)
        limit = Signal(p.value_bits - 1, reset_less=True)
        field = [
            pixels[row * p.pixel_bits : (row + 1) * p.pixel_bits] for row in range(p.active_rows)
        ]
        turned = Cat(Cat(f[p.pulse_bits :], f[: p.pulse_bits]) for f in field)
        m.d.cells += [pixels.eq(Mux(self.pulse == 0, self.i.payload, turned)), limit.eq(self.limit)]
        x = Cat(f[: p.pulse_bits] for f in field)
        return place_units(m, p, rams, x, limit)

    def _converters(
        self, m: Module, rams: dict[str, RAM], units: list[tuple[Signal, Signal]]
    ) -> list[Signal]:
        """The exact sum of every unit's codes."""
        p = self.p
        held = partial(Signal, reset_less=True)
        shift, sigma, first = held(5), held(8), held()
        pulse, used = Signal.like(self.pulse, reset_less=True), held(range(p.banks * p.units + 1))
        words = Mux(self.words_left < p.capacity, self.words_left, p.capacity)
        m.d.cells += [
            shift.eq(self.shift),
            sigma.eq(self.sigma),
            first.eq(self.first),
            pulse.eq(self.pulse),
            used.eq(words * p.splits),
        ]
        sums, codes, acts, enables = [], [], [], []
        for number in range(p.banks * p.converters):
            mine = range(number * p.share, (number + 1) * p.share)
            gain, offset = table_fields(rams["tables"].r_data, number)
            enable = Signal(name=f"enable_{number}")
            code = Signal(p.adc_bits, name=f"code_{number}")
            act = Signal(name=f"act_{number}")
            m.d.comb += enable.eq(used > self.round + mine.start)
            out = [Signal(signed(p.sum_bits), name=f"sum_{unit}") for unit in mine]
            seed = rams["seeds"].r_data[number * SEED_BITS : (number + 1) * SEED_BITS] ^ self.stream
            m.submodules[f"adc_{number}"] = Instance(
                ADC_MODULE,
                i_sense_clk=ClockSignal("sense"),
                i_code_clk=ClockSignal("code"),
                i_sum_clk=ClockSignal("sum"),
                **{f"i_v{k}": units[unit][0] for k, unit in enumerate(mine)},
                i_clipped=Cat(units[unit][1] for unit in mine),
                i_round=self.round,
                i_enable=enable,
                i_gain=gain,
                i_offset=offset,
                i_shift=shift,
                i_sigma=sigma,
                i_pulse=pulse,
                i_first=first,
                i_restart=self.restarting,
                i_seed=seed,
                o_code=code,
                o_acts=act,
                **{f"o_sum{k}": s for k, s in enumerate(out)},
            )
            sums += out
            codes.append(code)
            acts.append(act)
            enables.append(enable)
        m.d.comb += self.codes.eq(Cat(*codes))
        self.converting, self.acting = _ones(m, enables, "converting"), _ones(m, acts, "acting")
        self.used = used
        return sums

    def _currents(self, m: Module, bias, sums: list[Signal]) -> None:
        """Columns of a word join, the bias is added, the current saturates."""
        p, bound = self.p, 1 << (self.p.current_bits - 1)
        saturated, fields = [], []
        for word in range(p.capacity):
            total = Signal(signed(p.sum_bits + p.splits + p.current_bits), name=f"total_{word}")
            parts = [
                (sums[word * p.splits + j] << j) * (-1 if j and j == p.splits - 1 else 1)
                for j in range(p.splits)
            ]
            own_bias = bias[word * p.current_bits : (word + 1) * p.current_bits].as_signed()
            m.d.comb += total.eq(sum(parts) + own_bias)
            above, below = total > bound - 1, total < -bound
            fields.append(Mux(above, bound - 1, Mux(below, -bound, total))[: p.current_bits])
            saturated.append((above | below) & (self.used > word * p.splits))
        m.d.send += self.o.payload.eq(Cat(*fields))
        count = _ones(m, saturated, "saturating")
        self.saturated, self.summed = Signal.like(count), Signal()
        m.d.send += self.saturated.eq(count)
        m.d.sync += self.summed.eq(self.summing)
        with m.If(self.summing):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

    def _count(self, m: Module) -> None:
        p = self.p
        words = Mux(self.words_left < p.capacity, self.words_left, p.capacity)
        rows = Mux(self.rows_left < p.active_rows, self.rows_left, p.active_rows)
        banks = sum((self.words_left > bank * p.words) for bank in range(p.banks))
        steps = {
            "n_read": (self.reading, banks),
            "n_blp": (self.reading, words * rows),
            "n_adc": (self.code_valid, self.converting),
            "n_cycles": (self.working, 1),
            "n_sat": (self.summed, self.saturated),
            "n_clip": (self.code_valid, self.acting),
        }
        for name in COUNTERS:
            when, step = steps[name]
            count = getattr(self, f"count_{name}")
            with m.If(self.zero):
                m.d.sync += count.eq(0)
            with m.Elif(when):
                m.d.sync += count.eq(count + step)


def _ones(m: Module, bits: list, name: str) -> Signal:
    """How many of ``bits`` are set."""
    count = Signal(range(len(bits) + 1), name=name)
    while len(bits) > 1:
        bits = [sum(bits[at : at + 3]) for at in range(0, len(bits), 3)]
    m.d.comb += count.eq(bits[0])
    return count
