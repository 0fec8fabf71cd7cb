"""An independent witness of the plastic core.

It was written from docs/plasticity.md alone, one number at a time on Python's ints. It shares no
code with golden, pysim or the RTL, and is meant to be read next to that page.
"""

import zlib
from typing import Any

Numbers = dict[str, Any]


def fl(x: int, n: int) -> int:
    return x // 2**n


def sh(x: int, n: int) -> int:
    return x if n == 0 else (x + 2 ** (n - 1)) // 2**n


def clip(x: int, a: int, b: int) -> int:
    return a if x < a else b if x > b else x


def dec(x: int, D: int) -> int:
    return fl(x * D, 16)


def mix(z: int) -> int:
    m = 2**32
    z = (z + 0x7ED55D16 + z * 2**12) % m
    z = z ^ 0xC761C23C ^ (z // 2**19)
    z = (z + 0x165667B1 + z * 2**5) % m
    z = (z + 0xD3A2646C) % m ^ z * 2**9 % m
    z = (z + 0xFD7046C5 + z * 2**3) % m
    return z ^ 0xB55A4F09 ^ (z // 2**16)


def keyed(seed: int, K: int, a: int, n: int, use: int) -> int:
    parts = (seed, K * 0x9E3779B9, a * 0x85EBCA6B, n * 0xC2B2AE35, use * 0x27D4EB2F)
    return mix(mix(sum(parts) % 2**32))


class Witness:
    """A plastic core. ``numbers``: sizes A, N, B, P, all settings by name, and the four tables."""

    def __init__(self, numbers: Numbers, weights: list[list[int]], theta: list[int], K: int = 0):
        self.g = numbers
        self.w = [list(row) for row in weights]
        self.theta, self.dirty, self.K = list(theta), [0] * numbers["N"], K
        self.updates: list[tuple[int, ...]] = []
        self.arrivals: list[tuple[int, ...]] = []
        self.clips = 0
        self.rest(0)

    def rest(self, presentation: int) -> None:
        g = self.g
        self.presentation, self.k, self.C = presentation, 0, 0
        self.v = [g["v_rest"]] * g["N"]
        for name in ("ge", "gi", "c", "y", "own"):
            setattr(self, name, [0] * g["N"])
        self.x, self.t = [0] * g["A"], [0] * g["A"]

    def xval(self, a: int) -> int:
        age = self.k - self.t[a]
        if age >= 1024:
            return 0
        return fl(self.x[a] * fl(self.g["near"][age % 32] * self.g["far"][fl(age, 5)], 16), 16)

    def update(self, a: int, n: int, F: int, table: str, use: int) -> None:
        g, w = self.g, self.w[a][n]
        low = g["B"] - 7
        base, slope = g[table][fl(w, low)]
        A = base + fl(slope * (w % 2**low), low)
        d = F * A
        if g["sigma"]:
            h = keyed(g["seed"], self.K, a, n, use)
            four = h % 256 + h // 256 % 256 + h // 65536 % 256 + h // 16777216
            d = sh(d * (256 + fl((four - 510) * g["sigma"], 7)), 8)
        shift = g["shift_pre"] if use == 0 else g["shift_post"]
        r = 2 ** (shift - 1)
        if g["stochastic"]:
            r = fl(keyed(g["seed"], self.K, a, n, use + 2), 32 - shift)
        free = w + fl(d + r, shift)
        self.w[a][n] = clip(free, g["w_min"], g["w_max"])
        self.clips += free != self.w[a][n]
        self.updates.append((self.presentation, self.k, use, a, n, w, self.w[a][n]))

    def tick(
        self, spikes: list[int], teach: list[int], learn: bool, adapt: bool
    ) -> list[list[int]]:
        """One tick. Returns s, v, ge, gi, theta, c, y of every neuron."""
        g = self.g
        X = [a for a in range(g["A"]) if spikes[a]]
        S = [sum(self.w[a][n] for a in X) for n in range(g["N"])]
        if learn and g["ltd"]:
            for n in range(g["N"]):
                for a in X:
                    if self.y[n] > 0:
                        self.update(a, n, -self.y[n], "pre", 0)
        for a in X:
            self.x[a] = 65535 if g["x_set"] else min(self.xval(a) + g["x_one"], 65535)
            self.t[a] = self.k
            self.arrivals.append((self.presentation, self.k, a, self.x[a]))
        s = [self.neuron(n, S[n], teach[n], learn, adapt) for n in range(g["N"])]
        self.own, self.C = s, sum(s)
        if learn:
            for n in range(g["N"]):
                for a in range(g["A"]):
                    if s[n] and (F := sh(self.xval(a) * g["b"], 16) + g["f0"]):
                        self.update(a, n, F, "post", 1)
        self.k, self.K = self.k + 1, (self.K + 1) % 2**32
        return [s, self.v[:], self.ge[:], self.gi[:], self.theta[:], self.c[:], self.y[:]]

    def neuron(self, n: int, S: int, teach: int, learn: bool, adapt: bool) -> int:
        g, v, c, full = self.g, self.v[n], self.c[n], 2**24 - 1
        inputs = 0 if g["gate"] and c > 0 else S * 2 ** g["w_shift"]
        ge = min(dec(self.ge[n], g["keep_e"]) + inputs, full)
        ge = min(ge + (g["w_teach"] if teach else 0), full)
        gi = min(dec(self.gi[n], g["keep_i"]) + g["w_lat"] * (self.C - self.own[n]), full)
        y = dec(self.y[n], g["keep_y"])
        theta = self.theta[n]
        if self.K % 2 ** g["theta_period"] == 0:
            theta = dec(theta, g["keep_theta"])
        current = g["v_rest"] - v + sh(ge * (g["e_exc"] - v), 16)
        current += sh(gi * (g["e_inh"] - v), 16) + g["bias"]
        u = clip(v + sh(current * g["k_m"], 16), g["v_low"], 2 ** (g["P"] - 1) - 1)
        if c > 0:
            u = g["v_reset"]
        s = int(bool(g["fire"]) and c == 0 and u >= g["v_th"] + theta)
        if s:
            self.v[n], self.c[n] = g["v_reset"], g["refractory"]
            theta = min(theta + g["theta_plus"], full) if adapt else theta
            y = 65535 if g["y_set"] else min(y + g["y_one"], 65535)
            if learn:
                self.dirty[n] = 1
        else:
            self.v[n], self.c[n] = u, max(c - 1, 0)
        self.ge[n], self.gi[n], self.y[n], self.theta[n] = ge, gi, y, theta
        return s

    def normalise(self) -> None:
        g = self.g
        for n in range(g["N"]):
            Z = sum(self.w[a][n] for a in range(g["A"])) if self.dirty[n] else 0
            if Z:
                M = min(g["target"] * 2**16 // Z, 2**24 - 1)
                for a in range(g["A"]):
                    old = self.w[a][n]
                    self.w[a][n] = clip(sh(old * M, 16), g["w_min"], g["w_max"])
                    self.updates.append((self.presentation, self.k, 2, a, n, old, self.w[a][n]))
        self.dirty = [0] * g["N"]

    def crc(self) -> int:
        return zlib.crc32(b"".join(w.to_bytes(2, "little") for row in self.w for w in row))
