"""The host link against hostile hosts, on both simulators (benches/hostlink.py)."""

from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.benches.runner import build, run
from spikeloop.cosim.verilator.build import hdl_key
from spikeloop.cosim.verilator.cache import cached
from spikeloop.hdl.verilog import generate_board
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.image.export import export
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network

CHIP = PRESETS["tiny"].replace(
    columns=224
)  # a tick of 224 events: more than the queue of the link holds


@pytest.mark.slow
@pytest.mark.parametrize(
    "simulator", ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)]
)
def test_a_hostile_host_cannot_hang_the_chip(simulator: str, tmp_path: Path, seed: int) -> None:
    loud = Population.make("loud", 224, weight_bits=1, weight_format=1, v_th=0)
    network = Network(
        name="loud",
        inputs=(Input(name="x", size=1),),
        populations=(loud,),
        steps=50,
        output="loud",
        membrane_bits=24,
        edges=(Edge(source="x", target="loud", weights=np.ones((1, 224), np.int32)),),
    )
    image = pack(network, chip=CHIP)
    image.save(tmp_path / "image")
    export(image, "mem", tmp_path)
    key = f"verilog-{hdl_key(f'board {CHIP!r}')[:24]}"
    verilog = (
        cached(
            key, lambda folder: (folder / "board.v").write_text(generate_board(CHIP, virtual=True))
        )
        / "board.v"
    )
    ran = run(
        build(simulator, [verilog], "board", optimize="-O0"),
        "tests.cocotb.benches.hostlink",
        folder=tmp_path,
        plusargs=[f"+{m.name}={tmp_path / m.name}.mem" for m in MemoryMap(CHIP).loaded],
        environment={
            "SPIKELOOP_IMAGE": str(tmp_path / "image"),
            "SPIKELOOP_SEED": str(seed),
            "SPIKELOOP_WATCHDOG": str(int(simulator == "verilator")),
        },
    )
    assert len(ran) == (5 if simulator == "verilator" else 4)
