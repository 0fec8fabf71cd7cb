"""Scatter-and-gather (Zou et al. 2021): a quantised convolutional net, and the net of stateless
spiking neurons that equals it.

The quantised ANN. Weights w are ternary {-1, 0, 1}, pooling is a convolution of stride 2, and batch
norm has no gain (Eqs 1, 2, 6):

    s = sum w y,   r = (s - mu) / (sigma + 1e-6) + beta
    y' = clip(round(r 2^k) / 2^k, 0, B),   round half up

The spiking net. An ANN neuron becomes K = B 2^k neurons that share one sum S = 2^k s of incoming
spikes. Neuron i fires once or not at all, and 2^k y' of them fire. From r 2^k + 1/2 >= i follows
(Eqs 8-10)

    S >= theta_i = 2^k (mu + ((i - 1/2) / 2^k - beta) (sigma + 1e-6)),   i = 1..K
    v_th = ceil(theta_i), because S is an integer

sigma + 1e-6 > 0, so the comparison never turns round. (The paper scales sigma by 2^k but not the
1e-6. That moves theta_i by about 1e-6 and would not be exact.) theta_i and its ceiling are computed
in rational numbers. Every float is one, so v_th is exact. The ANN is evaluated in float64 from the
equations above: s is exact there, and r is off by less than 1e-12 of its terms. Both sides
therefore agree for certain unless a theta_i lies that close to an integer.
:meth:`ScatterGather.margin` measures how close one comes.

As in the paper the first layer (full precision, image to spikes) and the last one (full precision,
spikes to classes) are off chip. A second last layer, ternary and without bias, is trained beside
it. It may go onto the chip as read-out neurons. The first layer stays on the host in either case:
its weights are not ternary and its pixels are no binary events.
golden/rules/scatter_gather/whole.py quantises both.

Order of neurons: channel c K + (i - 1), then row, then column, flat.
"""

import json
import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save

from spikeloop.golden.nets.files import kept_files, read_safetensors
from spikeloop.golden.rules.scatter_gather.counts import gather, quantise, scatter
from spikeloop.golden.rules.scatter_gather.layer import Layer, reachable
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.network.convolution import Conv
from spikeloop.pysim.network.elements import Edge, Input, Population, WeightFormat
from spikeloop.pysim.network.graph import Network, start_ticks

__all__ = ["ScatterGather", "checkpoint", "load"]

VERSION = 1
READOUT = "fc2"  # population of the last layer on the chip


