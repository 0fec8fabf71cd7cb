"""Random integer networks over every mode of the contract that fit a given chip, and random stimuli for them.

    rng = np.random.default_rng(seed)
    network = random_network(rng, PRESETS["tiny"])
    stimulus = random_stimulus(rng, network, samples=4)

Most neurons have thresholds near the spread of their sums, so that they spike and rest; a share of ``corners`` has
values at the ends of the membrane range, so that every clip acts. The same generator state gives the same network.
"""

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.limits import LEAK_TERMS
from spikeloop.pysim.mapping.place import place
from spikeloop.pysim.mapping.placement import word_of
from spikeloop.pysim.network.elements import (
    Edge,
    Input,
    LeakRounding,
    LowBound,
    Population,
    Reset,
    WeightFormat,
    weight_range,
)
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = [
    "random_mesh_network",
    "random_network",
    "random_population",
    "random_shares",
    "random_stimulus",
]


def random_network(
    rng: np.random.Generator,
    chip: Chip,
    *,
    steps: int | None = None,
    populations: int | None = None,
    weight_format: WeightFormat | None = None,
    weight_bits: int | None = None,
    pages: int | None = None,
    recurrent: bool = True,
    corners: float = 0.15,
    fill: float = 0.8,
    density: float = 0.1,
) -> Network:
    """A network that ``place`` accepts on ``chip``. What is None is drawn.

    ``populations`` 1.. at random starts, some of them in the words of the one before; each source has one physical delay, its
    targets any start that this delay reaches, so edges are feed-forward, lateral or recurrent. ``recurrent=False`` keeps edges to
    later starts only. ``fill``: share of the chip's words and axons aimed at. ``density``: expected share of active lines, from
    which thresholds are drawn.
    """
    for _ in range(60):
        try:
            network = _draw(
                rng,
                chip,
                steps,
                populations,
                weight_format,
                weight_bits,
                pages,
                recurrent,
                corners,
                fill,
                density,
            )
            place(network, chip)
            return network
        except InputError as error:
            last, fill = error, fill * 0.9
    raise last


def random_stimulus(
    rng: np.random.Generator, network: Network, samples: int, density: float = 0.1
) -> Stimulus:
    """Lines active with probability ``density``; one step in 16 is empty and one in 16 has every line active."""
    spikes = {}
    kind = rng.integers(0, 16, (samples, network.steps, 1))
    for node in network.inputs:
        drawn = rng.random((samples, network.steps, node.size)) < density
        spikes[node.name] = ((drawn | (kind == 0)) & (kind != 1)).astype(np.uint8)
    return Stimulus.pack(spikes)


