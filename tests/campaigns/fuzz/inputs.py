"""Sound inputs of every reader, small, from which mutated ones are made."""

import gzip
import io
import json
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from spikeloop.cosim.flow.verify import Comparison, Filing
from spikeloop.golden.data.datasets import FILES
from spikeloop.golden.nets.layers import FloatNet
from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.bundle.open import map_network
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.frames import READ, Command
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.image.export import FORMS, export
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.campaigns.fuzz import learning
from tests.campaigns.fuzz.mutate import Files
from tests.make.lessons.random import random_lesson
from tests.make.ranc_sets import random_set
from tests.make.small import CHIP, network, spontaneous_network, spontaneous_stimulus

__all__ = ["STIMULUS", "inputs", "mesh", "program", "write_nir"]

SHAPE = (2, 4, 3)  # samples, steps and lines of the small network
STIMULUS = Stimulus.pack(
    {"x": np.random.default_rng(0).integers(0, 2, SHAPE, np.uint8)}, np.arange(2)
)


def program() -> tuple[Program, Stimulus]:
    """A network cut into parts that take turns, and a stimulus of it."""
    rng = np.random.default_rng(1)
    bundle = map_network(spontaneous_network(rng, 24, True), preset("tiny"))
    assert isinstance(bundle, Program)
    return bundle, spontaneous_stimulus(rng, True, 1)


def mesh() -> tuple[MeshImage, Stimulus]:
    """The same on the cores of a mesh."""
    rng = np.random.default_rng(1)
    chip = preset("tiny,mesh_width=4,mesh_height=2")
    bundle = map_network(spontaneous_network(rng, 24, True), chip)
    assert isinstance(bundle, MeshImage)
    return bundle, spontaneous_stimulus(rng, True, 1)


def inputs() -> dict[str, list[Files]]:
    """Sound inputs by the name of their reader."""
    net, image = network(), pack(network(), chip=CHIP)
    trace = Core(image).run(STIMULUS)
    size = {"axons": 6, "neurons": 4, "weight_bits": 8, "membrane_bits": 24}
    lesson = random_lesson(np.random.default_rng(3), size, 2, 5)
    spikes = Expected({"out": trace.spikes["out"]}, 1)

    def run(folder: Path) -> None:
        comparison = Comparison(net, image, STIMULUS, ("golden", "pysim"))
        comparison.file(Filing(folder=folder))

    def exported(folder: Path) -> None:
        for form in FORMS:
            export(image, form, folder)

    def dense(folder: Path) -> None:
        np.save(folder / "data.npy", STIMULUS.dense(net)["x"])
        np.savez(folder / "data.npz", data=np.ones(SHAPE, np.uint8), labels=np.arange(2))

    written: dict[str, Callable[[Path], Any]] = {
        "network": lambda folder: net.save(folder / "network.safetensors"),
        "lesson": lambda folder: lesson.save(folder / "lesson.safetensors"),
        "image": image.save,
        "program": program()[0].save,
        "mesh": mesh()[0].save,
        "stimulus": lambda folder: STIMULUS.save(folder / "stimulus.npz"),
        "trace": lambda folder: trace.save(folder / "trace.npz"),
        "expected": lambda folder: spikes.save(folder / "expected.npz"),
        "run": run,
        "exported": exported,
        "dense": dense,
        "spike times": _spike_times,
        "idx": _idx,
        "ranc": lambda folder: random_set(0).write(folder),
        "nir": write_nir,
        "float net": lambda folder: FloatNet((6, 5, 3)).save(folder / "net.safetensors"),
        **learning.writers(write_nir),
    }
    return {name: [_files(write)] for name, write in written.items()} | {
        "record": [{"record.jsonl": RECORD}],
        "frame": [{"frame.bin": bytes.fromhex("0581010203040506")}],
    }


RECORD = b"".join(
    json.dumps(line).encode() + b"\n"
    for line in (
        {"format": "spikeloop session", "version": 1, "nature": "board"},
        {"commands": Command(READ, 1, 0).to_bytes().hex(), "reply": "070000000100"},
    )
)
"""A session in which one word was read."""


def _files(write: Callable[[Path], Any]) -> Files:
    """What ``write`` leaves in a folder, by path."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "input"
        folder.mkdir()
        write(folder)
        paths = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def _idx(folder: Path) -> None:
    for key, (name, axes) in FILES.items():
        shape = (6, 4, 4)[:axes]
        head = struct.pack(f">HBB{axes}I", 0, 8, axes, *shape)
        data = head + bytes(k % 10 for k in range(int(np.prod(shape))))
        if key == "train_images":
            (folder / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))
        else:
            (folder / name).write_bytes(data)


def _spike_times(folder: Path) -> None:
    with h5py.File(folder / "spikes.h5", "w") as file:
        times = file.create_dataset("spikes/times", 2, h5py.vlen_dtype(np.float32))
        units = file.create_dataset("spikes/units", 2, h5py.vlen_dtype(np.uint16))
        for k in range(2):
            times[k], units[k] = np.arange(3) / 100, np.arange(3)
        file["labels"] = np.arange(2)


def write_nir(folder: Path) -> None:
    """x -> Affine -> LIF -> Linear -> IF -> y."""
    rng = np.random.default_rng(2)
    lif = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.1, "v_reset": 0.0}
    nodes: dict[str, dict[str, Any]] = {
        "input": {"type": "Input", "shape": np.array([5])},
        "a": {"type": "Affine", "weight": rng.normal(size=(4, 5)), "bias": rng.normal(size=4)},
        "l": {"type": "LIF"} | {key: np.full(4, value) for key, value in lif.items()},
        "b": {"type": "Linear", "weight": rng.normal(size=(3, 4))},
        "m": {"type": "IF", "r": np.ones(3), "v_threshold": np.ones(3), "v_reset": np.zeros(3)},
        "output": {"type": "Output", "shape": np.array([3])},
    }
    edges = np.array(list(zip(nodes, list(nodes)[1:], strict=False)), object)
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["version"] = "1.0"
        file["node/type"] = "NIRGraph"
        file.create_dataset("node/edges", data=edges, dtype=h5py.string_dtype())
        for name, values in nodes.items():
            for key, value in values.items():
                file[f"node/nodes/{name}/{key}"] = value
    (folder / "net.nir").write_bytes(buffer.getvalue())
