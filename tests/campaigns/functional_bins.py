"""Functional bins: which situations of docs/arithmetic.md a set of runs has met, and how often.

A bin is a corner where a chip could be wrong and stay unnoticed unless a stimulus goes there. Bins
count neuron-steps or ticks. They are counted on pysim while it runs the same stimuli as the RTL.
The RTL is compared with that run, so the RTL met what pysim met.
"""

from collections import Counter

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.chip.records import ROUTE_LOCAL
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.ticks.numpy_engine import Running, parameters_on
from spikeloop.pysim.model.ticks.state import Group
from spikeloop.pysim.network.elements import LeakRounding, LowBound, Reset, WeightFormat
from tests.campaigns import state_bins
from tests.campaigns.regression.cases import Case

__all__ = ["bin_names", "count"]


def bin_names(chip: Chip) -> list[str]:
    """Every bin that a chip must meet, in the order of the table."""
    return [
        "u = v_th",
        "u = v_th - 1",
        "read-out with u >= v_th",
        *(f"spike, {r.name.lower()} reset" for r in Reset),
        "clip 1, high",
        "clip 1, low",
        "clip 2, high",
        "clip 2, low",
        "clip 3, high",
        "clip 3, low",
        *(f"below v_low, {b.name.lower()}" for b in LowBound),
        "u = v_low",
        "refractory count masks a spike",
        "held at v_reset",
        "held with clip 1",
        "held below v_low",
        "refractory, not held",
        *(f"{r.name.lower()} rounds a negative v" for r in LeakRounding),
        "at_least_one of v = 0",
        "shift by 0",
        f"shift by P = {chip.membrane_bits}",
        "leak term added",
        "leak term subtracted",
        "k0 = 1",
        "k0 = 0",
        "rectify acts",
        *(f"page {p}" for p in range(chip.pages)),
        "last page held",
        *(f"page of {2 << n} steps turned" for n in range(chip.page_shift)),
        *(f"join of {n}" for n in range(1, chip.derived.join_max + 1)),
        *(f"weights {f.name.lower()}" for f in WeightFormat),
        *(f"spikes of delay {k}" for k in range(1, chip.delay_max + 1)),
        *(f"axon extension {1 << e}" for e in range(chip.derived.extensions + 1)),
        *(
            ["second word or later, extended", "axon beyond the unextended ones"]
            if chip.extension > 1
            else []
        ),
        "spike of the last lane",
        "tick without an event",
        "tick with every input line active",
        "tick with a dead word",
        *state_bins.bin_names(chip),
    ]


def count(case: Case) -> Counter[str]:
    """Run the case's stimulus on pysim once more, watched."""
    core = Core(case.image, "numpy")
    events = core.events(case.stimulus)
    watched = _Watched(core, events)
    for tick in range(case.image.ticks):
        watched.tick(tick)
    trace = core.trace(watched.finish())
    assert (trace.counters["saturations"] == case.trace.counters["saturations"]).all()
    met = watched.met
    lines = [slice(i.first_axon, i.first_axon + i.size) for i in case.image.placement.inputs]
    met["tick without an event"] += int((trace.counters["spikes_in"] == 0).sum())
    if lines:
        met["tick with every input line active"] += int(
            np.logical_and.reduce([events[:, :, at].all(axis=2) for at in lines]).sum()
        )
    met["axon beyond the unextended ones"] += int(
        events[:, :, case.image.chip.axons :].any(axis=2).sum()
    )
    starts = {p.start for p in case.image.placement.populations}
    dead = [
        tick
        for tick in range(case.image.ticks)
        if any(not 0 <= tick - start < case.image.steps for start in starts)
    ]
    met["tick with a dead word"] += len(dead) * case.stimulus.samples
    return met


