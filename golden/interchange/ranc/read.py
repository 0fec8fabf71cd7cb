"""RANC networks (Mack et al. 2022, "RANC: Reconfigurable Architecture for Neuromorphic Computing") as integer networks.

A core has A axons, each of one of four types, and neurons that give each type a weight of their own. In tick k neuron i adds the weight of
the type of every axon that spikes and is connected to it, then its leak, and compares:

    V := V + sum_j connected[i, j] * spike[j] * weight[i, type[j]] + leak
    V >= threshold:        spike; hard: V := reset       linear: V := V - threshold
    else V < low:                 hard: V := -reset      linear: V := V - low

A spike goes to one axon of the core (dx, dy) away, for tick k + 1 + delay, or to the output bus. The contract of this project says the same
with bias = leak, v_sub = threshold and the lower bounds RESET and ADD. V is not bounded here (RANC's simulator; its RTL wraps at 9 bits).

How it becomes populations. Neurons that can never spike, or from which no path leads to the output bus, are left out: they change nothing
that can be seen. The others of a core are grouped by where they send to and how late, since a neuron has one route. Several sources of one
axon are one spike, not two, which weights that add up cannot say: such axons are fed by a population of relays (weight 1, threshold 1, no
memory). The tick that a relay costs is taken out of the delay, or the start ticks of what follows make up for it (docs/arithmetic.md,
"Time"). A cycle of delay 0 through a shared axon leaves room for neither. There the sources' weights add up, which is the same as long as
no two of them spike for one tick; that they do not is checked by a run on the test packets, and the network refused if they do.

golden/interchange/ranc/file.py reads the files, golden/interchange/ranc/needed.py finds the neurons that stay.
"""

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikeloop.golden.interchange.common import Assumption, Imported, minimal_bits
from spikeloop.golden.interchange.ranc.file import Place, RancCore, RancFiles, read_ranc
from spikeloop.golden.interchange.ranc.needed import needed
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.limits import MAX_DELAY, MAX_START
from spikeloop.pysim.network.elements import Edge, Input, LowBound, Population, Reset, WeightFormat
from spikeloop.pysim.network.graph import Network

__all__ = ["import_ranc"]

Group = tuple[Place, np.ndarray, Place, int, bool]
"""Core, its neurons, where they send to, how late, whether onto shared axons."""


def import_ranc(
    folder: str | Path,
    *,
    grid: Place | None = None,
    output: Place | None = None,
    first_tick: int | None = None,
    steps: int | None = None,
) -> Imported:
    """Read a RANC network and, where they are there, its test packets.

    grid: width and height; output: where the output bus sits; both may stand in tb_spikehard_params.json. first_tick: the tick to
    which the first line of tb_num_outputs.txt belongs. steps: ticks of a sample, needed only without test packets.
    InputError for anything but a sound set.
    """
    files = read_ranc(folder, grid, output)
    if files.outputs is not None and first_tick is None:
        raise InputError(
            "first tick must be given (--first-tick: to which tick the first line of tb_num_outputs.txt belongs; the layers "
            "that a spike passes), not left out"
        )
    first = first_tick or 0
    if first < 0:
        raise InputError(f"first tick must be at least 0, not {first}")
    known = [] if files.packets is None else [len(files.packets) + first]
    known += [] if files.outputs is None else [len(files.outputs) + first]
    steps = steps or max(known, default=0)
    if not steps:
        raise InputError(
            "steps must be given (--steps) for a RANC network without tb_num_inputs.txt and tb_num_outputs.txt, not left out"
        )
    return _Builder(files, steps, first, Path(folder).resolve().name).build()


class _Cycle(InputError):
    """Relays leave no start ticks."""


