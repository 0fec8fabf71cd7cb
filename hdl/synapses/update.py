"""The plasticity unit: one synapse a cycle, nine cycles from its address to its new weight.

    row, trace --> weight, age --> tables, near, far --> A, decay --> x --> F --> F A --> noise, w

The same pipeline raises the pre trace of an axon whose spike arrives. "One update" and "The pre
trace between spikes" of docs/plasticity.md. Synapses of a sweep are distinct, so that none waits
for another; the core lets the unit run empty between sweeps.
"""

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.synapses.hash import TICK_STEP, USE_STEP, KeyedHash
from spikeloop.hdl.synapses.memories import entry_layout, settings_layout, trace_layout
from spikeloop.hdl.synapses.pipe import delayed, least, nearest
from spikeloop.pysim.plastic.params import PlasticParams

__all__ = ["LATENCY", "Kind", "PlasticityUnit", "update_layout"]

LATENCY = 9
FULL16 = (1 << 16) - 1


class Kind(enum.Enum, shape=2):
    """What passes through the unit."""

    PRE = 0
    POST = 1
    ARRIVAL = 3


def update_layout(p: PlasticParams) -> data.StructLayout:
    """An update, for who compares."""
    return data.StructLayout(
        {
            "use": 2,
            "axon": p.axon_bits,
            "neuron": p.neuron_bits,
            "old": p.weight_bits,
            "new": p.weight_bits,
        }
    )


