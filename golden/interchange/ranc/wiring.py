"""RANC cores as populations and edges.

The neurons of a core are grouped by where they send to and how late, since a neuron has one route.
Each group is a population. An axon with several sources ("shared") is fed by a relay: weight 1,
threshold 1, no memory. The output bus is a population of relays too.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from spikeloop.golden.interchange.common import minimal_bits
from spikeloop.golden.interchange.ranc.file import Axon, Place, RancCore, RancFiles
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Edge, LowBound, Population, Reset, WeightFormat
from spikeloop.pysim.network.parameters import MAX_DELAY, MAX_START

__all__ = ["NoStartTicks", "Wiring", "input_name"]

OUTPUT = "output"


class NoStartTicks(InputError):
    """No start ticks satisfy all delays: a cycle leaves no time for its relays."""


class Group(NamedTuple):
    """Neurons of one core with one route; ``relayed``: they send to shared axons."""

    place: Place
    neurons: np.ndarray
    target: Place
    delay: int
    relayed: bool


class Wiring:
    """The populations and edges of a RANC set.

    kept:   the neurons of each core that stay, bool ``[neuron]``.
    lines:  the axons of each core that the outside feeds, int64.
    shared: the axons that a relay feeds.
    """

    def __init__(
        self,
        files: RancFiles,
        kept: dict[Place, np.ndarray],
        lines: dict[Place, np.ndarray],
        shared: set[Axon],
    ) -> None:
        self.files, self.lines = files, lines
        self.groups = _groups(files, kept, shared)
        self.relays = {
            place: np.array(sorted(axon for p, axon in shared if p == place))
            for place in {p for p, _ in shared}
        }
        self.listeners: dict[Place, list[tuple[str, np.ndarray]]] = defaultdict(list)
        for name, group in self.groups.items():
            self.listeners[group.place].append((name, group.neurons))

    @cached_property
    def outputs(self) -> int:
        """Addresses of the output bus."""
        highest = [
            int(self.files.cores[group.place].axon[group.neurons].max())
            for group in self.groups.values()
            if group.target == self.files.output
        ]
        expected = [axon for addresses in self.files.outputs or () for axon in addresses]
        return 1 + max([*highest, *expected])

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        return (*self._from_groups(), *self._from_relays(), *self._from_inputs())

    def populations(self) -> tuple[Population, ...]:
        """The populations with start ticks and weight formats that suit their edges.

        Raises NoStartTicks where no start ticks satisfy the delays.
        """
        populations = {
            name: _population(name, self.files.cores[group.place], group.neurons)
            for name, group in self.groups.items()
        }
        for place, axons in self.relays.items():
            name = _relay_name(place)
            populations[name] = _relay(name, axons.size)
        populations[OUTPUT] = _relay(OUTPUT, self.outputs)
        delays = [(e.source, e.target, e.delay) for e in self.edges if e.source in populations]
        starts = _starts(list(populations), delays)
        return tuple(
            replace(population, start=starts[name], **self._weight_format(name))
            for name, population in populations.items()
        )

    def _weight_format(self, name: str) -> dict[str, Any]:
        """The narrowest format that holds all weights onto a population."""
        weights = [edge.weights.ravel() for edge in self.edges if edge.target == name]
        arriving = np.concatenate(weights or [np.zeros(0, np.int32)])
        if not arriving.size or (arriving.min() >= 0 and arriving.max() <= 1):
            return {"weight_bits": 1, "weight_format": WeightFormat.BINARY}
        return {"weight_bits": minimal_bits(arriving), "weight_format": WeightFormat.SIGNED}

    # -- edges -----------------------------------------------------------------------------------

    def _from_groups(self) -> Iterator[Edge]:
        for name, (place, neurons, target, delay, relayed) in self.groups.items():
            axons = self.files.cores[place].axon[neurons]
            if target == self.files.output:
                yield _edge(name, OUTPUT, 0, _one_hot(axons, self.outputs))
            elif relayed:
                relays = self.relays[target]
                weights = _one_hot(np.searchsorted(relays, axons), relays.size)
                yield _edge(name, _relay_name(target), delay, weights)
            else:
                yield from self._onto_core(name, 1 + delay, target, axons)

    def _from_relays(self) -> Iterator[Edge]:
        for place, axons in self.relays.items():
            yield from self._onto_core(_relay_name(place), 1, place, axons)

    def _from_inputs(self) -> Iterator[Edge]:
        """Lines from outside lead to the neurons, or to the relay of an axon that has one."""
        for place, axons in self.lines.items():
            name, relays = input_name(place), self.relays.get(place, np.zeros(0, np.int64))
            relayed = np.isin(axons, relays)
            direct = self.files.cores[place].weights[axons] * ~relayed[:, None]
            for target, neurons in self.listeners[place]:
                if direct[:, neurons].any():
                    yield _edge(name, target, 1, direct[:, neurons])
            if relayed.any():
                weights = np.zeros((axons.size, relays.size), np.int32)
                weights[np.flatnonzero(relayed), np.searchsorted(relays, axons[relayed])] = 1
                yield _edge(name, _relay_name(place), 0, weights)

    def _onto_core(
        self, source: str, delay: int, place: Place, axons: np.ndarray
    ) -> Iterator[Edge]:
        """Edges from ``source`` to the populations of a core; line i feeds axon ``axons[i]``."""
        for target, neurons in self.listeners[place]:
            weights = self.files.cores[place].weights[np.ix_(axons, neurons)]
            if weights.any():
                yield _edge(source, target, delay, weights)


def input_name(place: Place) -> str:
    return f"input_{place[0]}_{place[1]}"


def _relay_name(place: Place) -> str:
    return f"shared_{place[0]}_{place[1]}"


def _groups(files: RancFiles, kept: dict[Place, np.ndarray], shared: set[Axon]) -> dict[str, Group]:
    """Groups by the name of their population; cores row by row."""
    routes: dict[tuple[Place, Place, int, bool], list[int]] = defaultdict(list)
    for place in sorted(kept, key=lambda p: (p[1], p[0])):
        core = files.cores[place]
        for i in np.flatnonzero(kept[place]):
            target = files.goes[place][i]
            delay = 0 if target == files.output else int(core.delay[i])
            routes[place, target, delay, (target, int(core.axon[i])) in shared].append(int(i))
    groups = {}
    for (place, target, delay, relayed), neurons in routes.items():
        where = OUTPUT if target == files.output else f"{target[0]}_{target[1]}"
        name = f"core_{place[0]}_{place[1]}_to_{where}"
        name += f"_late{delay}" if delay else ""
        name += "_shared" if relayed else ""
        groups[name] = Group(place, np.array(neurons), target, delay, relayed)
    return groups


def _population(name: str, core: RancCore, neurons: np.ndarray) -> Population:
    hard = core.mode[neurons] == 0
    reset, low = core.reset[neurons], core.low[neurons]
    return Population.make(
        name,
        neurons.size,
        bias=core.leak[neurons],
        v_th=core.threshold[neurons],
        v_sub=core.threshold[neurons],
        reset=np.where(hard, Reset.HARD, Reset.SOFT),
        v_reset=reset,
        low=np.where(hard, LowBound.RESET, LowBound.ADD),
        v_low=low,
        v_low_reset=-reset,
        v_low_add=-low,
        v_init=core.v_init[neurons],
    )


def _relay(name: str, size: int) -> Population:
    """Neurons that spike when at least one of their sources did, and forget."""
    return Population.make(
        name, size, k0=False, v_th=1, weight_bits=1, weight_format=WeightFormat.BINARY
    )


def _edge(source: str, target: str, delay: int, weights: np.ndarray) -> Edge:
    weights = np.ascontiguousarray(weights, np.int32)
    return Edge(source=source, target=target, delay=delay, weights=weights)


def _one_hot(columns: np.ndarray, size: int) -> np.ndarray:
    weights = np.zeros((columns.size, size), np.int32)
    weights[np.arange(columns.size), columns] = 1
    return weights


def _starts(names: list[str], edges: list[tuple[str, str, int]]) -> dict[str, int]:
    """The least start ticks with which every physical delay lies in 1..MAX_DELAY.

    The physical delay is D + start(target) - start(source).
    """
    starts = dict.fromkeys(names, 0)
    for _ in range(2 * len(names) + 2):
        changed = []
        for source, target, delay in edges:
            if starts[target] < starts[source] + 1 - delay:
                starts[target], changed = starts[source] + 1 - delay, [target]
            if starts[source] < starts[target] + delay - MAX_DELAY:
                starts[source], changed = starts[target] + delay - MAX_DELAY, [source]
        if not changed:
            if max(starts.values()) > MAX_START:
                raise InputError(
                    f"RANC network must be at most {MAX_START} shared axons deep, not "
                    f"{max(starts.values())}"
                )
            return starts
    raise NoStartTicks(
        f"start ticks must exist, not be forbidden by a cycle through {', '.join(changed)}"
    )
