"""A network on many cores that take turns: the run of one part after the other (docs/mapping.md).

Parts are the outer loop, samples the inner one: a part runs all steps of all samples before the
next part begins. A part listens only to those before it. So the spikes are those of all parts
running at once, and tick k of a part is tick start + k of the whole.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal
from weakref import WeakKeyDictionary

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
from spikeloop.pysim.mapping.place import check_cut, fits, with_macro
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.summary import NetworkSummary
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace, recorded_states

__all__ = ["Program", "compile_program"]

ONCE = ("n_sat", "n_clip")
"""Counters of a PIM layer that are the same in every part that runs it, and count once."""


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
                        f"part {i} of {what} must listen to parts before it, not to part {last}: "
                        "map the network again"
                    )

    def run(self, stimulus: Stimulus, one: RunOne, *, membranes: bool = True) -> Trace:
        """Run all parts in turn; ``one(i, stimulus of part i)`` runs part i on whatever it runs on.

        Counters are the sums over the parts, at the ticks of the whole. A PIM layer runs, whole,
        for each part that takes currents of it.
        """
        stimulus.check(self)
        samples, steps = stimulus.samples, self.steps
        sizes = {name: size for name, size, _ in self.populations}
        spikes = stimulus.dense(self)
        spikes |= {name: np.zeros((samples, steps, size), np.uint8) for name, size in sizes.items()}
        states: dict[str, dict[str, np.ndarray]] = {
            part: {name: np.zeros((samples, steps, size), np.int32) for name, size in sizes.items()}
            for part in recorded_states(self.network, membranes)
        }
        currents = {}
        if head := self.pim_head:
            shape = (samples, head.frames(steps), sizes[head.target])
            currents[head.target] = np.zeros(shape, np.int32)
        counters: dict[str, np.ndarray] = {}
        for i, part in enumerate(self.parts):
            lines = {name: pack_bits(spikes[name][:, :, at]) for name, at in part.lines.items()}
            pixels = stimulus.pixels if part.image.pim_head else {}
            trace = one(i, Stimulus(lines, pixels=pixels, count=samples))
            for name, neurons in part.neurons.items():
                spikes[name][:, :, neurons] = unpack(trace.spikes[name], neurons.size)
                for part_of_trace, values in states.items():
                    values[name][:, :, neurons] = getattr(trace, part_of_trace)[name]
                if name in trace.currents:
                    currents[name][:, :, neurons] = trace.currents[name]
            self._count(counters, trace.counters, self._first_tick(i))
        return Trace(
            {name: pack_bits(spikes[name]) for name in sizes},
            counters={name: counters[name] for name in COUNTERS | PIM_COUNTERS if name in counters},
            currents=currents,
            **states,
        )

    def _count(self, whole: dict[str, np.ndarray], part: dict[str, np.ndarray], first: int) -> None:
        """Add a part's counters ``[sample, tick]``.

        The part begins at tick ``first`` of the whole.
        """
        for name, values in part.items():
            samples, ticks = values.shape
            total = whole.setdefault(name, np.zeros((samples, self.ticks), np.int64))
            at = total[:, first : first + ticks]
            at[:] = np.maximum(at, values) if name in ONCE else at + values

    def _first_tick(self, i: int) -> int:
        """The tick of the whole that is tick 0 of part ``i``."""
        starts = {name: start for name, _, start in self.populations}
        return min(starts[name] for name in self.parts[i].neurons)

    def turn(self, core: int, stimulus: Stimulus, one: RunOne) -> tuple[Image, Stimulus, int]:
        """The image of part ``core``, what it hears in a run, and the tick at which it begins."""
        heard: dict[int, Stimulus] = {}

        def listen(i: int, part: Stimulus) -> Trace:
            heard[i] = part
            return one(i, part)

        self.run(stimulus, listen)
        return self.parts[core].image, heard[core], self._first_tick(core)


def compile_program(network: Network, chip: Chip) -> Program | Image:
    """The image of a network that one core holds, else the program of its parts.

    InputError names what does not fit.
    """
    chip = with_macro(network, chip)
    placement = fits(network, chip)
    if not isinstance(placement, Reason):
        return pack(network, placement)
    check_cut(network, placement)
    parts, images = [], WeakKeyDictionary[Network, Image]()
    for part in partition(network, chip):
        if part.network not in images:
            images[part.network] = pack(part.network, chip=chip)
        parts.append(Share(images[part.network], part.lines, part.neurons))
    populations = tuple((p.name, p.size, p.start) for p in network.populations)
    return Program(chip, NetworkSummary.of(network), populations, placement.sentence, tuple(parts))
