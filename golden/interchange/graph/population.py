"""One node of neurons as a population of integers.

Per population one scale multiplies weights, biases and thresholds. The scale is a power of two if
that makes every weight an integer. Otherwise the largest weight takes all bits. The decay becomes a
sum of up to three shifts (golden/quantize/leak.py). Behind a synaptic current the membrane has
finer units than the weights (golden/quantize/states.py).

A constant that leads to a current is no bias, which drives the membrane alone. It becomes weights
of lines that spike in every step.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from spikeloop.golden.interchange.common import Assumption
from spikeloop.golden.interchange.graph.maps import LinearMap, Route, Shape, merged, with_gain
from spikeloop.golden.interchange.graph.node import Node, RealNeurons
from spikeloop.golden.interchange.graph.semantics import SPIKING
from spikeloop.golden.interchange.graph.twin import Reach
from spikeloop.golden.quantize.fit import EXACT, exact_scale, thresholds
from spikeloop.golden.quantize.leak import round_half_away
from spikeloop.golden.quantize.states import (
    HEADROOM,
    ORDERS,
    adaptation_arrays,
    current_arrays,
    decay_arrays,
)
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import LowBound, Population, Reset

__all__ = ["EVERY_STEP", "Converted", "IntegerEdge", "convert"]

EVERY_STEP = "every step"
"""Key of the population of lines that spike in every step."""
MAX_LINES = 64
"""Most of them."""

RESETS = {"hard": Reset.HARD, "soft": Reset.SOFT}
LEAST_LEAK = 2.0**-6
"""Leak below which a late reset is an edge of the population to itself.

