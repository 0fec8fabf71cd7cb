"""How fast the oscillators run: RTL, pysim and golden, and whether they give the same.

python -m spikeloop.cosim.oscillators.rate [STEPS]       10,000 of the relaxation cell unless given
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from spikeloop.cosim.oscillators.engines import open_engine
from spikeloop.cosim.oscillators.run import make_net
from spikeloop.pysim.oscillators.digits import digits, fuzzy
from spikeloop.pysim.oscillators.hebb import inputs
from spikeloop.pysim.oscillators.settings import CELLS
from spikeloop.pysim.oscillators.trace import differences

__all__ = ["main", "rows"]

STEPS, GOLDEN_STEPS = 10_000, 1000
LEAST = 0.5  # seconds of processor time that a rate is measured over


def rows(steps: int = STEPS) -> Iterator[dict[str, Any]]:
    """Runs a fuzzy digit on each engine, of both cells; the rate of each in processor time.

    steps: of the relaxation cell; the phase cell runs until it settles, again and again.
    ``different`` counts values in which a run differs from pysim's of as many steps.
    """
    for cell in CELLS:
        net = make_net(digits(), cell)
        start = inputs(net, fuzzy(digits()[2], 12, np.random.default_rng(3)))
        pysim = open_engine("pysim", net)
        for name in ("pysim", "verilator", "golden"):
            engine = open_engine(name, net)
            engine.run(net, start, steps=1)  # compiles
            most = None if cell == "phase" else GOLDEN_STEPS if name == "golden" else steps
            seconds, runs = 0.0, 0
            while seconds < LEAST:
                began = time.process_time()
                trace = engine.run(net, start, steps=most, record=False)
                seconds, runs = seconds + time.process_time() - began, runs + 1
            engine.close()
            want = pysim.run(net, start, steps=most, record=False)
            cycles = trace.cycles if name == "verilator" else None
            yield {
                "way": f"oscillators, {cell} cell, {'RTL' if cycles else name}",
                "oscillator_steps_per_s": runs * trace.steps * net.size / seconds,
                "cycles_per_s": runs * cycles / seconds if cycles else None,
                "different": differences(net, want, trace, ("pysim", name)).different,
            }


def main(steps: int = STEPS) -> int:
    """Prints the rates. Returns 0 if all engines are equal, else 1."""
    different = 0
    for row in rows(steps):
        rate = f"{row['oscillator_steps_per_s']:,.0f} oscillator-steps/s"
        if row["cycles_per_s"]:
            rate += f", {row['cycles_per_s']:,.0f} cycles/s"
        print(f"{row['way']}: {rate} of processor time", flush=True)
        different += row["different"]
    print(f"{different} values different")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main(*(int(argument.replace(",", "")) for argument in sys.argv[1:])))
