"""The chip model: one core run from its image, bit-exact and cycle-exact, many samples at once.

It sees the memories of the image and nothing of the network: weights come out of the synapse rows, parameters out
of the lane records, routes out of the route records. The contract is docs/arithmetic.md, the cycles are those of
docs/architecture.md. Two engines give the same result bit for bit: numpy here, and numba (pysim.fast) where it is installed.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pysim import fast
from pysim.arith import leak, low_bound, saturate
from pysim.errors import InputError
from pysim.image import Image
from pysim.memory_map import COUNTERS, PIM, PIM_COUNTERS
from pysim.params import SCAN_BITS
from pysim.pim import run as run_pim
from pysim.pim_front import front_cycles
from pysim.pim_pack import initial_currents, places, unpack_layer
from pysim.pim_params import PimLayer
from pysim.records import (
    ROUTE_LOCAL,
    bound_record,
    fire_record,
    leak_record,
    neuron_record,
    route_record,
    unpack_lanes,
    unpack_plain,
    word_record,
)
from pysim.trace import Stimulus, Trace, unpack

__all__ = ["Core", "Drive", "Neurons", "cycles"]

# Cycles of docs/architecture.md, "Cycles": the RTL's own constants are hdl's, these are the model's.
START = 1  # to start a tick
SCAN = 1  # to begin a scan of the ring
REPLAY = 1  # to begin a pass over the events already found
WORD = 2  # to fetch a word record, live or not
DRAIN = 1  # from the last synapse row to the accumulators
JOIN = 2  # to begin joining digits
UPDATE = 3  # leak, fire, write back
EMIT = 4  # to begin and to end the emission


def cycles(scan: np.ndarray, events: np.ndarray, emit: np.ndarray, live: int, joins: int, words: int) -> np.ndarray:
    """Cycles of a tick without stalls.

    scan: sum of max(1, events) over chunks of axons; events: of the tick (dense mode: axons, in both); emit: sum over all words' chunks of
    max(1, route entries of its spikes); live: live words; joins: sum of their digits per weight. All broadcast.
    """
    first = SCAN + scan
    accumulate = first + (live - 1) * (events + REPLAY) if live else first
    return START + words * WORD + accumulate + live * (DRAIN + JOIN + UPDATE) + joins + EMIT + emit


@dataclass(frozen=True, eq=False)
class Neurons:
    """All neurons of a core, ordered by start tick, word, lane; arrays ``[n]`` or, where paged, ``[pages, n]``; int64 unless said.

    ``groups``: (start, first, last + 1) of the neurons of each start tick. Pages beyond a word's last repeat its last. ``weights``
    int16 ``[axons, n]`` (f times the chip's axons). ``route``: fields of the route entries ``[entry]``, and whose they are (``neuron``),
    in its order; without a mesh one for each neuron. ``entries`` ``[n]``: how many each has.
    """

    place: np.ndarray
    chunk: np.ndarray
    groups: list[tuple[int, int, int]]
    weights: np.ndarray
    route: dict[str, np.ndarray]
    entries: np.ndarray
    p: dict[str, np.ndarray]


class Core:
    """One core loaded with ``image``; every :meth:`run` begins with CLEAR.

    ``engine``: "numba" where numba is installed, else "numpy"; the argument forces one.
    """

    def __init__(self, image: Image, engine: str | None = None) -> None:
        if engine not in (None, "numpy", "numba") or (engine == "numba" and not fast.AVAILABLE):
            raise InputError(f"engine must be numpy, or numba where numba is installed (pip install 'spikeloop[fast]'), not {engine!r}")
        self.image = image
        self.chip = image.chip
        self.axons = image.placement.rows
        self.engine = engine or ("numba" if fast.AVAILABLE else "numpy")
        self.neurons = _unpack(image)
        self.fanout = _unpack_fanout(image)
        words = unpack_plain(word_record(self.chip), image.bits("words"))
        self._words = [(int(s), int(j) + 1) for u, s, j in zip(words["used"], words["start"], words["last_digit"], strict=True) if u]

    def run(self, stimulus: Stimulus, *, membranes: bool = True, dense: bool = False) -> Trace:
        """Run all samples of ``stimulus`` from CLEAR; ``dense``: count cycles as if silent axons were visited too.

        Returns a Trace with every counter of the memory map per [sample, tick]. Events that arrive at a tick count in it whether
        or not a population is live; inputs that would arrive after the last tick are not sent.
        """
        stimulus.check(self.image)
        # Parts that bound the memory of a run, and in numpy keep one tick's arrays in the cache.
        most = 64 if self.engine == "numba" else 16
        size = max(1, min(most, (8 << 20) // (self.image.ticks * (self.axons + self.neurons.place.size))))
        parts = [stimulus.take(slice(at, at + size)) for at in range(0, stimulus.samples, size)] or [stimulus]
        def one(part: Stimulus) -> Trace:
            drive = self.drive(part)
            raw = (fast.run if self.engine == "numba" else _run)(self, self.events(part), membranes, drive)
            return self.trace(raw, drive, dense=dense)

        return Trace.concatenate(fast.each(one, parts) if self.engine == "numba" else [one(part) for part in parts])

    def start(self, events: np.ndarray, *, membranes: bool = True) -> "Running | fast.Running":
        """CLEAR all samples, to be run tick by tick. ``events``: uint8 ``[sample, tick, axon]``; more may be added for ticks to come."""
        return (fast.Running if self.engine == "numba" else Running)(self, events, membranes)

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
                events[:, group.delay:group.delay + steps, group.first_axon:group.first_axon + group.size] = lines
        return events

    def drive(self, stimulus: Stimulus) -> "Drive | None":
        """What the PIM layer makes of the stimulus' images, if the image has one."""
        head, image = self.image.pim_head, self.image
        if head is None:
            return None
        pixels, (entries, place) = stimulus.pixels[head.name], self._places
        shape = (stimulus.samples, head.frames(image.steps))
        start = image.placement.population(head.target).start
        currents = np.empty((*shape, self.neurons.place.size), np.int64)
        counters = {name: np.zeros((stimulus.samples, image.ticks), np.int64) for name in PIM_COUNTERS}
        fixed = self._layer.counters() | {"pim_cycles": front_cycles(head)}
        memory = np.repeat(initial_currents(self.chip, image.rows("currents"))[None], len(pixels), 0)
        for k in range(shape[1]):
            if k == 0 or self._layer.sigma:  # else the steps are alike
                made = run_pim(self._layer, pixels, np.full(len(pixels), k), codes=False)
            memory[:, place] = made.currents.transpose(0, 2, 1).reshape(len(pixels), -1)[:, entries]
            currents[:, k] = memory[:, self.neurons.place]
            for name in PIM_COUNTERS:
                counters[name][:, start + k] = made.clips[name] if name in made.clips else fixed[name]
        return Drive(currents, start, counters)

    @cached_property
    def _layer(self) -> PimLayer:
        assert self.image.pim_head
        return unpack_layer(self.image.pim_head, self.image.memories)

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        return places(self.chip, self.image.rows(f"{PIM}places"))

    # -- numpy engine ------------------------------------------------------------------------------------

    @cached_property
    def tables(self) -> fast.Tables:
        """What the numba engine reads."""
        return fast.tables(self)

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

    def _step(self, sums: np.ndarray, v: np.ndarray, c: np.ndarray, mine: slice, step: int) -> tuple[np.ndarray, ...]:
        """One step of the neurons ``mine``: (spikes, membranes, refractory counts, clipped), each ``[sample, neuron]``."""
        bits, uses = self.chip.membrane_bits, self._uses
        p = {name: (value[min(step, value.shape[0] - 1)] if value.ndim == 2 else value)[mine] for name, value in self.neurons.p.items()}
        current = sums + p["bias"]
        if uses["rectify"]:
            current = np.where(p["rectify"], np.maximum(current, 0), current)
        terms = [(p[f"sign{r}"], p[f"shift{r}"]) for r in range(self.chip.leak_terms) if uses[f"sign{r}"]]
        total = current + leak(v, p["k0"], terms, p["toward_zero"] if uses["toward_zero"] else None,
                               p["at_least_one"] if uses["at_least_one"] else None)
        u = saturate(total, bits)
        clipped = u != total
        s = (u >= p["v_th"]) & (p["fire"] != 0)
        if uses["refractory"]:
            s &= c == 0
        new = u
        if uses["bounded"]:
            bounded = np.where(p["bounded"], low_bound(u, p["v_low"], p["low_value"], p["low_add"]), u)
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

    def trace(self, raw: "Raw", drive: "Drive | None" = None, *, dense: bool = False) -> Trace:
        """Neuron order to populations, raw figures to counters."""
        chip, d, image = self.chip, self.chip.derived, self.image
        samples, ticks = raw.events.shape
        scan, events = (np.full_like(raw.scan, self.axons),) * 2 if dense else (raw.scan, raw.events)
        counters = {name: np.zeros((samples, ticks), np.int64) for name in COUNTERS}
        slots = events * (chip.columns // image.placement.extension)
        counters |= {"spikes_in": raw.events, "spikes_out": raw.fired, "sops": raw.sops, "slots": slots,
                     "saturations": raw.saturations, "ticks": np.ones((samples, ticks), np.int64)}
        for tick in range(ticks):
            live = [join for start, join in self._words if 0 <= tick - start < image.steps]
            counters["cycles"][:, tick] = cycles(scan[:, tick], events[:, tick], raw.emit[:, tick], len(live), sum(live), d.words)
        spikes, membranes, currents = {}, {}, {}
        order = np.full(d.words * chip.lanes, -1)
        order[self.neurons.place] = np.arange(self.neurons.place.size)
        for p in image.placement.populations:
            mine = order[p.neurons]
            if np.array_equal(mine, np.arange(mine[0], mine[0] + mine.size)):
                mine = slice(mine[0], mine[0] + mine.size)  # a view, no copy
            spikes[p.name] = np.packbits(raw.spikes[:, :, mine], axis=-1, bitorder="little")
            if raw.membranes is not None:
                membranes[p.name] = raw.membranes[:, :, mine]
            if drive and image.pim_head and p.name == image.pim_head.target:
                currents[p.name] = drive.currents[:, :, mine].astype(np.int32)
        return Trace(spikes, membranes, counters | (drive.counters if drive else {}), currents)


@dataclass(frozen=True, eq=False)
class Drive:
    """Currents of a PIM layer, int64 ``[sample, frame, neuron]`` of all neurons of a core in its order (0 for those it does not drive).

    They are new before the ticks ``start`` + frame, and held after the last. ``counters``: PIM_COUNTERS, int64 ``[sample, tick]``.
    """

    currents: np.ndarray
    start: int
    counters: dict[str, np.ndarray]

    def frame(self, tick: int) -> int:
        return min(max(tick - self.start, 0), self.currents.shape[1] - 1)


def _run(core: Core, events: np.ndarray, membranes: bool, drive: Drive | None) -> "Raw":
    running = Running(core, events, membranes, drive)
    for tick in range(events.shape[1]):
        running.tick(tick)
    return running.finish()


class Running:
    """A run of the numpy engine on its way: tick after tick from CLEAR, all samples of ``events`` at once."""

    def __init__(self, core: Core, events: np.ndarray, membranes: bool, drive: Drive | None = None) -> None:
        n, d, samples = core.neurons, core.chip.derived, events.shape[0]
        self.core, self.events, self.drive = core, events, drive
        self.raw = Raw.zeros(samples, events.shape[1], core.image.steps, n.place.size, membranes)
        self._v = np.repeat(n.p["v_init"][None], samples, axis=0)
        self._c = np.zeros((samples, n.place.size), np.int64)
        self._ring = np.zeros((d.slots, samples, core.axons), np.uint8)
        local = np.flatnonzero(n.route["kind"] == ROUTE_LOCAL)
        self._local = [(delay, local[n.route["delay"][local] == delay]) for delay in np.unique(n.route["delay"][local])]
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
                s, v[:, mine], c[:, mine], clipped = core._step(sums, v[:, mine], c[:, mine], mine, step)
                fired[:, mine] = s
                raw.saturations[:, tick] += clipped.sum(axis=1)
                raw.spikes[:, step, mine] = s
                if raw.membranes is not None:
                    raw.membranes[:, step, mine] = v[:, mine]
        for delay, to in self._local:
            self._ring[(tick + delay) % slots][:, n.route["address"][to]] |= fired[:, n.route["neuron"][to]].astype(np.uint8)
        if fired.size:
            per_chunk = np.add.reduceat((fired * n.entries)[:, self._by_chunk], self._first_of_chunk, axis=1, dtype=np.int64)
            raw.emit[:, tick] = np.maximum(per_chunk, 1).sum(axis=1)
        raw.emit[:, tick] += self._silent_chunks
        raw.fired[:, tick] = fired.sum(axis=1)

    def finish(self) -> "Raw":
        """What the ticks left."""
        return self.raw


@dataclass(eq=False)
class Raw:
    """What an engine leaves: ``spikes`` uint8 and ``membranes`` int32 (or None) ``[sample, step, neuron]``.

    The other figures are int64 ``[sample, tick]``.
    """

    spikes: np.ndarray
    membranes: np.ndarray | None
    events: np.ndarray
    scan: np.ndarray
    sops: np.ndarray
    fired: np.ndarray
    emit: np.ndarray
    saturations: np.ndarray

    def fired_at(self, tick: int, groups: list[tuple[int, int, int]]) -> np.ndarray:
        """The spikes of a tick, uint8 0/1 ``[sample, neuron]``; ``groups`` of the neurons."""
        fired = np.zeros((len(self.spikes), self.spikes.shape[2]), np.uint8)
        for start, first, last in groups:
            if 0 <= tick - start < self.spikes.shape[1]:
                fired[:, first:last] = self.spikes[:, tick - start, first:last]
        return fired

    @classmethod
    def zeros(cls, samples: int, ticks: int, steps: int, neurons: int, membranes: bool) -> "Raw":
        return cls(np.zeros((samples, steps, neurons), np.uint8), np.zeros((samples, steps, neurons), np.int32) if membranes else None,
                   *(np.zeros((samples, ticks), np.int64) for _ in range(6)))


def _scan(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Events, and the sum over chunks of max(1, events), of axons uint8 0/1 ``[sample, axon]``."""
    per_chunk = np.add.reduceat(x, np.arange(0, x.shape[1], SCAN_BITS), axis=1, dtype=np.int64)
    return per_chunk.sum(axis=1), np.maximum(per_chunk, 1).sum(axis=1)


def _unpack_fanout(image: Image) -> np.ndarray:
    """The fanout memory: int64 ``[axon]``."""
    bits = image.bits("fanout")[:image.placement.rows].astype(np.int64)
    return (bits << np.arange(bits.shape[1])).sum(axis=1)


def _unpack(image: Image) -> Neurons:
    """Memories to arrays over the neurons in use."""
    chip, d = image.chip, image.chip.derived
    words = unpack_plain(word_record(chip), image.bits("words"))
    neuron = unpack_lanes(neuron_record(chip), chip.lanes, image.bits("neuron"))
    if chip.bounded:
        neuron |= unpack_lanes(bound_record(chip), chip.lanes, image.bits("bound"))
    word, lane = np.nonzero(neuron["used"] & words["used"][:, None])
    order = np.lexsort((lane, word, words["start"][word]))
    word, lane = word[order], lane[order]
    starts, first = np.unique(words["start"][word], return_index=True)
    groups = list(zip(starts.tolist(), first.tolist(), [*first[1:].tolist(), word.size], strict=True))

    p = {name: value[word, lane] for name, value in neuron.items() if name != "used"}
    pages = int(words["last_page"][word].max(initial=0)) + 1
    row = word * chip.pages + np.minimum(np.arange(pages)[:, None], words["last_page"][word])
    for name, record in (("leak", leak_record(chip)), ("fire", fire_record(chip))):
        p |= {key: value[row, lane] for key, value in unpack_lanes(record, chip.lanes, image.bits(name)).items()}
    for r in range(chip.leak_terms):
        p[f"sign{r}"] = p.pop(f"on{r}") * (1 - 2 * p.pop(f"negative{r}"))
    for name in ("toward_zero", "at_least_one", "bounded", "low_add", "v_low", "low_value", "refractory", "hold"):
        p.setdefault(name, np.zeros(word.size, np.int64))

    route = _unpack_routes(image, (word << d.lane_bits) | lane)
    return Neurons(word * chip.lanes + lane, word * d.spike_chunks + lane // SCAN_BITS, groups, _unpack_weights(image, words, word, lane),
                   route, np.bincount(route["neuron"], minlength=word.size), p)


def _unpack_routes(image: Image, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The entries of neurons whose first ones lie at ``rows``; in a mesh chains of them."""
    routes = unpack_plain(route_record(image.chip), image.bits("routes"))
    neuron, row = [np.arange(rows.size)], [rows]
    while "more" in routes and (further := routes["more"][row[-1]] == 1).any():
        if len(row) > image.chip.derived.route_rows or routes["next"][row[-1]][further].max() >= image.chip.derived.route_rows:
            raise InputError(f"chains of routes of image {image.name!r} must end within their memory, not outside: map the network again")
        neuron, row = [*neuron, neuron[-1][further]], [*row, routes["next"][row[-1]][further]]
    order = np.argsort(np.concatenate(neuron), kind="stable")
    at = np.concatenate(row)[order]
    return {"neuron": np.concatenate(neuron)[order], **{key: value[at] for key, value in routes.items()}}


def _unpack_weights(image: Image, words: dict[str, np.ndarray], word: np.ndarray, lane: np.ndarray) -> np.ndarray:
    """int16 ``[axon, neuron]``: digits joined by their strengths, less the excess."""
    chip = image.chip
    axons, used = image.placement.rows, len(image.placement.words)
    weights = np.zeros((axons, word.size), np.int16)
    rows = image.rows("synapse").reshape(used, axons, -1)
    for w in np.unique(word):
        mine = np.flatnonzero(word == w)
        bits = np.unpackbits(rows[w], axis=1, count=chip.lanes * chip.digit_bits, bitorder="little")
        digits = (bits.reshape(axons, chip.digit_bits, -1).astype(np.int32) << np.arange(chip.digit_bits)[:, None]).sum(axis=1)
        total = np.zeros((axons, mine.size), np.int32)
        for j in range(int(words["last_digit"][w]) + 1):
            total += digits[:, lane[mine] + j] << (j * chip.digit_bits * int(words["shift"][w]))
        weights[:, mine] = total - (int(words["offset"][w]) << int(words["offset_shift"][w]))
    return weights
