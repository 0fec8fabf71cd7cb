"""Neurons of a RANC set that can change anything that is seen.

These are the neurons that may spike and from which a path leads to the output bus.
"""

import numpy as np

from spikeloop.golden.interchange.ranc.file import Axon, Place, RancCore, RancFiles
from spikeloop.pysim.common.errors import InputError

__all__ = ["needed"]


def needed(files: RancFiles, steps: int) -> dict[Place, np.ndarray]:
    """For each core, the live neurons from which a path leads to the output bus: bool ``[neuron]``.

    steps: ticks of a sample.
    InputError if the address of a live neuron does not exist.
    """
    live = _live(files, steps)
    _check_addresses(files, live)
    kept = {
        place: mask & np.array([target == files.output for target in files.goes[place]], bool)
        for place, mask in live.items()
    }
    while True:
        heard = {
            place: (core.weights[:, kept[place]] != 0).any(axis=1)
            for place, core in files.cores.items()
        }
        wider = {}
        for place, core in files.cores.items():
            routes = zip(files.goes[place], core.axon, live[place], strict=True)
            useful = [alive and to in heard and heard[to][axon] for to, axon, alive in routes]
            wider[place] = kept[place] | np.array(useful, bool)
        if all(np.array_equal(wider[place], kept[place]) for place in kept):
            return kept
        kept = wider


def _check_addresses(files: RancFiles, live: dict[Place, np.ndarray]) -> None:
    width, height = files.grid
    for place, mask in live.items():
        axons = files.cores[place].axon
        for i in np.flatnonzero(mask):
            target = files.goes[place][i]
            if not files.holds(target) or (axons[i] >= files.axons and target != files.output):
                raise InputError(
                    f"address of neuron {i} of RANC core {place} must be an axon of a core of the "
                    f"grid {width}x{height}, not axon {axons[i]} of core {target}: check --grid"
                )


def _live(files: RancFiles, steps: int) -> dict[Place, np.ndarray]:
    """Neurons that may spike: those that an axon in use reaches, or that spike without input."""
    alone = {place: _fires_alone(core, steps) for place, core in files.cores.items()}
    live = {place: np.ones(core.size, bool) for place, core in files.cores.items()}
    while True:
        fed = {place: np.ones(files.axons, bool) for place in files.cores}
        for (place, axon), alive in _feeders(files, live).items():
            fed[place][axon] = alive or (place, axon) in files.packet_axons
        fewer = {
            place: alone[place] | (core.weights[fed[place]] != 0).any(axis=0)
            for place, core in files.cores.items()
        }
        if all(np.array_equal(fewer[place], live[place]) for place in live):
            return live
        live = fewer


def _feeders(files: RancFiles, live: dict[Place, np.ndarray]) -> dict[Axon, bool]:
    """Axons that some neuron addresses, and whether a live neuron does.

    The axons that no neuron addresses belong to the outside.
    """
    feeders: dict[Axon, bool] = {}
    for place, core in files.cores.items():
        for target, axon, alive in zip(files.goes[place], core.axon, live[place], strict=True):
            if target in files.cores and axon < files.axons:
                key = target, int(axon)
                feeders[key] = feeders.get(key, False) or bool(alive)
    return feeders


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
