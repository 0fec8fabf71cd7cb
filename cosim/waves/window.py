"""Waves of a window: the ticks around one of interest, of one core, as named signals (``spikeloop waves --around core=3,tick=17``).

    waves.vcd     the signals of SIGNALS under the scope ``core``; one time unit is half a cycle
    waves.gtkw    for GTKWave: gtkwave waves.gtkw
    waves.sucl    commands for Surfer: surfer -c waves.sucl waves.vcd

A core that takes turns with others (a part of a program) runs alone, on the spikes that the parts before it sent, by pysim.
"""

import tempfile
from pathlib import Path
from typing import Any

from spikeloop.cosim.waves import vcd
from spikeloop.cosim.waves.vcd import Signal
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.image.image import Bundle
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["SIGNALS", "around", "record"]

SIGNALS: dict[str, tuple[str, ...]] = {
    "ticks": ("clk", "control.number", "control.ticking", "busy"),
    "events in": ("few.i__valid", "few.i__ready", "few.i__payload.axon", "few.i__payload.delay"),
    "controller": (
        "control.state_state",
        "control.word",
        "control.scan",
        "control.replay",
        "control.flush",
        "control.joining",
        "control.leaking",
        "control.firing",
        "control.writing",
        "control.emit",
        "control.emitting",
        "control.settling",
    ),
    "scan and list": ("list.scan_valid", "list.scan_axon", "list.valid", "list.axon"),
    "synapses": ("synapse_read", "accumulators.row", "accumulators.counts"),
    "neurons": ("v_next", "spikes", "saturated"),
    "events out": (
        "output.o__valid",
        "output.o__ready",
        "output.o__payload.address",
        "output.o__payload.delay",
    ),
    "counters": (
        "counters.count_spikes_in",
        "counters.count_spikes_out",
        "counters.count_sops",
        "counters.count_saturations",
    ),
}
"""by group, below the core; ``number`` is that of the tick that runs, plus 1"""
NUMBER = "control.number"
SIMULATORS = ("verilator", "icarus")
BINARY, DECIMAL, COMMENT = "@28", "@24", "@200"  # GTKWave's flags


def around(text: str) -> dict[str, int]:
    """ "core=3,tick=17" to {"core": 3, "tick": 17}; core 0 if it is not named."""
    parts = [part.strip().partition("=") for part in text.split(",")]
    found = {
        name: int(value)
        for name, _, value in parts
        if name in ("core", "tick") and value.isdecimal() and len(value) < 10
    }
    if len(found) != len(parts) or "tick" not in found:
        raise InputError(f"--around must be such as core=3,tick=17 or tick=17, not {text!r}")
    return {"core": 0, **found}


def record(
    image: Path,
    stimulus: Stimulus,
    folder: Path,
    *,
    core: int,
    tick: int,
    sample: int = 0,
    before: int = 1,
    after: int = 1,
    simulator: str = "verilator",
) -> dict[str, Any]:
    """Run ``sample`` of ``stimulus`` and write the window from ``tick - before`` to ``tick + after`` of ``core``; what was written.

    InputError for a core, tick or sample that there is not, and for a chip without the signals.
    """
    if simulator not in SIMULATORS:
        raise InputError(
            f"simulator of waves must be one of {', '.join(SIMULATORS)}, not {simulator!r}"
        )
    bundle = load_bundle(image)
    stimulus.check(bundle)
    for what, value, end in (
        ("sample", sample, stimulus.samples),
        ("tick", tick, bundle.ticks),
        ("core", core, max(len(bundle.images), bundle.chip.derived.cores)),
    ):
        if not 0 <= value < end:
            raise InputError(f"{what} of the waves must be in 0..{end - 1}, not {value}")
    one = stimulus.take(slice(sample, sample + 1))
    images = bundle.images
    runs, spikes, first = bundle.turn(core, one, lambda i, part: Core(images[i]).run(part))
    if not 0 <= tick - first < runs.ticks:
        raise InputError(
            f"tick of the waves must be in {first}..{first + runs.ticks - 1}, in which core {core} has its turn, not {tick}"
        )
    with tempfile.TemporaryDirectory(prefix="spikeloop-") as temporary:
        whole = _simulate(simulator, runs, spikes, Path(temporary) / "whole.vcd")
        window = (max(0, tick - first - before), min(runs.ticks - 1, tick - first + after))
        place = (
            f"core_{core % bundle.chip.mesh_width}_{core // bundle.chip.mesh_width}"
            if bundle.chip.derived.cores > 1
            else ""
        )
        folder.mkdir(parents=True, exist_ok=True)
        signals = _cut(
            whole,
            folder / "waves.vcd",
            place,
            window,
            f"core {core}, ticks {window[0] + first} to {window[1] + first}",
        )
    write_atomic(folder / "waves.gtkw", _gtkwave(signals, "waves.vcd").encode())
    write_atomic(folder / "waves.sucl", _surfer(signals).encode())
    return {
        "waves": str(folder / "waves.vcd"),
        "gtkwave": str(folder / "waves.gtkw"),
        "surfer": str(folder / "waves.sucl"),
        "signals": len(signals),
        "core": core,
        "ticks": [n + first for n in window],
        "sample": sample,
    }


