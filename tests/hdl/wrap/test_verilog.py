"""The text of a wrapped chip: names and ports."""

import re

import pytest

from spikeloop.hdl.wrap.verilog import check_name
from spikeloop.pysim.common.errors import InputError
from tests.cocotb.wrap.cores import verilog


@pytest.fixture(scope="module")
def text() -> str:
    """Of the AXI core of tests/cocotb: its build is kept."""
    return verilog()[0].read_text()


def test_every_module_has_the_name_in_front(text: str) -> None:
    modules = re.findall(r"^module \\?(\S+?)[ (]", text, re.MULTILINE)
    assert modules[0] == "first" and len(modules) > 20
    assert [m for m in modules if not re.match(r"first([._]|$)", m)] == []
    assert "spikeloop_" not in text


def test_the_top_has_the_ports_of_the_standards(text: str) -> None:
    head = text[text.index("module first (") : text.index("endmodule")]
    ports = re.findall(r"^    (?:input |output) wire (?:\[\d+:0\] )?(\w+)", head, re.MULTILINE)
    lite = "awaddr awprot awvalid awready wdata wstrb wvalid wready bresp bvalid bready araddr"
    lite = f"{lite} arprot arvalid arready rdata rresp rvalid rready"
    streams = [f"{side}_axis_{p}" for side in "sm" for p in ("tdata", "tlast", "tvalid", "tready")]
    wanted = ["aclk", "aresetn", *(f"s_axi_{p}" for p in lite.split()), *streams, "busy"]
    assert ports == wanted


@pytest.mark.parametrize(
    "name", ["", "1st", "a-b", "_x", "module", "int", "spikeloop", "a" * 41, "a b"]
)
def test_a_name_that_will_not_do_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="name must be a letter"):
        check_name(name)
    assert check_name("a" * 40) and check_name("Core_7")
