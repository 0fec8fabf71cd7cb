"""Every generated text, as users' tools take it (``make texts``).

    python -m tests.campaigns.texts [NAME ...]

For each preset, each chip and macro of the regression, two boards, and a chip behind each bus:

- PYTHONHASHSEED 0 to 5 give the same text. A text that depends on them, PLANT, must be found;
- Icarus takes the text unpatched in every mode of MODES, and no output of HANDSHAKE is x after the
  shortest reset;
- ``verilator --lint-only`` says nothing. With -Wall, and with what the text itself keeps quiet, it
  says no more than LIMITS.

Exit status 1: something else.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from spikeloop.cosim.verilator.build import simulator_root
from spikeloop.hdl import verilog
from spikeloop.hdl.wrap.verilog import generate_wrapped
from spikeloop.pysim.chip.params import PRESETS
from tests.campaigns.macros.dendritic import MACROS as DENDRITES
from tests.campaigns.macros.onn import MACROS as OSCILLATORS
from tests.campaigns.regression.cases import CHIPS
from tests.campaigns.regression.lessons import CORES
from tests.cocotb.wrap.cores import CORES as WRAPPED
from tests.conftest import ROOT
from tests.make.pim_cases import MACROS

__all__ = ["LIMITS", "MODES", "TEXTS", "digests", "lint", "mistakes", "undefined"]

MODES = ("2005", "2005-sv", "2009", "2012")
SEEDS = range(6)
CYCLES = 30  # after the reset
PORT = re.compile(r"^ +(input|output) +(?:wire )?(?:\[(\d+):0\] )?(\w+) ?[;,]?(?: *//.*)?$", re.M)
CLOCKS = ("clk", "aclk", "wb_clk_i")
RESETS = {"rst": (1, 1), "aresetn": (0, 2), "wb_rst_i": (1, 2)}
"""Value of each reset while it acts, and the least cycles of it."""
HANDSHAKE = re.compile(r"(busy|valid|ready|working|quiet|tx|wb_ack_o|wb_err_o)$")
"""Outputs that a reset defines. The others are data, and of memories that are undefined."""

TEXTS: dict[str, Callable[[], str]] = {
    **{f"preset {n}": lambda chip=chip: verilog.generate(chip) for n, chip in PRESETS.items()},
    **{n: lambda chip=chip: verilog.generate(chip) for n, chip in CHIPS.items()},
    **{n: lambda p=p: verilog.generate_macro(p) for n, p in MACROS.items()},
    **{n: lambda p=p: verilog.generate_plastic(p) for n, p in CORES.items()},
    **{n: lambda p=p: verilog.generate_onn(p) for n, p in OSCILLATORS.items()},
    **{n: lambda p=p: verilog.generate_dendritic(p) for n, p in DENDRITES.items()},
    "board tiny": lambda: verilog.generate_board(PRESETS["tiny"], virtual=True),
    "board ulx3s-85f": lambda: verilog.generate_board(PRESETS["ulx3s-85f"], divisor=217),
    **{
        bus: lambda c=chip, b=bus: generate_wrapped(c, b, "core")
        for bus, (_, chip) in WRAPPED.items()
    },
}
PLANT = "plant"
"""Name of a text in the order of a set, which the seed of names changes."""

COUNTED = (
    *(f"preset {n}" for n in ("tiny", "default", "zou2021", "full", "ulx3s-85f", "hx8k")),
    *("board tiny", "board ulx3s-85f"),
)
LIMITS = {
    # kept quiet by the text (hdl/verilog.py says why)
    "CASEINCOMPLETE": (26, 26, 23, 22, 23, 26, 114, 117),
    "CMPCONST": (0, 0, 0, 1, 1, 1, 0, 1),
    "INITIALDLY": (12, 12, 12, 12, 15, 15, 23, 28),
    "WIDTHEXPAND": (90, 50, 103, 45, 147, 115, 138, 198),
    "WIDTHTRUNC": (7, 7, 7, 7, 6, 6, 43, 49),
    # -Wall
    "DECLFILENAME": (1, 1, 1, 1, 1, 1, 1, 1),  # many modules in one file
    # a register has a value at power-up, and a reset
    "PROCASSINIT": (153, 96, 209, 96, 173, 158, 209, 241),
    # fields of records that a module does not look at
    "UNUSEDSIGNAL": (476, 472, 471, 472, 598, 519, 939, 1071),
    "VARHIDDEN": (0, 0, 0, 0, 0, 0, 1, 1),  # a signal has the name of its module's instance
}
"""Warnings of each code, on each text of COUNTED: more is a mistake, and so is another code."""
WIDE, REPEATED = ("slices", "slices-states"), "WIDTHCONCAT"
"""Chips of 512 lanes, which repeat a bit more than 8,192 times: Verilator asks whether that is
meant. No preset is so wide."""
HARMLESS = {
    "WIDTHTRUNC": r"LOGNOT expects 1 bit|Assign RHS's SHIFTR|Assign RHS's SHIFTRS",
    "WIDTHEXPAND": r"Operator (?!ASSIGN)",
}
"""How warnings of a code read that the Verilog writer makes. An assignment of another width is not
among them: it would be a mistake of ours."""


def undefined(text: str, mode: str, folder: Path) -> list[str]:
    """Handshakes of the top, the first module of ``text``, that are x after the shortest reset."""
    top = re.search(r"^module (\w+) ?\(", text, re.M)
    assert top
    ports = PORT.findall(text[top.start() : text.index("endmodule", top.start())])
    watched = [name for way, _, name in ports if way == "output" and HANDSHAKE.search(name)]
    (clock,) = (name for _, _, name in ports if name in CLOCKS)
    (reset,) = (name for _, _, name in ports if name in RESETS)
    acts, cycles = RESETS[reset]
    assert watched
    first = {name: int(name.endswith("ready")) for _, _, name in ports} | {reset: 1 - acts}
    declared = [
        f"{'wire' if way == 'output' else 'reg'} [{high or 0}:0] {name}"
        + (f" = {first[name]}" if way == "input" else "")
        for way, high, name in ports
    ]
    lines = [f"x {name} %b" for name in watched]
    checks = [
        f'if (^{name} === 1\'bx) $display("{line}", {name});'
        for name, line in zip(watched, lines, strict=True)
    ]
    wires = ", ".join(f".{name}({name})" for _, _, name in ports)
    bench = f"""`timescale 1ns / 1ps
    module bench;
        {"; ".join(declared)};
        {top[1]} dut ({wires});
        always #1 {clock} = ~{clock};
        integer at;
        initial begin
            #1 {reset} = {acts};
            repeat ({cycles}) @(negedge {clock});
            {reset} = {1 - acts};
            for (at = 0; at < {CYCLES}; at = at + 1) begin
                @(negedge {clock});
                if (at > 3) begin {" ".join(checks)} end
            end
            $display("done {len(watched)}");
            $finish;
        end
    endmodule
    """
    (folder / "bench.v").write_text(bench)
    (folder / "text.v").write_text(text)
    _call("iverilog", f"-g{mode}", "-s", "bench", "-o", "bench.vvp", "bench.v", "text.v", at=folder)
    said = _call("vvp", "-n", "bench.vvp", at=folder).stdout.splitlines()
    assert said[-1] == f"done {len(watched)}", said[-3:]
    return sorted({line.split()[1] for line in said if line.startswith("x ")})


def lint(text: str, folder: Path, *, everything: bool = False) -> list[tuple[str, str]]:
    """Warnings (code, text) of ``verilator --lint-only``.

    everything: also those that -Wall adds, and those that the text keeps quiet.
    """
    if everything:
        text = re.sub(r"^// verilator lint_off \w+\n", "", text, flags=re.M)
    (folder / "text.v").write_text(text)
    program = str(simulator_root() / "bin" / "verilator_bin")
    options = ["-Wall", "-Wno-fatal"] if everything else ["-Wno-fatal"]
    done = _call(
        program, "--lint-only", *options, "text.v", at=folder, VERILATOR_ROOT=str(simulator_root())
    )
    return re.findall(r"^%Warning-(\w+): (.*)$", done.stderr, re.M)


def mistakes(warnings: list[tuple[str, str]], name: str) -> list[str]:
    """Warnings that no line of LIMITS covers.

    Of a text ``name`` in COUNTED, also codes that come more often than they did.
    """
    wrong = [
        f"{code}: {text}"
        for code, text in warnings
        if code not in LIMITS or not re.search(HARMLESS.get(code, ""), text)
    ]
    counts = Counter(code for code, _ in warnings)
    if name in COUNTED:
        most = {code: numbers[COUNTED.index(name)] for code, numbers in LIMITS.items()}
        wrong += [f"{code}: {n} times" for code, n in counts.items() if n > most.get(code, n)]
    return wrong


def _call(*command: str, at: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=at, env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )


def _digests(names: list[str], seed: int) -> list[str]:
    """SHA-256 of these texts in a process whose names hash by ``seed``."""
    program = "import sys; from tests.campaigns.texts import digests; digests(sys.argv[1:])"
    variables = {"PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)}
    return _call(sys.executable, "-c", program, *names, at=ROOT, **variables).stdout.split()


def digests(names: list[str]) -> None:
    """Print the SHA-256 of each text; the name PLANT stands for the planted one."""
    for name in names:
        text = " ".join(set(TEXTS)) if name == PLANT else TEXTS[name]()
        print(hashlib.sha256(text.encode()).hexdigest(), flush=True)


def main(names: list[str]) -> int:
    names = names or list(TEXTS)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="spikeloop-texts-") as folder:
        for name in names:
            text, at = TEXTS[name](), Path(folder)
            plain, every = (
                [w for w in lint(text, at, everything=all_) if w[0] != REPEATED or name not in WIDE]
                for all_ in (False, True)
            )
            wrong = [f"lint: {warning}" for warning in plain]
            wrong += mistakes(every, name)
            for mode in MODES:
                wrong += [f"x in mode {mode}: {port}" for port in undefined(text, mode, at)]
            failed += bool(wrong)
            print(f"{name}: {len(text):,} characters, {len(every)} warnings of -Wall", flush=True)
            for line in wrong[:9]:
                print(f"  {line}", flush=True)
    said = [_digests([PLANT, *names], seed) for seed in SEEDS]
    (_, *planted), *found = zip([PLANT, *names], *said, strict=True)
    if len(set(planted)) == 1:
        print("planted text that depends on the seed of names: not found")
        return 1
    for name, *values in found:
        if len(set(values)) > 1:
            failed += 1
            print(f"{name}: {len(set(values))} texts from {len(SEEDS)} seeds of names")
    print(
        f"{len(names)} texts in {len(MODES)} modes, from {len(SEEDS)} seeds of names: "
        f"{failed} with something wrong"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
