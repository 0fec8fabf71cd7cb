"""What a chip without second states, or with narrower ones, says of a network that has them."""

import numpy as np
import pytest

from spikeloop.pysim.chip.params import PRESETS, Chip
from spikeloop.pysim.common.errors import InputError
from spikeloop.pysim.image.pack import pack
from spikeloop.pysim.network.elements import Edge, Input, LeakRounding, Population, StateUse
from spikeloop.pysim.network.graph import Network

TINY = PRESETS["tiny"]
BOTH = TINY.replace(current_bits=10, adaptation_bits=9)


def network(current_bits: int, adaptation_bits: int, **arrays: object) -> Network:
    return Network(
        name="states",
        inputs=(Input(name="x", size=2),),
        steps=3,
        output="out",
        populations=(Population.make("out", 3, weight_bits=4, **arrays),),
        edges=(Edge(source="x", target="out", weights=np.ones((2, 3), np.int32)),),
        current_bits=current_bits,
        adaptation_bits=adaptation_bits,
    )


@pytest.mark.parametrize(
    ("chip", "current_bits", "adaptation_bits", "sentence"),
    [
        (TINY, 10, 0, "current_bits of network 'states' must be 0 on this chip (it was built "
         "without), not 10: choose a chip with current_bits=10"),
        (TINY, 0, 9, "adaptation_bits of network 'states' must be 0 on this chip (it was built "
         "without), not 9: choose a chip with adaptation_bits=9"),
        (BOTH, 12, 9, "current_bits of network 'states' must be 10 on this chip, not 12: choose "
         "a chip with current_bits=12"),
        (BOTH, 10, 8, "adaptation_bits of network 'states' must be 9 on this chip, not 8: choose "
         "a chip with adaptation_bits=8"),
    ],
)  # fmt: skip
def test_the_sentence_names_the_parameter_that_brings_the_state(
    chip: Chip, current_bits: int, adaptation_bits: int, sentence: str
) -> None:
    with pytest.raises(InputError) as refused:
        pack(network(current_bits, adaptation_bits), chip=chip)
    assert str(refused.value) == sentence


def test_a_network_without_states_runs_on_a_chip_that_has_them() -> None:
    assert pack(network(0, 0), chip=BOTH).network.current_bits == 0
    assert pack(network(10, 0, current=StateUse.NEW), chip=BOTH).network.current_bits == 10


@pytest.mark.parametrize("state", ["current", "adaptation"])
def test_terms_and_roundings_of_a_decay(state: str) -> None:
    decay = {
        state: StateUse.NEW,
        f"{state}_sign": [[[-1], [1], [1]]],
        f"{state}_rounding": LeakRounding.AT_LEAST_ONE,
    }
    pack(network(10, 9, **decay), chip=BOTH)
    with pytest.raises(
        InputError, match=rf"{state} terms .* must be at most 2 on this chip, not 3"
    ):
        pack(network(10, 9, **decay), chip=BOTH.replace(leak_terms=2))
    with pytest.raises(
        InputError, match=rf"{state}_rounding .* must be floor on this chip .*, not at_least_one"
    ):
        pack(network(10, 9, **decay), chip=BOTH.replace(roundings=False))
