"""The Verilog of a wrapped chip: one file, whose top has the user's name and commented ports.

Three modules stand under the top: the reset, the bridge, and the chip, whose text is that of every
comparison. All modules of the file begin with the name, so that two of them, of whatever
parameters, lie in one design.
"""

import re

from spikeloop.hdl.verilog import convert, generate, linted
from spikeloop.hdl.wrap.bridge import Bridge
from spikeloop.hdl.wrap.pins import Pin, bus_pins, clock_pins
from spikeloop.pysim.chip.memory_map import Register
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import Field, width
from spikeloop.pysim.chip.wrap import WAIT_CYCLES, WrapMap
from spikeloop.pysim.common.errors import InputError

__all__ = ["check_name", "generate_wrapped"]

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
KEYWORDS = """\
always and assign auto begin break buf bufif0 bufif1 case casex casez cell char cmos config
const continue deassign default defparam design disable do double edge else end endcase
endconfig endfunction endgenerate endmodule endprimitive endspecify endtable endtask enum event
extern float for force forever fork function generate genvar goto highz0 highz1 if ifnone incdir
include initial inline inout input instance int integer join large liblist library localparam
logic long macromodule medium module nand negedge nmos nor noshowcancelled not notif0 notif1 or
output parameter pmos posedge primitive pull0 pull1 pulldown pullup pulsestyle_ondetect
pulsestyle_onevent rcmos real realtime reg register release repeat restrict return rnmos rpmos
rtran rtranif0 rtranif1 scalared short showcancelled signed sizeof small specify specparam
static strong0 strong1 struct supply0 supply1 switch table task time tran tranif0 tranif1 tri
tri0 tri1 triand trior trireg typedef union unsigned use vectored void volatile wait wand weak0
weak1 while wire wor xnor xor"""
"""Of Verilog-2005 and C: the name stands in texts of both."""

HEAD = """\
// {name}: a spiking core of spikeloop behind {what}.
//
// Parameters of the chip (fingerprint 0x{fingerprint:08x}; they are fixed in this text):
{parameters}
//
// Registers by byte address:
{registers}
// Memories by byte address; a row of w bits is ceil(w/32) words, the least significant first:
{memories}
//
// An event in: {event_in}.
// An event out: {event_out}.
//
{bus}
module {name} (
{ports}
);
    reg reset = 1'b1;
    always @(posedge {clock}) reset <= {reset};

    wire [{request_top}:0] request;
    wire [31:0] response;
    wire [{in_top}:0] event_in;
    wire [{out_top}:0] event_out;
    wire request_valid, request_ready, response_valid, response_ready;
    wire in_valid, in_ready, out_valid, out_ready, tick, chip_busy;

    {name}_bridge bridge (
        .clk({clock}),
        .rst(reset),
        .chip_request__payload(request),
        .chip_request__valid(request_valid),
        .chip_request__ready(request_ready),
        .chip_response__payload(response),
        .chip_response__valid(response_valid),
        .chip_response__ready(response_ready),
        .chip_i__payload(event_in),
        .chip_i__valid(in_valid),
        .chip_i__ready(in_ready),
        .chip_o__payload(event_out),
        .chip_o__valid(out_valid),
        .chip_o__ready(out_ready),
        .chip_tick(tick),
        .chip_busy(chip_busy),
{bridge_ports}
    );

    {name}_chip chip (
        .clk({clock}),
        .rst({reset}),
        .request__payload(request),
        .request__valid(request_valid),
        .request__ready(request_ready),
        .response__payload(response),
        .response__valid(response_valid),
        .response__ready(response_ready),
        .i__payload(event_in),
        .i__valid(in_valid),
        .i__ready(in_ready),
        .o__payload(event_out),
        .o__valid(out_valid),
        .o__ready(out_ready),
        .tick(tick),
{working}        .busy(chip_busy)
    );
endmodule
"""

BUS = {
    "axi": """\
// Load port: AXI4-Lite. An access that the chip does not take in 2^{wait} cycles ends with SLVERR.
// Events: AXI4-Stream. Send the events of a tick; tlast with the last word runs the tick. A word
// with bit 31 holds no event: a tick without events is one such word. The events out of the tick
// follow, then 0x80000000 with tlast.""",
    "wishbone": """\
// Load port: Wishbone B4, classic. An access that the chip does not take in 2^{wait} cycles ends
// with wb_err_o. Events go through register event.""",
}
WHAT = {"axi": "AXI4-Lite and AXI4-Stream", "wishbone": "Wishbone"}
BUSIFS = {"axi": "s_axi:s_axis:m_axis", "wishbone": None}


