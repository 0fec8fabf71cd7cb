"""Two wrapped cores of different chips in one design: what the bench and its test share."""

from pathlib import Path

import numpy as np

from spikeloop.cosim.benches.runner import Build, build
from spikeloop.cosim.verilator.build import hdl_key
from spikeloop.cosim.verilator.cache import cached
from spikeloop.hdl.wrap.pins import Pin, bus_pins, clock_pins
from spikeloop.hdl.wrap.verilog import generate_wrapped
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.wrap import WrapMap
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

AXI = Chip(
    axons=16,
    columns=80,
    lanes=4,
    membrane_bits=8,
    delay_max=2,
    pages=1,
    leak_terms=0,
    refractory_bits=2,
    roundings=False,
    bounded=False,
    sliced=False,
    clock_gates=False,
)
WISHBONE = AXI.replace(axons=8, columns=16, lanes=2, delay_max=1, leak_terms=1)
CORES = {"axi": ("first", AXI), "wishbone": ("second", WISHBONE)}
NEURONS = {"axi": 72, "wishbone": 6}  # 72: more spikes a tick than the wrapper's queue holds


def random_image(bus: str, seed: int) -> tuple[Image, Stimulus]:
    """A net whose hidden and output neurons spike often, and two samples for it."""
    rng, (_, chip) = np.random.default_rng(seed), CORES[bus]
    lines, size = min(chip.axons, 13), NEURONS[bus]
    layer = Population.make("out", size, v_th=2, weight_bits=1, weight_format=1)
    network = Network(
        name="loud",
        inputs=(Input(name="x", size=lines),),
        populations=(layer,),
        edges=(
            Edge(source="x", target="out", weights=rng.integers(0, 2, (lines, size), np.int32)),
        ),
        steps=5,
        output="out",
        membrane_bits=chip.membrane_bits,
    )
    spikes = rng.random((2, 5, lines)) < 0.5
    spikes[0, 1] = 0  # a step without events
    return pack(network, chip=chip), Stimulus.pack({"x": spikes.astype(np.uint8)})


def verilog() -> list[Path]:
    """The two wrapped cores, and a top that holds both; cached."""
    texts = {name: (chip, bus) for bus, (name, chip) in CORES.items()}

    def make(folder: Path) -> None:
        for name, (chip, bus) in texts.items():
            (folder / f"{name}.v").write_text(generate_wrapped(chip, bus, name))
        (folder / "soc.v").write_text(_top())

    key = hdl_key(repr(texts) + _top(), "spikeloop.hdl.wrap.verilog")[:24]
    folder = cached(f"wrapped-{key}", make)
    return [folder / f"{name}.v" for name in (*texts, "soc")]


def build_soc(simulator: str) -> Build:
    """The design, built for cocotb."""
    return build(simulator, verilog(), "soc", optimize="-O0")


def _top() -> str:
    """All pins of both cores, one clock and one reset."""
    clocks = {bus: clock_pins(bus) for bus in CORES}
    pins = {bus: bus_pins(WrapMap(chip, bus)) for bus, (_, chip) in CORES.items()}
    ports = [*clocks["axi"], *(_own(bus, pin) for bus in CORES for pin in pins[bus])]
    lines = [
        f"    {'input' if pin.into else 'output'} wire [{pin.width - 1}:0] {pin.name}"
        if pin.width > 1
        else f"    {'input' if pin.into else 'output'} wire {pin.name}"
        for pin in ports
    ]
    instances = []
    for bus, (name, _) in CORES.items():
        wires = {pin.name: _own(bus, pin).name for pin in pins[bus]}
        clock, reset = (pin.name for pin in clocks[bus])
        wires |= {clock: "aclk", reset: "aresetn" if bus == "axi" else "~aresetn"}
        text = ",\n".join(f"        .{pin}({wire})" for pin, wire in wires.items())
        instances.append(f"    {name} {name} (\n{text}\n    );\n")
    return "module soc (\n" + ",\n".join(lines) + "\n);\n" + "".join(instances) + "endmodule\n"


def _own(bus: str, pin: Pin) -> Pin:
    """``busy`` is a pin of both cores."""
    return pin._replace(name=f"{bus}_busy") if pin.name == "busy" else pin
