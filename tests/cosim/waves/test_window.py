"""Waves of a window: right core and ticks, the model's values, save files that name them."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from vcd.gtkw import GTKWFlag

from spikeloop.cosim.cli import main
from spikeloop.cosim.waves import timing
from spikeloop.cosim.waves.signals import OPTIONAL, SIGNALS
from spikeloop.cosim.waves.window import around, record
from spikeloop.golden.reference import integer
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.bundle.open import map_network
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.mesh import MeshModel
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.conftest import ROOT
from tests.cosim.conftest import Small


def counted(path: Path) -> tuple[set[int], dict[int, int]]:
    """Read anew, from the text alone: ticks of the window, and spikes scanned in each."""
    text = path.read_text()
    ids = {
        name: re.search(rf"\$var wire \d+ (\S+) {name} ", text).group(1)
        for name in ("clk", "number", "scan_valid")
    }
    now, ticks, scanned = dict.fromkeys(ids, ""), set(), {}
    for line in text.partition("$dumpvars")[2].splitlines():
        value, key = line[1:].split() if line.startswith("b") else (line[:1], line[1:])
        name = next((n for n, i in ids.items() if i == key), None)
        if name == "clk" and value == "1" and now["number"]:
            tick = int(now["number"], 2) - 1
            ticks.add(tick)
            scanned[tick] = scanned.get(tick, 0) + (now["scan_valid"] == "1")
        if name:
            now[name] = value
    return ticks, scanned


@pytest.mark.parametrize("sample, tick, before, after", [(0, 2, 1, 1), (3, 0, 1, 0), (5, 5, 0, 3)])
@pytest.mark.parametrize(
    "simulator", ["verilator", pytest.param("icarus", marks=pytest.mark.icarus)]
)
def test_the_window_holds_what_the_model_says(
    small: Small, tmp_path: Path, sample: int, tick: int, before: int, after: int, simulator: str
) -> None:
    made = record(
        small.folder / "image",
        small.stimulus,
        tmp_path,
        core=0,
        tick=tick,
        sample=sample,
        before=before,
        after=after,
        simulator=simulator,
    )
    low, high = made["ticks"]
    assert (low, high) == (max(0, tick - before), min(5, tick + after))
    ticks, scanned = counted(tmp_path / "waves.vcd")
    want = (
        Core(small.image)
        .run(small.stimulus.take(slice(sample, sample + 1)))
        .counters["spikes_in"][0]
    )
    assert ticks - {low - 1} == set(range(low, high + 1))
    assert [scanned[t] for t in range(low, high + 1)] == want[low : high + 1].tolist()
    assert want[low : high + 1].sum() > 0


def test_save_files_name_every_signal_once(small: Small, tmp_path: Path) -> None:
    made = record(small.folder / "image", small.stimulus, tmp_path, core=0, tick=1)
    worked_out = 1 + 4 * 12  # the state; of 12 neurons membrane, the expected one, sum, total
    assert made["signals"] == sum(map(len, SIGNALS.values())) - len(OPTIONAL) + worked_out
    scope, found = [], set()
    for line in (tmp_path / "waves.vcd").read_text().splitlines():
        match line.split():
            case ["$scope", _, name, "$end"]:
                scope.append(name)
            case ["$upscope", *_]:
                scope.pop()
            case ["$var", _, width, _, name, *_]:
                found.add(
                    ".".join((*scope, name)) + (f"[{int(width) - 1}:0]" if width != "1" else "")
                )
    assert not any("." in name for name in scope) and all(n.count(".") in (1, 2) for n in found)
    lines = (tmp_path / "waves.gtkw").read_text().splitlines()
    assert lines[0] == '[dumpfile] "waves.vcd"'
    assert sorted(line for line in lines if line.startswith("core.")) == sorted(found)
    commands = (tmp_path / "waves.sucl").read_text().splitlines()
    assert {line.split()[1] for line in commands if line.startswith("variable_add")} == {
        name.partition("[")[0] for name in found
    }


def dumped(path: Path) -> dict[str, list[tuple[int, str]]]:
    """Read anew, from the text alone: changes (time, value) of each signal by scope and name."""
    names, scope, now, found = {}, [], 0, {}
    head, _, body = path.read_text().partition("$dumpvars")
    for words in map(str.split, head.splitlines()):
        if words[0] == "$scope":
            scope.append(words[2])
        elif words[0] == "$upscope":
            scope.pop()
        elif words[0] == "$var":
            names[words[3]] = ".".join((*scope[1:], words[4]))
            assert words[1] in ("wire", "string")
    for line in body.splitlines():
        if line.startswith("#"):
            now = int(line[1:])
        elif line and not line.startswith("$"):
            value, key = line[1:].split() if line[0] in "bs" else (line[0], line[1:])
            found.setdefault(names[key], []).append((now, value))
    return found


def at(changes: list[tuple[int, str]], time: int) -> str:
    """The value right before a time."""
    return [value for when, value in changes if when < time][-1]


def signed(digits: str) -> int:
    return int(digits, 2) - (int(digits[0]) << len(digits))


def test_states_are_words_and_membranes_numbers(small: Small, tmp_path: Path) -> None:
    """States go with the strobes; every membrane is golden's, and so is the expected one."""
    record(small.folder / "image", small.stimulus, tmp_path, core=0, tick=3, sample=2, before=2)
    found = dumped(tmp_path / "waves.vcd")
    strobes = {"joining": "JOIN", "leaking": "LEAK", "firing": "FIRE", "writing": "OUT"}
    seen = set()
    for time, value in found["clk"]:
        for strobe, state in strobes.items():
            if time and value == "1" and at(found[f"control.{strobe}"], time) == "1":
                assert at(found["control.state"], time) == state
                seen.add(state)
    assert seen == set(strobes.values())
    truth = integer.run(small.network, small.stimulus.dense(small.network)).membranes
    for p in small.network.populations:
        for n in range(p.size):
            want = [int(truth[p.name][2, tick - p.start, n]) for tick in (1, 2, 3, 4)]
            for group in ("membrane", "expected"):
                rows = [v for when, v in found[f"{group}.{p.name}_{n}"] if "x" not in v]
                assert [signed(v) for v in rows] == want, (group, p.name, n)


