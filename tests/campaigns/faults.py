"""Seeds faults into the RTL and shows that the regression catches each of them.

    python -m tests.campaigns.faults [NAME ...]        (make faults; names choose faults)

Each fault of tests/campaigns/fault_list/ is applied to a copy of ``hdl``. The chip is generated,
built and put through tests/campaigns/regression/chip.py. The fault is caught when the chip then
differs from pysim. The first difference is printed; it also proves that the fault is no equivalent
writing. A chip that no longer ends a tick is caught as well ("hang").

A fault that does not apply or does not build is an error: the list is stale. The unmutated RTL goes
through the same regression in the same run and must show no difference. The run ends with
``caught N of N``. Exit status 1: a fault survives. Exit status 2: the list is stale, or the
unmutated RTL fails.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from spikeloop.cosim.verilator.build import Options, default_compiler, runtime_of
from spikeloop.cosim.verilator.cache import cache_folder
from tests.campaigns.fault_list import FAULTS, Fault
from tests.conftest import ROOT

__all__ = ["Outcome", "check", "compiled_yosys", "environment", "plant", "run_faults", "stale"]

JOBS = int(os.environ.get("JOBS", "2"))
PYCACHE = shutil.ignore_patterns("__pycache__")
BUILD_SECONDS = 900  # for a build and a run together, on a slow machine


@dataclass(frozen=True)
class Outcome:
    """What became of one fault (None: of the unmutated RTL of ``chip``).

    ``found``: first difference, or None; ``error``: why there is no verdict.
    """

    fault: Fault | None
    chip: str
    found: str | None
    error: str | None
    seconds: float


def stale(faults: list[Fault], root: Path = ROOT) -> list[str]:
    """Why faults cannot be applied to the sources as they are."""
    reasons = []
    for fault in faults:
        count = (root / "hdl" / fault.file).read_text().count(fault.old)
        if count != 1:
            reasons.append(
                f"fault {fault.name!r} must match hdl/{fault.file} exactly once, "
                f"not {count} times: {fault.old!r}"
            )
    names = [f.name for f in faults]
    return reasons + [
        f"fault {name!r} must be listed once" for name in {n for n in names if names.count(n) > 1}
    ]


def plant(fault: Fault | None, tree: Path, base: Path = ROOT) -> Path:
    """Makes ``tree``, a copy of the tree ``base`` with ``fault`` (None: nothing) applied.

    Only ``hdl`` is really copied; the other packages are links.
    """
    tree.mkdir()
    shutil.copytree(base / "spikeloop", tree / "spikeloop", symlinks=True, ignore=PYCACHE)
    for package in ("pysim", "cosim", "golden", "tests"):
        (tree / package).symlink_to(base / package)
    shutil.copytree(base / "hdl", tree / "hdl", ignore=PYCACHE)
    if fault:
        source = tree / "hdl" / fault.file
        source.write_text(source.read_text().replace(fault.old, fault.new))
    return tree


def compiled_yosys() -> Path:
    """The folder in which wasmtime keeps what it compiled of Yosys."""
    folder = cache_folder().parent / "wasmtime"
    folder.mkdir(exist_ok=True)
    return folder


def environment(tree: Path, *, own_cache: bool) -> dict[str, str]:
    """The environment in which to run a module of ``tree``.

    With ``own_cache``, builds stay out of the user's cache. What is the same for all is taken from
    there: the simulator's own runtime, and what wasmtime compiled of Yosys.
    """
    variables = {
        **os.environ,
        "PYTHONPATH": str(tree),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    if own_cache:
        cache = tree / "cache" / "spikeloop"
        cache.mkdir(parents=True)
        runtime = runtime_of(default_compiler(), Options())[0].parent
        yosys = compiled_yosys()
        (cache / runtime.name).symlink_to(runtime)
        (cache.parent / yosys.name).symlink_to(yosys)
        variables |= {"XDG_CACHE_HOME": str(tree / "cache"), "CCACHE_DISABLE": "1"}
    return variables


def check(fault: Fault | None, chip: str, base: Path, work: Path) -> Outcome:
    """Build and run one fault (None: no fault) on a copy of the tree ``base`` inside ``work``."""
    start = time.monotonic()
    tree = plant(fault, work / (fault.name if fault else f"unmutated-{chip}"), base)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.campaigns.regression.chip", chip],
            cwd=tree,
            env=environment(tree, own_cache=bool(fault)),
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        found, error = None, None
        if done.returncode == -signal.SIGPROF and lines:
            found = "hang: the chip no longer answers"
        elif done.returncode or len(lines) < 2:
            error = f"exit {done.returncode}: {(done.stderr.strip() or 'no message')[-600:]}"
        else:
            found = lines[-1]["different"]
    except subprocess.TimeoutExpired:
        found, error = None, f"no end within {BUILD_SECONDS} s"
    shutil.rmtree(tree)
    return Outcome(fault, chip, found, error, time.monotonic() - start)


def run_faults(
    faults: list[Fault], tell: Callable[[str], None] = print, jobs: int = JOBS
) -> list[Outcome]:
    """All faults, after the unmutated RTL of each of their chips.

    Raises ValueError if the list is stale.
    """
    if reasons := stale(faults):
        raise ValueError("\n".join(reasons))
    with (
        tempfile.TemporaryDirectory(prefix="spikeloop-faults-") as name,
        ThreadPoolExecutor(jobs) as pool,
    ):
        work = Path(name)
        base = work / "base"  # one state of the sources for all, whoever edits meanwhile
        for package in ("hdl", "pysim", "cosim", "golden", "tests", "spikeloop"):
            shutil.copytree(ROOT / package, base / package, symlinks=True, ignore=PYCACHE)
        outcomes = list(
            pool.map(lambda chip: check(None, chip, base, work), sorted({f.chip for f in faults}))
        )
        for outcome in outcomes:
            verdict = outcome.error or outcome.found or "no difference"
            tell(f"unmutated RTL, chip {outcome.chip}: {verdict} ({outcome.seconds:.0f} s)")
        if any(o.found or o.error for o in outcomes):
            return outcomes
        for number, (fault, outcome) in enumerate(
            zip(faults, pool.map(lambda f: check(f, f.chip, base, work), faults), strict=True), 1
        ):
            outcomes.append(outcome)
            tell(_line(number, fault, outcome))
    return outcomes


def _line(number: int, fault: Fault, outcome: Outcome) -> str:
    verdict = "ERROR" if outcome.error else "caught" if outcome.found else "SURVIVED"
    place = f"hdl/{fault.file}, chip {outcome.chip}, {outcome.seconds:.0f} s"
    return (
        f"{number:3} {verdict:8} {fault.name} ({place}): {fault.sentence}\n"
        f"             {outcome.error or outcome.found or 'no difference'}"
    )


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - {f.name for f in FAULTS})
    if unknown:
        print(
            f"fault must be one of {', '.join(f.name for f in FAULTS)}, not {unknown[0]!r}",
            file=sys.stderr,
        )
        return 2
    start = time.monotonic()
    try:
        outcomes = run_faults(
            [f for f in FAULTS if not names or f.name in names],
            tell=lambda text: print(text, flush=True),
        )
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    mutants = [o for o in outcomes if o.fault]
    if any(o.error for o in outcomes) or not mutants:
        without = [
            o.fault.name if o.fault else f"unmutated {o.chip}"
            for o in outcomes
            if o.error or not (o.fault or mutants)
        ]
        print(f"no verdict: {', '.join(without)}", file=sys.stderr)
        return 2
    caught = sum(o.found is not None for o in mutants)
    print(
        f"{len(mutants)} faults, {time.monotonic() - start:.0f} s, {JOBS} at a time; "
        "the unmutated RTL shows no difference"
    )
    print(f"caught {caught} of {len(mutants)}")
    return 0 if caught == len(mutants) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
