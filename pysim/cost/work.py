"""What a run costs: the cycles of a tick by what they are for, and time and energy from measured counters (docs/cost.md).

    time    = cycles / clock
    energy  = SOPs x energy per SOP + leakage of one core x cores x time

Cycles, SOPs (non-zero synapses of the events that came) and slots (events x columns; in dense mode axons x columns, the paper's
SOPs of its peak) are counters of the RTL, which pysim gives bit-exactly. The energy of a SOP, the leakage and the clock are constants
of a model: nothing here measures power.
"""

from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any

import numpy as np

from spikeloop.pysim.bundle.program import Program
from spikeloop.pysim.chip.params import PAPER_CLOCK, Chip, clock_of
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.cost.cycles import breakdown
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.mapping.periods import MESH_CORES, period_cycles
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["ENERGY_PER_SOP", "Constants", "Work", "measure", "paper_bound", "peak_sops"]

ENERGY_PER_SOP = 0.57e-12
"""J, idle power included, at 0.9 V and 252 MHz: a figure of the paper (Zou et al. 2021, section 4.4, after Kuang et al. 2021)"""


@dataclass(frozen=True, kw_only=True)
class Constants:
    """The model's constants: ``energy_per_sop`` J >= 0, ``leakage`` W >= 0 of one core, ``clock`` Hz > 0. The paper's 0.57 pJ
    includes idle power, hence no leakage beside it unless one is given."""

    energy_per_sop: float = ENERGY_PER_SOP
    leakage: float = 0.0
    clock: float = PAPER_CLOCK

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not isfinite(value) or value < 0 or (f.name == "clock" and value == 0):
                unit = {"energy_per_sop": "J", "leakage": "W", "clock": "Hz"}[f.name]
                raise InputError(
                    f"{f.name.replace('_', ' ')} must be {'above' if f.name == 'clock' else 'at least'} 0 {unit}, not {value}"
                )

    def energy(self, sops: float, seconds: float, cores: int = 1) -> float:
        """J of so many synaptic operations, on ``cores`` cores that are powered for ``seconds``."""
        return float(sops * self.energy_per_sop + self.leakage * cores * seconds)


def peak_sops(chip: Chip) -> float:
    """Synapse slots per second of one core in dense mode, at the clock of the chip's preset.

    Sweep and emission are taken as overlapped: 21.504e9 on ``zou2021``.
    """
    return chip.axons * chip.columns / period_cycles(chip) * clock_of(chip)


def paper_bound(chip: Chip, periods: int, constants: Constants = Constants()) -> float:
    """J of the paper's 8 x 8 cores for so many periods if each added every synapse it could have, at the model's energy per SOP."""
    slots = periods * MESH_CORES * chip.axons * chip.columns
    return constants.energy(slots, periods * period_cycles(chip) / constants.clock, MESH_CORES)


# -- a whole network -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Work:
    """What each part of a network does for each sample: int64 ``[part, sample]``. ``layers``: the first population of each part.

    ``cycles`` and ``slots`` are event-driven, ``dense_cycles`` and ``dense_slots`` those of the same run in dense mode; ``accumulate`` and
    ``dense_accumulate`` are the parts of them that add synapse rows. ``events``: axon events; ``sops``: the same in both modes.
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
        """Per layer, means per sample: cores; SOPs, slots and cycles of all its cores together; ``busiest``, cycles of the core that takes
        longest; energy (J) by SOPs and by slots, without leakage."""
        found = []
        for layer in dict.fromkeys(self.layers):
            mine = [i for i, name in enumerate(self.layers) if name == layer]
            sums = {
                f.name: float(getattr(self, f.name)[mine].sum(axis=0).mean())
                for f in fields(self)
                if f.name != "layers"
            }
            busiest, busiest_dense = (
                float(every[mine].max(axis=0).mean()) for every in (self.cycles, self.dense_cycles)
            )
            found.append(
                {
                    "layer": layer,
                    "cores": len(mine),
                    **sums,
                    "busiest": busiest,
                    "busiest_dense": busiest_dense,
                    "energy_sops": constants.energy(sums["sops"], 0),
                    "energy_slots": constants.energy(sums["slots"], 0),
                }
            )
        return found

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
    """Run all parts in pysim, one after the other, and count."""
    found: dict[str, list[np.ndarray]] = {f.name: [] for f in fields(Work) if f.name != "layers"}

    def one(image: Image, part: Stimulus) -> Trace:
        trace = Core(image, engine).run(part, membranes=False)
        dense, sparse, counters = (
            breakdown(image, part, trace, dense=True),
            breakdown(image, part, trace),
            trace.counters,
        )
        slots = np.full_like(
            counters["slots"],
            image.placement.rows * (image.chip.columns // image.placement.extension),
        )
        for name, values in (
            ("cycles", counters["cycles"]),
            ("accumulate", sparse.accumulate),
            ("dense_cycles", dense.total),
            ("dense_accumulate", dense.accumulate),
            ("events", counters["spikes_in"]),
            ("sops", counters["sops"]),
            ("slots", counters["slots"]),
            ("dense_slots", slots),
        ):
            found[name].append(values.sum(axis=1))
        return trace

    images = bundle.images
    bundle.run(stimulus, lambda i, part: one(images[i], part), membranes=False)
    return Work(bundle.layers(), **{name: np.array(values) for name, values in found.items()})
