"""How fast the oscillators run: RTL, pysim and golden, and whether they give the same.

python -m spikeloop.cosim.oscillators.rate [STEPS]       10,000 of the relaxation cell unless given
"""

import sys
import time

import numpy as np

from spikeloop.cosim.oscillators.engines import open_engine
from spikeloop.cosim.oscillators.run import make_net
from spikeloop.pysim.oscillators.digits import digits, fuzzy
from spikeloop.pysim.oscillators.hebb import inputs
from spikeloop.pysim.oscillators.settings import CELLS
from spikeloop.pysim.oscillators.trace import differences

__all__ = ["main"]

GOLDEN_STEPS = 1000


def main(steps: int = 10_000) -> int:
    """Run a fuzzy digit on each engine, of both cells. Returns 0 if all are equal, else 1.

    steps: of the relaxation cell; the phase cell runs until it settles.
    """
    different = 0
    for cell in CELLS:
        net = make_net(digits(), cell)
        start = inputs(net, fuzzy(digits()[2], 12, np.random.default_rng(3)))
        limit = steps if cell == "relaxation" else None
        want = None
        for name in ("pysim", "verilator", "golden"):
            engine = open_engine(name, net)
            engine.run(net, start, steps=1)  # compiles
            most = GOLDEN_STEPS if name == "golden" and limit else limit
            began = time.process_time()
            trace = engine.run(net, start, steps=most, record=False)
            seconds = time.process_time() - began
            engine.close()
            rate = f"{trace.steps * net.size / seconds:,.0f} oscillator-steps/s"
            if name == "verilator" and trace.cycles:
                rate += f", {trace.cycles / seconds:,.0f} cycles/s"
            want = want or trace
            if trace.steps == want.steps:
                different += differences(net, want, trace, ("pysim", name)).different
            print(f"{cell}, {name}: {rate} of processor time")
    print(f"{different} values different")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main(*(int(argument.replace(",", "")) for argument in sys.argv[1:])))
