"""The regression of the mesh: random recurrent networks over all cores, RTL against pysim.

The tests compare pysim with golden. Compared here are:

- through the native harness, every spike, membrane and counter of every core and tick;
- through the pins alone, ticks asked for before the last one is over (the barrier), events in while
  packets fly, events out under back-pressure, and each load port.
"""

from collections.abc import Iterator

import numpy as np

from spikeloop.cosim.compare.diff import Side, diff
from spikeloop.cosim.verilator.chip import MeshChipModel
from spikeloop.pysim.chip.memory_map import COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.traces.trace import Trace
from tests.campaigns.regression.mesh.cases import (
    NETWORKS,
    Case,
    distant_case,
    loud_image,
    mesh_cases,
)
from tests.campaigns.regression.pins import host_differences, pressed_tick, random_delay

__all__ = ["core_differences", "differences"]


def core_differences(expected: list[Trace], got: list[Trace]) -> Iterator[str]:
    """Counters of each core that differ, stalls left out; the first of each."""
    for n, (a, b) in enumerate(zip(expected, got, strict=True)):
        for name in COUNTERS:
            values = b.counters[name] - (
                b.counters["stalls"] if name in ("cycles", "stalls") else 0
            )
            if (where := np.argwhere(a.counters[name] != values)).size:
                sample, tick = where[0]
                yield (
                    f"core {n}, sample {sample}, tick {tick}: {name} is "
                    f"{a.counters[name][sample, tick]} in pysim, {values[sample, tick]} in RTL"
                )


def differences(
    model: MeshChipModel,
    chip: Chip,
    count: int = NETWORKS,
    *,
    seed: int = 0,
    contended: bool = True,
) -> Iterator[str]:
    """Everything in which the mesh departs from pysim; nothing for a right one.

    ``contended``: the stimuli are known to stall cores.
    """
    yield from _load_port(model, np.random.default_rng([seed, chip.derived.cores, 1]))
    fabric_stalls = output_stalls = 0
    for i, case in enumerate(mesh_cases(chip, count, seed=seed)):
        rng = np.random.default_rng([seed, i, 2])
        model.fill_mesh(case.image)
        dense = case.model.run(case.stimulus, dense=True)
        for slow in (
            False,
            True,
        ):  # every other core visits silent axons too: packets of the others meet its long scan
            for n in range(1, chip.derived.cores, 2):
                model.write(
                    MemoryMap(chip).core_base(n) + MemoryMap(chip).registers["dense"].address, slow
                )
            expected = [
                dense[n] if slow and n % 2 else trace for n, trace in enumerate(case.traces)
            ]
            traces = model.run_mesh(case.image, case.stimulus)
            fabric_stalls += sum(int(trace.counters["stalls"].sum()) for trace in traces)
            pair = diff(
                case.network,
                Side("pysim", case.image.gather(expected)),
                Side("RTL", case.image.gather(traces)),
            )
            if pair.first:
                yield f"network {i}{', some cores dense' if slow else ''}, {pair.first}"
            yield from (
                f"network {i}{', some cores dense' if slow else ''}, {text}"
                for text in core_differences(expected, traces)
            )
        for n in range(1, chip.derived.cores, 2):
            model.write(
                MemoryMap(chip).core_base(n) + MemoryMap(chip).registers["dense"].address, 0
            )
        yield from (
            f"network {i}, ticks back to back, {text}" for text in _back_to_back(model, case)
        )
        found, stalls = _streams(model, case, rng)
        output_stalls += stalls
        yield from (f"network {i}, streams, {text}" for text in found)

    yield from _turns(model)
    yield from _nowhere(model)
    yield from _reset_in_flight(model, distant_case(chip))

    def again() -> str | None:
        model.fill_mesh(case.image)
        got = case.image.gather(model.run_mesh(case.image, case.stimulus))
        sides = Side("pysim", case.image.gather(case.traces)), Side("RTL", got)
        pair = diff(case.network, *sides)
        return str(pair.first) if pair.first else None

    yield from host_differences(model, np.random.default_rng([seed, 3]), again)
    if contended and not fabric_stalls:
        yield "the fabric never held a core up: stalls are 0"
    if contended and not output_stalls:
        yield "the output stream was never blocked: stalls are 0"


