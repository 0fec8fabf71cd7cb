"""RANC networks (Mack et al. 2022, "RANC: Reconfigurable Architecture for Neuromorphic Computing") as integer networks.

A core has A axons, each of one of four types, and neurons that give each type a weight of their own. In tick k neuron i adds the weight of
the type of every axon that spikes and is connected to it, then its leak, and compares:

    V := V + sum_j connected[i, j] * spike[j] * weight[i, type[j]] + leak
    V >= threshold:        spike; hard: V := reset       linear: V := V - threshold
    else V < low:                 hard: V := -reset      linear: V := V - low

A spike goes to one axon of the core (dx, dy) away, for tick k + 1 + delay, or to the output bus. The contract of this project says the same
with bias = leak, v_sub = threshold and the lower bounds RESET and ADD. V is not bounded here (RANC's simulator; its RTL wraps at 9 bits).

Files: ``csram_N.mem`` a line per neuron: connections (axon 0 last), V, reset, four weights, leak, threshold, low (9 bits signed each), mode
(0 hard, 1 linear), dx, dy (9 bits signed), axon, delay (4 bits); ``tc_N.mem`` a 2-bit type per axon; N = x + width * y; a core without file
is empty. Tests: ``tb_num_inputs.txt`` packets of each tick, ``tb_input.txt`` packets (dx, dy from core (0, 0), axon, delay; those of line t
arrive for tick t + 1 + delay), ``tb_num_outputs.txt`` and ``tb_correct.txt`` addresses that come out, from tick ``first_tick``.

How it becomes populations. Neurons that can never spike, or from which no path leads to the output bus, are left out: they change nothing
that can be seen. The others of a core are grouped by where they send to and how late, since a neuron has one route. Several sources of one
axon are one spike, not two, which weights that add up cannot say: such axons are fed by a population of relays (weight 1, threshold 1, no
memory). The tick that a relay costs is taken out of the delay, or the start ticks of what follows make up for it (docs/arithmetic.md,
"Time"). A cycle of delay 0 through a shared axon leaves room for neither. There the sources' weights add up, which is the same as long as
no two of them spike for one tick; that they do not is checked by a run on the test packets, and the network refused if they do.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from golden.integer import run
from golden.interchange import Assumption, Imported, minimal_bits, read_bounded, read_json
from pysim.network import MAX_DELAY, MAX_START, Edge, Input, InputError, LowBound, Network, Population, Reset, WeightFormat

__all__ = ["RancCore", "import_ranc", "read_cores"]

Place = tuple[int, int]
Group = tuple[Place, np.ndarray, Place, int, bool]
"""Core, its neurons, where they send to, how late, whether onto shared axons."""

FIELD, MODE, DELAY = 9, 1, 4  # bits
FIXED = 9 * FIELD + MODE + 2 * FIELD + DELAY  # bits of a neuron apart from its connections and its axon address
MAX_GRID, MAX_AXONS, MAX_FILE = 512, 4096, 64 << 20
PARAMS = "tb_spikehard_params.json"
WIDTHS = {"potential_width": 9, "weight_width": 9, "leak_width": 9, "threshold_width": 9, "num_weights": 4, "num_ticks": 16,
          "num_reset_modes": 2, "max_dimension_x": 512, "max_dimension_y": 512}


@dataclass(frozen=True, eq=False)
class RancCore:
    """One core: ``weights`` int32 ``[axon, neuron]``; all others int64 ``[neuron]``; ``mode`` 0 hard, 1 linear."""

    weights: np.ndarray
    v_init: np.ndarray
    reset: np.ndarray
    leak: np.ndarray
    threshold: np.ndarray
    low: np.ndarray
    mode: np.ndarray
    dx: np.ndarray
    dy: np.ndarray
    axon: np.ndarray
    delay: np.ndarray

    @property
    def size(self) -> int:
        return self.v_init.size


# -- files ---------------------------------------------------------------------------------------------------


def import_ranc(folder: str | Path, *, grid: Place | None = None, output: Place | None = None, first_tick: int | None = None,
                steps: int | None = None) -> Imported:
    """Read a RANC network and, where they are there, its test packets.

    grid: width and height; output: where the output bus sits; both may stand in tb_spikehard_params.json. first_tick: the tick to
    which the first line of tb_num_outputs.txt belongs. steps: ticks of a sample, needed only without test packets.
    InputError for anything but a sound set.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"RANC network must be a folder of csram_*.mem and tc_*.mem, not {str(folder)!r}")
    grid, output = _geometry(folder, grid, output)
    cores, axons = read_cores(folder, grid)
    cores.pop(output, None)
    packets = _packets(folder, axons, grid, output)
    outputs = _outputs(folder, axons)
    if outputs is not None and first_tick is None:
        raise InputError("first tick must be given (--first-tick: to which tick the first line of tb_num_outputs.txt belongs; the layers "
                         "that a spike passes), not left out")
    first = first_tick or 0
    if first < 0:
        raise InputError(f"first tick must be at least 0, not {first}")
    known = [] if packets is None else [len(packets) + first]
    known += [] if outputs is None else [len(outputs) + first]
    steps = steps or max(known, default=0)
    if not steps:
        raise InputError("steps must be given (--steps) for a RANC network without tb_num_inputs.txt and tb_num_outputs.txt, not left out")
    return _Builder(cores, grid, output, steps, packets, outputs, first, folder.resolve().name).build()


