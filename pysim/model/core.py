"""The chip model: one core run from its image, exact to the bit and the cycle.

It sees the memories of the image (pysim/model/ticks/state.py unpacks them) and nothing of the
network. The contract is docs/arithmetic.md; the cycles are those of docs/architecture.md. Two
engines give the same result bit for bit: pysim.model.ticks.numpy_engine, and
pysim.model.ticks.numba_engine where numba is installed.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from spikeloop.pysim.chip.memory_map import COUNTERS, PIM, PIM_COUNTERS
from spikeloop.pysim.chip.records import unpack_plain, word_record
from spikeloop.pysim.common.bits import pack, unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pim import initial_currents, unpack_layer, unpack_places
from spikeloop.pysim.image.synapses import unpack_fanout
from spikeloop.pysim.model.cycles import cycles
from spikeloop.pysim.model.front import hear
from spikeloop.pysim.model.ticks import numba_engine, numpy_engine
from spikeloop.pysim.model.ticks.state import Drive, Raw, unpack_neurons
from spikeloop.pysim.pim.front import front_cycles
from spikeloop.pysim.pim.layer import PimLayer
from spikeloop.pysim.pim.model import run as run_pim
from spikeloop.pysim.sources.kinds import source_of
from spikeloop.pysim.sources.source import Source
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import STATES, Trace, recorded_states

__all__ = ["Core"]

MEMORY = 8 << 20
"""Sample-ticks times axons and neurons that run at once: this bounds the memory of a run."""


class Core:
    """One core loaded with ``image``; every :meth:`run` begins with CLEAR.

    ``engine``: "numba" where numba is installed, else "numpy". The argument forces one of them.
    """

    def __init__(self, image: Image, engine: str | None = None) -> None:
        known = ("numpy", "numba") if numba_engine.AVAILABLE else ("numpy",)
        if engine not in (None, *known):
            raise InputError(
                "engine must be numpy, or numba where numba is installed "
                f"(pip install -e '.[fast]' in a checkout), not {engine!r}"
            )
        self.image = image
        self.chip = image.chip
        self.axons = image.placement.rows
        self.engine = engine or known[-1]
        self.neurons = unpack_neurons(image)
        self._engine: Any = numba_engine if self.engine == "numba" else numpy_engine
        words = unpack_plain(word_record(self.chip), image.bits("words"))
        used = words["used"] != 0
        self._starts, self._joins = words["start"][used], words["last_digit"][used] + 1

    @cached_property
    def _source(self) -> Source | None:
        """The macro in front of the core, if the network has a source."""
        return source_of(self.image)

    @cached_property
    def _tables(self) -> Any:
        """What the engine reads of image and neurons, made when it first runs."""
        fanout = unpack_fanout(self.image.bits("fanout")[: self.axons])
        return self._engine.tables(self.image, self.neurons, fanout)

    def run(self, stimulus: Stimulus, *, membranes: bool = True, dense: bool = False) -> Trace:
        """Run all samples of ``stimulus`` from CLEAR.

        membranes: record them. dense: count cycles as if silent axons were visited too.

        Returns a Trace with every counter of the memory map, ``[sample, tick]``. Events that arrive
        at a tick count in it whether or not a population is live. Inputs that would arrive after
        the last tick are not sent.
        """
        stimulus.check(self.image)
        per_sample = self.image.ticks * (self.axons + self.neurons.place.size)
        size = max(1, min(self._engine.SAMPLES, MEMORY // per_sample))
        starts = range(0, max(1, stimulus.samples), size)

        def one(part: Stimulus) -> Trace:
            heard, left = hear(self.image, part, self._source)
            drive = self.drive(part)
            raw = self._engine.run(self._tables, self.events(heard), membranes, drive)
            trace = self.trace(raw, drive, dense=dense)
            counters = trace.counters | left.counters
            return replace(trace, counters=counters, ends=left.values)

        parts = [stimulus.take(slice(at, at + size)) for at in starts]
        return Trace.concatenate(self._engine.each(one, parts))

    def start(
        self, events: np.ndarray, *, membranes: bool = True
    ) -> numpy_engine.Running | numba_engine.Running:
        """CLEAR all samples, to be run tick by tick.

        events: uint8 0/1 ``[sample, tick, axon]``; more may be added for ticks to come.
        """
        running: numpy_engine.Running | numba_engine.Running
        running = self._engine.Running(self._tables, events, membranes)
        return running

    def predict_cycles(self, stimulus: Stimulus, *, dense: bool = False) -> np.ndarray:
        """The cycles that the RTL will take, without stalls: int64 ``[sample, tick]``."""
        return self.run(stimulus, membranes=False, dense=dense).counters["cycles"]

    def output_events(self, trace: Trace) -> np.ndarray:
        """AER events of the output stream in order, int64 ``[event, 3]``: sample, tick, address."""
        place = self.image.placement.population(self.image.output)
        events = np.argwhere(unpack(trace.spikes[place.name], place.size))
        return events + np.array([0, place.start, 0])

    # -- what goes in --------------------------------------------------------------------------

    def events(self, stimulus: Stimulus, ticks: int | None = None) -> np.ndarray:
        """What the host puts into the ring: uint8 0/1 ``[sample, tick, axon]``, by tick of arrival.

        ticks: of the run, where not the image's own. Inputs that the stimulus lacks are silent: in
        a mesh, other cores feed them.
        """
        image, ticks = self.image, ticks or self.image.ticks
        events = np.zeros((stimulus.samples, ticks, self.axons), np.uint8)
        for group in image.placement.inputs:
            steps = min(image.steps, ticks - group.delay)
            if steps > 0 and group.name in stimulus.spikes:
                arrival = slice(group.delay, group.delay + steps)
                axons = slice(group.first_axon, group.first_axon + group.size)
                lines = unpack(stimulus.spikes[group.name][:, :steps], group.size)
                events[:, arrival, axons] = lines
        return events

    def drive(self, stimulus: Stimulus) -> Drive | None:
        """What the PIM layer makes of the images of the stimulus.

        None if the image has no such layer.
        """
        head, image = self.image.pim_head, self.image
        if head is None:
            return None
        pixels, (entries, place) = stimulus.pixels[head.name], self._places
        samples, frames = stimulus.samples, head.frames(image.steps)
        start = image.placement.population(head.target).start
        currents = np.empty((samples, frames, self.neurons.place.size), np.int64)
        counters = {name: np.zeros((samples, image.ticks), np.int64) for name in PIM_COUNTERS}
        fixed = self._layer.counters() | {"pim_cycles": front_cycles(head)}
        memory = np.repeat(initial_currents(self.chip, image.rows("currents"))[None], samples, 0)
        for k in range(frames):
            if k == 0 or self._layer.sigma:  # without noise all steps are alike
                result = run_pim(self._layer, pixels, np.full(samples, k), codes=False)
            by_entry = result.currents.transpose(0, 2, 1).reshape(samples, -1)
            memory[:, place] = by_entry[:, entries]
            currents[:, k] = memory[:, self.neurons.place]
            for name in PIM_COUNTERS:
                counters[name][:, start + k] = (
                    result.clips[name] if name in result.clips else fixed[name]
                )
        return Drive(currents, start, counters)

    @cached_property
    def _layer(self) -> PimLayer:
        assert self.image.pim_head
        return unpack_layer(self.image.pim_head, self.image.memories)

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        return unpack_places(self.chip, self.image.rows(f"{PIM}places"))

    # -- what comes out ------------------------------------------------------------------------

    def trace(self, raw: Raw, drive: Drive | None = None, *, dense: bool = False) -> Trace:
        """What an engine left, as a trace: by population, and with every counter."""
        image, target = self.image, self.image.pim_head and self.image.pim_head.target
        spikes, currents = {}, {}
        states: dict[str, dict[str, np.ndarray]] = {part: {} for part in STATES}
        recorded = recorded_states(image.network, raw.membranes is not None)
        for p in image.placement.populations:
            at = self._columns(p.neurons)
            spikes[p.name] = pack(raw.spikes[:, :, at])
            for part in recorded:
                states[part][p.name] = getattr(raw, part)[:, :, at]
            if drive and p.name == target:
                currents[p.name] = drive.currents[:, :, at].astype(np.int32)
        counters = self._counters(raw, dense)
        counters |= drive.counters if drive else {}
        return Trace(spikes=spikes, counters=counters, currents=currents, **states)

    def _columns(self, neurons: np.ndarray) -> np.ndarray | slice:
        """Where neurons, word * lanes + lane, lie in an engine's order.

        A slice, which copies nothing, if they adjoin.
        """
        place = self.neurons.place
        order = np.full(self.chip.derived.words * self.chip.lanes, -1)
        order[place] = np.arange(place.size)
        at = order[neurons]
        if np.array_equal(at, np.arange(at[0], at[0] + at.size)):
            return slice(at[0], at[0] + at.size)
        return at

    def _counters(self, raw: Raw, dense: bool) -> dict[str, np.ndarray]:
        """Every counter of the memory map, int64 ``[sample, tick]``."""
        chip, (samples, ticks) = self.chip, raw.events.shape
        every = np.full_like(raw.events, self.axons)
        scan, events = (every, every) if dense else (raw.scan, raw.events)
        counters = {name: np.zeros((samples, ticks), np.int64) for name in COUNTERS}
        counters |= {
            "spikes_in": raw.events,
            "spikes_out": raw.fired,
            "sops": raw.sops,
            "slots": events * (chip.columns // self.image.placement.extension),
            "saturations": raw.saturations,
            "ticks": np.ones((samples, ticks), np.int64),
        }
        step = np.arange(ticks)[:, None] - self._starts
        live = (step >= 0) & (step < self.image.steps)
        words, joins = live.sum(axis=1).tolist(), (live @ self._joins).tolist()
        for tick in range(ticks):
            counters["cycles"][:, tick] = cycles(
                scan[:, tick],
                events[:, tick],
                raw.emit[:, tick],
                live=words[tick],
                joins=joins[tick],
                words=chip.derived.words,
                currents=chip.current_bits > 0,
            )
        return counters
