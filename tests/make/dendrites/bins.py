"""Corners of docs/dendritic.md, and how often a show meets them: counted on the witness."""

from collections import Counter
from math import isqrt

from tests.witness.dendritic import Witness

__all__ = ["BINS", "Watched"]

BINS = (
    *(f"{value} clipped at the {end}" for value in ("v", "u", "trace") for end in ("low", "high")),
    *("I clipped", "e clipped"),
    *(f"W clipped at the {end}" for end in ("low", "high")),
    "W moves to its end unclipped",
    *("f clipped at 0", "f clipped at 65535"),
    *("place below the table", "place above the table"),
    *("sd = 0", "z < 0 with a remainder", "z < 0 without one"),
    *("no output spike", "one output spike", "two output spikes or more"),
    *("G falls to 0", "G rises to g_max", "G of two spikes"),
    *(f"n mod 4 = {rest}" for rest in range(4)),
    *("age = warm_up", "age = warm_up + 1", "age stays at 65535"),
    *("frozen", "frozen behind a change of weights", "learns, not plastic"),
    *("show of one step that learns", "fewer neurons than lanes", "fewer inputs than rows"),
)
"""Names of the corners. Counters go up once for each value, neuron or step that meets one."""


class Watched(Witness):
    """A witness that counts the corners it meets in ``met``."""

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.met, self.at = Counter[str](), ""

    def kept(self, x: int, a: int, b: int) -> int:
        if not a <= x <= b:
            unsigned = {2**17 - 1: "I clipped", 2**20 - 1: "e clipped"}
            end = "low" if x < a else "high"
            self.met[unsigned[b] if a == 0 else f"{self.at} clipped at the {end}"] += 1
        return super().kept(x, a, b)

    def look(self, a: int) -> int:
        self.met["place below the table"] += a < -384
        self.met["place above the table"] += a > 639
        return super().look(a)

    def step(self, threshold: list[int], learn: bool, plastic: bool) -> None:
        t0 = self.k["warm_up"]
        self.met[f"n mod 4 = {len(threshold) % 4}"] += 1
        self.met["frozen"] += not learn
        self.met["learns, not plastic"] += learn and not plastic and self.age > t0
        for more in (0, 1):
            name = "age = warm_up" + (" + 1" if more else "")
            self.met[name] += learn and self.age == t0 + more
        self.met["age stays at 65535"] += learn and self.age == 65535
        super().step(threshold, learn, plastic)

    def dendrites(self, threshold: list[int]) -> None:
        self.at = "v"
        super().dendrites(threshold)

    def somata(self) -> None:
        self.at = "u"
        super().somata()

    def respond(self, n: dict[str, int]) -> None:
        super().respond(n)
        sd, above = max(isqrt(n["var"]), 1), n["u"] * 16 - n["mean"]
        self.met["sd = 0"] += n["var"] == 0
        if above < 0:
            self.met["z < 0 with a remainder" if above % sd else "z < 0 without one"] += 1
        noise = (sum(n["rn"].to_bytes(4, "little")) - 510) * self.k["noise"]
        noisy = Witness.look(self, above // sd) + noise
        self.met["f clipped at 0"] += noisy < 0
        self.met["f clipped at 65535"] += noisy > 65535

    def learn(self, i: int, c: int) -> None:
        clipped, before = self.saturations, list(self.W[i])
        super().learn(i, c)
        moved = [w for w, old in zip(self.W[i], before, strict=True) if w != old]
        ends = [w for w in moved if w in (-(2**31), 2**31 - 1)]
        self.met["W moves to its end unclipped"] += len(ends) > self.saturations - clipped
        if self.saturations > clipped:
            self.met["W clipped at the low"] += -(2**31) in self.W[i]
            self.met["W clipped at the high"] += 2**31 - 1 in self.W[i]

    def plasticity(self) -> None:
        self.at, before = "trace", [list(row) for row in self.G]
        super().plasticity()
        fired = [n["s"] for n in self.units]
        names = ("no output spike", "one output spike", "two output spikes or more")
        self.met[names[min(sum(fired), 2)]] += 1
        for i, row in enumerate(self.G):
            for k, g in enumerate(row):
                if i != k:
                    self.met["G falls to 0"] += g == 0 < before[i][k]
                    self.met["G rises to g_max"] += g == self.k["g_max"] > before[i][k]
                    self.met["G of two spikes"] += fired[i] and fired[k] and g != before[i][k]
