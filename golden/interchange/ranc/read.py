"""RANC networks as integer networks.

Source: Mack et al. 2022, "RANC: Reconfigurable Architecture for Neuromorphic Computing".

A core has A axons, each of one of four types, and neurons that give each type a weight of their
own. In tick k neuron i adds the weight of the type of every axon that spikes and is connected to
it. It then adds its leak and compares:

    V := V + sum_j connected[i, j] * spike[j] * weight[i, type[j]] + leak
    V >= threshold:        spike; hard: V := reset       linear: V := V - threshold
    else V < low:                 hard: V := -reset      linear: V := V - low

A spike goes to one axon of the core (dx, dy) away, for tick k + 1 + delay, or to the output bus.
The contract of this project says the same with bias = leak, v_sub = threshold and the lower bounds
RESET and ADD. V is not bounded here: RANC's simulator does not bound it, its RTL wraps at 9 bits.

Neurons that can never spike, or from which no path leads to the output bus, are left out. They
change nothing that can be seen (golden/interchange/ranc/needed.py). The others become populations
(golden/interchange/ranc/wiring.py).

Several sources of one axon are one spike, not two. Weights that add up cannot say that, so a relay
feeds such an axon. The tick that a relay costs is taken out of the delay, or the start ticks of
what follows make up for it (docs/arithmetic.md, "Time"). A cycle of delay 0 through a shared axon
leaves room for neither. There the weights of the sources add up, which is the same as long as no
two of them spike for one tick. A run on the test packets checks that, and the network is refused if
two do.
"""

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from spikeloop.golden.interchange.common import Assumption, Imported
from spikeloop.golden.interchange.ranc.file import Axon, Place, RancFiles, read_ranc
from spikeloop.golden.interchange.ranc.needed import needed
from spikeloop.golden.interchange.ranc.wiring import NoStartTicks, Wiring, input_name
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Input, within
from spikeloop.pysim.network.graph import Network

__all__ = ["import_ranc"]

MAX_STEPS = 1 << 16
"""Steps of a sample, which are those of a network."""


def import_ranc(
    folder: str | Path,
    *,
    grid: Place | None = None,
    output: Place | None = None,
    first_tick: int | None = None,
    steps: int | None = None,
) -> Imported:
    """Read a RANC network and, where the folder has them, its test packets.

    grid:       width and height; may stand in tb_spikehard_params.json instead.
    output:     place of the output bus; may stand there too.
    first_tick: the tick that the first line of tb_num_outputs.txt belongs to.
    steps:      ticks of a sample, needed only without test packets.
    InputError for anything but a sound set.
    """
    files = read_ranc(folder, grid, output)
    if files.outputs is not None and first_tick is None:
        raise InputError(
            "first tick is missing: give --first-tick, the tick that the first line of "
            "tb_num_outputs.txt belongs to (the layers that a spike passes)"
        )
    first = first_tick or 0
    within("first tick", first, 0, MAX_STEPS - 1)
    tests = [lines for lines in (files.packets, files.outputs) if lines is not None]
    steps = steps or max((len(lines) + first for lines in tests), default=0)
    if not steps:
        raise InputError(
            "steps are missing: give --steps for a RANC network without tb_num_inputs.txt and "
            "tb_num_outputs.txt"
        )
    within("steps", steps, 1, MAX_STEPS)
    return _Builder(files, steps, first, Path(folder).resolve().name).build()


