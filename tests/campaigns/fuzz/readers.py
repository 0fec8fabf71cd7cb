"""What is done with an input of each kind: it is read and, if it is accepted, used."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from spikeloop.cosim.board.link import BoardLink
from spikeloop.cosim.board.session import BadReply, Replay
from spikeloop.cosim.runs.page import report
from spikeloop.cosim.stimuli.make import from_files
from spikeloop.golden.data.datasets import load_mnist
from spikeloop.golden.interchange.graph.semantics import Semantics
from spikeloop.golden.interchange.nir.read import import_nir
from spikeloop.golden.interchange.ranc.read import import_ranc
from spikeloop.golden.nets.layers import FloatNet
from spikeloop.pysim.bundle.open import load_bundle
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.frames import open_frame
from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.image.export import read as read_export
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.mesh import MeshModel
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.expected import Expected
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.fuzz import inputs, learning
from tests.make.ranc_sets import random_set
from tests.make.small import CHIP, network

__all__ = ["Read", "readers", "ready"]

Read = Callable[[Path], object]
"""Reads the input in a folder, and uses it."""


def ready() -> None:
    """Let numba compile what the readers use, and keep it: a confined process could not."""
    Core(pack(network(), chip=CHIP)).run(inputs.STIMULUS)


def readers() -> dict[str, Read]:
    """All readers by name."""
    stimuli = {"program": inputs.program()[1], "mesh": inputs.mesh()[1]}
    small, packed = network(), pack(network(), chip=CHIP)
    memories = {
        memory.name: replace(memory, rows=len(packed.rows(memory.name)))
        for memory in packed.map.loaded
    }
    ranc = random_set(0)

    def image(folder: Path) -> None:
        bundle = Image.load(folder)
        inputs.STIMULUS.check(bundle)
        repr(bundle), bundle.facts(), bundle.settings
        Core(bundle).run(inputs.STIMULUS)

    def shared(folder: Path) -> None:
        bundle = load_bundle(folder)
        stimulus = stimuli["mesh" if bundle.kind == "mesh" else "program"]
        stimulus.check(bundle)
        repr(bundle), bundle.facts(), bundle.holders(), bundle.cores_of()
        if isinstance(bundle, Program):
            bundle.run(stimulus, lambda n, part: Core(bundle.parts[n].image).run(part))
        elif bundle.kind == "mesh":
            MeshModel(bundle).run(stimulus)

    def run(folder: Path) -> None:
        report(folder, folder / "page.html")

    def record(folder: Path) -> None:
        replay = Replay(folder / "record.jsonl")
        link = BoardLink(replay, preset("tiny"))
        try:
            link.read(0)
        except (BadReply, TimeoutError):  # typed: the board's fault
            replay.close()

    def exported(folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            if path.is_file():
                read_export(path, memories[path.stem])

    def dense(folder: Path) -> None:
        for path in sorted(folder.glob("data.*")):
            from_files(small, [path])

    def spike_times(folder: Path) -> None:
        from_files(small, [folder / "spikes.h5"], width=0.01)

    def nir(folder: Path) -> None:
        import_nir(folder / "net.nir", Semantics(), steps=4).network.sha256()

    return {
        "network": lambda folder: repr(Network.load(folder / "network.safetensors")),
        "lesson": lambda folder: Lesson.load(folder / "lesson.safetensors").state,
        "image": image,
        "program": shared,
        "mesh": shared,
        "stimulus": lambda folder: Stimulus.load(folder / "stimulus.npz").check(small),
        "trace": lambda folder: Trace.load(folder / "trace.npz"),
        "expected": lambda folder: Expected.load(folder / "expected.npz").check(small, 2),
        "run": run,
        "record": record,
        "exported": exported,
        "dense": dense,
        "spike times": spike_times,
        "idx": load_mnist,
        "ranc": lambda folder: import_ranc(
            folder, grid=ranc.grid, output=ranc.output, first_tick=0
        ),
        "nir": nir,
        "float net": lambda folder: FloatNet.load(folder / "net.safetensors"),
        "frame": lambda folder: open_frame((folder / "frame.bin").read_bytes()),
        **learning.readers(inputs.write_nir),
    }
