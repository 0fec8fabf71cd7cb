"""Current stage: each rounded shift is shr of the page; with the shifts free, J, y' and clip 4."""

from functools import partial

from amaranth.hdl import Signal, signed

from spikeloop.hdl.neuron.current import CurrentStage
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import synaptic_record
from tests.campaigns.fault_list.fault import Fault
from tests.formal.neuron.cases import cases, with_pim
from tests.formal.neuron.parts import Decay, StageBench, chip_of, spec

__all__ = ["CASES", "parameters"]


def parameters(bench: StageBench, chip: Chip) -> tuple[Decay, dict, dict]:
    """The parameters of a current: its decay, those of the page, and the fields."""
    q, d = chip.current_bits, chip.derived
    decay = Decay(bench, q, d.fraction_bits, "current_")
    mode = bench.code("current", 2)
    gain, fraction = bench.free(d.gain_bits, "gain"), bench.code("fraction", q)
    bench.assume(gain < q)
    page = {"current": mode, "gain": gain, "fraction": fraction}
    fields = {"current": mode != 0, "old": mode == 2, "gain": gain, "fraction": fraction}
    return decay, page, {**decay.fields(), **fields}


def stage(chip: Chip, *, cut: bool) -> tuple[StageBench, Decay, Signal, dict]:
    bench = StageBench(CurrentStage(chip), cut=cut)
    decay, page, fields = parameters(bench, chip)
    y = bench.free(signed(chip.current_bits), "y")
    z = bench.free(signed(chip.derived.sum_bits), "z")
    bench.drive(y=y, sum=z)
    if chip.pim:
        current = bench.free(signed(chip.pim.macro.current_bits), "pim_current")
        bench.drive(current=current)
        z = z + current
    bench.drive(synaptic=bench.record(synaptic_record(chip), fields))
    return bench, decay, y, {**page, "y": y, "z": z}


def shifts(chip: Chip) -> StageBench:
    bench, decay, y, _ = stage(chip, cut=False)
    decay.check_shifts(y)
    return bench


def rest(chip: Chip) -> StageBench:
    bench, decay, y, page = stage(chip, cut=True)
    decayed = decay.of(y, bench.shifted)
    outputs = ("y_next", "drive", "clip4")
    y_next, drive, clip4 = spec(
        bench, "current", outputs, Q=chip.current_bits, decayed=decayed, **page
    )
    part = bench.stage
    bench.check("y", part.y_next.as_signed() == y_next)
    bench.check("J", part.drive.as_signed() == drive)
    bench.check("clip 4", part.current_clipped == clip4)
    return bench


AT_LEAST = Fault(
    "at-least-one-of-zero",
    "neuron/record.py",
    'p["at_least_one"] & v_nonzero & ~shifted.nonzero()',
    'p["at_least_one"] & ~shifted.nonzero()',
    "at_least_one makes 1 of 0",
)
OLD = Fault(
    "current-old-is-new",
    "neuron/current.py",
    'y.select(p["old"], after)',
    'y.select(p["current"] & ~p["old"], after)',
    "the membrane takes the old current for the new, and the new for the old",
)


def chip(bits: int, form: str, **changes) -> Chip:
    return chip_of(8, form, current_bits=bits, **changes)


CASES = [
    *cases(
        "current-shifts",
        "each rounded shift of the decay is shr of the page",
        shifts,
        AT_LEAST,
        chip=chip,
        fast=(16, "planes"),
        limit=120,
    ),
    *cases(
        "current-rest",
        "J, y' and clip 4, whatever the shifts are",
        rest,
        OLD,
        chip=chip,
        fast=(16, "planes"),
        limit=120,
    ),
    *with_pim("current-rest", rest, OLD, partial(chip, 16)),
]
