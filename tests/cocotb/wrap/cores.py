"""Two wrapped cores of different chips in one design: what the bench and its test share."""

import re
import subprocess
from pathlib import Path

import numpy as np

from spikeloop.cosim.benches.runner import Build, build
from spikeloop.cosim.provenance import code
from spikeloop.cosim.soc.header import header
from spikeloop.cosim.soc.image import c_image
from spikeloop.cosim.soc.package import driver
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
from tests.conftest import ROOT

AXI = Chip(
    axons=16,
    columns=96,
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
NEURONS = {"axi": 92, "wishbone": 6}  # 92: more spikes a tick than the wrapper's queue holds


def random_image(bus: str, seed: int) -> tuple[Image, Stimulus]:
    """A net whose hidden and output neurons spike often, and two samples for it."""
    rng, (_, chip) = np.random.default_rng(seed), CORES[bus]
    lines, size = min(chip.axons, 13), NEURONS[bus]
    layer = Population.make(
        "out", size, v_th=rng.integers(1, 4, size), weight_bits=1, weight_format=1
    )
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

    key = hdl_key(repr((texts, _top(), code("spikeloop.hdl.wrap.verilog"))))[:24]
    folder = cached(f"wrapped-{key}", make)
    return [folder / f"{name}.v" for name in (*texts, "soc")]


PAGE = re.findall(r"```c\n(.*?)```", (ROOT / "docs" / "soc.md").read_text(), re.DOTALL)[0]
USE = """\
static uint32_t (*reader)(const void *, uint32_t);
static void (*writer)(const void *, uint32_t, uint32_t);

void use(uint32_t (*r)(const void *, uint32_t), void (*w)(const void *, uint32_t, uint32_t))
{{
    reader = r;
    writer = w;
}}

uint32_t spikeloop_read(const struct spikeloop *c, uint32_t offset) {{ return reader(c, offset); }}

void spikeloop_write(const struct spikeloop *c, uint32_t offset, uint32_t value)
{{
    writer(c, offset, value);
}}

int load(int wrong)
{{
    struct spikeloop_image image = spikeloop_image;
    image.fingerprint ^= (uint32_t)wrong;
    return spikeloop_load(&core, &image);
}}

void clear(void) {{ spikeloop_clear(&core); }}

unsigned tick(const uint32_t *axons, unsigned count, uint32_t *out, unsigned most)
{{
    uint32_t event;
    unsigned i, n = 0;

    for (i = 0; i < count; i++)
        spikeloop_send(&core, axons[i], 1);
    spikeloop_tick(&core);
    while (spikeloop_next(&core, &event))
        if (n < most)
            out[n++] = event & ((1u << {guard}_OUT_ADDRESS_BITS) - 1u);
    return n;
}}

uint64_t counter(void) {{ return spikeloop_counter(&core, SPIKELOOP_CYCLES); }}
"""


def compile_drivers(folder: Path, seeds: dict[str, int]) -> Path:
    """The C driver with header, image, and the functions of the page and of USE: ``folder``/BUS.so.

    seeds: of :func:`random_image`, by bus.
    """
    for bus, (name, chip) in CORES.items():
        place = folder / bus
        place.mkdir()
        page = PAGE.replace("snn.h", f"{name}.h").replace("SNN_", f"{name.upper()}_")
        use = page + USE.format(guard=name.upper())
        map_ = WrapMap(chip, bus)
        texts = {**driver(), f"{name}.h": header(map_, name), "use.c": use}
        texts["image.h"] = c_image(random_image(bus, seeds[bus])[0])
        for file, text in texts.items():
            (place / file).write_text(text)
        flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-shared"]
        flags += ["-fPIC", "-DSPIKELOOP_EXTERN_IO"]
        command = ["cc", *flags, "-o", str(folder / f"{bus}.so"), "spikeloop.c", "use.c"]
        subprocess.run(command, cwd=place, check=True)
    return folder


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
