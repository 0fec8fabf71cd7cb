"""A network cut into parts, each of which one core holds (Zou et al. 2021, section 3.2; docs/mapping.md).

A part is a network of its own: its inputs are the lines that its neurons listen to (of inputs and populations of the whole), its
populations the neurons it holds. So everything that works on one core works on a part: placement, image, models, RTL.

A network that one core holds is one part. Otherwise every population is cut by the mapping search (pysim/mapping/patches.py), tile after tile;
populations that feed each other, or themselves, cannot be run one after the other and stay together on one core.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.features import Reason
from spikeloop.pysim.mapping.layers import core_columns, network_layers
from spikeloop.pysim.mapping.patches import Layer, search
from spikeloop.pysim.mapping.place import fits
from spikeloop.pysim.network.elements import Edge, Input
from spikeloop.pysim.network.graph import Network

__all__ = ["Part", "cut", "partition"]


@dataclass(frozen=True, eq=False)
class Part:
    """``network`` is what the core holds. ``lines``: of each of its inputs, which lines of which input or population of the whole it
    carries, int64 ``[input size]``; ``neurons``: of each of its populations, which neurons of the whole one, int64 ``[size]``."""

    network: Network
    lines: dict[str, np.ndarray]
    neurons: dict[str, np.ndarray]


def partition(network: Network, chip: Chip) -> Iterator[Part]:
    """The parts in an order in which each listens only to those before it; InputError names what no core holds.

    They come one at a time, so that thousands of cores need the memory of one.
    """
    layers = {layer.name: layer for layer in network_layers(network, chip)}
    for group in groups(network):
        if len(group) > 1 or any(e.source == e.target == group[0] for e in network.edges):
            yield _together(network, group, chip)
        else:
            for neurons in tiles(layers[group[0]], chip):
                yield cut(network, {group[0]: neurons})


def cut(network: Network, neurons: dict[str, np.ndarray]) -> Part:
    """The part of ``network`` that holds these neurons: {population: ascending int64}. Time starts with the first of them."""
    inside = [p for p in network.populations if p.name in neurons]
    first = min(p.start for p in inside)
    edges = [e for e in network.edges if e.target in neurons]
    lines: dict[str, np.ndarray] = {}
    for edge in edges:
        if edge.source not in neurons:
            reach = edge.lines(neurons[edge.target])
            lines[edge.source] = (
                np.union1d(lines[edge.source], reach) if edge.source in lines else reach
            )
    own = []
    for edge in edges:
        rows = lines[edge.source] if edge.source in lines else neurons[edge.source]
        own.append(
            Edge(
                source=edge.source,
                target=edge.target,
                delay=edge.delay,
                weights=edge.block(rows, neurons[edge.target]),
            )
        )
    populations = tuple(replace(p.take(neurons[p.name]), start=p.start - first) for p in inside)
    output = network.output if network.output in neurons else inside[-1].name
    inputs = tuple(Input(name=name, size=rows.size) for name, rows in lines.items())
    pim = None
    if (
        network.pim and network.pim.target in neurons
    ):  # the whole layer is computed, its currents for other parts are dropped
        pim = replace(network.pim, currents=network.pim.currents[neurons[network.pim.target]])
    part = replace(
        network,
        inputs=inputs,
        populations=populations,
        edges=tuple(own),
        output=output,
        pim=pim,
        metadata={},
    )
    return Part(part, lines, neurons)


def tiles(layer: Layer, chip: Chip) -> Iterator[np.ndarray]:
    """Neurons of each core of a layer, ascending int64, as the mapping search cuts it."""
    columns = core_columns(chip, layer.k_wei)
    patch = search(layer, axons=chip.axons, columns=columns, extension_max=chip.extension)
    every = np.arange(np.prod(layer.target)).reshape(layer.target)
    for tile in patch.tiles():
        yield every[tile.c0 : tile.c1, tile.y0 : tile.y1, tile.x0 : tile.x1].ravel()


def groups(network: Network) -> list[list[str]]:
    """Populations that feed each other, together; groups in an order in which each is fed only by those before it."""
    names = [p.name for p in network.order()]
    reach = np.eye(len(names), dtype=bool)
    for edge in network.edges:
        if edge.source in names:
            reach[names.index(edge.source), names.index(edge.target)] = True
    for k in range(len(names)):  # Warshall's closure
        reach |= reach[:, k, None] & reach[k]
    mutual = reach & reach.T
    # What is fed by more lies later; of equals the order of computation decides.
    order = sorted(
        range(len(names)), key=lambda i: (int(reach[:, i].sum()), int(np.argmax(mutual[i])), i)
    )
    found: dict[int, list[str]] = {}
    for i in order:
        found.setdefault(int(np.argmax(mutual[i])), []).append(names[i])
    return list(found.values())


def _together(network: Network, group: list[str], chip: Chip) -> Part:
    """All populations of the group on one core; InputError with the reason if it has no room."""
    part = cut(network, {p.name: np.arange(p.size) for p in network.populations if p.name in group})
    placement = fits(part.network, chip)
    if isinstance(placement, Reason):
        raise InputError(
            f"populations that feed each other ({', '.join(group)}) must lie on one core together, "
            "because cores that take turns run one after the other; "
            f"but {placement.sentence}"
        )
    return part
