"""Corners of the oscillators, counted in runs: what a comparison has really seen."""

from collections import Counter

import numpy as np

from spikeloop.pysim.oscillators.net import OnnNet, OnnState
from spikeloop.pysim.oscillators.trace import OnnTrace

__all__ = ["BINS", "count"]

FULL = 65535
BINS = {
    "relaxation": (
        *("V at V+ exactly", "V at V- exactly", "clip at 0", "clip at the top"),
        *("i and r cross together", "age full", "4 phase = period", "4 phase = 3 period"),
        *("n = t_on", "n = delay", "settled", "would settle before t_on", "period full"),
        *("cycles full", "same full", "first reading", "reading with a change"),
        *("last step", "waits for its delay", "metallic and coupled"),
    ),
    "phase": (
        *("h = 0 after +", "h = 0 after -", "edge in slot 0", "edge in the last slot"),
        *("settled", "reading with a change", "d = K/4", "d = 3K/4", "d = K/2"),
        *("cycles full", "same full", "last step", "second edge in a period"),
    ),
}
"""Names of all corners, by cell."""


def count(net: OnnNet, start: np.ndarray, state: OnnState | None, trace: OnnTrace) -> Counter[str]:
    """How often each corner came up in a recorded trace. Corners count steps or oscillators."""
    begin = net.begin(start) if state is None else state
    units = np.concatenate([begin.units[None], trace.units]).astype(np.int64)
    whole = np.concatenate([begin.whole[None], trace.whole]).astype(np.int64)
    before, after = units[:-1].swapaxes(0, 1), units[1:].swapaxes(0, 1)
    corner = _relaxation if net.cell == "relaxation" else _phase
    found = Counter(
        {name: int(np.sum(seen)) for name, seen in corner(net, start, before, after, whole).items()}
    )
    same, settle = whole[1:, 3], net["settle"]
    found["cycles full"] += int((whole[1:, 2] == FULL).sum())
    found["same full"] += int((same == 255).sum())
    if trace.ended:
        settles = bool(settle) and same[-1] >= settle
        found["settled" if settles else "last step"] += 1
    return found


def _relaxation(
    net: OnnNet, start: np.ndarray, before: np.ndarray, after: np.ndarray, whole: np.ndarray
) -> dict[str, np.ndarray]:
    s, g = net.settings, net.couplings
    v, met, age = before[:3]
    n = whole[:-1, 0]
    on, live = (n >= s["t_on"])[:, None], n[:, None] >= start
    x = v >> net.formats["v_frac"] - net.formats["x_frac"]
    metallic = met == 1
    acc = (
        np.where(metallic, s["a_met"], s["a_ins"]) - np.where(metallic, s["b_met"], s["b_ins"]) * x
    )
    acc += np.where(on, x @ g - g.sum(1) * x, 0)
    moved = v + ((acc + (1 << s["sh"] - 1)) >> s["sh"])
    crossed = live & metallic & (after[1] == 0)
    reads = crossed[:, s["reference"]]
    phase, period = after[3][reads], whole[1:, 1][reads][:, None]
    same, first = whole[1:, 3], reads & (whole[:-1, 2] == 0)
    changed = reads & (same == 0) & ~first
    early = reads & (n < s["t_on"]) & (same >= s["settle"]) & (s["settle"] > 0)
    others = np.arange(net.size) != s["reference"]
    return {
        "V at V+ exactly": live & metallic & (after[0] == s["v_high"]),
        "V at V- exactly": live & ~metallic & (after[0] == s["v_low"]),
        "clip at 0": live & (moved < 0),
        "clip at the top": live & (moved > net.top),
        "i and r cross together": crossed[reads] & others,
        "age full": (age == FULL) & (after[2] == FULL),
        "4 phase = period": 4 * phase == period,
        "4 phase = 3 period": 4 * phase == 3 * period,
        "n = t_on": n == s["t_on"],
        "n = delay": (n[:, None] == start) & (start > 0),
        "would settle before t_on": early,
        "period full": reads & (whole[1:, 1] == FULL),
        "first reading": first,
        "reading with a change": changed,
        "waits for its delay": ~live,
        "metallic and coupled": live & metallic & on & (g.sum(1) > 0),
    }


def _phase(
    net: OnnNet, start: np.ndarray, before: np.ndarray, after: np.ndarray, whole: np.ndarray
) -> dict[str, np.ndarray]:
    slots = net.slots
    slot = (whole[:-1, 0] % slots)[:, None]
    shown = np.where((slot - before[0]) % slots < slots // 2, 1, -1)
    h = shown @ net.couplings
    edge = (after[2] == 1) & (before[2] == 0)
    last = slot[:, 0] == slots - 1
    apart = (after[0] - after[0][:, net["reference"], None]) % slots
    read = last[:, None]
    return {
        "h = 0 after +": (h == 0) & (before[2] == 1),
        "h = 0 after -": (h == 0) & (before[2] == 0),
        "edge in slot 0": edge & (slot == 0),
        "edge in the last slot": edge & read,
        "reading with a change": last & (whole[1:, 3] == 0),
        "d = K/4": read & (4 * apart == slots),
        "d = 3K/4": read & (4 * apart == 3 * slots),
        "d = K/2": read & (2 * apart == slots),
        "second edge in a period": edge & (before[1] != before[0]),
    }
