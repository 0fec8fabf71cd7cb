"""The Verilated macro of oscillators against pysim: every value of every step, and the cycles.

    python -m tests.campaigns.macros.onn [MACROS [CASES [SEED]]]

builds 40 random macros of each cell by default, runs 40 random nets on each, and compares golden,
both engines of pysim and the witness with the RTL. It prints what was compared and how often each
corner came up. It fails where a corner came up less than 100 times.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from spikeloop.cosim.macros.onn import OnnModel
from spikeloop.pysim.onn import numba_engine, numpy_engine
from spikeloop.pysim.onn.contents import state_words
from spikeloop.pysim.onn.cycles import with_cycles
from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.settings import CELLS
from spikeloop.pysim.oscillators.trace import OnnTrace, differences
from tests.make.onn.bins import BINS, count
from tests.make.onn.random import Case, kept_case, random_case, random_params
from tests.make.onn.witness import witness

__all__ = ["MACROS", "first_difference"]

SMALL = {"coupling_bits": 8, "v_frac": 20, "x_frac": 14}
MACROS = {
    "oscillates": OnnParams(oscillators=9, lanes=9, **SMALL),
    "oscillates-turns": OnnParams(oscillators=11, lanes=4, **SMALL),
    "phases": OnnParams(cell="phase", oscillators=9, lanes=9, coupling_bits=5),
    "phases-turns": OnnParams(cell="phase", oscillators=11, lanes=4, coupling_bits=5),
}
"""Macros for seeded faults: one pass and three, of both cells."""
JUNK = (5, 1, 2)  # chunks of a row of state: out of phase, or on its way to another slot
LEAST = 100  # how often a corner must come up


def first_difference(
    params: OnnParams,
    seeds: list[list[int]],
    *,
    model: OnnModel | None = None,
    also: tuple[Callable[..., OnnTrace], ...] = (),
    totals: Counter[str] | None = None,
    corners: Counter[str] | None = None,
) -> str | None:
    """Compares RTL and pysim over one random case per seed; the first difference, or None.

    Every other run stops in the middle, is read through the load port, and goes on.
    also: further models, which must say the same. totals, corners: counted up.
    """
    macro = model or OnnModel(params, optimise=False)
    try:
        for seed in seeds:
            cases = [random_case(np.random.default_rng(seed), params)]
            if params.oscillators > 2:
                cases.append(kept_case(np.random.default_rng([*seed, 1]), params))
            for number, case in enumerate(cases):
                if number:
                    macro.write("state", np.arange(case.net.size, params.oscillators), JUNK)
                for text in _compared(macro, case, seed[-1] % 2 == 1, also, totals, corners):
                    return f"{text}: {params}, seed {seed}, case {number}"
    finally:
        if model is None:
            macro.close()
    return None


def _compared(
    macro: OnnModel,
    case: Case,
    stops: bool,
    also: tuple[Callable[..., OnnTrace], ...],
    totals: Counter[str] | None,
    corners: Counter[str] | None,
) -> Iterator[str]:
    p, net, start = macro.params, case.net, case.start
    want = with_cycles(p, net, numba_engine.run(net, start, steps=case.steps, state=case.state))
    middle = want.steps // 2 if stops and want.steps > 1 else want.steps
    begin = with_cycles(p, net, numba_engine.run(net, start, steps=middle, state=case.state))
    runs = [(begin, {"steps": middle, "state": case.state})]
    if middle < want.steps:
        rest = numba_engine.run(net, start, steps=want.steps - middle, state=begin.state)
        left = None if case.steps is None else case.steps - middle
        runs.append((with_cycles(p, net, rest), {"steps": left, "fresh": False}))
    for expected, arguments in runs:
        try:
            ours = macro.run(net, start, **arguments)
        except RuntimeError as error:
            yield str(error)
            return
        found = differences(net, expected, ours)
        if found.first:
            yield found.first
        if totals is not None:
            totals.update({"pysim = RTL": found.compared, "cycles": ours.cycles})
    yield from _held(macro, case)
    for run in also:
        name = run.__module__.rpartition(".")[2]
        other = run(net, start, steps=case.steps, state=case.state)
        found = differences(net, want, other, ("pysim", name))
        if found.first:
            yield found.first
        if totals is not None:
            totals[f"pysim = {name}"] += found.compared
    if corners is not None:
        corners.update(
            {f"{net.cell}: {k}": n for k, n in count(net, start, case.state, want).items()}
        )


def _held(macro: OnnModel, case: Case) -> Iterator[str]:
    """The load port gives the couplings as they were loaded, and a state as it was written."""
    p, net = macro.params, case.net
    read = macro.read("coupling").reshape(p.passes, p.oscillators, p.lanes)
    g = read.transpose(0, 2, 1).reshape(p.places, p.oscillators)[: net.size, : net.size]
    if not np.array_equal(g, net.couplings & (1 << p.coupling_bits) - 1):
        yield "couplings at the load port are not those loaded"
    words = state_words(p, net, macro.state())
    if not np.array_equal(macro.read("state")[: net.size], words):
        yield "state at the load port has bits that no field has"
    before = macro.read("state")
    macro.write("globals", np.array([0]), (255,))  # the last slot of a period
    if not np.array_equal(macro.read("state"), before):
        yield "the host writes values of the net, and oscillators change"


def main(macros: int = 40, cases: int = 40, seed: int = 0) -> int:
    from spikeloop.golden.oscillators import run as golden  # torch: `make faults` does without

    totals, corners = Counter[str](), Counter[str]()
    also = (golden.run, numpy_engine.run, witness)
    for cell in CELLS:
        for number in range(macros):
            rng = np.random.default_rng([seed, len(cell), number])
            params = random_params(rng, cell)
            seeds = [[seed, len(cell), number, n] for n in range(cases)]
            found = first_difference(params, seeds, also=also, totals=totals, corners=corners)
            if found:
                print(f"{cell}: {found}")
                return 1
        print(f"{cell}: {macros} macros, {macros * cases:,} nets, 0 different", flush=True)
    for name, total in totals.items():
        print(f"{name}: {total:,}" + ("" if name == "cycles" else " values compared, 0 different"))
    names = [f"{cell}: {name}" for cell, bins in BINS.items() for name in bins]
    print("corners: " + ", ".join(f"{name} {corners[name]:,}" for name in names))
    rare = {name: corners[name] for name in names if corners[name] < LEAST}
    if rare:
        print(f"corners that came up less than {LEAST} times: {rare}")
    return int(bool(rare))


if __name__ == "__main__":
    sys.exit(main(*(int(argument.replace(",", "")) for argument in sys.argv[1:])))
