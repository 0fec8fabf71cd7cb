"""A packed network: the memories of a chip that hold it, row by row as docs/architecture.md says.

On disk it is a folder, the image bundle (pysim/image/folder.py). A network on many cores has an
image for each (pysim/bundle). All of them are a :class:`Bundle`, whose verbs a host uses without
asking which it is.
"""

import html
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.bits import to_words, unpack
from spikeloop.pysim.dendrites.source import DendriticHead
from spikeloop.pysim.image.folder import Budget, read_image, write_image
from spikeloop.pysim.image.pim import settings as pim_settings
from spikeloop.pysim.mapping.place import Placement
from spikeloop.pysim.network.elements import Input
from spikeloop.pysim.network.summary import NetworkSummary
from spikeloop.pysim.oscillators.source import OnnHead
from spikeloop.pysim.pim.source import PimHead
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["Bundle", "Image", "RunOne"]

RunOne = Callable[[int, Stimulus], Trace]
"""Runs the image of a number on its stimulus, on whatever it runs on."""


class Bundle(ABC):
    """A packed network, whether it is on one core or on many.

    kind:     "image": one core; "program": parts that take turns on one core; "mesh": cores that
              run at once
    each:     what one of its images is for: "core" or "part"
    chip:     the chip it was packed for
    network:  what the manifest says of the network
    reason:   the sentence that says why one core does not hold the network; None if it does, or if
              the caller chose the shares
    """

    kind: ClassVar[Literal["image", "program", "mesh"]]
    each: ClassVar[str]

    chip: Chip
    network: NetworkSummary
    reason: str | None

    @property
    def name(self) -> str:
        """Name of the network."""
        return self.network.name

    @property
    def steps(self) -> int:
        """Steps T of one sample."""
        return self.network.steps

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The logical inputs, as the stimulus has them.

        An input may have several axon groups, or none.
        """
        return self.network.inputs

    @property
    def pim_head(self) -> PimHead | None:
        """Of the PIM layer, if the network has one."""
        return self.network.pim

    @property
    def source_head(self) -> OnnHead | DendriticHead | None:
        """Of the net that makes the spikes of an input, if the network has one."""
        return self.network.source

    @property
    @abstractmethod
    def ticks(self) -> int:
        """Ticks of one sample: its steps plus the depth of the pipeline."""

    @property
    @abstractmethod
    def images(self) -> "Mapping[int, Image]":
        """The image of each core or part, by its number, ascending."""

    @abstractmethod
    def holders(self) -> dict[str, np.ndarray]:
        """Number of the core or part that holds each neuron, int64 ``[size]`` by population.

        {} for a single core.
        """

    def layers(self) -> tuple[str, ...]:
        """The first population of each core or part."""
        return tuple(image.placement.populations[0].name for image in self.images.values())

    def cores_of(self) -> dict[str, int]:
        """Cores or parts of each population.

        One that holds several populations counts for the first of them.
        """
        return dict(Counter(self.layers()))

    @abstractmethod
    def folders(self) -> "dict[str, Image]":
        """The image in each folder of the bundle; "." is the bundle's own folder."""

    @abstractmethod
    def save(self, folder: str | Path) -> Path:
        """Write the bundle to ``folder``, whole or not at all; an earlier bundle there is replaced.

        Returns the folder.
        """

    def turn(self, core: int, stimulus: Stimulus, one: RunOne) -> "tuple[Bundle, Stimulus, int]":
        """What runs while ``core`` works: a bundle, its stimulus, and the tick at which it begins.

        one: runs a part, if parts must run before ``core``. By default the whole bundle runs.
        """
        return self, stimulus, 0

    # -- short forms ---------------------------------------------------------------------------

    def facts(self) -> dict[str, str]:
        """What a reader wants to know at first sight: a few words for each heading."""
        chip = self.chip
        cores = _few(f"{name} {n}" for name, n in self.cores_of().items())
        return {
            "network": f"{self.name}, {self.steps} steps, {self.ticks} ticks",
            "inputs": _few(f"{node.name} {node.size}" for node in self.inputs) or "none",
            f"{self.each}s": f"{len(self.images)} ({cores})",
            "chip": f"{chip.axons} axons x {chip.columns} columns, {chip.lanes} lanes",
        }

    def __repr__(self) -> str:
        facts = "; ".join(f"{key}: {value}" for key, value in self.facts().items())
        return f"<{type(self).__name__} {facts}>"

    def _repr_html_(self) -> str:
        """The facts as a table, for notebooks."""
        rows = "".join(
            f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>"
            for key, value in self.facts().items()
        )
        return f"<table><caption>{type(self).__name__}</caption>{rows}</table>"


