"""The bit line of one PIM unit: what the raised rows add up to, held for its converter.

    cell' = (cell & ~stuck0) | stuck1
    v     = clip(sum over rows of x * value(cell'), -limit, limit)

These are steps 1 to 3 of docs/pim.md. In a real macro this is charge on a wire. Here it is an adder
tree over all raised rows, so that the phases take the cycles of the macro. It takes two edges of
domain "blp": segment sums, then their attenuated and clipped total. Between them the first stage
holds.
"""

from amaranth.hdl import ClockSignal, Instance, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.domains import clocks_by_ports
from spikeloop.hdl.lib.ram import RAM
from spikeloop.hdl.names import UNIT_MODULE
from spikeloop.pysim.pim.layer import SEGMENTS, PimParams
from spikeloop.pysim.pim.memories import KEEP_BITS

__all__ = ["PimUnit", "place_units"]


class PimUnit(wiring.Component):
    """The bit line of one unit.

    Members
    -------
    x: In            pulses of all raised rows.
    cells: In        the unit's columns, row after row.
    stuck0: In       cells that are stuck at 0.
    stuck1: In       cells that are stuck at 1.
    limit: In        what clips the value.
    keep: In         with IR drop: what the segments keep, in 1/256.
    v: Out           the value, held.
    clipped: Out(1)  the limit acted.
    blp_clk: In(1)   clock of the domain, gated; no register is reset.
    """

    def __init__(self, p: PimParams):
        self.p = p
        cells = p.active_rows * p.unit_bits
        super().__init__(
            {
                "x": In(p.active_rows * p.pulse_bits),
                "cells": In(cells),
                "stuck0": In(cells),
                "stuck1": In(cells),
                "limit": In(p.value_bits - 1),
                **({"keep": In(SEGMENTS * KEEP_BITS)} if p.ir_drop else {}),
                "v": Out(signed(p.value_bits)),
                "clipped": Out(1),
                "blp_clk": In(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m, p = Module(), self.p
        clocks_by_ports(m, self, ["blp"])
        actual = Signal(len(self.cells))
        m.d.comb += actual.eq((self.cells & ~self.stuck0) | self.stuck1)
        segments: dict[int, list] = {}
        for row in range(p.active_rows):
            value = actual[row * p.unit_bits : (row + 1) * p.unit_bits]
            pulse = self.x[row * p.pulse_bits : (row + 1) * p.pulse_bits]
            # as wide as the sum: a simulator then multiplies words without masks in between
            product = Signal(signed(p.value_bits), name=f"product_{row}")
            m.d.comb += product.eq(pulse * (value.as_signed() if p.merged else value))
            segments.setdefault(row * SEGMENTS // p.active_rows if p.ir_drop else 0, []).append(
                product
            )
        parts = []
        for segment, products in segments.items():
            part = Signal(signed(p.value_bits), name=f"part_{segment}", reset_less=True)
            m.d.blp += part.eq(_tree(products))
            keep = self.keep[segment * KEEP_BITS : (segment + 1) * KEEP_BITS] if p.ir_drop else None
            parts.append(part if keep is None else (part * keep) >> 8)
        total = Signal(signed(p.value_bits))
        below, above = Signal(), Signal()
        m.d.comb += [
            total.eq(_tree(parts)),
            above.eq(total > self.limit),
            below.eq(total < -self.limit),
        ]
        held, clipped = Signal.like(self.v, reset_less=True), Signal(reset_less=True)
        m.d.blp += [
            held.eq(Mux(above, self.limit, Mux(below, -self.limit, total))),
            clipped.eq(above | below),
        ]
        m.d.comb += [self.v.eq(held), self.clipped.eq(clipped)]
        return m


def place_units(
    m: Module, p: PimParams, rams: dict[str, RAM], x: Value, limit: Signal
) -> list[tuple[Signal, Signal]]:
    """Adds the units of all banks to ``m`` as instances; their outputs v and clipped, in order.

    Parameters
    ----------
    rams: the macro's memories, by name.
    x: the pulses of all raised rows, which all units see.
    limit: what clips the bit lines.
    """
    units, bits = [], p.active_rows * p.unit_bits
    for number in range(p.banks * p.units):
        bank, unit = divmod(number, p.units)
        v = Signal(signed(p.value_bits), name=f"v_{number}")
        clipped = Signal(name=f"clipped_{number}")
        cells, stuck0, stuck1 = (
            rams[f"{kind}{bank}"].r_data[unit * bits : (unit + 1) * bits]
            for kind in ("weights", "stuck0_", "stuck1_")
        )
        m.submodules[f"unit_{number}"] = Instance(
            UNIT_MODULE,
            i_blp_clk=ClockSignal("blp"),
            i_x=x,
            i_cells=cells,
            i_stuck0=stuck0,
            i_stuck1=stuck1,
            i_limit=limit,
            **({"i_keep": rams["keep"].r_data} if p.ir_drop else {}),
            o_v=v,
            o_clipped=clipped,
        )
        units.append((v, clipped))
    return units


def _tree(values: list):
    """Their sum, in pairs."""
    while len(values) > 1:
        values = [sum(values[at : at + 2]) for at in range(0, len(values), 2)]
    return values[0]
