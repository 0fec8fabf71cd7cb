"""The bridge: all of a wrapper but the chip, which lies beside it under the top module."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.bus.loadport import request_layout
from spikeloop.hdl.wrap.axi_lite import AxiLite
from spikeloop.hdl.wrap.axi_stream import AxiStreamIn, AxiStreamOut
from spikeloop.hdl.wrap.pins import bus_pins
from spikeloop.hdl.wrap.port import Port
from spikeloop.hdl.wrap.spikes import Spikes
from spikeloop.hdl.wrap.wishbone import Wishbone
from spikeloop.pysim.chip.params import BUS_BITS
from spikeloop.pysim.chip.records import width
from spikeloop.pysim.chip.wrap import WrapMap

__all__ = ["Bridge"]

WISHBONE = {
    "adr": "adr_i",
    "dat_w": "dat_i",
    "dat_r": "dat_o",
    "sel": "sel_i",
    "we": "we_i",
    "cyc": "cyc_i",
    "stb": "stb_i",
    "ack": "ack_o",
    "err": "err_o",
}


class Bridge(wiring.Component):
    """The bridge.

    Members
    -------
    chip_request: Out, stream   requests of the load port.
    chip_response: In, stream   its answers.
    chip_i: Out, stream         events in.
    chip_o: In, stream          events out.
    chip_tick: Out(1)           runs a tick.
    chip_busy: In(1)            the chip is busy.

    The others are the pins of the bus (hdl/wrap/pins.py).
    """

    def __init__(self, map_: WrapMap):
        self.map = map_
        super().__init__(
            {
                "chip_request": Out(stream.Signature(request_layout(map_.load_bits))),
                "chip_response": In(stream.Signature(BUS_BITS)),
                "chip_i": Out(stream.Signature(width(map_.event_in))),
                "chip_o": In(stream.Signature(width(map_.event_out))),
                "chip_tick": Out(1),
                "chip_busy": In(1),
                **{
                    pin.name: In(pin.width) if pin.into else Out(pin.width)
                    for pin in bus_pins(map_)
                },
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        map_ = self.map
        m.submodules.port = port = Port(map_)
        m.submodules.spikes = spikes = Spikes(map_)
        if map_.streams:
            m.submodules.bus = bus = AxiLite(map_.byte_bits)
            m.submodules.stream_in = stream_in = AxiStreamIn()
            m.submodules.stream_out = stream_out = AxiStreamOut()
            wiring.connect(m, stream_in.words, spikes.words)
            wiring.connect(m, spikes.out, stream_out.words)
            self._pins(m, bus, "s_axi_", {})
            self._pins(m, stream_in, "s_axis_", {})
            self._pins(m, stream_out, "m_axis_", {})
        else:
            m.submodules.bus = bus = Wishbone(map_.byte_bits)
            self._pins(m, bus, "wb_", WISHBONE)
        wiring.connect(m, bus.access, port.access)
        wiring.connect(m, port.request, wiring.flipped(self.chip_request))
        wiring.connect(m, wiring.flipped(self.chip_response), port.response)
        wiring.connect(m, port.sent, spikes.sent)
        wiring.connect(m, spikes.received, port.received)
        wiring.connect(m, spikes.i, wiring.flipped(self.chip_i))
        wiring.connect(m, wiring.flipped(self.chip_o), spikes.o)
        m.d.comb += [
            spikes.collect.eq(port.collect),
            spikes.busy.eq(self.chip_busy),
            self.chip_tick.eq(spikes.tick),
            self.busy.eq(self.chip_busy | spikes.waiting),
        ]
        return m

    def _pins(self, m: Module, part: wiring.Component, prefix: str, names: dict) -> None:
        """Connects the plain members of a part to the pins of their names (or of ``names``)."""
        for name, member in part.signature.members.items():
            if member.is_port:
                pin, inner = getattr(self, prefix + names.get(name, name)), getattr(part, name)
                m.d.comb += inner.eq(pin) if member.flow == In else pin.eq(inner)
