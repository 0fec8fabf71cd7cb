"""A network on many cores that take turns: its parts, each with its image, and the run of one after the other (docs/mapping.md).

Order: part outer, samples inner; a part runs all steps of all samples before the next one begins. Each part listens only to those before
it, so the spikes are those of all parts running at once, and a part's tick k is tick start + k of the whole. On disk: pysim/bundle/shares.py.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from spikeloop.pysim.bundle.shares import Nodes, Share, Shared
from spikeloop.pysim.chip.memory_map import COUNTERS, PIM_COUNTERS
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.bits import pack as pack_bits
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image, RunOne
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.mapping.features import Reason
from spikeloop.pysim.mapping.partition import partition
from spikeloop.pysim.mapping.place import fits, with_macro
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.summary import NetworkSummary
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["Program", "compile_program"]


@dataclass(frozen=True, eq=False, repr=False)
class Program(Shared):
    """A packed network whose parts take turns; a part listens only to those before it."""

    kind: ClassVar[Literal["program"]] = "program"
    each = "part"

    parts: tuple[Share, ...]

    @property
    def shares(self) -> dict[int, Share]:
        return dict(enumerate(self.parts))

    @classmethod
    def of(
        cls,
        chip: Chip,
        network: NetworkSummary,
        populations: Nodes,
        reason: str | None,
        shares: dict[int, Share],
    ) -> "Program":
        return cls(chip, network, populations, reason, tuple(shares.values()))

    def _check(self, what: str, left: dict[str, np.ndarray]) -> None:
        super()._check(what, left)
        holders = self.holders()
        for i, part in enumerate(self.parts):
            for name, lines in part.lines.items():
                if name in holders and (last := int(holders[name][lines].max())) >= i:
                    raise InputError(
                        f"part {i} of {what} must listen to parts before it, not to part {last}: map the network again"
                    )

    def run(self, stimulus: Stimulus, one: RunOne, *, membranes: bool = True) -> Trace:
        """Run all parts in turn; ``one(i, stimulus of part i)`` runs part i on whatever it runs on.

        Counters are the sums over the parts, at the ticks of the whole. A PIM layer runs, whole, for each part that takes currents of it.
        """
        stimulus.check(self)
        samples, steps = stimulus.samples, self.steps
        spikes = stimulus.dense(self)
        potentials = {}
        for name, size, _ in self.populations:
            spikes[name] = np.zeros((samples, steps, size), np.uint8)
            if membranes:
                potentials[name] = np.zeros((samples, steps, size), np.int32)
        start = {name: first for name, _, first in self.populations}
        counters: dict[str, np.ndarray] = {}
        currents = {}
        if head := self.pim_head:
            currents[head.target] = np.zeros(
                (samples, head.frames(steps), dict(s[:2] for s in self.populations)[head.target]),
                np.int32,
            )
        for i, part in enumerate(self.parts):
            trace = one(
                i,
                Stimulus(
                    {
                        name: pack_bits(spikes[name][:, :, lines])
                        for name, lines in part.lines.items()
                    },
                    pixels=stimulus.pixels if part.image.pim_head else {},
                    count=samples,
                ),
            )
            for name, neurons in part.neurons.items():
                spikes[name][:, :, neurons] = unpack(trace.spikes[name], neurons.size)
                if membranes:
                    potentials[name][:, :, neurons] = trace.membranes[name]
                if name in trace.currents:
                    currents[name][:, :, neurons] = trace.currents[name]
            first = min(start[name] for name in part.neurons)
            for name, values in trace.counters.items():
                whole = counters.setdefault(name, np.zeros((samples, self.ticks), np.int64))
                if name in ("n_sat", "n_clip"):  # of the layer, the same in every part that runs it
                    whole[:, first : first + values.shape[1]] = np.maximum(
                        whole[:, first : first + values.shape[1]], values
                    )
                else:
                    whole[:, first : first + values.shape[1]] += values
        return Trace(
            {name: pack_bits(spikes[name]) for name in start},
            potentials,
            {name: counters[name] for name in COUNTERS | PIM_COUNTERS if name in counters},
            currents,
        )

    def turn(self, core: int, stimulus: Stimulus, one: RunOne) -> tuple[Image, Stimulus, int]:
        """The image of part ``core``, what it hears in a run of the whole, and the tick of the whole that is its first."""
        heard: dict[int, Stimulus] = {}

        def listen(i: int, part: Stimulus) -> Trace:
            heard[i] = part
            return one(i, part)

        self.run(stimulus, listen)
        starts = {name: start for name, _, start in self.populations}
        part = self.parts[core]
        return part.image, heard[core], min(starts[name] for name in part.neurons)


def compile_program(network: Network, chip: Chip) -> Program | Image:
    """The image of a network that one core holds, else the program of its parts; InputError names what does not fit."""
    chip = with_macro(network, chip)
    placement = fits(network, chip)
    if not isinstance(placement, Reason):
        return pack(network, placement)
    parts = tuple(
        Share(pack(part.network, chip=chip), part.lines, part.neurons)
        for part in partition(network, chip)
    )
    populations = tuple((p.name, p.size, p.start) for p in network.populations)
    return Program(chip, NetworkSummary.of(network), populations, placement.sentence, parts)
