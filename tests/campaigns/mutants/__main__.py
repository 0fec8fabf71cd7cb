"""``python -m tests.campaigns.mutants [N [SEED [JOURNAL]]]``: N random mutants of ``hdl``.

A kind of mutant is drawn at random, then one of its mutants. N is how many, 300 by default, or a
part of the draw, such as 301-600. Every target whose elaboration calls the mutated function makes
its text. Where the text changes, the target is built and run until one run kills the mutant. No
verdict counts before the unmutated target has run without a difference.

JOURNAL (default build/mutants.jsonl) holds a line per mutant. A mutant of the same file's source is
not run again, unless it lives and nobody argues why. A mutant that no run kills is proved equal
(tests/campaigns/mutants/equality.py) or argued to be (equivalents.py). The proof comes after three
runs, and saves those that are left. Exit status 1: a mutant is neither killed nor equal. Exit
status 2: an unmutated target differs.
"""

import hashlib
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn, TextIO

from tests.campaigns.mutants.equivalents import argument
from tests.campaigns.mutants.sites import KINDS, Mutant, mutants
from tests.campaigns.mutants.targets import TARGETS
from tests.campaigns.mutants.worker import Baseline, baseline, control, judge, sources
from tests.conftest import ROOT

__all__ = ["draw", "run", "table"]

JOBS = int(os.environ.get("JOBS", "2"))
TEXT = ("names.py", "verilog.py")
"""Files that write text and make no hardware."""
VERDICTS = ("killed", "proved", "equivalent", "same", "build", "survived", "late")


def draw(count: int, seed: int) -> list[Mutant]:
    """The first ``count`` of a random order of all mutants, the kinds in turn at random."""
    chance, texts = random.Random(seed), sources()
    every = [one for file in texts if file not in TEXT for one in mutants(ROOT / "hdl", file)]
    heaps = {kind: [one for one in every if one.kind == kind] for kind in KINDS}
    for heap in heaps.values():
        chance.shuffle(heap)
    chosen: list[Mutant] = []
    while len(chosen) < count and any(heaps.values()):
        chosen.append(heaps[chance.choice([k for k in KINDS if heaps[k]])].pop())
    return chosen


def run(chosen: list[Mutant], journal: Path) -> list[dict[str, Any]]:
    """A row per mutant. The process ends with status 2 if an unmutated target differs."""
    texts = sources()
    state = hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()[:16]
    journal.parent.mkdir(parents=True, exist_ok=True)
    kept = _kept(journal)
    rows: dict[Mutant, dict[str, Any]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="spikeloop-mutants-") as name,
        ThreadPoolExecutor(JOBS) as pool,
        journal.open("a") as file,
    ):
        book = _Unmutated(Path(name), texts, state, kept, file)

        def one(number: int, mutant: Mutant) -> dict[str, Any]:
            key = hashlib.sha256(mutant.applied(texts[mutant.file]).encode()).hexdigest()[:16]
            row = kept.get(f"{mutant.file} {key}")
            why = argument(mutant, texts[mutant.file])
            if row is None or (row["verdict"] in ("survived", "late") and not why):
                work = Path(name) / str(number)
                row = judge(work, texts, mutant, book.base, argued=bool(why))
                for target in row["ran"]:
                    book.check(target)
                row = {"key": f"{mutant.file} {key}", "kind": mutant.kind, **row}
                file.write(json.dumps({"name": mutant.name, **row}) + "\n")
                file.flush()
            if row["verdict"] == "survived" and why:
                row = {**row, "verdict": "equivalent", "why": why}
            return {"file": mutant.file, "name": mutant.name, **row}

        for number, row in enumerate(pool.map(one, range(len(chosen)), chosen), 1):
            rows[chosen[number - 1]] = row
            told = f"{row['target']}: {row['why']}" if row["target"] else row["why"]
            print(f"{number:4} {row['verdict']:10} {row['name']} ({told})", flush=True)
    return list(rows.values())


def _kept(journal: Path) -> dict[str, dict[str, Any]]:
    """The last line of each key; a line that was cut short is left out."""
    kept = {}
    for line in journal.read_text().splitlines() if journal.exists() else ():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        kept[row["key"]] = row
    return kept


class _Unmutated:
    """The unmutated targets: ``base``, and a run of each that a mutant was run on."""

    def __init__(
        self, work: Path, texts: dict[str, str], state: str, kept: dict[str, Any], file: TextIO
    ) -> None:
        self.work, self.texts, self.state, self.kept, self.file = work, texts, state, kept, file
        self.lock = threading.Lock()
        self.base: Baseline = {target: self._row("texts", baseline, target) for target in TARGETS}

    def check(self, target: str) -> None:
        """Ends the process with status 2 if it differs."""
        with self.lock:
            new = f"run {self.state} {target}" not in self.kept
            row = self._row("run", control, target)
            if row["different"]:
                self._stop(target, row["different"])
            if new:
                print(f"unmutated {target}: no difference ({row['seconds']} s)", flush=True)

    def _row(self, what: str, make: Callable[..., dict[str, Any]], target: str) -> dict[str, Any]:
        key = f"{what} {self.state} {target}"
        if key not in self.kept:
            row = {"key": key, **make(self.work / f"unmutated-{target}", self.texts, target)}
            if row["end"] != "0":
                self._stop(target, row["error"] or row["end"])
            self.kept[key] = row
            self.file.write(json.dumps(row) + "\n")
            self.file.flush()
        return self.kept[key]

    def _stop(self, target: str, why: str) -> NoReturn:
        print(f"unmutated {target}: {why}", file=sys.stderr, flush=True)
        sys.exit(2)


def table(rows: list[dict[str, Any]]) -> str:
    """A line per file: how many mutants, and what became of them."""
    lines = [f"{'hdl/':28s} {'mutants':>8s} " + " ".join(f"{v:>10s}" for v in VERDICTS)]
    files = sorted({row["file"] for row in rows})
    for name in [*files, "all"]:
        counts = Counter(row["verdict"] for row in rows if name in (row["file"], "all"))
        numbers = " ".join(f"{counts[verdict]:10,d}" for verdict in VERDICTS)
        lines.append(f"{name:28s} {counts.total():8,d} {numbers}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    first, _, last = (arguments[0] if arguments else "300").replace(",", "").rpartition("-")
    seed = int(arguments[1]) if len(arguments) > 1 else 0
    journal = Path(arguments[2]) if len(arguments) > 2 else ROOT / "build" / "mutants.jsonl"
    start = time.monotonic()
    rows = run(draw(int(last), seed)[int(first or 1) - 1 :], journal)
    print(table(rows))
    left = [row for row in rows if row["verdict"] in ("survived", "late")]
    killed = sum(row["verdict"] == "killed" for row in rows)
    equal = sum(row["verdict"] in ("proved", "equivalent", "same") for row in rows)
    print(
        f"{len(rows)} mutants of seed {seed}: {killed} killed, {equal} equivalent, "
        f"{len(rows) - killed - equal - len(left)} do not build, {len(left)} left; "
        f"{time.monotonic() - start:.0f} s, {JOBS} at a time"
    )
    for row in left:
        print(f"{row['verdict']}: {row['name']} (changes {row['why']})")
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
