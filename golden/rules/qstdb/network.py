"""The integer network of a Q-STDB net, whose pixels go through a macro or come as bit planes.

Without a macro, pixels of 8 bits come as bit planes: plane i is lines of its own, which spike in
every step, with weights 2^i q, and -2^7 q for the sign of signed pixels.

A 3-D map (rows, columns, depth) is a 2-D one with more channels: row y of channel c is channel
c rows + y, in the same order. Its kernel becomes one of all rows, with 0 where a row is outside.
"""

import math

import numpy as np

from spikeloop.golden.data.encoders import Encoder, plane_weights
from spikeloop.golden.quantize.leak import leak_arrays
from spikeloop.golden.rules.qstdb.integer import integers
from spikeloop.golden.rules.qstdb.net import Layer, QstdbNet
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, LeakRounding, Population, Reset
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.pim.source import PimSource
from spikeloop.pysim.pim.window import PimWindow

__all__ = ["PIXELS", "encode", "to_network"]

MEMBRANE_BITS = 24
PIXELS = "pixels"  # name of the images in the stimulus
PLANES = 8  # bits of a pixel


def encode(images: np.ndarray, steps: int) -> np.ndarray:
    """Spikes uint8 ``[n, steps, 8 pixels]`` of the bit planes of images uint8 or int8.

    The images are ``[n, pixels]``; InputError for others.
    """
    unsigned = images.view(np.uint8) if images.dtype == np.int8 else images
    return Encoder(name="bit_planes", steps=steps, planes=PLANES)(unsigned)


def to_network(net: QstdbNet, *, signed: bool = False) -> Network:
    """The integer network; the last layer is read by membrane.

    Pixels drive the first population through the macro, or are the input ``pixels`` of a net
    without one (:func:`encode`).

    signed: such pixels are int8, not uint8.
    InputError for maps of one dimension, and for a threshold that 24 bits do not hold.
    """
    populations, edges = list[Population](), list[Edge]()
    layers = list(zip(net.layers, integers(net), strict=True))
    for i, (layer, integer) in enumerate(layers):
        bits, last = net.bits, i == len(layers) - 1
        if not i:  # no edge enters the first layer behind a macro
            bits = 1 if net.pim else net.bits + PLANES - 1
        k0, sign, shift = leak_arrays([integer.leak])
        populations.append(
            Population.make(
                layer.name,
                math.prod(layer.target),
                start=i,
                weight_bits=bits,
                v_th=integer.threshold + 1,
                v_sub=integer.threshold,
                k0=k0,
                leak_sign=sign,
                leak_shift=shift,
                rounding=LeakRounding.TOWARD_ZERO,
                reset=Reset.SOFT,
                fire=not last,
            )
        )
        if i:
            edges.append(_edge(net.layers[i - 1].name, layer, integer.weights))
        elif not net.pim:
            edges.append(_edge(PIXELS, layer, _of_planes(integer.weights, signed)))
    first = net.layers[0]
    lines = PLANES * math.prod(first.window.source)
    return Network(
        name="qstdb",
        inputs=() if net.pim else (Input(name=PIXELS, size=lines),),
        populations=tuple(populations),
        edges=tuple(edges),
        steps=net.steps,
        output=net.layers[-1].name,
        membrane_bits=MEMBRANE_BITS,
        readout="membrane",
        pim=PimSource.make(PIXELS, first.name, net.pim.layer()) if net.pim else None,
        metadata={"rule": "q-stdb", **net.metadata},
    )


def _of_planes(weights: np.ndarray, signed: bool) -> np.ndarray:
    """The weights of pixels as those of their bits, channels of plane after plane."""
    planes = plane_weights(weights, PLANES, 1)
    if signed:
        planes[:, -weights.shape[1] :] *= -1
    return planes


def _edge(source: str, layer: Layer, weights: np.ndarray) -> Edge:
    """The synapses of a layer."""
    window = layer.window
    if not window.kernel:
        return Edge(source=source, target=layer.name, weights=weights.T.astype(np.int32))
    if len(window.kernel) == 1:
        raise InputError(f"maps of layer {layer.name!r} for the chip must be 2-D or 3-D, not 1-D")
    if len(window.kernel) == 3:
        weights = _rows_as_channels(window, weights)
    conv = Conv.make(
        (weights.shape[1], window.source[-2], window.source[-1]),
        len(weights),
        (window.kernel[-2], window.kernel[-1]),
        stride=(window.stride[-2], window.stride[-1]),
        padding=(window.padding[-2], window.padding[-1]),
    )
    return Edge(source=source, target=layer.name, conv=conv, weights=weights.astype(np.int32))


def _rows_as_channels(window: PimWindow, weights: np.ndarray) -> np.ndarray:
    """Weights ``[channels rows', channels rows, kernel]`` of a 3-D convolution as a 2-D one.

    weights: ``[channels, channels, kernel]``, planes among the channels.
    """
    (out, channels, kernel), rows = weights.shape[:3], window.source[1]
    whole = np.zeros((out, window.target[0], channels, rows, *weights.shape[3:]), weights.dtype)
    for y, i in np.ndindex(window.target[0], kernel):
        row = y * window.stride[0] + i - window.padding[0]
        if 0 <= row < rows:
            whole[:, y, :, row] = weights[:, :, i]
    return whole.reshape(out * window.target[0], channels * rows, *weights.shape[3:])
