"""The whole step of a neuron with both states: its stages are wired as the page says.

The shifts are free, as in the lemmas of the stages, which cover the widths.
"""

from amaranth.hdl import signed

from spikeloop.hdl.neuron.step import NeuronStep
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import adaptive_record, leak_record, synaptic_record
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case
from tests.formal.neuron import adaptation, current, fire, leak
from tests.formal.neuron.parts import FORMS, TERMS, StageBench, chip_of, spec

__all__ = ["CASES"]


def step(chip: Chip) -> StageBench:
    bench = StageBench(NeuronStep(chip), cut=True)
    part, p, q, r = bench.stage, chip.membrane_bits, chip.current_bits, chip.adaptation_bits
    v, y, a = bench.free(signed(p), "v"), bench.free(signed(q), "y"), bench.free(r, "a")
    z = bench.free(signed(chip.derived.sum_bits), "z")
    bench.drive(v=v, y=y, a=a, sum=z)
    of_leak, of_current, of_adaptation = (
        bench.shifted[first : first + TERMS] for first in range(0, 3 * TERMS, TERMS)
    )

    decay, page, fields = current.parameters(bench, chip)
    bench.drive(synaptic=bench.record(synaptic_record(chip), fields))
    decayed = decay.of(y, of_current)
    outputs = ("y_next", "drive", "clip4")
    y_next, drive, clip4 = spec(bench, "current", outputs, Q=q, y=y, z=z, decayed=decayed, **page)
    bench.check("y", part.y_next.as_signed() == y_next)

    decay, page, fields = leak.parameters(bench, chip)
    bench.drive(leak=bench.record(leak_record(chip), fields))
    decayed = decay.of(v, of_leak)
    (total,) = spec(bench, "input", ("total",), decayed=decayed, drive=drive, **page)

    decay, page, fields = adaptation.parameters(bench, chip)
    bench.drive(adaptive=bench.record(adaptive_record(chip), fields))
    decayed = decay.of(a, of_adaptation)
    b, w, clip5 = adaptation.raised(bench, r, decayed, {**page, "a": a})
    s = fire.after(bench, chip, total, w, page["adaptation_reset"])
    a_next, clip6 = adaptation.adapted(bench, r, b, {**page, "s": s})
    bench.check("a", part.a_next == a_next)
    bench.check("saturated", part.saturated == (bench.clipped | clip4 | clip5 | clip6))
    return bench


CASES = [
    Case(
        "step",
        "all states, spike and saturation of a whole step, whatever the shifts are",
        f"8 bits, {form}",
        lambda f=form: step(chip_of(8, f, current_bits=8, adaptation_bits=8)),
        Fault(
            "clip-4-uncounted",
            "neuron/step.py",
            'CLIPPED = ("current_clipped", "adaptation_clipped")',
            'CLIPPED = ("adaptation_clipped",)',
            "clip 4 is not counted",
        ),
        limit=200,
        fast=form == "planes",
    )
    for form in FORMS
]
