"""The fabric: a mesh of routers, one for each core; packets in, events out.

While no packet is inside and none comes, the whole fabric sleeps behind one clock gate. There is
one gate for all routers, because a gate costs the simulator as much as a quarter of a router in
every cycle, and the cores of a mesh emit at the same time.

Source: Zou et al. 2021, section 2.4; docs/fabric.md.
"""

from amaranth.hdl import Cat, ClockDomain, ClockSignal, DomainRenamer, Instance, Module, ResetSignal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.fabric.router import Router, packet_layout
from spikeloop.hdl.names import CLOCK_GATE_MODULE
from spikeloop.pysim.chip.fabric import Mesh

__all__ = ["Fabric"]

LINKS = {"east": "west", "north": "south"}  # output: the input it leads to, of the neighbour there


class Fabric(wiring.Component):
    """The routers of ``mesh``, for packets that carry ``shape``.

    Members (lists by core number)
    -------
    i: In, streams    packets from the cores. With ``clock_gates``, ``valid`` must come from a
                      register: the gate looks at it in mid-cycle.
    o: Out, streams   what the packets carry, to the cores. A core must become ready in the end,
                      whatever the fabric does.
    busy: Out(1)      from the cycle after a packet is taken up to the cycle in which the last core
                      takes its copy.
    """

    def __init__(self, mesh: Mesh, shape, *, clock_gates: bool = True):
        self.mesh, self.clock_gates = mesh, clock_gates
        self.routers = {core: Router(mesh, *core, shape) for core in mesh}
        super().__init__(
            {
                "i": In(stream.Signature(packet_layout(mesh, shape))).array(len(mesh)),
                "o": Out(stream.Signature(shape)).array(len(mesh)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform) -> Module:
        m = Module()
        m.domains.fabric = domain = ClockDomain("fabric")
        m.d.comb += domain.rst.eq(ResetSignal())
        routers = self.routers.values()
        if self.clock_gates:
            enable = Cat(router.active for router in routers).any() | ResetSignal()
            m.submodules.gate = Instance(
                CLOCK_GATE_MODULE, i_clk=ClockSignal(), i_enable=enable, o_gated=domain.clk
            )
        else:
            m.d.comb += domain.clk.eq(ClockSignal())
        for (x, y), router in self.routers.items():
            m.submodules[f"router_{x}_{y}"] = DomainRenamer("fabric")(router)
            number = self.mesh.number((x, y))
            wiring.connect(m, wiring.flipped(self.i[number]), router.i["local"])
            m.d.comb += [
                self.o[number].valid.eq(router.o["local"].valid),
                router.o["local"].ready.eq(self.o[number].ready),
                self.o[number].payload.eq(router.o["local"].p.payload),
            ]
            for port, opposite in LINKS.items():
                if port in router.ports:
                    neighbour = self.routers[(x + 1, y) if port == "east" else (x, y + 1)]
                    wiring.connect(m, router.o[port], neighbour.i[opposite])
                    wiring.connect(m, neighbour.o[opposite], router.i[port])
        m.d.comb += self.busy.eq(Cat(router.busy for router in routers).any())
        return m
