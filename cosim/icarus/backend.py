"""Backend "icarus": the generated Verilog in Icarus Verilog, an independent simulator.

No Python runs per cycle. The memories load themselves from the .mem files of an export
($readmemh). The bench (cosim/icarus/bench.v) drives the ticks and writes one line of hexadecimal
digits per tick, which numpy turns into a trace. Icarus runs thousands of cycles a second. This is
enough for everything at ``tiny`` and for tens of images at ``zou2021``.
"""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spikeloop.cosim.backend import Backend, check_tools, claim
from spikeloop.cosim.provenance import code
from spikeloop.cosim.verilator.build import call, hdl_key, verilog_of
from spikeloop.cosim.verilator.cache import cached, stage
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.chip.fabric import Mesh
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import BUS_BITS, SCAN_BITS, Chip
from spikeloop.pysim.chip.records import event_record, width
from spikeloop.pysim.common.bits import integers, pack, unpack
from spikeloop.pysim.image.export import export
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.readmemh import HEX_VALUES, to_readmemh
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import SIGNED, STATES, Trace, recorded_states

__all__ = ["Icarus", "compile_bench", "cycle_limit", "icarus_version"]

BENCH = "spikeloop_bench"


class Icarus(Backend):
    """The RTL with an image, or those of a mesh, in its memories; one simulator process per run.

    timeout: seconds a run may take.
    """

    name = "icarus"

    def __init__(self, image: Image | MeshImage, *, timeout: float = 3600.0) -> None:
        self.image, self.timeout = image, timeout
        self.images = image.images
        self._program = compile_bench(image.chip)
        self._folder = tempfile.TemporaryDirectory(prefix="spikeloop-icarus-")
        for n, one in self.images.items():
            export(one, "mem", Path(self._folder.name) / f"image{n}")

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        traces = self._traces(self._simulate(stimulus), stimulus.samples, membranes)
        return self.image.gather(traces)

    def waves(self, stimulus: Stimulus, path: Path) -> Path | None:
        """Record all signals but memories, as FST if ``path`` ends in .fst, else as VCD.

        One time unit is half a cycle.
        """
        path = Path(path).resolve()
        claim(path)
        dumper = ("-fst",) if path.suffix == ".fst" else ()
        self._simulate(stimulus, dumper, (f"+waves={path}",))
        return path

    def close(self) -> None:
        self._folder.cleanup()

    def _simulate(
        self, stimulus: Stimulus, dumper: Sequence[str] = (), more: Sequence[str] = ()
    ) -> bytes:
        """Run all samples; the lines of the trace file.

        dumper: options of vvp's dumper. more: further arguments of the bench.
        """
        folder = Path(self._folder.name)
        settings = self._write_stimulus(stimulus)
        files = ("+stimulus=stimulus.hex", "+trace=trace.hex")
        command = ["vvp", "-n", str(self._program), *dumper, *files, *settings, *more]
        try:
            done = subprocess.run(
                command,
                check=False,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=self.timeout,
            )
        except subprocess.TimeoutExpired:
            limit = f"{stimulus.samples} samples within {self.timeout:g} s"
            raise TimeoutError(f"Icarus did not run {limit}: take fewer samples") from None
        last = (done.stdout.strip().splitlines() or [""])[-1]
        if last.startswith("stopped"):
            cycles = f"{cycle_limit(self.image.chip):,} cycles"
            raise TimeoutError(f"the chip hangs in Icarus: {last}, not idle after {cycles}")
        if done.returncode or last != "done":
            tails = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            raise RuntimeError(f"Icarus failed (exit {done.returncode}):\n{tails}")
        return (folder / "trace.hex").read_bytes()

    def _write_stimulus(self, stimulus: Stimulus) -> list[str]:
        """Write the axons of every tick and core; the bench's arguments."""
        image, d = self.image, self.image.chip.derived
        stimuli = image.stimuli(stimulus)
        shape = (stimulus.samples, image.ticks, d.cores, d.axon_chunks * SCAN_BITS // 8)
        axons = np.zeros(shape, np.uint8)
        settings: dict[str, object] = {
            "samples": stimulus.samples,
            "ticks": image.ticks,
            "steps": image.steps,
        }
        for n, one in self.images.items():
            axons[:, :, n] = _axons(one, stimuli[n], image.ticks)
            settings[f"extension{n}"] = one.settings["extension"]
            prefix = "" if d.cores == 1 else f"core{n}."
            for memory in MemoryMap(image.chip).loaded:
                settings[prefix + memory.name] = f"image{n}/{memory.name}.mem"
        (Path(self._folder.name) / "stimulus.hex").write_bytes(
            to_readmemh(axons.reshape(-1, shape[-1]), 8 * shape[-1])
        )
        return [f"+{name}={value}" for name, value in settings.items()]

    def _traces(self, text: bytes, samples: int, membranes: bool) -> list[Trace]:
        """The trace of every core from the lines of the trace file."""
        chip, ticks = self.image.chip, self.image.ticks
        words, lanes, cores = chip.derived.words, chip.lanes, chip.derived.cores
        widths = {
            part: MemoryMap(chip).memories[memory].width
            for part, (memory, bits) in STATES.items()
            if getattr(chip, bits)
        }
        fields = [
            16 * len(COUNTERS),
            words * _digits(lanes, SCAN_BITS),
            *(words * _digits(bits, BUS_BITS) for bits in widths.values()),
        ]
        lines = np.frombuffer(text, np.uint8).reshape(samples, ticks + 1, cores * sum(fields) + 1)
        nibbles = _nibbles(lines[..., :-1])
        traces = []
        for n, core in enumerate(np.split(nibbles, cores, axis=2)):
            counters, spikes, *planes = np.split(core, np.cumsum(fields[:-1]), axis=2)
            counts = np.diff(_numbers(counters, len(COUNTERS)).view("<i8")[..., 0], axis=1)
            trace = Trace({}, {}, {name: counts[:, :, i].copy() for i, name in enumerate(COUNTERS)})
            traces.append(trace)
            fired = unpack(_numbers(spikes[:, 1:], words), lanes).reshape(samples, ticks, -1)
            states = {}
            for (part, bits), digits in zip(widths.items(), planes, strict=True):
                if part in recorded_states(self.image.network, membranes):
                    value = unpack(_numbers(digits[:, 1:], words), bits)
                    value = value.reshape(samples, ticks, words, -1, lanes).swapaxes(-1, -2)
                    value = integers(value, signed=part in SIGNED).astype(np.int32)
                    states[part] = value.reshape(samples, ticks, -1)
            for place in self.images[n].placement.populations if n in self.images else ():
                at = slice(place.start, place.start + self.image.steps)
                trace.spikes[place.name] = pack(fired[:, at, place.neurons])
                for part, value in states.items():
                    getattr(trace, part)[place.name] = value[:, at, place.neurons]
        return traces


def compile_bench(chip: Chip) -> Path:
    """The chip and its bench compiled for vvp; cached. InputError if Icarus is missing."""
    check_tools("icarus")
    bench, header = Path(__file__).with_name("bench.v").read_text(), _header(chip)

    def make(folder: Path) -> None:
        (folder / "chip.vh").write_text(header)
        (folder / "bench.v").write_text(bench)
        (folder / "chip.v").write_text(verilog_of(chip).read_text())
        options = ["-g2012", "-I", str(folder), "-s", BENCH, "-o", str(folder / "chip.vvp")]
        sources = [str(folder / "bench.v"), str(folder / "chip.v")]
        with stage("compile the chip with Icarus"):
            call(["iverilog", *options, *sources], {}, folder / "iverilog.log")

    key = hdl_key(repr((chip, bench, header, icarus_version(), code(__name__))))[:24]
    return cached(f"icarus-{key}", make) / "chip.vvp"


def icarus_version() -> str:
    """The line of ``iverilog -V`` that names the version."""
    done = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def cycle_limit(chip: Chip) -> int:
    """More cycles than a dense tick in which every neuron spikes, or CLEAR, can take.

    The formula is that of docs/architecture.md, "Cycles".
    """
    d = chip.derived
    tick = (
        d.words * (SCAN_BITS * (d.axon_chunks + d.spike_chunks) + 32)
        + SCAN_BITS * d.slots * d.axon_chunks
    )
    if d.cores == 1:
        return 2 * tick
    return 2 * d.cores * (tick + chip.chain)  # a spike of a mesh may go to all cores


def _header(chip: Chip) -> str:
    """The text of chip.vh: what the bench must know of the chip."""
    map_, d = MemoryMap(chip), chip.derived
    cores = ["dut.core"]
    if d.cores > 1:
        cores = [f"dut.core_{x}_{y}.core" for x, y in Mesh(chip.mesh_width, chip.mesh_height)]
    values: dict[str, object] = {
        "ADDRESS_BITS": map_.address_bits + d.core_bits,
        "EVENT_BITS": width(event_record(chip)) + d.core_bits,
        "WORDS": d.words,
        "SLOTS": d.slots,
        "AXON_CHUNKS": d.axon_chunks,
        "RING_CHUNKS": 1 << (d.axon_chunks - 1).bit_length(),
        "CYCLE_LIMIT": cycle_limit(chip),
        "CONTROL_ADDRESS": map_.registers["control"].address,
        "CONTROL_CLEAR": CONTROL_CLEAR,
        "COUNTERS(core)": "{" + ", ".join(f"core.count_{name}" for name in COUNTERS) + "}",
    }
    calls: dict[str, list[str]] = {"SCRAMBLE": [], "LOAD": [], "SET": [], "FEED": [], "DUMP": []}
    for n, core in enumerate(cores):
        for memory in map_.memories.values():
            place = f"ring.{memory.name}" if memory.name == "ring" else memory.name
            ram = f"{core}.{place}_memory.ram"
            kind = "READ" if memory.loaded else "STATE"
            calls["SCRAMBLE"].append(f"`SCRAMBLE_{kind}({ram})")
            if memory.loaded and d.cores > 1:
                calls["LOAD"].append(f'`LOAD_CORE("core{n}.{memory.name}", {ram})')
        calls["SCRAMBLE"].append(f"`SCRAMBLE_STATE({core}.list.events_memory.ram)")
        steps, extension = (
            map_.core_base(n) + map_.registers[name].address for name in ("steps", "extension")
        )
        calls["SET"].append(f'`SET_CORE("extension{n}", {steps}, {extension})')
        calls["FEED"].append(f"`FEED_CORE({core}.ring.ring_memory.ram)")
        states = [memory for memory, bits in STATES.values() if getattr(chip, bits)]
        dumps = [f"`DUMP_STATE({core}.{memory}_memory.ram)" for memory in states]
        calls["DUMP"] += [f"`DUMP_CORE({core})", *dumps]
    values |= {name: " ".join(texts) for name, texts in calls.items()}
    return "".join(f"`define {name} {value}\n" for name, value in values.items())


def _axons(image: Image, stimulus: Stimulus, ticks: int) -> np.ndarray:
    """The axons that inputs set for each tick, whole chunks, uint8 ``[sample, tick, bytes]``.

    Packed little-endian.
    """
    chip = image.chip
    axons = np.zeros((stimulus.samples, ticks, chip.derived.axon_chunks * SCAN_BITS), np.uint8)
    for place in image.placement.inputs:
        if place.name in stimulus.spikes:  # the others' spikes come from other cores
            at = slice(place.delay, min(place.delay + image.steps, ticks))
            spikes = unpack(stimulus.spikes[place.name], place.size)
            axons[:, at, place.first_axon : place.first_axon + place.size] |= spikes[
                :, : at.stop - at.start
            ]
    return pack(axons)


def _digits(bits: int, chunk: int) -> int:
    """Hexadecimal digits of a number that is padded to whole chunks."""
    return -(-bits // chunk) * chunk // 4


def _nibbles(text: np.ndarray) -> np.ndarray:
    """Values of hexadecimal digits ``[sample, line, digit]``. RuntimeError if one is x."""
    values = HEX_VALUES[text]
    if (values == 255).any():
        sample, line, _ = np.argwhere(values == 255)[0]
        raise RuntimeError(
            f"state of the RTL is undefined (x) in Icarus at sample {sample}, tick {line - 1}"
        )
    return values


def _numbers(nibbles: np.ndarray, count: int) -> np.ndarray:
    """``count`` numbers that lie side by side, each with its highest digit first.

    Returns uint8 ``[sample, tick, count, bytes]``, little-endian.
    """
    digits = nibbles.reshape(*nibbles.shape[:2], count, -1)[..., ::-1]
    return np.ascontiguousarray(digits[..., 0::2] | digits[..., 1::2] << 4)
