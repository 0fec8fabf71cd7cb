"""A neuron behind its lane: soma, statistics, response, traces and inhibition, and its state."""

from amaranth.hdl import Array, Cat, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.dendrites.arithmetic import PLACE_BITS
from spikeloop.hdl.dendrites.inhibition import Inhibition
from spikeloop.hdl.dendrites.layouts import phase_layout, settings_layout, sum_bits, write_layout
from spikeloop.hdl.dendrites.membrane import Membrane
from spikeloop.hdl.dendrites.response import Response
from spikeloop.hdl.dendrites.statistics import Statistics
from spikeloop.hdl.dendrites.traces import GAIN_BITS, Traces
from spikeloop.pysim.dendrites.settings import INHIBITION_BITS, PASSING, UNITS
from spikeloop.pysim.dendritic.memories import UNIT_CHUNKS
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = ["Neuron", "UNIT_BITS"]

UNIT_BITS = sum(form.bits for form in (*UNITS.values(), *PASSING.values()))


class Neuron(wiring.Component):
    """Neuron ``i``, in domain "tail".

    Members
    -------
    settings: In         as loaded.
    phase: In            what is done.
    write: In            what the host writes into the neuron.
    sum: In              of wm em; complete behind a sweep.
    second: In(1)        the table is read for the prediction, else for the response.
    word: In(16)         what the table had for neuron ``phase.taker``.
    other_f, other_s, other_gain: In  response, output spike and D of neuron ``phase.other``.
    place: Out(10)       where the table is read for this neuron.
    f: Out(16)           response.
    s: Out(1)            output spike.
    c: Out(19)           what its weights learn, signed.
    clips: Out(4)        of v, u, trace_p and trace_d, in the cycles of their strobes.
    spike: Out(1)        with ``phase.trace``: output spike.
    gain: Out(23)        D, signed, behind ``phase.meet``.
    unit: Out            state and passing values, the first lowest.
    row: Out             row of G.
    chunk: Out(32)       chunk ``write.index`` of the state, as the host reads it.
    """

    def __init__(self, p: DendriticParams, i: int):
        self.p, self.i = p, i
        super().__init__(
            {
                "settings": In(settings_layout()),
                "phase": In(phase_layout(p)),
                "write": In(write_layout(p)),
                "sum": In(signed(sum_bits(p))),
                "second": In(1),
                "word": In(16),
                "other_f": In(16),
                "other_s": In(1),
                "other_gain": In(signed(GAIN_BITS)),
                "place": Out(PLACE_BITS),
                "f": Out(UNITS["f"].bits),
                "s": Out(1),
                "c": Out(signed(PASSING["c"].bits)),
                "clips": Out(4),
                "spike": Out(1),
                "gain": Out(signed(GAIN_BITS)),
                "unit": Out(UNIT_BITS),
                "row": Out(p.neurons * INHIBITION_BITS),
                "chunk": Out(32),
            }
        )

    def elaborate(self, platform) -> Module:
        m, p, s, phase = Module(), self.p, self.settings, self.phase
        membrane = m.submodules.membrane = Membrane(p)
        statistics = m.submodules.statistics = Statistics(p)
        response = m.submodules.response = Response(p)
        traces = m.submodules.traces = Traces(p)
        inhibition = m.submodules.inhibition = Inhibition(p, self.i)
        for part in (membrane, statistics, response, traces, inhibition):
            m.d.comb += [part.settings.eq(s), part.phase.eq(phase), part.write.eq(self.write)]
        used = Signal()
        m.d.comb += [
            used.eq(self.i < s.neurons),
            traces.f.eq(response.f),
            membrane.sum.eq(self.sum),
            membrane.pull.eq(inhibition.pull),
            membrane.response.eq(self.other_f),
            statistics.u.eq(membrane.u),
            response.mine.eq(phase.taker == self.i),
            response.word.eq(self.word),
            traces.used.eq(used),
            inhibition.s.eq(traces.s),
            inhibition.gain.eq(traces.gain),
            inhibition.other_s.eq(self.other_s),
            inhibition.other_gain.eq(self.other_gain),
            self.f.eq(response.f),
            self.s.eq(traces.s),
            self.c.eq(response.c),
            self.spike.eq(traces.spike),
            self.gain.eq(traces.gain),
            self.row.eq(inhibition.row),
        ]
        with m.If(self.second):
            m.d.comb += self.place.eq(membrane.place_v)
        with m.Elif(s.learn):
            m.d.comb += self.place.eq(statistics.place)
        with m.Else():
            m.d.comb += self.place.eq(membrane.place_u)
        with m.If(used):
            m.d.comb += self.clips.eq(Cat(membrane.clips, traces.clips))
        owners = {
            **dict.fromkeys(("u", "v"), membrane),
            **dict.fromkeys(("mean", "var"), statistics),
            **dict.fromkeys(("f", "q", "c", "rn"), response),
            **dict.fromkeys(("trace_p", "trace_d", "rs", "s"), traces),
        }
        value = {name: getattr(owners[name], name) for name in (*UNITS, *PASSING)}
        m.d.comb += [self.unit.eq(Cat(value.values())), self.chunk.eq(self._chunk(m, value))]
        return m

    def _chunk(self, m: Module, value: dict[str, Signal]) -> Signal:
        """The chunk of the state that ``write`` names."""
        chunks = []
        for number, fields in enumerate(UNIT_CHUNKS):
            chunk = Signal(32, name=f"chunk_{number}")
            for name, at, place, bits in fields:
                m.d.comb += chunk[place : place + bits].eq(value[name][at : at + bits])
            chunks.append(chunk)
        chosen = Signal(32)
        m.d.comb += chosen.eq(Array(chunks)[self.write.index[: (len(chunks) - 1).bit_length()]])
        return chosen
