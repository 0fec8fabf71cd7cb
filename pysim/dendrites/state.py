"""All values of a net of dendritic neurons between two shows, and the state a run begins with."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.dendrites.net import DendriticNet
from spikeloop.pysim.dendrites.settings import (
    CURRENT_BITS,
    INHIBITION_BITS,
    PSP_BITS,
    UNITS,
    WEIGHT_BITS,
    Format,
)

__all__ = ["DendriticState", "begin", "fresh", "place_of", "seeds"]

MASK = (1 << 64) - 1
AGE_BITS = 16
HALVES = {"rin": ("rin", "rin, upper half"), "var": ("var", "var, upper half")}
"""Values of more than 32 bits, and the names of their halves."""


@dataclass(frozen=True, eq=False)
class DendriticState:
    """Everything that a show goes on from.

    weights:    int64 ``[neuron, input]``, Q.30
    inhibition: int64 ``[neuron, neuron]``, Q.20: row i holds how each k inhibits i
    currents, psps: int64 ``[input]``, Q.16
    units:      int64 ``[field, neuron]``, rows UNITS
    rin:        generator of input spikes
    age:        learning steps so far
    """

    weights: np.ndarray
    inhibition: np.ndarray
    currents: np.ndarray
    psps: np.ndarray
    units: np.ndarray
    rin: int
    age: int

    def check(self, net: DendriticNet) -> "DendriticState":
        """Itself with int64 arrays; InputError unless it is a state of ``net``."""
        n, size = net.inputs, net.neurons
        arrays = {
            "weights": (self.weights, (size, n), Format(WEIGHT_BITS, True)),
            "inhibition": (self.inhibition, (size, size), Format(INHIBITION_BITS, False)),
            "currents": (self.currents, (n,), Format(CURRENT_BITS, False)),
            "psps": (self.psps, (n,), Format(PSP_BITS, False)),
            "units": (self.units, (len(UNITS), size), None),
        }
        checked = {}
        for name, (array, shape, form) in arrays.items():
            array = np.asarray(array)
            if array.shape != shape or not np.issubdtype(array.dtype, np.integer):
                raise InputError(
                    f"{name} of the state must be integers of shape {shape}, not {array.dtype} "
                    f"of shape {array.shape}"
                )
            checked[name] = array.astype(np.int64)
            if form:
                _in_range(f"{name} of the state", checked[name], form)
        for row, (name, form) in enumerate(UNITS.items()):
            _in_range(f"{name} of the state", checked["units"][row], form)
            if name in ("rn", "rs") and not checked["units"][row].all():
                raise InputError(f"{name} of the state must not be 0: a generator stays there")
        g = checked["inhibition"]
        if g.max() > net["g_max"]:
            raise InputError(f"inhibition must be at most g_max, {net['g_max']}, not {g.max()}")
        if g.diagonal().any():
            raise InputError(
                f"inhibition of a neuron by itself must be 0, not {g.diagonal().max()}"
            )
        check_int("generator rin of the state", self.rin, 1, MASK)
        check_int("age of the state", self.age, 0, (1 << AGE_BITS) - 1)
        return DendriticState(**checked, rin=self.rin, age=self.age)

    def same(self, other: "DendriticState") -> bool:
        """Whether all values are equal."""
        arrays = ("weights", "inhibition", "currents", "psps", "units")
        whole = (self.rin, self.age) == (other.rin, other.age)
        return whole and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in arrays
        )

    def seeded(self, seed: int) -> "DendriticState":
        """The same state with all generators at the beginning of ``seed``, 0..2^64 - 1."""
        check_int("seed", seed, 0, MASK)
        words, units = seeds(seed), self.units.copy()
        rin = next(words)
        low = (1 << 32) - 1
        for row in (-2, -1):
            units[row] = [(next(words) & low) or 1 for _ in range(units.shape[1])]
        return replace(self, units=units, rin=rin or 1)

    def words(self) -> np.ndarray:
        """All values as a trace keeps them, int32 ``[value]``; :func:`place_of` names each.

        A value of more than 32 bits is two, the lower half first.
        """
        rows = []
        for name, values in zip(UNITS, self.units, strict=True):
            rows += [values, values >> 32] if name in HALVES else [values]
        arrays = (*rows, self.inhibition, self.currents, self.psps, self.weights)
        whole = np.array([self.age, self.rin & 0xFFFFFFFF, self.rin >> 32])
        return np.concatenate([whole, *(array.ravel() for array in arrays)]).astype(np.int32)


def seeds(seed: int) -> Iterator[int]:
    """Outputs of splitmix64 whose state begins at ``seed``; 0 becomes 1 in the bits in use."""
    state = seed & MASK
    while True:
        state = state + 0x9E3779B97F4A7C15 & MASK
        z = state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        yield z ^ z >> 31


def begin(
    net: DendriticNet, weights: np.ndarray, inhibition: np.ndarray, seed: int
) -> DendriticState:
    """The state before the first step, checked. ``seed``: of all generators, 0..2^64 - 1."""
    units = np.zeros((len(UNITS), net.neurons), np.int64)
    zero = np.zeros(net.inputs, np.int64)
    state = DendriticState(weights, inhibition, zero, zero.copy(), units, 1, 0)
    return state.seeded(seed).check(net)


def fresh(net: DendriticNet, seed: int, rng: np.random.Generator | None = None) -> DendriticState:
    """A net that has learnt nothing: weights N(0, 1) / sqrt(n), all inhibition at ``g_max``.

    seed: of the net's generators. rng: what draws the weights; by default one of the same seed.
    """
    rng = np.random.default_rng(seed) if rng is None else rng
    size, n = net.neurons, net.inputs
    drawn = rng.standard_normal((size, n)) / np.sqrt(n)
    weights = np.clip(np.floor(drawn * 2**30 + 0.5), -(2**31), 2**31 - 1).astype(np.int64)
    g = np.full((size, size), net["g_max"], np.int64)
    np.fill_diagonal(g, 0)
    return begin(net, weights, g, seed)


def place_of(net: DendriticNet, value: int) -> tuple[str, int]:
    """What value number ``value`` of ``DendriticState.words`` is, and of which neuron or input.

    A value of the whole net is of number 0.
    """
    n, size = net.inputs, net.neurons
    units = [half for name in UNITS for half in HALVES.get(name, (name,))]
    table = [(name, 1) for name in ("age", *HALVES["rin"])]
    table += [(name, size) for name in units]
    table += [(f"inhibition of {i} by", size) for i in range(size)]
    table += [("current", n), ("psp", n), *((f"weight onto {i} of", n) for i in range(size))]
    for name, count in table:
        if value < count:
            return name, value
        value -= count
    raise IndexError(value)


def _in_range(what: str, values: np.ndarray, form: Format) -> None:
    wrong = values[(values < form.low) | (values > form.high)]
    if wrong.size:
        raise InputError(f"{what} must be in {form.low}..{form.high}, not {wrong[0]}")
