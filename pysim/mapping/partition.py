"""A network cut into parts, each of which one core holds (Zou et al. 2021, section 3.2).

A part is a network of its own. Its inputs are the lines that its neurons listen to, of inputs and
populations of the whole; its populations are the neurons it holds. So everything that works on one
core works on a part: placement, image, models, RTL (docs/mapping.md).

The mapping search (pysim/mapping/patches.py) cuts every population, tile after tile. Populations
that feed each other, or themselves, cannot be run one after the other: they stay together on one
core. A population whose neurons feed only themselves is cut all the same, each tile with its part
of the diagonal.

Tiles of a convolution that see the same weights share one network, so that it is packed once.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.features import Reason
from spikeloop.pysim.mapping.layers import core_columns, network_layers
from spikeloop.pysim.mapping.patches import Layer, Tile, search
from spikeloop.pysim.mapping.place import fits
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import ARRAYS, Edge, Input
from spikeloop.pysim.network.graph import Network

__all__ = ["Part", "cut", "feeds_itself", "groups", "partition", "tiles"]


@dataclass(frozen=True, eq=False)
class Part:
    """What one core holds.

    network: the part as a network of its own; parts that compute the same share it.
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
        if feeds_itself(network, group):
            yield _together(network, group, chip)
        else:
            yield from _cut_layer(network, layers[group[0]], chip)


def cut(network: Network, neurons: dict[str, np.ndarray]) -> Part:
    """The part of ``network`` that holds ``neurons``: {population: ascending int64}.

    Its time starts with the first of its populations.
    """
    inside = [p for p in network.populations if p.name in neurons]
    first = min(p.start for p in inside)
    edges = [e for e in network.edges if e.target in neurons]
    lines = _lines(edges, neurons)
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


def tiles(layer: Layer, chip: Chip) -> Iterator[tuple[Tile, np.ndarray]]:
    """The tile of each core of a layer, as the mapping search cuts it, and its neurons.

    The neurons are ascending int64.
    """
    columns = core_columns(chip, layer.k_wei)
    patch = search(layer, axons=chip.axons, columns=columns, extension_max=chip.extension)
    every = np.arange(np.prod(layer.target)).reshape(layer.target)
    for tile in patch.tiles():
        yield tile, every[tile.c0 : tile.c1, tile.y0 : tile.y1, tile.x0 : tile.x1].ravel()


def feeds_itself(network: Network, group: Sequence[str]) -> bool:
    """Whether spikes of a group of populations lead back into it, to other neurons than their own.

    Such a group lies on one core.
    """
    return len(group) > 1 or any(
        edge.source == edge.target == group[0] and not edge.one_to_one for edge in network.edges
    )


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


def _cut_layer(network: Network, layer: Layer, chip: Chip) -> Iterator[Part]:
    """The parts of one population, tile after tile."""
    edges = [e for e in network.edges if e.target == layer.name]
    alike: dict[bytes, Network] = {}
    for tile, neurons in tiles(layer, chip):
        key = _surroundings(network, layer, edges, tile, neurons)
        if key is not None and key in alike:
            lines = _lines(edges, {layer.name: neurons})
            yield Part(alike[key], lines, {layer.name: neurons})
            continue
        part = cut(network, {layer.name: neurons})
        if key is not None:
            alike[key] = part.network
        yield part


def _lines(edges: Sequence[Edge], neurons: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Lines of each source outside of ``neurons`` that reach any of them, ascending int64."""
    lines: dict[str, np.ndarray] = {}
    for edge in edges:
        if edge.source not in neurons:
            reach = edge.lines(neurons[edge.target])
            known = lines.get(edge.source)
            lines[edge.source] = reach if known is None else np.union1d(known, reach)
    return lines


def _surroundings(
    network: Network, layer: Layer, edges: Sequence[Edge], tile: Tile, neurons: np.ndarray
) -> bytes | None:
    """What tiles of equal networks have in common; None if every tile has weights of its own.

    A convolution has the same weights everywhere. Two tiles of the same channels and sides differ
    only in what the border of the source map cuts off, and in the parameters of their neurons.
    """
    geometries = [edge.conv for edge in edges if edge.conv and edge.conv.target == layer.target]
    alone = len({edge.source for edge in edges}) == len(edges)
    driven = network.pim is not None and network.pim.target == layer.name
    if len(geometries) < len(edges) or not alone or driven:
        return None
    sides = (tile.c0, tile.c1, tile.y1 - tile.y0, tile.x1 - tile.x0)
    key = hashlib.sha256(repr((sides, [_cut_off(conv, tile) for conv in geometries])).encode())
    population = network.population(layer.name)
    for name in ARRAYS:
        key.update(getattr(population, name)[..., neurons].tobytes())
    return key.digest()


def _cut_off(conv: Conv, tile: Tile) -> tuple[int, ...]:
    """How far what a tile sees reaches beyond the source map: up, down, left and right."""
    reach = []
    for axis, (first, last) in enumerate(((tile.y0, tile.y1 - 1), (tile.x0, tile.x1 - 1))):
        begin = first * conv.stride[axis] - conv.padding[axis]
        end = last * conv.stride[axis] - conv.padding[axis] + conv.kernel[axis]
        reach += [max(0, -begin), max(0, end - conv.source[1 + axis])]
    return tuple(reach)


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