def test_sums_and_totals_are_numbers(small: Small, tmp_path: Path) -> None:
    """A sum is that of the weights; a membrane without a spike is its total."""
    record(small.folder / "image", small.stimulus, tmp_path, core=0, tick=3, sample=2, before=2)
    found = dumped(tmp_path / "waves.vcd")
    pixels = small.stimulus.dense(small.network)["pixels"][2].astype(int)
    weights = np.asarray(small.network.edges[0].weights)
    trace = integer.run(small.network, small.stimulus.dense(small.network))
    silent = 0
    for n in range(9):
        sums, totals = (
            [signed(v) for _, v in found[f"{group}.hidden1_{n}"] if "x" not in v]
            for group in ("sum_of", "total_of")
        )
        for k, step in enumerate((1, 2, 3, 4)):
            assert sums[k] == pixels[step] @ weights[:, n]
            if not trace.spikes["hidden1"][2, step, n]:
                silent += 1
                assert totals[k] == trace.membranes["hidden1"][2, step, n]
            else:
                assert totals[k] >= 5  # the threshold
    assert silent > 5
    assert {"offset", "sum", "step.total"} <= set(found)


def test_what_is_not_as_expected_stands_first_with_a_marker(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(Core):
        def run(self, *arguments: object, **options: object) -> Trace:
            trace = super().run(*arguments, **options)
            trace.membranes["output"][0, 1, 1] += 1
            return trace

    monkeypatch.setattr("spikeloop.cosim.waves.window.Core", Wrong)
    record(small.folder / "image", small.stimulus, tmp_path, core=0, tick=2)
    lines = (tmp_path / "waves.gtkw").read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("core.membrane."))
    assert lines[first - 1 : first + 3] == [
        "@420",
        "core.membrane.output_1[23:0]",
        "@420",
        "core.expected.output_1[23:0]",
    ]
    flag = GTKWFlag.rjustify | GTKWFlag.signed
    assert lines[first - 1] == f"@{flag.value:x}"
    assert f"@{(GTKWFlag.rjustify | GTKWFlag.ascii).value:x}" in lines
    marker = int(next(line for line in lines if line.startswith("*")).split()[1])
    number = dumped(tmp_path / "waves.vcd")["control.number"]
    assert int(at(number, marker + 1), 2) == 3 and int(at(number, marker), 2) == 2


