"""The router's crossbar alone, in Amaranth's own simulator.

Where every rectangle goes from every port, where it forks, and who has the turn.
"""

import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeloop.hdl.fabric.router import PORTS, Crossbar, ports_at
from spikeloop.pysim.chip.fabric import Mesh, Rectangle, path

MESH = Mesh(3, 3)
STEPS = {(0, 0): "local", (1, 0): "east", (-1, 0): "west", (0, 1): "north", (0, -1): "south"}


def simulate(dut: Crossbar, bench) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def offer(ctx, dut: Crossbar, port: str, rectangle: Rectangle, payload: int) -> None:
    ctx.set(dut.i[port].valid, 1)
    for name in ("x0", "y0", "x1", "y1"):
        ctx.set(dut.i[port].p[name], getattr(rectangle, name))
    ctx.set(dut.i[port].p.payload, payload)


def side(a: tuple[int, int], b: tuple[int, int]) -> str:
    """The port of a that faces b."""
    return STEPS[b[0] - a[0], b[1] - a[1]]


def ways(here: tuple[int, int]) -> dict[tuple[str, Rectangle], set[str]]:
    """The outputs of the router ``here``, for each port and rectangle by which a packet can come.

    They come from pysim's paths alone.
    """
    found: dict[tuple[str, Rectangle], set[str]] = {}
    spans = [(a, b) for a in range(3) for b in range(a, 3)]
    for source in MESH:
        for rectangle in (Rectangle(x0, y0, x1, y1) for x0, x1 in spans for y0, y1 in spans):
            for to in rectangle:
                way = path(source, to)
                if here in way:
                    at = way.index(here)
                    arrival = side(here, way[at - 1]) if at else "local"
                    found.setdefault((arrival, rectangle), set()).add(
                        side(here, way[at + 1]) if here != to else "local"
                    )
    return found


@pytest.mark.parametrize("here", list(MESH))
def test_every_packet_leaves_by_the_ports_of_its_paths(here: tuple[int, int]) -> None:
    dut, expected = Crossbar(MESH, *here, 8), ways(here)
    assert {port for port, _ in expected} == set(dut.ports)

    async def bench(ctx) -> None:
        for port in dut.ports:
            ctx.set(dut.o[port].ready, 1)
        for (arrival, rectangle), outputs in expected.items():
            offer(ctx, dut, arrival, rectangle, 0xA5)
            left = {port for port in dut.ports if ctx.get(dut.o[port].valid)}
            assert left == outputs, f"{arrival} of {here}, {rectangle}"
            assert all(ctx.get(dut.o[port].p.payload) == 0xA5 for port in left)
            assert ctx.get(dut.i[arrival].ready)
            await ctx.tick()
            ctx.set(dut.i[arrival].valid, 0)

    simulate(dut, bench)


@settings(max_examples=30)
@given(st.lists(st.sets(st.sampled_from(PORTS)), min_size=1, max_size=8))
def test_a_fork_serves_each_output_once_whenever_it_is_ready(readiness: list[set[str]]) -> None:
    dut, served = Crossbar(MESH, 1, 1, 8), []

    async def bench(ctx) -> None:
        offer(ctx, dut, "local", Rectangle(0, 0, 2, 2), 7)
        for ready in [*readiness, set(PORTS), set()]:
            for port in PORTS:
                ctx.set(dut.o[port].ready, port in ready)
            assert {port for port in PORTS if ctx.get(dut.o[port].valid)} == set(PORTS) - set(
                served
            ), "each is offered until it is served"
            served.extend(port for port in PORTS if port in ready and ctx.get(dut.o[port].valid))
            assert ctx.get(dut.i["local"].ready) == (len(served) == len(PORTS))
            if ctx.get(dut.i["local"].ready):
                return
            await ctx.tick()

    simulate(dut, bench)
    assert sorted(served) == sorted(PORTS)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.booleans(), st.sets(st.sampled_from(PORTS))), min_size=20, max_size=60)
)
def test_an_output_keeps_its_offer_and_serves_in_turn(cycles: list[tuple[bool, set[str]]]) -> None:
    """Ports come to the local output at any time and stay until served.

    None waits for more than one packet of each other port.
    """
    dut, waiting = Crossbar(MESH, 1, 1, 8), {}
    taken, most = [], 0

    async def bench(ctx) -> None:
        nonlocal most
        offered = None
        for ready, arrivals in cycles:
            for port in arrivals - set(waiting):
                offer(ctx, dut, port, Rectangle(1, 1, 1, 1), PORTS.index(port))
                waiting[port] = 0
            ctx.set(dut.o["local"].ready, ready)
            assert ctx.get(dut.o["local"].valid) == bool(waiting)
            if waiting:
                port = PORTS[ctx.get(dut.o["local"].p.payload)]
                assert port in waiting and offered in (None, port), (
                    "the offer changed before it was taken"
                )
                offered = None if ready else port
                assert [p for p in PORTS if p in waiting and ctx.get(dut.i[p].ready)] == [
                    port
                ] * ready
                if ready:
                    taken.append(port)
                    del waiting[port]
                    for other in waiting:
                        waiting[other] += 1
                    most = max(most, *waiting.values(), 0)
            await ctx.tick()
            for port in set(PORTS) - set(waiting):
                ctx.set(dut.i[port].valid, 0)

    simulate(dut, bench)
    assert most <= len(PORTS) - 1


@pytest.mark.parametrize(
    ("sides", "core", "ports"),
    [
        ((1, 1), (0, 0), ["local"]),
        ((1, 5), (0, 2), ["local", "north", "south"]),
        ((4, 4), (0, 0), ["local", "east", "north"]),
        ((4, 4), (3, 3), ["local", "west", "south"]),
        ((3, 3), (1, 1), list(PORTS)),
    ],
)
def test_ports_at_the_edge_are_not_built(
    sides: tuple[int, int], core: tuple[int, int], ports: list[str]
) -> None:
    assert ports_at(Mesh(*sides), *core) == ports


def test_a_packet_for_nowhere_is_taken_and_gone() -> None:
    """In a mesh of three columns the address has room for a fourth.

    The host refuses it; the router drops the packet and goes on.
    """
    dut = Crossbar(MESH, 2, 1, 8)

    async def bench(ctx) -> None:
        offer(ctx, dut, "west", Rectangle(3, 1, 3, 1), 1)
        assert ctx.get(dut.i["west"].ready)
        assert not any(ctx.get(dut.o[port].valid) for port in dut.ports)

    simulate(dut, bench)
