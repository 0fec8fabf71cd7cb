"""The commands ``spikeloop fit`` and ``spikeloop cost``: what a network takes on many cores, and what a run of it costs."""

import json as json_text
from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli.compare import Samples
from spikeloop.cosim.cli.console import ChipName, Json
from spikeloop.cosim.cli.console import output as output_of
from spikeloop.pysim.common.errors import InputError

__all__ = ["cost", "fit"]


def fit(
    net: Annotated[
        str,
        typer.Argument(
            metavar="NET",
            help="Network file, or a net of Zou et al. with its spikes per value: "
            "zou-lenet-1, zou-lenet-2, zou-lenet-4, zou-vgg-1, ...",
        ),
    ],
    chip: ChipName = "zou2021",
    json: Json = False,
) -> None:
    """Say what a network takes on many cores: patches, cores, densities, periods, latency, and what does not fit."""
    with output_of(json) as out:
        from spikeloop.pysim.chip.params import preset
        from spikeloop.pysim.mapping import published as zoo
        from spikeloop.pysim.mapping.periods import dense_periods as run
        from spikeloop.pysim.network.graph import Network

        target = preset(chip)
        from_file = net not in zoo.NAMES and (net.endswith(".safetensors") or Path(net).is_file())
        result = run(Network.load(net) if from_file else zoo.layers(net), target)
        columns = {
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
        rows = {"layer": columns.keys()} | {
            f"{i} {r.name}": (
                "*".join(map(str, r.patch_in)),
                "*".join(map(str, r.patch_out)),
                r.f,
                f"{r.cores:,}",
                f"{r.axons:,}",
                f"{r.columns:,}",
                f"{r.density_axon:.2f}",
                f"{r.density_neuron:.2f}",
                f"{r.density_synapse:.2f}",
                f"{r.periods:,}" if r.on_chip else "off chip",
                f"{r.latency_ms:.4f}" if r.on_chip else "",
            )
            for i, r in enumerate(result.rows, 1)
        }
        total, of = result.totals, "the layers that fit" if result.lacks else "the layers on chip"
        out(
            {"network": net, "chip": target.to_dict(), **result.to_dict()},
            {
                name: "".join(
                    f"{cell:>{width}}" for cell, width in zip(cells, columns.values(), strict=True)
                )
                for name, cells in rows.items()
            }
            | {
                "cores": f"{total.cores:,} of {target.axons:,} axons x {target.columns:,} columns, {of}",
                "latency": f"{total.latency_ms:.4f} ms a sample ({total.fps:,.1f}/s), {total.periods:,} periods a tick",
                "ticks": f"{total.ticks:,} a sample, as a pipeline",
            },
        )
        if result.lacks:
            raise InputError(result.lacks)


def cost(
    image: Annotated[Path, typer.Argument(help="Image or program folder.")],
    stimulus: Annotated[Path, typer.Option("--stimulus", metavar="S.npz", help="Input spikes.")],
    samples: Samples = None,
    energy_per_sop: Annotated[
        float,
        typer.Option(
            "--energy-per-sop",
            metavar="J",
            help="Model: energy of a synaptic operation, idle "
            "power included (a figure of Zou et al.).",
        ),
    ] = 0.57e-12,
    leakage: Annotated[
        float,
        typer.Option("--leakage", metavar="W", help="Model: leakage of one core, on top of that."),
    ] = 0.0,
    clock: Annotated[
        float, typer.Option("--clock", metavar="HZ", help="Clock that turns cycles into time.")
    ] = 252e6,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for cost.json and the schedules.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Count cycles and synaptic operations layer by layer, and model time, energy and the turns that parts take on a few cores."""
    with output_of(json) as out:
        from spikeloop.pysim.bundle.mesh import MeshImage
        from spikeloop.pysim.bundle.open import load_bundle
        from spikeloop.pysim.common.files import write_atomic
        from spikeloop.pysim.cost.turns import jobs, schedule
        from spikeloop.pysim.cost.work import Constants, measure
        from spikeloop.pysim.mapping.periods import MESH_CORES
        from spikeloop.pysim.traces.stimulus import Stimulus

        constants = Constants(energy_per_sop=energy_per_sop, leakage=leakage, clock=clock)
        bundle, spikes = load_bundle(image), Stimulus.load(stimulus)
        if isinstance(bundle, MeshImage):
            raise InputError(
                f"image of spikeloop cost must be on one core or on cores that take turns, not on the mesh {str(image)!r}: "
                "map the network for a chip of one core"
            )
        spikes.check(bundle)
        if samples is not None:
            if not 0 < samples <= spikes.samples:
                raise InputError(
                    f"samples must be in 1..{spikes.samples} (the stimulus holds as many), not {samples}"
                )
            spikes = spikes.take(slice(samples))
        work = measure(bundle, spikes)
        document: dict[str, Any] = {
            "image": str(image),
            "stimulus": str(stimulus),
            **work.to_dict(constants),
            "schedules": {},
        }
        rows: dict[str, Any] = {
            "layer": "   cores          SOPs         slots        cycles         dense   of dense     uJ (SOPs)"
        }
        for i, row in enumerate([*document["layers"], {"layer": "all", **document["total"]}], 1):
            rows[f"{i} {row['layer']}"] = (
                f"{row['cores']:>8,}{row['sops']:>14,.0f}{row['slots']:>14,.0f}{row['cycles']:>14,.0f}{row['dense_cycles']:>14,.0f}"
                f"{row['cycles'] / row['dense_cycles']:>11.1%}{row['energy_sops'] * 1e6:>14.4f}"
            )
        parts = {
            mode: jobs(bundle, cycles)
            for mode, cycles in (("events", work.cycles), ("dense", work.dense_cycles))
        }
        count = spikes.samples
        for mode, cores, batch, ports in (
            ("events", 1, 1, 1),
            ("events", 1, count, 1),
            ("dense", 1, count, 1),
            ("events", MESH_CORES, count, 1),
            ("events", MESH_CORES, count, MESH_CORES),
        ):
            plan = schedule(parts[mode], cores=cores, batch=batch, ports=ports)
            name, cycles = f"{mode}_{cores}_cores_{ports}_ports_batch_{batch}", plan.total / count
            seconds = cycles / clock
            joule = constants.energy(float(work.sops.sum(axis=0).mean()), seconds, cores)
            document["schedules"][name] = {
                "mode": mode,
                **plan.summary(),
                "ms_per_sample": seconds * 1e3,
                "energy_per_sample": joule,
            }
            rows[
                f"{mode}, {cores} core{'s' * (cores > 1)}, {ports} port{'s' * (ports > 1)}, {batch} a load"
            ] = (
                f"{cycles:,.0f} cycles a sample ({seconds * 1e3:.4f} ms), {joule * 1e6:.3f} uJ; "
                f"loads {plan.loading:,} cycles, {plan.hidden / plan.loading:.0%} hidden"
            )
            if output is not None:
                write_atomic(output / f"{name}.json", json_text.dumps(plan.to_dict()).encode())
                write_atomic(output / f"{name}.txt", plan.text().encode())
        if output is not None:
            write_atomic(output / "cost.json", json_text.dumps(document, indent=1).encode())
        out(document, rows)