class _Builder:
    """Turns cores into populations; each step is one method, in the order of :meth:`build`."""

    def __init__(self, files: RancFiles, steps: int, first: int, name: str) -> None:
        self.files, self.steps, self.first, self.name = files, steps, first, name
        self.cores, self.goes, self.output = files.cores, files.goes, files.output

    def build(self) -> Imported:
        kept = needed(self.files, self.steps)
        if not any(mask.any() for mask in kept.values()):
            raise InputError(
                f"RANC network must have a path to the output bus at {self.output[0]},{self.output[1]}, not none: "
                "check --output and --grid"
            )
        sources: dict[tuple[Place, int], list[tuple[Place, int]]] = defaultdict(list)
        for place, mask in kept.items():
            for i in np.flatnonzero(mask):
                if self.goes[place][i] != self.output:
                    sources[self.goes[place][i], int(self.cores[place].axon[i])].append(
                        (place, int(i))
                    )
        shared = {
            key for key, some in sources.items() if len(some) + (key in self.files.packet_axons) > 1
        }
        lines = self._lines(kept, set(sources))
        try:
            return self._assemble(kept, self._groups(kept, shared), lines, shared, set())
        except _Cycle:
            added = self._in_cycles(sources) & shared
        made = self._assemble(
            kept, self._groups(kept, shared - added), lines, shared - added, added
        )
        self._check_added(made, sources, added)
        return made

    def _in_cycles(
        self, sources: dict[tuple[Place, int], list[tuple[Place, int]]]
    ) -> set[tuple[Place, int]]:
        """Axons one of whose sources the axon's own core reaches."""
        places = list(self.cores)
        reach = np.eye(len(places), dtype=bool)
        for (to, _), some in sources.items():
            for place, _ in some:
                reach[places.index(place), places.index(to)] = True
        for k in range(len(places)):  # Warshall's closure
            reach |= reach[:, k, None] & reach[k]
        return {
            (to, axon)
            for (to, axon), some in sources.items()
            if any(reach[places.index(to), places.index(p)] for p, _ in some)
        }

    def _check_added(
        self,
        made: Imported,
        sources: dict[tuple[Place, int], list[tuple[Place, int]]],
        added: set[tuple[Place, int]],
    ) -> None:
        """InputError if two sources of one axon spike for the same tick: then their weights would add up to something else."""
        if made.inputs is None:
            raise InputError(
                f"axons with several sources in a cycle of delay 0 (axon {min(added)[1]} of core {min(added)[0]}) must come "
                "with test packets (tb_input.txt) on which they can be checked, not without: no relay has time to join them"
            )
        trace = run(made.network, made.inputs, membranes=False)
        spikes: dict[tuple[Place, int], np.ndarray] = {}
        for name, neurons in made.network.metadata["neurons"].items():
            x, y = map(int, name.split("_")[1:3])
            spikes |= {
                ((x, y), i): trace.spikes[name][0, :, column] for column, i in enumerate(neurons)
            }
        for place, axon in sorted(added):
            arriving = np.zeros(self.steps + 16, np.int64)
            for source in sources[place, axon]:
                late = int(self.cores[source[0]].delay[source[1]])
                arriving[late : late + self.steps] += spikes[source]
            name = f"input_{place[0]}_{place[1]}"
            if axon in (of := made.network.metadata["input_axons"].get(name, [])):
                arriving[: self.steps] += made.inputs[name][0, :, of.index(axon)]
            if (arriving[: self.steps] > 1).any():
                raise InputError(
                    f"sources of axon {axon} of core {place}, which lies in a cycle of delay 0, must not spike together (no "
                    f"relay has time to join them), not as for tick {1 + int(np.argmax(arriving > 1))}: give each an axon "
                    "of its own"
                )

    def _groups(
        self, kept: dict[Place, np.ndarray], shared: set[tuple[Place, int]]
    ) -> dict[str, Group]:
        """Populations by name."""
        found: dict[tuple[Place, Place, int, bool], list[int]] = defaultdict(list)
        for place in sorted(kept, key=lambda p: (p[1], p[0])):
            core = self.cores[place]
            for i in np.flatnonzero(kept[place]):
                goes = self.goes[place][i]
                late = 0 if goes == self.output else int(core.delay[i])
                found[place, goes, late, (goes, int(core.axon[i])) in shared].append(int(i))
        groups = {}
        for (place, goes, late, relayed), neurons in found.items():
            where = "output" if goes == self.output else f"{goes[0]}_{goes[1]}"
            name = (
                f"core_{place[0]}_{place[1]}_to_{where}"
                + (f"_late{late}" if late else "")
                + ("_shared" if relayed else "")
            )
            groups[name] = (place, np.array(neurons), goes, late, relayed)
        return groups

    def _lines(
        self, kept: dict[Place, np.ndarray], fed: set[tuple[Place, int]]
    ) -> dict[Place, np.ndarray]:
        """Axons of each core that the outside feeds: those with synapses that no neuron addresses, and those that packets address."""
        lines = {}
        for place, core in self.cores.items():
            heard = (core.weights[:, kept[place]] != 0).any(axis=1)
            mine = [
                a
                for a in np.flatnonzero(heard).tolist()
                if (place, a) not in fed or (place, a) in self.files.packet_axons
            ]
            if mine:
                lines[place] = np.array(mine)
        return lines

    def _assemble(
        self,
        kept: dict[Place, np.ndarray],
        groups: dict[str, Group],
        lines: dict[Place, np.ndarray],
        shared: set[tuple[Place, int]],
        added: set[tuple[Place, int]],
    ) -> Imported:
        relays = {
            place: np.array(sorted(a for p, a in shared if p == place))
            for place in {p for p, _ in shared}
        }
        last = [
            self.cores[place].axon[neurons].max()
            for place, neurons, goes, _, _ in groups.values()
            if goes == self.output
        ]
        outputs = 1 + int(max([*last, *(a for some in self.files.outputs or () for a in some)]))
        populations = {
            name: _population(name, self.cores[place], neurons)
            for name, (place, neurons, *_) in groups.items()
        }
        populations |= {
            f"shared_{p[0]}_{p[1]}": _relay(f"shared_{p[0]}_{p[1]}", axons.size)
            for p, axons in relays.items()
        }
        populations["output"] = _relay("output", outputs)

        edges: list[tuple[str, str, int, np.ndarray]] = []
        listeners = defaultdict(list)
        for name, (place, neurons, *_) in groups.items():
            listeners[place].append((name, neurons))

        def onto_core(source: str, delay: int, place: Place, axon_of: np.ndarray) -> None:
            """Lines of ``source``, each on its axon, to all populations of a core that hear any of them."""
            for name, neurons in listeners[place]:
                weights = self.cores[place].weights[np.ix_(axon_of, neurons)]
                if weights.any():
                    edges.append((source, name, delay, weights))

        for name, (place, neurons, goes, late, relayed) in groups.items():
            axon_of = self.cores[place].axon[neurons]
            if goes == self.output:
                edges.append((name, "output", 0, _one_hot(axon_of, outputs)))
            elif relayed:
                relay = _one_hot(np.searchsorted(relays[goes], axon_of), relays[goes].size)
                edges.append((name, f"shared_{goes[0]}_{goes[1]}", late, relay))
            else:
                onto_core(name, 1 + late, goes, axon_of)
        for place, axons in relays.items():
            onto_core(f"shared_{place[0]}_{place[1]}", 1, place, axons)
        for place, axons in lines.items():
            name, both = f"input_{place[0]}_{place[1]}", np.isin(axons, relays.get(place, ()))
            direct = self.cores[place].weights[axons] * ~both[:, None]
            for target, neurons in listeners[place]:
                if direct[:, neurons].any():
                    edges.append((name, target, 1, direct[:, neurons]))
            if both.any():
                onto = np.zeros((axons.size, relays[place].size), np.int32)
                onto[np.flatnonzero(both), np.searchsorted(relays[place], axons[both])] = 1
                edges.append((name, f"shared_{place[0]}_{place[1]}", 0, onto))

        starts = _starts(list(populations), [(s, t, d) for s, t, d, _ in edges if s in populations])
        whole = []
        for name, population in populations.items():
            arriving = np.concatenate(
                [w.ravel() for _, t, _, w in edges if t == name] or [np.zeros(0, np.int32)]
            )
            binary = not arriving.size or (arriving.min() >= 0 and arriving.max() <= 1)
            whole.append(
                replace(
                    population,
                    start=starts[name],
                    weight_bits=1 if binary else minimal_bits(arriving),
                    weight_format=WeightFormat.BINARY if binary else WeightFormat.SIGNED,
                )
            )
        total, count = (
            sum(core.size for core in self.cores.values()),
            sum(int(mask.sum()) for mask in kept.values()),
        )
        grid = self.files.grid
        metadata = {
            "source": "RANC",
            "grid": list(grid),
            "output": list(self.output),
            "first_tick": self.first,
            "axons": self.files.axons,
            "input_axons": {f"input_{p[0]}_{p[1]}": a.tolist() for p, a in lines.items()},
            "neurons": {name: neurons.tolist() for name, (_, neurons, *_) in groups.items()},
        }
        network = Network(
            name=re.sub(r"\W", "_", self.name)[:60] or "ranc",
            populations=tuple(whole),
            steps=self.steps,
            output="output",
            inputs=tuple(Input(name=f"input_{p[0]}_{p[1]}", size=a.size) for p, a in lines.items()),
            metadata=metadata,
            edges=tuple(
                Edge(source=s, target=t, delay=d, weights=np.ascontiguousarray(w, np.int32))
                for s, t, d, w in edges
            ),
        )
        assumed = [
            Assumption(
                "grid, output bus",
                f"{grid[0]}x{grid[1]} cores, at {self.output[0]},{self.output[1]}",
                "given",
            ),
            Assumption(
                "first tick", str(self.first), "given: tick of the first line of tb_num_outputs.txt"
            ),
            Assumption("order of a tick", "weights, leak, compare (>=), reset", "RANC"),
            Assumption(
                "reset",
                "in the tick of the spike: hard to the reset potential, linear subtracts the threshold",
                "mode bit",
            ),
            Assumption(
                "below the negative threshold",
                "hard: minus the reset potential; linear: minus the (negative) threshold",
                "RANC",
            ),
            Assumption(
                "potential",
                f"{network.membrane_bits} bits",
                "RANC's simulator does not bound it; its RTL wraps at 9 bits",
            ),
            Assumption("packets of tick t", "act in tick t + 1 + delay", "RANC"),
            Assumption(
                "neurons left out",
                f"{total - count} of {total}",
                "never spike, or have no path to the output bus",
            ),
            Assumption(
                "axons with several sources",
                str(len(shared)),
                "a spike from any is one spike: relays" if shared else "none",
            ),
        ]
        if added:
            assumed.append(
                Assumption(
                    "... and in cycles without time for a relay",
                    str(len(added)),
                    "their sources' weights add up: checked, no two spike together on the test packets",
                )
            )
        return Imported(
            network,
            assumed,
            self._stimulus(lines),
            self._expected(outputs),
            self.first,
            self.files.axons,
        )

    def _stimulus(self, lines: dict[Place, np.ndarray]) -> dict[str, np.ndarray] | None:
        if self.files.packets is None:
            return None
        spikes = {
            place: np.zeros((1, self.steps, axons.size), np.uint8) for place, axons in lines.items()
        }
        for tick, some in enumerate(self.files.packets):
            for place, axon, delay in some:
                if (
                    tick + delay < self.steps
                    and place in lines
                    and (hit := np.flatnonzero(lines[place] == axon)).size
                ):
                    spikes[place][0, tick + delay, hit[0]] = 1
        return {f"input_{p[0]}_{p[1]}": array for p, array in spikes.items()}

    def _expected(self, size: int) -> np.ndarray | None:
        if self.files.outputs is None:
            return None
        expected = np.zeros((1, self.steps, size), np.uint8)
        for tick, some in enumerate(self.files.outputs[: self.steps - self.first]):
            expected[0, self.first + tick, some] = 1
        return expected