def read_cores(folder: Path, grid: Place) -> tuple[dict[Place, RancCore], int]:
    """All cores that have a file, and the axons of a core."""
    cores: dict[Place, RancCore] = {}
    axons = 0
    for path in sorted(folder.glob("csram_*.mem")):
        number = re.fullmatch(r"csram_(\d{1,6})\.mem", path.name)
        if not number:
            raise InputError(f"name of a RANC core file must be csram_<number>.mem, not {path.name!r}")
        y, x = divmod(int(number[1]), grid[0])
        if y >= grid[1]:
            raise InputError(f"number of RANC core file {path.name!r} must be in 0..{grid[0] * grid[1] - 1} (grid {grid[0]}x{grid[1]}), "
                             f"not {int(number[1])}: check --grid")
        core, here = _core(path, path.with_name(path.name.replace("csram", "tc")))
        if axons and here != axons:
            raise InputError(f"lines of {path.name!r} must be for {axons} axons as those of the other cores, not for {here}")
        cores[x, y], axons = core, here
    if not cores:
        raise InputError(f"RANC network {str(folder)!r} must hold csram_*.mem files, not none")
    return cores, axons


def _core(path: Path, types_path: Path) -> tuple[RancCore, int]:
    rows = _lines(path)
    width = len(rows[0]) if rows else 0
    axons = next((a for a in range(1, MAX_AXONS + 1) if a + _address_bits(a) + FIXED == width), 0)
    if not axons:
        raise InputError(f"lines of {path.name!r} must be of connections + address + {FIXED} bits (368 for 256 axons), not of {width}")
    for i, row in enumerate(rows):
        if len(row) != width:
            raise InputError(f"line of neuron {i} in {path.name!r} must be of {width} bits as the first, not of {len(row)}")
    bits = np.frombuffer("".join(rows).encode(), np.uint8).reshape(len(rows), width) - ord("0")
    types = np.array([int(row, 2) if len(row) == 2 else 4 for row in _lines(types_path)])
    if types.shape != (axons,) or (types > 3).any():
        raise InputError(f"file {types_path.name!r} must hold {axons} lines of 2 bits, one for each axon, not {types.size} lines"
                         + (" of which one has another width" if (types > 3).any() else ""))
    at = axons

    def number(length: int, *, signed: bool = True) -> np.ndarray:
        nonlocal at
        some = bits[:, at:at + length].astype(np.int64)
        at += length
        value = some @ (1 << np.arange(length - 1, -1, -1)) if length else np.zeros(len(rows), np.int64)
        return value - (some[:, 0] << length) if signed else value

    v_init, reset = number(FIELD), number(FIELD)
    of_type = np.stack([number(FIELD) for _ in range(4)])
    leak, threshold, low = number(FIELD), number(FIELD), number(FIELD)
    mode, dx, dy = number(MODE, signed=False), number(FIELD), number(FIELD)
    axon, delay = number(_address_bits(axons), signed=False), number(DELAY, signed=False)
    weights = (bits[:, axons - 1::-1] if axons > 1 else bits[:, :1]).T * of_type[types]
    return RancCore(weights.astype(np.int32), v_init, reset, leak, threshold, low, mode, dx, dy, axon, delay), axons


