"""The engine of the chip model in numpy: all samples at once, one tick after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloop.pysim.chip.params import SCAN_BITS, Chip
from spikeloop.pysim.chip.records import ROUTE_LOCAL
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.model.ticks.arith import leak, low_bound, saturate
from spikeloop.pysim.model.ticks.second import after_spikes, decayed, synapse
from spikeloop.pysim.model.ticks.state import Drive, Group, Neurons, Raw

__all__ = ["SAMPLES", "Running", "Tables", "each", "parameters_on", "run", "tables"]

SAMPLES = 16
"""Samples that run at once, so that the arrays of a tick stay in the cache."""


@dataclass(frozen=True, eq=False)
class Tables:
    """A core as the engine reads it.

    neurons:     the neurons and their parameters
    fanout:      int64 ``[axon]``
    weights:     ``[axon, neuron]`` in a float type whose matrix product is exact: every partial sum
                 is an integer below 2^24 or 2^53
    uses:        of each parameter, whether any neuron has it other than 0; what no neuron uses is
                 skipped
    slots:       slots of the ring
    chunks:      chunks of lanes that spikes are emitted from
    steps:       steps of a sample
    chip:        parameters of the core
    """

    neurons: Neurons
    fanout: np.ndarray
    weights: np.ndarray
    uses: dict[str, bool]
    slots: int
    chunks: int
    steps: int
    chip: Chip


def tables(image: Image, neurons: Neurons, fanout: np.ndarray) -> Tables:
    """The tables of the neurons of an image; ``fanout`` int64 ``[axon]``."""
    chip, d, weights = image.chip, image.chip.derived, neurons.weights
    most = int(np.abs(weights.astype(np.int64)).sum(axis=0).max(initial=0))
    return Tables(
        neurons=neurons,
        fanout=fanout,
        weights=weights.astype(np.float32 if most < 1 << 24 else np.float64),
        uses={name: bool(value.any()) for name, value in neurons.p.items()},
        slots=d.slots,
        chunks=d.words * d.spike_chunks,
        steps=image.steps,
        chip=chip,
    )


def each(work: Callable[[Any], Any], parts: list[Any]) -> list[Any]:
    """``work`` of each part, in order."""
    return [work(part) for part in parts]


def run(tables: Tables, events: np.ndarray, membranes: bool, drive: Drive | None = None) -> Raw:
    """Run the samples of ``events`` from CLEAR, with the currents of a PIM layer if there are any.

    events: uint8 ``[sample, tick, axon]``.
    """
    running = Running(tables, events, membranes, drive)
    for tick in range(events.shape[1]):
        running.tick(tick)
    return running.finish()


class Running:
    """A run on its way from CLEAR: tick after tick, all samples of ``events`` at once."""

    def __init__(
        self, tables: Tables, events: np.ndarray, membranes: bool, drive: Drive | None = None
    ) -> None:
        n, (samples, ticks, axons) = tables.neurons, events.shape
        count = n.place.size
        self.tables, self.events, self.drive = tables, events, drive
        self.raw = Raw.zeros(
            samples,
            ticks,
            tables.steps,
            count,
            membranes=membranes,
            current=tables.chip.current_bits > 0,
            adaptation=tables.chip.adaptation_bits > 0,
        )
        self._v = np.repeat(n.p["v_init"][None], samples, axis=0)
        self._c = np.zeros((samples, count), np.int64)
        self._y, self._a = np.zeros((2, samples, count), np.int64)
        self._ring = np.zeros((tables.slots, samples, axons), np.uint8)
        local = np.flatnonzero(n.route["kind"] == ROUTE_LOCAL)
        delays = n.route["delay"][local]
        self._local = [(delay, local[delays == delay]) for delay in np.unique(delays)]
        self._by_chunk = np.argsort(n.chunk, kind="stable")
        used, self._first_of_chunk = np.unique(n.chunk[self._by_chunk], return_index=True)
        self._silent_chunks = tables.chunks - used.size

    def tick(self, tick: int) -> None:
        """Run the tick of this number; ticks come in order."""
        tables, raw, v, n = self.tables, self.raw, self._v, self.tables.neurons
        slots = tables.slots
        x = self.events[:, tick] | self._ring[tick % slots]
        self._ring[tick % slots] = 0
        raw.events[:, tick], raw.scan[:, tick] = _scan(x)
        raw.sops[:, tick] = x @ tables.fanout
        fired = np.zeros(v.shape, bool)
        current = x.astype(tables.weights.dtype)
        for group in n.groups:
            step = tick - group.start
            if not 0 <= step < tables.steps:
                continue
            at = group.neurons
            sums = (current @ tables.weights[:, at]).astype(np.int64)
            if self.drive:
                sums += self.drive.currents[:, self.drive.frame(tick), at]
            s, clipped = self._step(sums, group, step)
            fired[:, at] = s
            raw.saturations[:, tick] += clipped.sum(axis=1)
            raw.spikes[:, step, at] = s
            for record, state in (
                (raw.membranes, v),
                (raw.synaptic, self._y),
                (raw.adaptations, self._a),
            ):
                if record is not None:
                    record[:, step, at] = state[:, at]
        for delay, entry in self._local:
            arriving = fired[:, n.route["neuron"][entry]].astype(np.uint8)
            self._ring[(tick + delay) % slots][:, n.route["address"][entry]] |= arriving
        raw.emit[:, tick] = self._emit(fired)
        raw.fired[:, tick] = fired.sum(axis=1)

    def _step(self, sums: np.ndarray, group: Group, step: int) -> tuple[np.ndarray, np.ndarray]:
        """One step of the neurons of a group: their states move on.

        sums: Z. Returns the spikes and where a clip acted, both bool ``[sample, neuron]``.
        """
        chip, at = self.tables.chip, group.neurons
        p = parameters_on(self.tables, at, step >> group.page_shift)
        y, a, clips = self._y, self._a, []
        if chip.current_bits:
            y[:, at], sums, clip = synapse(p, y[:, at], sums, chip.current_bits, chip.leak_terms)
            clips.append(clip)
        if chip.adaptation_bits:
            left, raises, clip = decayed(p, a[:, at], chip.adaptation_bits, chip.leak_terms)
            clips.append(clip)
            v_sub = p["v_sub"] + np.where(p["a_reset"], raises, 0)
            p |= {"v_th": p["v_th"] + raises, "v_sub": v_sub}
        s, self._v[:, at], self._c[:, at], clipped = _step(
            self.tables, p, sums, self._v[:, at], self._c[:, at]
        )
        if chip.adaptation_bits:
            a[:, at], clip = after_spikes(p, left, s, chip.adaptation_bits)
            clips.append(clip)
        return s, np.logical_or.reduce([clipped, *clips])

    def finish(self) -> Raw:
        """What the ticks left."""
        return self.raw

    def _emit(self, fired: np.ndarray) -> np.ndarray:
        """Sum over chunks of lanes of max(1, route entries of their spikes): int64 ``[sample]``."""
        if not fired.size:
            return np.full(len(fired), self._silent_chunks)
        entries = (fired * self.tables.neurons.entries)[:, self._by_chunk]
        per_chunk = np.add.reduceat(entries, self._first_of_chunk, axis=1, dtype=np.int64)
        emitted: np.ndarray = np.maximum(per_chunk, 1).sum(axis=1) + self._silent_chunks
        return emitted


def _scan(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Events, and the sum over chunks of max(1, events), of axons uint8 0/1 ``[sample, axon]``."""
    per_chunk = np.add.reduceat(x, np.arange(0, x.shape[1], SCAN_BITS), axis=1, dtype=np.int64)
    return per_chunk.sum(axis=1), np.maximum(per_chunk, 1).sum(axis=1)