def _load_port(model: MeshChipModel, rng: np.random.Generator) -> Iterator[str]:
    """Each core answers for itself; what lies behind the last one reads 0."""
    chip, map_ = model.chip, MemoryMap(model.chip)
    wanted = {}
    for n in range(chip.derived.cores):
        for name in ("words", "routes", "ring"):
            memory = map_.memories[name]
            row, value = (
                int(rng.integers(memory.rows)),
                int(rng.integers(1 << min(32, memory.width))),
            )
            model.write(map_.core_base(n) + memory.address(row), value)
            wanted[n, name, row] = value
    for (n, name, row), value in wanted.items():
        memory = map_.memories[name]
        got, inside = (
            model.read(map_.core_base(n) + memory.address(row)),
            int(model.memory(name, n)[row].view("<u4")[0]),
        )
        if got != value or inside != value:
            yield (
                f"load port, core {n}, memory {name}, row {row}: word must be {value:#x}, "
                f"is {got:#x} ({inside:#x} inside) in RTL"
            )
    fingerprint = map_.registers["fingerprint"].address
    for n in range(1 << chip.derived.core_bits):
        got, value = (
            model.read(map_.core_base(n) + fingerprint),
            chip.fingerprint() if n < chip.derived.cores else 0,
        )
        if got != value:
            yield f"load port, core {n}: fingerprint is {value:#x} in the contract, {got:#x} in RTL"


def _turns(model: MeshChipModel) -> Iterator[str]:
    """Cores that wait for the output together send an event each, in turn."""
    cores = model.chip.derived.cores
    model.fill_mesh(loud_image(model.chip))
    model.clear()
    model.receive()
    model.start()
    model.idle(1 << 20)
    model.cycles(4)
    order = [event[0] for event in model.receive()]
    turns = [sorted(order[at : at + cores]) for at in range(0, len(order), cores)]
    if turns != [list(range(cores))] * model.chip.lanes:
        yield f"events of {cores} cores that wait: each must send one in its turn, not {order}"


def _nowhere(model: MeshChipModel) -> Iterator[str]:
    """Events to cores that a mesh does not have are taken, and do nothing."""
    derived = model.chip.derived
    before = [_counters(model, n) for n in range(derived.cores)]
    model.send((n, 0, 1) for n in range(derived.cores, 1 << derived.core_bits))
    model.cycles(4)
    for n in range(derived.cores):
        if (now := _counters(model, n)) != before[n]:
            yield f"events to no core: core {n} counts {before[n]} before them, {now} after"


def _reset_in_flight(model: MeshChipModel, case: Case) -> Iterator[str]:
    """A reset empties the routers, wherever a packet is on its way to the last core."""
    sent = case.model.cores[0].events(case.image.stimuli(case.stimulus)[0], case.image.ticks)
    for cycles in range(60):  # a tick takes some 40
        model.fill_mesh(case.image)
        model.clear()
        model.send((0, int(axon), 1) for axon in np.flatnonzero(sent[0, 0]))
        model.start()
        model.cycles(cycles)
        model.reset()
        if not model.idle(1):
            yield f"reset {cycles} cycles after a tick began: the mesh is busy"
            model.idle(1 << 20)


def _counters(model: MeshChipModel, n: int) -> dict[str, int]:
    map_ = MemoryMap(model.chip)
    return {
        name: model.read(map_.core_base(n) + map_.registers[name].address)
        | model.read(map_.core_base(n) + map_.registers[f"{name}_high"].address) << 32
        for name in COUNTERS
    }


