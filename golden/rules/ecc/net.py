"""Explicit current control (Wu, Yi & Huang 2022): a trained CNN to a net of integrate-and-fire neurons, and that to integers.

The CNN (Eq 1; the last layer has no ReLU):     a_n = clip(sum over branches of W a_source + b, 0, c),   c: of the clipped ReLU, or infinite

Several branches into one layer are a residual sum. Batch norm is folded with its epsilon (``fold_batch_norm``, Eqs 11-12), average
pooling into the convolution after it (``fold_pool``: the sum of a window times one weight), so neither is left.

The spiking net (Eqs 2-4), with soft reset, exact thresholds and no leak:

    V[t] = V[t-1] + sum W o_source[t] + b - V_thr o[t],   o[t] = 1 if V[t-1] + sum W o_source[t] + b >= V_thr

    current normalisation (Eq 8)       W <- kappa (lambda_source / lambda) W,   b <- kappa b / lambda,   V_thr = kappa
                                       lambda: largest activation of the layer on given images; of the image 1
    residual elimination (Eq 9)        b <- b + eta V_thr / T, so that the residue errs to both sides: |a - N / T| <= .5 / T, not 1 / T
    integers of n bits (section 4.4)   W, b, V_thr times one scale per layer that brings max |W| to 2^(n-1) - 1, rounded

What the paper prints otherwise: Eq 7 has another 1 / T, which Eq 8 (and the sense) has not; kappa is 100, but the scale of the integers
takes any kappa out again. The last layer's neurons never fire; its classes are read from the membranes.

Input (the paper: a constant current, the pixel in every step). The chip has binary lines, so a pixel of p bits is p lines, each of which
spikes in every step where its bit is set (encoder ``bit_planes``); the weights of plane i are 2^i W. The current of the first layer is thus
the paper's, exactly, and on the chip; its weights have n + p - 1 bits.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn.functional import conv2d

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

IMAGE = "image"  # the source that is no layer: pixels of 0..1
KAPPA = 100.0
ETA = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Branch:
    """Synapses from layer ``source`` (or IMAGE): ``weights`` float64 shaped ``conv.weights_shape``."""

    source: str
    conv: Conv
    weights: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """ReLU neurons that sum all ``branches``, which end at one map; ``bias`` float64 ``[channels]``."""

    name: str
    branches: tuple[Branch, ...]
    bias: np.ndarray

    @property
    def target(self) -> tuple[int, int, int]:
        return self.branches[0].conv.target


@dataclass(frozen=True, kw_only=True, eq=False)
class Cnn:
    """``layers``, each after its sources; ``clip`` of the ReLU (infinite: none)."""

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
                        f"source of {where} must be {IMAGE!r} or a layer before it, not {branch.source!r}"
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
                        f"branches of layer {layer.name!r} must come from different layers, not twice from {branch.source!r}: "
                        "add their weights"
                    )
                if branch.weights.shape != branch.conv.weights_shape:
                    raise InputError(
                        f"weights of {where} must be of shape {branch.conv.weights_shape}, not {branch.weights.shape}"
                    )
            maps[layer.name] = layer.target

    @torch.no_grad()
    def activations(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """a of every layer, float64 ``[n, channels, height, width]``, from pixels float64 of 0..1, ``[n, channels, height, width]``.

        The last layer's are its sums.
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
        """lambda of every layer but the last: its largest activation on ``images``. InputError for a layer that is silent on them."""
        found = {name: float(a.max()) for name, a in list(self.activations(images).items())[:-1]}
        for name, value in found.items():
            if not value > 0:
                raise InputError(
                    f"layer {name!r} must be active on some image, not silent on all {len(images)}: train it longer"
                )
        return found


def fold_batch_norm(
    weights: np.ndarray,
    bias: np.ndarray,
    gamma: np.ndarray,
    beta: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    eps: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Eqs 11-12: weights ``[channels, ...]`` and bias ``[channels]`` that do what the batch norm after them did."""
    gain = gamma / np.sqrt(var + eps)
    return weights * gain.reshape(-1, *[1] * (weights.ndim - 1)), gain * (bias - mean) + beta


def fold_pool(conv: Conv, weights: np.ndarray, window: int) -> tuple[Conv, np.ndarray]:
    """Average pooling of ``window`` x ``window`` (stride ``window``) before ``conv`` as one convolution of the map before the pooling."""
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
    """Current normalisation (Eq 8): in every layer but the last the activations become kappa a / lambda, and V_thr is kappa.

    ``maxima``: lambda by layer. What arrives are spikes, 1 for an activation of lambda_source. The last layer is scaled by kappa, too,
    with a lambda of 1.
    """
    known, layers = {IMAGE: 1.0, **maxima}, []
    for layer in cnn.layers:
        gain = kappa / maxima.get(layer.name, 1.0)
        layers.append(
            replace(
                layer,
                bias=layer.bias * gain,
                branches=tuple(
                    replace(b, weights=b.weights * (gain * known[b.source])) for b in layer.branches
                ),
            )
        )
    return Cnn(layers=tuple(layers))


def check_choices(bits: int, planes: int, eta: float) -> None:
    """InputError unless a CNN can be converted so."""
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
    """The integer network of T = ``steps``; its input are the ``planes`` bits of the pixels.

    bits: n of the weights, 2..16; planes: p, with n + p - 1 <= 16. eta: 0 leaves the residue where it is. InputError where weights or
    thresholds leave their range.
    """
    check_choices(bits, planes, eta)
    scaled, populations, edges = normalise(cnn, maxima), [], []
    graph = [(b.source, layer.name, 0) for layer in cnn.layers for b in layer.branches]
    starts = start_ticks([layer.name for layer in cnn.layers], graph)
    for layer in scaled.layers:
        from_image = any(b.source == IMAGE for b in layer.branches)
        if from_image and (len(layer.branches) > 1 or layer.branches[0].conv.groups > 1):
            raise InputError(
                f"layer {layer.name!r} must see the whole image alone or not at all, not beside other layers or in groups"
            )
        scale = (2 ** (bits - 1) - 1) / max(float(np.abs(b.weights).max()) for b in layer.branches)
        for b in layer.branches:
            weights, conv = round_half_away(b.weights * scale), b.conv
            if from_image:  # one group of channels per bit of the pixel; the lowest first
                conv = replace(conv, source=(conv.source[0] * planes, *conv.source[1:]))
                weights = np.concatenate([weights << i for i in range(planes)], 1)
            edges.append(
                Edge(
                    source=b.source, target=layer.name, weights=weights.astype(np.int32), conv=conv
                )
            )
        unit = scale * (2**planes - 1 if from_image else 1)  # integers for a current of 1
        v_th, last = int(round_half_away(np.array(KAPPA * unit))), layer is scaled.layers[-1]
        limit = 1 << (membrane_bits - 1)
        if not 1 <= v_th < limit:
            raise InputError(
                f"threshold of layer {layer.name!r} must be in 1..{limit - 1}, not {v_th}: use fewer bits"
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
    """Operations of the CNN (section 4.1): sum over layers of (2 f_in + 1) neurons, f_in being a neuron's inputs, padding counted."""
    return sum(
        (2 * sum(math.prod(b.conv.weights_shape[1:]) for b in layer.branches) + 1)
        * math.prod(layer.target)
        for layer in cnn.layers
    )
