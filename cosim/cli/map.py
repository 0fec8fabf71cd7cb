"""``spikeloop fit`` and ``spikeloop cost``: what a network takes, and what a run of it costs."""

from pathlib import Path
from typing import Annotated

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
    """Say what a network takes on a chip: cores, use, latency, and what does not fit.

    Beside what the mapper does stand the dense periods of the paper: each layer on cores of its own.
    """
    with output_of(json) as out:
        from spikeloop.pysim.chip.params import preset
        from spikeloop.pysim.cost.figures import predict
        from spikeloop.pysim.mapping import published
        from spikeloop.pysim.mapping.periods import dense_periods
        from spikeloop.pysim.network.graph import Network

        target = preset(chip)
        from_file = net not in published.NAMES and (
            net.endswith(".safetensors") or Path(net).is_file()
        )
        network = Network.load(net) if from_file else None
        view = dense_periods(network or published.layers(net), target)
        mapped = predict(network, target) if network and not view.lacks else None
        out(
            {
                "network": net,
                "chip": target.to_dict(),
                "mapped": mapped and mapped.to_dict(),
                "dense_periods": view.to_dict(),
            },
            (mapped.text() if mapped else {}) | view.text(),
        )
        if view.lacks:
            raise InputError(view.lacks)


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
        float | None,
        typer.Option(
            "--clock",
            metavar="HZ",
            help="Clock that turns cycles into time; without it that of the chip's preset.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder for cost.json and the schedules.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Count cycles and synaptic operations layer by layer; model time, energy and turns on few cores."""
    with output_of(json) as out:
        from spikeloop.pysim.bundle.open import load_bundle
        from spikeloop.pysim.cost.summary import summarise
        from spikeloop.pysim.traces.stimulus import Stimulus

        bundle, spikes = load_bundle(image), Stimulus.load(stimulus)
        if samples is not None:
            if not 0 < samples <= spikes.samples:
                raise InputError(
                    f"samples must be in 1..{spikes.samples} (the stimulus holds as many), not {samples}"
                )
            spikes = spikes.take(slice(samples))
        summary = summarise(
            bundle, spikes, energy_per_sop=energy_per_sop, leakage=leakage, clock=clock
        )
        document = {"image": str(image), "stimulus": str(stimulus), **summary.to_dict()}
        if output is not None:
            summary.save(output, document)
        out(document, summary.text())
