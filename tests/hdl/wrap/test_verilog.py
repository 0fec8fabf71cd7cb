"""The text of a wrapped chip: names, ports, and the chip that every comparison runs."""

import re

import pytest

from spikeloop.hdl.names import CHIP_TOP
from spikeloop.hdl.verilog import generate
from spikeloop.hdl.wrap.verilog import check_name, generate_wrapped
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError

CHIP = Chip(axons=8, columns=8, lanes=4, membrane_bits=8, bounded=False, roundings=False, banks=2)


@pytest.fixture(scope="module")
def text() -> str:
    return generate_wrapped(CHIP, "axi", "mine")


def test_every_module_has_the_name_in_front(text: str) -> None:
    modules = re.findall(r"^module \\?(\S+?)[ (]", text, re.MULTILINE)
    assert modules[0] == "mine" and len(modules) > 20
    assert [m for m in modules if not re.match(r"mine([._]|$)", m)] == []
    assert "spikeloop_" not in text


def test_the_chip_is_the_one_of_every_comparison(text: str) -> None:
    """But for the names of its modules."""
    chip = re.sub(rf"^module {CHIP_TOP}\(", "module mine_chip(", generate(CHIP), flags=re.MULTILINE)
    chip = chip.replace(f"\\{CHIP_TOP}.", "\\mine_chip.").replace("spikeloop_", "mine_")
    assert chip in text


def test_the_top_has_the_ports_of_the_standards(text: str) -> None:
    head = text[text.index("module mine (") : text.index("endmodule")]
    ports = re.findall(r"^    (?:input |output) wire (?:\[\d+:0\] )?(\w+)", head, re.MULTILINE)
    lite = "awaddr awprot awvalid awready wdata wstrb wvalid wready bresp bvalid bready araddr"
    lite = f"{lite} arprot arvalid arready rdata rresp rvalid rready"
    streams = [f"{side}_axis_{p}" for side in "sm" for p in ("tdata", "tlast", "tvalid", "tready")]
    wanted = ["aclk", "aresetn", *(f"s_axi_{p}" for p in lite.split()), *streams, "busy"]
    assert ports == wanted
    assert ".working()" in head  # of a chip of two banks


@pytest.mark.parametrize("name", ["", "1st", "a-b", "_x", "module", "int", "a" * 41, "a b"])
def test_a_name_that_will_not_do_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="name must be a letter"):
        check_name(name)
    assert check_name("a" * 40) and check_name("Core_7")
