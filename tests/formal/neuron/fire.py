"""Fire stage: spikes, resets, lower bound, refractory count and hold, clear, saturation."""

from amaranth.hdl import Mux, Value, signed

from spikeloop.hdl.neuron.fire import FireStage
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import bound_record, fire_record, neuron_record
from tests.campaigns.fault_list.fault import Fault
from tests.formal.neuron.cases import cases
from tests.formal.neuron.parts import StageBench, chip_of, spec

__all__ = ["CASES", "after", "parameters"]

NUMBERS = ("v_th", "v_reset", "v_sub", "v_low", "v_low_reset", "v_low_add")
OUTPUTS = ("s", "v_next", "c_next", "clipped")


def parameters(bench: StageBench, chip: Chip) -> tuple[dict, dict]:
    """The parameters of the stage: those of the page by name, and the fields of its records."""
    bits = chip.membrane_bits
    numbers = {name: bench.free(signed(bits), name) for name in NUMBERS}
    flags = {name: bench.free(1, name) for name in ("fire", "hold")}
    refractory = bench.free(chip.refractory_bits, "refractory")
    reset, low = bench.code("reset", 2), bench.code("low", 3)
    page = {**numbers, **flags, "refractory": refractory, "reset": reset, "low": low}
    reset_or_add = Mux(low == 2, numbers["v_low_reset"], numbers["v_low_add"])
    fields = {
        **page,
        "used": bench.free(1, "used"),
        "v_init": bench.free(signed(bits), "v_init"),
        "hard": reset == 1,
        "soft": reset == 2,
        "bounded": low != 0,
        "low_add": low == 3,
        "low_value": Mux(low == 1, numbers["v_low"], reset_or_add),
    }
    return page, fields


def after(bench: StageBench, chip: Chip, total: Value, w: Value, lowers: Value) -> Value:
    """Drive the records, count and clear of the part, check its outputs, and return s."""
    part, (page, fields) = bench.stage, parameters(bench, chip)
    c, clear = bench.free(chip.refractory_bits, "c"), bench.free(1, "clear")
    bench.drive(
        clear=clear,
        refractory=c,
        fire=bench.record(fire_record(chip), fields),
        neuron=bench.record(neuron_record(chip), fields),
        bound=bench.record(bound_record(chip), fields),
    )
    inputs = {**page, "total": total, "w": w, "c": c, "adaptation_reset": lowers}
    s, v_next, c_next, clipped = spec(bench, "fire", OUTPUTS, P=chip.membrane_bits, **inputs)
    used = fields["used"]
    bench.check("v", ~used | (part.v_next.as_signed() == Mux(clear, fields["v_init"], v_next)))
    bench.check("c", ~used | (part.refractory_next == Mux(clear, 0, c_next)))
    bench.check("spike", part.spikes == (used & s))
    bench.clipped = used & clipped
    return used & s


def stage(chip: Chip) -> StageBench:
    bench = StageBench(FireStage(chip))
    total = bench.free(signed(chip.derived.total_bits), "total")
    bench.drive(total=total)
    w, lowers = bench.free(max(1, chip.adaptation_bits), "w"), bench.free(1, "lowers")
    if chip.adaptation_bits:
        bench.drive(raises=w, lowers=lowers)
    else:
        bench.assume(w == 0)
    after(bench, chip, total, w, lowers)
    bench.check("saturated", bench.stage.saturated == bench.clipped)
    return bench


FAULT = Fault(
    "held-saturates",
    "neuron/fire.py",
    "u._wire(moves & ~held)",
    "u._wire(moves)",
    "a held neuron counts clip 3",
)


def adapted(bits: int, form: str) -> Chip:
    return chip_of(bits, form, adaptation_bits=min(bits, 31))


CASES = [
    *cases("fire", "s, v', c', clear and saturation", stage, FAULT, fast=(16, "integers")),
    *cases(
        "fire-adapted",
        "the same with w of as many bits, up to 31",
        stage,
        FAULT,
        chip=adapted,
        fast=(24, "planes"),
    ),
]
