"""Scanner: walks a memory of 64-bit chunks and yields the index of each set bit, one per cycle.

A silent chunk takes one cycle; a chunk of n set bits takes n. From ``start`` to the cycle of
``last``, both included:

    2 + sum over chunks of max(1, popcount)

In dense mode every position is yielded, and ``hit`` tells whether its bit is set.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.pysim.chip.params import SCAN_BITS

__all__ = ["Scanner"]


class Scanner(wiring.Component):
    """Walks ``rows`` rows of ``bits`` << ``size`` positions in chunks, ``size`` being 0..``sizes``.

    Members
    -------
    size: In         log2 of how many times ``bits`` positions a row has.
    last_chunk: Out  number of the last chunk of a row of this size.
    start: In(1)     begin.
    step: In(1)      0 holds everything (back-pressure).
    dense: In(1)     yield every position.
    row: Out         row of the chunk to read next.
    chunk: Out       number of this chunk.
    read: Out(1)     read it now.
    data: In         the chunk, one cycle after ``read``.
    loaded: Out(1)   ``data`` is being taken.
    load_row: Out    row of the chunk in ``data``.
    load_chunk: Out  number of this chunk.
    valid: Out(1)    a position is yielded.
    hit: Out(1)      its bit is set.
    index_row: Out   its row.
    index: Out       its number in the row.
    last: Out(1)     final cycle.
    """

    def __init__(self, *, rows: int, bits: int, sizes: int = 0):
        self.rows, self.bits, self.sizes = rows, bits, sizes
        self.chunks = chunks = -(-(bits << sizes) // SCAN_BITS)
        self.row_bits = max(1, (rows - 1).bit_length())
        self.chunk_bits = max(1, (chunks - 1).bit_length())
        self.index_bits = (chunks * SCAN_BITS - 1).bit_length()
        super().__init__(
            {
                "size": In(max(1, sizes.bit_length())),
                "last_chunk": Out(self.chunk_bits),
                "start": In(1),
                "step": In(1),
                "dense": In(1),
                "row": Out(self.row_bits),
                "chunk": Out(self.chunk_bits),
                "read": Out(1),
                "data": In(SCAN_BITS),
                "loaded": Out(1),
                "load_row": Out(self.row_bits),
                "load_chunk": Out(self.chunk_bits),
                "valid": Out(1),
                "hit": Out(1),
                "index_row": Out(self.row_bits),
                "index": Out(self.index_bits),
                "last": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        # primed: a chunk is being read. running: positions are left. more: chunks are left to read.
        primed, running, more = Signal(), Signal(), Signal()
        row, chunk = Signal(self.row_bits), Signal(self.chunk_bits)
        rest, set_bits, index_chunk = Signal(SCAN_BITS), Signal(SCAN_BITS), Signal(self.chunk_bits)

        lowest, without = Signal(SCAN_BITS), Signal(SCAN_BITS)
        m.d.comb += [without.eq(rest & (rest - 1)), lowest.eq(rest & ~without)]
        finished = Signal()  # this chunk yields nothing after this cycle
        index = [(lowest & _bits_where(b)).any() for b in range(6)]
        if self.chunks > 1:
            index.append(index_chunk)
        m.d.comb += [
            finished.eq(without == 0),
            self.valid.eq(running & (rest != 0)),
            self.hit.eq((set_bits & lowest).any()),
            self.last.eq(running & finished & ~primed & self.step),
            self.index.eq(Cat(*index)),
        ]
        # last chunk of a row, and last position in it, by size
        ends = [divmod((self.bits << size) - 1, SCAN_BITS) for size in range(self.sizes + 1)]
        exists = Signal(SCAN_BITS)
        with m.Switch(self.size):
            for size, (chunk_index, position) in enumerate(ends):
                with m.Case(size) if size < self.sizes else m.Default():
                    tail = Const((2 << position) - 1, SCAN_BITS)
                    m.d.comb += [
                        self.last_chunk.eq(chunk_index),
                        exists.eq(Mux(self.load_chunk == chunk_index, tail, (1 << SCAN_BITS) - 1)),
                    ]
        load = Signal()
        m.d.comb += [
            load.eq(primed & (~running | (finished & self.step))),
            self.loaded.eq(load),
            self.read.eq(self.start | (load & more)),
            self.row.eq(Mux(self.start, 0, row)),
            self.chunk.eq(Mux(self.start, 0, chunk)),
        ]
        with m.If(self.read):
            m.d.sync += [primed.eq(1), self.load_row.eq(self.row), self.load_chunk.eq(self.chunk)]
            with m.If(self.chunk == self.last_chunk):
                m.d.sync += [chunk.eq(0), row.eq(self.row + 1), more.eq(self.row != self.rows - 1)]
            with m.Else():
                m.d.sync += [chunk.eq(self.chunk + 1), row.eq(self.row), more.eq(1)]
        with m.Elif(load):
            m.d.sync += primed.eq(0)
        with m.If(load):
            m.d.sync += [
                running.eq(1),
                rest.eq(Mux(self.dense, exists, self.data)),
                set_bits.eq(self.data),
                self.index_row.eq(self.load_row),
                index_chunk.eq(self.load_chunk),
            ]
        with m.Elif(running & self.step):
            m.d.sync += [rest.eq(without), running.eq(~finished)]
        return m


def _bits_where(b: int) -> Const:
    """The positions of a chunk whose index has bit ``b`` set."""
    return Const(sum(1 << i for i in range(SCAN_BITS) if i >> b & 1), SCAN_BITS)
