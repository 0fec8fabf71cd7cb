"""The fabric of several meshes on both simulators (benches/fabric.py).

The bench must notice each seeded fault of the fabric.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from spikeloop.cosim.benches.runner import Build, build, run
from spikeloop.cosim.verilator.build import hdl_key
from spikeloop.cosim.verilator.cache import cached
from spikeloop.pysim.chip.fabric import Mesh
from tests.campaigns.fault_list import Fault
from tests.campaigns.faults import environment, plant, stale
from tests.cocotb.benches import fabric_top

SIMULATORS = ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)]
MESHES = [(1, 1, "gated"), (2, 2, "gated"), (3, 3, "gated"), (3, 2, "free"), (1, 5, "gated")]

FAULTS = [
    Fault(
        "fork-forgets",
        "fabric/router.py",
        "served.eq(Mux(done, 0, served | taken))",
        "served.eq(0)",
        "a fork that waits for one output sends again to those that took the packet",
    ),
    Fault(
        "fork-lets-go",
        "fabric/router.py",
        "done.eq(~(goes & ~served & ~taken).any())",
        "done.eq(taken.any() | ~goes.any())",
        "a fork goes on as soon as one output took the packet",
    ),
    Fault(
        "served-kept",
        "fabric/router.py",
        "served.eq(Mux(done, 0, served | taken))",
        "served.eq(Mux(done, served, served | taken))",
        "the packet after a fork misses the outputs that were served first",
    ),
    Fault(
        "back-pressure-ignored",
        "fabric/router.py",
        "grant[at] & output.ready",
        "grant[at]",
        "a packet counts as taken when it is offered",
    ),
    Fault(
        "offer-withdrawn",
        "fabric/router.py",
        "Mux(output.ready, grant << 1, grant)",
        "(grant << 1)",
        "an output that is held up offers another packet in the next cycle",
    ),
    Fault(
        "unfair",
        "fabric/router.py",
        "first = Mux((request & turn).any(), request & turn, request)",
        "first = request",
        "a fixed order of the inputs: packets are exchanged while they wait",
    ),
    Fault(
        "no-turns",
        "fabric/router.py",
        "Mux(output.ready, grant << 1, grant)",
        "grant",
        "an input that never pauses keeps the output for itself",
    ),
    Fault(
        "two-granted",
        "fabric/router.py",
        "return first & -first",
        "return first",
        "two inputs are granted the same output: their packets mix",
    ),
    Fault(
        "column-one-short",
        "fabric/router.py",
        '"east": packet.x1 > self.x',
        '"east": packet.x1 > self.x + 1',
        "the last column is left out",
    ),
    Fault(
        "row-one-more",
        "fabric/router.py",
        "within(packet.y0, packet.y1, self.y)",
        "within(packet.y0, packet.y1 + 1, self.y)",
        "the row above the rectangle gets a copy",
    ),
    Fault(
        "forks-outside",
        "fabric/router.py",
        '"south": column & (packet.y0 < self.y)',
        '"south": packet.y0 < self.y',
        "packets fork to the south in columns before their rectangle",
    ),
    Fault(
        "turns-back",
        "fabric/router.py",
        '"north": ("local", "east", "west", "south")',
        '"north": ("local", "east", "west", "south", "north")',
        "a packet on its way south also turns north",
    ),
    Fault(
        "turns-into-x",
        "fabric/router.py",
        '"east": ("local", "west")',
        '"east": ("local", "west", "south", "north")',
        "a packet that travels in y forks into x again",
    ),
    Fault(
        "no-turn-west",
        "fabric/router.py",
        '"south": ("local", "east", "west", "north")',
        '"south": ("local", "west", "north")',
        "packets on their way west do not turn south",
    ),
    Fault(
        "y-before-x",
        "fabric/router.py",
        '"north": column & (packet.y1 > self.y)',
        '"north": packet.y1 > self.y',
        "packets fork to the north too early",
    ),
    Fault(
        "busy-forgets-one",
        "fabric/fabric.py",
        "router.busy for router in routers",
        "router.busy for router in list(routers)[1:]",
        "busy leaves out the first router",
    ),
    Fault(
        "sleeps-too-deep",
        "fabric/router.py",
        "self.busy | Cat(i.valid for i in self.i.values()).any()",
        "Cat(i.valid for i in self.i.values()).any()",
        "the clock rests while a packet waits inside",
    ),
    Fault(
        "sleeps-while-they-knock",
        "fabric/router.py",
        "self.busy | Cat(i.valid for i in self.i.values()).any()",
        "self.busy",
        "the clock rests while a packet comes",
    ),
    Fault(
        "links-crossed",
        "fabric/fabric.py",
        '"east": "west", "north": "south"',
        '"east": "west", "north": "local"',
        "the northern link is not there",
    ),
    Fault(
        "reset-forgets",
        "fabric/fabric.py",
        "domain.rst.eq(ResetSignal())",
        "domain.rst.eq(0)",
        "routers are not reset",
    ),
]


def verilog(mesh: tuple[int, int], gates: str) -> Path:
    """The Verilog of the top, kept like that of a chip."""
    key = hdl_key(f"{Path(fabric_top.__file__).read_text()}{mesh}{gates}")[:24]
    made = cached(
        f"verilog-{key}",
        lambda folder: fabric_top.write(
            Mesh(*mesh), folder / "fabric.v", clock_gates=gates == "gated"
        ),
    )
    return made / "fabric.v"


def bench(
    built: Build, mesh: tuple[int, int], seed: int, folder: Path, seeds: int = 3
) -> list[str]:
    settings = {
        "SPIKELOOP_MESH": json.dumps(mesh),
        "SPIKELOOP_SEED": str(seed),
        "SPIKELOOP_SEEDS": str(seeds),
    }
    return run(built, "tests.cocotb.benches.fabric", environment=settings, folder=folder)


@pytest.mark.slow
@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(("width", "height", "gates"), MESHES)
def test_fabric(
    width: int, height: int, gates: str, simulator: str, tmp_path: Path, seed: int
) -> None:
    built = build(simulator, [verilog((width, height), gates)], "fabric_bench", optimize="-O0")
    assert len(bench(built, (width, height), seed, tmp_path)) == 4 + 3 * 3 + 2 * 3


def test_every_fault_applies_to_the_sources_as_they_are() -> None:
    assert stale(FAULTS) == []


@pytest.mark.slow
@pytest.mark.icarus
@pytest.mark.parametrize(
    "fault", [None, *FAULTS], ids=lambda fault: fault.name if fault else "unmutated"
)
def test_seeded_faults_are_caught(
    fault: Fault | None, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a 3 x 3 mesh, which has a router with all five ports. The unmutated copy passes."""
    tree = plant(fault, tmp_path / "tree")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.cocotb.benches.fabric_top",
            "3",
            "3",
            "gated",
            str(tmp_path / "fabric.v"),
        ],
        cwd=tree,
        check=True,
        env=environment(tree, own_cache=False),
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # mutants stay out of the user's
    built = build("icarus", [tmp_path / "fabric.v"], "fabric_bench", optimize="-O0")
    if fault is None:
        bench(built, (3, 3), seed, tmp_path / "run", seeds=1)
    else:
        with pytest.raises(AssertionError, match="tests failed") as caught:
            bench(built, (3, 3), seed, tmp_path / "run", seeds=1)
        print(f"{fault.name}: {str(caught.value).splitlines()[0][:600]}")
