"""RANC sets for tests, independent of the importer: a writer of the format and a scalar model, both from the format's description alone."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

Place = tuple[int, int]


@dataclass
class Neuron:
    """Connections by axon, four weights, and the rest of a line of csram_*.mem."""

    connected: list[int]
    weights: list[int]
    goes: Place  # absolute
    axon: int
    v: int = 0
    reset: int = 0
    leak: int = 0
    threshold: int = 1
    low: int = 0
    linear: bool = False
    delay: int = 0


@dataclass
class RancSet:
    """A mesh, its packets [(core, axon, delay)] of each tick, and how many ticks run."""

    axons: int
    grid: Place
    output: Place
    types: dict[Place, list[int]]
    cores: dict[Place, list[Neuron]]
    packets: list[list[tuple[Place, int, int]]]
    ticks: int
    outputs: list[set[int]] = field(default_factory=list)
    traces: list[dict[tuple[Place, int], tuple[bool, int]]] = field(default_factory=list)
    """of each tick, of each neuron: spike and potential after it"""

    def run(self) -> "RancSet":
        """Fill ``outputs`` and ``traces``, one neuron and one axon at a time."""
        pending: dict[int, set[tuple[Place, int]]] = defaultdict(set)
        for tick, some in enumerate(self.packets):
            for place, axon, delay in some:
                pending[tick + 1 + delay].add((place, axon))
        potential = {
            (place, i): n.v for place, some in self.cores.items() for i, n in enumerate(some)
        }
        for tick in range(self.ticks):
            out, states = set(), {}
            for place, some in self.cores.items():
                for i, n in enumerate(some):
                    v = potential[place, i]
                    for axon in range(self.axons):
                        if n.connected[axon] and (place, axon) in pending[tick]:
                            v += n.weights[self.types[place][axon]]
                    v += n.leak
                    spike = v >= n.threshold
                    if spike:
                        v = v - n.threshold if n.linear else n.reset
                        if n.goes == self.output:
                            out.add(n.axon)
                        else:
                            pending[tick + 1 + n.delay].add((n.goes, n.axon))
                    elif v < n.low:
                        v = v - n.low if n.linear else -n.reset
                    potential[place, i] = v
                    states[place, i] = (spike, v)
            self.outputs.append(out)
            self.traces.append(states)
        return self

    def write(self, folder: Path, first: int = 0, digits: int = 3) -> Path:
        """All files; expected outputs from tick ``first``."""
        folder.mkdir(parents=True, exist_ok=True)
        width = (
            max(1, self.axons).bit_length()
            if self.axons & (self.axons - 1)
            else self.axons.bit_length() - 1
        )

        def bits(value: int, count: int) -> str:
            return format(value % (1 << count), f"0{count}b") if count else ""

        for place, some in self.cores.items():
            number = place[0] + self.grid[0] * place[1]
            lines = []
            for n in some:
                fields = [n.v, n.reset, *n.weights, n.leak, n.threshold, n.low]
                lines.append(
                    "".join(str(int(c)) for c in reversed(n.connected))
                    + "".join(bits(f, 9) for f in fields)
                    + str(int(n.linear))
                    + bits(n.goes[0] - place[0], 9)
                    + bits(n.goes[1] - place[1], 9)
                    + bits(n.axon, width)
                    + bits(n.delay, 4)
                )
            (folder / f"csram_{number:0{digits}d}.mem").write_text(
                "/* a core\n 0101 */\n" + "\n".join(lines)
            )
            (folder / f"tc_{number:0{digits}d}.mem").write_text(
                "\n".join(bits(t, 2) for t in self.types[place]) + "\n"
            )
        packets = [
            bits(p[0], 9) + bits(p[1], 9) + bits(a, width) + bits(d, 4)
            for some in self.packets
            for p, a, d in some
        ]
        (folder / "tb_input.txt").write_text("\n".join(packets) + "\n")
        (folder / "tb_num_inputs.txt").write_text(
            "\n".join(str(len(some)) for some in self.packets)
        )
        (folder / "tb_correct.txt").write_text(
            "\n".join(bits(a, width) for some in self.outputs[first:] for a in sorted(some))
        )
        (folder / "tb_num_outputs.txt").write_text(
            "\n".join(str(len(some)) for some in self.outputs[first:]) + "\n"
        )
        return folder


def random_set(
    seed: int,
    *,
    axons: int = 12,
    neurons: int = 10,
    ticks: int = 24,
    delays: int = 3,
    loops: bool = True,
    one_source: bool = False,
) -> RancSet:
    """A random mesh of 3 x 2: spikes go to later cores, the output bus or, with ``loops`` and a delay, to the neuron's own core.

    Axons are shared by chance unless ``one_source``. Everything that a line can say is drawn.
    """
    rng = Random(seed)
    grid, output = (3, 2), (2, 1)
    places = [(x, y) for y in range(2) for x in range(3) if (x, y) != output]
    free = {place: rng.sample(range(axons), axons) for place in places}
    cores, types = {}, {}
    for k, place in enumerate(places):
        types[place] = [rng.randrange(4) for _ in range(axons)]
        cores[place] = []
        for i in range(neurons):
            linear, threshold = rng.random() < 0.5, rng.randint(0, 12)
            choices = [output, *places[k + 1 :]] + [place] * loops
            goes = rng.choice(choices)
            axon = i % axons if goes == output else rng.randrange(axons)
            if goes != output and one_source:
                if free[goes]:
                    axon = free[goes].pop()
                else:
                    goes, axon = output, i % axons
            delay = rng.randint(1, delays) if goes == place else rng.randint(0, delays)
            cores[place].append(
                Neuron(
                    connected=[int(rng.random() < 0.5) for _ in range(axons)],
                    weights=[rng.randint(-20, 30) for _ in range(4)],
                    goes=goes,
                    axon=axon,
                    v=rng.randint(-5, 10),
                    reset=rng.randint(-4, 4),
                    leak=rng.randint(-3, 3),
                    threshold=threshold,
                    low=rng.randint(-30, 0),
                    linear=linear,
                    delay=delay if goes != output else 0,
                )
            )
    packets = [
        [
            (rng.choice(places), rng.randrange(axons), rng.randrange(3))
            for _ in range(rng.randrange(6))
        ]
        for _ in range(ticks - 4)
    ]
    return RancSet(axons, grid, output, types, cores, packets, ticks).run()
