"""Line, toggle and functional coverage of the RTL, on tests/campaigns/regression/chip.py.

    python -m tests.campaigns.coverage [CHIP ...]      (make coverage)

The regression runs on the chips "cover" and "cover-states", or those named, and is compared with
pysim. Meanwhile these are counted:

    line        every statement and branch of the generated Verilog, by Verilator: at least 95 %
    toggle      every bit of every signal in both directions, by Verilator: at least 90 %
    functional  the corners of the contract that the same stimuli meet, by
                tests/campaigns/functional_bins.py: each at least 100 times

Macros come after the chips: "plastic", "dendritic", "onn-relaxation" and "onn-phase"
(tests/campaigns/macros/*_coverage.py).

What cannot be reached is excluded by :func:`exclusions`, with its reason, and counted. Exit status
1: below a target. Exit status 2: the RTL differs from pysim.
"""

import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from spikeloop.cosim.verilator import chip as native
from spikeloop.cosim.verilator.build import Options, verilog_of
from spikeloop.cosim.verilator.chip import ChipModel
from spikeloop.pysim.chip.memory_map import COUNTERS, MemoryMap
from spikeloop.pysim.chip.params import Chip
from tests.campaigns import functional_bins
from tests.campaigns.regression.cases import CHIPS, cases
from tests.campaigns.regression.chip import CYCLE_LIMIT, differences

__all__ = ["Exclusion", "Point", "always", "bins", "exclusions", "failed", "points", "report"]

NAMES = ("cover", "cover-states")
NETWORKS = 240
LINE, TOGGLE, HITS = 95.0, 90.0, 100
COUNTED_BITS = 20  # of a 64-bit counter: the regression runs about 2^21 cycles


@dataclass(frozen=True)
class Point:
    """One thing that Verilator counts.

    kind: line or toggle.
    where: the instance.
    name: of the signal; of a line its kind, such as if or else.
    bit: of the signal; of a line 0.
    text: the line of Verilog on which it stands.
    hits: how often.
    """

    kind: str
    where: str
    name: str
    bit: int
    text: str
    hits: int

    @property
    def memory(self) -> str:
        """Name of the memory whose primitive this is, or empty."""
        found = re.search(r"(\w+)_memory\.ram$", self.where)
        return found[1] if found else ""


@dataclass(frozen=True)
class Exclusion:
    """Points that cannot be reached, and why."""

    reason: str
    excludes: Callable[[Point], bool]


def always() -> list[Exclusion]:
    """What cannot be reached in any Verilog of ours."""
    return [
        Exclusion(
            "`if (constant) begin end` and its constant, which the Verilog writer puts into every "
            "always block: it never acts",
            lambda p: (
                p.name.startswith("$auto$verilog_backend")
                or (p.name == "if" and "$auto$verilog_backend" in p.text)
            ),
        ),
        Exclusion(
            "memories filled from +NAME=FILE at time 0: Icarus and users' benches do that, "
            "the native harness fills them directly",
            lambda p: (
                (p.name == "if" and "$readmemh" in p.text) or (bool(p.memory) and p.name == "file")
            ),
        ),
    ]


