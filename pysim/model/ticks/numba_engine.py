"""The engine of the chip model that numba compiles (the optional extra "fast"); event-driven.

The state and the result are those of pysim.model.ticks.numpy_engine. Two threads walk samples
without the GIL. No parallel runtime of numba's is used, so a process that forks later stays safe.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from spikeloop.pysim.chip.records import ROUTE_LOCAL
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.model.ticks.kernel import (
    AVAILABLE,
    PAGED,
    PLAIN,
    Currents,
    Outputs,
    State,
    Tables,
    run_ticks,
)
from spikeloop.pysim.model.ticks.second_kernel import ADAPTIVE, SYNAPTIC
from spikeloop.pysim.model.ticks.state import Drive, Neurons, Raw

__all__ = ["AVAILABLE", "SAMPLES", "Running", "Tables", "each", "run", "tables"]

SAMPLES = 64
"""Samples that run at once, to bound the memory of a run."""
THREADS = 2


def each(work: Callable[[Any], Any], parts: list[Any]) -> list[Any]:
    """``work`` of each part, in order, two at a time."""
    if len(parts) == 1:
        return [work(parts[0])]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, parts))


def run(tables: Tables, events: np.ndarray, membranes: bool, drive: Drive | None = None) -> Raw:
    """Run the samples of ``events`` from CLEAR, with the currents of a PIM layer if there are any.

    events: uint8 ``[sample, tick, axon]``.
    """
    running = Running(tables, events, membranes, drive, together=False)
    running.ticks(0, events.shape[1])
    return running.finish()


class Running:
    """A run on its way from CLEAR: tick after tick, all samples of ``events`` at once.

    If not ``together``, one sample runs all its ticks before the next one begins.
    """

    def __init__(
        self,
        tables: Tables,
        events: np.ndarray,
        membranes: bool,
        drive: Drive | None = None,
        *,
        together: bool = True,
    ) -> None:
        samples, ticks, axons = events.shape
        count, kind = tables.chunk.size, tables.plain.dtype
        states = samples if together else 1
        self.tables, self.events = tables, events
        raw = self.raw = Raw.zeros(
            samples,
            ticks,
            tables.steps,
            count,
            membranes=membranes,
            current=tables.current_bits > 0,
            adaptation=tables.adaptation_bits > 0,
        )
        nothing = np.zeros((1, 1, 1), np.int32)
        self._out = Outputs(
            spikes=raw.spikes,
            membranes=nothing if raw.membranes is None else raw.membranes,
            synaptic=nothing if raw.synaptic is None else raw.synaptic,
            adaptations=nothing if raw.adaptations is None else raw.adaptations,
            recorded=membranes,
            figures=np.zeros((samples, ticks, 6), np.int64),
        )
        self._state = State(
            rings=np.zeros((states, tables.slots, axons), np.uint8),
            v=np.zeros((states, count), kind),
            c=np.zeros((states, count), kind),
            y=np.zeros((states, count), np.int64),
            a=np.zeros((states, count), np.int64),
        )
        self._currents = Currents(np.zeros((1, 0, 0), kind), 0)
        if drive:
            self._currents = Currents(drive.currents.astype(kind), drive.start)

    def tick(self, tick: int) -> None:
        """Run the tick of this number; ticks come in order."""
        self.ticks(tick, tick + 1)

    def ticks(self, begin: int, end: int) -> None:
        """Run the ticks begin..end - 1 of each sample."""
        run_ticks(self.tables, self.events, self._currents, self._state, self._out, begin, end)

    def finish(self) -> Raw:
        """What the ticks left."""
        raw, figures = self.raw, self._out.figures
        raw.events, raw.scan, raw.sops, raw.fired, raw.emit, raw.saturations = (
            figures[:, :, i].copy() for i in range(6)
        )
        return raw


def tables(image: Image, n: Neurons, fanout: np.ndarray) -> Tables:
    """The tables of the neurons ``n`` of an image; ``fanout`` int64 ``[axon]``.

    There are five combinations of types in all; each is compiled when it is first met.
    """
    chip, d = image.chip, image.chip.derived
    # No sum of weights, nor a part of one, is larger in size.
    positive, negative = np.maximum(n.weights, 0), np.minimum(n.weights, 0)
    sums = positive.sum(axis=0, dtype=np.int64) - negative.sum(axis=0, dtype=np.int64)
    most = int(sums.max(initial=0))
    # |L + I| <= 4 * 2^(P-1) + 2^(P-1) + most, and the current of a PIM layer
    driven = 1 << (chip.pim.macro.current_bits - 1) if chip.pim else 0
    kind = np.int32 if (5 << (chip.membrane_bits - 1)) + most + driven < 1 << 31 else np.int64
    byte = kind is np.int32 and n.weights.dtype == np.int8
    short = byte and most < 1 << 15
    if second := chip.current_bits > 0 or chip.adaptation_bits > 0:
        kind = np.int64  # sums with a gain, thresholds with an adaptation
    count, pages = n.place.size, n.p["bias"].shape[0]
    unused = np.zeros(count, np.int64)  # a leak term that the chip does not have
    paged = [np.broadcast_to(n.p.get(name, unused), (pages, count)) for name in PAGED]
    local = np.flatnonzero(n.route["kind"] == ROUTE_LOCAL)
    return Tables(
        weights=n.weights if byte else n.weights.astype(np.int16, copy=False),
        fanout=fanout,
        sums=np.zeros(0, np.int64 if second else np.int16 if short else np.int32),
        groups=np.array(n.groups, np.int64).reshape(-1, 4),
        plain=np.stack([n.p[name] for name in PLAIN]).astype(kind),
        paged=np.stack(paged, axis=1).astype(kind),
        entries=n.entries,
        local=np.searchsorted(n.route["neuron"][local], np.arange(count + 1)),
        axon=n.route["address"][local],
        delay=n.route["delay"][local],
        chunk=n.chunk,
        chunks=d.words * d.spike_chunks,
        slots=d.slots,
        steps=image.steps,
        bits=chip.membrane_bits,
        synaptic=_stacked(n, "y_", SYNAPTIC),
        adaptive=_stacked(n, "a_", ADAPTIVE),
        current_bits=chip.current_bits,
        adaptation_bits=chip.adaptation_bits,
    )


def _stacked(n: Neurons, prefix: str, rows: tuple[str, ...]) -> np.ndarray:
    """Parameters of a second state, int64 ``[page, row, neuron]``; none on a chip without it."""
    pages, count = n.p["bias"].shape
    if f"{prefix}k0" not in n.p:
        return np.zeros((0, len(rows), count), np.int64)
    unused = np.zeros((pages, count), np.int64)  # a term that the chip does not have
    return np.stack([n.p.get(f"{prefix}{row}", unused) for row in rows], axis=1)
