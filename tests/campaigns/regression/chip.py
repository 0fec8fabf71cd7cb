"""The regression of the RTL, which ``make faults`` and ``make coverage`` run.

    python -m tests.campaigns.regression.chip CHIP

CHIP is a name of CHIPS, a PIM macro of tests/make/pim_cases.py, a plastic core of
tests/campaigns/regression/lessons.py, or a macro of macros/onn.py or macros/dendritic.py.
The result is one JSON line:
{"built": seconds, "different": first difference or null}.

Random networks over every mode of the contract run on a Verilated chip and on pysim, which never
sees the RTL. Compared are:

- through the native harness, every spike, membrane and counter of every tick, in sparse and in
  dense mode;
- through the pins alone, the load port (an image written and read back), the commands, and the
  event streams. Every input is an AER event of a random delay, some sent while a tick runs; the
  output is under back-pressure;
- what a host may do at any time (tests/campaigns/regression/pins.py).

The same seeds give the same stimuli.
"""

import json
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.macros.dendritic.model import DENDRITIC
from spikeloop.cosim.macros.onn import ONN
from spikeloop.cosim.macros.pim import PIM
from spikeloop.cosim.macros.plastic import PLASTIC
from spikeloop.cosim.verilator import chip as native
from spikeloop.cosim.verilator.build import Options, build
from spikeloop.cosim.verilator.chip import ChipModel, MeshChipModel
from spikeloop.pysim.chip.memory_map import CONTROL_TICK, MemoryMap
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.cost.turns import at_pins
from spikeloop.pysim.image.image import Image
from spikeloop.pysim.image.loading import load_words
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import WeightFormat
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.stimulus import Stimulus
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.macros import dendritic as dendritic_regression
from tests.campaigns.macros import onn as onn_regression
from tests.campaigns.macros import sources as sources_regression
from tests.campaigns.macros.dendritic import MACROS as DENDRITES
from tests.campaigns.macros.onn import MACROS as OSCILLATORS
from tests.campaigns.regression import lessons as lesson_regression
from tests.campaigns.regression import mesh as mesh_regression
from tests.campaigns.regression import pim as pim_regression
from tests.campaigns.regression import pim_chip as pim_chip_regression
from tests.campaigns.regression.lessons import CORES
from tests.campaigns.regression.pim_chip import FRONT
from tests.campaigns.regression.pins import (
    host_differences,
    pressed_tick,
    random_delay,
    read_full_row,
)
from tests.make.networks import random_network, random_stimulus
from tests.make.neurons.states import loud_network
from tests.make.pim_cases import MACROS

__all__ = ["CHIPS", "Case", "cases", "differences"]

