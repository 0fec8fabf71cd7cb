"""A network on many cores that take turns: the run of one part after the other (docs/mapping.md).

Parts are the outer loop, samples the inner one: a part runs all steps of all samples before the
next part begins. A part listens only to those before it. So the spikes are those of all parts
running at once, and tick k of a part is tick start + k of the whole.

Parts of one image that do not wait for each other may run together: they are further samples of one
run, with the lines of each.
"""

from dataclasses import dataclass
from functools import cached_property
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
        for i, last in enumerate(self._heard):
            if last >= i:
                raise InputError(
                    f"part {i} of {what} must listen to parts before it, not to part {last}: "
                    "map the network again"
                )

    @cached_property
    def _heard(self) -> list[int]:
        """The last part that each part listens to; -1 if to none."""
        holders = self.holders()
        return [
            max(
                (int(holders[n][at].max()) for n, at in part.lines.items() if n in holders),
                default=-1,
            )
            for part in self.parts
        ]

    @cached_property
    def _together(self) -> list[list[int]]:
        """The parts in turns: those of a turn have one image and listen to none of its round.

        A round is as many parts in a row as listen only to parts before it.
        """
        turns: list[list[int]] = []
        begin, of_image = 0, dict[Image, list[int]]()
        for i, (part, last) in enumerate(zip(self.parts, self._heard, strict=True)):
            if last >= begin:
                begin, of_image = i, {}
            if part.image not in of_image:
                turns.append(of_image.setdefault(part.image, []))
            of_image[part.image].append(i)
        return turns

    def run(
        self, stimulus: Stimulus, one: RunOne, *, membranes: bool = True, together: bool = False
    ) -> Trace:
        """Run all parts in turn; ``one(i, stimulus of part i)`` runs part i on whatever it runs on.

        together: the parts of a turn run at once, as samples of one run of the first of them, part
        after part.

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
        for turn in self._together if together else [[i] for i in range(len(self.parts))]:
            first = self.parts[turn[0]]
            lines = {
                name: pack_bits(_take(spikes[name], [self.parts[i].lines[name] for i in turn]))
                for name in first.lines
            }
            pixels = stimulus.pixels if first.image.pim_head else {}
            pixels = {name: np.tile(array, (len(turn), 1)) for name, array in pixels.items()}
            trace = one(turn[0], Stimulus(lines, pixels=pixels, count=samples * len(turn)))
            for name in first.neurons:
                at = [self.parts[i].neurons[name] for i in turn]
                _put(spikes[name], at, unpack(trace.spikes[name], len(at[0])))
                for part_of_trace, values in states.items():
                    _put(values[name], at, getattr(trace, part_of_trace)[name])
                if name in trace.currents:
                    _put(currents[name], at, trace.currents[name])
            self._count(counters, trace.counters, samples, self._first_tick(turn[0]))
        return Trace(
            {name: pack_bits(spikes[name]) for name in sizes},
            counters={name: counters[name] for name in COUNTERS | PIM_COUNTERS if name in counters},
            currents=currents,
            **states,
        )

    def _count(
        self, whole: dict[str, np.ndarray], turn: dict[str, np.ndarray], samples: int, first: int
    ) -> None:
        """Add a turn's counters ``[part * sample, tick]``.

        The turn begins at tick ``first`` of the whole.
        """
        for name, values in turn.items():
            of_part = values.reshape(-1, samples, values.shape[1])
            total = whole.setdefault(name, np.zeros((samples, self.ticks), np.int64))
            at = total[:, first : first + values.shape[1]]
            at[:] = np.maximum(at, of_part.max(0)) if name in ONCE else at + of_part.sum(0)

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


def _take(spikes: np.ndarray, lines: list[np.ndarray]) -> np.ndarray:
    """The lines of each part, ``[part * sample, step, line]``, of ``[sample, step, neuron]``."""
    taken = spikes[:, :, np.stack(lines)].transpose(2, 0, 1, 3)
    return taken.reshape(-1, *taken.shape[2:])


def _put(whole: np.ndarray, neurons: list[np.ndarray], values: np.ndarray) -> None:
    """Write what :func:`_take` took, ``[part * sample, step, neuron]``, to the neurons it is of."""
    of_part = values.reshape(len(neurons), len(whole), *values.shape[1:])
    whole[:, :, np.stack(neurons)] = of_part.transpose(1, 2, 0, 3)


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
