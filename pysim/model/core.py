"""The chip model: one core run from its image, bit-exact and cycle-exact, many samples at once.

It sees the memories of the image (pysim/model/state.py unpacks them) and nothing of the network. The contract is docs/arithmetic.md, the cycles
are those of docs/architecture.md. Two engines give the same result bit for bit: numpy here, and numba (pysim.model.numba_engine) where it is installed.
"""

from functools import cached_property

import numpy as np

from spikeloop.pysim.chip.memory_map import COUNTERS, PIM, PIM_COUNTERS
from spikeloop.pysim.chip.params import SCAN_BITS
from spikeloop.pysim.chip.records import ROUTE_LOCAL, unpack_plain, word_record
from spikeloop.pysim.common.bits import pack, unpack
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.pim import initial_currents, unpack_layer, unpack_places
from spikeloop.pysim.image.synapses import unpack_fanout
from spikeloop.pysim.model import numba_engine as fast
from spikeloop.pysim.model.arith import leak, low_bound, saturate
from spikeloop.pysim.model.state import Drive, Raw, unpack_neurons
from spikeloop.pysim.pim.front import front_cycles
from spikeloop.pysim.pim.layer import PimLayer
from spikeloop.pysim.pim.model import run as run_pim
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace

__all__ = ["Core", "cycles"]

# Cycles of docs/architecture.md, "Cycles": the RTL's own constants are hdl's, these are the model's.
START = 1  # to start a tick
SCAN = 1  # to begin a scan of the ring
REPLAY = 1  # to begin a pass over the events already found
WORD = 2  # to fetch a word record, live or not
DRAIN = 1  # from the last synapse row to the accumulators
JOIN = 2  # to begin joining digits
UPDATE = 3  # leak, fire, write back
EMIT = 4  # to begin and to end the emission


def cycles(
    scan: np.ndarray, events: np.ndarray, emit: np.ndarray, live: int, joins: int, words: int
) -> np.ndarray:
    """Cycles of a tick without stalls.

    scan: sum of max(1, events) over chunks of axons; events: of the tick (dense mode: axons, in both); emit: sum over all words' chunks of
    max(1, route entries of its spikes); live: live words; joins: sum of their digits per weight. All broadcast.
    """
    first = SCAN + scan
    accumulate = first + (live - 1) * (events + REPLAY) if live else first
    return START + words * WORD + accumulate + live * (DRAIN + JOIN + UPDATE) + joins + EMIT + emit


