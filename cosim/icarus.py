"""Backend "icarus": the generated Verilog in Icarus Verilog, an independent simulator, under a plain Verilog bench.

Nothing of ours runs per cycle: the memories load themselves from the .mem files of the bundle ($readmemh), the bench
(cosim/icarus_tb.v) drives the ticks and writes one line of hexadecimal digits per tick, numpy turns them into a trace. Slow
(thousands of cycles a second): everything at ``tiny``, tens of images at ``zou2021``.
"""

import re
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

import numpy as np

from cosim.backends import check_names
from cosim.link import Backend
from cosim.native import claim
from cosim.verilate import cached, call, hdl_key, verilog_of
from pysim.image import Image
from pysim.memory_map import CONTROL_CLEAR, COUNTERS, MemoryMap
from pysim.params import BUS_BITS, SCAN_BITS, Chip
from pysim.records import event_record, width
from pysim.trace import Stimulus, Trace, pack, unpack

__all__ = ["Icarus", "awake", "compile_bench", "cycle_limit"]

BENCH = "spikeloop_bench"


class Icarus(Backend):
    """The RTL with an image in its memories, in one simulator process per run. ``timeout``: seconds a run may take."""

    name = "icarus"

    def __init__(self, image: Image, *, timeout: float = 3600.0) -> None:
        self.image, self.timeout = image, timeout
        self._program = compile_bench(image.chip)
        self._folder = tempfile.TemporaryDirectory(prefix="spikeloop-icarus-")
        image.save(Path(self._folder.name) / "image")

    def run(self, stimulus: Stimulus, *, membranes: bool = True) -> Trace:
        return self._trace(self._simulate(stimulus), stimulus.samples, membranes)

    def waves(self, stimulus: Stimulus, path: Path) -> Path | None:
        """All signals but memories, as FST if ``path`` ends in .fst, else as VCD. One time unit is half a cycle."""
        path = Path(path).resolve()
        claim(path)
        self._simulate(stimulus, [f"+waves={path}"], ["-fst"] if path.suffix == ".fst" else [])
        return path

    def close(self) -> None:
        self._folder.cleanup()

    def _simulate(self, stimulus: Stimulus, arguments: list[str] = [], dumper: list[str] = []) -> bytes:  # noqa: B006
        """Run all samples; the lines of the trace file."""
        image, folder = self.image, Path(self._folder.name)
        stimulus.check(image)
        (folder / "stimulus.hex").write_bytes(_hex_lines(_axons(image, stimulus)))
        memories = [f"+{m.name}=image/core0/{m.name}.mem" for m in MemoryMap(image.chip).loaded]
        settings = {"samples": stimulus.samples, "ticks": image.ticks, **image.settings}
        command = ["vvp", "-n", str(self._program), *dumper, *memories, "+stimulus=stimulus.hex", "+trace=trace.hex",
                   *(f"+{name}={value}" for name, value in settings.items()), *arguments]
        try:
            done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"Icarus did not run {stimulus.samples} samples within {self.timeout:g} s: take fewer samples") from None
        last = (done.stdout.strip().splitlines() or [""])[-1]
        if last.startswith("stopped"):
            raise TimeoutError(f"the chip hangs in Icarus: {last}, not idle after {cycle_limit(image.chip):,} cycles")
        if done.returncode or last != "done":
            raise RuntimeError(f"Icarus failed (exit {done.returncode}):\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return (folder / "trace.hex").read_bytes()

    def _trace(self, text: bytes, samples: int, membranes: bool) -> Trace:
        chip, place, memories = self.image.chip, self.image.placement, MemoryMap(self.image.chip).memories
        words, lanes = chip.derived.words, chip.lanes
        spike_digits, v_digits = (-(-bits // chunk) * chunk // 4 for bits, chunk in ((lanes, SCAN_BITS), (memories["v"].width, BUS_BITS)))
        fields = [16 * len(COUNTERS), words * spike_digits, words * v_digits]
        nibbles = _nibbles(np.frombuffer(text, np.uint8).reshape(samples, self.image.ticks + 1, sum(fields) + 1)[..., :-1])
        counters, spikes, v = np.split(nibbles, np.cumsum(fields[:-1]), axis=2)
        counts = np.diff(_numbers(counters, len(COUNTERS)).view("<i8")[..., 0], axis=1)
        fired = unpack(_numbers(spikes[:, 1:], words), lanes).reshape(samples, self.image.ticks, -1)
        result = Trace({}, {}, {name: counts[:, :, i].copy() for i, name in enumerate(COUNTERS)})
        if membranes:
            planes = unpack(_numbers(v[:, 1:], words), memories["v"].width).reshape(samples, self.image.ticks, words, -1, lanes)
            weights = np.int64(1) << np.arange(chip.membrane_bits)
            weights[-1] *= -1
            potentials = np.einsum("stwbl,b->stwl", planes, weights, dtype=np.int64).astype(np.int32).reshape(samples, self.image.ticks, -1)
        for p in place.populations:
            ticks = slice(p.start, p.start + self.image.steps)
            result.spikes[p.name] = pack(fired[:, ticks, p.neurons])
            if membranes:
                result.membranes[p.name] = potentials[:, ticks, p.neurons]
        return result


def compile_bench(chip: Chip) -> Path:
    """The chip and its bench compiled for vvp; cached by content. InputError if Icarus is missing."""
    check_names(["icarus"])
    bench, header = (files("cosim") / "icarus_tb.v").read_text(), _header(chip)
    version = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=True).stdout.splitlines()[0]

    def make(folder: Path) -> None:
        (folder / "chip.vh").write_text(header)
        (folder / "bench.v").write_text(bench)
        (folder / "chip.v").write_text(awake(verilog_of(chip).read_text()))
        call(["iverilog", "-g2012", "-I", str(folder), "-s", BENCH, "-o", str(folder / "chip.vvp"), str(folder / "bench.v"),
               str(folder / "chip.v")], {}, folder / "iverilog.log")

    key = hdl_key("\0".join((repr(chip), bench, header, version, Path(__file__).read_text())))[:24]
    return cached(f"icarus-{key}", make) / "chip.vvp"


def awake(verilog: str) -> str:
    """Generated Verilog for event-driven simulators: every ``always @*`` runs at time 0.

    Amaranth's back end has a register in each module that all of them read, for that purpose; but its initial value stands in its
    declaration, which is no event, so that outputs of a process whose inputs do not change (a state machine at rest) would stay x.
    """
    return re.sub(r"^  reg (\\\$auto\$verilog_backend\S+ ) = 0;$", r"  reg \1;\n  initial #0 \1 = 0;", verilog, flags=re.M)


def cycle_limit(chip: Chip) -> int:
    """More cycles than a tick (dense, every neuron spiking) or CLEAR can take: docs/architecture.md, "Cycles"."""
    d = chip.derived
    return 2 * (d.words * (SCAN_BITS * (d.axon_chunks + d.spike_chunks) + 32) + SCAN_BITS * d.slots * d.axon_chunks)


def _header(chip: Chip) -> str:
    map_, d = MemoryMap(chip), chip.derived
    values = {
        "ADDRESS_BITS": map_.address_bits, "EVENT_BITS": width(event_record(chip)), "WORDS": d.words, "SLOTS": d.slots,
        "AXON_CHUNKS": d.axon_chunks, "RING_CHUNKS": 1 << (d.axon_chunks - 1).bit_length(), "CYCLE_LIMIT": cycle_limit(chip),
        "CONTROL_ADDRESS": map_.registers["control"].address, "CONTROL_CLEAR": CONTROL_CLEAR,
        "STEPS_ADDRESS": map_.registers["steps"].address, "EXTENSION_ADDRESS": map_.registers["extension"].address,
        "SCRAMBLE": " ".join([*(f"`SCRAMBLE_READ(dut.core.{m.name}_memory.ram)" for m in map_.loaded),
                              *(f"`SCRAMBLE_STATE(dut.core.{'ring.' * (m.name == 'ring')}{m.name}_memory.ram)"
                                for m in map_.memories.values() if not m.loaded), "`SCRAMBLE_STATE(dut.core.list.events_memory.ram)"]),
        "COUNTERS": "{" + ", ".join(f"dut.core.count_{name}" for name in COUNTERS) + "}",
    }
    return "".join(f"`define {name} {value}\n" for name, value in values.items())


def _axons(image: Image, stimulus: Stimulus) -> np.ndarray:
    """uint8 ``[sample, tick, bytes]``: the axons that inputs set for each tick, packed little-endian, whole chunks."""
    chip, dense = image.chip, stimulus.dense(image)
    axons = np.zeros((stimulus.samples, image.ticks, chip.derived.axon_chunks * SCAN_BITS), np.uint8)
    for place in image.placement.inputs:
        ticks = slice(place.delay, min(place.delay + image.steps, image.ticks))
        axons[:, ticks, place.first_axon:place.first_axon + place.size] |= dense[place.name][:, :ticks.stop - ticks.start]
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
        raise RuntimeError(f"state of the RTL is undefined (x) in Icarus at sample {sample}, tick {line - 1}")
    return values


def _numbers(nibbles: np.ndarray, count: int) -> np.ndarray:
    """uint8 ``[sample, tick, count, bytes]``, little-endian, of ``count`` numbers that lie digit after digit, the highest first."""
    digits = nibbles.reshape(*nibbles.shape[:2], count, -1)[..., ::-1]
    return np.ascontiguousarray(digits[..., 0::2] | digits[..., 1::2] << 4)
