"""Currents and adaptations of the reference against the witness, in every mode of both states."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeloop.golden.reference.integer import IntegerTrace, run
from spikeloop.pysim.network.elements import LeakRounding, LowBound, Population, Reset, StateUse
from spikeloop.pysim.network.graph import Network
from tests.golden.reference.test_integer import random_inputs, random_network
from tests.witness.network import Seen, witness

NEURON_TICKS = 10_000

USES = {mode.name.lower(): mode for mode in StateUse}
ROUNDINGS = {mode.name.lower(): mode for mode in LeakRounding}

# What a mode puts into every neuron; the rest stays random.
MODES: dict[str, dict[str, Any]] = {
    "combinations": {},
    **{
        f"current {a}, adaptation {b}": {"current": USES[a], "adaptation": USES[b]}
        for a in USES
        for b in USES
        if (a, b) != ("none", "none")
    },
    **{f"current {name}": {"current_rounding": mode} for name, mode in ROUNDINGS.items()},
    **{f"adaptation {name}": {"adaptation_rounding": mode} for name, mode in ROUNDINGS.items()},
    "current clears": {"current_k0": False, "current_sign": 0},
    "current stays": {"current_k0": True, "current_sign": 0},
    "adaptation clears": {"adaptation_k0": False, "adaptation_sign": 0},
    "adaptation stays": {"adaptation_k0": True, "adaptation_sign": 0},
    "gain 0": {"gain": 0, "fraction": 0},
    "gain most": {"gain": 7},
    "fraction most": {"fraction": 8},
    "scale 0": {"adaptation_scale": 0},
    "step 0": {"adaptation_step": 0},
    "soft reset of the raised threshold": {"reset": Reset.SOFT, "adaptation_reset": True},
    "soft reset of the threshold": {"reset": Reset.SOFT, "adaptation_reset": False},
    "hard reset": {"reset": Reset.HARD, "adaptation_reset": True},
    "no reset": {"reset": Reset.NONE, "adaptation_reset": True},
    "lower bound": {"low": LowBound.ADD},
    "refractory": {"refractory": 2, "hold": False},
    "held": {"refractory": 3, "hold": True},
    "rectified": {"rectify": True},
    "read-out": {"fire": False},
}
FAST = ("combinations", "current new, adaptation old", "current old, adaptation new", "held")


def with_states(rng: np.random.Generator, network: Network, mode: str) -> Network:
    """Both states drawn at random in every population; values also at the ends of their ranges."""
    q, r = int(rng.choice([8, 9, 16, 24, 32])), int(rng.choice([8, 9, 16, 31]))

    def drawn(p: Population) -> Population:
        n, terms = p.size, (p.pages, 3, p.size)
        ends = np.array([0, 1, (1 << r) - 2, (1 << r) - 1])
        usual = rng.integers(0, min(4 * int(np.abs(p.v_th).max()) + 8, 1 << r), n)
        arrays: dict[str, Any] = {
            "current": rng.integers(0, 3, n),
            "current_k0": rng.random((p.pages, n)) < 0.6,
            "current_sign": rng.integers(-1, 2, terms),
            "current_shift": np.where(rng.random(terms) < 0.2, q, rng.integers(0, q + 1, terms)),
            "current_rounding": rng.integers(0, 3, n),
            "gain": rng.integers(0, min(15, q - 1) + 1, n) * (rng.random(n) < 0.7),
            "fraction": rng.integers(0, q + 1, n) * (rng.random(n) < 0.7),
            "adaptation": rng.integers(0, 3, n),
            "adaptation_k0": rng.random((p.pages, n)) < 0.6,
            "adaptation_sign": rng.integers(-1, 2, terms),
            "adaptation_shift": np.where(rng.random(terms) < 0.2, r, rng.integers(0, r + 1, terms)),
            "adaptation_rounding": rng.integers(0, 3, n),
            "adaptation_step": np.where(rng.random(n) < 0.3, rng.choice(ends, n), usual),
            "adaptation_scale": rng.integers(0, r + 1, n) * (rng.random(n) < 0.6),
            "adaptation_reset": rng.random(n) < 0.5,
        }
        arrays |= MODES[mode]
        return replace(
            p,
            **{
                key: np.broadcast_to(value, getattr(p, key).shape).astype(getattr(p, key).dtype)
                for key, value in arrays.items()
            },
        )

    populations = tuple(drawn(p) for p in network.populations)
    return replace(network, populations=populations, current_bits=q, adaptation_bits=r)


def compare(trace: IntegerTrace, seen: dict[str, Seen], where: str) -> None:
    for name, want in seen.items():
        for field in Seen._fields:
            array = getattr(trace, field)[name]
            np.testing.assert_array_equal(
                array, getattr(want, field), err_msg=f"{field} of {name}, {where}"
            )


def agrees(mode: str, seed: int, least: int) -> None:
    """At least ``least`` neuron-ticks of random networks: every state, spike and count is equal."""
    rng = np.random.default_rng([seed, *mode.encode()])
    compared = spikes = saturated = moved = 0
    while compared < least:
        network = with_states(rng, random_network(rng), mode)
        inputs = random_inputs(rng, network, 3)
        trace, seen = run(network, inputs), witness(network, inputs)
        compare(trace, seen, f"{mode}, seed {seed}, after {compared} neuron-ticks")
        for want in seen.values():
            compared += want.spikes.size
            spikes += int(want.spikes.sum())
            saturated += int(want.saturations.sum())
            moved += int((want.synaptic != 0).sum() + (want.adaptations != 0).sum())
    print(
        f"{mode}, seed {seed}: {compared:,} neuron-ticks, {spikes:,} spikes, "
        f"{saturated:,} saturated, {moved:,} states off 0, 0 different"
    )
    assert moved > compared / 20 and saturated > compared / 100, "states at rest prove nothing"
    assert (spikes == 0) == (mode == "read-out")


@pytest.mark.parametrize("mode", FAST)
def test_a_sample_of_the_modes(mode: str, seed: int) -> None:
    agrees(mode, seed, 1_000)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_every_mode(mode: str, seed: int) -> None:
    agrees(mode, seed, NEURON_TICKS)


def test_what_a_network_lacks_is_not_recorded(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    inputs = random_inputs(rng, network, 2)
    trace = run(network, inputs)
    assert trace.synaptic == {} and trace.adaptations == {}
    wide = run(replace(network, current_bits=24), inputs)
    assert set(wide.synaptic) == set(wide.spikes) and wide.adaptations == {}
    assert all(y.dtype == np.int32 and not y.any() for y in wide.synaptic.values())
    assert run(replace(network, current_bits=24), inputs, membranes=False).synaptic == {}