class _Watched(Running):
    """A run of the chip model, counting the bins of every step it takes."""

    def __init__(self, core: Core, events: np.ndarray) -> None:
        image, neurons = core.image, core.neurons
        super().__init__(core._tables, events, membranes=False)
        self.chip, self.neurons = image.chip, neurons
        self.met: Counter[str] = Counter()
        words, word = image.placement.words, neurons.place // image.chip.lanes
        self.last_page, self.join, shift, offset = (
            np.array([getattr(w, key) for w in words])[word]
            for key in ("last_page", "last_digit", "shift", "offset")
        )
        self.join = self.join + 1
        self.extension, self.later = image.placement.extension, word > 0
        self.last_lane = neurons.place % image.chip.lanes == image.chip.lanes - 1
        self.form = np.where(
            offset == 0,
            WeightFormat.BINARY,
            np.where(shift == 0, WeightFormat.TERNARY, WeightFormat.SIGNED),
        )

    def _step(self, sums: np.ndarray, group: Group, step: int) -> tuple[np.ndarray, np.ndarray]:
        before = [x[:, group.neurons].copy() for x in (self._v, self._c, self._y, self._a)]
        s, clipped = super()._step(sums, group, step)
        self._count(sums, group, step, s, *before)
        return s, clipped

    def _count(
        self,
        sums: np.ndarray,
        group: Group,
        step: int,
        s: np.ndarray,
        v: np.ndarray,
        c: np.ndarray,
        y: np.ndarray,
        a: np.ndarray,
    ) -> None:
        """Counts a step of the neurons of a group: sums Z, spikes s, and the states before it."""
        mine, shift = group.neurons, group.page_shift
        page = step >> shift
        p = parameters_on(self.tables, mine, page)
        low, high = -(1 << self.chip.membrane_bits - 1), (1 << self.chip.membrane_bits - 1) - 1
        fire, busy = p["fire"] != 0, c > 0
        held = (p["hold"] != 0) & busy
        last = self.last_page[mine]
        turns = (page > 0) & (page <= last) & (step == page << shift)

        def met(name: str, where: np.ndarray) -> None:
            self.met[name] += int(np.broadcast_to(where, s.shape).sum())

        drive, raises = sums, np.zeros_like(v)
        if self.chip.current_bits:
            drive = state_bins.current_bins(met, self.chip, p, y, sums, held, turns)
        if self.chip.adaptation_bits:
            raises = state_bins.adaptation_bins(met, self.chip, p, a, held, turns)
        current = drive + p["bias"]
        met("rectify acts", (p["rectify"] != 0) & (current < 0))
        total = np.where(p["rectify"], np.maximum(current, 0), current) + np.where(p["k0"], v, 0)
        met("k0 = 1", (p["k0"] != 0) & (v != 0))
        met("k0 = 0", (p["k0"] == 0) & (v != 0))
        for r in range(self.chip.leak_terms):
            sign, m = p[f"sign{r}"], p[f"shift{r}"]
            on, size = sign != 0, np.abs(v) >> m
            lost = on & (v < 0) & ((v >> m) << m != v)
            one = p["at_least_one"] != 0
            toward = (p["toward_zero"] != 0) & ~one
            met("floor rounds a negative v", lost & ~toward & ~one)
            met("toward_zero rounds a negative v", lost & toward)
            met("at_least_one rounds a negative v", lost & one & (size == 0))
            met("at_least_one of v = 0", on & one & (v == 0))
            met("shift by 0", on & (m == 0) & (v != 0))
            met(
                f"shift by P = {self.chip.membrane_bits}",
                on & (m == self.chip.membrane_bits) & (v != 0),
            )
            met("leak term added", (sign > 0) & (v != 0))
            met("leak term subtracted", (sign < 0) & (v != 0))
            whole = np.where(one | toward, np.sign(v) * np.maximum(size, one & (v != 0)), v >> m)
            total = total + sign * whole
        u = np.clip(total, low, high)
        if self.chip.adaptation_bits:
            state_bins.spike_bins(met, self.chip, p, u, raises, a, c)
            p |= {
                "v_th": p["v_th"] + raises,
                "v_sub": p["v_sub"] + np.where(p["a_reset"], raises, 0),
            }

        met("u = v_th", fire & ~busy & (u == p["v_th"]))
        met("u = v_th - 1", fire & ~busy & (u == p["v_th"] - 1))
        met("read-out with u >= v_th", ~fire & (u >= p["v_th"]))
        met("refractory count masks a spike", fire & busy & (u >= p["v_th"]))
        met("held at v_reset", held)
        met("held with clip 1", held & (u != total))
        met("refractory, not held", busy & ~held)
        met("clip 1, high", total > high)
        met("clip 1, low", total < low)
        soft, hard = p["soft"] != 0, p["hard"] != 0
        for name, kind in (("hard", hard), ("soft", soft), ("none", ~hard & ~soft)):
            met(f"spike, {name} reset", s & kind)
        met("clip 2, high", s & soft & (u - p["v_sub"] > high))
        met("clip 2, low", s & soft & (u - p["v_sub"] < low))
        bounded, adds, clips = p["bounded"] != 0, p["low_add"] != 0, p["low_value"] == p["v_low"]
        below = ~s & (u < p["v_low"])
        met("below v_low, none", below & ~bounded)
        below &= bounded
        met("held below v_low", below & held)
        below &= ~held
        met("below v_low, clip", below & ~adds & clips)
        met("below v_low, reset", below & ~adds & ~clips)
        met("below v_low, add", below & adds)
        met("u = v_low", ~s & ~held & bounded & (u == p["v_low"]))
        met("clip 3, high", below & adds & (u + p["low_value"] > high))
        met("clip 3, low", below & adds & (u + p["low_value"] < low))

        for number in range(self.chip.pages):
            met(f"page {number}", np.minimum(page, last) == number)
        met("last page held", (page > last) & (last > 0))
        if shift:
            met(f"page of {1 << shift} steps turned", turns)
        for n in np.unique(self.join[mine]):
            met(f"join of {n}", (self.join[mine] == n) & (sums != 0))
        for form in WeightFormat:
            met(f"weights {form.name.lower()}", (self.form[mine] == form) & (sums != 0))
        met(f"axon extension {self.extension}", sums != 0)
        met("second word or later, extended", self.later[mine] & (self.extension > 1) & (sums != 0))
        met("spike of the last lane", s & self.last_lane[mine])
        route = {key: value[mine] for key, value in self.neurons.route.items()}
        for k in range(1, self.chip.delay_max + 1):
            met(f"spikes of delay {k}", s & (route["kind"] == ROUTE_LOCAL) & (route["delay"] == k))
