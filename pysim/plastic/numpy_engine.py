"""The plastic core in numpy: one neuron's column of synapses after the other (docs/plasticity.md).

A sweep is a loop over post neurons; its axons are one vector. Random words are uint32, which wrap
as the hash wants them to. Bit-exact with golden/reference/plastic.py and hdl/plastic.
"""

from typing import Any

import numpy as np

from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.trace import NEURON_FIELDS, LessonTrace, crc_of

__all__ = ["hash_words", "run"]

FULL16, FULL24 = 0xFFFF, 0xFFFFFF
NOTHING = np.zeros(0, np.int64)


def _mix(z: np.ndarray) -> np.ndarray:
    u = np.uint32
    z = z + u(0x7ED55D16) + (z << u(12))
    z = z ^ u(0xC761C23C) ^ (z >> u(19))
    z = z + u(0x165667B1) + (z << u(5))
    z = (z + u(0xD3A2646C)) ^ (z << u(9))
    z = z + u(0xFD7046C5) + (z << u(3))
    return z ^ u(0xB55A4F09) ^ (z >> u(16))


def hash_words(seed: int, tick: int, axons: np.ndarray, neuron: int, use: int) -> np.ndarray:
    """The keyed hash of synapses of one neuron: uint32 of the shape of ``axons``."""
    rest = seed + tick * 0x9E3779B9 + neuron * 0xC2B2AE35 + use * 0x27D4EB2F
    key = axons.astype(np.uint32) * np.uint32(0x85EBCA6B) + np.uint32(rest & 0xFFFFFFFF)
    return _mix(_mix(key))


def _nearest(x: np.ndarray, n: int) -> np.ndarray:
    return (x >> n - 1) + 1 >> 1 if n else x


