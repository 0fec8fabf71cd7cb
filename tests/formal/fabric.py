"""Router and fabric: each packet leaves by every output it is for, once, unchanged, in order.

A token is one packet, chosen freely, that carries a bit which no other does. A second token comes
from the same input behind it. Sources keep what they offer until it is taken. From some time on,
chosen freely, nothing more comes and every output is ready: then the part must run empty.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Mux, Signal, Value
from amaranth.lib import data

from spikeloop.cosim.audit.bench import Bench
from spikeloop.hdl.fabric.fabric import Fabric
from spikeloop.hdl.fabric.router import TURNS, Router
from spikeloop.pysim.chip.fabric import Mesh
from tests.campaigns.fault_list.fault import Fault
from tests.formal.case import Case

__all__ = ["CASES"]

PAYLOAD = 2  # bit 0: the first token; bit 1: the second
Goes = Callable[[data.View, int], Value]


class Traffic:
    """A bench around a part with streams ``ins`` and ``outs``.

    goes: outputs that a packet at an input is for, a bit each.
    carried: what of a packet an output shows.
    """

    def __init__(self, part, ins: Sequence, outs: Sequence, layout, mesh: Mesh, goes: Goes):
        self.bench = bench = Bench()
        self.m, self.part, self.ins, self.outs = bench.m, part, ins, outs
        self.m.submodules.part = part
        n, m = len(ins), bench.m
        self.valid, self.ready = bench.free(n, "valid"), bench.free(n, "ready")
        raw = [bench.free(len(Value.cast(i.payload)), f"packet{k}") for k, i in enumerate(ins)]
        self.packets = [data.View(layout, packet) for packet in raw]
        stop, stopped = bench.free(1, "stop"), Signal()
        m.d.sync += stopped.eq(stopped | stop)
        bench.assume(~stopped | ((self.valid == 0) & self.ready.all()))
        for k, packet in enumerate(self.packets):
            m.d.comb += [
                ins[k].valid.eq(self.valid[k]),
                Value.cast(ins[k].payload).eq(raw[k]),
                outs[k].ready.eq(self.ready[k]),
            ]
            inside = (packet.x0 <= packet.x1) & (packet.x1 < mesh.width)
            inside &= (packet.y0 <= packet.y1) & (packet.y1 < mesh.height)
            bench.assume(~self.valid[k] | inside)
            waits = bench.past(self.valid[k] & ~ins[k].ready, f"waits{k}")
            kept = self.valid[k] & (raw[k] == bench.past(raw[k], f"offered{k}"))
            bench.assume(~waits | stopped | kept)
        self._tokens(raw, goes)
        self.drained = Signal(8)
        with m.If(stopped & part.busy):
            m.d.sync += self.drained.eq(self.drained + 1)

    def _tokens(self, raw: list[Signal], goes: Goes) -> None:
        bench, m, n = self.bench, self.m, len(self.ins)
        first_in, second_in, offers, source = (
            Signal(n, name=name) for name in ("first_in", "second_in", "offers", "source")
        )
        first, second = Signal(), Signal()  # the tokens are in, or were
        taken = [self.valid[k] & i.ready for k, i in enumerate(self.ins)]
        bits = [packet.payload for packet in self.packets]
        m.d.comb += [
            offers.eq(Cat(self.valid[k] & bits[k][0] for k in range(n))),
            first_in.eq(Cat(taken[k] & bits[k][0] for k in range(n))),
            second_in.eq(Cat(taken[k] & bits[k][1] for k in range(n))),
        ]
        bench.assume((offers & (offers - 1)) == 0)
        for k in range(n):
            bench.assume(~self.valid[k] | ~(bits[k][0] & first) & ~bits[k].all())
            behind = first & source[k] & ~second
            bench.assume(~(self.valid[k] & bits[k][1]) | behind)
        self.packet = Signal(len(raw[0]))
        self.wanted = [Signal(n, name=f"wanted{t}") for t in (1, 2)]
        self.got = [Signal(n, name=f"got{t}") for t in (1, 2)]
        for entered, seen, wanted in zip(
            (first_in, second_in), (first, second), self.wanted, strict=True
        ):
            destinations = [goes(packet, k) for k, packet in enumerate(self.packets)]
            with m.If(entered.any()):
                m.d.sync += [
                    seen.eq(1),
                    wanted.eq(
                        reduce(or_, (Mux(entered[k], d, 0) for k, d in enumerate(destinations)))
                    ),
                ]
        with m.If(first_in.any()):
            m.d.sync += [
                source.eq(first_in),
                self.packet.eq(reduce(or_, (Mux(first_in[k], raw[k], 0) for k in range(n)))),
            ]
        self.leaves = []
        for token, got in enumerate(self.got):
            leaves = Signal(n, name=f"leaves{token}")
            shown = [self._payload(o)[token] for o in self.outs]
            m.d.comb += leaves.eq(
                Cat(o.valid & self.ready[k] & shown[k] for k, o in enumerate(self.outs))
            )
            m.d.sync += got.eq(got | leaves)
            self.leaves.append(leaves)

    def _payload(self, output) -> Value:
        """What a packet carries: of a router's output a field, of the fabric's all of it."""
        whole = Value.cast(output.payload)
        return whole[len(whole) - PAYLOAD :]

    def check(self, *names: str, drains: int = 0, age: int = 0) -> Bench:
        """The bench with the checks of these names."""
        bench, m = self.bench, self.m
        leaves, got, wanted = self.leaves, self.got, self.wanted
        same = []
        for o in self.outs:
            payload = Value.cast(o.payload)
            sent = self.packet[len(self.packet) - len(payload) :]
            same.append(~(o.valid & self._payload(o)[0]) | (payload == sent))
        stable = []
        for k, o in enumerate(self.outs):
            held = bench.past(o.valid & ~self.ready[k], f"held{k}")
            before = bench.past(o.payload, f"shown{k}")
            stable.append(~held | (o.valid & (Value.cast(o.payload) == before)))
        late, at_once = Signal(8), Signal(init=1)
        m.d.sync += at_once.eq(at_once & self.ready.all())
        with m.If((wanted[0] & ~got[0]).any()):
            m.d.sync += late.eq(late + 1)
        checks = {
            "once": (leaves[0] & got[0]) == 0,
            "where it is for": (leaves[0] & ~wanted[0]) == 0,
            "unchanged": Cat(same).all(),
            "in order": (leaves[1] & wanted[0] & ~got[0]) == 0,
            "all of it": self.part.busy | ((got[0] == wanted[0]) & (got[1] == wanted[1])),
            "stable": Cat(stable).all(),
            "drains": self.drained < drains,
            "fair": ~at_once | (late < age),
        }
        for name in names:
            bench.check(name, checks[name])
        return bench


def router(side: int, place: tuple[int, int]) -> Traffic:
    """The router at a place of a mesh with that side."""
    mesh, (x, y) = Mesh(side, side), place
    part = Router(mesh, x, y, PAYLOAD)

    def goes(p: data.View, source: int) -> Value:
        column, row = (p.x0 <= x) & (x <= p.x1), (p.y0 <= y) & (y <= p.y1)
        ways = {
            "local": column & row,
            "east": p.x1 > x,
            "west": p.x0 < x,
            "north": column & (p.y1 > y),
            "south": column & (p.y0 < y),
        }
        turns = part.ports[source]
        return Cat(ways[o] if turns in TURNS[o] else Const(0, 1) for o in part.ports)

    ins, outs = ([getattr(part, f"{way}_{port}") for port in part.ports] for way in "io")
    return Traffic(part, ins, outs, part.layout, mesh, goes)


def fabric(width: int, height: int) -> Traffic:
    """A mesh of that size. Its clock gate is left out."""
    mesh = Mesh(width, height)
    part = Fabric(mesh, PAYLOAD, clock_gates=False)

    def goes(p: data.View, source: int) -> Value:
        return Cat((p.x0 <= x) & (x <= p.x1) & (p.y0 <= y) & (y <= p.y1) for x, y in mesh)

    return Traffic(part, list(part.i), list(part.o), part.i[0].p.shape(), mesh, goes)


SERVED = Fault(
    "served-forgotten",
    "fabric/router.py",
    "Mux(done, 0, served | taken)",
    "Mux(done, 0, served & taken)",
    "a fork forgets which outputs have it",
)
TURN = Fault(
    "offer-withdrawn",
    "fabric/router.py",
    "Mux(output.ready, grant << 1, grant)",
    "grant << 1",
    "an output goes on to its next input while it is held up",
)
EARLY = Fault(
    "fork-leaves-early",
    "fabric/router.py",
    "~(goes & ~served & ~taken).any()",
    "~(goes & ~served & ~taken).all()",
    "a fork leaves its queue before all its outputs have it",
)
STARVES = Fault(
    "turn-stays",
    "fabric/router.py",
    "Mux(output.ready, grant << 1, grant)",
    "grant",
    "the input that was served comes first again, and the others starve",
)
STUCK = Fault(
    "out-of-turn",
    "fabric/router.py",
    "first = Mux((request & turn).any(), request & turn, request)",
    "first = request & turn",
    "an input that is not in turn is not served, even if no other asks",
)
LEAVES = ("once", "where it is for", "unchanged")
CLAIMS = {
    "leaves": (
        "a packet leaves where it is for, once, unchanged, and nowhere else",
        LEAVES,
        SERVED,
    ),
    "all": ("an empty part has sent each packet to every output it was for", ("all of it",), EARLY),
    "stable": ("an offer stands until it is taken", ("stable",), TURN),
    "order": ("packets of one input leave an output in order", ("in order",), EARLY),
    "drains": ("it runs empty when nothing more comes", ("drains",), STUCK),
    "fair": ("every copy leaves in time if outputs are always ready", ("fair",), STARVES),
}
AGES = {"corner": 6, "centre of 3 x 3": 10, "2 x 1": 7}
"""Every copy leaves in less cycles than these. With one cycle less, "fair" fails."""
PARTS = {
    ("router", "corner"): lambda: router(2, (0, 0)),
    ("router", "centre of 3 x 3"): lambda: router(3, (1, 1)),
    ("fabric", "2 x 1"): lambda: fabric(2, 1),
}
CYCLES = {("all", "centre of 3 x 3"): 10, ("fair", "centre of 3 x 3"): 30}  # of what is bounded
HELPERS = (*LEAVES, "in order", "all of it")
TOGETHER = {
    ("all", "2 x 1"): ("all of it", *LEAVES, "in order"),
    ("fair", "2 x 1"): (*HELPERS, "fair"),
    ("fair", "corner"): (*HELPERS, "fair"),
}
"""Where other checks beside its own make a claim inductive: pdr proves them together."""
FAST = {(claim, "2 x 1") for claim in CLAIMS} | {
    (claim, "corner") for claim in CLAIMS if claim not in ("all", "fair")
}


def case(part: str, configuration: str, claim: str) -> Case:
    """The case of a claim about a part of that configuration."""
    sentence, own, fault = CLAIMS[claim]
    checks = TOGETHER.get((claim, configuration), own)
    make, age = PARTS[part, configuration], AGES[configuration]
    return Case(
        f"{part}-{claim}",
        sentence,
        configuration,
        lambda: make().check(*checks, drains=12, age=age),
        fault,
        cycles=CYCLES.get((claim, configuration)),
        limit=300,
        fast=(claim, configuration) in FAST,
    )


CASES = [case(*part, claim) for claim in CLAIMS for part in PARTS]
CASES += [
    Case(
        "fabric-drains",
        CLAIMS["drains"][0],
        "2 x 2",
        lambda: fabric(2, 2).check("drains", drains=24),
        STUCK,
        cycles=60,
        limit=200,
    )
]