def _few(words: Iterable[str]) -> str:
    """The first eight words, with dots if there are more."""
    first = list(islice(words, 9))
    return ", ".join(first if len(first) < 9 else [*first[:8], "..."])


@dataclass(frozen=True, eq=False, repr=False)
class Image(Bundle):
    """A network packed for one core.

    A host feeds and reads the chip with ``network`` and ``placement`` alone.

    placement:  where inputs and neurons lie
    memories:   uint8 ``[rows, ceil(width / 8)]`` by name of each loaded memory, little-endian
                within a row. The synapses have the rows of the words in use alone; no other row is
                ever read. Of a folder with many images, they may be read when they are asked for.
    """

    kind: ClassVar[Literal["image"]] = "image"
    each, reason = "core", None

    chip: Chip
    placement: Placement
    network: NetworkSummary
    memories: Mapping[str, np.ndarray]

    @cached_property
    def map(self) -> MemoryMap:
        """Where the chip's memories and registers are."""
        return MemoryMap(self.chip)

    @property
    def ticks(self) -> int:
        return self.steps + max(p.start for p in self.placement.populations)

    @property
    def bytes(self) -> int:
        """Bytes of all its rows."""
        return self.placement.bytes(self.map.loaded)

    @property
    def settings(self) -> dict[str, int]:
        """Registers of the memory map that a host sets before it runs the image."""
        extension = self.placement.extension.bit_length() - 1
        settings = {"steps": self.steps, "extension": extension}
        return settings | (pim_settings(self.pim_head) if self.pim_head else {})

    @property
    def output(self) -> str:
        """Name of the population that is read out."""
        return self.network.output

    def front_rows(self) -> dict[str, np.ndarray]:
        """Rows of the memories of the macro in front of the core, without its prefix.

        Only of a chip that has one.
        """
        assert self.chip.front
        prefix = self.chip.front.prefix
        named = self.memories.items()
        return {n.removeprefix(prefix): rows for n, rows in named if n.startswith(prefix)}

    # -- verbs of a bundle ---------------------------------------------------------------------

    @property
    def images(self) -> "Mapping[int, Image]":
        return {0: self}

    def holders(self) -> dict[str, np.ndarray]:
        return {}

    def folders(self) -> "dict[str, Image]":
        return {".": self}

    def stimuli(self, stimulus: Stimulus) -> dict[int, Stimulus]:
        """What each core gets from outside."""
        stimulus.check(self)
        return {0: stimulus}

    def gather(self, traces: Sequence[Trace]) -> Trace:
        """The trace of the whole network from those of all cores."""
        return traces[0]

    def run(self, stimulus: Stimulus, one: RunOne, *, membranes: bool = True) -> Trace:
        """Run the one image there is."""
        return one(0, stimulus)

    # -- memories ------------------------------------------------------------------------------

    def rows(self, name: str) -> np.ndarray:
        """uint8 ``[rows, ceil(width / 8)]`` of a loaded memory.

        Bit 0 of a row is bit 0 of its byte 0.
        """
        return self.memories[name]

    def words(self, name: str) -> np.ndarray:
        """uint32 ``[rows, chunks]`` of a loaded memory, as the load port sees it."""
        return to_words(self.memories[name], self.map.memories[name].width)

    def bits(self, name: str) -> np.ndarray:
        """uint8 0/1 ``[rows, width]`` of a loaded memory."""
        return unpack(self.memories[name], self.map.memories[name].width)

    # -- folder --------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        return write_image(folder, self.chip, self.placement, self.network, self.memories)

    @classmethod
    def load(
        cls, folder: str | Path, chip: Chip | None = None, budget: Budget | None = None
    ) -> "Image":
        """Read and check a bundle.

        chip:   the chip it must have been packed for, if the caller has one
        budget: bytes of rows that may be kept in memory; None: all
        """
        return cls(*read_image(folder, chip, budget))