A spike at step t takes theta from v at step t + 1. The leak multiplies what a soft reset leaves, so
subtracting theta / leak at the spike does the same: leak (v - theta / leak) = leak v - theta.
"""
LEAST_WEIGHT = 127
"""Where a bound on all inputs leaves the largest weight less than this, data decide the scale."""

ROOMY = 1 << 10
"""Least threshold, in units of the membrane, that a bound on all inputs may leave."""


class IntegerEdge(NamedTuple):
    """An edge of integers into one population."""

    source: str
    delay: int
    weights: np.ndarray
    conv: Conv | None


class Converted(NamedTuple):
    """The result of :func:`convert`."""

    population: Population
    edges: list[IntegerEdge]
    scale: float
    assumed: Assumption


def convert(
    name: str,
    node: Node,
    shape: Shape,
    neurons: RealNeurons,
    routes: list[Route],
    bits: int,
    compare: str | None,
    reset: str | None,
    reach: Reach,
    steps: int,
) -> Converted:
    """The population ``name`` of integers, and the edges that lead to it.

    bits:    of a weight.
    compare: ">" or ">=", and ``reset``: one of RESETS of the semantics; both None for a node that
             does not spike.
    reach:   the largest states of the floats: with its scale each must fit into its width.
    steps:   of a sample, in which a neuron without leak may drift down.
    """
    fires = node.kind in SPIKING
    routes = [r._replace(map=with_gain(r.map, neurons.gain, shape, node.name)) for r in routes]
    leak, leak_error = decay_arrays("leak_", [neurons.decay])
    by_leak = _sums(leak)
    resets, subtracted = _resets(node, neurons, routes, by_leak, reset)
    if neurons.current is not None and neurons.current.bias.any():
        routes.append(_every_step(neurons.current.bias, routes, shape))
    routes = merged(routes, node.name)
    whole = not leak_error and bool(np.isin(by_leak, (0.0, 1.0)).all())
    exact = fires and whole and neurons.adaptation is None
    neurons = replace(neurons, subtract=subtracted)
    made = _scales(neurons, routes, bits, fires, exact, reach, steps)
    edges, error = _rounded(routes, made.weights, bits)
    silent = np.isinf(neurons.threshold)  # such a neuron never spikes
    finite = np.where(silent, 0.0, neurons.threshold)
    bounded = np.isfinite(neurons.v_min)
    unit = made.membrane
    v_th, _ = thresholds(finite * unit, strict=fires and compare == ">")
    population = Population.make(
        name,
        neurons.decay.size,
        weight_bits=bits,
        bias=round_half_away(neurons.bias * unit),
        v_th=v_th,
        v_sub=thresholds(np.where(silent, 0.0, neurons.subtract) * unit, strict=False)[1],
        fire=~silent if fires else False,
        v_reset=round_half_away(neurons.v_reset * unit),
        v_init=round_half_away(neurons.v_init * unit),
        low=np.where(bounded, LowBound.CLIP, LowBound.NONE).astype(np.uint8),
        v_low=round_half_away(np.where(bounded, neurons.v_min, 0.0) * unit),
        k0=leak.pop("leak_k0"),
        **leak,
        **resets,
        **made.arrays,
    )
    states = "".join(f", of its {what} by {off:.2g}" for what, off in made.errors.items())
    assumed = Assumption(
        f"node {node.name!r}",
        f"{node.kind} {shape}: scale {made.weights:g}, weights off by at most {error:.2g}, "
        f"decay by {leak_error:.2g}{states}"
        + (f"; scale bounded by a membrane that reaches {made.narrow:.3g}" if made.narrow else ""),
        f"{bits} bits a weight",
    )
    return Converted(population, edges, made.weights, assumed)


def _resets(
    node: Node, neurons: RealNeurons, routes: list[Route], by_leak: np.ndarray, reset: str | None
) -> tuple[dict[str, Any], np.ndarray]:
    """The arrays that say what a spike does, and what a soft reset subtracts.

    A late reset without a leak becomes an edge of the population to itself, added to ``routes``.
    """
    subtracted = neurons.subtract
    if reset == "pause":
        return {"reset": Reset.HARD, "refractory": 1, "hold": True}, subtracted
    if reset != "late":
        return {"reset": RESETS.get(reset or "hard", Reset.NONE)}, subtracted
    by_edge = by_leak < LEAST_LEAK
    if by_edge.any() and neurons.current is not None:
        raise InputError(
            f"membrane decay of node {node.name!r} must be at least 1/64 where a reset acts one "
            f"step later and behind a current, not {by_leak.min():g}: nothing but the current "
            "leads to its membrane"
        )
    if by_edge.any():  # the spike's own inhibition, one step later
        inhibition = np.where(by_edge, -neurons.threshold, 0.0)
        routes.append(Route(node.name, 1, LinearMap.one((by_leak.size,), inhibition)))
    kinds = np.where(by_edge, Reset.NONE, Reset.SOFT).astype(np.uint8)
    return {"reset": kinds}, subtracted / np.where(by_edge, 1.0, by_leak)


def _every_step(bias: np.ndarray, routes: list[Route], shape: Shape) -> Route:
    """A constant that arrives at a current, as lines that spike in every step."""
    largest = max((float(np.abs(r.map.weights).max(initial=0.0)) for r in routes), default=0.0)
    lines = 1
    while lines < MAX_LINES and np.abs(bias).max() / lines > (largest or np.inf):
        lines *= 2
    return Route(EVERY_STEP, 0, LinearMap(np.tile(bias / lines, (lines, 1)), shape))


class _Scales(NamedTuple):
    """Units of one real weight and of one real membrane, and the arrays of the further states.

    errors: of their decays, by name.
    narrow: the membrane that bounded the scale, or 0.
    """

    weights: float
    membrane: float
    arrays: dict[str, Any]
    errors: dict[str, float]
    narrow: float


def _scales(
    neurons: RealNeurons,
    routes: list[Route],
    bits: int,
    fires: bool,
    exact: bool,
    reach: Reach,
    steps: int,
) -> _Scales:
    drift = _drift(neurons, routes, steps)
    largest = max((float(np.abs(r.map.weights).max(initial=0.0)) for r in routes), default=0.0)
    arrays: dict[str, Any] = {}
    errors: dict[str, float] = {}
    narrow = 0.0
    if neurons.current is None:
        scale = unit = _population_scale(neurons, routes, bits, fires, exact)
        most = drift if HEADROOM / max(drift, 1e-30) * largest >= LEAST_WEIGHT else 0.0
        most = max(most, reach.membrane)
        if most * scale > HEADROOM:
            scale = unit = float(2.0 ** np.floor(np.log2(HEADROOM / most)))
            narrow = most
    elif neurons.current.shifts is not None and _whole(neurons.current.shifts, routes, bits):
        current, shifts = neurons.current, neurons.current.shifts
        scale, unit = _weight_scale(shifts), 1.0
        arrays, errors["current"] = decay_arrays("current_", [current.decay])
        arrays |= {"current": ORDERS[current.order], **shifts}
    else:
        weights = [route.map.weights for route in routes]
        scale, _ = exact_scale(weights, bits, np.zeros(1), minimal=False)
        current = neurons.current
        arrays, unit, errors["current"] = current_arrays(
            current.decay, current.order, scale, reach.current, _highest(neurons, reach, drift)
        )
    if neurons.adaptation is not None:
        a = neurons.adaptation
        more, errors["adaptation"] = adaptation_arrays(
            a.decay, a.step, a.order, unit, reach.adaptation
        )
        arrays |= more | {"adaptation_reset": a.reset}
    return _Scales(scale, unit, arrays, errors, narrow)


def _weight_scale(shifts: dict[str, np.ndarray]) -> float:
    """Units of a weight in one real weight, the membrane being in its own units."""
    return float(2.0 ** (int(shifts["fraction"][0]) - int(shifts["gain"][0])))


def _whole(shifts: dict[str, np.ndarray], routes: list[Route], bits: int) -> bool:
    """Whether the weights of a population with ``shifts`` are integers of ``bits`` bits."""
    scale, limit = _weight_scale(shifts), 1 << (bits - 1)
    weights = [route.map.weights * scale for route in routes]
    return all(((w == np.rint(w)) & (w >= -limit) & (w < limit)).all() for w in weights)


def _highest(neurons: RealNeurons, reach: Reach, drift: float) -> float:
    """The largest number that a membrane behind a current must hold, real."""
    current = neurons.current
    assert current is not None
    constants = (
        neurons.threshold,
        neurons.subtract,
        neurons.bias,
        neurons.v_reset,
        neurons.v_init,
        neurons.v_min,
    )
    most = max(float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) for x in constants)
    most = max(most, reach.membrane)
    least = float(neurons.threshold.min())
    if drift and (current.decay < 1).all() and np.isfinite(least):
        down = drift / float((1 - current.decay).min())
        if HEADROOM / down * least >= ROOMY:
            most = max(most, down)
    return most


def _sums(leak: dict[str, Any]) -> np.ndarray:
    """The factors of the leaks, float64 ``[size]``."""
    shifts = leak["leak_shift"].astype(np.float64)
    factors: np.ndarray = leak["leak_k0"][0] + (leak["leak_sign"] * 2.0**-shifts).sum(axis=1)[0]
    return factors


def _drift(neurons: RealNeurons, routes: list[Route], steps: int) -> float:
    """How far down a neuron without leak can get in ``steps`` steps; 0 if all of them leak."""
    if not (neurons.decay >= 1).any():
        return 0.0
    down = np.maximum(-neurons.bias, 0.0)
    for route in routes:
        falls = np.minimum(route.map.weights, 0.0)
        if route.map.conv is None:
            down = down - falls.sum(axis=0)
        else:
            channel = falls.reshape(len(falls), -1).sum(axis=1)
            down = down - np.repeat(channel, down.size // channel.size)
    return float(steps * down[neurons.decay >= 1].max())


def _rounded(routes: list[Route], scale: float, bits: int) -> tuple[list[IntegerEdge], float]:
    """The edges with integer weights, and the largest error of a weight in real units."""
    limit = (1 << (bits - 1)) - 1
    edges, error = [], 0.0
    for source, delay, linear in routes:
        clipped = np.clip(round_half_away(linear.weights * scale), -limit - 1, limit)
        error = max(error, float(np.abs(clipped / scale - linear.weights).max(initial=0.0)))
        edges.append(IntegerEdge(source, delay, clipped.astype(np.int32), linear.conv))
    return edges, error


def _population_scale(
    neurons: RealNeurons, routes: list[Route], bits: int, fires: bool, exact: bool
) -> float:
    """The scale of one population; ``exact``: its leaks are exact, so that the whole net may be."""
    finite = neurons.threshold[np.isfinite(neurons.threshold)]
    lowest = neurons.v_min[np.isfinite(neurons.v_min)]
    others = np.concatenate([finite, neurons.bias, neurons.v_reset, lowest])
    scale, settled = exact_scale(
        [route.map.weights for route in routes], bits, others, minimal=exact
    )
    threshold = neurons.threshold
    if (
        not settled
        and fires
        and np.isfinite(threshold).all()
        and not np.ptp(threshold)
        and threshold[0] * scale > 1
    ):
        # a whole threshold: a soft reset then subtracts all of it
        return float(np.floor(threshold[0] * scale + EXACT) / threshold[0])
    return scale
