"""All costs of a run in one: figures, work by layer, and the turns that parts take on few cores.

This is what ``spikeloop cost`` prints and writes (docs/cost.md).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spikeloop.pysim.bundle.mesh import MeshImage
from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.cost.figures import Figures, figures
from spikeloop.pysim.cost.turns import Schedule, jobs, schedule
from spikeloop.pysim.cost.work import ENERGY_PER_SOP, Constants, Work, measure
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.mapping.periods import MESH_CORES
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Plan", "Report", "report"]


@dataclass(frozen=True, eq=False)
class Plan:
    """A schedule in one mode (``events`` or ``dense``), and what it costs per sample.

    ``seconds`` are those of a sample, ``joule`` its energy.
    """

    mode: str
    schedule: Schedule
    seconds: float
    joule: float

    @property
    def name(self) -> str:
        """Name of its files."""
        s = self.schedule
        return f"{self.mode}_{s.cores}_cores_{s.ports}_ports_batch_{s.batch}"

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the turns."""
        return {
            "mode": self.mode,
            **self.schedule.summary(),
            "ms_per_sample": self.seconds * 1e3,
            "energy_per_sample": self.joule,
        }

    def text(self) -> tuple[str, str]:
        """What it is, and its figures."""
        s = self.schedule
        cores, ports = f"core{'s' * (s.cores > 1)}", f"port{'s' * (s.ports > 1)}"
        return (
            f"{self.mode}, {s.cores} {cores}, {s.ports} {ports}, {s.batch} a load",
            f"{s.total / s.samples:,.0f} cycles a sample ({self.seconds * 1e3:.4f} ms), "
            f"{self.joule * 1e6:.3f} uJ; loads {s.loading:,} cycles, "
            f"{s.hidden / s.loading:.0%} hidden",
        )


@dataclass(frozen=True, eq=False)
class Report:
    """What a run of a packed network costs."""

    figures: Figures
    work: Work
    constants: Constants
    plans: tuple[Plan, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON form: the figures, samples, constants, layers and total, schedules by name."""
        return {
            **self.figures.to_dict(),
            **self.work.to_dict(self.constants),
            "constants": asdict(self.constants),
            "schedules": {plan.name: plan.to_dict() for plan in self.plans},
        }

    def text(self) -> dict[str, str]:
        """Rows for people: figures, layers, schedules."""
        document = self.work.to_dict(self.constants)
        rows = self.figures.text() | {
            "layer": f"{'cores':>8}{'SOPs':>14}{'slots':>14}{'cycles':>14}{'dense':>14}"
            f"{'of dense':>11}{'uJ (SOPs)':>14}"
        }
        for i, row in enumerate([*document["layers"], {"layer": "all", **document["total"]}], 1):
            numbers = [row[key] for key in ("sops", "slots", "cycles", "dense_cycles")]
            rows[f"{i} {row['layer']}"] = (
                f"{row['cores']:>8,}"
                + "".join(f"{number:>14,.0f}" for number in numbers)
                + f"{row['cycles'] / row['dense_cycles']:>11.1%}{row['energy_sops'] * 1e6:>14.4f}"
            )
        return rows | dict(plan.text() for plan in self.plans)

    def save(self, folder: Path, document: dict[str, Any]) -> None:
        """Write ``document`` as cost.json, and every turn of each schedule as JSON and as text."""
        for plan in self.plans:
            turns = json.dumps(plan.schedule.to_dict()).encode()
            write_atomic(folder / f"{plan.name}.json", turns)
            write_atomic(folder / f"{plan.name}.txt", plan.schedule.text().encode())
        write_atomic(folder / "cost.json", json.dumps(document, indent=1).encode())


def report(
    bundle: Image | Program | MeshImage,
    stimulus: Stimulus,
    *,
    energy_per_sop: float = ENERGY_PER_SOP,
    leakage: float = 0.0,
    clock: float | None = None,
) -> Report:
    """Run ``stimulus`` in pysim and count.

    ``clock`` in Hz, None: that of the chip's preset. The other constants are those of
    :class:`Constants`. InputError for a mesh, whose cores feed each other.
    """
    result = figures(bundle)
    if bundle.kind == "mesh":
        raise InputError(
            "image of spikeloop cost must be on one core or on cores that take turns, "
            f"not on the mesh of {bundle.chip.derived.cores}: "
            "map the network for a chip of one core"
        )
    constants = Constants(
        energy_per_sop=energy_per_sop,
        leakage=leakage,
        clock=result.clock if clock is None else clock,
    )
    stimulus.check(bundle)
    work = measure(bundle, stimulus)
    return Report(result, work, constants, tuple(_plans(bundle, work, constants)))


def _plans(bundle: Image | Program, work: Work, constants: Constants) -> list[Plan]:
    """Turns on one core and on the 64 of a mesh, which share a load port or have one each."""
    parts = {"events": jobs(bundle, work.cycles), "dense": jobs(bundle, work.dense_cycles)}
    samples = work.cycles.shape[1]
    sops = float(work.sops.sum(axis=0).mean())
    plans = []
    for mode, cores, batch, ports in (
        ("events", 1, 1, 1),
        ("events", 1, samples, 1),
        ("dense", 1, samples, 1),
        ("events", MESH_CORES, samples, 1),
        ("events", MESH_CORES, samples, MESH_CORES),
    ):
        plan = schedule(parts[mode], cores=cores, batch=batch, ports=ports)
        seconds = plan.total / samples / constants.clock
        plans.append(Plan(mode, plan, seconds, constants.energy(sops, seconds, cores)))
    return plans
