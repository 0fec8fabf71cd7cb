"""The recall of a chip's oscillators: from starts to the spikes of their input (docs/onn.md).

The net is that of the image's memories. A recall runs right before tick 0. Right before each tick
at which spikes arrive, the macro sends them: an event, or none, of each oscillator a cycle.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from spikeloop.pysim.chip.front import FRONT_COUNTERS
from spikeloop.pysim.common.bits import pack
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.onn import kernel, numba_engine, numpy_engine
from spikeloop.pysim.onn.cycles import with_cycles
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Recalled", "recall", "sends"]


class Recalled(NamedTuple):
    """What a recall leaves in a trace: its values, and its counters."""

    values: dict[str, np.ndarray]
    counters: dict[str, np.ndarray]


def sends(image: Image) -> np.ndarray:
    """How often the macro sends its events right before each tick, int64 ``[tick]``."""
    assert image.onn_head
    count = np.zeros(image.ticks, np.int64)
    for place in image.placement.inputs:
        if place.name == image.onn_head.input:
            count[place.delay : place.delay + image.steps] += 1
    return count


def recall(image: Image, stimulus: Stimulus) -> tuple[Stimulus, Recalled]:
    """The stimulus with the spikes that the oscillators make of their starts.

    Without oscillators the stimulus as it is, and nothing.
    """
    head, p = image.onn_head, image.chip.onn
    if head is None or p is None:
        return stimulus, Recalled({}, {})
    net = image.onn_net
    engine = numba_engine if kernel.AVAILABLE else numpy_engine
    shape = (stimulus.samples, image.ticks)
    counters = {name: np.zeros(shape, np.int64) for name in FRONT_COUNTERS}
    counters["onn_cycles"] += sends(image) * net.size
    values = np.zeros((stimulus.samples, len(net.units) * net.size + 4), np.int32)
    lines = np.zeros((stimulus.samples, image.steps, net.size), np.uint8)
    for sample, start in enumerate(stimulus.starts[head.input].astype(np.int64)):
        trace = with_cycles(p, net, engine.run(net, start, record=False))
        for name in ("cycles", "steps", "reads", "clips", "crossings"):
            counters[f"onn_{name}"][sample, 0] += getattr(trace, name)
        values[sample] = np.concatenate([trace.state.units.ravel(), trace.state.whole])
        lines[sample] = trace.pixels() < 0  # out of phase with the reference
    heard = replace(stimulus, spikes={**stimulus.spikes, head.input: pack(lines)})
    return heard, Recalled({head.input: values}, counters)
