"""The cycles of a tick by what they are for: those of a run, and the most there can be.

The formula of docs/architecture.md holds for one core. Of a run it reads the spikes, no counter.
"""

from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.mapping.placement import Placement, PopulationPlace
from spikeloop.pysim.model.cycles import (
    CURRENT,
    DRAIN,
    EMIT,
    JOIN,
    REPLAY,
    SCAN,
    START,
    UPDATE,
    WORD,
)
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["Cycles", "at_most", "breakdown", "breakdowns"]


@dataclass(frozen=True, eq=False)
class Cycles:
    """Cycles of each tick, int64 ``[sample, tick]``, by what they are for.

    Together they are the cycle counter of the RTL less its stalls.

    accumulate: a synapse row is added to the accumulators: events (dense: axons) x live words.
    scan: the other cycles of reading the events: empty chunks of axons, the begin of each pass and
        its last row.
    sweep: fetch, join, leak, fire and write back of all words.
    emission: the walk over the spikes.
    start: the beginning of the tick.
    """

    accumulate: np.ndarray
    scan: np.ndarray
    sweep: np.ndarray
    emission: np.ndarray
    start: np.ndarray

    @property
    def total(self) -> np.ndarray:
        return self.accumulate + self.scan + self.sweep + self.emission + self.start


def breakdown(image: Image, stimulus: Stimulus, trace: Trace, *, dense: bool = False) -> Cycles:
    """The cycles of a run of one core that left ``trace``; ``dense``: had it visited every axon."""
    return breakdowns(image, stimulus, trace)[dense]


def breakdowns(image: Image, stimulus: Stimulus, trace: Trace) -> tuple[Cycles, Cycles]:
    """The cycles of a run of one core that left ``trace``, and had it visited every axon."""
    if image.chip.derived.cores > 1:
        raise InputError(
            "chip of a breakdown must have one core (others would feed it), "
            f"not {image.chip.derived.cores}"
        )
    place = image.placement
    x = _axon_events(image, stimulus, trace)
    chunks = np.add.reduceat(x, np.arange(0, place.rows, SCAN_BITS), axis=2, dtype=np.int64)
    spikes, every = _spikes_by_chunk(image, trace), np.full(x.shape[:2], place.rows)
    events, first = chunks.sum(axis=2), np.maximum(chunks, 1).sum(axis=2)
    return (
        _cycles(place, image.steps, events, first, spikes),
        _cycles(place, image.steps, every, every, spikes),
    )


def at_most(placement: Placement, steps: int) -> Cycles:
    """The cycles of a sample of ``steps`` steps that no run exceeds, int64 ``[1, tick]``.

    Every axon is visited in every tick (dense mode), and every neuron spikes in every step.
    """
    d = placement.chip.derived
    ticks = steps + max(p.start for p in placement.populations)
    every = np.full((1, ticks), placement.rows)
    spikes = np.zeros((1, ticks, d.words * d.spike_chunks), np.int64)
    for p in placement.populations:
        neurons = np.bincount(_chunk_of(placement, p), minlength=spikes.shape[2])
        spikes[:, p.start : p.start + steps] += neurons
    return _cycles(placement, steps, every, every, spikes)


def _cycles(
    place: Placement, steps: int, events: np.ndarray, first: np.ndarray, spikes: np.ndarray
) -> Cycles:
    """The formula.

    ``events`` int64 ``[sample, tick]``: of each tick; ``first``: cycles in which the first pass
    scans them; ``spikes`` int64 ``[sample, tick, chunk]``: of each chunk of lanes.
    """
    ticks = np.arange(events.shape[1])
    live = np.array([[w.start <= tick < w.start + steps for w in place.words] for tick in ticks])
    passes, joins = live.sum(axis=1), live @ np.array([w.join for w in place.words])
    accumulate = events * passes
    # If a word listens, the first pass accumulates the events it scans. Each pass begins in a
    # cycle, and each that listens ends in one.
    scan = first - events * (passes > 0) + SCAN
    scan = scan + REPLAY * np.maximum(passes - 1, 0) + DRAIN * passes
    words, stages = place.chip.derived.words, JOIN + UPDATE
    stages += CURRENT * (place.chip.current_bits > 0)
    sweep = np.broadcast_to(WORD * words + stages * passes + joins, accumulate.shape)
    emission = EMIT + np.maximum(spikes, 1).sum(axis=2)
    return Cycles(accumulate, scan, sweep, emission, np.full_like(accumulate, START))


def _axon_events(image: Image, stimulus: Stimulus, trace: Trace) -> np.ndarray:
    """Axon events by the tick in which they are scanned: uint8 0/1 ``[sample, tick, axon]``."""
    place = image.placement
    events = np.zeros((stimulus.samples, image.ticks, place.rows), np.uint8)
    sources = [(i.first_axon, i.size, i.delay, stimulus.spikes[i.name]) for i in place.inputs]
    sources += [
        (p.first_axon, p.size, p.start + p.delay, trace.spikes[p.name])
        for p in place.populations
        if p.first_axon is not None and p.delay is not None
    ]
    for first, size, delay, packed in sources:
        steps = max(0, min(image.steps, image.ticks - delay))
        arriving = unpack(packed[:, :steps], size)
        events[:, delay : delay + steps, first : first + size] |= arriving
    return events


def _spikes_by_chunk(image: Image, trace: Trace) -> np.ndarray:
    """Spikes of each chunk of lanes of each word: int64 ``[sample, tick, chunk]``."""
    d, place = image.chip.derived, image.placement
    samples = next(iter(trace.spikes.values())).shape[0]
    spikes = np.zeros((samples, image.ticks, d.words * d.spike_chunks), np.int64)
    for p in place.populations:
        chunk = _chunk_of(place, p)
        by_chunk = np.argsort(chunk, kind="stable")
        chunks, first = np.unique(chunk[by_chunk], return_index=True)
        fired = unpack(trace.spikes[p.name], p.size)[:, :, by_chunk]
        counts = np.add.reduceat(fired, first, axis=2, dtype=np.int64)
        spikes[:, p.start : p.start + image.steps, chunks] += counts
    return spikes


def _chunk_of(place: Placement, p: PopulationPlace) -> np.ndarray:
    """The 64-lane chunk that holds each neuron of ``p``: int64 ``[size]``."""
    lanes = place.chip.lanes
    word, lane = np.divmod(p.neurons, lanes)
    return word * place.chip.derived.spike_chunks + lane // SCAN_BITS
