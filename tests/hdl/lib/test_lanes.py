"""The lane vocabulary: bit planes == integers, for every operation and every input.

Proved, not sampled: both forms get the same inputs, and the SAT solver of Yosys (pyosys) finds no
input on which they differ. Operations on 4-bit lanes are also compared with Python's integers, for
all pairs of operands, in Amaranth's simulator.
"""

import itertools
from collections.abc import Callable, Sequence

import pytest
from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.sim import Simulator

from spikeloop.cosim.audit.yosys import equivalent
from spikeloop.hdl.lib.lanes import Lanes, everywhere, lanes_from_bits, total

LANES = 2


def _bits(result: Lanes | Value) -> Value:
    return result.bits() if isinstance(result, Lanes) else result


class Inputs:
    """Raw signals and, per form, the vectors on them.

    a has ``width`` bits, b ``other`` bits, c ``other`` bits without a sign; further masks and a
    shift amount.
    """

    def __init__(self, width: int, other: int, amount: int, lanes: int = LANES):
        self.width, self.other, self.lanes = width, other, lanes
        self.raw = {
            "a": Signal(width * lanes, name="a"),
            "b": Signal(other * lanes, name="b"),
            "mask": Signal(lanes, name="mask"),
            "sign": Signal(lanes, name="sign"),
            "amount": Signal(amount * lanes, name="amount"),
        }

    def planes(self, name: str) -> list[Value]:
        raw = self.raw[name]
        return [raw[i : i + self.lanes] for i in range(0, len(raw), self.lanes)]

    def vector(self, m: Module, name: str, sliced: bool, is_signed: bool = True) -> Lanes:
        raw = self.raw[name]
        return lanes_from_bits(
            m, raw, self.lanes, len(raw) // self.lanes, is_signed=is_signed, sliced=sliced
        )


# name: (a, b, c unsigned, inputs) -> what the operation gives
OPERATIONS: dict[str, Callable[[Lanes, Lanes, Lanes, Inputs], Sequence[Lanes | Value]]] = {
    "bits": lambda a, b, c, i: [a, c],
    "sign": lambda a, b, c, i: [a.sign],
    "resize wider": lambda a, b, c, i: [a.resize(a.width + 2), c.resize(c.width + 1)],
    "resize narrower": lambda a, b, c, i: [a.resize(2)],
    "flip": lambda a, b, c, i: [a.flip(i.raw["mask"])],
    "keep": lambda a, b, c, i: [a.keep(i.raw["mask"])],
    "select": lambda a, b, c, i: [a.select(i.raw["mask"], b), b.select(i.raw["mask"], a)],
    "plus": lambda a, b, c, i: [a.plus(b), b.plus(a), a.plus(c)],
    "plus carry": lambda a, b, c, i: [a.plus(b, i.raw["mask"])],
    "plus width": lambda a, b, c, i: [
        a.plus(b, width=3),
        a.plus(b, i.raw["mask"], width=3),
        a.plus(b, width=9),
    ],
    "negate": lambda a, b, c, i: [a.flip(i.raw["mask"]).plus(b, i.raw["mask"])],
    "plus_small": lambda a, b, c, i: [a.plus_small(i.planes("b")[: a.width - 1], a.width)],
    "below": lambda a, b, c, i: [a.below(b), b.below(a), a.below(c)],
    "nonzero": lambda a, b, c, i: [a.nonzero(), c.nonzero()],
    "shift_right": lambda a, b, c, i: [a.shift_right(i.planes("amount"), sticky=False)[0]],
    "shift_right sticky": lambda a, b, c, i: a.shift_right(i.planes("amount"), sticky=True),
    "shift_left": lambda a, b, c, i: [x.shift_left(i.planes("amount")) for x in (a, c)],
    # only where the lane is 0, as its description asks
    "one_away_from_zero": lambda a, b, c, i: [
        a.one_away_from_zero(i.raw["mask"] & ~a.nonzero(), i.raw["sign"])
    ],
    "increment": lambda a, b, c, i: [a.increment(i.raw["mask"])],
    "decrement": lambda a, b, c, i: [a.decrement(i.raw["mask"])],
    "saturate": lambda a, b, c, i: a.saturate(3),
    "saturate to more": lambda a, b, c, i: a.saturate(a.width),
    "saturate_unsigned": lambda a, b, c, i: [*a.saturate_unsigned(2), *c.saturate_unsigned(3)],
    "saturate_unsigned to more": lambda a, b, c, i: a.saturate_unsigned(a.width + 1),
}


WRAPS = ("increment", "decrement")  # of the same width; other results hold every value


def build(operation: str, inputs: Inputs, m: Module, sliced: bool) -> Value:
    a, b = (inputs.vector(m, name, sliced) for name in ("a", "b"))
    return Cat(
        *(
            _bits(r)
            for r in OPERATIONS[operation](
                a, b, inputs.vector(m, "b", sliced, is_signed=False), inputs
            )
        )
    )


