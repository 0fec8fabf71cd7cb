"""Random integer networks over every mode of the contract that fit a given chip, and their stimuli.

    rng = np.random.default_rng(seed)
    network = random_network(rng, PRESETS["tiny"])
    stimulus = random_stimulus(rng, network, samples=4)

A network is drawn in five steps: populations, edges between them, edges from the inputs, weights,
neurons. The same generator state gives the same network, so a seed in a test or a report names one
network. A new order of the draws, here or in tests/make/neurons, gives each seed another network.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.place import place, word_of
from spikeloop.pysim.network.elements import Edge, Input, Population, WeightFormat
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from tests.make.neurons.populations import Node, random_population

__all__ = ["Link", "random_network", "random_stimulus"]


@dataclass(frozen=True)
class _Wish:
    """The options of :func:`random_network`, which explains them."""

    steps: int | None
    populations: int | None
    weight_format: WeightFormat | None
    weight_bits: int | None
    pages: int | None
    page_shift: int | None
    recurrent: bool
    corners: float
    density: float


class Link(NamedTuple):
    """An edge before its weights are drawn."""

    source: str
    target: str
    delay: int


def random_network(
    rng: np.random.Generator,
    chip: Chip,
    *,
    steps: int | None = None,
    populations: int | None = None,
    weight_format: WeightFormat | None = None,
    weight_bits: int | None = None,
    pages: int | None = None,
    page_shift: int | None = None,
    recurrent: bool = True,
    corners: float = 0.15,
    fill: float = 0.8,
    density: float = 0.1,
) -> Network:
    """A network that ``place`` accepts on ``chip``. What is None is drawn.

    Populations begin at random start ticks. Each source has one physical delay, and its targets are
    those whose start this delay reaches: edges are feed-forward, lateral or recurrent.

    Args:
        recurrent: False keeps only the edges to populations with a later start.
        corners: Share of neurons with values at the ends of the membrane range.
        fill: Share of the chip's words and axons to aim at. It shrinks until the network fits.
        density: Expected share of active lines, from which the thresholds are drawn.
    """
    wish = _Wish(
        steps,
        populations,
        weight_format,
        weight_bits,
        pages,
        page_shift,
        recurrent,
        corners,
        density,
    )
    for _ in range(60):
        try:
            network = _draw(rng, chip, wish, fill)
            place(network, chip)
            return network
        except InputError as error:
            last, fill = error, fill * 0.9
    raise last


def random_stimulus(
    rng: np.random.Generator, network: Network, samples: int, density: float = 0.1
) -> Stimulus:
    """Lines active with probability ``density``; a step in 16 has none active, a step in 16 all."""
    spikes = {}
    kind = rng.integers(0, 16, (samples, network.steps, 1))
    for node in network.inputs:
        drawn = rng.random((samples, network.steps, node.size)) < density
        spikes[node.name] = ((drawn | (kind == 0)) & (kind != 1)).astype(np.uint8)
    return Stimulus.pack(spikes)


def _draw(rng: np.random.Generator, chip: Chip, wish: _Wish, fill: float) -> Network:
    """A network of about ``fill`` of the chip; it may be too large."""
    if chip.extension > 1:
        chip = _one_extension(rng, chip)
    count = wish.populations or int(rng.integers(1, 5))
    starts = rng.integers(0, min(count, 3), count)
    steps = wish.steps or int(rng.integers(3, 11))
    nodes = _draw_nodes(rng, chip, wish, starts, fill)
    links = _links_between(rng, chip, nodes, wish.recurrent)
    inputs = [f"i{i}" for i in range(int(rng.integers(1, 3)))]
    links += _links_from_inputs(rng, inputs, nodes, links)

    lines = _lines_per_input(chip, inputs, nodes, links, fill)
    sizes = {node.name: node.size for node in nodes} | dict.fromkeys(inputs, lines)
    by_name = {node.name: node for node in nodes}
    edges = [_draw_edge(rng, link, sizes[link.source], by_name[link.target]) for link in links]
    return Network(
        name="random",
        inputs=tuple(Input(name=name, size=lines) for name in inputs),
        populations=tuple(
            random_population(
                rng, chip, node, spread=_spread(node, edges, wish.density), corners=wish.corners
            )
            for node in nodes
        ),
        edges=tuple(edges),
        steps=steps,
        output=nodes[-1].name,
        membrane_bits=chip.membrane_bits,
        current_bits=chip.current_bits,
        adaptation_bits=chip.adaptation_bits,
    )


def _one_extension(rng: np.random.Generator, chip: Chip) -> Chip:
    """One way to run the chip: f times its axons and 1/f of its columns."""
    f = 1 << int(rng.integers(0, chip.derived.extensions + 1))
    columns = max(1, chip.derived.digits // f) * chip.digit_bits
    return chip.replace(axons=f * chip.axons, columns=columns, extension=1)


# -- populations -------------------------------------------------------------------------------


def _draw_nodes(
    rng: np.random.Generator, chip: Chip, wish: _Wish, starts: np.ndarray, fill: float
) -> list[Node]:
    """One population per start. Some agree with the one before, so that they may share words."""
    room = fill * chip.derived.words / len(starts)
    nodes: list[Node] = []
    for i, start in enumerate(starts):
        if nodes and (chip.derived.words == 1 or rng.random() < 0.3):
            nodes.append(nodes[-1]._replace(name=f"p{i}"))
        else:
            nodes.append(_draw_node(rng, chip, wish, f"p{i}", int(start), room))
    return nodes


def _draw_node(
    rng: np.random.Generator, chip: Chip, wish: _Wish, name: str, start: int, room: float
) -> Node:
    """A population for ``room`` words."""
    lanes = min(chip.lanes, chip.derived.digits)
    form = wish.weight_format
    if form is None:
        signed = [WeightFormat.SIGNED] * 3
        form = WeightFormat(rng.choice([*signed, WeightFormat.BINARY, WeightFormat.TERNARY]))
    bits = wish.weight_bits or int(rng.integers(1, min(16, lanes * chip.digit_bits) + 1))
    bits = {WeightFormat.BINARY: 1, WeightFormat.TERNARY: 2}.get(form, bits)
    pages = wish.pages or int(rng.integers(1, min(chip.pages, 4) + 1))
    page_shift = wish.page_shift or int(rng.integers(0, min(chip.page_shift, 2) + 1))

    one = Population.make("one", 1, weight_bits=bits, weight_format=form)
    share = 1 if wish.populations else rng.uniform(0.5, 1)
    size = max(1, int(room * (lanes // word_of(one, chip).join) * share))
    return Node(name, size, start, pages, form, bits, page_shift)


def _spread(node: Node, edges: list[Edge], density: float) -> float:
    """About the standard deviation of a neuron's sum, lines being active with ``density``."""
    weights = [edge.weights.astype(np.float64) for edge in edges if edge.target == node.name]
    variance = sum(density * (w**2).sum(axis=0).mean() for w in weights)
    return float(np.sqrt(variance)) + 1.0


