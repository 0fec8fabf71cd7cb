"""RANC sets for tests: a writer of the format, and a scalar model.

Both were made from the description of the format alone, and are independent of the importer.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

Place = tuple[int, int]


def bits(value: int, count: int) -> str:
    """``value`` as ``count`` binary digits, in two's complement."""
    return format(value % (1 << count), f"0{count}b") if count else ""


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

    def step(self, v: int, weights: list[int]) -> tuple[bool, int]:
        """Spike and potential after a tick in which axons with these weights are active."""
        v += sum(weights) + self.leak
        if v >= self.threshold:
            return True, v - self.threshold if self.linear else self.reset
        if v < self.low:
            return False, v - self.low if self.linear else -self.reset
        return False, v

    def line(self, place: Place, width: int) -> str:
        """The neuron's line in the file of the core at ``place``; axons are ``width`` bits."""
        values = [self.v, self.reset, *self.weights, self.leak, self.threshold, self.low]
        way = [self.goes[0] - place[0], self.goes[1] - place[1]]
        return "".join(
            [
                *(str(int(connected)) for connected in reversed(self.connected)),
                *(bits(value, 9) for value in values),
                str(int(self.linear)),
                *(bits(distance, 9) for distance in way),
                bits(self.axon, width),
                bits(self.delay, 4),
            ]
        )


@dataclass
class RancSet:
    """A mesh, its packets (core, axon, delay) of each tick, and the number of ticks."""

    axons: int
    grid: Place
    output: Place
    types: dict[Place, list[int]]
    cores: dict[Place, list[Neuron]]
    packets: list[list[tuple[Place, int, int]]]
    ticks: int
    outputs: list[set[int]] = field(default_factory=list)
    traces: list[dict[tuple[Place, int], tuple[bool, int]]] = field(default_factory=list)
    """Of each tick and neuron: spike, and the potential after it."""

    def run(self) -> "RancSet":
        """Fill ``outputs`` and ``traces``, one neuron and one axon at a time."""
        pending: dict[int, set[tuple[Place, int]]] = defaultdict(set)
        for tick, packets in enumerate(self.packets):
            for place, axon, delay in packets:
                pending[tick + 1 + delay].add((place, axon))
        potential = {
            (place, i): neuron.v
            for place, neurons in self.cores.items()
            for i, neuron in enumerate(neurons)
        }
        for tick in range(self.ticks):
            out, states = set(), {}
            for (place, i), before in potential.items():
                n = self.cores[place][i]
                spike, v = n.step(before, self._weights(place, n, pending[tick]))
                if spike and n.goes == self.output:
                    out.add(n.axon)
                elif spike:
                    pending[tick + 1 + n.delay].add((n.goes, n.axon))
                potential[place, i] = v
                states[place, i] = (spike, v)
            self.outputs.append(out)
            self.traces.append(states)
        return self

    def _weights(self, place: Place, neuron: Neuron, active: set[tuple[Place, int]]) -> list[int]:
        """The weights of the neuron's active axons."""
        axons = [a for a in range(self.axons) if neuron.connected[a] and (place, a) in active]
        return [neuron.weights[self.types[place][axon]] for axon in axons]

    def write(self, folder: Path, first: int = 0, digits: int = 3) -> Path:
        """Write all files; the expected outputs begin with tick ``first``."""
        folder.mkdir(parents=True, exist_ok=True)
        power = self.axons & (self.axons - 1) == 0
        width = self.axons.bit_length() - 1 if power else max(1, self.axons).bit_length()
        for place, neurons in self.cores.items():
            number = f"{place[0] + self.grid[0] * place[1]:0{digits}d}"
            lines = "\n".join(neuron.line(place, width) for neuron in neurons)
            types = "\n".join(bits(kind, 2) for kind in self.types[place])
            (folder / f"csram_{number}.mem").write_text(f"/* a core\n 0101 */\n{lines}")
            (folder / f"tc_{number}.mem").write_text(f"{types}\n")
        packets = [
            bits(place[0], 9) + bits(place[1], 9) + bits(axon, width) + bits(delay, 4)
            for tick in self.packets
            for place, axon, delay in tick
        ]
        outputs = self.outputs[first:]
        correct = [bits(axon, width) for tick in outputs for axon in sorted(tick)]
        counts = [str(len(tick)) for tick in self.packets]
        (folder / "tb_input.txt").write_text("\n".join(packets) + "\n")
        (folder / "tb_num_inputs.txt").write_text("\n".join(counts))
        (folder / "tb_correct.txt").write_text("\n".join(correct))
        counts = [str(len(tick)) for tick in outputs]
        (folder / "tb_num_outputs.txt").write_text("\n".join(counts) + "\n")
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
    """A random mesh of 3 x 2, already run.

    Spikes go to later cores, to the output bus, or, with ``loops`` and a delay, to the neuron's own
    core. Axons are shared by chance unless ``one_source``. Everything that a line can say is drawn.
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
