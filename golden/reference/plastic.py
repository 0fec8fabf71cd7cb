"""The plastic core's integer arithmetic in torch: the reference for hdl/plastic and pysim/plastic.

Written from docs/plasticity.md alone. All neurons of a tick are one tensor, and so are all synapses
of a sweep. Everything is int64; no lanes, words or cycles are known here.
"""

import zlib
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeloop.pysim.lessons.lesson import Lesson, LessonState
from spikeloop.pysim.lessons.population import PlasticPopulation
from spikeloop.pysim.lessons.trace import NEURON_FIELDS, LessonTrace

__all__ = ["hash32", "run"]

FULL16, FULL24, WORD = (1 << 16) - 1, (1 << 24) - 1, (1 << 32) - 1
NOTHING = np.zeros(0, np.int64)


def sh(x: Tensor, n: int) -> Tensor:
    """x / 2^n to nearest, halves up."""
    return x if n == 0 else (x + (1 << n - 1)) >> n


def dec(x: Tensor, kept: int) -> Tensor:
    return x * kept >> 16


def _mix(z: Tensor) -> Tensor:
    z = (z + 0x7ED55D16 + (z << 12)) & WORD
    z = z ^ 0xC761C23C ^ (z >> 19)
    z = (z + 0x165667B1 + (z << 5)) & WORD
    z = ((z + 0xD3A2646C & WORD) ^ (z << 9)) & WORD
    z = (z + 0xFD7046C5 + (z << 3)) & WORD
    return z ^ 0xB55A4F09 ^ (z >> 16)


def hash32(seed: int, tick: int, a: Tensor, n: Tensor, use: int) -> Tensor:
    """The keyed hash, int64 in 0..2^32 - 1, of axons ``a`` and neurons ``n``."""
    key = seed + tick * 0x9E3779B9 + use * 0x27D4EB2F & WORD
    return _mix(_mix((key + a * 0x85EBCA6B + n * 0xC2B2AE35) & WORD))


class _Short(NamedTuple):
    """State that REST resets."""

    v: Tensor
    ge: Tensor
    gi: Tensor
    c: Tensor
    y: Tensor
    own: Tensor
    x: Tensor
    t: Tensor


class _Long:
    """State that REST keeps, and what is logged."""

    def __init__(self, p: PlasticPopulation, state: LessonState) -> None:
        self.post, self.pre, self.near, self.far = (
            torch.from_numpy(table) for table in (p.post, p.pre, p.near, p.far)
        )
        self.w = torch.from_numpy(state.weights.astype(np.int64))
        self.theta = torch.from_numpy(np.array(state.theta))
        self.dirty = torch.from_numpy(np.array(state.dirty))
        self.ticks = state.ticks
        self.log: list[Tensor] = []
        self.arrivals: list[Tensor] = []
        self.values: dict[str, list[Tensor]] = {name: [] for name in NEURON_FIELDS}
        self.clips = 0

    def state(self) -> LessonState:
        weights = self.w.numpy().astype(np.uint16)
        return LessonState(weights, self.theta.numpy(), self.dirty.numpy(), self.ticks)


@torch.inference_mode()
def run(
    lesson: Lesson, first: int = 0, last: int | None = None, state: LessonState | None = None
) -> LessonTrace:
    """Presentations first..last - 1 of a lesson.

    state: what the presentation before left; by default the lesson's own, as after CLEAR.
    """
    last = lesson.presentations if last is None else last
    p = lesson.population
    long = _Long(p, state or lesson.state)
    crcs, clips = [], []
    for presentation in range(first, last):
        short, before = _rest(p), long.clips
        spikes, teacher = map(torch.from_numpy, lesson.of(presentation))
        learn, adapt = bool(lesson.learn[presentation]), bool(lesson.adapt[presentation])
        for k in range(len(spikes)):
            place = (presentation, k)
            short = _tick(p, long, short, spikes[k] > 0, teacher[k].long(), learn, adapt, place)
        if lesson.normalise[presentation]:
            _normalise(p, long, (presentation, len(spikes)))
        crcs.append(zlib.crc32(long.w.numpy().astype("<u2").tobytes()))
        clips.append(long.clips - before)
    values = {
        name: torch.stack(rows).numpy() if rows else np.zeros((0, p.neurons), np.int64)
        for name, rows in long.values.items()
    }
    return LessonTrace(
        first=first,
        **values,
        arrivals=_rows(long.arrivals, 4),
        updates=_rows(long.log, 7),
        crc=np.array(crcs, np.int64),
        clips=np.array(clips, np.int64),
        state=long.state(),
        cycles=NOTHING,
        rest_cycles=NOTHING,
        normalise_cycles=NOTHING,
    )


def _rows(rows: list[Tensor], width: int) -> np.ndarray:
    return torch.cat(rows).numpy() if rows else np.zeros((0, width), np.int64)


def _rest(p: PlasticPopulation) -> _Short:
    neurons, axons = torch.zeros(p.neurons, dtype=torch.int64), torch.zeros(p.axons).long()
    return _Short(
        v=neurons + p["v_rest"],
        ge=neurons,
        gi=neurons,
        c=neurons,
        y=neurons,
        own=neurons,
        x=axons,
        t=axons,
    )


def _xval(long: _Long, s: _Short, k: int) -> Tensor:
    """The pre traces of all axons at tick k."""
    age = k - s.t
    factor = long.near[age % 32] * long.far[(age >> 5).clamp(max=31)] >> 16
    return torch.where(age < 1024, s.x * factor >> 16, 0)


