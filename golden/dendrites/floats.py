"""The network of Dellaferrera, Asabuki & Fukai 2022 in floats, beside which integers are judged.

Eqs 1 to 4 with the constants of the authors' code, as docs/dendritic.md lists them. Mean and
deviation of u are those of the last t_0 steps exactly. Compiled by numba where it is installed;
much too slow without it. Never compared bit for bit.
"""

from typing import Any

import numpy as np

try:
    import numba

    AVAILABLE = True
except ImportError:
    AVAILABLE = False

__all__ = ["AVAILABLE", "respond", "train"]

TAU, TAU_S, G_D, SLOPE, MIDDLE = 15.0, 5.0, 0.7, 5.0, 0.5
G_L = 1 / TAU
PEAK = 0.01  # spikes of the strongest input, and of a neuron with f = 1, in a step
IMPULSE = 24.5 / TAU / TAU_S
ETA, GAMMA, NOISE = 5e-6, 0.5, 0.1
G_MAX = 0.4  # shared among the neurons
C_P, TAU_P, C_D, TAU_D = 0.0105, 20.0, 0.00525, 40.0


def _compiled(function: Any) -> Any:
    return numba.njit(cache=True, fastmath=True)(function) if AVAILABLE else function


@_compiled
def _sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(SLOPE * (MIDDLE - x)))


@_compiled
def _advance(
    rng: Any, p: Any, current: Any, psp: Any, w: Any, g: Any, u: Any, v: Any, f: Any
) -> None:
    """Inputs with probabilities ``p``, dendrites v, and somata u that f inhibits."""
    for j in range(len(p)):
        current[j] *= 1 - 1 / TAU_S
        if rng.random() < p[j]:
            current[j] += IMPULSE
        psp[j] = psp[j] * (1 - 1 / TAU) + current[j]
    for i in range(len(u)):
        total = 0.0
        for j in range(len(p)):
            total += w[i, j] * psp[j]
        v[i] = total
    for i in range(len(u)):
        inhibited = 0.0
        for k in range(len(u)):
            inhibited += g[i, k] * f[k]
        u[i] += -G_L * u[i] + G_D * (v[i] - u[i] - inhibited)


@_compiled
def _train(
    mixtures: Any, passes: int, steps: int, w: Any, g: Any, g_max: float, window: int, rng: Any
) -> None:
    size, n = w.shape
    current, psp = np.zeros(n), np.zeros(n)
    u, v, f = np.zeros(size), np.zeros(size), np.zeros(size)
    ring, first, second = np.zeros((window, size)), np.zeros(size), np.zeros(size)
    p_trace, d_trace, fired = np.zeros(size), np.zeros(size), np.zeros(size, np.bool_)
    for t in range(passes * len(mixtures) * steps):
        _advance(rng, PEAK * mixtures[t // steps % len(mixtures)], current, psp, w, g, u, v, f)
        for i in range(size):
            old = ring[t % window, i]
            ring[t % window, i] = u[i]
            first[i] += u[i] - old
            second[i] += u[i] ** 2 - old**2
        if t <= window:
            continue
        for i in range(size):
            mean = first[i] / window
            spread = np.sqrt(max(second[i] / window - mean**2, 1e-12))
            drawn = _sigmoid((u[i] - mean) / spread) + NOISE * rng.standard_normal()
            f[i] = min(max(drawn, 0.0), 1.0)
            q = _sigmoid(v[i] * G_D / (G_D + G_L))
            rate = ETA * SLOPE * (1 - q) * (f[i] - q)
            for j in range(n):
                w[i, j] += rate * psp[j] - ETA * GAMMA * w[i, j]
        for i in range(size):
            fired[i] = rng.random() < PEAK * f[i]
            p_trace[i] += -p_trace[i] / TAU_P - C_P * fired[i]
            d_trace[i] += -d_trace[i] / TAU_D + C_D * fired[i]
        for i in range(size):
            if fired[i]:
                for k in range(size):
                    if k != i:
                        g[i, k] += (p_trace[k] + d_trace[k]) * g_max
                        g[k, i] += (p_trace[k] + d_trace[k]) * g_max
        for i in range(size):
            for k in range(size):
                g[i, k] = min(max(g[i, k], 0.0), g_max)


@_compiled
def _respond(
    probes: Any, presentations: int, trials: int, steps: int, w: Any, g: Any, rng: Any
) -> Any:
    size, n = w.shape
    length = presentations * len(probes) * steps
    responses = np.zeros((length, size))
    for _ in range(trials):
        current, psp = np.zeros(n), np.zeros(n)
        u, v, f = np.zeros(size), np.zeros(size), np.zeros(size)
        for t in range(length):
            _advance(rng, PEAK * probes[t // steps % len(probes)], current, psp, w, g, u, v, f)
            for i in range(size):
                f[i] = _sigmoid(u[i])
                responses[t, i] += f[i] / trials
    return responses


def train(
    mixtures: np.ndarray, weights: np.ndarray, *, passes: int, steps: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``[neuron, input]`` and inhibition ``[neuron, neuron]`` behind a training.

    mixtures: intensities 0..1, ``[mixture, input]``; weights: those before it.
    passes:   times that all mixtures are shown in turn, ``steps`` steps each.
    """
    w, size = weights.astype(float), len(weights)
    g_max = G_MAX / size
    g = np.full((size, size), g_max)
    np.fill_diagonal(g, 0)
    rng = np.random.default_rng(seed)
    _train(mixtures.astype(float), passes, steps, w, g, g_max, len(mixtures) * steps, rng)
    return w, g


def respond(
    probes: np.ndarray,
    weights: np.ndarray,
    inhibition: np.ndarray,
    *,
    presentations: int,
    trials: int,
    steps: int,
    seed: int,
) -> np.ndarray:
    """Mean responses f of ``trials``: float ``[presentation, probe, step, neuron]``."""
    rng = np.random.default_rng(seed)
    given = (probes.astype(float), presentations, trials, steps, weights, inhibition, rng)
    return _respond(*given).reshape(presentations, len(probes), steps, len(weights))
