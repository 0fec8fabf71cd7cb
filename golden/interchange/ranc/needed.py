"""Neurons of a RANC set that can change anything that is seen: those that may spike, and from which a path leads to the output bus."""

import numpy as np

from spikeloop.golden.interchange.ranc.file import Place, RancCore, RancFiles
from spikeloop.pysim.common.errors import InputError

__all__ = ["needed"]


def needed(files: RancFiles, steps: int) -> dict[Place, np.ndarray]:
    """Of each core, the live neurons from which a path leads to the output bus: bool ``[neuron]``. ``steps``: ticks of a sample.

    InputError if the address of a live neuron does not exist.
    """
    live = _live(files, steps)
    for place, mask in live.items():
        core = files.cores[place]
        for i in np.flatnonzero(mask):
            if not files.holds(files.goes[place][i]) or (
                core.axon[i] >= files.axons and files.goes[place][i] != files.output
            ):
                raise InputError(
                    f"address of neuron {i} of RANC core {place} must be an axon of a core of the grid {files.grid[0]}x"
                    f"{files.grid[1]}, not axon {core.axon[i]} of core {files.goes[place][i]}: check --grid"
                )
    kept = {
        place: np.array(
            [live[place][i] and goes == files.output for i, goes in enumerate(files.goes[place])],
            bool,
        )
        for place in files.cores
    }
    while True:
        heard = {
            place: (core.weights[:, kept[place]] != 0).any(axis=1)
            for place, core in files.cores.items()
        }
        new = {
            place: kept[place]
            | np.array(
                [
                    live[place][i] and goes in heard and heard[goes][core.axon[i]]
                    for i, goes in enumerate(files.goes[place])
                ],
                bool,
            )
            for place, core in files.cores.items()
        }
        if all(np.array_equal(new[place], kept[place]) for place in kept):
            return kept
        kept = new


def _live(files: RancFiles, steps: int) -> dict[Place, np.ndarray]:
    """Neurons that may spike: all but those that no axon in use reaches and that stay silent on their own."""
    alone = {place: _fires_alone(core, steps) for place, core in files.cores.items()}
    live = {place: np.ones(core.size, bool) for place, core in files.cores.items()}
    while True:
        fed = {place: np.ones(files.axons, bool) for place in files.cores}
        for (place, axon), alive in _feeders(files, live).items():
            fed[place][axon] = alive or (place, axon) in files.packet_axons
        new = {
            place: alone[place] | (core.weights[fed[place]] != 0).any(axis=0)
            for place, core in files.cores.items()
        }
        if all(np.array_equal(new[place], live[place]) for place in live):
            return live
        live = new


def _feeders(files: RancFiles, live: dict[Place, np.ndarray]) -> dict[tuple[Place, int], bool]:
    """Axons that some neuron addresses, and whether a live one does. (Those that none addresses belong to the outside.)"""
    found: dict[tuple[Place, int], bool] = {}
    for place, core in files.cores.items():
        for i, (goes, axon) in enumerate(zip(files.goes[place], core.axon.tolist(), strict=True)):
            if goes in files.cores and axon < files.axons:
                found[goes, axon] = found.get((goes, axon), False) or bool(live[place][i])
    return found


def _fires_alone(core: RancCore, steps: int) -> np.ndarray:
    """Neurons that spike in one of ``steps`` ticks with no input at all: bool ``[neuron]``."""
    v, fired = core.v_init.copy(), np.zeros(core.size, bool)
    for _ in range(steps):
        before, v = v, v + core.leak
        fired |= v >= core.threshold
        v = np.where(v >= core.low, v, np.where(core.mode == 0, -core.reset, v - core.low))
        if np.array_equal(before[~fired], v[~fired]):  # the silent ones rest
            break
    return fired
