"""Synaptic currents and adaptations: their stages, their memories, and what they do to a spike."""

from tests.campaigns.fault_list.fault import Fault

__all__ = ["STATES"]

DECAYED = "after, clipped = decay(chip, y, p).plus(gained).saturate(chip.current_bits)"
LEFT = "left, low = decay(chip, a, p).saturate_unsigned(bits)"
ACTING = 'acting, _ = y.select(p["old"], after).shift_right(p.planes("fraction"), sticky=False)'
RAISES = 'acting, _ = a.select(p["old"], left).shift_right(p.planes("scale"), sticky=False)'

CURRENTS = [
    Fault(
        "gain-dropped",
        "neuron/current.py",
        'arriving.shift_left(p.planes("gain"))',
        "arriving",
        "sums go into the current without its gain",
        "states",
    ),
    Fault(
        "gain-fills-one",
        "lib/lanes.py",
        "[Const(0, self.count)] * (1 << k) + value",
        "[value[0]] * (1 << k) + value",
        "left shifts repeat the lowest bit",
        "states",
    ),
    Fault(
        "fraction-rounded",
        "neuron/current.py",
        ACTING,
        ACTING.replace("_ =", "lost =").replace("False", "True")
        + "\n        acting = acting.increment(acting.sign & lost)",
        "a negative current rounds toward zero on its way into the membrane",
        "states",
    ),
    Fault(
        "fraction-dropped",
        "neuron/current.py",
        ACTING,
        'acting = y.select(p["old"], after)',
        "the membrane takes the whole current",
        "states",
    ),
    Fault(
        "current-new-for-old",
        "neuron/current.py",
        'y.select(p["old"], after)',
        'after.select(p["old"], y)',
        "the membrane takes the old current for the new one, and the new one for the old",
        "states",
    ),
    Fault(
        "synaptic-unsigned",
        "neuron/current.py",
        "vector(self.y, chip.current_bits)",
        (
            "lanes_from_bits(m, self.y, chip.lanes, chip.current_bits, is_signed=False, "
            "sliced=chip.sliced)"
        ),
        "the current is not sign-extended",
        "states",
    ),
    Fault(
        "drive-unsigned",
        "neuron/leak.py",
        "vector(sum_register, d.acting_bits)",
        (
            "lanes_from_bits(m, sum_register, lanes, d.acting_bits, is_signed=False, "
            "sliced=chip.sliced)"
        ),
        "what a current drives the membrane with is not sign-extended",
        "states",
    ),
    Fault(
        "clip-4-wraps",
        "neuron/current.py",
        DECAYED,
        "exact = decay(chip, y, p).plus(gained)\n"
        "        after = exact.resize(chip.current_bits)\n"
        "        _, clipped = exact.saturate(chip.current_bits)",
        "currents beyond their width wrap",
        "states",
    ),
    Fault(
        "clip-4-uncounted",
        "neuron/step.py",
        'CLIPPED = ("current_clipped", "adaptation_clipped")',
        'CLIPPED = ("adaptation_clipped",)',
        "saturations of currents are not counted",
        "states",
    ),
    Fault(
        "clip-4-of-all",
        "neuron/current.py",
        'self.current_clipped.eq(p["current"] & clipped)',
        "self.current_clipped.eq(clipped)",
        "neurons without a current count its clip",
        "states",
    ),
    Fault(
        "current-of-all",
        "neuron/current.py",
        'after.keep(p["current"]).bits()',
        "after.bits()",
        "neurons without a current keep one",
        "states",
    ),
    Fault(
        "sum-clipped",
        "neuron/current.py",
        'acting.select(p["current"], arriving)',
        "acting",
        "the sum of a neuron without a current is clipped like one",
        "states-scalar",
    ),
    Fault(
        "macro-lost",
        "neuron/current.py",
        "        if chip.pim:\n",
        "        if chip.pim and not chip.current_bits:\n",
        "the currents of a PIM layer do not reach the synaptic current",
        "pim-states",
    ),
    Fault(
        "current-skipped",
        "core/control.py",
        'm.next = "CURRENT" if self.chip.current_bits else "LEAK"',
        'm.next = "LEAK"',
        "the controller leaves the current stage out",
        "states",
    ),
    Fault(
        "slice-clips-lost",
        "neuron/step.py",
        "whole = whole | Cat(clipped)",
        "whole = whole | Cat(clipped[:1])",
        "the clips of currents and adaptations count in the first slice of a wide core only",
        "slices-states",
    ),
]

