"""Lane vectors: the vocabulary in which the datapath is written once and built in two forms.

A :class:`Lanes` is ``count`` signed integers of ``width`` bits, in one of two forms:

    sliced  bit planes (plane b = bit b of all lanes): every adder is a row of gates ``count`` bits
            wide, which makes the simulator fast
    scalar  one integer a lane, with an ordinary adder, as the carry chains of an FPGA want it

Both forms have the same operations and the same bits in memory (plane after plane). Tests prove
them equal.

A *mask* is a plain value of ``count`` bits, bit l for lane l, in both forms.
"""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

__all__ = ["Lanes", "everywhere", "lanes_from_bits", "lanes_from_planes", "planes_of", "total"]


def everywhere(bit: Value, count: int) -> Value:
    """The mask with ``bit`` in every lane."""
    return Value.cast(bit).replicate(count)


class Lanes:
    """A vector of signed lanes, made by :func:`lanes_from_bits`.

    Operations add their gates to ``m.d.comb``.
    """

    def __init__(self, m: Module, parts: list[Value], count: int):
        self.m, self.parts, self.count = m, parts, count

    def _wire(self, value: Value, shape=None) -> Signal:
        """Name an intermediate result, so that expressions stay short."""
        wire = Signal(value.shape() if shape is None else shape)
        self.m.d.comb += wire.eq(value)
        return wire

    def named(self, name: str) -> "Lanes":
        """This vector, just made of wires of its own, by name: ``wire$<name>$<number of part>``.

        Proofs reach it by that name (tests/formal). Waves leave out all wires that begin so.
        """
        for at, part in enumerate(self.parts):
            part.name = f"wire${name}${at}"
        return self

    @property
    def sign(self) -> Value:
        """Mask: lane < 0."""
        raise NotImplementedError

    def planes(self) -> list[Value]:
        """Bit b of all lanes, for each b."""
        raise NotImplementedError

    def bits(self) -> Value:
        """Plane after plane, as in memory."""
        return Cat(*self.planes())


