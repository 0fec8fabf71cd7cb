"""Ports that no run reaches: the upper bits of counters, the pins of a chip."""

import gc
from collections.abc import Callable, Iterator

import pytest
from amaranth.hdl import Value
from amaranth.lib.wiring import Component

from spikeloop.hdl.chip import ChipTop
from spikeloop.hdl.core.core import Core
from spikeloop.hdl.core.counters import Counters
from spikeloop.hdl.core.driver import Driver
from spikeloop.hdl.core.front import macro_of
from spikeloop.hdl.dendritic.inputs import Inputs
from spikeloop.hdl.dendritic.macro import DendriticMacro
from spikeloop.hdl.mesh import MeshTop
from spikeloop.hdl.onn.macro import OnnMacro
from spikeloop.hdl.onn.phase import Phase
from spikeloop.hdl.onn.relaxation import Relaxation
from spikeloop.hdl.pim.driver import PimDriver
from spikeloop.hdl.pim.macro import PimMacro
from spikeloop.hdl.plastic.core import PlasticCore
from tests.campaigns.macros import dendritic, onn
from tests.campaigns.regression.cases import CHIPS
from tests.campaigns.regression.lessons import CORES
from tests.make import pim_cases

COUNTED: dict[str, Callable[[], Component]] = {
    "counters of a core": Counters,
    "core": lambda: Core(CHIPS["base"]),
    "driver of oscillators": lambda: Driver(CHIPS["onn-chip"], macro_of(CHIPS["onn-chip"])),
    "driver of a PIM macro": lambda: PimDriver(CHIPS["pim"]),
    "PIM macro": lambda: PimMacro(pim_cases.MACROS["merged"]),
    "plastic core": lambda: PlasticCore(CORES["learns"]),
    "oscillators": lambda: OnnMacro(onn.MACROS["oscillates"]),
    "cell of phases": lambda: Phase(onn.MACROS["phases-turns"]),
    "cell of relaxation oscillators": lambda: Relaxation(onn.MACROS["oscillates"]),
    "dendritic neurons": lambda: DendriticMacro(dendritic.MACROS["dendrites"]),
    "inputs of dendritic neurons": lambda: Inputs(dendritic.MACROS["dendrites"]),
}
OWN = ("clips", "crossings", "spikes")
"""Counters of a part, which its macro names ``count_*``."""
PINS = {"request", "response", "i", "o", "tick", "busy", "clk", "rst"}


pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


@pytest.fixture(autouse=True)
def unbuilt() -> Iterator[None]:
    """Nothing here is built. Amaranth warns of that when it is thrown away, so here."""
    yield
    gc.collect()


@pytest.mark.parametrize("name", COUNTED)
def test_counters_have_64_bits(name: str) -> None:
    component = COUNTED[name]()
    counters = [n for n in component.signature.members if n.startswith("count_") or n in OWN]
    assert counters
    for counter in counters:
        assert len(Value.cast(getattr(component, counter))) == 64, counter


@pytest.mark.parametrize("name", CHIPS)
def test_a_chip_has_the_pins_of_its_banks(name: str) -> None:
    """docs/architecture.md, "Two image banks": with two there is a pin ``working``."""
    chip = CHIPS[name]
    top = (MeshTop if chip.derived.cores > 1 else ChipTop)(chip)
    assert set(top.signature.members) == (PINS | {"working"} if chip.banks == 2 else PINS)
