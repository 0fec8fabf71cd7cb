"""A Q-STDB net as integers: what the chip has of every layer, a run of it, and the network of a net whose first layer is a PIM macro.

    weights  round(s w), one scale s per layer          theta = round(v s)          leak = the best k0 + up to three shifts +-2^-m
    u[t] = L(u[t-1]) + I[t],  o = 1 if u > theta, then u -= theta o          so v_th = theta + 1 and v_sub = theta in docs/arithmetic.md

theta is in units of the layer's current: 1 / s; of the first layer 1 / (s unit) or, in a macro, 2^shift / (s unit). Shifts round toward
zero: trained leaks are close to 1, and the floor of a small negative membrane, -1 at any shift, would push it up in every step.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from spikeloop.golden.nets.pim_layers import scale
from spikeloop.golden.quantize.leak import Leak, best_leak, leak_arrays
from spikeloop.golden.reference.pim import run
from spikeloop.golden.rules.qstdb.net import QstdbNet
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, LeakRounding, Population, Reset
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.pim.source import PimSource

__all__ = ["IntegerLayer", "classes", "integers", "run_integers", "to_network"]

MEMBRANE_BITS = 24
PIXELS = "pixels"  # name of the images in the stimulus


@dataclass(frozen=True, kw_only=True, eq=False)
class IntegerLayer:
    """``weights`` int64, shaped as the layer's; ``threshold`` theta and ``leak``, which the last layer has not."""

    weights: np.ndarray
    threshold: int = 1
    leak: Leak = field(default_factory=lambda: Leak(True, (), 0.0))


def integers(net: QstdbNet) -> list[IntegerLayer]:
    """Every layer as the chip has it."""
    made = []
    for i, weight in enumerate(net.weights):
        s = scale(weight, net.bits)
        weights = torch.round(weight.detach().double() * s).long().numpy()
        if i == len(net.layers) - 1:
            made.append(IntegerLayer(weights=weights))
            break
        per_unit = (
            s
            * (net.unit if i == 0 else 1)
            / (2.0 ** net.pim.layer().shift if i == 0 and net.pim else 1)
        )
        theta = round(float(net.threshold[i].detach()) * per_unit)
        leak = best_leak(float(net.leak[i].detach().clamp(0, 1)))
        made.append(IntegerLayer(weights=weights, threshold=max(theta, 1), leak=leak))
    return made


@torch.inference_mode()
def run_integers(
    net: QstdbNet, x: np.ndarray, streams: np.ndarray | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Output membranes int64 ``[n, classes]`` and the spikes of every hidden layer, uint8 ``[n, T, neurons]``, for pixels ``x`` int
    ``[n, ...]``, in maps of any number of dimensions. Sums run in float64, which holds them exactly; no membrane saturates. ``streams``: of
    each image's noise in the macro, default 0."""
    spikes, every = list[Tensor](), list[np.ndarray]()
    for i, (layer, own) in enumerate(zip(net.layers, integers(net), strict=True)):
        weight = torch.from_numpy(own.weights).double()
        if i == len(net.layers) - 1:
            return layer.sum(torch.stack(spikes).sum(0).double(), weight).flatten(
                1
            ).long().numpy(), every
        currents = (
            [_first(net, x, weight, streams)] * net.steps
            if i == 0
            else [layer.sum(s.double(), weight).long() for s in spikes]
        )
        u, spikes = torch.zeros_like(currents[0]), []
        for current in currents:
            size, leaked = u.abs(), own.leak.k0 * u
            for sign, shift in own.leak.terms:
                leaked = leaked + sign * u.sign() * (size >> shift)
            u = leaked + current
            o = u > own.threshold
            u = u - own.threshold * o
            spikes.append(o)
        every.append(torch.stack(spikes, 1).flatten(2).to(torch.uint8).numpy())
    raise AssertionError("the last layer returns")


def classes(
    net: QstdbNet, images: np.ndarray, streams: np.ndarray | None = None, *, batch: int = 250
) -> np.ndarray:
    """Classes int64 ``[n]`` of images, ``batch`` at once; arguments as of ``run_integers``."""
    parts = [slice(at, at + batch) for at in range(0, len(images), batch)]
    return np.concatenate(
        [
            run_integers(net, images[p], None if streams is None else streams[p])[0].argmax(1)
            for p in parts
        ]
    )


def _first(net: QstdbNet, x: np.ndarray, weight: Tensor, streams: np.ndarray | None) -> Tensor:
    """Current of the first layer, int64 ``[n, *target]``."""
    if net.pim is None:
        return net.layers[0].sum(torch.from_numpy(x.astype(np.float64)), weight).long()
    currents = run(
        net.pim.layer(), x.reshape(len(x), *net.layers[0].window.source), streams, codes=False
    ).currents
    return torch.from_numpy(currents).view(len(x), *net.layers[0].target)


def to_network(net: QstdbNet) -> Network:
    """The integer network: pixels drive the first population through the macro, the last layer is read by membrane.

    InputError for a net without a macro (the chip has no other way for pixels) or with 3-D maps behind it.
    """
    if net.pim is None:
        raise InputError(
            "first layer of a net for the chip must be a PIM macro, not exact: train it with a macro"
        )
    populations, edges = [], []
    for i, (layer, own) in enumerate(zip(net.layers, integers(net), strict=True)):
        window, last = layer.window, i == len(net.layers) - 1
        if i and len(window.kernel) not in (0, 2):
            raise InputError(
                f"layer {layer.name!r} of a net for the chip must have 2-D maps, not {len(window.kernel)}-D ones"
            )
        size = (
            layer.channels * window.positions
        )  # no edge enters the first: a column each is enough
        k0, sign, shift = leak_arrays([own.leak])
        populations.append(
            Population.make(
                layer.name,
                size,
                start=i,
                weight_bits=net.bits if i else 1,
                v_th=own.threshold + 1,
                v_sub=own.threshold,
                k0=k0,
                leak_sign=sign,
                leak_shift=shift,
                rounding=LeakRounding.TOWARD_ZERO,
                reset=Reset.SOFT,
                fire=not last,
            )
        )
        if i == 0:
            continue
        weights = own.weights.astype(np.int32)
        conv = None
        if window.kernel:
            (channels, height, width), (down, across) = window.source, window.kernel
            conv = Conv.make(
                (channels, height, width),
                layer.channels,
                (down, across),
                stride=(window.stride[0], window.stride[1]),
                padding=(window.padding[0], window.padding[1]),
            )
        edges.append(
            Edge(
                source=net.layers[i - 1].name,
                target=layer.name,
                conv=conv,
                weights=weights if conv else weights.T.copy(),
            )
        )
    first = net.layers[0].name
    return Network(
        name="qstdb",
        inputs=(),
        populations=tuple(populations),
        edges=tuple(edges),
        steps=net.steps,
        output=net.layers[-1].name,
        membrane_bits=MEMBRANE_BITS,
        readout="membrane",
        pim=PimSource.make(PIXELS, first, net.pim.layer()),
        metadata={"rule": "q-stdb", **net.metadata},
    )
