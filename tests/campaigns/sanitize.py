"""The native harness under AddressSanitizer and UndefinedBehaviorSanitizer.

    python -m tests.campaigns.sanitize [CHIP ...]

Model and harness (cosim/verilator/chip.cpp, samples.cpp) are compiled by g++ with both sanitizers,
in a cache of their own, and run the regression of each CHIP (tests/campaigns/regression/chip.py;
default: base, scalar, mesh). Reported are accesses outside an object, undefined operations, and
differences from pysim. ``--plant`` reads a byte behind a buffer first: the run must then fail.
"""

import contextlib
import ctypes
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from spikeloop.cosim.verilator import build
from tests.campaigns.regression import chip as regression

NAMES = ("base", "scalar", "mesh")
FLAGS = ("-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-g1")
LIBRARIES = ("libasan.so", "libubsan.so")


def main(arguments: list[str]) -> int:
    """0 if nothing was found; a line for each chip."""
    names = [name for name in arguments if not name.startswith("--")] or list(NAMES)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="spikeloop-sanitize-") as cache:
        for name in names:
            command = [sys.executable, "-m", "tests.campaigns.sanitize", "--run", name, *arguments]
            done = subprocess.run(
                command, env=_environment(cache), capture_output=True, text=True, check=False
            )
            lines = done.stderr.splitlines()
            found = [line for line in lines if "runtime error:" in line or "ERROR: Addr" in line]
            result = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
            good = done.returncode == 0 and not found and not result["different"]
            failed += not good
            text = result["different"] or "no difference" if result else f"exit {done.returncode}"
            print(f"{name}: {len(found)} reports of the sanitizers, {text}", flush=True)
            for line in found[:5] or ([] if good else lines[-5:]):
                print(f"  {line}")
    return int(failed > 0)


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


def run(name: str, plant: bool) -> None:
    """The regression of one chip in this process, with the sanitizers' flags."""
    build.COMPILE_FLAGS = (*build.COMPILE_FLAGS, *FLAGS)
    build.default_compiler = lambda: "g++"
    if plant:
        _read_behind_a_buffer()
    sys.argv = ["chip", name]
    regression.main()


def _read_behind_a_buffer() -> None:
    """One byte behind 16 of the heap, as a harness would that trusts a size it was given."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "plant.cpp", Path(folder) / "plant.so"
        source.write_text(
            '#include <cstdlib>\nextern "C" int plant(int n) {'
            "volatile char *x = (char *)malloc(16); return x[n]; }\n"
        )
        subprocess.run(
            ["g++", "-shared", "-fPIC", *FLAGS, "-o", str(library), str(source)], check=True
        )
        with contextlib.redirect_stdout(io.StringIO()):
            ctypes.CDLL(str(library)).plant(16)


if __name__ == "__main__":
    if "--run" in sys.argv:
        run(sys.argv[sys.argv.index("--run") + 1], "--plant" in sys.argv)
    else:
        sys.exit(main(sys.argv[1:]))
