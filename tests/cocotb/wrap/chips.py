"""Wrapped chips that are more than a core: with a PIM macro in front, and a mesh."""

from pathlib import Path

from spikeloop.cosim.benches.runner import Build, build
from spikeloop.cosim.provenance import code
from spikeloop.cosim.verilator.build import hdl_key
from spikeloop.cosim.verilator.cache import cached
from spikeloop.hdl.wrap.verilog import generate_wrapped
from spikeloop.pysim.chip.params import Chip
from tests.campaigns.regression.pim_chip import FRONT

TOP = "snn"
CHIPS = {
    "pim": Chip(
        axons=32,
        columns=128,
        lanes=8,
        membrane_bits=14,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
        pim=FRONT,
    ),
    "mesh": Chip(
        axons=24,
        columns=32,
        lanes=4,
        membrane_bits=10,
        delay_max=4,
        leak_terms=1,
        refractory_bits=2,
        chain=32,
        mesh_width=2,
        mesh_height=2,
    ),
}


def verilog(name: str, bus: str) -> Path:
    """The wrapped chip, whose top module is TOP; cached."""
    chip = CHIPS[name]
    key = hdl_key(repr((chip, bus, TOP, code("spikeloop.hdl.wrap.verilog"))))[:24]

    def make(folder: Path) -> None:
        (folder / f"{TOP}.v").write_text(generate_wrapped(chip, bus, TOP))

    return cached(f"wrapped-{key}", make) / f"{TOP}.v"


def build_wrapped(name: str, bus: str) -> Build:
    """The wrapped chip, built for cocotb on Verilator."""
    return build("verilator", [verilog(name, bus)], TOP, optimize="-O0")