class _Core:
    """One core while it runs a lesson."""

    def __init__(self, lesson: Lesson, state: LessonState, record: bool) -> None:
        self.p, self.s, self.record = lesson.population, lesson.population.settings, record
        self.w = state.weights.astype(np.int64).T.copy()  # [neuron, axon]
        self.theta, self.dirty = state.theta.copy(), state.dirty.copy()
        self.K, self.clips = state.ticks, 0
        self.values: dict[str, list[np.ndarray]] = {name: [] for name in NEURON_FIELDS}
        self.arrivals: list[np.ndarray] = []
        self.updates: list[np.ndarray] = []

    def rest(self) -> None:
        p, s = self.p, self.s
        self.v = np.full(p.neurons, s["v_rest"], np.int64)
        self.ge, self.gi, self.c, self.y, self.own = np.zeros((5, p.neurons), np.int64)
        self.x, self.t = np.zeros((2, p.axons), np.int64)

    def xval(self, axons: Any, k: int) -> np.ndarray:
        age = k - self.t[axons]
        fresh = age < 1024
        age = np.where(fresh, age, 0)
        factor = self.p.near[age & 31] * self.p.far[age >> 5] >> 16
        return np.where(fresh, self.x[axons] * factor >> 16, 0)

    def tick(
        self, where: tuple[int, int], spikes: Any, teach: Any, learn: bool, adapt: bool
    ) -> None:
        s, k = self.s, where[1]
        X = np.flatnonzero(spikes)
        S = self.w[:, X].sum(1)
        if learn and s["ltd"] and len(X):
            for n in np.flatnonzero(self.y):
                self.update(where, 0, int(n), X, np.full(len(X), -self.y[n]), self.p.pre)
        raised = np.minimum(self.xval(X, k) + s["x_one"], FULL16)
        self.x[X] = FULL16 if s["x_set"] else raised
        self.t[X] = k
        if self.record:
            head = np.broadcast_to(where, (len(X), 2))
            self.arrivals.append(np.column_stack([head, X, self.x[X]]))
        self.neurons(S, teach, learn, adapt)
        fired = np.flatnonzero(self.own)
        if learn and len(fired):
            every = np.arange(self.p.axons)
            factor = _nearest(self.xval(every, k) * s["b"], 16) + s["f0"]
            touched = np.flatnonzero(factor)
            for n in fired:
                self.update(where, 1, int(n), touched, factor[touched], self.p.post)
        self.K = self.K + 1 & 0xFFFFFFFF

    def neurons(self, S: np.ndarray, teach: Any, learn: bool, adapt: bool) -> None:
        s, busy = self.s, self.c != 0
        drive = np.where(busy, 0, S) if s["gate"] else S
        ge = np.minimum((self.ge * s["keep_e"] >> 16) + (drive << s["w_shift"]), FULL24)
        self.ge = ge = np.minimum(ge + np.where(teach, s["w_teach"], 0), FULL24)
        rivals = self.own.sum() - self.own
        self.gi = gi = np.minimum((self.gi * s["keep_i"] >> 16) + s["w_lat"] * rivals, FULL24)
        current = s["v_rest"] - self.v + s["bias"]
        current += _nearest(ge * (s["e_exc"] - self.v), 16)
        current += _nearest(gi * (s["e_inh"] - self.v), 16)
        u = self.v + _nearest(current * s["k_m"], 16)
        u = np.clip(u, s["v_low"], (1 << self.p.membrane_bits - 1) - 1)
        u[busy] = s["v_reset"]
        if self.K & (1 << s["theta_period"]) - 1 == 0:
            self.theta = self.theta * s["keep_theta"] >> 16
        fired = ~busy & (u - self.theta >= s["v_th"]) if s["fire"] else np.zeros_like(busy)
        self.y = self.y * s["keep_y"] >> 16
        self.y[fired] = FULL16 if s["y_set"] else np.minimum(self.y[fired] + s["y_one"], FULL16)
        if adapt:
            self.theta[fired] = np.minimum(self.theta[fired] + s["theta_plus"], FULL24)
        if learn:
            self.dirty |= fired
        u[fired] = s["v_reset"]
        self.v = u
        self.c = np.where(fired, s["refractory"], np.maximum(self.c - 1, 0))
        self.own = fired.astype(np.int64)
        if self.record:
            for name in NEURON_FIELDS:
                self.values[name].append((self.own if name == "s" else getattr(self, name)).copy())

    def update(
        self,
        where: tuple[int, int],
        use: int,
        n: int,
        a: np.ndarray,
        factor: Any,
        table: np.ndarray,
    ) -> None:
        """Synapses of neuron ``n`` from axons ``a``."""
        s, old, low = self.s, self.w[n, a], self.p.weight_bits - 7
        base, slope = table[old >> low].T
        d = factor * (base + (slope * (old & (1 << low) - 1) >> low))
        shift = s["shift_post"] if use else s["shift_pre"]
        if s["sigma"]:
            words = hash_words(s["seed"], self.K, a, n, use)
            height = words.view(np.uint8).reshape(-1, 4).sum(1, dtype=np.int64) - 510
            d = _nearest(d * (256 + (height * s["sigma"] >> 7)), 8)
        r: Any = 1 << shift - 1
        if s["stochastic"]:
            r = hash_words(s["seed"], self.K, a, n, use + 2).astype(np.int64) >> 32 - shift
        free = old + (d + r >> shift)
        new = np.clip(free, s["w_min"], s["w_max"])
        self.clips += int(np.count_nonzero(new != free))
        self.w[n, a] = new
        self.log(where, use, n, a, old, new)

    def log(self, where: tuple[int, int], use: int, n: int, a: Any, old: Any, new: Any) -> None:
        if self.record:
            head = np.broadcast_to((*where, use), (len(a), 3))
            self.updates.append(np.column_stack([head, a, np.full(len(a), n), old, new]))

    def normalise(self, where: tuple[int, int]) -> None:
        for n in np.flatnonzero(self.dirty):
            old = self.w[n].copy()
            if (total := int(old.sum())) == 0:
                continue
            scale = min((self.s["target"] << 16) // total, FULL24)
            self.w[n] = np.clip(_nearest(old * scale, 16), self.s["w_min"], self.s["w_max"])
            self.log(where, 2, int(n), np.arange(self.p.axons), old, self.w[n])
        self.dirty[:] = False

    def state(self) -> LessonState:
        weights = np.ascontiguousarray(self.w.T.astype(np.uint16))
        return LessonState(weights, self.theta.copy(), self.dirty.copy(), self.K)


def run(
    lesson: Lesson,
    first: int = 0,
    last: int | None = None,
    state: LessonState | None = None,
    *,
    record: bool = True,
) -> LessonTrace:
    """Presentations first..last - 1 of a lesson.

    state: what the presentation before left; by default the lesson's own, as after CLEAR.
    record: False leaves values, arrivals and updates empty.
    """
    last = lesson.presentations if last is None else last
    core = _Core(lesson, state or lesson.state, record)
    crcs, clips = [], []
    for presentation in range(first, last):
        core.rest()
        before = core.clips
        spikes, teacher = lesson.of(presentation)
        flags = bool(lesson.learn[presentation]), bool(lesson.adapt[presentation])
        for k in range(len(spikes)):
            core.tick((presentation, k), spikes[k], teacher[k], *flags)
        if lesson.normalise[presentation]:
            core.normalise((presentation, len(spikes)))
        crcs.append(crc_of(core.w.T))
        clips.append(core.clips - before)
    empty = np.zeros((0, lesson.population.neurons), np.int64)
    return LessonTrace(
        first=first,
        **{name: np.array(rows) if rows else empty for name, rows in core.values.items()},
        arrivals=np.concatenate([np.zeros((0, 4), np.int64), *core.arrivals]),
        updates=np.concatenate([np.zeros((0, 7), np.int64), *core.updates]),
        crc=np.array(crcs, np.int64),
        clips=np.array(clips, np.int64),
        state=core.state(),
        cycles=NOTHING,
        rest_cycles=NOTHING,
        normalise_cycles=NOTHING,
    )
