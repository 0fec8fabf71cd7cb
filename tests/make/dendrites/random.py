"""Random cases of dendritic neurons: a net, its stimuli, a state, and the shows of a run."""

from dataclasses import dataclass, replace

import numpy as np

from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import SETTINGS, UNITS
from spikeloop.pysim.dendrites.state import DendriticState, fresh
from spikeloop.pysim.dendritic import numpy_engine
from spikeloop.pysim.dendritic.params import DendriticParams

__all__ = [
    "Case",
    "Show",
    "case_at_the_ends",
    "case_of_wide_gains",
    "case_of_wide_pushes",
    "random_case",
    "random_params",
]

LOW, HIGH = -(1 << 31), (1 << 31) - 1
"""The ends of a weight."""
MASK = (1 << 32) - 1


@dataclass(frozen=True)
class Show:
    """What a show is given."""

    stimulus: int
    steps: int
    learn: bool
    plastic: bool


@dataclass(frozen=True, eq=False)
class Case:
    """What an engine is given: shows that follow each other from ``state``."""

    net: DendriticNet
    stimuli: np.ndarray
    state: DendriticState
    shows: list[Show]


def random_params(rng: np.random.Generator, inputs: int = 70, neurons: int = 9) -> DendriticParams:
    """A small geometry; all remainders of inputs by four occur."""
    return DendriticParams(
        inputs=int(rng.integers(8, inputs + 1)),
        neurons=int(rng.integers(2, neurons + 1)),
        stimuli=int(rng.integers(1, 5)),
    )


def random_case(rng: np.random.Generator, p: DendriticParams, steps: int = 60) -> Case:
    """A net as large as the macro or smaller, and some ``steps`` steps in shows of 1 to 20.

    Half of the nets have the paper's settings, with a short warm-up; the others senseless ones.
    Two thirds of the states are those of the middle of a run, with values at their ends.
    """
    n, size = p.inputs, p.neurons
    if rng.random() < 0.3:
        n, size = int(rng.integers(8, n + 1)), int(rng.integers(2, size + 1))
    net = _net(rng, n, size)
    rates = rng.choice([20, 655, 6000, 65535], (p.stimuli, 1))
    stimuli = rng.integers(0, rates + 1, (p.stimuli, n))
    state = fresh(net, int(rng.integers(1 << 32)))
    if rng.random() < 0.67:
        state = _middle(rng, net, state)
    shows: list[Show] = []
    while (done := sum(show.steps for show in shows)) < steps:
        shows.append(
            Show(
                int(rng.integers(p.stimuli)),
                min(steps - done, int(rng.choice([1, 1, 2, 20]))),
                bool(rng.random() < 0.8),
                bool(rng.random() < 0.8),
            )
        )
    return Case(net, stimuli, state, shows)


def case_at_the_ends(rng: np.random.Generator, p: DendriticParams) -> Case:
    """One step of learning, after which many a weight is its end, or one from it, unclipped.

    A first run tells by how much each weight moves. Weights that differ in their low bits alone
    make the same output, so they move by the same again.
    """
    case = random_case(rng, p)
    net = DendriticNet.make(dict(case.net.settings) | {"decay": 31, "warm_up": 0}, case.net.table)
    below = rng.random((net.neurons, net.inputs)) < 0.5
    state = replace(
        _middle(rng, net, fresh(net, 1)), weights=np.where(below, LOW + 8192, HIGH - 8192), age=9
    )
    after = numpy_engine.show(net, case.stimuli[0], state, 1, learn=True, plastic=True).state
    moved = after.weights.astype(np.int64) - state.weights
    exact = np.where(below, LOW, HIGH) - moved + rng.integers(-1, 2, moved.shape)
    near = np.where(below, exact < LOW + 16384, exact > HIGH - 16384)
    usable = near & (exact >= LOW) & (exact <= HIGH)
    weights = np.where(usable, exact, state.weights)
    return _one_step(case, net, replace(state, weights=weights))


def case_of_wide_pushes(rng: np.random.Generator, p: DendriticParams) -> Case:
    """One step in which u follows v at once, from one end to the other: the widest sum."""
    case = random_case(rng, p)
    settings = {name: SETTINGS[name].high for name in ("leak_u", "gain_d")}
    net = DendriticNet.make(dict(case.net.settings) | settings, case.net.table)
    state, up = _middle(rng, net, fresh(net, 1)), rng.random(net.neurons) < 0.5
    units, weights = state.units.copy(), np.where(up, HIGH, LOW)
    units[list(UNITS).index("u")] = np.where(up, UNITS["u"].low, UNITS["u"].high)
    state = replace(
        state,
        units=units,
        weights=np.repeat(weights[:, None], net.inputs, 1),
        psps=np.full(net.inputs, (1 << 20) - 1),
    )
    return _one_step(case, net, state)