MESH = Chip(
    axons=130,
    columns=64,
    lanes=8,
    membrane_bits=10,
    delay_max=16,
    leak_terms=1,
    refractory_bits=1,
    roundings=False,
    bounded=False,
    mesh_width=3,
    mesh_height=2,
    chain=256,
)
CHIPS = {
    # two axon chunks, the second short; five ring slots; weights of up to 16 one-bit digits
    "base": Chip(
        axons=70, columns=48, lanes=16, pages=4, membrane_bits=10, delay_max=4, refractory_bits=3
    ),
    # lanes as integers, enables instead of gated clocks, an odd number of lanes, two-bit digits
    "scalar": Chip(
        axons=24,
        columns=42,
        lanes=7,
        digit_bits=2,
        pages=2,
        membrane_bits=9,
        delay_max=3,
        refractory_bits=2,
        sliced=False,
        clock_gates=False,
    ),
    # axon extensions of 1 to 8, with 1 to 3 axon chunks, of 16 to 2 words
    "extended": Chip(
        axons=20,
        columns=256,
        lanes=16,
        extension=8,
        pages=2,
        membrane_bits=9,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
    ),
    # for coverage: memories whose rows are powers of two, so that every bit of an address can move
    "cover": Chip(
        axons=64,
        columns=256,
        lanes=16,
        extension=4,
        pages=4,
        membrane_bits=10,
        delay_max=7,
        refractory_bits=3,
    ),
    # the same with the second states, without axon extension
    "cover-states": Chip(
        axons=64,
        columns=128,
        lanes=16,
        pages=4,
        membrane_bits=10,
        delay_max=7,
        refractory_bits=3,
        current_bits=11,
        adaptation_bits=9,
    ),
    # two chunks of spikes per word, the second short
    "long": Chip(
        axons=130,
        columns=140,
        lanes=70,
        pages=1,
        membrane_bits=9,
        delay_max=2,
        leak_terms=1,
        refractory_bits=2,
    ),
    # six cores (tests/campaigns/regression/mesh.py)
    "mesh": MESH,
    # the same in a row: packets fly when no core is busy
    "line": MESH.replace(mesh_width=12, mesh_height=1),
    # two image banks, axon extensions of 1 to 4
    "banked": PRESETS["tiny"].replace(extension=4, banks=2),
    # a PIM macro in front of a core (tests/campaigns/regression/pim_chip.py)
    "pim": Chip(
        axons=80,
        columns=272,
        lanes=8,
        membrane_bits=14,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
        pim=FRONT,
    ),
    # a neuron step of two slices
    "slices": Chip(
        axons=24,
        columns=512,
        lanes=512,
        pages=2,
        membrane_bits=8,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
    ),
    # synaptic currents wider than membranes, and adaptations
    "states": Chip(
        axons=40,
        columns=64,
        lanes=8,
        pages=2,
        membrane_bits=9,
        delay_max=2,
        leak_terms=2,
        refractory_bits=2,
        current_bits=10,
        adaptation_bits=8,
    ),
    # the same states narrower and wider than membranes, as integers with enables
    "states-scalar": Chip(
        axons=24,
        columns=40,
        lanes=5,
        digit_bits=2,
        pages=2,
        membrane_bits=12,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
        sliced=False,
        clock_gates=False,
        current_bits=8,
        adaptation_bits=13,
    ),
    # in two image banks and with axon extension
    "states-banked": Chip(
        axons=32,
        columns=64,
        lanes=8,
        extension=4,
        pages=2,
        membrane_bits=8,
        delay_max=2,
        leak_terms=1,
        refractory_bits=1,
        banks=2,
        current_bits=9,
        adaptation_bits=8,
    ),
}
CHIPS["paged"] = CHIPS["cover"].replace(page_shift=2)  # pages of 1 to 4 steps
CHIPS["slices-states"] = CHIPS["slices"].replace(
    leak_terms=0, current_bits=8, adaptation_bits=8, bounded=False, roundings=False
)
# a source in front of a core (tests/campaigns/macros/sources.py)
CHIPS["onn-chip"] = sources_regression.CHIPS["relaxation"]
CHIPS["dendritic-chip"] = sources_regression.CHIPS["dendritic"]
CHIPS["pim-states"] = CHIPS["pim"].replace(current_bits=11, adaptation_bits=9)
NETWORKS = 6  # of each chip
STATE_NETWORKS = 18  # of a chip with second states: they have many modes, and few neurons each
MACRO_LAYERS = 12  # of each PIM macro
CORE_LESSONS = 24  # of each plastic core
OSCILLATOR_NETS = 120  # of each macro of oscillators
DENDRITE_NETS = 60  # of each macro of dendritic neurons
SAMPLES = 6
DENSITY = 0.25
CORNERS = (
    0.15,
    1.0,
)  # share of neurons at the ends of the membrane range, one network after the other
CYCLE_LIMIT = 20_000  # cycles of one tick; the longest one here takes some 600
SECONDS = 60  # of the processor, after which a run that does not return counts as hung


@dataclass(frozen=True)
class Case:
    """A network, its image, a stimulus, and what pysim says of it."""

    network: Network
    image: Image
    stimulus: Stimulus
    core: Core
    trace: Trace