def _population(name: str, core: RancCore, neurons: np.ndarray) -> Population:
    hard = core.mode[neurons] == 0
    reset, low = core.reset[neurons], core.low[neurons]
    return Population.make(
        name,
        neurons.size,
        bias=core.leak[neurons],
        v_th=core.threshold[neurons],
        v_sub=core.threshold[neurons],
        reset=np.where(hard, Reset.HARD, Reset.SOFT),
        v_reset=reset,
        low=np.where(hard, LowBound.RESET, LowBound.ADD),
        v_low=low,
        v_low_reset=-reset,
        v_low_add=-low,
        v_init=core.v_init[neurons],
    )


def _relay(name: str, size: int) -> Population:
    """Spikes when at least one of its sources did, and forgets."""
    return Population.make(
        name, size, k0=False, v_th=1, weight_bits=1, weight_format=WeightFormat.BINARY
    )


def _one_hot(columns: np.ndarray, size: int) -> np.ndarray:
    found = np.zeros((columns.size, size), np.int32)
    found[np.arange(columns.size), columns] = 1
    return found


def _starts(names: list[str], edges: list[tuple[str, str, int]]) -> dict[str, int]:
    """The least start ticks with which every physical delay, D + start(target) - start(source), lies in 1..MAX_DELAY."""
    starts = dict.fromkeys(names, 0)
    for _ in range(2 * len(names) + 2):
        changed = []
        for source, target, delay in edges:
            if starts[target] < starts[source] + 1 - delay:
                starts[target], changed = starts[source] + 1 - delay, [target]
            if starts[source] < starts[target] + delay - MAX_DELAY:
                starts[source], changed = starts[target] + delay - MAX_DELAY, [source]
        if not changed:
            if max(starts.values()) > MAX_START:
                raise InputError(
                    f"RANC network must be at most {MAX_START} shared axons deep, not {max(starts.values())}"
                )
            return starts
    raise _Cycle(
        f"start ticks must exist, not be forbidden by a cycle through {', '.join(changed)}"
    )
