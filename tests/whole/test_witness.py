"""The witness, written from docs/arithmetic.md alone by a reader who had not seen the code, agrees with golden, pysim and the RTL:
at least 10,000 random neuron-ticks for every mode of the contract and for random combinations of modes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.golden.reference.integer import run
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.image.image import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.network.elements import LeakRounding, LowBound, Population, Reset, WeightFormat
from spikeloop.pysim.network.graph import Network
from tests.make.networks import random_network, random_stimulus
from tests.witness import model as witness

CHIP = PRESETS["tiny"]
NEURON_TICKS = 10_000
PLAIN = (
    "rectify",
    "fire",
    "v_reset",
    "v_low",
    "v_low_reset",
    "v_low_add",
    "refractory",
    "hold",
    "v_init",
)

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
    with_model = ChipModel(CHIP)
    yield with_model
    with_model.close()


@pytest.mark.parametrize("mode", MODES)
def test_witness_agrees(mode: str, seed: int, rtl: ChipModel) -> None:
    rng = np.random.default_rng([seed, *mode.encode()])
    compared = spikes = 0
    while compared < NEURON_TICKS:
        network = _network(rng, mode)
        stimulus = random_stimulus(rng, network, samples=3, density=0.2)
        image = pack(network, chip=CHIP)
        rtl.fill(image)
        golden, traces = (
            run(network, stimulus.dense(network)),
            [Core(image).run(stimulus), rtl.run(image, stimulus)],
        )
        graph, dense = _graph(network), stimulus.dense(network)
        for sample in range(stimulus.samples):
            seen = witness.run(
                graph, {name: array[sample].tolist() for name, array in dense.items()}
            )
            for p in network.populations:
                where = f"{mode}, seed {seed}, sample {sample}, population {p.name}, after {compared} neuron-ticks"
                of = seen[p.name]
                found = [
                    (golden.spikes[p.name], "spikes"),
                    (golden.membranes[p.name], "membranes"),
                    (golden.saturations[p.name], "saturations"),
                ]
                for trace in traces:
                    found += [
                        (unpack(trace.spikes[p.name], p.size), "spikes"),
                        (trace.membranes[p.name], "membranes"),
                    ]
                for array, field in found:
                    np.testing.assert_array_equal(
                        array[sample],
                        np.array(of[field], dtype=np.int64),
                        err_msg=f"{field}, {where}",
                    )
                compared += network.steps * p.size
                spikes += int(np.sum(of["spikes"]))
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
    forced = MODES[mode]

    def force(p: Population) -> Population:
        now = {key: getattr(p, key) for key in forced}
        return replace(
            p,
            **{
                key: np.broadcast_to(value, now[key].shape).astype(now[key].dtype)
                for key, value in forced.items()
            },
        )

    return replace(network, populations=tuple(force(p) for p in network.populations))


def _graph(network: Network) -> dict[str, Any]:
    """The network in the witness's own words."""

    def neuron(p: Population, i: int) -> dict[str, Any]:
        return {
            **{key: getattr(p, key)[:, i].tolist() for key in ("bias", "v_th", "v_sub", "k0")},
            "leak_sign": p.leak_sign[:, :, i].tolist(),
            "leak_shift": p.leak_shift[:, :, i].tolist(),
            "rounding": LeakRounding(p.rounding[i]).name.lower(),
            "reset": Reset(p.reset[i]).name.lower(),
            "low": LowBound(p.low[i]).name.lower(),
            **{key: getattr(p, key)[i].item() for key in PLAIN},
        }

    return {
        "P": network.membrane_bits,
        "steps": network.steps,
        "inputs": {n.name: n.size for n in network.inputs},
        "populations": {
            p.name: {
                "size": p.size,
                "pages": p.pages,
                "neurons": [neuron(p, i) for i in range(p.size)],
            }
            for p in network.populations
        },
        "edges": [
            {
                "source": e.source,
                "target": e.target,
                "delay": e.delay,
                "weights": e.weights.tolist(),
            }
            for e in network.edges
        ],
    }
