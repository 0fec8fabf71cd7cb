"""Random PIM macros, layers and images: every effect on, every geometry legal.

All draws of a case come from one generator, so a seed names a case.
"""

from math import prod

import numpy as np

from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.network.elements import Edge, Input, Population, Reset
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.pim.layer import LAYOUTS, SEGMENTS, PimLayer, PimParams
from spikeloop.pysim.pim.source import PimSource
from spikeloop.pysim.pim.window import PimWindow
from spikeloop.pysim.traces.stimulus import Stimulus

__all__ = [
    "CHIP",
    "MACROS",
    "pim_network",
    "pim_stimulus",
    "random_images",
    "random_layer",
    "random_params",
    "random_window",
]

MACROS = {
    "merged": PimParams(
        banks=2,
        columns=20,
        rows=12,
        weight_bits=4,
        active_rows=4,
        share=5,
        adc_bits=6,
        current_bits=16,
        ir_drop=True,
    ),
    "serial": PimParams(
        banks=1,
        columns=16,
        rows=16,
        weight_bits=3,
        pixel_bits=6,
        pulse_bits=2,
        active_rows=8,
        layout="sliced",
        share=3,
        adc_bits=5,
        current_bits=12,
    ),
}


def divisors(number: int, most: int) -> list[int]:
    return [n for n in range(1, min(number, most) + 1) if number % n == 0]


