"""Macros, rules and what learns: sound inputs of their readers, and what is done with them.

Oscillators, dendritic neurons, patterns, sounds, kept lessons and layers, float models of imports,
nets by Q-STDB and by scatter-and-gather, and the Landsat file.
"""

import importlib.util
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikeloop.cosim.dendrites.engines import open_engine
from spikeloop.cosim.dendrites.run import _sounds
from spikeloop.cosim.dendrites.study import Plan, Run, prepare
from spikeloop.cosim.digits import learner
from spikeloop.cosim.lessons.compare import compare_lesson
from spikeloop.cosim.oscillators.run import _patterns, make_net
from spikeloop.golden.data.satellite import ROWS, load_satellite
from spikeloop.golden.interchange import floats
from spikeloop.golden.interchange.graph.semantics import Semantics
from spikeloop.golden.interchange.nir.read import import_nir
from spikeloop.golden.rules.digits.layer import layer
from spikeloop.golden.rules.qstdb.net import QstdbNet
from spikeloop.golden.rules.scatter_gather import net as scatter_gather
from spikeloop.pysim.dendrites import file as dendrites
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.state import fresh
from spikeloop.pysim.dendritic import numpy_engine as dendritic
from spikeloop.pysim.lessons.lesson import Lesson
from spikeloop.pysim.onn import numpy_engine as onn
from spikeloop.pysim.oscillators.hebb import inputs as starts
from spikeloop.pysim.oscillators.net import OnnNet
from tests.golden.rules.scatter_gather.nets import random_net
from tests.make.lessons.random import random_lesson
from tests.make.qstdb_nets import MACRO, small, write_satellite

__all__ = ["readers", "writers"]

PATTERNS = np.array([[1, 1, -1, -1, 1, -1], [1, -1, 1, -1, 1, 1]])
SOUNDS = np.random.default_rng(5).normal(-54, 12, (2, 3, 2, 8))
ENGINES = ("numpy", "golden")
STEPS = 5
KEY = "of this layer"
RDATA = importlib.util.find_spec("rdata") is not None
"""Whether the package that reads Satellite is installed."""


@cache
def lesson() -> Lesson:
    size = {"axons": 6, "neurons": 4, "weight_bits": 8, "membrane_bits": 24}
    return random_lesson(np.random.default_rng(4), size, 2, 5)


def training() -> Run:
    """One pass of a small dendritic net over one mixture."""
    task = prepare(SOUNDS, Plan(1, passes=1, trials=1, neurons=2))
    return Run(task, [open_engine("numpy", task.net, task.stimuli)])


def core() -> Any:
    return learner.open_core(layer("alsa", 3), 0)


@cache
def imported(nir: Callable[[Path], None]) -> Any:
    """A network that was imported from the file that ``nir`` writes, with its float model."""
    with tempfile.TemporaryDirectory() as folder:
        nir(Path(folder))
        return import_nir(Path(folder) / "net.nir", Semantics(), steps=4)


def writers(nir: Callable[[Path], None]) -> dict[str, Callable[[Path], Any]]:
    """What writes a sound input, by the name of its reader. ``nir``: writes a NIR file."""

    def kept_lesson(folder: Path) -> None:
        compare_lesson(lesson(), ENGINES, kept=folder / "learning.npz")

    def kept_layer(folder: Path) -> None:
        made, course = core(), learner.Course([1, 2], [5, 6], [[2, 0.0, 1.0, 2.0]])
        counts = np.zeros((2, len(made.weights)), np.int64)
        learner.keep(folder / "layer.npz", KEY, made, course, counts=counts)

    def dendritic_file(folder: Path) -> None:
        net = DendriticNet.make({"inputs": 8, "neurons": 3, "warm_up": 0, "spike_gain": 30000})
        stimuli = np.random.default_rng(0).integers(0, 30000, (2, 8))
        dendrites.save(folder / "net.safetensors", net, stimuli, fresh(net, 0))

    def float_model(folder: Path) -> None:
        made = imported(nir)
        floats.save(folder / floats.FILE, made.floats, made.network)

    def satellite(folder: Path) -> None:
        rows = np.arange(ROWS)
        values = np.repeat(rows[:, None] % 7, 36, 1)
        write_satellite(folder / "Satellite.rda", values, rows % 6)

    return {
        "oscillators": lambda folder: make_net(PATTERNS, "phase").save(folder / "net.safetensors"),
        "dendritic": dendritic_file,
        "training": lambda folder: training().train(kept=folder / "net.safetensors"),
        "patterns": lambda folder: np.save(folder / "patterns.npy", PATTERNS),
        "sounds": lambda folder: np.save(folder / "sounds.npy", SOUNDS),
        "kept lesson": kept_lesson,
        "kept layer": kept_layer,
        "float model": float_model,
        "q-stdb": lambda folder: small().save(folder / "net.safetensors"),
        "q-stdb pim": lambda folder: small(pim=MACRO).save(folder / "net.safetensors"),
        "scatter": lambda folder: random_net(np.random.default_rng(6), 1, 2).save(
            folder / "net.safetensors"
        ),
        **({"satellite": satellite} if RDATA else {}),
    }


def readers(nir: Callable[[Path], None]) -> dict[str, Callable[[Path], object]]:
    """What is done with an input, by the name of its reader. ``nir``: writes a NIR file."""

    def oscillators(folder: Path) -> None:
        net = OnnNet.load(folder / "net.safetensors")
        onn.run(net, starts(net, np.ones(net.size, np.int64)), steps=STEPS)

    def dendritic_file(folder: Path) -> None:
        net, stimuli, state = dendrites.load(folder / "net.safetensors")
        dendritic.show(net, stimuli[0], state, STEPS, learn=True)

    def kept_lesson(folder: Path) -> None:
        found = compare_lesson(lesson(), ENGINES, kept=folder / "learning.npz", resume=True)
        found.document(), found.rows()

    def float_model(folder: Path) -> None:
        made = imported(nir)
        twin = floats.load(folder / floats.FILE, made.network)
        lines = {n.name: np.ones((2, 4, n.size), np.uint8) for n in made.network.inputs}
        if twin:
            floats.column(twin, made.network, lines, np.zeros(2, np.int64))

    def qstdb(folder: Path) -> None:
        net = QstdbNet.load(folder / "net.safetensors")
        source = net.layers[0].window.source
        with torch.no_grad():
            net(torch.full((2, *source), 100.0), "scale")

    def scatter(folder: Path) -> None:
        net = scatter_gather.load(folder / "net.safetensors")
        net.to_network().sha256()
        net.activations(net.host_counts(np.zeros((1, 42), np.uint8)))

    def satellite(folder: Path) -> None:
        load_satellite(folder / "Satellite.rda")

    return {
        "oscillators": oscillators,
        "dendritic": dendritic_file,
        "training": lambda folder: training().train(kept=folder / "net.safetensors", resume=True),
        "patterns": lambda folder: make_net(_patterns(str(folder / "patterns.npy"))[0], "phase"),
        "sounds": lambda folder: prepare(_sounds(str(folder / "sounds.npy")), Plan(1, neurons=2)),
        "kept lesson": kept_lesson,
        "kept layer": lambda folder: learner.kept(folder / "layer.npz", KEY, core(), 2, "counts"),
        "float model": float_model,
        "q-stdb": qstdb,
        "q-stdb pim": qstdb,
        "scatter": scatter,
        **({"satellite": satellite} if RDATA else {}),
    }