def check_name(name: str) -> str:
    """``name``, if it may name modules and C symbols; else InputError."""
    if not NAME.fullmatch(name) or name in (*KEYWORDS.split(), "spikeloop"):
        raise InputError(
            "name must be a letter and at most 39 letters, digits and _, and neither a keyword of "
            f"Verilog or C nor that of the driver, not {name!r}"
        )
    return name


def generate_wrapped(chip: Chip, bus: str, name: str) -> str:
    """The Verilog of a wrapped chip; its top module is ``name``.

    bus: one of BUSES of pysim/chip/wrap.py.
    InputError for another, and for a name that will not do.
    """
    map_ = WrapMap(chip, bus)
    bridge = linted(convert(Bridge(map_), f"{check_name(name)}_bridge"))
    below = re.sub(r"\bspikeloop_", f"{name}_", bridge + generate(chip, f"{name}_chip"))
    return f"{_face(map_, name)}\n{below}"


def _face(map_: WrapMap, name: str) -> str:
    """The top module."""
    chip, pins = map_.chip, bus_pins(map_)
    clock, reset = clock_pins(map_.bus)
    registers = [*map_.chip_map.registers.values(), *map_.registers.values()]
    return HEAD.format(
        name=name,
        what=WHAT[map_.bus],
        fingerprint=chip.fingerprint(),
        parameters="\n".join(f"//   {k} = {v}" for k, v in _parameters(chip).items()),
        registers="\n".join(_register(map_, r) for r in registers),
        memories="\n".join(
            f"//   0x{map_.byte_address(m.base):06x} {m.name}: {m.rows} x {m.width} bits, "
            f"{4 << m.chunk_bits} bytes a row; {m.meaning}"
            for m in map_.chip_map.memories.values()
        ),
        event_in=_event(map_.event_in),
        event_out=_event(map_.event_out),
        bus=BUS[map_.bus].format(wait=WAIT_CYCLES.bit_length() - 1),
        ports=_ports([clock, reset, *pins], BUSIFS[map_.bus]),
        clock=clock.name,
        reset=f"~{reset.name}" if map_.streams else reset.name,
        request_top=map_.load_bits + 32,
        in_top=width(map_.event_in) - 1,
        out_top=width(map_.event_out) - 1,
        bridge_ports=",\n".join(f"        .{pin.name}({pin.name})" for pin in pins),
        working="        .working(),\n" if chip.banks > 1 else "",
    )


def _parameters(chip: Chip) -> dict[str, object]:
    return {name: value for name, value in chip.to_dict().items() if value is not None}


def _register(map_: WrapMap, register: Register) -> str:
    address = map_.byte_address(register.address)
    return f"//   0x{address:06x} {register.name} ({register.access}): {register.meaning}"


def _event(record: list[Field]) -> str:
    at, texts = 0, []
    for field in record:
        texts.append(f"bits {at + field.bits - 1}:{at} {field.name} ({field.meaning})")
        at += field.bits
    return ", ".join(texts)


def _ports(pins: list[Pin], busifs: str | None) -> str:
    """The ports, one a line with its comment; the clock says which buses it is of."""
    lines = []
    for at, pin in enumerate(pins):
        bits = f"[{pin.width - 1}:0] " if pin.width > 1 else ""
        comma = "," if at < len(pins) - 1 else ""
        line = f"    {'input ' if pin.into else 'output'} wire {bits}{pin.name}{comma}"
        lines.append(f"{line:<44}// {pin.meaning}" if pin.meaning else line)
    if busifs:
        parameter = f"ASSOCIATED_BUSIF {busifs}, ASSOCIATED_RESET aresetn"
        lines.insert(0, f'    (* X_INTERFACE_PARAMETER = "{parameter}" *)')
        lines.insert(0, '    (* X_INTERFACE_INFO = "xilinx.com:signal:clock:1.0 aclk CLK" *)')
    return "\n".join(lines)
