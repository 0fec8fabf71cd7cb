"""How fast dendritic neurons run: RTL, pysim and golden, and whether they give the same.

python -m spikeloop.cosim.dendrites.rate [ROUNDS]       5 unless given
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from statistics import median
from typing import Any

from spikeloop.cosim.dendrites.engines import open_engine
from spikeloop.cosim.dendrites.study import STEPS, Plan, prepare
from spikeloop.pysim.dendrites.sounds import sounds
from spikeloop.pysim.dendrites.trace import DendriticTrace, differences

__all__ = ["main", "ratios", "rows"]

ROUNDS = 5
ENGINES = ("pysim", "verilator", "golden")
SHOWS = {"pysim": 50, "verilator": 2, "golden": 1}
"""Shows of STEPS steps that an engine is timed over, so that it takes some tenths of a second."""


def rows(rounds: int = ROUNDS) -> Iterator[dict[str, Any]]:
    """Shows the first of two mixtures to each engine, learning and frozen, the engines in turn.

    Rates are medians of ``rounds``, in processor time; ``rates`` has each. ``different`` counts
    values in which the first show differs from pysim's.
    """
    task = prepare(sounds(), Plan(2))
    start = replace(task.state, age=task.net["warm_up"] + 1)
    engines = {name: open_engine(name, task.net, task.stimuli) for name in ENGINES}

    def show(name: str, state: Any, steps: int, learn: bool) -> DendriticTrace:
        run = engines[name].run
        trace: DendriticTrace = run(
            task.net, task.stimuli[0], state, steps, learn=learn, record=False
        )
        return trace

    for learn in (True, False):
        firsts = {name: show(name, start, STEPS, learn) for name in ENGINES}  # compiles, too
        rates: dict[str, list[float]] = {name: [] for name in ENGINES}
        for _ in range(rounds):
            for name in ENGINES:
                state, began = start, time.process_time()
                for _ in range(SHOWS[name]):
                    state = show(name, state, STEPS, learn).state
                rates[name].append(SHOWS[name] * STEPS / (time.process_time() - began))
        for name in ENGINES:
            rate, cycles = median(rates[name]), firsts["verilator"].cycles
            assert cycles
            pair = differences(firsts["pysim"], firsts[name], ("pysim", name))
            rtl = name == "verilator"
            yield {
                "way": f"dendritic neurons, {'learning' if learn else 'frozen'}, "
                f"{'RTL' if rtl else name}",
                "steps_per_s": rate,
                "cycles_per_s": rate * cycles / STEPS if rtl else None,
                "rates": rates[name],
                "compared": pair.compared,
                "different": pair.different,
            }
    for engine in engines.values():
        engine.close()


def ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Learning steps a second of pysim and of RTL against golden's: medians over the rounds."""
    way = {row["way"].rpartition(" ")[2]: row["rates"] for row in rows if "learning" in row["way"]}
    return {
        f"dendritic neurons, learning: {name} : golden": median(
            a / b for a, b in zip(way[name], way["golden"], strict=True)
        )
        for name in ("pysim", "RTL")
    }


def main(rounds: int = ROUNDS) -> int:
    """Prints the rates. Returns 0 if all engines are equal, else 1."""
    every = list(rows(rounds))
    for row in every:
        rate = f"{row['steps_per_s']:,.0f} steps/s"
        if row["cycles_per_s"]:
            rate += f", {row['cycles_per_s']:,.0f} cycles/s"
        print(f"{row['way']}: {rate} of processor time", flush=True)
    for name, ratio in ratios(every).items():
        print(f"{name}: {ratio:,.2f} x")
    different = sum(row["different"] for row in every)
    print(f"{sum(row['compared'] for row in every):,} values compared, {different} different")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
