"""The engine of dendritic neurons in plain numpy: a step at a time, all neurons at once.

Written from docs/dendritic.md. Slow; pysim/dendritic/numba_engine.py is the fast one.
"""

import math

import numpy as np

from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import PASSING, UNITS
from spikeloop.pysim.dendrites.state import DendriticState
from spikeloop.pysim.dendrites.trace import FIELDS, DendriticTrace

__all__ = ["show"]

M32, M64 = (1 << 32) - 1, (1 << 64) - 1


def show(
    net: DendriticNet,
    stimulus: np.ndarray,
    state: DendriticState,
    steps: int,
    *,
    learn: bool,
    plastic: bool = True,
    record: bool = True,
) -> DendriticTrace:
    """A show: ``steps`` steps with one stimulus.

    stimulus: thresholds, int64 ``[input]``.
    state:    what was before; it stays as it is.
    record:   False keeps the last state only.
    """
    walk = _Walk(net, net.check_stimuli(np.asarray(stimulus)[None])[0], state.check(net))
    kept: list[tuple[np.ndarray, np.ndarray, int]] = []
    for _ in range(steps):
        walk.step(learn, plastic)
        if record:
            kept.append((np.stack(list(walk.row.values())), walk.g.copy(), walk.rin))
    size = net.neurons
    units, pairs, rin = zip(*kept, strict=True) if kept else ((), (), ())
    return DendriticTrace(
        units=np.array(units, np.int64).reshape(-1, len(FIELDS), size),
        pairs=np.array(pairs, np.int64).reshape(-1, size, size),
        rin=np.array(rin, np.uint64),
        state=walk.state(),
        steps=steps,
        **walk.counts,
    )


def _r(x: np.ndarray, n: int) -> np.ndarray:
    return (x + (1 << n - 1)) >> n


class _Walk:
    """A net under way."""

    def __init__(self, net: DendriticNet, threshold: np.ndarray, state: DendriticState) -> None:
        self.net, self.threshold = net, threshold
        self.w, self.g = state.weights.copy(), state.inhibition.copy()
        self.i, self.e = state.currents.copy(), state.psps.copy()
        self.row = dict(zip(UNITS, state.units.copy(), strict=True))
        self.row |= {name: np.zeros(net.neurons, np.int64) for name in PASSING}
        self.rin, self.age = state.rin, state.age
        self.counts = dict.fromkeys(("inputs", "spikes", "clips", "saturations"), 0)

    def state(self) -> DendriticState:
        units = np.stack([self.row[name] for name in UNITS])
        return DendriticState(self.w, self.g, self.i, self.e, units, self.rin, self.age)

    def step(self, learn: bool, plastic: bool) -> None:
        s, row = self.net.settings, self.row
        row["q"], row["c"], row["s"] = np.zeros((3, self.net.neurons), np.int64)
        self._inputs()
        total = (self.w >> 14) @ (self.e >> 4)
        v = row["v"] = self._clip(total >> 12, -1 << 25, (1 << 25) - 1)
        u = row["u"]
        inh = (self.g @ row["f"]) >> 20
        u = u - _r(s["leak_u"] * u, 16) + _r(s["gain_d"] * (v - u - inh), 16)
        row["u"] = self._clip(u, -1 << 20, (1 << 20) - 1)
        if not learn:
            row["f"] = self._look(row["u"] >> 8)
            return
        self._statistics()
        if self.age <= s["warm_up"]:
            row["f"] = np.zeros_like(u)
        else:
            self._learn()
            if plastic:
                self._inhibition()
        self.age = min(self.age + 1, 65535)

    def _inputs(self) -> None:
        s, fields = self.net.settings, []
        for _ in range(-(-self.net.inputs // 4)):
            x = self.rin
            x ^= x << 13 & M64
            x ^= x >> 7
            x ^= x << 17 & M64
            self.rin = x
            fields += [x >> at & 0xFFFF for at in (0, 16, 32, 48)]
        spikes = (np.array(fields[: self.net.inputs]) < self.threshold).astype(np.int64)
        self.counts["inputs"] += int(spikes.sum())
        current = self.i - _r(s["leak_i"] * self.i, 16) + s["impulse"] * spikes
        self.i = self._clip(current, 0, (1 << 17) - 1)
        self.e = self._clip(self.e - _r(s["leak_e"] * self.e, 16) + self.i, 0, (1 << 20) - 1)

    def _statistics(self) -> None:
        shift, row = self.net["stat_shift"], self.row
        k = row["u"] >> 6
        row["mean"] = row["mean"] + (((k << 10) - row["mean"]) >> shift)
        d = k - (row["mean"] >> 10)
        row["var"] = row["var"] + (((d * d << 4) - row["var"]) >> shift)

    def _learn(self) -> None:
        s, row = self.net.settings, self.row
        sd = np.array([max(math.isqrt(int(x)), 1) for x in row["var"]])
        z = ((row["u"] << 4) - row["mean"]) // sd
        rn = row["rn"] = _xorshift32(row["rn"])
        b = sum(rn >> at & 255 for at in (0, 8, 16, 24))
        row["f"] = np.clip(self._look(z) + (b - 510) * s["noise"], 0, 65535)
        q = row["q"] = self._look(s["attenuation"] * row["v"] >> 24)
        c = row["c"] = _r(_r((row["f"] - q) * (65536 - q), 16) * s["rate"], 16)
        w = self.w - _r(self.w, s["decay"]) + _r(np.outer(c, self.e >> 4), 13)
        low, high = -1 << 31, (1 << 31) - 1
        self.counts["saturations"] += int(((w < low) | (w > high)).sum())
        self.w = np.clip(w, low, high)

    def _inhibition(self) -> None:
        s, row = self.net.settings, self.row
        rs = row["rs"] = _xorshift32(row["rs"])
        spikes = (rs >> 16) < (s["spike_gain"] * row["f"] >> 16)
        row["s"] = spikes.astype(np.int64)
        self.counts["spikes"] += int(spikes.sum())
        for name, leak, step in (
            ("trace_p", s["leak_p"], -s["step_p"]),
            ("trace_d", s["leak_d"], s["step_d"]),
        ):
            left = row[name] - _r(leak * row[name], 16) + step * row["s"]
            row[name] = self._clip(left, -1 << 25, (1 << 25) - 1)
        d = _r((row["trace_p"] + row["trace_d"]) * s["g_max"], 24)
        change = np.outer(row["s"], d) + np.outer(d, row["s"])
        np.fill_diagonal(change, 0)
        self.g = np.clip(self.g + change, 0, s["g_max"])

    def _look(self, a: np.ndarray) -> np.ndarray:
        return self.net.table[np.clip(a + 384, 0, 1023)]

    def _clip(self, x: np.ndarray, low: int, high: int) -> np.ndarray:
        self.counts["clips"] += int(((x < low) | (x > high)).sum())
        return np.clip(x, low, high)


def _xorshift32(x: np.ndarray) -> np.ndarray:
    x = x ^ (x << 13 & M32)
    x = x ^ x >> 17
    return x ^ (x << 5 & M32)