def exclusions(chip: Chip) -> list[Exclusion]:
    """What cannot be reached on ``chip``."""
    table = MemoryMap(chip)
    widths = {name: memory.width for name, memory in table.memories.items()}
    widths["events"] = 1 + chip.derived.axon_bits
    loaded = [m.name for m in table.loaded]
    narrow = {
        "stalls": 1,
        "spikes_in": 1,
        "spikes_out": 1,
        "dropped": 1,
        "ticks": 1,
        "saturations": chip.lanes.bit_length(),
        "sops": chip.columns.bit_length(),
        "slots": 0,
    }  # bits of what one cycle adds; slots: always 0 or columns / f

    return [
        *always(),
        Exclusion(
            "whole-word writes of memories that only the load port writes "
            f"({', '.join(loaded)}): tied to 0",
            lambda p: (
                p.memory in loaded
                and (
                    p.name in ("wen", "waddr", "wdata")
                    or (p.name == "elsif" and "if (wen)" in p.text)
                )
            ),
        ),
        Exclusion(
            "chunk writes of memories that the load port does not write (spikes, events): "
            "tied to 0",
            lambda p: (
                p.memory in ("spikes", "events")
                and (
                    p.name in ("cen", "caddr", "cdata", "cindex")
                    or (p.name == "if" and "(cen)" in p.text)
                )
            ),
        ),
        Exclusion(
            "reading 0 instead of a row (rzero) in memories other than synapse: tied to 0",
            lambda p: (
                bool(p.memory)
                and p.memory != "synapse"
                and (p.name == "rzero" or (p.name == "cond_then" and "rzero" in p.text))
            ),
        ),
        Exclusion(
            "bits of a memory row beyond its width: padding to whole chunks",
            lambda p: (
                p.kind == "toggle"
                and p.memory in widths
                and p.name in ("mem", "q")
                and p.bit >= widths[p.memory]
            ),
        ),
        Exclusion(
            f"bits {COUNTED_BITS} to 63 of the counters: "
            f"the regression runs some 2^{COUNTED_BITS} cycles",
            lambda p: (
                p.kind == "toggle"
                and p.bit >= COUNTED_BITS
                and (
                    re.match(rf"count_({'|'.join(COUNTERS)})\b", p.name) is not None
                    or p.where.endswith("core.counters")
                )
            ),
        ),
        Exclusion(
            "bits of what one cycle adds to a counter that no cycle can add",
            lambda p: (
                p.kind == "toggle"
                and (m := re.match(r"add_(\w+?)(_\$\d+)?$", p.name)) is not None
                and p.bit >= narrow[m[1]]
                and not (
                    m[1] == "slots"
                    and chip.columns >> chip.derived.extensions <= 1 << p.bit <= chip.columns
                )
            ),
        ),
        Exclusion(
            f"positions {chip.lanes} to 63 of a chunk of spikes: this chip's words have "
            f"{chip.lanes} lanes (70 in a chip of make faults)",
            lambda p: (
                p.kind == "toggle"
                and p.bit >= chip.lanes
                and (
                    "spike_scanner" in p.where
                    or (p.memory or p.where.rpartition(".")[2]) in ("spikes", "spikes_memory")
                )
            ),
        ),
    ]


