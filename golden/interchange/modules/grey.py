"""Grey values as spikes: bit planes, exact on the chip.

A value lo..hi is rounded to q / (2^bits - 1) of its range. Plane i of a sample holds bit i of every
q and spikes in each step; plane 0 is the lowest bit. Weights of plane i are 2^i times those of
plane 0, so a neuron receives exactly W x with x = lo + (hi - lo) q / (2^bits - 1).
"""

from dataclasses import dataclass, replace

import numpy as np

from spikeloop.golden.interchange.graph.node import Node
from spikeloop.golden.interchange.modules.graph import StepGraph
from spikeloop.pysim.common.checks import check_int
from spikeloop.pysim.common.errors import InputError

__all__ = ["Grey"]


@dataclass(frozen=True)
class Grey:
    """``bits`` planes, 1..8, for values from ``low`` to ``high``."""

    bits: int = 4
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        check_int("bits of grey values", self.bits, 1, 8)
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise InputError(
                f"range of grey values must go up from one number to another, not "
                f"{self.low:g}..{self.high:g}"
            )

    def real(self, x: np.ndarray) -> np.ndarray:
        """The values as float64; uint8 above 1 are pixels, 0..255 for the whole range."""
        x = np.asarray(x)
        if x.dtype.kind not in "buif":
            raise InputError(f"grey values must be numbers, not {x.dtype}")
        pixels = x.dtype == np.uint8 and x.max(initial=0) > 1
        x = x.astype(np.float64)
        return self.low + (self.high - self.low) * (x / 255) if pixels else x

    def levels(self, x: np.ndarray) -> np.ndarray:
        """The values, or pixels, rounded to integers 0..2^bits - 1.

        InputError for one outside the range.
        """
        x = self.real(x)
        if x.size and not (x.min() >= self.low - 1e-6 and x.max() <= self.high + 1e-6):
            raise InputError(
                f"grey values must lie in {self.low:g}..{self.high:g}, not {x.min():g}..{x.max():g}"
            )
        part = (np.clip(x, self.low, self.high) - self.low) / (self.high - self.low)
        return np.floor(part * ((1 << self.bits) - 1) + 0.5).astype(np.uint8)

    def values(self, levels: np.ndarray) -> np.ndarray:
        """What the levels stand for, float64."""
        return self.low + (self.high - self.low) * levels / ((1 << self.bits) - 1)

    def planes(self, levels: np.ndarray) -> np.ndarray:
        """Spikes of one step, uint8 ``[..., bits * values]``, of levels ``[..., values]``.

        Plane 0 comes first.
        """
        bits = (levels[..., None, :] >> np.arange(self.bits)[:, None]) & 1
        return bits.reshape(*levels.shape[:-1], -1).astype(np.uint8)

    def in_front_of(self, graph: StepGraph) -> StepGraph:
        """The graph with planes for its input: their lines, and what adds them up again."""
        shape = tuple(int(n) for n in graph.nodes["input"].values["shape"])
        image = shape if len(shape) == 3 else (1, int(np.prod(shape)), 1)
        channels, height, width = image
        mix = np.zeros((channels, self.bits * channels, 1, 1))
        share = (self.high - self.low) / ((1 << self.bits) - 1)
        for plane in range(self.bits):
            for channel in range(channels):
                mix[channel, plane * channels + channel] = share * (1 << plane)
        values = {
            "weight": mix,
            "bias": np.full(channels, self.low),
            "stride": np.array([1, 1]),
            "padding": np.array([0, 0]),
            "dilation": np.array([1, 1]),
            "groups": np.array(1),
        }
        lines = np.array([self.bits * channels, height, width])
        nodes = dict(graph.nodes)
        nodes["input"] = Node("input", "Input", {"shape": np.array([int(np.prod(lines))])}, {})
        nodes["planes"] = Node("planes", "Reshape", {"shape": lines}, {})
        nodes["mixed"] = Node("mixed", "Conv2d", values, {})
        nodes["grey"] = Node("grey", "Reshape", {"shape": np.array(shape)}, {})
        edges = [("grey" if s == "input" else s, t) for s, t in graph.edges]
        edges += [("input", "planes"), ("planes", "mixed"), ("mixed", "grey")]
        return replace(graph, nodes=nodes, edges=edges)
