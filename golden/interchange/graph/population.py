"""One node of neurons as a population of integers.

Per population one scale multiplies weights, biases and thresholds. The scale is a power of two if
that makes every weight an integer. Otherwise the largest weight takes all bits. The decay becomes a
sum of up to three shifts (golden/quantize/leak.py).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from spikeloop.golden.interchange.common import Assumption
from spikeloop.golden.interchange.graph.maps import LinearMap, Route, Shape, merged, with_gain
from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.graph.semantics import SPIKING
from spikeloop.golden.quantize.leak import best_leak, leak_arrays, round_half_away
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import LowBound, Population, Reset

__all__ = ["Converted", "IntegerEdge", "RealNeurons", "convert", "real_neurons", "snapped"]

RESETS = {"hard": Reset.HARD, "soft": Reset.SOFT}
MEMBRANE_BITS = 24  # of imported networks
LEAST_LEAK = 2.0**-6
"""Leak below which a late reset is an edge of the population to itself.

A spike at step t takes theta from v at step t + 1. The leak multiplies what a soft reset leaves, so
subtracting theta / leak at the spike does the same: leak (v - theta / leak) = leak v - theta.
"""
HEADROOM = 0.9 * 2.0 ** (MEMBRANE_BITS - 1)
"""Largest membrane that the floats may reach, in units of the weights."""
LEAST_WEIGHT = 127
"""Where a bound on all inputs leaves the largest weight less than this, data decide the scale."""
ROUNDING = 2e-7  # relative, of a weight that was a 32-bit float
NEARLY = 1e-4  # relative, of a threshold: the epsilon of a batch norm
MAX_SEEN = 4096  # weights of an edge that are looked at first
MAX_SCALES = 64  # that are looked at with all weights
EXACT = 1e-9  # relative distance at which a scaled threshold is taken as the integer


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


@dataclass(frozen=True, eq=False)
class RealNeurons:
    """A node's neurons with real parameters, each float64 ``[size]``: v := decay v + gain I + bias.

    threshold: compared with v.
    v_reset:   v after a hard reset.
    v_init:    v before step 0.
    v_min:     v gets no lower than this, -inf for no bound.
    """

    decay: np.ndarray
    gain: np.ndarray
    bias: np.ndarray
    threshold: np.ndarray
    v_reset: np.ndarray
    v_init: np.ndarray
    v_min: np.ndarray


def real_neurons(
    node: Node, size: int, dt: float, reset: str | None, arriving: np.ndarray | float
) -> RealNeurons:
    """The step of ``node`` by Euler's method with step ``dt``.

    reset:    of a spiking node ("hard", "soft", "late" or "none"), else None.
    arriving: what arrives in a step without spikes.
    InputError for a time constant that is not positive or shorter than ``dt``, and for a threshold
    that is not above the value of a hard reset.
    """

    def value(key: str, usual: float) -> np.ndarray:
        given = np.asarray(node.values.get(key, usual), np.float64).ravel()
        return np.broadcast_to(given, (size,)).copy()

    tau, threshold, v_reset = value("tau", 1.0), value("v_threshold", 1.0), value("v_reset", 0.0)
    leak: np.ndarray | float = value("offset", 0.0)
    if node.kind in ("LIF", "LI"):
        if (tau <= 0).any():
            raise InputError(f"tau of node {node.name!r} must be positive, not {tau.min()}")
        if (dt > tau * (1 + 1e-6)).any():  # files round to 24 bits
            raise InputError(
                f"dt must be at most tau of node {node.name!r} ({tau.min():g}), not {dt:g}: "
                "give a smaller --dt"
            )
        share, decay = dt / tau, np.maximum(0.0, 1 - dt / tau)
        leak = value("v_leak", 0.0) * share
    elif node.kind == "Output":  # a sum without memory
        share, decay = np.ones(size), np.zeros(size)
    else:
        share = np.full(size, 1.0 if node.kind == "Leaky" else dt)
        decay = value("beta", 1.0)
    if reset == "hard" and (threshold <= v_reset).any():
        raise InputError(
            f"v_threshold of node {node.name!r} must lie above v_reset, not {threshold.min():g} "
            f"with {v_reset.max():g}"
        )
    gain = snapped(value("r", 1.0) * share)
    bias = np.broadcast_to(arriving, (size,)) * gain + leak
    first, least = value("v_init", 0.0), value("v_min", -np.inf)
    return RealNeurons(snapped(decay), gain, bias, threshold, v_reset, first, least)


def convert(
    name: str,
    node: Node,
    shape: Shape,
    neurons: RealNeurons,
    routes: list[Route],
    bits: int,
    compare: str | None,
    reset: str | None,
    reach: float,
    steps: int,
) -> Converted:
    """The population ``name`` of integers, and the edges that lead to it.

    bits:    of a weight.
    compare: ">" or ">=", and ``reset``: one of RESETS of the semantics; both None for a node that
             does not spike.
    reach:   the largest membrane of the floats: with its scale it must fit into the membrane.
    steps:   of a sample, in which a neuron without leak may drift down.
    """
    fires = node.kind in SPIKING
    routes = [r._replace(map=with_gain(r.map, neurons.gain, shape, node.name)) for r in routes]
    decays, which = np.unique(neurons.decay, return_inverse=True)
    leaks = [best_leak(float(d)) for d in decays]
    by_leak = np.array([leak.value for leak in leaks])[which]
    subtracted, resets = (
        neurons.threshold,
        np.full(by_leak.size, RESETS.get(reset or "hard", Reset.NONE)),
    )
    if reset == "late":
        by_edge = by_leak < LEAST_LEAK
        subtracted = neurons.threshold / np.where(by_edge, 1.0, by_leak)
        resets = np.where(by_edge, Reset.NONE, Reset.SOFT)
        if by_edge.any():  # the spike's own inhibition, one step later
            inhibition = np.where(by_edge, -neurons.threshold, 0.0)
            routes.append(Route(node.name, 1, LinearMap.one((by_leak.size,), inhibition)))
    routes = merged(routes, node.name)
    k0, sign, shift = (array[..., which] for array in leak_arrays(leaks))
    exact = fires and all(not leak.error and leak.value in (0.0, 1.0) for leak in leaks)
    scale = _population_scale(neurons, routes, bits, fires, exact)
    drift = _drift(neurons, routes, steps)
    largest = max((float(np.abs(r.map.weights).max(initial=0.0)) for r in routes), default=0.0)
    if drift > reach and HEADROOM / drift * largest >= LEAST_WEIGHT:
        reach = drift
    narrow = reach * scale > HEADROOM
    if narrow:
        scale = float(2.0 ** np.floor(np.log2(HEADROOM / reach)))
    edges, error = _rounded(routes, scale, bits)
    silent = np.isinf(neurons.threshold)  # such a neuron never spikes
    finite = np.where(silent, 0.0, neurons.threshold)
    bounded = np.isfinite(neurons.v_min)
    v_th, v_sub = _thresholds(finite * scale, strict=fires and compare == ">")
    population = Population.make(
        name,
        neurons.decay.size,
        weight_bits=bits,
        bias=round_half_away(neurons.bias * scale),
        v_th=v_th,
        v_sub=v_sub if reset != "late" else round_half_away(subtracted * scale),
        fire=~silent if fires else False,
        reset=resets.astype(np.uint8),
        v_reset=round_half_away(neurons.v_reset * scale),
        v_init=round_half_away(neurons.v_init * scale),
        low=np.where(bounded, LowBound.CLIP, LowBound.NONE).astype(np.uint8),
        v_low=round_half_away(np.where(bounded, neurons.v_min, 0.0) * scale),
        leak_sign=sign,
        leak_shift=shift,
        k0=k0,
    )
    assumed = Assumption(
        f"node {node.name!r}",
        f"{node.kind} {shape}: scale {scale:g}, weights off by at most {error:.2g}, "
        f"decay by {max(leak.error for leak in leaks):.2g}"
        + (f"; scale bounded by a membrane that reaches {reach:.3g}" if narrow else ""),
        f"{bits} bits a weight",
    )
    return Converted(population, edges, scale, assumed)


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


def snapped(values: np.ndarray) -> np.ndarray:
    """``values``, those within 1e-6 of a multiple of 2^-12 replaced by that multiple.

    Products and quotients of numbers that a file rounded to 24 bits miss it by that much.
    """
    short = np.rint(values * 4096) / 4096
    return np.where(np.abs(values - short) <= 1e-6 * np.abs(short), short, values)


def _rounded(routes: list[Route], scale: float, bits: int) -> tuple[list[IntegerEdge], float]:
    """The edges with integer weights, and the largest error of a weight in real units."""
    limit = (1 << (bits - 1)) - 1
    edges, error = [], 0.0
    for source, delay, linear in routes:
        clipped = np.clip(round_half_away(linear.weights * scale), -limit - 1, limit)
        error = max(error, float(np.abs(clipped / scale - linear.weights).max(initial=0.0)))
        edges.append(IntegerEdge(source, delay, clipped.astype(np.int32), linear.conv))
    return edges, error


def _thresholds(scaled: np.ndarray, *, strict: bool) -> tuple[np.ndarray, np.ndarray]:
    """v_th and v_sub, int64 ``[size]``, of thresholds in units of the weights.

    strict: u > threshold spikes, else u >= threshold.
    """
    whole = np.rint(scaled)
    scaled = np.where(np.abs(scaled - whole) < EXACT * np.abs(scaled), whole, scaled)
    if strict:
        v_th = np.floor(scaled).astype(np.int64) + 1
    else:
        v_th = np.ceil(scaled).astype(np.int64)
    return v_th, round_half_away(scaled)


def _population_scale(
    neurons: RealNeurons, routes: list[Route], bits: int, fires: bool, exact: bool
) -> float:
    """The scale of one population; ``exact``: its leaks are exact, so that the whole net may be."""
    finite = neurons.threshold[np.isfinite(neurons.threshold)]
    lowest = neurons.v_min[np.isfinite(neurons.v_min)]
    others = np.concatenate([finite, neurons.bias, neurons.v_reset, lowest])
    scale, settled = _scale([route.map.weights for route in routes], bits, others, minimal=exact)
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


def _scale(
    weights: list[np.ndarray], bits: int, others: np.ndarray, *, minimal: bool
) -> tuple[float, bool]:
    """The largest power of two with which every weight is an integer of ``bits`` bits.

    Where no power does that, the scale with which the largest weight takes all bits. ``minimal``:
    the smallest power with which ``others`` (thresholds, biases) are integers too, if there is one.
    Without leaks the network is then exact. Thresholds stay inside 23 bits in any case. The second
    result tells whether the thresholds suit the scale as they are.
    """
    limit = (1 << (bits - 1)) - 1
    largest = max((float(np.abs(w).max(initial=0.0)) for w in weights), default=0.0) or 1.0
    most = min(limit / largest, (1 << 22) / max(float(np.abs(others).max(initial=0.0)), 1e-30))

    def whole(scale: float, arrays: list[np.ndarray]) -> bool:
        return all(bool((a * scale == np.rint(a * scale)).all()) for a in arrays)

    scale = 2.0 ** np.floor(np.log2(most))
    if not whole(scale, weights):  # then no smaller power does either
        found = _multiples(weights, others, limit, most)
        return (most, False) if found is None else (found, True)
    if minimal and whole(scale, [others]):
        while scale > 2.0**-16 and whole(scale / 2, [others, *weights]):
            scale /= 2
    return float(scale), False


def _multiples(
    weights: list[np.ndarray], others: np.ndarray, limit: int, most: float
) -> float | None:
    """A scale with which the weights are integers but for the rounding of their floats, or None.

    Weights of a quantised net, or those divided by the area of a pool, are multiples of one number.
    Of the scales that do it for ``weights``, and nearly for ``others``, it is the least, doubled as
    often as fits: a leak by shifts then loses least.
    """
    few = np.unique(np.abs(np.concatenate([w.ravel()[:MAX_SEEN] for w in weights])))
    few = few[few > 0]
    if not few.size:
        return None
    scales = np.arange(1, limit + 1) / few[-1]
    scales = scales[scales <= most * (1 + EXACT)]
    for value in np.unique(others):
        scales = scales[_near_whole(scales * value, NEARLY)]
    for value in few[:: -(-few.size // 16)]:
        scales = scales[_near_whole(scales * value, ROUNDING)]
    for scale in scales[:MAX_SCALES]:
        if all(_near_whole(w * scale, ROUNDING).all() for w in weights):
            return float(scale * 2.0 ** np.floor(np.log2(most / scale * (1 + EXACT))))
    return None


def _near_whole(values: np.ndarray, within: float) -> np.ndarray:
    return np.abs(values - np.rint(values)) <= within * np.abs(values)
