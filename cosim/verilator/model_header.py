"""What lies between Verilator's output and the harness: rewrites of its text, and two headers.

The harness ``chip.cpp`` serves every chip. ``model.h`` tells it where the memories and counters of
one chip's model are, and how wide its records are. ``cycle.h`` is one cycle of a single core, in a
form that knows which clocks tick in most cycles.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from spikeloop.hdl.names import CHIP_TOP, CORE_MODULE
from spikeloop.pysim.chip.fabric import Mesh
from spikeloop.pysim.chip.memory_map import (
    CONTROL_CLEAR,
    CONTROL_PIM,
    CONTROL_RUN,
    CONTROL_SEND,
    PIM,
    MemoryMap,
)
from spikeloop.pysim.chip.params import BUS_BITS, Chip

__all__ = ["cycle_header", "model_header", "named_only", "whole_words", "write_headers"]

SCAN, REPLAY = ("events", "list", "row", "acc"), ("list", "row", "acc")
"""The gated domains that tick while events stream: for a tick's first word, for its others."""

ROOT = f"V{CHIP_TOP}___024root"
"""Verilator's class of the whole model, and what its functions' names begin with."""


def named_only(verilog: str) -> str:
    """The Verilog, its nets without a name of their own (``\\$12``, ``\\wire$34``) not in waves."""
    return re.sub(
        r"^  ((?:wire|reg) (?:\[\d+:0\] )?\\(?:wire|port|)\$.*;)$",
        r"  /*verilator tracing_off*/ \1 /*verilator tracing_on*/",
        verilog,
        flags=re.M,
    )


def whole_words(header: str) -> str:
    """A header of the model with its members of up to 7 bits as 32-bit ones.

    Compilers read bytes four at a time, and such a read waits for a byte that was just written.
    """
    return re.sub(r"CData(/\*[0-6]:0\*/ \w+;)", r"IData\1", header)


def write_headers(folder: Path, chip: Chip, *, known_clocks: bool) -> None:
    """The model's headers as the harness wants them, ``model.h`` and ``cycle.h``, in ``folder``.

    known_clocks: whether ``cycle.h`` may tell the harness more than to evaluate the common way.
    """
    headers = [folder / f"{ROOT}.h"]
    if chip.derived.cores > 1:
        headers.append(folder / f"V{CHIP_TOP}_{CORE_MODULE}.h")
    texts = [whole_words(header.read_text()) for header in headers]
    for header, text in zip(headers, texts, strict=True):
        header.write_text(text)
    (folder / "model.h").write_text(model_header(chip, *texts))
    simple = not (chip.derived.cores > 1 or chip.pim or chip.front)
    sources = sorted(folder.glob(f"V{CHIP_TOP}_*.cpp")) if known_clocks and simple else []
    known = REPLAY if chip.derived.words > 1 else SCAN
    (folder / "cycle.h").write_text(cycle_header([cpp.read_text() for cpp in sources], known))


def model_header(chip: Chip, root_header: str, core_header: str | None = None) -> str:
    """The text of ``model.h``. root_header, core_header: Verilator's headers of the model.

    The memories and counters of a single core are members of the root. The cores of a mesh are
    objects of a class of their own, which ``core_header`` declares.
    """
    map_, d = MemoryMap(chip), chip.derived
    cores, prefix = ["root->"], f"{CHIP_TOP}__DOT__core__DOT__"
    if core_header is not None:
        mesh = Mesh(chip.mesh_width, chip.mesh_height)
        cores = [f"root->__PVT__{CHIP_TOP}__DOT__core_{x}_{y}__DOT__core->" for x, y in mesh]
        prefix = ""
    control = map_.registers["control"].address
    bits = map_.address_bits + d.core_bits
    lines = [
        "#pragma once",
        f"#define CORES {d.cores}",
        f"#define BANKS {chip.banks}",
        f"#define MEMORIES {_memories(map_, cores, core_header or root_header)}",
        f"#define READ_COUNTERS(root, out) do {{ {_counters(map_, cores, prefix)} }} while (0)",
        f"#define CLOCKS_LOW(root) do {{ {_clocks(root_header)} }} while (0)",
        f"#define GATES_BEHIND_GATES {int(bool(chip.pim or chip.front))}",
        f"#define RING_CHUNKS {1 << (d.axon_chunks - 1).bit_length()}",
        f"#define CONTROL_ADDRESS {control}",
        f"#define CONTROL_CLEAR_BIT {CONTROL_CLEAR}",
        f"#define AXON_BITS {d.axon_bits}",
        f"#define DELAY_BITS {d.delay_bits}",
        "#define REQUEST(address, data, write) "
        f"(uint64_t(address) | uint64_t(data) << {bits} | uint64_t(write) << {bits + BUS_BITS})",
        "#define OUTPUT_ADDRESS(payload) ((payload) & 0xFFFF)",
        "#define OUTPUT_DELAY(payload) ((payload) >> 16 & ((1 << DELAY_BITS) - 1))",
        "#define OUTPUT_CORE(payload) ((payload) >> 16 >> DELAY_BITS)",
    ]
    if core_header is not None:
        lines.append(f'#include "V{CHIP_TOP}_{CORE_MODULE}.h"')
    if "__VicoFirstIteration" in root_header:
        lines.append("#define INPUT_REGION")
    if chip.pim:
        stream = map_.registers[f"{PIM}stream"].address
        lines.append(f"#define PIM_STREAM_ADDRESS {stream}")
        lines.append(f"#define CONTROL_PIM_BIT {CONTROL_PIM}")
    if chip.front:
        for name in chip.front.settings:
            address = map_.registers[f"{chip.front.prefix}{name}"].address
            lines.append(f"#define FRONT_{name.upper()}_ADDRESS {address}")
        lines.append(f"#define CONTROL_RUN_BIT {CONTROL_RUN}")
        lines.append(f"#define CONTROL_SEND_BIT {CONTROL_SEND}")
    return "\n".join(lines) + "\n"


