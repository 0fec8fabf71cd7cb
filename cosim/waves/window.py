"""Waves of a window: a few ticks of one core as named signals (``spikeloop waves``).

    waves.vcd     the signals of SIGNALS under the scope ``core``, the controller's state by name,
                  and membranes beside what pysim expects; one time unit is half a cycle
    waves.gtkw    for GTKWave: gtkwave waves.gtkw
    waves.sucl    commands for Surfer: surfer -c waves.sucl waves.vcd

A part of a program, which takes turns with others, runs alone. Its inputs are the spikes that pysim
predicts of the parts before it.
"""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from spikeloop.cosim.waves import vcd
from spikeloop.cosim.waves.derived import EXPECTED, MEMBRANE, Derived
from spikeloop.cosim.waves.signals import NUMBER, SIGNALS, groups, gtkwave, path_of, plain, surfer
from spikeloop.cosim.waves.vcd import Signal
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.image.image import Bundle
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.mesh import MeshModel
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["around", "record"]

SIMULATORS = ("verilator", "icarus")


def around(text: str) -> dict[str, int]:
    """ "core=3,tick=17" to {"core": 3, "tick": 17}; core 0 if it is not named."""
    parts = [part.strip().partition("=") for part in text.split(",")]
    places = {
        name: int(value)
        for name, _, value in parts
        if name in ("core", "tick") and value.isdecimal() and len(value) < 10
    }
    if len(places) != len(parts) or "tick" not in places:
        raise InputError(f"--around must be such as core=3,tick=17 or tick=17, not {text!r}")
    return {"core": 0, **places}


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
    """Run a sample and write ticks ``tick - before`` to ``tick + after`` of ``core``.

    image:     folder of the bundle; folder: where the files go
    simulator: verilator or icarus

    Returns the paths written, core, ticks and sample (JSON). InputError for a core, tick or sample
    that does not exist, and for a chip without the signals.
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
    images, core_of = bundle.images, cache(Core)
    runs, spikes, first = bundle.turn(core, one, lambda i, part: core_of(images[i]).run(part))
    if not 0 <= tick - first < runs.ticks:
        raise InputError(
            f"tick of the waves must be in {first}..{first + runs.ticks - 1}, "
            f"in which core {core} has its turn, not {tick}"
        )
    with tempfile.TemporaryDirectory(prefix="spikeloop-") as temporary:
        whole = _simulate(simulator, runs, spikes, Path(temporary) / "whole.vcd")
        window = (max(0, tick - first - before), min(runs.ticks - 1, tick - first + after))
        place = ""
        if bundle.chip.derived.cores > 1:
            row, column = divmod(core, bundle.chip.mesh_width)
            place = f"core_{column}_{row}"
        comment = f"core {core}, ticks {window[0] + first} to {window[1] + first}"
        folder.mkdir(parents=True, exist_ok=True)
        derived = _derived(runs, spikes, core)
        window_of = _cut(whole, folder / "waves.vcd", place, window, comment, derived)
    signals = window_of.signals
    shown, marker = groups(signals, window_of.neurons), window_of.starts[tick - first]
    write_atomic(folder / "waves.gtkw", gtkwave(shown, "waves.vcd", marker).encode())
    write_atomic(folder / "waves.sucl", surfer(shown, marker).encode())
    return {
        "waves": str(folder / "waves.vcd"),
        "gtkwave": str(folder / "waves.gtkw"),
        "surfer": str(folder / "waves.sucl"),
        "signals": len(signals),
        "core": core,
        "ticks": [n + first for n in window],
        "sample": sample,
    }


def _derived(runs: Bundle, spikes: Stimulus, core: int) -> Derived | None:
    """What is worked out of the waves of a core, with the model's membranes; None of an idle core.

    ``runs`` is an image, or a mesh.
    """
    images = runs.images
    if isinstance(runs, MeshImage):
        traces = dict(zip(runs.shares, MeshModel(runs).run(spikes), strict=False))
        return Derived(images[core].placement, traces[core]) if core in images else None
    (image,) = images.values()
    return Derived(image.placement, Core(image).run(spikes))


def _simulate(simulator: str, bundle: Bundle, stimulus: Stimulus, path: Path) -> Path:
    from spikeloop.cosim.icarus.backend import Icarus
    from spikeloop.cosim.verilator.backend import Verilated, VerilatedMesh

    verilated: Any = {"image": Verilated, "mesh": VerilatedMesh}[bundle.kind]
    opener: Any = Icarus if simulator == "icarus" else verilated
    with opener(bundle) as backend:
        written: Path = backend.waves(stimulus, path)
        return written


class Window(NamedTuple):
    """What a window holds.

    signals: in the order of the dump; starts: time at which each of its ticks begins
    neurons: NAME_N of those whose membranes are in it; first those that are not as expected
    """

    signals: list[Signal]
    starts: dict[int, int]
    neurons: list[str]


def _cut(
    whole: Path,
    path: Path,
    place: str,
    window: tuple[int, int],
    comment: str,
    derived: Derived | None,
) -> Window:
    """Write the ticks ``window`` (first, last) of a core to ``path``; what it holds.

    ``place`` is the scope of the core on a mesh, else "".
    """
    with whole.open() as file:
        signals, nets = _named(vcd.header(file), place, comment)
        number = next(key for key, names in nets.items() if NUMBER in names)
        values: dict[str, str] = {}
        starts: dict[int, int] = {}
        moves, inside = [], False
        for time, key, value in vcd.changes(file, nets):
            if key == number and not set(value) & set("xz"):
                now = int(value, 2) - 1
                if inside and now > window[1]:
                    break
                inside = inside or now == window[0]
                starts.setdefault(now, time)
            for name in nets[key]:
                if inside:
                    moves.append((time, name, value))
                else:
                    values[name] = value
    neurons: list[str] = []
    if derived:
        more, changes = derived.of(values, moves)
        signals = signals + more
        values |= {key: value for time, key, value in changes if time == 0}
        last = {key: value for _, key, value in changes}
        moves = sorted([*moves, *(c for c in changes if c[0] > 0)], key=lambda move: move[0])
        written = [s.name for s in more if s.key == f"{MEMBRANE}.{s.name}" and s.key in last]
        neurons = sorted(written, key=lambda n: not _wrong(changes, n))  # stable
    vcd.write(path, sorted(signals, key=lambda s: s.scope), values, moves, comment)
    return Window(signals, starts, neurons)


def _wrong(changes: list[tuple[int, str, str]], neuron: str) -> bool:
    """Whether a membrane is ever written otherwise than expected."""
    got, wanted = (
        {time: value for time, key, value in changes if key == f"{group}.{neuron}"}
        for group in (MEMBRANE, EXPECTED)
    )
    return any(got.get(time) != value for time, value in wanted.items())


def _named(
    dumped: list[Signal], place: str, comment: str
) -> tuple[list[Signal], dict[str, list[str]]]:
    """The signals of SIGNALS in a dump, under the scope ``core``, and their names by net.

    A net has one key in the dump, however many names it has. InputError if there is no core.
    """
    scopes = [
        signal.scope
        for signal in dumped
        if signal.scope[-1:] == ("control",)
        and signal.name == "number"
        and (not place or place in signal.scope)
    ]
    if not scopes:
        raise InputError(f"waves must have the core's controller, not be without one: {comment}")
    core = scopes[0][:-1]
    below = {
        (*map(_plain_scope, signal.scope[len(core) :]), signal.name): signal
        for signal in dumped
        if signal.scope[: len(core)] == core
    }
    signals: list[Signal] = []
    nets: dict[str, list[str]] = {}
    for name in (name for names in SIGNALS.values() for name in names):
        *scope, field = path_of(name)
        if signal := below.get((*scope, field)):
            signals.append(Signal(("core", *scope), plain(field), signal.width, name))
            nets.setdefault(signal.key, []).append(name)
    return signals, nets


def _plain_scope(name: str) -> str:
    """A scope without the number that makes it differ from a signal of the same name: step$366."""
    return name.lstrip("\\").partition("$")[0]
