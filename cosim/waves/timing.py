"""One tick as a timing diagram, from a real trace: ``python -m spikeloop.cosim.waves.timing`` writes docs/images/tick.json (WaveJSON) and tick.svg.

Two neurons on the smallest chip: the trace is that of ``spikeloop waves``, sampled right before every rising edge of the clock.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.waves import vcd
from spikeloop.cosim.waves.window import record
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["FOLDER", "cycles", "network", "stimulus", "wave_json", "write"]

FOLDER = Path("docs/images")
TICK = 1
PHASES = {
    "scan": "scan for spikes",
    "flush": "last rows",
    "joining": "join columns",
    "leaking": "leak",
    "firing": "fire",
    "writing": "write",
    "emitting": "emit",
    "settling": "settle",
}


def network() -> Network:
    """Four inputs, two neurons that feed each other."""
    return Network(
        name="one_tick",
        inputs=(Input(name="x", size=4),),
        steps=3,
        output="out",
        populations=(Population.make("out", 2, v_th=2, weight_bits=4),),
        edges=(
            Edge(
                source="x",
                target="out",
                weights=np.array([[1, 2], [2, -1], [3, 0], [-2, 3]], np.int32),
            ),
            Edge(
                source="out", target="out", delay=1, weights=np.array([[0, -1], [1, 0]], np.int32)
            ),
        ),
    )


def stimulus() -> Stimulus:
    return Stimulus.pack({"x": np.array([[[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 0]]], np.uint8)})


def cycles(path: Path, tick: int) -> list[dict[str, str]]:
    """Values of the dump's signals (below the core) in each clock cycle of ``tick``: binary digits by name."""
    with path.open() as file:
        names = {s.key: ".".join((*s.scope[1:], s.name)) for s in vcd.header(file)}
        now: dict[str, str] = {}
        found, before = [], dict(now)
        for _, key, value in vcd.changes(file, names):
            if names[key] == "clk" and value == "1" and now.get("clk") == "0":
                before = dict(now)
                if (
                    before.get("control.ticking") == "1"
                    and before.get("busy") == "1"
                    and int(before["control.number"], 2) == tick + 1
                ):
                    found.append(before)
            now[names[key]] = value
    return found


def wave_json(rows: list[dict[str, str]], title: str) -> dict[str, Any]:
    """The diagram of ``rows``: clock, states of the controller, word, axons, spikes, events."""

    def number(row: dict[str, str], name: str) -> str:
        return str(int(row[name], 2))

    lanes: dict[str, list[str | None]] = {
        "word": [number(row, "control.word") for row in rows],
        "axon that spiked": [
            number(row, "list.scan_axon") if row["list.scan_valid"] == "1" else None for row in rows
        ],
        "spikes, hex": [
            f"{int(row['spikes'], 2):x}" if row["control.writing"] == "1" else None for row in rows
        ],
        "event to axon": [
            number(row, "few.i__payload.axon")
            if row["few.i__valid"] == row["few.i__ready"] == "1"
            else None
            for row in rows
        ],
    }
    signal: list[dict[str, Any]] = [{"name": "clk", "wave": "p" + "." * (len(rows) - 1)}]
    signal += [
        {"name": name, "wave": _wave([row[f"control.{phase}"] for row in rows])}
        for phase, name in PHASES.items()
    ]
    for name, values in lanes.items():
        changed = [
            value
            for before, value in zip([None, *values], values, strict=False)
            if value is not None and value != before
        ]
        signal.append(
            {
                "name": name,
                "wave": _wave(["x" if value is None else value for value in values], "="),
                "data": changed,
            }
        )
    return {"signal": signal, "head": {"text": title, "tick": 0}, "config": {"skin": "narrow"}}


def _wave(values: list[str], data: str = "") -> str:
    """A character for each cycle: the value (``data`` in place of anything but x), a point while it stays."""
    pairs = zip(["", *values], values, strict=False)
    return "".join(
        "." if value == before else value if not data or value == "x" else data
        for before, value in pairs
    )


def write(folder: Path) -> dict[str, Any]:
    """Record, write ``tick.json`` and ``tick.svg``; the diagram."""
    import wavedrom

    with tempfile.TemporaryDirectory(prefix="spikeloop-") as temporary:
        image = pack(network(), chip=preset("tiny")).save(Path(temporary) / "image")
        found = record(image, stimulus(), Path(temporary), core=0, tick=TICK)
        rows = cycles(Path(found["waves"]), TICK)
    diagram = wave_json(rows, f"tick {TICK}: {len(rows)} cycles on preset tiny")
    write_atomic(folder / "tick.json", (json.dumps(diagram, indent=1) + "\n").encode())
    write_atomic(folder / "tick.svg", wavedrom.render(json.dumps(diagram)).tostring().encode())
    return diagram


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