ADAPTATIONS = [
    Fault(
        "adaptation-signed",
        "neuron/adaptation.py",
        "bits, is_signed=False, sliced=chip.sliced)",
        "bits, sliced=chip.sliced)",
        "adaptations of the upper half are taken as negative",
        "states",
    ),
    Fault(
        "adaptation-new-for-old",
        "neuron/adaptation.py",
        'a.select(p["old"], left)',
        'left.select(p["old"], a)',
        "the threshold takes the old adaptation for the new one, and the new one for the old",
        "states",
    ),
    Fault(
        "clip-5-wraps",
        "neuron/adaptation.py",
        LEFT,
        "exact = decay(chip, a, p)\n"
        "        left, low = exact.resize(bits), exact.saturate_unsigned(bits)[1]",
        "decayed adaptations beyond their width wrap",
        "states",
    ),
    Fault(
        "clip-5-low",
        "lib/lanes.py",
        "self._wire((p | above) & inside)",
        "self._wire(p | above)",
        "decayed adaptations below 0 do not become 0",
        "states",
    ),
    Fault(
        "scalar-clip-5-low",
        "lib/lanes.py",
        "Mux(p < 0, 0, Mux(p > high, high, p))",
        "Mux(p > high, high, p)",
        "lanes held as integers do not clip an adaptation at 0",
        "states-scalar",
    ),
    Fault(
        "clip-6-wraps",
        "neuron/adaptation.py",
        "after, high = grown.saturate_unsigned(bits)",
        "after, high = grown.resize(bits), grown.saturate_unsigned(bits)[1]",
        "adaptations wrap when a spike adds to them",
        "states",
    ),
    Fault(
        "clips-5-6-uncounted",
        "neuron/step.py",
        'CLIPPED = ("current_clipped", "adaptation_clipped")',
        'CLIPPED = ("current_clipped",)',
        "saturations of adaptations are not counted",
        "states-scalar",
    ),
    Fault(
        "clip-5-forgotten",
        "neuron/adaptation.py",
        "self.adaptation_clipped.eq(clipped | high)",
        "self.adaptation_clipped.eq(high)",
        "saturations of the decay of an adaptation are not counted",
        "states",
    ),
    Fault(
        "scale-dropped",
        "neuron/adaptation.py",
        RAISES,
        'acting = a.select(p["old"], left)',
        "the whole adaptation raises the threshold",
        "states",
    ),
    Fault(
        "step-without-spike",
        "neuron/adaptation.py",
        'p["step"].keep(has & self.spikes)',
        'p["step"].keep(has)',
        "a step without a spike adds to the adaptation too",
        "states",
    ),
    Fault(
        "step-of-all",
        "neuron/adaptation.py",
        'p["step"].keep(has & self.spikes)',
        'p["step"].keep(self.spikes)',
        "a spike of a neuron without an adaptation adds to it",
        "states",
    ),
    Fault(
        "threshold-not-raised",
        "neuron/fire.py",
        "v_th, v_sub = v_th.plus(raises), v_sub",
        "v_sub = v_sub",
        "adaptations do not raise the threshold",
        "states",
    ),
    Fault(
        "threshold-wraps",
        "neuron/fire.py",
        "v_th.plus(raises)",
        "v_th.plus(raises, width=bits)",
        "a threshold raised out of the membrane range wraps",
        "states",
    ),
    Fault(
        "soft-always-lowers",
        "neuron/fire.py",
        "raises.keep(self.lowers)",
        "raises",
        "every soft reset subtracts what raised the threshold",
        "states",
    ),
    Fault(
        "soft-never-lowers",
        "neuron/fire.py",
        "raises.keep(self.lowers)",
        "raises.keep(self.lowers & 0)",
        "no soft reset subtracts what raised the threshold",
        "states-scalar",
    ),
]

BOTH = [
    Fault(
        "decay-narrow",
        "neuron/record.py",
        "min(leak.width + 1, v.width + 2)",
        "v.width",
        "the sum of the terms of a decay wraps",
        "states",
    ),
    Fault(
        "states-not-cleared",
        "core/core.py",
        "Mux(cleared, 0, after)",
        "after",
        "CLEAR leaves currents and adaptations",
        "states",
    ),
    Fault(
        "synaptic-page-0",
        "core/core.py",
        '"synaptic": (paged, driving)',
        '"synaptic": (control.word << (chip.pages - 1).bit_length(), driving)',
        "the current decays by its first page for ever",
        "states",
    ),
    Fault(
        "adaptive-page-0",
        "core/core.py",
        '"adaptive": (paged, control.leaking)',
        '"adaptive": (control.word << (chip.pages - 1).bit_length(), control.leaking)',
        "the adaptation decays by its first page for ever",
        "states-scalar",
    ),
    Fault(
        "states-asleep",
        "core/domains.py",
        'control.driving | read_by_port["current"]',
        "control.driving",
        "the load port reads no currents: their memories sleep",
        "states",
    ),
    Fault(
        "states-unwritable",
        "core/domains.py",
        "written_by_port | select[state]",
        "written_by_port",
        "the load port writes no currents and adaptations: their memories sleep",
        "states",
    ),
    Fault(
        "adaptation-of-last-word",
        "core/core.py",
        '"a": (control.word, control.leaking)',
        '"a": (control.word, control.leaking & ~control.alive.any())',
        "no adaptation is read",
        "states-banked",
    ),
]

STATES = [*CURRENTS, *ADAPTATIONS, *BOTH]
"""on chips whose neurons have second states"""
