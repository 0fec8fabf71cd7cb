"""ALSA in real numbers, for many trials at once: what the integers are compared with.

The neuron is that of docs/plasticity.md with real decays, without rounding:

    g = keep g + sum of w     v = v + (g (V_E - v) - v) / tau_m     spike if v > v_th

All trials take the same number of presentations. Accuracy is compared, never spikes: one rounding
can move one spike.
"""

import numpy as np

from spikeloop.golden.rules.alsa import flowers
from spikeloop.golden.rules.alsa.rule import Alsa

__all__ = ["learn"]


def learn(trials: list[flowers.Trial], rule: Alsa | None = None) -> tuple[np.ndarray, int]:
    """Weights float64 ``[trial, line, neuron]`` after training; spikes of wrong neurons in it."""
    rule, many = rule or Alsa(), len(trials)
    w = np.stack([trial.weights for trial in trials])
    inputs = [flowers.trains(trial.rates, flowers.ON) for trial in trials]
    keep, at, wrong = np.exp(-1 / flowers.TAU_E), np.arange(many), 0
    nothing = np.zeros((many, flowers.LINES), bool)
    for n in range(len(trials[0].order)):
        picked = [trial.order[n] for trial in trials]
        spikes = np.stack([x[i] for x, i in zip(inputs, picked, strict=True)])
        label = np.array([t.species[i] for t, i in zip(trials, picked, strict=True)])
        age = np.full((many, flowers.LINES), np.inf)
        g, v = np.zeros((2, many, flowers.CLASSES))
        silent = np.zeros((many, flowers.CLASSES), int)
        for tick in range(flowers.ON + flowers.OFF):
            x = spikes[:, tick] if tick < flowers.ON else nothing
            age = np.where(x, 0.0, age + 1)
            g *= keep
            if x.any():
                g += np.where(silent > 0, 0.0, np.einsum("ta,tan->tn", x, w))
            if tick in flowers.TEACHER:
                g[at, label] += flowers.FORCE
            v = np.where(silent > 0, 0.0, v + (g * (1 - v) - v) / flowers.TAU_M)
            fired = (v > flowers.THRESHOLD) & (silent == 0)
            silent = np.where(fired, flowers.REFRACTORY, np.maximum(silent - 1, 0))
            if fired.any():
                v[fired] = 0
                change = rule.change(w, age[:, :, None])
                w = np.where(fired[:, None, :], w + change, w)
                fired[at, label] = False
                wrong += int(fired.sum())
    return w, wrong
