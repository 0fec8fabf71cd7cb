"""The counters of a macro of oscillators, whose upper bits no run reaches."""

import pytest
from amaranth.hdl import Value

from spikeloop.hdl.onn.phase import Phase
from spikeloop.hdl.onn.relaxation import Relaxation
from tests.campaigns.macros.onn import MACROS


@pytest.mark.parametrize("cell", [Phase, Relaxation])
@pytest.mark.parametrize("counter", ["clips", "crossings"])
def test_counters_have_64_bits(cell: type[Phase | Relaxation], counter: str) -> None:
    name = "phases-turns" if cell is Phase else "oscillates"
    built = cell(MACROS[name])
    built.elaborate(None)  # Amaranth warns of a component that nobody builds
    assert len(Value.cast(getattr(built, counter))) == 64
