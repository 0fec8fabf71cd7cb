"""A plastic core in real numbers: docs/plasticity.md without rounding, and with real decays.

The rule's own functions come as tables of 4,096 segments, whose error is below 1e-6 of a change.
So one core serves every rule. Compared with the integers are accuracies, never spikes: one
rounding can move one spike. Compiled by numba where it is installed, else the same in Python.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from spikeloop.golden.rules.alsa.rule import Alsa
from spikeloop.golden.rules.digits.neurons import Neurons
from spikeloop.golden.rules.stdp.rule import PairRule, TargetRule

try:
    import numba

    _compiled = numba.njit(cache=True, nogil=True)
except ImportError:

    def _compiled(function: Any) -> Any:
        return function


__all__ = ["FloatCore"]

FINE = 4096


class _Form(NamedTuple):
    """A rule as docs/plasticity.md has it: F = slope x + offset at a post spike."""

    post: np.ndarray
    pre: np.ndarray
    slope: float
    offset: float
    tau_x: float
    tau_y: float
    ltd: bool
    adds: bool
    sigma: float


def _form(rule: Alsa | PairRule | TargetRule) -> _Form:
    w, nothing = np.arange(FINE + 1) / FINE, np.zeros(FINE + 1)
    if isinstance(rule, Alsa):
        post = rule.eta * w * (1 - w)
        return _Form(post, nothing, rule.beta, rule.alpha, rule.tau, 1.0, False, False, 0.0)
    if isinstance(rule, TargetRule):
        post = rule.eta * (1 - w) ** rule.mu
        return _Form(post, nothing, 1.0, -rule.x_tar, rule.tau, 1.0, False, False, 0.0)
    post, pre = (
        rule.eta * np.vectorize(f)(w) for f in (rule.scaling.potentiation, rule.scaling.depression)
    )
    times = (rule.tau_plus, rule.tau_minus)
    return _Form(post, pre, 1.0, 0.0, *times, True, rule.add, rule.sigma)


class FloatCore:
    """Weights, thresholds and the presentations that change them.

    weights:  float64 ``[axon, neuron]``, 0..1; theta: float64 ``[neuron]``, mV
    """

    def __init__(
        self,
        neurons: Neurons,
        rule: Alsa | PairRule | TargetRule,
        weights: np.ndarray,
        theta: np.ndarray,
        seed: int = 0,
    ) -> None:
        self._form, self._neurons = _form(rule), neurons
        self._w, self.theta = np.array(weights.T, np.float64), np.array(theta, np.float64)
        n = neurons
        keeps = [math.exp(-1 / tau) for tau in (n.tau_e, n.tau_i, self._form.tau_y, n.tau_theta)]
        potentials = (n.v_rest, n.v_reset, n.v_th, n.v_low, n.e_exc, n.e_inh)
        added = (n.theta_plus, n.lateral, n.teach, float(n.refractory), float(n.gate), n.norm)
        self._c = np.array([*potentials, 1 / n.tau_m, *keeps, *added])
        self._rng = np.random.default_rng(seed)

    @property
    def weights(self) -> np.ndarray:
        return self._w.T

    def present(
        self, spikes: np.ndarray, teacher: np.ndarray | None = None, *, learn: bool = True
    ) -> np.ndarray:
        """A presentation, then the normalisation: spikes ``[tick, neuron]``, uint8.

        spikes: uint8 ``[tick, axon]``; teacher: uint8 ``[tick, neuron]``.
        learn: False freezes weights and thresholds.
        """
        if teacher is None:
            teacher = np.zeros((len(spikes), len(self._w)), np.uint8)
        found: np.ndarray = _present(
            self._c, self._form, self._w, self.theta, spikes, teacher, learn, self._rng
        )
        return found


@_compiled
def _factor(table: Any, w: float) -> float:
    place = w * FINE
    at = min(int(place), FINE - 1)
    return table[at] + (table[at + 1] - table[at]) * (place - at)


@_compiled
def _noise(rng: Any, sigma: float) -> float:
    return 1 + sigma * rng.standard_normal() if sigma > 0 else 1.0


@_compiled
def _present(
    c: Any, form: Any, w: Any, theta: Any, spikes: Any, teacher: Any, learn: bool, rng: Any
) -> Any:
    v_rest, v_reset, v_th, v_low, e_exc, e_inh, k_m = c[0], c[1], c[2], c[3], c[4], c[5], c[6]
    keep_e, keep_i, keep_y, keep_theta = c[7], c[8], c[9], c[10]
    theta_plus, lateral, teach, refractory, gate, norm = c[11], c[12], c[13], c[14], c[15], c[16]
    post, pre, slope, offset, tau_x, _, ltd, adds, sigma = form
    neurons, axons = w.shape
    v = np.full(neurons, v_rest)
    ge, gi, y, silent = np.zeros((4, neurons))
    x, last = np.zeros(axons), np.zeros(axons)
    own, fired = np.zeros((len(spikes), neurons), np.uint8), np.zeros(neurons, np.bool_)
    rivals = 0
    for k in range(len(spikes)):
        events = np.flatnonzero(spikes[k])
        sums = np.zeros(neurons)
        for n in range(neurons):
            for a in events:
                sums[n] += w[n, a]
        if learn and ltd:
            for n in range(neurons):
                if y[n] == 0:
                    continue
                for a in events:
                    change = y[n] * _factor(pre, w[n, a]) * _noise(rng, sigma)
                    w[n, a] = min(max(w[n, a] - change, 0.0), 1.0)
        for a in events:
            x[a] = min(x[a] * math.exp((last[a] - k) / tau_x) + 1, 1.0) if adds else 1.0
            last[a] = k
        count = 0
        for n in range(neurons):
            ge[n] = ge[n] * keep_e
            if not (gate and silent[n] > 0):
                ge[n] += sums[n]
            if teacher[k, n]:
                ge[n] += teach
            others = rivals - own[k - 1, n] if k else 0
            gi[n] = gi[n] * keep_i + lateral * others
            y[n] *= keep_y
            if learn:
                theta[n] *= keep_theta
            if silent[n] > 0:
                v[n] = v_reset
                silent[n] -= 1
                continue
            current = v_rest - v[n] + ge[n] * (e_exc - v[n]) + gi[n] * (e_inh - v[n])
            v[n] = max(v[n] + k_m * current, v_low)
            if v[n] > v_th + theta[n]:
                own[k, n] = 1
                count += 1
                v[n], silent[n] = v_reset, refractory
                y[n] = min(y[n] + 1, 1.0) if adds else 1.0
                if learn:
                    theta[n] += theta_plus
                    fired[n] = True
        rivals = count
        if learn and count:
            trace = x * np.exp((last - k) / tau_x)
            for n in range(neurons):
                if not own[k, n]:
                    continue
                for i in range(axons):
                    f = slope * trace[i] + offset
                    change = f * _factor(post, w[n, i]) * _noise(rng, sigma)
                    w[n, i] = min(max(w[n, i] + change, 0.0), 1.0)
    if learn and norm > 0:
        for n in range(neurons):
            total = w[n].sum()
            if fired[n] and total > 0:
                w[n] = np.minimum(w[n] * (norm / total), 1.0)
    return own
