"""The engine of oscillators in plain numpy: a step at a time, all oscillators at once.

Written from docs/onn.md. Slow; pysim/onn/numba_engine.py is the fast one.
"""

import numpy as np

from spikeloop.pysim.oscillators.net import OnnNet, OnnState
from spikeloop.pysim.oscillators.trace import OnnTrace

__all__ = ["run"]

FULL = 65535


def run(
    net: OnnNet,
    start: np.ndarray,
    *,
    steps: int | None = None,
    state: OnnState | None = None,
    record: bool = True,
) -> OnnTrace:
    """A run, or its next ``steps`` steps.

    start:  delays or slots, ``[oscillator]``.
    steps:  where to stop at the latest; by default where the run ends.
    state:  what the steps before left; by default the beginning.
    record: False keeps the last state only.
    """
    state = net.begin(start) if state is None else state
    walk = _Relaxation if net.cell == "relaxation" else _Phase
    walker = walk(net, net.check_input(start), state)
    limit = net["steps_max"] - state.step if steps is None else steps
    units, whole, done, ended = [], [], 0, False
    while done < limit and not ended:
        ended = walker.step()
        done += 1
        if record:
            units.append(walker.units())
            whole.append(walker.whole.copy())
    shape = (0, len(net.units), net.size)
    return OnnTrace(
        first=state.step,
        units=np.array(units, np.int32) if units else np.zeros(shape, np.int32),
        whole=np.array(whole, np.int32) if whole else np.zeros((0, 4), np.int32),
        state=OnnState(walker.units(), walker.whole.copy()),
        steps=done,
        clips=walker.clips,
        crossings=walker.crossings,
        ended=ended,
    )


class _Walker:
    """A net under way. ``step`` makes a step and says whether the run ends there."""

    def __init__(self, net: OnnNet, start: np.ndarray, state: OnnState) -> None:
        self.net, self.start, self.g = net, start, net.couplings
        self.rows = {name: row.copy() for name, row in zip(net.units, state.units, strict=True)}
        self.whole = state.whole.copy()
        self.clips = self.crossings = 0

    def units(self) -> np.ndarray:
        return np.stack([self.rows[name] for name in self.net.units])

    def over(self, reading: bool) -> bool:
        """Whether the run ends after the step just made."""
        settle = self.net["settle"]
        return bool(
            self.whole[0] >= self.net["steps_max"]
            or (settle and reading and self.whole[3] >= settle)
        )


class _Relaxation(_Walker):
    def step(self) -> bool:
        s, g, rows = self.net.settings, self.g, self.rows
        n = int(self.whole[0])
        x = rows["v"] >> self.net.formats["v_frac"] - self.net.formats["x_frac"]
        metallic = rows["met"] == 1
        a = np.where(metallic, s["a_met"], s["a_ins"])
        b = np.where(metallic, s["b_met"], s["b_ins"])
        acc = a - b * x
        if n >= s["t_on"]:
            acc += g @ x - g.sum(1) * x
        moved = rows["v"] + ((acc + (1 << s["sh"] - 1)) >> s["sh"])
        held = np.clip(moved, 0, self.net.top)
        live = n >= self.start
        v = np.where(live, held, rows["v"])
        crossed = live & metallic & (v >= s["v_high"])
        met = np.where(metallic, ~crossed, v <= s["v_low"])
        self.clips += int((live & (held != moved)).sum())
        self.crossings += int(crossed.sum())
        rows["v"], rows["met"] = v, np.where(live, met, metallic).astype(np.int64)
        r = s["reference"]
        before = int(rows["age"][r])
        rows["age"] = np.where(crossed, 0, np.minimum(rows["age"] + 1, FULL))
        if crossed[r]:
            self._read(min(before + 1, FULL))
        self.whole[0] = n + 1
        return self.over(bool(crossed[r]) and n >= s["t_on"])

    def _read(self, period: int) -> None:
        rows, (_, _, cycles, same) = self.rows, self.whole.tolist()
        rows["phase"] = rows["age"].copy()
        four = 4 * rows["phase"]
        out = np.where((four < period) | (four >= 3 * period), 0, 1)
        kept = cycles > 0 and bool((out == rows["out"]).all())
        rows["out"] = out
        self.whole[1:] = (period, min(cycles + 1, FULL), min(same + 1, 255) if kept else 0)


class _Phase(_Walker):
    def step(self) -> bool:
        rows, slots = self.rows, self.net.slots
        n, _, cycles, same = self.whole.tolist()
        slot = n % slots
        shown = np.where((slot - rows["phi"]) % slots < slots // 2, 1, -1)
        h = self.g @ shown
        now = np.where(h == 0, rows["ref"] == 1, h > 0)
        rows["new"] = np.where(now & (rows["ref"] == 0), slot, rows["new"])
        rows["ref"] = now.astype(np.int64)
        last = slot == slots - 1
        if last:
            kept = bool((rows["new"] == rows["phi"]).all())
            rows["phi"] = rows["new"].copy()
            four = 4 * ((rows["phi"] - rows["phi"][self.net["reference"]]) % slots)
            rows["out"] = np.where((four < slots) | (four >= 3 * slots), 0, 1)
            self.whole[2:] = (min(cycles + 1, FULL), min(same + 1, 255) if kept else 0)
        self.whole[0] = n + 1
        return self.over(last)
