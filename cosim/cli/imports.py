"""The commands ``spikeloop import``: networks of other tools."""

from pathlib import Path
from typing import Annotated, Any

import typer

from spikeloop.cosim.cli.console import open_console
from spikeloop.cosim.cli.options import (
    Bits,
    ChipName,
    Command,
    ImportSteps,
    Json,
    OtherChip,
    argument,
    option,
    output,
)

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Convert a network of another tool: RANC, NIR, snnTorch. "
    "Writes all that spikeloop compare needs into one folder.",
)


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
            help="What a spike does to the membrane: {resets} (late: soft, one step later).",
            default="from the metadata, else hard",
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
    steps: ImportSteps = 32,
    bits: Bits = 8,
    chip: ChipName = "zou2021",
    folder: Annotated[Path, output("Folder to write.")] = Path("build/nir"),
    json: Json = False,
) -> None:
    """NIR graphs of Affine, Linear, convolution, pooling, IF, LIF, I and LI, recurrent or not."""
    with open_console(json) as console:
        from spikeloop.cosim.flow.imports import write_import
        from spikeloop.golden.interchange.nir.read import import_nir
        from spikeloop.golden.interchange.nir.semantics import Semantics

        semantics = Semantics(dt, compare, reset, framework)
        imported = import_nir(source, semantics, steps=steps, bits=bits)
        summary = write_import(imported, chip, folder)
        console.result(summary, _imported(summary))


@app.command(cls=Command)
def snntorch(
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
    steps: ImportSteps = 32,
    bits: Bits = 8,
    chip: ChipName = "zou2021",
    folder: Annotated[Path, output("Folder to write.")] = Path("build/snntorch"),
    json: Json = False,
) -> None:
    """snnTorch nets: Linear, Conv1d, Conv2d, AvgPool2d, Flatten and Leaky in a row, every reset."""
    with open_console(json) as console:
        from spikeloop.cosim.flow.imports import module_of, sizes, write_import
        from spikeloop.golden.interchange.snntorch import import_snntorch

        name = Path(source.rpartition(":")[0]).stem
        module = module_of(source)
        imported = import_snntorch(module, sizes(shape), steps=steps, bits=bits, name=name)
        summary = write_import(imported, chip, folder)
        console.result(summary, _imported(summary))


def _imported(s: dict[str, Any]) -> dict[str, Any]:
    """The table of an import: what was written, then all that was assumed."""
    return {
        "written": s["image"],
        "chip": s["chip"],
        "cores": s["cores"],
        "steps": s["steps"],
        **{f"  {name}": f"{size:,}" for name, size in s["sizes"].items()},
        "assumed": "",
        **{f"  {a['what']}": f"{a['value']} ({a['why']})" for a in s["assumed"]},
    }
