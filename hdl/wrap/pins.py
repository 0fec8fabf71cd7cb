"""The pins of a wrapped chip: names, widths and meanings, for the RTL and for its readers.

Names are those of AMBA AXI4-Lite and AXI4-Stream (ARM IHI 0022, IHI 0051) and of Wishbone B4.
Needs no Amaranth.
"""

from typing import NamedTuple

from spikeloop.pysim.chip.params import BUS_BITS
from spikeloop.pysim.chip.wrap import WrapMap

__all__ = ["Pin", "bus_pins", "clock_pins"]

LANES = BUS_BITS // 8


class Pin(NamedTuple):
    """A pin of the top module. ``into``: it goes into the chip."""

    name: str
    into: bool
    width: int
    meaning: str


def clock_pins(bus: str) -> tuple[Pin, Pin]:
    """Clock and reset of the top module."""
    if bus == "axi":
        return (
            Pin("aclk", True, 1, "the one clock of all ports"),
            Pin("aresetn", True, 1, "synchronous reset, active low, two cycles at least"),
        )
    return (
        Pin("wb_clk_i", True, 1, "the one clock"),
        Pin("wb_rst_i", True, 1, "synchronous reset, active high, two cycles at least"),
    )


def bus_pins(map_: WrapMap) -> list[Pin]:
    """All other pins of the top module."""
    busy = Pin("busy", False, 1, "a tick, or an access on its way to the chip, is under way")
    if map_.streams:
        return [*_axi_lite(map_.byte_bits), *_axi_stream(), busy]
    return [*_wishbone(map_.byte_bits), busy]


def _axi_lite(byte_bits: int) -> list[Pin]:
    return [
        Pin("s_axi_awaddr", True, byte_bits, "write address, in bytes; bits 1:0 are ignored"),
        Pin("s_axi_awprot", True, 3, "ignored"),
        Pin("s_axi_awvalid", True, 1, ""),
        Pin("s_axi_awready", False, 1, ""),
        Pin("s_axi_wdata", True, BUS_BITS, "write data"),
        Pin("s_axi_wstrb", True, LANES, "all or none; others are answered SLVERR"),
        Pin("s_axi_wvalid", True, 1, ""),
        Pin("s_axi_wready", False, 1, ""),
        Pin("s_axi_bresp", False, 2, "OKAY, or SLVERR: nothing was written"),
        Pin("s_axi_bvalid", False, 1, ""),
        Pin("s_axi_bready", True, 1, ""),
        Pin("s_axi_araddr", True, byte_bits, "read address, in bytes; bits 1:0 are ignored"),
        Pin("s_axi_arprot", True, 3, "ignored"),
        Pin("s_axi_arvalid", True, 1, ""),
        Pin("s_axi_arready", False, 1, ""),
        Pin("s_axi_rdata", False, BUS_BITS, "read data"),
        Pin("s_axi_rresp", False, 2, "OKAY, or SLVERR: the chip stayed busy for too long"),
        Pin("s_axi_rvalid", False, 1, ""),
        Pin("s_axi_rready", True, 1, ""),
    ]


def _axi_stream() -> list[Pin]:
    return [
        Pin("s_axis_tdata", True, BUS_BITS, "an event in; with bit 31 none"),
        Pin("s_axis_tlast", True, 1, "last word of a tick: the tick runs"),
        Pin("s_axis_tvalid", True, 1, ""),
        Pin("s_axis_tready", False, 1, "low while a tick runs"),
        Pin("m_axis_tdata", False, BUS_BITS, "an event out; with bit 31 the end of a tick"),
        Pin("m_axis_tlast", False, 1, "with bit 31: the tick that tlast asked for is done"),
        Pin("m_axis_tvalid", False, 1, ""),
        Pin("m_axis_tready", True, 1, ""),
    ]


def _wishbone(byte_bits: int) -> list[Pin]:
    return [
        Pin("wb_adr_i", True, byte_bits, "address, in bytes; bits 1:0 are ignored"),
        Pin("wb_dat_i", True, BUS_BITS, "write data"),
        Pin("wb_dat_o", False, BUS_BITS, "read data"),
        Pin("wb_sel_i", True, LANES, "of writes: all or none; others are answered by wb_err_o"),
        Pin("wb_we_i", True, 1, "write"),
        Pin("wb_cyc_i", True, 1, ""),
        Pin("wb_stb_i", True, 1, ""),
        Pin("wb_ack_o", False, 1, "done, for one cycle"),
        Pin("wb_err_o", False, 1, "not done, for one cycle"),
    ]