@dataclass(frozen=True, kw_only=True, eq=False)
class ScatterGather:
    """A trained net.

    k, bound:     k and B of the activations.
    layers:       all but the last; the first of them stays on the host.
    last_weights: the full-precision last layer, float32 ``[classes, features]``.
    last_bias:    float32 ``[classes]``.
    readout:      the ternary last layer, int8 ``[classes, features]``.
    metadata:     free JSON: how the net was made.
    InputError for arrays that do not fit each other.
    """

    k: int
    bound: int
    layers: tuple[Layer, ...]
    last_weights: np.ndarray
    last_bias: np.ndarray
    readout: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check(self)

    @property
    def copies(self) -> int:
        """K = B 2^k: the neurons that replace one, and the most spikes of a group (k_rep)."""
        return self.bound << self.k

    # -- the quantised ANN -----------------------------------------------------------------------

    def host_counts(self, images: np.ndarray) -> np.ndarray:
        """2^k y of the first layer, uint8 ``[n, channels, height, width]``.

        images: uint8 ``[n, pixels]``.
        """
        source = self.layers[0].conv.source
        if images.ndim != 2 or images.shape[1] != math.prod(source) or images.dtype != np.uint8:
            raise InputError(
                f"images must be uint8 of shape (n, {math.prod(source)}), not {images.dtype} of "
                f"shape {images.shape}"
            )
        x = torch.from_numpy(images.reshape(-1, *source) / 255)
        return quantise(self.layers[0].normalised(x), self.k, self.bound)

    def activations(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """2^k y of every layer on the chip by its name, uint8 ``[n, channels, height, width]``.

        counts: 2^k y of the first layer.
        """
        every = {}
        for layer in self.layers[1:]:
            y = torch.from_numpy(counts).double() / (1 << self.k)
            counts = quantise(layer.normalised(y), self.k, self.bound)
            every[layer.name] = counts
        return every

    def margin(self) -> float:
        """Smallest distance of any theta to an integer.

        If it is far above 1e-12 x |theta|, the float64 ANN decides as exact numbers do.
        """
        every = [
            theta
            for layer in self.layers[1:]
            for group in layer.thetas(self.k, self.bound)
            for theta in group
        ]
        return float(min(abs(theta - round(theta)) for theta in every))

    # -- the spiking net -------------------------------------------------------------------------

    def encode(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Input spikes of the chip, which the first layer makes on the host.

        The result is {its name: uint8 0/1 ``[n, 1, lines]``}.
        """
        return {self.layers[0].name: scatter(self.host_counts(images), self.copies)}

    def to_network(self, *, readout_on_chip: bool = False) -> Network:
        """The integer network; one step per sample, one layer after another.

        Its input is named after the first layer. ``readout_on_chip`` adds the ternary last layer
        as read-out neurons, which are read by membrane. Otherwise the output is the layer before
        it, and :meth:`classify` reads its spikes.
        """
        host, *inside = self.layers
        names = [layer.name for layer in inside] + [READOUT] * readout_on_chip
        chain = [(source, target, 0) for source, target in pairwise([host.name, *names])]
        starts = start_ticks(names, chain)
        populations, edges = [], []
        # the chain may end in the read-out
        for layer, (source, target, _) in zip(inside, chain, strict=False):
            v_th = self._thresholds(layer)
            populations.append(self._population(target, starts[target], v_th=v_th))
            weights = layer.weights.repeat(self.copies, 0).repeat(self.copies, 1)
            edges.append(
                Edge(
                    source=source,
                    target=target,
                    conv=_copied(layer.conv, self.copies, self.copies),
                    weights=weights.astype(np.int32),
                )
            )
        if readout_on_chip:
            last = inside[-1].conv.target
            conv = Conv.make(last, len(self.readout), last[1:])
            weights = self.readout.reshape(-1, *last).repeat(self.copies, 1).astype(np.int32)
            v_th = np.ones(len(weights), np.int64)
            readout = self._population(READOUT, starts[READOUT], v_th=v_th, fire=False)
            populations.append(readout)
            edges.append(
                Edge(
                    source=inside[-1].name,
                    target=READOUT,
                    weights=weights,
                    conv=_copied(conv, self.copies, 1),
                )
            )
        about = {
            "rule": "scatter-gather",
            "k": self.k,
            "bound": self.bound,
            "copies": self.copies,
            **self.metadata,
        }
        node = Input(name=host.name, size=math.prod(host.conv.target) * self.copies)
        return Network(
            name=f"scatter-gather-{self.copies}",
            inputs=(node,),
            populations=tuple(populations),
            edges=tuple(edges),
            steps=1,
            output=names[-1],
            readout="membrane" if readout_on_chip else "spikes",
            metadata=about,
        )

    def classify(self, spikes: np.ndarray) -> np.ndarray:
        """Class int64 ``[n]`` by the full-precision last layer on the host.

        spikes: of the layer before it, ``[n, 1, size]``.
        """
        counts = gather(spikes, self.copies, self.layers[-1].conv.target)
        features = counts.reshape(len(spikes), -1) / (1 << self.k)
        return (features @ self.last_weights.T.astype(np.float64) + self.last_bias).argmax(1)

    def _population(self, name: str, start: int, **arrays: Any) -> Population:
        return Population.make(
            name,
            len(arrays["v_th"]),
            start=start,
            weight_bits=2,
            weight_format=WeightFormat.TERNARY,
            k0=False,
            **arrays,
        )

    def _thresholds(self, layer: Layer) -> np.ndarray:
        """v_th of every neuron."""
        most = self.copies * math.prod(layer.weights.shape[1:])  # |S| cannot be larger
        ceilings = [
            reachable(theta, most) for group in layer.thetas(self.k, self.bound) for theta in group
        ]
        return np.repeat(np.array(ceilings, np.int64), layer.conv.target[1] * layer.conv.target[2])

    # -- file ------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> Path:
        """Write the file whole or not at all: safetensors with a JSON header.

        The header, under ``spikeloop_scatter_gather``, holds the graph.
        """
        header = {
            "version": VERSION,
            "k": self.k,
            "bound": self.bound,
            "metadata": self.metadata,
            "layers": [{"name": layer.name, "conv": layer.conv.to_dict()} for layer in self.layers],
        }
        tensors = {key: np.ascontiguousarray(getattr(self, key)) for key in _LAST}
        tensors |= {
            f"{layer.name}.{key}": np.ascontiguousarray(getattr(layer, key))
            for layer in self.layers
            for key in _OF_LAYER
        }
        return write_atomic(
            path, save(tensors, {"spikeloop_scatter_gather": json.dumps(header, sort_keys=True)})
        )

    def with_metadata(self, **entries: Any) -> "ScatterGather":
        return replace(self, metadata={**self.metadata, **entries})


_LAST = ("last_weights", "last_bias", "readout")
_OF_LAYER = ("weights", "mu", "sigma", "beta")


def load(path: str | Path) -> ScatterGather:
    """Read and check; InputError for anything but a sound file."""
    what = f"scatter-and-gather net {str(path)!r}"
    header, tensors = read_safetensors(
        path,
        what=what,
        key="spikeloop_scatter_gather",
        version=VERSION,
        writer="spikeloop.golden.rules.scatter_gather.net",
        framework="np",
    )
    try:
        layers = tuple(
            Layer(
                name=one["name"],
                conv=Conv.from_dict(one["conv"]),
                **{key: tensors[f"{one['name']}.{key}"] for key in _OF_LAYER},
            )
            for one in header["layers"]
        )
        return ScatterGather(
            k=header["k"],
            bound=header["bound"],
            layers=layers,
            metadata=header["metadata"],
            **{key: tensors[key] for key in _LAST},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"graph of {what} must be complete, not without {error}") from None


def checkpoint(name: str = "zou-lenet-4") -> ScatterGather:
    """A trained net that comes with the package.

    ``zou-lenet-K`` and ``zou-vgg-K`` have K spikes a neuron (docs/scatter_gather.md).
    """
    files = kept_files("zou-")
    if name not in files:
        raise InputError(f"checkpoint must be one of {', '.join(files) or 'none'}, not {name!r}")
    return load(files[name])


def _copied(conv: Conv, source: int, target: int) -> Conv:
    """The geometry with every source and target channel that many times."""
    return replace(
        conv,
        source=(conv.source[0] * source, *conv.source[1:]),
        target=(conv.target[0] * target, *conv.target[1:]),
    )


def _check(net: ScatterGather) -> None:
    for key, low, high in (("k", 0, 4), ("bound", 1, 16)):
        value = getattr(net, key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InputError(
                f"{key} of a scatter-and-gather net must be in {low}..{high}, not {value!r}"
            )
    if len(net.layers) < 2:
        raise InputError(
            "a scatter-and-gather net must have two or more layers before the last, not "
            f"{len(net.layers)}"
        )
    for i, layer in enumerate(net.layers):
        where, conv = f"layer {layer.name!r}", layer.conv
        conv.check(where)
        if (i and conv.source != net.layers[i - 1].conv.target) or conv.groups != 1:
            raise InputError(
                f"source of {where} must be the whole map {net.layers[i - 1].conv.target} before "
                f"it, not {conv.source}"
            )
        dtype = np.int8 if i else np.float32
        _check_array(f"weights of {where}", layer.weights, dtype, conv.weights_shape)
        for key in ("mu", "sigma", "beta"):
            _check_array(f"{key} of {where}", getattr(layer, key), np.float32, (conv.target[0],))
        if (layer.sigma < 0).any():
            raise InputError(f"sigma of {where} must be at least 0, not {layer.sigma.min()}")
    features, classes = math.prod(net.layers[-1].conv.target), len(net.last_bias)
    _check_array("last_weights", net.last_weights, np.float32, (classes, features))
    _check_array("last_bias", net.last_bias, np.float32, (classes,))
    _check_array("readout", net.readout, np.int8, (classes, features))


def _check_array(what: str, array: np.ndarray, dtype: Any, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise InputError(
            f"{what} must be {np.dtype(dtype)} of shape {shape}, not {array.dtype} of shape "
            f"{array.shape}"
        )
    if dtype is np.int8 and array.size and (array.min() < -1 or array.max() > 1):
        raise InputError(f"{what} must be ternary (-1, 0, 1), not {array.min()}..{array.max()}")
    if dtype is np.float32 and not np.isfinite(array).all():
        raise InputError(f"{what} must be finite, not {array[~np.isfinite(array)][0]}")
