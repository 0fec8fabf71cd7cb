"""The same work driven by cocotb in two ways, for the bench: per cycle, and per tick in bulk.

    per_cycle   as in most tutorials: clock from Python, one event per cycle from Python, cocotb's
                stock flags (everything public and writable)
    per_tick    clock in HDL (bulk.v), a tick per call, events read by the simulator; only named
                signals public

Both fill the memories from files at time 0, send the events over the chip's own stream, and record
every membrane at every tick. The time is that of the loop over the ticks, inside the simulation. It
holds no build, no start, no loading and no packing.
"""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeloop.cosim.benches.runner import Build, build, build_chip, run
from spikeloop.cosim.verilator.build import verilog_of
from spikeloop.pysim.chip.params import BUS_BITS
from spikeloop.pysim.chip.records import output_record, width
from spikeloop.pysim.common.bits import integers, unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.export import export
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Drive", "drive", "per_cycle", "per_tick"]

DEPTH = 1 << 20  # words of bulk.v's event memory
END = 1 << 16


@dataclass(frozen=True, eq=False)
class Drive:
    """What a drive did.

    ticks, seconds, cycles: of the measured loop.
    membranes: int32 ``[sample, tick, words * lanes]``.
    """

    ticks: int
    seconds: float
    cycles: int
    membranes: np.ndarray

    @property
    def ticks_per_s(self) -> float:
        return self.ticks / self.seconds


def per_cycle(image: Image, stimulus: Stimulus, *, compiler: str = "c++") -> float:
    """Ticks per second with Python in every cycle, on a stock build."""
    return drive("per_cycle", image, stimulus, compiler=compiler).ticks_per_s


def per_tick(image: Image, stimulus: Stimulus, *, compiler: str = "c++") -> float:
    """Ticks per second with Python once per tick, on a build with its own clock."""
    return drive("per_tick", image, stimulus, compiler=compiler).ticks_per_s


def drive(
    way: str, image: Image, stimulus: Stimulus, *, compiler: str = "c++", optimize: str = "-O3"
) -> Drive:
    """Build and run the stimulus.

    way: "per_cycle" or "per_tick".
    optimize: the compiler's option; a build for few ticks wants less than "-O3".
    """
    if way not in ("per_cycle", "per_tick"):
        raise InputError(f"way of a cocotb drive must be per_cycle or per_tick, not {way!r}")
    if way == "per_cycle":
        options = {"stock": True, "compiler": compiler, "optimize": optimize}
        return _drive(image, stimulus, build_chip(image.chip, "verilator", **options), way)
    d = image.chip.derived
    values = {
        "AXON_BITS": d.axon_bits,
        "DELAY_BITS": d.delay_bits,
        "REQUEST_BITS": image.map.address_bits + BUS_BITS + 1,
        "OUTPUT_BITS": width(output_record(image.chip)),
        "DEPTH": DEPTH,
    }
    text = Path(__file__).with_name("bulk.v").read_text()
    for name, value in values.items():  # written in, so that they are part of the build's key
        text = re.sub(rf"parameter {name} = \d+", f"parameter {name} = {value}", text)
    with tempfile.TemporaryDirectory(prefix="spikeloop-") as folder:
        wrapper = Path(folder) / "bulk.v"
        wrapper.write_text(text)
        built = build(
            "verilator",
            [verilog_of(image.chip), wrapper],
            "bulk",
            timing=True,
            compiler=compiler,
            optimize=optimize,
        )
        return _drive(image, stimulus, built, way)


def _drive(image: Image, stimulus: Stimulus, built: Build, way: str) -> Drive:
    events = Core(image).events(stimulus)
    samples, ticks, _ = events.shape
    lists = [np.append(np.flatnonzero(tick), END) for sample in events for tick in sample]
    words = np.concatenate(lists)
    if len(words) > DEPTH:
        limit = f"at most {DEPTH}, not {len(words)}"
        raise InputError(f"events of a cocotb drive must be {limit}: take fewer samples")
    with tempfile.TemporaryDirectory(prefix="spikeloop-") as temporary:
        folder = Path(temporary)
        export(image, "mem", folder / "image")
        (folder / "events.mem").write_text("".join(f"{word:05x}\n" for word in words))
        plusargs = [f"+{m.name}={folder / 'image' / m.name}.mem" for m in image.map.loaded]
        task = {
            "way": way,
            "chip": image.chip.to_dict(),
            "samples": samples,
            "ticks": ticks,
            "settings": image.settings,
            "folder": str(folder),
        }
        (folder / "task.json").write_text(json.dumps(task))
        run(
            built,
            "spikeloop.cosim.studies.speed.inside",
            environment={"SPIKELOOP_TASK": str(folder / "task.json")},
            folder=folder,
            plusargs=[*plusargs, f"+bulk={folder / 'events.mem'}"],
        )
        result = json.loads((folder / "result.json").read_text())
        rows = np.fromfile(folder / "v.bin", np.uint8)
    chip = image.chip
    rows = rows.reshape(samples, ticks, chip.derived.words, -1)
    planes = unpack(rows, chip.lanes * chip.membrane_bits)
    planes = planes.reshape(*planes.shape[:3], chip.membrane_bits, chip.lanes)
    membranes = integers(np.swapaxes(planes, -1, -2), signed=True).astype(np.int32)
    membranes = membranes.reshape(samples, ticks, -1)
    return Drive(samples * ticks, result["seconds"], result["cycles"], membranes)
