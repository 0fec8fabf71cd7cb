"""Cycles of the macro of oscillators, from the steps of a run. The RTL counts the same.

M oscillators, L lanes, N oscillators of the net, W = ceil(M / L), D = ceil(24 / G):

    relaxation   a step = W (D + 4 + (N if n >= t_on else 0)) + 1
    phase        a step = W (N + 2) + 1

In a chip an event, or none, of each oscillator takes a cycle.
"""

from dataclasses import replace

from spikeloop.pysim.onn.params import OnnParams
from spikeloop.pysim.oscillators.net import OnnNet
from spikeloop.pysim.oscillators.trace import OnnTrace

__all__ = ["run_cycles", "run_reads", "with_cycles"]


def run_cycles(p: OnnParams, net: OnnNet, first: int, steps: int) -> int:
    """Cycles of ``steps`` steps, the first of which has number ``first``."""
    if p.cell == "phase":
        return steps * (p.passes * (net.size + 2) + 1)
    return steps * (p.passes * (p.digits + 4) + 1) + run_reads(p, net, first, steps)


def run_reads(p: OnnParams, net: OnnNet, first: int, steps: int) -> int:
    """Words of couplings that these steps read."""
    coupled = steps
    if p.cell == "relaxation":
        coupled = max(0, first + steps - max(first, net["t_on"]))
    return coupled * p.passes * net.size


def with_cycles(p: OnnParams, net: OnnNet, trace: OnnTrace) -> OnnTrace:
    """The trace with the cycles that macro ``p`` takes for it."""
    span = (p, net, trace.first, trace.steps)
    return replace(trace, cycles=run_cycles(*span), reads=run_reads(*span))
