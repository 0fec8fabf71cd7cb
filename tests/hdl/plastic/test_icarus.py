"""The plastic core in Icarus Verilog: value for value what Verilator says, over small lessons.

bench.v drives the pins from a script. Everything that the core's ports show is compared.
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from amaranth.lib import data

from spikeloop.cosim.macros.plastic import PLASTIC, PlasticModel
from spikeloop.hdl.plastic.core import neuron_layout
from spikeloop.hdl.synapses.memories import load_layout, state_layout, trace_layout
from spikeloop.hdl.synapses.update import update_layout
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.lessons.trace import NEURON_FIELDS, LessonTrace
from spikeloop.pysim.plastic.contents import chunks
from spikeloop.pysim.plastic.params import PlasticParams
from tests.campaigns.regression.lessons import CORES
from tests.make.lessons.random import SIZES, random_lesson

LOAD, TICK, REST, CLEAR, NORMALISE, LINE, ZERO = range(7)
PARAMS = CORES["learns"]


def script(p: PlasticParams, lesson: Lesson) -> list[tuple[int, int]]:
    """The lesson as commands of bench.v."""
    place = {name: field.offset for name, field in load_layout(p)}
    loads: list[tuple[int, int]] = []
    registers = 0
    for memory, row, index, chunk in chunks(p, lesson).tolist():
        parts = {"en": 1, "write": 1, "memory": memory, "row": row, "index": index, "data": chunk}
        value = sum(part << place[name] for name, part in parts.items())
        loads.append((LOAD, value))
        registers += memory == 0
    lines = [*loads[:registers], (CLEAR, 0), *loads[registers:]]  # CLEAR wipes theta
    for n in range(lesson.presentations):
        lines.append((REST, 0))
        for spikes, teacher in zip(*lesson.of(n), strict=True):
            lines += [(LINE, a) for a in np.flatnonzero(spikes).tolist()]
            lines += [(LINE, p.axons + a) for a in np.flatnonzero(teacher).tolist()]
            lines.append((TICK, int(lesson.learn[n]) << 1 | int(lesson.adapt[n])))
        if lesson.normalise[n]:
            lines.append((NORMALISE, 0))
    return [*lines, (ZERO, 0), (REST, 0)]


def simulate(p: PlasticParams, commands: list[tuple[int, int]], folder: Path) -> list[list[str]]:
    """The log of bench.v in Icarus, a letter and a number a line."""
    widths = {
        "LOAD_BITS": load_layout(p).size,
        "LINE_BITS": p.line_bits,
        "NEURON_BITS": p.neuron_bits,
        "STATE_BITS": neuron_layout(p).size,
        "ARRIVAL_BITS": p.axon_bits + trace_layout().size,
        "UPDATE_BITS": update_layout(p).size,
    }
    header = "".join(f"`define {name} {bits}\n" for name, bits in widths.items())
    (folder / "plastic.vh").write_text(header)
    (folder / "plastic.v").write_text(PLASTIC.verilog(p).read_text())
    (folder / "script").write_text("".join(f"{kind:x} {value:x}\n" for kind, value in commands))
    bench, program = Path(__file__).with_name("bench.v"), folder / "bench.vvp"
    compiler = ["iverilog", "-g2012", "-I", folder, "-s", "bench", "-o", program]
    subprocess.run([*compiler, bench, folder / "plastic.v"], check=True)
    log = folder / "log"
    run = ["vvp", program, f"+script={folder / 'script'}", f"+log={log}"]
    done = subprocess.run(run, check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.splitlines()[0] == "done"
    return [line.split() for line in log.read_text().splitlines()]


def fields(layout: data.StructLayout, value: int) -> dict[str, int]:
    """The fields of a port's value."""
    return {name: value >> f.offset & (1 << f.width) - 1 for name, f in layout}


def compared(p: PlasticParams, lesson: Lesson, log: list[list[str]], want: LessonTrace) -> int:
    """Asserts that the log is the trace ``want``; the number of values. ValueError for an x."""
    events = {letter: [int(word, 16) for key, word in log if key == letter] for letter in "nauoc"}
    rows = []
    for value in events["n"]:
        whole = fields(neuron_layout(p), value)
        state = fields(state_layout(p), whole["state"]) | {"s": whole["spike"]}
        state["v"] -= state["v"] >> p.membrane_bits - 1 << p.membrane_bits
        rows.append([whole["neuron"], *(state[name] for name in NEURON_FIELDS)])
    got = np.array(rows).reshape(-1, p.neurons, 1 + len(NEURON_FIELDS))
    assert (got[:, :, 0] == np.arange(p.neurons)).all()
    for at, name in enumerate(NEURON_FIELDS, 1):
        assert np.array_equal(got[:, :, at], getattr(want, name)), name
    assert events["o"] == np.nonzero(want.s)[1].tolist()
    updates = [[*fields(update_layout(p), value).values()] for value in events["u"]]
    assert np.array_equal(np.array(updates).reshape(-1, 5), want.updates[:, 2:])
    axons = (1 << p.axon_bits) - 1
    traces = [(n & axons, fields(trace_layout(), n >> p.axon_bits)["x"]) for n in events["a"]]
    assert np.array_equal(np.array(traces).reshape(-1, 2), want.arrivals[:, 2:])
    *counted, last = events["c"]  # the counter became 0 before the last
    assert last == want.rest_cycles[0]
    cycles = np.diff(counted).tolist()
    for n in range(lesson.presentations):
        begin, end = lesson.first[n : n + 2]
        assert cycles.pop(0) == want.rest_cycles[n]
        assert [cycles.pop(0) for _ in range(begin, end)] == want.cycles[begin:end].tolist()
        if lesson.normalise[n]:
            assert cycles.pop(0) == want.normalise_cycles[n]
    assert not cycles
    return got.size + want.updates.size + want.arrivals.size + len(events["o"] + events["c"])


@pytest.mark.icarus
def test_icarus_is_verilator(seed: int, tmp_path: Path) -> None:
    model, total = PlasticModel(PARAMS, optimise=False), 0
    for number in range(3):
        rng = np.random.default_rng([seed, 300, number])
        lesson = random_lesson(rng, SIZES["small"], presentations=3, ticks=20)
        log = simulate(PARAMS, script(PARAMS, lesson), tmp_path)
        total += compared(PARAMS, lesson, log, model.run(lesson))
    model.close()
    assert total > 5000
