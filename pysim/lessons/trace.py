"""The trace of a lesson, or of some presentations of it: every value that the contract names.

docs/plasticity.md, "A lesson". Presentations are numbered in the lesson, ticks in the presentation.
"""

import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikeloop.pysim.lessons.lesson import LessonState

__all__ = ["NEURON_FIELDS", "UPDATE", "ARRIVAL", "LessonTrace", "crc_of", "differences", "replay"]

NEURON_FIELDS = ("s", "v", "ge", "gi", "theta", "c", "y")
"""Values per tick and neuron."""
ARRIVAL = ("presentation", "tick", "axon", "x")
UPDATE = ("presentation", "tick", "use", "axon", "neuron", "old", "new")


@dataclass(frozen=True, eq=False)
class LessonTrace:
    """What presentations ``first`` .. ``first + len(crc) - 1`` of a lesson did.

    s, v, ge, gi, theta, c, y: int64 ``[tick, neuron]``, over all ticks of these presentations
    arrivals:  int64 ``[row, 4]``, columns ARRIVAL
    updates:   int64 ``[row, 7]``, columns UPDATE
    crc:       int64 ``[presentation]``
    clips:     int64 ``[presentation]``, updates in which the weight was clipped
    state:     what outlasts the last of them
    cycles:    int64 ``[tick]``, and of REST and NORMALISE int64 ``[presentation]``; empty where the
               engine has no clock
    """

    first: int
    s: np.ndarray
    v: np.ndarray
    ge: np.ndarray
    gi: np.ndarray
    theta: np.ndarray
    c: np.ndarray
    y: np.ndarray
    arrivals: np.ndarray
    updates: np.ndarray
    crc: np.ndarray
    clips: np.ndarray
    state: LessonState
    cycles: np.ndarray
    rest_cycles: np.ndarray
    normalise_cycles: np.ndarray


class Differences(NamedTuple):
    """What was compared, by kind; how much of it differs; the first difference, a sentence."""

    compared: dict[str, int]
    different: dict[str, int]
    first: str | None


def crc_of(weights: np.ndarray) -> int:
    """CRC-32 of the weights ``[axon, neuron]`` as 16-bit little-endian numbers."""
    return zlib.crc32(np.ascontiguousarray(weights, "<u2").tobytes())


def replay(weights: np.ndarray, updates: np.ndarray, presentations: range) -> np.ndarray:
    """The CRC after each presentation that the log ``updates`` makes of ``weights``: int64.

    ValueError if an old weight of the log is not the one that stands there.
    """
    weights = np.array(weights)
    ends = np.searchsorted(updates[:, 0], np.array(presentations), "right")
    crcs, at = [], 0
    for end in ends:
        for _, _, _, a, n, old, new in updates[at:end].tolist():
            if weights[a, n] != old:
                raise ValueError(f"weight of axon {a}, neuron {n} is {weights[a, n]}, not {old}")
            weights[a, n] = new
        at = end
        crcs.append(crc_of(weights))
    return np.array(crcs, np.int64)


def differences(
    want: LessonTrace, got: LessonTrace, ticks: np.ndarray, names: tuple[str, str]
) -> Differences:
    """Compare two traces of the same presentations.

    ticks: of each presentation of the lesson. names: what gave each trace, for the sentence.
    """
    compared, different, firsts = {}, {}, []
    start = np.concatenate([[0], np.cumsum(ticks[want.first : want.first + len(want.crc)])])

    def sentence(tick: int, what: str, a: object, b: object) -> str:
        presentation = int(np.searchsorted(start, tick, "right")) - 1
        where = f"presentation {want.first + presentation}, tick {tick - start[presentation]}"
        return f"{where}, {what}: {a} in {names[0]}, {b} in {names[1]}"

    for name in NEURON_FIELDS:
        a, b = getattr(want, name), getattr(got, name)
        compared[name] = a.size
        wrong = a != b
        different[name] = int(wrong.sum())
        if different[name]:
            tick, neuron = np.argwhere(wrong)[0].tolist()
            text = sentence(tick, f"neuron {neuron}, {name}", a[tick, neuron], b[tick, neuron])
            firsts.append((tick, text))
    for name, columns in (("arrivals", ARRIVAL), ("updates", UPDATE)):
        a, b = getattr(want, name), getattr(got, name)
        compared[name], rows = max(len(a), len(b)), min(len(a), len(b))
        wrong = (a[:rows] != b[:rows]).any(1)
        different[name] = int(wrong.sum()) + compared[name] - rows
        if different[name]:
            row = int(np.argmax(wrong)) if wrong.any() else rows
            pair = [
                dict(zip(columns, n[row].tolist(), strict=True)) if row < len(n) else "none"
                for n in (a, b)
            ]
            either = (a if row < len(a) else b)[row]
            tick = int(start[either[0] - want.first] + either[1])
            firsts.append((tick, sentence(tick, f"row {row} of {name}", *pair)))
    for name in ("crc", "clips"):
        a, b = getattr(want, name), getattr(got, name)
        compared[name], different[name] = len(a), int((a != b).sum())
        if different[name]:
            at = int(np.argmax(a != b))
            firsts.append((int(start[at + 1]) - 1, sentence(start[at + 1] - 1, name, a[at], b[at])))
    for name in ("cycles", "rest_cycles", "normalise_cycles"):
        a, b = getattr(want, name), getattr(got, name)
        if len(a) and len(b):
            compared[name], different[name] = len(a), int((a != b).sum())
            if different[name]:
                at = int(np.argmax(a != b))
                tick = at if name == "cycles" else int(start[at])
                firsts.append((tick, sentence(tick, name, a[at], b[at])))
    for name in ("weights", "theta", "dirty"):
        a, b = getattr(want.state, name), getattr(got.state, name)
        compared[f"last {name}"], different[f"last {name}"] = a.size, int((a != b).sum())
        if different[f"last {name}"]:
            place = tuple(np.argwhere(a != b)[0].tolist())
            end = int(start[-1]) - 1
            firsts.append((end, sentence(end, f"last {name} {place}", a[place], b[place])))
    first = min(firsts, key=lambda pair: pair[0])[1] if firsts else None
    return Differences(compared, different, first)
