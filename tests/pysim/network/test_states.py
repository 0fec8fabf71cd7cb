"""Second states of neurons: what a network refuses, and what its file keeps."""

from typing import Any

import numpy as np
import pytest

from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.common.tensors import decode, encode
from spikeloop.pysim.network.elements import Edge, Input, Population, StateUse
from spikeloop.pysim.network.graph import Network
from spikeloop.pysim.network.parameters import ADAPTATION, CURRENT, PARAMETERS

Q, R = 10, 9
BOTH = {"current": StateUse.NEW, "adaptation": StateUse.OLD}


def network(current_bits: Any = Q, adaptation_bits: Any = R, **arrays: Any) -> Network:
    return Network(
        name="states",
        inputs=(Input(name="x", size=2),),
        steps=3,
        output="out",
        populations=(Population.make("out", 3, weight_bits=4, **arrays),),
        edges=(Edge(source="x", target="out", weights=np.ones((2, 3), np.int32)),),
        membrane_bits=12,
        current_bits=current_bits,
        adaptation_bits=adaptation_bits,
    )


@pytest.mark.parametrize(
    ("key", "most"),
    [
        ("current", 2),
        ("current_shift", Q),
        ("current_rounding", 2),
        ("gain", Q - 1),
        ("fraction", Q),
        ("adaptation", 2),
        ("adaptation_shift", R),
        ("adaptation_rounding", 2),
        ("adaptation_step", 2**R - 1),
        ("adaptation_scale", R),
    ],
)
def test_values_up_to_the_most_and_not_beyond(key: str, most: int) -> None:
    network(**{**BOTH, key: most})
    with pytest.raises(InputError) as refused:
        network(**{**BOTH, key: most + 1})
    sentence = f"{key} of population 'out' must be in 0..{most}, not {most + 1}"
    assert str(refused.value) == sentence


@pytest.mark.parametrize("state", ["current", "adaptation"])
@pytest.mark.parametrize("sign", [-2, 2])
def test_signs_of_a_decay(state: str, sign: int) -> None:
    with pytest.raises(InputError, match=rf"{state}_sign of population 'out' must be in -1\.\.1"):
        network(**BOTH, **{f"{state}_sign": sign})


def test_a_step_is_not_negative() -> None:
    with pytest.raises(InputError, match=r"adaptation_step .* must be in 0\.\.511, not -1"):
        network(**BOTH, adaptation_step=-1)


def test_the_gain_of_wide_currents_ends_at_15() -> None:
    assert network(current_bits=32, **BOTH, gain=15).population("out").gain.tolist() == [15] * 3
    with pytest.raises(InputError, match=r"gain .* must be in 0\.\.15, not 16"):
        network(current_bits=32, **BOTH, gain=16)


@pytest.mark.parametrize(
    ("state", "bits", "width"),
    [("current", "current_bits", 32), ("adaptation", "adaptation_bits", 31)],
)
def test_widths_of_a_network(state: str, bits: str, width: int) -> None:
    for good in (8, width):
        assert getattr(network(**{bits: good}), bits) == good
    for bad in (1, 7, width + 1, "8", True):
        with pytest.raises(InputError, match=f"{bits} .*must be"):
            network(**{bits: bad})
    with pytest.raises(InputError) as refused:
        network(**{bits: 0}, **{state: StateUse.NEW})
    assert str(refused.value) == (
        f"{bits} of a network must be given for the {state} of population 'out', not 0"
    )


def test_the_file_keeps_states_and_nothing_of_absent_ones() -> None:
    plain, both = network(0, 0), network(**BOTH, gain=[1, 2, 3], adaptation_step=[0, 7, 511])
    data = plain.to_bytes()
    assert not any(key.encode() in data for key in ("current", "adaptation", "gain", "fraction"))
    again = Network.from_bytes(both.to_bytes())
    assert (again.current_bits, again.adaptation_bits) == (Q, R)
    for key in PARAMETERS:
        np.testing.assert_array_equal(
            getattr(again.population("out"), key), getattr(both.population("out"), key), key
        )
    one = Network.from_bytes(network(Q, 0, current=StateUse.OLD).to_bytes()).population("out")
    assert one.has_current and not one.has_adaptation
    assert set(one.parameters) == set(PARAMETERS) - set(ADAPTATION) >= set(CURRENT)


@pytest.mark.parametrize("key", ["gain", "current_k0", "adaptation_step", "adaptation_reset"])
def test_a_file_with_a_part_of_a_state_is_refused(key: str) -> None:
    header, arrays = decode(network(**BOTH).to_bytes(), "spikeloop", "network")
    arrays[f"outs{key}"] = arrays.pop(f"out.{key}")
    spoilt = encode(header, arrays, "spikeloop", "network")
    with pytest.raises(InputError, match=f"must be complete, not without 'out.{key}'"):
        Network.from_bytes(spoilt)