def _memories(map_: MemoryMap, cores: list[str], header: str) -> str:
    """``MEMORY("name", core, member)`` for every memory of every core."""
    pattern = r"\s((?:\w+__DOT__)?(\w+?)_memory__DOT__ram__DOT__mem);"
    members = {name: member for member, name in re.findall(pattern, header)}
    return " ".join(
        f'MEMORY("{name}", {number}, {core}{members[name]})'
        for number, core in enumerate(cores)
        for name, memory in map_.memories.items()
        if not memory.ported
    )


def _counters(map_: MemoryMap, cores: list[str], prefix: str) -> str:
    """Assignments of every core's counters to ``out``, core after core."""
    places = [(core, name) for core in cores for name in map_.counters]
    assignments = [
        f"out[{number}] = {core}{prefix}count_{name};" for number, (core, name) in enumerate(places)
    ]
    return " ".join(assignments)


def _clocks(root_header: str) -> str:
    """Assignments that make every clock low, as the model last looked at them."""
    names = re.findall(r"\s(__Vtrigprevexpr_\w+);", root_header)
    return " ".join(f"root->{name} = 0;" for name in names)


def cycle_header(sources: Sequence[str], known: Sequence[str]) -> str:
    """The text of ``cycle.h``: RISE and FALL, the edges of a core's clock; empty without its gates.

    sources: Verilator's C++ of the model. known: the gated domains of most cycles.
    The model's evaluation asks for each clock whether it ticked. The falling edge, where gates
    open, and the rising edge of the known domains get a copy of it each. In a copy the answers are
    constants: the compiler keeps what these clocks need, in one piece. Edges of other clocks go the
    common way. All clocks are low before a rising edge, so it looks at gates alone. Where clocks
    are ports of slices, the input region hands the pin on to them first.
    """
    text = "".join(sources)
    clocks = {
        clock: int(number)
        for number, clock in re.findall(r"trigger index (\d+) is active: @\((.*?)\)\\n", text)
    }
    gates = {match[1]: n for c, n in clocks.items() if (match := re.search(r"(\w+)_gate\.open", c))}
    if not {*known} <= {*gates}:
        return ""
    rise = sum(1 << number for number in (clocks["posedge clk"], *(gates[name] for name in known)))
    fall = 1 << clocks["negedge clk"]
    functions = dict(
        re.findall(rf"^void {ROOT}___(\w+)\({ROOT}\* vlSelf\) {{\n(.*?)^}}\n", text, re.M | re.S)
    )
    inputs = functions.get("eval_ico", "").replace("vlSelfRef.__VicoTriggered[0U]", "uint64_t(1)")
    evaluation = functions["eval_nba"].replace("vlSelfRef.__VnbaTriggered[0U]", "triggered")
    calls = rf"{ROOT}___(\w+)\(vlSelf\);"
    parts = re.findall(
        r"^    if \(\((\w+)ULL & triggered\)\) {\n(.*?)^    }\n", evaluation, re.M | re.S
    )
    copied = {
        name: functions[name]
        for mask, part in parts
        if int(mask, 0) & (rise | fall)
        for name in re.findall(calls, part)
    }

    def function(head: str, body: str) -> str:
        kept = rf"{ROOT}___({'|'.join(copied)})\(vlSelf\);"
        body = re.sub(kept, r"copy_of_\1(vlSelf);", body)
        return f"static inline __attribute__((always_inline)) {head} {{\n{body}}}\n"

    triggers = functions["eval_triggers_vec__act"].replace("vlSelfRef.clk", "CData(1)")
    triggers = triggers.replace("vlSelfRef.__VactTriggered[0U]", "triggered")
    triggers = re.sub(r"vlSelfRef\.(__Vtrigprevexpr)", r"was\1", triggers)
    were = "".join(
        f"CData {name} = 0;\n" for name in sorted(set(re.findall(r"was__\w+", triggers)))
    )
    model = f"{ROOT}* vlSelf"
    return "\n".join(
        [
            "#pragma once",
            *sorted(set(re.findall(r"^(?:extern const|void) .*;$", text, re.M))),
            *(f"void {ROOT}___{name}({model});" for name in functions),
            *(function(f"void copy_of_{name}({model})", body) for name, body in copied.items()),
            function(f"void inputs({model})", inputs),
            function(f"void evaluate({model}, const uint64_t triggered)", evaluation),
            function(
                f"uint64_t rising({model})",
                f"{were}uint64_t triggered;\n{triggers}return triggered;\n",
            ),
            "#define RISE(root) do { inputs(root); const uint64_t triggered = rising(root); "
            f"if (triggered == {rise}) evaluate(root, {rise}); "
            "else { root->__VnbaTriggered[0] = triggered; "
            f"{ROOT}___eval_nba(root); root->__VnbaTriggered[0] = 0; }} }} while (0)",
            f"#define FALL(root) do {{ inputs(root); evaluate(root, {fall}); }} while (0)",
        ]
    )
