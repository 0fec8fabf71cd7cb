"""Tables 2, 3 and 7 to 11 of Zou et al. 2021 as printed, and ours beside them.

``python -m tests.pysim.mapping.zou_tables`` writes the part of docs/mapping.md that shows both. A
cell of ours is computed by pysim.mapping.periods; nothing here feeds it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cache

from spikeloop.pysim.chip.params import preset
from spikeloop.pysim.common.files import write_atomic
from spikeloop.pysim.mapping.patches import Reading
from spikeloop.pysim.mapping.periods import Periods, dense_periods
from spikeloop.pysim.mapping.published import layers
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "mapping.md"
BEGIN, END = (
    "<!-- tables: written by `python -m tests.pysim.mapping.zou_tables`, do not edit -->",
    "<!-- end of tables -->",
)

# Each row of Tables 7 and 8: layer, then of the single-, two- and four-spike model input patch,
# output patch, f, A, N, S.
TABLE_7 = """\
16C5 | 9*8*16 | 5*4*16 | 1 | 1.0 | 0.63 | 0.22 \
    | 8*6*16 | 4*2*16 | 2 | 0.67 | 1.0 | 0.35 \
    | 6*6*16 | 2*2*16 | 2 | 1.0 | 1.0 | 0.69
2P2 | 8*8*16 | 4*4*16 | 1 | 0.89 | 0.50 | 0.03 \
    | 6*6*16 | 3*3*16 | 1 | 1.0 | 0.56 | 0.06 \
    | 4*4*16 | 2*2*16 | 1 | 0.89 | 0.5 | 0.11
16C5 | 8*8*16 | 4*4*32 | 1 | 0.89 | 1.0 | 0.35 \
    | 6*6*16 | 2*2*32 | 1 | 1.0 | 0.5 | 0.35 \
    | 6*5*16 | 2*1*32 | 2 | 0.83 | 1.0 | 0.69
2P2 | 4*8*32 | 2*4*32 | 1 | 0.89 | 0.5 | 0.03 \
    | 4*4*32 | 2*2*32 | 1 | 0.89 | 0.5 | 0.06 \
    | 4*2*32 | 2*1*32 | 1 | 0.89 | 0.5 | 0.22
256FC | 4*4*32 | 1*1*256 | 1 | 0.44 | 0.5 | 0.22 \
    | 4*4*32 | 1*1*256 | 1 | 0.89 | 1.0 | 0.89 \
    | 4*4*32 | 1*1*64 | 2 | 0.89 | 1.0 | 0.89
10FC | 1*1*256 | 1*1*10 | 1 | 0.22 | 0.02 | 0.01 \
    | 1*1*256 | 1*1*10 | 1 | 0.44 | 0.04 | 0.02 \
    | 1*1*256 | 1*1*10 | 1 | 0.89 | 0.08 | 0.07
"""
TABLE_8 = """\
64C3 | 4*4*64 | 2*2*64 | 1 | 0.89 | 0.5 | 0.25 \
    | 4*3*64 | 2*1*64 | 2 | 0.67 | 1.0 | 0.5 \
    | 3*3*64 | 1*1*64 | 2 | 1.0 | 1.0 | 1.0
64C3 | 4*4*64 | 2*2*64 | 1 | 0.89 | 0.5 | 0.25 \
    | 4*3*64 | 2*1*64 | 2 | 0.67 | 1.0 | 0.5 \
    | 3*3*64 | 1*1*64 | 2 | 1.0 | 1.0 | 1.0
2P2 | 4*4*64 | 2*2*64 | 1 | 0.89 | 0.5 | 0.11 \
    | 4*2*64 | 2*1*64 | 1 | 0.89 | 0.5 | 0.22 \
    | 2*2*64 | 1*1*64 | 1 | 0.89 | 0.5 | 0.44
128C3 | 4*4*64 | 2*2*128 | 1 | 0.89 | 1.0 | 0.5 \
    | 3*3*64 | 1*1*128 | 1 | 1.0 | 0.5 | 0.5 \
    | 3*3*64 | 1*1*64 | 2 | 1.0 | 1.0 | 1.0
128C3 | 4*3*128 | 2*1*128 | 2 | 0.67 | 1.0 | 0.5 \
    | 3*3*128 | 1*1*128 | 2 | 1.0 | 1.0 | 0.5 \
    | 3*3*128 | 1*1*32 | 4 | 1.0 | 1.0 | 1.0
2P2 | 4*2*128 | 2*1*128 | 1 | 0.89 | 0.5 | 0.22 \
    | 2*2*128 | 1*1*128 | 1 | 0.89 | 0.5 | 0.44 \
    | 2*2*128 | 1*1*64 | 2 | 0.89 | 1.0 | 0.89
