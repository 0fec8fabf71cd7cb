"""What both regressions do through the pins alone: plan when events are sent, and run a tick under back-pressure."""

from collections.abc import Iterable

import numpy as np

from spikeloop.cosim.verilator.chip import ChipModel

__all__ = ["pressed_tick", "random_delay"]


def random_delay(rng: np.random.Generator, longest: int, tick: int) -> int:
    """A delay with which an event for ``tick`` can be sent, 1..longest; it is sent before tick ``tick + 1 - delay``."""
    return int(rng.integers(1, min(longest, tick + 1) + 1))


def pressed_tick(
    model: ChipModel,
    rng: np.random.Generator,
    blocked: float,
    events: Iterable[tuple[int, ...]] | None,
) -> list[tuple[int, ...]]:
    """Run a tick while the receiver is closed a share ``blocked`` of the time; what left.

    events: sent while the tick runs, for the ticks after it; None: nothing more comes.
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
