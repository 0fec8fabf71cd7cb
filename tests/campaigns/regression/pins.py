"""What all regressions of chips do through the pins: press ticks, and do what hosts may do.

A pressed tick is one whose output stream is blocked now and then. A host may give all commands at
once, ask for a tick while one runs, send requests without waiting, write a setting that the chip
does not have, read any memory last, and reset the chip at any time for one cycle.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, CONTROL_TICK, CONTROL_ZERO, Memory

__all__ = ["host_differences", "pressed_tick", "random_delay", "read_full_row"]

LIMIT = 1 << 20  # cycles of a command


def random_delay(rng: np.random.Generator, longest: int, tick: int) -> int:
    """A delay, 1..longest, with which an event for ``tick`` can be sent.

    The event is sent before tick ``tick + 1 - delay``.
    """
    return int(rng.integers(1, min(longest, tick + 1) + 1))


def pressed_tick(
    model: ChipModel,
    rng: np.random.Generator,
    blocked: float,
    events: Iterable[tuple[int, ...]] | None,
) -> list[tuple[int, ...]]:
    """Run a tick while the receiver is closed a share ``blocked`` of the time.

    ``events`` are sent while the tick runs, for the ticks after it; None means that no more come.
    Returns the events that left the chip.
    """
    model.start()
    if events is not None:
        model.cycles(6)  # the tick has started: what is sent now is counted from it
        model.send(events)
    while not model.idle(int(rng.integers(1, 4))):
        model.ready(rng.random() >= blocked)
    model.ready(True)
    model.cycles(4)
    return model.receive()


def host_differences(
    model: ChipModel, rng: np.random.Generator, again: Callable[[], str | None]
) -> Iterator[str]:
    """What a host may do, on the image that is in the memories.

    again: puts an image in, runs its samples, and returns the first difference from pysim.
    """
    yield from _commands(model)
    yield from _bursts(model)
    yield from _settings(model)
    if found := again():
        yield f"after commands at once, {found}"
    for kind in ("tick", "burst", "clear", "load", *(f"read {n}" for n in range(2, 9))):
        model.clear()
        _begin(model, rng, kind)
        model.reset()
        yield from (f"reset in a {kind}: {text}" for text in _unlike_reset(model))
        if found := again():
            yield f"after a reset in a {kind}, {found}"


def _register(model: ChipModel, name: str, core: int = 0) -> int:
    return model.map.core_base(core) + model.map.registers[name].address


def _commands(model: ChipModel) -> Iterator[str]:
    """Zero and clear come before the tick. Of ticks one waits; one more is missed, and said so."""
    every = (1 << model.map.command_bits) - 1
    if model.chip.front:  # the macro's own: tests/campaigns/macros/sources.py
        every = CONTROL_TICK | CONTROL_CLEAR | CONTROL_ZERO
    model.zero()
    model.tick()
    for bits, ticks in ((CONTROL_TICK | CONTROL_CLEAR, 2), (every, 1)):
        model.write(_register(model, "control"), bits)
        model.idle(LIMIT)
        for name, value in (("ticks", ticks), ("tick", 1)):
            if (got := model.read(_register(model, name))) != value:
                yield f"control = {bits}: {name} is {value} in the contract, {got} in RTL"
    for pulses in range(4):
        model.zero()
        for _ in range(1 + pulses):
            model.start()
            model.cycles(3 if _ == 0 else 0)
        model.idle(LIMIT)
        for name, value in (("ticks", 1 + min(pulses, 1)), ("status", 2 * (pulses > 1))):
            if (got := model.read(_register(model, name))) != value:
                yield (
                    f"{pulses} ticks asked for while one runs: {name} is {value} in the contract, "
                    f"{got} in RTL"
                )
    for cycles in range(6):  # a tick by the register; one at the pin so many cycles later
        model.zero()
        model.burst([(_register(model, "control"), CONTROL_TICK)])
        model.cycles(cycles)
        model.start()
        model.idle(LIMIT)
        ticks, status = (model.read(_register(model, name)) for name in ("ticks", "status"))
        if ticks + status // 2 != 2:
            yield (
                f"two ticks asked for {cycles} cycles apart: {ticks} run, and status is {status} "
                "in RTL: one is lost and not missed"
            )
    model.zero()
    if got := model.read(_register(model, "status")):
        yield f"counters set to zero: status is 0 in the contract, {got} in RTL"


def _bursts(model: ChipModel) -> Iterator[str]:
    """Requests without waiting: each is served once, in its order, whatever core it is for."""
    chip, cores = model.chip, model.chip.derived.cores
    v = model.map.memories["v"]
    for n in range(cores):
        after = (n + 1) % cores
        model.clear()
        model.zero()
        steps = model.read(_register(model, "steps", after))
        inside = int(model.memory("v", n)[0].view("<u4")[0])
        requests: list[tuple[int, int | None, int | None]] = [
            (_register(model, "axons", n), None, chip.axons),
            (_register(model, "steps", after), steps ^ 5, None),
            (model.map.core_base(n) + v.address(0), None, inside),
            (_register(model, "steps", after), None, steps ^ 5),
            (_register(model, "tick", n), None, 0),
            (_register(model, "steps", after), steps, None),
            (_register(model, "control", n), CONTROL_TICK, None),
            (_register(model, "lanes", n), None, chip.lanes),
            (_register(model, "status", n), None, 1),
        ]
        expected = [value for _, _, value in requests if value is not None]
        got = model.burst([(address, data) for address, data, _ in requests])
        model.idle(LIMIT)
        got.append(model.read(_register(model, "ticks", n)))
        if got != [*expected, 1]:
            yield f"burst to core {n}: answers and ticks are {[*expected, 1]}, {got} in RTL"


def _settings(model: ChipModel) -> Iterator[str]:
    """An axon extension that the chip does not have is not taken."""
    address, most = _register(model, "extension"), model.chip.derived.extensions
    for kept in range(most + 1):
        model.write(address, kept)
        for value in (most + 1, most + 2, 1 << 31, 1 << 8 | most - kept):
            model.write(address, value)
            if (got := model.read(address)) != kept:
                yield f"extension {kept} after {value:#x}: is {kept} in the map, {got} in RTL"
                model.write(address, kept)
    model.write(address, 0)


def _begin(model: ChipModel, rng: np.random.Generator, kind: str) -> None:
    """Something to reset."""
    chip, memories = model.chip, model.map.memories
    core = () if chip.derived.cores == 1 else (0,)
    if kind == "tick":  # with its output blocked
        model.ready(False)
        model.send((*core, axon, 1) for axon in range(chip.axons))
        model.start()
        model.cycles(int(rng.integers(4, 40)))
    elif kind == "clear":
        model.write(_register(model, "control"), CONTROL_CLEAR)
        model.cycles(int(rng.integers(0, 12)))
    elif kind == "load":
        row = [(memories["v"].address(row), row) for row in range(memories["v"].rows)]
        model.burst(row, 3)
    elif kind == "burst":  # one answer is on its way, others are behind it
        reads = [(_register(model, name), None) for name in ("id", "axons", "lanes")]
        model.burst(reads, int(rng.integers(2, 6)))
    else:  # every row is full, and no cycle of the read is left out
        model.memory("synapse")[: memories["synapse"].rows] = 255
        model.burst([(memories["synapse"].address(0), None)], int(kind.split()[1]))


def read_full_row(model: ChipModel) -> None:
    """Reads the row of synapses with the most of them, and waits for the answer."""
    synapse: Memory = model.map.memories["synapse"]
    rows = model.memory("synapse")[: synapse.rows]
    row = int(np.unpackbits(rows, axis=1).sum(axis=1).argmax())
    model.burst([(synapse.address(row), None)])


def _unlike_reset(model: ChipModel) -> Iterator[str]:
    """What is not as after a reset: the pins, the answers, the registers."""
    if not model.idle(1):
        yield "the chip is busy"
    if left := model.receive():
        yield f"events left: {left}"
    for name, register in model.map.registers.items():
        if "r" in register.access:
            for core in range(model.chip.derived.cores):
                got = model.burst([(_register(model, name, core), None)])
                if got != [register.reset]:
                    yield f"register {name} of core {core} is {register.reset}, {got} in RTL"
                    return
