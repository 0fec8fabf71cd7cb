"""One mutant in a process of its own: it is forked, so that nothing is imported twice.

The process imports ``hdl`` anew, with one module's source replaced. It may write into its own
folder alone, where its builds lie, and may take SECONDS of the processor for a regression.
"""

import ast
import gc
import hashlib
import importlib.abc
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikeloop.cosim.verilator.build import Options, default_compiler, runtime_of
from tests.campaigns.faults import compiled_yosys
from tests.campaigns.fuzz.campaign import alone
from tests.campaigns.mutants.equality import equal
from tests.campaigns.mutants.sites import Mutant
from tests.campaigns.mutants.targets import built, first_difference, rtlil
from tests.conftest import ROOT

__all__ = ["Baseline", "baseline", "control", "judge", "proved", "sources"]

HDL = "spikeloop.hdl."
KEPT = ("spikeloop.hdl.names",)
SECONDS = 60  # of the processor, of a regression; a program that it starts may take as much again
RUNS = 3  # targets that a mutant survives before it is worth a proof
WAITING = 1800  # of the clock, of a mutant
MEMORY = 6 << 30

Baseline = dict[str, dict[str, Any]]
"""By target, the cheaper ones first: ``digest`` of its texts, ``functions`` that make them."""


def sources() -> dict[str, str]:
    """By file of ``hdl``: its source."""
    root = ROOT / "hdl"
    return {str(path.relative_to(root)): path.read_text() for path in sorted(root.rglob("*.py"))}


# -- in a process of its own ---------------------------------------------------------------------


def forked(work: Path, task: Callable[[Callable[[dict[str, Any]], None]], None]) -> dict[str, Any]:
    """What ``task`` told, in a process that has ``work`` to itself; ``end`` is how it ended."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "cache" / "spikeloop").mkdir(parents=True)
    for source in (runtime_of(default_compiler(), Options())[0].parent, compiled_yosys()):
        target = work / "cache" / ("spikeloop" if source.name.startswith("runtime") else "")
        (target / source.name).symlink_to(source)
    told = work / "told"
    told.touch()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            _settle(work)
            alone(work, programs=True)
            with told.open("a", buffering=1) as file:
                task(lambda values: print(json.dumps(values), file=file, flush=True))
            os._exit(0)
        except BaseException:
            (work / "error").write_text(traceback.format_exc())
            os._exit(1)
    end = _waited(child)
    result: dict[str, Any] = {}
    for line in told.read_text().splitlines():
        result |= json.loads(line)
    error = work / "error"
    result |= {"end": end, "error": error.read_text() if error.exists() else ""}
    shutil.rmtree(work, ignore_errors=True)
    return result


def _waited(child: int) -> str:
    """How a process ended: "0", "1", "SIGPROF", "late" ..."""
    limit = time.monotonic() + WAITING
    while time.monotonic() < limit:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return signal.Signals(-code).name if code < 0 else str(code)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "late"


def _settle(work: Path) -> None:
    os.chdir(work)
    os.environ |= {"XDG_CACHE_HOME": str(work / "cache"), "TMPDIR": str(work)}
    os.environ |= {"CCACHE_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    tempfile.tempdir, sys.dont_write_bytecode = str(work), True
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (2 * SECONDS, 2 * SECONDS))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    gc.disable()


class _Marks(ast.NodeTransformer):
    """Lets every function say that it is called: ``_called(its first line)``."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        line = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        node.body.insert(0, ast.parse(f"_called({line})").body[0])
        return node


