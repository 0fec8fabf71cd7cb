"""The scale of a population's weights: how many units of the integers one real weight is.

The scale has the least squared error of all weights, over the fractions of the largest weight that
a clip may cut. With 8 bits and more nothing is cut; with 2 or 3 bits much is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spikeloop.golden.quantize.leak import round_half_away
from spikeloop.golden.reference.integer import IntegerTrace, predict, run
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.network.elements import Population, StateUse, WeightFormat
from spikeloop.pysim.network.graph import Network

__all__ = ["Requantizer", "best_scale", "with_bits"]

FRACTIONS = np.linspace(0.1, 1.0, 46)
CONSTANTS = ("bias", "v_sub", "v_reset", "v_low", "v_low_reset", "v_low_add", "v_init")
"""Arrays in units of the weights, rounded to the nearest; thresholds are rounded up."""


def best_scale(weights: np.ndarray, bits: int) -> float:
    """The scale of real ``weights`` for integers of ``bits`` bits; 1 if all weights are 0."""
    check_int("bits of a weight", bits, 2, 16)
    limit = (1 << (bits - 1)) - 1
    largest = float(np.abs(weights).max(initial=0.0))
    if not largest:
        return 1.0
    best, least = limit / largest, np.inf
    for fraction in FRACTIONS[::-1]:
        scale = limit / (fraction * largest)
        whole = np.clip(np.rint(weights * scale), -limit - 1, limit)
        error = float(((whole / scale - weights) ** 2).sum())
        if error < least:
            best, least = scale, error
    return best


class Requantizer:
    """Rounds an imported network to other bits, layer by layer; for golden/quantize/widths.py.

    fine:   the network as imported, with wide weights, which stand for floats.
    inputs: spikes uint8 [sample, step, line] by input; labels: int64 [sample].
    """

    def __init__(self, fine: Network, inputs: dict[str, np.ndarray], labels: np.ndarray) -> None:
        self.fine, self.inputs, self.labels = fine, inputs, labels
        layers = [p for p in fine.order() if _weighs(fine, p)]
        self.names, self.neurons = [p.name for p in layers], [p.size for p in layers]
        self.float_accuracy = self.score(fine, run(fine, inputs))

    def network(self, bits: Sequence[int]) -> Network:
        """The network with weights of ``bits`` in each layer."""
        return with_bits(self.fine, dict(zip(self.names, bits, strict=True)))

    def score(self, network: Network, trace: IntegerTrace) -> float:
        """Share of the samples whose label the run gives."""
        if network.readout == "membrane" and not trace.membranes:
            trace = run(network, self.inputs)
        return float((predict(network, trace) == self.labels).mean())


def _weighs(network: Network, p: Population) -> bool:
    """Whether a population has weights to round: not a pool, nor binary or ternary weights."""
    into = [e.weights for e in network.edges if e.target == p.name]
    ones = all((np.abs(weights) <= 1).all() for weights in into)
    return bool(into) and not ones and p.weight_format is WeightFormat.SIGNED


def with_bits(network: Network, bits: int | Mapping[str, int]) -> Network:
    """``network`` with weights of other bits: one number, or one by population.

    The weights become integers anew, at the scale of least error; biases, thresholds and the other
    constants follow it. A current takes another gain instead, so that its state and the membrane
    behind it keep the fineness that they have. Populations of binary or ternary weights, and pools,
    stay as they are.
    """
    known = network.metadata.get("scales", {})
    scales = {p.name: float(known.get(p.name, 1.0)) for p in network.populations}
    edges, populations = list(network.edges), []
    for p in network.populations:
        width = bits if isinstance(bits, int) else bits.get(p.name, p.weight_bits)
        into = [i for i, e in enumerate(edges) if e.target == p.name]
        if not _weighs(network, p):
            populations.append(p)
            continue
        real = [edges[i].weights / scales[p.name] for i in into]
        scale = best_scale(np.concatenate([r.ravel() for r in real]), width)
        limit = 1 << (width - 1)
        for i, weights in zip(into, real, strict=True):
            whole = np.clip(round_half_away(weights * scale), -limit, limit - 1)
            edges[i] = replace(edges[i], weights=whole.astype(np.int32))
        populations.append(replace(_scaled(p, scale / scales[p.name], network), weight_bits=width))
        scales[p.name] = scale
    metadata = {**network.metadata, "scales": scales}
    return replace(network, populations=tuple(populations), edges=tuple(edges), metadata=metadata)


def _scaled(p: Population, ratio: float, network: Network) -> Population:
    """The population behind weights whose units are ``ratio`` times as many."""
    moved: dict[str, Any] = {}
    factor = np.full(p.size, ratio)
    if p.has_current:
        has = p.current != StateUse.NONE
        spare = -int(np.ceil(np.log2(ratio) - 1e-9))
        gain = np.clip(p.gain.astype(np.int64) + spare, 0, network.widths.gain)
        moved["gain"] = np.where(has, gain, p.gain).astype(p.gain.dtype)
        factor = ratio * np.exp2(moved["gain"].astype(np.float64) - p.gain)
    moved |= {key: round_half_away(getattr(p, key) * factor) for key in CONSTANTS}
    moved["v_th"] = np.ceil(p.v_th * factor - 1e-9).astype(np.int64)
    if p.has_adaptation:
        step = round_half_away(p.adaptation_step * factor)
        moved["adaptation_step"] = np.minimum(step, network.widths.step)
    return replace(p, **moved)
