"""The regression of the RTL, which ``make faults`` and ``make coverage`` run.

    python -m tests.campaigns.regression.chip CHIP

CHIP is a name of CHIPS (tests/campaigns/regression/cases.py), a PIM macro of
tests/make/pim_cases.py, a plastic core of tests/campaigns/regression/lessons.py, or a macro of
macros/onn.py or macros/dendritic.py. The result is one JSON line:
{"built": seconds, "different": first difference or null}.

Random networks over every mode of the contract run on a Verilated chip and on pysim, which never
sees the RTL. Compared are:

- through the native harness, every spike, membrane and counter of every tick, in sparse and in
  dense mode;
- through the pins alone, the commands, the load port and the event streams
  (tests/campaigns/regression/port.py);
- what a host may do at any time (tests/campaigns/regression/pins.py).

The same seeds give the same stimuli.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator

import numpy as np

from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.macros.dendritic.model import DENDRITIC
from spikeloop.cosim.macros.onn import ONN
from spikeloop.cosim.macros.pim import PIM
from spikeloop.cosim.macros.plastic import PLASTIC
from spikeloop.cosim.verilator import chip as native
from spikeloop.cosim.verilator.build import Options, build
from spikeloop.cosim.verilator.chip import ChipModel, MeshChipModel
from spikeloop.pysim.chip.memory_map import MemoryMap
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.cost.turns import at_pins
from spikeloop.pysim.image.loading import load_words
from tests.campaigns.macros import dendritic as dendritic_regression
from tests.campaigns.macros import onn as onn_regression
from tests.campaigns.macros import sources as sources_regression
from tests.campaigns.macros.dendritic import MACROS as DENDRITES
from tests.campaigns.macros.onn import MACROS as OSCILLATORS
from tests.campaigns.regression import lessons as lesson_regression
from tests.campaigns.regression import pim as pim_regression
from tests.campaigns.regression import pim_chip as pim_chip_regression
from tests.campaigns.regression.cases import CHIPS, NETWORKS, SAMPLES, Case, cases
from tests.campaigns.regression.lessons import CORES
from tests.campaigns.regression.mesh import chip as mesh_regression
from tests.campaigns.regression.pins import host_differences, read_full_row
from tests.campaigns.regression.port import (
    command_differences,
    load_port_differences,
    stream_differences,
)
from tests.make.pim_cases import MACROS

__all__ = ["differences"]

STATE_NETWORKS = 18  # of a chip with second states: they have many modes, and few neurons each
MACRO_LAYERS = 12  # of each PIM macro
CORE_LESSONS = 24  # of each plastic core
OSCILLATOR_NETS = 120  # of each macro of oscillators
DENDRITE_NETS = 60  # of each macro of dendritic neurons
CYCLE_LIMIT = 20_000  # cycles of one tick; the longest one here takes some 600
SECONDS = 60  # of the processor, after which a run that does not return counts as hung


def differences(
    model: ChipModel, chip: Chip, count: int = NETWORKS, *, seed: int = 0, samples: int = SAMPLES
) -> Iterator[str]:
    """Everything in which the chip departs from pysim, the first of each part and case.

    Nothing for a right chip.
    """
    yield from command_differences(model)
    stalls, seen = 0, []
    for i, case in enumerate(cases(chip, count, seed=seed, samples=samples)):
        seen.append(case)
        rng = np.random.default_rng([seed, i, 1])
        if i == 0:
            yield from load_port_differences(model, case.image, rng)
        else:
            model.fill(case.image)
        for dense in (False, True):
            model.write(MemoryMap(chip).registers["dense"].address, dense)
            read_full_row(model)  # the accumulators must not see it
            expected = case.core.run(case.stimulus, dense=True) if dense else case.trace
            pair = diff(
                case.network,
                Side("pysim", expected),
                Side("RTL", model.run(case.image, case.stimulus)),
            )
            if pair.first:
                yield f"network {i}{', dense' if dense else ''}, {pair.first}"
        model.write(MemoryMap(chip).registers["dense"].address, 0)
        found, stalled = stream_differences(model, case, rng)
        stalls += stalled
        yield from (f"network {i}, streams, {text}" for text in found)
    if chip.banks > 1:
        yield from _banks(model, seen)
    yield from host_differences(
        model, np.random.default_rng([seed, 2]), lambda: _again(model, seen[count - 1])
    )
    if not stalls:
        yield "the output stream was never blocked: stalls are 0"


def _again(model: ChipModel, case: Case) -> str | None:
    """The first difference of a case whose image goes in once more."""
    model.fill(case.image)
    got = Side("RTL", model.run(case.image, case.stimulus))
    pair = diff(case.network, Side("pysim", case.trace), got)
    return str(pair.first) if pair.first else None


def _banks(model: ChipModel, cases: list[Case]) -> Iterator[str]:
    """Each image goes into one bank, a word a cycle, while the one before runs on the other bank.

    A bank that runs is left alone.
    """
    model.feed(cases[0].image, 0)
    for i, case in enumerate(cases):
        while left := model.feeding:
            model.cycles(left)
        model.switch(case.image, bank := i % 2)
        yield from (f"network {i}, bank {bank}, {text}" for text in _unmoved(model, case, bank))
        model.switch(case.image, bank)
        coming = cases[(i + 1) % len(cases)].image
        model.feed(coming, 1 - bank)
        pair = diff(
            case.network,
            Side("pysim", case.trace),
            Side("RTL", model.run(case.image, case.stimulus)),
        )
        if pair.first:
            yield f"network {i}, bank {bank} while the other is loaded, {pair.first}"
        room = int(at_pins(case.image, case.trace.counters["cycles"].sum(axis=1)[None]).sum())
        if (words := load_words(coming) - model.feeding) != (
            expected := min(load_words(coming), room)
        ):
            yield (
                f"network {i}: words loaded while it ran are {expected} in the contract, "
                f"{words} in RTL"
            )


def _unmoved(model: ChipModel, case: Case, bank: int) -> Iterator[str]:
    """During a tick the host asks for the other bank and spoils the thresholds of the running one.

    Neither shows before the tick is over.
    """
    map_ = MemoryMap(model.chip)
    fire = map_.memories["fire"]
    inside = model.memory("fire")[bank << fire.row_bits :][: fire.rows]
    kept = inside.copy()
    model.clear()
    before = model.counters()
    model.send((int(axon), 1) for axon in np.flatnonzero(case.core.events(case.stimulus)[0, 0]))
    model.start()
    model.cycles(6)
    model.write(map_.registers["bank"].address, 1 - bank)
    for row, chunk in np.ndindex(fire.rows, fire.chunks):
        model.write(fire.address(row, chunk) + map_.bank_base(bank), 0xFFFFFFFF)
    model.idle(CYCLE_LIMIT)
    after = model.counters()
    for name in ("cycles", "spikes_out", "sops", "saturations"):
        if (got := after[name] - before[name]) != (
            expected := int(case.trace.counters[name][0, 0])
        ):
            yield (
                f"a tick while the other bank is asked for: {name} is {expected} in pysim, "
                f"{got} in RTL"
            )
    if not (inside.view("<u4")[:, : fire.chunks] == 0xFFFFFFFF).all():
        yield (
            "what was written to the bank that ran must be there when the tick is over, "
            "is not in RTL"
        )
    inside[:] = kept


def main() -> None:
    name, options, start = sys.argv[1], Options(optimise=False), time.monotonic()
    if name in MACROS:
        PIM.library(MACROS[name], optimise=False)
    elif name in CORES:
        PLASTIC.library(CORES[name], optimise=False)
    elif name in OSCILLATORS:
        ONN.library(OSCILLATORS[name], optimise=False)
    elif name in DENDRITES:
        DENDRITIC.library(DENDRITES[name], optimise=False)
    else:
        build(CHIPS[name], options)
    result = {"built": round(time.monotonic() - start, 1), "different": None}
    native.CYCLE_LIMIT = CYCLE_LIMIT
    print(json.dumps(result), flush=True)  # from here on the process may be ended by its alarm
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of the processor: a busy machine is no hang
    try:
        result["different"] = _first_difference(name, options)
    except TimeoutError as error:
        result["different"] = f"hang: {error}"
    print(json.dumps(result))


def _first_difference(name: str, options: Options) -> str | None:
    """The first difference between what was built as ``name`` and pysim; None for a right one."""
    if name in MACROS:
        layers = [[0, n] for n in range(MACRO_LAYERS)]
        return pim_regression.first_difference(MACROS[name], layers)[0]
    if name in CORES:
        lessons = [[0, n] for n in range(CORE_LESSONS)]
        return lesson_regression.first_difference(CORES[name], lessons)
    if name in OSCILLATORS:
        nets = [[0, n] for n in range(OSCILLATOR_NETS)]
        return onn_regression.first_difference(OSCILLATORS[name], nets)
    if name in DENDRITES:
        nets = [[0, n] for n in range(DENDRITE_NETS)]
        return dendritic_regression.first_difference(DENDRITES[name], nets)
    if (chip := CHIPS[name]).derived.cores > 1:
        return next(mesh_regression.differences(MeshChipModel(chip, options), chip), None)
    if chip.front:
        return next(sources_regression.differences(ChipModel(chip, options), chip), None)
    if chip.pim:
        return next(pim_chip_regression.differences(ChipModel(chip, options), chip), None)
    states = chip.current_bits or chip.adaptation_bits
    count = STATE_NETWORKS if states else NETWORKS
    return next(differences(ChipModel(chip, options), chip, count), None)


if __name__ == "__main__":
    main()