def cases(
    chip: Chip, count: int = NETWORKS, *, seed: int = 0, samples: int = SAMPLES
) -> Iterator[Case]:
    """The stimuli of the regression: the same for the same arguments.

    On a chip with currents, the widest sums come last.
    """
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        whole: dict[str, Any] = {}
        if i % 3 == 2:  # words full to the last lane
            whole = {
                "fill": 1.0,
                "populations": min(3, chip.derived.words),
                "weight_format": WeightFormat.BINARY if i % 2 else None,
            }
        network = random_network(
            rng, chip, density=DENSITY, corners=CORNERS[i % len(CORNERS)], **whole
        )
        yield _case(network, chip, random_stimulus(rng, network, samples, DENSITY))
    if chip.current_bits:
        network = loud_network(chip)
        yield _case(network, chip, random_stimulus(np.random.default_rng(seed), network, 2, 0.8))


def _case(network: Network, chip: Chip, stimulus: Stimulus) -> Case:
    image = pack(network, chip=chip)
    core = Core(image, "numpy")
    return Case(network, image, stimulus, core, core.run(stimulus))


def differences(
    model: ChipModel, chip: Chip, count: int = NETWORKS, *, seed: int = 0, samples: int = SAMPLES
) -> Iterator[str]:
    """Everything in which the chip departs from pysim, the first of each part and case.

    Nothing for a right chip.
    """
    yield from _commands(model)
    stalls, seen = 0, []
    for i, case in enumerate(cases(chip, count, seed=seed, samples=samples)):
        seen.append(case)
        rng = np.random.default_rng([seed, i, 1])
        if i == 0:
            yield from _load_port(model, case.image, rng)
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
        found, stalled = _streams(model, case, rng)
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


def _commands(model: ChipModel) -> Iterator[str]:
    """Constants, counters set to zero, refused events."""
    chip, map_ = model.chip, MemoryMap(model.chip)
    for register in map_.registers.values():
        if register.access == "r" and (got := model.read(register.address)) != register.reset:
            yield f"reset: register {register.name} is {register.reset} in the map, {got} in RTL"
    model.clear()
    bad = [(0, 0), (chip.axons, 1), (0, chip.delay_max + 1)]
    fits = [
        (axon, delay)
        for axon, delay in bad
        if axon < 1 << chip.derived.axon_bits and delay < 1 << chip.derived.delay_bits
    ]
    model.send(fits)
    model.tick()
    expected = {"dropped": len(fits), "ticks": 1, "spikes_in": 0}
    for name, value in expected.items():
        if (got := model.counters()[name]) != value:
            yield (
                f"events that name no axon or slot: {name} is {value} in the contract, {got} in RTL"
            )
    model.zero()
    for name, value in model.counters().items():
        if value:
            yield f"counters set to zero: {name} is 0 in the contract, {value} in RTL"


def _load_port(model: ChipModel, image: Image, rng: np.random.Generator) -> Iterator[str]:
    """The image goes in through the load port, and every word of it out again.

    Random words do so in the memories of state.
    """
    map_ = MemoryMap(model.chip)
    model.load(image)
    written: dict[str, np.ndarray] = {}
    for memory in map_.memories.values():
        rows = image.placement.used_rows(memory) if memory.loaded else memory.rows
        words = np.zeros((rows, memory.chunks * 4), np.uint8)
        if memory.loaded:
            words[:, : image.rows(memory.name).shape[1]] = image.rows(memory.name)
        else:
            words = rng.integers(0, 256, words.shape, np.uint8)
        written[memory.name] = words.view("<u4")
        if not memory.loaded:  # the spikes are read only
            for row, chunk in np.ndindex(written[memory.name].shape):
                model.write(memory.address(row, chunk), int(written[memory.name][row, chunk]))
    for name, words in written.items():
        if map_.memories[name].writable:
            yield from _read_back(model, name, words)
    spikes = map_.memories["spikes"]
    yield from _read_back(
        model,
        "spikes",
        model.memory("spikes")[: spikes.rows, : spikes.chunks * 4].copy().view("<u4"),
    )
    nowhere = len(map_.registers)
    if nowhere < min(m.base for m in map_.memories.values()):
        model.write(nowhere, 1)
        if got := model.read(nowhere):
            yield (
                f"load port: address {nowhere:#x}, where nothing lies, is 0 in the contract, "
                f"{got:#x} in RTL"
            )