256C3 | 3*3*128 | 1*1*256 | 1 | 1.0 | 0.5 | 0.5 \
    | 3*3*128 | 1*1*128 | 2 | 1.0 | 1.0 | 1.0 \
    | 3*3*128 | 1*1*32 | 4 | 1.0 | 1.0 | 1.0
256C3 | 3*3*256 | 1*1*256 | 2 | 1.0 | 1.0 | 1.0 \
    | 3*3*256 | 1*1*64 | 4 | 1.0 | 1.0 | 1.0 \
    | 3*3*256 | 1*1*16 | 8 | 1.0 | 1.0 | 1.0
2P2 | 2*2*256 | 1*1*256 | 1 | 0.89 | 0.5 | 0.44 \
    | 2*2*256 | 1*1*128 | 2 | 0.89 | 1.0 | 0.89 \
    | 2*2*256 | 1*1*32 | 4 | 0.89 | 1.0 | 1.0
512C3 | 3*3*256 | 1*1*256 | 2 | 1.0 | 1.0 | 1.0 \
    | 3*3*256 | 1*1*64 | 4 | 1.0 | 1.0 | 1.0 \
    | 3*3*256 | 1*1*16 | 8 | 1.0 | 1.0 | 1.0
512C3 | 3*3*512 | 1*1*128 | 4 | 1.0 | 1.0 | 1.0 \
    | 3*3*512 | 1*1*32 | 8 | 1.0 | 1.0 | 1.0 \
    | 3*3*512 | 1*1*8 | 16 | 1.0 | 1.0 | 1.0
10FC | 1*1*512 | 1*1*10 | 1 | 0.44 | 0.02 | 0.01 \
    | 1*1*512 | 1*1*10 | 1 | 0.89 | 0.04 | 0.03 \
    | 1*1*512 | 1*1*10 | 2 | 0.89 | 0.16 | 0.14
