"""How fast dendritic neurons run: RTL, pysim and golden, and whether they give the same.

python -m spikeloop.cosim.dendrites.rate [STEPS] [ENGINE ...]      20,000 steps, pysim golden
"""

import sys
import time
from dataclasses import replace

from spikeloop.cosim.dendrites.engines import open_engine
from spikeloop.cosim.dendrites.study import STEPS, Plan, prepare
from spikeloop.cosim.macros.engines import check_engines
from spikeloop.pysim.dendrites.sounds import sounds
from spikeloop.pysim.dendrites.trace import DendriticTrace, differences

__all__ = ["main"]

SLOW = 2 * STEPS  # steps of all but pysim


def main(steps: int = 20_000, names: tuple[str, ...] = ("pysim", "golden")) -> int:
    """Show the first mixture to each engine, learning and frozen. Returns 0 if all are equal."""
    task = prepare(sounds(), Plan(2))
    start = replace(task.state, age=task.net["warm_up"] + 1)
    different = compared = 0
    for learn in (True, False):
        want: DendriticTrace | None = None
        for name in check_engines(names):
            engine = open_engine(name, task.net, task.stimuli)
            engine.run(task.net, task.stimuli[0], start, 1, learn=learn)  # compiles
            shows = max(1, (steps if name == "pysim" else min(steps, SLOW)) // STEPS)
            state, first, cycles = start, None, 0
            began = time.process_time()
            for _ in range(shows):
                trace = engine.run(
                    task.net, task.stimuli[0], state, STEPS, learn=learn, record=False
                )
                state, first, cycles = trace.state, first or trace, cycles + (trace.cycles or 0)
            seconds = time.process_time() - began
            engine.close()
            rate = f"{shows * STEPS / seconds:,.0f} steps/s"
            if name == "verilator":
                rate += f", {cycles / seconds:,.0f} cycles/s"
            want = want or first
            assert want and first
            found = differences(want, first, ("first", name))
            compared, different = compared + found.compared, different + found.different
            print(f"{'learning' if learn else 'frozen'}, {name}: {rate} of processor time")
    print(f"{compared:,} values compared, {different} different")
    return int(different > 0)


if __name__ == "__main__":
    numbers = [argument for argument in sys.argv[1:] if argument[0].isdigit()]
    others = tuple(argument for argument in sys.argv[1:] if not argument[0].isdigit())
    count = int(numbers[0].replace(",", "")) if numbers else 20_000
    sys.exit(main(count, *([others] if others else [])))
