"""Mapping search of Zou et al. 2021 (section 3.2): a layer cut into patches, one for each core.

    Eq 11   w h d k_rep <= A f          w' h' d' f k_wei k_rep' <= C
    Eq 12   d = D (all input channels of the groups seen), d' <= D'
    Eq 13   w = (w' - 1) s + c, but never more than the map has (c kernel, s stride; h likewise)

A core has A axons and C columns; f = 1, 2, 4 .. 64 is the axon extension. An unprimed letter is of
the input, a primed one of the output patch. A neuron of fan-in beyond A takes f complete neurons on
f axon groups. ``k_rep`` spikes stand for one value, ``k_wei`` columns for one weight.

Algorithm 1 raises d' as far as Eq 11 lets it. When all output channels lie on one core, Algorithm 2
widens the patch. Its text leaves open how, hence two readings of it:

    FEWEST  of all patches with |w' - h'| <= 2, or whose shorter side spans the map, the one that
            cuts the map into the fewest
    WALK    the pseudo-code step by step: squares grow until a core overflows, then one side shrinks
            until the patch fits

docs/mapping.md compares both with the paper's tables. FEWEST is the default: it chooses every patch
that the paper prints.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.mapping.features import Reason
from spikeloop.pysim.network.convolution import Conv

__all__ = ["EXTENSION_MAX", "Layer", "Patch", "Reading", "Tile", "find", "search"]

EXTENSION_MAX = 64


class Reading(Enum):
    """What Algorithm 2 is taken to say."""

    FEWEST = "fewest"
    WALK = "walk"


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Neurons of one map and what reaches them.

    target: the map (channels, height, width).
    sources: one geometry per edge, whose source map, kernel, stride and groups count. A dense edge
        is a kernel as large as the source map (:meth:`dense`).
    k_rep_in, k_rep_out: spikes per value of the source and of the target map.
    k_wei: columns per weight.
    on_chip: False for a layer computed elsewhere; its cores and latency belong to no total.
    """

    name: str
    target: tuple[int, int, int]
    sources: tuple[Conv, ...]
    k_rep_in: int = 1
    k_rep_out: int = 1
    k_wei: int = 2
    on_chip: bool = True

    @staticmethod
    def dense(source: tuple[int, int, int], target: tuple[int, int, int]) -> Conv:
        """The geometry of an edge from every line of ``source`` to every neuron of ``target``."""
        return Conv(source=source, target=target, kernel=source[1:])

    def input_patch(
        self, conv: Conv, height: int, width: int, channels: int
    ) -> tuple[int, int, int]:
        """Largest part of ``conv``'s source that an output patch sees (Eqs 12 and 13).

        Returns channels, height and width.
        """
        _, rows, row = conv.source
        seen = self._groups(conv, channels) * (conv.source[0] // conv.groups)
        return (
            seen,
            min((height - 1) * conv.stride[0] + conv.kernel[0], rows),
            min((width - 1) * conv.stride[1] + conv.kernel[1], row),
        )

    def lines(self, height: int, width: int, channels: int) -> int:
        """Spike lines into a core of this output patch: the left of Eq 11, over all sources."""
        patches = (self.input_patch(conv, height, width, channels) for conv in self.sources)
        return sum(c * h * w for c, h, w in patches) * self.k_rep_in

    def _groups(self, conv: Conv, channels: int) -> int:
        """Groups that a tile of ``channels`` output channels touches at most.

        Tiles begin at multiples of ``channels``.
        """
        if conv.groups == 1:
            return 1
        per_group, last = self.target[0] // conv.groups, self.target[0] - 1
        return max(
            min(first + channels - 1, last) // per_group - first // per_group + 1
            for first in range(0, last + 1, channels)
        )


class Tile(NamedTuple):
    """The outputs of one core: rows y0..y1-1, columns x0..x1-1, channels c0..c1-1 of the map."""

    y0: int
    y1: int
    x0: int
    x1: int
    c0: int
    c1: int


@dataclass(frozen=True, kw_only=True)
class Patch:
    """An output patch of ``layer`` on cores of ``axons`` x ``columns``, with axon extension f."""

    layer: Layer
    axons: int
    columns: int
    height: int
    width: int
    channels: int
    extension: int

    @property
    def inputs(self) -> tuple[tuple[int, int, int], ...]:
        """Channels, height and width of the input patch of each source."""
        return tuple(
            self.layer.input_patch(conv, self.height, self.width, self.channels)
            for conv in self.layer.sources
        )

    @property
    def lines(self) -> int:
        """Spike lines into a core, 0..axons * extension."""
        return self.layer.lines(self.height, self.width, self.channels)

    @property
    def neurons(self) -> int:
        """Neurons of a core, with their copies."""
        return self.height * self.width * self.channels * self.layer.k_rep_out

    @property
    def columns_used(self) -> int:
        """Columns of a core in use, 1..columns: the right of Eq 11."""
        return self.neurons * self.extension * self.layer.k_wei

    @property
    def density_neuron(self) -> float:
        """Eq 14: share of the core's columns that are in use."""
        return self.columns_used / self.columns

    @property
    def density_axon(self) -> float:
        """Eq 15: share of the core's axons that are in use, over its f passes."""
        return self.lines / (self.axons * self.extension)

    @property
    def density_synapse(self) -> float:
        """Eq 16: share of the core's synapses that its neurons take, c^2 d k_rep k_wei each."""
        fan_in = sum(
            conv.kernel[0] * conv.kernel[1] * (conv.source[0] // conv.groups)
            for conv in self.layer.sources
        )
        synapses = self.neurons * fan_in * self.layer.k_rep_in * self.layer.k_wei
        return synapses / (self.axons * self.columns)

    @property
    def across(self) -> int:
        """Patches over the area of the map, m n of Eqs 20 and 21. Those at the edge are smaller."""
        return _ceil(self.layer.target[1], self.height) * _ceil(self.layer.target[2], self.width)

    @property
    def cores(self) -> int:
        """m n p of Eqs 20 to 22."""
        return self.across * _ceil(self.layer.target[0], self.channels)

    def tiles(self) -> Iterator[Tile]:
        """The outputs of each core, rows first, then columns, then channels: every output once."""
        depth, rows, row = self.layer.target
        for y in range(0, rows, self.height):
            for x in range(0, row, self.width):
                for c in range(0, depth, self.channels):
                    yield Tile(
                        y,
                        min(y + self.height, rows),
                        x,
                        min(x + self.width, row),
                        c,
                        min(c + self.channels, depth),
                    )


def search(
    layer: Layer,
    *,
    axons: int,
    columns: int,
    extension_max: int = EXTENSION_MAX,
    reading: Reading = Reading.FEWEST,
) -> Patch:
    """The patch that :func:`find` finds; InputError when not even one neuron fits."""
    patch = find(layer, axons=axons, columns=columns, extension_max=extension_max, reading=reading)
    if isinstance(patch, Reason):
        raise InputError(patch.sentence)
    return patch


def find(
    layer: Layer,
    *,
    axons: int,
    columns: int,
    extension_max: int = EXTENSION_MAX,
    reading: Reading = Reading.FEWEST,
) -> Patch | Reason:
    """The patch of ``layer`` for cores of ``axons`` x ``columns`` by Algorithms 1 and 2.

    The reason, if not even one neuron fits. ``extension_max`` is the largest axon extension f, a
    power of two. Pure and deterministic.
    """
    core = _Core(layer, axons, columns, extension_max)
    first = core.channel_major()
    if isinstance(first, Reason) or first.channels < layer.target[0]:
        return first
    marks = core.every() if reading is Reading.FEWEST else core.walk()
    return min([first, *marks], key=_preference)


def _preference(patch: Patch) -> tuple[int, int, int, bool, int]:
    """Fewest patches, then the smaller f, then the squarer.

    Eqs 11 to 22 do not tell w from h: between a patch and its mirror image there is only
    convention. Ours is the one of Tables 7 and 8: a side that spans the map is the height,
    otherwise the longer side is the width.
    """
    return (
        patch.across,
        patch.extension,
        abs(patch.width - patch.height),
        patch.height != patch.layer.target[1],
        -patch.width,
    )


class _Core:
    """Which patches of a layer a core can hold."""

    def __init__(self, layer: Layer, axons: int, columns: int, extension_max: int) -> None:
        self.layer, self.axons, self.columns = layer, axons, columns
        self.extension_max = extension_max
        self.depth, self.height, self.width = layer.target
        self.room = columns // (layer.k_wei * layer.k_rep_out)  # neurons without extension

    def extension(self, height: int, width: int, channels: int) -> int:
        """Smallest f that holds the left of Eq 11: a power of two."""
        passes = max(1, _ceil(self.layer.lines(height, width, channels), self.axons))
        return 1 << (passes - 1).bit_length()

    def patch(self, height: int, width: int, channels: int) -> Patch | None:
        """The patch with its smallest f, None if Eq 11 does not allow it."""
        f = self.extension(height, width, channels)
        if f > self.extension_max or height * width * channels * f > self.room:
            return None
        return Patch(
            layer=self.layer,
            axons=self.axons,
            columns=self.columns,
            height=height,
            width=width,
            channels=channels,
            extension=f,
        )

    def channel_major(self) -> Patch | Reason:
        """Algorithm 1: one output pixel, as many of its channels as fit."""
        for channels in range(min(self.depth, self.room), 0, -1):
            if patch := self.patch(1, 1, channels):
                return patch
        return self._too_large()

    def _too_large(self) -> Reason:
        """Why no core holds even one neuron: its lines, or its columns."""
        layer, most = self.layer, self.axons * self.extension_max
        f = self.extension(1, 1, 1)
        if f > self.extension_max:
            sizes = " + ".join(
                f"{h} x {w} x {c}"
                for c, h, w in (layer.input_patch(conv, 1, 1, 1) for conv in layer.sources)
            )
            copies = f", {layer.k_rep_in} spikes each" if layer.k_rep_in > 1 else ""
            return Reason(
                f"fan-in of layer {layer.name!r} must be at most {most:,} lines "
                f"({self.axons:,} axons, extended {self.extension_max} times), "
                f"not {layer.lines(1, 1, 1):,} ({sizes}{copies}): take a smaller kernel, "
                "fewer channels or groups"
            )
        return Reason(
            f"columns of one neuron of layer {layer.name!r} must be at most {self.columns:,} "
            f"on this chip, not {f * layer.k_wei * layer.k_rep_out:,} (axon extension {f} x "
            f"{layer.k_wei} columns a weight x {layer.k_rep_out} copies): take a smaller fan-in, "
            "or fewer bits or spikes"
        )

    def every(self) -> Iterator[Patch]:
        """Algorithm 2 as FEWEST: all patches near a square, or as wide or high as the map."""
        area = self.room // self.depth
        for height in range(1, min(self.height, area) + 1):
            for width in range(1, min(self.width, area // height) + 1):
                spans = height == self.height if height < width else width == self.width
                if (abs(width - height) <= 2 or spans) and (
                    patch := self.patch(height, width, self.depth)
                ):
                    yield patch

    def walk(self) -> Iterator[Patch]:
        """Algorithm 2 as WALK, once with the width and once with the height as the long side."""
        for wide in (True, False):
            ends = (self.height, self.width) if wide else (self.width, self.height)
            short, long, f = 1, 1, 1
            while (short, long) != ends:
                short, long = min(short + 1, ends[0]), min(long + 1, ends[1])  # red step
                f = max(f, self.extension(*((short, long) if wide else (long, short)), self.depth))
                if f > self.extension_max:
                    break
                if short * long * self.depth * f <= self.room:
                    yield from self._mark(short, long, wide)
                    continue
                yield from self._shrink(short, long, f, ends[1], wide)
                break

    def _shrink(self, short: int, long: int, f: int, end: int, wide: bool) -> Iterator[Patch]:
        """Blue and green steps in turn, (+1, -1) and (-1, 0), until the columns suffice.

        f stays what the square needed.
        """
        for less in range(short - 1, 0, -1):
            for side in (min(long + 1, end), long):
                if less * side * self.depth * f <= self.room:
                    yield from self._mark(less, side, wide)
                    return

    def _mark(self, short: int, long: int, wide: bool) -> Iterator[Patch]:
        if patch := self.patch(*((short, long) if wide else (long, short)), self.depth):
            yield patch


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
