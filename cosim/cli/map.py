"""The commands that put a network on a chip: fit, map, cost, verilog and export."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from spikeloop.cosim.cli.console import open_console
from spikeloop.cosim.cli.options import ChipName, Json, OtherChip, Samples, argument, option, output
from spikeloop.pysim.common.errors import InputError

__all__ = ["cost", "export", "fit", "map_", "verilog"]


def fit(
    net: Annotated[
        str, argument("NET", "Network file, or a net of Zou et al. 2021 by name: {published}.")
    ],
    chip: OtherChip = None,
    board: Annotated[
        str | None,
        option("--board", metavar="NAME", help="The chip and clock of one of {targets}."),
    ] = None,
    json: Json = False,
) -> None:
    """Say what a network takes on a chip: cores, use, latency, and what does not fit.

    The mapper's figures stand first; then, with --board, what the chip takes of the device. The
    dense periods of the paper follow: there each layer has cores of its own.
    """
    with open_console(json) as console:
        from spikeloop.cosim.board.figures import on_board
        from spikeloop.pysim.chip.params import preset
        from spikeloop.pysim.cost.figures import predict
        from spikeloop.pysim.mapping import published
        from spikeloop.pysim.mapping.periods import dense_periods
        from spikeloop.pysim.network.graph import Network

        if chip and board:
            raise InputError("chip must be given once, by --chip or by --board, not twice")
        place = on_board(board) if board else None
        target = place.chip if place else preset(chip or "zou2021")
        named = net in published.NAMES
        from_file = not named and (net.endswith(".safetensors") or Path(net).is_file())
        network = Network.load(net) if from_file else None
        view = dense_periods(network or published.layers(net), target)
        mapped = predict(network, target) if network and not view.lacks else None
        if mapped and place:
            mapped = replace(mapped, clock=place.clock)
        console.result(
            {
                "network": net,
                "chip": target.to_dict(),
                "mapped": mapped and mapped.to_dict(),
                "board": place and place.to_dict(),
                "dense_periods": view.to_dict(),
            },
            (mapped.text() if mapped else {}) | (place.text() if place else {}) | view.text(),
        )
        if view.lacks:
            raise InputError(view.lacks)


def map_(
    network: Annotated[
        Path, argument("NETWORK", "Integer network, of spikeloop quantize or import.")
    ],
    folder: Annotated[Path, output("Image folder to write.")] = Path("image"),
    chip: ChipName = "zou2021",
    json: Json = False,
) -> None:
    """Place a network on the chip and pack its image.

    A network that one core does not hold goes onto many cores that take turns, or onto the cores
    of a mesh (--chip tiny,mesh_width=2,mesh_height=2).
    """
    with open_console(json) as console:
        from spikeloop.pysim.bundle.open import map_network
        from spikeloop.pysim.chip.params import preset
        from spikeloop.pysim.cost.figures import figures
        from spikeloop.pysim.mapping.placement import describe
        from spikeloop.pysim.network.graph import Network

        target = preset(chip)
        bundle = map_network(Network.load(network), target)
        bundle.save(folder)
        result = figures(bundle)
        document = {"image": str(folder), "chip": target.to_dict(), **result.to_dict()}
        if bundle.kind == "image":
            document["layers"] = layers = describe(bundle.placement)
            more = {
                row["layer"]: f"{row['neurons']:,} neurons, {row['axons']:,} axons, "
                f"{row['columns']:,} columns, {row['words']:,} words"
                for row in layers
            }
        else:
            more = {name: f"{count:,} cores" for name, count in result.cores_of.items()}
        console.result(
            document,
            {"image": folder, "chip": chip, **result.text()}
            | {f"  {name}": text for name, text in more.items()},
        )


def cost(
    image: Annotated[Path, argument("IMAGE", "Image or program folder.")],
    stimulus: Annotated[Path, option("--stimulus", metavar="S.npz", help="Input spikes.")],
    samples: Samples = None,
    energy_per_sop: Annotated[
        float,
        option(
            "--energy-per-sop",
            metavar="J",
            help="Model: energy of a synaptic operation, idle power included (Zou et al.).",
        ),
    ] = 0.57e-12,
    leakage: Annotated[
        float, option("--leakage", metavar="W", help="Model: leakage of one core, on top of that.")
    ] = 0.0,
    clock: Annotated[
        float | None,
        option(
            "--clock",
            metavar="HZ",
            help="Clock that turns cycles into time.",
            default="that of the chip's preset",
        ),
    ] = None,
    folder: Annotated[
        Path | None, output("Folder for cost.json and the schedules.", default="none")
    ] = None,
    json: Json = False,
) -> None:
    """Count cycles and synaptic operations layer by layer; model time, energy and turns.

    Turns are those of the parts of a program on a few cores.
    """
    with open_console(json) as console:
        from spikeloop.pysim.bundle.open import load_bundle
        from spikeloop.pysim.cost.report import report
        from spikeloop.pysim.traces.stimulus import Stimulus

        bundle, spikes = load_bundle(image), Stimulus.load(stimulus).first(samples)
        result = report(bundle, spikes, energy_per_sop=energy_per_sop, leakage=leakage, clock=clock)
        document = {"image": str(image), "stimulus": str(stimulus), **result.to_dict()}
        if folder is not None:
            result.save(folder, document)
        console.result(document, result.text())


def verilog(
    image: Annotated[
        Path | None, argument("IMAGE", "Image folder whose chip is wanted; or name --chip.")
    ] = None,
    folder: Annotated[Path, output("Folder to write.")] = Path("rtl"),
    chip: OtherChip = None,
    wrap: Annotated[
        str | None,
        option("--wrap", metavar="BUS", help="An IP core for SoCs, behind one of {buses}."),
    ] = None,
    name: Annotated[
        str | None,
        option("--name", metavar="NAME", help="With --wrap: top module, and prefix of all others."),
    ] = None,
    sources: Annotated[
        bool, option("--sources", help="Keep as attributes the lines of Python behind each signal.")
    ] = False,
    json: Json = False,
) -> None:
    """Write the Verilog of a chip; with --wrap as an IP core: header, driver, register map too."""
    with open_console(json) as console:
        from spikeloop.cosim.soc.package import write_soc
        from spikeloop.cosim.stages.verilog import write_verilog
        from spikeloop.pysim.bundle.open import load_bundle
        from spikeloop.pysim.chip.params import preset

        if (image is None) == (chip is None):
            times = "twice" if chip else "never"
            raise InputError(f"chip must be given once, by IMAGE or by --chip, not {times}")
        if (wrap is None) != (name is None):
            given, missing = ("--wrap BUS", "--name NAME")[:: 1 if wrap else -1]
            raise InputError(f"{missing} is missing beside {given}: give both")
        if wrap and sources:
            raise InputError("Verilog must be written with --sources or with --wrap, not with both")
        target = preset(chip) if chip else load_bundle(image or "").chip
        files = (
            write_soc(target, wrap, name, folder)
            if wrap and name
            else write_verilog(target, folder, sources=sources)
        )
        text = {"Verilog": ", ".join(map(str, files))}
        if wrap and (target.clock_gates or target.sliced):
            macro = bool(target.pim or target.front)  # such a chip has clock gates
            text["for an FPGA"] = (
                "not this chip: its macro needs clock gates"
                if macro
                else "add clock_gates=false,sliced=false to the chip"
            )
        console.result({"files": [str(f) for f in files], "chip": target.to_dict()}, text)


def export(
    image: Annotated[Path, argument("IMAGE", "Image folder.")],
    form: Annotated[
        str,
        option(
            "--format",
            metavar="NAME",
            help="One of {forms}. hex is Intel HEX; c is a header for the driver of --wrap; nir is "
            "the network in or beside the image folder, for other tools.",
        ),
    ],
    folder: Annotated[Path, output("Folder to write.")] = Path("export"),
    json: Json = False,
) -> None:
    """Write the image's memories in another form, or its network as NIR."""
    with open_console(json) as console:
        from spikeloop.cosim.flow.export import export as run

        files = run(image, form, folder)
        console.result(
            {"files": [str(f) for f in files], "format": form},
            {"written": f"{len(files)} files to {folder}"},
        )