def _totals(
    model: MeshChipModel, case: Case, sample: int, before: list[dict[str, int]]
) -> Iterator[str]:
    for n, trace in enumerate(case.traces):
        now = {name: value - before[n][name] for name, value in _counters(model, n).items()}
        now["cycles"] -= now.pop("stalls")
        for name, value in now.items():
            if value != (expected := int(trace.counters[name][sample].sum())):
                yield f"sample {sample}, core {n}: {name} is {expected} in pysim, {value} in RTL"


def _back_to_back(model: MeshChipModel, case: Case) -> Iterator[str]:
    """Each tick is asked for while the one before runs: only the barrier lies between them."""
    chip, ring = model.chip, case.image.chip.derived
    number = MemoryMap(chip).registers["tick"].address
    events = {
        n: core.events(case.image.stimuli(case.stimulus)[n], case.image.ticks)
        for n, core in case.model.cores.items()
    }
    ticks = min(
        case.image.ticks, ring.slots
    )  # the inputs of that many ticks fit into the ring at once
    for sample in range(case.stimulus.samples):
        model.clear()
        before = [_counters(model, n) for n in range(ring.cores)]
        model.send(
            (n, int(axon), int(tick) + 1)
            for n, core in events.items()
            for tick, axon in np.argwhere(core[sample, : ticks - 1])
        )
        for tick in range(ticks - 1):
            model.start()
            while model.read(number) <= tick:
                pass
        model.idle(1 << 20)
        for n, trace in enumerate(case.traces):
            got = _counters(model, n)
            for name in ("spikes_in", "spikes_out", "sops", "saturations", "dropped", "ticks"):
                if (value := got[name] - before[n][name]) != (
                    expected := int(trace.counters[name][sample, : ticks - 1].sum())
                ):
                    yield (
                        f"sample {sample}, core {n}: {name} is {expected} in pysim, {value} in RTL"
                    )
                    return


def _streams(model: MeshChipModel, case: Case, rng: np.random.Generator) -> tuple[list[str], int]:
    """All samples through the pins: the first difference, and the cycles stalled."""
    chip, image = case.image.chip, case.image
    events = {
        n: core.events(image.stimuli(case.stimulus)[n], image.ticks)
        for n, core in case.model.cores.items()
    }
    stalls = 0
    for sample in range(case.stimulus.samples):
        blocked = (0.5, 0.95)[sample % 2]
        plan: list[list[tuple[int, int, int]]] = [[] for _ in range(image.ticks)]
        for n, core in events.items():
            for tick, axon in np.argwhere(core[sample]):
                delay = random_delay(rng, chip.delay_max, tick)
                plan[tick + 1 - delay].append((n, int(axon), delay))
        model.clear()
        before = [_counters(model, n) for n in range(chip.derived.cores)]
        model.receive()
        model.send(plan[0])
        for tick in range(image.ticks):
            left = pressed_tick(
                model, rng, blocked, plan[tick + 1] if tick + 1 < image.ticks else None
            )
            for n in range(chip.derived.cores):
                if [event[1:] for event in left if event[0] == n] != (
                    due := _due(case, n, sample, tick)
                ):
                    return [
                        f"sample {sample}, tick {tick}: events out of core {n} are {due} in pysim, "
                        f"of all {left} in RTL"
                    ], stalls
        stalls += sum(
            _counters(model, n)["stalls"] - before[n]["stalls"] for n in range(chip.derived.cores)
        )
        if found := list(_totals(model, case, sample, before)):
            return found, stalls
    return [], stalls


def _due(case: Case, n: int, sample: int, tick: int) -> list[tuple[int, int]]:
    """Events of the output population that leave core ``n`` in a tick, in order.

    Each is (neuron of the whole network, 0).
    """
    network = case.network
    step = tick - network.population(network.output).start
    if (
        n not in case.image.cores
        or network.output not in case.image.cores[n].neurons
        or not 0 <= step < network.steps
    ):
        return []
    neurons = case.image.cores[n].neurons[network.output]
    return [
        (int(neurons[i]), 0)
        for i in np.flatnonzero(
            unpack(case.traces[n].spikes[network.output][sample, step], neurons.size)
        )
    ]
