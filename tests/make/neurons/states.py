"""Random second states of neurons: synaptic currents and adaptations over all their modes.

Half of the populations have a state, and in those most neurons. A share of neurons has values at
the ends of the ranges, so that every clip acts.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.network.elements import Edge, Input, LeakRounding, Population, StateUse, Widths
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.parameters import LEAK_TERMS, MAX_WEIGHT_BITS

__all__ = ["WITH_STATES", "give_states", "loud_network", "random_states"]

WITH_STATES = PRESETS["tiny"].replace(membrane_bits=16, current_bits=14, adaptation_bits=12)
"""the chip with both states that tests share, so that it is built once"""


def random_states(
    rng: np.random.Generator, chip: Chip, pages: int, size: int, spread: float
) -> dict[str, Any]:
    """Parameters of the second states that ``chip`` has; ``spread`` as of random_population."""
    states: dict[str, Any] = {}
    widths = Widths(chip.membrane_bits, chip.current_bits, chip.adaptation_bits)
    if chip.current_bits and rng.random() < 0.8:
        gain = rng.integers(0, min(widths.gain, 6) + 1, size)
        loss = gain + rng.integers(-1, 3, size)
        states |= {
            "current": _use(rng, size),
            **_decay(rng, chip, "current", widths.current, pages, size),
            "gain": _corner(rng, gain, widths.gain),
            "fraction": _corner(rng, np.clip(loss, 0, widths.current), widths.current),
        }
    if chip.adaptation_bits and rng.random() < 0.8:
        # a spike raises the threshold by up to a spread, so that old and new ones differ
        most = int(np.log2(max(1.0, widths.step / spread)))
        scale = rng.integers(0, min(6, most) + 1, size)
        step = np.clip(rng.random(size) * spread * 2.0**scale, 0, widths.step).astype(np.int64)
        states |= {
            "adaptation": _use(rng, size),
            **_decay(rng, chip, "adaptation", widths.adaptation, pages, size),
            "adaptation_step": _corner(rng, step, widths.step, 1 / 4),
            "adaptation_scale": _corner(rng, scale, widths.adaptation),
            "adaptation_reset": rng.random(size) < 0.6,
        }
    return states


def give_states(
    rng: np.random.Generator, network: Network, chip: Chip, spread: float = 8.0
) -> Network:
    """The network with random second states of ``chip``; ``spread`` as of random_population."""
    bits = {"current_bits": chip.current_bits, "adaptation_bits": chip.adaptation_bits}
    populations = []
    for p in network.populations:
        arrays = {key: getattr(p, key) for key in p.parameters}
        arrays |= random_states(rng, chip, p.pages, p.size, spread)
        kept = ("start", "pages", "page_shift", "weight_bits", "weight_format")
        same = {key: getattr(p, key) for key in kept}
        populations.append(Population.make(p.name, p.size, **same, **arrays))
    return replace(network, populations=tuple(populations), **bits)


def loud_network(chip: Chip) -> Network:
    """Currents of the widest sums: all lines onto the largest weights, times the largest gains.

    Sums have either sign, lane after lane.
    """
    widths = Widths(chip.membrane_bits, chip.current_bits, chip.adaptation_bits)
    bits = min(MAX_WEIGHT_BITS, min(chip.lanes, chip.derived.digits) * chip.digit_bits)
    size = min(chip.lanes, chip.columns // bits)
    lane = np.arange(size)
    weights = np.where(lane % 2, -(1 << bits - 1), (1 << bits - 1) - 1)
    synapses = np.tile(weights.astype(np.int32), (chip.axons, 1))
    population = Population.make(
        "loud",
        size,
        weight_bits=bits,
        v_th=1,
        current=np.full(size, StateUse.NEW),
        current_k0=True,
        gain=np.maximum(widths.gain - lane // 2, 0),
    )
    return Network(
        name="loud",
        inputs=(Input(name="all", size=chip.axons),),
        populations=(population,),
        edges=(Edge(source="all", target="loud", weights=synapses),),
        steps=4,
        output="loud",
        membrane_bits=chip.membrane_bits,
        current_bits=chip.current_bits,
        adaptation_bits=chip.adaptation_bits,
    )


def _use(rng: np.random.Generator, size: int) -> np.ndarray:
    """What acts of a state; an eighth of the neurons do not have it."""
    use = rng.choice([StateUse.NEW, StateUse.OLD], size)
    return np.where(rng.random(size) < 0.125, StateUse.NONE, use)


def _corner(
    rng: np.random.Generator, usual: np.ndarray, most: int, share: float = 1 / 12
) -> np.ndarray:
    """The usual values; for a ``share`` of the neurons an end of the range or anything in it."""
    ends = rng.choice(np.array([0, most // 2, most]), usual.size)
    extreme = np.where(rng.random(usual.size) < 0.7, ends, rng.integers(0, most + 1, usual.size))
    return np.where(rng.random(usual.size) < share, extreme, usual)


def _decay(
    rng: np.random.Generator, chip: Chip, state: str, bits: int, pages: int, size: int
) -> dict[str, Any]:
    """Mostly a decay below 1, as people use it; for a quarter of the neurons any terms at all."""
    shape = (pages, LEAK_TERMS, size)
    sign, shift = np.zeros(shape, np.int8), np.zeros(shape, np.uint8)
    terms = chip.leak_terms
    if terms:
        sign[:, 0] = -1
        shift[:, 0] = rng.integers(1, min(6, bits) + 1, (pages, size))
        wild = rng.random(size) < 0.25
        drawn = rng.choice(np.array([-1, 0, 1], np.int8), (pages, terms, size))
        sign[:, :terms, wild] = drawn[:, :, wild]
        far = rng.integers(0, bits + 1, (pages, terms, size)).astype(np.uint8)
        near = rng.integers(1, 6, (pages, terms, size)).astype(np.uint8)
        drawn = np.where(rng.random(near.shape) < 0.2, far, near)
        shift[:, :terms, wild] = drawn[:, :, wild]
    rounding = rng.choice([int(mode) for mode in LeakRounding], size) if chip.roundings else 0
    return {
        f"{state}_k0": rng.random((pages, size)) < 0.85,
        f"{state}_sign": sign,
        f"{state}_shift": shift,
        f"{state}_rounding": rounding,
    }