"""
# Each row of Tables 9 and 10: layer, then cores and latency (ms) of the three models.
TABLE_9 = """\
16C5 | 36 | 0.0549 | 72 | 0.1097 | 144 | 0.1646
2P2 | 9 | 0.0549 | 16 | 0.0549 | 36 | 0.0549
16C5 | 4 | 0.0549 | 16 | 0.0549 | 32 | 0.0549
2P2 | 2 | 0.0549 | 4 | 0.0549 | 8 | 0.0549
256FC | 1 | 0.0549 | 1 | 0.0549 | 1 | 0.0549
Total | 52 | 0.2745 | 109 | 0.3293 | 221 | 0.3842
"""
TABLE_10 = """\
64C3 | 144 | 0.1646 | 288 | 0.2743 | 576 | 0.4937
64C3 | 144 | 0.1646 | 288 | 0.2743 | 576 | 0.4937
2P2 | 36 | 0.0549 | 72 | 0.1097 | 144 | 0.1646
128C3 | 36 | 0.0549 | 144 | 0.1646 | 288 | 0.2743
128C3 | 72 | 0.1097 | 144 | 0.1646 | 576 | 0.4937
2P2 | 18 | 0.0549 | 36 | 0.0549 | 72 | 0.1097
256C3 | 36 | 0.0549 | 72 | 0.1097 | 288 | 0.2743
256C3 | 36 | 0.0549 | 144 | 0.1646 | 576 | 0.4937
2P2 | 9 | 0.0549 | 18 | 0.0549 | 72 | 0.1097
512C3 | 18 | 0.0549 | 72 | 0.1097 | 288 | 0.2743
512C3 | 4 | 0.0549 | 16 | 0.0549 | 64 | 0.0549
Total | 553 | 0.8781 | 1294 | 1.5362 | 3520 | 3.2366
"""
# Table 11, the paper's own rows: frames per second, energy (mJ), frames per second and watt.
TABLE_11 = """\
Single-spike (This work) | 3642 | 0.1897 | 5271
Two-spike (This work) | 3036 | 0.2293 | 4361
Four-spike (This work) | 2602 | 0.2751 | 3635
Single-spike (This work) | 1138 | 0.6148 | 1626
Two-spike (This work) | 650 | 1.0854 | 921
Four-spike (This work) | 308 | 2.3013 | 434
"""
# Tables 2 and 3, two plans for one layer: w, h, d, w', h', d', f, cores; neuron, axon and synapse
# density in percent.
TABLE_2 = "No. 1 | 4 | 4 | 128 | 2 | 2 | 64 | 2 | 4\nNo. 2 | 4 | 2 | 128 | 2 | 1 | 256 | 1 | 2\n"
TABLE_3 = "No. 1 | 100% | 89% | 22%\nNo. 2 | 100% | 89% | 44%\n"

SPIKES = (1, 2, 4)
NETS = {
    "zou-lenet": ("LeNet", TABLE_7, TABLE_9, "7 and 9"),
    "zou-vgg": ("VGG-Net", TABLE_8, TABLE_10, "8 and 10"),
}
KINDS = ("patch", "A", "N", "S", "cores", "ms")
WORDS = {
    "patch": "patch",
    "A": "axon density",
    "N": "neuron density",
    "S": "synapse density",
    "cores": "cores",
    "ms": "latency",
}

MISPRINT = "misprint: Eq 16 of the printed patch"
COPIED = f"{MISPRINT}; the paper prints the value of the pooling layer two rows above"
TWO_TABLES = (
    "Table 7's own patch of 5*4 covers the 24*24 map in 5 * 6 = 30 cores; the 36 of Table 9 belong "
    "to a patch of 4*4, which WALK chooses: the two tables disagree"
)
FOUR_CORES = "Table 7 puts 64 of the 256 outputs on a core, which makes 4; one period either way"
FULL = (
    f"{MISPRINT}; every axon and every neuron of the core is in use, and each neuron sees all "
    "axons of its f passes"
)
NO_MORE = f"{MISPRINT}; no more synapses than axons can be in use, and A is 0.89"
WHY = {  # cell of the paper that FEWEST does not give (net, spikes, row, kind) -> why
    ("zou-lenet", 1, 0, "cores"): TWO_TABLES,
    ("zou-lenet", 4, 4, "cores"): FOUR_CORES,
    ("zou-lenet", 1, 3, "S"): COPIED,
    ("zou-lenet", 2, 3, "S"): COPIED,
    ("zou-lenet", 1, 5, "S"): f"{MISPRINT} is 10 * 256 * 2 / (1,152 * 1,024) = 0.0043",
    ("zou-vgg", 2, 4, "S"): FULL,
    ("zou-vgg", 4, 8, "S"): NO_MORE,
}
LITERAL = (
    "WALK keeps the f = 2 of the overflown 5*5 square while it shrinks it, finds no patch of fewer "
    "cores and returns to 4*4"
)
WHY_WALK = {key: why for key, why in WHY.items() if key != ("zou-lenet", 1, 0, "cores")} | {
    ("zou-lenet", 1, 0, kind): LITERAL for kind in ("patch", "A", "N", "S")
}


@dataclass(frozen=True)
class Cell:
    """One printed value and ours, both as text of the same form."""

    net: str
    spikes: int
    row: int
    kind: str
    paper: str
    ours: str

    @property
    def key(self) -> tuple[str, int, int, str]:
        return self.net, self.spikes, self.row, self.kind


def table(text: str) -> list[list[str]]:
    return [[part.strip() for part in line.split("|")] for line in text.splitlines()]


def decimals(value: float, places: int) -> str:
    """Rounded half up, as the paper prints (0.625 -> 0.63).

    The float's own error, far below a printed digit, is cut off first.
    """
    return str(Decimal(repr(round(value, 12))).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def patch_text(patch_in: str, patch_out: str, f: str) -> str:
    return f"{patch_in} → {patch_out}, f {f}"


@cache
def ours(net: str, spikes: int, reading: Reading) -> Periods:
    return dense_periods(layers(f"{net}-{spikes}"), preset("zou2021"), reading=reading)


def cells(reading: Reading = Reading.FEWEST) -> Iterator[Cell]:
    """Every cell of Tables 7 to 10 but their totals; both patches and f are one cell."""
    for net, (_, patches, cores, _) in NETS.items():
        for i, spikes in enumerate(SPIKES):
            rows = ours(net, spikes, reading).rows
            for r, (printed, row) in enumerate(zip(table(patches), rows, strict=True)):
                patch_in, patch_out, f, *densities = printed[1 + 6 * i : 7 + 6 * i]
                seen, made = ("*".join(map(str, p)) for p in (row.patch_in, row.patch_out))
                here = patch_text(seen, made, str(row.f))
                yield Cell(net, spikes, r, "patch", patch_text(patch_in, patch_out, f), here)
                shares = (row.density_axon, row.density_neuron, row.density_synapse)
                for kind, paper, share in zip("ANS", densities, shares, strict=True):
                    cell = decimals(float(paper), 2), decimals(share, 2)
                    yield Cell(net, spikes, r, kind, *cell)
            inside = [row for row in rows if row.on_chip]
            for r, (printed, row) in enumerate(zip(table(cores)[:-1], inside, strict=True)):
                yield Cell(net, spikes, r, "cores", printed[1 + 2 * i], str(row.cores))
                yield Cell(net, spikes, r, "ms", printed[2 + 2 * i], decimals(row.latency_ms, 4))


def totals(
    reading: Reading = Reading.FEWEST,
) -> Iterator[tuple[str, int, tuple[str, str, str], tuple[str, str, str]]]:
    """Net, spikes; cores, latency and whole frames per second as printed, and ours.

    The latency is the paper's sum of its ROUNDED cells.
    """
    for n, (net, (_, _, cores, _)) in enumerate(NETS.items()):
        for i, spikes in enumerate(SPIKES):
            result, printed = ours(net, spikes, reading), table(cores)[-1]
            total = sum(Decimal(decimals(row.latency_ms, 4)) for row in result.rows if row.on_chip)
            yield (
                net,
                spikes,
                (printed[1 + 2 * i], printed[2 + 2 * i], table(TABLE_11)[3 * n + i][1]),
                (str(result.totals.cores), str(total), str(int(1000 / total))),
            )


def counts(reading: Reading) -> dict[str, tuple[int, int]]:
    """Equal cells and all cells of each group."""
    groups = {
        "patch": "patches",
        "A": "densities",
        "N": "densities",
        "S": "densities",
        "cores": "cores",
        "ms": "latencies",
    }
    every, equal = Counter(), Counter()
    for cell in cells(reading):
        every[groups[cell.kind]] += 1
        equal[groups[cell.kind]] += cell.paper == cell.ours
    return {group: (equal[group], every[group]) for group in every}


# -- the page ----------------------------------------------------------------------------------


def _show(paper: str, here: str) -> str:
    return here if paper == here else f"**{here}** (paper {paper})"


def _tables() -> Iterator[str]:
    every = {cell.key: cell for cell in cells()}
    sums = {(net, spikes): (paper, here) for net, spikes, paper, here in totals()}
    for net, (_, _, _, numbers) in NETS.items():
        for spikes in SPIKES:
            yield f"### {_model(net, spikes)} (`{net}-{spikes}`; Tables {numbers})\n"
            yield "| layer | w*h*d → w'*h'*d', f | A | N | S | cores | ms |"
            yield "|---|---|---|---|---|---|---|"
            for r, row in enumerate(ours(net, spikes, Reading.FEWEST).rows):
                row_cells = [every.get((net, spikes, r, kind)) for kind in KINDS]
                shown = [_show(c.paper, c.ours) if c else "" for c in row_cells]
                yield f"| {row.name} | {' | '.join(shown)} |"
            paper, here = sums[net, spikes]
            yield f"| total | | | | | {_show(paper[0], here[0])} | {_show(paper[1], here[1])} |\n"


def _model(net: str, spikes: int) -> str:
    return f"{NETS[net][0]}, {spikes} spike{'s' if spikes > 1 else ''}"


def _differences(reading: Reading, why: dict[tuple[str, int, int, str], str]) -> Iterator[str]:
    yield "| cell | paper | ours | why |"
    yield "|---|---|---|---|"
    for cell in cells(reading):
        if cell.paper != cell.ours and cell.key in why:
            layer = layers(f"{cell.net}-{cell.spikes}")[cell.row].name
            where = f"{_model(cell.net, cell.spikes)}, row {cell.row + 1} ({layer})"
            yield f"| {where}, {WORDS[cell.kind]} | {cell.paper} | {cell.ours} | {why[cell.key]} |"
    yield ""


def section() -> str:
    """The generated part of the page, between its marks."""
    tallies = {reading: counts(reading) for reading in Reading}
    lines = ["| cells equal to the paper's | `FEWEST` (ours) | `WALK` |", "|---|---|---|"]
    for group in tallies[Reading.FEWEST]:
        shares = [f"{equal} of {every}" for equal, every in (tallies[r][group] for r in Reading)]
        lines.append(f"| {group} | {' | '.join(shares)} |")
    lines += [
        f"| cores of {_model(net, spikes)} (paper {paper[0]}) | {here[0]} | {walk[0]} |"
        for (net, spikes, paper, here), (_, _, _, walk) in zip(
            totals(), totals(Reading.WALK), strict=True
        )
    ]
    lines += [
        "",
        *_tables(),
        "### Cells that differ\n",
        *_differences(Reading.FEWEST, WHY),
        "With `WALK`, these instead of the first 16C5's cores:\n",
        *_differences(Reading.WALK, {key: why for key, why in WHY_WALK.items() if key not in WHY}),
    ]
    lines += ["### Frames per second (Table 11)\n"]
    lines += [
        "| model | latency, ms | printed | ours | latency not rounded |",
        "|---|---|---|---|---|",
    ]
    for net, spikes, paper, here in totals():
        fps = ours(net, spikes, Reading.FEWEST).totals.fps
        model = _model(net, spikes)
        lines.append(f"| {model} | {here[1]} | {paper[2]} | {here[2]} | {fps:.1f} |")
    return "\n".join([BEGIN, "", *lines, "", END])


def page() -> str:
    """docs/mapping.md as it is, with the generated part as it should be."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    return before + section() + rest.partition(END)[2]


if __name__ == "__main__":
    print(f"wrote {write_atomic(PAGE, page().encode())}")
