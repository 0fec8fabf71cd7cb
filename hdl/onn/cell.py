"""What both cells of the macro have in common: their ports, and rows of registers (docs/onn.md)."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.onn.memories import load_layout, settings_layout
from spikeloop.pysim.onn.memories import memories
from spikeloop.pysim.onn.params import OnnParams

__all__ = ["Cell", "row"]


def row(name: str, bits: int, count: int) -> list[Signal]:
    """``count`` registers ``name``_0, ``name``_1, ...; reset leaves them."""
    return [Signal(bits, name=f"{name}_{i}", reset_less=True) for i in range(count)]


class Cell(wiring.Component):
    """A cell: ``width`` bits show an oscillator, ``more`` are the ports of this cell alone.

    Members
    -------
    settings: In       as loaded.
    held: In           an access of the host, in domain "port".
    step: In           n, steps done.
    none: In(1)        no reading has been so far.
    turn: In           number of the pass.
    selfing: In(1)     a digit of the rate is subtracted; else a column is added.
    first: In(1)       it is the first of the pass.
    digit: In          digit of the rate.
    source: In         oscillator whose column is fetched.
    column: In         its couplings to the lanes.
    coupled: Out(1)    this step adds the couplings.
    reads: Out(1)      this step is a reading.
    kept: Out(1)       the reading changes nothing.
    length: Out        steps of the period that ends.
    clips: Out(64)     counter.
    crossings: Out(64) counter.
    word: Out(32)      the chunk of state that ``held`` names.
    units: Out         state of all oscillators, one port each.
    """

    def __init__(self, p: OnnParams, width: int, more: dict[str, wiring.Member] | None = None):
        self.p = p
        super().__init__(
            {
                "settings": In(settings_layout(p)),
                "held": In(load_layout(p)),
                "step": In(24),
                "none": In(1),
                "turn": In(range(max(2, p.passes))),
                "selfing": In(1),
                "first": In(1),
                "digit": In(range(max(2, p.digits))),
                "source": In(range(p.oscillators + 1)),
                "column": In(p.lanes * p.coupling_bits),
                **(more or {}),
                "coupled": Out(1),
                "reads": Out(1),
                "kept": Out(1),
                "length": Out(16),
                "clips": Out(64),
                "crossings": Out(64),
                "word": Out(32),
                **{f"unit_{i}": Out(width) for i in range(p.oscillators)},
            }
        )

    def watch_host(self, m: Module) -> None:
        """Adds ``writing``: the host writes a row of state."""
        number = [memory.name for memory in memories(self.p)].index("state")
        self.writing = Signal()
        m.d.comb += self.writing.eq(self.held.en & self.held.write & (self.held.memory == number))
