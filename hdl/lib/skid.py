"""Skid buffer: two places on a stream around ``skid.v``, for every stream that crosses a pin."""

from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.names import SKID_MODULE

__all__ = ["Skid"]


class Skid(wiring.Component):
    """Latency one cycle, throughput one per cycle.

    Members
    -------
    i: In, stream   of ``shape``.
    o: Out, stream  of ``shape``.
    """

    def __init__(self, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform) -> Module:
        m = Module()
        into, out = Value.cast(self.i.payload), Value.cast(self.o.payload)
        m.submodules.skid = Instance(
            SKID_MODULE,
            p_WIDTH=len(into),
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_i_valid=self.i.valid,
            o_i_ready=self.i.ready,
            i_i_payload=into,
            o_o_valid=self.o.valid,
            i_o_ready=self.o.ready,
            o_o_payload=out,
        )
        return m