def _geometry(folder: Path, grid: Place | None, output: Place | None) -> tuple[Place, Place]:
    path = folder / PARAMS
    params = read_json(path) if path.is_file() else {}
    for key, want in WIDTHS.items():
        if params.get(key, want) != want:
            raise InputError(f"{key} in {PARAMS} must be {want}, not {params[key]!r}: no other width is read")

    def pair(given: Place | None, keys: tuple[str, str], option: str) -> Place:
        if given is not None:
            return given
        x, y = (params.get(key) for key in keys)
        if not (isinstance(x, int) and isinstance(y, int)):
            raise InputError(f"{option} must be given (the RANC format does not store it, nor does a {PARAMS}), not left out")
        return x, y

    grid = pair(grid, ("grid_dimension_x", "grid_dimension_y"), "--grid WxH")
    output = pair(output, ("output_core_x_coordinate", "output_core_y_coordinate"), "--output X,Y")
    if not all(1 <= n <= MAX_GRID for n in grid):
        raise InputError(f"grid must be 1..{MAX_GRID} cores wide and high, not {grid[0]}x{grid[1]}")
    if not _inside(output, grid):
        raise InputError(f"output must lie in the grid of {grid[0]}x{grid[1]} cores, not at {output[0]},{output[1]}")
    return grid, output


def _packets(folder: Path, axons: int, grid: Place, output: Place) -> list[list[tuple[Place, int, int]]] | None:
    """Of each tick the packets (core, axon, delay), or None."""
    rows = _per_tick(folder, "tb_input.txt", "tb_num_inputs.txt", 2 * FIELD + _address_bits(axons) + DELAY)
    if rows is None:
        return None
    found = []
    for some in rows:
        found.append([((_signed(r[:FIELD]), _signed(r[FIELD:2 * FIELD])), int(r[2 * FIELD:-DELAY] or "0", 2), int(r[-DELAY:], 2))
                      for r in some])
        for place, axon, _ in found[-1]:
            if not _inside(place, grid) or axon >= axons:
                raise InputError(f"address of a packet in tb_input.txt must be an axon of a core of the grid {grid[0]}x{grid[1]}, "
                                 f"not axon {axon} of core {place}: check --grid")
            if place == output:
                raise InputError(f"packet in tb_input.txt must go to a core, not to the output bus at {place}: check --output")
    return found


def _outputs(folder: Path, axons: int) -> list[list[int]] | None:
    """Of each tick the addresses that come out, or None."""
    rows = _per_tick(folder, "tb_correct.txt", "tb_num_outputs.txt", None)
    return None if rows is None else [[int(row, 2) for row in some] for some in rows]


def _per_tick(folder: Path, what: str, counts: str, width: int | None) -> list[list[str]] | None:
    """The lines of ``what``, as many for each tick as ``counts`` says."""
    there = [(folder / name).is_file() for name in (what, counts)]
    if not any(there):
        return None
    if not all(there):
        raise InputError(f"files {what} and {counts} must be there both or not at all, not only {what if there[0] else counts}")
    rows = _lines(folder / what)
    width = width or (len(rows[0]) if rows else 0)
    wrong = next((row for row in rows if len(row) != width), None)
    if wrong is not None or width > 32:
        raise InputError(f"lines of {what} must all be of {min(width, 32)} bits, not of {len(wrong or rows[0])}")
    text = read_bounded(folder / counts, MAX_FILE).decode("ascii", "replace").split()
    if not all(n.isdecimal() and len(n) < 9 for n in text) or sum(map(int, text)) != len(rows) or not 0 < len(text) <= 1 << 16:
        raise InputError(f"numbers in {counts} must add up to the {len(rows)} lines of {what}, not to something else")
    ends = np.cumsum([0, *map(int, text)])
    return [rows[a:b] for a, b in zip(ends, ends[1:], strict=False)]


