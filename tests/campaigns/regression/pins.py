"""What both regressions do through the pins: plan when events are sent, and press a tick.

A pressed tick is one whose output stream is blocked now and then.
"""

from collections.abc import Iterable

import numpy as np

from spikeloop.cosim.verilator.chip import ChipModel

__all__ = ["pressed_tick", "random_delay"]


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
