"""One tick as a timing diagram, from a real trace: ``python -m spikeloop.cosim.waves.timing``.

It writes docs/images/tick.json (WaveJSON) and tick.svg: two neurons on the smallest chip. The trace
is that of ``spikeloop waves``, sampled right before every rising edge of the clock.
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
"""The tick that is drawn."""

PHASES = {
    "scan": "scan for spikes",
    "flush": "last rows",
    "joining": "join columns",
    "driving": "currents",
    "leaking": "leak",
    "firing": "fire",
    "writing": "write",
    "emitting": "emit",
    "settling": "settle",
}


def network() -> Network:
    """Four inputs, two neurons that feed each other."""
    arriving = np.array([[1, 2], [2, -1], [3, 0], [-2, 3]], np.int32)
    mutual = np.array([[0, -1], [1, 0]], np.int32)
    return Network(
        name="one_tick",
        inputs=(Input(name="x", size=4),),
        steps=3,
        output="out",
        populations=(Population.make("out", 2, v_th=2, weight_bits=4),),
        edges=(
            Edge(source="x", target="out", weights=arriving),
            Edge(source="out", target="out", delay=1, weights=mutual),
        ),
    )


def stimulus() -> Stimulus:
    """One sample of three steps."""
    return Stimulus.pack({"x": np.array([[[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 0, 0]]], np.uint8)})


def cycles(path: Path, tick: int) -> list[dict[str, str]]:
    """The signals of a dump in each clock cycle of ``tick``.

    Of each cycle the binary digits by name below the core.
    """
    with path.open() as file:
        names = {s.key: ".".join((*s.scope[1:], s.name)) for s in vcd.header(file)}
        now: dict[str, str] = {}
        rows = []
        for _, key, value in vcd.changes(file, names):
            rises = names[key] == "clk" and value == "1" and now.get("clk") == "0"
            ticks = now.get("control.ticking") == now.get("busy") == "1"
            if rises and ticks and int(now["control.number"], 2) == tick + 1:
                rows.append(dict(now))
            now[names[key]] = value
    return rows


def wave_json(rows: list[dict[str, str]], title: str) -> dict[str, Any]:
    """The diagram of ``rows``: clock, states of the controller, word, axons, spikes, events."""

    def values(name: str, *when: str, form: str = "d") -> list[str | None]:
        """Numbers of a signal in the cycles in which all signals ``when`` are 1; else None."""
        return [
            f"{int(row[name], 2):{form}}" if all(row[flag] == "1" for flag in when) else None
            for row in rows
        ]

    lanes = {
        "word": values("control.word"),
        "axon that spiked": values("list.scan_axon", "list.scan_valid"),
        "spikes, hex": values("spikes", "control.writing", form="x"),
        "event to axon": values("few.i__payload_axon", "few.i__valid", "few.i__ready"),
    }
    signal: list[dict[str, Any]] = [{"name": "clk", "wave": "p" + "." * (len(rows) - 1)}]
    signal += [
        {"name": name, "wave": _wave([row[f"control.{phase}"] for row in rows])}
        for phase, name in PHASES.items()
        if f"control.{phase}" in rows[0]  # "driving" is of chips with synaptic currents
    ]
    for name, lane in lanes.items():
        changed = [
            value
            for before, value in zip([None, *lane], lane, strict=False)
            if value is not None and value != before
        ]
        wave = _wave(["x" if value is None else value for value in lane], "=")
        signal.append({"name": name, "wave": wave, "data": changed})
    return {"signal": signal, "head": {"text": title, "tick": 0}, "config": {"skin": "narrow"}}


def _wave(values: list[str], data: str = "") -> str:
    """A character for each cycle: the value, or a point while it stays.

    ``data`` stands in place of every value but x.
    """
    pairs = zip(["", *values], values, strict=False)
    return "".join(
        "." if value == before else value if not data or value == "x" else data
        for before, value in pairs
    )


def write(folder: Path) -> dict[str, Any]:
    """Record a tick, write ``tick.json`` and ``tick.svg`` into ``folder``, return the diagram."""
    import wavedrom

    with tempfile.TemporaryDirectory(prefix="spikeloop-") as temporary:
        image = pack(network(), chip=preset("tiny")).save(Path(temporary) / "image")
        files = record(image, stimulus(), Path(temporary), core=0, tick=TICK)
        rows = cycles(Path(files["waves"]), TICK)
    diagram = wave_json(rows, f"tick {TICK}: {len(rows)} cycles on preset tiny")
    write_atomic(folder / "tick.json", (json.dumps(diagram, indent=1) + "\n").encode())
    write_atomic(folder / "tick.svg", wavedrom.render(json.dumps(diagram)).tostring().encode())
    return diagram


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
