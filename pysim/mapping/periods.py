"""Dense periods of the paper: patches, cores, densities, periods and latency of a net's layers.

This is the reading of Zou et al. 2021, section 4.4, and not what the mapper does. Each layer lies
on cores of its own, layer after layer on a mesh of 8 x 8 cores; one pass of all cores is a period.
A layer of N cores takes ceil(N / 64) periods a tick (the mesh is reloaded between them), each of
``axons x words`` cycles: 1,152 x 12 = 13,824 on ``zou2021``. The paper does not print that number;
it follows from its latencies at 252 MHz and from its 21.5 GSOPs.

What the mapper does with a network is counted by pysim/cost/figures.py.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from spikeloop.pysim.chip.params import Chip, clock_of
from spikeloop.pysim.mapping.features import Reason, check_features
from spikeloop.pysim.mapping.layers import network_layers, usable_columns
from spikeloop.pysim.mapping.patches import Layer, Patch, Reading, find
from spikeloop.pysim.network.graph import Network

__all__ = ["MESH_CORES", "Periods", "Row", "Totals", "dense_periods", "period_cycles"]

MESH_CORES = 8 * 8


@dataclass(frozen=True, kw_only=True)
class Row:
    """One layer.

    Patches are (width, height, channels), as the paper prints them: ``patch_in`` of the first
    source, ``patches_in`` of every source. ``f`` is the axon extension. ``axons`` (lines of all f
    passes) and ``columns`` are those in use on one core. The densities are shares, 0..1 (Eqs 14 to
    16). ``ticks`` are the steps of one sample, ``periods`` those of one tick, ``latency_ms`` is of
    ticks * periods. A layer that is not ``on_chip`` belongs to no total.
    """

    name: str
    patch_in: tuple[int, int, int]
    patches_in: tuple[tuple[int, int, int], ...]
    patch_out: tuple[int, int, int]
    f: int
    cores: int
    axons: int
    columns: int
    density_axon: float
    density_neuron: float
    density_synapse: float
    ticks: int
    periods: int
    latency_ms: float
    on_chip: bool

    def cells(self) -> list[str]:
        """The row of the table for people."""
        return [
            "*".join(map(str, self.patch_in)),
            "*".join(map(str, self.patch_out)),
            str(self.f),
            f"{self.cores:,}",
            f"{self.axons:,}",
            f"{self.columns:,}",
            f"{self.density_axon:.2f}",
            f"{self.density_neuron:.2f}",
            f"{self.density_synapse:.2f}",
            f"{self.periods:,}" if self.on_chip else "off chip",
            f"{self.latency_ms:.4f}" if self.on_chip else "",
        ]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over the rows on chip.

    ``ticks`` is the length of a pipeline of all layers for one sample, ``fps`` = 1 / latency.
    """

    cores: int
    ticks: int
    periods: int
    latency_ms: float
    fps: float


@dataclass(frozen=True, kw_only=True)
class Periods:
    """A row for each layer that fits, in order.

    ``lacks`` is a sentence on the first layer that no core holds, None if there is none.
    """

    rows: list[Row]
    totals: Totals
    lacks: str | None

    def to_dict(self) -> dict[str, Any]:
        """JSON form: layers, totals, lacks."""
        return {
            "layers": [asdict(row) for row in self.rows],
            "totals": asdict(self.totals),
            "lacks": self.lacks,
        }

    def text(self) -> dict[str, str]:
        """Rows for people: a line for each layer, then the totals."""
        total = self.totals
        of = "the layers that fit" if self.lacks else "the layers on chip"
        return {
            "dense periods of the paper": "each layer on cores of its own, 64 cores a period",
            "layer": _line(_COLUMNS),
            **{f"{i} {row.name}": _line(row.cells()) for i, row in enumerate(self.rows, 1)},
            "cores (paper)": f"{total.cores:,}, {of}",
            "latency (paper)": f"{total.latency_ms:.4f} ms a sample ({total.fps:,.1f}/s), "
            f"{total.periods:,} periods a tick",
            "ticks (paper)": f"{total.ticks:,} a sample, as a pipeline",
        }


_COLUMNS = {
    "w*h*d in": 13,
    "w*h*d out": 12,
    "f": 4,
    "cores": 8,
    "axons": 8,
    "columns": 9,
    "d axon": 8,
    "d neuron": 10,
    "d synapse": 11,
    "periods": 10,
    "ms": 10,
}
"""columns of the table for people, and their widths"""


def _line(cells: Iterable[str]) -> str:
    widths = _COLUMNS.values()
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


def dense_periods(
    net: Sequence[Layer] | Network, chip: Chip, *, reading: Reading = Reading.FEWEST
) -> Periods:
    """Every layer of ``net`` on cores of ``chip`` of its own; of a network every population.

    InputError for a network that needs a feature that ``chip`` lacks.
    """
    if isinstance(net, Network):
        check_features(net, chip)
        steps, depth, layers = net.steps, net.ticks - net.steps, network_layers(net, chip)
    else:
        steps, depth, layers = 1, sum(layer.on_chip for layer in net) - 1, list(net)
    patches = [_patch(layer, chip, reading) for layer in layers]
    rows = [_row(patch, chip, steps) for patch in patches if isinstance(patch, Patch)]
    lacks = [patch.sentence for patch in patches if isinstance(patch, Reason)]
    inside = [row for row in rows if row.on_chip]
    periods = sum(row.periods for row in inside)
    latency = _milliseconds(steps * periods, chip)
    totals = Totals(
        cores=sum(row.cores for row in inside),
        ticks=steps + depth,
        periods=periods,
        latency_ms=latency,
        fps=1e3 / latency if latency else 0.0,
    )
    return Periods(rows=rows, totals=totals, lacks=lacks[0] if lacks else None)


def period_cycles(chip: Chip) -> int:
    """Cycles in which a core visits every synapse it could have: axons times words."""
    return chip.axons * chip.derived.words


def _patch(layer: Layer, chip: Chip, reading: Reading) -> Patch | Reason:
    k_wei = -(-layer.k_wei // chip.digit_bits) * chip.digit_bits
    columns = usable_columns(chip, k_wei)
    if not columns:
        most = min(chip.lanes * chip.digit_bits, chip.columns)
        return Reason(
            f"columns of a weight of layer {layer.name!r} must be at most {most} on this chip "
            f"(one word of {chip.lanes} lanes), not {k_wei}: take fewer bits"
        )
    patch = find(
        replace(layer, k_wei=k_wei),
        axons=chip.axons,
        columns=columns,
        extension_max=chip.extension,
        reading=reading,
    )
    if isinstance(patch, Reason):
        return patch
    return replace(patch, columns=chip.columns)  # densities are shares of the whole core


def _row(patch: Patch, chip: Chip, steps: int) -> Row:
    periods = -(-patch.cores // MESH_CORES)
    inputs = tuple((w, h, c) for c, h, w in patch.inputs)
    return Row(
        name=patch.layer.name,
        patch_in=inputs[0] if inputs else (0, 0, 0),
        patches_in=inputs,
        patch_out=(patch.width, patch.height, patch.channels),
        f=patch.extension,
        cores=patch.cores,
        axons=patch.lines,
        columns=patch.columns_used,
        density_axon=patch.density_axon,
        density_neuron=patch.density_neuron,
        density_synapse=patch.density_synapse,
        ticks=steps,
        periods=periods,
        latency_ms=_milliseconds(steps * periods, chip),
        on_chip=patch.layer.on_chip,
    )


def _milliseconds(periods: int, chip: Chip) -> float:
    return periods * period_cycles(chip) * 1e3 / clock_of(chip)
