"""The cycles of a tick, exact but for stalls (docs/architecture.md, "Cycles")."""

import numpy as np

__all__ = [
    "CURRENT",
    "DRAIN",
    "EMIT",
    "JOIN",
    "REPLAY",
    "SCAN",
    "START",
    "UPDATE",
    "WORD",
    "cycles",
]

# The RTL's own constants are in hdl; these are the model's.
START = 1  # to start a tick
SCAN = 1  # to begin a scan of the ring
REPLAY = 1  # to begin a pass over the events that the scan left
WORD = 2  # to fetch a word record, live or not
DRAIN = 1  # from the last synapse row to the accumulators
JOIN = 2  # to begin joining digits
CURRENT = 1  # the synaptic currents of a word, on chips that have them
UPDATE = 3  # leak, fire, write back
EMIT = 4  # to begin and to end the emission


def cycles(
    scan: np.ndarray,
    events: np.ndarray,
    emit: np.ndarray,
    *,
    live: int,
    joins: int,
    words: int,
    currents: bool,
) -> np.ndarray:
    """Cycles of a tick without stalls. The arguments broadcast.

    scan:    sum of max(1, events) over the chunks of axons
    events:  axon events of the tick; in dense mode the axons, here and in ``scan``
    emit:    sum over all words' chunks of max(1, route entries of the chunk's spikes)
    live:    words whose population is inside its steps
    joins:   sum of the digits per weight of the live words
    words:   words of the core
    currents: whether the chip has synaptic currents
    """
    update = DRAIN + JOIN + CURRENT * currents + UPDATE
    first = SCAN + scan
    accumulate = first + (live - 1) * (events + REPLAY) if live else first
    return START + words * WORD + accumulate + live * update + joins + EMIT + emit