def _read_back(model: ChipModel, name: str, words: np.ndarray) -> Iterator[str]:
    """The first word of a memory that differs at the load port.

    ``words``: what it must be, uint32 ``[row, chunk]``.
    """
    memory = MemoryMap(model.chip).memories[name]
    for row, chunk in np.ndindex(words.shape):
        mask = (1 << min(32, memory.width - 32 * chunk)) - 1
        expected, got = int(words[row, chunk]) & mask, model.read(memory.address(row, chunk)) & mask
        if got != expected:
            yield (
                f"load port, memory {name}, row {row}, chunk {chunk}: word must be {expected:#x}, "
                f"is {got:#x} in RTL"
            )
            return


def _streams(model: ChipModel, case: Case, rng: np.random.Generator) -> tuple[list[str], int]:
    """All samples once more through the pins: events in, events out, back-pressure.

    Returns the first difference, and the cycles stalled.
    """
    chip, image, core = case.image.chip, case.image, case.core
    inputs, outputs = core.events(case.stimulus), core.output_events(case.trace)
    stalls = 0
    for sample in range(case.stimulus.samples):
        blocked = (0.0, 0.5, 0.9)[sample % 3]
        plan: list[list[tuple[int, int]]] = [
            [] for _ in range(image.ticks)
        ]  # events to send before each tick
        for tick, axon in np.argwhere(inputs[sample]):
            delay = random_delay(rng, chip.delay_max, tick)
            plan[tick + 1 - delay].append((int(axon), delay))
        before = model.counters()
        model.clear()
        model.receive()
        for name, value in model.counters().items():
            if value != before[name]:
                return [
                    f"sample {sample}, CLEAR: {name} is {before[name]} in the contract, "
                    f"{value} in RTL"
                ], stalls
        model.send(plan[0])
        for tick in range(image.ticks):
            left = pressed_tick(
                model, rng, blocked, plan[tick + 1] if tick + 1 < image.ticks else None
            )
            due = [
                (int(address), 0)
                for address in outputs[(outputs[:, 0] == sample) & (outputs[:, 1] == tick), 2]
            ]
            if left != due:
                return [
                    f"sample {sample}, tick {tick}: events out are {due} in pysim, {left} in RTL"
                ], stalls
        after = model.counters()
        now = {name: after[name] - before[name] for name in after}
        stalls += now["stalls"]
        now["cycles"] -= now.pop("stalls")
        for name, value in now.items():
            if value != (expected := int(case.trace.counters[name][sample].sum())):
                return [f"sample {sample}: {name} is {expected} in pysim, {value} in RTL"], stalls
    return _while_busy(model), stalls


def _while_busy(model: ChipModel) -> list[str]:
    """A memory asked for while a tick runs answers when the tick is over.

    An address where nothing lies answers at once. Then the load port gives all state as it is.
    """
    map_ = MemoryMap(model.chip)
    v = map_.memories["v"]
    found: list[str] = []
    for _ in range(3):
        model.write(map_.registers["control"].address, CONTROL_TICK)
        got = model.read(v.address(v.rows - 1))
        expected = int(model.memory("v")[v.rows - 1].view("<u4")[0])
        if model.read(map_.registers["status"].address) & 1:
            found.append("load port: a memory was read while the core was busy")
        elif got != expected:
            found.append(
                f"load port, memory v, row {v.rows - 1}, while a tick ran: "
                f"word must be {expected:#x}, is {got:#x} in RTL"
            )
    for memory in map_.memories.values():
        if memory.chunks < 1 << memory.chunk_bits:
            model.write(map_.registers["control"].address, CONTROL_TICK)
            got = model.read(memory.address(0, memory.chunks))
            if not model.read(map_.registers["status"].address) & 1:
                found.append(
                    f"load port: behind a row of memory {memory.name}, where nothing lies, "
                    "a read waits for the tick"
                )
            elif got:
                found.append(
                    f"load port: behind a row of memory {memory.name}, where nothing lies, "
                    f"is 0 in the contract, {got:#x} in RTL"
                )
            model.read(v.address(0))  # which waits for the tick
    for memory in (m for m in map_.memories.values() if not m.loaded):
        words = model.memory(memory.name)[: memory.rows, : memory.chunks * 4].copy().view("<u4")
        found += _read_back(model, memory.name, words)
    return found


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
