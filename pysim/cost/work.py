"""What a run costs: work by layer, and time and energy from counters (docs/cost.md).

    time    = cycles / clock
    energy  = SOPs x energy per SOP + leakage of one core x cores x time

Cycles, SOPs and slots are counters of the RTL, which pysim gives exactly. SOPs are the non-zero
synapses of the events that came. Slots are events x columns, in dense mode axons x columns (the
SOPs of the paper's peak). The energy of a SOP, the leakage and the clock are constants of a model:
nothing here measures power.
"""

from dataclasses import asdict, dataclass, fields
from functools import cache
from math import isfinite
from typing import Any

import numpy as np

from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.params import PAPER_CLOCK, Chip, clock_of
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.cost.cycles import breakdowns
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.mapping.periods import MESH_CORES, period_cycles
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["ENERGY_PER_SOP", "Constants", "Work", "measure", "paper_bound", "peak_sops"]

ENERGY_PER_SOP = 0.57e-12
"""J, idle power included, at 0.9 V and 252 MHz: a figure of Zou et al. 2021, section 4.4"""


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The model's constants.

    energy_per_sop: J, at least 0. The default includes idle power (after Kuang et al. 2021), hence
        no leakage beside it by default.
    leakage: W of one core, at least 0.
    clock: Hz, above 0.

    InputError for other values.
    """

    energy_per_sop: float = ENERGY_PER_SOP
    leakage: float = 0.0
    clock: float = PAPER_CLOCK

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not isfinite(value) or value < 0 or (f.name == "clock" and value == 0):
                unit = {"energy_per_sop": "J", "leakage": "W", "clock": "Hz"}[f.name]
                what, least = f.name.replace("_", " "), "above" if unit == "Hz" else "at least"
                raise InputError(f"{what} must be {least} 0 {unit}, not {value}")

    def energy(self, sops: float, seconds: float, cores: int = 1) -> float:
        """J of ``sops`` synaptic operations on ``cores`` cores, powered for ``seconds``."""
        return float(sops * self.energy_per_sop + self.leakage * cores * seconds)


def peak_sops(chip: Chip) -> float:
    """Synapse slots per second of one core in dense mode, at the clock of the chip's preset.

    Sweep and emission are taken as overlapped: 21.504e9 on ``zou2021``.
    """
    return chip.axons * chip.columns / period_cycles(chip) * clock_of(chip)


def paper_bound(chip: Chip, periods: int, constants: Constants = Constants()) -> float:
    """J of the paper's 8 x 8 cores for ``periods`` periods with every synapse added."""
    slots = periods * MESH_CORES * chip.axons * chip.columns
    return constants.energy(slots, periods * period_cycles(chip) / constants.clock, MESH_CORES)


# -- a whole network -----------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Work:
    """What each part of a network does for each sample: arrays int64 ``[part, sample]``.

    layers: the first population of each part.
    cycles, slots: event-driven; dense_cycles, dense_slots: those of the same run in dense mode.
    accumulate, dense_accumulate: the cycles of them that add synapse rows.
    events: axon events.
    sops: synaptic operations, the same in both modes.
    """

    layers: tuple[str, ...]
    cycles: np.ndarray
    accumulate: np.ndarray
    dense_cycles: np.ndarray
    dense_accumulate: np.ndarray
    events: np.ndarray
    sops: np.ndarray
    slots: np.ndarray
    dense_slots: np.ndarray

    def rows(self, constants: Constants = Constants()) -> list[dict[str, Any]]:
        """Means per sample of each layer, all its cores together.

        ``cores`` is their number; ``busiest`` and ``busiest_dense`` are the cycles of the core that
        takes longest; ``energy_sops`` and ``energy_slots`` are J by SOPs and by slots, without
        leakage. The other keys are the fields of this class.
        """
        return [self._row(layer, constants) for layer in dict.fromkeys(self.layers)]

    def _row(self, layer: str, constants: Constants) -> dict[str, Any]:
        parts = [i for i, name in enumerate(self.layers) if name == layer]
        counts = {f.name: getattr(self, f.name)[parts] for f in fields(self) if f.name != "layers"}
        sums = {name: float(count.sum(axis=0).mean()) for name, count in counts.items()}
        return {
            "layer": layer,
            "cores": len(parts),
            **sums,
            "busiest": float(counts["cycles"].max(axis=0).mean()),
            "busiest_dense": float(counts["dense_cycles"].max(axis=0).mean()),
            "energy_sops": constants.energy(sums["sops"], 0),
            "energy_slots": constants.energy(sums["slots"], 0),
        }

    def to_dict(self, constants: Constants = Constants()) -> dict[str, Any]:
        """JSON form: samples, constants, layers and their sums."""
        rows = self.rows(constants)
        total = {key: sum(row[key] for row in rows) for key in rows[0] if key != "layer"}
        return {
            "samples": self.cycles.shape[1],
            "constants": asdict(constants),
            "layers": rows,
            "total": total,
        }


def measure(bundle: Program | Image, stimulus: Stimulus, engine: str | None = None) -> Work:
    """Run all parts in pysim, one after the other, and count.

    ``engine``: that of pysim.model.core.Core.
    """
    counts: dict[str, list[np.ndarray]] = {f.name: [] for f in fields(Work) if f.name != "layers"}

    @cache
    def core_of(image: Image) -> Core:
        return Core(image, engine)

    def one(image: Image, part: Stimulus) -> Trace:
        trace, place = core_of(image).run(part, membranes=False), image.placement
        sparse, dense = breakdowns(image, part, trace)
        slots = trace.counters["slots"]
        every = np.full_like(slots, place.rows * (place.chip.columns // place.extension))
        for name, values in (
            ("cycles", trace.counters["cycles"]),
            ("accumulate", sparse.accumulate),
            ("dense_cycles", dense.total),
            ("dense_accumulate", dense.accumulate),
            ("events", trace.counters["spikes_in"]),
            ("sops", trace.counters["sops"]),
            ("slots", slots),
            ("dense_slots", every),
        ):
            counts[name].append(values.sum(axis=1))
        return trace

    images = bundle.images
    bundle.run(stimulus, lambda i, part: one(images[i], part), membranes=False)
    return Work(bundle.layers(), **{name: np.array(values) for name, values in counts.items()})