# -- edges -------------------------------------------------------------------------------------


def _links_between(
    rng: np.random.Generator, chip: Chip, nodes: list[Node], recurrent: bool
) -> list[Link]:
    """The edges of each source have one physical delay.

    The last population is the output, and feeds nothing.
    """
    links = []
    for source in nodes[:-1]:
        short = rng.random() < 0.8
        most = min(chip.delay_max, 4) if short else chip.delay_max
        physical = int(rng.integers(1, most + 1))
        for target in nodes:
            delay = physical - (target.start - source.start)
            allowed = recurrent or target.start > source.start
            if 0 <= delay <= 16 and allowed and rng.random() < 0.6:
                links.append(Link(source.name, target.name, delay))
    return links


def _links_from_inputs(
    rng: np.random.Generator, inputs: list[str], nodes: list[Node], links: list[Link]
) -> list[Link]:
    """Every population that nothing feeds yet gets an input, others perhaps; no input is idle."""
    fed = {link.target for link in links}
    new = []
    for i, node in enumerate(nodes):
        if node.name not in fed or rng.random() < 0.4:
            delay = int(rng.choice([0, 0, 0, 1, 2]))
            new.append(Link(inputs[i % len(inputs)], node.name, delay))
    used = {link.source for link in new}
    return new + [Link(name, nodes[0].name, 0) for name in inputs if name not in used]


def _lines_per_input(
    chip: Chip, inputs: list[str], nodes: list[Node], links: list[Link], fill: float
) -> int:
    """Lines of each input: they share the axons that the populations leave.

    An input line takes one axon for each (input, arrival tick).
    """
    sources = {link.source for link in links}
    starts = {node.name: node.start for node in nodes}
    arrivals = {(k.source, k.delay + starts[k.target]) for k in links if k.source in inputs}
    taken = sum(node.size for node in nodes if node.name in sources)
    return max(1, (int(chip.axons * fill) - taken) // len(arrivals))


def _draw_edge(rng: np.random.Generator, link: Link, lines: int, target: Node) -> Edge:
    """Weights over the whole range, a fifth of them 0; on some edges one line is all extremes."""
    low, high = target.weight_range
    weights = rng.integers(low, high + 1, (lines, target.size), dtype=np.int32)
    weights[rng.random(weights.shape) < 0.2] = 0
    if rng.random() < 0.3:
        weights[rng.integers(lines)] = rng.choice([low, high], target.size)
    return Edge(source=link.source, target=link.target, delay=link.delay, weights=weights)