@pytest.mark.parametrize(
    "width, other, amount", [(8, 8, 4), (7, 4, 3), (4, 7, 3), (24, 17, 5)], ids=str
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_planes_are_integers(operation: str, width: int, other: int, amount: int) -> None:
    """Yosys' SAT solver: no input on which the two forms differ."""
    m, inputs = Module(), Inputs(width, other, amount)
    sliced, scalar = (build(operation, inputs, m, form) for form in (True, False))
    assert len(sliced) == len(scalar)
    assert equivalent(m, list(inputs.raw.values()), [sliced], [scalar])


def test_the_proof_sees_a_difference() -> None:
    m, inputs = Module(), Inputs(8, 8, 4)
    a, b = (inputs.vector(m, name, True) for name in ("a", "b"))
    wrong = inputs.vector(m, "a", False).plus(
        inputs.vector(m, "b", False), Const(1, LANES), width=8
    )
    assert not equivalent(m, list(inputs.raw.values()), [a.plus(b, width=8).bits()], [wrong.bits()])


def reference(
    operation: str, a: int, b: int, c: int, mask: int, sign: int, amount: int, w: int
) -> list[int]:
    """The operation in Python's integers, on lane 0."""

    def clip(x: int, bits: int) -> int:
        return min(max(x, -(1 << bits - 1)), (1 << bits - 1) - 1)

    return {
        "sign": lambda: [a < 0],
        "flip": lambda: [~a if mask else a],
        "keep": lambda: [a if mask else 0],
        "select": lambda: [a if mask else b, b if mask else a],
        "plus": lambda: [a + b, b + a, a + c],
        "plus carry": lambda: [a + b + mask],
        "negate": lambda: [b - a if mask else b + a],
        "below": lambda: [a < b, b < a, a < c],
        "nonzero": lambda: [a != 0, c != 0],
        "shift_right": lambda: [a >> amount],
        "shift_right sticky": lambda: [a >> amount, a & ((1 << amount) - 1) != 0],
        "shift_left": lambda: [a << amount, c << amount],
        "one_away_from_zero": lambda: [(-1 if sign else 1) if mask and a == 0 else a],
        "increment": lambda: [a + mask],
        "decrement": lambda: [a - mask],
        "saturate": lambda: [clip(a, 3), clip(a, 3) != a],
        "saturate_unsigned": lambda: [*(min(max(a, 0), 3), not 0 <= a <= 3), *(min(c, 7), c > 7)],
        "saturate_unsigned to more": lambda: [max(a, 0), a < 0],
    }[operation]()


@pytest.mark.parametrize("sliced", [True, False], ids=["planes", "integers"])
def test_operations_against_python(sliced: bool) -> None:
    """All pairs of 4-bit operands under all masks, in one lane; each shift amount many times."""
    inputs, m = Inputs(4, 4, 3, lanes=1), Module()
    names = [
        "sign",
        "flip",
        "keep",
        "select",
        "plus",
        "plus carry",
        "negate",
        "below",
        "nonzero",
        "shift_right",
        "shift_right sticky",
        "shift_left",
        "one_away_from_zero",
        "increment",
        "decrement",
        "saturate",
        "saturate_unsigned",
        "saturate_unsigned to more",
    ]
    outputs = {}
    for name in names:
        a, b, c = (
            inputs.vector(m, "a", sliced),
            inputs.vector(m, "b", sliced),
            inputs.vector(m, "b", sliced, is_signed=False),
        )
        for index, result in enumerate(OPERATIONS[name](a, b, c, inputs)):
            bits = _bits(result)
            wire = Signal(len(bits), name=f"out_{len(outputs)}")
            m.d.comb += wire.eq(bits)
            outputs[name, index] = wire

    async def process(ctx) -> None:
        for a, b, mask, sign in itertools.product(range(16), range(16), range(2), range(2)):
            amount = (a + 3 * b + mask) % 8 if b != a else (b >> 1)
            for name, value in (
                ("a", a),
                ("b", b),
                ("mask", mask),
                ("sign", sign),
                ("amount", amount),
            ):
                ctx.set(inputs.raw[name], value)
            await ctx.delay(1e-9)
            signed_a, signed_b = (x - 16 * (x > 7) for x in (a, b))
            for name in names:
                for index, value in enumerate(
                    reference(name, signed_a, signed_b, b, mask, sign, amount, 4)
                ):
                    wire = outputs[name, index]
                    if name not in WRAPS and len(wire) > 1:
                        assert -1 << len(wire) - 1 <= value < 1 << len(wire) - 1, (name, index)
                    assert ctx.get(wire) == value % (1 << len(wire)), (
                        name,
                        index,
                        a,
                        b,
                        mask,
                        sign,
                        amount,
                    )

    simulator = Simulator(m)
    simulator.add_testbench(process)
    simulator.run()


@pytest.mark.parametrize("lanes", [1, 2, 3, 8, 13])
def test_total_counts_the_lanes(lanes: int) -> None:
    """Against the sum of the bits, proved."""
    m, mask = Module(), Signal(lanes, name="mask")
    count = total(m, mask)
    plain = sum((mask[i] for i in range(1, lanes)), start=Value.cast(mask[0]))
    width = max(len(count), len(plain))
    a, b = Signal(width), Signal(width)
    m.d.comb += [a.eq(count), b.eq(plain)]
    assert equivalent(m, [mask], [a], [b])


def test_everywhere() -> None:
    bit = Signal(name="bit")
    m = Module()
    assert equivalent(m, [bit], [everywhere(bit, 3)], [Cat(bit, bit, bit)])
