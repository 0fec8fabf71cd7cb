"""Random populations over every mode of the arithmetic contract.

Most neurons have thresholds near the spread of their sums, so that they spike and rest. A share of
``corners`` has values at the ends of the membrane range, so that every clip acts.
"""

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.network.elements import (
    LeakRounding,
    LowBound,
    Population,
    Reset,
    WeightFormat,
    weight_range,
)
from spikeloop.pysim.network.parameters import LEAK_TERMS
from tests.make.neurons.states import random_states

__all__ = ["Node", "random_population"]


class Node(NamedTuple):
    """A population before the parameters of its neurons are drawn."""

    name: str
    size: int
    start: int
    pages: int
    weight_format: WeightFormat
    weight_bits: int
    page_shift: int = 0

    @property
    def weight_range(self) -> tuple[int, int]:
        """The least and the greatest weight of an edge into the population."""
        return weight_range(self.weight_format, self.weight_bits)


def random_population(
    rng: np.random.Generator, chip: Chip, node: Node, *, spread: float, corners: float
) -> Population:
    """Every parameter drawn per neuron, in one fixed order.

    ``spread`` is about the standard deviation of a neuron's sums; values are drawn in units of it.
    ``corners`` is the share of neurons with extreme values.
    """
    draw = _Drawer(rng, chip, node.size, spread, corners)
    paged = (node.pages, node.size)
    neurons: dict[str, Any] = {
        **_leaks(rng, chip, node),
        "low": draw.one_of(LowBound) if chip.bounded else np.zeros(node.size, np.int64),
        "refractory": _refractory(draw, chip),
        "hold": draw.flag(0.3),
        "v_th": draw.value(0.2, 2.0, paged),
        "v_low": draw.value(-1.5, 0.1),
        "v_low_add": draw.value(0.0, 2.0),
    }
    if chip.bounded and chip.refractory_bits:
        _set_traps(draw, neurons)
    neurons |= {
        "bias": draw.value(-0.3, 0.8, paged),
        "v_sub": draw.value(0.2, 2.0, paged),
        "k0": rng.random(paged) < 0.7,
        "rounding": draw.one_of(LeakRounding) if chip.roundings else 0,
        "rectify": draw.flag(0.2),
        "fire": draw.flag(0.95),
        "reset": draw.one_of(Reset),
        "v_reset": draw.value(-0.5, 0.2),
        "v_low_reset": draw.value(-1.0, 0.5),
        "v_init": draw.value(-0.5, 0.5),
    }
    states = random_states(rng, chip, node.pages, node.size, spread)
    neurons |= states
    if "adaptation" in states:
        _set_raised(draw, neurons)
    return Population.make(
        node.name,
        node.size,
        pages=node.pages,
        page_shift=node.page_shift,
        start=node.start,
        weight_bits=node.weight_bits,
        weight_format=node.weight_format,
        **neurons,
    )


class _Drawer:
    """Draws values for all neurons of a population; some of its neurons are at corners."""

    def __init__(
        self, rng: np.random.Generator, chip: Chip, size: int, spread: float, corners: float
    ) -> None:
        self.rng, self.size, self.spread = rng, size, spread
        self.least, self.most = (
            -(1 << (chip.membrane_bits - 1)),
            (1 << (chip.membrane_bits - 1)) - 1,
        )
        self.corner = rng.random(size) < corners

    def flag(self, share: float) -> np.ndarray:
        return self.rng.random(self.size) < share

    def one_of(self, modes: type[IntEnum]) -> np.ndarray:
        return self.rng.choice([int(mode) for mode in modes], self.size)

    def value(self, low: float, high: float, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Uniform in ``low``..``high`` spreads; at half of the corners an extreme value instead."""
        shape = shape or (self.size,)
        usual = np.rint(self.rng.uniform(low, high, shape) * self.spread)
        usual = np.clip(usual, self.least, self.most).astype(np.int64)
        extreme = self.extreme(shape)
        return np.where(self.corner & (self.rng.random(shape) < 0.5), extreme, usual)

    def extreme(self, shape: tuple[int, ...]) -> np.ndarray:
        """Mostly the ends and the middle of the membrane range, else anything in it."""
        least, most = self.least, self.most
        ends = [least, least + 1, least // 2, -1, 0, 1, most // 2, most - 1, most]
        at_ends = self.rng.random(shape) < 0.7
        chosen = self.rng.choice(np.array(ends), shape)
        return np.where(at_ends, chosen, self.rng.integers(least, most + 1, shape))


def _leaks(rng: np.random.Generator, chip: Chip, node: Node) -> dict[str, np.ndarray]:
    """Any leak terms the chip has, at random places of the three; most shifts are small."""
    signs = np.zeros((node.pages, LEAK_TERMS, node.size), np.int8)
    for page in range(node.pages):
        for i in range(node.size):
            used = rng.permutation(LEAK_TERMS)[: rng.integers(0, chip.leak_terms + 1)]
            signs[page, used, i] = rng.choice([-1, 1], used.size)
    bits = chip.membrane_bits
    small = rng.random(signs.shape) < 0.8
    few = rng.integers(1, min(8, bits) + 1, signs.shape)
    shifts = np.where(small, few, rng.integers(0, bits + 1, signs.shape))
    return {"leak_sign": signs, "leak_shift": shifts.astype(np.uint8)}


def _refractory(draw: _Drawer, chip: Chip) -> np.ndarray:
    """No refractory steps for most neurons, up to 3 for some, up to 63 for a few."""
    has = draw.flag(0.3)
    bounds = np.where(draw.flag(0.8), 4, 64)
    return np.where(has, draw.rng.integers(0, bounds), 0) % (1 << chip.refractory_bits)


def _set_raised(draw: _Drawer, neurons: dict[str, Any]) -> None:
    """Some neurons spike at nearly any membrane and then fall to the lower end of the range.

    There it is the raised part of the threshold that clips them.
    """
    raised = draw.flag(0.06)
    neurons["v_th"][:, raised] = draw.least // 2
    neurons["v_sub"][:, raised] = draw.most
    neurons["reset"][raised] = Reset.SOFT
    neurons["adaptation_reset"][raised] = True


def _set_traps(draw: _Drawer, neurons: dict[str, Any]) -> None:
    """Some corners are neurons whose third clip would act in each step; a hold must prevent it."""
    trap = draw.corner & draw.flag(0.3)
    neurons["low"][trap] = LowBound.ADD
    neurons["v_low"][trap] = draw.most
    neurons["v_low_add"][trap] = draw.least
    neurons["v_th"][:, trap] = draw.least // 2
    neurons["hold"][trap] = True
    neurons["refractory"][trap] = 1
