"""The Verilog of the dendritic neurons in Icarus, an independent simulator, and in Yosys."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from spikeloop.cosim.audit.yosys import yosys
from spikeloop.hdl.dendrites.layouts import load_layout
from spikeloop.hdl.names import DENDRITIC_TOP as TOP
from spikeloop.hdl.verilog import generate_dendritic as generate
from spikeloop.pysim.dendrites.settings import PASSING, UNITS
from spikeloop.pysim.dendritic.contents import net_chunks, show_chunks, state_chunks, state_of
from spikeloop.pysim.dendritic.memories import memories
from spikeloop.pysim.dendritic.params import DendriticParams
from tests.campaigns.macros.dendritic import expected
from tests.make.dendrites.random import Case, random_case

PARAMS = DendriticParams(inputs=9, neurons=2, stimuli=2)
WRITE, READ, SHOW = 0, 1, 2
STATE = ("globals", "neurons", "inhibition", "weights", "synapses")

BENCH = """
module bench;
  reg clk = 0, rst = 1, start = 0;
  reg [BITS-1:0] load = 0;
  wire [31:0] read;
  wire busy, step_valid;
  wire [UNIT-1:0] unit_0, unit_1;
  wire [63:0] rin;
  TOP dut (.clk(clk), .rst(rst), .start(start), .load(load), .read(read), .busy(busy),
    .step_valid(step_valid), .unit_0(unit_0), .unit_1(unit_1), .rin(rin));
  always #1 clk = ~clk;
  reg [BITS+1:0] script [0:LINES-1];
  integer i, left;
  initial begin
    $readmemh("script.hex", script);
    repeat (4) @(posedge clk);
    rst <= 0;
    for (i = 0; i < LINES; i = i + 1) begin
      @(posedge clk);
      if (script[i][BITS+1:BITS] == 2) start <= 1; else load <= script[i][BITS-1:0];
      @(posedge clk);
      load <= 0;
      start <= 0;
      if (script[i][BITS+1:BITS] != 0) repeat (3) @(negedge clk);
      if (script[i][BITS+1:BITS] == 1) $display("read %h", read);
      for (left = LIMIT; busy && left; left = left - 1) begin
        if (step_valid) $display("step %h %h %h", unit_0, unit_1, rin);
        @(negedge clk);
      end
    end
    $finish;
  end
endmodule
"""


@pytest.fixture(scope="module")
def verilog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dendritic") / "dendritic.v"
    path.write_text(generate(PARAMS))
    return path


def _words(kind: int, chunks: np.ndarray) -> list[int]:
    """Lines of a script: an access of the load port each."""
    layout = load_layout(PARAMS)
    place = {name: field.offset for name, field in layout}
    fixed = (kind << layout.size) | 1 << place["en"] | (kind == WRITE) << place["write"]
    names = ("memory", "row", "index", "data")
    return [
        fixed | sum(value << place[name] for name, value in zip(names, chunk, strict=True))
        for chunk in chunks.tolist()
    ]


def _asked() -> np.ndarray:
    """Every chunk of the state."""
    table = {memory.name: (n, memory) for n, memory in enumerate(memories(PARAMS))}
    rows = [
        (number, row, index, 0)
        for number, memory in (table[name] for name in STATE)
        for row in range(memory.rows)
        for index in range(memory.chunks)
    ]
    return np.array(rows)


def _script(case: Case) -> list[int]:
    lines = _words(WRITE, net_chunks(PARAMS, case.net, case.stimuli))
    lines += _words(WRITE, state_chunks(PARAMS, case.net, case.state))
    for show in case.shows:
        kind = {"learn": show.learn, "plastic": show.plastic}
        lines += _words(WRITE, show_chunks(show.stimulus, show.steps, **kind))
        lines.append(SHOW << load_layout(PARAMS).size)
    return lines + _words(READ, _asked())


def _simulated(folder: Path, lines: list[int], verilog: Path) -> list[list[str]]:
    forms = (*UNITS.values(), *PASSING.values())
    bits = {"BITS": load_layout(PARAMS).size, "UNIT": sum(form.bits for form in forms)}
    text = BENCH.replace("TOP", TOP)
    for name, value in {**bits, "LINES": len(lines), "LIMIT": 10_000}.items():
        text = text.replace(name, str(value))
    (folder / "bench.v").write_text(text)
    (folder / "script.hex").write_text("\n".join(f"{line:x}" for line in lines))
    built = _run("iverilog", "-g2005", "-Wall", "-o", "bench", "bench.v", verilog, folder=folder)
    warnings = [line for line in built.stderr.splitlines() if "timescale" not in line]
    assert warnings == []
    done = _run("vvp", "bench", folder=folder)
    return [line.split() for line in done.stdout.splitlines() if line.startswith(("step", "read"))]


def _run(*command: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )


def _fields(word: str) -> list[int]:
    """Values of a neuron's port; an undefined bit is no number, and an error."""
    value, fields = int(word, 16), []
    for form in (*UNITS.values(), *PASSING.values()):
        part = value & (1 << form.bits) - 1
        fields.append(part - (part >> form.bits - 1 << form.bits) if form.signed else part)
        value >>= form.bits
    return fields


@pytest.mark.icarus
def test_icarus_is_pysim(seed: int, tmp_path: Path, verilog: Path) -> None:
    case, steps, compared = random_case(np.random.default_rng([seed, 7]), PARAMS, 12), [], 0
    lines = _simulated(tmp_path, _script(case), verilog)
    state = case.state
    for show in case.shows:
        want = expected(case.net, case.stimuli, state, show)
        steps += list(zip(want.units, want.rin, strict=True))
        state = want.state
    seen = [line[1:] for line in lines if line[0] == "step"]
    assert len(seen) == len(steps) == 12
    for (units, rin), words in zip(steps, seen, strict=True):
        ours = np.array([_fields(word) for word in words[: case.net.neurons]]).T
        assert np.array_equal(ours, units) and int(words[2], 16) == rin
        compared += ours.size + 1
    read = iter(int(line[1], 16) for line in lines if line[0] == "read")
    held = {
        memory.name: np.array([next(read) for _ in range(memory.rows * memory.chunks)]).reshape(
            memory.rows, memory.chunks
        )
        for memory in memories(PARAMS)
        if memory.name in STATE
    }
    ours = state_of(PARAMS, case.net, held)
    for name in ("weights", "inhibition", "currents", "psps", "units"):
        assert np.array_equal(getattr(ours, name), getattr(state, name)), name
    assert (ours.age, ours.rin) == (state.age, state.rin)
    assert compared >= 12 * (2 * 12 + 1)


def test_yosys_synthesises_it(verilog: Path) -> None:
    done, log = yosys(
        f"read_verilog -DSYNTHESIS {verilog}\nhierarchy -check -top {TOP}\nproc\n"
        "select -assert-none t:$dlatch t:$adlatch\ncheck -assert\n"
    )
    assert done, log[-2000:]
