"""Bench: the same work in every way to run it, in one run, so that ratios are of one machine.

The work is 1,152 axons, 10 % of them active in every step, and 1,024 neurons of 4 bits, with 8
steps a sample. Inputs go in through the RTL's own scan; every tick's membranes are recorded. The
work is done once with the whole contract in use and once with a minimal one (one leak term, soft
reset).

The trace of every way is compared with pysim's before the way is timed. Ways are timed in turn,
round after round. A row is the median.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.backend import Backend
from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.dendrites import rate as dendrites
from spikeloop.cosim.oscillators import rate as oscillators
from spikeloop.cosim.studies.speed.learning import learning
from spikeloop.cosim.verilator.backend import Verilated
from spikeloop.cosim.verilator.build import Options, default_compiler
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import Edge, Input, Population, Reset
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["run", "workload"]

STEPS, DENSITY, SEED = 8, 0.1, 1
SECOND = {"current_bits": 24, "adaptation_bits": 16}
MINIMAL = {"leak_terms": 1, "roundings": False, "bounded": False, "refractory_bits": 0, "pages": 1}


Run = Callable[[int], tuple[float, Trace | None]]


@dataclass
class Way:
    """One row of the bench.

    call: ``call(samples)`` does the work; returns the seconds it took and the trace, or None.
    samples: at once, at most.
    rounds: how often the way is timed.
    """

    name: str
    call: Run
    samples: int
    rounds: int


def workload(
    chip: Chip, *, neurons: int, bits: int, samples: int
) -> tuple[Network, Image, Stimulus]:
    """The bench's network, its image on ``chip`` and its stimulus.

    The network uses all of the contract that the chip has.
    """
    rng = np.random.default_rng(SEED)
    scale = 1 << (bits - 1)
    shape = (chip.pages, neurons)
    threshold = rng.integers(8 * scale, 16 * scale, shape)
    options: dict[str, Any] = {
        "bias": rng.integers(-scale, scale, shape),
        "v_th": threshold,
        "v_sub": threshold,
    }
    if chip.leak_terms == 3:
        options |= {
            "leak_sign": np.array([-1, 1, -1])[:, None],
            "leak_shift": np.array([3, 5, 7])[:, None],
            "rounding": rng.integers(0, 3, neurons),
            "reset": rng.integers(0, 2, neurons),
            "low": rng.integers(0, 4, neurons),
            "v_low": -10 * scale,
            "v_low_reset": -5 * scale,
            "v_low_add": scale,
            "refractory": rng.integers(0, 3, neurons),
            "hold": rng.random(neurons) < 0.5,
            "v_init": rng.integers(-scale, scale, neurons),
        }
    else:
        options |= {
            "leak_sign": np.array([-1, 0, 0])[:, None],
            "leak_shift": 4,
            "reset": Reset.SOFT,
        }
    for state in ("current", "adaptation"):
        if getattr(chip, f"{state}_bits"):
            options |= {
                state: rng.integers(1, 3, neurons),
                f"{state}_k0": True,
                f"{state}_sign": np.array([-1, 1, -1])[:, None],
                f"{state}_shift": np.array([2, 4, 6])[:, None],
                f"{state}_rounding": rng.integers(0, 3, neurons),
            }
    if chip.current_bits:
        options |= {"gain": rng.integers(0, 4, neurons), "fraction": rng.integers(1, 4, neurons)}
    if chip.adaptation_bits:
        options |= {"adaptation_step": scale << 4, "adaptation_scale": 3}
    population = Population.make("neurons", neurons, pages=chip.pages, weight_bits=bits, **options)
    weights = rng.integers(-scale, scale, (chip.axons, neurons), dtype=np.int32)
    network = Network(
        name="bench",
        inputs=(Input(name="axons", size=chip.axons),),
        populations=(population,),
        steps=STEPS,
        output="neurons",
        edges=(Edge(source="axons", target="neurons", weights=weights),),
        membrane_bits=chip.membrane_bits,
        current_bits=chip.current_bits,
        adaptation_bits=chip.adaptation_bits,
    )
    stimulus = Stimulus.pack(
        {"axons": (rng.random((samples, STEPS, chip.axons)) < DENSITY).astype(np.uint8)}
    )
    return network, pack(network, chip=chip), stimulus


def run(
    *, seconds: float = 3.0, brian: Path | None = None, tell: Callable[[str], None] = print
) -> dict[str, Any]:
    """Measure every way this machine has, learning, oscillators and dendritic neurons.

    Returns work, rows and ratios, those of learning, and rates of the two macros.

    seconds: about how long each way is measured. tell: gets a line of progress.
    brian: a Python with Brian2, for its row of learning.
    """
    import torch

    torch.set_num_threads(1)
    learnt = learning(brian, tell=tell)  # first: a Python without Brian2 is told at once
    rows: list[dict[str, Any]] = []
    for title, chip, neurons, bits in _cases():
        network, image, stimulus = workload(chip, neurons=neurons, bits=bits, samples=512)
        reference = Core(image).run(stimulus.take(slice(0, 4)))
        sops = float(Core(image).run(stimulus.take(slice(0, 32))).counters["sops"].mean())
        ways = []
        for way in _ways(title, network, image, stimulus):
            tell(f"{way.name} ...")
            _check(way, network, reference)
            way.samples = _samples(way, seconds)
            ways.append(way)
        times = _times(ways)
        for way in ways:
            ticks = way.samples * STEPS / statistics.median(times[way.name])
            row = {"way": way.name, "chip": title, "lanes": chip.lanes}
            row |= {"ticks_per_s": ticks, "sops_per_s": ticks * sops}
            row |= {"samples": way.samples, "rounds": way.rounds, "seconds": times[way.name]}
            rows.append(row)
            tell(f"{way.name}: {ticks:,.0f} ticks/s")
    macros = {
        name: _macro(tell, table(), unit)
        for name, table, unit in (
            ("oscillators", oscillators.rows, "oscillator_steps_per_s"),
            ("dendritic", dendrites.rows, "steps_per_s"),
        )
    }
    return {
        "work": {"axons_active": DENSITY, "steps": STEPS, "seed": SEED},
        "rows": rows,
        "ratios": _ratios(rows) | dendrites.ratios(macros["dendritic"]),
        "learning": learnt,
        **macros,
    }


def _macro(
    tell: Callable[[str], None], table: Iterator[dict[str, Any]], unit: str
) -> list[dict[str, Any]]:
    """The rates of a macro, ``unit`` of each row; InputError if a row differs from pysim."""
    rows = []
    for row in table:
        tell(f"{row['way']}: {row[unit]:,.0f} {unit.removesuffix('_per_s').replace('_', '-')}/s")
        if row["different"]:
            raise InputError(f"{row['way']} must equal pysim, not differ in {row['different']}")
        rows.append(row)
    return rows


def _check(way: Way, network: Network, reference: Trace) -> None:
    """InputError unless the way's trace of the first samples, if it has one, is the reference."""
    _, trace = way.call(min(4, way.samples))
    if trace is None:
        return
    same = reference if way.samples >= 4 else _first(reference, way.samples)
    pair = diff(network, Side("pysim", same), Side(way.name, trace))
    if pair.different:
        raise InputError(
            f"trace of {way.name} must equal pysim's before it is timed, not differ: {pair.first}"
        )


