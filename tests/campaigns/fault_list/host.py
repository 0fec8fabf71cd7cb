"""What a host may do at any time: commands at once, requests without waiting, resets, last reads.

Most of these lived until the regression did so (tests/campaigns/regression/pins.py).
"""

from tests.campaigns.fault_list.fault import Fault

__all__ = ["HOST"]

HOST = [
    Fault(
        "wide-shift",
        "pim/adc.py",
        "width = max(len(product), len(apart) + 8 + MAX_SHIFT) + 2",
        "width = len(product) + 2",
        "a converter's sum under a large shift wraps",
        "serial",
    ),
    Fault(
        "command-behind-a-read",
        "mesh.py",
        "requests.o.valid & ~reading & (number == n)",
        "requests.o.valid & (number == n)",
        "a request that waits for a read of another core is served again and again",
        "mesh",
    ),
    Fault(
        "tick-with-clear",
        "chip.py",
        "run.eq((waiting & CONTROL_TICK).any() & ~(waiting & first).any() & ~busy)",
        "run.eq((waiting & CONTROL_TICK).any() & ~busy)",
        "a tick given in one command with a CLEAR is lost",
        "pim",
    ),
    Fault(
        "tick-missed-in-silence",
        "chip.py",
        "(waiting & ~taken & asked & CONTROL_TICK).any()",
        "(waiting & taken & asked & CONTROL_TICK).any()",
        "bit 1 of status does not say that a tick was missed",
    ),
    Fault(
        "tick-lost-at-once",
        "chip.py",
        "asked & CONTROL_TICK).any() | both):",
        "asked & CONTROL_TICK).any()):",
        "of two ticks asked for in one cycle, one is lost and not said to be missed",
    ),
    Fault(
        "row-survives-reset",
        "bus/memories.py",
        'synapse.r_zero.eq(no_row | ResetSignal("row"))',
        "synapse.r_zero.eq(no_row)",
        "a reset leaves a row of synapses for the accumulators",
    ),
    Fault(
        "row-left-by-a-read",
        "core/core.py",
        "no_row=control.flush | self.synapse_read,",
        "no_row=control.flush,",
        "a read of a row of synapses leaves it for the accumulators",
    ),
    Fault(
        "reset-of-one-cycle",
        "chip.py",
        "reset.eq(top.rst | again)",
        "reset.eq(top.rst)",
        "what sleeps is reset a cycle late: cycles counts on",
    ),
    Fault(
        "extension-beyond",
        "bus/loadport.py",
        "request.data <= map_.chip.derived.extensions",
        "request.data >= 0",
        "an axon extension that the chip does not have is taken",
        "banked",
    ),
]