def case_of_wide_gains(rng: np.random.Generator, p: DendriticParams) -> Case:
    """One step in which all neurons spike with traces at an end: the widest sums of G."""
    case = random_case(rng, p)
    settings = {name: SETTINGS[name].high for name in ("spike_gain", "g_max")}
    settings |= dict.fromkeys(("leak_p", "leak_d", "step_p", "step_d", "noise", "warm_up"), 0)
    net = DendriticNet.make(dict(case.net.settings) | settings, np.full(1024, 65535))
    state, high = _middle(rng, net, fresh(net, 1)), rng.random(net.neurons) < 0.7
    units, names = state.units.copy(), list(UNITS)
    for name in ("trace_p", "trace_d"):
        units[names.index(name)] = np.where(high, UNITS[name].high, UNITS[name].low)
    units[names.index("rs")] = [_drawn_before(int(x)) for x in rng.integers(1, 1 << 16, high.size)]
    return _one_step(case, net, replace(state, units=units, age=9))


def _one_step(case: Case, net: DendriticNet, state: DendriticState) -> Case:
    """One step of this net and state, all learning on, with the stimuli of ``case``."""
    return Case(net, case.stimuli, state.check(net), [Show(0, 1, True, True)])


def _net(rng: np.random.Generator, n: int, size: int) -> DendriticNet:
    settings = {"inputs": n, "neurons": size}
    if rng.random() < 0.5:
        settings |= {"stat_shift": int(rng.integers(1, 6)), "warm_up": int(rng.integers(0, 12))}
        settings |= {"impulse": 65535, "spike_gain": int(rng.choice([655, 20000]))}
        settings |= {"decay": int(rng.integers(1, 20))}
    else:
        for name, limit in SETTINGS.items():
            if name not in settings and rng.random() < 0.8:
                ends = (limit.low, limit.high, int(rng.integers(limit.low, limit.high + 1)))
                settings[name] = int(rng.choice(ends))
        settings["warm_up"] = int(rng.choice([0, 3, 65534]))
    table = np.sort(rng.integers(0, 65536, 1024)) if rng.random() < 0.5 else None
    return DendriticNet.make(settings, table)


def _drawn_before(x: int) -> int:
    """The state of a generator, xorshift32, whose next one is ``x``."""
    for shift in (5, -17, 13):
        y = x
        for _ in range(32 // abs(shift)):
            y = x ^ (y << shift & MASK if shift > 0 else y >> -shift)
        x = y
    return x


def _middle(rng: np.random.Generator, net: DendriticNet, state: DendriticState) -> DendriticState:
    """A state with values anywhere in their ranges, many of them at the ends or near 0."""
    n, size = net.inputs, net.neurons

    def draw(low: int, high: int, shape: tuple[int, ...]) -> np.ndarray:
        small = rng.integers(max(low, -5), min(high, 2000) + 1, shape)
        wide = rng.integers(low, high + 1, shape)
        kind = rng.choice(4, p=(0.45, 0.35, 0.1, 0.1), size=shape)
        return np.choose(kind, [small, wide, np.full(shape, low), np.full(shape, high)])

    units = np.stack([draw(form.low, form.high, (size,)) for form in UNITS.values()])
    units[-2:] = np.maximum(units[-2:], 1)
    # a draw of 0, which is no spike even where the probability of one is 0
    units[list(UNITS).index("rs"), 0] = _drawn_before(int(rng.integers(1, 1 << 16)))
    if rng.random() < 0.5:  # traces that clip where they do not leak
        for name, end in (("trace_p", "low"), ("trace_d", "high")):
            units[list(UNITS).index(name)] = getattr(UNITS[name], end)
    g = draw(0, net["g_max"], (size, size))
    np.fill_diagonal(g, 0)
    psps, weights = draw(0, (1 << 20) - 1, (n,)), state.weights
    kind = rng.choice(("small", "any", "ends"), p=(0.4, 0.4, 0.2))
    if kind == "any":
        weights = draw(LOW, HIGH, (size, n))
    elif kind == "ends":  # sums that clip v
        weights = np.repeat(rng.choice((LOW, HIGH), (size, 1)), n, 1)
        psps = np.full(n, (1 << 20) - 1)
    ages = [0, net["warm_up"], net["warm_up"], net["warm_up"] + 1, 65530, 65535]
    return DendriticState(
        weights,
        g,
        draw(0, (1 << 17) - 1, (n,)),
        psps,
        units,
        int(rng.integers(1, 1 << 63)) * 2 + 1,
        int(rng.choice(ages)),
    ).check(net)