def _simulate(simulator: str, bundle: Bundle, stimulus: Stimulus, path: Path) -> Path:
    from spikeloop.cosim.icarus.backend import Icarus
    from spikeloop.cosim.verilator.backend import Verilated, VerilatedMesh

    verilated: Any = {"image": Verilated, "mesh": VerilatedMesh}[bundle.kind]
    opener: Any = Icarus if simulator == "icarus" else verilated
    with opener(bundle) as backend:
        written: Path = backend.waves(stimulus, path)
        return written


def _cut(
    whole: Path, path: Path, place: str, window: tuple[int, int], comment: str
) -> list[Signal]:
    """Write the window of the core's named signals; which they are."""
    with whole.open() as file:
        every = vcd.header(file)
        control = next(
            (
                s.scope
                for s in every
                if (s.scope[-1:], s.name) == (("control",), "number")
                and (not place or place in s.scope)
            ),
            None,
        )
        if control is None:
            raise InputError(
                f"waves must have the core's controller, not be without one: {comment}"
            )
        known = {
            (*s.scope, s.name)[len(control) - 1 :]: s
            for s in every
            if s.scope[: len(control) - 1] == control[:-1]
        }
        signals: list[Signal] = []
        of: dict[str, list[str]] = {}  # a net has one key, however often it is named
        for names in SIGNALS.values():
            for name in names:
                if (found := known.get(_path(name))) is not None:
                    signals.append(
                        Signal(("core", *_path(name)[:-1]), _path(name)[-1], found.width, name)
                    )
                    of.setdefault(found.key, []).append(name)
        number = next(key for key, names in of.items() if NUMBER in names)
        values: dict[str, str] = {}
        moves, inside = [], False
        for time, key, value in vcd.changes(file, of):
            if key == number and not set(value) & set("xz"):
                now = int(value, 2) - 1
                if inside and now > window[1]:
                    break
                inside = inside or now == window[0]
            for name in of[key]:
                if inside:
                    moves.append((time, name, value))
                else:
                    values[name] = value
    vcd.write(path, sorted(signals, key=lambda s: s.scope), values, moves, comment)
    return signals


def _path(name: str) -> tuple[str, ...]:
    """Scopes and name of an entry of SIGNALS; fields of a payload belong to its name."""
    scope, dot, field = name.partition(".")
    return (scope, field) if dot and not scope.endswith("__payload") else (name,)


def _gtkwave(signals: list[Signal], file: str) -> str:
    lines, known = [f'[dumpfile] "{file}"', "[timestart] 0", "*-4.0 0"], {s.key: s for s in signals}
    for group, names in SIGNALS.items():
        lines += [COMMENT, f"-{group}"]
        for name in names:
            if s := known.get(name):
                lines += [
                    BINARY if s.width == 1 else DECIMAL if s.width <= 64 else "@22",
                    s.path + (f"[{s.width - 1}:0]" if s.width > 1 else ""),
                ]
    return "\n".join(lines) + "\n"


def _surfer(signals: list[Signal]) -> str:
    known = {s.key: s for s in signals}
    lines = []
    for group, names in SIGNALS.items():
        lines.append(f"divider_add {group}")
        lines += [f"variable_add {known[name].path}" for name in names if name in known]
    return "\n".join([*lines, "zoom_fit"]) + "\n"
