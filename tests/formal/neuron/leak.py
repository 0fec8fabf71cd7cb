"""Leak stage: each rounded shift is shr of the page; with the shifts free, x = L + I."""

from functools import partial

from amaranth.hdl import Signal, signed

from spikeloop.hdl.neuron.leak import LeakStage
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import leak_record
from tests.campaigns.fault_list.fault import Fault
from tests.formal.neuron.cases import cases, with_pim
from tests.formal.neuron.parts import Decay, StageBench, chip_of, spec

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
    *cases(
        "leak-shifts",
        "each rounded shift of the leak is shr of the page",
        shifts,
        ROUNDED,
        fast=(16, "planes"),
    ),
    *cases(
        "leak-sum", "x = L + I, whatever the shifts are", total, UNRECTIFIED, fast=(16, "planes")
    ),
    *with_pim("leak-sum", total, UNRECTIFIED, partial(chip_of, 16)),
]
