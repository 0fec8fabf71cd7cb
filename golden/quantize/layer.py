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
COVERED = np.geomspace(1.0, 0.2, 60)  # parts of the largest weight that the n bits may cover


class QuantizedLayer:
    """One layer as integers.

    The arrays have the shapes of the float layer's. :func:`per_neuron` spreads the values of a
    convolution's maps over their neurons.

    weights: int32, one array per source (the layer before; the layer itself if it is recurrent).
    bias:    int64.
    v_th:    the threshold, the same for all neurons.
    leaks:   one Leak for each tau.
    scale:   integer units per unit of the float layer.
    report:  what rounding did, JSON.

    The argument ``rates`` says how often each source line spikes, one array per source, 0..1. The
    argument ``scale`` is the scale itself, or how it is chosen.
    """

    def __init__(
        self,
        name: str,
        layer: FloatLayer,
        rates: list[np.ndarray],
        bits: int,
        scale: str | float,
        membrane_bits: int,
        leak_terms: int | None,
    ) -> None:
        self.name, self.conv, self.bits = name, layer.conv, bits
        real = [_array(layer.weight)]
        if layer.recurrent is not None:
            real.append(_array(layer.recurrent))
        self.low, self.high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        if not isinstance(scale, str):
            self.scale = float(scale)
        elif scale == "plain":
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
        """The scale with the least squared error of the currents; ``rates`` weigh the lines."""
        largest = np.abs(weights).max() or 1.0
        scales = self.high / (largest * COVERED)
        errors = []
        for scale in scales:
            clipped = np.clip(round_half_away(weights * scale), self.low, self.high)
            errors.append((rates @ (clipped / scale - weights) ** 2).sum())
        return float(scales[int(np.argmin(errors))])


def per_neuron(values: np.ndarray, conv: Conv | None) -> np.ndarray:
    """Values of each neuron, ``[..., size]``.

    With ``conv``, ``values`` has one value for each map or one for the layer (``[..., 1]``).
    """
    if not conv:
        return values
    return np.broadcast_to(values, (*values.shape[:-1], conv.target[0])).repeat(
        math.prod(conv.target[1:]), -1
    )


def line_rates(spikes: np.ndarray, conv: Conv | None) -> np.ndarray:
    """How often the line behind each weight of a neuron spikes, ``[fan-in]``, 0..1.

    A weight of a convolution has many lines, one at each place: their mean counts.
    """
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
