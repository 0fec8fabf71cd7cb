"""The native harnesses under AddressSanitizer and UndefinedBehaviorSanitizer.

    python -m tests.campaigns.sanitize [NAME ...]      (make sanitize)

Model and harness of each NAME are compiled by g++ with both sanitizers, in a cache of their own,
and run. A name is a chip or a macro of the regression (tests/campaigns/regression/cases.py), or
"board": a board behind streams and behind its UART, with faults on the wire
(tests/campaigns/hil_faults.py). The default is NAMES: every harness of cosim, most kinds of chips.
Reported are accesses outside an object, undefined operations, and differences from pysim.

First comes a planted fault of each sanitizer. If it is not found, nothing else is run. Exit status
1: the plant is not found, or something else is.
"""

import ctypes
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from spikeloop.cosim.verilator import build
from tests.campaigns import hil_faults
from tests.campaigns.regression import chip as regression

NAMES = (
    *("base", "scalar", "banked", "pim", "states", "mesh", "onn-chip"),  # chip.cpp, samples.cpp
    *("merged", "learns", "oscillates", "dendrites"),  # a harness each in cosim/macros
    "board",  # board.cpp
)
FLAGS = ("-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g1")
LIBRARIES = ("libasan.so", "libubsan.so")
REPORTS = ("runtime error:", "ERROR: AddressSanitizer")
OF_VERILATOR = re.compile(r"/V\w+___024root\w*\.cpp:.* left shift of negative value")
"""Verilator's code shifts negative numbers left. C++20 defines that, and g++ always has."""
FRAMES = 1_000  # faulted, on the wire of the board
SLOWER = 10  # than without sanitizers, at most: the regression's alarm waits so much longer
PLANT = """#include <cstdlib>
extern "C" __attribute__((visibility("default"))) int plant(int n) {
    volatile char *x = (char *)malloc(16);
    int sum = 0x7fffffff + n;  // UBSan goes on after a report, ASan does not
    return sum + x[n];
}
"""


def main(names: list[str]) -> int:
    """0 if the plant is found and nothing else is; a line for each name."""
    failed = 0
    names = names or list(NAMES)
    with tempfile.TemporaryDirectory(prefix="spikeloop-sanitize-") as cache:
        found, _ = _reports("plant", cache)
        missed = [report for report in REPORTS if not any(report in line for line in found)]
        if missed:
            print(f"planted fault not found: no {missed[0]!r}")
            return 1
        print("a read behind a buffer and an overflow, planted: found", flush=True)
        for name in names:
            before = _processor_seconds()
            found, done = _reports(name, cache)
            excused = len(found)
            found = [line for line in found if not OF_VERILATOR.search(line)]
            excused -= len(found)
            result = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
            good = done.returncode == 0 and not found and not result["different"]
            failed += not good
            text = result["different"] or "no difference" if result else f"exit {done.returncode}"
            seconds = f"{_processor_seconds() - before:.0f} s"
            reports = f"{len(found)} reports of the sanitizers ({excused} of negative shifts)"
            print(f"{name}: {reports}, {text}, {seconds}", flush=True)
            for line in found[:5] or ([] if good else done.stderr.splitlines()[-5:]):
                print(f"  {line}")
    print(f"{len(names) - failed} of {len(names)} without a report or a difference")
    return int(failed > 0)


def _reports(name: str, cache: str) -> tuple[list[str], subprocess.CompletedProcess[str]]:
    """What the sanitizers say of a name, in a process that has them, and how it ended."""
    command = [sys.executable, "-m", "tests.campaigns.sanitize", "--run", name]
    done = subprocess.run(
        command, env=_environment(cache), capture_output=True, text=True, check=False
    )
    lines = done.stderr.splitlines()
    return [line for line in lines if any(report in line for report in REPORTS)], done


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment(cache: str) -> dict[str, str]:
    """Both runtimes before Python's own libraries; memory that Python keeps is no leak."""
    paths = [
        subprocess.run(
            ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in LIBRARIES
    ]
    return os.environ | {
        "LD_PRELOAD": ":".join(paths),
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=99",
        "UBSAN_OPTIONS": "print_stacktrace=0",
        "XDG_CACHE_HOME": cache,
        "OMP_NUM_THREADS": "1",
    }


def run(name: str) -> None:
    """The work of one name in this process, with the sanitizers' flags."""
    build.COMPILE_FLAGS = (*build.COMPILE_FLAGS, *FLAGS)
    build.default_compiler = lambda: "g++"
    if name == "plant":
        _plant()
    elif name == "board":
        result = hil_faults.campaign(FRAMES, 0)
        broken = {key: getattr(result, key) for key in ("undetected", "lost", "doubled")}
        print(json.dumps({"different": str(broken) if any(broken.values()) else None}))
    else:
        regression.SECONDS *= SLOWER
        sys.argv = ["chip", name]
        regression.main()


def _plant() -> None:
    """A sum that overflows, and a byte behind 16 of the heap: trust in a size that was given."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "plant.cpp", Path(folder) / "plant.so"
        source.write_text(PLANT)
        subprocess.run(
            ["g++", "-shared", *build.COMPILE_FLAGS, "-o", str(library), str(source)], check=True
        )
        ctypes.CDLL(str(library)).plant(16)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2])
    else:
        sys.exit(main(sys.argv[1:]))
