"""The Verilated PIM macro against pysim: every code, current and counter of random layers.

It is a part of tests/campaigns/regression/chip.py. Alone,

    python -m tests.campaigns.regression.pim [CONVERSIONS [GEOMETRIES]]

compares 10,000,000 conversions in 50 random macros by default, with all effects on, and golden too.
"""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from spikeloop.cosim.macros.pim import PimModel
from spikeloop.pysim.pim.layer import MAX_SHIFT, OFFSETS, PimLayer, PimParams
from spikeloop.pysim.pim.model import run
from tests.make.pim_cases import random_images, random_layer, random_params

__all__ = ["first_difference"]


def first_difference(
    params: PimParams,
    seeds: list[list[int]],
    images: int = 2,
    *,
    optimise: bool = False,
    also: Callable[[PimLayer, np.ndarray, np.ndarray], object] | None = None,
) -> tuple[str | None, int]:
    """Compares RTL and pysim over one random layer per seed.

    ``also``: a further reference, whose codes and currents must be the same. Returns the first
    difference, or None, and how many conversions were compared.
    """
    model, count = PimModel(params, optimise=optimise), 0
    try:
        for seed in seeds:
            rng = np.random.default_rng(seed)
            layer = random_layer(rng, params)
            if seed[-1] % 4 == 3:  # the converters' sums at their widest
                shift = int(rng.integers(9, MAX_SHIFT + 1))
                ends = rng.choice(OFFSETS, layer.offset.shape)
                layer = replace(layer, shift=shift, offset=ends)
            x, streams = random_images(rng, layer, images), rng.integers(0, 1 << 40, images)
            streams[0] = 0
            where = f"{params}, {layer.window}, {layer.channels} channels, seed {seed}"
            model.load(layer)
            try:
                ours = model.run(x, streams, stall=seed[-1] % 2 * 12345)
            except RuntimeError as error:
                return f"{error}: {where}", count
            want = run(layer, x, streams)
            count += want.codes.size
            for other in (want, *([also(layer, x, streams)] if also else [])):
                for name in ("codes", "currents"):
                    if not np.array_equal(getattr(ours, name), getattr(other, name)):
                        at = tuple(
                            np.argwhere(getattr(ours, name) != getattr(other, name))[0].tolist()
                        )
                        a, b = getattr(ours, name)[at], getattr(other, name)[at]
                        return f"{name}{at} is {a}, not {b}: {where}", count
            if ours.counters != want.counters:
                return f"counters are {ours.counters}, not {want.counters}: {where}", count
            if seed[-1] % 2 == 0 and set(model.cycles.tolist()) != {
                layer.counters()["n_cycles"] + 2
            }:
                return (
                    f"cycles are {model.cycles}, not {layer.counters()['n_cycles'] + 2}: {where}",
                    count,
                )
    finally:
        model.close()
    return None, count


def main(conversions: int = 10_000_000, geometries: int = 50) -> int:
    from spikeloop.golden.reference import (
        pim as golden,
    )  # torch, which the faults of `make faults` do without

    done, layers = 0, 0
    for geometry in range(geometries):
        params, share = (
            random_params(np.random.default_rng([0, geometry]), columns=40, rows=32),
            done + -(-conversions // geometries),
        )
        while done < share:
            layers += 4
            found, count = first_difference(
                params,
                [[0, geometry, layers + n] for n in range(4)],
                200,
                optimise=True,
                also=golden.run,
            )
            done += count
            if found:
                print(found)
                return 1
    print(
        f"{done:,} conversions of {layers} random layers in {geometries} random macros: "
        "RTL = pysim = golden, 0 different"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(*(int(argument.replace(",", "")) for argument in sys.argv[1:])))
