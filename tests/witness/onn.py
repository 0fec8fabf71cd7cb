"""An independent witness of the oscillators.

It was written from docs/onn.md alone, one number at a time on Python's ints. It shares no code with
golden, pysim or the RTL, and is meant to be read next to that page.
"""

from typing import Any

Numbers = dict[str, Any]


def limit(x: int, a: int, b: int) -> int:
    return a if x < a else b if x > b else x


def near(x: int, n: int) -> int:
    return (x + 2 ** (n - 1)) // 2**n


class Witness:
    """A net. ``k``: formats and settings by name; ``g``: rows of couplings."""

    def __init__(self, k: Numbers, g: list[list[int]], inputs: list[int]) -> None:
        self.k, self.g, self.inputs, self.N = k, g, inputs, len(g)
        self.step = self.period = self.cycles = self.same = self.clips = self.crossings = 0
        self.out = [0] * self.N

    def reads(self, out: list[int], kept: bool) -> None:
        self.out = out
        self.same = min(self.same + 1, 255) if kept else 0
        self.cycles = min(self.cycles + 1, 65535)

    def ends(self, counts: bool) -> bool:
        if self.step >= self.k["steps_max"]:
            return True
        return self.k["settle"] != 0 and counts and self.same >= self.k["settle"]

    def whole(self) -> list[int]:
        return [self.step, self.period, self.cycles, self.same]


class Relaxation(Witness):
    def __init__(self, k: Numbers, g: list[list[int]], inputs: list[int]) -> None:
        super().__init__(k, g, inputs)
        self.V, self.met = [0] * self.N, [0] * self.N
        self.age, self.phase = [0] * self.N, [0] * self.N

    def units(self) -> list[list[int]]:
        return [self.V, self.met, self.age, self.phase, self.out]

    def advance(self) -> bool:
        """One step; True if the run ends there."""
        k, n, r = self.k, self.step, self.k["reference"]
        x = [v // 2 ** (k["v_frac"] - k["x_frac"]) for v in self.V]
        new_V, new_met, crossed = [], [], []
        for i in range(self.N):
            if n < self.inputs[i]:
                new_V.append(self.V[i])
                new_met.append(self.met[i])
                crossed.append(False)
                continue
            state = "met" if self.met[i] else "ins"
            acc = k["a_" + state] - k["b_" + state] * x[i]
            if n >= k["t_on"]:
                for j in range(self.N):
                    acc += self.g[i][j] * (x[j] - x[i])
            t = self.V[i] + near(acc, k["sh"])
            v = limit(t, 0, 2 ** (k["v_frac"] + 2) - 1)
            self.clips += v != t
            up = bool(self.met[i]) and v >= k["v_high"]
            new_V.append(v)
            crossed.append(up)
            new_met.append(int(not up) if self.met[i] else int(v <= k["v_low"]))
        self.crossings += sum(crossed)
        self.V, self.met = new_V, new_met
        length = min(self.age[r] + 1, 65535)
        self.age = [0 if up else min(a + 1, 65535) for a, up in zip(self.age, crossed, strict=True)]
        if crossed[r]:
            self.phase = list(self.age)
            out = [0 if 4 * p < length or 4 * p >= 3 * length else 1 for p in self.phase]
            self.period = length
            self.reads(out, self.cycles != 0 and out == self.out)
        self.step = n + 1
        return self.ends(crossed[r] and n >= k["t_on"])


class Phase(Witness):
    def __init__(self, k: Numbers, g: list[list[int]], inputs: list[int]) -> None:
        super().__init__(k, g, inputs)
        self.phi, self.new, self.ref = list(inputs), list(inputs), [1] * self.N

    def units(self) -> list[list[int]]:
        return [self.phi, self.new, self.ref, self.out]

    def advance(self) -> bool:
        """One step; True if the run ends there."""
        K = 2 ** self.k["phase_bits"]
        tt, r = self.step % K, self.k["reference"]
        s = [1 if (tt - p) % K < K // 2 else -1 for p in self.phi]
        for i in range(self.N):
            h = sum(self.g[i][j] * s[j] for j in range(self.N))
            now = 1 if h > 0 else 0 if h < 0 else self.ref[i]
            if now and not self.ref[i]:
                self.new[i] = tt
            self.ref[i] = now
        if tt == K - 1:
            kept = self.new == self.phi
            self.phi = list(self.new)
            d = [(p - self.phi[r]) % K for p in self.phi]
            self.reads([0 if 4 * x < K or 4 * x >= 3 * K else 1 for x in d], kept)
        self.step += 1
        return self.ends(tt == K - 1)