def points(data: Path, verilog: Path) -> Iterator[Point]:
    """The points of a coverage file.

    Format: ``C '<fields>' count``, fields separated by \\x01, each ``key \\x02 value``.
    """
    lines = verilog.read_text().splitlines()
    for row in data.read_text(encoding="latin1").splitlines():
        if not row.startswith("C '"):
            continue
        key, _, hits = row[3:].rpartition("' ")
        fields = dict(part.split("\x02", 1) for part in key.split("\x01") if part)
        kind = "toggle" if fields["page"].startswith("v_toggle") else "line"
        name, bit = re.sub(r"__0([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), fields["o"]), 0
        if kind == "toggle":
            name = name.rpartition(":")[0]
            if index := re.search(r"\[(\d+)\]$", name):
                name, bit = re.sub(r"(\[\d+\])+$", "", name), int(index[1])
        yield Point(
            kind,
            fields["h"].removeprefix("chip."),
            name,
            bit,
            lines[int(fields["l"]) - 1].strip(),
            int(hits),
        )


def _table(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    print(f"\n{title}")
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    for row in rows:
        print(
            "  "
            + "  ".join([*(cell.rjust(w) for cell, w in zip(row, widths, strict=False)), row[-1]])
        )


def _of_regression(chip: Chip, folder: Path) -> tuple[list[Point], list[str]]:
    """Run the regression on an instrumented build: its points, its differences."""
    native.CYCLE_LIMIT = CYCLE_LIMIT
    model = ChipModel(chip, Options(coverage=True, optimise=False, direct=False))
    found = list(differences(model, chip, NETWORKS))
    model.coverage(folder / "coverage.dat")
    model.close()
    return list(points(folder / "coverage.dat", verilog_of(chip))), found


def main(names: Sequence[str]) -> int:
    """The coverage of each chip and macro; the worst exit status."""
    from tests.campaigns.macros import dendritic_coverage, onn_coverage, plastic_coverage

    macros = {"plastic": plastic_coverage.cover, "dendritic": dendritic_coverage.cover}
    macros |= {name: partial(onn_coverage.cover, name) for name in onn_coverage.MACROS}
    return max(
        macros[name]() if name in macros else _cover(CHIPS[name])
        for name in names or (*NAMES, *macros)
    )


def failed(different: Sequence[str]) -> bool:
    """Says in what RTL and pysim differ, if they do."""
    for text in different[:5]:
        print(text, file=sys.stderr)
    if different:
        print(
            f"the RTL differs from pysim in {len(different)} places: "
            "coverage of a wrong chip says nothing",
            file=sys.stderr,
        )
    return bool(different)


def report(what: str, found: Sequence[Point], excluding: Sequence[Exclusion]) -> list[str]:
    """Prints the coverage of ``what`` without what is excluded; the kinds below their target."""
    excluded, kept = Counter[int](), []
    hit_anyway = Counter[int]()
    for point in found:
        reason = next((i for i, e in enumerate(excluding) if e.excludes(point)), None)
        if reason is None:
            kept.append(point)
        else:
            excluded[reason] += 1
            hit_anyway[reason] += point.hits > 0
    _table(
        "excluded points (of them hit all the same) and why",
        [(f"{excluded[i]:,}", f"({hit_anyway[i]:,})", e.reason) for i, e in enumerate(excluding)],
    )

    below = []
    rows = [("", "points", "hit", "share", "target", "")]
    for kind, target in (("line", LINE), ("toggle", TOGGLE)):
        mine = [p for p in kept if p.kind == kind]
        hit = sum(p.hits > 0 for p in mine)
        share = 100 * hit / len(mine)
        rows.append(
            (
                kind,
                f"{len(mine):,}",
                f"{hit:,}",
                f"{share:.1f} %",
                f"{target:.0f} %",
                "" if share >= target else "BELOW",
            )
        )
        below += [kind] if share < target else []
    _table(f"coverage of the generated Verilog, {what}", rows)
    missed = Counter(
        (p.where, p.name if p.kind == "toggle" else p.text[:80], p.kind) for p in kept if not p.hits
    )
    if "-v" in sys.argv:
        _table(
            "not hit",
            [(f"{n:,}", kind, where, name) for (where, name, kind), n in missed.most_common(150)],
        )
    return below


def bins(met: Counter[str], names: Sequence[str]) -> list[str]:
    """Prints how often the bins were met; those below the target."""
    _table(
        f"functional bins, each to be met {HITS} times",
        [(f"{met[n]:,}", n + ("" if met[n] >= HITS else "  BELOW")) for n in names],
    )
    return [n for n in names if met[n] < HITS]


def _cover(chip: Chip) -> int:
    start, excluding = time.monotonic(), exclusions(chip)
    with tempfile.TemporaryDirectory(prefix="spikeloop-coverage-") as folder:
        found, different = _of_regression(chip, Path(folder))
    if failed(different):
        return 2
    below = report(f"chip {chip}", found, excluding)
    met = Counter[str]()
    for case in cases(chip, NETWORKS):
        met += functional_bins.count(case)
    below += bins(met, functional_bins.bin_names(chip))
    seconds = time.monotonic() - start
    print(f"\n{NETWORKS} random networks, {seconds:.0f} s; the RTL shows no difference")
    print(f"below target: {', '.join(below)}" if below else "all targets met")
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main([name for name in sys.argv[1:] if name != "-v"]))