class _Sliced(Lanes):
    """parts[b] = bit b of all lanes; the last plane is the sign."""

    @property
    def width(self) -> int:
        return len(self.parts)

    @property
    def sign(self) -> Value:
        return self.parts[-1]

    def planes(self) -> list[Value]:
        return self.parts

    def resize(self, width: int) -> "_Sliced":
        """Sign-extend, or drop top planes."""
        return _Sliced(self.m, (self.parts + [self.sign] * width)[:width], self.count)

    def flip(self, mask: Value) -> "_Sliced":
        """Complement the lanes in ``mask`` (with a carry of ``mask``: negate them)."""
        return _Sliced(self.m, [self._wire(p ^ mask) for p in self.parts], self.count)

    def keep(self, mask: Value) -> "_Sliced":
        """0 outside ``mask``."""
        return _Sliced(self.m, [self._wire(p & mask) for p in self.parts], self.count)

    def select(self, mask: Value, other: "_Sliced") -> "_Sliced":
        """This vector's lanes in ``mask``, the other's elsewhere.

        Lanes that are not taken may be undefined (CLEAR after power-up).
        """
        width = max(self.width, other.width)
        pairs = zip(self.resize(width).parts, other.resize(width).parts, strict=True)
        rest = self._wire(~mask)
        return _Sliced(self.m, [self._wire((a & mask) | (b & rest)) for a, b in pairs], self.count)

    def plus(
        self, other: "_Sliced", carry: Value | None = None, *, width: int | None = None
    ) -> "_Sliced":
        """self + other, + 1 in the lanes of ``carry``, modulo 2^width.

        By default ``width`` is wide enough never to wrap.
        """
        width = width or max(self.width, other.width) + 1
        a, b, out = self.resize(width).parts, other.resize(width).parts, []
        for x, y in zip(a, b, strict=True):
            half = self._wire(x ^ y)
            out.append(half if carry is None else self._wire(half ^ carry))
            if len(out) < width:
                carry = self._wire(x & y) if carry is None else self._wire((x & y) | (half & carry))
        return _Sliced(self.m, out, self.count)

    def plus_small(self, other: list[Value], width: int) -> "_Sliced":
        """self + an unsigned number of fewer planes, modulo 2^width: half adders above it."""
        carry, out = None, []
        for b, x in enumerate(self.parts[:width]):
            last = b == width - 1
            if b >= len(other):
                out.append(self._wire(x ^ carry))
                carry = None if last else self._wire(x & carry)
                continue
            y = other[b]
            half = self._wire(x ^ y)
            out.append(half if carry is None else self._wire(half ^ carry))
            if not last:
                carry = self._wire(x & y if carry is None else (x & y) | (half & carry))
        return _Sliced(self.m, out, self.count)

    def below(self, other: "_Sliced") -> Value:
        """Mask: self < other."""
        width = max(self.width, other.width)
        a, b = self.resize(width).parts, other.resize(width).parts
        borrow = None
        for x, y in zip(a[:-1], b[:-1], strict=True):
            borrow = self._wire(~x & y if borrow is None else (~x & y) | (~(x ^ y) & borrow))
        x, y = a[-1], b[-1]
        return self._wire((x & ~y) | (~(x ^ y) & borrow))

    def nonzero(self) -> Value:
        """Mask: self != 0."""
        found = self.parts[0]
        for plane in self.parts[1:]:
            found = self._wire(found | plane)
        return found

    def shift_right(self, amount: list[Value], sticky: bool) -> "tuple[_Sliced, Value | None]":
        """Arithmetic right shift of each lane by its own number of bits.

        ``amount`` is that number as bit planes. Also returns the mask of the lanes that lost a 1,
        or None without ``sticky``.
        """
        value, lost = self.parts, None
        for k, move in enumerate(amount):
            step = 1 << k
            if sticky:
                out = value[0]
                for plane in value[1:step]:
                    out = self._wire(out | plane)
                lost = self._wire(out & move) if lost is None else self._wire(lost | (out & move))
            value = [
                self._wire(p ^ ((p ^ value[min(b + step, len(value) - 1)]) & move))
                for b, p in enumerate(value)
            ]
        return _Sliced(self.m, value, self.count), lost

    def shift_left(self, amount: list[Value]) -> "_Sliced":
        """Left shift of each lane by its own number of bits, exact; ``amount`` as bit planes."""
        value = self.resize(self.width + (1 << len(amount)) - 1).parts
        for k, move in enumerate(amount):
            below = [Const(0, self.count)] * (1 << k) + value
            value = [self._wire(p ^ ((p ^ q) & move)) for p, q in zip(value, below, strict=False)]
        return _Sliced(self.m, value, self.count)

    def one_away_from_zero(self, mask: Value, negative: Value) -> "_Sliced":
        """In ``mask`` (where this is 0): -1 if ``negative``, else +1."""
        sign = self._wire(mask & negative)
        return _Sliced(
            self.m,
            [self._wire(self.parts[0] | mask)] + [self._wire(p | sign) for p in self.parts[1:]],
            self.count,
        )

    def increment(self, mask: Value) -> "_Sliced":
        """+ 1 in ``mask``, same width."""
        carry, out = mask, []
        for b, p in enumerate(self.parts):
            out.append(self._wire(p ^ carry))
            if b < len(self.parts) - 1:
                carry = self._wire(p & carry)
        return _Sliced(self.m, out, self.count)

    def decrement(self, mask: Value) -> "_Sliced":
        """- 1 in ``mask``, same width."""
        borrow, out = mask, []
        for b, p in enumerate(self.parts):
            out.append(self._wire(p ^ borrow))
            if b < len(self.parts) - 1:
                borrow = self._wire(~p & borrow)
        return _Sliced(self.m, out, self.count)

    def saturate(self, width: int) -> "tuple[_Sliced, Value]":
        """Clip to ``width`` bits; mask of the lanes in which that changed the value."""
        sign, clipped = self.sign, None
        for plane in self.parts[width - 1 : -1]:
            differs = self._wire(plane ^ sign)
            clipped = differs if clipped is None else self._wire(clipped | differs)
        if clipped is None:
            return self, Const(0, self.count)
        high = self._wire(~sign)
        out = [self._wire(p ^ ((p ^ high) & clipped)) for p in self.parts[: width - 1]] + [sign]
        return _Sliced(self.m, out, self.count), clipped

    def saturate_unsigned(self, width: int) -> "tuple[_Sliced, Value]":
        """Clip to ``width`` unsigned bits, under a sign plane of 0; mask as :meth:`saturate`."""
        above, inside = Const(0, self.count), self._wire(~self.sign)
        for plane in self.parts[width:-1]:
            above = self._wire(above | plane)
        out = [self._wire((p | above) & inside) for p in self.resize(width + 1).parts[:width]]
        clipped = self._wire(above | self.sign)
        return _Sliced(self.m, [*out, Const(0, self.count)], self.count), clipped


