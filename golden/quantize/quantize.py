"""Post-training quantisation: the float net to integers of n bits and shift leaks (docs/arithmetic.md, "Real numbers to integers").

    weight, bias -> round(x * scale), halves away from zero, weights clipped to n bits;   U_th -> ceil(U_th * scale);   tau -> 2^-m

``scale`` is 2^(n-1) in the plain form (BPSR, Yan et al. 2022, section 2.5; biases are then clipped to n bits too). A positive scale may be
chosen freely for each layer instead: it multiplies weights, bias and threshold alike and changes nothing but how well the n bits are used.
Biases then keep the membrane's width, which is what the chip holds them in. The scale that is chosen minimises the expected squared
error of the layer's currents, sum_ij rate_j (q_ij / scale - w_ij)^2, rate_j being how often line j spikes in the given data.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from spikeloop.golden.nets.layers import LayeredNet
from spikeloop.golden.quantize.layer import SCALES, QuantizedLayer, line_rates, per_neuron
from spikeloop.golden.quantize.leak import leak_arrays
from spikeloop.golden.reference.integer import IntegerTrace, predict, run
from spikeloop.golden.training.train import accuracy, float_spikes
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.elements import Edge, Input, Population
from spikeloop.pysim.network.graph import Network, start_ticks

__all__ = ["Quantizer", "quantize"]


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
        self._made: dict[tuple[int, int], QuantizedLayer] = {}

    def layers(self, bits: Sequence[int]) -> list[QuantizedLayer]:
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
                    line_rates(self.spikes if i == 0 else self.wanted[i - 1], layer.conv),
                    self.wanted[i].mean((0, 1)),
                ]
                self._made[i, bits[i]] = QuantizedLayer(
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


def _assemble(
    net: LayeredNet,
    layers: list[QuantizedLayer],
    steps: int,
    scale: str,
    membrane_bits: int,
    name: str,
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
        k0, sign, shift = (per_neuron(a, layer.conv) for a in leak_arrays(layer.leaks))
        populations.append(
            Population.make(
                layer.name,
                size,
                start=starts[layer.name],
                weight_bits=layer.bits,
                bias=per_neuron(layer.bias, layer.conv),
                v_th=layer.v_th,
                k0=k0,
                leak_sign=sign,
                leak_shift=shift,
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
def _with_layer(net: LayeredNet, index: int, layer: QuantizedLayer) -> LayeredNet:
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
