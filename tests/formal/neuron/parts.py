"""What the proofs of the neuron's stages share: free parameters of the page, records, the spec.

The page is docs/arithmetic.md; ``spec.v`` is written from it alone. Parameters are free in their
range on the page. A record carries them as pysim/chip/records.py says.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

from amaranth.hdl import Cat, Const, DomainRenamer, Instance, Signal, Value, signed

from spikeloop.cosim.audit.bench import Bench, Elaborated
from spikeloop.hdl.lib.lanes import Lanes, lanes_from_bits
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import Field
from spikeloop.pysim.pim.front import PimFront
from spikeloop.pysim.pim.layer import PimParams

__all__ = ["FORMS", "PIM", "TERMS", "Decay", "StageBench", "chip_of", "spec"]

SPEC = Path(__file__).with_name("spec.v")
FORMS = {"planes": True, "integers": False}
TERMS = 3
WIDTHS = {**dict.fromkeys(("s", "clip4", "clip5", "clip6", "clipped"), 1), "c_next": 6}
"""Bits of the outputs of spec.v that are no numbers of 64 bits."""


def chip_of(bits: int, form: str, **changes) -> Chip:
    """A chip of one lane with every feature of the neuron, its membrane of ``bits`` bits."""
    chip = Chip(axons=256, columns=16, lanes=1, membrane_bits=bits, sliced=FORMS[form])
    return chip.replace(**changes)


PIM = PimFront(macro=PimParams(current_bits=20), pixels=16, positions=4, currents=4)
"""A PIM macro; the neuron sees its currents alone."""


class StageBench(Bench):
    """A bench around a stage of one lane, whose registers pass their input on.

    cut: the rounded shifts are free values, for the RTL and for who looks at them.
    shifted: the rounded shifts of the RTL, which it names ``shift0`` and so on, stage after stage.
    """

    def __init__(self, stage, *, cut: bool = False):
        super().__init__(combinational=True, sources=(SPEC,))
        self.stage, self.instances = stage, Counter[str]()
        self.shifted: list[Signal] = []
        self.clipped: Value = Const(0)  # clips 1 to 3 of the page

        def named(lanes: Lanes, name: str) -> Lanes:
            number = len(self.shifted)
            assert lanes.count == 1 and name == f"shift{number % TERMS}"
            bits = self.free(lanes.width, f"cut{number}") if cut else lanes.bits()
            self.shifted.append(value := Signal(signed(lanes.width), name=f"shifted{number}"))
            self.m.d.comb += value.eq(bits)
            if not cut:
                return lanes
            return lanes_from_bits(lanes.m, bits, 1, lanes.width, sliced=stage.chip.sliced)

        renamed = {"leak": "sync", "fire": "sync", "current": "sync"}
        with mock.patch.object(Lanes, "named", named):
            self.m.submodules.part = Elaborated(DomainRenamer(renamed)(stage))

    def drive(self, **values: Value) -> None:
        """Give inputs of the stage their values."""
        self.m.d.comb += [getattr(self.stage, name).eq(value) for name, value in values.items()]

    def record(self, fields: list[Field], values: dict[str, Value]) -> Value:
        """The record of one lane that carries ``values``."""
        parts = []
        for field in fields:
            part = Signal(field.bits, name=f"field_{field.name}")
            self.m.d.comb += part.eq(values[field.name])
            parts.append(part)
        return Cat(parts)

    def code(self, name: str, largest: int) -> Signal:
        """A parameter that is one of 0 .. ``largest``."""
        value = self.free(max(1, largest.bit_length()), name)
        self.assume(value <= largest)
        return value


class Decay:
    """The parameters of a decay of a state of ``bits`` bits, free in their range."""

    def __init__(self, bench: StageBench, bits: int, shift_bits: int, name: str = ""):
        self.bench, self.name = bench, name
        self.k0, self.rounding = bench.code(f"{name}k0", 1), bench.code(f"{name}rounding", 2)
        self.signs = [bench.free(signed(2), f"{name}sign{r}") for r in range(TERMS)]
        self.shifts = [bench.free(shift_bits, f"{name}shift{r}") for r in range(TERMS)]
        for sign, shift in zip(self.signs, self.shifts, strict=True):
            bench.assume(sign != -2)
            bench.assume(shift <= bits)

    def fields(self) -> dict[str, Value]:
        """The fields of a record that hold them."""
        values = {
            "k0": self.k0,
            "toward_zero": self.rounding != 0,
            "at_least_one": self.rounding == 2,
        }
        for r, (sign, shift) in enumerate(zip(self.signs, self.shifts, strict=True)):
            values |= {f"on{r}": sign != 0, f"negative{r}": sign < 0, f"shift{r}": shift}
        return values

    def of(self, state: Value, shifted: list[Value]) -> Value:
        """The decay of ``state``, whose shifts are ``shifted``."""
        inputs = {f"a{r}": value for r, value in enumerate(shifted)}
        inputs |= {f"sign{r}": sign for r, sign in enumerate(self.signs)}
        (decayed,) = spec(self.bench, "decay", ("decayed",), x=state, k0=self.k0, **inputs)
        return decayed

    def check_shifts(self, state: Value) -> None:
        """Check that each rounded shift of the RTL is shr of the page."""
        for r, (shift, seen) in enumerate(zip(self.shifts, self.bench.shifted, strict=True)):
            (y,) = spec(self.bench, "shr", ("y",), v=state, m=shift, rounding=self.rounding)
            self.bench.check(f"shift {r}", seen == y)


def spec(bench: StageBench, module: str, outputs: Sequence[str], **inputs) -> list[Signal]:
    """An instance of a module of spec.v. Returns its outputs.

    Inputs in capitals are parameters.
    """
    name = f"spec_{module}{bench.instances[module]}"
    bench.instances[module] += 1
    made, ports = [], {}
    for output in outputs:
        made.append(signal := Signal(WIDTHS.get(output, signed(64)), name=f"{name}_{output}"))
        ports[f"o_{output}"] = signal
    for key, value in inputs.items():
        if key.isupper():
            ports[f"p_{key}"] = value
        else:
            ports[f"i_{key}"] = wide = Signal(signed(64), name=f"{name}_{key}")
            bench.m.d.comb += wide.eq(value)
    bench.m.submodules[name] = Instance(f"spec_{module}", **ports)
    return made