def _tick(
    p: PlasticPopulation,
    long: _Long,
    s: _Short,
    arrived: Tensor,
    teach: Tensor,
    learn: bool,
    adapt: bool,
    place: tuple[int, int],
) -> _Short:
    k, events = place[1], torch.nonzero(arrived)[:, 0]
    total = long.w[events].sum(0)

    if learn and p["ltd"]:
        marked = torch.nonzero(s.y > 0)[:, 0]
        n, a = marked.repeat_interleave(len(events)), events.repeat(len(marked))
        _update(p, long, a, n, -s.y[n], long.pre, 0, place)

    if len(events):
        raised = torch.full_like(s.x, FULL16)
        if not p["x_set"]:
            raised = (_xval(long, s, k) + p["x_one"]).clamp(max=FULL16)
        s = s._replace(x=torch.where(arrived, raised, s.x), t=torch.where(arrived, k, s.t))
        where = torch.tensor(place).expand(len(events), 2)
        long.arrivals.append(torch.column_stack([where, events, s.x[events]]))

    s = _neurons(p, long, s, total, teach, learn, adapt)
    for name in NEURON_FIELDS:
        value = {"s": s.own, "theta": long.theta}.get(name)
        long.values[name].append(getattr(s, name) if value is None else value)

    fired = torch.nonzero(s.own)[:, 0]
    if learn and len(fired):
        factor = sh(_xval(long, s, k) * p["b"], 16) + p["f0"]
        axons = torch.nonzero(factor)[:, 0]
        n, a = fired.repeat_interleave(len(axons)), axons.repeat(len(fired))
        _update(p, long, a, n, factor[a], long.post, 1, place)
    long.ticks = long.ticks + 1 & WORD
    return s


def _neurons(
    p: PlasticPopulation,
    long: _Long,
    s: _Short,
    total: Tensor,
    teach: Tensor,
    learn: bool,
    adapt: bool,
) -> _Short:
    """Step 4 of the page for all neurons. Changes theta and dirty."""
    silent = s.c > 0
    drive = total << p["w_shift"]
    if p["gate"]:
        drive = torch.where(silent, 0, drive)
    ge = (dec(s.ge, p["keep_e"]) + drive).clamp(max=FULL24)
    ge = (ge + p["w_teach"] * teach).clamp(max=FULL24)
    gi = (dec(s.gi, p["keep_i"]) + p["w_lat"] * (s.own.sum() - s.own)).clamp(max=FULL24)
    y = dec(s.y, p["keep_y"])
    theta = long.theta
    if long.ticks % (1 << p["theta_period"]) == 0:
        theta = dec(theta, p["keep_theta"])
    current = (p["v_rest"] - s.v) + p["bias"]
    current = current + sh(ge * (p["e_exc"] - s.v), 16) + sh(gi * (p["e_inh"] - s.v), 16)
    most = (1 << p.membrane_bits - 1) - 1
    u = (s.v + sh(current * p["k_m"], 16)).clamp(p["v_low"], most)
    u = torch.where(silent, p["v_reset"], u)
    spike = ~silent & (u >= p["v_th"] + theta) & bool(p["fire"])
    if adapt:
        theta = torch.where(spike, (theta + p["theta_plus"]).clamp(max=FULL24), theta)
    marked = torch.full_like(y, FULL16) if p["y_set"] else (y + p["y_one"]).clamp(max=FULL16)
    long.theta = theta
    long.dirty = long.dirty | (spike & learn)
    return s._replace(
        v=torch.where(spike, p["v_reset"], u),
        ge=ge,
        gi=gi,
        c=torch.where(spike, p["refractory"], (s.c - 1).clamp(min=0)),
        y=torch.where(spike, marked, y),
        own=spike.long(),
    )


def _update(
    p: PlasticPopulation,
    long: _Long,
    a: Tensor,
    n: Tensor,
    factor: Tensor,
    table: Tensor,
    use: int,
    place: tuple[int, int],
) -> None:
    """The update of synapses (a, n), each once, in this order."""
    if not len(a):
        return
    w, low = long.w[a, n], p.weight_bits - 7
    row = table[w >> low]
    d = factor * (row[:, 0] + (row[:, 1] * (w & (1 << low) - 1) >> low))
    shift = p["shift_post" if use else "shift_pre"]
    seed, tick = p["seed"], long.ticks
    if p["sigma"]:
        h = hash32(seed, tick, a, n, use)
        height = (h & 255) + (h >> 8 & 255) + (h >> 16 & 255) + (h >> 24) - 510
        d = sh(d * (256 + (height * p["sigma"] >> 7)), 8)
    r: Tensor | int = 1 << shift - 1
    if p["stochastic"]:
        r = hash32(seed, tick, a, n, use + 2) >> 32 - shift
    free = w + (d + r >> shift)
    new = free.clamp(p["w_min"], p["w_max"])
    long.clips += int((new != free).sum())
    long.w[a, n] = new
    _log(long, place, use, a, n, w, new)


def _log(
    long: _Long, place: tuple[int, int], use: int, a: Tensor, n: Tensor, old: Tensor, new: Tensor
) -> None:
    head = torch.tensor([*place, use]).expand(len(a), 3)
    long.log.append(torch.column_stack([head, a, n, old, new]))


def _normalise(p: PlasticPopulation, long: _Long, place: tuple[int, int]) -> None:
    axons = torch.arange(p.axons)
    for n in torch.nonzero(long.dirty)[:, 0]:
        old = long.w[:, n].clone()
        if total := int(old.sum()):
            scale = min((p["target"] << 16) // total, FULL24)
            new = sh(old * scale, 16).clamp(p["w_min"], p["w_max"])
            long.w[:, n] = new
            _log(long, place, 2, axons, torch.full_like(axons, int(n)), old, new)
    long.dirty = torch.zeros_like(long.dirty)