class _Given(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives modules of ``hdl`` these sources, whatever lies on the disk.

    called: takes in file and first line of every function that is called, 1 for a module.
    """

    def __init__(self, texts: dict[str, str], called: set[tuple[str, int]] | None = None):
        self.called = called
        self.texts = {
            HDL + file.removesuffix(".py").replace("/", "."): (file, text)
            for file, text in texts.items()
            if not file.endswith("__init__.py")
        }

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        if fullname not in self.texts or fullname in KEPT:
            return None
        origin = str(ROOT / "hdl" / self.texts[fullname][0])
        return importlib.util.spec_from_loader(fullname, self, origin=origin)

    def exec_module(self, module: Any) -> None:
        file, text = self.texts[module.__name__]
        if (called := self.called) is not None:
            called.add((file, 1))
            module._called = lambda line: called.add((file, line))
            marked = ast.fix_missing_locations(_Marks().visit(ast.parse(text)))
            exec(compile(marked, str(ROOT / "hdl" / file), "exec"), module.__dict__)
            return
        exec(compile(text, str(ROOT / "hdl" / file), "exec"), module.__dict__)


def _give(texts: dict[str, str], called: set[tuple[str, int]] | None = None) -> None:
    """Forget what the process before the fork imported of ``hdl``, and tests that hold it."""
    for name in list(sys.modules):
        before, _, last = name.rpartition(".")
        if (name.startswith(HDL) and name not in KEPT) or last.startswith("test_"):
            del sys.modules[name]
            if hasattr(sys.modules.get(before), last):
                delattr(sys.modules[before], last)
    sys.meta_path.insert(0, _Given(texts, called))


def digest_of(texts: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()


# -- what a process does -------------------------------------------------------------------------


def baseline(work: Path, texts: dict[str, str], target: str) -> dict[str, Any]:
    """Of the unmutated sources: the digest of their texts, the functions that make them."""

    def task(tell: Callable[[dict[str, Any]], None]) -> None:
        functions: set[tuple[str, int]] = set()
        _give(texts, functions)
        digest = digest_of(rtlil(target))
        tell({"digest": digest, "functions": sorted(functions)})

    return forked(work, task)


def control(work: Path, texts: dict[str, str], target: str) -> dict[str, Any]:
    """Build and run of an unmutated target: ``different``, and the ``seconds`` it took."""

    def task(tell: Callable[[dict[str, Any]], None]) -> None:
        _give(texts)
        start = time.process_time()
        built(target)
        tell({"different": first_difference(target)})
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        tell({"seconds": round(time.process_time() - start + children, 1)})

    return forked(work, task)


def judge(
    work: Path, texts: dict[str, str], mutant: Mutant, base: Baseline, *, argued: bool = False
) -> dict[str, Any]:
    """What became of a mutant: ``verdict``, the ``target`` that said so, ``why``, and ``ran``:
    the targets that it changes and that were run.

    killed: a target's texts change, and its run finds a difference, hangs or breaks off.
    build: no text, or none that builds. same: no target's text changes. proved: RUNS targets, or
    all that it changes, find nothing, and a proof makes it equal on all. survived: there is no
    proof, and no run finds anything. Nothing is proved of a mutant that is ``argued`` to be equal.
    """
    place = (mutant.file, mutant.function[1])
    reached = [name for name in base if list(place) in base[name]["functions"]]
    changed: list[str] = []
    seconds, why = 0.0, None
    for target in reached:
        result = _one(work, texts, mutant, target, base[target]["digest"])
        seconds += result.get("seconds", 0.0)
        stage, end = result.get("stage", ""), result["end"]
        last = (result["error"].strip().splitlines() or [""])[-1][:200]
        if stage == "same":
            continue
        verdict = None
        if end == "late" or "PermissionError" in last:
            verdict, why = "late", last or f"no end within {WAITING} s"
        elif stage in ("", "changed"):
            verdict, why = "build", last or end
        elif end != "0":
            verdict, why = "killed", "hang" if end == "SIGPROF" else last or end
        elif result["different"]:
            verdict, why = "killed", result["different"][:200]
        if verdict:
            ran = [*changed, *([target] if verdict == "killed" else [])]
            told = {"verdict": verdict, "target": target, "why": why}
            return {**told, "ran": ran, "seconds": round(seconds, 1)}
        changed.append(target)
        if len(changed) == RUNS and not argued:
            why, spent = proved(work, texts, mutant, reached)
            seconds += spent
            if why:
                break
    if 0 < len(changed) < RUNS and not argued:
        why, spent = proved(work, texts, mutant, changed)
        seconds += spent
    if why:
        told = {"verdict": "proved", "target": "", "why": why}
    elif changed:
        told = {"verdict": "survived", "target": "", "why": ", ".join(changed)}
    else:
        told = {"verdict": "same", "target": "", "why": f"{len(reached)}"}
    return {**told, "ran": changed, "seconds": round(seconds, 1)}


def proved(
    work: Path, texts: dict[str, str], mutant: Mutant, targets: list[str]
) -> tuple[str | None, float]:
    """How a mutant is proved equal on every one of ``targets``; None if it is not on one. And the
    seconds of the processor that it took."""
    told, seconds = [], 0.0
    for target in targets:

        def task(tell: Callable[[dict[str, Any]], None], target: str = target) -> None:
            _give(texts)
            before = rtlil(target)
            _give(texts | {mutant.file: mutant.applied(texts[mutant.file])})
            how = equal(before, rtlil(target))
            spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime + time.process_time()
            tell({"how": how, "seconds": spent})

        result = forked(work, task)
        seconds += result.get("seconds", 0.0)
        if not result.get("how"):
            return None, seconds
        told.append(f"{target}: {result['how']}")
    return "; ".join(told)[:500], seconds


def _one(
    work: Path, texts: dict[str, str], mutant: Mutant, target: str, digest: str
) -> dict[str, Any]:
    def task(tell: Callable[[dict[str, Any]], None]) -> None:
        start = time.process_time()

        def spent() -> dict[str, float]:
            children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
            return {"seconds": round(time.process_time() - start + children, 1)}

        _give(texts | {mutant.file: mutant.applied(texts[mutant.file])})
        changed = digest_of(rtlil(target)) != digest
        tell({"stage": "changed" if changed else "same", **spent()})
        if not changed:
            return
        built(target)
        tell({"stage": "built", **spent()})
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        different = first_difference(target)
        signal.setitimer(signal.ITIMER_PROF, 0)
        tell({"different": different, **spent()})

    return forked(work, task)
