"""The fabric as it is benched: behind one register per source, as a core has one.

What happens inside is in sight.

    python -m tests.cocotb.benches.fabric_top WIDTH HEIGHT {gated,free} FILE

writes the Verilog.
"""

import sys
from pathlib import Path

from amaranth.hdl import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.fabric.fabric import Fabric
from spikeloop.hdl.fabric.router import PORTS, packet_layout
from spikeloop.hdl.lib.skid import Skid
from spikeloop.hdl.verilog import convert, whole
from spikeloop.pysim.chip.fabric import Mesh

__all__ = ["EVENT_BITS", "FabricTop", "write"]

EVENT_BITS = 24  # what a packet carries here: source << 16 | number


class FabricTop(wiring.Component):
    """The fabric of ``mesh`` as a top.

    Members
    -------
    i: In, streams   as those of the fabric.
    o: Out, streams  as those of the fabric.
    busy: Out(1)     as that of the fabric.
    sent: Out        per core, the fabric takes a packet from it in this cycle.
    delivered: Out   per core, it takes its copy in this cycle.
    fired: Out       per core and port of PORTS, a packet leaves the router there in this cycle.
    """

    def __init__(self, mesh: Mesh, *, clock_gates: bool):
        self.mesh, self.fabric, self.packet = (
            mesh,
            Fabric(mesh, EVENT_BITS, clock_gates=clock_gates),
            packet_layout(mesh, EVENT_BITS),
        )
        super().__init__(
            {
                "i": In(stream.Signature(self.packet)).array(len(mesh)),
                "o": Out(stream.Signature(EVENT_BITS)).array(len(mesh)),
                "busy": Out(1),
                "sent": Out(len(mesh)),
                "delivered": Out(len(mesh)),
                "fired": Out(len(mesh) * len(PORTS)),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.fabric = fabric = self.fabric
        for number in range(len(self.mesh)):
            m.submodules[f"register_{number}"] = register = Skid(self.packet)
            wiring.connect(m, wiring.flipped(self.i[number]), register.i)
            wiring.connect(m, register.o, fabric.i[number])
            wiring.connect(m, fabric.o[number], wiring.flipped(self.o[number]))
        ports = [router.o.get(port) for router in fabric.routers.values() for port in PORTS]
        m.d.comb += [
            self.busy.eq(fabric.busy),
            self.sent.eq(Cat(i.valid & i.ready for i in fabric.i)),
            self.delivered.eq(Cat(o.valid & o.ready for o in fabric.o)),
            self.fired.eq(Cat(o.valid & o.ready if o else 0 for o in ports)),
        ]
        return m


def write(mesh: Mesh, file: Path, *, clock_gates: bool) -> None:
    """The Verilog of the top, ``fabric_bench``."""
    file.write_text(whole(convert(FabricTop(mesh, clock_gates=clock_gates), "fabric_bench")))


if __name__ == "__main__":
    write(
        Mesh(int(sys.argv[1]), int(sys.argv[2])),
        Path(sys.argv[4]),
        clock_gates=sys.argv[3] == "gated",
    )
