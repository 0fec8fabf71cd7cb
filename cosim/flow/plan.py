"""What ``spikeloop sim`` walks through, and all that can be refused before minutes of training."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeloop.cosim.backends import check_names
from spikeloop.cosim.compare.compare import check_several
from spikeloop.cosim.stages.images import Images
from spikeloop.cosim.stages.train import config
from spikeloop.golden.training.train import check_layers
from spikeloop.pysim.chip.params import Chip, preset
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.place import place
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network

__all__ = ["Plan", "parse_layers"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The settings of a walk.

    layers:    sizes, inputs first; recurrent: lateral synapses in every hidden layer
    bits:      bits of a weight, 2..16; chip: preset with changes, of one core
    data:      folder of the MNIST files; None: the embedded images
    backends:  two or more names, the reference first
    samples:   test images to compare; None: all
    encoder:   name of the encoder; steps: steps of a sample
    epochs:    passes over the training images; None: golden's default
    folder:    where all files of the walk go
    """

    layers: tuple[int, ...] = (784, 100, 10)
    bits: int = 8
    chip: str = "zou2021"
    data: Path | None = None
    backends: Sequence[str] = ("golden", "pysim", "verilator")
    samples: int | None = None
    folder: Path = Path("build/sim")
    encoder: str = "rank_order"
    steps: int = 8
    epochs: int | None = None
    seed: int = 0
    recurrent: bool = False

    @property
    def config(self) -> str:
        return "-".join(map(str, self.layers))

    @property
    def target(self) -> Chip:
        """The chip. InputError if its preset or its changes are not known."""
        return preset(self.chip)

    @property
    def training(self) -> dict[str, Any]:
        """The settings that a training depends on."""
        return {
            "layers": self.layers,
            "recurrent": self.recurrent,
            "encoder": self.encoder,
            "steps": self.steps,
            "epochs": self.epochs,
            "seed": self.seed,
        }

    def check(self) -> None:
        """InputError for whatever would fail later; reads the images, trains and builds nothing."""
        check_names(self.backends)
        check_several(self.backends)
        chip = self.target
        if self.samples is not None and self.samples < 1:
            raise InputError(f"samples to compare must be at least 1, not {self.samples}")
        if not 2 <= self.bits <= 16:
            raise InputError(f"weight bits must be in 2..16, not {self.bits}")
        if chip.derived.cores > 1:
            raise InputError(
                "chip of spikeloop sim must be a single core, not a mesh of "
                f"{chip.mesh_width} x {chip.mesh_height}: spikeloop map and spikeloop compare take "
                "the network from there"
            )
        training = config(**self.training)
        place(self._outline(), chip)
        images = Images(self.data).load()
        check_layers(training, images)
        count = len(images.test_labels)
        if self.samples is not None and self.samples > count:
            raise InputError(
                f"samples must be at most {count} (the test images there are), not {self.samples}"
            )

    def _outline(self) -> Network:
        """The network as it will be, with weights of 0: enough to know whether it fits."""
        names = ["input", *(f"hidden{i + 1}" for i in range(len(self.layers) - 2)), "output"]
        sizes = dict(zip(names, self.layers, strict=True))
        links = [(source, target, 0) for source, target in zip(names, names[1:], strict=False)]
        if self.recurrent:
            links += [(name, name, 1) for name in names[1:-1]]
        return Network(
            name=self.config,
            inputs=(Input(name="input", size=sizes["input"]),),
            steps=self.steps,
            output="output",
            populations=tuple(
                Population.make(name, sizes[name], start=i, weight_bits=self.bits)
                for i, name in enumerate(names[1:])
            ),
            edges=tuple(
                Edge(source=s, target=t, delay=d, weights=np.zeros((sizes[s], sizes[t]), np.int32))
                for s, t, d in links
            ),
        )


def parse_layers(text: str) -> tuple[int, ...]:
    """ "784-100-10" to (784, 100, 10)."""
    parts = text.split("-")
    if len(parts) < 2 or not all(part.isdecimal() and 0 < int(part) <= 1 << 20 for part in parts):
        raise InputError(f"config must be two or more layer sizes such as 784-100-10, not {text!r}")
    return tuple(int(part) for part in parts)
