"""Inside the simulator: corners of the neuron step in each form, against the witness."""

import os

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from spikeloop.cosim.benches.streams import PERIOD, watchdog
from tests.cocotb.benches.step.cases import cases, expected, results, stimuli
from tests.cocotb.benches.step.forms import FORMS

SEED = int(os.environ.get("SPIKELOOP_SEED", "0"))
SHARE = int(os.environ.get("SPIKELOOP_SHARE", "1"))  # one case in so many, drawn with the seed
OUTPUTS = ("v_next", "refractory_next", "spikes", "saturated")
STATES = ("y_next", "a_next")


@cocotb.test()
@cocotb.parametrize(form=list(FORMS), clear=[False, True])
async def corners(dut, form: str, clear: bool) -> None:
    rng, lanes = np.random.default_rng(SEED), FORMS[form].lanes
    every = list(cases(form, rng))
    share = rng.choice(len(every), len(every) // SHARE, replace=False)
    every = [every[i] for i in np.sort(share)]
    if clear:
        every = [every[i] for i in rng.permutation(len(every))[: 20 * lanes]]
    rows = [every[at : at + lanes] for at in range(0, len(every), lanes)]
    inputs = stimuli(form, rows)
    stages = 3 if FORMS[form].current_bits else 2
    names = (*OUTPUTS, *STATES) if FORMS[form].current_bits else OUTPUTS
    port = {name: getattr(dut, f"{form}__{name}") for name in (*inputs, *names, "clear")}
    for name in (*inputs, "clear"):
        port[name].value = 0
    Clock(dut.clk, PERIOD, "ns").start(start_high=False)
    await FallingEdge(dut.clk)
    wrong, seen = [], {"spikes": 0, "saturations": 0}
    with watchdog(f"corners of {form}", 2 * stages * len(rows) + 10):
        for index, row in enumerate(rows):
            for name, numbers in inputs.items():
                port[name].value = numbers[index]
            port["clear"].value = int(clear)
            for _ in range(stages):
                await FallingEdge(dut.clk)
            outputs = {
                name: port[name].value
                for name in names
                if name != "refractory_next" or FORMS[form].refractory_bits
            }
            got = results(form, {name: int(value) for name, value in outputs.items()})
            assert all(rest[2:] == (0, 0, 0, 0) for rest in got[len(row) :]), (
                f"{form}: an unused lane speaks"
            )
            for case, is_ in zip(row, got, strict=False):
                should = expected(case, clear)
                seen["spikes"] += should[2]
                seen["saturations"] += should[3]
                if is_ != should:
                    wrong.append(f"{case}: {is_}, not {should}")
    assert not wrong, f"{form}: {len(wrong)} of {len(every)} (seed {SEED}); first {wrong[0]}"
    # Every form has 450 of each kind or more in all its corners; a draw may have half of its part.
    assert clear or min(seen.values()) > 450 / SHARE / 2, f"{form}: {seen}"
    cocotb.log.info(f"{form}: {len(every)} neuron-steps, {seen}")
