"""AER router: five ports, XY order, multicast over a rectangle of cores, one flit a packet.

The router at (X, Y) sends a packet for the rectangle x0..x1 by y0..y1 to all of these at once:

    east   if x1 > X
    west   if x0 < X
    north  if y1 > Y and x0 <= X <= x1
    south  if y0 < Y and x0 <= X <= x1
    local  if y0 <= Y <= y1 and x0 <= X <= x1

East is X + 1, north is Y + 1. TURNS then removes the outputs that break the order: x first, then y,
never back.

An input is a queue of two places (hdl/lib/skid.py). Two are the fewest that pass a packet per cycle
although no handshake crosses a router within a cycle. A packet stays at the head of its queue until
every output it forks to has taken it, each once, in any order. An output serves its inputs in turn
(round robin) and holds on to what it offers. A hop takes one cycle.

Source: Zou et al. 2021, section 2.4 (AER router, multicast); docs/fabric.md (order, no deadlock).
"""

from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spikeloop.hdl.lib.skid import Skid
from spikeloop.pysim.chip.fabric import Mesh
from spikeloop.pysim.chip.records import packet_record

__all__ = ["PORTS", "TURNS", "Crossbar", "Router", "in_turn", "packet_layout", "ports_at"]

TURNS = {  # output: inputs whose packets may leave by it
    "local": ("local", "east", "west", "north", "south"),
    "east": ("local", "west"),
    "west": ("local", "east"),
    "north": ("local", "east", "west", "south"),
    "south": ("local", "east", "west", "north"),
}
PORTS = tuple(TURNS)


def packet_layout(mesh: Mesh, shape) -> data.StructLayout:
    """A packet: the rectangle of its destinations, and what it carries, of ``shape``."""
    return data.StructLayout(
        {**{f.name: f.bits for f in packet_record(mesh.width, mesh.height)}, "payload": shape}
    )


def ports_at(mesh: Mesh, x: int, y: int) -> list[str]:
    """The ports of the router at (x, y): at the edge of the mesh some are not built."""
    there = {
        "local": True,
        "east": x < mesh.width - 1,
        "west": x > 0,
        "north": y < mesh.height - 1,
        "south": y > 0,
    }
    return [port for port in PORTS if there[port]]


def in_turn(request: Value, turn: Value) -> Value:
    """Grants one request: one bit set, or none if nothing is requested.

    It is the lowest request among those in ``turn``; if none of these is requested, the lowest.
    """
    first = Mux((request & turn).any(), request & turn, request)
    return first & -first


def _signature(ports: list[str], layout: data.StructLayout) -> dict:
    return {
        f"{way}_{port}": flow(stream.Signature(layout))
        for port in ports
        for way, flow in (("i", In), ("o", Out))
    }


class Crossbar(wiring.Component):
    """From the heads of the queues to the outputs.

    A packet that goes nowhere (its rectangle lies outside the mesh) is taken and dropped.

    Members
    -------
    i_<port>: In, stream   packets at the heads of the queues; by port in ``i``.
    o_<port>: Out, stream  packets to the neighbours and the core; by port in ``o``.
    """

    def __init__(self, mesh: Mesh, x: int, y: int, shape):
        self.ports, self.x, self.y = ports_at(mesh, x, y), x, y
        super().__init__(_signature(self.ports, packet_layout(mesh, shape)))
        self.i = {port: getattr(self, f"i_{port}") for port in self.ports}
        self.o = {port: getattr(self, f"o_{port}") for port in self.ports}

    def elaborate(self, platform) -> Module:
        m = Module()
        wants = {}  # [input, output]: the packet at the head is still to go there
        takes = {}  # [input, output]: it goes there now
        for source in self.ports:
            outputs = [port for port in self.ports if source in TURNS[port]]
            goes, served, taken = (
                Signal(len(outputs), name=f"{source}_{name}")
                for name in ("goes", "served", "taken")
            )
            done = self.i[source].ready
            m.d.comb += [
                goes.eq(Cat(self._goes(self.i[source].p)[port] for port in outputs)),
                done.eq(~(goes & ~served & ~taken).any()),
            ]
            with m.If(self.i[source].valid):
                m.d.sync += served.eq(Mux(done, 0, served | taken))
            for at, port in enumerate(outputs):
                wants[source, port] = self.i[source].valid & goes[at] & ~served[at]
                takes[source, port] = taken[at]

        for port, output in self.o.items():
            sources = [source for source in TURNS[port] if source in self.ports]
            request, grant = (
                Signal(len(sources), name=f"{port}_request"),
                Signal(len(sources), name=f"{port}_grant"),
            )
            turn = Signal(
                len(sources), name=f"{port}_turn", reset_less=True
            )  # inputs that come before the others
            m.d.comb += [
                request.eq(Cat(wants[source, port] for source in sources)),
                grant.eq(in_turn(request, turn)),
                output.valid.eq(request.any()),
                output.payload.eq(
                    reduce(
                        or_,
                        (
                            Mux(grant[at], self.i[source].payload, 0)
                            for at, source in enumerate(sources)
                        ),
                    )
                ),
            ]
            m.d.comb += [
                takes[source, port].eq(grant[at] & output.ready)
                for at, source in enumerate(sources)
            ]
            with m.If(
                output.valid
            ):  # taken: the turn is at those after it; held up: still at this one
                m.d.sync += turn.eq(~(Mux(output.ready, grant << 1, grant) - 1))
        return m

    def _goes(self, packet) -> dict:
        def within(low, high, at: int):
            # no number is below 0: a lint would say so of the comparison
            return (low <= at) & (high >= at) if at else low == 0

        column = within(packet.x0, packet.x1, self.x)
        row = within(packet.y0, packet.y1, self.y)
        return {
            "local": column & row,
            "east": packet.x1 > self.x,
            "west": packet.x0 < self.x if self.x else Const(0),
            "north": column & (packet.y1 > self.y),
            "south": column & (packet.y0 < self.y) if self.y else Const(0),
        }


class Router(wiring.Component):
    """The router at (x, y) of a mesh, for packets that carry ``shape``.

    Members
    -------
    i_<port>: In, stream   packets from the neighbour or the core at this port; by port in ``i``.
    o_<port>: Out, stream  packets to it; by port in ``o``.
    busy: Out(1)           a packet is inside.
    active: Out(1)         a packet is inside or comes; otherwise the clock may rest.
    """

    def __init__(self, mesh: Mesh, x: int, y: int, shape):
        self.crossbar, self.layout = Crossbar(mesh, x, y, shape), packet_layout(mesh, shape)
        self.ports = self.crossbar.ports
        super().__init__({**_signature(self.ports, self.layout), "busy": Out(1), "active": Out(1)})
        self.i = {port: getattr(self, f"i_{port}") for port in self.ports}
        self.o = {port: getattr(self, f"o_{port}") for port in self.ports}

    def elaborate(self, platform) -> Module:
        m = Module()
        m.submodules.crossbar = crossbar = self.crossbar
        queues = {port: Skid(self.layout) for port in self.ports}
        for port, queue in queues.items():
            m.submodules[f"{port}_queue"] = queue
            wiring.connect(m, wiring.flipped(self.i[port]), queue.i)
            wiring.connect(m, queue.o, crossbar.i[port])
            wiring.connect(m, crossbar.o[port], wiring.flipped(self.o[port]))
        m.d.comb += [
            self.busy.eq(Cat(queue.o.valid for queue in queues.values()).any()),
            self.active.eq(self.busy | Cat(i.valid for i in self.i.values()).any()),
        ]
        return m