def random_population(
    rng: np.random.Generator,
    chip: Chip,
    name: str,
    size: int,
    *,
    start: int,
    pages: int,
    weight_bits: int,
    weight_format: WeightFormat,
    spread: float,
    corners: float,
) -> Population:
    """Every parameter drawn per neuron; ``spread``: about the standard deviation of its sums."""
    bits = chip.membrane_bits
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    ends = np.array([low, low + 1, low // 2, -1, 0, 1, high // 2, high - 1, high])
    corner = rng.random(size) < corners

    def value(least: float, most: float, shape: tuple[int, ...] = (size,)) -> np.ndarray:
        """Between least and most spreads; at corner neurons an end of the range, or anything."""
        usual = np.clip(np.rint(rng.uniform(least, most, shape) * spread), low, high).astype(
            np.int64
        )
        extreme = np.where(
            rng.random(shape) < 0.7, rng.choice(ends, shape), rng.integers(low, high + 1, shape)
        )
        return np.where(corner & (rng.random(shape) < 0.5), extreme, usual)

    def flag(share: float) -> np.ndarray:
        return rng.random(size) < share

    terms = np.zeros((pages, LEAK_TERMS, size), np.int8)
    for page in range(pages):
        for i in range(size):
            on = rng.permutation(LEAK_TERMS)[: rng.integers(0, chip.leak_terms + 1)]
            terms[page, on, i] = rng.choice([-1, 1], on.size)
    shifts = np.where(
        rng.random(terms.shape) < 0.8,
        rng.integers(1, min(8, bits) + 1, terms.shape),
        rng.integers(0, bits + 1, terms.shape),
    )
    low_modes = (
        rng.choice([int(b) for b in LowBound], size) if chip.bounded else np.zeros(size, np.int64)
    )
    refractory = np.where(flag(0.3), rng.integers(0, np.where(flag(0.8), 4, 64)), 0) % (
        1 << chip.refractory_bits
    )
    hold, v_th, v_low, v_low_add = (
        flag(0.3),
        value(0.2, 2.0, (pages, size)),
        value(-1.5, 0.1),
        value(0.0, 2.0),
    )
    if (
        chip.bounded and chip.refractory_bits
    ):  # neurons whose third clip would act in every step, and must not while they are held
        trap = corner & flag(0.3)
        low_modes[trap], v_low[trap], v_low_add[trap] = LowBound.ADD, high, low
        v_th[:, trap], hold[trap], refractory[trap] = low // 2, True, 1
    return Population.make(
        name,
        size,
        pages=pages,
        start=start,
        weight_bits=weight_bits,
        weight_format=weight_format,
        bias=value(-0.3, 0.8, (pages, size)),
        v_th=v_th,
        v_sub=value(0.2, 2.0, (pages, size)),
        k0=rng.random((pages, size)) < 0.7,
        leak_sign=terms,
        leak_shift=shifts.astype(np.uint8),
        rounding=rng.choice([int(r) for r in LeakRounding], size) if chip.roundings else 0,
        rectify=flag(0.2),
        fire=flag(0.95),
        reset=rng.choice([int(r) for r in Reset], size),
        v_reset=value(-0.5, 0.2),
        low=low_modes,
        v_low=v_low,
        v_low_reset=value(-1.0, 0.5),
        v_low_add=v_low_add,
        refractory=refractory,
        hold=hold,
        v_init=value(-0.5, 0.5),
    )


def random_mesh_network(rng: np.random.Generator, chip: Chip, *, density: float = 0.15) -> Network:
    """A recurrent network for all cores of a mesh: populations that feed each other and themselves, every edge with a delay of its own.

    Small enough that any core can listen to much of it: its axons bound the sum of all sources' lines.
    """
    count, bits = (
        int(rng.integers(3, 6)),
        int(rng.integers(2, min(6, chip.lanes * chip.digit_bits) + 1)),
    )
    most = min(
        chip.axons // 2,
        chip.derived.cores * chip.derived.words * (chip.lanes * chip.digit_bits // bits) // 2,
    )
    names, starts = [f"p{i}" for i in range(count)], rng.integers(0, 3, count)
    sizes = [max(2, most // count - int(rng.integers(0, 4))) for _ in names]
    lines = int(rng.integers(4, 13))
    links: list[tuple[str, str, int]] = [
        ("x", name, int(rng.integers(0, 3))) for name in names if name == "p0" or rng.random() < 0.4
    ]
    room = chip.axons - lines * 3
    for s in rng.permutation(count):
        one = rng.random() < 0.5  # all its edges have one physical delay
        for k, t in enumerate(rng.permutation(count)):
            if not (one and k):
                physical = (
                    int(rng.integers(1, 4))
                    if rng.random() < 0.6
                    else int(rng.integers(1, chip.delay_max + 1))
                )
            logical = physical + int(starts[s] - starts[t])
            if (
                0 <= logical <= 16
                and (logical or starts[t] > starts[s])
                and room >= sizes[s]
                and rng.random() < 0.7
            ):
                links.append((names[s], names[t], logical))
                room -= sizes[s]
    size_of, edges, nodes = dict(zip(names, sizes, strict=True)) | {"x": lines}, [], []
    low, high = weight_range(WeightFormat.SIGNED, bits)
    for source, target, delay in links:
        weights = rng.integers(low, high + 1, (size_of[source], size_of[target]), dtype=np.int32)
        edges.append(Edge(source=source, target=target, delay=delay, weights=weights))
    for name, size, start in zip(names, sizes, starts, strict=True):
        fan_in = sum(size_of[source] for source, target, _ in links if target == name)
        spread = high * 0.6 * float(np.sqrt(density * fan_in)) + 1
        nodes.append(
            random_population(
                rng,
                chip,
                name,
                size,
                start=int(start),
                pages=1,
                weight_bits=bits,
                weight_format=WeightFormat.SIGNED,
                spread=spread,
                corners=0.1,
            )
        )
    return Network(
        name="mesh",
        inputs=(Input(name="x", size=lines),),
        populations=tuple(nodes),
        edges=tuple(edges),
        steps=int(rng.integers(6, 20)),
        output=names[int(rng.integers(count))],
        membrane_bits=chip.membrane_bits,
    )


def random_shares(
    rng: np.random.Generator, network: Network, cores: int
) -> list[dict[str, np.ndarray]]:
    """Neurons of each core: some populations whole on one, the others over several, some cores without any."""
    shares: list[dict[str, np.ndarray]] = [{} for _ in range(cores)]
    home = rng.permutation(cores)[:1]  # of those on one core
    for p in network.populations:
        chosen = (
            home
            if rng.random() < 0.4
            else rng.permutation(cores)[: int(rng.integers(1, cores + 1))]
        )
        owner = rng.choice(chosen, p.size)
        for n in np.unique(owner):
            shares[n][p.name] = np.flatnonzero(owner == n)
    return shares


def _draw(
    rng: np.random.Generator,
    chip: Chip,
    steps: int | None,
    populations: int | None,
    weight_format: WeightFormat | None,
    weight_bits: int | None,
    pages: int | None,
    recurrent: bool,
    corners: float,
    fill: float,
    density: float,
) -> Network:
    if (
        chip.extension > 1
    ):  # one of its extensions: a chip of f times the axons and 1/f of the columns
        f = 1 << int(rng.integers(0, chip.derived.extensions + 1))
        chip = chip.replace(
            axons=f * chip.axons,
            columns=max(1, chip.derived.digits // f) * chip.digit_bits,
            extension=1,
        )
    d = chip.derived
    count = populations or int(rng.integers(1, 5))
    starts = rng.integers(0, min(count, 3), count)
    steps = steps or int(rng.integers(3, 11))
    names = [f"p{i}" for i in range(count)]
    forms, sizes, used_pages = [], [], []
    for i in range(count):
        if i and (d.words == 1 or rng.random() < 0.3):  # shares the words of the one before
            starts[i] = starts[i - 1]
            forms.append(forms[-1])
            used_pages.append(used_pages[-1])
            sizes.append(sizes[-1])
            continue
        form = (
            weight_format
            if weight_format is not None
            else rng.choice([0, 0, 0, WeightFormat.BINARY, WeightFormat.TERNARY])
        )
        most = min(16, min(chip.lanes, d.digits) * chip.digit_bits)
        bits = {WeightFormat.BINARY: 1, WeightFormat.TERNARY: 2}.get(
            form, weight_bits or int(rng.integers(1, most + 1))
        )
        forms.append((WeightFormat(form), bits))
        used_pages.append(pages or int(rng.integers(1, min(chip.pages, 4) + 1)))
        probe = Population.make("probe", 1, weight_bits=bits, weight_format=form)
        room = fill * d.words / count * (min(chip.lanes, d.digits) // word_of(probe, chip).join)
        sizes.append(max(1, int(room * (1 if populations else rng.uniform(0.5, 1)))))

    # Edges: the last population is the output and feeds nothing; each other has one physical delay.
    links: list[tuple[str, str, int]] = []
    for s in range(count - 1):
        physical = (
            int(rng.integers(1, min(chip.delay_max, 4) + 1))
            if rng.random() < 0.8
            else int(rng.integers(1, chip.delay_max + 1))
        )
        for t in range(count):
            logical = physical - int(starts[t] - starts[s])
            if 0 <= logical <= 16 and (recurrent or starts[t] > starts[s]) and rng.random() < 0.6:
                links.append((names[s], names[t], logical))
    inputs = [f"i{i}" for i in range(int(rng.integers(1, 3)))]
    fed = {t for _, t, _ in links}
    for i, t in enumerate(names):
        if t not in fed or rng.random() < 0.4:
            links.append((inputs[i % len(inputs)], t, int(rng.choice([0, 0, 0, 1, 2]))))
    links += [(name, names[0], 0) for name in inputs if all(s != name for s, _, _ in links)]

    # Input lines: what is left of the axons.
    groups = sum(
        len({(delay + starts[names.index(t)]) for s, t, delay in links if s == name})
        for name in inputs
    )
    sources = {s for s, _, _ in links}
    left = int(chip.axons * fill) - sum(
        n for name, n in zip(names, sizes, strict=True) if name in sources
    )
    line_count = max(1, left // groups)
    size_of = dict(zip(names, sizes, strict=True)) | dict.fromkeys(inputs, line_count)
    edges, nodes = [], []
    for source, target, delay in links:
        form, bits = forms[names.index(target)]
        low, high = weight_range(form, bits)
        weights = rng.integers(low, high + 1, (size_of[source], size_of[target]), dtype=np.int32)
        weights[rng.random(weights.shape) < 0.2] = 0
        if rng.random() < 0.3:  # lines at the ends of the range
            weights[rng.integers(size_of[source])] = rng.choice([low, high], size_of[target])
        edges.append(Edge(source=source, target=target, delay=delay, weights=weights))
    for i, name in enumerate(names):
        mine = [e for e in edges if e.target == name]
        spread = (
            float(
                np.sqrt(
                    sum(
                        density * (e.weights.astype(np.float64) ** 2).sum(axis=0).mean()
                        for e in mine
                    )
                )
            )
            + 1.0
        )
        form, bits = forms[i]
        nodes.append(
            random_population(
                rng,
                chip,
                name,
                sizes[i],
                start=int(starts[i]),
                pages=used_pages[i],
                weight_bits=bits,
                weight_format=form,
                spread=spread,
                corners=corners,
            )
        )
    return Network(
        name="random",
        inputs=tuple(Input(name=n, size=line_count) for n in inputs),
        populations=tuple(nodes),
        edges=tuple(edges),
        steps=steps,
        output=names[-1],
        membrane_bits=chip.membrane_bits,
    )
