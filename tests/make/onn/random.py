"""Random cases: a net, its input, the state it begins with, and how many steps it runs."""

from dataclasses import dataclass

import numpy as np

from spikeloop.pysim.onn import numpy_engine
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.circuit import Step
from spikeloop.pysim.oscillators.net import OnnNet, OnnState

__all__ = ["Case", "kept_case", "random_case", "random_net", "random_params"]

STEPS = 400


@dataclass(frozen=True, eq=False)
class Case:
    """What an engine is given."""

    net: OnnNet
    start: np.ndarray
    state: OnnState | None
    steps: int | None


def random_params(rng: np.random.Generator, cell: str, most: int = 24) -> OnnParams:
    """A geometry: lanes for all, for half, or an odd number."""
    size = int(rng.integers(2, most + 1))
    lanes = int(rng.choice([size, max(1, size // 2), int(rng.integers(1, size + 1)) | 1]))
    v_frac = int(rng.integers(18, 27))
    return OnnParams(
        cell=cell,
        oscillators=size,
        lanes=min(lanes, size),
        coupling_bits=int(rng.integers(6, 15) if cell == "relaxation" else rng.integers(4, 9)),
        v_frac=v_frac,
        x_frac=int(rng.integers(12, v_frac + 1)),
        phase_bits=int(rng.integers(2, 7)),
    )


def random_net(rng: np.random.Generator, p: OnnParams) -> OnnNet:
    """A net that fits the macro: as large, or smaller."""
    size = p.oscillators if rng.random() < 0.7 else int(rng.integers(2, p.oscillators + 1))
    return (_relaxation if p.cell == "relaxation" else _phase)(rng, p, size)


def random_case(rng: np.random.Generator, p: OnnParams, steps: int = STEPS) -> Case:
    """A net with an input; half of the cases begin in the middle of a run."""
    net = random_net(rng, p)
    if p.cell == "phase":
        start = rng.integers(0, net.slots, net.size)
    else:
        start = rng.integers(0, rng.choice([2, 40, 600]), net.size)
    state = _state(rng, net) if rng.random() < 0.5 else None
    if p.cell == "relaxation" and state and state.step >> 23:
        net = net.with_(t_on=1 << 23)  # couplings that began at a number with the highest bit
    if p.cell == "relaxation" and rng.random() < 0.4:
        net = _met_exactly(net, start, state)
    first = state.step if state else 0
    room = int(rng.integers(1, steps + 1))
    if rng.random() < 0.5:  # it ends of itself
        return Case(net.with_(steps_max=first + room), start, state, None)
    return Case(net, start, state, min(room, net["steps_max"] - first))


def kept_case(rng: np.random.Generator, p: OnnParams) -> Case:
    """A net smaller than the macro whose first step is a reading that changes nothing.

    Oscillators beyond the net must not make it one that changes.
    """
    size = int(rng.integers(2, p.oscillators))
    net = (_relaxation if p.cell == "relaxation" else _phase)(rng, p, size)
    net = net.with_(settle=2)
    start, state = np.zeros(size, np.int64), _state(rng, net)
    state.whole[1:] = (100 * (p.cell == "relaxation"), 7, 1)
    if p.cell == "phase":
        state.units[1], state.units[2], state.whole[0] = state.units[0], 1, 51 * net.slots - 1
    else:
        state.units[:2, net["reference"]] = (net.top, 1)
        state.units[4] = numpy_engine.run(net, start, steps=1, state=state).units[0, 4]
    return Case(net, start, state, 40)


def _met_exactly(net: OnnNet, start: np.ndarray, state: OnnState | None) -> OnnNet:
    """The net with thresholds that voltages meet exactly in its first step, if they can."""
    before = net.begin(start) if state is None else state
    v = numpy_engine.run(net, start, steps=1, state=state).units[0, 0]
    metallic, live = before.units[1] == 1, before.step >= start
    high, low = v[live & metallic], v[live & ~metallic]
    v_high = int(high.max()) if high.size else net["v_high"]
    below = low[low < v_high]
    v_low = int(below.max()) if below.size else min(net["v_low"], v_high - 1)
    return net.with_(v_high=v_high, v_low=v_low) if v_high > 0 else net


def _symmetric(
    rng: np.random.Generator, size: int, low: int, high: int, dense: float
) -> np.ndarray:
    g = np.triu(rng.integers(low, high + 1, (size, size)), 1)
    g *= np.triu(rng.random((size, size)) < dense, 1)
    return g + g.T


def _common(rng: np.random.Generator, size: int) -> dict[str, int]:
    return {
        "steps_max": (1 << 24) - 1,
        "settle": int(rng.choice([0, 1, 2, 3])),
        "reference": int(rng.integers(size)),
    }


def _phase(rng: np.random.Generator, p: OnnParams, size: int) -> OnnNet:
    high = (1 << p.coupling_bits - 1) - 1
    high = int(rng.choice([1, high]))  # small couplings: sums of 0
    low = -high - int(high > 1)
    g = _symmetric(rng, size, low, high, float(rng.choice([0.3, 1.0])))
    formats = {"coupling_bits": p.coupling_bits, "phase_bits": p.phase_bits}
    return OnnNet.make("phase", g, formats, _common(rng, size))


def _relaxation(rng: np.random.Generator, p: OnnParams, size: int) -> OnnNet:
    formats = {n: getattr(p, n) for n in ("coupling_bits", "v_frac", "x_frac")}
    high = (1 << p.coupling_bits) - 1
    dense = float(rng.choice([0.3, 1.0]))
    if rng.random() < 0.6:  # the circuit, with few steps a period
        step = Step(int(rng.choice([64, 97, 200])), p.v_frac, p.x_frac, p.coupling_bits)
        fraction = int(rng.integers(14, 21))
        settings = step.settings(max(fraction, p.v_frac - p.x_frac + 1))
        if rng.random() < 0.3:  # thresholds that a voltage meets exactly
            unit = 1 << p.v_frac - 4
            settings["v_high"] = settings["v_high"] // unit * unit
            settings["a_ins"] = settings["b_ins"] = 0
        share = float(rng.choice([0.002, 0.02, 1.0]))
        g = _symmetric(rng, size, 0, max(1, int(high * share)), dense)
    else:
        top = (4 << p.v_frac) - 1
        v_low, v_high = np.sort(rng.choice(top, 2, replace=False)).tolist()
        a_bits = rng.integers(20, 49, 2)
        settings = {
            "sh": int(rng.integers(1, 41)),
            **dict(
                zip(("a_ins", "a_met"), (int(rng.integers(1 << n)) for n in a_bits), strict=True)
            ),
            **{name: int(rng.integers(1 << rng.integers(1, 24))) for name in ("b_ins", "b_met")},
            "v_high": v_high,
            "v_low": v_low,
        }
        g = _symmetric(rng, size, 0, high, dense)
    rates = max(settings["b_ins"], settings["b_met"])
    while g.sum(1).max() + rates >> 24:
        g //= 2
    settings["t_on"] = int(rng.choice([0, 1, 30, 300, 3000]))
    return OnnNet.make("relaxation", g, formats, {**settings, **_common(rng, size)})


def _state(rng: np.random.Generator, net: OnnNet) -> OnnState:
    size, s = net.size, net.settings
    whole = np.array(
        [
            int(rng.choice([5, 29, 299, 70_000, (1 << 24) - 500])),
            int(rng.choice([0, 100, 65535])),
            int(rng.choice([0, 1, 7, 65534, 65535])),
            int(rng.choice([0, 1, 254, 255])),
        ]
    )
    if net.cell == "phase":
        whole[1] = 0
        units = [*rng.integers(0, net.slots, (2, size)), *rng.integers(0, 2, (2, size))]
        return OnnState(np.array(units, np.int64), whole)
    v = rng.integers(0, net.top + 1, size)
    near = rng.random(size) < 0.5
    edge = np.where(rng.random(size) < 0.5, s["v_high"], s["v_low"])
    v = np.where(near, np.clip(edge + rng.integers(-3, 4, size), 0, net.top), v)
    age = rng.choice([0, 8, 16, 24, 30, 31, 65533, 65534, 65535], size)
    r = s["reference"]
    age[r] = int(rng.choice([31, 63, 127, 65534, 65535, 65535]))
    quarter = (int(age[r]) + 1) // 4  # some cross with r, or 1/4 and 3/4 of its period before
    age = np.where(rng.random(size) < 0.7, quarter * rng.choice([1, 3], size) - 1, age)
    age[r] = max(age[r], 0)
    met = rng.integers(0, 2, size)
    if rng.random() < 0.5:
        v[r], met[r] = net.top, 1
    phase, out = rng.integers(0, 65536, size), rng.integers(0, 2, size)
    return OnnState(np.stack([v, met, age, phase, out]).astype(np.int64), whole)
