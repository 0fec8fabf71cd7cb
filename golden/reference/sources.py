"""The nets that make the spikes of an input: oscillators and dendritic neurons."""

from typing import NamedTuple

import numpy as np

from spikeloop.golden.dendrites.integer import play
from spikeloop.golden.oscillators.run import run_samples
from spikeloop.pysim.dendrites.source import DendriticSource
from spikeloop.pysim.oscillators.source import OnnSource

__all__ = ["Heard", "hear"]


class Heard(NamedTuple):
    """What a source gives a run.

    lines:  uint8 0/1 ``[sample, step, line]``, spikes of the input
    values: int32 ``[sample, value]``, as a trace keeps them
    counts: int64 ``[sample, run]`` by counter
    """

    lines: np.ndarray
    values: np.ndarray
    counts: dict[str, np.ndarray]


def hear(source: OnnSource | DendriticSource, starts: np.ndarray, steps: int) -> Heard:
    """Run a source on all samples of its starts, uint16."""
    if isinstance(source, OnnSource):
        return _oscillators(source, starts, steps)
    return _dendrites(source, starts, steps)


def _oscillators(source: OnnSource, starts: np.ndarray, steps: int) -> Heard:
    """They run once; where they end out of phase, the line has a spike in each step."""
    traces = run_samples(source.net, starts.astype(np.int64), record=False)
    states = [trace.state for trace in traces]
    values = [state.words() for state in states]
    counts = {
        f"onn_{name}": np.array([[getattr(trace, name)] for trace in traces], np.int64)
        for name in ("steps", "clips", "crossings")
    }
    row = source.net.units.index("out")
    lines = np.array([np.tile(state.units[row], (steps, 1)) for state in states], np.uint8)
    return Heard(lines, np.array(values), counts)


def _dendrites(source: DendriticSource, starts: np.ndarray, steps: int) -> Heard:
    """They do a step for each of the sample's; where they spike, the line has a spike."""
    lines, values, counts = [], [], []
    for start in starts.astype(np.int64):
        state = source.state.seeded(int(start[0]))
        spikes, last, added = play(source.net, start[1:], state, steps)
        lines.append(spikes)
        values.append(last.words())
        counts.append(added)
    names = ("steps", "inputs", "spikes", "clips", "saturations")
    table = np.array(counts, np.int64).reshape(len(counts), steps, len(names))
    return Heard(
        np.array(lines, np.uint8),
        np.array(values, np.int32),
        {f"dendritic_{name}": table[:, :, at] for at, name in enumerate(names)},
    )
