"""The Verilated PIM macro against pysim: every code, current and counter of random layers; a part of tests/regression.py."""

import numpy as np

from cosim.pim import PimModel
from pysim.pim import run
from pysim.pim_params import PimParams
from tests.pim_cases import random_images, random_layer

__all__ = ["first_difference"]


def first_difference(params: PimParams, seeds: list[list[int]], images: int = 2, *, optimise: bool = False) -> tuple[str | None, int]:
    """What differs first between RTL and pysim over one random layer per seed, or None; and how many conversions were compared."""
    model, count = PimModel(params, optimise=optimise), 0
    try:
        for seed in seeds:
            rng = np.random.default_rng(seed)
            layer = random_layer(rng, params)
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
            for name in ("codes", "currents"):
                if not np.array_equal(getattr(ours, name), getattr(want, name)):
                    at = tuple(np.argwhere(getattr(ours, name) != getattr(want, name))[0].tolist())
                    return f"{name}{at} is {getattr(ours, name)[at]}, not {getattr(want, name)[at]}: {where}", count
            if ours.counters != want.counters:
                return f"counters are {ours.counters}, not {want.counters}: {where}", count
            if seed[-1] % 2 == 0 and set(model.cycles.tolist()) != {layer.counters()["n_cycles"] + 2}:
                return f"cycles are {model.cycles}, not {layer.counters()['n_cycles'] + 2}: {where}", count
    finally:
        model.close()
    return None, count

