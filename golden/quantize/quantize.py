"""Post-training quantisation: a float net becomes integers of n bits and shift leaks
(docs/arithmetic.md, "Real numbers to integers").

    weight, bias -> round(x * scale), halves away from zero, weights clipped to n bits
    U_th         -> ceil(U_th * scale)
    tau          -> 2^-m

In the plain form ``scale`` is 2^(n-1), and biases are clipped to n bits too (BPSR, Yan et al. 2022,
section 2.5). Otherwise each layer has a positive scale of its own. The scale multiplies weights,
bias and threshold alike, so that it changes only how well the n bits are used. Biases then keep the
membrane's width, in which the chip stores them.

The chosen scale minimises the expected squared error of the layer's currents,

    sum over i, j of rate_j (q_ij / scale - w_ij)^2,

where rate_j is how often line j spikes in the given samples.
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
    """Quantises one float net, on samples of its data; each layer is made once for each width.

    spikes:     encoded samples, uint8 ``[sample, step, line]``; scales are chosen on them.
    labels:     int64 ``[sample]``.
    scale:      "plain" or "layer".
    leak_terms: None for tau -> 2^-m; else the most shifts in the sum that replaces tau.
    InputError for a net that is not finite and for samples of another shape.
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
                f"samples to quantise with must be spikes [sample, step, {net.sizes[0]}] and as "
                f"many labels, not of shape {spikes.shape} and {len(labels)}"
            )
        net.check_finite()
        self.net, self.spikes, self.labels = net, spikes, labels
        self.scale, self.membrane_bits, self.leak_terms = scale, membrane_bits, leak_terms
        self.float_spikes = float_spikes(net, spikes)
        self._layers: dict[tuple[int, int, str | float], QuantizedLayer] = {}

    @property
    def names(self) -> list[str]:
        return list(self.net.names)

    @property
    def neurons(self) -> list[int]:
        return list(self.net.sizes[1:])

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {"input": self.spikes}

    @property
    def float_accuracy(self) -> float:
        """Share of the samples that the float net answers with their label."""
        return accuracy(self.net, self.spikes, self.labels)

    def layers(
        self, bits: Sequence[int], scales: Sequence[float] | None = None
    ) -> list[QuantizedLayer]:
        """The layers, each with weights of its ``bits``, 2..16, and at its scale if given."""
        for width in bits:
            if isinstance(width, bool) or not isinstance(width, int) or not 2 <= width <= 16:
                raise InputError(f"weight bits must be in 2..16, not {width!r}")
        if len(bits) != len(self.net.layers):
            raise InputError(
                f"weight bits must be one number or {len(self.net.layers)} (one for each layer), "
                f"not {len(bits)}"
            )
        chosen: Sequence[str | float] = [self.scale] * len(bits) if scales is None else scales
        return [
            self._layer(i, width, scale)
            for i, (width, scale) in enumerate(zip(bits, chosen, strict=True))
        ]

    def _layer(self, i: int, bits: int, scale: str | float) -> QuantizedLayer:
        if (i, bits, scale) not in self._layers:
            layer = self.net.layers[i]
            before = self.spikes if i == 0 else self.float_spikes[i - 1]
            rates = [line_rates(before, layer.conv), self.float_spikes[i].mean((0, 1))]
            self._layers[i, bits, scale] = QuantizedLayer(
                self.net.names[i], layer, rates, bits, scale, self.membrane_bits, self.leak_terms
            )
        return self._layers[i, bits, scale]

    def network(
        self, bits: Sequence[int], name: str = "network", *, scales: Sequence[float] | None = None
    ) -> Network:
        """The integer network with weights of ``bits`` in each layer, at ``scales`` if given."""
        return _assemble(
            self.net,
            self.layers(bits, scales),
            self.spikes.shape[1],
            self.scale if scales is None else "given",
            self.membrane_bits,
            name,
        )

    def score(self, network: Network, trace: IntegerTrace) -> float:
        """Share of the samples whose label ``network`` gives, 0..1; ``trace`` is of its run."""
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
    scales: Sequence[float] | None = None,
    name: str = "network",
) -> tuple[Network, dict[str, Any]]:
    """The integer network, and a report of what quantisation did to the net.

    bits:   of the weights, 2..16: one number for all layers, or one for each.
    scales: of the layers, in place of those that ``scale`` chooses
            (golden/quantize/search.py finds some).
    The other arguments are those of :class:`Quantizer`.

    The report is JSON. It holds the accuracies and, for each layer, clipped and zeroed weights,
    silent neurons and neurons that always fire, the drift of the spike count, and the accuracy of
    the float net with this layer alone quantised.

    InputError for a net that is not finite, for values out of range, and for a layer that does not
    spike any more.
    """
    widths = list(bits) if isinstance(bits, Sequence) else [bits] * len(net.layers)
    quantizer = Quantizer(
        net, spikes, labels, scale=scale, membrane_bits=membrane_bits, leak_terms=leak_terms
    )
    layers = quantizer.layers(widths, scales)
    network = quantizer.network(widths, name, scales=scales)

    trace = run(network, {"input": spikes}, membranes=False)
    report: dict[str, Any] = {
        "bits": network.metadata["bits"],
        "scale": network.metadata["scale"],
        "membrane_bits": membrane_bits,
        "samples": len(labels),
        "accuracy": {
            "float": accuracy(net, spikes, labels),
            "integer": quantizer.score(network, trace),
        },
        "layers": [],
    }
    for i, layer in enumerate(layers):
        before, after = quantizer.float_spikes[i], trace.spikes[layer.name]
        if not after.any():
            raise InputError(
                f"population {layer.name!r} must spike after quantisation to {layer.bits} bits, "
                f"not be silent on all {len(labels)} samples: use more bits or another scale, or "
                "train longer"
            )
        row = _layer_report(layer, before, after)
        row["saturations"] = int(trace.saturations[layer.name].sum())
        row["accuracy_alone"] = accuracy(_with_layer(net, i, layer), spikes, labels)
        report["layers"].append(row)
    return network.with_metadata(accuracy_integer=report["accuracy"]["integer"]), report


def _layer_report(layer: QuantizedLayer, before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """Spikes of a layer ``before`` and ``after`` quantisation, uint8 ``[sample, step, size]``."""
    counts = [spikes.sum(1, dtype=np.int64) for spikes in (before, after)]
    return {
        "name": layer.name,
        **layer.report,
        "silent": int((~after.any((0, 1))).sum()),
        "silent_float": int((~before.any((0, 1))).sum()),
        "always": int(after.all((0, 1)).sum()),
        "spikes": counts[1].sum() / len(after),
        "spikes_float": counts[0].sum() / len(after),
        "drift": float(counts[1].sum() / counts[0].sum() - 1) if before.any() else None,
        "count_error": float(np.abs(counts[1] - counts[0]).mean()),
    }


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
    """The float net with one layer replaced by its integers, scaled back."""
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
