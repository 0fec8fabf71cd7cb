"""A wrapped core in a LiteX SoC: its registers on the SoC's bus, its spikes as LiteX streams.

    spikeloop verilog --chip hx8k --wrap axi --name snn -o build/snn
    python examples/litex_soc.py build/snn/snn.v build/litex

It writes the Verilog of an SoC without a processor, whose bus a host drives over a UART (LiteX's
UARTBone), and the map of its bus. In a SoC of your own take :class:`Core` and the two lines that
use it. Needs LiteX and Migen (pip install litex migen).
"""

import re
import sys
from pathlib import Path

from litex.build.generic_platform import GenericPlatform, Pins, Subsignal
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCCore
from litex.soc.interconnect import stream
from litex.soc.interconnect.axi import AXILiteInterface
from migen import ClockDomain, ClockSignal, Instance, Module, ResetSignal

ORIGIN = 0x3000_0000  # of the core on the bus; a multiple of its size
CLOCK = 1_000_000  # of the simulation: a bit of the UART then takes few cycles
BAUD = 125_000
PINS = [
    ("sys_clk", 0, Pins(1)),
    ("sys_rst", 0, Pins(1)),
    ("serial", 0, Subsignal("tx", Pins(1)), Subsignal("rx", Pins(1))),
]


class Core(Module):
    """The core in ``file``, which spikeloop verilog --wrap axi wrote.

    bus: AXI4-Lite; add it to the SoC as a slave of ``size`` bytes.
    sink, source: events in and out, words of 32 bits; ``last`` ends a tick.
    """

    def __init__(self, platform, file: Path) -> None:
        bits = int(re.search(r"wire \[(\d+):0\] s_axi_awaddr", file.read_text())[1]) + 1
        self.size, self.bus = 1 << bits, AXILiteInterface(data_width=32, address_width=32)
        self.sink, self.source = (stream.Endpoint([("data", 32)]) for _ in range(2))
        bus, sink, source = self.bus, self.sink, self.source
        self.specials += Instance(
            file.stem,
            i_aclk=ClockSignal("sys"),
            i_aresetn=~ResetSignal("sys"),
            i_s_axi_awaddr=bus.aw.addr[:bits],
            i_s_axi_awprot=0,
            i_s_axi_awvalid=bus.aw.valid,
            o_s_axi_awready=bus.aw.ready,
            i_s_axi_wdata=bus.w.data,
            i_s_axi_wstrb=bus.w.strb,
            i_s_axi_wvalid=bus.w.valid,
            o_s_axi_wready=bus.w.ready,
            o_s_axi_bresp=bus.b.resp,
            o_s_axi_bvalid=bus.b.valid,
            i_s_axi_bready=bus.b.ready,
            i_s_axi_araddr=bus.ar.addr[:bits],
            i_s_axi_arprot=0,
            i_s_axi_arvalid=bus.ar.valid,
            o_s_axi_arready=bus.ar.ready,
            o_s_axi_rdata=bus.r.data,
            o_s_axi_rresp=bus.r.resp,
            o_s_axi_rvalid=bus.r.valid,
            i_s_axi_rready=bus.r.ready,
            i_s_axis_tdata=sink.data,
            i_s_axis_tlast=sink.last,
            i_s_axis_tvalid=sink.valid,
            o_s_axis_tready=sink.ready,
            o_m_axis_tdata=source.data,
            o_m_axis_tlast=source.last,
            o_m_axis_tvalid=source.valid,
            i_m_axis_tready=source.ready,
        )
        platform.add_source(str(file))


class Soc(SoCCore):
    """The core, and a bus that a host drives over the pins of a UART."""

    def __init__(self, platform, file: Path) -> None:
        self.clock_domains.cd_sys = ClockDomain()
        self.comb += [
            self.cd_sys.clk.eq(platform.request("sys_clk")),
            self.cd_sys.rst.eq(platform.request("sys_rst")),
        ]
        SoCCore.__init__(
            self, platform, CLOCK, cpu_type=None, integrated_sram_size=0, with_uart=False,
            with_timer=False, ident="spikeloop",
        )  # fmt: skip
        self.add_uartbone(uart_name="serial", baudrate=BAUD)
        self.submodules.snn = Core(platform, file)
        region = SoCRegion(origin=ORIGIN, size=self.snn.size, mode="rw", cached=False)
        self.bus.add_slave("snn", self.snn.bus, region)


def main(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    soc = Soc(GenericPlatform("any device", PINS), file.resolve())
    soc.platform.get_verilog(soc, name="soc").write(str(folder / "soc.v"))
    print(f"{folder / 'soc.v'}; the core lies at {ORIGIN:#x} of the bus")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
