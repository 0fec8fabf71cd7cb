"""Accuracy of iris learnt by ALSA: seeds x 5 folds, in reals and in 16, 12 and 8 bits.

python -m spikeloop.cosim.lessons.accuracy [SEEDS [FIRST [PASSES]]]      10, 100, 4 unless given

All read-outs are reported, not the best. A trial is the mean of a seed's five folds. The integers
are those of pysim's engine, which the comparisons hold equal to golden and to the RTL.
"""

import json
import sys
from collections.abc import Callable

import numpy as np

from spikeloop.golden.rules.alsa import floats
from spikeloop.golden.rules.alsa.flowers import ON, TEST_TICKS, Trial, trial
from spikeloop.pysim.plastic import numba_engine

__all__ = ["MODES", "READOUTS", "measure"]

MODES = ((16, True), (16, False), (12, True), (8, True), (8, False))
"""Bits of a weight, and whether changes round at random."""
READOUTS = ("count 1,000 ms", "count 200 ms", "rates", "firing 1,000 ms", "firing 200 ms")
FOLDS = 5


def measure(
    seeds: range, passes: int = 4, tell: Callable[[str], None] = print
) -> dict[str, dict[str, list[float]]]:
    """Accuracy by mode and read-out, one number for each seed; and how far weights are from reals.

    The reals have no firing read-out.
    """
    rows: dict[str, dict[str, list[float]]] = {}
    for seed in seeds:
        trials = [trial(seed, fold, passes) for fold in range(FOLDS)]
        real, wrong = floats.learn(trials)
        share = {"spikes of wrong neurons": wrong / FOLDS}
        _add(rows, "float", [_counted(t, w) | share for t, w in zip(trials, real, strict=True)])
        for bits, stochastic in MODES:
            name, found = f"{bits} bits {'stochastic' if stochastic else 'nearest'}", []
            for chosen, exact in zip(trials, real, strict=True):
                lesson = chosen.lesson(bits, stochastic=stochastic)
                trace = numba_engine.run(lesson, record=False)
                weights = trace.state.weights
                counts = np.arange(lesson.population.neurons)
                others = int(trace.s.sum() - trace.s[counts == lesson.labels[:, None]].sum())
                far = float(np.abs(weights / 2.0**bits - exact).max())
                found.append(
                    {
                        **_counted(chosen, weights),
                        **_fired(chosen, weights, bits),
                        "max |dw|": far,
                        "spikes of wrong neurons": float(others),
                    }
                )
            _add(rows, name, found)
        tell(f"seed {seed}: " + ", ".join(f"{n} {r[READOUTS[0]][-1]:.4f}" for n, r in rows.items()))
    return rows


def _counted(chosen: Trial, weights: np.ndarray) -> dict[str, float]:
    """A read-out that neither leaks nor fires, over spikes and over exact rates."""
    answers = (chosen.test_rates @ weights.astype(np.float64)).argmax(1)
    rates = float((answers == chosen.test_species).mean())
    spikes = (chosen.counted(weights, ticks) for ticks in (TEST_TICKS, ON))
    return dict(zip(READOUTS, (*spikes, rates), strict=False))


def _fired(chosen: Trial, weights: np.ndarray, bits: int) -> dict[str, float]:
    """The neuron with most spikes of the frozen net with the low threshold; of equals the first."""
    scores = []
    for ticks in (TEST_TICKS, ON):
        counts = numba_engine.run(chosen.test(weights, bits, ticks), record=False).s
        scores.append(float((counts.argmax(1) == chosen.test_species).mean()))
    return dict(zip(READOUTS[3:], scores, strict=True))


def _add(rows: dict, name: str, folds: list[dict[str, float]]) -> None:
    """A seed's means over its folds; of a distance the greatest."""
    for key in folds[0]:
        values = [fold[key] for fold in folds]
        value = max(values) if key.startswith("max") else float(np.mean(values))
        rows.setdefault(name, {}).setdefault(key, []).append(value)


def main(seeds: int = 10, first: int = 100, passes: int = 4) -> int:
    rows = measure(range(first, first + seeds), passes)
    for name, columns in rows.items():
        text = [
            f"{key} {100 * np.mean(n):.2f} (sd {100 * np.std(n):.2f})"
            for key, n in columns.items()
            if key in READOUTS
        ]
        rest = [f"{key} {np.max(n):.4f}" for key, n in columns.items() if key not in READOUTS]
        print(f"{name}: " + ", ".join(text + rest))
    print(json.dumps(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
