"""A network as the layers that the mapping search places, and the columns a core has for them."""

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.mapping.patches import Layer
from spikeloop.pysim.mapping.placement import word_of
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Population
from spikeloop.pysim.network.graph import Network

__all__ = ["core_columns", "network_layers", "usable_columns"]


def network_layers(net: Network, chip: Chip) -> list[Layer]:
    """One layer per population, in the order of computation, with one source per edge.

    The map of a population is the target of its first convolution, or of its PIM layer, otherwise
    (size, 1, 1). An edge with another target map counts as dense: all its lines reach every core.
    Of an edge from each neuron to itself, a core needs the lines of its own neurons alone.
    """
    maps = {n.name: (n.size, 1, 1) for n in net.inputs} | {
        p.name: (p.size, 1, 1) for p in net.populations
    }
    if (
        net.pim
        and len(net.pim.layer.window.target) == 2
        and net.pim.head.currents == net.population(net.pim.target).size
    ):
        maps[net.pim.target] = net.pim.layer.channels, *net.pim.layer.window.target
    for edge in reversed(net.edges):
        if edge.conv:
            maps[edge.target] = edge.conv.target
    layers = []
    for p in net.order():
        target = maps[p.name]
        into = [edge for edge in net.edges if edge.target == p.name]
        sources = tuple(_geometry(edge, maps[edge.source], target) for edge in into)
        layers.append(Layer(name=p.name, target=target, sources=sources, k_wei=_columns(p, chip)))
    return layers


def _geometry(edge: Edge, source: tuple[int, int, int], target: tuple[int, int, int]) -> Conv:
    """Which lines of an edge meet which neurons of the map ``target``."""
    if edge.one_to_one:
        return Conv(source=target, target=target, kernel=(1, 1), groups=target[0])
    if edge.conv and edge.conv.target == target:
        return edge.conv
    return Layer.dense(source, target)


def usable_columns(chip: Chip, k_wei: int, extension: int = 1) -> int:
    """Columns that whole neurons can take on a core of axon ``extension`` f.

    A neuron has ``k_wei`` columns, and none lies across two words.
    """
    join = -(-k_wei // chip.digit_bits)
    words, rest = divmod(chip.derived.digits // extension, chip.lanes)
    return (words * (chip.lanes // join) + rest // join) * join * chip.digit_bits


def core_columns(chip: Chip, k_wei: int) -> int:
    """Columns that whole neurons can take at every axon extension.

    It is the least over all f of f times the columns that are left.
    """
    usable = [usable_columns(chip, k_wei, 1 << e) << e for e in range(chip.derived.extensions + 1)]
    return min([n for n in usable if n], default=0)


def _columns(p: Population, chip: Chip) -> int:
    return word_of(p, chip).join * chip.digit_bits