class _Scalar(Lanes):
    """parts[l] = lane l as a signed value."""

    @property
    def width(self) -> int:
        return len(self.parts[0])

    @property
    def sign(self) -> Value:
        return Cat(p[-1] for p in self.parts)

    def _each(self, values, width: int) -> "_Scalar":
        return _Scalar(self.m, [self._wire(v, signed(width)) for v in values], self.count)

    def planes(self) -> list[Value]:
        return [Cat(p[b] for p in self.parts) for b in range(self.width)]

    def resize(self, width: int) -> "_Scalar":
        return self._each(self.parts, width)

    def flip(self, mask: Value) -> "_Scalar":
        return self._each([Mux(mask[i], ~p, p) for i, p in enumerate(self.parts)], self.width)

    def keep(self, mask: Value) -> "_Scalar":
        return self._each([Mux(mask[i], p, 0) for i, p in enumerate(self.parts)], self.width)

    def select(self, mask: Value, other: "_Scalar") -> "_Scalar":
        pairs = zip(self.parts, other.parts, strict=True)
        return self._each(
            [Mux(mask[i], a, b) for i, (a, b) in enumerate(pairs)], max(self.width, other.width)
        )

    def plus(
        self, other: "_Scalar", carry: Value | None = None, *, width: int | None = None
    ) -> "_Scalar":
        width = width or max(self.width, other.width) + 1
        pairs = zip(self.parts, other.parts, strict=True)
        return self._each(
            [a + b + (0 if carry is None else carry[i]) for i, (a, b) in enumerate(pairs)], width
        )

    def plus_small(self, other: list[Value], width: int) -> "_Scalar":
        return self._each(
            [a + Cat(plane[i] for plane in other) for i, a in enumerate(self.parts)], width
        )

    def below(self, other: "_Scalar") -> Value:
        return Cat(a < b for a, b in zip(self.parts, other.parts, strict=True))

    def nonzero(self) -> Value:
        return Cat(p != 0 for p in self.parts)

    def shift_right(self, amount: list[Value], sticky: bool) -> "tuple[_Scalar, Value | None]":
        counts = [self._wire(Cat(plane[i] for plane in amount)) for i in range(self.count)]
        out = self._each([p >> c for p, c in zip(self.parts, counts, strict=True)], self.width)
        lost = None
        if sticky:
            lost = Cat(
                (p & ((Const(1, 1 << len(amount)) << c) - 1)[: self.width]) != 0
                for p, c in zip(self.parts, counts, strict=True)
            )
        return out, lost

    def shift_left(self, amount: list[Value]) -> "_Scalar":
        counts = [Cat(plane[i] for plane in amount) for i in range(self.count)]
        width = self.width + (1 << len(amount)) - 1
        return self._each([p << c for p, c in zip(self.parts, counts, strict=True)], width)

    def one_away_from_zero(self, mask: Value, negative: Value) -> "_Scalar":
        one = [Mux(negative[i], Const(-1, signed(self.width)), 1) for i in range(self.count)]
        return self._each([Mux(mask[i], one[i], p) for i, p in enumerate(self.parts)], self.width)

    def increment(self, mask: Value) -> "_Scalar":
        return self._each([p + mask[i] for i, p in enumerate(self.parts)], self.width)

    def decrement(self, mask: Value) -> "_Scalar":
        return self._each([p - mask[i] for i, p in enumerate(self.parts)], self.width)

    def saturate(self, width: int) -> "tuple[_Scalar, Value]":
        low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
        out = self._each([Mux(p < low, low, Mux(p > high, high, p)) for p in self.parts], width)
        return out, self._wire(Cat((p < low) | (p > high) for p in self.parts))

    def saturate_unsigned(self, width: int) -> "tuple[_Scalar, Value]":
        high = (1 << width) - 1
        out = [Mux(p < 0, 0, Mux(p > high, high, p)) for p in self.parts]
        clipped = self._wire(Cat((p < 0) | (p > high) for p in self.parts))
        return self._each(out, width + 1), clipped


def lanes_from_bits(
    m: Module, bits: Value, count: int, width: int, *, is_signed: bool = True, sliced: bool = True
) -> Lanes:
    """The lane vector that lies in ``bits`` plane after plane.

    An unsigned one gets a sign plane of 0.
    """
    planes = planes_of(bits, count)[:width]
    if not is_signed:
        planes.append(Const(0, count))
    return lanes_from_planes(m, planes, sliced=sliced)


def lanes_from_planes(m: Module, planes: Sequence[Value], *, sliced: bool) -> Lanes:
    """The lane vector whose bit b lies in ``planes[b]``; the last plane is the sign."""
    count = len(planes[0])
    if sliced:
        return _Sliced(m, list(planes), count)
    return _Scalar(m, [Cat(p[i] for p in planes).as_signed() for i in range(count)], count)


def planes_of(bits: Value, count: int) -> list[Value]:
    """The planes of ``count`` lanes that lie in ``bits`` one after the other."""
    return [bits[at : at + count] for at in range(0, len(bits), count)]


def total(m: Module, mask: Value) -> Value:
    """How many bits of ``mask`` are set: lanes folded in halves, a few wide gates per fold."""
    planes = [mask]
    while (count := len(planes[0])) > 1:
        half = -(-count // 2)
        low = _Sliced(m, [p[:half] for p in planes] + [Const(0, half)], half)
        high = [Cat(p[half:], Const(0, 2 * half - count)) for p in planes]
        planes = low.plus_small(high, len(planes) + 1).parts
    return Cat(*planes)