def _samples(way: Way, seconds: float) -> int:
    """How many samples a round takes, so that all rounds last about ``seconds``."""
    probed = min(16, way.samples)
    taken, _ = way.call(probed)
    fitting = int(seconds / way.rounds / max(taken, 1e-9) * probed)
    return min(way.samples, max(probed, fitting))


def _times(ways: list[Way]) -> dict[str, list[float]]:
    """Seconds of every round of every way, the ways in turn."""
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    for turn in range(max(way.rounds for way in ways)):
        for way in ways:
            if turn < way.rounds:
                times[way.name].append(way.call(way.samples)[0])
    return times


def _cases() -> Iterator[tuple[str, Chip, int, int]]:
    full = PRESETS["full"]
    row = full.replace(lanes=full.columns // full.digit_bits)
    yield "full, 128 lanes", full, 1024, 4
    yield "full, 128 lanes, second states", full.replace(**SECOND), 1024, 4
    yield "full, full row", row, 1024, 4
    yield "full, 128 lanes, minimal", full.replace(**MINIMAL), 1024, 4
    yield "full, full row, minimal", row.replace(**MINIMAL), 1024, 4
    yield "zou2021", PRESETS["zou2021"], 128, 8


def _ways(title: str, network: Network, image: Image, stimulus: Stimulus) -> Iterator[Way]:
    compilers = [default_compiler()]
    if "minimal" not in title and "g++" not in compilers:
        compilers.append("g++")
    for compiler in compilers:
        chip = Verilated(image, Options(compiler=compiler))
        yield Way(f"native, {compiler} ({title})", _timed(chip, stimulus), 512, 7)
    if title == "full, 128 lanes":
        pair = Verilated(image, Options(compiler=compilers[0]), workers=2)
        yield Way(f"native, {compilers[0]}, two workers ({title})", _timed(pair, stimulus), 512, 7)
    if title in ("full, 128 lanes", "zou2021"):
        yield from _slow_ways(title, network, image, stimulus)
    if title == "full, 128 lanes":
        yield from _software_ways(network, image, stimulus)


def _software_ways(network: Network, image: Image, stimulus: Stimulus) -> Iterator[Way]:
    import torch

    from spikeloop.golden.reference.integer import run as golden

    core = Core(image)

    def pysim(samples: int) -> tuple[float, Trace | None]:
        part = stimulus.take(slice(0, samples))
        start = time.perf_counter()
        core.run(part, membranes=False)
        return time.perf_counter() - start, None

    def integers(samples: int) -> tuple[float, Trace | None]:
        part = stimulus.take(slice(0, samples)).dense(network)
        start = time.perf_counter()
        golden(network, part)
        return time.perf_counter() - start, None

    weights = torch.from_numpy(network.edges[0].weights.astype(np.float32))
    dense = torch.from_numpy(stimulus.dense(network)["axons"].astype(np.float32))

    def product(samples: int) -> tuple[float, Trace | None]:
        start = time.perf_counter()
        for step in range(STEPS):
            dense[:samples, step] @ weights
        return time.perf_counter() - start, None

    yield Way(f"pysim ({core.engine}), no traces", pysim, 512, 5)
    yield Way("golden, torch, one thread", integers, 512, 5)
    yield Way("torch f32 product alone, one thread", product, 512, 5)


def _slow_ways(title: str, network: Network, image: Image, stimulus: Stimulus) -> Iterator[Way]:
    """Icarus and cocotb, where they are installed."""
    if shutil.which("iverilog"):
        from spikeloop.cosim.icarus.backend import Icarus

        yield Way(f"Icarus ({title})", _timed(Icarus(image), stimulus), 1, 3)
    try:
        from spikeloop.cosim.studies.speed.cocotb import per_cycle, per_tick
    except ModuleNotFoundError:
        return

    def driven(drive: Callable[[Image, Stimulus], float]) -> Run:
        def call(samples: int) -> tuple[float, Trace | None]:
            return samples * STEPS / drive(image, stimulus.take(slice(0, samples))), None

        return call

    yield Way(f"cocotb per cycle, stock ({title})", driven(per_cycle), 1, 3)
    yield Way(f"cocotb per tick, bulk ({title})", driven(per_tick), 16, 3)


def _timed(backend: Backend, stimulus: Stimulus) -> Run:
    def call(samples: int) -> tuple[float, Trace | None]:
        part = stimulus.take(slice(0, samples))
        start = time.perf_counter()
        trace = backend.run(part)
        return time.perf_counter() - start, trace

    return call


def _first(trace: Trace, samples: int) -> Trace:
    return Trace(
        *(
            {name: array[:samples] for name, array in getattr(trace, part.name).items()}
            for part in fields(trace)
        )
    )


def _ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Ratios of this run's medians. A ratio is left out where one of its rows is missing."""
    speed = {row["way"]: row["ticks_per_s"] for row in rows}
    native = f"native, {default_compiler()}"
    lanes, row = f"{native} (full, 128 lanes)", f"{native} (full, full row)"
    two = f"{native}, two workers (full, 128 lanes)"
    cycle = "cocotb per cycle, stock (full, 128 lanes)"
    tick = "cocotb per tick, bulk (full, 128 lanes)"
    pairs = {
        "native 128 lanes : cocotb per cycle": (lanes, cycle),
        "native full row : cocotb per cycle": (row, cycle),
        "cocotb per tick : cocotb per cycle": (tick, cycle),
        "native 128 lanes : Icarus": (lanes, "Icarus (full, 128 lanes)"),
        "torch f32 product : native 128 lanes": ("torch f32 product alone, one thread", lanes),
        "torch f32 product : native full row": ("torch f32 product alone, one thread", row),
        "golden : native 128 lanes": ("golden, torch, one thread", lanes),
        "two workers : one": (two, lanes),
        "second states : none, 128 lanes": (f"{native} (full, 128 lanes, second states)", lanes),
        "clang++ : g++, 128 lanes": (lanes, "native, g++ (full, 128 lanes)"),
    }
    return {
        name: speed[a] / speed[b]
        for name, (a, b) in pairs.items()
        if a in speed and b in speed and a != b
    }
