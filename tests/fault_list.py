"""Seeded faults of the RTL: named edits that a person could have made, each of which the regression must notice.

``old`` occurs exactly once in ``file``; otherwise the list is stale and the run says so. ``chip`` names the chip of
tests/regression.py on which the fault acts.
"""

from dataclasses import dataclass

__all__ = ["FAULTS", "Fault"]


@dataclass(frozen=True)
class Fault:
    """One edit: ``old`` becomes ``new`` in ``hdl/<file>``. ``sentence`` says what is wrong then."""

    name: str
    file: str
    old: str
    new: str
    sentence: str
    chip: str = "base"


FAULTS = [
    # -- the neuron step -----------------------------------------------------------------------------------------------------
    Fault("threshold-strict", "neuron.py", '~u.below(p["v_th"])', 'p["v_th"].below(u)', "spikes at u > v_th instead of u >= v_th"),
    Fault("sum-unsigned", "neuron.py", "vector(sum_register, chip.derived.sum_bits)", "vector(sum_register, chip.derived.sum_bits, False)",
          "the weighted sum is not sign-extended"),
    Fault("membrane-unsigned", "neuron.py", "vector(self.v, chip.membrane_bits)", "vector(self.v, chip.membrane_bits, False)",
          "the membrane is not sign-extended in the leak stage"),
    Fault("leak-sign", "neuron.py", 'p[f"on{r}"] & p[f"negative{r}"]', 'p[f"on{r}"] & ~p[f"negative{r}"]', "leak terms have the other sign"),
    Fault("leak-order", "neuron.py", 'p[f"on{r}"] & p[f"negative{r}"]', 'p[f"on{r}"] & p[f"negative{chip.leak_terms - 1 - r}"]',
          "the signs of the leak terms are taken in the wrong order"),
    Fault("leak-carry", "neuron.py", ".flip(minus), minus, width=", ".flip(minus), width=", "a subtracted leak term is one too low"),
    Fault("floor-for-toward-zero", "neuron.py", 'p["toward_zero"] & v.sign & lost', 'p["toward_zero"] & v.sign & lost & 0',
          "toward-zero shifts round down"),
    Fault("toward-zero-exact", "neuron.py", 'p["toward_zero"] & v.sign & lost', 'p["toward_zero"] & v.sign',
          "toward-zero shifts of negative membranes add 1 even where no bit was lost"),
    Fault("at-least-one-dropped", "neuron.py", 'p["at_least_one"] & v_nonzero & ~shifted.nonzero()',
          'p["at_least_one"] & v_nonzero & ~shifted.nonzero() & 0', "at-least-one shifts may become 0"),
    Fault("at-least-one-of-zero", "neuron.py", 'p["at_least_one"] & v_nonzero & ~shifted.nonzero()', 'p["at_least_one"] & ~shifted.nonzero()',
          "at-least-one shifts leave 1 even of a membrane of 0"),
    Fault("rectify-everyone", "neuron.py", 'current.keep(~(p["rectify"] & current.sign))', "current.keep(~current.sign)",
          "negative currents become 0 in every neuron"),
    Fault("keep-always", "neuron.py", 'v.keep(p["k0"])', "v", "the membrane is kept where k0 is 0"),
    Fault("soft-subtracts-threshold", "neuron.py", 'p["v_sub"].flip(', 'p["v_th"].flip(', "a soft reset subtracts v_th instead of v_sub"),
    Fault("soft-off-by-one", "neuron.py", "u.plus(operand, spikes)", "u.plus(operand)", "a soft reset subtracts one too many"),
    Fault("low-bound-inclusive", "neuron.py", 'u.below(p["v_low"])', '~p["v_low"].below(u)', "the lower bound acts at u <= v_low"),
    Fault("low-bound-after-spike", "neuron.py", 'p["bounded"] & ~spikes & u', 'p["bounded"] & u', "the lower bound acts on neurons that spike"),
    Fault("hold-ignored", "neuron.py", 'p["hold"] & refractory', 'p["hold"] & refractory & 0', "refractory neurons integrate instead of holding"),
    Fault("not-silenced", "neuron.py", "spikes = spikes & ~refractory", "spikes = spikes | (spikes & refractory)",
          "refractory neurons spike"),
    Fault("refractory-not-loaded", "neuron.py", 'p["refractory"].select(spikes,', 'p["refractory"].select(spikes & 0,',
          "a spike does not load the refractory count"),
    Fault("masked-spike-reloads", "neuron.py", 'p["refractory"].select(spikes,',
          'p["refractory"].select(p["used"] & p["fire"] & ~u.below(p["v_th"]),',
          "a spike that the refractory count masks loads it again"),
    Fault("clip-1-uncounted", "neuron.py", "(saturated | (moves & clipped))", "(moves & clipped)", "saturations of L + I are not counted"),
    Fault("clips-2-3-uncounted", "neuron.py", "(saturated | (moves & clipped))", "saturated",
          "saturations of soft resets and lower bounds are not counted"),
    Fault("clip-3-while-held", "neuron.py", "u._wire(moves & ~held)", "moves", "a held neuron counts a clip of a lower bound that does not act"),
    Fault("clear-loads-reset", "neuron.py", 'p["v_init"].select(clear, put)', 'p["v_reset"].select(clear, put)', "CLEAR writes v_reset"),
    Fault("clear-keeps-refractory", "neuron.py", "loaded.keep(~clear)", "loaded", "CLEAR forgets the refractory counts"),
    Fault("slice-inputs", "neuron.py", "value[b * lanes + first:b * lanes + first + SLICE]", "value[b * lanes:b * lanes + SLICE]",
          "every slice of a wide core computes the neurons of the first", "slices"),
    Fault("slice-planes", "neuron.py", "for b in range(planes) for part in parts))", "for part in parts for b in range(planes)))",
          "the results of the slices of a wide core are put together slice after slice instead of plane after plane", "slices"),
    # -- lanes ---------------------------------------------------------------------------------------------------------------------
    Fault("clip-one-bit-late", "lanes.py", "for plane in self.parts[width - 1:-1]:", "for plane in self.parts[width:-1]:",
          "values just outside the membrane range are not clipped"),
    Fault("clip-to-other-end", "lanes.py", "high = self._wire(~sign)", "high = self._wire(sign)", "clipped values end at -1 or 0 instead of the ends"),
    Fault("shift-fills-zero", "lanes.py", "value[min(b + step, len(value) - 1)])", "(value[b + step] if b + step < len(value) else 0))",
          "right shifts fill with 0 instead of the sign"),
    Fault("scalar-below", "lanes.py", "Cat(a < b for a, b in", "Cat(a <= b for a, b in", "lanes held as integers compare with <= for <", "scalar"),
    Fault("scalar-clip-low", "lanes.py", "Cat((p < low) | (p > high) for p in self.parts)", "Cat(p > high for p in self.parts)",
          "lanes held as integers count no clip at the lower end", "scalar"),
    Fault("scalar-lost-bits", "lanes.py", "(Const(1, 1 << len(amount)) << c) - 1)", "(Const(1, 1 << len(amount)) << c) - 2)",
          "lanes held as integers miss a lost lowest bit when they round", "scalar"),
    # -- accumulate and join -------------------------------------------------------------------------------------------------------
    Fault("stale-accumulator", "accumulate.py", "before.eq(now)", "before.eq(before)",
          "the reading before a word is never updated: sums hold those of earlier words"),
    Fault("digit-weight", "accumulate.py", "[Const(0, lanes)] * up + planes[:bits - up]", "[Const(0, lanes)] * (up + 1) + planes[:bits - up - 1]",
          "each further digit weighs twice too much"),
    Fault("ternary-shifted", "accumulate.py", "return Cat(Mux(shift, a, b) for a, b in zip(shifted, planes, strict=True))", "return Cat(*shifted)",
          "the +1 column of ternary weights weighs 2"),
    Fault("join-from-wrong-lane", "accumulate.py", "digit[b * lanes + 1:(b + 1) * lanes], Const(0, 1)", "digit[b * lanes + 2:(b + 1) * lanes], Const(0, 2)",
          "the second digit comes from two lanes up"),
    Fault("accumulator-narrow", "accumulate.py", "counts.plus_small(digits, bits).bits()", "(counts.plus_small(digits, bits).bits() & ((1 << (bits - 3) * chip.lanes) - 1))",
          "accumulators wrap early: lanes of many events lose their top bits"),
    # -- the tick --------------------------------------------------------------------------------------------------------------------
    Fault("offset-one-short", "core.py", "-(events.hits << record.offset_shift)", "-((events.hits - events.hits.any()) << record.offset_shift)",
          "the excess of one event too few is subtracted"),
    Fault("page-is-step", "control.py", "Mux(step < record.last_page, step, record.last_page)", "step",
          "the page is k instead of min(k, pages - 1)"),
    Fault("start-late", "control.py", "step.eq(number - 1 - record.start)", "step.eq(number - record.start)",
          "the step is one ahead of tick - start"),
    Fault("one-step-more", "control.py", "(step < self.steps)", "(step <= self.steps)", "populations do one step after the last"),
    Fault("dead-words-emit", "core.py", "Mux(control.alive.bit_select(scanner.load_row, 1), rams[\"spikes\"].r_chunk, 0)", 'rams["spikes"].r_chunk',
          "words outside their steps send their old spikes again"),
    Fault("replay-one-short", "eventlist.py", "running & (at == entries)", "running & (at == entries - 1)",
          "the words after the first miss the last event; without events the count never ends"),
    Fault("slot-wraps-early", "control.py", "slot.eq(Mux(slot == d.slots - 1, 0, slot + 1))", "slot.eq(Mux(slot == d.slots - 2, 0, slot + 1))",
          "the ring turns one slot early"),
    Fault("flush-keeps-row", "core.py", 'rams["synapse"].r_zero.eq(control.flush | synapse_read | ResetSignal())',
          'rams["synapse"].r_zero.eq(ResetSignal())', "the last row of a word stays in the row register and is added to the next word"),
    # -- axon extension --------------------------------------------------------------------------------------------------------------
    Fault("words-overlap", "core.py", "control.group.eq(chip.axons << port.extension)", "control.group.eq(chip.axons)",
          "with axon extension the words begin where they do without", "extended"),
    Fault("extension-not-scanned", "axons.py", "scanner.size.eq(self.extension)", "scanner.size.eq(0)",
          "the axons beyond those of the unextended core are not scanned", "extended"),
    Fault("extension-counts", "axons.py", "chip.axons << self.extension", "chip.axons", "an event beyond the unextended axons is refused", "extended"),
    Fault("slots-unextended", "core.py", "chip.columns >> port.extension", "chip.columns", "slots count columns that the extension took", "extended"),
    # -- events ------------------------------------------------------------------------------------------------------------------------
    Fault("delay-off-by-one", "core.py", "Mux(local, route.delay, outer.delay)", "Mux(local, route.delay - (route.delay > 1), outer.delay)",
          "the core's own spikes of delay 2 and more arrive a tick early"),
    Fault("route-to-wrong-axon", "core.py", "Mux(local, route.address, outer.axon)", "Mux(local, route.address ^ 1, outer.axon)",
          "the core's own spikes arrive at the neighbouring axon"),
    Fault("back-pressure-ignored", "core.py", "advance.eq(~blocked)", "advance.eq(1)",
          "the emission goes on while the output stream is blocked: events are lost"),
    Fault("outer-event-lost", "core.py", "~arrived | (ring.i.ready & ~local)", "~arrived | ring.i.ready",
          "an event from outside that meets one of the core's own is taken and forgotten"),
    Fault("forwarding-lost", "axons.py", "Mux(written & (written_at == at), written_data, ram.r_data)", "ram.r_data",
          "an event on the chunk that is being written overwrites the one before"),
    Fault("ring-wraps-late", "axons.py", "Mux(sum_ >= d.slots, sum_ - d.slots, sum_)", "Mux(sum_ > d.slots, sum_ - d.slots, sum_)",
          "an event for the ring's slot 0 goes to a slot that does not exist"),
    Fault("slot-not-cleared", "axons.py", "ram.w_en.eq(pending | scanner.loaded | self.clear)", "ram.w_en.eq(pending | self.clear)",
          "a scan leaves the events in their slot"),
    Fault("clear-forgets-slots", "axons.py", "Mux(self.clear, row(wipe_slot, wipe_chunk),", "Mux(self.clear, row(Const(0, self.slot_bits), wipe_chunk),",
          "CLEAR empties one slot of the ring only"),
    Fault("bad-delay-accepted", "axons.py", " | (self.i.p.delay == 0) |", " |", "an event of delay 0 is not refused"),
    Fault("last-chunk-skipped", "axons.py", "Scanner(rows=1, bits=chip.axons, sizes=d.extensions)",
          "Scanner(rows=1, bits=min(chip.axons, 64), sizes=d.extensions)", "the last 64-axon chunk is not scanned"),
    Fault("dense-one-short", "scanner.py", "Const((2 << position) - 1, SCAN_BITS)", "Const((1 << position) - 1, SCAN_BITS)", "dense mode leaves out the last axon"),
    Fault("second-chunk-lost", "core.py", "Scanner(rows=d.words, bits=chip.lanes)",
          "Scanner(rows=d.words, bits=min(chip.lanes, 64))", "spikes of lanes 64 and up are not sent", "long"),
    Fault("last-lane-lost", "core.py", 'rams["spikes"].w_data.eq(step.spikes)', 'rams["spikes"].w_data.eq(step.spikes[:-1])',
          "the spike of the last lane is lost"),
    # -- counters ------------------------------------------------------------------------------------------------------------------------
    Fault("sops-early", "core.py", 'Mux(fan, rams["fanout"].r_data, 0)', 'Mux(counted, rams["fanout"].r_data, 0)', "each event counts the fan-out of the one before"),
    Fault("slots-of-lanes", "core.py", "Mux(ring.valid, chip.columns >> port.extension, 0)", "Mux(ring.valid, chip.lanes, 0)", "slots count lanes instead of columns"),
    Fault("saturations-of-clear", "core.py", "wrote.eq(control.writing & ~control.clearing)", "wrote.eq(control.writing)", "CLEAR counts saturations"),
    Fault("tally-half", "lanes.py", "high = [Cat(p[half:], Const(0, 2 * half - count)) for p in planes]",
          "high = [Cat(p[half + 1:], Const(0, 2 * half - count + 1)) for p in planes]", "the tally of saturations misses lanes"),
    Fault("extra-state", "control.py", 'm.next = "SETTLE"\n', 'm.next = "PAUSE"\n            with m.State("PAUSE"):\n                m.next = "SETTLE"\n',
          "a tick takes one cycle more than predicted"),
    Fault("stalled-spikes-recounted", "core.py", "leaving.eq(scanner.valid & advance)", "leaving.eq(scanner.valid)",
          "a spike that waits for the output stream counts in every cycle"),
    Fault("zero-forgets", "core.py", "Mux(self.zero, 0, count + self.adds[name])", "count + self.adds[name]", "the command to zero the counters zeroes cycles only"),
    # -- load port and primitives --------------------------------------------------------------------------------------------------------
    Fault("reads-while-busy", "loadport.py", "idle.eq(~self.busy & ~self.wait)", "idle.eq(1)", "the load port reads memories while the core works"),
    Fault("chunk-index", "ram.v", "mem[caddr][cindex * CHUNK +: CHUNK] <= cdata", "mem[caddr][0 +: CHUNK] <= cdata", "every chunk of a word is written to its first"),
    Fault("skid-overwrites", "skid.v", "full <= 1'b1;", "full <= 1'b0;", "a skid buffer forgets its second place: events are lost when the stream stops"),
]