def parameters_on(tables: Tables, at: slice, page: int) -> dict[str, np.ndarray]:
    """Each parameter of the neurons ``at`` on a page or the last, int64 ``[neuron]``."""
    return {
        name: (value[min(page, value.shape[0] - 1)] if value.ndim == 2 else value)[at]
        for name, value in tables.neurons.p.items()
    }


def _step(
    tables: Tables, p: dict[str, np.ndarray], sums: np.ndarray, v: np.ndarray, c: np.ndarray
) -> tuple[np.ndarray, ...]:
    """One step of the membranes of neurons with the parameters ``p`` (docs/arithmetic.md).

    sums, v, c: what drives the membranes before the bias, membranes and steps of silence, each
    ``[sample, neuron]``. Returns (spikes, membranes, steps of silence, clipped), of the same shape.
    """
    uses, bits = tables.uses, tables.chip.membrane_bits
    current = sums + p["bias"]
    if uses["rectify"]:
        current = np.where(p["rectify"], np.maximum(current, 0), current)
    terms = [
        (p[f"sign{r}"], p[f"shift{r}"]) for r in range(tables.chip.leak_terms) if uses[f"sign{r}"]
    ]
    toward_zero = p["toward_zero"] if uses["toward_zero"] else None
    at_least_one = p["at_least_one"] if uses["at_least_one"] else None
    total = current + leak(v, p["k0"], terms, toward_zero, at_least_one)
    u = saturate(total, bits)
    clipped = u != total
    s = (u >= p["v_th"]) & (p["fire"] != 0)
    if uses["refractory"]:
        s &= c == 0
    if uses["bounded"] or uses["hold"]:
        held = (p["hold"] != 0) & (c > 0)
    rest = u
    if uses["bounded"]:
        raised = low_bound(u, p["v_low"], p["low_value"], p["low_add"])
        raised = np.where(p["bounded"], raised, u)
        rest = saturate(raised, bits)
        clipped |= (rest != raised) & ~s & ~held
    if uses["refractory"] and uses["hold"]:
        rest = np.where(held, p["v_reset"], rest)
    after = u
    if uses["soft"]:
        less = u - p["v_sub"]
        soft = saturate(less, bits)
        clipped |= (soft != less) & s & (p["soft"] != 0)
        after = np.where(p["soft"], soft, u)
    after = np.where(p["hard"], p["v_reset"], after)
    silence = np.where(s, p["refractory"], np.maximum(c - 1, 0)) if uses["refractory"] else c
    return s, np.where(s, after, rest), silence, clipped