def random_params(rng: np.random.Generator, *, columns: int = 48, rows: int = 32) -> PimParams:
    """A macro of up to ``columns`` columns and ``rows`` rows."""
    layout = str(rng.choice(LAYOUTS))
    weight_bits, pixel_bits = int(rng.integers(2, 9)), int(rng.integers(1, 9))
    width = int(rng.integers(max(16, columns // 3), columns + 1))
    height = int(rng.integers(8, rows + 1))
    units = width // weight_bits * (1 if layout == "merged" else weight_bits)
    together = divisors(height, height)
    return PimParams(
        banks=int(rng.integers(1, 4)),
        columns=width,
        rows=height,
        weight_bits=weight_bits,
        pixel_bits=pixel_bits,
        pulse_bits=pixel_bits if layout == "merged" else int(rng.choice(divisors(pixel_bits, 8))),
        layout=layout,
        active_rows=int(rng.choice(together[len(together) // 2 :])),
        share=int(rng.choice(divisors(units, 16))),
        adc_bits=int(rng.integers(3, 13)),
        current_bits=int(rng.choice([8, 12, 16, 24, 32])),
        ir_drop=bool(rng.integers(2)),
    )


def random_window(rng: np.random.Generator, most: int) -> PimWindow:
    """A window of at most ``most`` kernel rows, of 0, 2 or 3 dimensions."""
    dims = int(rng.choice([0, 2, 3]))
    if dims == 0:
        return PimWindow.make((int(rng.integers(1, most + 1)),))
    while True:
        kernel = tuple(int(n) for n in rng.integers(1, 4, dims))
        if prod(kernel) <= most:
            break
    padding = tuple(int(rng.integers(0, k)) for k in kernel)
    size = tuple(int(k + rng.integers(0, 4)) for k in kernel)
    return PimWindow.make(
        (int(rng.integers(1, most // prod(kernel) + 1)), *size),
        kernel,
        padding=padding,
        stride=tuple(int(n) for n in rng.integers(1, 3, dims)),
    )


def random_layer(
    rng: np.random.Generator,
    params: PimParams | None = None,
    window: PimWindow | None = None,
    *,
    channels: int | None = None,
    stuck: float = 0.03,
) -> PimLayer:
    """A layer that fills its macro at random, with every table and setting drawn.

    Most gains are near 1, and most shifts near the range of v. ``stuck`` is the share of cells
    stuck at 0, and of those stuck at 1.
    """
    p = params or random_params(rng)
    if window is None:  # a window of few rows leaves room for several passes
        window = random_window(rng, max(1, p.rows // int(rng.integers(1, 4))))
    passes = p.groups // -(-window.rows // p.active_rows)
    channels = channels or int(rng.integers(1, min(passes, 3) * p.capacity + 1))
    half = 1 << (p.weight_bits - 1)
    table = (p.banks, p.units)
    needed = max(0, p.value_bits - p.adc_bits)
    cells = rng.random((2, p.banks, p.rows, p.columns)) < stuck
    small, large = 1 << (min(p.current_bits, p.adc_bits + 2) - 1), 1 << (p.current_bits - 1)
    bias = np.where(
        rng.random(channels) < 0.7,
        rng.integers(-small, small, channels),
        rng.choice([-large, large - 1], channels),
    )
    return PimLayer.make(
        p,
        window,
        rng.integers(-half, half, (channels, window.rows)),
        bias=bias,
        gain=_spread(rng, (0, 8192), (3600, 4600), table),
        offset=_spread(rng, (-512, 512), (-40, 41), table),
        keep=_spread(rng, (0, 257), (230, 257), (p.groups, SEGMENTS)) if p.ir_drop else 256,
        stuck0=cells[0],
        stuck1=cells[1],
        shift=int(np.clip(needed + rng.integers(-4, 2), 0, 16)),
        limit=int(rng.integers(p.value_max // 4, p.value_max + 1)),
        sigma=int(rng.integers(0, 256)),
        seed=int(rng.integers(0, 1 << 63)),
    )


def _spread(
    rng: np.random.Generator, whole: tuple[int, int], near: tuple[int, int], size: tuple[int, int]
) -> np.ndarray:
    """Four values of five in the range ``near``, the others in ``whole``."""
    return np.where(rng.random(size) < 0.8, rng.integers(*near, size), rng.integers(*whole, size))


def random_images(rng: np.random.Generator, layer: PimLayer, count: int) -> np.ndarray:
    """Images with some dark and some full pixels."""
    high = (1 << layer.params.pixel_bits) - 1
    x = rng.integers(0, high + 1, (count, *layer.window.source))
    return np.where(rng.random(x.shape) < 0.15, rng.choice([0, high], x.shape), x)


SMALL = PimParams(
    banks=1, columns=16, rows=16, weight_bits=4, active_rows=8, share=2, adc_bits=6, current_bits=12
)


CHIP = PRESETS["tiny"].replace(columns=256, axons=64)


def pim_network(
    rng: np.random.Generator,
    *,
    held: bool = True,
    steps: int = 4,
    sigma: int = 200,
    layer: PimLayer | None = None,
) -> Network:
    """5 spike lines and a PIM layer onto the same neurons, which feed 3 others.

    The default layer is a convolution of 6 x 6 pixels into 2 channels of 4 x 4. With it the network
    fits on CHIP.
    """
    layer = layer or PimLayer.make(
        SMALL,
        PimWindow.make((1, 6, 6), (3, 3)),
        rng.integers(-4, 8, (2, 9)),
        shift=6,
        sigma=sigma,
        seed=int(rng.integers(1 << 30)),
        bias=rng.integers(-9, 10, 2),
        gain=rng.integers(3800, 4400, (1, 4)),
        offset=rng.integers(-30, 31, (1, 4)),
        stuck0=rng.random((1, 16, 16)) < 0.03,
    )
    size = layer.channels * layer.window.positions
    first = Population.make(
        "first",
        size,
        weight_bits=4,
        v_th=40,
        bias=rng.integers(-3, 4, size),
        reset=Reset.SOFT,
        leak_sign=[[[-1], [0], [0]]],
        leak_shift=[[[3], [0], [0]]],
        rectify=rng.random(size) < 0.2,
    )
    out = Population.make("out", 3, start=1, weight_bits=4, v_th=6)
    from_lines = rng.integers(-8, 8, (5, size)).astype(np.int32)
    to_out = rng.integers(-6, 8, (size, 3)).astype(np.int32)
    edges = (
        Edge(source="lines", target="first", weights=from_lines),
        Edge(source="first", target="out", weights=to_out),
    )
    return Network(
        name="pim",
        inputs=(Input(name="lines", size=5),),
        populations=(first, out),
        edges=edges,
        steps=steps,
        output="out",
        pim=PimSource.make("pixels", "first", layer, held=held),
    )


def pim_stimulus(rng: np.random.Generator, network: Network, samples: int) -> Stimulus:
    """Random lines and images for :func:`pim_network`."""
    head = network.pim.head
    images = rng.integers(0, head.pixel_max + 1, (samples, head.pixels)).astype(np.uint8)
    lines = rng.integers(0, 2, (samples, network.steps, 5))
    return Stimulus.pack({"lines": lines}, None, {"pixels": images})
