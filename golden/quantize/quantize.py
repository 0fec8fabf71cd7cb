"""Post-training quantisation: the float net to integers of n bits and shift leaks (docs/arithmetic.md, "Real numbers to integers").

    weight, bias -> round(x * scale), halves away from zero, weights clipped to n bits;   U_th -> ceil(U_th * scale);   tau -> 2^-m

``scale`` is 2^(n-1) in the plain form (BPSR, Yan et al. 2022, section 2.5; biases are then clipped to n bits too). A positive scale may be
chosen freely for each layer instead: it multiplies weights, bias and threshold alike and changes nothing but how well the n bits are used.
Biases then keep the membrane's width, which is what the chip holds them in. The scale that is chosen minimises the expected squared
error of the layer's currents, sum_ij rate_j (q_ij / scale - w_ij)^2, rate_j being how often line j spikes in the given data.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import torch

from spikeloop.golden.nets.layers import FloatLayer, LayeredNet
from spikeloop.golden.nets.neurons import U_TH
from spikeloop.golden.reference.integer import IntegerTrace, predict, run
from spikeloop.golden.training.train import accuracy, float_spikes
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.limits import LEAK_TERMS
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network, start_ticks

__all__ = [
    "SCALES",
    "Leak",
    "Quantizer",
    "best_leak",
    "integer_threshold",
    "per_neuron",
    "quantize",
    "round_half_away",
    "shift_leak",
]

SCALES = ("plain", "layer")
CANDIDATES = np.geomspace(
    1.0, 0.2, 60
)  # parts of the largest weight that the clipped range is tried to cover


def round_half_away(x: np.ndarray) -> np.ndarray:
    """Nearest integers int64, halves away from zero, exact for every float64 (no 0.5 is added, which could round up by itself)."""
    whole = np.trunc(x)
    return (whole + np.sign(x) * (np.abs(x - whole) >= 0.5)).astype(np.int64)


def integer_threshold(theta: float, *, strict: bool = False, membrane_bits: int = 24) -> int:
    """v_th such that for integers u: u >= v_th is u >= theta, or u > theta if ``strict``. Out of the membrane range is an InputError."""
    if not math.isfinite(theta):
        raise InputError(f"threshold must be finite, not {theta}")
    v_th = math.floor(theta) + 1 if strict else math.ceil(theta)
    limit = 1 << (membrane_bits - 1)
    if not -limit <= v_th < limit:
        raise InputError(
            f"threshold must be in {-limit}..{limit - 1} ({membrane_bits} bits), not {v_th}: "
            "use fewer weight bits or a wider membrane"
        )
    return v_th


@dataclass(frozen=True)
class Leak:
    """k0 + sum of sign * 2^-shift: the factor ``value``, off the wanted one by ``error`` (absolute)."""

    k0: bool
    terms: tuple[tuple[int, int], ...]  # (sign, shift)
    error: float

    @property
    def value(self) -> float:
        return self.k0 + math.fsum(sign * 2.0**-shift for sign, shift in self.terms)


def shift_leak(tau: float, membrane_bits: int = 24) -> Leak:
    """The nearest of 0 (clear), 1 (none) and 2^-m, m = 1..membrane_bits; a tie takes the smaller, that is the larger m."""
    _check_tau(tau)
    choices = [0.0] + [2.0**-m for m in range(membrane_bits, -1, -1)]
    best = min(choices, key=lambda value: (abs(value - tau), value))
    k0 = best == 1.0
    return Leak(k0, () if k0 or best == 0.0 else ((1, round(-math.log2(best))),), abs(best - tau))


def best_leak(tau: float, terms: int = LEAK_TERMS, max_shift: int = 12) -> Leak:
    """The best k0 + up to ``terms`` (0..3) shifts of 1..max_shift for a factor tau in 0..1.

    Of equal errors the one of fewer terms, then of smaller shifts: 0.9 becomes 1 - 2^-3 + 2^-5 - 2^-7 (error 0.0016).
    """
    _check_tau(tau)
    if not 0 <= terms <= LEAK_TERMS:
        raise InputError(f"terms of a leak must be in 0..{LEAK_TERMS}, not {terms}")
    values, sums = _leak_sums(terms, max_shift)
    best = int(np.abs(values - tau).argmin())  # the first of equals
    return Leak(*sums[best], abs(float(values[best]) - tau))


@cache
def _leak_sums(
    terms: int, max_shift: int
) -> tuple[np.ndarray, list[tuple[bool, tuple[tuple[int, int], ...]]]]:
    """Every sum with its value, the preferred ones first. Shifts differ: equal ones would make another shift or cancel."""
    sums = [
        (k0, tuple(zip(signs, shifts, strict=True)))
        for count in range(terms + 1)
        for shifts in sorted(combinations(range(1, max_shift + 1), count), key=sum)
        for k0 in (False, True)
        for signs in product((-1, 1), repeat=count)
    ]
    return np.array([Leak(*s, 0.0).value for s in sums]), sums


def _check_tau(tau: float) -> None:
    if not 0 <= tau <= 1:
        raise InputError(f"tau must be in 0..1, not {tau}")


class Quantizer:
    """A float net with samples to quantise it with; a layer of one width is made once.

    spikes: encoded samples uint8 ``[sample, step, line]`` on which scales are chosen and nets are compared; labels int64 ``[sample]``.
    scale: one of SCALES. leak_terms: None for tau -> 2^-m, else the best sum of up to so many terms. InputError for a net that is not
    finite and for samples of another shape.
    """

    def __init__(
        self,
        net: LayeredNet,
        spikes: np.ndarray,
        labels: np.ndarray,
        *,
        scale: str = "layer",
        membrane_bits: int = 24,
        leak_terms: int | None = None,
    ) -> None:
        if scale not in SCALES:
            raise InputError(f"scale must be one of {', '.join(SCALES)}, not {scale!r}")
        if (
            spikes.ndim != 3
            or spikes.shape[2] != net.sizes[0]
            or len(spikes) != len(labels)
            or not len(spikes)
        ):
            raise InputError(
                f"samples to quantise with must be spikes [sample, step, {net.sizes[0]}] and as many labels, "
                f"not of shape {spikes.shape} and {len(labels)}"
            )
        net.check_finite()
        self.net, self.spikes, self.labels = net, spikes, labels
        self.scale, self.membrane_bits, self.leak_terms = scale, membrane_bits, leak_terms
        self.wanted = float_spikes(net, spikes)
        self._made: dict[tuple[int, int], _Layer] = {}

    def layers(self, bits: Sequence[int]) -> "list[_Layer]":
        """The layers with weights of so many bits each, 2..16."""
        if wrong := [
            b for b in bits if isinstance(b, bool) or not isinstance(b, int) or not 2 <= b <= 16
        ]:
            raise InputError(f"weight bits must be in 2..16, not {wrong[0]!r}")
        if len(bits) != len(self.net.layers):
            raise InputError(
                f"weight bits must be one number or {len(self.net.layers)} (one for each layer), not {len(bits)}"
            )
        for i, layer in enumerate(self.net.layers):
            if (i, bits[i]) not in self._made:
                rates = [
                    _rates(self.spikes if i == 0 else self.wanted[i - 1], layer.conv),
                    self.wanted[i].mean((0, 1)),
                ]
                self._made[i, bits[i]] = _Layer(
                    self.net.names[i],
                    layer,
                    rates,
                    bits[i],
                    self.scale,
                    self.membrane_bits,
                    self.leak_terms,
                )
        return [self._made[key] for key in enumerate(bits)]

    def network(self, bits: Sequence[int], name: str = "network") -> Network:
        return _assemble(
            self.net, self.layers(bits), self.spikes.shape[1], self.scale, self.membrane_bits, name
        )

    def score(self, network: Network, trace: IntegerTrace) -> float:
        """Share of the samples that are read out as their label."""
        return float((predict(network, trace) == self.labels).mean())


def quantize(
    net: LayeredNet,
    spikes: np.ndarray,
    labels: np.ndarray,
    *,
    bits: int | Sequence[int] = 8,
    scale: str = "layer",
    membrane_bits: int = 24,
    leak_terms: int | None = None,
    name: str = "network",
) -> tuple[Network, dict[str, Any]]:
    """The integer network, and what quantisation did to the net.

    bits: of the weights, 2..16, of all layers or of each; all else as in :class:`Quantizer`.
    The report is JSON: accuracies, and per layer clipped and zeroed weights, silent and ever-firing neurons, drift of the spike count
    and the accuracy of the float net with this layer alone quantised. InputError for a net that is not finite, values out of range,
    and a layer that does not spike at all any more.
    """
    widths = list(bits) if isinstance(bits, Sequence) else [bits] * len(net.layers)
    made_by = Quantizer(
        net, spikes, labels, scale=scale, membrane_bits=membrane_bits, leak_terms=leak_terms
    )
    layers, network = made_by.layers(widths), made_by.network(widths, name)

    trace = run(network, {"input": spikes}, membranes=False)
    report: dict[str, Any] = {
        "bits": network.metadata["bits"],
        "scale": scale,
        "membrane_bits": membrane_bits,
        "samples": len(labels),
        "accuracy": {
            "float": accuracy(net, spikes, labels),
            "integer": made_by.score(network, trace),
        },
        "layers": [],
    }
    for i, (made, float_layer) in enumerate(zip(layers, made_by.wanted, strict=True)):
        got = trace.spikes[made.name]
        if not got.any():
            raise InputError(
                f"population {made.name!r} must spike after quantisation to {made.bits} bits, not be silent on all "
                f"{len(labels)} samples: use more bits or another scale, or train longer"
            )
        counts = [s.sum(1, dtype=np.int64) for s in (float_layer, got)]
        report["layers"].append(
            {
                "name": made.name,
                **made.report,
                "silent": int((~got.any((0, 1))).sum()),
                "silent_float": int((~float_layer.any((0, 1))).sum()),
                "always": int(got.all((0, 1)).sum()),
                "saturations": int(trace.saturations[made.name].sum()),
                "spikes": counts[1].sum() / len(labels),
                "spikes_float": counts[0].sum() / len(labels),
                "drift": float(counts[1].sum() / counts[0].sum() - 1) if counts[0].any() else None,
                "count_error": float(np.abs(counts[1] - counts[0]).mean()),
                "accuracy_alone": accuracy(_with_layer(net, i, made), spikes, labels),
            }
        )
    return network.with_metadata(accuracy_integer=report["accuracy"]["integer"]), report


class _Layer:
    """Integers of one layer: ``weights`` (one array per source), ``bias``, ``v_th``, ``leaks``, the ``scale``, and what was lost.

    Arrays are those of the float layer; :func:`per_neuron` gives every neuron of a convolution what its map has.
    """

    def __init__(
        self,
        name: str,
        layer: FloatLayer,
        rates: list[np.ndarray],
        bits: int,
        scale: str,
        membrane_bits: int,
        leak_terms: int | None,
    ) -> None:
        self.name, self.conv, self.bits = name, layer.conv, bits
        real = [_array(layer.weight)] + (
            [] if layer.recurrent is None else [_array(layer.recurrent)]
        )
        self.low, self.high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if scale == "plain":
            self.scale = 2.0 ** (bits - 1)
        else:
            fan_in = [w.reshape(len(w), -1).T if self.conv else w for w in real]
            self.scale = self._choose(np.concatenate(fan_in), np.concatenate(rates[: len(real)]))
        rounded = [round_half_away(w * self.scale) for w in real]
        self.weights = [np.clip(q, self.low, self.high).astype(np.int32) for q in rounded]
        whole_bias = round_half_away(_array(layer.bias) * self.scale)
        limit = 1 << (membrane_bits - 1)
        low, high = (self.low, self.high) if scale == "plain" else (-limit, limit - 1)
        self.bias = np.clip(whole_bias, low, high)
        self.v_th = integer_threshold(U_TH * self.scale, membrane_bits=membrane_bits)
        taus = _array(layer.tau)
        self.leaks = [
            shift_leak(t, membrane_bits) if leak_terms is None else best_leak(t, leak_terms)
            for t in taus
        ]
        self.report: dict[str, Any] = {
            "neurons": per_neuron(taus, self.conv).size,
            "weights": sum(w.size for w in real),
            "clipped": int(
                sum((q != r).sum() for q, r in zip(self.weights, rounded, strict=True))
                + (self.bias != whole_bias).sum()
            ),
            "zeroed": int(
                sum(((q == 0) & (w != 0)).sum() for q, w in zip(self.weights, real, strict=True))
            ),
            "scale": self.scale,
            "v_th": self.v_th,
            "tau_error": float(max(leak.error for leak in self.leaks)),
        }

    def _choose(self, weights: np.ndarray, rates: np.ndarray) -> float:
        """The scale of least weighted squared error."""
        largest = np.abs(weights).max() or 1.0
        scales = self.high / (largest * CANDIDATES)
        errors = [
            (
                rates
                @ (np.clip(round_half_away(weights * s), self.low, self.high) / s - weights) ** 2
            ).sum()
            for s in scales
        ]
        return float(scales[int(np.argmin(errors))])


def _assemble(
    net: LayeredNet, layers: list[_Layer], steps: int, scale: str, membrane_bits: int, name: str
) -> Network:
    edges = []
    for source, layer in zip(["input", *(x.name for x in layers)], layers, strict=False):
        edges.append(
            Edge(source=source, target=layer.name, weights=layer.weights[0], conv=layer.conv)
        )
        edges += [
            Edge(source=layer.name, target=layer.name, weights=w, delay=1)
            for w in layer.weights[1:]
        ]
    starts = start_ticks([x.name for x in layers], [(e.source, e.target, e.delay) for e in edges])
    populations = []
    for layer, size in zip(layers, net.sizes[1:], strict=True):
        sign, shift = (
            np.zeros((1, LEAK_TERMS, len(layer.leaks)), np.int8),
            np.zeros((1, LEAK_TERMS, len(layer.leaks)), np.uint8),
        )
        for i, leak in enumerate(layer.leaks):
            for r, (s, m) in enumerate(leak.terms):
                sign[0, r, i], shift[0, r, i] = s, m
        populations.append(
            Population.make(
                layer.name,
                size,
                start=starts[layer.name],
                weight_bits=layer.bits,
                bias=per_neuron(layer.bias, layer.conv),
                v_th=layer.v_th,
                k0=per_neuron(np.array([leak.k0 for leak in layer.leaks]), layer.conv),
                leak_sign=per_neuron(sign, layer.conv),
                leak_shift=per_neuron(shift, layer.conv),
            )
        )
    bits = [layer.bits for layer in layers]
    metadata = {
        **net.metadata,
        "bits": bits[0] if len({*bits}) == 1 else bits,
        "scale": scale,
        "scales": {x.name: x.scale for x in layers},
    }
    return Network(
        name=name,
        inputs=(Input(name="input", size=net.sizes[0]),),
        populations=tuple(populations),
        edges=tuple(edges),
        steps=steps,
        output="output",
        membrane_bits=membrane_bits,
        metadata=metadata,
    )


@torch.no_grad()
def _with_layer(net: LayeredNet, index: int, layer: _Layer) -> LayeredNet:
    """The float net with the integers of one layer, scaled back."""
    mixed = copy.deepcopy(net)
    target = mixed.layers[index]
    values = [
        (target.weight, layer.weights[0] / layer.scale),
        (target.bias, layer.bias / layer.scale),
        (target.tau, np.array([leak.value for leak in layer.leaks])),
    ]
    if target.recurrent is not None:
        values.append((target.recurrent, layer.weights[1] / layer.scale))
    for parameter, value in values:
        parameter.copy_(torch.from_numpy(value))
    return mixed


def per_neuron(values: np.ndarray, conv: Conv | None) -> np.ndarray:
    """Values per neuron, ``[..., size]``, of those per neuron, per map or of the whole layer ``[..., 1]``."""
    if not conv:
        return values
    return np.broadcast_to(values, (*values.shape[:-1], conv.target[0])).repeat(
        math.prod(conv.target[1:]), -1
    )


def _rates(spikes: np.ndarray, conv: Conv | None) -> np.ndarray:
    """How often the source of each weight of a neuron spikes, ``[fan-in]``; of a convolution on average over its places."""
    rates: np.ndarray = spikes.mean((0, 1))
    if conv is None:
        return rates
    maps = torch.from_numpy(rates).view(1, *conv.source)
    return (
        torch.nn.functional.unfold(maps, conv.kernel, stride=conv.stride, padding=conv.padding)[0]
        .mean(1)
        .numpy()
    )


def _array(parameter: torch.Tensor) -> np.ndarray:
    return parameter.detach().numpy().astype(np.float64)
