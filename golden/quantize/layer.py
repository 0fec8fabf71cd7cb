"""One layer of a float net as integers: its scale, weights, bias, threshold and leaks."""

import math
from typing import Any

import numpy as np
import torch

from spikeloop.golden.nets.layers import FloatLayer
from spikeloop.golden.nets.neurons import U_TH
from spikeloop.golden.quantize.leak import best_leak, integer_threshold, round_half_away, shift_leak
from spikeloop.pysim.network.convolution import Conv

__all__ = ["SCALES", "QuantizedLayer", "line_rates", "per_neuron"]


SCALES = ("plain", "layer")


CANDIDATES = np.geomspace(
    1.0, 0.2, 60
)  # parts of the largest weight that the clipped range is tried to cover


class QuantizedLayer:
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


def per_neuron(values: np.ndarray, conv: Conv | None) -> np.ndarray:
    """Values per neuron, ``[..., size]``, of those per neuron, per map or of the whole layer ``[..., 1]``."""
    if not conv:
        return values
    return np.broadcast_to(values, (*values.shape[:-1], conv.target[0])).repeat(
        math.prod(conv.target[1:]), -1
    )


def line_rates(spikes: np.ndarray, conv: Conv | None) -> np.ndarray:
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