class Core:
    """One core loaded with ``image``; every :meth:`run` begins with CLEAR.

    ``engine``: "numba" where numba is installed, else "numpy"; the argument forces one.
    """

    def __init__(self, image: Image, engine: str | None = None) -> None:
        if engine not in (None, "numpy", "numba") or (engine == "numba" and not fast.AVAILABLE):
            raise InputError(
                f"engine must be numpy, or numba where numba is installed (pip install 'spikeloop[fast]'), not {engine!r}"
            )
        self.image = image
        self.chip = image.chip
        self.axons = image.placement.rows
        self.engine = engine or ("numba" if fast.AVAILABLE else "numpy")
        self.neurons = unpack_neurons(image)
        self.fanout = unpack_fanout(image.bits("fanout")[: self.axons])
        words = unpack_plain(word_record(self.chip), image.bits("words"))
        self._words = [
            (int(s), int(j) + 1)
            for u, s, j in zip(words["used"], words["start"], words["last_digit"], strict=True)
            if u
        ]

    def run(self, stimulus: Stimulus, *, membranes: bool = True, dense: bool = False) -> Trace:
        """Run all samples of ``stimulus`` from CLEAR; ``dense``: count cycles as if silent axons were visited too.

        Returns a Trace with every counter of the memory map per [sample, tick]. Events that arrive at a tick count in it whether
        or not a population is live; inputs that would arrive after the last tick are not sent.
        """
        stimulus.check(self.image)
        # Parts that bound the memory of a run, and in numpy keep one tick's arrays in the cache.
        most = 64 if self.engine == "numba" else 16
        size = max(
            1, min(most, (8 << 20) // (self.image.ticks * (self.axons + self.neurons.place.size)))
        )
        parts = [
            stimulus.take(slice(at, at + size)) for at in range(0, stimulus.samples, size)
        ] or [stimulus]

        def one(part: Stimulus) -> Trace:
            drive = self.drive(part)
            events = self.events(part)
            raw = (
                fast.run(self.tables, events, membranes, drive)
                if self.engine == "numba"
                else _run(self, events, membranes, drive)
            )
            return self.trace(raw, drive, dense=dense)

        return Trace.concatenate(
            fast.each(one, parts) if self.engine == "numba" else [one(part) for part in parts]
        )

    def start(self, events: np.ndarray, *, membranes: bool = True) -> "Running | fast.Running":
        """CLEAR all samples, to be run tick by tick. ``events``: uint8 ``[sample, tick, axon]``; more may be added for ticks to come."""
        return (
            fast.Running(self.tables, events, membranes)
            if self.engine == "numba"
            else Running(self, events, membranes)
        )

    def predict_cycles(self, stimulus: Stimulus, *, dense: bool = False) -> np.ndarray:
        """int64 ``[sample, tick]``: the cycles that the RTL will take, without stalls."""
        return self.run(stimulus, membranes=False, dense=dense).counters["cycles"]

    def output_events(self, trace: Trace) -> np.ndarray:
        """AER events of the output stream in their order: int64 ``[event, 3]`` of (sample, tick, address)."""
        place = self.image.placement.population(self.image.output)
        found = np.argwhere(unpack(trace.spikes[place.name], place.size))
        return found + np.array([0, place.start, 0])

    def events(self, stimulus: Stimulus, ticks: int | None = None) -> np.ndarray:
        """What the host puts into the ring: uint8 0/1 ``[sample, tick, axon]``, axon events by the tick they arrive at.

        ``ticks``: of the run, where not the image's own. Inputs that the stimulus lacks are silent (other cores of a mesh feed them).
        """
        image, ticks = self.image, ticks or self.image.ticks
        events = np.zeros((stimulus.samples, ticks, self.axons), np.uint8)
        for group in image.placement.inputs:
            steps = min(image.steps, ticks - group.delay)
            if steps > 0 and group.name in stimulus.spikes:
                lines = unpack(stimulus.spikes[group.name][:, :steps], group.size)
                events[
                    :,
                    group.delay : group.delay + steps,
                    group.first_axon : group.first_axon + group.size,
                ] = lines
        return events

    def drive(self, stimulus: Stimulus) -> Drive | None:
        """What the PIM layer makes of the stimulus' images, if the image has one."""
        head, image = self.image.pim_head, self.image
        if head is None:
            return None
        pixels, (entries, place) = stimulus.pixels[head.name], self._places
        shape = (stimulus.samples, head.frames(image.steps))
        start = image.placement.population(head.target).start
        currents = np.empty((*shape, self.neurons.place.size), np.int64)
        counters = {
            name: np.zeros((stimulus.samples, image.ticks), np.int64) for name in PIM_COUNTERS
        }
        fixed = self._layer.counters() | {"pim_cycles": front_cycles(head)}
        memory = np.repeat(
            initial_currents(self.chip, image.rows("currents"))[None], len(pixels), 0
        )
        for k in range(shape[1]):
            if k == 0 or self._layer.sigma:  # else the steps are alike
                made = run_pim(self._layer, pixels, np.full(len(pixels), k), codes=False)
            memory[:, place] = made.currents.transpose(0, 2, 1).reshape(len(pixels), -1)[:, entries]
            currents[:, k] = memory[:, self.neurons.place]
            for name in PIM_COUNTERS:
                counters[name][:, start + k] = (
                    made.clips[name] if name in made.clips else fixed[name]
                )
        return Drive(currents, start, counters)

    @cached_property
    def _layer(self) -> PimLayer:
        assert self.image.pim_head
        return unpack_layer(self.image.pim_head, self.image.memories)

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        return unpack_places(self.chip, self.image.rows(f"{PIM}places"))

    # -- numpy engine ------------------------------------------------------------------------------------

    @cached_property
    def tables(self) -> fast.Tables:
        """What the numba engine reads."""
        return fast.tables(self.image, self.neurons, self.fanout)

    @cached_property
    def _weights(self) -> np.ndarray:
        """Weights in a float type whose matrix product is exact: every partial sum is an integer below 2^24 or 2^53."""
        weights = self.neurons.weights
        bound = int(np.abs(weights.astype(np.int64)).sum(axis=0).max(initial=0))
        return weights.astype(np.float32 if bound < 1 << 24 else np.float64)

    @cached_property
    def _uses(self) -> dict[str, bool]:
        """Which parts of the contract any neuron uses: the others are skipped."""
        return {name: bool(value.any()) for name, value in self.neurons.p.items()}

    def _step(
        self, sums: np.ndarray, v: np.ndarray, c: np.ndarray, mine: slice, step: int
    ) -> tuple[np.ndarray, ...]:
        """One step of the neurons ``mine``: (spikes, membranes, refractory counts, clipped), each ``[sample, neuron]``."""
        bits, uses = self.chip.membrane_bits, self._uses
        p = {
            name: (value[min(step, value.shape[0] - 1)] if value.ndim == 2 else value)[mine]
            for name, value in self.neurons.p.items()
        }
        current = sums + p["bias"]
        if uses["rectify"]:
            current = np.where(p["rectify"], np.maximum(current, 0), current)
        terms = [
            (p[f"sign{r}"], p[f"shift{r}"]) for r in range(self.chip.leak_terms) if uses[f"sign{r}"]
        ]
        total = current + leak(
            v,
            p["k0"],
            terms,
            p["toward_zero"] if uses["toward_zero"] else None,
            p["at_least_one"] if uses["at_least_one"] else None,
        )
        u = saturate(total, bits)
        clipped = u != total
        s = (u >= p["v_th"]) & (p["fire"] != 0)
        if uses["refractory"]:
            s &= c == 0
        new = u
        if uses["bounded"]:
            bounded = np.where(
                p["bounded"], low_bound(u, p["v_low"], p["low_value"], p["low_add"]), u
            )
            new = saturate(bounded, bits)
            held = (p["hold"] != 0) & (c > 0)
            clipped |= (new != bounded) & ~s & ~held
        if uses["refractory"] and uses["hold"]:
            new = np.where((p["hold"] != 0) & (c > 0), p["v_reset"], new)
        after = u
        if uses["soft"]:
            less = u - p["v_sub"]
            soft = saturate(less, bits)
            clipped |= (soft != less) & s & (p["soft"] != 0)
            after = np.where(p["soft"], soft, u)
        after = np.where(p["hard"], p["v_reset"], after)
        count = np.where(s, p["refractory"], np.maximum(c - 1, 0)) if uses["refractory"] else c
        return s, np.where(s, after, new), count, clipped

    # -- trace -------------------------------------------------------------------------------------------

    def trace(self, raw: Raw, drive: Drive | None = None, *, dense: bool = False) -> Trace:
        """Neuron order to populations, raw figures to counters."""
        chip, d, image = self.chip, self.chip.derived, self.image
        samples, ticks = raw.events.shape
        scan, events = (
            (np.full_like(raw.scan, self.axons),) * 2 if dense else (raw.scan, raw.events)
        )
        counters = {name: np.zeros((samples, ticks), np.int64) for name in COUNTERS}
        slots = events * (chip.columns // image.placement.extension)
        counters |= {
            "spikes_in": raw.events,
            "spikes_out": raw.fired,
            "sops": raw.sops,
            "slots": slots,
            "saturations": raw.saturations,
            "ticks": np.ones((samples, ticks), np.int64),
        }
        for tick in range(ticks):
            live = [join for start, join in self._words if 0 <= tick - start < image.steps]
            counters["cycles"][:, tick] = cycles(
                scan[:, tick], events[:, tick], raw.emit[:, tick], len(live), sum(live), d.words
            )
        spikes, membranes, currents = {}, {}, {}
        order = np.full(d.words * chip.lanes, -1)
        order[self.neurons.place] = np.arange(self.neurons.place.size)
        for p in image.placement.populations:
            mine = order[p.neurons]
            if np.array_equal(mine, np.arange(mine[0], mine[0] + mine.size)):
                mine = slice(mine[0], mine[0] + mine.size)  # a view, no copy
            spikes[p.name] = pack(raw.spikes[:, :, mine])
            if raw.membranes is not None:
                membranes[p.name] = raw.membranes[:, :, mine]
            if drive and image.pim_head and p.name == image.pim_head.target:
                currents[p.name] = drive.currents[:, :, mine].astype(np.int32)
        return Trace(spikes, membranes, counters | (drive.counters if drive else {}), currents)


def _run(core: Core, events: np.ndarray, membranes: bool, drive: Drive | None) -> Raw:
    running = Running(core, events, membranes, drive)
    for tick in range(events.shape[1]):
        running.tick(tick)
    return running.finish()


class Running:
    """A run of the numpy engine on its way: tick after tick from CLEAR, all samples of ``events`` at once."""

    def __init__(
        self, core: Core, events: np.ndarray, membranes: bool, drive: Drive | None = None
    ) -> None:
        n, d, samples = core.neurons, core.chip.derived, events.shape[0]
        self.core, self.events, self.drive = core, events, drive
        self.raw = Raw.zeros(samples, events.shape[1], core.image.steps, n.place.size, membranes)
        self._v = np.repeat(n.p["v_init"][None], samples, axis=0)
        self._c = np.zeros((samples, n.place.size), np.int64)
        self._ring = np.zeros((d.slots, samples, core.axons), np.uint8)
        local = np.flatnonzero(n.route["kind"] == ROUTE_LOCAL)
        self._local = [
            (delay, local[n.route["delay"][local] == delay])
            for delay in np.unique(n.route["delay"][local])
        ]
        self._by_chunk = np.argsort(n.chunk, kind="stable")
        used_chunks, self._first_of_chunk = np.unique(n.chunk[self._by_chunk], return_index=True)
        self._silent_chunks = d.words * d.spike_chunks - used_chunks.size

    def tick(self, tick: int) -> None:
        """Run the tick of this number; they come in order."""
        core, raw, v, c, n = self.core, self.raw, self._v, self._c, self.core.neurons
        slots = len(self._ring)
        x = self.events[:, tick] | self._ring[tick % slots]
        self._ring[tick % slots] = 0
        raw.events[:, tick], raw.scan[:, tick] = _scan(x)
        raw.sops[:, tick] = x @ core.fanout
        fired = np.zeros(v.shape, bool)
        current = x.astype(core._weights.dtype)
        for start, first, last in n.groups:
            step = tick - start
            if 0 <= step < core.image.steps:
                mine = slice(first, last)
                sums = (current @ core._weights[:, mine]).astype(np.int64)
                if self.drive:
                    sums += self.drive.currents[:, self.drive.frame(tick), mine]
                s, v[:, mine], c[:, mine], clipped = core._step(
                    sums, v[:, mine], c[:, mine], mine, step
                )
                fired[:, mine] = s
                raw.saturations[:, tick] += clipped.sum(axis=1)
                raw.spikes[:, step, mine] = s
                if raw.membranes is not None:
                    raw.membranes[:, step, mine] = v[:, mine]
        for delay, to in self._local:
            self._ring[(tick + delay) % slots][:, n.route["address"][to]] |= fired[
                :, n.route["neuron"][to]
            ].astype(np.uint8)
        if fired.size:
            per_chunk = np.add.reduceat(
                (fired * n.entries)[:, self._by_chunk], self._first_of_chunk, axis=1, dtype=np.int64
            )
            raw.emit[:, tick] = np.maximum(per_chunk, 1).sum(axis=1)
        raw.emit[:, tick] += self._silent_chunks
        raw.fired[:, tick] = fired.sum(axis=1)

    def finish(self) -> Raw:
        """What the ticks left."""
        return self.raw


def _scan(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Events, and the sum over chunks of max(1, events), of axons uint8 0/1 ``[sample, axon]``."""
    per_chunk = np.add.reduceat(x, np.arange(0, x.shape[1], SCAN_BITS), axis=1, dtype=np.int64)
    return per_chunk.sum(axis=1), np.maximum(per_chunk, 1).sum(axis=1)
