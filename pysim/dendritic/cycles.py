"""Cycles of the macro of dendritic neurons, phase by phase. The RTL counts the same.

n inputs and N neurons are the net's; docs/dendritic.md has the same table.
"""

from spikeloop.pysim.dendrites.net import DendriticNet

__all__ = ["SHOW_CYCLES", "phases", "show_cycles"]

SHOW_CYCLES = 2


def phases(net: DendriticNet, *, learn: bool, grown: bool, plastic: bool) -> dict[str, int]:
    """Cycles of each phase of a step.

    grown: it is behind the warm-up. Without ``learn`` the other two do not matter.
    """
    n, size = net.inputs, net.neurons
    table = {"sweep": n + 5, "inhibit": size, "soma": 2}
    if not learn:
        table["look"] = size + 1
    else:
        table["stats"] = 3
        if grown:
            table |= {"root": 18, "divide": 11, "look": 2 * size + 1, "learn": 4}
            if plastic:
                table |= {"trace": 2, "pairs": size}
    return {**table, "end": 1}


def show_cycles(net: DendriticNet, age: int, steps: int, *, learn: bool, plastic: bool) -> int:
    """Cycles of a show of ``steps`` steps that begins at ``age``."""
    young = min(steps, max(0, net["warm_up"] + 1 - age)) if learn else steps
    kind = {"learn": learn, "plastic": plastic}
    total = young * sum(phases(net, grown=False, **kind).values())
    total += (steps - young) * sum(phases(net, grown=True, **kind).values())
    flush = net.inputs + 5 if steps > young else 0
    return total + flush + SHOW_CYCLES
