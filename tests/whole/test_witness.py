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
from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.common.bits import unpack
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.model.core import Core
from spikeloop.pysim.model.ticks import numba_engine
from spikeloop.pysim.network.elements import (
    LeakRounding,
    LowBound,
    Population,
    Reset,
    StateUse,
    WeightFormat,
)
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.traces.trace import STATES, recorded_states
from tests.cosim import FAST_BUILD
from tests.make.networks import random_network, random_stimulus
from tests.make.neurons.states import WITH_STATES
from tests.witness.network import Seen, witness

CHIP = PRESETS["tiny"].replace(page_shift=3)
STATES_CHIP = WITH_STATES.replace(page_shift=2)
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
    "pages of two steps": {},
    "pages of eight steps": {},
    **{f"weights {f.name.lower()}": {} for f in WeightFormat},
}


def _decays(state: str) -> dict[str, dict[str, Any]]:
    """Modes of the decay of a second state, which all neurons then have."""
    every = {state: StateUse.NEW}

    def term(*signs: int) -> np.ndarray:
        return np.array(signs)[:, None]

    return {
        **{f"{state} {use.name.lower()}": {state: use} for use in StateUse},
        **{
            f"{state} rounding {r.name.lower()}": {**every, f"{state}_rounding": r}
            for r in LeakRounding
        },
        f"{state} kept": {**every, f"{state}_k0": True, f"{state}_sign": 0},
        f"{state} cleared": {**every, f"{state}_k0": False, f"{state}_sign": 0},
        f"{state} three terms": {**every, f"{state}_k0": True, f"{state}_sign": term(-1, 1, -1)},
    }


# The same on a chip with both second states.
STATE_MODES: dict[str, dict[str, Any]] = {
    "states, combinations": {},
    **_decays("current"),
    "gain 0": {"current": StateUse.NEW, "gain": 0},
    "gain 13": {"current": StateUse.NEW, "gain": 13},
    "fraction 0": {"current": StateUse.OLD, "fraction": 0},
    "fraction Q": {"current": StateUse.NEW, "fraction": STATES_CHIP.current_bits},
    "current of held": {"current": StateUse.NEW, "refractory": 3, "hold": True},
    **_decays("adaptation"),
    "scale 0": {"adaptation": StateUse.NEW, "adaptation_scale": 0},
    "scale R": {"adaptation": StateUse.OLD, "adaptation_scale": STATES_CHIP.adaptation_bits},
    "step 0": {"adaptation": StateUse.NEW, "adaptation_step": 0},
    **{
        f"soft reset {how} w": {
            "adaptation": StateUse.NEW,
            "reset": Reset.SOFT,
            "adaptation_reset": how == "with",
        }
        for how in ("with", "without")
    },
    "adaptation of masked": {"adaptation": StateUse.NEW, "refractory": 2, "hold": False},
}
# What leaves a state at 0.
SILENT = {"synaptic": ["current none"], "adaptations": ["adaptation none", "step 0"]}
FAST = ("states, combinations", "current of held", "adaptation of masked", "soft reset with w")


@pytest.fixture(scope="module")
def chips():
    """The Verilated chip without the second states, and the one with them."""
    models = {chip: ChipModel(chip, FAST_BUILD) for chip in (CHIP, STATES_CHIP)}
    yield models
    for model in models.values():
        model.close()


@pytest.mark.parametrize(
    "mode",
    [
        *MODES,
        *FAST,
        *(pytest.param(m, marks=pytest.mark.slow) for m in STATE_MODES if m not in FAST),
    ],
)
def test_witness_agrees(mode: str, seed: int, chips: dict[Chip, ChipModel]) -> None:
    rng = np.random.default_rng([seed, *mode.encode()])
    chip = CHIP if mode in MODES else STATES_CHIP
    rtl, compared, spikes, moving = chips[chip], 0, 0, dict.fromkeys(STATES, 0)
    while compared < NEURON_TICKS:
        network = _network(rng, chip, mode)
        stimulus = random_stimulus(rng, network, samples=3, density=0.2)
        image = pack(network, chip=chip)
        rtl.fill(image)
        golden = run(network, stimulus.dense(network))
        engines = ("numpy", "numba") if numba_engine.AVAILABLE else ("numpy",)
        traces = [Core(image, engine).run(stimulus) for engine in engines]
        traces.append(rtl.run(image, stimulus))
        seen = witness(network, stimulus.dense(network))
        for p in network.populations:
            where = f"{mode}, seed {seed}, population {p.name}, after {compared} neuron-ticks"
            recorded = [field for field in Seen._fields if getattr(golden, field)]
            fields = [
                *((field, getattr(golden, field)[p.name]) for field in recorded),
                *(("spikes", unpack(trace.spikes[p.name], p.size)) for trace in traces),
                *(
                    (state, getattr(trace, state)[p.name])
                    for trace in traces
                    for state in recorded_states(network, True)
                ),
            ]
            for field, array in fields:
                expected = getattr(seen[p.name], field)
                np.testing.assert_array_equal(array, expected, err_msg=f"{field}, {where}")
            compared += stimulus.samples * network.steps * p.size
            spikes += int(seen[p.name].spikes.sum())
            for state in STATES:
                moving[state] += int(np.count_nonzero(getattr(seen[p.name], state)))
    assert (spikes == 0) == (mode == "read-out"), "equal silence proves nothing"
    for state in recorded_states(network, True):
        assert (moving[state] == 0) == (mode in SILENT.get(state, [])), state
    print(
        f"{mode}: {compared:,} neuron-ticks, {spikes:,} spikes, "
        f"{moving['synaptic']:,} currents and {moving['adaptations']:,} adaptations, 0 different"
    )


def _network(rng: np.random.Generator, chip: Chip, mode: str) -> Network:
    """A random network with the mode in all its populations."""
    options: dict[str, Any] = {
        "one page": {"pages": 1},
        "four pages": {"pages": 4},
        "pages of two steps": {"pages": 4, "page_shift": 1},
        "pages of eight steps": {"pages": 4, "page_shift": 3, "steps": 40},
        **{f"weights {f.name.lower()}": {"weight_format": f} for f in WeightFormat},
    }.get(mode, {})
    network = random_network(rng, chip, **options)
    values = (MODES | STATE_MODES)[mode]
    return replace(network, populations=tuple(_force(p, values) for p in network.populations))


def _force(population: Population, values: dict[str, Any]) -> Population:
    """The population with one value of each named parameter for all its neurons."""
    now = {key: getattr(population, key) for key in values}
    forced = {
        key: np.broadcast_to(value, now[key].shape).astype(now[key].dtype)
        for key, value in values.items()
    }
    return replace(population, **forced)
