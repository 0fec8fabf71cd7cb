"""Leak stage: each rounded shift is shr of the page; with the shifts free, x = L + I."""

from amaranth.hdl import Signal, signed

from spikeloop.hdl.neuron.leak import LeakStage
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import leak_record
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case
from tests.formal.neuron.parts import FORMS, PIM, Decay, StageBench, chip_of, spec

__all__ = ["CASES", "parameters"]


def parameters(bench: StageBench, chip: Chip) -> tuple[Decay, dict, dict]:
    """The parameters of a leak: its decay, those of the page by name, and the record's fields."""
    leak = Decay(bench, chip.membrane_bits, chip.derived.shift_bits)
    bias, rectify = bench.free(signed(chip.membrane_bits), "bias"), bench.free(1, "rectify")
    page = {"bias": bias, "rectify": rectify}
    return leak, page, {**leak.fields(), **page}


def stage(chip: Chip, *, cut: bool) -> tuple[StageBench, Decay, Signal, dict]:
    """A bench around the leak stage, the parameters of its leak, the membrane, and the page's."""
    bench = StageBench(LeakStage(chip), cut=cut)
    leak, page, fields = parameters(bench, chip)
    v = bench.free(signed(chip.membrane_bits), "v")
    drive = bench.free(signed(chip.derived.acting_bits), "drive")
    arriving = {"drive" if chip.current_bits else "sum": drive}
    bench.drive(v=v, leak=bench.record(leak_record(chip), fields), **arriving)
    if chip.pim:
        current = bench.free(signed(chip.pim.macro.current_bits), "current")
        bench.drive(current=current)
        drive = drive + current
    return bench, leak, v, {**page, "drive": drive}


def shifts(chip: Chip) -> StageBench:
    bench, leak, v, _ = stage(chip, cut=False)
    leak.check_shifts(v)
    return bench


def total(chip: Chip) -> StageBench:
    bench, leak, v, page = stage(chip, cut=True)
    decayed = leak.of(v, bench.shifted)
    (x,) = spec(bench, "input", ("total",), decayed=decayed, **page)
    bench.check("total", bench.stage.total.as_signed() == x)
    return bench


ROUNDED = Fault(
    "rounds-down",
    "neuron/record.py",
    'p["toward_zero"] & v.sign & lost',
    'p["toward_zero"] & ~v.sign & lost',
    "toward_zero rounds the wrong way",
)
UNRECTIFIED = Fault(
    "rectify-early",
    "neuron/leak.py",
    'p["rectify"] & current.sign',
    'p["rectify"] & synaptic.sign',
    "rectify looks at the sum before the bias",
)
CASES = [
    Case(
        name,
        claim,
        f"{bits} bits, {form}",
        lambda b=bits, f=form, m=make: m(chip_of(b, f)),
        fault,
        fast=bits == 16 and form == "planes",
    )
    for name, claim, make, fault in (
        ("leak-shifts", "each rounded shift of the leak is shr of the page", shifts, ROUNDED),
        ("leak-sum", "x = L + I, whatever the shifts are", total, UNRECTIFIED),
    )
    for bits in (8, 16, 24, 32)
    for form in FORMS
]
CASES += [
    Case(
        "leak-sum",
        "the same with the currents of a PIM layer, Z = S + C",
        f"16 bits, PIM, {form}",
        lambda f=form: total(chip_of(16, f, pim=PIM)),
        UNRECTIFIED,
    )
    for form in FORMS
]