@pytest.mark.skipif(
    not (shutil.which("gtkwave") and shutil.which("xvfb-run")),
    reason="GTKWave or Xvfb is not installed: sudo apt-get install gtkwave xvfb",
)
def test_gtkwave_shows_every_name_with_its_value(small: Small, tmp_path: Path) -> None:
    made = record(small.folder / "image", small.stimulus, tmp_path, core=0, tick=2, sample=3)
    found = dumped(tmp_path / "waves.vcd")
    time = found["membrane.output_1"][-1][0] + 1
    value = "gtkwave::getTraceValueAtMarkerFromName"
    (tmp_path / "names.tcl").write_text(
        f"gtkwave::setMarker {time}\n"
        'puts "SHOWN [gtkwave::getDisplayedSignals]"\n'
        f'puts "STATE [{value} core.control.state]"\n'
        f'puts "MEMBRANE [{value} {{core.membrane.output_1[23:0]}}]"\n'
        "gtkwave::/File/Quit\n"
    )
    files = ("--dump=waves.vcd", "--save=waves.gtkw", "--script=names.tcl")
    done = subprocess.run(
        ["xvfb-run", "-a", "gtkwave", *files],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    names = {name.partition("[")[0] for name in said["SHOWN"].split()}
    assert names == {f"core.{name}" for name in found} and len(names) == made["signals"]
    assert said["STATE"] == at(found["control.state"], time + 1)
    assert int(said["MEMBRANE"]) == signed(at(found["membrane.output_1"], time + 1))


@pytest.mark.slow
@pytest.mark.icarus
def test_one_core_of_a_mesh(small: Small, tmp_path: Path) -> None:
    """Every core has its own events."""
    image = map_network(small.network, preset("tiny,columns=32,mesh_width=2,mesh_height=2"))
    assert isinstance(image, MeshImage)
    image.save(tmp_path / "image")
    traces = MeshModel(image).run(small.stimulus.take(slice(0, 1)))
    wants = []
    for core, trace in zip(image.shares, traces, strict=False):
        record(
            tmp_path / "image",
            small.stimulus,
            tmp_path / str(core),
            core=core,
            tick=2,
            before=2,
            after=3,
            simulator="icarus",
        )
        _, scanned = counted(tmp_path / str(core) / "waves.vcd")
        wants.append(trace.counters["spikes_in"][0].tolist())
        assert [scanned[t] for t in range(6)] == wants[-1]
    assert wants[0] != wants[-1]


@pytest.mark.slow
@pytest.mark.icarus
def test_a_part_that_takes_turns(small: Small, tmp_path: Path) -> None:
    program = map_network(small.network, preset("tiny,columns=32"))
    assert not isinstance(program, Image) and len(program.shares) > 1
    program.save(tmp_path / "image")
    made = record(
        tmp_path / "image",
        small.stimulus,
        tmp_path,
        core=len(program.shares) - 1,
        tick=2,
        simulator="icarus",
    )
    assert made["ticks"] == [1, 3]
    _, scanned = counted(tmp_path / "waves.vcd")
    want: list[int] = []

    def one(i: int, stimulus: Stimulus) -> Trace:
        trace = Core(program.shares[i].image).run(stimulus)
        want[:] = trace.counters["spikes_in"][0].tolist()
        return trace

    program.run(small.stimulus.take(slice(0, 1)), one)  # the last part is the last to run
    assert [scanned[t] for t in (0, 1, 2)] == want[:3] and sum(want[:3]) > 0
    with pytest.raises(InputError, match=r"in which core \d+ has its turn, not 0"):
        record(tmp_path / "image", small.stimulus, tmp_path, core=len(program.shares) - 1, tick=0)


def test_the_diagram_in_the_docs_is_of_this_rtl(tmp_path: Path) -> None:
    """The predicted cycles, the axons that spiked, and the very file in docs/images."""
    image = map_network(timing.network(), preset("tiny"))
    made = image.save(tmp_path / "image")
    found = record(made, timing.stimulus(), tmp_path, core=0, tick=timing.TICK)
    rows = timing.cycles(Path(found["waves"]), timing.TICK)
    trace = Core(image).run(timing.stimulus())
    assert len(rows) == trace.counters["cycles"][0, timing.TICK]
    diagram = timing.wave_json(rows, f"tick {timing.TICK}: {len(rows)} cycles on preset tiny")
    lane = next(lane for lane in diagram["signal"] if lane["name"] == "axon that spiked")
    assert len(lane["data"]) == trace.counters["spikes_in"][0, timing.TICK]
    assert all(len(lane["wave"]) == len(rows) for lane in diagram["signal"])
    assert json.loads((ROOT / "docs" / "images" / "tick.json").read_text()) == diagram, (
        "run `python -m spikeloop.cosim.waves.timing`"
    )


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--around", "core=0"), "--around must be such as core=3,tick=17"),
        (("--around", "tick=x"), "--around must be"),
        (("--around", "core=0,tick=2,lane=1"), "--around must be"),
        (("--around", "core=1,tick=2"), "core of the waves must be in 0..0, not 1"),
        (("--around", "tick=6"), "tick of the waves must be in 0..5, not 6"),
        (("--around", "tick=1", "--sample", 6), "sample of the waves must be in 0..5, not 6"),
        (
            ("--around", "tick=1", "--backend", "pysim"),
            "simulator of waves must be one of verilator, icarus, not 'pysim'",
        ),
        (("--around", "tick=1", "--backend", "questa"), "backend must be one of"),
    ],
)
def test_refused(
    small: Small,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    arguments: tuple[object, ...],
    words: str,
) -> None:
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        main(
            [
                "waves",
                str(small.folder / "image"),
                "-o",
                str(tmp_path / "waves"),
                *map(str, arguments),
            ]
        )
    captured = capfd.readouterr()
    assert (
        (end.value.code, captured.out) == (2, "")
        and words in captured.err
        and "\n" not in captured.err.strip()
    )
    assert not (tmp_path / "waves").exists()


def test_around() -> None:
    assert around("core=3,tick=17") == {"core": 3, "tick": 17}
    assert around("tick=4") == {"core": 0, "tick": 4}


def test_the_command(small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        main(
            [
                "waves",
                str(small.folder / "image"),
                "--around",
                "core=0,tick=2",
                "-o",
                str(tmp_path),
                "--json",
            ]
        )
    made = json.loads(capfd.readouterr().out)
    assert end.value.code == 0 and made["ticks"] == [1, 3]
    assert all(Path(made[name]).is_file() for name in ("waves", "gtkwave", "surfer"))
    assert np.isin(list(range(1, 4)), list(counted(Path(made["waves"]))[0])).all()
