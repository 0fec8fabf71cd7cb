"""The campaign: so many mutated inputs of each reader, and what became of them.

It works in a folder of its own and raises an error where anything is written outside it. An input
is *refused* (one InputError sentence) or *accepted* (read, and used without an error). All else is
counted as an exception, a hang (more than SECONDS) or too much memory (more than MEMORY).
"""

import contextlib
import io
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikeloop.pysim.common.errors import InputError
from tests.campaigns.fuzz.inputs import inputs
from tests.campaigns.fuzz.mutate import Files, mutate
from tests.campaigns.fuzz.readers import Read, readers

__all__ = ["MEMORY", "SECONDS", "Row", "alone", "campaign", "table"]

SECONDS = 5  # of the processor: a busy machine is no hang
WAITING = 60
TIMERS = (
    (signal.SIGPROF, signal.ITIMER_PROF, SECONDS),
    (signal.SIGALRM, signal.ITIMER_REAL, WAITING),
)
MEMORY = 2 << 30
PROGRAMS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn")
WRITES = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.truncate")


class Hang(BaseException):
    """An input took more than SECONDS."""


@dataclass
class Row:
    """What became of the inputs of one reader. ``faults`` are sentences, at most ten."""

    reader: str
    refused: int = 0
    accepted: int = 0
    exceptions: int = 0
    hangs: int = 0
    large: int = 0
    longest: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def inputs(self) -> int:
        return self.refused + self.accepted + self.exceptions + self.hangs

    def fault(self, seed: str, what: str) -> None:
        if len(self.faults) < 10:
            self.faults.append(f"{seed}: {what}")


def campaign(count: int, seed: int, folder: Path, names: list[str] | None = None) -> list[Row]:
    """``count`` mutated inputs of each reader (default: all), made of ``seed``, in ``folder``."""
    sound, all_readers = inputs(), readers()
    rows = []
    for name in names or list(all_readers):
        row, bases = Row(name), sound[name]
        for files in bases:  # what is not mutated is accepted
            _write(folder / "input", files)
            all_readers[name](folder / "input")
        before = bases[-1]
        for number in range(count):
            r = random.Random(f"{seed} {name} {number}")
            with warnings.catch_warnings():  # of members that stand twice
                warnings.simplefilter("ignore")
                files = mutate(r, r.choice(bases))
            _write(folder / "input", files, before)
            before = files
            _one(row, f"{name} {number}", folder / "input", all_readers[name])
        rows.append(row)
        print(table([row]).splitlines()[1], file=sys.stderr, flush=True)
    return rows


def _one(row: Row, seed: str, folder: Path, read: Read) -> None:
    begun = time.process_time()
    try:
        with _limited():
            read(folder)
        row.accepted += 1
    except InputError as error:
        row.refused += 1
        if "\n" in str(error):
            row.exceptions += 1
            row.fault(seed, f"sentence of several lines: {error!r:.200}")
    except Hang:
        row.hangs += 1
        row.fault(seed, f"more than {SECONDS} s")
    except Exception as error:
        row.exceptions += 1
        frame = traceback.extract_tb(error.__traceback__)[-1]
        row.fault(seed, f"{error!r:.200} in {Path(frame.filename).name}:{frame.lineno}")
    row.longest = max(row.longest, time.process_time() - begun)
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10 > MEMORY:
        row.large += 1


def _write(folder: Path, files: Files, before: Files | None = None) -> None:
    """Write the files of an input; ``before`` are those that lie there."""
    if before is None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        before = {}
    for name in set(before) - set(files):
        (folder / name).unlink()
    for name, data in files.items():
        if before.get(name) != data:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """No input may take more than SECONDS of the processor, or wait for WAITING.

    What it prints or warns of is dropped.
    """

    def stop(*_: Any) -> None:
        raise Hang

    for number, timer, seconds in TIMERS:
        signal.signal(number, stop)
        signal.setitimer(timer, seconds)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for _, timer, _ in TIMERS:
            signal.setitimer(timer, 0)


def alone(folder: Path, *, programs: bool = False) -> None:
    """Confine this process: from now on it is an error to write outside ``folder``.

    Python tells of every open, rename, removal ... before it is done (PEP 578). ``programs``:
    others may be called, and numba may keep in __pycache__ what it compiles.
    """
    inside = str(folder.resolve())

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
            paths = [path] if isinstance(flags, int) and flags & writes else []
        elif event in WRITES:
            paths = [path for path in arguments if isinstance(path, str | bytes | os.PathLike)]
        elif not programs and event in PROGRAMS:
            raise PermissionError(f"{event} is not for an input to call")
        else:
            return
        for path in paths:
            if isinstance(path, int):
                continue
            real = os.path.abspath(os.fsdecode(path))
            if programs and "/__pycache__" in real:
                continue
            if real != os.devnull and real != inside and not real.startswith(inside + os.sep):
                raise PermissionError(f"{event} outside the campaign's folder: {real}")

    sys.addaudithook(check)


def table(rows: list[Row]) -> str:
    """Reader, inputs, and what became of them; a line a reader, and the sum."""
    total = Row("all")
    for row in rows:
        for name in ("refused", "accepted", "exceptions", "hangs", "large"):
            setattr(total, name, getattr(total, name) + getattr(row, name))
        total.longest = max(total.longest, row.longest)
    head = f"{'reader':12s} {'inputs':>8s} {'refused':>8s} {'accepted':>8s} {'exceptions':>10s}"
    lines = [f"{head} {'hangs':>5s} {'> 2 GiB':>7s} {'longest':>8s}"]
    for row in [*rows, total]:
        lines.append(
            f"{row.reader:12s} {row.inputs:8,d} {row.refused:8,d} {row.accepted:8,d} "
            f"{row.exceptions:10,d} {row.hangs:5,d} {row.large:7,d} {row.longest:6.2f} s"
        )
    return "\n".join(lines)
