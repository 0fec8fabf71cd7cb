"""What a mutant may change: each chip and macro of the regression, host link, UART, wrappers.

The router has formal properties too: a copy of a packet that nobody takes changes no run.

A target has texts, which say whether a mutant changes it, and a run, which finds a difference.
Modules of ``hdl`` are imported inside functions: a mutant's process gives its own.
"""

import contextlib
import functools
import os
from collections.abc import Callable
from typing import Any

import pytest

from spikeloop.cosim.board.virtual import BoardModel
from spikeloop.cosim.macros.dendritic.model import DENDRITIC
from spikeloop.cosim.macros.onn import ONN
from spikeloop.cosim.macros.pim import PIM
from spikeloop.cosim.macros.plastic import PLASTIC
from spikeloop.cosim.verilator import chip as native
from spikeloop.cosim.verilator.build import Options, build
from spikeloop.pysim.chip.fabric import Mesh
from spikeloop.pysim.chip.params import PRESETS
from spikeloop.pysim.chip.wrap import WrapMap
from tests.campaigns.hil_faults import campaign
from tests.campaigns.regression import chip as regression
from tests.conftest import ROOT

__all__ = ["TARGETS", "built", "first_difference", "rtlil"]

BOARD, ROUTER, UART, WRAP = "board", "router", "uart", "wrap"
MACROS = {**regression.MACROS, **regression.CORES, **regression.OSCILLATORS, **regression.DENDRITES}
CHIPS = [name for name in regression.CHIPS if not name.startswith("cover")]
LARGE = "dendrites-cover"
CHEAP = (UART, *(name for name in MACROS if name != LARGE))
TARGETS = (*CHEAP, *CHIPS, LARGE, ROUTER, WRAP, BOARD)
"""The cheaper ones of a kind first."""

TINY = PRESETS["tiny"]
LINK_TESTS = ROOT / "tests" / "cosim" / "board" / "test_link.py"
TICKS_TESTS = ROOT / "tests" / "hdl" / "link" / "test_ticks.py"
PORT_TESTS = ROOT / "tests" / "hdl" / "test_ports.py"
UART_TESTS = ROOT / "tests" / "hdl" / "link" / "test_uart.py"
WRAP_PORT_TESTS = ROOT / "tests" / "hdl" / "wrap" / "test_port.py"
WRAP_TESTS = ROOT / "tests" / "cocotb" / "wrap" / "test_cores.py"
SLOW_TESTS = "waits_for_its_receiver or throws_old_events or passes_the_comparison"
OTHER_TESTS = "served or bad_ports or bad_input"  # of ports and files, which are closed here
FRAMES = 60  # faulted ones


def rtlil(name: str) -> dict[str, str]:
    """What Amaranth makes of the modules of a target, before Yosys: by the name of the top."""
    from amaranth.back import rtlil as back

    from spikeloop.hdl import verilog as writer

    texts: dict[str, str] = {}

    def convert(component: Any, name: str, **_: Any) -> str:
        texts[name] = back.convert(component, name=name, emit_src=False)
        return ""

    whole, writer.verilog.convert = writer.verilog.convert, convert
    try:
        _generate(name)
    finally:
        writer.verilog.convert = whole
    return texts


def _generate(name: str) -> None:
    from spikeloop.hdl import verilog as writer
    from spikeloop.hdl.fabric.router import Router
    from spikeloop.hdl.link.uart import UartReceiver, UartTransmitter

    if name == UART:
        for divisor in (4, 7):
            writer.convert(UartReceiver(divisor), f"receiver-{divisor}")
            writer.convert(UartTransmitter(divisor), f"transmitter-{divisor}")
    elif name == ROUTER:
        for side, place in ((2, (0, 0)), (3, (1, 1))):
            writer.convert(Router(Mesh(side, side), *place, 8), f"router-{side}")
    elif name == WRAP:
        from spikeloop.hdl.wrap.bridge import Bridge
        from tests.cocotb.wrap.cores import CORES

        for bus, (_, chip) in CORES.items():
            writer.convert(Bridge(WrapMap(chip, bus)), f"bridge-{bus}")
    elif name == BOARD:
        writer.generate_board(TINY, virtual=True)
    elif name in regression.MACROS:
        writer.generate_macro(MACROS[name])
    elif name in regression.CORES:
        writer.generate_plastic(MACROS[name])
    elif name in regression.OSCILLATORS:
        writer.generate_onn(MACROS[name])
    elif name in regression.DENDRITES:
        writer.generate_dendritic(MACROS[name])
    else:
        writer.generate(regression.CHIPS[name])


def built(name: str) -> None:
    """Build a target; errors of any tool pass."""
    if name in regression.MACROS:
        PIM.library(MACROS[name], optimise=False)
    elif name in regression.CORES:
        PLASTIC.library(MACROS[name], optimise=False)
    elif name in regression.OSCILLATORS:
        ONN.library(MACROS[name], optimise=False)
    elif name in regression.DENDRITES:
        DENDRITIC.library(MACROS[name], optimise=False)
    elif name in CHIPS:
        build(regression.CHIPS[name], Options(optimise=False))
    elif name == BOARD:
        BoardModel(TINY, optimise=False).close()
    elif name == WRAP:
        from tests.cocotb.wrap.cores import verilog

        verilog()


def first_difference(name: str) -> str | None:
    """The first difference of a built target; None for a right one."""
    native.CYCLE_LIMIT = regression.CYCLE_LIMIT
    if name == UART:
        return _failed(UART_TESTS)
    if name == ROUTER:
        return _refuted()
    if name == WRAP:
        return (
            _failed(WRAP_PORT_TESTS)  # the cheaper ones first
            or _failed(WRAP_TESTS, "-k", "wrapped_cores and icarus")
            or _failed(WRAP_TESTS, "-k", "wrapped_cores and verilator")
        )
    if name != BOARD:
        return regression._first_difference(name, Options(optimise=False)) or _misfit()
    return (
        _failed(TICKS_TESTS)
        or _failed(LINK_TESTS, "-k", f"not ({SLOW_TESTS}) and not ({OTHER_TESTS})")
        or _broken(lambda: campaign(FRAMES, 0))
        or _failed(LINK_TESTS, "-k", SLOW_TESTS, "-m", "not slow")
    )


@functools.cache
def _misfit() -> str | None:
    """The first test of ports that fails; of all targets at once, so once in a process."""
    return _failed(PORT_TESTS)


def _refuted() -> str | None:
    """The first property of a router that does not hold, of those that take seconds."""
    from tests.formal.case import run
    from tests.formal.fabric import CASES

    for case in CASES:
        if case.name in ("router-leaves", "router-stable") and run(case).verdict == "refuted":
            return f"{case} is refuted"
    return None


def _failed(path: os.PathLike[str], *options: str) -> str | None:
    """The first test of a file that fails."""
    names: list[str] = []

    class First:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                names.append(report.nodeid.rpartition("::")[2])

    quiet = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--no-header"]
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        code = pytest.main([str(path), *quiet, *options], plugins=[First()])
    if code == 0:
        return None
    return f"test {names[0]} fails" if names else f"tests end with {code!r}"


def _broken(run: Callable[[], Any]) -> str | None:
    """What a campaign of faulted frames says was lost."""
    result = run()
    lost = f"undetected {result.undetected}, lost {result.lost}, doubled {result.doubled}"
    return None if result.kept else f"faulted frames: {lost}"
