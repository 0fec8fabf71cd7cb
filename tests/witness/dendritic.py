"""An independent witness of the dendritic neurons.

It was written from docs/dendritic.md alone, one number at a time on Python's ints. It shares no
code with golden, pysim or the RTL, and is meant to be read next to that page.
"""

from math import isqrt
from typing import Any

Numbers = dict[str, Any]


def limit(x: int, a: int, b: int) -> int:
    return a if x < a else b if x > b else x


def near(x: int, n: int) -> int:
    return (x + 2 ** (n - 1)) // 2**n


def xorshift(x: int, bits: int, a: int, b: int, c: int) -> int:
    x ^= x << a & 2**bits - 1
    x ^= x >> b
    return x ^ x << c & 2**bits - 1


class Witness:
    """A net in the middle of a run.

    k: settings by name; table: 1,024 numbers.
    weights, inhibition: rows W[i], G[i]; currents, psps: I[j], e[j].
    units: a dict for each neuron: u, f, mean, var, trace_p, trace_d, rn, rs.
    """

    def __init__(self, k: Numbers, table: list[int], state: Numbers) -> None:
        self.k, self.table = k, table
        self.W, self.G = state["weights"], state["inhibition"]
        self.I, self.e = state["currents"], state["psps"]
        self.units, self.rin, self.age = state["units"], state["rin"], state["age"]
        self.steps = self.inputs = self.spikes = self.clips = self.saturations = 0

    def look(self, a: int) -> int:
        return self.table[limit(a + 384, 0, 1023)]

    def kept(self, x: int, a: int, b: int) -> int:
        """Clipped, and counted if that changes it."""
        self.clips += not a <= x <= b
        return limit(x, a, b)

    def kept_signed(self, x: int, bits: int) -> int:
        return self.kept(x, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)

    def step(self, threshold: list[int], learn: bool, plastic: bool) -> None:
        self.dendrites(threshold)
        self.somata()
        self.steps += 1
        if not learn:
            for n in self.units:
                n["f"], n["q"], n["c"], n["s"] = self.look(n["u"] // 256), 0, 0, 0
            return
        for n in self.units:
            self.average(n)
            n["f"] = n["q"] = n["c"] = n["s"] = 0
        if self.age > self.k["warm_up"]:
            for i, n in enumerate(self.units):
                self.respond(n)
                self.learn(i, n["c"])
            if plastic:
                self.plasticity()
        self.age = min(self.age + 1, 65535)

    def dendrites(self, threshold: list[int]) -> None:
        k = self.k
        for j, t in enumerate(threshold):
            if j % 4 == 0:
                self.rin = xorshift(self.rin, 64, 13, 7, 17)
            x = self.rin // 2 ** (16 * (j % 4)) % 2**16 < t
            self.inputs += x
            fed = self.I[j] - near(k["leak_i"] * self.I[j], 16) + k["impulse"] * x
            self.I[j] = self.kept(fed, 0, 2**17 - 1)
            raised = self.e[j] - near(k["leak_e"] * self.e[j], 16) + self.I[j]
            self.e[j] = self.kept(raised, 0, 2**20 - 1)
        for i, n in enumerate(self.units):
            total = sum((w // 2**14) * (e // 16) for w, e in zip(self.W[i], self.e, strict=True))
            n["v"] = self.kept_signed(total // 2**12, 26)

    def somata(self) -> None:
        k, f = self.k, [n["f"] for n in self.units]
        for i, n in enumerate(self.units):
            inh = sum(g * x for g, x in zip(self.G[i], f, strict=True)) // 2**20
            moved = n["u"] - near(k["leak_u"] * n["u"], 16)
            moved += near(k["gain_d"] * (n["v"] - n["u"] - inh), 16)
            n["u"] = self.kept_signed(moved, 21)

    def average(self, n: Numbers) -> None:
        part, k = 2 ** self.k["stat_shift"], n["u"] // 2**6
        n["mean"] += (k * 2**10 - n["mean"]) // part
        d = k - n["mean"] // 2**10
        n["var"] += (d * d * 16 - n["var"]) // part

    def respond(self, n: Numbers) -> None:
        k = self.k
        z = (n["u"] * 16 - n["mean"]) // max(isqrt(n["var"]), 1)
        n["rn"] = xorshift(n["rn"], 32, 13, 17, 5)
        b = sum(n["rn"].to_bytes(4, "little"))
        n["f"] = limit(self.look(z) + (b - 510) * k["noise"], 0, 65535)
        n["q"] = self.look(k["attenuation"] * n["v"] // 2**24)
        gate = near((n["f"] - n["q"]) * (65536 - n["q"]), 16)
        n["c"] = near(gate * k["rate"], 16)

    def learn(self, i: int, c: int) -> None:
        for j, w in enumerate(self.W[i]):
            new = w - near(w, self.k["decay"]) + near(c * (self.e[j] // 16), 13)
            self.W[i][j] = limit(new, -(2**31), 2**31 - 1)
            self.saturations += new != self.W[i][j]

    def plasticity(self) -> None:
        k, gains = self.k, []
        for n in self.units:
            n["rs"] = xorshift(n["rs"], 32, 13, 17, 5)
            n["s"] = int(n["rs"] // 2**16 < k["spike_gain"] * n["f"] // 2**16)
            self.spikes += n["s"]
            p = n["trace_p"] - near(k["leak_p"] * n["trace_p"], 16) - k["step_p"] * n["s"]
            d = n["trace_d"] - near(k["leak_d"] * n["trace_d"], 16) + k["step_d"] * n["s"]
            n["trace_p"], n["trace_d"] = self.kept_signed(p, 26), self.kept_signed(d, 26)
            gains.append(near((n["trace_p"] + n["trace_d"]) * k["g_max"], 24))
        for i, n in enumerate(self.units):
            for o, other in enumerate(self.units):
                if i != o:
                    g = self.G[i][o] + n["s"] * gains[o] + other["s"] * gains[i]
                    self.G[i][o] = limit(g, 0, k["g_max"])
