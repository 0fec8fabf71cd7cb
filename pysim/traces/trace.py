"""Trace: what a run did, on every backend, and its ``.npz`` file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from spikeloop.pysim.chip.front import FRONT_COUNTERS
from spikeloop.pysim.chip.memory_map import COUNTERS, PIM_COUNTERS
from spikeloop.pysim.traces import npz

__all__ = ["EVERY_COUNTER", "SIGNED", "STATES", "STATE_NAMES", "Trace", "recorded_states"]

EVERY_COUNTER = COUNTERS | PIM_COUNTERS | FRONT_COUNTERS
"""all counters that a trace may hold, in their order"""
PARTS = {
    "spikes": np.uint8,
    "membranes": np.int32,
    "counters": np.int64,
    "currents": np.int32,
    "synaptic": np.int32,
    "adaptations": np.int32,
    "ends": np.int32,
}
STATES = {
    "membranes": ("v", "membrane_bits"),
    "synaptic": ("y", "current_bits"),
    "adaptations": ("a", "adaptation_bits"),
}
"""recorded states of neurons: their memory on the chip and their width, a parameter of network and
chip"""
STATE_NAMES = {"membranes": "membrane", "synaptic": "synaptic current", "adaptations": "adaptation"}
"""one value of a state in words"""
SIGNED = ("membranes", "synaptic")
"""states that are two's complement; the others are unsigned"""
MEMBERS: npz.Members = {
    "spikes/": np.uint8,
    "membranes/": np.int32,
    **{f"counters/{name}": np.int64 for name in EVERY_COUNTER},
    "currents/": np.int32,
    "synaptic/": np.int32,
    "adaptations/": np.int32,
    "ends/": np.int32,
}


class _Widths(Protocol):
    """A network or its summary."""

    @property
    def membrane_bits(self) -> int: ...
    @property
    def current_bits(self) -> int: ...
    @property
    def adaptation_bits(self) -> int: ...


def recorded_states(network: _Widths, membranes: bool) -> list[str]:
    """The parts of a trace that hold states: those the network has, if ``membranes`` are asked."""
    return [part for part, (_, bits) in STATES.items() if membranes and getattr(network, bits)]


@dataclass(frozen=True, eq=False)
class Trace:
    """What a run did, in steps of each population.

    The keys are names of populations, or of counters.

    spikes:     uint8 ``[sample, step, ceil(size / 8)]``, packed (pysim.common.bits)
    membranes:  int32 ``[sample, step, size]``; no entry where membranes were not recorded
    counters:   int64 ``[sample, tick]``, what each tick added. The names are those of
                memory_map.COUNTERS. A network with a PIM layer also has PIM_COUNTERS, and one
                with a source those of its macro (FRONT_COUNTERS): what the macro did right before
                the tick. The golden backend knows only ``saturations``, ``spikes_out``, ``n_sat``,
                ``n_clip``, ``onn_steps``, ``onn_clips``, ``onn_crossings``, and those of dendritic
                neurons but for cycles.
    currents:   int32 ``[sample, frame, size]``, C of the population that a PIM layer drives. There
                is one frame if C is held for all steps, else one for each step.
    synaptic:   int32 ``[sample, step, size]``: synaptic currents, of a network with current_bits
    adaptations: int32 ``[sample, step, size]``, of a network with adaptation_bits. Both are
                recorded where membranes are.
    ends:       int32 ``[sample, value]`` by input that a source feeds: its state at the end. Of
                oscillators the rows of OnnState.units, then its whole; of dendritic neurons
                DendriticState.words.
    """

    spikes: dict[str, np.ndarray]
    membranes: dict[str, np.ndarray] = field(default_factory=dict)
    counters: dict[str, np.ndarray] = field(default_factory=dict)
    currents: dict[str, np.ndarray] = field(default_factory=dict)
    synaptic: dict[str, np.ndarray] = field(default_factory=dict)
    adaptations: dict[str, np.ndarray] = field(default_factory=dict)
    ends: dict[str, np.ndarray] = field(default_factory=dict)

    def save(self, path: str | Path) -> Path:
        """Write the trace to ``path``, whole or not at all."""
        return npz.save(
            path,
            {
                f"{part}/{name}": np.asarray(array, dtype)
                for part, dtype in PARTS.items()
                for name, array in getattr(self, part).items()
            },
        )

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Inverse of :meth:`save`; InputError for any other file."""
        arrays = npz.load(path, "trace", MEMBERS)
        return cls(*(npz.under(arrays, f"{part}/") for part in PARTS))

    @classmethod
    def concatenate(cls, traces: list["Trace"]) -> "Trace":
        """The traces of a run's samples, part after part, as one."""
        parts = [
            {
                name: np.concatenate([getattr(trace, part)[name] for trace in traces])
                for name in getattr(traces[0], part)
            }
            for part in PARTS
        ]
        return cls(*parts)
