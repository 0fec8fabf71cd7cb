"""Explicit current control (Wu, Yi & Huang 2022): a trained CNN becomes a net of integers.

The CNN (Eq 1; the last layer has no ReLU):

    a_n = clip(sum over branches of W a_source + b, 0, c)

c is the limit of the clipped ReLU, or infinite. Several branches into one layer are a residual sum.
Batch norm is folded with its epsilon (:func:`fold_batch_norm`, Eqs 11-12). Average pooling is
folded into the convolution after it (:func:`fold_pool`: the sum of a window times one weight).

The spiking net (Eqs 2-4) has a soft reset, exact thresholds and no leak:

    V[t] = V[t-1] + sum W o_source[t] + b - V_thr o[t]
    o[t] = 1 if V[t-1] + sum W o_source[t] + b >= V_thr

    current normalisation (Eq 8)       W <- kappa (lambda_source / lambda) W, b <- kappa b / lambda,
                                       V_thr = kappa. lambda is the layer's largest activation on
                                       given images, 1 for the image itself
    residual elimination (Eq 9)        b <- b + eta V_thr / T. The residue then errs to both sides:
                                       |a - N / T| <= .5 / T, not 1 / T
    integers of n bits (section 4.4)   W, b, V_thr times one scale per layer that brings max |W| to
                                       2^(n-1) - 1, rounded

Two things are printed otherwise. Eq 7 has another factor 1 / T, which neither Eq 8 nor the sense
has. kappa is 100, but the scale of the integers removes any kappa again. The neurons of the last
layer never fire; the class is read from their membranes.

Input. The paper's is a constant current: the pixel in every step. The chip has binary lines, so a
pixel of p bits is p lines. Each spikes in every step if its bit is set (encoder ``bit_planes``).
The weights of plane i are 2^i W. So the current of the first layer is exactly the paper's, on the
chip. Its weights have n + p - 1 bits.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import conv2d

from spikeloop.golden.data.encoders import plane_weights
from spikeloop.golden.quantize.leak import round_half_away
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population, Reset
from spikeloop.pysim.network.graph import Network, start_ticks

__all__ = [
    "IMAGE",
    "Branch",
    "Cnn",
    "Layer",
    "check_choices",
    "convert",
    "fold_batch_norm",
    "fold_pool",
    "identity",
    "mac_ops",
    "normalise",
]

IMAGE = "image"  # the source that is no layer: pixels in 0..1
KAPPA = 100.0
ETA = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Branch:
    """Synapses from layer ``source`` (or IMAGE).

    weights: float64 of shape ``conv.weights_shape``.
    """

    source: str
    conv: Conv
    weights: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """ReLU neurons that sum all ``branches``, which end at the same map.

    bias: float64 ``[channels]``.
    """

    name: str
    branches: tuple[Branch, ...]
    bias: np.ndarray

    @property
    def target(self) -> tuple[int, int, int]:
        return self.branches[0].conv.target


@dataclass(frozen=True, kw_only=True, eq=False)
class Cnn:
    """Layers, each behind its sources.

    clip: limit of the ReLU; infinite: none.
    InputError for branches that do not fit each other.
    """

    layers: tuple[Layer, ...]
    clip: float = math.inf

    def __post_init__(self) -> None:
        maps: dict[str, tuple[int, int, int]] = {}
        for layer in self.layers:
            for branch in layer.branches:
                where = f"branch {branch.source}->{layer.name}"
                branch.conv.check(where)
                if branch.source not in maps and branch.source != IMAGE:
                    raise InputError(
                        f"source of {where} must be {IMAGE!r} or a layer before it, not "
                        f"{branch.source!r}"
                    )
                if (
                    branch.conv.source != maps.setdefault(branch.source, branch.conv.source)
                    or branch.conv.target != layer.target
                ):
                    raise InputError(
                        f"maps of {where} must be {maps[branch.source]} and {layer.target}, "
                        f"not {branch.conv.source} and {branch.conv.target}"
                    )
                if [b.source for b in layer.branches].count(branch.source) > 1:
                    raise InputError(
                        f"branches of layer {layer.name!r} must come from different layers, not "
                        f"twice from {branch.source!r}: add their weights"
                    )
                if branch.weights.shape != branch.conv.weights_shape:
                    raise InputError(
                        f"weights of {where} must be of shape {branch.conv.weights_shape}, not "
                        f"{branch.weights.shape}"
                    )
            maps[layer.name] = layer.target

    @torch.no_grad()
    def activations(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The activations a of every layer, float64 ``[n, channels, height, width]``, by name.

        images: pixels, float64 in 0..1, ``[n, channels, height, width]``.
        For the last layer these are its sums.
        """
        every = {IMAGE: torch.from_numpy(images)}
        for layer in self.layers:
            a = torch.from_numpy(layer.bias)[:, None, None]
            for b in layer.branches:
                a = a + conv2d(
                    every[b.source],
                    torch.from_numpy(b.weights),
                    stride=b.conv.stride,
                    padding=b.conv.padding,
                    groups=b.conv.groups,
                )
            every[layer.name] = a if layer is self.layers[-1] else a.clamp(0, self.clip)
        return {name: a.numpy() for name, a in every.items() if name != IMAGE}

    def maxima(self, images: np.ndarray) -> dict[str, float]:
        """lambda of every layer but the last: its largest activation on ``images``.

        InputError for a layer that is silent on all of them.
        """
        activations = list(self.activations(images).items())[:-1]
        maxima = {name: float(a.max()) for name, a in activations}
        for name, value in maxima.items():
            if not value > 0:
                raise InputError(
                    f"layer {name!r} must be active on some image, not silent on all "
                    f"{len(images)}: train it longer"
                )
        return maxima


