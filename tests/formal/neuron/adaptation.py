"""Adaptation stage: shifts as in the current stage; then w, a', and clips 5 and 6."""

from amaranth.hdl import Signal, Value

from spikeloop.hdl.neuron.adaptation import AdaptationStage
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import adaptive_record
from tests.campaigns.fault_list.fault import Fault
from tests.formal.neuron.cases import cases
from tests.formal.neuron.parts import Decay, StageBench, chip_of, spec

__all__ = ["CASES", "adapted", "parameters", "raised"]


def parameters(bench: StageBench, chip: Chip) -> tuple[Decay, dict, dict]:
    """The parameters of an adaptation, as those of a current."""
    r, d = chip.adaptation_bits, chip.derived
    decay = Decay(bench, r, d.scale_bits, "adaptation_")
    mode, scale, step = bench.code("adaptation", 2), bench.code("scale", r), bench.free(r, "step")
    reset = bench.free(1, "adaptation_reset")
    page = {"adaptation": mode, "scale": scale, "step": step, "adaptation_reset": reset}
    fields = {"adaptation": mode != 0, "old": mode == 2, "scale": scale, "step": step}
    return decay, page, {**decay.fields(), **fields, "reset": reset}


def stage(chip: Chip, *, cut: bool) -> tuple[StageBench, Decay, Signal, dict]:
    bench = StageBench(AdaptationStage(chip), cut=cut)
    decay, page, fields = parameters(bench, chip)
    a, s = bench.free(chip.adaptation_bits, "a"), bench.free(1, "s")
    bench.drive(a=a, spikes=s, adaptive=bench.record(adaptive_record(chip), fields))
    return bench, decay, a, {**page, "a": a, "s": s}


def shifts(chip: Chip) -> StageBench:
    bench, decay, a, _ = stage(chip, cut=False)
    decay.check_shifts(a)
    return bench


def raised(bench: StageBench, bits: int, decayed: Value, page: dict) -> list[Signal]:
    """B, w and clip 5 of the page."""
    inputs = {name: page[name] for name in ("a", "adaptation", "scale")}
    return spec(bench, "raise", ("b", "w", "clip5"), R=bits, decayed=decayed, **inputs)


def adapted(bench: StageBench, bits: int, b: Value, page: dict) -> list[Signal]:
    """a' and clip 6 of the page."""
    inputs = {name: page[name] for name in ("adaptation", "step", "s")}
    return spec(bench, "adapt", ("a_next", "clip6"), R=bits, b=b, **inputs)


def rest(chip: Chip) -> StageBench:
    bench, decay, a, page = stage(chip, cut=True)
    bits, part = chip.adaptation_bits, bench.stage
    decayed = decay.of(a, bench.shifted)
    b, w, clip5 = raised(bench, bits, decayed, page)
    a_next, clip6 = adapted(bench, bits, b, page)
    bench.check("w", part.raises == w)
    bench.check("a", part.a_next == a_next)
    bench.check("clips 5 and 6", part.adaptation_clipped == (clip5 | clip6))
    bench.check("lowers", part.lowers == page["adaptation_reset"])
    return bench


SHIFTED = Fault(
    "adaptation-signed",
    "neuron/adaptation.py",
    "lanes_from_bits(m, value, chip.lanes, bits, is_signed=False, sliced=chip.sliced)",
    "lanes_from_bits(m, value, chip.lanes, bits, sliced=chip.sliced).resize(bits + 1)",
    "an adaptation of the upper half is negative",
)
STEP = Fault(
    "step-of-silence",
    "neuron/adaptation.py",
    "keep(has & self.spikes)",
    "keep(self.spikes)",
    "neurons without an adaptation get its step",
)


def chip(bits: int, form: str) -> Chip:
    return chip_of(8, form, adaptation_bits=bits)


WIDTHS = (8, 16, 24, 31)
CASES = [
    *cases(
        "adaptation-shifts",
        "each rounded shift of the decay is shr of the page",
        shifts,
        SHIFTED,
        chip=chip,
        widths=WIDTHS,
        fast=(16, "integers"),
    ),
    *cases(
        "adaptation-rest",
        "w, a', and clips 5 and 6, whatever the shifts are",
        rest,
        STEP,
        chip=chip,
        widths=WIDTHS,
        fast=(16, "integers"),
    ),
]