def _lines(path: Path) -> list[str]:
    """Lines of 0 and 1; comments in the manner of C are left out."""
    text = read_bounded(path, MAX_FILE).decode("ascii", "replace")
    text = re.sub(r"//[^\n]*", "", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    rows = text.split()
    wrong = next((row for row in rows if row.strip("01")), None)
    if wrong is not None:
        raise InputError(f"lines of {path.name!r} must be bits, not {wrong[:20]!r}")
    return rows


def _address_bits(axons: int) -> int:
    return (axons - 1).bit_length()


def _signed(bits: str) -> int:
    return int(bits, 2) - (int(bits[0]) << len(bits))


def _inside(place: Place, grid: Place) -> bool:
    return 0 <= place[0] < grid[0] and 0 <= place[1] < grid[1]


class _Cycle(InputError):
    """Relays leave no start ticks."""


# -- network -------------------------------------------------------------------------------------------------


class _Builder:
    """Turns cores into populations; each step is one method, in the order of :meth:`build`."""

    def __init__(self, cores: dict[Place, RancCore], grid: Place, output: Place, steps: int,
                 packets: list[list[tuple[Place, int, int]]] | None, outputs: list[list[int]] | None, first: int, name: str) -> None:
        self.cores, self.grid, self.output, self.steps = cores, grid, output, steps
        self.packets, self.outputs, self.first, self.name = packets, outputs, first, name
        self.axons = next(iter(cores.values())).weights.shape[0]
        self.packet_axons = {(place, axon) for some in packets or () for place, axon, _ in some}
        self.goes = {place: [(place[0] + int(dx), place[1] + int(dy)) for dx, dy in zip(core.dx, core.dy, strict=True)]
                     for place, core in cores.items()}

    def build(self) -> Imported:
        kept = self._needed(self._live())
        if not any(mask.any() for mask in kept.values()):
            raise InputError(f"RANC network must have a path to the output bus at {self.output[0]},{self.output[1]}, not none: "
                             "check --output and --grid")
        sources: dict[tuple[Place, int], list[tuple[Place, int]]] = defaultdict(list)
        for place, mask in kept.items():
            for i in np.flatnonzero(mask):
                if self.goes[place][i] != self.output:
                    sources[self.goes[place][i], int(self.cores[place].axon[i])].append((place, int(i)))
        shared = {key for key, some in sources.items() if len(some) + (key in self.packet_axons) > 1}
        lines = self._lines(kept, set(sources))
        try:
            return self._assemble(kept, self._groups(kept, shared), lines, shared, set())
        except _Cycle:
            added = self._in_cycles(sources) & shared
        made = self._assemble(kept, self._groups(kept, shared - added), lines, shared - added, added)
        self._check_added(made, sources, added)
        return made

    def _in_cycles(self, sources: dict[tuple[Place, int], list[tuple[Place, int]]]) -> set[tuple[Place, int]]:
        """Axons one of whose sources the axon's own core reaches."""
        places = list(self.cores)
        reach = np.eye(len(places), dtype=bool)
        for (to, _), some in sources.items():
            for place, _ in some:
                reach[places.index(place), places.index(to)] = True
        for k in range(len(places)):  # Warshall's closure
            reach |= reach[:, k, None] & reach[k]
        return {(to, axon) for (to, axon), some in sources.items() if any(reach[places.index(to), places.index(p)] for p, _ in some)}

    def _check_added(self, made: Imported, sources: dict[tuple[Place, int], list[tuple[Place, int]]],
                     added: set[tuple[Place, int]]) -> None:
        """InputError if two sources of one axon spike for the same tick: then their weights would add up to something else."""
        if made.inputs is None:
            raise InputError(f"axons with several sources in a cycle of delay 0 (axon {min(added)[1]} of core {min(added)[0]}) must come "
                             "with test packets (tb_input.txt) on which they can be checked, not without: no relay has time to join them")
        trace = run(made.network, made.inputs, membranes=False)
        spikes: dict[tuple[Place, int], np.ndarray] = {}
        for name, neurons in made.network.metadata["neurons"].items():
            x, y = map(int, name.split("_")[1:3])
            spikes |= {((x, y), i): trace.spikes[name][0, :, column] for column, i in enumerate(neurons)}
        for place, axon in sorted(added):
            arriving = np.zeros(self.steps + 16, np.int64)
            for source in sources[place, axon]:
                late = int(self.cores[source[0]].delay[source[1]])
                arriving[late:late + self.steps] += spikes[source]
            name = f"input_{place[0]}_{place[1]}"
            if axon in (of := made.network.metadata["input_axons"].get(name, [])):
                arriving[:self.steps] += made.inputs[name][0, :, of.index(axon)]
            if (arriving[:self.steps] > 1).any():
                raise InputError(f"sources of axon {axon} of core {place}, which lies in a cycle of delay 0, must not spike together (no "
                                 f"relay has time to join them), not as for tick {1 + int(np.argmax(arriving > 1))}: give each an axon "
                                 "of its own")

    def _live(self) -> dict[Place, np.ndarray]:
        """Neurons that may spike: all but those that no axon in use reaches and that stay silent on their own."""
        alone = {place: _fires_alone(core, self.steps) for place, core in self.cores.items()}
        live = {place: np.ones(core.size, bool) for place, core in self.cores.items()}
        while True:
            fed = {place: np.ones(self.axons, bool) for place in self.cores}
            for (place, axon), alive in self._feeders(live).items():
                fed[place][axon] = alive or (place, axon) in self.packet_axons
            new = {place: alone[place] | (core.weights[fed[place]] != 0).any(axis=0) for place, core in self.cores.items()}
            if all(np.array_equal(new[place], live[place]) for place in live):
                return live
            live = new

    def _feeders(self, live: dict[Place, np.ndarray]) -> dict[tuple[Place, int], bool]:
        """Axons that some neuron addresses, and whether a live one does. (Those that none addresses belong to the outside.)"""
        found: dict[tuple[Place, int], bool] = {}
        for place, core in self.cores.items():
            for i, (goes, axon) in enumerate(zip(self.goes[place], core.axon.tolist(), strict=True)):
                if goes in self.cores and axon < self.axons:
                    found[goes, axon] = found.get((goes, axon), False) or bool(live[place][i])
        return found

    def _needed(self, live: dict[Place, np.ndarray]) -> dict[Place, np.ndarray]:
        """Live neurons from which a path leads to the output bus. Addresses of live neurons must exist."""
        for place, mask in live.items():
            core = self.cores[place]
            for i in np.flatnonzero(mask):
                if not _inside(self.goes[place][i], self.grid) or (core.axon[i] >= self.axons and self.goes[place][i] != self.output):
                    raise InputError(f"address of neuron {i} of RANC core {place} must be an axon of a core of the grid {self.grid[0]}x"
                                     f"{self.grid[1]}, not axon {core.axon[i]} of core {self.goes[place][i]}: check --grid")
        needed = {place: np.array([live[place][i] and goes == self.output for i, goes in enumerate(self.goes[place])], bool)
                  for place in self.cores}
        while True:
            heard = {place: (core.weights[:, needed[place]] != 0).any(axis=1) for place, core in self.cores.items()}
            new = {place: needed[place] | np.array([live[place][i] and goes in heard and heard[goes][core.axon[i]]
                                                    for i, goes in enumerate(self.goes[place])], bool)
                   for place, core in self.cores.items()}
            if all(np.array_equal(new[place], needed[place]) for place in needed):
                return needed
            needed = new

    def _groups(self, kept: dict[Place, np.ndarray], shared: set[tuple[Place, int]]) -> dict[str, Group]:
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
            name = f"core_{place[0]}_{place[1]}_to_{where}" + (f"_late{late}" if late else "") + ("_shared" if relayed else "")
            groups[name] = (place, np.array(neurons), goes, late, relayed)
        return groups

    def _lines(self, kept: dict[Place, np.ndarray], fed: set[tuple[Place, int]]) -> dict[Place, np.ndarray]:
        """Axons of each core that the outside feeds: those with synapses that no neuron addresses, and those that packets address."""
        lines = {}
        for place, core in self.cores.items():
            heard = (core.weights[:, kept[place]] != 0).any(axis=1)
            mine = [a for a in np.flatnonzero(heard).tolist() if (place, a) not in fed or (place, a) in self.packet_axons]
            if mine:
                lines[place] = np.array(mine)
        return lines

    def _assemble(self, kept: dict[Place, np.ndarray], groups: dict[str, Group], lines: dict[Place, np.ndarray],
                  shared: set[tuple[Place, int]], added: set[tuple[Place, int]]) -> Imported:
        relays = {place: np.array(sorted(a for p, a in shared if p == place)) for place in {p for p, _ in shared}}
        last = [self.cores[place].axon[neurons].max() for place, neurons, goes, _, _ in groups.values() if goes == self.output]
        outputs = 1 + int(max([*last, *(a for some in self.outputs or () for a in some)]))
        populations = {name: _population(name, self.cores[place], neurons) for name, (place, neurons, *_) in groups.items()}
        populations |= {f"shared_{p[0]}_{p[1]}": _relay(f"shared_{p[0]}_{p[1]}", axons.size) for p, axons in relays.items()}
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
            arriving = np.concatenate([w.ravel() for _, t, _, w in edges if t == name] or [np.zeros(0, np.int32)])
            binary = not arriving.size or (arriving.min() >= 0 and arriving.max() <= 1)
            whole.append(replace(population, start=starts[name], weight_bits=1 if binary else minimal_bits(arriving),
                                 weight_format=WeightFormat.BINARY if binary else WeightFormat.SIGNED))
        total, count = sum(core.size for core in self.cores.values()), sum(int(mask.sum()) for mask in kept.values())
        metadata = {"source": "RANC", "grid": list(self.grid), "output": list(self.output), "first_tick": self.first, "axons": self.axons,
                    "input_axons": {f"input_{p[0]}_{p[1]}": a.tolist() for p, a in lines.items()},
                    "neurons": {name: neurons.tolist() for name, (_, neurons, *_) in groups.items()}}
        network = Network(name=re.sub(r"\W", "_", self.name)[:60] or "ranc", populations=tuple(whole), steps=self.steps, output="output",
                          inputs=tuple(Input(name=f"input_{p[0]}_{p[1]}", size=a.size) for p, a in lines.items()), metadata=metadata,
                          edges=tuple(Edge(source=s, target=t, delay=d, weights=np.ascontiguousarray(w, np.int32)) for s, t, d, w in edges))
        assumed = [
            Assumption("grid, output bus", f"{self.grid[0]}x{self.grid[1]} cores, at {self.output[0]},{self.output[1]}", "given"),
            Assumption("first tick", str(self.first), "given: tick of the first line of tb_num_outputs.txt"),
            Assumption("order of a tick", "weights, leak, compare (>=), reset", "RANC"),
            Assumption("reset", "in the tick of the spike: hard to the reset potential, linear subtracts the threshold", "mode bit"),
            Assumption("below the negative threshold", "hard: minus the reset potential; linear: minus the (negative) threshold", "RANC"),
            Assumption("potential", f"{network.membrane_bits} bits", "RANC's simulator does not bound it; its RTL wraps at 9 bits"),
            Assumption("packets of tick t", "act in tick t + 1 + delay", "RANC"),
            Assumption("neurons left out", f"{total - count} of {total}", "never spike, or have no path to the output bus"),
            Assumption("axons with several sources", str(len(shared)), "a spike from any is one spike: relays" if shared else "none"),
        ]
        if added:
            assumed.append(Assumption("... and in cycles without time for a relay", str(len(added)),
                                      "their sources' weights add up: checked, no two spike together on the test packets"))
        return Imported(network, assumed, self._stimulus(lines), self._expected(outputs), self.first, self.axons)

    def _stimulus(self, lines: dict[Place, np.ndarray]) -> dict[str, np.ndarray] | None:
        if self.packets is None:
            return None
        spikes = {place: np.zeros((1, self.steps, axons.size), np.uint8) for place, axons in lines.items()}
        for tick, some in enumerate(self.packets):
            for place, axon, delay in some:
                if tick + delay < self.steps and place in lines and (hit := np.flatnonzero(lines[place] == axon)).size:
                    spikes[place][0, tick + delay, hit[0]] = 1
        return {f"input_{p[0]}_{p[1]}": array for p, array in spikes.items()}

    def _expected(self, size: int) -> np.ndarray | None:
        if self.outputs is None:
            return None
        expected = np.zeros((1, self.steps, size), np.uint8)
        for tick, some in enumerate(self.outputs[:self.steps - self.first]):
            expected[0, self.first + tick, some] = 1
        return expected


def _fires_alone(core: RancCore, steps: int) -> np.ndarray:
    """Neurons that spike in one of ``steps`` ticks with no input at all: bool ``[neuron]``."""
    v, fired = core.v_init.copy(), np.zeros(core.size, bool)
    for _ in range(steps):
        before, v = v, v + core.leak
        fired |= v >= core.threshold
        v = np.where(v >= core.low, v, np.where(core.mode == 0, -core.reset, v - core.low))
        if np.array_equal(before[~fired], v[~fired]):  # the silent ones rest
            break
    return fired


def _population(name: str, core: RancCore, neurons: np.ndarray) -> Population:
    hard = core.mode[neurons] == 0
    reset, low = core.reset[neurons], core.low[neurons]
    return Population.make(
        name, neurons.size, bias=core.leak[neurons], v_th=core.threshold[neurons], v_sub=core.threshold[neurons],
        reset=np.where(hard, Reset.HARD, Reset.SOFT), v_reset=reset, low=np.where(hard, LowBound.RESET, LowBound.ADD), v_low=low,
        v_low_reset=-reset, v_low_add=-low, v_init=core.v_init[neurons])


def _relay(name: str, size: int) -> Population:
    """Spikes when at least one of its sources did, and forgets."""
    return Population.make(name, size, k0=False, v_th=1, weight_bits=1, weight_format=WeightFormat.BINARY)


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
                raise InputError(f"RANC network must be at most {MAX_START} shared axons deep, not {max(starts.values())}")
            return starts
    raise _Cycle(f"start ticks must exist, not be forbidden by a cycle through {', '.join(changed)}")