def fold_batch_norm(
    weights: np.ndarray,
    bias: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    eps: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Weights ``[channels, ...]`` and bias ``[channels]`` that include the batch norm behind them.

    Eqs 11-12. All other arrays are ``[channels]``.
    """
    gain = gamma / np.sqrt(var + eps)
    return weights * gain.reshape(-1, *[1] * (weights.ndim - 1)), gain * (bias - mean) + beta


def fold_pool(conv: Conv, weights: np.ndarray, window: int) -> tuple[Conv, np.ndarray]:
    """``conv`` and an average pooling before it as one convolution of the map before the pooling.

    window: side of the pooling, and its stride.
    """
    (down, across), (channels, height, width) = conv.kernel, conv.source
    folded = Conv(
        source=(channels, height * window, width * window),
        target=conv.target,
        kernel=(down * window, across * window),
        stride=(conv.stride[0] * window, conv.stride[1] * window),
        padding=(conv.padding[0] * window, conv.padding[1] * window),
        groups=conv.groups,
    )
    return folded, weights.repeat(window, 2).repeat(window, 3) / window**2


def identity(source: str, shape: tuple[int, int, int]) -> Branch:
    """The branch that adds a layer's own map: the short way of a residual sum."""
    return Branch(
        source=source,
        conv=Conv.make(shape, shape[0], (1, 1), groups=shape[0]),
        weights=np.ones((shape[0], 1, 1, 1)),
    )


def normalise(cnn: Cnn, maxima: dict[str, float], kappa: float = KAPPA) -> Cnn:
    """Current normalisation (Eq 8).

    In every layer but the last the activations become kappa a / lambda, and V_thr is kappa. What
    arrives are spikes; 1 stands for an activation of lambda_source. The last layer is also scaled
    by kappa, with a lambda of 1.

    maxima: lambda by layer.
    """
    lambdas, layers = {IMAGE: 1.0, **maxima}, []
    for layer in cnn.layers:
        gain = kappa / maxima.get(layer.name, 1.0)
        branches = tuple(
            replace(b, weights=b.weights * (gain * lambdas[b.source])) for b in layer.branches
        )
        layers.append(replace(layer, bias=layer.bias * gain, branches=branches))
    return Cnn(layers=tuple(layers))


def check_choices(bits: int, planes: int, eta: float) -> None:
    """InputError unless a CNN can be converted with these settings of :func:`convert`."""
    if not 0 <= eta <= 1:
        raise InputError(f"eta must be in 0..1, not {eta}")
    if not 1 <= planes <= 8:
        raise InputError(f"bits of a pixel must be in 1..8, not {planes}")
    if not 2 <= bits <= 17 - planes:
        raise InputError(
            f"weight bits must be in 2..{17 - planes} for {planes} bits of a pixel, not {bits}"
        )


def convert(
    cnn: Cnn,
    maxima: dict[str, float],
    *,
    steps: int,
    bits: int = 8,
    planes: int = 4,
    eta: float = ETA,
    membrane_bits: int = 24,
    name: str = "ecc",
) -> Network:
    """The integer network; its input is the bits of the pixels.

    maxima: lambda by layer (:meth:`Cnn.maxima`).
    steps:  T.
    bits:   n of the weights, 2..16.
    planes: p, bits of a pixel, with n + p - 1 <= 16.
    eta:    of the residual elimination; 0 leaves the residue where it is.
    InputError for settings out of range, and for weights or thresholds that leave their range.
    """
    check_choices(bits, planes, eta)
    scaled, populations, edges = normalise(cnn, maxima), [], []
    graph = [(b.source, layer.name, 0) for layer in cnn.layers for b in layer.branches]
    starts = start_ticks([layer.name for layer in cnn.layers], graph)
    for layer in scaled.layers:
        from_image = any(b.source == IMAGE for b in layer.branches)
        if from_image and (len(layer.branches) > 1 or layer.branches[0].conv.groups > 1):
            raise InputError(
                f"layer {layer.name!r} must see the whole image alone or not at all, not beside "
                "other layers or in groups"
            )
        scale = (2 ** (bits - 1) - 1) / max(float(np.abs(b.weights).max()) for b in layer.branches)
        for b in layer.branches:
            weights, conv = round_half_away(b.weights * scale), b.conv
            if from_image:  # one group of channels per bit of the pixel; the lowest first
                conv = replace(conv, source=(conv.source[0] * planes, *conv.source[1:]))
                weights = plane_weights(weights, planes, axis=1)
            weights = weights.astype(np.int32)
            edges.append(Edge(source=b.source, target=layer.name, weights=weights, conv=conv))
        unit = scale * (2**planes - 1 if from_image else 1)  # integers for a current of 1
        v_th, last = int(round_half_away(np.array(KAPPA * unit))), layer is scaled.layers[-1]
        limit = 1 << (membrane_bits - 1)
        if not 1 <= v_th < limit:
            raise InputError(
                f"threshold of layer {layer.name!r} must be in 1..{limit - 1}, not {v_th}: "
                "use fewer bits"
            )
        bias = round_half_away(layer.bias * unit + (0 if last else eta * v_th / steps))
        populations.append(
            Population.make(
                layer.name,
                math.prod(layer.target),
                start=starts[layer.name],
                weight_bits=bits + (planes - 1) * from_image,
                v_th=v_th,
                bias=bias.repeat(math.prod(layer.target[1:])),
                reset=Reset.SOFT,
                fire=not last,
            )
        )
    pixels = next(b.conv for layer in cnn.layers for b in layer.branches if b.source == IMAGE)
    return Network(
        name=name,
        inputs=(Input(name=IMAGE, size=planes * math.prod(pixels.source)),),
        populations=tuple(populations),
        edges=tuple(edges),
        steps=steps,
        output=populations[-1].name,
        readout="membrane",
        membrane_bits=membrane_bits,
    )


def mac_ops(cnn: Cnn) -> int:
    """Operations of the CNN (section 4.1): the sum over its layers of (2 f_in + 1) neurons.

    f_in is the number of a neuron's inputs, padding included.
    """
    total = 0
    for layer in cnn.layers:
        fan_in = sum(math.prod(b.conv.weights_shape[1:]) for b in layer.branches)
        total += (2 * fan_in + 1) * math.prod(layer.target)
    return total