class PlasticityUnit(wiring.Component):
    """The unit. It works in domain ``unit``, which must run while ``awake`` or ``valid``.

    Members
    -------
    settings: In     of the population.
    k: In(16)        tick of the presentation.
    ticks: In(32)    tick of the lesson.
    valid: In(1)     something enters.
    kind: In         an update or an arrival.
    axon: In         its axon.
    entry: In        neuron, lane, row 0 of its word, and post trace (PRE).
    row: Out         row of weights to read, in this cycle.
    word: In         this row, one cycle later.
    trace_row: Out   pre trace to read, in this cycle.
    trace: In        this trace, one cycle later.
    segment: Out(7)  rows of both tables to read.
    post: In(32)     the post table's row, one cycle later.
    pre: In(32)      the pre table's row, one cycle later.
    age: Out(10)     rows of near and far to read.
    near: In(16)     near's row, one cycle later.
    far: In(16)      far's row, one cycle later.
    raise_: Out(1)   write a pre trace.
    raised_row: Out  of this axon.
    raised: Out      the new trace.
    write: Out(1)    write a weight; ``update`` says what happened.
    write_row: Out   its row.
    write_lane: Out  its lane.
    update: Out      use, axon, neuron, old and new weight.
    clipped: Out(1)  the clip changed the new weight.
    awake: Out(1)    something is inside.
    """

    def __init__(self, p: PlasticParams):
        self.p = p
        super().__init__(
            {
                "settings": In(settings_layout(p)),
                "k": In(16),
                "ticks": In(32),
                "valid": In(1),
                "kind": In(Kind),
                "axon": In(p.axon_bits),
                "entry": In(entry_layout(p)),
                "row": Out(p.row_bits),
                "word": In(p.lanes * p.weight_bits),
                "trace_row": Out(p.axon_bits),
                "trace": In(trace_layout()),
                "segment": Out(7),
                "post": In(32),
                "pre": In(32),
                "age": Out(10),
                "near": In(16),
                "far": In(16),
                "raise_": Out(1),
                "raised_row": Out(p.axon_bits),
                "raised": Out(trace_layout()),
                "write": Out(1),
                "write_row": Out(p.row_bits),
                "write_lane": Out(p.lane_bits),
                "update": Out(update_layout(p)),
                "clipped": Out(1),
                "awake": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        s, B = self.settings, self.p.weight_bits
        low = B - 7
        inside = [self.valid]
        for stage in range(1, LATENCY + 1):
            here = Signal(name=f"inside_{stage}")
            m.d.unit += here.eq(inside[-1])
            inside.append(here)
        kind = delayed(m, "unit", Value.cast(self.kind), LATENCY, "kind")
        axon = delayed(m, "unit", self.axon, LATENCY, "axon")
        neuron = delayed(m, "unit", self.entry.neuron, LATENCY, "neuron")
        lane = delayed(m, "unit", self.entry.lane, LATENCY, "lane")
        row = delayed(m, "unit", self.row, LATENCY, "row")
        y = delayed(m, "unit", self.entry.y, 5, "y")
        m.d.comb += [
            self.row.eq(self.entry.base + self.axon),
            self.trace_row.eq(self.axon),
            self.awake.eq(sum(inside[1:]) != 0),
        ]
        is_pre = [here == Kind.PRE.value for here in kind]

        # 1: the weight of the lane, the age of the trace
        lanes = [self.word[n * B : (n + 1) * B] for n in range(self.p.lanes)]
        w2, age, fresh2 = self._held(B, "w"), Signal(16), self._held(1, "fresh")
        chosen, age2 = Signal(B), self._held(10, "age")
        with m.Switch(lane[1]):
            for number, value in enumerate(lanes):
                with m.Case(number):
                    m.d.comb += chosen.eq(value)
        m.d.comb += age.eq(self.k - self.trace.t)
        m.d.unit += [w2.eq(chosen), age2.eq(age), fresh2.eq(age < 1024)]
        x2 = delayed(m, "unit", self.trace.x, 1, "x")[1]

        # 2: tables are read; 3: what they say
        m.d.comb += [self.segment.eq(w2 >> low), self.age.eq(age2)]
        w = [None, None, *delayed(m, "unit", w2, LATENCY - 2, "w")]
        x = delayed(m, "unit", Mux(fresh2, x2, 0), 2, "trace")
        dependence, factor4 = self._held(16, "dependence"), self._held(16, "factor")
        entry = Mux(is_pre[3], self.pre, self.post)
        base, slope = entry[:16], entry[16:].as_signed()
        m.d.unit += [
            dependence.eq(base + ((slope * w[3][:low]) >> low)),
            factor4.eq((self.near * self.far) >> 16),
        ]
        # 4: the trace; 5: F
        x5, F, A = self._held(16, "xval"), self._held(signed(18), "F"), dependence
        m.d.unit += [
            x5.eq((x[2] * factor4) >> 16),
            F.eq(Mux(is_pre[5], -y[5], nearest(x5 * s.b, 16) + s.f0)),
        ]
        self._arrival(m, inside[5], kind[5], axon[5], x5)
        # 6: F A; 7: times 1 + zeta; 8: rounded and added; 9: clipped
        d7, d8 = self._held(signed(34), "d"), self._held(signed(38), "d_noisy")
        free, touched = self._held(signed(32), "free"), Signal(name="touched")
        zeta, r = self._random(m, axon[0], neuron[0], is_pre)
        A6 = delayed(m, "unit", A, 2, "dependence")[2]
        shift = Mux(is_pre[8], s.shift_pre, s.shift_post)
        m.d.unit += [
            d7.eq(F * A6),
            d8.eq(nearest(d7 * (256 + zeta), 8)),
            free.eq(w[8] + ((d8 + r) >> shift)),
        ]
        some = delayed(m, "unit", F != 0, 3, "some")[3]
        new = Mux(free < s.w_min, s.w_min, Mux(free > s.w_max, s.w_max, free))
        m.d.comb += [
            touched.eq(inside[9] & (kind[9] != Kind.ARRIVAL.value) & some),
            self.write.eq(touched),
            self.write_row.eq(row[9]),
            self.write_lane.eq(lane[9]),
            self.update.use.eq(kind[9]),
            self.update.axon.eq(axon[9]),
            self.update.neuron.eq(neuron[9]),
            self.update.old.eq(w[9]),
            self.update.new.eq(new),
            self.clipped.eq(touched & ((free < s.w_min) | (free > s.w_max))),
        ]
        return m

    def _held(self, shape, name: str) -> Signal:
        return Signal(shape, name=name, reset_less=True)

    def _arrival(self, m: Module, inside: Value, kind: Value, axon: Value, x: Value) -> None:
        s = self.settings
        m.d.comb += [
            self.raise_.eq(inside & (kind == Kind.ARRIVAL.value)),
            self.raised_row.eq(axon),
            self.raised.x.eq(Mux(s.x_set, FULL16, least(x + s.x_one, FULL16))),
            self.raised.t.eq(self.k),
        ]

    def _random(self, m: Module, axon: Value, neuron: Value, is_pre: list) -> tuple:
        """zeta in stage 7, and what rounds the change in stage 8."""
        p, s = self.p, self.settings
        words = {}
        for name, more in (("noise", 0), ("rounding", 2 * USE_STEP)):
            part = m.submodules[name] = KeyedHash(p.axon_bits, p.neuron_bits, "unit")
            base = Signal(32, name=f"{name}_base")
            use = Signal(32, name=f"{name}_use")
            m.d.comb += use.eq(Mux(is_pre[1], more, more + USE_STEP))
            m.d.comb += base.eq(s.seed + self.ticks * TICK_STEP + use)
            m.d.comb += [part.base.eq(base), part.axon.eq(axon), part.neuron.eq(neuron)]
            words[name] = part.word
        height, zeta = Signal(signed(12)), self._held(signed(12), "zeta")
        four = sum(words["noise"][8 * n : 8 * n + 8] for n in range(4))
        m.d.comb += height.eq(four - 510)
        m.d.unit += zeta.eq((height * s.sigma) >> 7)
        word7 = delayed(m, "unit", words["rounding"], 1, "rounding_word")[1]
        shift = Mux(is_pre[7], s.shift_pre, s.shift_post)
        r = self._held(32, "r")
        half = 1 << (shift - 1)[:5]
        m.d.unit += r.eq(Mux(s.stochastic, word7 >> (32 - shift)[:5], half))
        return zeta, r
