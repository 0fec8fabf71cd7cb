"""The one memory of the chip: a simple dual-port RAM around ``ram.v``.

A word is written whole or by a chunk, on ``write_domain``. It is read whole, on ``read_domain``,
one cycle after the address; the load port sees the same word in chunks. Contents come from the load
port, from ``+name=FILE`` at time 0 ($readmemh) or from the simulation harness. They are undefined
after power-up, and a reset does not clear them.
"""

from amaranth.hdl import ClockSignal, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.names import RAM_MODULE
from spikeloop.pysim.chip.params import BUS_BITS

__all__ = ["RAM"]


class RAM(wiring.Component):
    """``rows`` words of ``width`` bits.

    Parameters
    ----------
    name: plusarg and instance name.
    width: bits of a word, >= 1.
    rows: words, >= 1.
    chunk: bits of a chunk (32 for the load port).
    read_domain: clock domain of the read port.
    write_domain: clock domain of the write ports.

    Members
    -------
    w_en: In(1)    write a whole word; it wins over a chunk.
    w_row: In      its row.
    w_data: In     the word.
    c_en: In(1)    write a chunk of a word.
    c_row: In      its row.
    c_index: In    number of the chunk in the word.
    c_data: In     the chunk.
    r_en: In(1)    read a word.
    r_zero: In(1)  read 0 instead.
    r_row: In      its row.
    r_data: Out    the word, one cycle later.
    r_index: In    which chunk of the word is ``r_chunk``.
    r_chunk: Out   that chunk.
    """

    def __init__(
        self,
        name: str,
        *,
        width: int,
        rows: int,
        chunk: int = BUS_BITS,
        read_domain: str = "sync",
        write_domain: str = "sync",
    ):
        self.name, self.width, self.rows, self.chunk = name, width, rows, chunk
        self.chunks = -(-width // chunk)
        self.row_bits = max(1, (rows - 1).bit_length())
        self.chunk_bits = max(1, (self.chunks - 1).bit_length())
        self.read_domain, self.write_domain = read_domain, write_domain
        super().__init__(
            {
                "w_en": In(1),
                "w_row": In(self.row_bits),
                "w_data": In(width),
                "c_en": In(1),
                "c_row": In(self.row_bits),
                "c_index": In(self.chunk_bits),
                "c_data": In(chunk),
                "r_en": In(1),
                "r_zero": In(1),
                "r_row": In(self.row_bits),
                "r_data": Out(width),
                "r_index": In(self.chunk_bits),
                "r_chunk": Out(chunk),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.ram = Instance(
            RAM_MODULE,
            p_NAME=self.name,
            p_WIDTH=self.width,
            p_ROWS=self.rows,
            p_ROW_BITS=self.row_bits,
            p_CHUNK=self.chunk,
            p_CHUNKS=self.chunks,
            p_CHUNK_BITS=self.chunk_bits,
            i_wclk=ClockSignal(self.write_domain),
            i_wen=self.w_en,
            i_waddr=self.w_row,
            i_wdata=self.w_data,
            i_cen=self.c_en,
            i_caddr=self.c_row,
            i_cindex=self.c_index,
            i_cdata=self.c_data,
            i_rclk=ClockSignal(self.read_domain),
            i_ren=self.r_en,
            i_rzero=self.r_zero,
            i_raddr=self.r_row,
            o_rdata=self.r_data,
            i_rindex=self.r_index,
            o_rchunk=self.r_chunk,
        )
        return m
