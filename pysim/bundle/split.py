"""Which neurons each core of a mesh holds, and the network of one core.

The inputs of a core's network are the lines that come from outside, or from neurons of any core.
Its populations are the neurons that the core holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.features import Reason
from spikeloop.pysim.mapping.layers import network_layers
from spikeloop.pysim.mapping.partition import tiles
from spikeloop.pysim.mapping.place import fits
from spikeloop.pysim.network.elements import Edge, Input
from spikeloop.pysim.network.graph import Network

__all__ = ["NOBODY", "Neurons", "check_shares", "split", "spread"]

Neurons = Mapping[str, np.ndarray]
"""Neurons of a core: ascending int64 indices by population; {} for a core without neurons."""

NOBODY = "lines_"
"""Stands before the name of a population whose spikes come to a core as an input."""


def spread(network: Network, chip: Chip) -> tuple[list[dict[str, np.ndarray]], str | None]:
    """Neurons of each core, and the sentence that says why it takes several (None: one holds all).

    If one core holds the network, all neurons lie on the first. Otherwise the mapping search cuts
    population after population (pysim.mapping.partition.tiles), recurrent ones as well.
    InputError names what no core holds.
    """
    placement = fits(network, chip)
    if not isinstance(placement, Reason):
        return [{p.name: np.arange(p.size) for p in network.populations}], None
    shares = [
        {layer.name: neurons}
        for layer in network_layers(network, chip)
        for _, neurons in tiles(layer, chip)
    ]
    return shares, placement.sentence


def check_shares(network: Network, shares: Sequence[Neurons]) -> None:
    """InputError unless every neuron of ``network`` lies on exactly one core."""
    count = {p.name: np.zeros(p.size, np.int64) for p in network.populations}
    for share in shares:
        for name, neurons in share.items():
            if name not in count:
                raise InputError(
                    f"population of a core must be one of {', '.join(count)}, not {name!r}"
                )
            count[name] += np.bincount(np.asarray(neurons, np.int64), minlength=count[name].size)
    for name, cores in count.items():
        if (cores != 1).any():
            neuron = int(np.argmax(cores != 1))
            raise InputError(
                f"neuron {neuron} of population {name!r} must lie on one core, "
                f"not on {cores[neuron]}"
            )


def split(network: Network, share: Neurons) -> tuple[Network, dict[str, np.ndarray]]:
    """The network of the core that holds the neurons ``share``, and the lines of its inputs.

    The second result says which lines of the whole each input of the core carries (Share.lines).

    A population feeds its axons directly if it lies on this core as a whole and its edges here have
    one physical delay. Spikes of all other populations arrive as inputs over the fabric, even from
    the core itself.
    """
    populations = {
        p.name: p.take(np.asarray(share[p.name])) for p in network.populations if p.name in share
    }
    edges = [e for e in network.edges if e.target in share]
    output = network.output if network.output in populations else list(populations)[-1]
    direct = {
        name
        for name, p in populations.items()
        if name != output
        and p.size == network.size_of(name)
        and len({network.physical_delay(e) for e in edges if e.source == name}) == 1
    }

    def source(edge: Edge) -> str:
        """Its name on this core."""
        plain = edge.source in direct or network.is_input(edge.source)
        return edge.source if plain else NOBODY + edge.source

    lines: dict[str, np.ndarray] = {}
    for e in edges:
        if e.source not in direct:
            name, reach = source(e), e.lines(share[e.target])
            lines[name] = np.union1d(lines[name], reach) if name in lines else reach

    def on_this_core(edge: Edge) -> Edge:
        name = source(edge)
        rows = lines[name] if name in lines else np.arange(network.size_of(name))
        weights = edge.block(rows, share[edge.target])
        return Edge(source=name, target=edge.target, delay=edge.delay, weights=weights)

    part = replace(
        network,
        inputs=tuple(Input(name=name, size=rows.size) for name, rows in lines.items()),
        populations=tuple(populations.values()),
        edges=tuple(on_this_core(e) for e in edges),
        output=output,
        metadata={},
    )
    return part, lines
