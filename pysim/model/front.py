"""What a chip's source does in a run: from its starts to the spikes of its input, and its cycles.

The net is that of the image's memories. The macro runs right before the first ticks of a sample. A
sending, an event or none of each line, takes a cycle for each.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from spikeloop.pysim.common.bits import pack
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.sources.source import Source
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = ["Heard", "hear"]


class Heard(NamedTuple):
    """What a source leaves in a trace: its last values, and its counters."""

    values: dict[str, np.ndarray]
    counters: dict[str, np.ndarray]


def hear(image: Image, stimulus: Stimulus, source: Source | None) -> tuple[Stimulus, Heard]:
    """The stimulus with the spikes that the source makes of its starts.

    Without one the stimulus as it is, and nothing.
    """
    if source is None:
        return stimulus, Heard({}, {})
    assert image.chip.front
    counters = {
        name: np.zeros((stimulus.samples, image.ticks), np.int64)
        for name in image.chip.front.counters
    }
    sent = [len(source.sent(tick)) for tick in range(image.ticks)]
    counters[f"{source.prefix}cycles"] += np.array(sent) * source.size
    values, lines = [], np.zeros((stimulus.samples, image.steps, source.size), np.uint8)
    for sample, start in enumerate(stimulus.starts[source.input]):
        played = source.play(start)
        values.append(played.values)
        lines[sample] = played.lines
        for name, counts in played.counts.items():
            counters[f"{source.prefix}{name}"][sample, : source.runs] += counts
    heard = replace(stimulus, spikes={**stimulus.spikes, source.input: pack(lines)})
    return heard, Heard({source.input: np.array(values, np.int32)}, counters)
