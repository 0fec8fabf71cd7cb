"""The Verilated macro of dendritic neurons against pysim: every value of every step, and cycles.

    python -m tests.campaigns.macros.dendritic [MACROS [CASES [SEED]]]

builds 40 random macros by default, and runs 40 random nets on each: once in their shows, once in
shows of one step. It compares golden, both engines of pysim and the witness with the RTL, prints
what was compared, and how often each corner came up. It fails where a corner came up less than 100
times.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from spikeloop.cosim.macros.dendritic.model import DendriticModel
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.state import DendriticState
from spikeloop.pysim.dendrites.trace import DendriticTrace, differences
from spikeloop.pysim.dendritic import numba_engine, numpy_engine
from spikeloop.pysim.dendritic.contents import net_chunks
from spikeloop.pysim.dendritic.cycles import show_cycles
from spikeloop.pysim.dendritic.memories import memories
from spikeloop.pysim.dendritic.params import DendriticParams
from tests.make.dendrites import witness
from tests.make.dendrites.bins import BINS
from tests.make.dendrites.random import (
    Case,
    Show,
    case_at_the_ends,
    case_of_wide_gains,
    case_of_wide_pushes,
    random_case,
    random_params,
)

__all__ = ["MACROS", "first_difference"]

MACROS = {
    "dendrites": DendriticParams(inputs=13, neurons=3, stimuli=3),
    "dendrites-cover": DendriticParams(inputs=25, neurons=4, stimuli=4),
}
"""Macros for seeded faults, and for coverage: enough inputs to clip v."""
KINDS = (random_case, case_at_the_ends, case_of_wide_pushes, case_of_wide_gains)
LEAST = 100  # how often a corner must come up


def first_difference(
    params: DendriticParams,
    seeds: list[list[int]],
    *,
    model: DendriticModel | None = None,
    also: dict[str, Callable[..., DendriticTrace]] | None = None,
    totals: Counter[str] | None = None,
    corners: Counter[str] | None = None,
) -> str | None:
    """The first difference of RTL and pysim, over a random case of each kind per seed; or None.

    also: further models, which must say the same. totals, corners: counted up.
    """
    macro = model or DendriticModel(params, optimise=False)
    totals = Counter() if totals is None else totals
    try:
        for seed in seeds:
            for draw in KINDS:
                case = draw(np.random.default_rng(seed), params)
                for text in _compared(macro, case, also or {}, totals, corners):
                    return f"{text}: {params}, seed {seed}"
    finally:
        if model is None:
            macro.close()
    return None


def _compared(
    macro: DendriticModel,
    case: Case,
    also: dict[str, Callable[..., DendriticTrace]],
    totals: Counter[str],
    corners: Counter[str] | None,
) -> Iterator[str]:
    macro.load(case.net, case.stimuli)
    for shows in (case.shows, [replace(s, steps=1) for s in case.shows for _ in range(s.steps)]):
        macro.put(case.state)
        _fill_idle(macro, case)
        state, changed = case.state, False
        yield from _held(macro, case)
        for number, show in enumerate(shows):
            what, kind = (case.net, case.stimuli[show.stimulus], state, show.steps), _kind(show)
            want = expected(case.net, case.stimuli, state, show)
            try:
                ours = macro.show(show.stimulus, show.steps, **kind)
            except RuntimeError as error:
                yield f"show {number}: {error}"
                return
            found = differences(want, ours)
            if found.first:
                yield f"show {number}, {found.first}"
            totals.update({"pysim = RTL": found.compared, "cycles": ours.cycles or 0})
            if shows is case.shows:
                for name, run in also.items():
                    found = differences(want, run(*what, **kind), ("pysim", name))
                    if found.first:
                        yield f"show {number}, {found.first}"
                    totals[f"pysim = {name}"] += found.compared
                if corners is not None:
                    _corners(macro, case, show, state, changed, corners)
            state, changed = want.state, show.learn and want.state.age > case.net["warm_up"] + 1


def _fill_idle(macro: DendriticModel, case: Case) -> None:
    """Values at their ends in all lanes that the net does not use: they count for nothing."""
    p, first = macro.params, case.net.neurons
    numbers = {memory.name: number for number, memory in enumerate(memories(p))}
    rng, rows = np.random.default_rng(first), []
    for lane in range(first, p.neurons):
        rows += [(numbers["neurons"], lane, index, rng.integers(1 << 32)) for index in range(8)]
        rows += [(numbers["inhibition"], lane, k, rng.integers(1 << 20)) for k in range(p.neurons)]
        ends = rng.choice((0x7FFFFFFF, 0x80000000), p.inputs).tolist()
        rows += [(numbers["weights"], row, lane, word) for row, word in enumerate(ends)]
    if rows:
        macro.write_chunks(np.array(rows, np.uint32))


def expected(
    net: DendriticNet, stimuli: np.ndarray, state: DendriticState, show: Show
) -> DendriticTrace:
    """What pysim says of a show, cycles included."""
    kind = _kind(show)
    trace = numba_engine.show(net, stimuli[show.stimulus], state, show.steps, **kind)
    return replace(trace, cycles=show_cycles(net, state.age, show.steps, **kind))


def _kind(show: Show) -> dict[str, bool]:
    return {"learn": show.learn, "plastic": show.plastic}


def _corners(
    macro: DendriticModel,
    case: Case,
    show: Show,
    state: DendriticState,
    changed: bool,
    corners: Counter[str],
) -> None:
    """Counts the corners that a show meets. changed: the show before changed weights."""
    net, p = case.net, macro.params
    stimulus = case.stimuli[show.stimulus]
    witness.show(net, stimulus, state, show.steps, **_kind(show), met=corners)
    corners["frozen behind a change of weights"] += changed and not show.learn
    corners["show of one step that learns"] += show.learn and show.steps == 1
    corners["fewer neurons than lanes"] += net.neurons < p.neurons
    corners["fewer inputs than rows"] += net.inputs < p.inputs


def _held(macro: DendriticModel, case: Case) -> Iterator[str]:
    """The load port gives everything as it was written."""
    chunks = net_chunks(macro.params, case.net, case.stimuli)
    for number, memory in enumerate(memories(macro.params)):
        mine = chunks[chunks[:, 0] == number]
        if len(mine) and (macro.read(memory.name)[mine[:, 1], mine[:, 2]] != mine[:, 3]).any():
            yield f"load port: {memory.name} are not those written"
    held = macro.state()
    for name in ("weights", "inhibition", "currents", "psps", "units"):
        if not np.array_equal(getattr(held, name), getattr(case.state, name)):
            yield f"load port: {name} are not those written"
    if (held.age, held.rin) != (case.state.age, case.state.rin):
        yield "load port: age or rin is not the one written"


def main(macros: int = 40, cases: int = 40, seed: int = 0) -> int:
    from spikeloop.golden.dendrites import integer  # torch: `make faults` does without

    totals, corners = Counter[str](), Counter[str]()
    also: dict[str, Callable[..., DendriticTrace]] = {
        "golden": integer.show,
        "numpy": numpy_engine.show,
        "witness": witness.show,
    }
    for number in range(macros):
        params = random_params(np.random.default_rng([seed, number]))
        seeds = [[seed, number, n] for n in range(cases)]
        found = first_difference(params, seeds, also=also, totals=totals, corners=corners)
        if found:
            print(found)
            return 1
    print(f"{macros} macros, {macros * cases:,} nets, 0 different", flush=True)
    for name, total in totals.items():
        print(f"{name}: {total:,}" + ("" if name == "cycles" else " values compared, 0 different"))
    print("corners: " + ", ".join(f"{name} {corners[name]:,}" for name in BINS))
    rare = {name: corners[name] for name in BINS if corners[name] < LEAST}
    if rare:
        print(f"corners that came up less than {LEAST} times: {rare}")
    return int(bool(rare))


if __name__ == "__main__":
    sys.exit(main(*(int(argument.replace(",", "")) for argument in sys.argv[1:])))
