"""Structures of nets, written as in the papers: ``8c5/2-16c3/2-r100-fc10``,
``12c5/2-24c3-mp2-fc100-fc50``.

8c5/2  a convolution without padding: 8 maps, kernel 5, stride 2 (without one: stride 1)
mp2    pooling of 2 x 2 in steps of 2: the maximum, which for spikes is their OR
ap2    the same by averages, a part of the layer behind it: its neurons take the mean of a window
r100   100 neurons, fully connected, with lateral synapses
fc10   10 neurons, fully connected
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.network.convolution import Conv

__all__ = ["Layer", "structure", "synapses"]

EXAMPLE = "8c5/2-16c3/2-r100-fc10"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """The geometry of a layer.

    conv:      None for a fully connected layer.
    recurrent: lateral synapses from each neuron to all, itself included.
    pool:      a convolution of each map with itself, which pools and learns nothing.
    average:   windows of each map, whose means are what the layer sees; ``inputs`` is their source.
    """

    inputs: int
    size: int
    conv: Conv | None = None
    recurrent: bool = False
    pool: bool = False
    average: Conv | None = None

    @property
    def synapses(self) -> int:
        """Number of synapses; a shared weight counts at each of its places, one for a window once
        for each line in it."""
        fan_in = self.inputs
        if self.conv:
            window = math.prod(self.average.kernel) if self.average else 1
            fan_in = math.prod(self.conv.weights_shape[1:]) * window
        return self.size * (fan_in + (self.size if self.recurrent else 0))


def structure(
    text: str, source: tuple[int, int, int], kinds: str = "c mp r fc"
) -> tuple[Layer, ...]:
    """The layers that ``text`` describes.

    source: channels, height and width of the input.
    kinds:  layers that the rule knows.

    Maps come before fully connected layers; the last layer is an fc. InputError for text that
    cannot be read and for layers that do not fit each other.
    """
    layers: list[Layer] = []
    inputs, maps = math.prod(source), source
    average: Conv | None = None
    for token in text.split("-"):
        match = re.fullmatch(r"([1-9]\d*)?(c|mp|ap|r|fc)([1-9]\d*)(?:/([1-9]\d*))?", token)
        first, kind, number, stride = match.groups() if match else ("", "", "", "")
        convolves, on_maps = kind == "c", not layers or bool(layers[-1].conv)
        if (
            kind not in kinds.split()
            or bool(first) != convolves
            or (stride and not convolves)
            or (kind in ("c", "mp", "ap") and not on_maps)
            or (kind in ("mp", "ap", "r") and average)
        ):
            raise InputError(
                f"structure of a net must be layers {kinds.replace(' ', ', ')}, as in {EXAMPLE}, "
                f"not {text!r} (at {token!r})"
            )
        if kind in ("c", "mp", "ap"):
            channels, step, groups = (
                (int(first), int(stride or 1), 1) if convolves else (maps[0], int(number), maps[0])
            )
            conv = Conv.make(
                maps, channels, (int(number), int(number)), stride=(step, step), groups=groups
            )
            conv.check(f"layer {token!r}")
            if kind == "ap" and any(n % int(number) for n in maps[1:]):
                raise InputError(
                    f"maps before layer {token!r} must have sides that are multiples of {number}, "
                    f"not {maps[1]} x {maps[2]}"
                )
            maps = conv.target
            if kind == "ap":
                average = conv
                continue
            layer = Layer(inputs=inputs, size=math.prod(maps), conv=conv, pool=kind == "mp")
        else:
            layer = Layer(inputs=inputs, size=int(number), recurrent=kind == "r")
        layers.append(replace(layer, average=average))
        inputs, average = layer.size, None
    if not layers or average or layers[-1].conv or layers[-1].recurrent:
        raise InputError(f"structure of a net must end with an fc layer, not with {text!r}")
    return tuple(layers)


def synapses(layers: Sequence[Layer]) -> int:
    """Number of synapses of a net before pruning."""
    return sum(layer.synapses for layer in layers)
