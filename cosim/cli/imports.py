"""The commands ``spikeloop import``: networks of other tools."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli.console import open_console
from spikeloop.cosim.cli.options import (
    Bits,
    ChipName,
    Command,
    Groups,
    ImportSteps,
    Json,
    OtherChip,
    Samples,
    argument,
    option,
    output,
)

__all__ = ["app", "stimulus"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Convert a network of another tool: RANC, NIR, torch modules. "
    "Writes all that spikeloop compare needs into one folder.",
)

Labels = Annotated[
    Path | None,
    option(
        "--labels",
        metavar="FILE",
        help="Labels, one whole number a sample (.npy).",
        default="those in the data file",
    ),
]


@app.command(cls=Command)
def ranc(
    source: Annotated[
        Path, argument("DIR", "Folder of csram_*.mem, tc_*.mem and, for a test, tb_*.txt.")
    ],
    grid: Annotated[
        str | None,
        option(
            "--grid",
            metavar="WxH",
            help="Cores of the mesh.",
            default="from tb_spikehard_params.json",
        ),
    ] = None,
    bus: Annotated[
        str | None,
        option(
            "--bus",
            metavar="X,Y",
            help="Where the output bus is.",
            default="from tb_spikehard_params.json",
        ),
    ] = None,
    first_tick: Annotated[
        int | None,
        option(
            "--first-tick",
            metavar="N",
            within=(0, 65535),
            help="Tick of the first expected outputs.",
            default="the first that has any",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        option(
            "--steps",
            metavar="T",
            within=(1, 65536),
            help="Ticks of a sample.",
            default="as the test packets need",
        ),
    ] = None,
    chip: OtherChip = None,
    folder: Annotated[Path, output("Folder to write.")] = Path("build/ranc"),
    json: Json = False,
) -> None:
    """RANC networks, with their test packets if there are any.

    The chip is one that holds a RANC core unless --chip names another.
    """
    with open_console(json) as console:
        from spikeloop.cosim.flow.imports import chip_for, pair, write_import
        from spikeloop.golden.interchange.ranc.read import import_ranc

        imported = import_ranc(
            source,
            grid=pair(grid, "x", "--grid"),
            output=pair(bus, ",", "--bus"),
            first_tick=first_tick,
            steps=steps,
        )
        chosen = chip or chip_for(imported.network, imported.axons)
        summary = write_import(imported, chosen, folder)
        console.result(summary, _imported(summary))


@app.command(cls=Command)
def nir(
    source: Annotated[Path, argument("FILE", "NIR file (HDF5).")],
    dt: Annotated[
        float | None,
        option(
            "--dt",
            metavar="S",
            help="Time of a step.",
            default="from the metadata, else 1e-4 with time constants and 1 without",
        ),
    ] = None,
    compare: Annotated[
        str | None,
        option(
            "--compare",
            metavar="OP",
            help="How membrane and threshold are compared: {comparisons}.",
            default="from the metadata, else >",
        ),
    ] = None,
    reset: Annotated[
        str | None,
        option(
            "--reset",
            metavar="NAME",
            help="What a spike does to the membrane: {resets} (late: soft, one step later). "
            "NODE=NAME,... for each node.",
            default="from the metadata, else hard",
        ),
    ] = None,
    answer: Annotated[
        str | None,
        option(
            "--answer", metavar="NODE", help="Output node that is read.", default="the only one"
        ),
    ] = None,
    framework: Annotated[
        str | None,
        option(
            "--from",
            metavar="NAME",
            help="Framework whose conventions hold where the file is silent: {frameworks}.",
            default="those of NIR",
        ),
    ] = None,
    groups: Groups = None,
    steps: ImportSteps = 32,
    bits: Bits = 8,
    chip: ChipName = "zou2021",
    folder: Annotated[Path, output("Folder to write.")] = Path("build/nir"),
    json: Json = False,
) -> None:
    """NIR graphs of Affine, Linear, convolution, pooling, IF, LIF, I and LI, recurrent or not."""
    with open_console(json) as console:
        from spikeloop.cosim.flow.imports import write_import
        from spikeloop.golden.interchange.graph.semantics import Semantics
        from spikeloop.golden.interchange.nir.read import import_nir

        semantics = Semantics(dt, compare, reset, framework)
        imported = import_nir(
            source, semantics, steps=steps, bits=bits, answer=answer, groups=groups
        )
        summary = write_import(imported, chip, folder)
        console.result(summary, _imported(summary))


@app.command("snntorch", cls=Command, hidden=True)
@app.command("torch", cls=Command)
def torch_module(
    source: Annotated[
        str,
        argument(
            "FILE.py:NAME",
            "Python file, which is run, and the name in it of the net or of a function that "
            "makes it.",
        ),
    ],
    shape: Annotated[
        str | None,
        option(
            "--shape",
            metavar="C,H,W",
            help="Shape of one input.",
            default="that of the first Linear",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        option(
            "--data",
            metavar="FILE",
            help="Array of spikes or grey values (.npy), or stimulus: the import is compared "
            "with the net's own forward on it, and it becomes the folder's stimulus.",
            default="seeded random spikes, and no stimulus",
        ),
    ] = None,
    labels: Labels = None,
    check: Annotated[
        int | None,
        option(
            "--check",
            metavar="N",
            within=(1, 1 << 20),
            help="Compare with forward on the first N samples of the data.",
            default="all",
        ),
    ] = None,
    grey: Annotated[
        int | None,
        option(
            "--grey",
            metavar="BITS",
            within=(1, 8),
            help="The input is grey values, not spikes: so many bit planes of them.",
            default="spikes",
        ),
    ] = None,
    values: Annotated[
        str, option("--range", metavar="LOW,HIGH", help="Range of the grey values.")
    ] = "0,1",
    groups: Groups = None,
    steps: ImportSteps = 32,
    bits: Bits = 8,
    chip: ChipName = "zou2021",
    folder: Annotated[Path, output("Folder to write.")] = Path("build/torch"),
    json: Json = False,
) -> None:
    """Nets of snnTorch, SpikingJelly, Norse or sinabs.

    The import does what forward does, which is checked spike for spike.
    """
    with open_console(json) as console:
        from spikeloop.cosim.flow.imports import grey_of, import_torch, sizes, write_import

        imported, own = import_torch(
            source,
            sizes(shape),
            steps=steps,
            bits=bits,
            data=data,
            labels=labels,
            check=check,
            grey=grey_of(grey, values),
            groups=groups,
        )
        summary = write_import(imported, chip, folder, own)
        console.result(summary, _imported(summary))


def stimulus(
    folder: Annotated[
        Path, argument("FOLDER", "Folder of an import or a map, or a network file: what it is for.")
    ],
    files: Annotated[
        list[Path],
        argument(
            "FILE...",
            "Array of spikes or grey values (.npy, .npz), spike times (.h5), or files of events, "
            "one a sample.",
        ),
    ],
    width: Annotated[
        float | None,
        option(
            "--bin",
            metavar="WIDTH",
            help="Width of a step of events or spike times: seconds for .h5, else the unit of t.",
            default="needed for events",
        ),
    ] = None,
    labels: Labels = None,
    samples: Samples = None,
    out: Annotated[Path, output("Stimulus to write.", "FILE")] = Path("build/stimulus.npz"),
    json: Json = False,
) -> None:
    """Your own data as a stimulus: dense arrays, events, spike times, grey values."""
    with open_console(json) as console:
        from spikeloop.cosim.flow.imports import write_stimulus

        summary = write_stimulus(folder, files, out, width=width, labels=labels, samples=samples)
        console.result(summary, summary)


def _imported(s: dict[str, Any]) -> dict[str, Any]:
    """The table of an import: what was written, then all that was assumed."""
    return {
        "written": s["image"],
        "chip": s["chip"],
        "cores": s["cores"],
        "steps": s["steps"],
        **({"stimulus": s["stimulus"]} if "stimulus" in s else {}),
        **{f"  {name}": f"{size:,}" for name, size in s["sizes"].items()},
        **_drift(s["drift"]),
        "assumed": "",
        **{f"  {a['what']}": f"{a['value']} ({a['why']})" for a in s["assumed"]},
    }


def _drift(drift: dict[str, Any] | None) -> dict[str, str]:
    """How far the integers are from the floats, a line each population."""
    if drift is None:
        return {}
    rows = {
        "integers against floats": f"{drift['samples']} samples, {drift['answers']} answers differ"
    }
    for row in drift["populations"]:
        text = f"{row['different']:,} of {row['spikes']:,} spikes differ (rate {row['rate']:.3f})"
        if row["saturated"]:
            text += f"; {row['saturated']:,} membranes clipped: take fewer bits"
        rows[f"  spikes of {row['population']}"] = text
    return rows
