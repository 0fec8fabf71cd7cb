"""Brian2 as an oracle of the float rules: its own net, its own synapses, 20 axons onto 5 neurons.

Brian2 2.9 needs numpy < 2.4, so it has an environment of its own (docs/verification.md). Without
it these tests are skipped.

Brian adds conductances behind the threshold test of a tick, we before it. So Brian's neurons spike
one tick later, and the plastic part of its pre events waits for one tick too. Its traces decay up
to a pre event; ours are those of the tick before, so depression there is larger by exp(1 / tau-).
"""

from typing import Any

import numpy as np
import pytest

from spikeloop.golden.rules.alsa.rule import Alsa
from spikeloop.golden.rules.digits.floats import FloatCore
from spikeloop.golden.rules.digits.neurons import Neurons
from spikeloop.golden.rules.stdp.floats import follow
from spikeloop.golden.rules.stdp.rule import PairRule, TargetRule
from spikeloop.golden.rules.stdp.scaling import Scaling

brian = pytest.importorskip(
    "brian2",
    reason="package brian2 is not installed: it needs numpy < 2.4, so an environment of its own "
    "(docs/verification.md)",
    exc_type=ImportError,
)

AXONS, COUNT, TICKS, THETA = 20, 5, 2000, 12.0
NEURONS = Neurons(tau_m=20.0, tau_i=5.0, lateral=3.0, refractory=3, theta_plus=0.3, tau_theta=900.0)
SHAPES = {"plus": 0.5, "minus": 0.45, "w0": 0.5}
RULES: dict[str, Any] = {
    "alsa": Alsa(alpha=-0.2),
    "target": TargetRule(),
    "log": PairRule(scaling=Scaling(kind="log", **SHAPES)),
    "add": PairRule(scaling=Scaling(kind="add", **SHAPES), eta=0.01),
    "mult": PairRule(scaling=Scaling(kind="mult", **SHAPES)),
}
STEP = """
u = v + k_m * ((v_rest - v) + ge * (e_exc - v) + gi * (e_inh - v))
v = int(c > 0) * v_reset + int(c == 0) * clip(u, v_low, inf)
ge = ge * keep_e
gi = gi * keep_i
theta = theta * keep_theta
"""


def rows_of(rule: Any) -> tuple[str, str, str, dict[str, float]]:
    """Brian's equations of a rule: at a pre event, at a post event, and its constants."""
    if isinstance(rule, Alsa):
        change = "eta * (al + be * int(last > -1) * exp((last - now) / tau)) * w * (1 - w)"
        names = {"eta": rule.eta, "al": rule.alpha, "be": rule.beta, "tau": rule.tau}
        return "", f"w = w + {change}", "", names
    if isinstance(rule, TargetRule):
        change = "eta * (int(last > -1) * exp((last - now) / tau) - goal) * (1 - w) ** mu"
        names = {"eta": rule.eta, "goal": rule.x_tar, "mu": rule.mu, "tau": rule.tau}
        return "", f"w = clip(w + {change}, 0, 1)", "", names
    s = rule.scaling
    names = {
        "cplus": s.plus,
        "cminus": s.minus,
        "w0": s.w0,
        "sat": s.s,
        "gam": s.gamma,
        "eta": rule.eta,
    }
    names |= {"tau": rule.tau_plus, "tam": rule.tau_minus, "late": np.exp(1 / rule.tau_minus)}
    below, above = "cminus * w / w0", "cminus * (1 + log(1 + sat * clip(w / w0 - 1, 0, inf)) / sat)"
    minus = {
        "add": "cminus",
        "mult": "cminus * w",
        "log": f"(int(w <= w0) * {below} + int(w > w0) * {above})",
    }
    plus = "cplus * exp(-w / (w0 * gam))" if s.kind == "log" else "cplus"
    trace = "late * int(lasty > -1) * exp((lasty - now) / tam)"
    raised = "int(last > -1) * exp((last - now) / tau)"
    return (
        f"w = clip(w - eta * {minus[s.kind]} * {trace}, 0, 1)",
        f"w = clip(w + eta * {plus} * {raised}, 0, 1)",
        "lasty = now",
        names,
    )


