"""Random recurrent networks for all cores of a mesh, and their neurons dealt out to the cores."""

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.network.elements import Edge, Input, WeightFormat
from spikeloop.pysim.network.graph import Network
from tests.make.networks import Link
from tests.make.neurons.populations import Node, random_population

__all__ = ["random_mesh_network", "random_shares"]


def random_mesh_network(rng: np.random.Generator, chip: Chip, *, density: float = 0.15) -> Network:
    """Populations that feed each other and themselves, every edge with a delay of its own.

    The network is small enough that any core can listen to much of it: all sources together have no
    more lines than a core has axons.
    """
    count = int(rng.integers(3, 6))
    bits = int(rng.integers(2, min(6, chip.lanes * chip.digit_bits) + 1))
    starts = rng.integers(0, 3, count)
    most = _neurons(chip, bits) // count
    sizes = [max(2, most - int(rng.integers(0, 4))) for _ in range(count)]
    pages = rng.integers(1, min(chip.pages, 4) + 1, count).tolist()
    page_shifts = rng.integers(0, min(chip.page_shift, 2) + 1, count).tolist()
    nodes = [
        Node(f"p{i}", sizes[i], start, pages[i], WeightFormat.SIGNED, bits, page_shifts[i])
        for i, start in enumerate(starts.tolist())
    ]
    lines = int(rng.integers(4, 13))
    links = _links_from_input(rng, nodes)
    links += _links_between(rng, chip, nodes, room=chip.axons - lines * 3)

    by_name = {node.name: node for node in nodes}
    lines_of = {node.name: node.size for node in nodes} | {"x": lines}
    low, high = nodes[0].weight_range
    edges = []
    for link in links:
        shape = (lines_of[link.source], by_name[link.target].size)
        weights = rng.integers(low, high + 1, shape, dtype=np.int32)
        edges.append(Edge(**link._asdict(), weights=weights))
    populations = []
    for node in nodes:
        fan_in = sum(lines_of[link.source] for link in links if link.target == node.name)
        spread = high * 0.6 * float(np.sqrt(density * fan_in)) + 1
        populations.append(random_population(rng, chip, node, spread=spread, corners=0.1))
    return Network(
        name="mesh",
        inputs=(Input(name="x", size=lines),),
        populations=tuple(populations),
        edges=tuple(edges),
        steps=int(rng.integers(6, 20)),
        output=f"p{int(rng.integers(count))}",
        membrane_bits=chip.membrane_bits,
        current_bits=chip.current_bits,
        adaptation_bits=chip.adaptation_bits,
    )


def random_shares(
    rng: np.random.Generator, network: Network, cores: int
) -> list[dict[str, np.ndarray]]:
    """The neurons of each core: indices by population.

    Some populations are whole on one core, the same for all. The others lie on several. Some cores
    have no neuron.
    """
    shares: list[dict[str, np.ndarray]] = [{} for _ in range(cores)]
    home = rng.permutation(cores)[:1]
    for population in network.populations:
        whole = rng.random() < 0.4
        chosen = home if whole else rng.permutation(cores)[: int(rng.integers(1, cores + 1))]
        core_of = rng.choice(chosen, population.size)
        for core in np.unique(core_of):
            shares[core][population.name] = np.flatnonzero(core_of == core)
    return shares


def _neurons(chip: Chip, bits: int) -> int:
    """Neurons to aim at: half of those the mesh holds, at most half a core's axons."""
    per_word = chip.lanes * chip.digit_bits // bits
    return min(chip.axons // 2, chip.derived.cores * chip.derived.words * per_word // 2)


def _links_from_input(rng: np.random.Generator, nodes: list[Node]) -> list[Link]:
    """The input feeds the first population, and others perhaps."""
    links = []
    for node in nodes:
        if not links or rng.random() < 0.4:
            links.append(Link("x", node.name, int(rng.integers(0, 3))))
    return links


def _links_between(
    rng: np.random.Generator, chip: Chip, nodes: list[Node], room: int
) -> list[Link]:
    """Edges while there is room, in axons. Half of the sources have one physical delay for all."""
    links = []
    for s in rng.permutation(len(nodes)):
        source, one_delay = nodes[s], rng.random() < 0.5
        for k, t in enumerate(rng.permutation(len(nodes))):
            target = nodes[t]
            if k == 0 or not one_delay:
                physical = _physical_delay(rng, chip)
            delay = physical + source.start - target.start
            causal = delay > 0 or (delay == 0 and target.start > source.start)
            if causal and delay <= 16 and room >= source.size and rng.random() < 0.7:
                links.append(Link(source.name, target.name, delay))
                room -= source.size
    return links


def _physical_delay(rng: np.random.Generator, chip: Chip) -> int:
    """Mostly 1..3, else up to the chip's longest."""
    short = rng.random() < 0.6
    return int(rng.integers(1, 4)) if short else int(rng.integers(1, chip.delay_max + 1))
