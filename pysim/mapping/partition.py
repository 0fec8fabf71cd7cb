"""A network cut into parts, each of which one core holds (Zou et al. 2021, section 3.2).

A part is a network of its own. Its inputs are the lines that its neurons listen to, of inputs and
populations of the whole; its populations are the neurons it holds. So everything that works on one
core works on a part: placement, image, models, RTL (docs/mapping.md).

The mapping search (pysim/mapping/patches.py) cuts every population, tile after tile. Populations
that feed each other, or themselves, cannot be run one after the other: they stay together on one
core.
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
    """What one core holds.

    network: the part as a network of its own.
    lines: of each input, the lines of that input or population of the whole that it carries, int64
        ``[input size]``.
    neurons: of each population, the neurons of the whole one, int64 ``[size]``.
    """

    network: Network
    lines: dict[str, np.ndarray]
    neurons: dict[str, np.ndarray]


def partition(network: Network, chip: Chip) -> Iterator[Part]:
    """The parts of a network, in an order in which each listens only to those before it.

    They come one at a time, so that thousands of cores need the memory of one. Every population is
    cut, also those of a network that one core holds (pysim.mapping.place.fits). InputError names
    what no core holds.
    """
    layers = {layer.name: layer for layer in network_layers(network, chip)}
    for group in groups(network):
        if len(group) > 1 or any(e.source == e.target == group[0] for e in network.edges):
            yield _together(network, group, chip)
        else:
            for neurons in tiles(layers[group[0]], chip):
                yield cut(network, {group[0]: neurons})


def cut(network: Network, neurons: dict[str, np.ndarray]) -> Part:
    """The part of ``network`` that holds ``neurons``: {population: ascending int64}.

    Its time starts with the first of its populations.
    """
    inside = [p for p in network.populations if p.name in neurons]
    first = min(p.start for p in inside)
    edges = [e for e in network.edges if e.target in neurons]
    lines: dict[str, np.ndarray] = {}
    for edge in edges:
        if edge.source not in neurons:
            reach = edge.lines(neurons[edge.target])
            lines[edge.source] = np.union1d(lines.get(edge.source, reach), reach)
    blocks = []
    for edge in edges:
        rows = lines[edge.source] if edge.source in lines else neurons[edge.source]
        weights = edge.block(rows, neurons[edge.target])
        blocks.append(
            Edge(source=edge.source, target=edge.target, delay=edge.delay, weights=weights)
        )
    pim = None
    if network.pim and network.pim.target in neurons:
        # The whole layer is computed; its currents for other parts are dropped.
        pim = replace(network.pim, currents=network.pim.currents[neurons[network.pim.target]])
    part = replace(
        network,
        inputs=tuple(Input(name=name, size=rows.size) for name, rows in lines.items()),
        populations=tuple(replace(p.take(neurons[p.name]), start=p.start - first) for p in inside),
        edges=tuple(blocks),
        output=network.output if network.output in neurons else inside[-1].name,
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
    """Names of the populations, those that feed each other together.

    The groups are in an order in which each is fed only by those before it.
    """
    names = [p.name for p in network.order()]
    reach = np.eye(len(names), dtype=bool)
    for edge in network.edges:
        if edge.source in names:
            reach[names.index(edge.source), names.index(edge.target)] = True
    for k in range(len(names)):  # Warshall's closure
        reach |= reach[:, k, None] & reach[k]
    mutual = reach & reach.T
    # A population fed by more lies later; of equals the order of computation decides.
    order = sorted(
        range(len(names)), key=lambda i: (int(reach[:, i].sum()), int(np.argmax(mutual[i])), i)
    )
    by_first: dict[int, list[str]] = {}
    for i in order:
        by_first.setdefault(int(np.argmax(mutual[i])), []).append(names[i])
    return list(by_first.values())


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