def simulated(rule: Any, weights: np.ndarray, pre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brian's weights at the end, and its post spikes ``[tick, neuron]`` a tick earlier."""
    brian.prefs.codegen.target = "numpy"
    brian.start_scope()
    brian.defaultclock.dt = 1 * brian.ms
    n = NEURONS
    at_pre, at_post, behind, names = rows_of(rule)
    names |= {key: getattr(n, key) for key in ("v_rest", "v_reset", "v_low", "e_exc", "e_inh")}
    names |= {"v_th": n.v_th, "k_m": 1 / n.tau_m, "rise": n.theta_plus, "held": n.refractory + 1}
    names |= {"lateral": n.lateral}
    keeps = {"e": n.tau_e, "i": n.tau_i, "theta": n.tau_theta}
    names |= {f"keep_{key}": np.exp(-1 / tau) for key, tau in keeps.items()}
    ticks, axons = np.nonzero(pre)
    source = brian.SpikeGeneratorGroup(AXONS, axons, ticks * brian.ms)
    group = brian.NeuronGroup(
        COUNT,
        "v : 1\nge : 1\ngi : 1\ntheta : 1\nc : 1",
        threshold="c == 0 and v > v_th + theta",
        reset="v = v_reset; c = held; theta = theta + rise",
    )
    group.v, group.theta = n.v_rest, THETA / names["keep_theta"]  # one decay before tick 0
    group.run_regularly(STEP, when="groups")
    group.run_regularly("c = clip(c - 1, 0, inf)", when="end")
    learn = "now = t / ms\n" + at_pre + "\nlast = now"
    synapses = brian.Synapses(
        source,
        group,
        "w : 1\nlast : 1\nlasty : 1\nnow : 1",
        on_pre={"drive": "ge_post += w", "pre": learn.replace("\n\n", "\n")},
        on_post={"post": f"now = t / ms\n{at_post}\n{behind}"},
    )
    synapses.connect()
    synapses.w, synapses.last, synapses.lasty = weights.reshape(-1), -1e6, -1e6
    synapses.pre.delay = 1 * brian.ms
    synapses.pre.order, synapses.post.order, synapses.drive.order = 0, 1, 2
    rivals = brian.Synapses(group, group, on_pre="gi_post += lateral")
    rivals.connect("i != j")
    spikes = brian.SpikeMonitor(group)
    brian.run((TICKS + 1) * brian.ms, namespace=names)
    post = np.zeros((TICKS, COUNT), np.uint8)
    at = np.rint(spikes.t / brian.ms).astype(int) - 1
    assert at.min() >= 0
    post[at, spikes.i] = 1
    return np.asarray(synapses.w).reshape(AXONS, COUNT), post


@pytest.mark.parametrize("name", RULES)
def test_brian_learns_the_same(name: str) -> None:
    rule, rng = RULES[name], np.random.default_rng(5)
    pre = (rng.random((TICKS, AXONS)) < 0.05).astype(np.uint8)
    weights = rng.uniform(0.2, 0.6, (AXONS, COUNT))
    want, post = simulated(rule, weights, pre)
    if isinstance(rule, Alsa):
        got, age = weights.copy(), np.full(AXONS, np.inf)
        for arrived, fired in zip(pre > 0, post > 0, strict=True):
            age = np.where(arrived, 0.0, age + 1)
            got[:, fired] += rule.change(got[:, fired], age[:, None])
    else:
        got = follow(rule, weights, pre, post)
    assert post.sum() > 100 and np.abs(want - weights).max() > 0.1
    assert np.abs(got - want).max() < 1e-12
    core = FloatCore(NEURONS, rule, weights, np.full(COUNT, THETA))
    assert np.array_equal(core.present(pre), post)  # neurons, inhibition and thresholds too
    assert np.abs(core.weights - want).max() < 1e-6
