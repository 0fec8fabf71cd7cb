"""The witness agrees with golden, pysim and the RTL in every mode of the contract.

The witness was written from docs/arithmetic.md alone, by a reader who had not seen the code. Each
mode, and random combinations of modes, is compared in at least 10,000 random neuron-ticks.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import LeakRounding, LowBound, Population, Reset, WeightFormat
from spikeloop.pysim.network.graph import Network
from tests.cosim import FAST_BUILD
from tests.make.networks import random_network, random_stimulus
from tests.witness.network import Seen, witness

CHIP = PRESETS["tiny"]
NEURON_TICKS = 10_000

# What a mode puts into every population; the rest stays random.
MODES: dict[str, dict[str, Any]] = {
    "combinations": {},
    **{f"reset {r.name.lower()}": {"reset": r} for r in Reset},
    **{f"rounding {r.name.lower()}": {"rounding": r} for r in LeakRounding},
    **{f"low {b.name.lower()}": {"low": b} for b in LowBound},
    "refractory": {"refractory": 2, "hold": False},
    "hold": {"refractory": 3, "hold": True},
    "rectify": {"rectify": True},
    "read-out": {"fire": False},
    "leak none": {"k0": True, "leak_sign": 0},
    "leak clear": {"k0": False, "leak_sign": 0},
    "leak bpsr": {"k0": False, "leak_sign": np.array([1, 0, 0])[:, None]},
    "leak decay": {"k0": True, "leak_sign": np.array([-1, 0, 0])[:, None]},
    "leak three terms": {"k0": True, "leak_sign": np.array([-1, 1, -1])[:, None]},
    "one page": {},
    "four pages": {},
    **{f"weights {f.name.lower()}": {} for f in WeightFormat},
}


@pytest.fixture(scope="module")
def rtl():
    model = ChipModel(CHIP, FAST_BUILD)
    yield model
    model.close()


@pytest.mark.parametrize("mode", MODES)
def test_witness_agrees(mode: str, seed: int, rtl: ChipModel) -> None:
    rng = np.random.default_rng([seed, *mode.encode()])
    compared = spikes = 0
    while compared < NEURON_TICKS:
        network = _network(rng, mode)
        stimulus = random_stimulus(rng, network, samples=3, density=0.2)
        image = pack(network, chip=CHIP)
        rtl.fill(image)
        golden = run(network, stimulus.dense(network))
        traces = [Core(image).run(stimulus), rtl.run(image, stimulus)]
        seen = witness(network, stimulus.dense(network))
        for p in network.populations:
            where = f"{mode}, seed {seed}, population {p.name}, after {compared} neuron-ticks"
            recorded = [field for field in Seen._fields if getattr(golden, field)]
            fields = [
                *((field, getattr(golden, field)[p.name]) for field in recorded),
                *(("spikes", unpack(trace.spikes[p.name], p.size)) for trace in traces),
                *(("membranes", trace.membranes[p.name]) for trace in traces),
            ]
            for field, array in fields:
                expected = getattr(seen[p.name], field)
                np.testing.assert_array_equal(array, expected, err_msg=f"{field}, {where}")
            compared += stimulus.samples * network.steps * p.size
            spikes += int(seen[p.name].spikes.sum())
    assert (spikes == 0) == (mode == "read-out"), "equal silence proves nothing"
    print(f"{mode}: {compared:,} neuron-ticks, {spikes:,} spikes, 0 different")


def _network(rng: np.random.Generator, mode: str) -> Network:
    """A random network with the mode in all its populations."""
    options: dict[str, Any] = {
        "one page": {"pages": 1},
        "four pages": {"pages": 4},
        **{f"weights {f.name.lower()}": {"weight_format": f} for f in WeightFormat},
    }.get(mode, {})
    network = random_network(rng, CHIP, **options)
    return replace(network, populations=tuple(_force(p, MODES[mode]) for p in network.populations))


def _force(population: Population, values: dict[str, Any]) -> Population:
    """The population with one value of each named parameter for all its neurons."""
    now = {key: getattr(population, key) for key in values}
    forced = {
        key: np.broadcast_to(value, now[key].shape).astype(now[key].dtype)
        for key, value in values.items()
    }
    return replace(population, **forced)
