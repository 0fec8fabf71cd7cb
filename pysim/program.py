"""A network on many cores that take turns: its parts, each with its image, and the run of one after the other (docs/mapping.md).

Order: part outer, samples inner; a part runs all steps of all samples before the next one begins. Each part listens only to those before
it, so the spikes are those of all parts running at once, and a part's tick k is tick start + k of the whole.

    program.json        version, chip, network (as in an image's manifest, and its populations), number of parts
    parts.safetensors   which lines and neurons of the whole each part carries: part<i>.lines.<input>, part<i>.neurons.<population>
    part<i>/            the image bundle of part i
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from pysim.errors import InputError
from pysim.image import MANIFEST, Bundle, Image, open_seal, pack, seal, summary, write_folder
from pysim.mapping import place
from pysim.memory_map import COUNTERS
from pysim.network import Network
from pysim.params import Chip
from pysim.partition import partition
from pysim.trace import Stimulus, Trace, unpack
from pysim.trace import pack as pack_bits

__all__ = ["Program", "ProgramPart", "compile_program", "load_bundle"]

VERSION = 1
FORMAT = "spikeloop program"
HEAD, TABLES = "program.json", "parts.safetensors"


@dataclass(frozen=True, eq=False)
class ProgramPart:
    """One core's share: its image, and the lines and neurons of the whole that its inputs and populations are (pysim.partition.Part)."""

    image: Image
    lines: dict[str, np.ndarray]
    neurons: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Program(Bundle):
    """A packed network of several parts. ``network`` is what an image's manifest says of it; ``populations``: (name, size, start)."""

    chip: Chip
    network: dict[str, Any]
    populations: tuple[tuple[str, int, int], ...]
    parts: tuple[ProgramPart, ...]

    @property
    def ticks(self) -> int:
        """Ticks of one sample: its steps plus the depth of the pipeline."""
        return self.steps + max(start for _, _, start in self.populations)

    def cores(self) -> dict[str, int]:
        """Cores of each population; one that holds several counts in the first."""
        count = dict.fromkeys((name for name, _, _ in self.populations), 0)
        for part in self.parts:
            count[next(iter(part.neurons))] += 1
        return {name: n for name, n in count.items() if n}

    def run(self, stimulus: Stimulus, one: Callable[[int, Stimulus], Trace], *, membranes: bool = True) -> Trace:
        """Run all parts in turn; ``one(i, stimulus of part i)`` runs part i on whatever it runs on.

        Counters are the sums over the parts, at the ticks of the whole.
        """
        stimulus.check(self)
        samples, steps = stimulus.samples, self.steps
        spikes = stimulus.dense(self)
        potentials = {}
        for name, size, _ in self.populations:
            spikes[name] = np.zeros((samples, steps, size), np.uint8)
            if membranes:
                potentials[name] = np.zeros((samples, steps, size), np.int32)
        start = {name: first for name, _, first in self.populations}
        counters: dict[str, np.ndarray] = {}
        for i, part in enumerate(self.parts):
            trace = one(i, Stimulus({name: pack_bits(spikes[name][:, :, lines]) for name, lines in part.lines.items()}))
            for name, neurons in part.neurons.items():
                spikes[name][:, :, neurons] = unpack(trace.spikes[name], neurons.size)
                if membranes:
                    potentials[name][:, :, neurons] = trace.membranes[name]
            first = min(start[name] for name in part.neurons)
            for name, values in trace.counters.items():
                whole = counters.setdefault(name, np.zeros((samples, self.ticks), np.int64))
                whole[:, first:first + values.shape[1]] += values
        return Trace({name: pack_bits(spikes[name]) for name in start}, potentials,
                     {name: counters[name] for name in COUNTERS if name in counters})

    # -- folder ------------------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Write the program under a temporary name, then rename it to ``folder``; an earlier program or image there is replaced."""
        def fill(new: Path) -> None:
            tables: dict[str, np.ndarray] = {}
            for i, part in enumerate(self.parts):
                part.image.save(new / f"part{i}")
                tables |= {f"part{i}.lines.{name}": rows for name, rows in part.lines.items()}
                tables |= {f"part{i}.neurons.{name}": rows for name, rows in part.neurons.items()}
            (new / TABLES).write_bytes(save({k: np.ascontiguousarray(v, np.int64) for k, v in tables.items()}))
            (new / HEAD).write_bytes(seal({"format": FORMAT, "version": VERSION, "chip": self.chip.to_dict(), "network": self.network,
                                           "populations": [list(p) for p in self.populations], "parts": len(self.parts)}))

        return write_folder(folder, "program", (HEAD, MANIFEST), fill)

    @classmethod
    def load(cls, folder: str | Path) -> "Program":
        """Read and check; InputError for anything else than a sound program."""
        folder, what = Path(folder), f"program {str(folder)!r}"
        try:
            head = open_seal((folder / HEAD).read_bytes(), what)
            tables = load((folder / TABLES).read_bytes())
        except OSError as error:
            raise InputError(f"{what} must hold {HEAD} and {TABLES}, not miss one ({error.strerror})") from None
        except SafetensorError:
            raise InputError(f"{TABLES} of {what} must be a safetensors file, not damaged: map the network again") from None
        if head.get("format") != FORMAT or head.get("version") != VERSION:
            raise InputError(f"{what} must be of version {VERSION}, not {head.get('version')!r}: map the network again")
        try:
            chip = Chip.from_dict(head["chip"])
            populations = tuple((name, size, start) for name, size, start in head["populations"])
            parts = []
            for i in range(head["parts"]):
                image = Image.load(folder / f"part{i}", chip)
                parts.append(ProgramPart(image, {n.name: tables.pop(f"part{i}.lines.{n.name}") for n in image.inputs},
                                         {p.name: tables.pop(f"part{i}.neurons.{p.name}") for p in image.placement.populations}))
            program = cls(chip, head["network"], populations, tuple(parts))
            program._check(what, tables)
        except InputError:  # of a part: says itself what is wrong
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{what} must be complete, not without {error}") from None
        return program

    def _check(self, what: str, left: dict[str, np.ndarray]) -> None:
        """Lines and neurons exist, every neuron once."""
        sizes = {name: size for name, size, _ in self.populations}
        lines = sizes | {node.name: node.size for node in self.inputs}
        held: dict[str, list[np.ndarray]] = {name: [] for name in sizes}
        for part in self.parts:
            for node in part.image.inputs:
                rows = part.lines[node.name]
                if rows.shape != (node.size,) or rows.min() < 0 or rows.max() >= lines[node.name]:
                    raise InputError(f"lines of {node.name!r} in {what} must be {node.size} of 0..{lines[node.name] - 1}, not others")
            for held_here in part.image.placement.populations:
                rows = part.neurons[held_here.name]
                if rows.shape != (held_here.size,):
                    raise InputError(f"neurons of {held_here.name!r} in {what} must be {held_here.size}, not {rows.size}")
                held[held_here.name].append(rows)
        for name, some in held.items():
            if not np.array_equal(np.sort(np.concatenate([*some, np.zeros(0, np.int64)])), np.arange(sizes[name])):
                raise InputError(f"neurons of {name!r} in {what} must be in one part each, not otherwise: map the network again")
        if left:
            raise InputError(f"tables of {what} must belong to its parts, not {min(left)!r}")


def compile_program(network: Network, chip: Chip) -> Program | Image:
    """The image of a network that one core holds, else the program of its parts; InputError names what does not fit."""
    try:
        placement = place(network, chip)
    except InputError:
        parts = tuple(ProgramPart(pack(part.network, chip=chip), part.lines, part.neurons) for part in partition(network, chip))
    else:
        return pack(network, placement)
    return Program(chip, summary(network), tuple((p.name, p.size, p.start) for p in network.populations), parts)


def load_bundle(folder: str | Path) -> Program | Image:
    """Whatever ``spikeloop map`` wrote to ``folder``."""
    return Program.load(folder) if (Path(folder) / HEAD).is_file() else Image.load(folder)