class _Builder:
    """Turns cores into a network.

    kept:    the neurons of each core that stay, bool ``[neuron]``.
    sources: the neurons that stay and send to an axon, by that axon.
    lines:   the axons of each core that the outside feeds.
    """

    def __init__(self, files: RancFiles, steps: int, first: int, name: str) -> None:
        self.files, self.steps, self.first, self.name = files, steps, first, name
        self.kept = needed(files, steps)
        if not any(mask.any() for mask in self.kept.values()):
            raise InputError(
                f"RANC network must have a path to the output bus at {files.output[0]},"
                f"{files.output[1]}, not none: check --bus and --grid"
            )
        self.sources = self._sources()
        self.lines = self._lines()

    def build(self) -> Imported:
        shared = {
            key
            for key, neurons in self.sources.items()
            if len(neurons) + (key in self.files.packet_axons) > 1
        }
        try:
            return self._imported(shared, set())
        except NoStartTicks:
            added = self._in_cycles() & shared
        imported = self._imported(shared - added, added)
        self._check_added(imported, added)
        return imported

    def _sources(self) -> dict[Axon, list[tuple[Place, int]]]:
        sources: dict[Axon, list[tuple[Place, int]]] = defaultdict(list)
        for place, mask in self.kept.items():
            axons = self.files.cores[place].axon
            for i in np.flatnonzero(mask):
                target = self.files.goes[place][i]
                if target != self.files.output:
                    sources[target, int(axons[i])].append((place, int(i)))
        return sources

    def _lines(self) -> dict[Place, np.ndarray]:
        """Axons with synapses that no neuron addresses, and axons that packets address."""
        lines = {}
        for place, core in self.files.cores.items():
            heard = (core.weights[:, self.kept[place]] != 0).any(axis=1)
            fed = [
                axon
                for axon in np.flatnonzero(heard).tolist()
                if (place, axon) not in self.sources or (place, axon) in self.files.packet_axons
            ]
            if fed:
                lines[place] = np.array(fed)
        return lines

    def _in_cycles(self) -> set[Axon]:
        """Axons of whose sources the axon's own core reaches at least one."""
        places = list(self.files.cores)
        reach = np.eye(len(places), dtype=bool)
        for (target, _), neurons in self.sources.items():
            for place, _ in neurons:
                reach[places.index(place), places.index(target)] = True
        for k in range(len(places)):  # Warshall's closure
            reach |= reach[:, k, None] & reach[k]
        return {
            (target, axon)
            for (target, axon), neurons in self.sources.items()
            if any(reach[places.index(target), places.index(place)] for place, _ in neurons)
        }

    def _check_added(self, imported: Imported, added: set[Axon]) -> None:
        """InputError if two sources of an axon in ``added`` spike for the same tick.

        Their weights would then add up to something that RANC does not compute.
        """
        if imported.inputs is None:
            raise InputError(
                f"axons with several sources in a cycle of delay 0 (axon {min(added)[1]} of core "
                f"{min(added)[0]}) must come with test packets (tb_input.txt) on which they can be "
                "checked, not without: no relay has time to join them"
            )
        metadata = imported.network.metadata
        trace = run(imported.network, imported.inputs, membranes=False)
        spikes: dict[tuple[Place, int], np.ndarray] = {}
        for name, neurons in metadata["neurons"].items():
            x, y = map(int, name.split("_")[1:3])
            for column, i in enumerate(neurons):
                spikes[(x, y), i] = trace.spikes[name][0, :, column]
        for place, axon in sorted(added):
            arriving = np.zeros(self.steps + 16, np.int64)
            for source in self.sources[place, axon]:
                delay = int(self.files.cores[source[0]].delay[source[1]])
                arriving[delay : delay + self.steps] += spikes[source]
            name = input_name(place)
            axons = metadata["input_axons"].get(name, [])
            if axon in axons:
                arriving[: self.steps] += imported.inputs[name][0, :, axons.index(axon)]
            if (arriving[: self.steps] > 1).any():
                raise InputError(
                    f"sources of axon {axon} of core {place}, which lies in a cycle of delay 0, "
                    "must not spike together (no relay has time to join them), not as for tick "
                    f"{1 + int(np.argmax(arriving > 1))}: give each an axon of its own"
                )

    def _imported(self, shared: set[Axon], added: set[Axon]) -> Imported:
        """The result with relays for the axons ``shared``; the weights of ``added`` add up."""
        wiring = Wiring(self.files, self.kept, self.lines, shared)
        inputs = {input_name(place): axons for place, axons in self.lines.items()}
        network = Network(
            name=re.sub(r"\W", "_", self.name)[:60] or "ranc",
            populations=wiring.populations(),
            steps=self.steps,
            output="output",
            inputs=tuple(Input(name=name, size=axons.size) for name, axons in inputs.items()),
            metadata={
                "source": "RANC",
                "grid": list(self.files.grid),
                "output": list(self.files.output),
                "first_tick": self.first,
                "axons": self.files.axons,
                "input_axons": {name: axons.tolist() for name, axons in inputs.items()},
                "neurons": {name: group.neurons.tolist() for name, group in wiring.groups.items()},
            },
            edges=wiring.edges,
        )
        return Imported(
            network,
            self._assumptions(network, len(shared), len(added)),
            self._stimulus(),
            self._expected(wiring.outputs),
            self.first,
            self.files.axons,
        )

    def _assumptions(self, network: Network, shared: int, added: int) -> list[Assumption]:
        (width, height), (x, y) = self.files.grid, self.files.output
        total = sum(core.size for core in self.files.cores.values())
        left_out = total - sum(int(mask.sum()) for mask in self.kept.values())
        rows = [
            ("grid, output bus", f"{width}x{height} cores, at {x},{y}", "given"),
            ("first tick", str(self.first), "given: tick of the first line of tb_num_outputs.txt"),
            ("order of a tick", "weights, leak, compare (>=), reset", "RANC"),
            (
                "reset",
                "in the tick of the spike: hard to the reset potential, linear subtracts the "
                "threshold",
                "mode bit",
            ),
            (
                "below the negative threshold",
                "hard: minus the reset potential; linear: minus the (negative) threshold",
                "RANC",
            ),
            (
                "potential",
                f"{network.membrane_bits} bits",
                "RANC's simulator does not bound it; its RTL wraps at 9 bits",
            ),
            ("packets of tick t", "act in tick t + 1 + delay", "RANC"),
            (
                "neurons left out",
                f"{left_out} of {total}",
                "never spike, or have no path to the output bus",
            ),
            (
                "axons with several sources",
                str(shared),
                "a spike from any is one spike: relays" if shared else "none",
            ),
        ]
        if added:
            rows.append(
                (
                    "... and in cycles without time for a relay",
                    str(added),
                    "their sources' weights add up: checked, no two spike together on the test "
                    "packets",
                )
            )
        return [Assumption(*row) for row in rows]

    def _stimulus(self) -> dict[str, np.ndarray] | None:
        """The test packets as spikes, uint8 ``[1, step, line]`` by input."""
        if self.files.packets is None:
            return None
        spikes = {
            place: np.zeros((1, self.steps, axons.size), np.uint8)
            for place, axons in self.lines.items()
        }
        for tick, packets in enumerate(self.files.packets):
            for place, axon, delay in packets:
                if tick + delay >= self.steps or place not in spikes:
                    continue
                line = np.flatnonzero(self.lines[place] == axon)
                spikes[place][0, tick + delay, line] = 1
        return {input_name(place): array for place, array in spikes.items()}

    def _expected(self, size: int) -> np.ndarray | None:
        """The output spikes that the set states, uint8 ``[1, step, address]``."""
        if self.files.outputs is None:
            return None
        expected = np.zeros((1, self.steps, size), np.uint8)
        for tick, addresses in enumerate(self.files.outputs[: self.steps - self.first]):
            expected[0, self.first + tick, addresses] = 1
        return expected
