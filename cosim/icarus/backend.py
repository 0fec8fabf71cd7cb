"""Backend "icarus": the generated Verilog in Icarus Verilog, an independent simulator, under a plain Verilog bench.

Nothing of ours runs per cycle: the memories load themselves from the .mem files of the bundle ($readmemh), the bench
(cosim/icarus/bench.v) drives the ticks and writes one line of hexadecimal digits per tick, numpy turns them into a trace. Slow
(thousands of cycles a second): everything at ``tiny``, tens of images at ``zou2021``.
"""

import re
import subprocess
import tempfile
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
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["Icarus", "awake", "compile_bench", "cycle_limit", "icarus_version"]

BENCH = "spikeloop_bench"


class Icarus(Backend):
    """The RTL with an image (or those of a mesh) in its memories, in one simulator process per run. ``timeout``: seconds a run may take."""

    name = "icarus"

    def __init__(self, image: Image | MeshImage, *, timeout: float = 3600.0) -> None:
        self.image, self.timeout = image, timeout
        self.images = image.images
        self._program = compile_bench(image.chip)
        self._folder = tempfile.TemporaryDirectory(prefix="spikeloop-icarus-")
        for n, one in self.images.items():
            one.save(Path(self._folder.name) / f"image{n}")

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        traces = self._traces(self._simulate(stimulus), stimulus.samples, membranes)
        return self.image.gather(traces)

    def waves(self, stimulus: Stimulus, path: Path) -> Path | None:
        """All signals but memories, as FST if ``path`` ends in .fst, else as VCD. One time unit is half a cycle."""
        path = Path(path).resolve()
        claim(path)
        self._simulate(stimulus, [f"+waves={path}"], ["-fst"] if path.suffix == ".fst" else [])
        return path

    def close(self) -> None:
        self._folder.cleanup()

    def _simulate(
        self, stimulus: Stimulus, arguments: list[str] = [], dumper: list[str] = []
    ) -> bytes:  # noqa: B006
        """Run all samples; the lines of the trace file."""
        chip, folder = self.image.chip, Path(self._folder.name)
        stimulus.check(self.image)
        stimuli = self.image.stimuli(stimulus)
        axons = np.zeros(
            (
                stimulus.samples,
                self.image.ticks,
                chip.derived.cores,
                chip.derived.axon_chunks * SCAN_BITS // 8,
            ),
            np.uint8,
        )
        settings: dict[str, object] = {
            "samples": stimulus.samples,
            "ticks": self.image.ticks,
            "steps": self.image.steps,
        }
        for n, image in self.images.items():
            axons[:, :, n] = _axons(image, stimuli[n], self.image.ticks)
            settings[f"extension{n}"] = image.settings["extension"]
            settings |= {
                f"{m.name if chip.derived.cores == 1 else f'core{n}.{m.name}'}": f"image{n}/core0/{m.name}.mem"
                for m in MemoryMap(chip).loaded
            }
        (folder / "stimulus.hex").write_bytes(_hex_lines(axons))
        command = [
            "vvp",
            "-n",
            str(self._program),
            *dumper,
            "+stimulus=stimulus.hex",
            "+trace=trace.hex",
            *(f"+{name}={value}" for name, value in settings.items()),
            *arguments,
        ]
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
            raise TimeoutError(
                f"Icarus did not run {stimulus.samples} samples within {self.timeout:g} s: take fewer samples"
            ) from None
        last = (done.stdout.strip().splitlines() or [""])[-1]
        if last.startswith("stopped"):
            raise TimeoutError(
                f"the chip hangs in Icarus: {last}, not idle after {cycle_limit(chip):,} cycles"
            )
        if done.returncode or last != "done":
            raise RuntimeError(
                f"Icarus failed (exit {done.returncode}):\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            )
        return (folder / "trace.hex").read_bytes()

    def _traces(self, text: bytes, samples: int, membranes: bool) -> list[Trace]:
        """Of every core."""
        chip, ticks, memories = (
            self.image.chip,
            self.image.ticks,
            MemoryMap(self.image.chip).memories,
        )
        words, lanes, cores = chip.derived.words, chip.lanes, chip.derived.cores
        spike_digits, v_digits = (
            -(-bits // chunk) * chunk // 4
            for bits, chunk in ((lanes, SCAN_BITS), (memories["v"].width, BUS_BITS))
        )
        fields = [16 * len(COUNTERS), words * spike_digits, words * v_digits]
        nibbles = _nibbles(
            np.frombuffer(text, np.uint8).reshape(samples, ticks + 1, cores * sum(fields) + 1)[
                ..., :-1
            ]
        )
        results = []
        for n, own in enumerate(np.split(nibbles, cores, axis=2)):
            counters, spikes, v = np.split(own, np.cumsum(fields[:-1]), axis=2)
            counts = np.diff(_numbers(counters, len(COUNTERS)).view("<i8")[..., 0], axis=1)
            results.append(
                result := Trace(
                    {}, {}, {name: counts[:, :, i].copy() for i, name in enumerate(COUNTERS)}
                )
            )
            fired = unpack(_numbers(spikes[:, 1:], words), lanes).reshape(samples, ticks, -1)
            if membranes:
                planes = unpack(_numbers(v[:, 1:], words), memories["v"].width).reshape(
                    samples, ticks, words, -1, lanes
                )
                potentials = integers(planes.swapaxes(-1, -2), signed=True).astype(np.int32)
                potentials = potentials.reshape(samples, ticks, -1)
            for p in self.images[n].placement.populations if n in self.images else ():
                at = slice(p.start, p.start + self.image.steps)
                result.spikes[p.name] = pack(fired[:, at, p.neurons])
                if membranes:
                    result.membranes[p.name] = potentials[:, at, p.neurons]
        return results


def compile_bench(chip: Chip) -> Path:
    """The chip and its bench compiled for vvp; cached by content. InputError if Icarus is missing."""
    check_tools("icarus")
    bench, header = Path(__file__).with_name("bench.v").read_text(), _header(chip)

    def make(folder: Path) -> None:
        (folder / "chip.vh").write_text(header)
        (folder / "bench.v").write_text(bench)
        (folder / "chip.v").write_text(awake(verilog_of(chip).read_text()))
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


def awake(verilog: str) -> str:
    """Generated Verilog for event-driven simulators: every ``always @*`` runs at time 0.

    Amaranth's back end has a register in each module that all of them read, for that purpose; but its initial value stands in its
    declaration, which is no event, so that outputs of a process whose inputs do not change (a state machine at rest) would stay x.
    """
    return re.sub(
        r"^  reg (\\\$auto\$verilog_backend\S+ ) = 0;$",
        r"  reg \1;\n  initial #0 \1 = 0;",
        verilog,
        flags=re.M,
    )


def cycle_limit(chip: Chip) -> int:
    """More cycles than a tick (dense, every neuron spiking) or CLEAR can take: docs/architecture.md, "Cycles"."""
    d = chip.derived
    tick = (
        d.words * (SCAN_BITS * (d.axon_chunks + d.spike_chunks) + 32)
        + SCAN_BITS * d.slots * d.axon_chunks
    )
    return 2 * (
        tick if d.cores == 1 else d.cores * (tick + chip.chain)
    )  # a spike of a mesh goes to as many as all cores


def _header(chip: Chip) -> str:
    map_, d = MemoryMap(chip), chip.derived
    many = d.cores > 1
    paths = (
        [f"dut.core_{x}_{y}.core" for x, y in Mesh(chip.mesh_width, chip.mesh_height)]
        if many
        else ["dut.core"]
    )
    values = {
        "ADDRESS_BITS": map_.address_bits + d.core_bits,
        "EVENT_BITS": width(event_record(chip)) + d.core_bits,
        "WORDS": d.words,
        "SLOTS": d.slots,
        "AXON_CHUNKS": d.axon_chunks,
        "RING_CHUNKS": 1 << (d.axon_chunks - 1).bit_length(),
        "CYCLE_LIMIT": cycle_limit(chip),
        "CONTROL_ADDRESS": map_.registers["control"].address,
        "CONTROL_CLEAR": CONTROL_CLEAR,
        "SCRAMBLE": " ".join(
            [
                *(
                    f"`SCRAMBLE_READ({core}.{m.name}_memory.ram)"
                    for core in paths
                    for m in map_.loaded
                ),
                *(
                    f"`SCRAMBLE_STATE({core}.{'ring.' * (m.name == 'ring')}{m.name}_memory.ram)"
                    for core in paths
                    for m in map_.memories.values()
                    if not m.loaded
                ),
                *(f"`SCRAMBLE_STATE({core}.list.events_memory.ram)" for core in paths),
            ]
        ),
        "LOAD": " ".join(
            f'`LOAD_CORE("core{n}.{m.name}", {core}.{m.name}_memory.ram)'
            for n, core in enumerate(paths)
            for m in map_.loaded
            if many
        ),
        "SET": " ".join(
            f'`SET_CORE("extension{n}", {map_.core_base(n) + map_.registers["steps"].address}, '
            f"{map_.core_base(n) + map_.registers['extension'].address})"
            for n in range(d.cores)
        ),
        "FEED": " ".join(f"`FEED_CORE({core}.ring.ring_memory.ram)" for core in paths),
        "DUMP": " ".join(f"`DUMP_CORE({core})" for core in paths),
        "COUNTERS(core)": "{" + ", ".join(f"core.count_{name}" for name in COUNTERS) + "}",
    }
    return "".join(f"`define {name} {value}\n" for name, value in values.items())


def _axons(image: Image, stimulus: Stimulus, ticks: int) -> np.ndarray:
    """uint8 ``[sample, tick, bytes]``: the axons that inputs set for each tick, packed little-endian, whole chunks."""
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


_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_VALUES = np.full(256, 255, np.uint8)
_VALUES[_DIGITS] = np.arange(16)


def _hex_lines(rows: np.ndarray) -> bytes:
    """Little-endian bytes along the last axis as one hexadecimal number a line."""
    rows = rows.reshape(-1, rows.shape[-1])[:, ::-1]
    text = np.full((rows.shape[0], 2 * rows.shape[1] + 1), ord("\n"), np.uint8)
    text[:, 0:-1:2], text[:, 1:-1:2] = _DIGITS[rows >> 4], _DIGITS[rows & 15]
    return text.tobytes()


def _nibbles(text: np.ndarray) -> np.ndarray:
    values = _VALUES[text]
    if (values == 255).any():
        sample, line, _ = np.argwhere(values == 255)[0]
        raise RuntimeError(
            f"state of the RTL is undefined (x) in Icarus at sample {sample}, tick {line - 1}"
        )
    return values


def _numbers(nibbles: np.ndarray, count: int) -> np.ndarray:
    """uint8 ``[sample, tick, count, bytes]``, little-endian, of ``count`` numbers that lie digit after digit, the highest first."""
    digits = nibbles.reshape(*nibbles.shape[:2], count, -1)[..., ::-1]
    return np.ascontiguousarray(digits[..., 0::2] | digits[..., 1::2] << 4)
